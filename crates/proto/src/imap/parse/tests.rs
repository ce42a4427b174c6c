//! Known answers: the examples of the RFCs and what clients send, each with the form in which
//! [`client::write`] writes what was understood; and what is refused, with the words for it.

use super::*;
use crate::imap::client::{self, Literals};
use crate::imap::command::*;
use crate::imap::set::{STAR, Set, SetOrSaved};

const PLAIN: Dialect = Dialect { utf8: false };
const UTF8: Dialect = Dialect { utf8: true };

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
    assert_eq!(
        parse(&format!("ID ({})", pair.repeat(31)), PLAIN),
        Err(Fault::Limit("too many or too long values of ID"))
    );
    refused(&[
        ("NOOP x", "expected the end of the command"),
        ("COMPRESS GZIP", "expected DEFLATE, the only way of compression"),
        ("ID name", "expected NIL or a list of names and values"),
        ("CANCELUPDATE", "expected an atom or a string"),
    ]);
}

#[test]
fn mailboxes() {
    understood(
        PLAIN,
        &[
            ("SELECT INBOX", r#"SELECT "INBOX""#),
            ("SELECT \"inbox\"", r#"SELECT "INBOX""#),
            ("SELECT {5}\r\ninbox ", r#"SELECT "INBOX""#),
            ("SELECT {5+}\r\ninbox (CONDSTORE)", r#"SELECT "INBOX" (CONDSTORE)"#),
            ("EXAMINE blurdybloop", r#"EXAMINE "blurdybloop""#),
            // RFC 7162 3.2.5.
            (
                "SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))",
                r#"SELECT "INBOX" (QRESYNC (67890007 20050715194045000 41,43:211,214:541))"#,
            ),
            (
                "SELECT INBOX (QRESYNC (67890007 90060115194045000 41:211,214:541) condstore)",
                r#"SELECT "INBOX" (CONDSTORE QRESYNC (67890007 90060115194045000 41:211,214:541))"#,
            ),
            (
                "EXAMINE x (QRESYNC (67890007 90060115194045000 41:211,214:541 (1:3,5 41,42:44)))",
                r#"EXAMINE "x" (QRESYNC (67890007 90060115194045000 41:211,214:541 (1:3,5 41,42:44)))"#,
            ),
            ("SELECT x (QRESYNC (1 2 (1 2)))", r#"SELECT "x" (QRESYNC (1 2 (1 2)))"#),
            ("CREATE owatagusiam/", r#"CREATE "owatagusiam/""#),
            ("CREATE owatagusiam/blurdybloop", r#"CREATE "owatagusiam/blurdybloop""#),
            // RFC 6154 5.2.
            (r"CREATE MySpecial (USE (\Drafts \Sent))", r#"CREATE "MySpecial" (USE (\Drafts \Sent))"#),
            ("DELETE foo", r#"DELETE "foo""#),
            ("RENAME INBOX old-mail", r#"RENAME "INBOX" "old-mail""#),
            ("SUBSCRIBE #news.comp.mail.mime", r##"SUBSCRIBE "#news.comp.mail.mime""##),
            ("UNSUBSCRIBE a]b", r#"UNSUBSCRIBE "a]b""#),
            ("LSUB \"#news.\" \"comp.mail.*\"", r##"LSUB "#news." "comp.mail.*""##),
            ("LSUB \"\" %", r#"LSUB "" "%""#),
            // Modified UTF-7, and what clients send that do not know it.
            ("CREATE Entw&APw-rfe", r#"CREATE "Entw&APw-rfe""#),
            ("CREATE \"Entw\u{fc}rfe\"", r#"CREATE "Entw&APw-rfe""#),
            ("CREATE AT&T", r#"CREATE "AT&-T""#),
        ],
    );
    understood(
        UTF8,
        &[
            ("CREATE \"Entw\u{fc}rfe\"", "CREATE \"Entw\u{fc}rfe\""),
            ("CREATE Entw\u{fc}rfe", "CREATE \"Entw\u{fc}rfe\""),
            ("CREATE Entw&APw-rfe", r#"CREATE "Entw&APw-rfe""#),
        ],
    );
    let Ok(Command::Create { mailbox, level, .. }) = parse("CREATE a/b/", PLAIN) else { panic!("CREATE") };
    assert_eq!((mailbox.as_str(), level), ("a/b", true));
    refused(&[
        ("SELECT", "expected the name of a mailbox"),
        ("SELECT \"\"", "expected the name of a mailbox, not an empty one"),
        ("SELECT a b", "expected parameters of SELECT in parentheses"),
        ("SELECT a (X)", "expected CONDSTORE or QRESYNC as a parameter, each once"),
        ("SELECT a (QRESYNC (0 1))", "expected a number from 1 on"),
        ("SELECT a (QRESYNC (1 1 1:*))", "expected numbers without * here"),
        ("SELECT \"a", "expected a closing quotation mark before the end of the line"),
        ("SELECT {9}\r\nabc", "expected a literal of the announced length"),
        ("SELECT {3}abc", "expected a literal of the announced length"),
        ("SELECT {3-}\r\nabc", "expected a literal such as {5}"),
        ("SELECT {3}\r\na\0c", "expected a literal without NUL"),
        ("SELECT {99999999999999999999}\r\nabc", "expected a number below 2^63"),
        ("SELECT a%b", "expected a space and a further argument"),
        ("SELECT \"a\u{7}b\"", "expected a mailbox name without control characters"),
        ("SELECT &AAc-", "expected a mailbox name without control characters"),
        ("CREATE /", "expected the name of a mailbox, not an empty one"),
        ("CREATE a (USE (Sent))", "expected a use such as \\Sent"),
        ("RENAME a", "expected a space and a further argument"),
    ]);
    assert_eq!(
        arguments("SELECT", b"\"\xff\"", PLAIN),
        Err(Fault::Syntax("expected a mailbox name in modified UTF-7 or UTF-8"))
    );
    let long = format!("SELECT {}", "x".repeat(MAILBOX_BYTES_MAX + 1));
    assert_eq!(parse(&long, PLAIN), Err(Fault::Limit("the name of a mailbox is too long")));
}

#[test]
fn lists() {
    understood(
        PLAIN,
        &[
            ("LIST \"\" \"\"", r#"LIST "" """#),
            ("LIST /usr/staff/jones \"\"", r#"LIST "/usr/staff/jones" """#),
            ("LIST ~/Mail/ %", r#"LIST "~/Mail/" "%""#),
            ("LIST \"\" in*%x", r#"LIST "" "in*%x""#),
            // RFC 5258 section 5.
            (r#"LIST (SUBSCRIBED) "" "*""#, r#"LIST (SUBSCRIBED) "" "*""#),
            (r#"LIST () "" "%" RETURN (CHILDREN)"#, r#"LIST () "" "%" RETURN (CHILDREN)"#),
            (r#"LIST (REMOTE) "" "%" RETURN (CHILDREN)"#, r#"LIST (REMOTE) "" "%" RETURN (CHILDREN)"#),
            (r#"LIST (REMOTE SUBSCRIBED) "" "*""#, r#"LIST (SUBSCRIBED REMOTE) "" "*""#),
            (r#"LIST "" "*" RETURN (SUBSCRIBED CHILDREN)"#, r#"LIST () "" "*" RETURN (SUBSCRIBED CHILDREN)"#),
            (r#"LIST "" ("INBOX" "Drafts" "Sent/%") RETURN ()"#, r#"LIST () "" ("INBOX" "Drafts" "Sent/%")"#),
            (
                r#"LIST (SUBSCRIBED RECURSIVEMATCH) "" "*" RETURN (SUBSCRIBED)"#,
                r#"LIST (SUBSCRIBED RECURSIVEMATCH) "" "*" RETURN (SUBSCRIBED)"#,
            ),
            // RFC 5819 section 2, RFC 6154 5.1, RFC 8440, RFC 9590.
            (
                r#"LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (STATUS (MESSAGES))"#,
                r#"LIST (SUBSCRIBED RECURSIVEMATCH) "" "%" RETURN (STATUS (MESSAGES))"#,
            ),
            (r#"LIST (SPECIAL-USE) "" "*""#, r#"LIST (SPECIAL-USE) "" "*""#),
            (r#"LIST "" % RETURN (special-use myrights)"#, r#"LIST () "" "%" RETURN (SPECIAL-USE MYRIGHTS)"#),
            (
                r#"LIST "" % RETURN (METADATA ("/shared/vendor/cmu/cyrus-imapd/color"))"#,
                r#"LIST () "" "%" RETURN (METADATA ("/shared/vendor/cmu/cyrus-imapd/color"))"#,
            ),
            ("STATUS blurdybloop (UIDNEXT MESSAGES uidnext)", r#"STATUS "blurdybloop" (UIDNEXT MESSAGES)"#),
            (
                "STATUS a (RECENT UIDVALIDITY UNSEEN DELETED SIZE HIGHESTMODSEQ MAILBOXID APPENDLIMIT DELETED-STORAGE)",
                r#"STATUS "a" (RECENT UIDVALIDITY UNSEEN DELETED SIZE HIGHESTMODSEQ MAILBOXID APPENDLIMIT DELETED-STORAGE)"#,
            ),
        ],
    );
    refused(&[
        ("LIST \"\"", "expected a space and a further argument"),
        ("LIST (RECURSIVEMATCH) \"\" *", "expected RECURSIVEMATCH together with SUBSCRIBED or SPECIAL-USE"),
        (
            "LIST (RECURSIVEMATCH REMOTE) \"\" *",
            "expected RECURSIVEMATCH together with SUBSCRIBED or SPECIAL-USE",
        ),
        ("LIST (X) \"\" *", "expected SUBSCRIBED, REMOTE, RECURSIVEMATCH or SPECIAL-USE"),
        ("LIST \"\" ()", "expected at least one pattern"),
        ("LIST \"\" * CHILDREN", "expected RETURN or the end of the command"),
        ("STATUS a ()", "expected at least one STATUS item"),
        ("STATUS a", "expected a space and a further argument"),
        ("STATUS a MESSAGES", "expected STATUS items in parentheses"),
        ("STATUS a (FOO)", "expected a STATUS item such as MESSAGES or UNSEEN"),
    ]);
}

#[test]
fn quotas_rights_metadata() {
    understood(
        PLAIN,
        &[
            ("GETQUOTA \"!partition/sda4\"", r#"GETQUOTA "!partition/sda4""#),
            ("GETQUOTA \"\"", r#"GETQUOTA """#),
            ("GETQUOTAROOT INBOX", r#"GETQUOTAROOT "INBOX""#),
            ("SETQUOTA \"\" (STORAGE 512 message 3)", r#"SETQUOTA "" (STORAGE 512 MESSAGE 3)"#),
            ("SETQUOTA a ()", r#"SETQUOTA "a" ()"#),
            ("GETACL INBOX", r#"GETACL "INBOX""#),
            ("SETACL INBOX/Drafts Byron lrswikda", r#"SETACL "INBOX/Drafts" "Byron" "lrswikda""#),
            ("SETACL a David +lrswida", r#"SETACL "a" "David" "+lrswida""#),
            ("SETACL a -fred \"-c\"", r#"SETACL "a" "-fred" "-c""#),
            ("DELETEACL INBOX Fred", r#"DELETEACL "INBOX" "Fred""#),
            ("LISTRIGHTS ~/Mail/saved smith", r#"LISTRIGHTS "~/Mail/saved" "smith""#),
            ("MYRIGHTS INBOX", r#"MYRIGHTS "INBOX""#),
            // RFC 5464 section 4.
            ("GETMETADATA \"\" /shared/comment", r#"GETMETADATA "" ("/shared/comment")"#),
            (
                r#"GETMETADATA "INBOX" (/shared/comment /Private/comment)"#,
                r#"GETMETADATA "INBOX" ("/shared/comment" "/private/comment")"#,
            ),
            (
                r#"GETMETADATA "INBOX" (MAXSIZE 1024) (/shared/comment /private/comment)"#,
                r#"GETMETADATA (DEPTH 0 MAXSIZE 1024) "INBOX" ("/shared/comment" "/private/comment")"#,
            ),
            (
                r#"GETMETADATA (DEPTH 1) "INBOX" (/private/filters/values)"#,
                r#"GETMETADATA (DEPTH 1) "INBOX" ("/private/filters/values")"#,
            ),
            (
                r#"GETMETADATA (depth infinity maxsize 5) INBOX /private/x"#,
                r#"GETMETADATA (DEPTH infinity MAXSIZE 5) "INBOX" ("/private/x")"#,
            ),
            (
                "SETMETADATA INBOX (/private/comment {8}\r\na\r\nb\"c\\d)",
                "SETMETADATA \"INBOX\" (\"/private/comment\" {8+}\r\na\r\nb\"c\\d)",
            ),
            ("SETMETADATA \"\" (/private/comment NIL)", r#"SETMETADATA "" ("/private/comment" NIL)"#),
            (
                r#"SETMETADATA INBOX (/private/comment "My comment" /shared/comment "Its sunny!")"#,
                r#"SETMETADATA "INBOX" ("/private/comment" "My comment" "/shared/comment" "Its sunny!")"#,
            ),
            ("SETMETADATA a (/private/x ~{2}\r\n\0\n)", "SETMETADATA \"a\" (\"/private/x\" ~{2+}\r\n\0\n)"),
        ],
    );
    refused(&[
        ("SETQUOTA a (STORAGE -1)", "expected a number"),
        ("SETQUOTA a STORAGE 1", "expected resources and limits such as (STORAGE 512)"),
        ("SETACL a b lrS", "expected rights as lower-case letters, perhaps with + or - before them"),
        ("SETACL a b", "expected a space and a further argument"),
        ("DELETEACL a \"\"", "expected an identifier such as a user's name"),
        ("GETMETADATA a comment", "expected the name of an entry such as /private/comment"),
        ("GETMETADATA a /private//x", "expected the name of an entry such as /private/comment"),
        ("GETMETADATA a /private/*", "expected the name of an entry such as /private/comment"),
        ("GETMETADATA (DEPTH 2) a /private/x", "expected DEPTH 0, 1 or infinity"),
        ("SETMETADATA a (/private/x)", "expected a space and a further argument"),
        ("SETMETADATA a ()", "expected at least one entry"),
    ]);
}

#[test]
fn notifications() {
    understood(
        PLAIN,
        &[
            ("NOTIFY NONE", "NOTIFY NONE"),
            // RFC 5465 section 5.
            (
                "notify set status (selected MessageNew (uid body.peek[header.fields (from to subject)]) MessageExpunge)(subtree Lists MessageNew messageexpunge)",
                r#"NOTIFY SET STATUS (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS ("from" "to" "subject")]) MessageExpunge)) (subtree ("Lists") (MessageNew MessageExpunge))"#,
            ),
            (
                "notify set (selected (MessageNew (uid flags) MessageExpunge)) (personal NONE) (mailboxes (a \"b c\") (MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange))",
                r#"NOTIFY SET (selected (MessageNew (UID FLAGS) MessageExpunge)) (personal NONE) (mailboxes ("a" "b c") (MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange))"#,
            ),
            (
                "NOTIFY SET (selected-delayed (MessageNew MessageExpunge FlagChange AnnotationChange)) (inboxes (MessageNew MessageExpunge)) (subscribed NONE) (subtree-one x (MailboxName))",
                r#"NOTIFY SET (selected-delayed (MessageNew MessageExpunge FlagChange AnnotationChange)) (inboxes (MessageNew MessageExpunge)) (subscribed NONE) (subtree-one ("x") (MailboxName))"#,
            ),
        ],
    );
    assert_eq!(parse("NOTIFY SET (personal (MessageNew MessageExpunge Foo))", PLAIN), Err(Fault::Event));
    refused(&[
        ("NOTIFY", "expected NONE or SET"),
        ("NOTIFY SET", "expected a space and a further argument"),
        ("NOTIFY SET (personal (MessageNew))", "expected MessageNew and MessageExpunge together"),
        (
            "NOTIFY SET (personal (FlagChange))",
            "expected MessageNew and MessageExpunge together with FlagChange",
        ),
        (
            "NOTIFY SET (selected NONE) (selected-delayed NONE)",
            "expected only one of selected and selected-delayed",
        ),
        ("NOTIFY SET (selected (MailboxName))", "expected only events of messages for the selected mailbox"),
        (
            "NOTIFY SET (personal (MessageNew (UID) MessageExpunge))",
            "expected data items of MessageNew only for the selected mailbox",
        ),
        ("NOTIFY SET (mailboxes () NONE)", "expected at least one name of a mailbox"),
        ("NOTIFY SET (personal NONE", "expected the end of the event group"),
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
        Err(Fault::Limit("too many data items"))
    );
    assert!(parse(&format!("FETCH 1 ({})", items[1..].join(" ")), PLAIN).is_ok());
    let deep = vec!["1"; PART_LEVELS_MAX + 1].join(".");
    assert_eq!(
        parse(&format!("FETCH 1 BODY[{deep}]"), PLAIN),
        Err(Fault::Limit("a part number has too many levels"))
    );
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
    assert_eq!(
        parse(&format!("STORE 1 FLAGS {keyword}k"), PLAIN),
        Err(Fault::Limit("a keyword is too long"))
    );
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
}

#[test]
fn bounds_of_a_search() {
    let many = |keys: usize| parse(&format!("SEARCH{}", " SEEN".repeat(keys)), PLAIN);
    assert!(many(SEARCH_KEYS_MAX).is_ok());
    assert_eq!(many(SEARCH_KEYS_MAX + 1), Err(Fault::Limit("too many search keys")));
    for (open, close) in [("(", ")"), ("NOT ", ""), ("FUZZY ", ""), ("OR ALL ", "")] {
        let deep = |n: usize| parse(&format!("SEARCH {}SEEN{}", open.repeat(n), close.repeat(n)), PLAIN);
        assert!(deep(SEARCH_DEPTH_MAX).is_ok(), "{open}");
        let fault = Fault::Limit("search keys are nested too deeply");
        assert_eq!(deep(SEARCH_DEPTH_MAX + 1), Err(fault.clone()), "{open}");
        if open.len() == 1 {
            assert_eq!(deep(100_000), Err(fault));
        }
    }
}

#[test]
fn bounds_of_lists() {
    let words = |n: usize, word: &str| (0..n).map(|i| format!(" {word}{i}")).collect::<String>();
    let bound = |most: usize, text: &'static str, command: &dyn Fn(usize) -> String| {
        let fault = parse(&command(most + 1), PLAIN).unwrap_err();
        assert_eq!(fault, Fault::Limit(text), "{}", command(0));
        assert!(parse(&command(most), PLAIN).is_ok(), "{}", command(0));
    };
    bound(FLAGS_MAX, "too many flags", &|n| format!("STORE 1 FLAGS ({})", words(n, "k")));
    bound(FLAGS_MAX, "too many flags", &|n| format!("STORE 1 FLAGS{}", words(n, "k")));
    bound(FIELD_NAMES_MAX, "too many names of header fields", &|n| {
        format!("FETCH 1 BODY[HEADER.FIELDS ({})]", words(n, "X-"))
    });
    bound(TEXTS_MAX, "too many arguments", &|n| format!("LANGUAGE{}", words(n, "x")));
    bound(LIST_PATTERNS_MAX, "too many patterns", &|n| format!("LIST \"\" ({})", words(n, "p")));
    bound(METADATA_ENTRIES_MAX, "too many entries", &|n| {
        format!("GETMETADATA a ({})", words(n, "/private/"))
    });
    bound(FILTER_MAILBOXES_MAX, "too many mailboxes", &|n| {
        format!("NOTIFY SET (mailboxes ({}) NONE)", words(n, "m"))
    });
    bound(NOTIFY_GROUPS_MAX, "too many event groups", &|n| {
        format!("NOTIFY SET{}", " (personal NONE)".repeat(n))
    });
    bound(METADATA_NAME_BYTES_MAX, "the name of an entry is too long", &|n| {
        format!("GETMETADATA a /private/{}", "x".repeat(n.saturating_sub(9)))
    });
    bound(ID_VALUE_BYTES_MAX, "too many or too long values of ID", &|n| {
        format!("ID (\"name\" \"{}\")", "x".repeat(n))
    });
}
