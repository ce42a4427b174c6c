//! The table of commands: which word may be said in which state, what it needs
//! of the connection, and how many arguments it takes.
//!
//! No handler refuses a command for its state; it is refused here. Whether a
//! login is possible at all is asked before the state, so that a password sent
//! in clear is recognised as such wherever in the dialogue it comes.

use crate::login::{Door, Need, Shut};

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// RFC 5034.
    Auth,
    /// RFC 2449.
    Capa,
    /// RFC 1939.
    Dele,
    /// RFC 6856.
    Lang,
    /// RFC 1939.
    List,
    /// RFC 1939.
    Noop,
    /// RFC 1939.
    Pass,
    /// RFC 1939.
    Quit,
    /// RFC 1939.
    Retr,
    /// RFC 1939.
    Rset,
    /// RFC 1939.
    Stat,
    /// RFC 2595.
    Stls,
    /// RFC 1939.
    Top,
    /// RFC 1939.
    Uidl,
    /// RFC 1939.
    User,
    /// RFC 6856.
    Utf8,
}

/// Where the dialogue stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// AUTHORIZATION, no user named yet.
    ExpectLogin,
    /// AUTHORIZATION, USER was accepted.
    ExpectPass,
    /// TRANSACTION.
    Transaction,
}

impl State {
    /// All of them, for tables.
    pub const ALL: [State; 3] = [State::ExpectLogin, State::ExpectPass, State::Transaction];
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The word.
    pub word: Word,
    /// As it is written.
    pub name: &'static str,
    /// Where it may be said.
    pub states: &'static [State],
    /// What it needs of the connection before login.
    pub need: Option<Need>,
    /// Number of arguments, least and most; `None` as most: the rest of the line is one.
    pub arguments: (usize, Option<usize>),
}

/// The gate's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass.
    Go,
    /// The way in, or to TLS, is shut.
    Shut(Shut),
    /// Not in this state.
    WrongState,
}

const PASSWORD: Option<Need> = Some(Need::Password);
const SASL: Option<Need> = Some(Need::Sasl);
const UPGRADE: Option<Need> = Some(Need::Upgrade);
const BEFORE: &[State] = &[State::ExpectLogin, State::ExpectPass];
const PASS: &[State] = &[State::ExpectPass];
const AFTER: &[State] = &[State::Transaction];
const ALWAYS: &[State] = &State::ALL;

const fn row(
    word: Word,
    name: &'static str,
    states: &'static [State],
    need: Option<Need>,
    arguments: (usize, Option<usize>),
) -> Row {
    Row { word, name, states, need, arguments }
}

/// All commands. APOP is absent on purpose: it needs the password itself kept on
/// the server, and MD5.
pub const TABLE: [Row; 16] = [
    row(Word::Auth, "AUTH", BEFORE, SASL, (0, Some(2))),
    row(Word::Capa, "CAPA", ALWAYS, None, (0, Some(0))),
    row(Word::Dele, "DELE", AFTER, None, (1, Some(1))),
    row(Word::Lang, "LANG", ALWAYS, None, (0, Some(1))),
    row(Word::List, "LIST", AFTER, None, (0, Some(1))),
    row(Word::Noop, "NOOP", AFTER, None, (0, Some(0))),
    row(Word::Pass, "PASS", PASS, PASSWORD, (1, None)),
    row(Word::Quit, "QUIT", ALWAYS, None, (0, Some(0))),
    row(Word::Retr, "RETR", AFTER, None, (1, Some(1))),
    row(Word::Rset, "RSET", AFTER, None, (0, Some(0))),
    row(Word::Stat, "STAT", AFTER, None, (0, Some(0))),
    row(Word::Stls, "STLS", BEFORE, UPGRADE, (0, Some(0))),
    row(Word::Top, "TOP", AFTER, None, (2, Some(2))),
    row(Word::Uidl, "UIDL", AFTER, None, (0, Some(1))),
    row(Word::User, "USER", BEFORE, PASSWORD, (1, None)),
    row(Word::Utf8, "UTF8", BEFORE, None, (0, Some(0))),
];

/// The row of a word in any letter case (RFC 1939 section 3).
#[must_use]
pub fn find(name: &[u8]) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name.as_bytes().eq_ignore_ascii_case(name))
}

/// May this command pass?
#[must_use]
pub fn check(row: &Row, state: State, door: Door) -> Verdict {
    if let Some(need) = row.need.filter(|_| state != State::Transaction)
        && let Err(shut) = door.check(need)
    {
        return Verdict::Shut(shut);
    }
    if row.states.contains(&state) { Verdict::Go } else { Verdict::WrongState }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_case() {
        for row in &TABLE {
            assert_eq!(find(row.name.to_ascii_lowercase().as_bytes()).unwrap().word, row.word);
        }
        assert!(find(b"APOP").is_none());
        assert!(find(b"").is_none());
        assert!(find(b"STA").is_none());
    }
}
