//! FETCH and its data items.

use super::Writer;
use crate::imap::command::{Fetch, FetchItem, Label, Partial, Section, SectionText};

pub(super) fn fetch(w: &mut Writer<'_>, fetch: &Fetch) {
    w.uid(fetch.uid);
    w.raw("FETCH ");
    w.set(&fetch.set);
    w.raw(" ");
    items(w, &fetch.items);
    if fetch.changed_since.is_none() && !fetch.vanished && fetch.partial.is_none() {
        return;
    }
    w.raw(" (");
    let mut first = true;
    let mut next = |w: &mut Writer<'_>, word: &str| {
        w.raw(if std::mem::take(&mut first) { "" } else { " " });
        w.raw(word);
    };
    if let Some(modseq) = fetch.changed_since {
        next(w, "CHANGEDSINCE ");
        w.number(modseq);
    }
    if fetch.vanished {
        next(w, "VANISHED");
    }
    if let Some(range) = &fetch.partial {
        next(w, "PARTIAL ");
        partial(w, range);
    }
    w.raw(")");
}

pub(super) fn items(w: &mut Writer<'_>, items: &[FetchItem]) {
    w.list(items, item);
}

/// `1:10` or `-1:-10`.
pub(super) fn partial(w: &mut Writer<'_>, partial: &Partial) {
    let minus = if partial.from_end { "-" } else { "" };
    w.raw(minus);
    w.number(u64::from(partial.first));
    w.raw(":");
    w.raw(minus);
    w.number(u64::from(partial.last));
}

fn item(w: &mut Writer<'_>, item: &FetchItem) {
    match item {
        FetchItem::Uid => w.raw("UID"),
        FetchItem::Flags => w.raw("FLAGS"),
        FetchItem::InternalDate => w.raw("INTERNALDATE"),
        FetchItem::Size => w.raw("RFC822.SIZE"),
        FetchItem::Envelope => w.raw("ENVELOPE"),
        FetchItem::Body => w.raw("BODY"),
        FetchItem::BodyStructure => w.raw("BODYSTRUCTURE"),
        FetchItem::ModSeq => w.raw("MODSEQ"),
        FetchItem::EmailId => w.raw("EMAILID"),
        FetchItem::ThreadId => w.raw("THREADID"),
        FetchItem::SaveDate => w.raw("SAVEDATE"),
        FetchItem::Preview { lazy: false } => w.raw("PREVIEW"),
        FetchItem::Preview { lazy: true } => w.raw("PREVIEW (LAZY)"),
        FetchItem::Section { label: Label::Rfc822, .. } => w.raw("RFC822"),
        FetchItem::Section { label: Label::Rfc822Header, .. } => w.raw("RFC822.HEADER"),
        FetchItem::Section { label: Label::Rfc822Text, .. } => w.raw("RFC822.TEXT"),
        FetchItem::Section { section: which, peek, partial, label: Label::Body } => {
            w.raw(if *peek { "BODY.PEEK[" } else { "BODY[" });
            section(w, which);
            w.raw("]");
            octets(w, *partial);
        }
        FetchItem::Binary { part, peek, partial } => {
            w.raw(if *peek { "BINARY.PEEK[" } else { "BINARY[" });
            numbers(w, part);
            w.raw("]");
            octets(w, *partial);
        }
        FetchItem::BinarySize(part) => {
            w.raw("BINARY.SIZE[");
            numbers(w, part);
            w.raw("]");
        }
    }
}

fn section(w: &mut Writer<'_>, section: &Section) {
    numbers(w, &section.part);
    if !section.part.is_empty() && section.text != SectionText::All {
        w.raw(".");
    }
    match &section.text {
        SectionText::All => {}
        SectionText::Header => w.raw("HEADER"),
        SectionText::Text => w.raw("TEXT"),
        SectionText::Mime => w.raw("MIME"),
        SectionText::HeaderFields { names, not } => {
            w.raw(if *not { "HEADER.FIELDS.NOT " } else { "HEADER.FIELDS " });
            w.list(names, |w, name| w.string(name.as_bytes()));
        }
    }
}

fn numbers(w: &mut Writer<'_>, part: &[u32]) {
    for (at, number) in part.iter().enumerate() {
        if at > 0 {
            w.raw(".");
        }
        w.number(u64::from(*number));
    }
}

fn octets(w: &mut Writer<'_>, partial: Option<(u64, u64)>) {
    if let Some((offset, count)) = partial {
        w.raw("<");
        w.number(offset);
        w.raw(".");
        w.number(count);
        w.raw(">");
    }
}
