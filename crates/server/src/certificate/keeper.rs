//! The one who orders certificates, renews them and serves what comes, beside the service.
//!
//! What must hold is said in the head of the room: a certificate that is there is served until its successor is, limits
//! are kept to whatever strangers ask for, and what fails is tried again ever more seldom. What is due is
//! [`plan`]'s word.

use super::keep::{self, Keep, Kept, Said, word};
use super::next_key::{AT_ONCE, recorded};
use super::plan::{self, Failures, Held, Order};
use super::staple::hex;
use super::waits::{Revoked, Waits};
use super::wishes::Left;
use super::{Settings, at_once, date};
use crate::app::App;
use crate::clock::unix_now;
use net::acme::{Authority, Client, Issued, Key, Means, Proof, RenewalWindow, Trouble, Who};
use net::authority::KeyKind;
use net::dns::Resolver;
use net::tls::{Certificates, Described, Fingerprint};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Orders that are carried out at a time.
const ORDERS_AT_ONCE_MAX: usize = 4;
/// Orders that are begun in an hour; Let's Encrypt takes 300 in three.
const ORDERS_PER_HOUR_MAX: usize = 100;
/// Names from handshakes that wait to be looked at.
const UNKNOWN_NAMES_MAX: usize = 256;
/// Names that were asked for and have no certificate yet.
const ASKED_MAX: usize = 10_000;
/// Seconds between two looks at what is wanted and what is due.
const LOOK_SECONDS_MAX: i64 = 60;
/// Seconds that an expired certificate stays that nobody wants any more.
const EXPIRED_STAYS_SECONDS: i64 = 30 * 86_400;
/// Seconds after which a record of a next key is looked for again that was not there.
const RECORD_WAIT_SECONDS: i64 = 3600;
/// For a question to DNS.
const DNS_TIME_MAX: Duration = Duration::from_secs(6);
/// Seconds for which it is remembered that a certificate was revoked, and its successor waits if it is too.
const REVOKED_STAYS_SECONDS: i64 = 30 * 86_400;

/// Orders certificates and renews them.
#[derive(Debug)]
pub struct Keeper {
    authority: Authority,
    keep: Keep,
    proofs: Vec<Proof>,
    on_demand: bool,
    names: Vec<String>,
    client: Option<Arc<Client>>,
    held: Vec<(Held, Kept)>,
    /// Names that handshakes asked for.
    asked: BTreeSet<String>,
    /// By name.
    failed: HashMap<String, Failures>,
    /// The authority's own failures.
    away: Failures,
    /// When the orders of the last hour began.
    begun: VecDeque<i64>,
    /// By the certificate's place.
    revoked: BTreeMap<String, Revoked>,
    /// Of these what is on the disk.
    waits_kept: Waits,
    renew_before_seconds: i64,
    keep_key: bool,
    /// Names with an order under way; both kinds of key prove the same name, one after the other.
    in_work: HashSet<String>,
}

/// An order that is over.
type Done = (Order, Result<Issued, Trouble>);

impl Keeper {
    /// One that knows what is there, and what earlier runs must not be forgotten for. It does nothing until it runs.
    pub(super) fn new(
        acme: &Settings,
        authority: Authority,
        keep: Keep,
        held: Vec<(Kept, Described)>,
        proofs: Vec<Proof>,
    ) -> Keeper {
        let mut held: Vec<(Held, Kept)> = held
            .into_iter()
            .map(|(kept, put)| (held_of(&kept, &put, acme.renew_before_seconds), kept))
            .collect();
        let waits = keep.waits(unix_now()).unwrap_or_else(|error| {
            tracing::warn!(%error, "the waits of the last run cannot be read and are forgotten");
            None
        });
        let waits = waits.unwrap_or_default();
        for (held, kept) in &mut held {
            held.next_key = from(&keep, kept);
            let revoked = waits.revoked.get(&place(held)).filter(|revoked| revoked.mark == hex(&held.mark));
            held.revoked = revoked.map(|revoked| revoked.at);
        }
        Keeper {
            authority,
            keep,
            proofs,
            on_demand: acme.on_demand,
            names: acme.names.clone(),
            client: None,
            held,
            asked: BTreeSet::new(),
            failed: waits.failed.clone().into_iter().collect(),
            away: waits.away,
            begun: waits.begun.clone().into(),
            revoked: waits.revoked.clone(),
            waits_kept: waits,
            in_work: HashSet::new(),
            renew_before_seconds: acme.renew_before_seconds,
            keep_key: acme.keep_key,
        }
    }

    /// Runs until it is dropped.
    pub async fn run(mut self, app: Arc<App>, certificates: Arc<Certificates>) {
        let (teller, mut unknown) = mpsc::channel(UNKNOWN_NAMES_MAX);
        certificates.tell_unknown_names(teller);
        // Dropped with this task, which ends the orders too.
        let mut orders: JoinSet<Done> = JoinSet::new();
        let mut windows: JoinSet<(Kept, Option<RenewalWindow>)> = JoinSet::new();
        loop {
            let now = unix_now();
            self.let_go(&app, &certificates, now);
            self.begin(&app, &certificates, &mut orders, now).await;
            self.keep_waits().await;
            if windows.is_empty() {
                self.ask_for_window(&mut windows, now).await;
            }
            let mut wake = pin!(tokio::time::sleep(self.until_next(now)));
            loop {
                tokio::select! {
                    () = wake.as_mut() => {}
                    // The certificates hold the sender as long as they live. Names that change nothing cost nothing:
                    // strangers send them as fast as they like.
                    Some(name) = unknown.recv() => if !self.wish(&app, name) { continue },
                    () = app.certificate_wishes.came() => self.heard(&app, app.certificate_wishes.take(), unix_now()),
                    Some(Ok((kept, window))) = windows.join_next() => self.window(&kept, window, unix_now()),
                    Some(done) = orders.join_next() => match done {
                        Ok((order, outcome)) => self.finished(&certificates, order, outcome).await,
                        Err(error) => {
                            tracing::error!(%error, "an order of a certificate broke off");
                            // Which one is not told; each is due again when its name is wanted.
                            self.in_work.clear();
                            orders.abort_all();
                        }
                    }
                }
                break;
            }
        }
    }

    /// Waits and orders are kept as soon as they change: nobody is told when we are killed.
    async fn keep_waits(&mut self) {
        let waits = Waits::now(self.away, &self.failed, &self.begun, &self.revoked);
        if waits == self.waits_kept {
            return;
        }
        self.waits_kept = waits.clone();
        let keep = self.keep.clone();
        match tokio::task::spawn_blocking(move || keep.keep_waits(&waits)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the operator must repair the data directory: waits cannot be kept");
            }
            // The runtime is stopping.
            Err(_) => {}
        }
    }

    /// Begins as many orders as may be.
    async fn begin(
        &mut self,
        app: &Arc<App>,
        certificates: &Certificates,
        orders: &mut JoinSet<Done>,
        now: i64,
    ) {
        while self.begun.front().is_some_and(|begun| *begun <= now - 3600) {
            self.begun.pop_front();
        }
        if self.away.until > now {
            return;
        }
        let wanted = self.wanted(app, certificates);
        let held: Vec<Held> = self.held.iter().map(|(held, _)| held.clone()).collect();
        for order in plan::due(&wanted, &held, &self.failed, now) {
            if orders.len() >= ORDERS_AT_ONCE_MAX || self.begun.len() >= ORDERS_PER_HOUR_MAX {
                return;
            }
            if self.in_work.contains(&order.name) {
                continue;
            }
            if self.lacks_record(app, &order, now).await {
                continue;
            }
            let client = match self.client().await {
                Ok(client) => client,
                Err(trouble) => return self.authority_failed(&trouble, unix_now()),
            };
            self.in_work.insert(order.name.clone());
            self.begun.push_back(now);
            let proofs = self.proofs_for(&order.name);
            let challenges = app.challenges.clone();
            let key = self.key_to_keep(&order).await;
            tracing::info!(name = order.name, key = word(order.kind), "a certificate is ordered");
            orders.spawn(async move {
                let means = Means { challenges: &challenges, proofs: &proofs };
                let outcome = client.order(&order.name, order.kind, key.as_ref(), means).await;
                (order, outcome)
            });
        }
    }

    /// The time of a next key has come, its record is not in DNS beside the others, and nothing else asks for this order: it
    /// is looked for again later. Where DNS does not answer the key is used, as was said to the operator.
    async fn lacks_record(&mut self, app: &App, order: &Order, now: i64) -> bool {
        let mut all = self.held.iter_mut();
        let found = all.find(|(held, _)| held.name == order.name && held.kind == order.kind);
        let Some((held, kept)) = found else { return false };
        let is_due = held.next_key.is_some_and(|from| from != AT_ONCE && from <= now);
        if !is_due || held.revoked.is_some() {
            return false;
        }
        let Ok(Some(next)) = self.keep.next_key(kept) else { return false };
        let Ok(resolver) = Resolver::system(DNS_TIME_MAX) else { return false };
        let mut ports: Vec<u16> = app.settings.model.listeners.iter().map(|listener| listener.port).collect();
        ports.sort_unstable();
        ports.dedup();
        if recorded(&resolver, &order.name, &ports, &next.key.digest()).await != Some(false) {
            return false;
        }
        held.next_key = Some(now + RECORD_WAIT_SECONDS);
        tracing::error!(
            name = order.name,
            key = word(order.kind),
            again_in_seconds = RECORD_WAIT_SECONDS,
            "a new key is not used: its TLSA record is not in DNS beside those that are; the operator must enter it \
             (sealpost dns records)"
        );
        held.renewal() > now
    }

    /// The next key if its time has come; else that of the certificate that is to be renewed, if keys stay. The key of one
    /// that was revoked may be why, so that its successor has the next one or a fresh one.
    async fn key_to_keep(&mut self, order: &Order) -> Option<Key> {
        let (held, kept) =
            self.held.iter().find(|(held, _)| held.name == order.name && held.kind == order.kind)?;
        let (keep, kept, kind) = (self.keep.clone(), kept.clone(), order.kind);
        let (revoked, stays) = (held.revoked.is_some(), self.keep_key);
        let change = revoked || held.next_key.is_some_and(|from| from <= unix_now());
        let read = tokio::task::spawn_blocking(move || {
            // One that cannot be read was reported, and is no reason to change the present key.
            match keep.next_key(&kept).ok().flatten().filter(|_| change) {
                Some(next) => Ok(Some(next.key)),
                None if revoked || !stays => Ok(None),
                None => {
                    let pem = keep.read(&kept).map_err(|error| error.to_string())?;
                    Key::read(&pem, kind).map(Some)
                }
            }
        });
        match read.await {
            Ok(Ok(key)) => key,
            Ok(Err(error)) => {
                tracing::warn!(
                    name = order.name,
                    error,
                    "the key cannot be kept; a new one is made, and records of it (TLSA) change"
                );
                None
            }
            // The runtime is stopping.
            Err(_) => None,
        }
    }

    /// What can be shown, beginning with another after a failure: the one port may be closed on the way, the other open.
    fn proofs_for(&self, name: &str) -> Vec<Proof> {
        let mut proofs = self.proofs.clone();
        let failures = self.failed.get(name).map_or(0, |failures| failures.count as usize);
        if !proofs.is_empty() {
            let first = failures % proofs.len();
            proofs.rotate_left(first);
        }
        proofs
    }

    /// Our account at the authority, made if there is none.
    async fn client(&mut self) -> Result<Arc<Client>, Trouble> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let disk = |error: std::io::Error| Trouble {
            who: Who::Authority,
            text: format!(
                "the account's file cannot be read or written ({error}); the operator must repair it"
            ),
            wait: None,
        };
        let client = match self.keep.account().map_err(disk)? {
            Some(kept) => Client::again(&self.authority, &kept).await?,
            None => {
                let (client, kept) = Client::new(&self.authority).await?;
                self.keep.keep_account(&kept).map_err(disk)?;
                tracing::info!(directory = self.authority.directory, "an account was made at the authority");
                client
            }
        };
        self.keep_said(Said { caa_identities: client.caa_identities() });
        let client = Arc::new(client);
        self.client = Some(client.clone());
        Ok(client)
    }

    /// What the directory says is kept for the records of DNS; that it cannot be is no reason not to order.
    fn keep_said(&self, said: Said) {
        let kept = self.keep.said().is_ok_and(|before| before.as_ref() == Some(&said));
        if !kept && let Err(error) = self.keep.keep_said(&said) {
            tracing::warn!(%error, "the operator must repair the data directory: what the authority says cannot be kept");
        }
    }

    /// All names for which there shall be a certificate of ours, the service's own first.
    fn wanted(&self, app: &App, certificates: &Certificates) -> Vec<String> {
        let first = at_once(&app.settings.model, &self.names, &app.domains());
        let first = first.iter().map(String::as_str);
        let asked = self.asked.iter().map(String::as_str);
        let held =
            self.held.iter().map(|(held, _)| held.name.as_str()).filter(|name| self.is_on_demand(app, name));
        let mut seen = HashSet::new();
        let all = first.chain(asked).chain(held);
        all.filter(|name| seen.insert(*name) && keep::is_host(name) && !certificates.configured(name))
            .map(str::to_owned)
            .collect()
    }

    fn is_on_demand(&self, app: &App, name: &str) -> bool {
        self.on_demand && app.domain_of_host(name).is_some()
    }

    /// A handshake asked for a name that no certificate covers. True if that is news.
    fn wish(&mut self, app: &App, name: String) -> bool {
        self.asked.len() < ASKED_MAX
            && !self.asked.contains(&name)
            && keep::is_host(&name)
            && self.is_on_demand(app, &name)
            && self.asked.insert(name)
    }

    fn heard(&mut self, app: &App, left: Left, now: i64) {
        for mark in left.revoked {
            self.was_revoked(&mark, now);
        }
        for (held, kept) in self.held.iter_mut().filter(|(held, _)| left.next_keys.contains(&held.name)) {
            held.next_key = from(&self.keep, kept);
        }
        if !left.renew.is_empty() {
            self.renew(app, left.renew);
        }
    }

    /// The authority says that it has revoked a certificate. If it is one that was ordered it is replaced: once, and at
    /// once unless the one before it was revoked too. Those from files are the operator's.
    fn was_revoked(&mut self, mark: &Fingerprint, now: i64) {
        let Some((held, _)) = self.held.iter_mut().find(|(held, _)| held.mark == *mark) else { return };
        let (place, mark) = (place(held), hex(mark));
        let before = self.revoked.get(&place).cloned().unwrap_or_default();
        if before.mark == mark {
            return;
        }
        let at = before.again.until.max(now);
        held.revoked = Some(at);
        tracing::error!(
            name = held.name,
            key = word(held.kind),
            in_seconds = at - now,
            "the authority has revoked a certificate; another one with a new key is ordered in its place, and TLSA records \
             must change with it (sealpost dns records)"
        );
        self.revoked
            .insert(place, Revoked { mark, at, again: plan::revoked(before.again, at, rand::random()) });
    }

    /// The operator wants these renewed now, or made if they are names of ours.
    fn renew(&mut self, app: &App, names: BTreeSet<String>) {
        self.away = Failures::default();
        for name in names {
            self.failed.remove(&name);
            for (held, _) in self.held.iter_mut().filter(|(held, _)| held.name == name) {
                held.window = Some((0, 0));
                held.revoked = held.revoked.map(|_| 0);
            }
            self.wish(app, name);
        }
    }

    /// Asks the authority when it wants a certificate renewed: the one whose turn it is. An authority that has to
    /// revoke many says it so (RFC 9773).
    async fn ask_for_window(&mut self, windows: &mut JoinSet<(Kept, Option<RenewalWindow>)>, now: i64) {
        let is_due = |held: &Held| held.renewal() > now && held.ask_window <= now;
        if !self.held.iter().any(|(held, _)| is_due(held)) {
            return;
        }
        let client = match self.client().await {
            Ok(client) => client,
            Err(trouble) => {
                tracing::warn!("the authority cannot be asked when it wants certificates renewed: {trouble}");
                for (held, _) in self.held.iter_mut().filter(|(held, _)| is_due(held)) {
                    held.ask_window = now + plan::ASK_WINDOW_SECONDS_MIN;
                }
                return;
            }
        };
        let Some((held, kept)) = self.held.iter_mut().find(|(held, _)| is_due(held)) else { return };
        held.ask_window = now + plan::ASK_WINDOW_SECONDS_MAX;
        let (keep, kept) = (self.keep.clone(), kept.clone());
        windows.spawn(async move {
            let read = keep.read(&kept).ok().and_then(|pem| Described::read(&kept.file, &pem).ok());
            let window = match read {
                Some(described) => client.renewal_window(&described.leaf).await,
                None => None,
            };
            (kept, window)
        });
    }

    fn window(&mut self, kept: &Kept, window: Option<RenewalWindow>, now: i64) {
        let Some(window) = window else { return };
        if let Some((held, _)) = self.held.iter_mut().find(|(_, other)| other == kept) {
            held.wanted_in(window.start, window.end, window.ask_again, now);
        }
    }

    async fn finished(
        &mut self,
        certificates: &Certificates,
        order: Order,
        outcome: Result<Issued, Trouble>,
    ) {
        self.in_work.remove(&order.name);
        let now = unix_now();
        match outcome {
            Ok(issued) => {
                self.away = Failures::default();
                if let Err(error) = self.take_in(certificates, &order, issued).await {
                    tracing::error!(name = order.name, error, "a certificate has come and cannot be kept");
                    self.name_failed(&order.name, now);
                }
            }
            Err(trouble) if trouble.who != Who::Name => self.authority_failed(&trouble, now),
            Err(trouble) => {
                self.name_failed(&order.name, now);
                let again = self.failed.get(&order.name).map_or(0, |failures| failures.until - now);
                tracing::error!(
                    name = order.name,
                    key = word(order.kind),
                    again_in_seconds = again,
                    "there is no new certificate: {trouble}"
                );
            }
        }
    }

    /// Keeps a certificate and serves it.
    async fn take_in(
        &mut self,
        certificates: &Certificates,
        order: &Order,
        issued: Issued,
    ) -> Result<(), String> {
        let kept = self.keep.place(&order.name, order.kind);
        // What cannot be served must not take the place of what can.
        let described =
            Described::with_key(&kept.file, issued.pem.as_bytes()).map_err(|error| error.to_string())?;
        if !described.names.contains(&order.name) || described.not_after <= unix_now() {
            return Err("the authority made it for another name or another time".to_owned());
        }
        let (keep, place) = (self.keep.clone(), kept.clone());
        let written = tokio::task::spawn_blocking(move || {
            keep.keep(&place, &issued.pem).map_err(|error| error.to_string())?;
            used(&keep, &place, &issued);
            Ok::<_, String>((issued, from(&keep, &place)))
        });
        let (issued, next_key) = written.await.map_err(|error| error.to_string())??;
        let put = certificates.put(&kept.file, issued.pem.as_bytes()).map_err(|error| error.to_string())?;
        tracing::info!(name = order.name, key = word(order.kind), until = %date(put.not_after), "a certificate has come");
        self.failed.remove(&order.name);
        let both = [KeyKind::Ecdsa, KeyKind::Rsa];
        self.held.retain(|(_, other)| *other != kept);
        let held = Held { next_key, ..held_of(&kept, &put, self.renew_before_seconds) };
        self.held.push((held, kept));
        let has = |kind| self.held.iter().any(|(held, _)| held.name == order.name && held.kind == kind);
        if both.into_iter().all(has) {
            // From now on it is wanted because it is there.
            self.asked.remove(&order.name);
        }
        Ok(())
    }

    fn name_failed(&mut self, name: &str, now: i64) {
        let before = self.failed.get(name).copied().unwrap_or_default();
        self.failed.insert(name.to_owned(), plan::name_failed(before, now, rand::random()));
        // The next handshake asks again, and waits its time.
        self.asked.remove(name);
    }

    fn authority_failed(&mut self, trouble: &Trouble, now: i64) {
        // The directory may have moved; it is read again. Orders that fail together lose the account once.
        if self.client.take().is_some()
            && trouble.who == Who::Account
            && let Err(error) = self.keep.put_account_aside()
        {
            tracing::error!(%error, "the operator must repair the data directory: the account cannot be put aside");
        }
        let asked = trouble.wait.map(|wait| i64::try_from(wait.as_secs()).unwrap_or(i64::MAX));
        // Orders that failed together are one failure.
        if self.away.until <= now || asked.is_some() {
            self.away = plan::authority_failed(self.away, now, rand::random(), asked);
        }
        let again = self.away.until - now;
        tracing::error!(again_in_seconds = again, "no certificate can be ordered: {trouble}");
    }

    /// Lets go of certificates that have expired and are not wanted, and of failures that are long past.
    fn let_go(&mut self, app: &App, certificates: &Certificates, now: i64) {
        self.failed.retain(|_, failures| failures.until > now - 86_400);
        let places: HashSet<String> = self.held.iter().map(|(held, _)| place(held)).collect();
        self.revoked.retain(|place, revoked| {
            revoked.again.until > now - REVOKED_STAYS_SECONDS && places.contains(place)
        });
        if self.held.iter().all(|(held, _)| held.not_after > now - EXPIRED_STAYS_SECONDS) {
            return;
        }
        let wanted: HashSet<String> = self.wanted(app, certificates).into_iter().collect();
        let keep = &self.keep;
        self.held.retain(|(held, kept)| {
            let stays = held.not_after > now - EXPIRED_STAYS_SECONDS || wanted.contains(&held.name);
            if !stays {
                certificates.remove(&kept.file);
                if let Err(error) = keep.remove(kept).and_then(|()| keep.remove_next_key(kept)) {
                    tracing::warn!(file = %kept.file.display(), %error, "an expired certificate cannot be removed");
                }
            }
            stays
        });
    }

    fn until_next(&self, now: i64) -> Duration {
        let held: Vec<Held> = self.held.iter().map(|(held, _)| held.clone()).collect();
        let next = plan::next(&held, &self.failed, now)
            .into_iter()
            .chain((self.away.until > now).then_some(self.away.until));
        let seconds = next.min().map_or(LOOK_SECONDS_MAX, |next| (next - now).clamp(1, LOOK_SECONDS_MAX));
        Duration::from_secs(u64::try_from(seconds).unwrap_or(1))
    }
}

fn held_of(kept: &Kept, put: &Described, renew_before: i64) -> Held {
    Held {
        name: kept.name.clone(),
        kind: kept.kind,
        mark: net::tls::fingerprint(&put.leaf),
        not_before: put.not_before,
        not_after: put.not_after,
        window: None,
        ask_window: 0,
        renew_before,
        revoked: None,
        next_key: None,
        dice: rand::random(),
    }
}

/// The certificates of one name and kind, one after the other.
fn place(held: &Held) -> String {
    format!("{}.{}", held.name, word(held.kind))
}

/// From when the next key of a certificate is wanted, if it has one.
fn from(keep: &Keep, kept: &Kept) -> Option<i64> {
    let next = keep.next_key(kept).inspect_err(|error| {
        tracing::error!(name = kept.name, %error, "the operator must repair the data directory: a next key cannot be read");
    });
    Some(next.ok()??.from)
}

/// If the certificate that has come has the next key, that is the next one no more.
fn used(keep: &Keep, kept: &Kept, issued: &Issued) {
    let Ok(Some(next)) = keep.next_key(kept) else { return };
    let used = Key::read(issued.pem.as_bytes(), kept.kind).is_ok_and(|key| key.digest() == next.key.digest());
    if used && let Err(error) = keep.remove_next_key(kept) {
        tracing::warn!(%error, "a key that is in use cannot be taken off those that wait");
    }
}
