//! MAIL and RCPT as a client writes them.
//!
//! What must hold: what the server's side decodes from these lines is what they
//! were made from, and no value, whatever it contains, ends its line early.

use super::capabilities::Capabilities;
use super::client::Fault;
use super::{Body, Mail, Notify, Path, Rcpt, xtext_encode};

/// `MAIL FROM:<..>` with what the server offers of its parameters, and CRLF.
pub(super) fn mail_line(mail: &Mail, offered: &Capabilities) -> Result<Vec<u8>, Fault> {
    let path = mail.from.as_ref().map(|p| path(p, mail.smtputf8)).transpose()?.unwrap_or_default();
    let mut line = format!("MAIL FROM:<{path}>");
    let mut add = |text: &str| {
        line.push(' ');
        line.push_str(text);
    };
    if let Some(size) = mail.size.filter(|_| offered.size.is_some()) {
        add(&format!("SIZE={size}"));
    }
    match mail.body {
        Body::EightBitMime if offered.eight_bit_mime => add("BODY=8BITMIME"),
        Body::BinaryMime => add("BODY=BINARYMIME"),
        _ => {}
    }
    if mail.smtputf8 {
        add("SMTPUTF8");
    }
    if mail.require_tls {
        add("REQUIRETLS");
    }
    if offered.dsn {
        match mail.dsn_full {
            Some(true) => add("RET=FULL"),
            Some(false) => add("RET=HDRS"),
            None => {}
        }
        if let Some(id) = &mail.dsn_envelope_id {
            add(&format!("ENVID={}", xtext_encode(id)));
        }
    }
    if let Some(auth) = mail.auth.as_ref().filter(|_| !offered.auth.is_empty()) {
        add(&format!("AUTH={}", xtext_encode(auth)));
    }
    line.push_str("\r\n");
    Ok(line.into_bytes())
}

/// `RCPT TO:<..>`, likewise.
pub(super) fn rcpt_line(rcpt: &Rcpt, smtputf8: bool, offered: &Capabilities) -> Result<Vec<u8>, Fault> {
    let mut line = format!("RCPT TO:<{}>", path(&rcpt.to, smtputf8)?);
    if offered.dsn {
        if let Some(notify) = rcpt.notify {
            line.push_str(" NOTIFY=");
            line.push_str(&notify_words(notify));
        }
        if let Some((kind, address)) = rcpt.original.as_ref().and_then(|o| o.split_once(';')) {
            if !kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
                return Err(Fault::Unsendable);
            }
            // The escapes of `utf-8` (RFC 6533) were left as they came.
            let utf8 = kind.eq_ignore_ascii_case("utf-8") && address.bytes().all(|b| b.is_ascii_graphic());
            let address = if utf8 { address.to_owned() } else { xtext_encode(address) };
            line.push_str(&format!(" ORCPT={kind};{address}"));
        }
    }
    line.push_str("\r\n");
    Ok(line.into_bytes())
}

fn notify_words(notify: Notify) -> String {
    let words: Vec<_> = [(notify.success, "SUCCESS"), (notify.failure, "FAILURE"), (notify.delay, "DELAY")]
        .into_iter()
        .filter_map(|(given, word)| given.then_some(word))
        .collect();
    if words.is_empty() { "NEVER".to_owned() } else { words.join(",") }
}

/// A path as text, refused if it could end its command early.
fn path(path: &Path, smtputf8: bool) -> Result<String, Fault> {
    let text = path.to_string();
    let domain_bad = path.domain.contains(|c: char| c.is_whitespace() || matches!(c, '<' | '>'));
    if text.chars().any(char::is_control) || domain_bad || (!smtputf8 && !text.is_ascii()) {
        return Err(Fault::Unsendable);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::codec::{self, Terms};

    fn everything() -> Capabilities {
        Capabilities {
            size: Some(0),
            eight_bit_mime: true,
            binary_mime: true,
            smtputf8: true,
            dsn: true,
            require_tls: true,
            auth: vec!["PLAIN".into()],
            ..Capabilities::default()
        }
    }

    fn args(line: Vec<u8>) -> String {
        let line = String::from_utf8(line).unwrap();
        line.strip_suffix("\r\n").unwrap()[5..].to_owned()
    }

    #[test]
    fn encode_and_decode_is_a_law() {
        let terms = Terms { extended: true, encrypted: true, message_bytes_max: 100, smtputf8: true };
        let path = |local: &str| Path { local: local.into(), domain: "b.test".into() };
        for mail in [
            Mail::default(),
            Mail { from: Some(path("a b\"c")), size: Some(7), body: Body::BinaryMime, ..Mail::default() },
            Mail {
                from: Some(path("ü")),
                smtputf8: true,
                require_tls: true,
                dsn_full: Some(false),
                dsn_envelope_id: Some("a+b= c".into()),
                auth: Some("<>".into()),
                ..Mail::default()
            },
        ] {
            assert_eq!(codec::mail(&args(mail_line(&mail, &everything()).unwrap()), &terms), Ok(mail));
        }
        let notify = Notify { success: true, delay: true, ..Notify::default() };
        for rcpt in [
            Rcpt { to: path("ann"), notify: None, original: None },
            Rcpt { to: path("ann"), notify: Some(notify), original: Some("rfc822;a+b= c@d.test".into()) },
            Rcpt { to: path("a"), notify: None, original: Some("utf-8;\\x{e9}@d.test".into()) },
        ] {
            assert_eq!(codec::rcpt(&args(rcpt_line(&rcpt, true, &everything()).unwrap()), &terms), Ok(rcpt));
        }
    }

    #[test]
    fn nothing_ends_a_line_early() {
        for (local, domain) in [("a\r\nRCPT", "b.test"), ("a", "b.test> X"), ("a", "b\r\n"), ("ü", "b.test")]
        {
            let path = Path { local: local.into(), domain: domain.into() };
            let mail = Mail { from: Some(path.clone()), ..Mail::default() };
            assert_eq!(mail_line(&mail, &everything()), Err(Fault::Unsendable));
            let rcpt = Rcpt { to: path, notify: None, original: None };
            assert_eq!(rcpt_line(&rcpt, false, &everything()), Err(Fault::Unsendable));
        }
        let id = Some("a\r\nb".to_owned());
        let mail = Mail { dsn_envelope_id: id, auth: Some("\n".into()), ..Mail::default() };
        let line = mail_line(&mail, &everything()).unwrap();
        assert_eq!(memchr::memchr_iter(b'\n', &line).count(), 1);
    }
}
