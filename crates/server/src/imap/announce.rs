//! What others changed, told to the client.
//!
//! The client's sequence numbers are those of `Selected::view`; what it knows of flags is `Selected::told`. Both are the
//! same view nearly always. They part while messages are gone that a command may not announce (RFC 9051 7.5.1): then
//! flags go on to be told, and the numbering, with all that came after it, waits for the next command that may.

use super::search::context;
use crate::session::FLUSH_BYTES;
use crate::session::imap::{ImapSession, Selected};
use net::drive::Wire;
use proto::imap::code::Code;
use proto::imap::encode;
use proto::imap::language::Text;
use proto::imap::server::{Enabled, Server};
use proto::imap::set::Set;
use proto::language::Language;
use proto::machine::Machine;
use std::ops::Range;
use std::sync::Arc;
use store::account::{Flags, MessageRow, View};

/// See [`ImapSession::announce`].
pub(crate) async fn announce(s: &mut ImapSession, expunges: bool) {
    // Without a wire nothing is sent here, so nothing can fail.
    let _ = tell(s, expunges, &Known::default(), None).await;
}

/// The peer is gone: stop working for it.
#[derive(Debug)]
pub(crate) struct Gone;

/// Messages of which the client knows already what the command under way made of them.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// UID and flags, ascending.
    pub(crate) flags: Vec<(u32, Flags)>,
    /// It has still to be told their MODSEQ (RFC 7162 3.1.3).
    pub(crate) modseq: bool,
}

impl Known {
    /// Tells of messages, by ascending UID, whether they are as the client knows; `None` where the command made nothing of them.
    fn judge(&self) -> impl FnMut(&MessageRow) -> Option<bool> + '_ {
        let mut rest = self.flags.iter().peekable();
        move |row| {
            while rest.next_if(|(uid, _)| *uid < row.uid).is_some() {}
            rest.peek().filter(|(uid, _)| *uid == row.uid).map(|(_, flags)| *flags == row.flags)
        }
    }
}

/// Ranges of numbers that follow each other, of ascending ones.
fn runs(numbers: &[u32]) -> impl Iterator<Item = Range<u32>> + '_ {
    numbers.chunk_by(|a, b| a + 1 == *b).map(|run| run[0]..run[0] + run.len() as u32)
}

/// How this connection is told of messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// By UIDs alone (RFC 9586).
    pub(crate) uid_only: bool,
    /// With UID.
    pub(crate) uid: bool,
    /// With MODSEQ.
    pub(crate) modseq: bool,
    /// VANISHED instead of EXPUNGE.
    pub(crate) vanished: bool,
}

impl Style {
    pub(crate) fn of(enabled: Enabled) -> Style {
        Style {
            uid_only: enabled.uid_only,
            uid: enabled.rev2 || enabled.condstore || enabled.qresync,
            modseq: enabled.condstore || enabled.qresync,
            vanished: enabled.qresync || enabled.uid_only,
        }
    }

    /// `* 5 FETCH (` or `* 812 UIDFETCH (`.
    pub(crate) fn begin(self, seq: u32, uid: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(b"* ");
        if self.uid_only {
            encode::number(u64::from(uid), out);
            out.extend_from_slice(b" UIDFETCH (");
        } else {
            encode::number(u64::from(seq), out);
            out.extend_from_slice(b" FETCH (");
        }
    }

    /// A whole line with what is known of flags; without `flags` MODSEQ stands alone.
    pub(crate) fn line(
        self,
        seq: u32,
        row: &MessageRow,
        flags: bool,
        keywords: &[String],
        out: &mut Vec<u8>,
    ) {
        self.begin(seq, row.uid, out);
        let start = out.len();
        if self.uid && !self.uid_only {
            out.extend_from_slice(b"UID ");
            encode::number(u64::from(row.uid), out);
        }
        if flags {
            space(start, out);
            out.extend_from_slice(b"FLAGS ");
            encode::flags(row.flags.0, keywords, out);
        }
        if self.modseq || !flags {
            space(start, out);
            modseq(row.modseq, out);
        }
        out.extend_from_slice(b")\r\n");
    }
}

/// A space between two items, none before the first, which stands at `start`.
pub(crate) fn space(start: usize, out: &mut Vec<u8>) {
    if out.len() > start {
        out.push(b' ');
    }
}

/// `MODSEQ (12345)`.
pub(crate) fn modseq(modseq: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"MODSEQ (");
    encode::number(modseq.max(1), out);
    out.push(b')');
}

/// Sends what has gathered if it is much, and lets others have their turn.
pub(crate) async fn pace(machine: &mut Server, wire: Option<&mut Wire<'_>>) -> Result<(), Gone> {
    if machine.output().len() < FLUSH_BYTES {
        return Ok(());
    }
    if let Some(wire) = wire {
        wire.flush(machine.output()).await.map_err(|_| Gone)?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// The selected mailbox as it is now; `None` if none is selected, or if it cannot be read or is gone, which the client has
/// then been told.
pub(crate) async fn latest(s: &mut ImapSession) -> Option<Arc<View>> {
    let selected = s.user.as_deref()?.selected.as_ref()?;
    let mailbox = selected.view.mailbox.id;
    let now = match selected.account.current(mailbox) {
        Some(now) => Ok(Some(now)),
        None => selected.account.open(mailbox).await,
    };
    match now {
        Ok(Some(now)) if now.mailbox.uid_validity == selected.view.mailbox.uid_validity => Some(now),
        Ok(_) => {
            // RFC 2180 3.3: whoever has it open is disconnected.
            if let Some(user) = s.user.as_deref_mut() {
                user.selected = None;
            }
            s.machine.set_selected(false);
            s.machine.bye(Some(Code::Unavailable), Text::MailboxRemoved);
            None
        }
        Err(error) => {
            tracing::error!(session = s.origin.id_text(), %error, "cannot look for changes of a mailbox");
            None
        }
    }
}

/// Announces, but for what is `known`. Long answers are sent through the wire while they are made.
pub(crate) async fn tell(
    s: &mut ImapSession,
    expunges: bool,
    known: &Known,
    mut wire: Option<&mut Wire<'_>>,
) -> Result<(), Gone> {
    let Some(now) = latest(s).await else { return Ok(()) };
    let mut style = Style::of(s.machine.enabled());
    // RFC 5465 section 5.1: whoever is told of flags by NOTIFY is told the UID, too.
    style.uid |= super::notify::is_on(s);
    let Some(selected) = s.user.as_deref_mut().and_then(|user| user.selected.as_mut()) else { return Ok(()) };
    if Arc::ptr_eq(&now, &selected.view) {
        selected.told = now;
        return Ok(());
    }
    let diff = selected.view.diff(&now);
    let moves = expunges || diff.vanished.is_empty();
    if moves {
        context::vanishing(&mut selected.contexts, &diff.vanished, s.machine.output());
        write_vanished(style, &diff.vanished, s.machine.output());
        if diff.added > 0 {
            exists(now.len(), s.machine.output());
        }
    }
    let tongue = s.machine.tongue();
    write_keywords(selected, &now, tongue, s.machine.output());
    let live = (moves && !selected.contexts.is_empty()).then(|| diff.clone());
    let changed = if Arc::ptr_eq(&selected.told, &selected.view) {
        diff.changed
    } else {
        selected.told.diff(&now).changed
    };
    let held = !Arc::ptr_eq(&selected.told, &selected.view);
    let numbers = if moves { now.clone() } else { selected.view.clone() };
    selected.view = numbers.clone();
    let before = std::mem::replace(&mut selected.told, now.clone());
    let keywords = now.mailbox.keywords.clone();
    let is_guest = selected.account.is_guests();
    let mut is_known = known.judge();
    for (seq, row) in runs(&changed).flat_map(|run| now.rows(run)) {
        let knows = is_known(&row);
        let is_as_before = || flags_in(&before, row.uid) == Some(row.flags);
        if is_guest && !style.modseq && knows.is_none() && is_as_before() {
            // What the owner has seen is not shown to guests; that something changed shows in the MODSEQ alone.
            continue;
        }
        // A message that waits to be announced has no number yet.
        let seq = if moves { Some(seq) } else { numbers.seq(row.uid) };
        let Some(seq) = seq else { continue };
        match knows {
            Some(true) if known.modseq => style.line(seq, &row, false, &keywords, s.machine.output()),
            Some(true) => {}
            _ => style.line(seq, &row, true, &keywords, s.machine.output()),
        }
        if s.machine.output().len() >= FLUSH_BYTES {
            pace(&mut s.machine, wire.as_deref_mut()).await?;
        }
    }
    if style.modseq && (held || !moves) {
        // RFC 7162 section 3.2: while removals wait, a client must not take the MODSEQs that it sees for the state that it
        // has; once they are told it may.
        let modseq = numbers.mailbox.modseq.max(1);
        s.machine.untagged_ok(Some(Code::HighestModSeq(modseq)), Text::ModSeqTold);
    }
    if let Some(diff) = live {
        context::moved(s, &now, &diff).await;
    }
    Ok(())
}

fn flags_in(view: &View, uid: u32) -> Option<Flags> {
    view.seq(uid).and_then(|seq| view.row(seq)).map(|row| row.flags)
}

/// FLAGS and PERMANENTFLAGS when there are keywords that the client has not heard of (RFC 9051 7.3.5).
pub(crate) fn write_keywords(selected: &mut Selected, now: &View, tongue: Language, out: &mut Vec<u8>) {
    if now.mailbox.keywords.len() != selected.keywords_told {
        selected.keywords_told = now.mailbox.keywords.len();
        super::select::write_flags(selected.read_only, selected.rights, &now.mailbox.keywords, tongue, out);
    }
}

/// `* 23 EXISTS`.
pub(crate) fn exists(count: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(b"* ");
    encode::number(u64::from(count), out);
    out.extend_from_slice(b" EXISTS\r\n");
}

/// EXPUNGE from the highest number down, so that none of them shifts the next; or VANISHED.
fn write_vanished(style: Style, vanished: &[(u32, u32)], out: &mut Vec<u8>) {
    if style.vanished {
        if !vanished.is_empty() {
            out.extend_from_slice(b"* VANISHED ");
            Set::of(vanished.iter().map(|(uid, _)| *uid)).write(out);
            out.extend_from_slice(b"\r\n");
        }
        return;
    }
    for (_, seq) in vanished.iter().rev() {
        out.extend_from_slice(b"* ");
        encode::number(u64::from(*seq), out);
        out.extend_from_slice(b" EXPUNGE\r\n");
    }
}
