//! What the machine and the session say: tagged and untagged lines, and the one refusal path.

use super::{Server, Wait};
use crate::imap::code::Code;
use crate::imap::language::{Common, Text, Words};
use crate::imap::parse::Fault;
use crate::imap::{Event, Refusal};
use crate::language::{DEFAULT_TAG, Language};

/// How a tagged answer begins (RFC 9051 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Ok,
    No,
    Bad,
}

/// An answer that waits until the command is read away.
#[derive(Debug)]
pub(super) struct Late {
    refusal: Option<Refusal>,
    condition: Condition,
    code: Option<Code>,
    text: Words<'static>,
}

impl Server {
    /// `tag OK [code] text`; for a login use [`Server::logged_in`].
    pub fn ok<'w>(&mut self, code: Option<Code>, text: impl Into<Words<'w>>) {
        self.answer(Condition::Ok, code, text.into());
    }

    /// `tag NO [code] text`. Does not count as an error of the peer.
    pub fn no<'w>(&mut self, code: Option<Code>, text: impl Into<Words<'w>>) {
        self.answer(Condition::No, code, text.into());
    }

    /// `tag BAD [code] text`, counted as an error.
    pub fn bad<'w>(&mut self, code: Option<Code>, text: impl Into<Words<'w>>) {
        self.answer(Condition::Bad, code, text.into());
    }

    /// `* OK [code] text`.
    pub fn untagged_ok<'w>(&mut self, code: Option<Code>, text: impl Into<Words<'w>>) {
        self.line(b"* OK ", code.as_ref(), &text.into());
    }

    /// `* NO [code] text`.
    pub fn untagged_no<'w>(&mut self, code: Option<Code>, text: impl Into<Words<'w>>) {
        self.line(b"* NO ", code.as_ref(), &text.into());
    }

    /// `* BYE [code] text`, then the end.
    pub fn bye<'w>(&mut self, code: Option<Code>, text: impl Into<Words<'w>>) {
        self.line(b"* BYE ", code.as_ref(), &text.into());
        self.late = None;
        self.wait = Wait::End;
    }

    /// `tag OK [CAPABILITY ...] text`: the state is another one now.
    pub(super) fn ok_with_capabilities<'w>(&mut self, text: impl Into<Words<'w>>) {
        if matches!(self.wait, Wait::End) {
            return;
        }
        self.begin_tagged();
        self.output.extend_from_slice(b"OK [");
        self.capabilities();
        self.output.extend_from_slice(b"] ");
        self.end_with(&text.into());
        self.errors = 0;
        self.finish();
    }

    /// The session's answer to the command under way.
    fn answer(&mut self, condition: Condition, code: Option<Code>, text: Words<'_>) {
        match &self.wait {
            // We have said goodbye meanwhile.
            Wait::End => {}
            Wait::BrokenIdle => {
                self.tagged(Condition::Bad, None, &Text::DoneExpected.into());
                self.finish();
                self.count_error();
            }
            Wait::Append(walk) if !walk.is_whole() => {
                if self.gather.refuse() {
                    self.late = Some(Late { refusal: None, condition, code, text: text.into_owned() });
                    self.wait = Wait::Command;
                    self.answered = true;
                } else {
                    self.tagged(condition, code, &text);
                    self.finish();
                }
            }
            _ => {
                self.tagged(condition, code, &text);
                self.finish();
                if condition == Condition::Bad {
                    self.count_error();
                } else {
                    self.errors = 0;
                }
            }
        }
    }

    /// Refuses the command under way: at once, or when it has been read away. With a `refusal` it counts as an
    /// error of the peer.
    pub(super) fn refuse<'a>(
        &mut self,
        refusal: Option<Refusal>,
        condition: Condition,
        code: Option<Code>,
        text: impl Into<Words<'static>>,
    ) -> Option<Event<'a>> {
        let late = Late { refusal, condition, code, text: text.into() };
        self.wait = Wait::Command;
        if self.gather.refuse() {
            self.late = Some(late);
            return None;
        }
        self.refused(late)
    }

    /// BAD, for what breaks the rules.
    pub(super) fn refuse_syntax<'a>(&mut self, text: impl Into<Words<'static>>) -> Option<Event<'a>> {
        self.refuse(Some(Refusal::Syntax), Condition::Bad, None, text)
    }

    /// What the parser says of a command.
    pub(super) fn refuse_fault<'a>(&mut self, fault: &Fault) -> Option<Event<'a>> {
        match *fault {
            // Details are English: RFC 5255 3.2, see `imap::language`.
            Fault::Syntax(detail) if self.language == Language::default() => {
                self.refuse_syntax(Words::Ready(detail.into()))
            }
            Fault::Syntax(_) => self.refuse_syntax(Text::Malformed),
            Fault::Tag => self.refuse_syntax(Text::NoTag),
            Fault::Unknown => self.refuse_syntax(Common::Unknown),
            Fault::Charset => self.refuse(None, Condition::No, Some(Code::BadCharset), Text::Charset),
            Fault::Event => self.refuse(None, Condition::No, Some(Code::BadEvent), Text::NoEvent),
            Fault::Limit(text) => self.refuse(None, Condition::No, Some(Code::Limit), text),
        }
    }

    /// What was refused has been read away.
    pub(super) fn late_answer<'a>(&mut self) -> Option<Event<'a>> {
        // None: the rest of a line behind IDLE, which was answered.
        let late = self.late.take()?;
        self.refused(late)
    }

    fn refused<'a>(&mut self, late: Late) -> Option<Event<'a>> {
        self.tagged(late.condition, late.code, &late.text);
        self.finish();
        let refusal = late.refusal?;
        Some(Event::Refused(if self.count_error() { Refusal::TooManyErrors } else { refusal }))
    }

    /// One more error in a row. True: that was the last one.
    fn count_error(&mut self) -> bool {
        self.errors += 1;
        if self.errors < self.limits.errors_max {
            return false;
        }
        self.bye(None, Common::TooManyErrors);
        true
    }

    /// The command is answered.
    pub(super) fn finish(&mut self) {
        self.tag.clear();
        self.row = None;
        self.counts = false;
        self.wait = Wait::Command;
        self.answered = true;
    }

    pub(super) fn tagged(&mut self, condition: Condition, code: Option<Code>, text: &Words<'_>) {
        self.begin_tagged();
        let head: &[u8] = match condition {
            Condition::Ok => b"OK ",
            Condition::No => b"NO ",
            Condition::Bad => b"BAD ",
        };
        self.line(head, code.as_ref(), text);
    }

    fn begin_tagged(&mut self) {
        // Without a tag that can be repeated the answer is untagged (RFC 9051 7.1.3).
        let tag = if self.tag.is_empty() { "*" } else { &self.tag };
        self.output.extend_from_slice(tag.as_bytes());
        self.output.push(b' ');
    }

    fn line(&mut self, head: &[u8], code: Option<&Code>, text: &Words<'_>) {
        self.output.extend_from_slice(head);
        if let Some(code) = code {
            self.output.push(b'[');
            code.write(&mut self.output);
            self.output.extend_from_slice(b"] ");
        }
        self.end_with(text);
    }

    /// A text on one line, whatever is in it, and the line's end. Before a language was chosen no octet has its high bit (RFC 5255
    /// 3.5): a name in a text may be in UTF-8.
    pub(super) fn end_with(&mut self, text: &Words<'_>) {
        let start = self.output.len();
        self.output.extend_from_slice(text.said(self.language).as_bytes());
        let ascii = self.language_tag == DEFAULT_TAG;
        for byte in &mut self.output[start..] {
            if ascii && !byte.is_ascii() {
                *byte = b'?';
            } else if matches!(byte, 0 | b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        self.output.extend_from_slice(b"\r\n");
    }
}
