//! Reading mail that other programs kept: mbox, Maildir, folders of `.eml`.
//!
//! [`scan`] looks at a path and says what it is and about how much; its
//! [`Plan::items`] gives one message after the other, each with a reader of its
//! own that streams the message with CRLF line ends. What must hold: no message
//! is in memory whole, a message that cannot be read is one error and not the end
//! of the run, links to directories are not followed, and nothing is written.
//! Not here: where the messages go, and which of them are already there.

mod mbox;
mod names;
mod newlines;
mod walk;
mod when;

pub use newlines::Newlines;

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How the mail is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Files with many messages each, between lines that begin with `From `.
    Mbox,
    /// Directories `cur` and `new` with a file for each message.
    Maildir,
    /// `.eml` files.
    Folder,
}

impl Kind {
    /// The word on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Mbox => "mbox",
            Kind::Maildir => "maildir",
            Kind::Folder => "eml",
        }
    }
}

/// What went wrong, with one path. The operator acts: by naming another path or mending the file.
#[derive(Debug)]
pub enum Error {
    /// The file system refused.
    Io(PathBuf, io::Error),
    /// Nothing says what kind of mail this is.
    UnknownKind(PathBuf),
    /// It is not of the kind that was asked for.
    NotThatKind(PathBuf, Kind),
    /// Directories nested deeper, or more of them, than any mail program makes.
    TooManyFolders(PathBuf),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io(path, e) => write!(f, "{}: cannot be read: {e}", path.display()),
            Error::UnknownKind(path) => write!(
                f,
                "{}: this is neither an mbox file, nor a Maildir, nor a folder of .eml files; if it is one of them \
                 after all, name the kind",
                path.display()
            ),
            Error::NotThatKind(path, kind) => {
                write!(f, "{}: there is no mail of the kind {} here", path.display(), kind.name())
            }
            Error::TooManyFolders(path) => {
                write!(f, "{}: too many folders in here; import them one by one", path.display())
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io(_, e) => Some(e),
            _ => None,
        }
    }
}

/// What there is to import.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How the mail is kept.
    pub kind: Kind,
    /// Messages; of large mbox files an estimate.
    pub messages: u64,
    /// Octets as kept.
    pub bytes: u64,
    boxes: Vec<MailboxSource>,
}

/// One mailbox of the plan: an mbox file, a Maildir, a directory (or single file) of `.eml`.
#[derive(Clone, Debug)]
struct MailboxSource {
    path: PathBuf,
    /// Names of the levels below the root; empty is the root itself.
    levels: Vec<String>,
}

/// Where messages go.
#[derive(Clone, Debug)]
pub struct Options {
    /// Mailbox for what lies at the root.
    pub root: String,
    /// Subfolders become mailboxes; false puts everything into `root`.
    pub mailboxes: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { root: store::account::INBOX.to_owned(), mailboxes: true }
    }
}

/// Flags that came with a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Read.
    pub seen: bool,
    /// Answered.
    pub answered: bool,
    /// Flagged.
    pub flagged: bool,
    /// Marked for deletion, or deleted and waiting to be compacted away.
    pub deleted: bool,
    /// A draft.
    pub draft: bool,
}

/// A message to import.
pub struct Item {
    /// The file it is in.
    pub source: PathBuf,
    /// Where in an mbox file its `From ` line begins.
    pub offset: Option<u64>,
    /// Where it belongs: levels separated by `/`.
    pub mailbox: String,
    /// Its flags.
    pub marks: Marks,
    /// When it came, Unix seconds, as far as anything tells.
    pub received: Option<i64>,
    /// Octets as kept, for progress; what the reader gives may be a little more.
    pub bytes: u64,
    /// The message with CRLF line ends.
    pub reader: Box<dyn Read + Send>,
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item")
            .field("source", &self.source)
            .field("offset", &self.offset)
            .field("mailbox", &self.mailbox)
            .field("marks", &self.marks)
            .field("received", &self.received)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// Looks at `path`; without `kind` finds out by itself what it is.
pub fn scan(path: &Path, kind: Option<Kind>) -> Result<Plan, Error> {
    let kind = match kind {
        Some(kind) => kind,
        None => walk::detect(path)?.ok_or_else(|| Error::UnknownKind(path.to_owned()))?,
    };
    let boxes = walk::boxes(path, kind)?;
    let mut plan = Plan { kind, messages: 0, bytes: 0, boxes };
    for source in &plan.boxes {
        let (messages, bytes) = match kind {
            Kind::Mbox => mbox::estimate(&source.path)?,
            Kind::Maildir | Kind::Folder => {
                // A file that vanishes or cannot be asked now is an error of the run, not of the plan.
                let files = walk::files(&source.path, kind)?;
                let sizes = files.iter().filter_map(|file| Some(file.metadata().ok()?.len()));
                (files.len() as u64, sizes.sum())
            }
        };
        plan.messages += messages;
        plan.bytes += bytes;
    }
    if plan.boxes.is_empty() {
        return Err(Error::NotThatKind(path.to_owned(), kind));
    }
    Ok(plan)
}

impl Plan {
    /// The messages, mailbox by mailbox. An error concerns one message or one
    /// mailbox; go on calling for the others.
    #[must_use]
    pub fn items(&self, options: Options) -> Items {
        Items { kind: self.kind, options, boxes: self.boxes.clone().into_iter(), current: Current::None }
    }
}

/// Iterator over the messages of a plan.
#[derive(Debug)]
pub struct Items {
    kind: Kind,
    options: Options,
    boxes: std::vec::IntoIter<MailboxSource>,
    current: Current,
}

#[derive(Debug)]
enum Current {
    None,
    Files(String, std::vec::IntoIter<PathBuf>),
    Mbox(String, Box<mbox::Messages>),
}

impl Iterator for Items {
    type Item = Result<Item, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let item = match &mut self.current {
                Current::None => None,
                Current::Files(mailbox, files) => {
                    files.next().map(|path| file_item(self.kind, &path, mailbox))
                }
                Current::Mbox(mailbox, messages) => {
                    let found = messages.next();
                    found.map(|span| span.and_then(|span| mbox_item(messages.path(), &span, mailbox)))
                }
            };
            if item.is_some() {
                return item;
            }
            let source = self.boxes.next()?;
            let mailbox = self.mailbox(&source);
            let opened = match self.kind {
                Kind::Mbox => mbox::Messages::open(&source.path).map(|m| Current::Mbox(mailbox, Box::new(m))),
                Kind::Maildir | Kind::Folder => {
                    walk::files(&source.path, self.kind).map(|f| Current::Files(mailbox, f.into_iter()))
                }
            };
            match opened {
                Ok(current) => self.current = current,
                Err(e) => {
                    self.current = Current::None;
                    return Some(Err(e));
                }
            }
        }
    }
}

impl Items {
    fn mailbox(&self, source: &MailboxSource) -> String {
        if source.levels.is_empty() || !self.options.mailboxes {
            return self.options.root.clone();
        }
        source.levels.join("/")
    }
}

/// Octets of a header that are looked at for dates and flags.
const HEADER_BYTES_MAX: u64 = 64 << 10;

fn file_item(kind: Kind, path: &Path, mailbox: &str) -> Result<Item, Error> {
    let failed = |e| Error::Io(path.to_owned(), e);
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let modified = metadata.modified().ok().and_then(when::unix_seconds);
    let (marks, received) = match kind {
        // A Maildir's files bear the time of delivery.
        Kind::Maildir => (names::maildir_marks(path), modified),
        Kind::Mbox | Kind::Folder => {
            let header = header_of(&mut file, metadata.len()).map_err(failed)?;
            file.seek(SeekFrom::Start(0)).map_err(failed)?;
            (Marks::default(), when::of_header(&header).or(modified))
        }
    };
    Ok(Item {
        source: path.to_owned(),
        offset: None,
        mailbox: mailbox.to_owned(),
        marks,
        received,
        bytes: metadata.len(),
        reader: Box::new(Newlines::new(BufReader::new(file), false)),
    })
}

fn mbox_item(path: &Path, span: &mbox::Span, mailbox: &str) -> Result<Item, Error> {
    let failed = |e| Error::Io(path.to_owned(), e);
    let mut file = File::open(path).map_err(failed)?;
    file.seek(SeekFrom::Start(span.start)).map_err(failed)?;
    let header = header_of(&mut file, span.bytes).map_err(failed)?;
    file.seek(SeekFrom::Start(span.start)).map_err(failed)?;
    Ok(Item {
        source: path.to_owned(),
        offset: Some(span.from_line),
        mailbox: mailbox.to_owned(),
        marks: names::mbox_marks(&header),
        received: span.received.or_else(|| when::of_header(&header)),
        bytes: span.bytes,
        reader: Box::new(Newlines::new(BufReader::new(file.take(span.bytes)), span.quoted)),
    })
}

/// The header at the file's position, as far as it is looked at, unfolded, as (name, value).
fn header_of(file: &mut File, bytes: u64) -> io::Result<Vec<(String, String)>> {
    let mut raw = Vec::new();
    file.take(bytes.min(HEADER_BYTES_MAX)).read_to_end(&mut raw)?;
    Ok(names::fields(&raw))
}

#[cfg(test)]
mod tests;
