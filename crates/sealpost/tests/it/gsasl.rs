//! GNU SASL's client logs in by every mechanism.

use crate::harness::{demo, run};
use crate::skips::skipped;

#[test]
fn every_mechanism_over_smtp() {
    let server = demo();
    let user = server.user();
    let port = server.port("submission").to_string();
    let mut tried = 0;
    for mechanism in [
        "PLAIN",
        "LOGIN",
        "CRAM-MD5",
        "SCRAM-SHA-1",
        "SCRAM-SHA-1-PLUS",
        "SCRAM-SHA-256",
        "SCRAM-SHA-256-PLUS",
    ] {
        if skipped("gsasl", mechanism) {
            continue;
        }
        // With a channel binding at hand, gsasl refuses by itself to go without it.
        let binding = if mechanism.ends_with("-PLUS") { "--no-client-first" } else { "--no-cb" };
        let address = format!("{}:{port}", server.host);
        let login = |password: &str| {
            run(
                "gsasl",
                &[
                    "--client",
                    "--smtp",
                    "--connect",
                    &address,
                    "--mechanism",
                    mechanism,
                    "--authentication-id",
                    &user.address,
                    "--password",
                    password,
                    "--x509-ca-file",
                    &server.ca,
                    binding,
                ],
            )
        };
        let answer = login(&user.password);
        assert!(answer.code == 0 && answer.text.contains("235 2.7.0"), "{mechanism}: {}", answer.text);
        let answer = login("wrong");
        assert!(!answer.text.contains("235 2.7.0"), "{mechanism}: {}", answer.text);
        tried += 1;
    }
    assert!(tried >= 7, "only {tried} mechanisms tried");
}
