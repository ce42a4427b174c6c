//! Reading what any mail server says, for those who look rather than use: IMAP, POP3 and SMTP as far as greeting,
//! capabilities, STARTTLS and signing in.
//!
//! The machines of [`crate::imap`], [`crate::pop3`] and [`crate::smtp`] are strict, as programs that carry mail
//! must be. Here a server may be wrong in many ways, and what it says is shown to a person: lines end as they
//! like, codes need not agree, unknown lines are kept. What must hold: everything is bounded by the caller's lines
//! and [`LINES_MAX`]; nothing panics. Deliberately not here: sockets, and what the findings mean.

mod offered;
pub mod words;

pub use offered::{Offered, masked, offered};

use crate::service::Protocol;

/// Lines of one answer.
pub const LINES_MAX: usize = 128;

/// The three languages of mail clients; LMTP and submission are SMTP here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
    /// SMTP.
    Smtp,
}

/// What is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// The greeting.
    Greeting,
    /// The answer to a command of one line; in IMAP the one with this tag.
    Reply(u32),
    /// The answer to CAPA, ended by a dot; in IMAP and SMTP as [`Awaited::Reply`].
    Listing(u32),
}

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `OK`, `+OK`, 2xx.
    Ok,
    /// `NO`, `-ERR`, 4xx, 5xx.
    No,
    /// The command is not known: `BAD`, 500 to 504. POP3 has no such word.
    Bad,
    /// `+`, 3xx: the server waits for more.
    Continue,
    /// The server says goodbye: `* BYE`, 421, or a greeting that refuses.
    Bye,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How it ends.
    pub verdict: Verdict,
    /// Its lines as they came, without line ends.
    pub lines: Vec<String>,
}

/// What a line was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// More lines follow.
    More,
    /// The answer is complete.
    Done(Answer),
    /// The answer has more lines than anybody needs.
    TooLong,
    /// Not in this language.
    Foreign,
}

/// Gathers the lines of one answer.
#[derive(Clone, Debug)]
pub struct Gathering {
    language: Language,
    awaited: Awaited,
    lines: Vec<String>,
}

impl Language {
    /// What is spoken for a protocol; `None` for the web.
    #[must_use]
    pub fn of(protocol: Protocol) -> Option<Language> {
        match protocol {
            Protocol::Imap => Some(Language::Imap),
            Protocol::Pop3 => Some(Language::Pop3),
            Protocol::Smtp | Protocol::Submission | Protocol::Lmtp => Some(Language::Smtp),
            Protocol::Web => None,
        }
    }

    /// The language of a first line.
    #[must_use]
    pub fn greeting(line: &str) -> Option<Language> {
        let upper = line.get(..10.min(line.len())).unwrap_or(line).to_ascii_uppercase();
        let begins = |words: &[&str]| words.iter().any(|word| upper.starts_with(word));
        if begins(&["* OK", "* PREAUTH", "* BYE", "* NO", "* BAD"]) {
            Some(Language::Imap)
        } else if begins(&["+OK", "-ERR"]) {
            Some(Language::Pop3)
        } else {
            reply_code(line).map(|_| Language::Smtp)
        }
    }

    /// Asks what the server can do. `name` is our EHLO name.
    #[must_use]
    pub fn ask_capabilities(self, tag: u32, name: &str) -> String {
        match self {
            Language::Imap => format!("{} CAPABILITY", Tag(tag)),
            Language::Pop3 => "CAPA".to_owned(),
            Language::Smtp => format!("EHLO {name}"),
        }
    }

    /// Asks for TLS.
    #[must_use]
    pub fn ask_tls(self, tag: u32) -> String {
        match self {
            Language::Imap => format!("{} STARTTLS", Tag(tag)),
            Language::Pop3 => "STLS".to_owned(),
            Language::Smtp => "STARTTLS".to_owned(),
        }
    }

    /// A command that changes nothing anywhere, and that every server answers in every state. POP3 knows NOOP only
    /// after login, and says so; an answer it is.
    #[must_use]
    pub fn harmless(self, tag: u32) -> String {
        match self {
            Language::Imap => format!("{} NOOP", Tag(tag)),
            Language::Pop3 | Language::Smtp => "NOOP".to_owned(),
        }
    }

    /// Says goodbye.
    #[must_use]
    pub fn leave(self, tag: u32) -> String {
        match self {
            Language::Imap => format!("{} LOGOUT", Tag(tag)),
            Language::Pop3 | Language::Smtp => "QUIT".to_owned(),
        }
    }
}

/// A tag of IMAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(pub u32);

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "d{}", self.0)
    }
}

impl Gathering {
    /// Begins.
    #[must_use]
    pub fn new(language: Language, awaited: Awaited) -> Gathering {
        Gathering { language, awaited, lines: Vec::new() }
    }

    /// Takes a line without its end.
    pub fn push(&mut self, line: &str) -> Step {
        if self.lines.len() >= LINES_MAX {
            return Step::TooLong;
        }
        let first = self.lines.is_empty();
        self.lines.push(line.to_owned());
        let verdict = match self.language {
            Language::Imap => self.imap(line),
            Language::Pop3 => self.pop3(line, first),
            Language::Smtp => self.smtp(line),
        };
        match verdict {
            Ok(None) => Step::More,
            Ok(Some(verdict)) => Step::Done(Answer { verdict, lines: std::mem::take(&mut self.lines) }),
            Err(NotThisLanguage) => Step::Foreign,
        }
    }

    fn imap(&self, line: &str) -> Result<Option<Verdict>, NotThisLanguage> {
        let mut words = line.splitn(3, ' ');
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let second = second.to_ascii_uppercase();
        if self.awaited == Awaited::Greeting {
            return match (first, second.as_str()) {
                ("*", "OK" | "PREAUTH") => Ok(Some(Verdict::Ok)),
                ("*", "BYE" | "NO" | "BAD") => Ok(Some(Verdict::Bye)),
                _ => Err(NotThisLanguage),
            };
        }
        let (Awaited::Reply(number) | Awaited::Listing(number)) = self.awaited else { return Ok(None) };
        match first {
            "*" if second == "BYE" => Ok(Some(Verdict::Bye)),
            "*" => Ok(None),
            "+" => Ok(Some(Verdict::Continue)),
            tag if tag.eq_ignore_ascii_case(&Tag(number).to_string()) => match second.as_str() {
                "OK" => Ok(Some(Verdict::Ok)),
                "NO" => Ok(Some(Verdict::No)),
                "BAD" => Ok(Some(Verdict::Bad)),
                _ => Err(NotThisLanguage),
            },
            // The answer to something else: a command that we did not wait for.
            _ => Ok(None),
        }
    }

    fn pop3(&self, line: &str, first: bool) -> Result<Option<Verdict>, NotThisLanguage> {
        let listing = matches!(self.awaited, Awaited::Listing(_));
        if !first {
            return Ok((line == ".").then_some(Verdict::Ok));
        }
        let upper = line.get(..4.min(line.len())).unwrap_or(line).to_ascii_uppercase();
        match upper.as_str() {
            text if text.starts_with("+OK") => Ok((!listing).then_some(Verdict::Ok)),
            "-ERR" if self.awaited == Awaited::Greeting => Ok(Some(Verdict::Bye)),
            "-ERR" => Ok(Some(Verdict::No)),
            text if text == "+" || text.starts_with("+ ") => Ok(Some(Verdict::Continue)),
            _ => Err(NotThisLanguage),
        }
    }

    fn smtp(&self, line: &str) -> Result<Option<Verdict>, NotThisLanguage> {
        let (code, more) = reply_code(line).ok_or(NotThisLanguage)?;
        if more {
            return Ok(None);
        }
        Ok(Some(match code {
            421 => Verdict::Bye,
            400.. if self.awaited == Awaited::Greeting => Verdict::Bye,
            200..=299 => Verdict::Ok,
            300..=399 => Verdict::Continue,
            500..=504 => Verdict::Bad,
            _ => Verdict::No,
        }))
    }
}

impl Answer {
    /// The last line behind tag, code or sign: the server's own words.
    #[must_use]
    pub fn words(&self) -> &str {
        self.lines.last().map_or("", |line| text_of(line))
    }

    /// The text of a challenge, still in base64.
    #[must_use]
    pub fn challenge(&self) -> &str {
        self.words()
    }
}

struct NotThisLanguage;

/// Behind `d1 NO `, `* BYE `, `-ERR `, `535 `, `+ `.
fn text_of(line: &str) -> &str {
    let behind = |line: &str, words: usize| {
        let mut rest = line.len();
        let mut left = words;
        for (at, _) in line.match_indices(' ') {
            if left == 0 {
                break;
            }
            left -= 1;
            rest = at + 1;
        }
        rest.min(line.len())
    };
    if line == "+" {
        return "";
    }
    let words = match line.as_bytes() {
        [b'+' | b'-', ..] => 1,
        _ if reply_code(line).is_some() => return line.get(4..).unwrap_or_default(),
        _ => 2,
    };
    if line.matches(' ').count() < words { "" } else { &line[behind(line, words)..] }
}

/// The code of a reply of SMTP, and whether more lines follow.
fn reply_code(line: &str) -> Option<(u16, bool)> {
    let bytes = line.as_bytes();
    let digits = bytes.get(..3)?;
    if !digits.iter().all(u8::is_ascii_digit) || !(b'2'..=b'5').contains(&digits[0]) {
        return None;
    }
    let code = digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    match bytes.get(3) {
        None | Some(b' ') => Some((code, false)),
        Some(b'-') => Some((code, true)),
        _ => None,
    }
}

/// The laws for the fuzzer: whatever a server says, in whichever language it is heard, an answer has the lines that came
/// and no more than [`LINES_MAX`]; a greeting's first line tells the language that takes it; what is learnt of an answer is
/// bounded and stands in it.
#[doc(hidden)]
pub fn law(said: &[u8]) {
    let said = String::from_utf8_lossy(said);
    let lines: Vec<String> = said.split('\n').map(str::to_owned).collect();
    for language in [Language::Imap, Language::Pop3, Language::Smtp] {
        for awaited in [Awaited::Greeting, Awaited::Reply(1), Awaited::Listing(1)] {
            law_of_an_answer(language, awaited, &lines);
        }
        offered::law(language, &lines);
        let louder: Vec<String> = lines.iter().map(|line| line.to_ascii_uppercase()).collect();
        for verdict in [Verdict::Ok, Verdict::No, Verdict::Bad, Verdict::Continue, Verdict::Bye] {
            let meant = words::refusal(language, verdict, &lines);
            assert_eq!(words::refusal(language, verdict, &louder), meant, "{lines:?}");
        }
    }
}

fn law_of_an_answer(language: Language, awaited: Awaited, lines: &[String]) {
    let mut gathering = Gathering::new(language, awaited);
    for (at, line) in lines.iter().enumerate() {
        match gathering.push(line) {
            Step::More => assert!(at < LINES_MAX),
            Step::TooLong => return assert_eq!(at, LINES_MAX),
            Step::Foreign => return,
            Step::Done(answer) => {
                assert!(at < LINES_MAX);
                assert_eq!(answer.lines, lines[..=at]);
                assert!(line.ends_with(answer.words()));
                // Nobody greets with "+ ", so that no language is known by it.
                if awaited == Awaited::Greeting && answer.verdict != Verdict::Continue {
                    assert_eq!(Language::greeting(&lines[0]), Some(language), "{lines:?}");
                }
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gather(language: Language, awaited: Awaited, lines: &[&str]) -> Step {
        let mut gathering = Gathering::new(language, awaited);
        let mut last = Step::More;
        for line in lines {
            assert_eq!(last, Step::More, "ended before {line}");
            last = gathering.push(line);
        }
        last
    }

    fn verdict(language: Language, awaited: Awaited, lines: &[&str]) -> Verdict {
        match gather(language, awaited, lines) {
            Step::Done(answer) => answer.verdict,
            other => panic!("{lines:?}: {other:?}"),
        }
    }

    #[test]
    fn greetings_tell_the_language() {
        for (line, language) in [
            ("* OK ready", Some(Language::Imap)),
            ("* ok [CAPABILITY IMAP4rev1]", Some(Language::Imap)),
            ("* PREAUTH hello", Some(Language::Imap)),
            ("+OK POP3", Some(Language::Pop3)),
            ("-ERR busy", Some(Language::Pop3)),
            ("220 mx ESMTP", Some(Language::Smtp)),
            ("554", Some(Language::Smtp)),
            ("220-a", Some(Language::Smtp)),
            ("SSH-2.0-OpenSSH_9", None),
            ("HTTP/1.1 400 Bad Request", None),
            ("* ", None),
            ("123456", None),
            ("", None),
            ("\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}", None),
        ] {
            assert_eq!(Language::greeting(line), language, "{line}");
        }
    }

    #[test]
    fn answers_end_where_they_end() {
        use Awaited::{Greeting, Listing, Reply};
        let imap = |awaited, lines: &[&str]| verdict(Language::Imap, awaited, lines);
        assert_eq!(imap(Greeting, &["* OK hi"]), Verdict::Ok);
        assert_eq!(imap(Greeting, &["* BYE later"]), Verdict::Bye);
        assert_eq!(imap(Reply(2), &["* CAPABILITY IMAP4rev1", "d1 OK other", "D2 ok done"]), Verdict::Ok);
        assert_eq!(imap(Reply(2), &["d2 NO [AUTHENTICATIONFAILED] no"]), Verdict::No);
        assert_eq!(imap(Reply(2), &["d2 BAD what"]), Verdict::Bad);
        assert_eq!(imap(Reply(2), &["+ "]), Verdict::Continue);
        assert_eq!(imap(Reply(2), &["+"]), Verdict::Continue);
        let pop3 = |awaited, lines: &[&str]| verdict(Language::Pop3, awaited, lines);
        assert_eq!(pop3(Greeting, &["-ERR go"]), Verdict::Bye);
        assert_eq!(pop3(Listing(0), &["+OK", "STLS", "."]), Verdict::Ok);
        assert_eq!(pop3(Listing(0), &["-ERR what"]), Verdict::No);
        assert_eq!(pop3(Reply(0), &["+OK begin"]), Verdict::Ok);
        assert_eq!(pop3(Reply(0), &["+ cHJvbXB0"]), Verdict::Continue);
        let smtp = |awaited, lines: &[&str]| verdict(Language::Smtp, awaited, lines);
        assert_eq!(smtp(Greeting, &["220-a", "220 b"]), Verdict::Ok);
        assert_eq!(smtp(Greeting, &["554 no"]), Verdict::Bye);
        assert_eq!(smtp(Reply(0), &["502 no"]), Verdict::Bad);
        assert_eq!(smtp(Reply(0), &["535 5.7.8 no"]), Verdict::No);
        assert_eq!(smtp(Reply(0), &["334 VXNlcg=="]), Verdict::Continue);
        assert_eq!(smtp(Reply(0), &["421 away"]), Verdict::Bye);
        assert_eq!(gather(Language::Smtp, Reply(0), &["* OK"]), Step::Foreign);
        assert_eq!(gather(Language::Pop3, Greeting, &["* OK"]), Step::Foreign);
    }

    #[test]
    fn words_are_the_servers_own() {
        let words =
            |line: &str| Answer { verdict: Verdict::No, lines: vec![line.to_owned()] }.words().to_owned();
        assert_eq!(words("d2 NO [UNAVAILABLE] later"), "[UNAVAILABLE] later");
        assert_eq!(words("-ERR [AUTH] wrong"), "[AUTH] wrong");
        assert_eq!(words("535 5.7.8 wrong"), "5.7.8 wrong");
        assert_eq!(words("+ cHJvbXB0"), "cHJvbXB0");
        assert_eq!(words("+"), "");
        assert_eq!(words("d2 NO"), "");
        assert_eq!(words(""), "");
    }

    #[test]
    fn endless_answers_are_left() {
        let mut gathering = Gathering::new(Language::Smtp, Awaited::Reply(0));
        assert!((0..LINES_MAX).all(|_| gathering.push("250-x") == Step::More));
        assert_eq!(gathering.push("250 x"), Step::TooLong);
    }

    proptest! {
        #[test]
        fn any_octets_obey_the_laws(said in prop::collection::vec(any::<u8>(), 0..200)) {
            law(&said);
        }

        #[test]
        fn nearly_right_answers_obey_the_laws(said in "([*+d1-]{1,2} (OK|NO|CAPABILITY|BYE) ?|[2-5][0-9]{2}[ -]|-ERR |X{4}|\\PC{0,9}|=PLAIN |\\n){0,30}") {
            law(said.as_bytes());
        }
    }
}
