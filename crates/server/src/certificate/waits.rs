//! What the keeper must not forget when the service starts again: waits after failures, how many orders were begun, and which
//! revoked certificates it has seen to.
//!
//! It lies beside the account's key, for it is the account's standing at the authority. What must hold: a restart (also
//! one after another, as a supervisor does it) is no way round a wait; and no file, whatever stands in it, makes
//! us wait for longer than the longest wait there is.

use super::plan::{self, Failures};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// As it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// The authority's own failures.
    #[serde(default)]
    pub away: Failures,
    /// Those of names.
    #[serde(default)]
    pub failed: BTreeMap<String, Failures>,
    /// When the orders of the last hour began, Unix seconds, the oldest first.
    #[serde(default)]
    pub begun: Vec<i64>,
    /// What was revoked, by the certificate's place.
    #[serde(default)]
    pub revoked: BTreeMap<String, Revoked>,
}

/// A certificate that the authority has revoked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// The certificate's mark, in hexadecimal.
    pub mark: String,
    /// When it is replaced: once, whatever is said of it again.
    pub at: i64,
    /// When the one in its place may be replaced, should that be revoked too.
    pub again: Failures,
}

impl Waits {
    /// As they stand now.
    pub(super) fn now(
        away: Failures,
        failed: &HashMap<String, Failures>,
        begun: &VecDeque<i64>,
        revoked: &BTreeMap<String, Revoked>,
    ) -> Waits {
        Waits {
            away,
            failed: failed.iter().map(|(name, failures)| (name.clone(), *failures)).collect(),
            begun: begun.iter().copied().collect(),
            revoked: revoked.clone(),
        }
    }

    /// Reads what was written.
    ///
    /// # Errors
    /// It is damaged.
    pub(super) fn read(octets: &[u8], now: i64) -> Result<Waits, serde_json::Error> {
        let mut waits: Waits = serde_json::from_slice(octets)?;
        let bounded = |failures: &mut Failures| {
            failures.until = failures.until.min(now.saturating_add(plan::WAIT_SECONDS_MAX));
        };
        bounded(&mut waits.away);
        waits.failed.values_mut().for_each(bounded);
        for revoked in waits.revoked.values_mut() {
            bounded(&mut revoked.again);
            revoked.at = revoked.at.min(now.saturating_add(plan::WAIT_SECONDS_MAX));
        }
        // A clock that was ahead must not hold us up.
        waits.begun.retain(|begun| *begun <= now);
        waits.begun.sort_unstable();
        Ok(waits)
    }

    pub(super) fn written(&self) -> Vec<u8> {
        // Strings and numbers always have a form in JSON.
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_waits_for_ever() {
        let failures = |until| Failures { count: 2, until };
        let failed = HashMap::from([("a.test".to_owned(), failures(2000))]);
        let one = Revoked { mark: "00ff".to_owned(), at: 900, again: failures(1900) };
        let revoked = BTreeMap::from([("a.test.ecdsa".to_owned(), one)]);
        let waits = Waits::now(failures(1500), &failed, &VecDeque::from([100, 900]), &revoked);
        assert_eq!(Waits::read(&waits.written(), 1000).unwrap(), waits);
        assert_eq!(Waits::read(b"{}", 1000).unwrap(), Waits::default());
        let far = r#"{"away":{"count":1,"until":9223372036854775807},"failed":{"a.test":{"count":4294967295,"until":
            9223372036854775807}},"begun":[99999999,5,-3],"revoked":{"a.test.rsa":{"mark":"","at":9223372036854775807,"again":{"count":1,"until":
            9223372036854775807}}}}"#;
        let read = Waits::read(far.as_bytes(), 1000).unwrap();
        let longest = 1000 + 7 * 86_400;
        assert_eq!((read.away.until, read.failed["a.test"].until), (longest, longest));
        assert_eq!(read.begun, [-3, 5]);
        let revoked = &read.revoked["a.test.rsa"];
        assert_eq!((revoked.at, revoked.again.until), (longest, longest));
        for damaged in [&b""[..], b"{", b"7", b"{\"away\":{\"count\":-1,\"until\":0}}", b"\xff"] {
            assert!(Waits::read(damaged, 1000).is_err());
        }
    }
}
