//! Known answers: the examples of the RFCs and what clients send, each with the form in which
//! [`client::write`] writes what was understood; and what is refused, with the words for it.

mod mailboxes;

use super::*;
use crate::imap::client::{self, Literals};
use crate::imap::command::*;
use crate::imap::set::{STAR, Set, SetOrSaved};

const PLAIN: Dialect = Dialect { utf8: false, utf8_alone: false };
const UTF8: Dialect = Dialect { utf8: true, utf8_alone: false };

fn parse(command: &str, dialect: Dialect) -> Result<Command, Fault> {
    let line = format!("a1 {command}\r\n");
    let head = head(line.as_bytes())?;
    arguments(&head.word, &line.as_bytes()[head.arguments..], dialect)
}

fn written(command: &Command, dialect: Dialect) -> String {
    let mut out = Vec::new();
    client::write(command, dialect, Literals::NonSync, &mut out);
    String::from_utf8(out).unwrap()
}

/// Lines of two: what is sent, and what was understood.
fn understood(dialect: Dialect, pairs: &[(&str, &str)]) {
    for (sent, meant) in pairs {
        let command = parse(sent, dialect).unwrap_or_else(|fault| panic!("{sent}: {fault:?}"));
        assert_eq!(written(&command, dialect), *meant, "{sent}");
        assert_eq!(parse(meant, dialect).as_ref(), Ok(&command), "{sent}");
    }
}

fn refused(pairs: &[(&str, &str)]) {
    for (sent, expected) in pairs {
        match parse(sent, PLAIN) {
            Err(Fault::Syntax(text)) => assert_eq!(text, *expected, "{sent}"),
            other => panic!("{sent}: {other:?}"),
        }
    }
}

#[test]
fn heads() {
    let of = |line: &'static str| {
        let head = head(line.as_bytes()).unwrap();
        (head.tag.to_owned(), head.word.clone().into_owned(), &line[head.arguments..])
    };
    for (line, expected) in [
        ("a NOOP\r\n", ("a", "NOOP", "\r\n")),
        ("a noop  \r\n", ("a", "NOOP", "\r\n")),
        ("A142 uid fetch 1:* FLAGS\r\n", ("A142", "UID FETCH", "1:* FLAGS\r\n")),
        ("A142 UID FETCH 1\n", ("A142", "UID FETCH", "1\n")),
        ("A142 UID  FETCH  1", ("A142", "UID FETCH", "1")),
        ("a UID\r\n", ("a", "UID", "\r\n")),
        ("a UID \r\n", ("a", "UID", "\r\n")),
        ("a\r\n", ("a", "", "\r\n")),
        ("a  login {3}\r\n", ("a", "LOGIN", "{3}\r\n")),
        (".]1 X", (".]1", "X", "")),
    ] {
        let (tag, word, rest) = expected;
        assert_eq!(of(line), (tag.into(), word.into(), rest), "{line:?}");
    }
    let long = format!("{} NOOP", "t".repeat(TAG_BYTES_MAX + 1));
    for line in ["", "\r\n", " a NOOP", "a+ NOOP", "+ x", "* x", "a\tNOOP", "a{ x", "\u{fc} x", &long] {
        assert_eq!(head(line.as_bytes()), Err(Fault::Tag), "{line:?}");
    }
    assert!(head(format!("{} NOOP", "t".repeat(TAG_BYTES_MAX)).as_bytes()).is_ok());
    assert!(matches!(head(b"a UID FETCH 1").unwrap().word, Cow::Borrowed("UID FETCH")), "no copy");
}

#[test]
fn logins() {
    let read = |rest: &[u8]| login(rest).map(|(user, password)| (user, password.expose().to_vec()));
    let expected = |user: &str, password: &[u8]| Ok((user.to_owned(), password.to_vec()));
    assert_eq!(read(b"SMITH SESAME\r\n"), expected("SMITH", b"SESAME"));
    assert_eq!(read(b"{11+}\r\nFRED FOOBAR {7+}\r\nfat man\r\n"), expected("FRED FOOBAR", b"fat man"));
    assert_eq!(read(b"a@b.test \"x\\\"y\\\\z\xfc\""), expected("a@b.test", b"x\"y\\z\xfc"));
    assert_eq!(read(b"a \"\""), expected("a", b""));
    for rest in [&b"a"[..], b"a b c", b"a \"b", b"a \"\\b\"", b"\xfc b", b"a (b)", b"a {3}\r\nab"] {
        assert!(login(rest).is_err(), "{}", rest.escape_ascii());
    }
    assert_eq!(authenticate(b"plain\r\n"), Ok(("PLAIN".into(), None)));
    assert_eq!(authenticate(b"PLAIN dGVzdAB0ZXN0\r\n"), Ok(("PLAIN".into(), Some(&b"dGVzdAB0ZXN0"[..]))));
    assert_eq!(authenticate(b"EXTERNAL =\r\n"), Ok(("EXTERNAL".into(), Some(&b"="[..]))));
    assert!(authenticate(b"\r\n").is_err());
    assert!(authenticate(b"PLAIN a b\r\n").is_err());
    assert_eq!(
        enable(b"condstore X-GOOD-IDEA CONDSTORE\r\n"),
        Ok(vec!["CONDSTORE".into(), "X-GOOD-IDEA".into()])
    );
    assert_eq!(enable(b"UTF8=ACCEPT \r\n"), Ok(vec!["UTF8=ACCEPT".into()]));
    assert!(enable(b"\r\n").is_err());
}

#[test]
fn announcements() {
    let of = |line: &[u8]| announced(line).map(|a| (a.bytes, a.sync, a.binary));
    assert_eq!(of(b"a LOGIN {11}\r\n"), Some((11, true, false)));
    assert_eq!(of(b"{11+}\n"), Some((11, false, false)));
    assert_eq!(of(b"a APPEND x ~{0}"), Some((0, true, true)));
    assert_eq!(of(b"{99999999999999999999}"), Some((u64::MAX, true, false)));
    for line in [&b"{11}x"[..], b"{}", b"{+}", b"11}", b"{1 }", b"{-1}", b"{1-}", b"", b"}", b"\r\n"] {
        assert_eq!(of(line), None, "{}", line.escape_ascii());
    }
}

#[test]
fn any_state() {
    understood(
        PLAIN,
        &[
            ("NOOP", "NOOP"),
            ("noop ", "NOOP"),
            ("CHECK", "CHECK"),
            ("CLOSE", "CLOSE"),
            ("UNSELECT", "UNSELECT"),
            ("IDLE", "IDLE"),
            ("NAMESPACE", "NAMESPACE"),
            ("UNAUTHENTICATE", "UNAUTHENTICATE"),
            ("EXPUNGE", "EXPUNGE"),
            ("UID EXPUNGE 3000:3002", "UID EXPUNGE 3000:3002"),
            ("COMPRESS deflate", "COMPRESS DEFLATE"),
            (
                r#"ID ("name" "sodr" "version" "19.34" "vendor" "Pink Floyd Music Limited")"#,
                r#"ID ("name" "sodr" "version" "19.34" "vendor" "Pink Floyd Music Limited")"#,
            ),
            ("ID NIL", "ID NIL"),
            (r#"ID ("os" nil )"#, r#"ID ("os" NIL)"#),
            ("LANGUAGE", "LANGUAGE"),
            ("LANGUAGE de FR \"i-default\"", r#"LANGUAGE "de" "FR" "i-default""#),
            ("COMPARATOR \"cz;*\" i;basic", r#"COMPARATOR "cz;*" "i;basic""#),
            (r#"CANCELUPDATE "B01" "B02""#, r#"CANCELUPDATE "B01" "B02""#),
        ],
    );
    assert_eq!(parse("XYZZY", PLAIN), Err(Fault::Unknown));
    assert_eq!(parse("UID NOOP", PLAIN), Err(Fault::Unknown));
    assert_eq!(parse("UID", PLAIN), Err(Fault::Unknown));
    let pair = r#" "a" "b""#;
    assert_eq!(parse(&format!("ID ({})", pair.repeat(31)), PLAIN), Err(Fault::Limit(Text::IdTooMuch)));
    refused(&[
        ("NOOP x", "expected the end of the command"),
        ("COMPRESS GZIP", "expected DEFLATE, the only way of compression"),
        ("ID name", "expected NIL or a list of names and values"),
        ("CANCELUPDATE", "expected an atom or a string"),
    ]);
}

#[test]
fn fetches() {
    understood(
        PLAIN,
        &[
            (
                "FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])",
                r#"FETCH 2:4 (FLAGS BODY[HEADER.FIELDS ("DATE" "FROM")])"#,
            ),
            ("fetch 1 all", "FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"),
            ("FETCH 1 FAST", "FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE)"),
            ("FETCH 1 FULL", "FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY)"),
            ("UID FETCH 4827313:4828442 FLAGS", "UID FETCH 4827313:4828442 (FLAGS)"),
            ("UID FETCH $ (FLAGS FLAGS UID)", "UID FETCH $ (FLAGS UID)"),
            ("FETCH *:4,7,4294967295 UID", "FETCH *:4,7,* (UID)"),
            (
                "FETCH 1 (BODY[] BODY.PEEK[]<0.1024> BODY[TEXT]<2048.9223372036854775807> BODYSTRUCTURE)",
                "FETCH 1 (BODY[] BODY.PEEK[]<0.1024> BODY[TEXT]<2048.9223372036854775807> BODYSTRUCTURE)",
            ),
            (
                "FETCH 1 (BODY[1] BODY[1.2.3.HEADER] BODY[4.2.2.1] body.peek[1.mime] BODY[3.HEADER.FIELDS.NOT (\"X-A\")] BODY[4.2.TEXT])",
                r#"FETCH 1 (BODY[1] BODY[1.2.3.HEADER] BODY[4.2.2.1] BODY.PEEK[1.MIME] BODY[3.HEADER.FIELDS.NOT ("X-A")] BODY[4.2.TEXT])"#,
            ),
            (
                "FETCH 1 (RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE)",
                "FETCH 1 (RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE)",
            ),
            // RFC 3516.
            (
                "FETCH 1 (BINARY[] BINARY[1]<0.5> BINARY.PEEK[1.2] BINARY.SIZE[2] BINARY.SIZE[])",
                "FETCH 1 (BINARY[] BINARY[1]<0.5> BINARY.PEEK[1.2] BINARY.SIZE[2] BINARY.SIZE[])",
            ),
            // RFC 8474, RFC 8514, RFC 8970, RFC 7162, RFC 9394.
            ("FETCH 1 (EMAILID THREADID SAVEDATE MODSEQ)", "FETCH 1 (EMAILID THREADID SAVEDATE MODSEQ)"),
            ("FETCH 1 (RFC822.SIZE PREVIEW)", "FETCH 1 (RFC822.SIZE PREVIEW)"),
            ("FETCH 1 (PREVIEW (LAZY) UID)", "FETCH 1 (PREVIEW (LAZY) UID)"),
            ("FETCH 1 PREVIEW (LAZY)", "FETCH 1 (PREVIEW (LAZY))"),
            ("FETCH 1 PREVIEW (CHANGEDSINCE 5)", "FETCH 1 (PREVIEW) (CHANGEDSINCE 5)"),
            ("FETCH 1 PREVIEW (LAZY) (CHANGEDSINCE 5)", "FETCH 1 (PREVIEW (LAZY)) (CHANGEDSINCE 5)"),
            ("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345)", "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345)"),
            (
                "UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)",
                "UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)",
            ),
            (
                "UID FETCH 25900:26600 (UID FLAGS) (PARTIAL -1:-3)",
                "UID FETCH 25900:26600 (UID FLAGS) (PARTIAL -1:-3)",
            ),
            (
                "UID FETCH 1:* FLAGS (partial 500:400 changedsince 0)",
                "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 0 PARTIAL 400:500)",
            ),
            // Spaces that clients leave.
            ("FETCH  1:*  ( FLAGS  UID ) ", "FETCH 1:* (FLAGS UID)"),
        ],
    );
    assert_eq!(
        parse("UID FETCH 1:*,3 (FLAGS)", PLAIN),
        Ok(Command::Fetch(Fetch {
            uid: true,
            set: SetOrSaved::Set(Set(vec![(1, STAR), (3, 3)])),
            items: vec![FetchItem::Flags],
            changed_since: None,
            vanished: false,
            partial: None,
        }))
    );
    refused(&[
        ("FETCH", "expected a sequence set such as 1:5,7 or 3:*"),
        ("FETCH x FLAGS", "expected a sequence set such as 1:5,7 or 3:*"),
        ("FETCH 0 FLAGS", "expected a number from 1 on"),
        ("FETCH 1:4294967296 FLAGS", "expected a number below 2^32"),
        ("FETCH 1, FLAGS", "expected a sequence set such as 1:5,7 or 3:*"),
        ("FETCH 1:2:3 FLAGS", "expected a space and a further argument"),
        ("FETCH 1", "expected a space and a further argument"),
        ("FETCH 1 ()", "expected at least one data item"),
        ("FETCH 1 (ALL)", "expected a data item such as FLAGS, ENVELOPE or BODY.PEEK[]"),
        ("FETCH 1 (FLAGS", "expected a space or a closing parenthesis"),
        ("FETCH 1 (FLAGS[])", "expected a data item such as FLAGS, ENVELOPE or BODY.PEEK[]"),
        ("FETCH 1 FLAGS UID", "expected modifiers of FETCH in parentheses"),
        ("FETCH 1 BODY[0]", "expected a number from 1 on"),
        ("FETCH 1 BODY[]<0>", "expected a range of octets such as <0.2048>"),
        ("FETCH 1 BODY[]<0.0>", "expected a number from 1 on"),
        ("FETCH 1 BODY[HEADER.FIELDS ()]", "expected at least one name of a header field"),
        ("FETCH 1 BODY[HEADER.FIELDS (\u{fc})]", "expected names of header fields in printable ASCII"),
        ("FETCH 1 BINARY[1.TEXT]", "expected a part number such as 1.2 and a closing bracket"),
        ("FETCH 1 PREVIEW (EAGER)", "expected PREVIEW (LAZY)"),
        (
            "FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)",
            "expected VANISHED only in UID FETCH and together with CHANGEDSINCE",
        ),
        (
            "UID FETCH 1 FLAGS (VANISHED)",
            "expected VANISHED only in UID FETCH and together with CHANGEDSINCE",
        ),
        ("UID FETCH 1 FLAGS (PARTIAL 0:1)", "expected a range such as 1:100 or -1:-100"),
        ("UID FETCH 1 FLAGS (PARTIAL 1:-1)", "expected a range such as 1:100 or -1:-100"),
        ("UID FETCH 1 FLAGS (CHANGEDSINCE 9223372036854775808)", "expected a number below 2^63"),
    ]);
    for section in ["MIME", "1MIME", "1 TEXT", "1.", "1.FOO", "TEXT.HEADER", "1.2.HEADER.TEXT", "HEADER"] {
        let fetched = parse(&format!("FETCH 1 BODY[{section}]"), PLAIN);
        assert_eq!(fetched.is_ok(), section == "HEADER", "{section}: {fetched:?}");
    }
    let items: Vec<String> = (1..=FETCH_ITEMS_MAX + 1).map(|part| format!("BODY[{part}]")).collect();
    assert_eq!(
        parse(&format!("FETCH 1 ({})", items.join(" ")), PLAIN),
        Err(Fault::Limit(Text::ItemsTooMany))
    );
    assert!(parse(&format!("FETCH 1 ({})", items[1..].join(" ")), PLAIN).is_ok());
    let deep = vec!["1"; PART_LEVELS_MAX + 1].join(".");
    assert_eq!(parse(&format!("FETCH 1 BODY[{deep}]"), PLAIN), Err(Fault::Limit(Text::PartTooDeep)));
    assert!(parse(&format!("FETCH 1 BODY[{}]", &deep[2..]), PLAIN).is_ok());
}

#[test]
fn stores_and_copies() {
    understood(
        PLAIN,
        &[
            (r"STORE 2:4 +FLAGS (\Deleted)", r"STORE 2:4 +FLAGS (\Deleted)"),
            (r"STORE 1 FLAGS \Seen", r"STORE 1 FLAGS (\Seen)"),
            (r"STORE 1 -flags.silent \SEEN $Forwarded \seen", r"STORE 1 -FLAGS.SILENT (\Seen $Forwarded)"),
            (r"UID STORE 1:* FLAGS.SILENT ()", r"UID STORE 1:* FLAGS.SILENT ()"),
            (r"STORE $ +FLAGS (\Answered \Flagged \Draft)", r"STORE $ +FLAGS (\Answered \Flagged \Draft)"),
            // RFC 7162 3.1.3.
            (
                r"UID STORE 6,4,8 (UNCHANGEDSINCE 12121230045) +FLAGS.SILENT (\Deleted)",
                r"UID STORE 6,4,8 (UNCHANGEDSINCE 12121230045) +FLAGS.SILENT (\Deleted)",
            ),
            (
                "STORE 50 (UNCHANGEDSINCE 0) -FLAGS.SILENT ($MDNSent)",
                "STORE 50 (UNCHANGEDSINCE 0) -FLAGS.SILENT ($MDNSent)",
            ),
            ("COPY 2:4 MEETING", r#"COPY 2:4 "MEETING""#),
            ("UID MOVE 42:69 foo", r#"UID MOVE 42:69 "foo""#),
            ("MOVE $ inbox", r#"MOVE $ "INBOX""#),
            ("UID COPY 1,3:* \"a b\"", r#"UID COPY 1,3:* "a b""#),
        ],
    );
    refused(&[
        (r"STORE 1 FLAGS (\Recent)", "expected flags that a client may set; \\Recent is not one"),
        (
            r"STORE 1 FLAGS (\*)",
            "expected \\Answered, \\Flagged, \\Deleted, \\Seen, \\Draft, or a keyword without a backslash",
        ),
        (
            r"STORE 1 FLAGS (\Foo)",
            "expected \\Answered, \\Flagged, \\Deleted, \\Seen, \\Draft, or a keyword without a backslash",
        ),
        ("STORE 1 FLAGS", "expected a space and a further argument"),
        ("STORE 1 FLAGS (\"a\")", "expected a flag such as \\Seen or a keyword such as $Forwarded"),
        ("STORE 1 FLAGS (a]b)", "expected a space or a closing parenthesis"),
        ("STORE 1 +X (a)", "expected FLAGS, +FLAGS or -FLAGS, perhaps with .SILENT"),
        ("STORE 1 (X 1) FLAGS (a)", "expected UNCHANGEDSINCE once, no other modifier of STORE is known"),
        ("COPY 1", "expected a space and a further argument"),
        ("COPY 1 a b", "expected the end of the command"),
        ("UID EXPUNGE", "expected a sequence set such as 1:5,7 or 3:*"),
    ]);
    let keyword = "k".repeat(KEYWORD_BYTES_MAX);
    assert!(parse(&format!("STORE 1 FLAGS {keyword}"), PLAIN).is_ok());
    assert_eq!(parse(&format!("STORE 1 FLAGS {keyword}k"), PLAIN), Err(Fault::Limit(Text::KeywordTooLong)));
}

#[test]
fn searches() {
    understood(
        UTF8,
        &[
            (
                "SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"",
                "SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"",
            ),
            (
                "SEARCH TEXT {12+}\r\n\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442}",
                "SEARCH TEXT \"\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442}\"",
            ),
            ("UID SEARCH 1:5,9 UID $", "UID SEARCH 1:5,9 UID $"),
            ("SEARCH (ALL)", "SEARCH ALL"),
            ("SEARCH ( SEEN (DRAFT DELETED) )", "SEARCH SEEN (DRAFT DELETED)"),
            ("SEARCH OR (SEEN) NOT (OR DRAFT NOT UNDELETED)", "SEARCH OR SEEN NOT OR DRAFT NOT NOT DELETED"),
            (
                "SEARCH ANSWERED UNANSWERED UNDRAFT UNFLAGGED UNSEEN KEYWORD $a UNKEYWORD b",
                "SEARCH ANSWERED NOT ANSWERED NOT DRAFT NOT FLAGGED NOT SEEN KEYWORD $a NOT KEYWORD b",
            ),
            ("SEARCH NEW OLD RECENT", "SEARCH (RECENT NOT SEEN) NOT RECENT RECENT"),
            ("SEARCH BEFORE \"01-jan-1970\" ON 29-Feb-2000", "SEARCH BEFORE 1-Jan-1970 ON 29-Feb-2000"),
            (
                "SEARCH SENTBEFORE 31-Dec-9999 SENTON 1-Jan-0000 SENTSINCE 1-Mar-1600",
                "SEARCH SENTBEFORE 31-Dec-9999 SENTON 1-Jan-0000 SENTSINCE 1-Mar-1600",
            ),
            (
                "SEARCH BCC a CC \"b c\" TO \"\" SUBJECT d BODY e",
                r#"SEARCH BCC "a" CC "b c" TO "" SUBJECT "d" BODY "e""#,
            ),
            ("SEARCH HEADER Message-ID <a@b>", r#"SEARCH HEADER "Message-ID" "<a@b>""#),
            ("SEARCH LARGER 0 SMALLER 9223372036854775807", "SEARCH LARGER 0 SMALLER 9223372036854775807"),
            // RFC 5032, RFC 8514, RFC 8474, RFC 7162, RFC 6203.
            ("SEARCH UNSEEN YOUNGER 259200 OLDER 5", "SEARCH NOT SEEN YOUNGER 259200 OLDER 5"),
            (
                "SEARCH SAVEDBEFORE 1-Feb-1994 SAVEDON 1-Feb-1994 SAVEDSINCE 1-Feb-1994 SAVEDATESUPPORTED",
                "SEARCH SAVEDBEFORE 1-Feb-1994 SAVEDON 1-Feb-1994 SAVEDSINCE 1-Feb-1994 SAVEDATESUPPORTED",
            ),
            (
                "SEARCH OR EMAILID M6d99ac3275bb4e THREADID T64b478a75b7ea9",
                "SEARCH OR EMAILID M6d99ac3275bb4e THREADID T64b478a75b7ea9",
            ),
            ("SEARCH MODSEQ \"/flags/\\\\draft\" all 620162338", "SEARCH MODSEQ 620162338"),
            ("SEARCH OR NOT MODSEQ 720162338 LARGER 50000", "SEARCH OR NOT MODSEQ 720162338 LARGER 50000"),
            (
                "SEARCH FUZZY (SUBJECT \"IMAP break\") FUZZY NOT FROM x",
                r#"SEARCH FUZZY SUBJECT "IMAP break" FUZZY NOT FROM "x""#,
            ),
            // RFC 4731, RFC 5182, RFC 5267, RFC 9394.
            ("SEARCH RETURN (MIN COUNT) FLAGGED", "SEARCH RETURN (MIN COUNT) FLAGGED"),
            ("SEARCH RETURN () FLAGGED", "SEARCH RETURN () FLAGGED"),
            ("UID SEARCH RETURN (SAVE all MAX) ALL", "UID SEARCH RETURN (MAX ALL SAVE) ALL"),
            (
                "UID SEARCH RETURN (PARTIAL 23500:24000 CONTEXT UPDATE RELEVANCY) $",
                "UID SEARCH RETURN (CONTEXT UPDATE RELEVANCY PARTIAL 23500:24000) $",
            ),
            (
                "UID SEARCH RETURN (PARTIAL -100:-1) UNDELETED",
                "UID SEARCH RETURN (PARTIAL -1:-100) NOT DELETED",
            ),
            // RFC 5465 section 7.
            (
                "SEARCH RETURN (COUNT UPDATE (UID BODY[HEADER.FIELDS (TO FROM)])) FROM \"boss\"",
                r#"SEARCH RETURN (COUNT UPDATE (UID BODY[HEADER.FIELDS ("TO" "FROM")])) FROM "boss""#,
            ),
            ("SEARCH RETURN (UPDATE(UID)) ALL", "SEARCH RETURN (UPDATE (UID)) ALL"),
            // RFC 5256, RFC 5957.
            ("SORT (SUBJECT) UTF-8 SINCE 1-Feb-1994", "SORT (SUBJECT) UTF-8 SINCE 1-Feb-1994"),
            (
                "UID SORT RETURN (ALL) (REVERSE DATE ARRIVAL CC FROM SIZE TO DISPLAYFROM reverse DISPLAYTO RELEVANCY) US-ASCII ALL",
                "UID SORT RETURN (ALL) (REVERSE DATE ARRIVAL CC FROM SIZE TO DISPLAYFROM REVERSE DISPLAYTO RELEVANCY) UTF-8 ALL",
            ),
            (
                "THREAD ORDEREDSUBJECT UTF-8 SINCE 5-MAR-2000 SUBJECT x",
                "THREAD ORDEREDSUBJECT UTF-8 SINCE 5-Mar-2000 SUBJECT \"x\"",
            ),
            ("uid thread references us-ascii 1:*", "UID THREAD REFERENCES UTF-8 1:*"),
            // RFC 7377.
            (
                "ESEARCH IN (mailboxes \"folder1\" subtree \"folder2\") unseen subject \"chad\"",
                r#"ESEARCH IN (mailboxes ("folder1") subtree ("folder2")) NOT SEEN SUBJECT "chad""#,
            ),
            (
                "ESEARCH IN (selected subtree-one (a b)) RETURN (COUNT) ALL",
                r#"ESEARCH IN (selected subtree-one ("a" "b")) RETURN (COUNT) ALL"#,
            ),
            ("ESEARCH ALL", "ESEARCH ALL"),
        ],
    );
    refused(&[
        ("SEARCH", "expected a search key such as UNSEEN, SINCE 1-Feb-1994 or a sequence set"),
        ("SEARCH FOO", "expected a search key such as UNSEEN, SINCE 1-Feb-1994 or a sequence set"),
        ("SEARCH ()", "expected a search key such as UNSEEN, SINCE 1-Feb-1994 or a sequence set"),
        ("SEARCH (SEEN", "expected a space or a closing parenthesis behind a search key"),
        ("SEARCH SEEN)", "expected a space and a further argument"),
        ("SEARCH OR SEEN", "expected a space and a further argument"),
        ("SEARCH ON 30-Feb-1994", "expected a date such as 1-Feb-1994"),
        ("SEARCH ON 1-Foo-1994", "expected a date such as 1-Feb-1994"),
        ("SEARCH ON 1-Feb-94", "expected a date such as 1-Feb-1994"),
        ("SEARCH ON \"1-Feb-1994", "expected a date such as \"1-Feb-1994\""),
        ("SEARCH LARGER 9223372036854775808", "expected a number below 2^63"),
        ("SEARCH YOUNGER 0", "expected a number from 1 on"),
        ("SEARCH KEYWORD \\Seen", "expected a flag such as \\Seen or a keyword such as $Forwarded"),
        ("SEARCH RETURN (ALL PARTIAL 1:2) ALL", "expected either ALL or PARTIAL"),
        (
            "SEARCH RETURN (FOO) ALL",
            "expected MIN, MAX, ALL, COUNT, SAVE, PARTIAL, CONTEXT, UPDATE or RELEVANCY as a result option",
        ),
        ("SORT () UTF-8 ALL", "expected at least one criterion of SORT"),
        ("SORT (REVERSE) UTF-8 ALL", "expected a space and a further argument"),
        ("THREAD REFS UTF-8 ALL", "expected ORDEREDSUBJECT or REFERENCES"),
        ("ESEARCH IN () ALL", "expected at least one source of mailboxes"),
        (
            "ESEARCH IN (selected-delayed) ALL",
            "expected selected, inboxes, personal, subscribed, subtree, subtree-one or mailboxes",
        ),
    ]);
}

#[test]
fn charsets() {
    let text = |rest: &[u8]| match arguments("SEARCH", rest, PLAIN)? {
        Command::Search(Search { key: Key::Subject(text), .. }) => Ok(text),
        other => panic!("{other:?}"),
    };
    assert_eq!(text(b"CHARSET ISO-8859-1 SUBJECT {3}\r\nf\xfcr"), Ok("f\u{fc}r".into()));
    assert_eq!(text(b"charset \"koi8-r\" SUBJECT \"\xf0\xd2\""), Ok("\u{41f}\u{440}".into()));
    assert_eq!(text(b"CHARSET iso-2022-jp SUBJECT {8}\r\n\x1b$BF|\x1b(B"), Ok("\u{65e5}".into()));
    assert_eq!(text(b"CHARSET UTF-8 SUBJECT {2}\r\n\xc3\xbc"), Ok("\u{fc}".into()));
    assert_eq!(text(b"SUBJECT \"\xc3\xbc\""), Ok("\u{fc}".into()), "clients that say nothing mean UTF-8");
    assert_eq!(text(b"CHARSET US-ASCII SUBJECT \xfc"), Err(Fault::Syntax("expected text in UTF-8")));
    assert_eq!(
        text(b"CHARSET EUC-JP SUBJECT \xff"),
        Err(Fault::Syntax("expected text in the charset that was named"))
    );
    for charset in ["UTF-16", "UTF-16BE", "UTF-7", "X-USER-DEFINED", "ISO-2022-CN", "none", "\"\""] {
        assert_eq!(text(format!("CHARSET {charset} SUBJECT x").as_bytes()), Err(Fault::Charset), "{charset}");
    }
    // RFC 6855 section 3; SORT and THREAD cannot be written without one.
    let alone = Dialect { utf8: true, utf8_alone: true };
    for charset in ["UTF-8", "US-ASCII", "none"] {
        let refused = parse(&format!("UID SEARCH RETURN (ALL) CHARSET {charset} SUBJECT x"), alone);
        assert!(matches!(refused, Err(Fault::Syntax(_))), "{charset}: {refused:?}");
    }
    assert!(parse("SEARCH SUBJECT \"f\u{fc}r\"", alone).is_ok());
    assert!(parse("SORT (DATE) UTF-8 ALL", alone).is_ok());
}

#[test]
fn bounds_of_a_search() {
    let many = |keys: usize| parse(&format!("SEARCH{}", " SEEN".repeat(keys)), PLAIN);
    assert!(many(SEARCH_KEYS_MAX).is_ok());
    assert_eq!(many(SEARCH_KEYS_MAX + 1), Err(Fault::Limit(Text::KeysTooMany)));
    for (open, close) in [("(", ")"), ("NOT ", ""), ("FUZZY ", ""), ("OR ALL ", "")] {
        let deep = |n: usize| parse(&format!("SEARCH {}SEEN{}", open.repeat(n), close.repeat(n)), PLAIN);
        assert!(deep(SEARCH_DEPTH_MAX).is_ok(), "{open}");
        let fault = Fault::Limit(Text::KeysTooDeep);
        assert_eq!(deep(SEARCH_DEPTH_MAX + 1), Err(fault.clone()), "{open}");
        if open.len() == 1 {
            assert_eq!(deep(100_000), Err(fault));
        }
    }
}
