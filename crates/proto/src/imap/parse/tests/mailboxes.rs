//! Known answers about mailboxes: names, lists, quotas, rights, notes, notifications.

use super::*;

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
    assert_eq!(parse(&long, PLAIN), Err(Fault::Limit(Text::MailboxNameTooLong)));
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
fn bounds_of_lists() {
    let words = |n: usize, word: &str| (0..n).map(|i| format!(" {word}{i}")).collect::<String>();
    let bound = |most: usize, text: Text, command: &dyn Fn(usize) -> String| {
        let fault = parse(&command(most + 1), PLAIN).unwrap_err();
        assert_eq!(fault, Fault::Limit(text), "{}", command(0));
        assert!(parse(&command(most), PLAIN).is_ok(), "{}", command(0));
    };
    bound(FLAGS_MAX, Text::FlagsTooMany, &|n| format!("STORE 1 FLAGS ({})", words(n, "k")));
    bound(FLAGS_MAX, Text::FlagsTooMany, &|n| format!("STORE 1 FLAGS{}", words(n, "k")));
    bound(FIELD_NAMES_MAX, Text::FieldsTooMany, &|n| {
        format!("FETCH 1 BODY[HEADER.FIELDS ({})]", words(n, "X-"))
    });
    bound(TEXTS_MAX, Text::ArgumentsTooMany, &|n| format!("LANGUAGE{}", words(n, "x")));
    bound(LIST_PATTERNS_MAX, Text::PatternsTooMany, &|n| format!("LIST \"\" ({})", words(n, "p")));
    bound(METADATA_ENTRIES_MAX, Text::EntriesTooMany, &|n| {
        format!("GETMETADATA a ({})", words(n, "/private/"))
    });
    bound(FILTER_MAILBOXES_MAX, Text::FilterTooMany, &|n| {
        format!("NOTIFY SET (mailboxes ({}) NONE)", words(n, "m"))
    });
    bound(NOTIFY_GROUPS_MAX, Text::EventGroupsTooMany, &|n| {
        format!("NOTIFY SET{}", " (personal NONE)".repeat(n))
    });
    bound(METADATA_NAME_BYTES_MAX, Text::EntryNameTooLong, &|n| {
        format!("GETMETADATA a /private/{}", "x".repeat(n.saturating_sub(9)))
    });
    bound(ID_VALUE_BYTES_MAX, Text::IdTooMuch, &|n| format!("ID (\"name\" \"{}\")", "x".repeat(n)));
}
