//! What is written is read as it was meant, for commands of every kind; and any bytes are read or
//! refused. The fuzzer tests the same laws.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proto::imap::command::*;
use proto::imap::name::canonical;
use proto::imap::parse::Dialect;
use proto::imap::set::{Set, SetOrSaved};
use testkit::imap_grammar as laws;

fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.max(2000), failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_written_is_read(command in command(), utf8: bool) {
        laws::same_again(&command, Dialect { utf8, utf8_alone: false });
    }

    /// Commands of the RFCs with pieces of them changed.
    #[test]
    fn nearly_right_commands(picked in vec(0..PIECES.len(), 1..14), spaced: bool) {
        let pieces: Vec<&str> = picked.iter().map(|at| PIECES[*at]).collect();
        let line = format!("a {}\r\n", pieces.join(if spaced { " " } else { "" }));
        laws::command(line.as_bytes());
    }

    #[test]
    fn any_bytes(word in 0..WORDS, bytes in vec(any::<u8>(), 0..40)) {
        let line = [b"a ", PIECES[word].as_bytes(), b" ", &bytes].concat();
        laws::command(&line);
        laws::command(&bytes);
    }

    #[test]
    fn names(bytes in vec(any::<u8>(), 0..20), text in "\\PC{0,12}|[&AE+,0-9/-]{0,12}|[iI]nbox/?.{0,3}") {
        laws::mailbox_name(&bytes);
        laws::mailbox_name(text.as_bytes());
    }
}

/// The words stand first.
const WORDS: usize = 30;

const PIECES: [&str; 110] = [
    "FETCH",
    "UID FETCH",
    "STORE",
    "UID STORE",
    "COPY",
    "UID MOVE",
    "SEARCH",
    "UID SEARCH",
    "SORT",
    "THREAD",
    "ESEARCH",
    "SELECT",
    "CREATE",
    "RENAME",
    "LIST",
    "LSUB",
    "STATUS",
    "NOTIFY",
    "GETMETADATA",
    "SETMETADATA",
    "SETACL",
    "SETQUOTA",
    "ID",
    "APPEND",
    "REPLACE",
    "LOGIN",
    "ENABLE",
    "LANGUAGE",
    "CANCELUPDATE",
    "UID EXPUNGE",
    "1:*",
    "$",
    "0",
    "4294967296",
    "1,3:5",
    "(",
    ")",
    "()",
    "\"",
    "\"\"",
    "\"a b\"",
    "\"\\\"",
    "{3}\r\nabc",
    "{3+}\r\na\0c",
    "~{2}\r\n\0x",
    "{9}\r\n",
    "{0}\r\n",
    "INBOX",
    "a/b",
    "&APw-",
    "&",
    "\u{fc}",
    "\\Seen",
    "\\Foo",
    "$Forwarded",
    "FLAGS",
    "+FLAGS",
    "-FLAGS.SILENT",
    "ALL",
    "BODY[",
    "BODY.PEEK[]",
    "]",
    "<0.10>",
    "1.2.MIME",
    "HEADER.FIELDS (A)",
    "PREVIEW",
    "(LAZY)",
    "BINARY.SIZE[1]",
    "(CHANGEDSINCE 5)",
    "(CHANGEDSINCE 5 VANISHED)",
    "(PARTIAL -1:-5)",
    "(UNCHANGEDSINCE 3)",
    "RETURN",
    "(MIN PARTIAL 1:5)",
    "CHARSET",
    "UTF-8",
    "ISO-8859-1",
    "OR",
    "NOT",
    "FUZZY",
    "NEW",
    "SUBJECT",
    "HEADER",
    "KEYWORD",
    "MODSEQ",
    "\"/flags/a\" all",
    "SINCE",
    "1-Feb-1994",
    "30-Feb-1994",
    "OLDER",
    "EMAILID",
    "(REVERSE DATE)",
    "REFERENCES",
    "IN",
    "(mailboxes a)",
    "(CONDSTORE)",
    "(QRESYNC (1 2 3:4))",
    "(USE (\\Sent))",
    "(SUBSCRIBED)",
    "(STATUS (SIZE))",
    "(METADATA (/private/a))",
    "SET STATUS",
    "(selected (MessageNew (UID) MessageExpunge))",
    "/private/comment",
    "NIL",
    "(MAXSIZE 3)",
    "CATENATE (",
    "TEXT {1}\r\nx",
    "URL \"/a\"",
    "\" 7-Feb-1994 21:52:25 -0800\"",
];

fn set() -> impl Strategy<Value = Set> {
    vec((1..=u32::MAX, 1..=u32::MAX), 1..4).prop_map(Set)
}

fn known() -> impl Strategy<Value = Set> {
    vec((1..u32::MAX, 1..u32::MAX), 1..4).prop_map(Set)
}

fn which() -> impl Strategy<Value = SetOrSaved> {
    prop_oneof![9 => set().prop_map(SetOrSaved::Set), 1 => Just(SetOrSaved::Saved)]
}

fn number64() -> impl Strategy<Value = u64> {
    prop_oneof![0..100_u64, 0..=i64::MAX as u64]
}

/// A name that may be empty.
fn name_or_empty() -> impl Strategy<Value = String> {
    let free = "\\PC{0,12}".prop_map(|name: String| {
        name.chars().filter(|c| proto::imap::name::is_allowed(*c)).collect::<String>()
    });
    prop_oneof![3 => "[a-zA-Z0-9 /&%*\"\\\\{ü日-]{0,12}", 1 => free, 1 => "[iI][nN]box(/a)?"]
        .prop_map(canonical)
}

fn name() -> impl Strategy<Value = String> {
    name_or_empty().prop_filter("a name", |name| !name.is_empty())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z\"\\\\ ü\r\n(){}]{0,12}", "[^\0]{0,8}", Just("x".repeat(1200))]
}

fn atom() -> impl Strategy<Value = String> {
    "[A-Za-z0-9$_.:+-]{1,12}"
}

fn entry() -> impl Strategy<Value = String> {
    "(/[a-z.]{1,6}){2,4}"
}

fn unique<T: PartialEq + std::fmt::Debug>(list: Vec<T>) -> Vec<T> {
    let mut once = Vec::new();
    for item in list {
        if !once.contains(&item) {
            once.push(item);
        }
    }
    once
}

fn some_of<T: Clone + PartialEq + std::fmt::Debug + 'static>(all: Vec<T>) -> impl Strategy<Value = Vec<T>> {
    let most = all.len();
    proptest::sample::subsequence(all, 1..=most).prop_shuffle()
}

fn flag() -> impl Strategy<Value = Flag> {
    prop_oneof![
        Just(Flag::Seen),
        Just(Flag::Answered),
        Just(Flag::Flagged),
        Just(Flag::Deleted),
        Just(Flag::Draft),
        atom().prop_map(Flag::Keyword),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![Just(Change::Add), Just(Change::Remove), Just(Change::Replace)]
}

fn part() -> impl Strategy<Value = Vec<u32>> {
    vec(1..=u32::MAX, 0..4)
}

fn octets() -> impl Strategy<Value = Option<(u64, u64)>> {
    option::of((number64(), number64().prop_map(|n| n.max(1))))
}

fn body_section() -> impl Strategy<Value = FetchItem> {
    let text = prop_oneof![
        Just(SectionText::All),
        Just(SectionText::Header),
        Just(SectionText::Text),
        Just(SectionText::Mime),
        (vec("[!-~ ]{1,8}", 1..4), any::<bool>())
            .prop_map(|(names, not)| SectionText::HeaderFields { names, not }),
    ];
    (part(), text, any::<bool>(), octets()).prop_map(|(part, text, peek, partial)| {
        let text = if part.is_empty() && text == SectionText::Mime { SectionText::Text } else { text };
        FetchItem::Section { section: Section { part, text }, peek, partial, label: Label::Body }
    })
}

fn old_section() -> impl Strategy<Value = FetchItem> {
    let whole = |text, peek, label| FetchItem::Section {
        section: Section { part: Vec::new(), text },
        peek,
        partial: None,
        label,
    };
    prop_oneof![
        Just(whole(SectionText::All, false, Label::Rfc822)),
        Just(whole(SectionText::Header, true, Label::Rfc822Header)),
        Just(whole(SectionText::Text, false, Label::Rfc822Text)),
    ]
}

fn item() -> impl Strategy<Value = FetchItem> {
    use FetchItem::*;
    let plain = vec![
        Uid,
        Flags,
        InternalDate,
        Size,
        Envelope,
        Body,
        BodyStructure,
        ModSeq,
        EmailId,
        ThreadId,
        SaveDate,
        Preview { lazy: false },
        Preview { lazy: true },
    ];
    prop_oneof![
        4 => proptest::sample::select(plain),
        3 => body_section(),
        1 => old_section(),
        1 => (part(), any::<bool>(), octets()).prop_map(|(part, peek, partial)| Binary { part, peek, partial }),
        1 => part().prop_map(BinarySize),
    ]
}

fn items() -> impl Strategy<Value = Vec<FetchItem>> {
    vec(item(), 1..6).prop_map(unique)
}

fn partial() -> impl Strategy<Value = Partial> {
    (any::<bool>(), 1..=u32::MAX, 1..=u32::MAX).prop_map(|(from_end, a, b)| Partial {
        from_end,
        first: a.min(b),
        last: a.max(b),
    })
}

fn fetch() -> impl Strategy<Value = Command> {
    (any::<bool>(), which(), items(), option::of(number64()), any::<bool>(), option::of(partial())).prop_map(
        |(uid, set, items, changed_since, vanished, partial)| {
            let vanished = vanished && uid && changed_since.is_some();
            Command::Fetch(Fetch { uid, set, items, changed_since, vanished, partial })
        },
    )
}

fn key() -> impl Strategy<Value = Key> {
    let day = -719_528_i64..=2_932_896;
    let leaf = prop_oneof![
        Just(Key::All),
        Just(Key::Recent),
        Just(Key::SaveDateSupported),
        flag().prop_map(Key::Flag),
        (0..9_usize, day).prop_map(|(which, day)| {
            let make = [
                Key::Before,
                Key::On,
                Key::Since,
                Key::SentBefore,
                Key::SentOn,
                Key::SentSince,
                Key::SavedBefore,
                Key::SavedOn,
                Key::SavedSince,
            ];
            make[which](day)
        }),
        number64().prop_map(Key::Larger),
        number64().prop_map(Key::Smaller),
        number64().prop_map(Key::ModSeq),
        (1..=u32::MAX).prop_map(Key::Older),
        (1..=u32::MAX).prop_map(Key::Younger),
        (text(), text()).prop_map(|(name, value)| Key::Header(name, value)),
        (0..7_usize, text()).prop_map(|(which, text)| {
            [Key::Bcc, Key::Cc, Key::From, Key::To, Key::Subject, Key::Body, Key::Text][which](text)
        }),
        which().prop_map(Key::Set),
        which().prop_map(Key::Uid),
        atom().prop_map(Key::EmailId),
        atom().prop_map(Key::ThreadId),
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(Key::And),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Key::Or(Box::new(a), Box::new(b))),
            inner.clone().prop_map(|key| Key::Not(Box::new(key))),
            inner.prop_map(|key| Key::Fuzzy(Box::new(key))),
        ]
    })
}

fn returns() -> impl Strategy<Value = Returns> {
    (any::<[bool; 8]>(), option::of(partial())).prop_map(|(on, partial)| Returns {
        min: on[0],
        max: on[1],
        all: on[2] && partial.is_none(),
        count: on[3],
        save: on[4],
        context: on[5],
        update: on[6],
        relevancy: on[7],
        partial,
    })
}

fn search() -> impl Strategy<Value = Search> {
    let items = prop_oneof![3 => Just(Vec::new()), 1 => items()];
    (any::<bool>(), option::of(returns()), items, key()).prop_map(|(uid, returns, items, key)| {
        let update_items = if returns.is_some_and(|r| r.update) { items } else { Vec::new() };
        Search { uid, returns, update_items, key }
    })
}

fn sort_by() -> impl Strategy<Value = SortBy> {
    use SortKey::*;
    let keys = vec![Arrival, Cc, Date, From, Size, Subject, To, DisplayFrom, DisplayTo, Relevancy];
    (any::<bool>(), proptest::sample::select(keys)).prop_map(|(reverse, what)| SortBy { reverse, what })
}

fn filter() -> impl Strategy<Value = MailboxFilter> {
    use MailboxFilter::*;
    let names = || vec(name(), 1..4);
    prop_oneof![
        Just(Selected),
        Just(Inboxes),
        Just(Personal),
        Just(Subscribed),
        names().prop_map(Subtree),
        names().prop_map(SubtreeOne),
        names().prop_map(Mailboxes),
    ]
}

fn finding() -> impl Strategy<Value = Command> {
    prop_oneof![
        3 => search().prop_map(Command::Search),
        1 => (vec(sort_by(), 1..4), search()).prop_map(|(order, search)| Command::Sort { order, search }),
        1 => (any::<bool>(), search()).prop_map(|(references, search)| Command::Thread {
            by: if references { ThreadBy::References } else { ThreadBy::OrderedSubject },
            search: Search { returns: None, update_items: Vec::new(), ..search },
        }),
        1 => (vec(filter(), 0..3), search())
            .prop_map(|(sources, search)| Command::Multisearch { sources, search: Search { uid: true, ..search } }),
    ]
}

fn select() -> impl Strategy<Value = Command> {
    let qresync = (1..=u32::MAX, number64(), option::of(known()), option::of((known(), known()))).prop_map(
        |(uid_validity, modseq, known, matches)| Qresync {
            uid_validity,
            modseq: modseq.max(1),
            known,
            matches,
        },
    );
    (name(), any::<bool>(), any::<bool>(), option::of(qresync)).prop_map(
        |(mailbox, read_only, condstore, qresync)| {
            Command::Select(Select { mailbox, read_only, condstore, qresync })
        },
    )
}

fn status_items() -> impl Strategy<Value = Vec<StatusItem>> {
    use StatusItem::*;
    some_of(vec![
        Messages,
        Recent,
        UidNext,
        UidValidity,
        Unseen,
        Deleted,
        Size,
        HighestModSeq,
        MailboxId,
        AppendLimit,
        DeletedStorage,
    ])
}

fn metadata_options() -> impl Strategy<Value = MetadataOptions> {
    (option::of(number64()), proptest::sample::select(vec![0, 1, u32::MAX]))
        .prop_map(|(bytes_max, depth)| MetadataOptions { bytes_max, depth })
}

fn list() -> impl Strategy<Value = Command> {
    let metadata = (metadata_options(), vec(entry(), 1..4).prop_map(unique));
    let status = prop_oneof![Just(Vec::new()), status_items()];
    (name_or_empty(), vec(name_or_empty(), 1..4), any::<[bool; 9]>(), status, option::of(metadata)).prop_map(
        |(reference, patterns, on, return_status, return_metadata)| {
            let returned =
                on[5] || on[6] || on[7] || on[8] || !return_status.is_empty() || return_metadata.is_some();
            let extended = on[0] || on[1] || on[2] || on[3] || on[4] || patterns.len() > 1 || returned;
            Command::List(List {
                reference,
                extended,
                patterns,
                select_subscribed: on[1],
                select_remote: on[2],
                select_special_use: on[3],
                recursive_match: on[4] && (on[1] || on[3]),
                return_subscribed: on[5],
                return_children: on[6],
                return_special_use: on[7],
                return_my_rights: on[8],
                return_status,
                return_metadata,
            })
        },
    )
}

fn notify() -> impl Strategy<Value = Command> {
    use NotifyEvent::*;
    let others = some_of(vec![MailboxName, SubscriptionChange, MailboxMetadataChange, ServerMetadataChange]);
    let group = (filter(), items(), any::<[bool; 3]>(), others).prop_map(|(filter, items, on, others)| {
        let selected = filter == MailboxFilter::Selected;
        let mut events = Vec::new();
        if on[0] {
            events.push(MessageNew(if selected { items } else { Vec::new() }));
            events.push(MessageExpunge);
        }
        if on[0] && on[1] {
            events.extend([FlagChange, AnnotationChange]);
        }
        if on[2] && !selected {
            events.extend(others);
        }
        NotifyGroup { filter, events }
    });
    (any::<bool>(), vec(group, 0..4)).prop_map(|(status, mut groups)| {
        let mut selected = 0;
        groups.retain(|group| {
            selected += usize::from(group.filter == MailboxFilter::Selected);
            group.filter != MailboxFilter::Selected || selected == 1
        });
        Command::Notify(if groups.is_empty() { Notify::None } else { Notify::Set { status, groups } })
    })
}

fn of_mailboxes() -> impl Strategy<Value = Command> {
    let named = (0..6_usize, name()).prop_map(|(which, name)| {
        use Command::*;
        [Delete, Subscribe, Unsubscribe, GetQuotaRoot, GetAcl, MyRights][which](name)
    });
    let create =
        (name(), any::<bool>(), vec("\\\\[A-Za-z]{1,8}", 0..3)).prop_map(|(mailbox, level, uses)| {
            let mailbox =
                if level { mailbox } else { canonical(format!("{}x", mailbox.trim_end_matches('/'))) };
            Command::Create { mailbox, level, uses: unique(uses) }
        });
    let identifier = || "[a-z@.ü -]{1,8}";
    prop_oneof![
        3 => named,
        2 => select(),
        1 => create,
        1 => (name(), name()).prop_map(|(from, to)| Command::Rename { from, to }),
        3 => list(),
        1 => (name_or_empty(), name_or_empty()).prop_map(|(reference, pattern)| Command::Lsub { reference, pattern }),
        1 => (name(), status_items()).prop_map(|(mailbox, items)| Command::Status { mailbox, items }),
        2 => notify(),
        1 => text().prop_map(Command::GetQuota),
        1 => (text(), vec(("[A-Z-]{1,8}", number64()), 0..3))
            .prop_map(|(root, limits)| Command::SetQuota { root, limits }),
        1 => (name(), identifier(), change(), "[a-z0-9]{0,6}").prop_map(|(mailbox, identifier, how, rights)| {
            Command::SetAcl { mailbox, identifier, how, rights }
        }),
        1 => (name(), identifier(), any::<bool>()).prop_map(|(mailbox, identifier, delete)| match delete {
            true => Command::DeleteAcl { mailbox, identifier },
            false => Command::ListRights { mailbox, identifier },
        }),
        1 => (name_or_empty(), vec(entry(), 1..4).prop_map(unique), metadata_options())
            .prop_map(|(mailbox, entries, options)| Command::GetMetadata { mailbox, entries, options }),
        1 => (name_or_empty(), vec((entry(), option::of(vec(any::<u8>(), 0..8))), 1..4))
            .prop_map(|(mailbox, entries)| Command::SetMetadata { mailbox, entries }),
    ]
}

fn of_messages() -> impl Strategy<Value = Command> {
    let store = (any::<bool>(), which(), change(), vec(flag(), 0..4), any::<bool>(), option::of(number64()))
        .prop_map(|(uid, set, how, flags, silent, unchanged_since)| {
            Command::Store(Store { uid, set, how, flags: unique(flags), silent, unchanged_since })
        });
    let copy = (any::<bool>(), which(), name(), any::<bool>())
        .prop_map(|(uid, set, mailbox, remove)| Command::Copy(Copy { uid, set, mailbox, remove }));
    prop_oneof![4 => fetch(), 2 => store, 1 => copy, 1 => option::of(which()).prop_map(Command::Expunge)]
}

fn of_sessions() -> impl Strategy<Value = Command> {
    use Command::*;
    prop_oneof![
        proptest::sample::select(vec![
            Noop,
            Check,
            Unauthenticate,
            Compress,
            Namespace,
            Idle,
            Close,
            Unselect
        ]),
        vec((text(), option::of("[^\0]{0,20}")), 0..4).prop_map(Id),
        vec(text(), 0..4).prop_map(Language),
        vec(text(), 0..4).prop_map(Comparator),
        vec(text(), 1..4).prop_map(CancelUpdate),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![3 => of_messages(), 3 => finding(), 4 => of_mailboxes(), 1 => of_sessions()]
}
