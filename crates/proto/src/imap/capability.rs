//! CAPABILITY: one table of keywords and of when each is announced.
//!
//! What must hold: nothing is announced that would be refused in this state. One exception is made
//! knowingly: ENABLE and IDLE stand in the list before login too, as they do at Dovecot, because
//! Python's `imaplib` reads the list once, before login, and refuses both by itself otherwise.
//!
//! Deliberately not here: COMPARATOR's I18NLEVEL=2, ANNOTATE, URLAUTH: they are not built.

use super::gate::{Door, State};
use super::server::Offer;

/// When a keyword is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Always,
    BeforeLogin,
    AfterLogin,
    /// Before login on a clear connection that can be upgraded.
    Upgrade,
    /// Before login where LOGIN is refused (RFC 9051 6.2.3).
    LoginDisabled,
    /// After login where compression can be had and is not in use (RFC 4978 section 3).
    Compression,
    /// After login where compression is not in use: it cannot be ended (RFC 8437 4.1).
    Uncompressed,
}

/// Keywords as IANA has them, in an order for readers. `AUTH=`, APPENDLIMIT and MESSAGELIMIT have
/// values and are written by [`write`].
const TABLE: &[(&str, When)] = &[
    ("IMAP4rev1", When::Always),
    ("IMAP4rev2", When::Always),
    // RFC 7888 section 5: a stranger gets the form with 4096 octets at most, whose announced octets
    // are little to read away; who has logged in gets the form without a bound. A server
    // announces one of the two.
    ("LITERAL-", When::BeforeLogin),
    ("LITERAL+", When::AfterLogin),
    ("STARTTLS", When::Upgrade),
    ("LOGINDISABLED", When::LoginDisabled),
    ("SASL-IR", When::BeforeLogin),
    ("ID", When::Always),
    ("ENABLE", When::Always),
    ("IDLE", When::Always),
    ("LANGUAGE", When::Always),
    ("COMPRESS=DEFLATE", When::Compression),
    ("UNAUTHENTICATE", When::Uncompressed),
    ("UTF8=ACCEPT", When::AfterLogin),
    ("I18NLEVEL=1", When::AfterLogin),
    ("INPROGRESS", When::AfterLogin),
    ("NAMESPACE", When::AfterLogin),
    ("CHILDREN", When::AfterLogin),
    ("LIST-EXTENDED", When::AfterLogin),
    ("LIST-STATUS", When::AfterLogin),
    ("LIST-MYRIGHTS", When::AfterLogin),
    ("LIST-METADATA", When::AfterLogin),
    ("SPECIAL-USE", When::AfterLogin),
    ("CREATE-SPECIAL-USE", When::AfterLogin),
    ("STATUS=SIZE", When::AfterLogin),
    ("METADATA", When::AfterLogin),
    ("QUOTA", When::AfterLogin),
    ("QUOTA=RES-STORAGE", When::AfterLogin),
    ("QUOTA=RES-MESSAGE", When::AfterLogin),
    ("QUOTASET", When::AfterLogin),
    ("ACL", When::AfterLogin),
    ("RIGHTS=kxte", When::AfterLogin),
    ("UNSELECT", When::AfterLogin),
    ("OBJECTID", When::AfterLogin),
    ("NOTIFY", When::AfterLogin),
    ("UIDPLUS", When::AfterLogin),
    ("MOVE", When::AfterLogin),
    ("REPLACE", When::AfterLogin),
    ("MULTIAPPEND", When::AfterLogin),
    ("CATENATE", When::AfterLogin),
    ("BINARY", When::AfterLogin),
    ("SAVEDATE", When::AfterLogin),
    ("PREVIEW", When::AfterLogin),
    ("CONDSTORE", When::AfterLogin),
    ("QRESYNC", When::AfterLogin),
    ("UIDONLY", When::AfterLogin),
    ("ESEARCH", When::AfterLogin),
    ("SEARCHRES", When::AfterLogin),
    ("WITHIN", When::AfterLogin),
    ("SEARCH=FUZZY", When::AfterLogin),
    ("PARTIAL", When::AfterLogin),
    ("MULTISEARCH", When::AfterLogin),
    ("SORT", When::AfterLogin),
    ("SORT=DISPLAY", When::AfterLogin),
    ("ESORT", When::AfterLogin),
    ("CONTEXT=SEARCH", When::AfterLogin),
    ("CONTEXT=SORT", When::AfterLogin),
    ("THREAD=ORDEREDSUBJECT", When::AfterLogin),
    ("THREAD=REFERENCES", When::AfterLogin),
];

/// `CAPABILITY IMAP4rev1 ...`, for the answer and for the response code. `compressed`: compression
/// is in use.
pub(super) fn write(offer: &Offer, state: State, door: Door, compressed: bool, out: &mut Vec<u8>) {
    let before_login = state == State::NotAuthenticated;
    out.extend_from_slice(b"CAPABILITY");
    let mut word = |parts: &[&str]| {
        out.push(b' ');
        parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
    };
    for (name, when) in TABLE {
        let announced = match when {
            When::Always => true,
            When::BeforeLogin => before_login,
            When::AfterLogin => !before_login,
            When::Upgrade => before_login && !door.login.encrypted && door.login.starttls,
            When::LoginDisabled => before_login && !door.login.password,
            When::Compression => !before_login && door.compress && !compressed,
            When::Uncompressed => !before_login && !compressed,
        };
        if announced {
            word(&[name]);
        }
    }
    if before_login {
        for mechanism in &offer.mechanisms {
            word(&["AUTH=", mechanism.name()]);
        }
        return;
    }
    word(&["APPENDLIMIT=", &offer.append_bytes_max.to_string()]);
    if let Some(limit) = offer.message_limit {
        word(&["MESSAGELIMIT=", &limit.to_string()]);
    }
}
