//! What no well-behaved client does, by hand over a socket.

use crate::harness::{Own, demo};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

struct Line(BufReader<TcpStream>);

impl Line {
    fn open(port: &str) -> Line {
        let server = demo();
        let socket = TcpStream::connect((server.host.as_str(), server.port(port))).expect("connect");
        let mut line = Line(BufReader::new(socket));
        line.read();
        line
    }

    fn read(&mut self) -> String {
        let mut all = String::new();
        loop {
            let mut text = String::new();
            self.0.read_line(&mut text).expect("read");
            let more =
                text.as_bytes().get(3) == Some(&b'-') && text.starts_with(|c: char| c.is_ascii_digit());
            all.push_str(&text);
            if !more {
                return all;
            }
        }
    }

    fn say(&mut self, text: &str) -> String {
        self.0.get_mut().write_all(text.as_bytes()).expect("write");
        self.read()
    }
}

#[test]
fn smuggling_is_refused() {
    let server = demo();
    let user = server.user();
    for end in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r"] {
        let mut line = Line::open("smtp");
        line.say("EHLO x.test\r\n");
        line.say("MAIL FROM:<a@x.test>\r\n");
        line.say(&format!("RCPT TO:<{}>\r\n", user.address));
        assert!(line.say("DATA\r\n").starts_with("354"));
        let smuggled = format!(
            "Subject: one\r\n\r\nbody{end}MAIL FROM:<evil@x.test>\r\nRCPT TO:<{}>\r\nDATA\r\nSubject: two\r\n\r\nx\r\n.\r\n",
            user.address
        );
        let answer = line.say(&smuggled);
        assert!(answer.starts_with("55"), "{end:?}: {answer}");
        assert!(line.say("NOOP\r\n").starts_with("250"), "{end:?}");
    }
    assert!(server.fetch_all(&user).is_empty());
}

#[test]
fn a_password_in_clear_is_refused_with_the_remedy() {
    let server = demo();
    let mut pop3 = Line::open("pop3");
    let answer = pop3.say("USER someone\r\n");
    assert!(answer.starts_with("-ERR") && answer.contains(&server.port("pop3s").to_string()), "{answer}");
    let mut smtp = Line::open("submission");
    let ehlo = smtp.say("EHLO x.test\r\n");
    assert!(!ehlo.contains("AUTH"), "{ehlo}");
    let answer = smtp.say("AUTH PLAIN AGEAYg==\r\n");
    assert!(answer.starts_with("5") && answer.contains(&server.port("submissions").to_string()), "{answer}");
}

#[test]
fn endless_lines_cost_nothing_and_harm_nobody() {
    let mut line = Line::open("smtp");
    let long = "x".repeat(1 << 20);
    let answer = line.say(&format!("EHLO {long}\r\n"));
    assert!(answer.starts_with("500"), "{answer}");
    assert!(line.say("EHLO x.test\r\n").starts_with("250"));
}

#[test]
fn clear_text_on_a_tls_port_is_told_so() {
    // The demo's port takes both ways; this one does not.
    let mut own = Own::prepare("");
    own.start();
    let server = own.server();
    let mut socket = TcpStream::connect((server.host.as_str(), server.port("pop3s"))).expect("connect");
    socket.write_all(b"USER someone\r\n").expect("write");
    let mut answer = String::new();
    BufReader::new(socket).read_line(&mut answer).expect("read");
    assert!(answer.starts_with("-ERR") && answer.contains("SSL/TLS"), "{answer}");
}
