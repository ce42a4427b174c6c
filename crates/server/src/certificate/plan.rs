//! What to order, and when: from what is there, what is wanted and what failed. Time and dice are arguments.

use net::authority::KeyKind;
use net::tls::Fingerprint;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// Seconds after a name's first failure; each further one waits three times as long. An authority such as Let's
/// Encrypt takes five failures of a name in an hour.
const NAME_WAIT_SECONDS: i64 = 120;
const NAME_WAIT_SECONDS_MAX: i64 = 12 * 3600;
/// Seconds after the authority's first failure; each further one waits twice as long.
const AUTHORITY_WAIT_SECONDS: i64 = 8;
const AUTHORITY_WAIT_SECONDS_MAX: i64 = 3600;

/// Seconds after a revoked certificate was replaced before its successor is, should that be revoked too; each further
/// one waits twice as long. Let's Encrypt makes five certificates for a name in a week.
const REVOKED_WAIT_SECONDS: i64 = 86_400;
const REVOKED_WAIT_SECONDS_MAX: i64 = 4 * 86_400;

/// Seconds of the longest wait that there is: what an authority can ask for (`net::acme`), and a quarter that may be added.
pub const WAIT_SECONDS_MAX: i64 = 7 * 86_400;

/// Seconds between two questions for the authority's window, whatever it asks for (RFC 9773 4.3.2).
pub const ASK_WINDOW_SECONDS_MIN: i64 = 3600;
/// The same, at most; also where the authority does not answer.
pub const ASK_WINDOW_SECONDS_MAX: i64 = 86_400;

/// A certificate that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its name.
    pub name: String,
    /// Its key.
    pub kind: KeyKind,
    /// By which it is told from its successor.
    pub mark: Fingerprint,
    /// First second of its life, Unix time.
    pub not_before: i64,
    /// Last one.
    pub not_after: i64,
    /// Where the authority wants it renewed (RFC 9773 4.2): first and last second.
    pub window: Option<(i64, i64)>,
    /// When the authority is asked for that again.
    pub ask_window: i64,
    /// Seconds before its end at which it is renewed at the latest; 0 sets none.
    pub renew_before: i64,
    /// The authority has revoked it: when it is replaced.
    pub revoked: Option<i64>,
    /// Its successor has a key of its own: when that is wanted.
    pub next_key: Option<i64>,
    /// The place in the time of renewal at which this one is renewed, drawn once, in 2^-32.
    pub dice: u32,
}

/// What went wrong lately with a name or the authority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// One after the other.
    pub count: u32,
    /// Not before this second.
    pub until: i64,
}

/// A certificate to get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// For which name.
    pub name: String,
    /// With which key.
    pub kind: KeyKind,
}

impl Held {
    /// The authority said when it wants this one renewed, and when to ask again. A window that ends before it begins
    /// says nothing (RFC 9773 4.2); one that the operator's wish has set stays.
    pub fn wanted_in(&mut self, start: i64, end: i64, ask_again: i64, now: i64) {
        if start < end && self.renewal() > now {
            self.window = Some((start, end));
        }
        self.ask_window = ask_again
            .clamp(now.saturating_add(ASK_WINDOW_SECONDS_MIN), now.saturating_add(ASK_WINDOW_SECONDS_MAX));
    }

    /// When it is renewed: at a moment within the authority's window, else shortly before two thirds of its life are
    /// over, so that many certificates made together are not renewed together. In either case no later than the settings
    /// say, but not within the first half of its life: that would be to order again and again. One that was revoked is
    /// worth nothing, and has a time of its own.
    #[must_use]
    pub fn renewal(&self) -> i64 {
        if let Some(replaced) = self.revoked {
            return replaced;
        }
        let life = self.not_after.saturating_sub(self.not_before).max(0);
        let latest = match self.renew_before.clamp(0, life / 2) {
            0 => i64::MAX,
            before => self.not_after.saturating_sub(before).saturating_sub(part(life / 20, self.dice)),
        };
        self.by_authority_or_life().min(latest).min(self.next_key.unwrap_or(i64::MAX))
    }

    fn by_authority_or_life(&self) -> i64 {
        if let Some((start, end)) = self.window {
            return start.saturating_add(part(end.saturating_sub(start), self.dice)).min(self.not_after);
        }
        let life = self.not_after.saturating_sub(self.not_before).max(0);
        self.not_before.saturating_add(life / 3 * 2).saturating_sub(part(life / 20, self.dice))
    }
}

/// What is to be ordered now, most urgent first: what is missing, in the order of `wanted`, the ECDSA key before the RSA one;
/// then what is to be renewed, the longest due first.
#[must_use]
pub fn due(wanted: &[String], held: &[Held], failed: &HashMap<String, Failures>, now: i64) -> Vec<Order> {
    let have: HashMap<(&str, bool), &Held> =
        held.iter().map(|held| ((held.name.as_str(), held.kind == KeyKind::Rsa), held)).collect();
    let mut seen = HashSet::new();
    let mut orders = Vec::new();
    let may = |name: &&String| failed.get(*name).is_none_or(|failures| failures.until <= now);
    for name in wanted.iter().filter(may).filter(|name| seen.insert(name.as_str())) {
        for kind in [KeyKind::Ecdsa, KeyKind::Rsa] {
            let since = match have.get(&(name.as_str(), kind == KeyKind::Rsa)) {
                None => i64::MIN,
                Some(held) => held.renewal(),
            };
            if since <= now {
                orders.push((since, Order { name: name.clone(), kind }));
            }
        }
    }
    // Stable: those that are missing stay in the order of the names.
    orders.sort_by_key(|(since, _)| *since);
    orders.into_iter().map(|(_, order)| order).collect()
}

/// The next second at which [`due`] can say something new, if nothing else changes.
#[must_use]
pub fn next(held: &[Held], failed: &HashMap<String, Failures>, now: i64) -> Option<i64> {
    let renewals = held.iter().map(Held::renewal);
    renewals.chain(failed.values().map(|failures| failures.until)).filter(|second| *second > now).min()
}

/// After one more failure of a name.
#[must_use]
pub fn name_failed(before: Failures, now: i64, dice: u32) -> Failures {
    grown(before, now, dice, 3, NAME_WAIT_SECONDS, NAME_WAIT_SECONDS_MAX)
}

/// After one more failure of the authority, which may have asked for a wait.
#[must_use]
pub fn authority_failed(before: Failures, now: i64, dice: u32, asked_seconds: Option<i64>) -> Failures {
    let ours = grown(before, now, dice, 2, AUTHORITY_WAIT_SECONDS, AUTHORITY_WAIT_SECONDS_MAX);
    Failures { until: ours.until.max(now.saturating_add(asked_seconds.unwrap_or(0))), ..ours }
}

/// After a certificate was revoked that is replaced at `at`: when the one in its place may be, should that be revoked too.
#[must_use]
pub fn revoked(before: Failures, at: i64, dice: u32) -> Failures {
    grown(before, at, dice, 2, REVOKED_WAIT_SECONDS, REVOKED_WAIT_SECONDS_MAX)
}

fn grown(before: Failures, now: i64, dice: u32, factor: i64, first: i64, max: i64) -> Failures {
    let wait = first.saturating_mul(factor.saturating_pow(before.count)).min(max);
    // A quarter more at most, so that services that failed together do not come back together.
    let until = now.saturating_add(wait).saturating_add(part(wait / 4, dice));
    Failures { count: before.count.saturating_add(1), until }
}

/// So much of `whole` as the dice say.
pub(super) fn part(whole: i64, dice: u32) -> i64 {
    let part = (i128::from(whole) * i128::from(dice)) >> 32;
    i64::try_from(part).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn held(name: &str, kind: KeyKind, not_before: i64, dice: u32) -> Held {
        Held {
            name: name.to_owned(),
            kind,
            mark: [0; 32],
            not_before,
            not_after: not_before + 90 * DAY,
            window: None,
            ask_window: 0,
            renew_before: 0,
            revoked: None,
            next_key: None,
            dice,
        }
    }

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    fn said(orders: &[Order]) -> Vec<String> {
        orders.iter().map(|order| format!("{} {:?}", order.name, order.kind)).collect()
    }

    #[test]
    fn what_is_missing_comes_first_in_its_order() {
        let wanted = names(&["b.test", "a.test", "b.test"]);
        let have = [held("b.test", KeyKind::Ecdsa, 0, 0)];
        let none = HashMap::new();
        assert_eq!(said(&due(&wanted, &have, &none, DAY)), ["b.test Rsa", "a.test Ecdsa", "a.test Rsa"]);
        // The one that is there is due too, and last.
        let later = said(&due(&wanted, &have, &none, 61 * DAY));
        assert_eq!(later, ["b.test Rsa", "a.test Ecdsa", "a.test Rsa", "b.test Ecdsa"]);
    }

    #[test]
    fn renewal_is_at_two_thirds_or_a_little_earlier() {
        let wanted = names(&["a.test"]);
        let none = HashMap::new();
        let have = |dice| [held("a.test", KeyKind::Ecdsa, 0, dice), held("a.test", KeyKind::Rsa, 0, dice)];
        assert!(due(&wanted, &have(0), &none, 60 * DAY - 1).is_empty());
        assert_eq!(due(&wanted, &have(0), &none, 60 * DAY).len(), 2);
        let earliest = 60 * DAY - 90 * DAY / 20;
        assert!(due(&wanted, &have(u32::MAX), &none, earliest - 1).is_empty());
        assert_eq!(due(&wanted, &have(u32::MAX), &none, earliest + 1).len(), 2);
        assert_eq!(next(&have(0), &none, DAY), Some(60 * DAY));
    }

    #[test]
    fn the_settings_say_when_it_is_renewed_at_the_latest() {
        let at = |renew_before, window, dice| {
            Held { renew_before, window, ..held("a.test", KeyKind::Ecdsa, 0, dice) }.renewal()
        };
        // A third of its life is left anyway.
        assert_eq!(at(30 * DAY, None, 0), 60 * DAY);
        assert_eq!(at(20 * DAY, None, 0), 60 * DAY);
        assert_eq!(at(40 * DAY, None, 0), 50 * DAY);
        assert_eq!(at(40 * DAY, None, 1 << 31), 50 * DAY - 90 * DAY / 40);
        // The authority may ask for earlier, not for later.
        let window = |from, to| Some((from * DAY, to * DAY));
        assert_eq!(at(40 * DAY, window(85, 89), 0), 50 * DAY);
        assert_eq!(at(40 * DAY, window(10, 12), 0), 10 * DAY);
        // A next key is not waited for longer than was told, nor is a renewal before that put off for it.
        let with_key = |next_key| Held { next_key, ..held("a.test", KeyKind::Ecdsa, 0, 0) }.renewal();
        assert_eq!((with_key(Some(20 * DAY)), with_key(Some(70 * DAY))), (20 * DAY, 60 * DAY));
        // A wish that is longer than the certificate lives does not order without end.
        assert_eq!(at(400 * DAY, None, 0), 45 * DAY);
    }

    #[test]
    fn the_authoritys_window_is_kept_to() {
        let window = Some((10 * DAY, 12 * DAY));
        let at = |dice| Held { window, ..held("a.test", KeyKind::Ecdsa, 0, dice) }.renewal();
        assert_eq!((at(0), at(1 << 31)), (10 * DAY, 11 * DAY));
        assert!(at(u32::MAX) <= 12 * DAY);
        // A window beyond the end, or one that is upside down, cannot make us late.
        let late = Held { window: Some((i64::MAX - 1, i64::MAX)), ..held("a.test", KeyKind::Ecdsa, 0, 7) };
        assert_eq!(late.renewal(), 90 * DAY);
    }

    #[test]
    fn a_revoked_one_is_replaced_at_once_and_its_successors_ever_more_seldom() {
        let at = Held { revoked: Some(DAY), ..held("a.test", KeyKind::Ecdsa, 0, 0) };
        assert_eq!(at.renewal(), DAY);
        // The authority's window, which is past for what it has revoked, is no way round the wait.
        assert_eq!(Held { window: Some((0, 1)), ..at.clone() }.renewal(), DAY);
        let have = [at, held("a.test", KeyKind::Rsa, 0, 0)];
        let none = HashMap::new();
        assert_eq!(due(&names(&["a.test"]), &have, &none, DAY - 1), []);
        assert_eq!(said(&due(&names(&["a.test"]), &have, &none, DAY)), ["a.test Ecdsa"]);
        let failed = HashMap::from([("a.test".to_owned(), name_failed(Failures::default(), DAY, 0))]);
        assert_eq!(
            due(&names(&["a.test"]), &have, &failed, DAY),
            [],
            "the waits after failures hold here too"
        );
        let mut again = Failures::default();
        let waits: Vec<i64> = (0..4)
            .map(|_| {
                again = revoked(again, 1000, 0);
                (again.until - 1000) / DAY
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 4]);
        assert!(revoked(again, 0, u32::MAX).until <= WAIT_SECONDS_MAX);
    }

    #[test]
    fn the_authority_is_asked_again_between_an_hour_and_a_day_later() {
        let mut one = held("a.test", KeyKind::Ecdsa, 0, 0);
        one.wanted_in(5, 4, 0, DAY);
        assert_eq!((one.window, one.ask_window), (None, DAY + 3600));
        one.wanted_in(2 * DAY, 3 * DAY, i64::MAX, DAY);
        assert_eq!((one.window, one.ask_window), (Some((2 * DAY, 3 * DAY)), 2 * DAY));
        // A window in the past means now.
        one.wanted_in(DAY / 2, DAY - 1, DAY, DAY);
        let orders = due(&names(&["a.test"]), &[one], &HashMap::new(), DAY);
        assert_eq!(said(&orders), ["a.test Rsa", "a.test Ecdsa"]);
    }

    #[test]
    fn what_failed_waits_longer_each_time() {
        let wanted = names(&["a.test", "b.test"]);
        let mut failures = Failures::default();
        let mut waits = Vec::new();
        for _ in 0..8 {
            failures = name_failed(failures, 1000, 0);
            waits.push(failures.until - 1000);
        }
        assert_eq!(waits, [120, 360, 1080, 3240, 9720, 29_160, 43_200, 43_200]);
        // Not five in the first hour.
        assert!(waits[..3].iter().sum::<i64>() < 3600 && waits[..4].iter().sum::<i64>() > 3600);
        let failed = HashMap::from([("a.test".to_owned(), name_failed(Failures::default(), 1000, 0))]);
        assert_eq!(said(&due(&wanted, &[], &failed, 1119)), ["b.test Ecdsa", "b.test Rsa"]);
        assert_eq!(due(&wanted, &[], &failed, 1120).len(), 4);
        assert_eq!(next(&[], &failed, 1000), Some(1120));
        let jittered = name_failed(Failures::default(), 1000, u32::MAX);
        assert!((1120..=1150).contains(&jittered.until) && jittered.until > 1140);
    }

    #[test]
    fn the_authoritys_wish_to_wait_is_respected() {
        let asked = authority_failed(Failures::default(), 0, 0, Some(7200));
        assert_eq!(asked.until, 7200);
        let mut failures = Failures::default();
        for _ in 0..40 {
            failures = authority_failed(failures, 0, 0, None);
        }
        assert_eq!(failures, Failures { count: 40, until: 3600 });
    }

    #[test]
    fn impossible_times_do_no_harm() {
        for (not_before, not_after) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (0, i64::MAX)] {
            let held = Held { not_before, not_after, ..held("a.test", KeyKind::Rsa, 0, u32::MAX) };
            let _ = (held.renewal(), Held { window: Some((i64::MIN, i64::MAX)), ..held }.renewal());
        }
    }
}
