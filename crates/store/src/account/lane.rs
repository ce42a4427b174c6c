//! Operations of one account wait in its lane and share commits.
//!
//! Who finds the lane idle applies everything that waits to the head in memory and hands one batch to
//! the engine; when that is durable, the engine's thread answers all and starts the
//! next commit with what has come meanwhile. So a hundred deliveries into one mailbox
//! cost a few commits, no caller waits on a thread, and a caller that goes away
//! takes nothing with it. What has to be read first is read by threads for that (`hands`).
//!
//! What must hold: at most one commit of an account is under way; who works on it has the head, and the
//! lane is not locked meanwhile, so that nobody waits for it; the head in memory is
//! dropped whenever it may differ from the engine's (any failure).

use super::apply::{Change, Finished, Head};
use super::hands::Hands;
use super::sweep::Sweeps;
use super::views::{Moving, Views};
use super::watch::Bells;
use super::{
    Copied, Copying, Delivered, Delivery, Detail, FlagChange, FlagsChanged, MailboxId, Refused, Rights, Uses,
};
use crate::Error;
use crate::blob::{Bodies, BodyRef};
use crate::engine::{Batch, CommitError, Engine};
use crate::key;
use crate::search::Search;
use crate::system::pending::OpenTokens;
use proto::proof::AccountId;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Operations in one commit.
const OPERATIONS_MAX: usize = 512;
/// How often an operation is tried again after a conflict. Nobody else writes, so one would do.
const TRIES_MAX: u32 = 8;
/// Accounts whose heads are kept in memory.
const WARM_ACCOUNTS_MAX: usize = 2048;

/// An operation.
#[derive(Debug)]
pub(crate) enum Work {
    Deliver(Box<Delivery>),
    Append(Box<Append>),
    Flags {
        change: Box<FlagChange>,
        guest: Option<AccountId>,
    },
    Copy {
        copying: Box<Copying>,
        guest: Option<AccountId>,
    },
    /// UIDs ascending, each once.
    Expunge {
        mailbox: MailboxId,
        uids: Vec<u32>,
    },
    /// Bodies were copied: what still refers to the old place is to refer to the new one.
    Move(Vec<BodyMove>),
    /// A mailbox itself, or what belongs to it.
    Tree(Box<Tree>),
    /// Details of messages that are gone are removed, some at a time.
    Sweep,
    /// The account is removed: nothing is accepted from here on.
    Retire,
}

/// See the functions of these names in `apply::tree`.
#[derive(Debug)]
pub(crate) enum Tree {
    Create {
        name: String,
        uses: Uses,
        now: i64,
    },
    Delete(MailboxId),
    Rename {
        from: String,
        to: String,
        now: i64,
    },
    Subscribe {
        name: String,
        on: bool,
    },
    Note {
        mailbox: Option<MailboxId>,
        whose: AccountId,
        entries: Vec<(String, Option<Vec<u8>>)>,
    },
    Allow {
        mailbox: MailboxId,
        identifier: String,
        rights: Rights,
    },
    /// What an account that is removed has left as a guest.
    Forget(AccountId),
    Clear,
}

/// Messages that are put in together.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) messages: Vec<Delivery>,
    /// What is taken away for them.
    pub(crate) replaces: Option<(MailboxId, u32)>,
    /// Who puts them in and has seen them, if not the owner.
    pub(crate) guest: Option<AccountId>,
}

/// One message's body at its old and its new place.
#[derive(Clone, Debug)]
pub(crate) struct BodyMove {
    pub(crate) mailbox: MailboxId,
    pub(crate) uid: u32,
    pub(crate) from: BodyRef,
    pub(crate) to: BodyRef,
}

/// What an operation came to.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Delivered(Delivered),
    Appended(Vec<Delivered>),
    FlagsChanged(FlagsChanged),
    Copied(Copied),
    /// A mailbox.
    Made(MailboxId),
    /// Rows of a deleted mailbox, or details of messages that are gone, are removed; or there were none.
    Cleared {
        more: bool,
    },
    Done,
}

impl Outcome {
    /// Another one was due: we have a bug.
    pub(super) fn unexpected(self) -> Refused {
        Refused::Store(Error::Damaged(format!("an operation came to {self:?}")))
    }
}

type Answer = Result<Outcome, Refused>;

struct Operation {
    work: Work,
    tell: oneshot::Sender<Answer>,
    tries: u32,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Operation>,
    /// Somebody works on it, or a commit is under way. The head is there, too.
    busy: bool,
    head: Option<Head>,
    /// New quotas (octets, messages) that the head has not been told.
    quota: Option<(Option<u64>, Option<u64>)>,
    /// Removed: see [`Work::Retire`].
    retired: bool,
    /// Used since the last look at which heads to drop.
    used: bool,
}

impl Lane {
    /// True if what waits cannot be done without reading.
    fn needs_disk(&self, account: AccountId, views: &Views) -> bool {
        let waiting = self.waiting.iter().take(OPERATIONS_MAX).map(|operation| &operation.work);
        !self.retired && self.head.as_ref().is_none_or(|head| head.needs_disk(account, views, waiting))
    }

    /// Details of messages that are gone are left.
    fn has_graves(&self) -> bool {
        !self.retired && self.head.as_ref().is_some_and(|head| head.graves)
    }

    /// The head, with the quotas of now. One that is read later knows them.
    fn take_head(&mut self) -> Option<Head> {
        let (mut head, quota) = (self.head.take(), self.quota.take());
        if let (Some(head), Some(quota)) = (&mut head, quota) {
            (head.quota_bytes, head.quota_messages) = quota;
        }
        head
    }
}

/// All accounts.
pub(crate) struct Accounts {
    engine: Arc<dyn Engine>,
    bodies: Bodies,
    tokens: Arc<OpenTokens>,
    search: Search,
    hands: Hands,
    lanes: Mutex<HashMap<u64, Arc<Mutex<Lane>>>>,
    views: Views,
    bells: Bells,
    sweeps: Sweeps,
    /// Held by who changes who shares what, and by who removes entries of the index of that.
    sharing: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts").finish_non_exhaustive()
    }
}

impl Accounts {
    /// `view_bytes_max`: octets of views that nobody uses.
    pub(crate) fn new(
        engine: Arc<dyn Engine>,
        bodies: Bodies,
        tokens: Arc<OpenTokens>,
        search: Search,
        view_bytes_max: u64,
    ) -> Accounts {
        let (hands, lanes, bells) = (Hands::default(), Mutex::default(), Bells::default());
        let (sweeps, sharing) = (Sweeps::default(), tokio::sync::Mutex::default());
        let views = Views::new(view_bytes_max);
        Accounts { engine, bodies, tokens, search, hands, lanes, views, bells, sweeps, sharing }
    }

    /// The open mailboxes in memory.
    pub(crate) fn views(&self) -> &Views {
        &self.views
    }

    /// Lets go of open mailboxes that nobody uses any more, if they are too many.
    pub(crate) fn trim_views(&self) {
        self.views.trim();
    }

    /// Lets go of the heads of accounts that nobody has changed since the last call.
    pub(crate) fn trim_heads(&self) {
        drop_unused(&mut lock(&self.lanes));
    }

    /// Nothing is known of any account any more. The engine is closed.
    pub(crate) fn forget_heads(&self) {
        lock(&self.lanes).clear();
    }

    /// Accounts whose heads are in memory, or are about to be.
    pub(crate) fn warm_accounts(&self) -> usize {
        lock(&self.lanes).len()
    }

    /// Who waits for changes.
    pub(super) fn bells(&self) -> &Bells {
        &self.bells
    }

    /// Ends the threads of its own. What is begun later is refused when the engine is closed.
    pub(crate) fn close(&self) {
        self.hands.close();
    }

    pub(crate) fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    pub(crate) fn search(&self) -> &Search {
        &self.search
    }

    pub(crate) fn bodies(&self) -> &Bodies {
        &self.bodies
    }

    pub(super) fn sweeps(&self) -> &Sweeps {
        &self.sweeps
    }

    pub(super) fn sharing(&self) -> &tokio::sync::Mutex<()> {
        &self.sharing
    }

    /// Runs one operation; what returns `Ok` is durable.
    pub(crate) async fn run(self: &Arc<Self>, account: AccountId, work: Work) -> Answer {
        let told = self.submit(account, work);
        told.await.unwrap_or(Err(Refused::Store(Error::Closed)))
    }

    /// The same on a thread of the store's own, which may wait.
    pub(crate) fn run_wait(self: &Arc<Self>, account: AccountId, work: Work) -> Answer {
        let told = self.submit(account, work);
        told.blocking_recv().unwrap_or(Err(Refused::Store(Error::Closed)))
    }

    fn submit(self: &Arc<Self>, account: AccountId, work: Work) -> oneshot::Receiver<Answer> {
        let (tell, told) = oneshot::channel();
        let lane = self.lane(account);
        let mut held = lock(&lane);
        held.used = true;
        held.waiting.push_back(Operation { work, tell, tries: 0 });
        if !held.busy {
            self.pump(account, &lane, held, false);
        } else {
            drop(held);
        }
        told
    }

    /// New quotas of an account take effect at once.
    pub(crate) fn set_quota(&self, account: AccountId, bytes: Option<u64>, messages: Option<u64>) {
        let lane = lock(&self.lanes).get(&account.0).cloned();
        if let Some(lane) = lane {
            lock(&lane).quota = Some((bytes, messages));
        }
    }

    /// What `look` makes of an account as it was last committed; `None` if it is not in memory, or a change is under way.
    pub(super) fn at_rest<T>(&self, account: AccountId, look: impl FnOnce(&Head) -> Option<T>) -> Option<T> {
        let lane = lock(&self.lanes).get(&account.0).cloned()?;
        let held = lock(&lane);
        let knows_all = !held.busy && !held.retired && held.quota.is_none();
        look(held.head.as_ref().filter(|_| knows_all)?)
    }

    fn lane(&self, account: AccountId) -> Arc<Mutex<Lane>> {
        let mut lanes = lock(&self.lanes);
        if let Some(lane) = lanes.get(&account.0) {
            return lane.clone();
        }
        if lanes.len() >= WARM_ACCOUNTS_MAX {
            drop_cold(&mut lanes);
        }
        let lane = Arc::new(Mutex::new(Lane::default()));
        lanes.insert(account.0, lane.clone());
        lane
    }

    /// Starts the next commit, if anything waits. Nobody works on the lane, or its worker calls this.
    /// Without `may_wait`, work that has to wait for the disk is done elsewhere.
    fn pump<'l>(
        self: &Arc<Self>,
        account: AccountId,
        lane: &'l Arc<Mutex<Lane>>,
        mut held: MutexGuard<'l, Lane>,
        may_wait: bool,
    ) {
        loop {
            held.busy = !held.waiting.is_empty();
            if !held.busy {
                return;
            }
            if !may_wait && held.needs_disk(account, &self.views) {
                drop(held);
                let (this, lane) = (self.clone(), lane.clone());
                return self.hands.run(Box::new(move || this.pump(account, &lane, lock(&lane), true)));
            }
            let count = held.waiting.len().min(OPERATIONS_MAX);
            let operations: Vec<Operation> = held.waiting.drain(..count).collect();
            let (head, retired) = (held.take_head(), held.retired);
            drop(held);
            match self.apply(account, lane, head, retired, operations) {
                Applied::Committing => return,
                Applied::Here { head, retired } => {
                    held = lock(lane);
                    held.head = head;
                    held.retired |= retired;
                    if held.has_graves() {
                        self.sweeps.add(account);
                    }
                }
            }
        }
    }

    /// Applies operations to the head and hands over their commit.
    fn apply(
        self: &Arc<Self>,
        account: AccountId,
        lane: &Arc<Mutex<Lane>>,
        head: Option<Head>,
        mut retired: bool,
        operations: Vec<Operation>,
    ) -> Applied {
        let mut head = match self.warm(account, head, retired) {
            Ok(head) => head,
            Err(refusal) => {
                for operation in operations {
                    // Who no longer listens does not need the answer; so everywhere below.
                    drop(operation.tell.send(Err(refusal())));
                }
                return Applied::Here { head: None, retired };
            }
        };
        // While the condemned segments are looked at, the commit is also handed over, so that
        // who condemns a segment finds every reference to it in the engine or in its queue.
        self.bodies.referring(|condemned| {
            let expected = head.version;
            let dead = self.bodies.dead();
            let (engine, tokens) = (&*self.engine, &self.tokens);
            let mut change = Change::new(account, engine, condemned, dead, tokens, &self.views, &mut head);
            let mut done = Vec::with_capacity(operations.len());
            for operation in operations {
                retired |= matches!(operation.work, Work::Retire);
                match if retired && !matches!(operation.work, Work::Retire) {
                    Err(Refused::NoAccount)
                } else {
                    change.apply(&operation.work)
                } {
                    Ok(outcome) => {
                        if matches!(&operation.work, Work::Tree(work) if matches!(**work, Tree::Delete(_))) {
                            // What is swept comes into this lane after this.
                            self.sweeps.add(account);
                        }
                        done.push((operation, outcome));
                    }
                    Err(refused) => drop(operation.tell.send(Err(refused))),
                }
            }
            let finished = change.finish();
            if retired {
                self.views.forget(account);
                self.bells.ring(account);
            }
            match finished {
                Ok(Finished { batch, .. }) if batch.is_empty() => {
                    answer(done);
                    Applied::Here { head: Some(head), retired }
                }
                Ok(Finished { batch, moving }) => {
                    let commit = Commit { account, lane: lane.clone(), head, retired, done, moving };
                    self.commit(commit, expected, batch);
                    Applied::Committing
                }
                Err(error) => {
                    refuse(done, &error);
                    Applied::Here { head: None, retired }
                }
            }
        })
    }

    fn commit(self: &Arc<Self>, commit: Commit, expected: u64, batch: Batch) {
        let this = self.clone();
        let partition = key::partition(commit.account);
        let abandoned = Abandoned(Some(commit.lane.clone()));
        let committed = Box::new(move |result: Result<u64, CommitError>| {
            abandoned.disarm();
            let Commit { account, lane, mut head, retired, mut done, moving } = commit;
            let mut again = Vec::new();
            let head = match result {
                Ok(version) => {
                    head.version = version;
                    head.shrink();
                    let is_change = !moving.is_empty();
                    // Before anybody learns of the commit: whoever does may look.
                    this.views.publish(account, moving);
                    this.tell_search(account, &mut done);
                    answer(done);
                    if is_change {
                        this.bells.ring(account);
                    }
                    Some(head)
                }
                Err(CommitError::Conflict) => {
                    for (mut operation, _) in done {
                        operation.tries += 1;
                        if operation.tries < TRIES_MAX {
                            again.push(operation);
                        } else {
                            let text = "an account's version moves by itself".to_owned();
                            drop(operation.tell.send(Err(Refused::Store(Error::Damaged(text)))));
                        }
                    }
                    None
                }
                Err(CommitError::Store(error)) => {
                    refuse(done, &error);
                    None
                }
            };
            let mut held = lock(&lane);
            held.head = head;
            held.retired |= retired;
            again.into_iter().rev().for_each(|operation| held.waiting.push_front(operation));
            if held.has_graves() {
                this.sweeps.add(account);
            }
            this.pump(account, &lane, held, false);
        });
        self.engine.commit(partition, Some(expected), batch, committed);
    }

    /// Tells the search index of new messages, and of mailboxes that are gone. What is told is taken from the operations.
    fn tell_search(&self, account: AccountId, done: &mut [(Operation, Outcome)]) {
        let told = |one: &Delivered, delivery: &mut Delivery| {
            let (prefix, gist) = (std::mem::take(&mut delivery.prefix), std::mem::take(&mut delivery.gist));
            let Delivery { body, header_bytes, saved, .. } = delivery;
            let detail =
                Detail { prefix, body: body.clone(), header_bytes: *header_bytes, saved: *saved, gist };
            self.search.told(account, one.mailbox, one.uid, detail);
        };
        for (operation, outcome) in done {
            match (outcome, &mut operation.work) {
                (Outcome::Delivered(one), Work::Deliver(delivery)) if one.fresh => told(one, delivery),
                (Outcome::Appended(all), Work::Append(append)) => {
                    all.iter().zip(&mut append.messages).for_each(|(one, message)| told(one, message));
                }
                (Outcome::Copied(copied), Work::Copy { copying, .. }) => {
                    self.search.added(account, copying.to, copied.uids.len() as u32);
                }
                (_, Work::Tree(tree)) => {
                    if let Tree::Delete(mailbox) = **tree {
                        self.search.ask(account, mailbox);
                    }
                }
                _ => {}
            }
        }
    }

    /// The head, read if it is not in memory. The error makes the answer for all that wait.
    fn warm(
        &self,
        account: AccountId,
        head: Option<Head>,
        retired: bool,
    ) -> Result<Head, Box<dyn Fn() -> Refused>> {
        if retired {
            return Err(Box::new(|| Refused::NoAccount));
        }
        if let Some(head) = head {
            return Ok(head);
        }
        match self.engine.snapshot().and_then(|snapshot| Head::load(&*snapshot, account)) {
            Ok(Some(head)) => Ok(head),
            Ok(None) => Err(Box::new(|| Refused::NoAccount)),
            Err(error) => Err(Box::new(move || Refused::Store(error.again()))),
        }
    }
}

/// What came of operations that were applied.
enum Applied {
    /// A commit is under way and has the head.
    Committing,
    /// There was nothing to commit, or it went wrong.
    Here { head: Option<Head>, retired: bool },
}

/// What a commit that is under way has to itself.
struct Commit {
    account: AccountId,
    lane: Arc<Mutex<Lane>>,
    head: Head,
    retired: bool,
    done: Vec<(Operation, Outcome)>,
    moving: Vec<Moving>,
}

/// Lets go of a lane whose commit the engine dropped, because it closes: who waits learns it.
struct Abandoned(Option<Arc<Mutex<Lane>>>);

impl Abandoned {
    /// The engine has answered.
    fn disarm(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        if let Some(lane) = self.0.take() {
            let mut held = lock(&lane);
            held.busy = false;
            held.waiting.clear();
        }
    }
}

fn answer(done: Vec<(Operation, Outcome)>) {
    for (operation, outcome) in done {
        drop(operation.tell.send(Ok(outcome)));
    }
}

fn refuse(done: Vec<(Operation, Outcome)>, error: &Error) {
    for (operation, _) in done {
        drop(operation.tell.send(Err(Refused::Store(error.again()))));
    }
}

/// Drops lanes that nobody uses: first those not used since the last time, then any.
fn drop_cold(lanes: &mut HashMap<u64, Arc<Mutex<Lane>>>) {
    drop_unused(lanes);
    if lanes.len() >= WARM_ACCOUNTS_MAX {
        lanes.retain(|_, lane| !is_idle(lane));
    }
}

/// Drops lanes that were not used since the last time.
fn drop_unused(lanes: &mut HashMap<u64, Arc<Mutex<Lane>>>) {
    lanes.retain(|_, lane| !is_idle(lane) || std::mem::take(&mut lock(lane).used));
}

/// Somebody who has a lane, or its commit under way, holds an `Arc` of it; new ones are made under the lock of all.
fn is_idle(lane: &Arc<Mutex<Lane>>) -> bool {
    Arc::strong_count(lane) == 1
}

/// A panic under the lock can leave a head that differs from the engine; the commit's version check
/// and the reload after a conflict mend that.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
