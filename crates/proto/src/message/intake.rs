//! A message on its way in: the header is looked at and, on submission, mended;
//! the body streams past untouched.
//!
//! What must hold: only the header is kept in memory, at most
//! `header_bytes_max`; the result does not depend on how the message was cut;
//! apart from what [`Submission`] says, every byte stays as it came. One thing is
//! added for everybody: where the first line is no field, an empty line goes
//! before it, so that trace fields put on top do not swallow the body.

use super::header::{self, Field};

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Received fields that a message may have before it counts as looping.
    pub received_max: usize,
    /// Octets of a header with its empty line.
    pub header_bytes_max: usize,
    /// The message is a user's own.
    pub submission: Option<Submission>,
}

impl Default for Rules {
    fn default() -> Rules {
        // RFC 5321 6.3 asks for 100 at least, of which half has proved to be a loop for certain.
        Rules { received_max: 50, header_bytes_max: 256 << 10, submission: None }
    }
}

/// What submission adds (RFC 6409 8): both are used only where missing. Bcc,
/// Resent-Bcc and Return-Path are removed.
#[derive(Clone, Debug)]
pub struct Submission {
    /// A new identifier with its brackets: `<unique@host>`.
    pub message_id: String,
    /// The date as [`crate::date::rfc5322`] writes it.
    pub date: String,
}

/// Why a message is refused; the words are the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It has been through too many hops (554 5.4.6).
    Loop,
    /// Its header is too big (552 5.3.4).
    HeaderTooBig,
}

/// What the header said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Octets written up to and with the empty line, without what the caller put on top.
    pub header_bytes: u64,
    /// Received fields.
    pub received: usize,
    /// Addresses of all From fields, as [`header::mailboxes`] finds them.
    pub from: Vec<String>,
    /// The address of the Sender field.
    pub sender: Option<String>,
    /// The Message-ID, the given one or the added one.
    pub message_id: Option<String>,
    /// Values of the Delivered-To fields.
    pub delivered_to: Vec<String>,
}

impl Summary {
    /// True if the message was delivered to this address before: a loop.
    #[must_use]
    pub fn was_delivered_to(&self, address: &str) -> bool {
        self.delivered_to.iter().any(|to| to.eq_ignore_ascii_case(address))
    }
}

/// A message that is coming in.
#[derive(Debug)]
pub struct Intake {
    rules: Rules,
    /// The header so far; empty once it is complete.
    header: Vec<u8>,
    /// Octets of `header` that are whole lines already looked at.
    checked: usize,
    summary: Option<Summary>,
}

impl Intake {
    /// Begins.
    #[must_use]
    pub fn new(rules: Rules) -> Intake {
        Intake { rules, header: Vec::new(), checked: 0, summary: None }
    }

    /// Takes the next piece. To be written then: what was appended to `out`, and
    /// behind it the returned rest of the piece, which was not copied.
    ///
    /// # Errors
    /// The message is to be refused; nothing more need be fed.
    pub fn feed<'a>(&mut self, piece: &'a [u8], out: &mut Vec<u8>) -> Result<&'a [u8], Problem> {
        if self.summary.is_some() {
            return Ok(piece);
        }
        let before = self.header.len();
        let room = self.rules.header_bytes_max.saturating_sub(before);
        self.header.extend_from_slice(&piece[..piece.len().min(room)]);
        let Some(end) = self.find_end() else {
            return if piece.len() > room { Err(Problem::HeaderTooBig) } else { Ok(&[]) };
        };
        let header = std::mem::take(&mut self.header);
        let (fields, blank) = match end {
            End::Blank(at, behind) => (&header[..at], &header[at..behind]),
            End::NoField(at) => (&header[..at], &b"\r\n"[..]),
        };
        self.write_header(fields, blank, out)?;
        // The body's first octets may have come with an earlier piece: half a line that turned out to be no field.
        let behind = match end {
            End::Blank(_, behind) => behind,
            End::NoField(at) => at,
        };
        if behind < before {
            out.extend_from_slice(&header[behind..before]);
        }
        Ok(&piece[behind.saturating_sub(before)..])
    }

    /// What the header said, as soon as it is complete.
    #[must_use]
    pub fn summary(&self) -> Option<&Summary> {
        self.summary.as_ref()
    }

    /// The message is complete.
    ///
    /// # Errors
    /// As for [`Intake::feed`].
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<Summary, Problem> {
        if let Some(summary) = self.summary.take() {
            return Ok(summary);
        }
        // No empty line came: all is header (RFC 5322 3.5 makes the body optional), but for a last line that is no field.
        let header = std::mem::take(&mut self.header);
        let last = &header[self.checked..];
        let continues = last.starts_with(b" ") || last.starts_with(b"\t");
        let all_header = last.is_empty()
            || header::name_bytes(last).is_some()
            || (continues && self.checked > 0)
            || is_mbox_line(&header, self.checked);
        if all_header {
            self.write_header(&header, b"", out)?;
        } else {
            self.write_header(&header[..self.checked], b"\r\n", out)?;
            out.extend_from_slice(&header[self.checked..]);
        }
        Ok(self.summary.take().unwrap_or_default())
    }

    /// Looks at the whole lines that are new.
    fn find_end(&mut self) -> Option<End> {
        while let Some(newline) = memchr::memchr(b'\n', &self.header[self.checked..]) {
            let (at, behind) = (self.checked, self.checked + newline + 1);
            let line = &self.header[at..behind];
            if header::is_blank(line) {
                return Some(End::Blank(at, behind));
            }
            let continues = at > 0 && matches!(line[0], b' ' | b'\t');
            if !continues && header::name_bytes(line).is_none() && !is_mbox_line(&self.header, at) {
                return Some(End::NoField(at));
            }
            self.checked = behind;
        }
        None
    }

    /// Writes the header, mended as the rules say, and notes what it said.
    fn write_header(&mut self, fields: &[u8], blank: &[u8], out: &mut Vec<u8>) -> Result<(), Problem> {
        let mut summary = Summary::default();
        let (mut has_id, mut has_date) = (false, false);
        let start = out.len();
        for field in header::fields(fields) {
            note(&mut summary, &field);
            has_id |= field.is("Message-ID");
            has_date |= field.is("Date");
            if self.rules.submission.is_none() || !is_private(&field) {
                out.extend_from_slice(field.raw);
            }
        }
        if summary.received > self.rules.received_max {
            out.truncate(start);
            return Err(Problem::Loop);
        }
        if let Some(submission) = &self.rules.submission {
            if out.len() > start && out.last() != Some(&b'\n') {
                out.extend_from_slice(b"\r\n");
            }
            if !has_id {
                add(out, "Message-ID", &submission.message_id);
                summary.message_id = Some(submission.message_id.clone());
            }
            if !has_date {
                add(out, "Date", &submission.date);
            }
        }
        out.extend_from_slice(blank);
        summary.header_bytes = (out.len() - start) as u64;
        self.summary = Some(summary);
        Ok(())
    }
}

/// Where a header ends.
enum End {
    /// Its end, and the octet behind the empty line.
    Blank(usize, usize),
    /// A line here is no field.
    NoField(usize),
}

/// `From ann@example.test Sat Nov 21 ...` as the first line: left over from a
/// mailbox file by careless senders, followed by the real header.
fn is_mbox_line(header: &[u8], at: usize) -> bool {
    at == 0 && (header.starts_with(b"From ") || header.starts_with(b">From "))
}

/// Fields that a user's message must not carry to others: RFC 5322 3.6.3 for
/// the first two; RFC 5321 4.4 leaves the third to the delivering server.
fn is_private(field: &Field<'_>) -> bool {
    field.is("Bcc") || field.is("Resent-Bcc") || field.is("Return-Path")
}

fn note(summary: &mut Summary, field: &Field<'_>) {
    if field.is("Received") {
        summary.received += 1;
    } else if field.is("From") {
        summary.from.extend(header::mailboxes(&field.text()));
    } else if field.is("Sender") {
        summary.sender = header::mailboxes(&field.text()).into_iter().next();
    } else if field.is("Message-ID") {
        summary.message_id = Some(field.text().into_owned());
    } else if field.is("Delivered-To") {
        summary.delivered_to.push(field.text().into_owned());
    }
}

fn add(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rules: &Rules, message: &[u8], cut: usize) -> Result<(String, Summary), Problem> {
        let (mut intake, mut all) = (Intake::new(rules.clone()), Vec::new());
        for piece in message.chunks(cut) {
            let rest = intake.feed(piece, &mut all)?;
            all.extend_from_slice(rest);
        }
        let summary = intake.finish(&mut all)?;
        Ok((String::from_utf8(all).unwrap(), summary))
    }

    fn every_cut(rules: &Rules, message: &str) -> (String, Summary) {
        let whole = run(rules, message.as_bytes(), usize::MAX).unwrap();
        for cut in 1..message.len() {
            assert_eq!(run(rules, message.as_bytes(), cut).unwrap(), whole, "cut into {cut}");
        }
        whole
    }

    fn submission() -> Rules {
        let submission = Submission { message_id: "<new@h.test>".into(), date: "D".into() };
        Rules { submission: Some(submission), ..Rules::default() }
    }

    #[test]
    fn nothing_changes_on_the_way_in() {
        for message in [
            "From: a@b.test\r\nBcc: c@d.test\r\n\r\nBody\r\n\r\nFrom: x\r\n",
            "\r\nBody\r\n",
            "",
            "\r\n",
            "A: b",
            "A: b\r\n",
            "A: b\r\n c",
            "A: b\n\nbody with LF\n",
            "From ann@b.test Sat Nov 21 2026\r\nA: b\r\n\r\nx",
        ] {
            let (out, _) = every_cut(&Rules::default(), message);
            assert_eq!(out, message);
        }
    }

    #[test]
    fn a_body_without_header_gets_its_empty_line() {
        for (message, out) in [
            ("Hello\r\nWorld: x\r\n", "\r\nHello\r\nWorld: x\r\n"),
            ("Hello", "\r\nHello"),
            (" Hello\r\nX: y\r\n", "\r\n Hello\r\nX: y\r\n"),
            ("A: b\r\nHello\r\n\r\nx\r\n", "A: b\r\n\r\nHello\r\n\r\nx\r\n"),
        ] {
            assert_eq!(every_cut(&Rules::default(), message).0, out);
        }
    }

    #[test]
    fn submission_adds_and_removes() {
        let (out, summary) = every_cut(
            &submission(),
            "Return-Path: <x>\r\nFrom: Ann <a@b.test>\r\nBCC: c@d.test,\r\n\te@f.test\r\nTo: x\r\nResent-Bcc: y\r\n\r\nBcc: body\r\n",
        );
        let header = "From: Ann <a@b.test>\r\nTo: x\r\nMessage-ID: <new@h.test>\r\nDate: D\r\n\r\n";
        assert_eq!(out, format!("{header}Bcc: body\r\n"));
        assert_eq!(summary.header_bytes, header.len() as u64);
        assert_eq!(summary.from, ["a@b.test"]);
        assert_eq!(summary.message_id.as_deref(), Some("<new@h.test>"));
        let kept = "Message-Id: <old@b.test>\r\ndate: D2\r\n\r\n";
        assert_eq!(every_cut(&submission(), kept).0, kept);
        for (message, out) in [
            ("", "Message-ID: <new@h.test>\r\nDate: D\r\n"),
            ("\r\nx", "Message-ID: <new@h.test>\r\nDate: D\r\n\r\nx"),
            ("Bcc: a", "Message-ID: <new@h.test>\r\nDate: D\r\n"),
            ("To: a", "To: a\r\nMessage-ID: <new@h.test>\r\nDate: D\r\n"),
        ] {
            assert_eq!(every_cut(&submission(), message).0, out);
        }
    }

    #[test]
    fn the_summary() {
        let message = "Received: a\r\nReceived: b\r\nDelivered-To: X@b.test\r\nFrom: a@b.test\r\nFrom: c@d.test\r\nSender: s@b.test\r\n\r\nReceived: c\r\n";
        let (_, summary) = every_cut(&Rules::default(), message);
        assert_eq!(summary.received, 2);
        assert_eq!(summary.from, ["a@b.test", "c@d.test"]);
        assert_eq!(summary.sender.as_deref(), Some("s@b.test"));
        assert!(summary.was_delivered_to("x@B.test") && !summary.was_delivered_to("y@b.test"));
        assert_eq!(summary.header_bytes, message.len() as u64 - 13);
    }

    #[test]
    fn limits() {
        let rules = Rules { received_max: 2, header_bytes_max: 44, submission: None };
        for cut in [1, 7, usize::MAX] {
            let two = b"Received: a\r\nReceived: b\r\n\r\n";
            assert!(run(&rules, two, cut).is_ok());
            let three = b"Received: a\r\nReceived: b\r\nReceived: c\r\n\r\n";
            assert_eq!(run(&rules, three, cut).unwrap_err(), Problem::Loop);
            let big = format!("A: {}\r\n\r\nbody", "x".repeat(38));
            assert_eq!(run(&rules, big.as_bytes(), cut).unwrap_err(), Problem::HeaderTooBig);
            let fits = format!("A: {}\r\n\r\n{}", "x".repeat(37), "body".repeat(100));
            assert!(run(&rules, fits.as_bytes(), cut).is_ok());
        }
    }
}
