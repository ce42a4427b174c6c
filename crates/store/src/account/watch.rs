//! Waiting for changes of an account.
//!
//! A session that waits has a [`Watch`] of some thirty octets; one bell for each account knows who waits. It is rung after a
//! commit and after the views in memory have moved.

use proto::proof::AccountId;
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

/// Tells when anything in an account was committed.
#[derive(Debug)]
pub struct Watch {
    bell: Arc<Bell>,
    seen: u64,
    /// Its place among those who wait, if it has one.
    place: Option<u32>,
}

impl Watch {
    /// Waits until a commit happened that was not seen by the last call (or by `seen`). Cancel-safe.
    pub async fn changed(&mut self) {
        poll_fn(|cx| self.poll_changed(cx)).await;
    }

    /// The same for who waits for several things at once.
    pub fn poll_changed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut ring = lock(&self.bell.0);
        if ring.count != self.seen {
            self.seen = ring.count;
            return Poll::Ready(());
        }
        self.place = Some(ring.wait(self.place, cx.waker()));
        Poll::Pending
    }

    /// What is committed now counts as seen.
    pub fn seen(&mut self) {
        self.seen = lock(&self.bell.0).count;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            lock(&self.bell.0).leave(place);
        }
    }
}

#[derive(Debug, Default)]
struct Bell(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    /// Commits rung for.
    count: u64,
    /// Those who wait, by their places; a place belongs to one watch until that is dropped.
    waiting: Vec<Option<Waker>>,
    free: Vec<u32>,
}

impl Ring {
    fn wait(&mut self, place: Option<u32>, waker: &Waker) -> u32 {
        let place = place.or_else(|| self.free.pop()).unwrap_or_else(|| {
            self.waiting.push(None);
            self.waiting.len() as u32 - 1
        });
        match &mut self.waiting[place as usize] {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        place
    }

    fn leave(&mut self, place: u32) {
        self.waiting[place as usize] = None;
        self.free.push(place);
    }
}

/// The bells of all accounts that somebody watches.
#[derive(Debug, Default)]
pub(super) struct Bells(Mutex<HashMap<u64, Weak<Bell>>>);

/// Bells are looked through for those that nobody has any more when there are so many, and then at twice as many as are left.
const BELLS_MIN: usize = 1024;

impl Bells {
    /// Tells of what is rung from now on.
    pub(super) fn watch(&self, account: AccountId) -> Watch {
        let mut bells = lock(&self.0);
        let known = bells.get(&account.0).and_then(Weak::upgrade);
        let bell = known.unwrap_or_else(|| {
            if bells.len() >= BELLS_MIN && bells.len() == bells.capacity() {
                bells.retain(|_, bell| bell.strong_count() > 0);
            }
            let bell = Arc::new(Bell::default());
            bells.insert(account.0, Arc::downgrade(&bell));
            bell
        });
        let seen = lock(&bell.0).count;
        Watch { bell, seen, place: None }
    }

    /// Wakes all who wait for this account.
    pub(super) fn ring(&self, account: AccountId) {
        let mut bells = lock(&self.0);
        let Some(known) = bells.get(&account.0) else { return };
        let Some(bell) = known.upgrade() else {
            bells.remove(&account.0);
            return;
        };
        drop(bells);
        let mut ring = lock(&bell.0);
        ring.count += 1;
        let wakers: Vec<Waker> = ring.waiting.iter_mut().filter_map(Option::take).collect();
        // Who is woken may look at once, on another thread.
        drop(ring);
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// Nothing is left half done by a panic in any critical section here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_watch_is_woken_once_for_what_it_has_not_seen() {
        let bells = Bells::default();
        let (one, other) = (AccountId(1), AccountId(2));
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let cx = &mut Context::from_waker(&waker);
        let mut watch = bells.watch(one);
        let mut beside = bells.watch(one);
        assert!(watch.poll_changed(cx).is_pending() && beside.poll_changed(cx).is_pending());
        bells.ring(other);
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        bells.ring(one);
        bells.ring(one);
        assert_eq!(count.0.load(Ordering::SeqCst), 2, "each is woken once until it looks");
        assert!(watch.poll_changed(cx).is_ready());
        assert!(watch.poll_changed(cx).is_pending(), "two commits were seen at once");
        beside.seen();
        assert!(beside.poll_changed(cx).is_pending());
        // Rung between two waits: not missed.
        drop(beside);
        assert!(watch.poll_changed(cx).is_pending());
        bells.ring(one);
        assert!(watch.poll_changed(cx).is_ready());
        let late = bells.watch(one);
        assert_eq!(late.seen, 3);
    }

    #[test]
    fn a_session_that_waits_costs_little() {
        let bells = Bells::default();
        let mut watch = bells.watch(AccountId(1));
        assert!(size_of::<Watch>() <= 32);
        let waiting = pin!(watch.changed());
        assert!(size_of_val(&*waiting) <= 32, "{}", size_of_val(&*waiting));
    }

    #[test]
    fn bells_that_nobody_has_go() {
        let bells = Bells::default();
        for account in 0..20_000 {
            drop(bells.watch(AccountId(account)));
        }
        assert!(lock(&bells.0).len() <= 4 * BELLS_MIN);
    }
}
