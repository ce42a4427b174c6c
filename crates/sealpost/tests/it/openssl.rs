//! `openssl s_client`: what TLS looks like from outside.

use crate::harness::{demo, run_with, said};

fn s_client(port: u16, more: &[&str], input: &[u8]) -> String {
    let server = demo();
    let address = format!("{}:{port}", server.host);
    let mut arguments = vec![
        "s_client",
        "-connect",
        &address,
        "-servername",
        "localhost",
        "-CAfile",
        &server.ca,
        "-verify_return_error",
        "-verify_hostname",
        "localhost",
    ];
    arguments.extend_from_slice(more);
    said(&run_with("openssl", &arguments, input, &[])).text
}

#[test]
fn chain_name_and_versions() {
    let server = demo();
    for (port, starttls) in [
        ("pop3s", None),
        ("submissions", None),
        ("pop3", Some("pop3")),
        ("submission", Some("smtp")),
        ("smtp", Some("smtp")),
        ("lmtp", Some("lmtp")),
    ] {
        let port = server.port(port);
        let with = |more: &[&str]| {
            let mut all: Vec<&str> = starttls.iter().flat_map(|s| ["-starttls", s]).collect();
            all.extend_from_slice(more);
            s_client(port, &all, b"")
        };
        assert!(with(&[]).contains("Verify return code: 0"), "{port}");
        assert!(with(&["-tls1_2"]).contains("Protocol  : TLSv1.2"), "{port}");
        let old = with(&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
        assert!(old.contains("alert protocol version"), "{old}");
        let cbc = with(&["-tls1_2", "-cipher", "AES128-SHA:ECDHE-RSA-AES128-SHA:@SECLEVEL=0"]);
        assert!(cbc.contains("alert handshake failure"), "{cbc}");
        for alpn in ["imap", "pop3", "smtp", "h2", "something"] {
            assert!(with(&["-alpn", alpn]).contains("Verify return code: 0"), "ALPN {alpn}");
        }
    }
}

#[test]
fn the_rsa_certificate_is_for_those_who_need_it() {
    let server = demo();
    let said = s_client(server.port("pop3s"), &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], b"");
    assert!(said.contains("Peer signature type: RSA"), "{said}");
    let said = s_client(server.port("pop3s"), &[], b"");
    assert!(said.contains("Peer signature type: ECDSA"), "{said}");
}

#[test]
fn bytes_in_clear_behind_starttls_are_never_commands() {
    use std::io::{Read, Write};
    let server = demo();
    for (port, greet, upgrade, injected) in [
        ("pop3", "", "STLS\r\n", "CAPA\r\n"),
        ("submission", "EHLO x\r\n", "STARTTLS\r\n", "NOOP\r\n"),
        ("smtp", "EHLO x\r\n", "STARTTLS\r\n", "NOOP\r\n"),
    ] {
        let mut socket =
            std::net::TcpStream::connect((server.host.as_str(), server.port(port))).expect("connect");
        socket.write_all(format!("{greet}{upgrade}{injected}").as_bytes()).expect("write");
        let mut said = String::new();
        socket.read_to_string(&mut said).expect("the service closes");
        let last = said.lines().last().expect("an answer");
        assert!(last.starts_with("-ERR") || last.starts_with("5") || last.starts_with("4"), "{said}");
        assert!(!said.contains("+OK Begin TLS") && !said.contains("220 2.0.0"), "{said}");
    }
}
