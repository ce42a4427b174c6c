//! A raw IMAP client: says what it is told to say and hands out what comes, line by line with its literals.

use crate::house::{House, password_of};
use crate::wire::{Look, Wire};
use std::time::Duration;

/// Somebody who reads mail with IMAP.
pub struct Imap {
    wire: Wire,
    held: Vec<u8>,
    tags: u32,
}

/// What a command brought.
#[derive(Debug)]
pub struct Answer {
    /// Untagged lines, without `* ` and their line end.
    pub lines: Vec<String>,
    /// The tagged line, without its tag and line end.
    pub end: String,
}

impl Answer {
    pub fn ok(&self) -> bool {
        self.end.starts_with("OK")
    }

    /// The lines that hold this.
    pub fn with(&self, word: &str) -> Vec<&str> {
        self.lines.iter().map(String::as_str).filter(|line| line.contains(word)).collect()
    }

    /// The only line that holds this.
    pub fn one(&self, word: &str) -> &str {
        let found = self.with(word);
        assert_eq!(found.len(), 1, "{word} in {self:?}");
        found[0]
    }

    /// The number of a code such as UIDNEXT, wherever it stands.
    pub fn number(&self, word: &str) -> u64 {
        let all = self.lines.iter().map(String::as_str).chain([self.end.as_str()]);
        let text = all.filter_map(|line| line.split_once(&format!("[{word} "))).next();
        let (_, behind) = text.unwrap_or_else(|| panic!("{word} in {self:?}"));
        behind.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    }
}

impl Imap {
    /// Connected under TLS and greeted.
    pub async fn open(house: &House) -> Imap {
        let wire = Wire::clear(house, "imaps").await.secure(house, &Look::default()).await;
        let mut imap = Imap { wire, held: Vec::new(), tags: 0 };
        let greeting = imap.line().await;
        assert!(greeting.starts_with("* OK "), "{greeting}");
        imap
    }

    /// Logged in.
    pub async fn of(house: &House, user: &str) -> Imap {
        let mut imap = Imap::open(house).await;
        let answer = imap.ask(&format!("LOGIN {user} {}", password_of(user))).await;
        assert!(answer.ok(), "{answer:?}");
        imap
    }

    /// Logged in, with an open mailbox.
    pub async fn at(house: &House, user: &str, mailbox: &str) -> Imap {
        let mut imap = Imap::of(house, user).await;
        imap.good(&format!("SELECT {mailbox}")).await;
        imap
    }

    /// The next line with its literals, without the last line end. Octets that are no UTF-8 are replaced.
    pub async fn line(&mut self) -> String {
        String::from_utf8_lossy(&self.octets().await).into_owned()
    }

    /// The same as octets.
    pub async fn octets(&mut self) -> Vec<u8> {
        let mut from = 0;
        loop {
            let Some(end) = self.held[from..].windows(2).position(|w| w == b"\r\n") else {
                self.more().await;
                continue;
            };
            let end = from + end;
            match literal(&self.held[..end]) {
                None => {
                    let line = self.held[..end].to_vec();
                    self.held.drain(..end + 2);
                    return line;
                }
                Some(len) => {
                    from = end + 2 + len;
                    while self.held.len() < from {
                        self.more().await;
                    }
                }
            }
        }
    }

    async fn more(&mut self) {
        let open = self.wire.hear(&mut self.held).await;
        assert!(open, "closed after {}", String::from_utf8_lossy(&self.held));
    }

    /// Says a command with the next tag, which it returns.
    pub async fn begin(&mut self, command: &str) -> String {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        self.wire.say(format!("{tag} {command}\r\n").as_bytes()).await;
        tag
    }

    /// Says octets as they are.
    pub async fn say(&mut self, octets: &[u8]) {
        self.wire.say(octets).await;
    }

    /// Everything until the tagged answer.
    pub async fn end(&mut self, tag: &str) -> Answer {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            if let Some(end) = line.strip_prefix(tag) {
                return Answer { lines, end: end.trim_start().to_owned() };
            }
            let line = line.strip_prefix("* ").unwrap_or_else(|| panic!("{line} while {tag} is due"));
            lines.push(line.to_owned());
        }
    }

    /// A command and its answer.
    pub async fn ask(&mut self, command: &str) -> Answer {
        let tag = self.begin(command).await;
        self.end(&tag).await
    }

    /// A command that has to work.
    pub async fn good(&mut self, command: &str) -> Answer {
        let answer = self.ask(command).await;
        assert!(answer.ok(), "{command}: {answer:?}");
        answer
    }

    /// APPEND with non-synchronising literals: flags and date as written, and messages.
    pub async fn append(&mut self, mailbox: &str, messages: &[(&str, &[u8])]) -> Answer {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        let mut all = format!("{tag} APPEND {mailbox}").into_bytes();
        for (head, message) in messages {
            let head = if head.is_empty() { String::new() } else { format!(" {head}") };
            all.extend_from_slice(format!("{head} {{{}+}}\r\n", message.len()).as_bytes());
            all.extend_from_slice(message);
        }
        all.extend_from_slice(b"\r\n");
        self.wire.say(&all).await;
        self.end(&tag).await
    }

    /// In IDLE; the answer is that of [`Imap::done`].
    pub async fn idle(&mut self) -> String {
        let tag = self.begin("IDLE").await;
        let line = self.line().await;
        assert!(line.starts_with("+ "), "{line}");
        tag
    }

    pub async fn done(&mut self, tag: &str) -> Answer {
        self.wire.say(b"DONE\r\n").await;
        self.end(tag).await
    }

    /// Nothing comes for a while.
    pub async fn is_quiet(&mut self) -> bool {
        let silence = Duration::from_millis(100);
        tokio::time::timeout(silence, self.line()).await.is_err()
    }
}

/// The length of the literal that a line announces at its end.
fn literal(line: &[u8]) -> Option<usize> {
    let inner = line.strip_suffix(b"}")?;
    let open = inner.iter().rposition(|b| *b == b'{')?;
    std::str::from_utf8(&inner[open + 1..]).ok()?.parse().ok()
}
