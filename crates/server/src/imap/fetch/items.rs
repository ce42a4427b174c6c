//! One message's items, written.

use super::plan::Plan;
use crate::imap::announce::{Gone, modseq, pace, space};
use crate::imap::name;
use crate::imap::section::{self, Decoded, DecodingReader, Found, Octets, Reader, cut};
use crate::session::FLUSH_BYTES;
use crate::session::imap::ImapSession;
use net::drive::Wire;
use proto::imap::code::Code;
use proto::imap::command::{FetchItem, Label, Section};
use proto::imap::encode;
use proto::imap::language::Text;
use proto::machine::Machine;
use proto::message::ascii::in_ascii;
use proto::message::gist::Gist;
use std::borrow::Cow;
use std::fmt::Write as _;
use store::account::{DetailRef, MessageRow};
use store::blob::Window;

/// Octets of an encoded part up to which it is decoded in memory, once, instead of once to count and once to send.
const DECODE_BYTES_MAX: u64 = 256 << 10;

/// What the tagged answer has to tell.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trouble {
    /// Messages were gone.
    pub(super) expunged: bool,
    /// A part's encoding is none that is known.
    pub(super) unknown_encoding: bool,
    /// The store failed at some message.
    pub(super) unreadable: bool,
}

impl Trouble {
    /// The NO that it comes to, if any. A UID that is there no more is nothing (RFC 9051 6.4.9), also when it went while the
    /// command ran; a sequence number stands for a message that the client believes is there (RFC 2180 4.1.2).
    pub(super) fn refusal(self, uid: bool) -> Option<(Code, Text)> {
        if self.expunged && !uid {
            return Some((Code::ExpungeIssued, Text::SomeGone));
        }
        if self.unknown_encoding {
            return Some((Code::UnknownCte, Text::UnknownEncoding));
        }
        self.unreadable.then_some((Code::ServerBug, Text::SomeUnreadable))
    }
}

/// Why a message broke off.
enum Broken {
    /// The peer is gone.
    Gone,
    /// The store failed.
    Store(store::Error),
}

impl From<Gone> for Broken {
    fn from(_: Gone) -> Broken {
        Broken::Gone
    }
}

impl From<store::Error> for Broken {
    fn from(error: store::Error) -> Broken {
        Broken::Store(error)
    }
}

/// Writes messages.
pub(super) struct Writer<'a> {
    plan: &'a Plan,
    /// The flags written last, with their text: neighbours mostly have the same.
    flags: (u64, Vec<u8>),
    scratch: Vec<u8>,
    /// Neighbours mostly lie side by side.
    window: Window,
}

impl<'a> Writer<'a> {
    pub(super) fn new(plan: &'a Plan) -> Writer<'a> {
        let mut text = Vec::new();
        encode::flags(0, &plan.told.mailbox.keywords, &mut text);
        Writer { plan, flags: (0, text), scratch: Vec::new(), window: Window::default() }
    }

    /// A message of which only the view's columns are asked.
    pub(super) fn plain(&mut self, seq: u32, row: &MessageRow, out: &mut Vec<u8>) {
        self.plan.style.begin(seq, row.uid, out);
        let start = out.len();
        for item in &self.plan.items {
            space(start, out);
            column(item, row, &mut self.flags, &self.plan.told.mailbox.keywords, out);
        }
        out.extend_from_slice(b")\r\n");
    }

    /// Any message. What has begun when the store fails is taken back, or else the connection ends.
    pub(super) async fn message(
        &mut self,
        s: &mut ImapSession,
        (seq, row): (u32, &MessageRow),
        detail: &DetailRef<'_>,
        newly_seen: bool,
        trouble: &mut Trouble,
        wire: &mut Wire<'_>,
    ) -> Result<(), Gone> {
        pace(&mut s.machine, Some(&mut *wire)).await?;
        let mark = s.machine.output().len();
        let mut sent = false;
        match self.items(s, (seq, row), detail, newly_seen, trouble, wire, &mut sent).await {
            Ok(()) => Ok(()),
            Err(Broken::Gone) => Err(Gone),
            Err(Broken::Store(error)) => {
                tracing::error!(session = s.origin.id_text(), uid = row.uid, %error, "cannot read message");
                if sent {
                    // Half a literal is out: the client must not take what follows for the rest.
                    return Err(Gone);
                }
                s.machine.output().truncate(mark);
                trouble.unreadable = true;
                Ok(())
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    async fn items(
        &mut self,
        s: &mut ImapSession,
        (seq, row): (u32, &MessageRow),
        detail: &DetailRef<'_>,
        newly_seen: bool,
        trouble: &mut Trouble,
        wire: &mut Wire<'_>,
        sent: &mut bool,
    ) -> Result<(), Broken> {
        let plan = self.plan;
        let gist = section::gist(&plan.bodies, detail).await?;
        let gist = Gist::read(&gist);
        self.plan.style.begin(seq, row.uid, s.machine.output());
        let mut first = true;
        for item in &plan.items {
            if !std::mem::take(&mut first) {
                s.machine.output().push(b' ');
            }
            let Some(gist) = &gist else {
                // A gist that was just made can be read; were it not, an answer without is still well-formed.
                column(item, row, &mut self.flags, &plan.told.mailbox.keywords, s.machine.output());
                continue;
            };
            match item {
                FetchItem::Section { section, partial, label, .. } => {
                    let found = section::find(&plan.bodies, detail, gist, section, plan.utf8).await?;
                    let out = s.machine.output();
                    label_section(section, *label, partial.map(|(offset, _)| offset), out);
                    self.section(s, detail, found, *partial, wire, sent).await?;
                }
                FetchItem::Binary { part, partial, .. } => {
                    self.binary(s, detail, gist, part, *partial, trouble, wire, sent).await?;
                }
                FetchItem::BinarySize(part) => {
                    let size = self.binary_size(detail, gist, part, trouble).await?;
                    let out = s.machine.output();
                    label_binary("BINARY.SIZE", part, None, out);
                    encode::number(size, out);
                }
                _ if !learnt(item, detail, gist, plan.utf8, s.machine.output()) => {
                    column(item, row, &mut self.flags, &plan.told.mailbox.keywords, s.machine.output());
                }
                _ => {}
            }
        }
        if newly_seen {
            // RFC 9051 6.4.5: a change of flags by the fetch itself is part of its answer.
            let out = s.machine.output();
            if !plan.has_flags {
                out.push(b' ');
                column(&FetchItem::Flags, row, &mut self.flags, &plan.told.mailbox.keywords, out);
            }
            if plan.style.modseq && !plan.items.contains(&FetchItem::ModSeq) {
                out.push(b' ');
                modseq(row.modseq, out);
            }
        }
        s.machine.output().extend_from_slice(b")\r\n");
        Ok(())
    }

    /// The octets of a section, as a literal.
    async fn section(
        &mut self,
        s: &mut ImapSession,
        detail: &DetailRef<'_>,
        found: Found,
        partial: Option<(u64, u64)>,
        wire: &mut Wire<'_>,
        sent: &mut bool,
    ) -> Result<(), Broken> {
        match found {
            Found::Nothing => s.machine.output().extend_from_slice(b"NIL"),
            Found::Made(text) => {
                let text = cut(&text, partial);
                let out = s.machine.output();
                literal(text.len() as u64, out);
                out.extend_from_slice(text);
            }
            Found::Kept(octets) => {
                let octets = octets.partial(partial);
                literal(octets.len(), s.machine.output());
                self.stream(s, detail, &octets, wire, sent).await?;
            }
        }
        Ok(())
    }

    /// Sends octets of a message as they are read.
    async fn stream(
        &mut self,
        s: &mut ImapSession,
        detail: &DetailRef<'_>,
        octets: &Octets,
        wire: &mut Wire<'_>,
        sent: &mut bool,
    ) -> Result<(), Broken> {
        if let Some(prefix) = detail.prefix.get(octets.prefix.clone())
            && let Some(body) = self.window.get(&self.plan.bodies, &detail.body, octets.body.clone())
        {
            let out = s.machine.output();
            out.extend_from_slice(prefix);
            out.extend_from_slice(body);
            *sent |= out.len() >= FLUSH_BYTES;
            return Ok(pace(&mut s.machine, Some(&mut *wire)).await?);
        }
        let mut reader = Reader::new(&self.plan.bodies, detail, octets);
        let mut left = octets.len();
        while let Some(piece) = reader.next().await? {
            left = left.saturating_sub(piece.len() as u64);
            s.machine.output().extend_from_slice(&piece);
            *sent |= s.machine.output().len() >= FLUSH_BYTES;
            pace(&mut s.machine, Some(&mut *wire)).await?;
        }
        if left > 0 {
            return Err(store::Error::Damaged("a message is shorter than its row says".to_owned()).into());
        }
        Ok(())
    }

    /// BINARY: decoded. Small parts are decoded in memory; of large ones the size is found first.
    #[allow(clippy::too_many_arguments)]
    async fn binary(
        &mut self,
        s: &mut ImapSession,
        detail: &DetailRef<'_>,
        gist: &Gist<'_>,
        part: &[u32],
        partial: Option<(u64, u64)>,
        trouble: &mut Trouble,
        wire: &mut Wire<'_>,
        sent: &mut bool,
    ) -> Result<(), Broken> {
        label_binary("BINARY", part, partial.map(|(offset, _)| offset), s.machine.output());
        let Some((octets, encoding)) = section::binary(detail, gist, part) else {
            s.machine.output().extend_from_slice(b"NIL");
            return Ok(());
        };
        let open = || DecodingReader::new(Reader::new(&self.plan.bodies, detail, &octets), encoding);
        let Some(mut reader) = open() else {
            trouble.unknown_encoding = true;
            s.machine.output().extend_from_slice(b"NIL");
            return Ok(());
        };
        if octets.len() <= DECODE_BYTES_MAX {
            self.scratch.clear();
            while reader.next(&mut self.scratch).await? {}
            let text = cut(&self.scratch, partial);
            let out = s.machine.output();
            binary_literal(Decoded { len: text.len() as u64, has_nul: text.contains(&0) }, out);
            out.extend_from_slice(text);
            return Ok(());
        }
        let Some(measured) = open() else { return Ok(()) };
        let whole = measured.measure().await?;
        let (offset, count) = partial.unwrap_or((0, u64::MAX));
        let mut skip = offset.min(whole.len);
        let mut left = count.min(whole.len - skip);
        binary_literal(Decoded { len: left, has_nul: whole.has_nul }, s.machine.output());
        let mut piece = Vec::new();
        while left > 0 && reader.next(&mut piece).await? {
            let from = skip.min(piece.len() as u64);
            let take = (piece.len() as u64 - from).min(left);
            // Both are at most the piece's length.
            s.machine.output().extend_from_slice(&piece[from as usize..(from + take) as usize]);
            skip -= from;
            left -= take;
            piece.clear();
            *sent |= s.machine.output().len() >= FLUSH_BYTES;
            pace(&mut s.machine, Some(&mut *wire)).await?;
        }
        if left > 0 {
            return Err(store::Error::Damaged("a part decodes to less than before".to_owned()).into());
        }
        Ok(())
    }

    async fn binary_size(
        &self,
        detail: &DetailRef<'_>,
        gist: &Gist<'_>,
        part: &[u32],
        trouble: &mut Trouble,
    ) -> Result<u64, Broken> {
        let Some((octets, encoding)) = section::binary(detail, gist, part) else { return Ok(0) };
        let reader = Reader::new(&self.plan.bodies, detail, &octets);
        match DecodingReader::new(reader, encoding) {
            Some(reader) => Ok(reader.measure().await?.len),
            None => {
                trouble.unknown_encoding = true;
                Ok(0)
            }
        }
    }
}

/// An item that the view's columns have.
fn column(
    item: &FetchItem,
    row: &MessageRow,
    memo: &mut (u64, Vec<u8>),
    keywords: &[String],
    out: &mut Vec<u8>,
) {
    match item {
        FetchItem::Uid => {
            out.extend_from_slice(b"UID ");
            encode::number(u64::from(row.uid), out);
        }
        FetchItem::Flags => {
            if memo.0 != row.flags.0 {
                memo.0 = row.flags.0;
                memo.1.clear();
                encode::flags(row.flags.0, keywords, &mut memo.1);
            }
            out.extend_from_slice(b"FLAGS ");
            out.extend_from_slice(&memo.1);
        }
        FetchItem::InternalDate => {
            out.extend_from_slice(b"INTERNALDATE ");
            encode::date_time(row.received, out);
        }
        FetchItem::Size => {
            out.extend_from_slice(b"RFC822.SIZE ");
            encode::number(row.size, out);
        }
        // Of the others none comes here; MODSEQ is well-formed for any message.
        _ => modseq(row.modseq, out),
    }
}

/// An item of what was learnt when the message came; false if it is none.
fn learnt(item: &FetchItem, detail: &DetailRef<'_>, gist: &Gist<'_>, utf8: bool, out: &mut Vec<u8>) -> bool {
    match item {
        FetchItem::Envelope => {
            out.extend_from_slice(b"ENVELOPE ");
            out.extend_from_slice(&shown(gist.envelope(), utf8));
        }
        FetchItem::BodyStructure => {
            out.extend_from_slice(b"BODYSTRUCTURE ");
            out.extend_from_slice(&shown(gist.body_structure(), utf8));
        }
        FetchItem::Body => {
            out.extend_from_slice(b"BODY ");
            if utf8 || gist.body_structure().is_ascii() {
                gist.body(out);
            } else {
                let mut body = Vec::new();
                gist.body(&mut body);
                out.extend_from_slice(&in_ascii(&body));
            }
        }
        FetchItem::SaveDate => {
            out.extend_from_slice(b"SAVEDATE ");
            encode::date_time(detail.saved, out);
        }
        FetchItem::EmailId => {
            out.extend_from_slice(b"EMAILID (");
            out.extend_from_slice(name::email_id(&detail.body).as_bytes());
            out.push(b')');
        }
        FetchItem::ThreadId => {
            out.extend_from_slice(b"THREADID (");
            out.extend_from_slice(name::thread_id(&gist.thread()).as_bytes());
            out.push(b')');
        }
        FetchItem::Preview { .. } => {
            out.extend_from_slice(b"PREVIEW ");
            encode::string(gist.preview().as_bytes(), utf8, out);
        }
        _ => return false,
    }
    true
}

/// For a client without UTF8=ACCEPT, what was learnt of a header in UTF-8 is written in ASCII (RFC 6855 section 8).
fn shown(list: &[u8], utf8: bool) -> Cow<'_, [u8]> {
    if utf8 { Cow::Borrowed(list) } else { in_ascii(list) }
}

/// `{5}` and its line end.
fn literal(len: u64, out: &mut Vec<u8>) {
    out.push(b'{');
    encode::number(len, out);
    out.extend_from_slice(b"}\r\n");
}

/// A literal8 where there is a NUL, which no other string may hold (RFC 3516 4.3).
fn binary_literal(decoded: Decoded, out: &mut Vec<u8>) {
    if decoded.has_nul {
        out.push(b'~');
    }
    literal(decoded.len, out);
}

/// `BODY[...]<offset> ` or what the client called it.
fn label_section(section: &Section, label: Label, offset: Option<u64>, out: &mut Vec<u8>) {
    match label {
        Label::Rfc822 => out.extend_from_slice(b"RFC822"),
        Label::Rfc822Header => out.extend_from_slice(b"RFC822.HEADER"),
        Label::Rfc822Text => out.extend_from_slice(b"RFC822.TEXT"),
        Label::Body => {
            out.extend_from_slice(b"BODY[");
            encode::section(section, out);
            out.push(b']');
        }
    }
    label_offset(offset, out);
}

/// `BINARY[1.2]<offset> `.
fn label_binary(word: &str, part: &[u32], offset: Option<u64>, out: &mut Vec<u8>) {
    let mut label = format!("{word}[");
    for (at, number) in part.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(label, "{}{number}", if at > 0 { "." } else { "" });
    }
    label.push(']');
    out.extend_from_slice(label.as_bytes());
    label_offset(offset, out);
}

fn label_offset(offset: Option<u64>, out: &mut Vec<u8>) {
    if let Some(offset) = offset {
        out.push(b'<');
        encode::number(offset, out);
        out.push(b'>');
    }
    out.push(b' ');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::imap::command::SectionText;

    #[test]
    fn a_uid_that_is_gone_is_no_error() {
        let gone = Trouble { expunged: true, ..Trouble::default() };
        assert!(gone.refusal(true).is_none());
        assert!(matches!(gone.refusal(false), Some((Code::ExpungeIssued, _))));
        let worse = Trouble { unreadable: true, ..gone };
        assert!(matches!(worse.refusal(true), Some((Code::ServerBug, _))), "what is hidden is not forgotten");
        assert!(Trouble::default().refusal(false).is_none());
    }

    #[test]
    fn labels() {
        let mut out = Vec::new();
        let section = Section { part: vec![1, 2], text: SectionText::Mime };
        label_section(&section, Label::Body, Some(7), &mut out);
        label_binary("BINARY", &[3, 4], None, &mut out);
        label_binary("BINARY.SIZE", &[], None, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "BODY[1.2.MIME]<7> BINARY[3.4] BINARY.SIZE[] ");
    }
}
