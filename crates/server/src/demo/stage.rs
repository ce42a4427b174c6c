//! Sets the demo's stage: a domain, people with mail in their mailboxes, and
//! users with empty ones for other programs' trials.
//!
//! Passwords are derived from the store's seed: they differ from store to store
//! and stay the same when a demo's store is kept.

use super::corpus::{self, Person};
use crate::auth::password::{self, Cost, Wanted};
use crate::clock::unix_now;
use crate::deliver::{self, Incoming, Parcel};
use proto::message::intake::{Intake, Rules};
use proto::proof::{AccountId, Secret};
use proto::service::policy::DomainPolicy;
use store::Store;
use store::account::Flags;
use store::system::directory::{AccountRecord, CredentialKind, DirectoryError, Domain};

/// The demo's domain (reserved by RFC 6761).
pub const DOMAIN: &str = "example.test";
/// Users with empty mailboxes.
const TRIAL_USERS: usize = 20;
/// Which message the corpus begins with; any number gives another world.
const CORPUS_SEED: u64 = 1;
/// Messages that share their syncs.
const BATCH: usize = 64;

/// The people of the demo.
const PEOPLE: [(&str, &str); 5] = [
    ("alice", "Alice Andersen"),
    ("bob", "Bob Brückner"),
    ("carla", "Carla Castaño"),
    ("dimitri", "Δημήτρης Δούκας"),
    ("emi", "江本 恵美"),
];

/// Somebody who can log in.
#[derive(Clone, Debug)]
pub struct User {
    /// Address and user name.
    pub address: String,
    /// The person's name.
    pub name: String,
    /// The password: of a demo, shown on purpose.
    pub password: String,
    /// Messages in the mailbox.
    pub messages: u64,
}

/// Everybody on stage.
#[derive(Clone, Debug)]
pub struct Stage {
    /// With mail.
    pub people: Vec<User>,
    /// Without mail, for trials.
    pub trial_users: Vec<User>,
}

/// Why the stage could not be set.
#[derive(Debug)]
pub struct Broken(String);

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the demo's store could not be filled: {}", self.0)
    }
}

impl std::error::Error for Broken {}

/// Fills a new store; of one that was kept it only reads who is there.
pub async fn set(store: &Store, cost: &Cost) -> Result<Stage, Broken> {
    let directory = store.directory();
    if directory.domain(DOMAIN).map_err(broken)?.is_none() {
        let domain = Domain {
            // The trials' clients try CRAM-MD5 too.
            policy: DomainPolicy { cram_md5: true, ..DomainPolicy::default() },
            ..Domain::named(DOMAIN)
        };
        directory.put_domain(domain, false).await.map_err(broken)?;
    }
    let mut people = Vec::new();
    let mut fresh = Vec::new();
    for (local, name) in PEOPLE {
        let (user, id, added) = user(store, cost, local, name).await?;
        fresh.push(added.then_some(id));
        people.push((user, id));
    }
    fill(store, &people, &fresh).await?;
    let mut trial_users = Vec::new();
    for n in 1..=TRIAL_USERS {
        trial_users.push(user(store, cost, &format!("user{n:02}"), "").await?.0);
    }
    let alias = format!("team@{DOMAIN}");
    let targets: Vec<String> = people.iter().map(|(user, _)| user.address.clone()).collect();
    match directory.put_alias(&alias, &targets, false).await {
        Ok(()) | Err(DirectoryError::Exists) => {}
        Err(error) => return Err(broken(error)),
    }
    let mut stage = Stage { people: Vec::new(), trial_users };
    for (mut user, id) in people {
        user.messages = store.account(id).usage().map_err(broken)?.messages;
        stage.people.push(user);
    }
    Ok(stage)
}

async fn user(
    store: &Store,
    cost: &Cost,
    local: &str,
    name: &str,
) -> Result<(User, AccountId, bool), Broken> {
    let address = format!("{local}@{DOMAIN}");
    let password = password_of(store, &address);
    let user =
        User { address: address.clone(), name: name.to_owned(), password: password.clone(), messages: 0 };
    if let Some(record) = store.directory().account_by_address(&address).map_err(broken)? {
        return Ok((user, record.id, false));
    }
    let cost = *cost;
    let secret = Secret::new(password);
    let wanted = Wanted { kind: CredentialKind::Main, cram_md5: true, created: unix_now(), expires: None };
    let credentials = tokio::task::spawn_blocking(move || password::new(&secret, &wanted, &cost));
    let credentials = credentials.await.map_err(broken)?.map_err(broken)?;
    let record = AccountRecord {
        id: AccountId(0),
        address,
        name: name.to_owned(),
        enabled: true,
        quota_bytes: None,
        quota_messages: None,
        created: unix_now(),
    };
    let id = store.directory().add_account(record, credentials).await.map_err(broken)?;
    Ok((user, id, true))
}

/// Twelve letters and digits from the store's seed.
fn password_of(store: &Store, address: &str) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let digest = blake3::keyed_hash(store.seed(), format!("demo password of {address}").as_bytes());
    digest.as_bytes()[..12].iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

/// Puts the corpus into the mailboxes of those who are new.
async fn fill(
    store: &Store,
    people: &[(User, AccountId)],
    fresh: &[Option<AccountId>],
) -> Result<(), Broken> {
    let persons: Vec<Person> = people
        .iter()
        .map(|(user, _)| Person { name: user.name.clone(), address: user.address.clone() })
        .collect();
    let mut waiting: Vec<Vec<Parcel>> = fresh.iter().map(|_| Vec::new()).collect();
    for sample in corpus::corpus(CORPUS_SEED, unix_now(), &persons) {
        let Some(Some(id)) = fresh.get(sample.to) else { continue };
        waiting[sample.to].push(parcel(store, &sample).await?);
        if waiting[sample.to].len() >= BATCH {
            let batch = std::mem::take(&mut waiting[sample.to]);
            deliver::put(&store.account(*id), batch).await.map_err(broken)?;
        }
    }
    for (id, batch) in fresh.iter().zip(waiting) {
        if let Some(id) = id {
            deliver::put(&store.account(*id), batch).await.map_err(broken)?;
        }
    }
    Ok(())
}

async fn parcel(store: &Store, sample: &corpus::Sample) -> Result<Parcel, Broken> {
    let mut intake = Intake::new(Rules {
        received_max: usize::MAX,
        header_bytes_max: sample.bytes.len().max(1),
        submission: None,
    });
    let mut head = Vec::new();
    let mut body = Incoming::new(store);
    let rest = intake.feed(&sample.bytes, &mut head).map_err(|p| broken(format!("{p:?}")))?;
    body.write(&head).await.map_err(broken)?;
    body.write(rest).await.map_err(broken)?;
    head.clear();
    intake.finish(&mut head).map_err(|p| broken(format!("{p:?}")))?;
    body.write(&head).await.map_err(broken)?;
    Ok(Parcel {
        mailbox: store::account::INBOX.to_owned(),
        flags: if sample.seen { Flags::SEEN } else { Flags::default() },
        received: Some(sample.received),
        body,
    })
}

fn broken(error: impl std::fmt::Display) -> Broken {
    Broken(error.to_string())
}
