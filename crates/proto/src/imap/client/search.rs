//! SEARCH, SORT, THREAD and ESEARCH.

use super::Writer;
use super::fetch::{items, partial};
use super::mailbox::filter;
use crate::date::{MONTHS, civil};
use crate::imap::command::{Command, Day, Flag, Key, Search, SortBy, SortKey, ThreadBy};

/// The last day that four digits can name.
const DAY_MAX: Day = 2_932_896;

/// The first one.
const DAY_MIN: Day = -719_528;

pub(super) fn command(w: &mut Writer<'_>, command: &Command) {
    match command {
        Command::Search(search) => {
            w.uid(search.uid);
            w.raw("SEARCH");
            program(w, search);
        }
        Command::Sort { order, search } => {
            w.uid(search.uid);
            w.raw("SORT");
            returns(w, search);
            w.raw(" ");
            w.list(order, sort_by);
            w.raw(" UTF-8 ");
            top(w, &search.key);
        }
        Command::Thread { by, search } => {
            w.uid(search.uid);
            w.raw(match by {
                ThreadBy::OrderedSubject => "THREAD ORDEREDSUBJECT UTF-8 ",
                ThreadBy::References => "THREAD REFERENCES UTF-8 ",
            });
            top(w, &search.key);
        }
        Command::Multisearch { sources, search } => {
            w.raw("ESEARCH");
            if !sources.is_empty() {
                w.raw(" IN ");
                w.list(sources, filter);
            }
            program(w, search);
        }
        _ => {}
    }
}

/// ` RETURN (...) keys`. UTF-8 needs no CHARSET: RFC 6855 section 3 forbids it where UTF-8 is
/// enabled, and our server reads UTF-8 without being told; others may want to be told.
fn program(w: &mut Writer<'_>, search: &Search) {
    returns(w, search);
    if !w.dialect.utf8 {
        w.raw(" CHARSET UTF-8");
    }
    w.raw(" ");
    top(w, &search.key);
}

fn returns(w: &mut Writer<'_>, search: &Search) {
    let Some(returns) = &search.returns else { return };
    w.raw(" RETURN ");
    let words = [
        (returns.min, "MIN"),
        (returns.max, "MAX"),
        (returns.all, "ALL"),
        (returns.count, "COUNT"),
        (returns.save, "SAVE"),
        (returns.context, "CONTEXT"),
        (returns.update, "UPDATE"),
        (returns.relevancy, "RELEVANCY"),
        (returns.partial.is_some(), "PARTIAL"),
    ];
    w.list(words.iter().filter(|(chosen, _)| *chosen), |w, (_, word)| {
        w.raw(word);
        match (*word, &returns.partial) {
            ("PARTIAL", Some(range)) => {
                w.raw(" ");
                partial(w, range);
            }
            ("UPDATE", _) if !search.update_items.is_empty() => {
                w.raw(" ");
                items(w, &search.update_items);
            }
            _ => {}
        }
    });
}

fn sort_by(w: &mut Writer<'_>, by: &SortBy) {
    w.raw(if by.reverse { "REVERSE " } else { "" });
    w.raw(match by.what {
        SortKey::Arrival => "ARRIVAL",
        SortKey::Cc => "CC",
        SortKey::Date => "DATE",
        SortKey::From => "FROM",
        SortKey::Size => "SIZE",
        SortKey::Subject => "SUBJECT",
        SortKey::To => "TO",
        SortKey::DisplayFrom => "DISPLAYFROM",
        SortKey::DisplayTo => "DISPLAYTO",
        SortKey::Relevancy => "RELEVANCY",
    });
}

/// The outermost keys need no parentheses.
fn top(w: &mut Writer<'_>, top: &Key) {
    match top {
        Key::And(keys) if keys.len() > 1 => {
            for (at, each) in keys.iter().enumerate() {
                if at > 0 {
                    w.raw(" ");
                }
                key(w, each);
            }
        }
        other => key(w, other),
    }
}

fn key(w: &mut Writer<'_>, which: &Key) {
    match which {
        Key::All => w.raw("ALL"),
        // All of nothing.
        Key::And(keys) if keys.is_empty() => w.raw("ALL"),
        Key::And(keys) => w.list(keys, key),
        Key::Or(a, b) => {
            w.raw("OR ");
            key(w, a);
            w.raw(" ");
            key(w, b);
        }
        Key::Not(inner) => {
            w.raw("NOT ");
            key(w, inner);
        }
        Key::Fuzzy(inner) => {
            w.raw("FUZZY ");
            key(w, inner);
        }
        Key::Flag(flag) => flag_key(w, flag),
        Key::Recent => w.raw("RECENT"),
        Key::SaveDateSupported => w.raw("SAVEDATESUPPORTED"),
        Key::Set(set) => w.set(set),
        Key::Uid(set) => {
            w.raw("UID ");
            w.set(set);
        }
        Key::Header(name, value) => {
            w.raw("HEADER ");
            w.string(name.as_bytes());
            w.raw(" ");
            w.string(value.as_bytes());
        }
        other => with_argument(w, other),
    }
}

fn flag_key(w: &mut Writer<'_>, flag: &Flag) {
    w.raw(match flag {
        Flag::Seen => "SEEN",
        Flag::Answered => "ANSWERED",
        Flag::Flagged => "FLAGGED",
        Flag::Deleted => "DELETED",
        Flag::Draft => "DRAFT",
        Flag::Keyword(keyword) => {
            w.raw("KEYWORD ");
            return w.raw(keyword);
        }
    });
}

/// A word and a day, a number or a text.
fn with_argument(w: &mut Writer<'_>, which: &Key) {
    match which {
        Key::Before(at) => day(w, "BEFORE", *at),
        Key::On(at) => day(w, "ON", *at),
        Key::Since(at) => day(w, "SINCE", *at),
        Key::SentBefore(at) => day(w, "SENTBEFORE", *at),
        Key::SentOn(at) => day(w, "SENTON", *at),
        Key::SentSince(at) => day(w, "SENTSINCE", *at),
        Key::SavedBefore(at) => day(w, "SAVEDBEFORE", *at),
        Key::SavedOn(at) => day(w, "SAVEDON", *at),
        Key::SavedSince(at) => day(w, "SAVEDSINCE", *at),
        Key::Larger(octets) => amount(w, "LARGER ", *octets),
        Key::Smaller(octets) => amount(w, "SMALLER ", *octets),
        Key::Older(seconds) => amount(w, "OLDER ", u64::from(*seconds)),
        Key::Younger(seconds) => amount(w, "YOUNGER ", u64::from(*seconds)),
        Key::ModSeq(modseq) => amount(w, "MODSEQ ", *modseq),
        Key::Bcc(value) => text(w, "BCC ", value),
        Key::Cc(value) => text(w, "CC ", value),
        Key::From(value) => text(w, "FROM ", value),
        Key::To(value) => text(w, "TO ", value),
        Key::Subject(value) => text(w, "SUBJECT ", value),
        Key::Body(value) => text(w, "BODY ", value),
        Key::Text(value) => text(w, "TEXT ", value),
        Key::EmailId(id) => {
            w.raw("EMAILID ");
            w.raw(id);
        }
        Key::ThreadId(id) => {
            w.raw("THREADID ");
            w.raw(id);
        }
        // The others were written by `key`.
        _ => {}
    }
}

fn day(w: &mut Writer<'_>, word: &str, day: Day) {
    let (year, month, day) = civil(day.clamp(DAY_MIN, DAY_MAX));
    // `civil` counts months from 0.
    let month = MONTHS[month as usize];
    w.raw(&format!("{word} {day}-{month}-{year:04}"));
}

fn amount(w: &mut Writer<'_>, word: &str, amount: u64) {
    w.raw(word);
    w.number(amount);
}

fn text(w: &mut Writer<'_>, word: &str, value: &str) {
    w.raw(word);
    w.string(value.as_bytes());
}
