//! The fields of a header that a gist is made of, and the envelope made from them (RFC 9051 7.5.2).

use super::Addresses;
use crate::message::header;
use crate::message::mailboxes::{self, Entry};
use crate::message::wire::{clean, string};

/// Fields of addresses that are looked at: more of a kind are joined, but not without end.
const LISTS_MAX: usize = 64;

/// The fields of one header; of those that may stand there once, the first.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) date: Option<&'a [u8]>,
    pub(super) subject: Option<&'a [u8]>,
    pub(super) in_reply_to: Option<&'a [u8]>,
    pub(super) message_id: Option<&'a [u8]>,
    pub(super) references: Option<&'a [u8]>,
    pub(super) content_type: Option<&'a [u8]>,
    pub(super) content_encoding: Option<&'a [u8]>,
    pub(super) content_id: Option<&'a [u8]>,
    pub(super) content_description: Option<&'a [u8]>,
    pub(super) content_disposition: Option<&'a [u8]>,
    pub(super) content_language: Option<&'a [u8]>,
    pub(super) content_location: Option<&'a [u8]>,
    pub(super) content_md5: Option<&'a [u8]>,
    lists: Vec<(Addresses, &'a [u8])>,
}

impl<'a> Fields<'a> {
    /// Looks through a header.
    pub(super) fn read(header: &'a [u8]) -> Fields<'a> {
        let mut found = Fields::default();
        for field in header::fields(header) {
            if let Some((which, _)) = LISTS.iter().find(|(_, name)| field.is(name)) {
                if found.lists.len() < LISTS_MAX {
                    found.lists.push((*which, field.value));
                }
            } else if let Some(slot) = found.slot(field.name) {
                slot.get_or_insert(field.value);
            }
        }
        found
    }

    fn slot(&mut self, name: &[u8]) -> Option<&mut Option<&'a [u8]>> {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        // The length tells most of them apart without a look at the letters.
        Some(match name.len() {
            4 if is("Date") => &mut self.date,
            7 if is("Subject") => &mut self.subject,
            10 if is("Message-ID") => &mut self.message_id,
            10 if is("References") => &mut self.references,
            10 if is("Content-ID") => &mut self.content_id,
            11 if is("In-Reply-To") => &mut self.in_reply_to,
            11 if is("Content-MD5") => &mut self.content_md5,
            12 if is("Content-Type") => &mut self.content_type,
            16 if is("Content-Language") => &mut self.content_language,
            16 if is("Content-Location") => &mut self.content_location,
            19 if is("Content-Description") => &mut self.content_description,
            19 if is("Content-Disposition") => &mut self.content_disposition,
            25 if is("Content-Transfer-Encoding") => &mut self.content_encoding,
            _ => return None,
        })
    }

    /// The header has such a field, and something in it.
    pub(super) fn has(&self, which: Addresses) -> bool {
        self.lists.iter().any(|(w, value)| *w == which && !value.trim_ascii().is_empty())
    }

    /// Appends the envelope; address lists end where it would become longer than `bytes_max`.
    pub(super) fn envelope(&self, bytes_max: usize, out: &mut Vec<u8>) {
        let bytes_max = out.len().saturating_add(bytes_max);
        out.push(b'(');
        field(self.date, out);
        out.push(b' ');
        field(self.subject, out);
        out.push(b' ');
        let from = out.len();
        self.list(Addresses::From, bytes_max, out);
        let from = from..out.len();
        // RFC 9051 7.5.2: where Sender or Reply-To is absent or empty, it is as From.
        for which in [Addresses::Sender, Addresses::ReplyTo] {
            out.push(b' ');
            let start = out.len();
            self.list(which, bytes_max, out);
            if &out[start..] == b"NIL" {
                out.truncate(start);
                out.extend_from_within(from.clone());
            }
        }
        for which in [Addresses::To, Addresses::Cc, Addresses::Bcc] {
            out.push(b' ');
            self.list(which, bytes_max, out);
        }
        out.push(b' ');
        field(self.in_reply_to, out);
        out.push(b' ');
        field(self.message_id, out);
        out.push(b')');
    }

    fn list(&self, which: Addresses, bytes_max: usize, out: &mut Vec<u8>) {
        let start = out.len();
        out.push(b'(');
        for (_, value) in self.lists.iter().filter(|(w, _)| *w == which) {
            mailboxes::parse(value, &mut |entry| {
                address(entry, out);
                out.len() < bytes_max
            });
        }
        if out.len() == start + 1 {
            out.truncate(start);
            out.extend_from_slice(b"NIL");
        } else {
            out.push(b')');
        }
    }
}

const LISTS: [(Addresses, &str); 6] = [
    (Addresses::From, "From"),
    (Addresses::Sender, "Sender"),
    (Addresses::ReplyTo, "Reply-To"),
    (Addresses::To, "To"),
    (Addresses::Cc, "Cc"),
    (Addresses::Bcc, "Bcc"),
];

/// A field of text on one line: NIL if it is absent, an empty string if it is empty (RFC 9051 7.5.2).
fn field(value: Option<&[u8]>, out: &mut Vec<u8>) {
    match value {
        Some(value) => string(&clean(value), out),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// One address structure: name, route (always NIL), local part, domain. A NIL domain means a group's beginning, both
/// NIL its end, so what is missing of an address is an empty string.
fn address(entry: Entry<'_>, out: &mut Vec<u8>) {
    match entry {
        Entry::Mailbox { name, local, domain } => {
            out.push(b'(');
            match name {
                Some(name) => string(name, out),
                None => out.extend_from_slice(b"NIL"),
            }
            out.extend_from_slice(b" NIL ");
            string(local, out);
            out.push(b' ');
            string(domain, out);
            out.push(b')');
        }
        Entry::GroupStart(name) => {
            out.extend_from_slice(b"(NIL NIL ");
            string(name, out);
            out.extend_from_slice(b" NIL)");
        }
        Entry::GroupEnd => out.extend_from_slice(b"(NIL NIL NIL NIL)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(header: &str) -> String {
        let mut out = Vec::new();
        Fields::read(header.as_bytes()).envelope(usize::MAX, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// The example of RFC 9051 7.5.2.
    #[test]
    fn the_example() {
        let header = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n\
            From: Terry Gray <gray@cac.washington.edu>\r\n\
            Subject: IMAP4rev2 WG mtg summary and minutes\r\n\
            To: imap@cac.washington.edu\r\n\
            cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n\
            Message-Id: <B27397-0100000@cac.washington.ed>\r\n\
            MIME-Version: 1.0\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n";
        let gray = "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\"))";
        assert_eq!(
            envelope(header),
            format!(
                "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev2 WG mtg summary and minutes\" {gray} {gray} {gray} \
                ((NIL NIL \"imap\" \"cac.washington.edu\")) ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")\
                (\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL \"<B27397-0100000@cac.washington.ed>\")"
            )
        );
    }

    #[test]
    fn odd_headers() {
        let none = "NIL NIL NIL NIL NIL NIL";
        for (header, out) in [
            ("", format!("(NIL NIL {none} NIL NIL)")),
            ("Date:\r\nSubject: \r\nTo:\r\nCc: ,\r\n\r\n", format!("(\"\" \"\" {none} NIL NIL)")),
            ("Subject: one\r\n two\r\nSubject: three\r\n", format!("(NIL \"one two\" {none} NIL NIL)")),
            (
                "From: a@b\r\nSender: \r\nReply-To: c@d\r\n",
                "(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) ((NIL NIL \"c\" \"d\")) NIL NIL NIL NIL NIL)".into(),
            ),
            (
                "To: a@b\r\nTo: Team: c@d;\r\n",
                "(NIL NIL NIL NIL NIL ((NIL NIL \"a\" \"b\")(NIL NIL \"Team\" NIL)(NIL NIL \"c\" \"d\")(NIL NIL NIL NIL)) NIL NIL NIL NIL)".into(),
            ),
            ("Subject: gr\u{fc}n \"x\"\r\n", format!("(NIL {{9}}\r\ngr\u{fc}n \"x\" {none} NIL NIL)")),
            ("Subject: =?utf-8?Q?x?=\r\n", format!("(NIL \"=?utf-8?Q?x?=\" {none} NIL NIL)")),
        ] {
            assert_eq!(envelope(header), out, "{header}");
        }
    }

    #[test]
    fn long_lists_are_cut_between_addresses() {
        let header = format!("To: g: {}\r\nSubject: s\r\n", "a,".repeat(5000));
        let mut out = Vec::new();
        Fields::read(header.as_bytes()).envelope(1000, &mut out);
        assert!(out.len() < 1100, "{}", out.len());
        assert!(out.ends_with(b"(NIL NIL NIL NIL)) NIL NIL NIL NIL)"));
    }
}
