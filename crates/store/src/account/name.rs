//! What the name of a mailbox may be, and which names are the same.
//!
//! Pure. Levels are separated by `/`; the first level is `INBOX` in any letter case, and no other level has such a rule.

use super::{INBOX, Refused, Why};
use std::borrow::Cow;

/// Octets of a mailbox's name.
pub const NAME_BYTES_MAX: usize = 1024;
/// Levels of a mailbox's name.
pub const NAME_LEVELS_MAX: usize = 20;

/// The name as it is kept: `INBOX` as the first level in upper case, everything else as it is.
pub(crate) fn canonical_name(name: &str) -> Cow<'_, str> {
    let first = name.split('/').next().unwrap_or(name);
    if first == INBOX || !first.eq_ignore_ascii_case(INBOX) {
        return name.into();
    }
    // Letter case does not change how long it is.
    format!("{INBOX}{}", &name[INBOX.len()..]).into()
}

/// Refuses what cannot be the name of a mailbox.
pub(crate) fn check_name(name: &str) -> Result<(), Refused> {
    check(name, NAME_BYTES_MAX, NAME_LEVELS_MAX)
}

/// Refuses what cannot be subscribed to. Names of other people's mailboxes have their owner in front.
pub(crate) fn check_subscription(name: &str) -> Result<(), Refused> {
    check(name, 2 * NAME_BYTES_MAX, 2 * NAME_LEVELS_MAX)
}

fn check(name: &str, bytes_max: usize, levels_max: usize) -> Result<(), Refused> {
    if name.is_empty() {
        return Err(Refused::BadName(Why::NameEmpty));
    }
    if name.len() > bytes_max {
        return Err(Refused::BadName(Why::NameTooLong(bytes_max)));
    }
    if name.chars().any(char::is_control) {
        return Err(Refused::BadName(Why::NameControl));
    }
    if name.split('/').any(str::is_empty) {
        return Err(Refused::BadName(Why::NameLevelEmpty));
    }
    if name.split('/').count() > levels_max {
        return Err(Refused::BadName(Why::NameLevels(levels_max)));
    }
    Ok(())
}

/// The names of the levels above, from the top.
pub(crate) fn above(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').map(|(at, _)| &name[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inbox_in_any_letter_case_is_the_first_level_only() {
        for (name, canonical) in [
            ("INBOX", "INBOX"),
            ("inBox", "INBOX"),
            ("inbox/Lists", "INBOX/Lists"),
            ("inboxes", "inboxes"),
            ("a/inbox", "a/inbox"),
            ("", ""),
            ("ınbox", "ınbox"),
        ] {
            assert_eq!(canonical_name(name), canonical);
        }
    }

    #[test]
    fn names_that_are_none() {
        let long = "a".repeat(NAME_BYTES_MAX);
        let deep = vec!["a"; NAME_LEVELS_MAX].join("/");
        for good in ["a", ".", "..", "a b/ö", "a%*", &long, &deep] {
            assert!(check_name(good).is_ok(), "{good:?}");
        }
        let (longer, deeper) = (format!("{long}a"), format!("{deep}/a"));
        for bad in ["", "/", "/a", "a/", "a//b", "a\0", "a\r\n", "\u{85}", &longer, &deeper] {
            assert!(matches!(check_name(bad), Err(Refused::BadName(_))), "{bad:?}");
        }
        assert!(check_subscription(&deeper).is_ok());
        assert!(check_subscription(&long.repeat(3)).is_err());
    }

    #[test]
    fn levels_above() {
        assert_eq!(above("a/b/c").collect::<Vec<_>>(), ["a", "a/b"]);
        assert_eq!(above("a").count(), 0);
    }
}
