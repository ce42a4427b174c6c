//! Waiting awake for a peer that says its next command right after our answer.
//!
//! Where processors sleep between two commands, waking one takes longer than a command: some 45 us in a virtual machine, and what runs
//! first after that runs on cold caches. A client that is near (a webmail or a proxy on the same machine) and alone is answered sooner
//! if the thread that answered looks for its next command a moment longer before it sleeps: FETCH of one body after the
//! other over one connection came to 11,100-13,200 a second instead of 4,700-6,400, for the same processor time a command.
//!
//! What must hold:
//! * An idle service uses no processor: a wait is spent awake after quick turns only, for at most [`AWAKE`], and what was spent in vain has
//!   to be earned again by [`PRICE`] quick turns. A client that is farther away than [`QUICK`] is never waited for, and none at all
//!   where waking is cheap.
//! * Never more than one wait of the process: a turn of any other connection takes all credit away, and ends the wait. With two
//!   connections at work everything is as if this were not here; where there is one processor nobody waits awake.
//! * What was found is not read here: the runtime is asked for it as always, so that timers and other sockets have their turn
//!   after each command. They, and tasks that the last command woke on this thread, wait no longer than [`AWAKE`].

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The longest wait awake. A client that has to be woken itself needs 40 to 130 us for its next command here: with 100 us nothing was
/// gained, with 400 us no more than with 200.
const AWAKE: Duration = Duration::from_micros(200);
/// A wait asleep that ended sooner was a quick one: [`AWAKE`], and what it takes to be woken.
const QUICK: Duration = Duration::from_micros(500);
/// A wait asleep that ended sooner than this tells that no processor had slept: there is nothing to gain. It is so while others keep them
/// busy, and then the client has no other processor than ours: staying awake in its way cost a third of 50,000 turns a second.
const WOKEN: Duration = Duration::from_micros(40);
/// What a wait in vain costs, in quick turns.
const PRICE: u8 = 8;
/// No more quick turns are kept in mind.
const CREDIT_MAX: u8 = 2 * PRICE;
/// Between two looks: some 100 ns that the other half of a processor's core has for itself.
const PAUSES: u32 = 8;

/// The connection that had the last turn in this process, by its number; they are numbered from 1.
static LAST: AtomicUsize = AtomicUsize::new(0);

/// What one connection remembers of its peer's pace.
#[derive(Debug)]
pub(super) struct Awake {
    me: usize,
    /// Since when the peer is waited for.
    since: Option<Instant>,
    /// Quick turns that were not spent.
    credit: u8,
    /// Turns in which the peer was met awake; every 256th (it wraps) has it tried whether staying awake is still of use.
    met: u8,
}

impl Awake {
    pub(super) fn new() -> Awake {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        Awake { me: NEXT.fetch_add(1, Ordering::Relaxed), since: None, credit: 0, met: 0 }
    }

    /// It is the peer's turn.
    pub(super) fn turn(&mut self) {
        self.since = None;
    }

    /// Before the peer is waited for asleep: waits awake until `ready`, if that is worth it.
    pub(super) fn wait(&mut self, ready: impl Fn() -> bool) {
        if self.since.is_some() {
            // Something came that was not enough; once in a turn will do.
            return;
        }
        let since = Instant::now();
        self.since = Some(since);
        if self.is_worth_it(&LAST) && there_are_more_processors() {
            self.stay(since, &LAST, ready);
        }
    }

    /// The peer has spoken.
    pub(super) fn spoken(&mut self) {
        if let Some(since) = self.since.take() {
            self.learn(since.elapsed());
        }
    }

    /// Takes note of a turn.
    fn is_worth_it(&mut self, last: &AtomicUsize) -> bool {
        if last.swap(self.me, Ordering::Relaxed) != self.me {
            self.credit = 0;
        }
        self.credit >= PRICE
    }

    fn stay(&self, since: Instant, last: &AtomicUsize, ready: impl Fn() -> bool) {
        while !ready() && since.elapsed() < AWAKE && last.load(Ordering::Relaxed) == self.me {
            for _ in 0..PAUSES {
                std::hint::spin_loop();
            }
        }
    }

    /// The peer was waited for so long.
    fn learn(&mut self, waited: Duration) {
        let was_awake = self.credit >= PRICE;
        if was_awake && waited < AWAKE {
            self.met = self.met.wrapping_add(1);
            // When others have come to keep the processors busy, only a wait asleep can tell.
            self.credit = if self.met == 0 { PRICE / 2 } else { CREDIT_MAX.min(self.credit + 1) };
        } else if was_awake || waited >= QUICK {
            self.credit = self.credit.saturating_sub(PRICE);
        } else if waited < WOKEN {
            self.credit = self.credit.saturating_sub(1);
        } else {
            self.credit += 1;
        }
    }
}

/// Somebody else has a processor while this thread keeps one.
fn there_are_more_processors() -> bool {
    static MORE: OnceLock<bool> = OnceLock::new();
    *MORE.get_or_init(|| std::thread::available_parallelism().is_ok_and(|count| count.get() > 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const FAST: Duration = Duration::from_micros(60);
    const SLEPT: Duration = Duration::from_micros(300);
    const FAR: Duration = Duration::from_millis(2);

    /// In how many of so many turns it was thought worth it.
    fn turns(awake: &mut Awake, last: &AtomicUsize, count: usize, waited: Duration) -> usize {
        let mut worth = 0;
        for _ in 0..count {
            worth += usize::from(awake.is_worth_it(last));
            awake.learn(waited);
        }
        worth
    }

    #[test]
    fn only_quick_turns_in_a_row_earn_a_wait() {
        let (mut awake, last) = (Awake::new(), AtomicUsize::new(0));
        assert_eq!(turns(&mut awake, &last, 1000, FAR), 0, "a peer that is far away is never waited for");
        // The first turn after that is the first quick one.
        assert_eq!(turns(&mut awake, &last, PRICE.into(), SLEPT), 0);
        assert_eq!(turns(&mut awake, &last, 100, FAST), 100);
        // Now and then it is tried whether there is still something to gain.
        let tried = 10_000 - turns(&mut awake, &last, 10_000, FAST);
        assert!((100..200).contains(&tried), "{tried}");
    }

    #[test]
    fn what_was_in_vain_is_earned_again() {
        let (mut awake, last) = (Awake::new(), AtomicUsize::new(0));
        // Quick enough to hope, never quick enough to be met awake.
        let vain = turns(&mut awake, &last, 900, SLEPT);
        assert_eq!(vain, 900 / (usize::from(PRICE) + 1));
        // Who goes away after many quick turns is waited for twice at most.
        turns(&mut awake, &last, 100, FAST);
        assert_eq!(turns(&mut awake, &last, 100, FAR), 2);
    }

    #[test]
    fn where_no_processor_sleeps_nobody_stays_awake() {
        let (mut awake, last) = (Awake::new(), AtomicUsize::new(0));
        turns(&mut awake, &last, PRICE.into(), FAST);
        // Then others come; who is awake does not see the difference.
        assert!(turns(&mut awake, &last, 300, WOKEN / 4) <= 256);
        // Now and then somebody has to be woken.
        for _ in 0..100 {
            assert_eq!(turns(&mut awake, &last, 9, WOKEN / 4) + turns(&mut awake, &last, 1, FAST), 0);
        }
    }

    #[test]
    fn two_connections_are_never_waited_for() {
        let last = AtomicUsize::new(0);
        let (mut one, mut other) = (Awake::new(), Awake::new());
        for _ in 0..100 {
            assert_eq!(turns(&mut one, &last, 1, FAST) + turns(&mut other, &last, 1, FAST), 0);
        }
        turns(&mut one, &last, 100, FAST);
        assert!(one.is_worth_it(&last));
        other.is_worth_it(&last);
        let looks = Cell::new(0);
        one.stay(Instant::now(), &last, || {
            looks.set(looks.get() + 1);
            false
        });
        assert_eq!(looks.get(), 1, "the other's turn ends the wait");
    }

    #[test]
    fn a_wait_ends_by_input_or_by_its_limit() {
        let (mut awake, last) = (Awake::new(), AtomicUsize::new(0));
        awake.is_worth_it(&last);
        let looks = Cell::new(0);
        let began = Instant::now();
        awake.stay(began, &last, || false);
        assert!(began.elapsed() >= AWAKE);
        awake.stay(Instant::now() + Duration::from_secs(60), &last, || {
            looks.set(looks.get() + 1);
            looks.get() == 7
        });
        assert_eq!(looks.get(), 7);
    }

    #[test]
    fn a_turn_is_waited_for_awake_once() {
        let mut awake = Awake::new();
        awake.turn();
        awake.wait(|| true);
        let since = awake.since;
        awake.wait(|| unreachable!("it was looked for already"));
        assert_eq!(awake.since, since);
        awake.turn();
        awake.spoken();
        assert_eq!(awake.credit, 0, "a peer that had spoken before says nothing of its pace");
    }
}
