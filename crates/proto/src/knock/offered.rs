//! Capabilities of the three languages as one value.

use super::Language;

/// Capabilities that are kept.
const CAPABILITIES_MAX: usize = 64;
/// Octets of one that are kept.
const CAPABILITY_BYTES_MAX: usize = 200;
/// Octets of a mechanism's name that are kept; RFC 4422 3.1 permits 20.
const MECHANISM_BYTES_MAX: usize = 32;

/// What a server says it offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// As the server words them: words of IMAP, lines of POP3 and SMTP.
    pub capabilities: Vec<String>,
    /// SASL mechanisms in capitals, in the server's order.
    pub mechanisms: Vec<String>,
    /// A password can be sent: LOGIN, USER, or a mechanism that does.
    pub password: bool,
    /// STARTTLS or STLS.
    pub starttls: bool,
    /// IMAP: the initial response may stand in the command (RFC 4959).
    pub initial_response: bool,
    /// A login command beside SASL: IMAP's LOGIN, POP3's USER.
    pub login_command: bool,
}

/// Reads the lines of an answer to CAPABILITY, CAPA or EHLO. A server of POP3 that does not know CAPA gives no lines; it
/// takes USER, because nothing else existed before CAPA.
#[must_use]
pub fn offered(language: Language, lines: &[String]) -> Offered {
    let mut found = Offered::default();
    match language {
        Language::Imap => imap(&mut found, lines),
        Language::Pop3 => pop3(&mut found, lines),
        Language::Smtp => smtp(&mut found, lines),
    }
    let sends = |name: &String| matches!(name.as_str(), "PLAIN" | "LOGIN");
    found.password = found.login_command || found.mechanisms.iter().any(sends);
    found
}

/// A capability that somebody on the way has overwritten: an `X` for each letter, as certain firewalls do with
/// STARTTLS (`XXXXXXXA`, `250-XXXXXXXX`).
#[must_use]
pub fn masked(capabilities: &[String]) -> Option<&str> {
    let is_mask = |word: &str| {
        let letters = word.strip_suffix(['A', 'B', 'C', 'D']).unwrap_or(word);
        letters.len() >= 4 && letters.bytes().all(|byte| byte == b'X')
    };
    capabilities.iter().map(String::as_str).find(|line| is_mask(line.split(' ').next().unwrap_or_default()))
}

impl Offered {
    fn capability(&mut self, text: &str) {
        let mut kept = String::new();
        for c in text.chars().filter(|c| !c.is_control()) {
            if kept.len() + c.len_utf8() > CAPABILITY_BYTES_MAX {
                break;
            }
            kept.push(c);
        }
        if self.capabilities.len() < CAPABILITIES_MAX && !kept.is_empty() {
            self.capabilities.push(kept);
        }
    }

    fn mechanism(&mut self, name: &str) {
        let name: String = name.chars().filter(char::is_ascii_graphic).take(MECHANISM_BYTES_MAX).collect();
        let name = name.to_ascii_uppercase();
        if !name.is_empty() && self.mechanisms.len() < CAPABILITIES_MAX && !self.mechanisms.contains(&name) {
            self.mechanisms.push(name);
        }
    }
}

/// The law of what is learnt: bounded, each mechanism once, and a password is sent where something takes it.
pub(super) fn law(language: Language, lines: &[String]) {
    let found = offered(language, lines);
    assert!(found.capabilities.len() <= CAPABILITIES_MAX && found.mechanisms.len() <= CAPABILITIES_MAX);
    assert!(found.capabilities.iter().all(|text| (1..=CAPABILITY_BYTES_MAX).contains(&text.len())));
    for (at, name) in found.mechanisms.iter().enumerate() {
        assert!((1..=MECHANISM_BYTES_MAX).contains(&name.len()) && !found.mechanisms[..at].contains(name));
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_lowercase()));
    }
    let sends = found.mechanisms.iter().any(|name| matches!(name.as_str(), "PLAIN" | "LOGIN"));
    assert_eq!(found.password, found.login_command || sends);
    if let Some(mask) = masked(&found.capabilities) {
        assert!(mask.starts_with("XXXX") && found.capabilities.iter().any(|text| text == mask));
    }
}

/// RFC 9051 7.2.2: untagged lines, or the code in an `OK`.
fn imap(found: &mut Offered, lines: &[String]) {
    let mut disabled = false;
    let mut any = false;
    for line in lines {
        let upper = line.to_ascii_uppercase();
        let Some(at) = upper.find("CAPABILITY ") else { continue };
        if !line.starts_with('*') && !upper[..at].ends_with('[') {
            continue;
        }
        let rest = &line[at + "CAPABILITY ".len()..];
        let rest = rest.split(']').next().unwrap_or_default();
        any = true;
        for word in rest.split_ascii_whitespace() {
            found.capability(word);
            let word = word.to_ascii_uppercase();
            match word.as_str() {
                "STARTTLS" => found.starttls = true,
                "LOGINDISABLED" => disabled = true,
                "SASL-IR" => found.initial_response = true,
                _ => {
                    if let Some(name) = word.strip_prefix("AUTH=") {
                        found.mechanism(name);
                    }
                }
            }
        }
    }
    found.login_command = any && !disabled;
}

/// RFC 2449 section 5.
fn pop3(found: &mut Offered, lines: &[String]) {
    found.login_command = lines.is_empty();
    for line in lines.iter().filter(|line| *line != "." && !line.starts_with("+OK")) {
        found.capability(line);
        let mut words = line.split_ascii_whitespace();
        match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
            "STLS" => found.starttls = true,
            "USER" => found.login_command = true,
            "SASL" => words.for_each(|name| found.mechanism(name)),
            _ => {}
        }
    }
}

/// RFC 5321 4.1.1.1: the first line is the server's name.
fn smtp(found: &mut Offered, lines: &[String]) {
    found.initial_response = true;
    for line in lines.iter().skip(1) {
        let Some(text) = line.get(4..) else { continue };
        found.capability(text);
        // `AUTH=PLAIN` instead of `AUTH PLAIN` was in a draft, and some servers still say it.
        let mut words = text.split(|c: char| c.is_ascii_whitespace() || c == '=').filter(|w| !w.is_empty());
        match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
            "STARTTLS" => found.starttls = true,
            "AUTH" => words.for_each(|name| found.mechanism(name)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(language: Language, lines: &str) -> Offered {
        let lines: Vec<String> = lines.split('|').filter(|l| !l.is_empty()).map(str::to_owned).collect();
        offered(language, &lines)
    }

    #[test]
    fn imap_is_read_from_lines_and_codes() {
        let found = read(
            Language::Imap,
            "* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED AUTH=scram-sha-256|d1 OK done",
        );
        assert!(found.starttls && !found.password && !found.login_command);
        assert_eq!(found.mechanisms, ["SCRAM-SHA-256"]);
        let found = read(Language::Imap, "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi");
        assert!(found.password && found.initial_response && found.login_command);
        assert_eq!(found.capabilities, ["IMAP4rev1", "SASL-IR", "AUTH=PLAIN"]);
        assert_eq!(read(Language::Imap, "d1 OK CAPABILITY completed"), Offered::default());
        assert!(read(Language::Imap, "* CAPABILITY IMAP4rev1").password);
    }

    #[test]
    fn pop3_is_read() {
        let found = read(Language::Pop3, "+OK list|USER|STLS|SASL PLAIN X|.");
        assert!(found.starttls && found.password && found.login_command);
        assert_eq!(found.mechanisms, ["PLAIN", "X"]);
        assert!(!read(Language::Pop3, "+OK|STLS|.").password);
        assert!(read(Language::Pop3, "").password, "no CAPA: only USER is left");
    }

    #[test]
    fn smtp_is_read() {
        let found =
            read(Language::Smtp, "250-STARTTLS.example hi|250-STARTTLS|250-AUTH=LOGIN|250 AUTH PLAIN LOGIN");
        assert!(found.starttls && found.password);
        assert_eq!(found.mechanisms, ["LOGIN", "PLAIN"]);
        assert!(!read(Language::Smtp, "250 STARTTLS").starttls, "that is the server's name");
        assert!(!read(Language::Smtp, "250-x|250 AUTH CRAM-MD5").password);
    }

    #[test]
    fn masks_are_seen() {
        let mask = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            masked(&words).map(str::to_owned)
        };
        assert_eq!(mask(&["PIPELINING", "XXXXXXXA"]), Some("XXXXXXXA".into()));
        assert_eq!(mask(&["XXXXXXXX"]), Some("XXXXXXXX".into()));
        assert_eq!(mask(&["XCLIENT", "X-GM-EXT-1", "XXX", "XLIST"]), None);
    }

    #[test]
    fn lists_are_bounded() {
        let long = format!("* CAPABILITY {}", "A ".repeat(1000));
        assert_eq!(read(Language::Imap, &long).capabilities.len(), CAPABILITIES_MAX);
        let long = format!("+OK|{}|\u{1}|.", "\u{20ac}".repeat(1000));
        let kept = read(Language::Pop3, &long).capabilities;
        assert_eq!(kept, ["\u{20ac}".repeat(CAPABILITY_BYTES_MAX / 3)]);
        let long = format!("* CAPABILITY AUTH={}", "a".repeat(1000));
        assert_eq!(read(Language::Imap, &long).mechanisms[0].len(), 32);
    }
}
