//! What the server says of itself: the answers to EHLO and HELP.
//!
//! A keyword stands in the answer to EHLO only where its extension works in the
//! state that the connection is in.

use super::gate::{self, Phase, Row, Standing};
use super::server::{Limits, Offer};
use super::{Reply, Role};

/// The answer to EHLO and LHLO.
pub(super) fn hello(name: &str, standing: &Standing, offer: &Offer, limits: &Limits) -> Reply {
    let mut lines = vec![format!("{} greets {name}", offer.host)];
    let mut add = |line: &str| lines.push(line.to_owned());
    add("PIPELINING");
    add("ENHANCEDSTATUSCODES");
    if standing.starttls && !standing.encrypted {
        add("STARTTLS");
    }
    if standing.mechanisms && !standing.authenticated {
        let names: Vec<_> = offer.mechanisms.iter().map(|m| m.name()).collect();
        add(&format!("AUTH {}", names.join(" ")));
    }
    // Where TLS comes first no transaction can begin, so nothing about transactions is offered.
    if !standing.tls_first() {
        add(&format!("SIZE {}", limits.message_bytes_max));
        for keyword in ["8BITMIME", "BINARYMIME", "CHUNKING", "SMTPUTF8", "DSN"] {
            add(keyword);
        }
        // RFC 8689 2: only inside TLS.
        if standing.encrypted {
            add("REQUIRETLS");
        }
        // RFC 9422 3.
        add(&format!("LIMITS MAILMAX={} RCPTMAX={}", limits.mails_max, limits.recipients_max));
    }
    add("HELP");
    Reply { code: 250, status: None, lines }
}

/// The answer to HELP, with or without the name of a command.
pub(super) fn help(args: &str, standing: &Standing, host: &str) -> Reply {
    let known = |row: &&Row| row.for_role(standing.role);
    if !args.is_empty() {
        return match gate::find(args).filter(|row| known(row)) {
            Some(row) => Reply::new(214, (2, 0, 0), row.usage),
            None => Reply::new(504, (5, 5, 4), "No such command; HELP alone lists all"),
        };
    }
    let names: Vec<_> = gate::TABLE.iter().filter(known).map(|row| row.name).collect();
    let lines = vec![
        format!("Commands of {host}: {}", names.join(" ")),
        "HELP and the name of a command tells how it is written".to_owned(),
        format!("Next: {}", next_step(standing)),
    ];
    Reply { code: 214, status: Some((2, 0, 0)), lines }
}

fn next_step(standing: &Standing) -> &'static str {
    match standing.phase {
        Phase::Start if standing.role == Role::Lmtp => "LHLO your.host.name",
        Phase::Start => "EHLO your.host.name",
        _ if standing.tls_first() => "STARTTLS, then EHLO and AUTH inside TLS",
        Phase::Ready if standing.role == Role::Submission && !standing.authenticated => {
            "AUTH and one of the mechanisms that EHLO lists"
        }
        Phase::Ready => "MAIL FROM:<you@example.com>",
        Phase::Mail => "RCPT TO:<name@example.com>",
        Phase::Rcpt => "another RCPT, or DATA",
        Phase::Chunks => "BDAT octets LAST",
    }
}
