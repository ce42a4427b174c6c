//! Who is there: answers the questions of SASL, and makes [`Authenticated`]. It
//! is the only place that does.
//!
//! What must hold: a wrong password, an unknown user, a disabled account and an
//! expired app password get the same answer after the same work; the owner is
//! never locked out; no login waits for a slow hash twice ([`remember`]); no flood
//! of logins takes more than a stated number of hashes at once.
//!
//! Deliberately not here: the mechanisms themselves (`proto::sasl`), what is
//! offered to whom (`proto::sasl::offer`), session facts.

pub mod password;
mod recent;
mod remember;
pub mod throttle;

use hmac::{Hmac, KeyInit, Mac};
use proto::machine::Tick;
use proto::proof::{Authenticated, Secret, Security};
use proto::sasl::{Answer, Mechanism, Question, ScramHash, ScramKeys, external};
use proto::service::Protocol;
use remember::{Owner, Remembered};
use sha2::Sha256;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use store::Store;
use store::system::directory::{AccountRecord, Credentials};
use throttle::{AccountKey, Attempt, Throttle, network_of};
use tokio::sync::Semaphore;

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What a password costs; also the cost of the decoy for unknown users.
    pub cost: password::Cost,
    /// Password hashes computed at once; 0: two for each core.
    pub hashes_at_once: usize,
    /// Logins waiting for a hash at most; beyond that they are told to try later.
    pub hashes_waiting_max: usize,
    /// Verified secrets that are remembered; 0 turns that off.
    pub remembered_max: usize,
    /// For how long.
    pub remember_seconds: u32,
    /// How guessing is slowed.
    pub throttle: throttle::Settings,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            cost: password::Cost::default(),
            hashes_at_once: 0,
            hashes_waiting_max: 500,
            remembered_max: 10_000,
            remember_seconds: 3600,
            throttle: throttle::Settings::default(),
        }
    }
}

/// The time, so that tests need not wait for it.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Monotonic.
    fn tick(&self) -> Tick;
    /// Unix seconds.
    fn unix(&self) -> i64;
}

/// The clocks that the rest of the service goes by.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn tick(&self) -> Tick {
        net::now()
    }
    fn unix(&self) -> i64 {
        crate::clock::unix_now()
    }
}

/// What is asked of the store.
pub trait Accounts: Send + Sync {
    /// The account with this address, with its credentials.
    fn find(&self, address: &str) -> Result<Option<(AccountRecord, Credentials)>, store::Error>;
    /// [`Store::seed`].
    fn seed(&self) -> [u8; 32];
}

impl Accounts for Store {
    fn find(&self, address: &str) -> Result<Option<(AccountRecord, Credentials)>, store::Error> {
        let directory = self.directory();
        let Some(account) = directory.account_by_address(address)? else { return Ok(None) };
        Ok(directory.credentials(account.id)?.map(|credentials| (account, credentials)))
    }
    fn seed(&self) -> [u8; 32] {
        *Store::seed(self)
    }
}

/// One connection, as far as logging in is concerned. Lives as long as it: an
/// exchange that the client leaves half-done counts as failed when this is dropped.
pub struct Context {
    /// The peer's address.
    pub peer: IpAddr,
    /// What is spoken.
    pub protocol: Protocol,
    /// Name of the listener.
    pub listener: Arc<str>,
    /// How the connection is protected; replaced after STARTTLS.
    pub security: Security,
    /// A challenge whose outcome is not known here yet.
    attempt: Mutex<Option<Attempt>>,
}

impl Context {
    /// Of a new connection.
    #[must_use]
    pub fn new(peer: IpAddr, protocol: Protocol, listener: Arc<str>, security: Security) -> Context {
        Context { peer, protocol, listener, security, attempt: Mutex::new(None) }
    }

    fn put(&self, attempt: Option<Attempt>) -> Option<Attempt> {
        std::mem::replace(&mut *self.attempt.lock().unwrap_or_else(PoisonError::into_inner), attempt)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("peer", &self.peer)
            .field("protocol", &self.protocol)
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}

/// Why nobody is logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Wrong password, unknown user, disabled account: not told apart.
    Credentials,
    /// The store could not be asked, or too many logins wait: try later.
    Temporary,
}

/// How facts, logs and proofs name a password that comes without SASL: after POP3's command, which stands for
/// IMAP's LOGIN too, or HTTP's scheme (RFC 7617).
#[must_use]
pub fn sent_with(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Web => "Basic",
        Protocol::Smtp | Protocol::Submission | Protocol::Lmtp | Protocol::Pop3 | Protocol::Imap => "USER",
    }
}

/// The service; clones share it.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    accounts: Box<dyn Accounts>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    seed: [u8; 32],
    /// An Argon2id hash of a random password, for users who do not exist. It costs
    /// what the settings say now; after a change of cost, accounts whose password
    /// is older can be told from nobody by time until they set a new one.
    decoy: String,
    remembered: Remembered,
    throttle: Arc<Throttle>,
    names: RandomState,
    hashing: Semaphore,
    waiting: AtomicUsize,
}

impl Auth {
    /// Over a store. Computes one password hash; fails where the cost is impossible.
    pub fn new(store: Store, settings: Settings) -> Result<Auth, password::Refused> {
        Auth::over(Box::new(store), settings, Arc::new(SystemClock))
    }

    /// Over anything that knows accounts, at any time.
    pub fn over(
        accounts: Box<dyn Accounts>,
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Auth, password::Refused> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let at_once = if settings.hashes_at_once == 0 { cores * 2 } else { settings.hashes_at_once };
        let nobody = Secret::new(rand::random::<[u8; 32]>());
        Ok(Auth(Arc::new(Inner {
            seed: accounts.seed(),
            decoy: password::hash(&nobody, &settings.cost)?,
            remembered: Remembered::new(settings.remembered_max, settings.remember_seconds),
            throttle: Arc::new(Throttle::new(settings.throttle)),
            names: RandomState::new(),
            hashing: Semaphore::new(at_once.min(Semaphore::MAX_PERMITS)),
            waiting: AtomicUsize::new(0),
            accounts,
            clock,
            settings,
        })))
    }

    /// Answers a question of a SASL exchange. May take its time: a hash, and a
    /// delay where somebody has been guessing.
    pub async fn answer(&self, context: &Context, question: Question) -> Answer {
        match question {
            Question::Password { user, password } => match self.password(context, &user, password).await {
                Ok(right) => Answer::Verdict(right),
                Err(Refused::Credentials) => Answer::Verdict(false),
                Err(Refused::Temporary) => Answer::Unavailable,
            },
            Question::ScramKeys { user, hash } => {
                let Ok(found) = self.0.find(&user) else { return Answer::Unavailable };
                self.challenge(context, &user).await;
                self.0.scram(&user, hash, found)
            }
            Question::CramKeys { user } => {
                let Ok(found) = self.0.find(&user) else { return Answer::Unavailable };
                self.challenge(context, &user).await;
                self.0.cram(found)
            }
            Question::Certificate { user } => {
                let addresses = context.security.tls().map(|tls| tls.client_addresses.as_slice());
                let named = external::identity(addresses.unwrap_or_default(), &user).is_some();
                match self.0.find(&user) {
                    Ok(found) => Answer::Verdict(named && found.is_some_and(|(account, _)| account.enabled)),
                    Err(_) => Answer::Unavailable,
                }
            }
        }
    }

    /// An exchange succeeded for this user: the proof of it. Only for a user whom
    /// `proto::sasl` reported in `Step::Success` on this connection.
    pub fn finish(
        &self,
        context: &Context,
        user: &str,
        mechanism: Mechanism,
    ) -> Result<Authenticated, Refused> {
        self.admit(context, user, mechanism.name())
    }

    /// A name and a password as they are: POP3's USER and PASS, IMAP's LOGIN, Basic of HTTP.
    pub async fn login(
        &self,
        context: &Context,
        user: &str,
        password: Secret,
    ) -> Result<Authenticated, Refused> {
        if !self.password(context, user, password).await? {
            return Err(Refused::Credentials);
        }
        self.admit(context, user, sent_with(context.protocol))
    }

    fn admit(
        &self,
        context: &Context,
        user: &str,
        mechanism: &'static str,
    ) -> Result<Authenticated, Refused> {
        // Asked again: the account may have been disabled since the exchange began.
        let found = self.0.find(user).map_err(|_| Refused::Temporary)?;
        let (account, _) = found.filter(|(account, _)| account.enabled).ok_or(Refused::Credentials)?;
        let key = self.0.key(user);
        match context.put(None) {
            Some(attempt) if attempt.is_for(key) => attempt.proven(),
            _ => self.0.throttle.owner_was_here(key, network_of(context.peer), self.0.clock.tick()),
        }
        Ok(Authenticated::checked(account.id, account.address, mechanism))
    }

    /// Counts a challenge that is about to be handed out, and waits if it must.
    async fn challenge(&self, context: &Context, user: &str) {
        let (attempt, delay) =
            self.0.throttle.begin(self.0.key(user), network_of(context.peer), &self.0.clock);
        // What was there before had no success: dropping it counts it.
        drop(context.put(Some(attempt)));
        wait(delay).await;
    }

    async fn password(&self, context: &Context, user: &str, password: Secret) -> Result<bool, Refused> {
        let inner = &self.0;
        let found = inner.find(user).map_err(|_| Refused::Temporary)?;
        let owner = found.as_ref().map(|(account, credentials)| {
            (Owner { account: account.id, generation: credentials.generation }, account.enabled)
        });
        if let Some((owner, true)) = owner
            && inner.remembered.contains(owner, &password, inner.clock.tick(), inner.clock.unix())
        {
            return Ok(true);
        }
        let (attempt, delay) = inner.throttle.begin(inner.key(user), network_of(context.peer), &inner.clock);
        wait(delay).await;
        let credentials = inner.to_check(user, found);
        let Some(right) = self.hash(credentials, password.clone()).await else {
            attempt.withdrawn();
            return Err(Refused::Temporary);
        };
        match (right, owner) {
            (Some(right), Some((owner, true))) => {
                inner.remembered.insert(owner, &password, inner.clock.tick(), right.expires);
                attempt.proven();
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// The slow check, on a thread that may block; `None` if too many wait already.
    async fn hash(&self, credentials: Credentials, password: Secret) -> Option<Option<password::Right>> {
        let place = Place::take(&self.0.waiting, self.0.settings.hashes_waiting_max)?;
        let _permit = self.0.hashing.acquire().await.ok()?;
        drop(place);
        let auth = self.clone();
        let check = move || password::check(&credentials, &password, &auth.0.decoy, auth.0.clock.unix());
        tokio::task::spawn_blocking(check).await.ok()
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

type Found = Option<(AccountRecord, Credentials)>;

impl Inner {
    fn find(&self, user: &str) -> Result<Found, store::Error> {
        let found = self.accounts.find(user);
        if let Err(error) = &found {
            tracing::error!(?error, "the store cannot be asked for credentials; logins are deferred");
        }
        found
    }

    /// One name for all the ways in which a user's letter case can be typed.
    fn key(&self, user: &str) -> AccountKey {
        self.names.hash_one(user.to_lowercase())
    }

    /// What a sent password is compared with: for a user who cannot log in,
    /// credentials that nothing fits but that cost the same.
    fn to_check(&self, user: &str, found: Found) -> Credentials {
        match found {
            Some((account, credentials)) if account.enabled => credentials,
            Some((_, credentials)) => Credentials { list: Vec::new(), ..credentials },
            None => Credentials {
                salt: self.made_up(b"salt", user)[..16].to_vec(),
                iterations: self.settings.cost.scram_iterations,
                generation: 0,
                list: Vec::new(),
            },
        }
    }

    fn scram(&self, user: &str, hash: ScramHash, found: Found) -> Answer {
        let now = self.clock.unix();
        let credentials = self.to_check(user, found);
        let of_hash = |credential: &store::system::directory::Credential| match hash {
            ScramHash::Sha1 => credential.scram_sha1.clone(),
            ScramHash::Sha256 => credential.scram_sha256.clone(),
        };
        let valid = credentials.list.iter().filter(|credential| password::valid(credential, now));
        let mut keys: Vec<ScramKeys> = valid.map(of_hash).collect();
        if keys.is_empty() {
            let part = |name: &[u8]| self.made_up(name, user)[..hash.bytes()].to_vec();
            keys.push(ScramKeys { stored: part(b"stored"), server: part(b"server") });
        }
        Answer::Scram { salt: credentials.salt, iterations: credentials.iterations, keys }
    }

    fn cram(&self, found: Found) -> Answer {
        let now = self.clock.unix();
        let list = found.filter(|(account, _)| account.enabled).map(|(_, credentials)| credentials.list);
        let valid =
            list.unwrap_or_default().into_iter().filter(|credential| password::valid(credential, now));
        Answer::Cram(valid.filter_map(|credential| credential.cram_md5).collect())
    }

    /// Bytes that are always the same for a name and say nothing: whoever asks
    /// twice for an unknown user gets the same salt, as for a known one.
    fn made_up(&self, purpose: &[u8], user: &str) -> [u8; 32] {
        Hmac::<Sha256>::new_from_slice(&self.seed)
            .expect("HMAC takes keys of every length")
            .chain_update(purpose)
            .chain_update([0])
            .chain_update(user.to_lowercase().as_bytes())
            .finalize()
            .into_bytes()
            .into()
    }
}

async fn wait(delay: std::time::Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

/// A place in the queue for a hash.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, max: usize) -> Option<Place<'a>> {
        let place = Place(waiting);
        // Counted before it is looked at, so that no two take the last place.
        (waiting.fetch_add(1, Ordering::Relaxed) < max).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
