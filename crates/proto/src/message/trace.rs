//! The fields that each hop puts on top of a message (RFC 5321 4.4).
//!
//! What must hold: whatever the client said of itself stands in the field only in
//! characters that cannot end a line, a comment or the field.

use crate::date;
use crate::proof::TlsVersion;
use crate::smtp::{Path, Role};
use std::fmt::Write as _;
use std::net::IpAddr;

/// Octets of a client's own name that are written down.
const NAME_BYTES_MAX: usize = 255;

/// `Return-Path: <ann@example.test>` with its CRLF; `None` is the null path.
#[must_use]
pub fn return_path(from: Option<&Path>) -> String {
    let path = from.map(|p| harmless(&p.to_string(), "")).unwrap_or_default();
    format!("Return-Path: <{path}>\r\n")
}

/// `Delivered-To: ann@example.test` with its CRLF.
#[must_use]
pub fn delivered_to(address: &str) -> String {
    format!("Delivered-To: {}\r\n", harmless(address, ""))
}

/// What a Received field tells.
#[derive(Clone, Debug)]
pub struct Received<'a> {
    /// What the client called itself.
    pub hello: &'a str,
    /// Where it came from; `None` keeps a user's network out of the message.
    pub client: Option<IpAddr>,
    /// Our name.
    pub host: &'a str,
    /// Which conversation.
    pub role: Role,
    /// EHLO or LHLO, not HELO.
    pub extended: bool,
    /// Version and cipher suite, inside TLS.
    pub tls: Option<(TlsVersion, &'a str)>,
    /// AUTH succeeded.
    pub authenticated: bool,
    /// The transaction had SMTPUTF8.
    pub smtputf8: bool,
    /// Names the transaction in our logs.
    pub id: &'a str,
    /// The recipient, if there is only one: others are not to be told.
    pub recipient: Option<&'a Path>,
    /// Unix seconds.
    pub time: i64,
}

impl Received<'_> {
    /// The field, folded, with its CRLF.
    #[must_use]
    pub fn field(&self) -> String {
        let mut out = format!("Received: from {}", harmless(self.hello, "()<>;\"\\,"));
        // Writing to a String cannot fail.
        let _ = match self.client.map(|ip| ip.to_canonical()) {
            Some(IpAddr::V4(ip)) => write!(out, " ([{ip}])"),
            Some(IpAddr::V6(ip)) => write!(out, " ([IPv6:{ip}])"),
            None => Ok(()),
        };
        let _ = write!(out, "\r\n\tby {} with {}", self.host, self.protocol());
        if let Some((version, cipher)) = self.tls {
            let _ = write!(out, " ({} {cipher})", version.name());
        }
        let _ = write!(out, "\r\n\tid {}", harmless(self.id, "()<>;\"\\,"));
        if let Some(recipient) = self.recipient {
            let _ = write!(out, "\r\n\tfor <{}>", harmless(&recipient.to_string(), ""));
        }
        let _ = write!(out, ";\r\n\t{}\r\n", date::rfc5322(self.time));
        out
    }

    /// The registered name of RFC 3848 and, with SMTPUTF8, RFC 6531 4.3.
    #[must_use]
    pub fn protocol(&self) -> String {
        let base = match (self.role, self.smtputf8) {
            (Role::Lmtp, false) => "LMTP",
            (Role::Lmtp, true) => "UTF8LMTP",
            (_, true) => "UTF8SMTP",
            (_, false) if !self.extended => return "SMTP".to_owned(),
            (_, false) => "ESMTP",
        };
        let tls = if self.tls.is_some() { "S" } else { "" };
        let login = if self.authenticated { "A" } else { "" };
        format!("{base}{tls}{login}")
    }
}

/// The text cut to a length, with controls and the given characters replaced.
fn harmless(text: &str, forbidden: &str) -> String {
    let mut out = String::with_capacity(text.len().min(NAME_BYTES_MAX));
    for c in text.chars() {
        let bad = c.is_control() || forbidden.contains(c) || (!forbidden.is_empty() && c.is_whitespace());
        if out.len() + c.len_utf8() > NAME_BYTES_MAX + 1 {
            break;
        }
        out.push(if bad { '?' } else { c });
    }
    if out.is_empty() && !forbidden.is_empty() {
        out.push_str("unknown");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received() -> Received<'static> {
        Received {
            hello: "client.test",
            client: Some("192.0.2.7".parse().unwrap()),
            host: "mx.example.test",
            role: Role::Exchange,
            extended: true,
            tls: Some((TlsVersion::Tls13, "TLS_AES_256_GCM_SHA384")),
            authenticated: false,
            smtputf8: false,
            id: "abc123",
            recipient: None,
            time: 1_795_297_069,
        }
    }

    #[test]
    fn received_fields() {
        assert_eq!(
            received().field(),
            "Received: from client.test ([192.0.2.7])\r\n\tby mx.example.test with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n\tid abc123;\r\n\tSat, 21 Nov 2026 21:37:49 +0000\r\n"
        );
        let path = Path { local: "a b".into(), domain: "example.test".into() };
        let field = Received {
            hello: "x\r\nBcc: (y);",
            client: Some("::ffff:192.0.2.7".parse().unwrap()),
            tls: None,
            recipient: Some(&path),
            ..received()
        }
        .field();
        assert_eq!(
            field,
            "Received: from x??Bcc:??y?? ([192.0.2.7])\r\n\tby mx.example.test with ESMTP\r\n\tid abc123\r\n\tfor <\"a b\"@example.test>;\r\n\tSat, 21 Nov 2026 21:37:49 +0000\r\n"
        );
        let v6 = Received { client: Some("2001:db8::1".parse().unwrap()), hello: "", ..received() }.field();
        assert!(v6.starts_with("Received: from unknown ([IPv6:2001:db8::1])\r\n"));
    }

    #[test]
    fn protocols() {
        let base = received();
        let plain = Received { tls: None, ..base.clone() };
        for (received, name) in [
            (Received { extended: false, ..plain.clone() }, "SMTP"),
            (plain.clone(), "ESMTP"),
            (base.clone(), "ESMTPS"),
            (Received { authenticated: true, ..plain.clone() }, "ESMTPA"),
            (Received { authenticated: true, role: Role::Submission, ..base.clone() }, "ESMTPSA"),
            (Received { smtputf8: true, ..base.clone() }, "UTF8SMTPS"),
            (Received { role: Role::Lmtp, ..plain.clone() }, "LMTP"),
            (Received { role: Role::Lmtp, ..base.clone() }, "LMTPS"),
            (Received { role: Role::Lmtp, smtputf8: true, ..base.clone() }, "UTF8LMTPS"),
        ] {
            assert_eq!(received.protocol(), name);
        }
    }

    #[test]
    fn delivery_fields() {
        let path = Path { local: "ann".into(), domain: "b.test".into() };
        assert_eq!(return_path(Some(&path)), "Return-Path: <ann@b.test>\r\n");
        assert_eq!(return_path(None), "Return-Path: <>\r\n");
        assert_eq!(delivered_to("ann@b.test\r\nX: y"), "Delivered-To: ann@b.test??X: y\r\n");
    }
}
