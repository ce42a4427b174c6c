//! CAPA (RFC 2449 section 5): what is announced before and after login and TLS.
//!
//! What must hold: nothing is announced that the gate would refuse in this state
//! of security. USER and SASL stay in the list after login, because their place
//! in the list must not depend on the state (RFC 2449 sections 6.2 and 6.3).

use super::gate::State;
use super::server::Offer;
use crate::login::Door;

/// The list with its final dot.
pub(super) fn write(offer: &Offer, state: State, door: Door, out: &mut Vec<u8>) {
    let mut line = |words: &[&str]| {
        for (at, word) in words.iter().enumerate() {
            if at > 0 {
                out.push(b' ');
            }
            out.extend_from_slice(word.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    };
    for word in ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "LANG"] {
        line(&[word]);
    }
    if door.password {
        // User names and passwords may be UTF-8 (RFC 6856 section 2.2).
        line(&["UTF8", "USER"]);
        line(&["USER"]);
    } else {
        line(&["UTF8"]);
    }
    if door.sasl {
        let names = offer.mechanisms.iter().map(|mechanism| mechanism.name());
        line(&std::iter::once("SASL").chain(names).collect::<Vec<_>>());
    }
    if door.starttls && !door.encrypted && state != State::Transaction {
        line(&["STLS"]);
    }
    match offer.expire_days {
        Some(days) => line(&["EXPIRE", &days.to_string()]),
        None => line(&["EXPIRE", "NEVER"]),
    }
    if offer.login_delay_seconds > 0 {
        line(&["LOGIN-DELAY", &offer.login_delay_seconds.to_string()]);
    }
    if state == State::Transaction {
        // Only to those who logged in, which RFC 2449 section 6.9 allows: a
        // stranger need not know what runs here.
        line(&["IMPLEMENTATION", concat!("Sealpost-", env!("CARGO_PKG_VERSION"))]);
    }
    line(&["."]);
}
