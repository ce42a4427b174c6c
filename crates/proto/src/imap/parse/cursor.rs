//! A cursor over the bytes of a command: the pieces of RFC 9051's grammar that all commands share.
//!
//! A function either takes its piece and stands behind it, or fails, and then the command is
//! given up. Nothing is copied but what a caller keeps. Numbers that are too large are refused, not
//! wrapped; a literal is bounded by the bytes that are there.
//! Kinder than the grammar where real clients need it: several spaces for one, spaces inside
//! parentheses, one digit for a day, letters of any case, eight-bit strings.

use super::{Dialect, Fault};
use crate::date::MONTHS;
use crate::imap::command::{Day, Flag, Partial};
use crate::imap::language::Text;
use crate::imap::name;
use crate::imap::set::{STAR, Set, SetOrSaved};
use std::borrow::Cow;

/// Octets of a mailbox name or pattern, as UTF-8.
pub const MAILBOX_BYTES_MAX: usize = 1000;

/// Octets of a keyword.
pub const KEYWORD_BYTES_MAX: usize = 255;

/// Different flags in one list.
pub const FLAGS_MAX: usize = 500;

/// Octets of the longest word of the grammar, with room.
const WORD_BYTES_MAX: usize = 32;

type Parsed<T> = Result<T, Fault>;

/// Where reading stands.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    dialect: Dialect,
    /// Reading failed because a literal has not arrived yet in its full length.
    pub incomplete: bool,
}

/// A word in upper case, kept on the stack.
pub(super) struct Word {
    bytes: [u8; WORD_BYTES_MAX],
    len: usize,
}

impl Word {
    /// To be matched against `b"FLAGS"` and the like.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The announcement of a literal at the end of a line (RFC 9051 4.3, RFC 7888, RFC 3516).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Octets to come; what has no room in the number is its largest value.
    pub bytes: u64,
    /// The client waits for our go-ahead.
    pub sync: bool,
    /// `~{n}`: NUL may stand in it.
    pub binary: bool,
}

/// Looks for the announcement of a literal where `line` ends, with or without its CRLF.
#[must_use]
pub fn announced(line: &[u8]) -> Option<Announced> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = line.strip_suffix(b"}")?;
    let (line, sync) = match line.strip_suffix(b"+") {
        Some(line) => (line, false),
        None => (line, true),
    };
    let digits = line.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (line, digits) = line.split_at(line.len() - digits);
    let line = line.strip_suffix(b"{")?;
    if digits.is_empty() {
        return None;
    }
    let bytes =
        digits.iter().fold(0u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    Some(Announced { bytes, sync, binary: line.ends_with(b"~") })
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8], dialect: Dialect) -> Cursor<'a> {
        Cursor { bytes, at: 0, dialect, incomplete: false }
    }

    /// What the client may write.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Octets taken so far.
    pub fn taken(&self) -> usize {
        self.at
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        // `at` only grows over bytes that were seen.
        &self.bytes[self.at..]
    }

    /// Passes over octets that were peeked at.
    pub fn skip(&mut self, octets: usize) {
        self.at = (self.at + octets).min(self.bytes.len());
    }

    pub fn take_rest(&mut self) {
        self.at = self.bytes.len();
    }

    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Takes `byte` if it comes next.
    pub fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub fn expect(&mut self, byte: u8, expected: &'static str) -> Parsed<()> {
        if self.eat(byte) { Ok(()) } else { Err(Fault::Syntax(expected)) }
    }

    /// One space or more.
    pub fn space(&mut self) -> Parsed<()> {
        self.expect(b' ', "expected a space and a further argument")?;
        self.skip_spaces();
        Ok(())
    }

    pub fn skip_spaces(&mut self) {
        while self.eat(b' ') {}
    }

    /// Is there nothing more but spaces and the end of the line?
    pub fn is_end(&self) -> bool {
        let rest = self.rest();
        let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
        matches!(&rest[spaces..], b"" | b"\n" | b"\r\n")
    }

    /// The command must end here.
    pub fn end(&self) -> Parsed<()> {
        if self.is_end() { Ok(()) } else { Err(Fault::Syntax("expected the end of the command")) }
    }

    /// Is there a further argument? Takes the space before it.
    pub fn more(&mut self) -> Parsed<bool> {
        if self.is_end() {
            return Ok(false);
        }
        self.space().map(|()| true)
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let len = rest.iter().position(|byte| !wanted(*byte)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    /// Letters, digits, `.` and `-`; empty if there is none or if it is longer than any word.
    pub fn word(&mut self) -> Word {
        let from = self.at;
        let found = self.take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
        let mut word = Word { bytes: [0; WORD_BYTES_MAX], len: 0 };
        match word.bytes.get_mut(..found.len()) {
            Some(place) => {
                place.copy_from_slice(found);
                place.make_ascii_uppercase();
                word.len = found.len();
            }
            None => self.at = from,
        }
        word
    }

    /// Takes `word` (given in upper case) if it comes next and ends there.
    pub fn eat_word(&mut self, word: &[u8]) -> bool {
        let from = self.at;
        if self.word().as_bytes() == word {
            return true;
        }
        self.at = from;
        false
    }

    /// `(item item)`, or `()`: who needs one item looks for it.
    pub fn list(
        &mut self,
        expected: &'static str,
        mut item: impl FnMut(&mut Cursor<'a>) -> Parsed<()>,
    ) -> Parsed<()> {
        self.expect(b'(', expected)?;
        self.skip_spaces();
        while !self.eat(b')') {
            item(self)?;
            if self.peek() != Some(b')') {
                self.expect(b' ', "expected a space or a closing parenthesis")?;
                self.skip_spaces();
            }
        }
        Ok(())
    }

    // Numbers.

    pub fn number64(&mut self) -> Parsed<u64> {
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        if digits.is_empty() {
            return Err(Fault::Syntax("expected a number"));
        }
        let add = |sum: u64, digit: &u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
        let number = digits.iter().try_fold(0, add);
        // RFC 9051 number64 and RFC 7162 mod-sequences have 63 bits.
        number.filter(|n| *n <= i64::MAX as u64).ok_or(Fault::Syntax("expected a number below 2^63"))
    }

    pub fn number(&mut self) -> Parsed<u32> {
        u32::try_from(self.number64()?).map_err(|_| Fault::Syntax("expected a number below 2^32"))
    }

    pub fn nonzero(&mut self) -> Parsed<u32> {
        match self.number()? {
            0 => Err(Fault::Syntax("expected a number from 1 on")),
            number => Ok(number),
        }
    }

    pub fn nonzero64(&mut self) -> Parsed<u64> {
        match self.number64()? {
            0 => Err(Fault::Syntax("expected a number from 1 on")),
            number => Ok(number),
        }
    }

    /// A number from 1 on, or `*`.
    pub fn set_number(&mut self) -> Parsed<u32> {
        if self.eat(b'*') {
            return Ok(STAR);
        }
        match self.peek() {
            Some(b'0'..=b'9') => self.nonzero(),
            _ => Err(Fault::Syntax("expected a sequence set such as 1:5,7 or 3:*")),
        }
    }

    pub fn set(&mut self) -> Parsed<Set> {
        let mut ranges = Vec::with_capacity(1);
        loop {
            let from = self.set_number()?;
            let to = if self.eat(b':') { self.set_number()? } else { from };
            ranges.push((from, to));
            if !self.eat(b',') {
                return Ok(Set(ranges));
            }
        }
    }

    /// A set, or `$` (RFC 5182).
    pub fn set_or_saved(&mut self) -> Parsed<SetOrSaved> {
        if self.eat(b'$') { Ok(SetOrSaved::Saved) } else { self.set().map(SetOrSaved::Set) }
    }

    /// A set without `*`, as UIDs that a client knows are written (RFC 7162 `known-uids`).
    pub fn known_set(&mut self) -> Parsed<Set> {
        let set = self.set()?;
        if set.0.iter().any(|&(from, to)| from == STAR || to == STAR) {
            return Err(Fault::Syntax("expected numbers without * here"));
        }
        Ok(set)
    }

    /// `1:10` or `-1:-10` (RFC 9394 section 4), in either order.
    pub fn partial(&mut self) -> Parsed<Partial> {
        const EXPECTED: Fault = Fault::Syntax("expected a range such as 1:100 or -1:-100");
        let from_end = self.eat(b'-');
        let a = self.nonzero().map_err(|_| EXPECTED)?;
        self.expect(b':', "expected a range such as 1:100 or -1:-100")?;
        if self.eat(b'-') != from_end {
            return Err(EXPECTED);
        }
        let b = self.nonzero().map_err(|_| EXPECTED)?;
        Ok(Partial { from_end, first: a.min(b), last: a.max(b) })
    }

    // Strings.

    pub fn atom(&mut self, expected: &'static str) -> Parsed<&'a [u8]> {
        let atom = self.take_while(is_atom_char);
        if atom.is_empty() { Err(Fault::Syntax(expected)) } else { Ok(atom) }
    }

    /// A quoted string or a literal.
    pub fn string(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{' | b'~') => self.literal().map(Cow::Borrowed),
            _ => Err(Fault::Syntax("expected a string")),
        }
    }

    /// An atom or a string.
    pub fn astring(&mut self) -> Parsed<Cow<'a, [u8]>> {
        self.astring_or("expected an atom or a string")
    }

    fn astring_or(&mut self, expected: &'static str) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            Some(b'~') if self.rest().starts_with(b"~{") => self.string(),
            _ => match self.take_while(is_astring_char) {
                [] => Err(Fault::Syntax(expected)),
                atom => Ok(Cow::Borrowed(atom)),
            },
        }
    }

    /// A string, or NIL.
    pub fn nstring(&mut self) -> Parsed<Option<Cow<'a, [u8]>>> {
        if self.eat_word(b"NIL") { Ok(None) } else { self.string().map(Some) }
    }

    /// An atom or a string that is text.
    pub fn text(&mut self) -> Parsed<String> {
        utf8(self.astring()?)
    }

    fn quoted(&mut self) -> Parsed<Cow<'a, [u8]>> {
        self.expect(b'"', "expected a quoted string")?;
        let plain = self.take_while(is_quoted_char);
        if self.eat(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        // As long as it can become, so that no copy of a password is left behind by growing.
        let mut text = Vec::with_capacity(plain.len() + self.rest().len());
        text.extend_from_slice(plain);
        loop {
            if self.eat(b'"') {
                return Ok(Cow::Owned(text));
            }
            self.expect(b'\\', "expected a closing quotation mark before the end of the line")?;
            match self.peek() {
                Some(byte @ (b'"' | b'\\')) => text.push(byte),
                _ => {
                    return Err(Fault::Syntax("expected \\\" or \\\\ behind a backslash in quotation marks"));
                }
            }
            self.skip(1);
            text.extend_from_slice(self.take_while(is_quoted_char));
        }
    }

    fn literal(&mut self) -> Parsed<&'a [u8]> {
        let binary = self.eat(b'~');
        self.expect(b'{', "expected a literal")?;
        let bytes = self.number64()?;
        self.eat(b'+');
        self.expect(b'}', "expected a literal such as {5}")?;
        self.eat(b'\r');
        let short = Fault::Syntax("expected a literal of the announced length");
        if !self.eat(b'\n') {
            self.incomplete = self.rest().is_empty();
            return Err(short);
        }
        let Some(content) = usize::try_from(bytes).ok().and_then(|len| self.rest().get(..len)) else {
            self.incomplete = true;
            return Err(short);
        };
        if !binary && content.contains(&0) {
            return Err(Fault::Syntax("expected a literal without NUL"));
        }
        self.at += content.len();
        Ok(content)
    }

    // Names, flags, dates.

    /// The name of a mailbox, which may not be empty.
    pub fn mailbox(&mut self) -> Parsed<String> {
        match self.mailbox_or_empty()? {
            name if name.is_empty() => Err(Fault::Syntax("expected the name of a mailbox, not an empty one")),
            name => Ok(name),
        }
    }

    pub fn mailbox_or_empty(&mut self) -> Parsed<String> {
        let bytes = self.astring_or("expected the name of a mailbox")?;
        mailbox_name(&bytes, self.dialect)
    }

    /// A mailbox name in which `%` and `*` may stand without quotation marks.
    pub fn pattern(&mut self) -> Parsed<String> {
        match self.peek() {
            Some(b'"' | b'{') => self.mailbox_or_empty(),
            _ => match self.take_while(|byte| is_astring_char(byte) || matches!(byte, b'%' | b'*')) {
                [] => Err(Fault::Syntax("expected a pattern for mailbox names such as \"*\"")),
                pattern => mailbox_name(pattern, self.dialect),
            },
        }
    }

    /// A flag that a client may set.
    pub fn flag(&mut self) -> Parsed<Flag> {
        if !self.eat(b'\\') {
            return self.keyword().map(Flag::Keyword);
        }
        match self.word().as_bytes() {
            b"SEEN" => Ok(Flag::Seen),
            b"ANSWERED" => Ok(Flag::Answered),
            b"FLAGGED" => Ok(Flag::Flagged),
            b"DELETED" => Ok(Flag::Deleted),
            b"DRAFT" => Ok(Flag::Draft),
            b"RECENT" => Err(Fault::Syntax("expected flags that a client may set; \\Recent is not one")),
            _ => Err(Fault::Syntax(
                "expected \\Answered, \\Flagged, \\Deleted, \\Seen, \\Draft, or a keyword without a backslash",
            )),
        }
    }

    pub fn keyword(&mut self) -> Parsed<String> {
        let atom = self.atom("expected a flag such as \\Seen or a keyword such as $Forwarded")?;
        if atom.len() > KEYWORD_BYTES_MAX {
            return Err(Fault::Limit(Text::KeywordTooLong));
        }
        utf8(Cow::Borrowed(atom))
    }

    /// Adds a flag to those that were read before.
    pub fn flag_into(&mut self, flags: &mut Vec<Flag>) -> Parsed<()> {
        add_once(flags, self.flag()?);
        if flags.len() > FLAGS_MAX { Err(Fault::Limit(Text::FlagsTooMany)) } else { Ok(()) }
    }

    /// `(\Seen keyword)`.
    pub fn flag_list(&mut self) -> Parsed<Vec<Flag>> {
        let mut flags = Vec::new();
        self.list("expected flags in parentheses", |cursor| cursor.flag_into(&mut flags))?;
        Ok(flags)
    }

    /// `1-Feb-1994`, with or without quotation marks, as a day.
    pub fn date(&mut self) -> Parsed<Day> {
        let quoted = self.eat(b'"');
        let day = self.day()?;
        if quoted {
            self.expect(b'"', "expected a date such as \"1-Feb-1994\"")?;
        }
        Ok(day)
    }

    /// `" 7-Feb-1994 21:52:25 -0800"`, as Unix seconds.
    pub fn date_time(&mut self) -> Parsed<i64> {
        const EXPECTED: &str = "expected a date such as \"17-Jul-1996 02:44:25 -0700\"";
        self.expect(b'"', EXPECTED)?;
        self.skip_spaces();
        let day = self.day()?;
        self.expect(b' ', EXPECTED)?;
        let hour = self.two_digits(23)?;
        self.expect(b':', EXPECTED)?;
        let minute = self.two_digits(59)?;
        self.expect(b':', EXPECTED)?;
        // 60 is a leap second (RFC 5322 3.3).
        let second = self.two_digits(60)?;
        self.expect(b' ', EXPECTED)?;
        let east = match self.peek() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Err(Fault::Syntax(EXPECTED)),
        };
        self.skip(1);
        let (zone_hour, zone_minute) = (self.two_digits(23)?, self.two_digits(59)?);
        self.expect(b'"', EXPECTED)?;
        let zone = east * (zone_hour * 3600 + zone_minute * 60);
        Ok(day * 86_400 + hour * 3600 + minute * 60 + second - zone)
    }

    fn two_digits(&mut self, max: i64) -> Parsed<i64> {
        let fault = Fault::Syntax("expected two digits of a time of day");
        let &[a @ b'0'..=b'9', b @ b'0'..=b'9', ..] = self.rest() else { return Err(fault) };
        self.at += 2;
        let value = i64::from(a - b'0') * 10 + i64::from(b - b'0');
        if value <= max { Ok(value) } else { Err(fault) }
    }

    fn day(&mut self) -> Parsed<Day> {
        let fault = Fault::Syntax("expected a date such as 1-Feb-1994");
        let day = self.take_while(|byte| byte.is_ascii_digit());
        let dash = self.eat(b'-');
        let month = self.take_while(|byte| byte.is_ascii_alphabetic());
        let second_dash = self.eat(b'-');
        let year = self.take_while(|byte| byte.is_ascii_digit());
        let short = matches!(day.len(), 1 | 2) && year.len() == 4;
        let month = month_number(month);
        let (true, true, true, Some(month)) = (dash, second_dash, short, month) else { return Err(fault) };
        let digits = |digits: &[u8]| digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        day_number(digits(year), month, digits(day)).ok_or(fault)
    }
}

/// Adds what is not there yet: saying a thing twice means it once.
pub(super) fn add_once<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

pub(super) fn utf8(bytes: Cow<'_, [u8]>) -> Parsed<String> {
    String::from_utf8(bytes.into_owned()).map_err(|_| Fault::Syntax("expected text in UTF-8"))
}

/// A mailbox name as it came, with what clients do: those that never heard of modified UTF-7
/// send a bare `&` or UTF-8, and mean what they send.
fn mailbox_name(bytes: &[u8], dialect: Dialect) -> Parsed<String> {
    let plain = || std::str::from_utf8(bytes).ok().map(str::to_owned);
    let name = if dialect.utf8 { plain() } else { name::from_utf7(bytes).or_else(plain) };
    let name = name.ok_or(Fault::Syntax("expected a mailbox name in modified UTF-7 or UTF-8"))?;
    if name.len() > MAILBOX_BYTES_MAX {
        return Err(Fault::Limit(Text::MailboxNameTooLong));
    }
    if !name.chars().all(name::is_allowed) {
        return Err(Fault::Syntax("expected a mailbox name without control characters"));
    }
    Ok(name::canonical(name))
}

/// From 1.
fn month_number(name: &[u8]) -> Option<i64> {
    MONTHS
        .iter()
        .zip(1..)
        .find(|(month, _)| month.as_bytes().eq_ignore_ascii_case(name))
        .map(|(_, number)| number)
}

/// Days from 1 January 1970 in the Gregorian calendar; `None` if the month has no such day.
/// Counting years from March puts the leap day at a year's end.
fn day_number(year: i64, month: i64, day: i64) -> Option<Day> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

fn is_atom_char(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e) && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

/// RFC 9051 ASTRING-CHAR, and octets of UTF-8, which clients send without quotation marks.
fn is_astring_char(byte: u8) -> bool {
    is_atom_char(byte) || byte == b']' || byte >= 0x80
}

fn is_quoted_char(byte: u8) -> bool {
    !matches!(byte, b'"' | b'\\' | b'\r' | b'\n' | 0)
}
