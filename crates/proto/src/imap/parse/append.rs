//! APPEND and REPLACE, piece by piece while they stream in (RFC 9051 6.3.12, RFC 3502 MULTIAPPEND,
//! RFC 4469 CATENATE, RFC 3516 and RFC 6855 for `~{n}`, RFC 8508 REPLACE).
//!
//! How a machine walks: [`append_head`] with what stands behind the word; then [`append_item`]
//! with what stands behind the octets that were used, and the [`Place`] that the last item gave, until
//! [`Item::End`]. Behind an [`Item::Text`] the literal's octets pass by; the next call gets what
//! follows them. Bytes given end with a line: at the end of the command or at a literal's announcement.
//! The octets of messages are not looked at here.

use super::cursor::{Announced, Cursor, announced};
use super::{Dialect, Fault};
use crate::imap::command::Flag;

/// The beginning of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendHead {
    /// Where to.
    pub mailbox: String,
    /// REPLACE: the number that goes, [`crate::imap::set::STAR`] for `*`.
    pub replaces: Option<u32>,
    /// Octets used; what follows goes to [`append_item`] with [`Place::First`].
    pub used: usize,
}

/// Where in the command the next item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The first message: it must be there.
    First,
    /// In a message, behind its flags and date: its text, or `CATENATE (`.
    Text,
    /// Behind a message: another one, or the end.
    Next,
    /// In the parentheses of CATENATE; the first part must be there.
    FirstPart,
    /// In the parentheses of CATENATE.
    Part,
    /// Behind the literal of `UTF8 (~{n}`.
    Utf8Close,
    /// Behind the literal of a message: it ends here.
    MessageEnd,
}

/// What comes next in the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendItem {
    /// What it is.
    pub item: Item,
    /// Octets used of those given.
    pub used: usize,
    /// For the next call.
    pub next: Place,
}

/// A step, in the order of [`crate::imap::Append`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A message begins.
    Message {
        /// Flags it starts with.
        flags: Vec<Flag>,
        /// Internal date, Unix seconds.
        received: Option<i64>,
    },
    /// Text of the message, as a literal whose octets come now.
    Text(Announced),
    /// CATENATE URL.
    Url(String),
    /// The message is complete.
    MessageEnd,
    /// The command is complete.
    End,
    /// The literal that was announced belongs to an argument that is not complete: gather its
    /// octets and the line behind it, and call again with all of them.
    Incomplete,
}

/// The mailbox of APPEND, or the number and the mailbox of REPLACE; `rest` is what stands behind the
/// word. `None`: the name is a literal whose octets are not all there; gather them and call again.
///
/// # Errors
/// See [`Fault`].
pub fn append_head(rest: &[u8], replace: bool, dialect: Dialect) -> Result<Option<AppendHead>, Fault> {
    let mut cursor = Cursor::new(rest, dialect);
    cursor.skip_spaces();
    let replaces = if replace {
        let number = cursor.set_number().map_err(|_| Fault::Syntax("expected the number of one message"))?;
        cursor.space()?;
        Some(number)
    } else {
        None
    };
    match cursor.mailbox() {
        Ok(mailbox) => Ok(Some(AppendHead { mailbox, replaces, used: cursor.taken() })),
        Err(_) if cursor.incomplete => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// The next item; `rest` is what stands behind all that was used.
///
/// # Errors
/// See [`Fault`].
pub fn append_item(rest: &[u8], place: Place) -> Result<AppendItem, Fault> {
    // URLs are ASCII and there is no mailbox name from here on.
    let mut cursor = Cursor::new(rest, Dialect { utf8: true, ..Dialect::default() });
    let (item, next) = match place {
        Place::First => message(&mut cursor)?,
        Place::Next if cursor.is_end() => {
            return Ok(AppendItem { item: Item::End, used: rest.len(), next: place });
        }
        Place::Next => message(&mut cursor)?,
        Place::Text => text(&mut cursor)?,
        Place::FirstPart | Place::Part => part(&mut cursor, place)?,
        Place::Utf8Close => {
            cursor.skip_spaces();
            cursor.expect(b')', "expected a closing parenthesis behind the UTF8 literal")?;
            (Item::MessageEnd, Place::Next)
        }
        Place::MessageEnd => (Item::MessageEnd, Place::Next),
    };
    // What is read again is not used yet.
    let (used, next) = if item == Item::Incomplete { (0, place) } else { (cursor.taken(), next) };
    Ok(AppendItem { item, used, next })
}

type Step = Result<(Item, Place), Fault>;

/// `SP [flags SP] [date SP]`.
fn message(cursor: &mut Cursor<'_>) -> Step {
    cursor.space()?;
    let flags = if cursor.peek() == Some(b'(') {
        let flags = cursor.flag_list()?;
        cursor.space()?;
        flags
    } else {
        Vec::new()
    };
    let received = if cursor.peek() == Some(b'"') {
        let received = cursor.date_time()?;
        cursor.space()?;
        Some(received)
    } else {
        None
    };
    Ok((Item::Message { flags, received }, Place::Text))
}

/// A literal, `CATENATE (` or `UTF8 (~{n}`.
fn text(cursor: &mut Cursor<'_>) -> Step {
    if matches!(cursor.peek(), Some(b'{' | b'~')) {
        return Ok((Item::Text(literal(cursor)?), Place::MessageEnd));
    }
    match cursor.word().as_bytes() {
        b"CATENATE" => {
            cursor.space()?;
            cursor.expect(b'(', "expected the parts of CATENATE in parentheses")?;
            part(cursor, Place::FirstPart)
        }
        b"UTF8" => {
            cursor.space()?;
            cursor.expect(b'(', "expected UTF8 (~{n}")?;
            cursor.skip_spaces();
            match literal(cursor)? {
                announced if announced.binary => Ok((Item::Text(announced), Place::Utf8Close)),
                _ => Err(Fault::Syntax("expected UTF8 (~{n}")),
            }
        }
        _ => Err(Fault::Syntax("expected the message as a literal such as {310}")),
    }
}

/// `TEXT {n}`, `URL "..."` or `)`.
fn part(cursor: &mut Cursor<'_>, place: Place) -> Step {
    cursor.skip_spaces();
    if cursor.eat(b')') {
        return if place == Place::Part {
            Ok((Item::MessageEnd, Place::Next))
        } else {
            Err(Fault::Syntax("expected TEXT or URL as a part of CATENATE"))
        };
    }
    match cursor.word().as_bytes() {
        b"TEXT" => {
            cursor.space()?;
            Ok((Item::Text(literal(cursor)?), Place::Part))
        }
        b"URL" => {
            cursor.space()?;
            match cursor.text() {
                Ok(url) => Ok((Item::Url(url), Place::Part)),
                Err(_) if cursor.incomplete => Ok((Item::Incomplete, place)),
                Err(fault) => Err(fault),
            }
        }
        _ => Err(Fault::Syntax("expected TEXT or URL as a part of CATENATE")),
    }
}

/// The announcement with which the bytes end.
fn literal(cursor: &mut Cursor<'_>) -> Result<Announced, Fault> {
    let found = announced(cursor.rest()).filter(|_| {
        // Nothing but the announcement: the first brace is the one that was found.
        matches!(cursor.peek(), Some(b'{' | b'~'))
            && cursor.rest().iter().filter(|b| **b == b'{').count() == 1
    });
    let found = found.ok_or(Fault::Syntax("expected the message as a literal such as {310}"))?;
    cursor.take_rest();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::set::STAR;

    /// Walks a command whose literals have these octets; says what a machine would see.
    fn walk(word_is_replace: bool, command: &[u8]) -> Result<Vec<String>, Fault> {
        // Ends of lines at which a machine stops to gather: those behind which a literal stands.
        let mut steps = Vec::new();
        let mut end = line_end(command, 0);
        let (mut at, mut place) = loop {
            match append_head(&command[..end], word_is_replace, Dialect::default())? {
                Some(head) => {
                    steps.push(format!("{} {:?}", head.mailbox, head.replaces));
                    break (head.used, Place::First);
                }
                None => end = gather(command, end),
            }
        };
        loop {
            let AppendItem { item, used, next } = append_item(&command[at..end], place)?;
            (at, place) = (at + used, next);
            match item {
                Item::Text(announced) => {
                    let len = usize::try_from(announced.bytes).unwrap();
                    assert_eq!(at, end, "a text is announced at the end of a line");
                    at += len;
                    end = line_end(command, at);
                    let text = command[at - len..at].escape_ascii().to_string();
                    steps.push(format!("text {text} {} {}", announced.sync, announced.binary));
                }
                Item::Incomplete => {
                    assert_eq!((used, next), (0, place));
                    end = gather(command, end);
                }
                Item::End => {
                    assert_eq!(at, command.len());
                    return Ok(steps);
                }
                other => steps.push(format!("{other:?}")),
            }
            assert!(steps.len() < 100);
        }
    }

    fn line_end(command: &[u8], from: usize) -> usize {
        from + memchr::memchr(b'\n', &command[from..]).expect("a line") + 1
    }

    fn gather(command: &[u8], end: usize) -> usize {
        let announced = announced(&command[..end]).expect("a literal");
        line_end(command, end + usize::try_from(announced.bytes).unwrap())
    }

    fn steps(command: &str) -> Vec<String> {
        walk(false, command.as_bytes()).unwrap()
    }

    #[test]
    fn append_of_rfc9051() {
        assert_eq!(
            steps("saved-messages (\\Seen) {5+}\r\nhello\r\n"),
            [
                "saved-messages None",
                "Message { flags: [Seen], received: None }",
                "text hello false false",
                "MessageEnd"
            ]
        );
        assert_eq!(
            steps("{5}\r\ninbox \" 7-Feb-1994 21:52:25 -0800\" ~{2}\r\n\0a\r\n"),
            [
                "INBOX None",
                "Message { flags: [], received: Some(760686745) }",
                "text \\x00a true true",
                "MessageEnd"
            ]
        );
    }

    #[test]
    fn several_messages_of_rfc3502() {
        assert_eq!(
            steps(
                "x (\\Seen) \" 7-Feb-1994 22:43:04 -0800\" {1+}\r\na (\\Flagged $Forwarded) {0}\r\n {2}\r\n\r\n  \r\n"
            ),
            [
                "x None",
                "Message { flags: [Seen], received: Some(760689784) }",
                "text a false false",
                "MessageEnd",
                "Message { flags: [Flagged, Keyword(\"$Forwarded\")], received: None }",
                "text  true false",
                "MessageEnd",
                "Message { flags: [], received: None }",
                "text \\r\\n true false",
                "MessageEnd",
            ]
        );
    }

    #[test]
    fn parts_of_rfc4469() {
        let command = "Drafts (\\Draft) CATENATE (URL \"/Drafts;UID=20/;section=HEADER\" TEXT {2+}\r\nab URL {4}\r\n/a/b TEXT {1}\r\nc) CATENATE (TEXT {1}\r\nz)\r\n";
        assert_eq!(
            steps(command),
            [
                "Drafts None",
                "Message { flags: [Draft], received: None }",
                "Url(\"/Drafts;UID=20/;section=HEADER\")",
                "text ab false false",
                "Url(\"/a/b\")",
                "text c true false",
                "MessageEnd",
                "Message { flags: [], received: None }",
                "text z true false",
                "MessageEnd",
            ]
        );
        let first_url = "a CATENATE (URL {2}\r\n/x)\r\n";
        assert_eq!(steps(first_url)[2..], ["Url(\"/x\")", "MessageEnd"]);
    }

    #[test]
    fn utf8_of_rfc6855() {
        assert_eq!(
            steps("a (\\Seen) UTF8 (~{1+}\r\nx) UTF8 (~{1}\r\ny)\r\n")[2..],
            [
                "text x false true",
                "MessageEnd",
                "Message { flags: [], received: None }",
                "text y true true",
                "MessageEnd"
            ]
        );
    }

    #[test]
    fn replace_of_rfc8508() {
        let replace = |command: &str| walk(true, command.as_bytes()).unwrap()[0].clone();
        assert_eq!(replace("4 Drafts (\\Seen \\Draft MyKeyword) {1}\r\nx\r\n"), "Drafts Some(4)");
        assert_eq!(replace("* Drafts {1}\r\nx\r\n"), format!("Drafts Some({STAR})"));
        assert!(walk(true, b"0 Drafts {1}\r\nx\r\n").is_err());
        assert!(walk(true, b"1:2 Drafts {1}\r\nx\r\n").is_err());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (command, expected) in [
            ("\r\n", "expected the name of a mailbox"),
            ("\"\" {1}\r\n", "expected the name of a mailbox, not an empty one"),
            ("a\r\n", "expected a space and a further argument"),
            ("a hello\r\n", "expected the message as a literal such as {310}"),
            ("a \"hello\"\r\n", "expected a date such as 1-Feb-1994"),
            ("a (\\Recent) {1}\r\n", "expected flags that a client may set; \\Recent is not one"),
            ("a () \"30-Feb-1994 21:52:25 -0800\" {1}\r\n", "expected a date such as 1-Feb-1994"),
            ("a () \"1-Feb-1994 24:52:25 -0800\" {1}\r\n", "expected two digits of a time of day"),
            ("a {1}x{1}\r\n", "expected the message as a literal such as {310}"),
            ("a {1-}\r\n", "expected the message as a literal such as {310}"),
            ("a CATENATE ()\r\n", "expected TEXT or URL as a part of CATENATE"),
            ("a CATENATE (NOTE {1}\r\n", "expected TEXT or URL as a part of CATENATE"),
            ("a UTF8 ({1}\r\n", "expected UTF8 (~{n}"),
            ("a UTF8 (~{1}\r\nx\r\n", "expected a closing parenthesis behind the UTF8 literal"),
            ("a {1}\r\nxy\r\n", "expected a space and a further argument"),
        ] {
            assert_eq!(walk(false, command.as_bytes()), Err(Fault::Syntax(expected)), "{command}");
        }
    }
}
