//! Our own client's machine: for the doctor, for tests, for fetching elsewhere.
//!
//! Commands may be pipelined; each says what kind of answer it will get, and the
//! answers come back in that order. Message bodies stream through in pieces that
//! borrow from the input.

use super::codec::{Framed, Lines, Piece, Unstuffer};
use crate::machine::{Machine, Tick};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::VecDeque;

/// What answer a command gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// One line.
    Line,
    /// One line, and if it is `+OK`, more until the dot.
    Body,
    /// Challenges until `+OK` or `-ERR`.
    Sasl,
    /// One line, and if it is `+OK`, TLS.
    Tls,
}

/// What the server said.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A status line.
    Reply(Reply),
    /// A piece of a multi-line answer, stuffing taken off.
    Data(&'a [u8]),
    /// The multi-line answer is complete.
    End,
    /// A SASL challenge, decoded; reply with [`Client::sasl`].
    Challenge(Vec<u8>),
    /// The server agreed to TLS.
    StartTls,
    /// The server broke the protocol; the machine has ended.
    Misbehaved(&'static str),
}

/// A status line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// `+OK`.
    pub ok: bool,
    /// Response code without brackets (RFC 2449 section 8), `SYS/TEMP`.
    pub code: Option<String>,
    /// The rest.
    pub text: String,
}

/// Every limit, with its default in `Default`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Octets of a status line (RFC 1939 says 512; others are less strict, and SASL needs more).
    pub line_bytes_max: usize,
    /// Commands without an answer yet.
    pub pipeline_max: usize,
    /// The server's silence before we give up.
    pub silence_seconds_max: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { line_bytes_max: 16 << 10, pipeline_max: 1000, silence_seconds_max: 600 }
    }
}

/// The client's side of POP3.
#[derive(Debug)]
pub struct Client {
    limits: Limits,
    /// The greeting is the first.
    expected: VecDeque<Expect>,
    body: Option<Unstuffer>,
    lines: Lines,
    output: Vec<u8>,
    heard: Tick,
    ended: bool,
}

impl Client {
    /// Waits for the greeting, unless TLS was just begun with STLS.
    #[must_use]
    pub fn new(limits: Limits, greeting: bool, now: Tick) -> Client {
        let expected = if greeting { VecDeque::from([Expect::Line]) } else { VecDeque::new() };
        Client {
            limits,
            expected,
            body: None,
            lines: Lines::new(),
            output: Vec::new(),
            heard: now,
            ended: false,
        }
    }

    /// Sends a command, without CRLF. False if it cannot be sent: a line end
    /// inside, too many unanswered, or a conversation that is over.
    pub fn command(&mut self, line: &str, expect: Expect) -> bool {
        if self.ended || self.expected.len() >= self.limits.pipeline_max || line.contains(['\r', '\n', '\0'])
        {
            return false;
        }
        self.output.extend_from_slice(line.as_bytes());
        self.output.extend_from_slice(b"\r\n");
        self.expected.push_back(expect);
        true
    }

    /// Answers a challenge; `None` cancels.
    pub fn sasl(&mut self, response: Option<&[u8]>) {
        match response {
            Some(response) => self.output.extend_from_slice(STANDARD.encode(response).as_bytes()),
            None => self.output.push(b'*'),
        }
        self.output.extend_from_slice(b"\r\n");
    }

    fn status<'a>(&mut self, line: &[u8]) -> Event<'a> {
        let Some(&expect) = self.expected.front() else {
            return self.misbehaved("a reply to no command");
        };
        if expect == Expect::Sasl && line.first() == Some(&b'+') && matches!(line.get(1), None | Some(b' ')) {
            return match STANDARD.decode(line.get(2..).unwrap_or_default()) {
                Ok(challenge) => Event::Challenge(challenge),
                Err(_) => self.misbehaved("a challenge that is not base64"),
            };
        }
        let Some(reply) = parse(line) else { return self.misbehaved("neither +OK nor -ERR") };
        self.expected.pop_front();
        match expect {
            Expect::Body if reply.ok => self.body = Some(Unstuffer::new()),
            Expect::Tls if reply.ok => {
                if !self.expected.is_empty() || self.lines.partial() {
                    return self.misbehaved("clear bytes behind STLS");
                }
                return Event::StartTls;
            }
            _ => {}
        }
        Event::Reply(reply)
    }

    fn misbehaved<'a>(&mut self, how: &'static str) -> Event<'a> {
        self.ended = true;
        Event::Misbehaved(how)
    }
}

impl Machine for Client {
    type Event<'a> = Event<'a>;

    fn receive<'a>(&mut self, input: &'a [u8], now: Tick) -> (usize, Option<Event<'a>>) {
        let mut used = 0;
        while !self.ended && used < input.len() {
            self.heard = now;
            if let Some(body) = &mut self.body {
                let (taken, piece) = body.next(&input[used..]);
                used += taken;
                match piece {
                    Some(Piece::Data(data)) => return (used, Some(Event::Data(data))),
                    Some(Piece::End) => {
                        self.body = None;
                        return (used, Some(Event::End));
                    }
                    None => continue,
                }
            }
            let limit = self.limits.line_bytes_max;
            let (taken, framed) = self.lines.next(&input[used..], |_| limit);
            used += taken;
            let event = match framed {
                None => break,
                Some(Framed::Line(line)) => self.status(&line),
                Some(Framed::TooLong) => self.misbehaved("an endless line"),
                Some(Framed::BadBytes) => self.misbehaved("a line that does not end with CRLF"),
            };
            return (used, Some(event));
        }
        (used, None)
    }

    fn timeout(&mut self, _now: Tick) {
        self.ended = true;
    }

    fn deadline(&self) -> Tick {
        self.heard.plus_seconds(self.limits.silence_seconds_max)
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    fn ended(&self) -> bool {
        self.ended
    }

    fn idle(&self) -> bool {
        self.expected.is_empty() && self.body.is_none()
    }

    fn shutdown(&mut self) {
        // Without QUIT: nothing that was marked as deleted is removed.
        self.ended = true;
    }

    fn tls_go_ahead(&mut self) {}

    fn tls_early_bytes(&mut self) {
        self.ended = true;
    }
}

fn parse(line: &[u8]) -> Option<Reply> {
    let (ok, rest) = match line.strip_prefix(b"+OK") {
        Some(rest) => (true, rest),
        None => (false, line.strip_prefix(b"-ERR")?),
    };
    let text = match rest {
        [] => String::new(),
        [b' ', text @ ..] => String::from_utf8_lossy(text).into_owned(),
        _ => return None,
    };
    let code = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    Some(match code {
        Some((code, rest)) => {
            Reply { ok, code: Some(code.to_ascii_uppercase()), text: rest.trim_start().to_owned() }
        }
        None => Reply { ok, code: None, text },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(input: &[u8], commands: &[(&str, Expect)]) -> Vec<String> {
        let mut client = Client::new(Limits::default(), true, Tick(0));
        for (line, expect) in commands {
            assert!(client.command(line, *expect));
        }
        let mut out = Vec::new();
        let mut at = 0;
        while at < input.len() {
            let (used, event) = client.receive(&input[at..], Tick(1));
            at += used;
            match event {
                Some(event) => out.push(format!("{event:?}")),
                None if used == 0 => break,
                None => {}
            }
        }
        out
    }

    #[test]
    fn replies_bodies_and_challenges() {
        let input = b"+OK hi\r\n-ERR [sys/temp] later\r\n+OK\r\n..a\r\n.\r\n+ aGk=\r\n+OK in\r\n";
        let commands = [("STAT", Expect::Line), ("RETR 1", Expect::Body), ("AUTH LOGIN", Expect::Sasl)];
        assert_eq!(
            events(input, &commands),
            [
                r#"Reply(Reply { ok: true, code: None, text: "hi" })"#,
                r#"Reply(Reply { ok: false, code: Some("SYS/TEMP"), text: "later" })"#,
                r#"Reply(Reply { ok: true, code: None, text: "" })"#,
                "Data([46, 97, 13, 10])",
                "End",
                "Challenge([104, 105])",
                r#"Reply(Reply { ok: true, code: None, text: "in" })"#,
            ]
        );
    }

    #[test]
    fn what_nobody_asked_for_ends_it() {
        assert_eq!(events(b"+OK hi\r\n+OK again\r\n", &[])[1], r#"Misbehaved("a reply to no command")"#);
        assert_eq!(events(b"220 smtp\r\n", &[]), [r#"Misbehaved("neither +OK nor -ERR")"#]);
    }

    #[test]
    fn lines_cannot_be_smuggled_into_a_command() {
        let mut client = Client::new(Limits::default(), false, Tick(0));
        assert!(!client.command("USER a\r\nDELE 1", Expect::Line));
        assert!(client.output().is_empty());
    }
}
