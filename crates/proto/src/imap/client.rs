//! Writing commands, as a client does: the other direction of [`super::parse`].
//!
//! What must hold: what is written here means the same again when it is parsed. Tag and line end
//! are the caller's. Nothing is decided here: who asks for UTF-8 in quotation marks or for
//! literals without waiting knows that the server can do it.

mod fetch;
mod mailbox;
mod search;

use super::command::{Change, Command, Copy, Flag, Store};
use super::encode::number;
use super::name;
use super::parse::Dialect;
use super::set::SetOrSaved;

/// Longer strings are sent as literals.
const QUOTED_BYTES_MAX: usize = 1000;

/// How a literal is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literals {
    /// `{n}`: the caller has to wait for the server behind each announcement.
    Sync,
    /// `{n+}` (RFC 7888).
    NonSync,
}

/// Writes the word and the arguments of `command`.
pub fn write(command: &Command, dialect: Dialect, literals: Literals, out: &mut Vec<u8>) {
    let mut writer = Writer { out, dialect, literals };
    let w = &mut writer;
    match command {
        Command::Noop => w.raw("NOOP"),
        Command::Check => w.raw("CHECK"),
        Command::Unauthenticate => w.raw("UNAUTHENTICATE"),
        Command::Compress => w.raw("COMPRESS DEFLATE"),
        Command::Namespace => w.raw("NAMESPACE"),
        Command::Idle => w.raw("IDLE"),
        Command::Close => w.raw("CLOSE"),
        Command::Unselect => w.raw("UNSELECT"),
        Command::Id(pairs) => id(w, pairs),
        Command::Language(tags) => words(w, "LANGUAGE", tags),
        Command::Comparator(names) => words(w, "COMPARATOR", names),
        Command::CancelUpdate(tags) => words(w, "CANCELUPDATE", tags),
        Command::Expunge(None) => w.raw("EXPUNGE"),
        Command::Expunge(Some(set)) => {
            w.raw("UID EXPUNGE ");
            w.set(set);
        }
        Command::Fetch(fetch) => fetch::fetch(w, fetch),
        Command::Store(command) => store(w, command),
        Command::Copy(command) => copy(w, command),
        Command::Search(_) | Command::Sort { .. } | Command::Thread { .. } | Command::Multisearch { .. } => {
            search::command(w, command);
        }
        _ => mailbox::command(w, command),
    }
}

/// What all commands are written with.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    dialect: Dialect,
    literals: Literals,
}

impl Writer<'_> {
    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// The same behind a space.
    fn word(&mut self, word: &str) {
        self.out.push(b' ');
        self.raw(word);
    }

    fn number(&mut self, value: u64) {
        number(value, self.out);
    }

    fn uid(&mut self, uid: bool) {
        if uid {
            self.raw("UID ");
        }
    }

    fn set(&mut self, set: &SetOrSaved) {
        match set {
            SetOrSaved::Set(set) => set.write(self.out),
            SetOrSaved::Saved => self.out.push(b'$'),
        }
    }

    /// Items with spaces between, in parentheses.
    fn list<T>(&mut self, items: impl IntoIterator<Item = T>, mut item: impl FnMut(&mut Self, T)) {
        self.out.push(b'(');
        for (at, each) in items.into_iter().enumerate() {
            if at > 0 {
                self.out.push(b' ');
            }
            item(self, each);
        }
        self.out.push(b')');
    }

    /// Words that apply, in parentheses.
    fn options(&mut self, options: &[(bool, &str)]) {
        let chosen = options.iter().filter(|(chosen, _)| *chosen);
        self.list(chosen, |w, (_, word)| w.raw(word));
    }

    /// A string: in quotation marks where it can be, else a literal.
    fn string(&mut self, text: &[u8]) {
        let utf8 = self.dialect.utf8 && std::str::from_utf8(text).is_ok();
        let plain = |byte: &u8| !matches!(byte, 0 | b'\r' | b'\n') && (byte.is_ascii() || utf8);
        if text.len() > QUOTED_BYTES_MAX || !text.iter().all(plain) {
            return self.literal(text);
        }
        self.out.push(b'"');
        for &byte in text {
            if matches!(byte, b'"' | b'\\') {
                self.out.push(b'\\');
            }
            self.out.push(byte);
        }
        self.out.push(b'"');
    }

    /// `{n}`, or `~{n}` for what has NUL in it (RFC 3516).
    fn literal(&mut self, text: &[u8]) {
        if text.contains(&0) {
            self.out.push(b'~');
        }
        self.out.push(b'{');
        self.number(text.len() as u64);
        self.raw(if self.literals == Literals::NonSync { "+}\r\n" } else { "}\r\n" });
        self.out.extend_from_slice(text);
    }

    fn nstring(&mut self, text: Option<&[u8]>) {
        match text {
            Some(text) => self.string(text),
            None => self.raw("NIL"),
        }
    }

    /// The name of a mailbox, or a pattern.
    fn mailbox(&mut self, name: &str) {
        if self.dialect.utf8 {
            return self.string(name.as_bytes());
        }
        let mut wire = Vec::with_capacity(name.len());
        name::to_utf7(name, &mut wire);
        self.string(&wire);
    }

    fn flag(&mut self, flag: &Flag) {
        self.raw(match flag {
            Flag::Seen => "\\Seen",
            Flag::Answered => "\\Answered",
            Flag::Flagged => "\\Flagged",
            Flag::Deleted => "\\Deleted",
            Flag::Draft => "\\Draft",
            Flag::Keyword(keyword) => keyword,
        });
    }
}

fn words(w: &mut Writer<'_>, word: &str, texts: &[String]) {
    w.raw(word);
    for text in texts {
        w.out.push(b' ');
        w.string(text.as_bytes());
    }
}

fn id(w: &mut Writer<'_>, pairs: &[(String, Option<String>)]) {
    w.raw("ID ");
    if pairs.is_empty() {
        return w.raw("NIL");
    }
    w.list(pairs, |w, (name, value)| {
        w.string(name.as_bytes());
        w.out.push(b' ');
        w.nstring(value.as_deref().map(str::as_bytes));
    });
}

fn store(w: &mut Writer<'_>, store: &Store) {
    w.uid(store.uid);
    w.raw("STORE ");
    w.set(&store.set);
    if let Some(modseq) = store.unchanged_since {
        w.raw(" (UNCHANGEDSINCE ");
        w.number(modseq);
        w.raw(")");
    }
    w.raw(match store.how {
        Change::Add => " +FLAGS",
        Change::Remove => " -FLAGS",
        Change::Replace => " FLAGS",
    });
    w.raw(if store.silent { ".SILENT " } else { " " });
    w.list(&store.flags, Writer::flag);
}

fn copy(w: &mut Writer<'_>, copy: &Copy) {
    w.uid(copy.uid);
    w.raw(if copy.remove { "MOVE " } else { "COPY " });
    w.set(&copy.set);
    w.raw(" ");
    w.mailbox(&copy.mailbox);
}
