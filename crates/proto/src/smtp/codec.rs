//! The bytes of commands and replies.
//!
//! Lines are framed and checked, words recognised, paths and parameters of MAIL
//! and RCPT decoded, replies encoded. A command that cannot be decoded is turned
//! into the [`Reply`] that refuses it; nothing here has an effect. Whether a
//! command may come at all is the gate's question.

use super::{Body, Mail, Notify, Path, Rcpt, Reply};
use crate::address::{self, AddressError, Dots, PATH_BYTES_MAX};

/// Octets of a reply line with its CRLF (RFC 5321 4.5.3.1.5).
pub const REPLY_BYTES_MAX: usize = 512;
/// Characters of ENVID before decoding (RFC 3461 4.4).
const ENVELOPE_ID_BYTES_MAX: usize = 100;
/// Characters of ORCPT before decoding (RFC 3461 4.2).
const ORIGINAL_BYTES_MAX: usize = 500;

/// One line, if it is complete.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// No line end yet, and room for one.
    Partial,
    /// No line end within the limit.
    TooLong,
    /// A line of printable characters without its CRLF; octets used with it.
    Whole(&'a str, usize),
    /// A line with a lone CR or LF, a control character or broken UTF-8; octets used.
    Broken(usize),
}

/// Takes a line from the front. It ends with CRLF; a lone LF ends a broken one, so
/// that what follows it is never read as another command of the same line.
pub(super) fn line(input: &[u8], bytes_max: usize) -> Line<'_> {
    let window = &input[..input.len().min(bytes_max)];
    let Some(newline) = memchr::memchr(b'\n', window) else {
        return if input.len() >= bytes_max { Line::TooLong } else { Line::Partial };
    };
    let used = newline + 1;
    let Some(text) = window[..newline].strip_suffix(b"\r") else { return Line::Broken(used) };
    // A tab is white space to people; every other control character, NUL above all, is an attack or an accident.
    if text.iter().any(|b| (*b < b' ' && *b != b'\t') || *b == 0x7f) {
        return Line::Broken(used);
    }
    match std::str::from_utf8(text) {
        Ok(text) => Line::Whole(text, used),
        Err(_) => Line::Broken(used),
    }
}

/// Splits a command into its word and the rest, without the white space between and behind.
pub(super) fn split_word(line: &str) -> (&str, &str) {
    let line = line.trim_end_matches([' ', '\t']);
    match line.split_once([' ', '\t']) {
        Some((word, rest)) => (word, rest.trim_start_matches([' ', '\t'])),
        None => (line, ""),
    }
}

impl Reply {
    /// Appends the reply's bytes: every line with the code and the enhanced status
    /// (RFC 2034 4), cut to 512 octets, control characters made harmless.
    pub fn encode(&self, out: &mut Vec<u8>) {
        use std::io::Write as _;
        let empty = [String::new()];
        let lines = if self.lines.is_empty() { &empty[..] } else { &self.lines[..] };
        for (i, text) in lines.iter().enumerate() {
            let start = out.len();
            let separator = if i + 1 == lines.len() { ' ' } else { '-' };
            // Writing to a Vec cannot fail.
            let _ = write!(out, "{}{separator}", self.code);
            if let Some((class, subject, detail)) = self.status {
                let _ = write!(out, "{class}.{subject}.{detail} ");
            }
            let room = REPLY_BYTES_MAX - 2 - (out.len() - start);
            let mut end = text.len().min(room);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            out.extend(text.as_bytes()[..end].iter().map(|b| if b.is_ascii_control() { b'?' } else { *b }));
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// What differs between conversations when parameters are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// EHLO or LHLO came, so extensions may be used.
    pub extended: bool,
    /// Inside TLS (REQUIRETLS).
    pub encrypted: bool,
    /// Octets of a message.
    pub message_bytes_max: u64,
    /// The transaction has SMTPUTF8; matters to RCPT.
    pub smtputf8: bool,
}

/// Decodes what follows `MAIL`.
pub(super) fn mail(args: &str, terms: &Terms) -> Result<Mail, Reply> {
    let rest = after_keyword(args, "FROM:", "MAIL FROM:<you@example.com>")?;
    let (from, rest) = path(rest, Side::Sender)?;
    let mut mail = Mail { from, ..Mail::default() };
    for parameter in parameters(rest, terms)? {
        mail_parameter(&mut mail, &parameter?, terms)?;
    }
    if let Some(path) = &mail.from {
        check_utf8(path, mail.smtputf8)?;
    }
    Ok(mail)
}

/// Decodes what follows `RCPT`.
pub(super) fn rcpt(args: &str, terms: &Terms) -> Result<Rcpt, Reply> {
    let rest = after_keyword(args, "TO:", "RCPT TO:<name@example.com>")?;
    let (to, rest) = path(rest, Side::Recipient)?;
    let Some(to) = to else {
        return Err(Reply::new(501, (5, 1, 3), "The recipient must not be empty"));
    };
    check_utf8(&to, terms.smtputf8)?;
    let mut rcpt = Rcpt { to, notify: None, original: None };
    for parameter in parameters(rest, terms)? {
        let parameter = parameter?;
        match (parameter.keyword.as_str(), parameter.value) {
            ("NOTIFY", Some(value)) => once(&mut rcpt.notify, notify(value)?)?,
            ("ORCPT", Some(value)) => once(&mut rcpt.original, original(value)?)?,
            ("NOTIFY" | "ORCPT", None) => return Err(bad_value(&parameter)),
            _ => return Err(unknown_parameter(&parameter)),
        }
    }
    Ok(rcpt)
}

/// Decodes what follows `BDAT`: octets, and whether it is the last chunk.
pub(super) fn bdat(args: &str) -> Result<(u64, bool), Reply> {
    let mut words = args.split_ascii_whitespace();
    let size = words.next().filter(|w| w.bytes().all(|b| b.is_ascii_digit())).and_then(|w| w.parse().ok());
    let last = match words.next() {
        None => Some(false),
        Some(word) if word.eq_ignore_ascii_case("LAST") => Some(true),
        Some(_) => None,
    };
    match (size, last, words.next()) {
        (Some(size), Some(last), None) => Ok((size, last)),
        _ => Err(Reply::new(501, (5, 5, 4), "Syntax: BDAT octets, or BDAT octets LAST")),
    }
}

/// Checks what follows HELO, EHLO or LHLO. RFC 5321 4.1.4 forbids to refuse a
/// name that does not resolve; what no name or literal can contain is refused.
pub(super) fn hello<'a>(args: &'a str, word: &str) -> Result<&'a str, Reply> {
    let valid = !args.is_empty()
        && args.len() <= address::DOMAIN_BYTES_MAX
        && args
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b'(' | b')' | b'"' | b'\\' | b';'));
    if valid {
        return Ok(args);
    }
    Err(Reply::new(501, (5, 5, 4), format!("Syntax: {word} host.name, or {word} [192.0.2.1]")))
}

/// Decodes xtext (RFC 3461 4): `+3D` is `=`.
#[must_use]
pub fn xtext_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push((upper_hex(bytes.next()?)? << 4) | upper_hex(bytes.next()?)?),
            b'=' => return None,
            byte if byte.is_ascii_graphic() => out.push(byte),
            _ => return None,
        }
    }
    // What was hidden in hexadecimal must not break the line it is written to later.
    if out.iter().any(u8::is_ascii_control) {
        return None;
    }
    String::from_utf8(out).ok()
}

/// Encodes as xtext (RFC 3461 4).
#[must_use]
pub fn xtext_encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'+' && byte != b'=' {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "+{byte:02X}");
        }
    }
    out
}

fn upper_hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn after_keyword<'a>(args: &'a str, keyword: &str, example: &str) -> Result<&'a str, Reply> {
    match args.get(..keyword.len()) {
        // White space behind the colon breaks the grammar; people at a terminal type it, and it is harmless.
        Some(start) if start.eq_ignore_ascii_case(keyword) => Ok(args[keyword.len()..].trim_start()),
        _ => Err(Reply::new(501, (5, 5, 4), format!("Syntax: {example}"))),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Sender,
    Recipient,
}

impl Side {
    fn fault(self, code: u16, text: String) -> Reply {
        match self {
            Side::Sender => Reply::new(code, (5, 1, 7), text),
            Side::Recipient => Reply::new(code, (5, 1, 3), text),
        }
    }
}

/// Reads a path with its brackets from the front; gives the rest. `None` is `<>`.
fn path(text: &str, side: Side) -> Result<(Option<Path>, &str), Reply> {
    let example = match side {
        Side::Sender => "MAIL FROM:<you@example.com>",
        Side::Recipient => "RCPT TO:<name@example.com>",
    };
    let Some(inside) = text.strip_prefix('<') else {
        return Err(side.fault(501, format!("The address stands in angle brackets, like {example}")));
    };
    if let Some(rest) = inside.strip_prefix('>') {
        return Ok((None, rest));
    }
    let inside =
        skip_route(inside).ok_or_else(|| side.fault(501, format!("Bad source route; write {example}")))?;
    let dots = if side == Side::Sender { Dots::Anywhere } else { Dots::Strict };
    let fault = |error: AddressError| side.fault(553, format!("Bad address: {error}"));
    let (local, used) = address::read_local(inside, dots).map_err(fault)?;
    let after = &inside[used..];
    if let Some(rest) = after.strip_prefix('>') {
        // RFC 5321 4.1.1.3: only postmaster may stand without a domain.
        if side == Side::Recipient && local.eq_ignore_ascii_case("postmaster") {
            return Ok((Some(Path { local, domain: String::new() }), rest));
        }
        return Err(fault(AddressError::NoAt));
    }
    let Some(domain) = after.strip_prefix('@') else {
        return Err(match after.chars().next() {
            Some(c) => fault(AddressError::Character(c)),
            None => side.fault(501, format!("The closing bracket is missing, as in {example}")),
        });
    };
    let Some((domain, rest)) = domain.split_once('>') else {
        return Err(side.fault(501, format!("The closing bracket is missing, as in {example}")));
    };
    address::check_domain(domain).map_err(fault)?;
    if used + 1 + domain.len() + 2 > PATH_BYTES_MAX {
        return Err(side.fault(553, format!("The address is longer than {PATH_BYTES_MAX} octets")));
    }
    Ok((Some(Path { local, domain: domain.to_owned() }), rest))
}

/// RFC 5321 4.1.1.3 and appendix C: `@one,@two:` is accepted and ignored.
fn skip_route(inside: &str) -> Option<&str> {
    if !inside.starts_with('@') {
        return Some(inside);
    }
    let (route, rest) = inside.split_once(':')?;
    let hops = || route.split(',');
    let valid = hops().all(|hop| hop.strip_prefix('@').is_some_and(|d| address::check_domain(d).is_ok()));
    (valid && route.len() <= PATH_BYTES_MAX).then_some(rest)
}

/// RFC 6531 3.5: an address beyond ASCII needs the parameter.
fn check_utf8(path: &Path, smtputf8: bool) -> Result<(), Reply> {
    if smtputf8 || (path.local.is_ascii() && path.domain.is_ascii()) {
        return Ok(());
    }
    Err(Reply::new(553, (5, 6, 7), "An address beyond ASCII needs the SMTPUTF8 parameter of MAIL"))
}

struct Parameter<'a> {
    keyword: String,
    value: Option<&'a str>,
}

type Parameters<'a> = Result<Parameter<'a>, Reply>;

/// The parameters behind a path.
fn parameters<'a>(rest: &'a str, terms: &Terms) -> Result<impl Iterator<Item = Parameters<'a>>, Reply> {
    if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
        return Err(Reply::new(501, (5, 5, 4), "A space belongs between the address and its parameters"));
    }
    if !terms.extended && !rest.trim().is_empty() {
        return Err(Reply::new(555, (5, 5, 4), "Parameters need EHLO instead of HELO"));
    }
    Ok(rest.split_ascii_whitespace().map(|word| {
        let (keyword, value) = match word.split_once('=') {
            Some((keyword, value)) => (keyword, Some(value)),
            None => (word, None),
        };
        let keyword_valid = keyword.starts_with(|c: char| c.is_ascii_alphanumeric())
            && keyword.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !keyword_valid || value.is_some_and(|v| v.is_empty() || v.contains('=')) {
            return Err(Reply::new(501, (5, 5, 4), "Parameters are written KEYWORD or KEYWORD=value"));
        }
        Ok(Parameter { keyword: keyword.to_ascii_uppercase(), value })
    }))
}

fn mail_parameter(mail: &mut Mail, parameter: &Parameter<'_>, terms: &Terms) -> Result<(), Reply> {
    match (parameter.keyword.as_str(), parameter.value) {
        ("SIZE", Some(value)) => once(&mut mail.size, size(value, terms)?),
        ("BODY", Some(value)) => {
            let body = match value.to_ascii_uppercase().as_str() {
                "7BIT" => Body::SevenBit,
                "8BITMIME" => Body::EightBitMime,
                "BINARYMIME" => Body::BinaryMime,
                _ => return Err(bad_value(parameter)),
            };
            // 7BIT twice leaves no trace and does no harm.
            if mail.body != Body::SevenBit {
                return Err(duplicate());
            }
            mail.body = body;
            Ok(())
        }
        ("SMTPUTF8", None) => flag(&mut mail.smtputf8),
        ("REQUIRETLS", None) if !terms.encrypted => {
            // RFC 8689 4.1: the option is offered, and means something, only inside TLS.
            Err(Reply::new(530, (5, 7, 10), "REQUIRETLS needs a connection inside TLS"))
        }
        ("REQUIRETLS", None) => flag(&mut mail.require_tls),
        ("RET", Some(value)) => match value.to_ascii_uppercase().as_str() {
            "FULL" => once(&mut mail.dsn_full, true),
            "HDRS" => once(&mut mail.dsn_full, false),
            _ => Err(bad_value(parameter)),
        },
        ("ENVID", Some(value)) if value.len() <= ENVELOPE_ID_BYTES_MAX => {
            let id = xtext_decode(value).ok_or_else(|| bad_value(parameter))?;
            once(&mut mail.dsn_envelope_id, id)
        }
        ("AUTH", Some(value)) => {
            let identity = xtext_decode(value).ok_or_else(|| bad_value(parameter))?;
            once(&mut mail.auth, identity)
        }
        ("SIZE" | "BODY" | "SMTPUTF8" | "REQUIRETLS" | "RET" | "ENVID" | "AUTH", _) => {
            Err(bad_value(parameter))
        }
        _ => Err(unknown_parameter(parameter)),
    }
}

/// RFC 1870 4: one to twenty digits, more than 64 bits can hold.
fn size(value: &str, terms: &Terms) -> Result<u64, Reply> {
    if value.len() > 20 || !value.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Reply::new(501, (5, 5, 4), "SIZE is a number of octets"));
    }
    let size = value.parse().unwrap_or(u64::MAX);
    if size > terms.message_bytes_max { Err(too_big(terms.message_bytes_max)) } else { Ok(size) }
}

/// The refusal of a message that is too big, announced or received.
pub(super) fn too_big(message_bytes_max: u64) -> Reply {
    Reply::new(552, (5, 3, 4), format!("The message is bigger than {message_bytes_max} octets"))
}

/// RFC 3461 4.1: NEVER stands alone.
fn notify(value: &str) -> Result<Notify, Reply> {
    let mut notify = Notify::default();
    for word in value.split(',') {
        match word.to_ascii_uppercase().as_str() {
            "NEVER" => flag(&mut notify.never)?,
            "SUCCESS" => flag(&mut notify.success)?,
            "FAILURE" => flag(&mut notify.failure)?,
            "DELAY" => flag(&mut notify.delay)?,
            _ => return Err(notify_syntax()),
        }
    }
    if notify.never && (notify.success || notify.failure || notify.delay) {
        return Err(notify_syntax());
    }
    Ok(notify)
}

fn notify_syntax() -> Reply {
    Reply::new(501, (5, 5, 4), "NOTIFY is NEVER, or a list of SUCCESS, FAILURE and DELAY")
}

/// `rfc822;ann+40example.test`; the type stays, the address is decoded. Of the type
/// `utf-8` (RFC 6533 3) it stays as written: its escapes are others than xtext's.
fn original(value: &str) -> Result<String, Reply> {
    let fault = || Reply::new(501, (5, 5, 4), "ORCPT is written rfc822;name@example.com, in xtext");
    if value.len() > ORIGINAL_BYTES_MAX {
        return Err(fault());
    }
    let (kind, encoded) = value.split_once(';').ok_or_else(fault)?;
    if kind.is_empty() || encoded.is_empty() || !kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    {
        return Err(fault());
    }
    if kind.eq_ignore_ascii_case("utf-8") {
        return Ok(value.to_owned());
    }
    Ok(format!("{kind};{}", xtext_decode(encoded).ok_or_else(fault)?))
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Reply> {
    if slot.replace(value).is_some() { Err(duplicate()) } else { Ok(()) }
}

fn flag(slot: &mut bool) -> Result<(), Reply> {
    if std::mem::replace(slot, true) { Err(duplicate()) } else { Ok(()) }
}

fn duplicate() -> Reply {
    Reply::new(501, (5, 5, 4), "A parameter was given twice")
}

fn bad_value(parameter: &Parameter<'_>) -> Reply {
    Reply::new(501, (5, 5, 4), format!("Bad value of the parameter {}", parameter.keyword))
}

fn unknown_parameter(parameter: &Parameter<'_>) -> Reply {
    let known = parameter.keyword.get(..40).unwrap_or(&parameter.keyword);
    Reply::new(555, (5, 5, 4), format!("The parameter {known} is not known here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms { extended: true, encrypted: true, message_bytes_max: 1000, smtputf8: false };

    #[test]
    fn lines() {
        assert_eq!(line(b"NOOP\r\nX", 100), Line::Whole("NOOP", 6));
        assert_eq!(line(b"NOOP", 100), Line::Partial);
        assert_eq!(line(b"NOOP\r", 5), Line::TooLong);
        assert_eq!(line(b"NOOP\r\n", 6), Line::Whole("NOOP", 6));
        assert_eq!(line(b"NOOP\r\n", 5), Line::TooLong);
        assert_eq!(line(b"NOOP\nX\r\n", 100), Line::Broken(5));
        assert_eq!(line(b"NO\rOP\r\n", 100), Line::Broken(7));
        assert_eq!(line(b"NO\0OP\r\n", 100), Line::Broken(7));
        assert_eq!(line(b"\xff\r\n", 100), Line::Broken(3));
    }

    #[test]
    fn replies() {
        let mut out = Vec::new();
        Reply { code: 550, status: Some((5, 1, 1)), lines: vec!["a\r\n250 b".into(), "ü".repeat(400)] }
            .encode(&mut out);
        let lines: Vec<_> = out.split_inclusive(|b| *b == b'\n').collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], b"550-5.1.1 a??250 b\r\n");
        assert!(lines[1].len() <= 512 && lines[1].len() > 508 && lines[1].ends_with("ü\r\n".as_bytes()));
        out.clear();
        Reply { code: 250, status: None, lines: vec![] }.encode(&mut out);
        assert_eq!(out, b"250 \r\n");
    }

    #[test]
    fn paths() {
        let from = |text: &str| mail(text, &TERMS).map(|m| m.from.map(|p| (p.local, p.domain)));
        let pair = |l: &str, d: &str| Ok(Some((l.to_owned(), d.to_owned())));
        assert_eq!(from("FROM:<>"), Ok(None));
        assert_eq!(from("from:<a@b.test>"), pair("a", "b.test"));
        assert_eq!(from("FROM: <a@b.test>"), pair("a", "b.test"));
        assert_eq!(from("FROM:<@x.test,@y.test:a@b.test>"), pair("a", "b.test"));
        assert_eq!(from(r#"FROM:<"a b>\""@b.test>"#), pair("a b>\"", "b.test"));
        assert_eq!(from("FROM:<a..b.@docomo.test>"), pair("a..b.", "docomo.test"));
        assert_eq!(from("FROM:<a@[IPv6:::1]>"), pair("a", "[IPv6:::1]"));
        for (text, code, status) in [
            ("", 501, (5, 5, 4)),
            ("FROM:", 501, (5, 1, 7)),
            ("FROM:a@b.test", 501, (5, 1, 7)),
            ("FROM:<a@b.test", 501, (5, 1, 7)),
            ("FROM:<a>", 553, (5, 1, 7)),
            ("FROM:<a@b.test>SIZE=1", 501, (5, 5, 4)),
            ("FROM:<@x.test:>", 553, (5, 1, 7)),
            ("FROM:<ü@b.test>", 553, (5, 6, 7)),
            ("FROM:<a@b..test>", 553, (5, 1, 7)),
            ("FROM:<a@b.test> SIZE=1001", 552, (5, 3, 4)),
            ("FROM:<a@b.test> SIZE=99999999999999999999", 552, (5, 3, 4)),
            ("FROM:<a@b.test> SIZE=x", 501, (5, 5, 4)),
            ("FROM:<a@b.test> SIZE=1 SIZE=1", 501, (5, 5, 4)),
            ("FROM:<a@b.test> SMTPUTF8=1", 501, (5, 5, 4)),
            ("FROM:<a@b.test> X-FOO=1", 555, (5, 5, 4)),
            ("FROM:<a@b.test> ENVID=+0d+0A", 501, (5, 5, 4)),
            ("FROM:<a@b.test> =", 501, (5, 5, 4)),
        ] {
            let reply = mail(text, &TERMS).unwrap_err();
            assert_eq!((reply.code, reply.status), (code, Some(status)), "{text}");
        }
    }

    #[test]
    fn recipients() {
        let parsed = rcpt("TO:<Postmaster>", &TERMS).unwrap();
        assert_eq!((parsed.to.local.as_str(), parsed.to.domain.as_str()), ("Postmaster", ""));
        let parsed = rcpt("TO:<a@b.test> NOTIFY=success,DELAY ORCPT=rfc822;x+2By@b.test", &TERMS).unwrap();
        assert_eq!(parsed.notify, Some(Notify { success: true, delay: true, ..Notify::default() }));
        assert_eq!(parsed.original.as_deref(), Some("rfc822;x+y@b.test"));
        for (text, code) in [
            ("TO:<>", 501),
            ("TO:<a..b@c.test>", 553),
            ("TO:<a@b.test> NOTIFY=NEVER,DELAY", 501),
            ("TO:<a@b.test> NOTIFY=DELAY,DELAY", 501),
            ("TO:<a@b.test> SIZE=4", 555),
        ] {
            assert_eq!(rcpt(text, &TERMS).unwrap_err().code, code, "{text}");
        }
    }

    #[test]
    fn parameters_of_mail() {
        let text = "FROM:<ü@b.test> size=12 BODY=8bitmime SMTPUTF8 REQUIRETLS RET=HDRS ENVID=a+3Db AUTH=<>";
        let parsed = mail(text, &TERMS).unwrap();
        assert_eq!(parsed.size, Some(12));
        assert_eq!(parsed.body, Body::EightBitMime);
        assert!(parsed.smtputf8 && parsed.require_tls);
        assert_eq!(parsed.dsn_full, Some(false));
        assert_eq!(parsed.dsn_envelope_id.as_deref(), Some("a=b"));
        assert_eq!(parsed.auth.as_deref(), Some("<>"));
        let clear = Terms { encrypted: false, ..TERMS };
        assert_eq!(mail("FROM:<> REQUIRETLS", &clear).unwrap_err().code, 530);
        let old = Terms { extended: false, ..TERMS };
        assert_eq!(mail("FROM:<> SIZE=1", &old).unwrap_err().code, 555);
    }

    #[test]
    fn chunk_sizes() {
        assert_eq!(bdat("0 LAST"), Ok((0, true)));
        assert_eq!(bdat("12"), Ok((12, false)));
        for text in ["", "x", "-1", "+1", "1 2", "1 LAST x", "18446744073709551616"] {
            assert_eq!(bdat(text).unwrap_err().code, 501, "{text}");
        }
    }

    #[test]
    fn xtext_is_a_law() {
        for text in ["", "a+b=c d", "ü", "plain@b.test"] {
            assert_eq!(xtext_decode(&xtext_encode(text)).as_deref(), Some(text));
        }
        for text in ["+", "+4", "+4g", "a b", "a=b", "+0D"] {
            assert_eq!(xtext_decode(text), None);
        }
    }
}
