//! Sealpost itself: nothing to find. The tests of the presets ask for each of them.

use super::{examine, question, told};
use crate::harness::{Server, User, demo};
use doctor::{Exit, Level};
use std::net::Ipv4Addr;

const DOORS: &[&str] = &[
    "imaps",
    "imap",
    "pop3s",
    "pop3",
    "submissions",
    "submission",
    "submission-2525",
    "submission-2025",
    "submission-26",
    "smtp",
];

/// The ports for mail that a preset has, and the authority.
fn doors(server: &Server) -> (Vec<(&'static str, u16)>, Vec<u8>) {
    let doors = DOORS.iter().filter_map(|name| server.ports.get(*name).map(|port| (*name, *port))).collect();
    let pem = std::fs::read(&server.ca).expect("the authority");
    (doors, doctor::roots::read(&pem).expect("a certificate").remove(0))
}

/// The doctor finds nothing above a note in a service.
pub fn healthy(server: &Server) {
    let (doors, authority) = doors(server);
    let answer = examine(&question(&server.host, &doors, authority, None), &server.host, Ipv4Addr::LOCALHOST);
    let told = told(&answer, &doors);
    assert_eq!(answer.exit, Exit::Fine, "{told}");
    assert!(answer.findings.iter().all(|finding| finding.level == Level::Note), "{told}");
    // What can be used is told: all that people may sign in to.
    assert!(answer.settings.len() >= 3, "{told}");
}

/// What an attempt to sign in to the demo is told as.
fn signed_in(address: &str, password: &str) -> String {
    let server = demo();
    let (doors, authority) = doors(server);
    let mut question = question(&server.host, &doors, authority, Some(password));
    question.address = Some(address.to_owned());
    told(&examine(&question, &server.host, Ipv4Addr::LOCALHOST), &doors)
}

#[test]
fn signing_in() {
    let User { address, password } = demo().user();
    let right = signed_in(&address, &password);
    assert!(right.starts_with("0 "), "{right}");
    assert!(right.contains("note login-works 993 465\n"), "{right}");
    for port in [993, 465] {
        assert!(right.contains(&format!("login {port} SCRAM-SHA-256 Works address\n")), "{right}");
    }
    // Nothing tells a wrong password from a user who does not exist.
    let wrong = signed_in(&address, "something else");
    assert!(wrong.starts_with("2 ") && wrong.contains("broken login-wrong 993 465\n"), "{wrong}");
    assert_eq!(wrong, signed_in("nobody@example.test", "something else"));
}
