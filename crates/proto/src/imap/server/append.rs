//! APPEND and REPLACE while they stream in (RFC 9051 6.3.12, RFC 3502, RFC 4469, RFC 3516, RFC 8508).
//!
//! The lines between the literals are gathered and walked, step by step, each step an event; the
//! literals of messages pass through as slices of the input. A step that the session is asked about
//! stops the walk until `append_go` or a refusal.
//!
//! What must hold: once [`Append::Begin`] was told, the walk ends with [`Append::End`], with a refusal
//! by the session, or with [`Append::Aborted`]; the client's go-ahead for a message comes after the
//! session's.

use super::reply::Condition;
use super::{Server, Wait};
use crate::imap::code::Code;
use crate::imap::framing::Framed;
use crate::imap::language::{Text, Words};
use crate::imap::parse::{Announced, AppendItem, Fault, Item, Place, append_head, append_item};
use crate::imap::{Append, Event, Replaces};

/// An APPEND under way.
#[derive(Debug)]
pub(super) struct Walk {
    /// The lines since the word, or since the last literal that passed, with the literals
    /// that were gathered between them.
    text: Vec<u8>,
    /// Octets of the gathered command in front of `text`: its tag and word.
    skip: usize,
    /// The command ends where `text` ends; otherwise a literal's announcement does.
    whole: bool,
    /// Walked so far.
    at: usize,
    /// Where in the grammar; `None`: the mailbox is still to be read, and the session knows nothing.
    place: Option<Place>,
    stage: Stage,
    /// Messages that began.
    messages: u32,
    /// The literal that passes may have NUL.
    binary: bool,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// For more from the client.
    Read,
    /// The next step can be taken.
    Ready,
    /// The session has to decide whether it goes on.
    Asked,
    /// The same, about a literal.
    AskedText(Announced),
    /// The session has it all and answers.
    End,
}

impl Walk {
    /// Begins with the command as far as it came; `at` is where its arguments are.
    pub(super) fn new(text: &[u8], at: usize, whole: bool) -> Walk {
        Walk {
            text: text.get(at..).unwrap_or_default().to_vec(),
            skip: at,
            whole,
            at: 0,
            place: None,
            stage: Stage::Ready,
            messages: 0,
            binary: false,
        }
    }

    /// The client's turn.
    pub(super) fn listens(&self) -> bool {
        matches!(self.stage, Stage::Read)
    }

    /// All of it came, and the session has been told so.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.stage, Stage::End)
    }

    /// Octets of lines that are kept.
    pub(super) fn kept_bytes(&self) -> usize {
        self.text.len()
    }

    fn left(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }
}

impl Server {
    /// Goes on with APPEND.
    pub fn append_go(&mut self) {
        let Wait::Append(walk) = &mut self.wait else { return };
        match walk.stage {
            Stage::Asked => walk.stage = Stage::Ready,
            Stage::AskedText(announced) => {
                walk.text.clear();
                (walk.skip, walk.at, walk.binary) = (0, 0, announced.binary);
                walk.stage = Stage::Read;
                self.go_ahead(announced);
                self.gather.pass_literal();
            }
            Stage::Read | Stage::Ready | Stage::End => {}
        }
        self.answered = true;
    }

    /// `tag NO [code] text` to APPEND, at once or when what cannot be stopped has been read away. May be
    /// called at every step, [`Append::Data`] and [`Append::MessageEnd`] included.
    pub fn append_refuse<'w>(&mut self, code: Option<Code>, text: impl Into<Words<'w>>) {
        self.no(code, text);
    }

    /// What the client said while an APPEND is under way.
    pub(super) fn append_piece<'a>(&mut self, framed: Framed<'a>) -> Option<Event<'a>> {
        let Wait::Append(walk) = &mut self.wait else { return None };
        let kept: &[u8] = match &framed {
            Framed::Data(octets) => {
                if walk.binary || memchr::memchr(b'\0', octets).is_none() {
                    return Some(Event::Append(Append::Data(octets)));
                }
                return self.append_bad(Text::LiteralNul);
            }
            Framed::Command(line) => line,
            Framed::Literal(_) => self.gather.text(),
            Framed::TooLong => {
                return self.append_stop(Condition::No, Some(Code::Limit), Text::LineTooLong);
            }
            Framed::BadBytes => return self.append_bad(Text::LineBytes),
            // Handled where nothing is under way any more.
            Framed::ReadAway | Framed::Flood => return None,
        };
        walk.text.clear();
        walk.text.extend_from_slice(kept.get(walk.skip..).unwrap_or_default());
        walk.whole = matches!(framed, Framed::Command(_));
        walk.stage = Stage::Ready;
        None
    }

    /// The next step, if one can be taken now.
    pub(super) fn append_step<'a>(&mut self) -> Option<Event<'a>> {
        let dialect = self.dialect();
        let Wait::Append(walk) = &mut self.wait else { return None };
        if !matches!(walk.stage, Stage::Ready) {
            return None;
        }
        let Some(place) = walk.place else {
            let name = self.row.map_or("", |row| row.name);
            let replaces = name != "APPEND";
            let head = match append_head(walk.left(), replaces, dialect) {
                Ok(Some(head)) => head,
                Ok(None) => return self.append_gather(),
                Err(fault) => return self.append_break(&fault),
            };
            walk.at += head.used;
            walk.place = Some(Place::First);
            walk.stage = Stage::Asked;
            let replaces = head.replaces.map(|number| Replaces { uid: name.starts_with("UID "), number });
            return Some(Event::Append(Append::Begin { mailbox: head.mailbox, replaces }));
        };
        match append_item(walk.left(), place) {
            Ok(item) => self.append_item(item),
            Err(fault) => self.append_break(&fault),
        }
    }

    fn append_item<'a>(&mut self, AppendItem { item, used, next }: AppendItem) -> Option<Event<'a>> {
        let Wait::Append(walk) = &mut self.wait else { return None };
        if !matches!(item, Item::Incomplete) {
            walk.at += used;
            walk.place = Some(next);
        }
        if matches!(item, Item::Message { .. }) {
            walk.messages += 1;
            if walk.messages > self.limits.append_messages_max {
                return self.append_stop(Condition::No, Some(Code::Limit), Text::MessagesTooMany);
            }
        }
        let (stage, step) = match item {
            Item::Message { flags, received } => (Stage::Asked, Append::Message { flags, received }),
            Item::Url(url) => (Stage::Asked, Append::Url(url)),
            Item::Text(announced) => return self.append_text(announced, next),
            Item::MessageEnd => (Stage::Ready, Append::MessageEnd),
            Item::End => (Stage::End, Append::End),
            Item::Incomplete => return self.append_gather(),
        };
        walk.stage = stage;
        Some(Event::Append(step))
    }

    /// A literal of a message was announced.
    fn append_text<'a>(&mut self, announced: Announced, next: Place) -> Option<Event<'a>> {
        let Wait::Append(walk) = &mut self.wait else { return None };
        if next == Place::Utf8Close && !self.enabled.utf8 {
            return self.append_bad(Text::Utf8NotEnabled);
        }
        // RFC 3502: with no octets the client takes its APPEND back. A part of CATENATE may be empty.
        if announced.bytes == 0 && next != Place::Part {
            return self.append_stop(Condition::No, None, Text::EmptyMessage);
        }
        if announced.bytes > self.offer.append_bytes_max {
            return self.append_stop(Condition::No, Some(Code::TooBig), Text::MessageTooLong);
        }
        walk.stage = Stage::AskedText(announced);
        Some(Event::Append(Append::Text { bytes: announced.bytes, binary: announced.binary }))
    }

    /// An argument of the command is a literal: it is gathered, and the step tried again.
    fn append_gather<'a>(&mut self) -> Option<Event<'a>> {
        let Wait::Append(walk) = &mut self.wait else { return None };
        let announced = crate::imap::parse::announced(&walk.text).filter(|_| !walk.whole);
        let Some(announced) = announced else {
            return self.append_bad(Text::LiteralExpected);
        };
        let began = walk.place.is_some();
        walk.stage = Stage::Read;
        match self.gather_literal(announced) {
            Ok(()) => None,
            Err(stopped) => aborted(began, stopped),
        }
    }

    /// Breaks the command off for a fault of the client.
    fn append_break<'a>(&mut self, fault: &Fault) -> Option<Event<'a>> {
        let began = self.append_began();
        aborted(began, self.refuse_fault(fault))
    }

    /// The same, for a fault that the parser does not see.
    fn append_bad<'a>(&mut self, text: Text) -> Option<Event<'a>> {
        let began = self.append_began();
        aborted(began, self.refuse_syntax(text))
    }

    /// Breaks the command off for what the client may do, but not so.
    fn append_stop<'a>(&mut self, condition: Condition, code: Option<Code>, text: Text) -> Option<Event<'a>> {
        let began = self.append_began();
        aborted(began, self.refuse(None, condition, code, text))
    }

    fn append_began(&self) -> bool {
        matches!(&self.wait, Wait::Append(walk) if walk.place.is_some())
    }
}

/// What is told of a command that was broken off: a session that has begun is told to forget it,
/// unless all is over anyway.
fn aborted(began: bool, refused: Option<Event<'_>>) -> Option<Event<'_>> {
    use crate::imap::Refusal::TooManyErrors;
    match refused {
        Some(Event::Refused(TooManyErrors)) => refused,
        _ if began => Some(Event::Append(Append::Aborted)),
        _ => refused,
    }
}
