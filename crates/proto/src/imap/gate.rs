//! The table of commands: which word may be said in which state, what it needs of the
//! connection, and what may be told to the client while it runs.
//!
//! No handler refuses a command for its state; it is refused here. Whether a login is possible
//! at all is asked before the state, so that a password sent in clear is recognised as such
//! wherever in the dialogue it comes.

use crate::login;

/// Where the dialogue stands (RFC 9051 section 3). IDLE is no state of its own: no command is
/// taken in it; and after LOGOUT nothing is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Before login.
    NotAuthenticated,
    /// Logged in, no mailbox open.
    Authenticated,
    /// A mailbox is open.
    Selected,
}

impl State {
    /// All of them, for tables.
    pub const ALL: [State; 3] = [State::NotAuthenticated, State::Authenticated, State::Selected];
}

/// What a word asks of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// What the door gives before login.
    Door(login::Need),
    /// Compression that can be had.
    Compression,
    /// No compression in use: it cannot be ended but with the connection.
    Uncompressed,
}

/// Whether a command speaks in sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// No numbers of messages, or only UIDs: removals may be announced while it runs, for
    /// nothing in it changes its meaning.
    None,
    /// Sequence numbers. RFC 9586 section 3: refused with UIDONLY.
    Sequence,
    /// Sequence numbers, and no removal may be announced until it is answered
    /// (RFC 9051 7.5.1, RFC 5256 section 3). RFC 9586 section 3: refused with UIDONLY.
    SequenceHeld,
}

/// What the connection has to offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    /// To those who have not logged in.
    pub login: login::Door,
    /// COMPRESS may be used, or is in use.
    pub compress: bool,
    /// It is in use.
    pub compressed: bool,
    /// UIDONLY was enabled.
    pub uid_only: bool,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// As it is written, with `UID ` where that is part of it.
    pub name: &'static str,
    /// Where it may be said.
    pub states: &'static [State],
    /// What it needs.
    pub need: Need,
    /// What numbers it takes.
    pub numbers: Numbers,
}

/// The gate's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass.
    Go,
    /// The way in, or to TLS, is shut.
    Shut(login::Shut),
    /// COMPRESS where there is none.
    CannotCompress,
    /// What cannot be done under compression.
    Compressed,
    /// Only before login.
    LoggedIn,
    /// Only after login.
    NotLoggedIn,
    /// Only with a mailbox open.
    NotSelected,
    /// Only without a mailbox open.
    Selected,
    /// Sequence numbers with UIDONLY.
    UidRequired,
}

const ALWAYS: &[State] = &State::ALL;
const BEFORE: &[State] = &[State::NotAuthenticated];
const AFTER: &[State] = &[State::Authenticated, State::Selected];
const CLOSED: &[State] = &[State::Authenticated];
const OPEN: &[State] = &[State::Selected];

const fn row(name: &'static str, states: &'static [State]) -> Row {
    Row { name, states, need: Need::Nothing, numbers: Numbers::None }
}

const fn needs(name: &'static str, states: &'static [State], need: Need) -> Row {
    Row { name, states, need, numbers: Numbers::None }
}

const fn counts(name: &'static str, numbers: Numbers) -> Row {
    Row { name, states: OPEN, need: Need::Nothing, numbers }
}

/// All commands, in alphabetical order: they are looked up by halves.
pub const TABLE: [Row; 59] = [
    row("APPEND", AFTER),
    needs("AUTHENTICATE", BEFORE, Need::Door(login::Need::Sasl)),
    row("CANCELUPDATE", OPEN),
    row("CAPABILITY", ALWAYS),
    row("CHECK", OPEN),
    row("CLOSE", OPEN),
    row("COMPARATOR", AFTER),
    needs("COMPRESS", AFTER, Need::Compression),
    counts("COPY", Numbers::Sequence),
    row("CREATE", AFTER),
    row("DELETE", AFTER),
    row("DELETEACL", AFTER),
    // RFC 5161 section 3.1: only before a mailbox is open; what it switches would change
    // the meaning of answers that are on their way.
    row("ENABLE", CLOSED),
    row("ESEARCH", AFTER),
    row("EXAMINE", AFTER),
    row("EXPUNGE", OPEN),
    counts("FETCH", Numbers::SequenceHeld),
    row("GETACL", AFTER),
    row("GETMETADATA", AFTER),
    row("GETQUOTA", AFTER),
    row("GETQUOTAROOT", AFTER),
    row("ID", ALWAYS),
    row("IDLE", AFTER),
    // RFC 5255 section 3.1: any state, so that a failed login is told in it.
    row("LANGUAGE", ALWAYS),
    row("LIST", AFTER),
    row("LISTRIGHTS", AFTER),
    needs("LOGIN", BEFORE, Need::Door(login::Need::Password)),
    row("LOGOUT", ALWAYS),
    row("LSUB", AFTER),
    counts("MOVE", Numbers::Sequence),
    row("MYRIGHTS", AFTER),
    row("NAMESPACE", AFTER),
    row("NOOP", ALWAYS),
    row("NOTIFY", AFTER),
    row("RENAME", AFTER),
    counts("REPLACE", Numbers::Sequence),
    counts("SEARCH", Numbers::SequenceHeld),
    row("SELECT", AFTER),
    row("SETACL", AFTER),
    row("SETMETADATA", AFTER),
    row("SETQUOTA", AFTER),
    counts("SORT", Numbers::SequenceHeld),
    needs("STARTTLS", BEFORE, Need::Door(login::Need::Upgrade)),
    row("STATUS", AFTER),
    counts("STORE", Numbers::SequenceHeld),
    row("SUBSCRIBE", AFTER),
    counts("THREAD", Numbers::SequenceHeld),
    counts("UID COPY", Numbers::None),
    counts("UID EXPUNGE", Numbers::None),
    counts("UID FETCH", Numbers::None),
    counts("UID MOVE", Numbers::None),
    counts("UID REPLACE", Numbers::None),
    counts("UID SEARCH", Numbers::None),
    counts("UID SORT", Numbers::None),
    counts("UID STORE", Numbers::None),
    counts("UID THREAD", Numbers::None),
    // RFC 8437 4.1 would have compression end with the login; and section 3 allows no NO.
    needs("UNAUTHENTICATE", AFTER, Need::Uncompressed),
    row("UNSELECT", OPEN),
    row("UNSUBSCRIBE", AFTER),
];

/// The row of a word in upper case.
#[must_use]
pub fn find(name: &str) -> Option<&'static Row> {
    TABLE.binary_search_by(|row| row.name.cmp(name)).ok().map(|at| &TABLE[at])
}

/// May this command pass?
#[must_use]
pub fn check(row: &Row, state: State, door: Door) -> Verdict {
    let before_login = state == State::NotAuthenticated;
    match row.need {
        Need::Door(need) if before_login => {
            if let Err(shut) = door.login.check(need) {
                return Verdict::Shut(shut);
            }
        }
        Need::Compression if !before_login && !door.compress => return Verdict::CannotCompress,
        Need::Uncompressed if !before_login && door.compressed => return Verdict::Compressed,
        _ => {}
    }
    if !row.states.contains(&state) {
        return match state {
            State::NotAuthenticated => Verdict::NotLoggedIn,
            _ if row.states == BEFORE => Verdict::LoggedIn,
            State::Authenticated => Verdict::NotSelected,
            State::Selected => Verdict::Selected,
        };
    }
    if door.uid_only && row.numbers != Numbers::None { Verdict::UidRequired } else { Verdict::Go }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_each_word_is_found() {
        assert!(TABLE.windows(2).all(|pair| pair[0].name < pair[1].name));
        for row in &TABLE {
            assert_eq!(find(row.name).unwrap().name, row.name);
        }
        for name in ["", "UID", "FETC", "UID CLOSE", "fetch", "XLIST"] {
            assert!(find(name).is_none());
        }
    }

    #[test]
    fn no_removal_is_told_in_the_commands_that_rfc_9051_names() {
        let held: Vec<&str> =
            TABLE.iter().filter(|row| row.numbers == Numbers::SequenceHeld).map(|row| row.name).collect();
        assert_eq!(held, ["FETCH", "SEARCH", "SORT", "STORE", "THREAD"]);
    }
}
