//! Walks through a message while it streams past, and finds its parts.
//!
//! Knows only the header that is being read, the parts found so far, and the beginning of a line that may be a
//! delimiter. What must hold: the result does not depend on the cuts; each part lies within its parent; an octet is looked
//! at closely only in headers and in lines that begin with a hyphen while boundaries are awaited.
//!
//! Rules that programs agree on where RFC 2046 is silent: a delimiter is a line that begins with two hyphens and an open
//! boundary, the longest that fits, then the innermost; it ends all parts that are open within that multipart; a multipart
//! whose last delimiter is missing ends with its parent. A part whose first line is no field has no header.

use super::part::{Found, Part, Shape, Whole};
use super::preview::Preview;
use super::{Limits, fields::Fields};
use crate::message::header::name_bytes;
use crate::message::structure::{Kind, TextPart};
use memchr::memmem::Finder;

/// Octets of a boundary (RFC 2046 5.1.1 allows 70). A longer one is taken for none.
pub(super) const BOUNDARY_BYTES_MAX: usize = 250;
/// Octets of a line that decide what it is: hyphens, boundary, hyphens, line end.
const HEAD_BYTES_MAX: usize = BOUNDARY_BYTES_MAX + 6;
/// Octets of a part's header, or of that of a message within, that are read.
const PART_HEADER_BYTES_MAX: usize = 64 << 10;

/// What is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The first line of a part's header, which shows whether it has one.
    FirstLine,
    /// A header's line.
    Header,
    /// Content.
    Body,
    /// The rest of a line that begins with a hyphen.
    Candidate,
    /// The end of a delimiter's line; `part`: a part follows.
    Delimiter { part: bool },
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Scan {
    limits: Limits,
    state: State,
    /// Octets and line ends that have passed.
    offset: u64,
    lines: u64,
    /// Does a line begin now? The last octet or, if one does, the one before its line end.
    last: u8,
    fresh: bool,
    /// The line that is looked at closely: where it begins, what was counted before it, how long the line end before
    /// it is, and its first octets.
    line: Mark,
    head: Vec<u8>,
    /// Octets of the line.
    line_len: u64,
    /// The header that is being read, and where in it the line begins.
    header: Vec<u8>,
    header_line: usize,
    parts: Vec<Part>,
    /// Those that have not ended, from the whole to the innermost.
    open: Vec<usize>,
    /// Open multiparts whose last delimiter has not come.
    awaited: usize,
    found: Found,
    whole: Whole,
    preview: Preview,
    hyphens: Finder<'static>,
}

/// A place between two lines.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    offset: u64,
    lines: u64,
    /// Of the line end before it: 0 at the beginning.
    line_end: u64,
}

impl Scan {
    pub(super) fn new(limits: Limits) -> Scan {
        let mut scan = Scan {
            limits,
            state: State::Header,
            offset: 0,
            lines: 0,
            last: 0,
            fresh: true,
            line: Mark::default(),
            head: Vec::with_capacity(HEAD_BYTES_MAX),
            line_len: 0,
            header: Vec::with_capacity(4096),
            header_line: 0,
            parts: Vec::new(),
            open: Vec::new(),
            awaited: 0,
            found: Found::default(),
            whole: Whole::default(),
            preview: Preview::default(),
            hyphens: Finder::new(b"\n-"),
        };
        scan.begin_part();
        scan.state = State::Header;
        scan
    }

    pub(super) fn feed(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let used = match self.state {
                State::Header => self.header(piece),
                State::FirstLine => self.first_line(piece),
                State::Body => self.body(piece),
                State::Candidate => self.candidate(piece),
                State::Delimiter { part } => self.delimiter_rest(piece, part),
            };
            piece = &piece[used..];
        }
    }

    /// Everything that was found.
    pub(super) fn finish(mut self) -> (Vec<Part>, Found, Whole, String) {
        match self.state {
            State::FirstLine if !self.head.is_empty() => self.first_line_is_complete(),
            State::Candidate => self.candidate_is_complete(),
            _ => {}
        }
        if self.state == State::Header
            && self.line_len > 0
            && let Some((level, last)) = self.delimiter()
        {
            self.header.truncate(self.header_line);
            self.close_above(level, last);
        }
        let end = Mark { offset: self.offset, lines: self.lines, line_end: 0 };
        self.close_to(0, end);
        let preview = self.preview.finish(self.limits.preview_chars_max);
        (self.parts, self.found, self.whole, preview)
    }

    // Headers.

    fn header(&mut self, piece: &[u8]) -> usize {
        let line = memchr::memchr(b'\n', piece);
        let used = line.map_or(piece.len(), |n| n + 1);
        if self.line_len == 0 {
            self.mark_line();
            self.header_line = self.header.len();
        }
        let max = if self.parts.len() == 1 { self.limits.header_bytes_max } else { PART_HEADER_BYTES_MAX };
        let room = max.saturating_sub(self.header.len());
        self.header.extend_from_slice(&piece[..used.min(room)]);
        let room = HEAD_BYTES_MAX - self.head.len();
        self.head.extend_from_slice(&piece[..used.min(room)]);
        self.line_len += used as u64;
        self.pass(&piece[..used]);
        if line.is_some() {
            self.header_line_is_complete();
        }
        used
    }

    fn header_line_is_complete(&mut self) {
        self.line_len = 0;
        if let Some((level, last)) = self.delimiter() {
            self.header.truncate(self.header_line);
            self.close_above(level, last);
            self.delimiter_has_ended(!last);
        } else if matches!(&self.head[..], b"\n" | b"\r\n") {
            self.header_has_ended(self.here());
        }
    }

    fn first_line(&mut self, piece: &[u8]) -> usize {
        if self.head.is_empty() {
            self.mark_line();
        }
        let (used, complete) = self.take_head(piece);
        self.pass(&piece[..used]);
        if complete {
            self.first_line_is_complete();
        }
        used
    }

    /// Decides whether a part has a header, from as much of its first line as is kept.
    fn first_line_is_complete(&mut self) {
        let ended = self.head.ends_with(b"\n");
        if let Some((level, last)) = self.delimiter() {
            self.close_above(level, last);
            return self.after_delimiter(ended, !last);
        }
        if matches!(&self.head[..], b"\n" | b"\r\n") {
            self.header.extend_from_slice(&self.head);
            return self.header_has_ended(self.here());
        }
        let head = std::mem::take(&mut self.head);
        if name_bytes(&head).is_none() {
            // No header at all: the content begins with this line.
            self.header_has_ended(self.line);
            if self.state == State::Body {
                self.preview.feed(&head);
                return;
            }
            // It is a message, as parts of a digest are, and its header begins with this line.
        }
        self.header.extend_from_slice(&head);
        self.state = State::Header;
        if !ended {
            self.line_len = head.len() as u64;
            self.head = head;
        }
    }

    /// A header is complete, and content begins at the mark: that of a leaf, of a multipart or of a message within.
    fn header_has_ended(&mut self, at: Mark) {
        let header = std::mem::take(&mut self.header);
        let fields = Fields::read(&header);
        // A part was opened before its header began to be read.
        let index = self.open.last().copied().unwrap_or_default();
        if index == 0 {
            self.whole = Whole::read(&fields);
        }
        let parent = self.open.len().checked_sub(2).map(|p| &self.parts[self.open[p]]);
        let shape = Shape {
            digest: parent.is_some_and(|p| p.digest),
            message: parent.is_some_and(|p| p.kind == Kind::Message),
            // A part within needs a level and a place of its own.
            may_nest: self.open.len() <= self.limits.depth_max && self.parts.len() < self.limits.parts_max,
        };
        let part = &mut self.parts[index];
        part.body_start = at.offset;
        part.body_lines = at.lines;
        self.found.describe(part, &fields, shape);
        self.header = header;
        self.header.clear();
        self.header_line = 0;
        self.line_len = 0;
        self.head.clear();
        self.state = State::Body;
        match self.parts[index].kind {
            Kind::Multipart if !self.parts[index].boundary.is_empty() => self.awaited += 1,
            Kind::Message => {
                self.begin_part_at(at);
                self.state = State::Header;
            }
            _ => self.preview_begins(index),
        }
    }

    fn preview_begins(&mut self, index: usize) {
        let part = &self.parts[index];
        if part.shown || part.kind == Kind::Multipart {
            let charset = self.found.charset(part);
            let text = TextPart { body: 0..0, encoding: part.encoding, charset, html: part.html };
            self.preview.begin(&text);
        }
    }

    // Content.

    fn body(&mut self, piece: &[u8]) -> usize {
        if self.awaited == 0 {
            self.content(piece);
            return piece.len();
        }
        if self.fresh && piece[0] == b'-' {
            self.mark_line();
            self.state = State::Candidate;
            return 0;
        }
        let end = self.hyphens.find(piece).map_or(piece.len(), |n| n + 1);
        self.content(&piece[..end]);
        end
    }

    fn candidate(&mut self, piece: &[u8]) -> usize {
        let (used, mut complete) = self.take_head(piece);
        self.pass(&piece[..used]);
        // Two octets are enough for most lines.
        complete |= self.head.len() >= 2 && self.head[1] != b'-';
        if complete {
            self.candidate_is_complete();
        }
        used
    }

    fn candidate_is_complete(&mut self) {
        match self.delimiter() {
            Some((level, last)) => {
                let ended = self.head.ends_with(b"\n");
                self.close_above(level, last);
                self.after_delimiter(ended, !last);
            }
            None => {
                // It was content after all.
                self.state = State::Body;
                self.preview.feed(&self.head);
                self.head.clear();
            }
        }
    }

    fn content(&mut self, piece: &[u8]) {
        self.preview.feed(piece);
        self.pass(piece);
    }

    /// Counts octets and lines.
    fn pass(&mut self, piece: &[u8]) {
        let Some(&last) = piece.last() else { return };
        self.lines += memchr::memchr_iter(b'\n', piece).count() as u64;
        self.offset += piece.len() as u64;
        // Of a line end it is kept what stands before it, which tells its length.
        self.last = match piece {
            [.., before, b'\n'] => *before,
            [b'\n'] if self.fresh => b'\n',
            [b'\n'] => self.last,
            _ => last,
        };
        self.fresh = last == b'\n';
    }

    /// Takes octets up to the line's end or as many as decide; whether that is reached.
    fn take_head(&mut self, piece: &[u8]) -> (usize, bool) {
        let room = (HEAD_BYTES_MAX - self.head.len()).min(piece.len());
        let line = memchr::memchr(b'\n', &piece[..room]);
        let used = line.map_or(room, |n| n + 1);
        self.head.extend_from_slice(&piece[..used]);
        (used, line.is_some() || self.head.len() == HEAD_BYTES_MAX)
    }

    fn here(&self) -> Mark {
        let line_end = match (self.offset, self.fresh) {
            (0, _) | (_, false) => 0,
            _ => 1 + u64::from(self.last == b'\r'),
        };
        Mark { offset: self.offset, lines: self.lines, line_end }
    }

    /// A line begins that is looked at closely.
    fn mark_line(&mut self) {
        self.line = self.here();
        self.head.clear();
    }

    // Delimiters.

    /// The level of the multipart whose delimiter the kept line is, and whether it is the last.
    fn delimiter(&self) -> Option<(usize, bool)> {
        if self.awaited == 0 {
            return None;
        }
        let text = self.head.strip_prefix(b"--")?;
        let mut best: Option<(usize, &[u8])> = None;
        for (level, index) in self.open.iter().enumerate() {
            let boundary = &self.parts[*index].boundary[..];
            let fits = !boundary.is_empty() && text.starts_with(boundary);
            if fits && best.is_none_or(|(_, longest)| boundary.len() >= longest.len()) {
                best = Some((level, boundary));
            }
        }
        let (level, boundary) = best?;
        let last = text[boundary.len()..].starts_with(b"--");
        // Where no more parts are kept, what follows belongs to the last one.
        (last || self.parts.len() < self.limits.parts_max).then_some((level, last))
    }

    /// A delimiter of the multipart at this level ends what is open within it.
    fn close_above(&mut self, level: usize, last: bool) {
        self.close_to(level + 1, self.line);
        if last {
            let index = self.open[level];
            self.parts[index].boundary.clear();
            self.awaited -= 1;
        }
    }

    fn after_delimiter(&mut self, ended: bool, part: bool) {
        if ended {
            self.delimiter_has_ended(part);
        } else {
            self.head.clear();
            self.state = State::Delimiter { part };
        }
    }

    fn delimiter_rest(&mut self, piece: &[u8], part: bool) -> usize {
        let line = memchr::memchr(b'\n', piece);
        let used = line.map_or(piece.len(), |n| n + 1);
        self.pass(&piece[..used]);
        if line.is_some() {
            self.delimiter_has_ended(part);
        }
        used
    }

    fn delimiter_has_ended(&mut self, part: bool) {
        self.head.clear();
        self.state = State::Body;
        if part {
            self.begin_part();
            self.state = State::FirstLine;
        }
    }

    // Parts.

    fn begin_part(&mut self) {
        self.begin_part_at(self.here());
    }

    fn begin_part_at(&mut self, at: Mark) {
        if let Some(parent) = self.open.last() {
            self.parts[*parent].children += 1;
        }
        self.open.push(self.parts.len());
        self.parts.push(Part::new(at.offset, at.lines));
        self.header.clear();
        self.header_line = 0;
        self.head.clear();
    }

    /// Ends what is open until so many are left, at a mark that a delimiter follows or the message's end.
    fn close_to(&mut self, levels: usize, mark: Mark) {
        // A header that has not ended ends here, and what it announces is empty.
        while self.open.len() > levels && matches!(self.state, State::Header | State::FirstLine) {
            self.header_has_ended(mark);
        }
        self.state = State::Body;
        let mut least = 0;
        while self.open.len() > levels
            && let Some(index) = self.open.pop()
        {
            let part = &mut self.parts[index];
            // The line end before a delimiter belongs to it (RFC 2046 5.1.1), unless it ends a header.
            part.end = (mark.offset - mark.line_end).max(part.body_start).max(least);
            least = part.end;
            let cut = u64::from(part.end < mark.offset);
            part.lines = mark.lines - cut - part.body_lines.min(mark.lines - cut);
            if part.kind == Kind::Multipart {
                if !std::mem::take(&mut part.boundary).is_empty() {
                    self.awaited -= 1;
                }
                if part.children == 0 {
                    // A multipart must have a part: what stands in it is shown as text.
                    part.children = 1;
                    let only = self.found.undescribed(part);
                    self.parts.push(only);
                }
            }
            self.preview.end();
        }
    }
}
