//! The open mailboxes that are held in memory, of all accounts.
//!
//! What must hold: a view that is here is that of the last commit that was answered: whoever commits moves the views before it
//! answers, from what it did itself, without reading. A view that is read from the engine meanwhile has a place
//! here from before its first read, in which commits queue, so that it misses none; one that it saw already is known
//! by its MODSEQ.
//!
//! A guest of a shared mailbox has a view of their own, in which `\Seen` is theirs; it moves with the same commits.
//!
//! Views that nobody uses stay, those used last, up to so many octets; those that a session has (of any age) stay anyway.

use super::{Mailbox, MailboxId, MessageRow, View, index};
use crate::engine::{Engine, Snapshot};
use crate::row::{self, MailboxRow, Marks};
use crate::{Error, key};
use proto::proof::AccountId;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What one commit did to one mailbox.
#[derive(Debug)]
pub(super) struct Delta {
    /// The mailbox as it is now; `None`: it is gone.
    pub(super) mailbox: Option<Mailbox>,
    /// The commit's version.
    pub(super) version: u64,
    /// UIDs ascending.
    pub(super) added: Vec<MessageRow>,
    /// UID and flags, UIDs ascending; of equal ones the last holds.
    pub(super) changed: Vec<(u32, u64)>,
    /// What guests have seen, or no longer: whose, UID, which; later ones win.
    pub(super) seen: Vec<(AccountId, u32, bool)>,
    /// UIDs ascending.
    pub(super) vanished: Vec<u32>,
}

impl Delta {
    /// The view after this commit; `None`: there is no mailbox any more.
    fn apply(&self, view: &View) -> Option<View> {
        let mailbox = self.mailbox.clone()?;
        let mut view = view.clone();
        if let Some(guest) = view.guest() {
            let mut seen: Vec<(u32, bool)> = self
                .seen
                .iter()
                .filter(|(whose, _, _)| *whose == guest)
                .map(|(_, uid, on)| (*uid, *on))
                .collect();
            seen.sort_by_key(|(uid, _)| *uid);
            view.append_unseen(&self.added);
            view.set_flags_beside_seen(&self.changed, self.version);
            view.set_seen(&seen, self.version);
            view.remove_counted(&self.vanished);
            view.mailbox = Mailbox { unseen: view.mailbox.unseen, ..mailbox };
        } else {
            view.append(&self.added);
            view.set_flags(&self.changed, self.version);
            view.remove(&self.vanished);
            view.mailbox = mailbox;
        }
        Some(view)
    }
}

/// One mailbox's part in a commit that is under way.
#[derive(Debug)]
pub(super) struct Moving {
    pub(super) mailbox: MailboxId,
    pub(super) delta: Arc<Delta>,
    /// Views before and after, made beforehand of those that were here: the owner's and those of guests.
    pub(super) ready: Vec<(Arc<View>, Arc<View>)>,
}

impl Moving {
    /// `after`: what the view before becomes, if that is known already.
    pub(super) fn new(
        views: &Views,
        account: AccountId,
        mailbox: MailboxId,
        delta: Delta,
        worked: Option<(Arc<View>, Arc<View>)>,
    ) -> Moving {
        let mut ready = Vec::new();
        for base in views.peek(account, mailbox) {
            if base.guest().is_none() && worked.is_some() {
                continue;
            }
            ready.extend(delta.apply(&base).map(|after| (base, Arc::new(after))));
        }
        ready.extend(worked);
        Moving { mailbox, delta: Arc::new(delta), ready }
    }
}

/// Account, mailbox, guest; 0 is the owner.
type Place = (u64, u32, u64);

fn place(account: AccountId, mailbox: MailboxId, guest: Option<AccountId>) -> Place {
    (account.0, mailbox.0, guest.map_or(0, |guest| guest.0))
}

/// All views of a mailbox are at these.
fn places(account: AccountId, mailbox: MailboxId) -> RangeInclusive<Place> {
    (account.0, mailbox.0, 0)..=(account.0, mailbox.0, u64::MAX)
}

#[derive(Debug)]
enum Slot {
    Ready {
        view: Arc<View>,
        bytes: u64,
        used: u64,
    },
    /// Somebody reads it; what is committed meanwhile.
    Loading {
        number: u64,
        queued: Vec<Arc<Delta>>,
    },
}

#[derive(Debug, Default)]
struct Slots {
    places: BTreeMap<Place, Slot>,
    /// Octets of those that are ready.
    bytes: u64,
    /// At so many octets it is looked for views to be let go.
    trim_at: u64,
    clock: u64,
}

/// See above.
#[derive(Debug)]
pub(crate) struct Views {
    slots: Mutex<Slots>,
    /// Something is no longer being read.
    loaded: Condvar,
    bytes_max: u64,
}

impl Views {
    pub(super) fn new(bytes_max: u64) -> Views {
        let slots = Slots { trim_at: bytes_max, ..Slots::default() };
        Views { slots: Mutex::new(slots), loaded: Condvar::new(), bytes_max }
    }

    /// The current view, if it is here.
    pub(super) fn get(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        guest: Option<AccountId>,
    ) -> Option<Arc<View>> {
        let mut slots = self.lock();
        slots.clock += 1;
        let now = slots.clock;
        match slots.places.get_mut(&place(account, mailbox, guest))? {
            Slot::Ready { view, used, .. } => {
                *used = now;
                Some(view.clone())
            }
            Slot::Loading { .. } => None,
        }
    }

    /// The owner's and those of guests, as far as they are here; not counted as a use.
    fn peek(&self, account: AccountId, mailbox: MailboxId) -> Vec<Arc<View>> {
        let slots = self.lock();
        let ready = slots.places.range(places(account, mailbox)).filter_map(|(_, slot)| match slot {
            Slot::Ready { view, .. } => Some(view.clone()),
            Slot::Loading { .. } => None,
        });
        ready.collect()
    }

    /// The current view; `None` if there is no such mailbox. Blocks for the disk if it is not here.
    pub(super) fn load(
        &self,
        engine: &dyn Engine,
        account: AccountId,
        mailbox: MailboxId,
        guest: Option<AccountId>,
    ) -> Result<Option<Arc<View>>, Error> {
        let place = place(account, mailbox, guest);
        let mut slots = self.lock();
        let number = loop {
            slots.clock += 1;
            let now = slots.clock;
            match slots.places.entry(place) {
                Entry::Occupied(mut slot) => match slot.get_mut() {
                    Slot::Ready { view, used, .. } => {
                        *used = now;
                        return Ok(Some(view.clone()));
                    }
                    // Another is at it: it is read once.
                    Slot::Loading { .. } => {
                        slots = self.loaded.wait(slots).unwrap_or_else(PoisonError::into_inner);
                    }
                },
                Entry::Vacant(room) => {
                    room.insert(Slot::Loading { number: now, queued: Vec::new() });
                    break now;
                }
            }
        };
        drop(slots);
        let loading = Loading { views: self, place, number };
        let Some(view) = self.read(engine, account, mailbox, guest)? else { return Ok(None) };
        Ok(loading.finish(view))
    }

    /// A view that whoever works in the account's lane has read, so that no commit can have passed it by.
    pub(super) fn offer(&self, account: AccountId, view: &Arc<View>) {
        let mut slots = self.lock();
        let place = place(account, view.mailbox.id, view.guest());
        if !slots.places.contains_key(&place) {
            slots.put(place, view.clone());
        }
        let gone = slots.trim(self.bytes_max);
        drop(slots);
        drop(gone);
    }

    /// A commit is durable: the views become what it made of them. Called in the order of an account's commits.
    pub(super) fn publish(&self, account: AccountId, moving: Vec<Moving>) {
        let mut gone = Vec::new();
        let mut slots = self.lock();
        for Moving { mailbox, delta, ready } in moving {
            let here = slots.places.range(places(account, mailbox)).map(|(place, _)| *place);
            let here: Vec<Place> = here.collect();
            for place in here {
                slots.publish(place, &delta, &ready, &mut gone);
            }
        }
        gone.extend(slots.trim(self.bytes_max));
        drop(slots);
        // What nobody has any more is taken apart here, not under the lock.
        drop(gone);
    }

    /// The account is gone. What is being read of it is not kept.
    pub(super) fn forget(&self, account: AccountId) {
        let mut slots = self.lock();
        let places: Vec<Place> = slots.places.keys().filter(|place| place.0 == account.0).copied().collect();
        let gone: Vec<_> = places.into_iter().map(|place| slots.take(place)).collect();
        drop(slots);
        self.loaded.notify_all();
        drop(gone);
    }

    /// Lets go of what sessions left behind, if it is too much.
    pub(super) fn trim(&self) {
        let mut slots = self.lock();
        slots.trim_at = self.bytes_max;
        let gone = slots.trim(self.bytes_max);
        drop(slots);
        drop(gone);
    }

    /// How many are held, and their octets.
    pub(crate) fn held(&self) -> (usize, u64) {
        let slots = self.lock();
        (slots.places.len(), slots.bytes)
    }

    /// Reads a view from the engine. What a guest's has in common with the owner's is shared with it.
    fn read(
        &self,
        engine: &dyn Engine,
        account: AccountId,
        mailbox: MailboxId,
        guest: Option<AccountId>,
    ) -> Result<Option<View>, Error> {
        let partition = key::partition(account);
        let snapshot = engine.snapshot()?;
        let Some(stored) = snapshot.get(partition, &key::mailbox(mailbox))? else { return Ok(None) };
        let mailbox = MailboxRow::decode(&stored)?.mailbox;
        let Some(guest) = guest else {
            let messages = index::messages(&*snapshot, partition, &mailbox)?;
            return Ok(Some(View::new(mailbox, messages)));
        };
        let of_owner = self.peek(account, mailbox.id).into_iter().find(|view| view.guest().is_none());
        let marks = marks_of(&*snapshot, partition, mailbox.id, guest)?;
        Ok(Some(match of_owner {
            Some(view) if view.mailbox.modseq == mailbox.modseq => view.of_guest(guest, &marks),
            _ => {
                let messages = index::messages(&*snapshot, partition, &mailbox)?;
                View::new(mailbox, messages).of_guest(guest, &marks)
            }
        }))
    }

    /// Nothing is left half done by a panic in any critical section here.
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    /// One view's part of a commit. What nobody has any more is added to `gone`.
    fn publish(
        &mut self,
        place: Place,
        delta: &Arc<Delta>,
        ready: &[(Arc<View>, Arc<View>)],
        gone: &mut Vec<Arc<View>>,
    ) {
        match self.places.get_mut(&place) {
            None => {}
            Some(Slot::Loading { queued, .. }) => queued.push(delta.clone()),
            Some(Slot::Ready { .. }) if delta.mailbox.is_none() => gone.extend(self.take(place)),
            Some(Slot::Ready { view, .. }) => {
                let after = match ready.iter().find(|(base, _)| Arc::ptr_eq(base, view)) {
                    Some((_, after)) => Some(after.clone()),
                    // Read between the commit and this call: it has seen the commit.
                    None if view.mailbox.modseq >= delta.version => None,
                    None => delta.apply(view).map(Arc::new),
                };
                if let Some(after) = after {
                    self.put(place, after);
                }
            }
        }
    }

    fn put(&mut self, place: Place, view: Arc<View>) {
        self.clock += 1;
        let (bytes, mut used) = (view.bytes(), self.clock);
        if let Some(Slot::Ready { bytes, used: before, .. }) = self.places.get(&place) {
            // To be moved on is not to be used.
            used = *before;
            self.bytes -= bytes;
        }
        self.bytes += bytes;
        self.places.insert(place, Slot::Ready { view, bytes, used });
    }

    fn take(&mut self, place: Place) -> Option<Arc<View>> {
        match self.places.remove(&place)? {
            Slot::Ready { view, bytes, .. } => {
                self.bytes -= bytes;
                Some(view)
            }
            Slot::Loading { .. } => None,
        }
    }

    /// Lets go of views that nobody has, those used last staying, if there are too many octets of them.
    fn trim(&mut self, bytes_max: u64) -> Vec<Arc<View>> {
        if self.bytes <= self.trim_at {
            return Vec::new();
        }
        let mut loose: Vec<(u64, Place, u64)> = Vec::new();
        for (place, slot) in &self.places {
            match slot {
                Slot::Ready { view, bytes, used } if !View::is_held(view) => {
                    loose.push((*used, *place, *bytes));
                }
                _ => {}
            }
        }
        loose.sort_unstable();
        let mut octets: u64 = loose.iter().map(|(_, _, bytes)| bytes).sum();
        let mut gone = Vec::new();
        for (_, place, bytes) in loose {
            if octets <= bytes_max {
                break;
            }
            octets -= bytes;
            gone.extend(self.take(place));
        }
        // All are looked at each time: not again before there is a sixteenth more.
        self.trim_at = self.bytes.max(bytes_max) + bytes_max / 16;
        gone
    }
}

/// The place of a view that is being read; given up when dropped.
struct Loading<'a> {
    views: &'a Views,
    place: Place,
    number: u64,
}

impl Loading<'_> {
    /// What was read, and then committed; `None`: the mailbox is gone.
    fn finish(self, view: View) -> Option<Arc<View>> {
        let mut view = Arc::new(view);
        let mut slots = self.views.lock();
        loop {
            let queued = match slots.places.get_mut(&self.place) {
                Some(Slot::Loading { number, queued }) if *number == self.number => std::mem::take(queued),
                // The account was removed meanwhile: nobody else is given this view.
                _ => return Some(view),
            };
            if queued.is_empty() {
                slots.places.remove(&self.place);
                slots.put(self.place, view.clone());
                let gone = slots.trim(self.views.bytes_max);
                drop(slots);
                drop(gone);
                return Some(view);
            }
            drop(slots);
            for delta in &queued {
                if delta.version > view.mailbox.modseq {
                    view = Arc::new(delta.apply(&view)?);
                }
            }
            slots = self.views.lock();
        }
    }
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        let mut slots = self.views.lock();
        if matches!(slots.places.get(&self.place), Some(Slot::Loading { number, .. }) if *number == self.number)
        {
            slots.places.remove(&self.place);
        }
        drop(slots);
        self.views.loaded.notify_all();
    }
}

/// All that a guest has marked in a mailbox.
fn marks_of(
    snapshot: &dyn Snapshot,
    partition: u64,
    mailbox: MailboxId,
    guest: AccountId,
) -> Result<Marks, Error> {
    let mut marks = Marks::new();
    snapshot.scan(partition, &key::marks(mailbox, guest), &[], &mut |key, value| {
        marks.append(&mut row::decode_marks(key::number32(key, 13).unwrap_or(0), value)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(marks)
}

#[cfg(test)]
mod tests {
    use super::super::view::tests::mailbox;
    use super::*;

    const ANN: AccountId = AccountId(1);

    fn view(id: u32, messages: u32, modseq: u64) -> Arc<View> {
        let mut row = mailbox();
        (row.id, row.modseq) = (MailboxId(id), modseq);
        let message = |uid| MessageRow { uid, flags: super::super::Flags(0), modseq, size: 1, received: 0 };
        Arc::new(View::new(row, (1..=messages).map(message).collect()))
    }

    fn added(id: u32, uid: u32, version: u64) -> Delta {
        let mut row = mailbox();
        (row.id, row.modseq) = (MailboxId(id), version);
        let message =
            MessageRow { uid, flags: super::super::Flags(0), modseq: version, size: 1, received: 0 };
        let (changed, seen, vanished) = (Vec::new(), Vec::new(), Vec::new());
        Delta { mailbox: Some(row), version, added: vec![message], changed, seen, vanished }
    }

    #[test]
    fn a_view_moves_with_each_commit_and_never_twice() {
        let views = Views::new(1 << 20);
        views.offer(ANN, &view(1, 3, 10));
        let old = views.get(ANN, MailboxId(1), None).unwrap();
        for (uid, version) in [(4, 11), (5, 12)] {
            let moving = Moving::new(&views, ANN, MailboxId(1), added(1, uid, version), None);
            assert!(!moving.ready.is_empty());
            assert_eq!(
                views.get(ANN, MailboxId(1), None).unwrap().len(),
                uid - 1,
                "not before it is durable"
            );
            views.publish(ANN, vec![moving]);
        }
        let new = views.get(ANN, MailboxId(1), None).unwrap();
        assert_eq!((old.len(), new.len(), new.mailbox.modseq), (3, 5, 12));
        // A view that has seen the commit already.
        views.publish(
            ANN,
            vec![Moving { mailbox: MailboxId(1), delta: Arc::new(added(1, 5, 12)), ready: Vec::new() }],
        );
        assert_eq!(views.get(ANN, MailboxId(1), None).unwrap().len(), 5);
        let gone = Delta { mailbox: None, ..added(1, 6, 13) };
        views.publish(ANN, vec![Moving::new(&views, ANN, MailboxId(1), gone, None)]);
        assert!(views.get(ANN, MailboxId(1), None).is_none());
    }

    #[test]
    fn what_is_committed_during_a_read_is_not_missed() {
        let views = Views::new(1 << 20);
        let place = (ANN.0, 1, 0);
        views.lock().places.insert(place, Slot::Loading { number: 5, queued: Vec::new() });
        let moving = |uid, version| Moving::new(&views, ANN, MailboxId(1), added(1, uid, version), None);
        // The read sees the commit 11 and not 12.
        views.publish(ANN, vec![moving(4, 11)]);
        views.publish(ANN, vec![moving(5, 12)]);
        assert!(views.get(ANN, MailboxId(1), None).is_none());
        let read = View::clone(&view(1, 4, 11));
        let got = Loading { views: &views, place, number: 5 }.finish(read).unwrap();
        assert_eq!((got.len(), got.mailbox.modseq), (5, 12));
        assert!(Arc::ptr_eq(&got, &views.get(ANN, MailboxId(1), None).unwrap()));
        // One that is given up leaves no place behind.
        views.forget(ANN);
        views.lock().places.insert(place, Slot::Loading { number: 6, queued: Vec::new() });
        drop(Loading { views: &views, place, number: 6 });
        assert!(views.lock().places.is_empty());
    }

    #[test]
    fn views_that_nobody_has_go_when_there_are_too_many() {
        let views = Views::new(400_000);
        for id in 1..=4 {
            views.offer(ANN, &view(id, 2500, 10));
        }
        // A session has an older view of the first; the second was used last.
        let held = views.get(ANN, MailboxId(1), None).unwrap();
        views.publish(ANN, vec![Moving::new(&views, ANN, MailboxId(1), added(1, 2501, 11), None)]);
        drop(views.get(ANN, MailboxId(2), None));
        for id in 5..=9 {
            views.offer(ANN, &view(id, 2500, 10));
        }
        let here: Vec<u32> = (1..=9).filter(|id| !views.peek(ANN, MailboxId(*id)).is_empty()).collect();
        assert!(here.contains(&1) && here.contains(&9) && !here.contains(&3), "{here:?}");
        assert!(here.len() <= 6, "{here:?}");
        drop(held);
        views.trim();
        let here: Vec<u32> = (1..=9).filter(|id| !views.peek(ANN, MailboxId(*id)).is_empty()).collect();
        assert!(!here.contains(&1) && here.len() <= 4, "{here:?}");
        let counted: u64 = here.iter().map(|id| views.peek(ANN, MailboxId(*id))[0].bytes()).sum();
        assert_eq!(views.lock().bytes, counted);
    }
}
