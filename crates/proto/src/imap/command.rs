//! Commands as values. Mailbox names are UTF-8 with `/` between levels, `INBOX` in upper case.
//!
//! LOGIN, AUTHENTICATE, STARTTLS, APPEND and REPLACE are events of their own.

use super::set::{Set, SetOrSaved};

/// A command that the session carries out.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// NOOP.
    Noop,
    /// CHECK (RFC 3501 6.4.1).
    Check,
    /// ID (RFC 2971), what the client says of itself; empty for NIL.
    Id(Vec<(String, Option<String>)>),
    /// UNAUTHENTICATE (RFC 8437).
    Unauthenticate,
    /// COMPRESS DEFLATE (RFC 4978).
    Compress,
    /// LANGUAGE (RFC 5255); no tags: list them.
    Language(Vec<String>),
    /// COMPARATOR (RFC 5255): none to ask which is active.
    Comparator(Vec<String>),
    /// SELECT or EXAMINE.
    Select(Select),
    /// CREATE, with USE (RFC 6154).
    Create {
        /// Name.
        mailbox: String,
        /// A trailing separator was given: only a level is meant.
        level: bool,
        /// `\Sent` and the like, as written.
        uses: Vec<String>,
    },
    /// DELETE.
    Delete(String),
    /// RENAME.
    Rename {
        /// Old name.
        from: String,
        /// New name.
        to: String,
    },
    /// SUBSCRIBE.
    Subscribe(String),
    /// UNSUBSCRIBE.
    Unsubscribe(String),
    /// LIST with all its extensions.
    List(List),
    /// LSUB.
    Lsub {
        /// Reference name.
        reference: String,
        /// Pattern.
        pattern: String,
    },
    /// NAMESPACE.
    Namespace,
    /// STATUS.
    Status {
        /// Which.
        mailbox: String,
        /// What is asked.
        items: Vec<StatusItem>,
    },
    /// IDLE; answer with `idle_begin`, or `no`.
    Idle,
    /// NOTIFY (RFC 5465).
    Notify(Notify),
    /// CLOSE.
    Close,
    /// UNSELECT.
    Unselect,
    /// EXPUNGE, or UID EXPUNGE with a set.
    Expunge(Option<SetOrSaved>),
    /// FETCH.
    Fetch(Fetch),
    /// STORE.
    Store(Store),
    /// COPY or MOVE.
    Copy(Copy),
    /// SEARCH.
    Search(Search),
    /// SORT (RFC 5256).
    Sort {
        /// In this order.
        order: Vec<SortBy>,
        /// What.
        search: Search,
    },
    /// THREAD (RFC 5256).
    Thread {
        /// How.
        by: ThreadBy,
        /// What.
        search: Search,
    },
    /// ESEARCH (RFC 7377).
    Multisearch {
        /// Where; empty: the selected mailbox.
        sources: Vec<Source>,
        /// What.
        search: Search,
    },
    /// CANCELUPDATE (RFC 5267): tags.
    CancelUpdate(Vec<String>),
    /// GETQUOTA (RFC 9208).
    GetQuota(String),
    /// GETQUOTAROOT.
    GetQuotaRoot(String),
    /// SETQUOTA: resources and limits.
    SetQuota {
        /// Quota root.
        root: String,
        /// Resource name, limit.
        limits: Vec<(String, u64)>,
    },
    /// GETACL (RFC 4314).
    GetAcl(String),
    /// SETACL.
    SetAcl {
        /// Mailbox.
        mailbox: String,
        /// Whose.
        identifier: String,
        /// Add, remove or replace.
        how: Change,
        /// Letters.
        rights: String,
    },
    /// DELETEACL.
    DeleteAcl {
        /// Mailbox.
        mailbox: String,
        /// Whose.
        identifier: String,
    },
    /// LISTRIGHTS.
    ListRights {
        /// Mailbox.
        mailbox: String,
        /// Whose.
        identifier: String,
    },
    /// MYRIGHTS.
    MyRights(String),
    /// GETMETADATA (RFC 5464); an empty mailbox is the server.
    GetMetadata {
        /// Mailbox.
        mailbox: String,
        /// Entries.
        entries: Vec<String>,
        /// Options.
        options: MetadataOptions,
    },
    /// SETMETADATA; `None` removes.
    SetMetadata {
        /// Mailbox.
        mailbox: String,
        /// Entries and values.
        entries: Vec<(String, Option<Vec<u8>>)>,
    },
}

/// A flag as a client names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flag {
    /// `\Seen`.
    Seen,
    /// `\Answered`.
    Answered,
    /// `\Flagged`.
    Flagged,
    /// `\Deleted`.
    Deleted,
    /// `\Draft`.
    Draft,
    /// A keyword, as written.
    Keyword(String),
}

/// Add, remove, or set to exactly these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// `+`.
    Add,
    /// `-`.
    Remove,
    /// Neither.
    Replace,
}

/// SELECT or EXAMINE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    /// Which.
    pub mailbox: String,
    /// EXAMINE: nothing may be changed.
    pub read_only: bool,
    /// `(CONDSTORE)`.
    pub condstore: bool,
    /// `(QRESYNC (...))` (RFC 7162 3.2.5).
    pub qresync: Option<Qresync>,
}

/// What a client knew when it was away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qresync {
    /// Of the mailbox then.
    pub uid_validity: u32,
    /// Highest then.
    pub modseq: u64,
    /// UIDs that it knows; none: all.
    pub known: Option<Set>,
    /// Sequence numbers and the UIDs that they had, to shorten VANISHED.
    pub matches: Option<(Set, Set)>,
}

/// LIST (RFC 5258, 5819, 6154, 8440, 9590).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// Reference name.
    pub reference: String,
    /// Patterns; more than one only in the extended form.
    pub patterns: Vec<String>,
    /// A selection or return option was given, or several patterns.
    pub extended: bool,
    /// SUBSCRIBED.
    pub select_subscribed: bool,
    /// REMOTE (we have none).
    pub select_remote: bool,
    /// RECURSIVEMATCH.
    pub recursive_match: bool,
    /// SPECIAL-USE.
    pub select_special_use: bool,
    /// RETURN SUBSCRIBED.
    pub return_subscribed: bool,
    /// RETURN CHILDREN.
    pub return_children: bool,
    /// RETURN SPECIAL-USE.
    pub return_special_use: bool,
    /// RETURN MYRIGHTS.
    pub return_my_rights: bool,
    /// RETURN STATUS.
    pub return_status: Vec<StatusItem>,
    /// RETURN METADATA.
    pub return_metadata: Option<(MetadataOptions, Vec<String>)>,
}

/// Options of GETMETADATA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetadataOptions {
    /// MAXSIZE.
    pub bytes_max: Option<u64>,
    /// DEPTH: 0, 1 or infinity (`u32::MAX`).
    pub depth: u32,
}

/// What STATUS tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusItem {
    /// MESSAGES.
    Messages,
    /// RECENT (RFC 3501); always 0 here.
    Recent,
    /// UIDNEXT.
    UidNext,
    /// UIDVALIDITY.
    UidValidity,
    /// UNSEEN.
    Unseen,
    /// DELETED (RFC 9051).
    Deleted,
    /// SIZE (RFC 8438).
    Size,
    /// HIGHESTMODSEQ (RFC 7162).
    HighestModSeq,
    /// MAILBOXID (RFC 8474).
    MailboxId,
    /// APPENDLIMIT (RFC 7889).
    AppendLimit,
    /// DELETED-STORAGE (RFC 9208).
    DeletedStorage,
}

/// NOTIFY (RFC 5465 section 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notify {
    /// NONE.
    None,
    /// SET.
    Set {
        /// STATUS was asked for: tell the state of all of them first.
        status: bool,
        /// Groups, the first that fits a mailbox counts.
        groups: Vec<NotifyGroup>,
    },
}

/// One event group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyGroup {
    /// Which mailboxes.
    pub filter: MailboxFilter,
    /// Empty: NONE.
    pub events: Vec<NotifyEvent>,
}

/// Which mailboxes (RFC 5465 section 6, RFC 7377 2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailboxFilter {
    /// `selected`.
    Selected,
    /// `selected-delayed`.
    SelectedDelayed,
    /// `inboxes`.
    Inboxes,
    /// `personal`.
    Personal,
    /// `subscribed`.
    Subscribed,
    /// `subtree`.
    Subtree(Vec<String>),
    /// `subtree-one`.
    SubtreeOne(Vec<String>),
    /// `mailboxes`.
    Mailboxes(Vec<String>),
}

/// What is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotifyEvent {
    /// MessageNew, with what to fetch of it.
    MessageNew(Vec<FetchItem>),
    /// MessageExpunge.
    MessageExpunge,
    /// FlagChange.
    FlagChange,
    /// AnnotationChange.
    AnnotationChange,
    /// MailboxName.
    MailboxName,
    /// SubscriptionChange.
    SubscriptionChange,
    /// MailboxMetadataChange.
    MailboxMetadataChange,
    /// ServerMetadataChange.
    ServerMetadataChange,
}

/// FETCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Numbers are UIDs.
    pub uid: bool,
    /// Which.
    pub set: SetOrSaved,
    /// What; macros are spelled out.
    pub items: Vec<FetchItem>,
    /// CHANGEDSINCE (RFC 7162).
    pub changed_since: Option<u64>,
    /// VANISHED.
    pub vanished: bool,
    /// PARTIAL (RFC 9394).
    pub partial: Option<Partial>,
}

/// `1:10`, or `-1:-10` counted from the end (RFC 9394).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partial {
    /// Counted from the last.
    pub from_end: bool,
    /// First, from 1; not above `last`.
    pub first: u32,
    /// Last.
    pub last: u32,
}

/// One data item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchItem {
    /// UID.
    Uid,
    /// FLAGS.
    Flags,
    /// INTERNALDATE.
    InternalDate,
    /// RFC822.SIZE.
    Size,
    /// ENVELOPE.
    Envelope,
    /// BODY without a section: the structure without extension data.
    Body,
    /// BODYSTRUCTURE.
    BodyStructure,
    /// MODSEQ.
    ModSeq,
    /// EMAILID (RFC 8474).
    EmailId,
    /// THREADID.
    ThreadId,
    /// SAVEDATE (RFC 8514).
    SaveDate,
    /// PREVIEW (RFC 8970).
    Preview {
        /// LAZY.
        lazy: bool,
    },
    /// BODY[...], BODY.PEEK[...], RFC822, RFC822.HEADER, RFC822.TEXT.
    Section {
        /// What of the message.
        section: Section,
        /// Do not set `\Seen`.
        peek: bool,
        /// `<offset.count>`.
        partial: Option<(u64, u64)>,
        /// How the answer names it.
        label: Label,
    },
    /// BINARY[...] (RFC 3516).
    Binary {
        /// Part numbers.
        part: Vec<u32>,
        /// Do not set `\Seen`.
        peek: bool,
        /// `<offset.count>`.
        partial: Option<(u64, u64)>,
    },
    /// BINARY.SIZE[...].
    BinarySize(Vec<u32>),
}

/// How the answer names a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// `BODY[...]`.
    Body,
    /// `RFC822`.
    Rfc822,
    /// `RFC822.HEADER`.
    Rfc822Header,
    /// `RFC822.TEXT`.
    Rfc822Text,
}

/// A section of a message (RFC 9051 6.4.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Part numbers; empty: the message itself.
    pub part: Vec<u32>,
    /// What of it.
    pub text: SectionText,
}

/// What of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionText {
    /// All of it.
    All,
    /// HEADER.
    Header,
    /// HEADER.FIELDS or, with `not`, HEADER.FIELDS.NOT.
    HeaderFields {
        /// Names, as written.
        names: Vec<String>,
        /// All but these.
        not: bool,
    },
    /// TEXT.
    Text,
    /// MIME.
    Mime,
}

/// STORE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Numbers are UIDs.
    pub uid: bool,
    /// Which.
    pub set: SetOrSaved,
    /// How.
    pub how: Change,
    /// Which flags.
    pub flags: Vec<Flag>,
    /// `.SILENT`.
    pub silent: bool,
    /// UNCHANGEDSINCE (RFC 7162).
    pub unchanged_since: Option<u64>,
}

/// COPY or MOVE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Numbers are UIDs.
    pub uid: bool,
    /// Which.
    pub set: SetOrSaved,
    /// Where to.
    pub mailbox: String,
    /// MOVE (RFC 6851).
    pub remove: bool,
}

/// SEARCH, and what SORT and THREAD choose from.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// Answer with UIDs.
    pub uid: bool,
    /// RETURN (RFC 4731); none: the old form.
    pub returns: Option<Returns>,
    /// What `UPDATE (...)` asks to be told of messages that join the result (RFC 5465 section 7).
    pub update_items: Vec<FetchItem>,
    /// What is looked for; texts are decoded to UTF-8.
    pub key: Key,
}

/// Result options. All false means `ALL`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Returns {
    /// MIN.
    pub min: bool,
    /// MAX.
    pub max: bool,
    /// ALL.
    pub all: bool,
    /// COUNT.
    pub count: bool,
    /// SAVE (RFC 5182).
    pub save: bool,
    /// PARTIAL (RFC 9394, RFC 5267).
    pub partial: Option<Partial>,
    /// CONTEXT (RFC 5267).
    pub context: bool,
    /// UPDATE.
    pub update: bool,
    /// RELEVANCY (RFC 6203).
    pub relevancy: bool,
}

/// A day, counted from 1 January 1970, without a time zone.
pub type Day = i64;

/// A search key.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    /// ALL.
    All,
    /// All of these.
    And(Vec<Key>),
    /// Either.
    Or(Box<Key>, Box<Key>),
    /// NOT.
    Not(Box<Key>),
    /// SEEN, KEYWORD x ...
    Flag(Flag),
    /// RECENT (RFC 3501).
    Recent,
    /// BEFORE, by internal date.
    Before(Day),
    /// ON.
    On(Day),
    /// SINCE.
    Since(Day),
    /// SENTBEFORE, by the Date field.
    SentBefore(Day),
    /// SENTON.
    SentOn(Day),
    /// SENTSINCE.
    SentSince(Day),
    /// SAVEDBEFORE (RFC 8514).
    SavedBefore(Day),
    /// SAVEDON.
    SavedOn(Day),
    /// SAVEDSINCE.
    SavedSince(Day),
    /// SAVEDATESUPPORTED.
    SaveDateSupported,
    /// LARGER.
    Larger(u64),
    /// SMALLER.
    Smaller(u64),
    /// OLDER, seconds (RFC 5032).
    Older(u32),
    /// YOUNGER.
    Younger(u32),
    /// HEADER name text.
    Header(String, String),
    /// BCC.
    Bcc(String),
    /// CC.
    Cc(String),
    /// FROM.
    From(String),
    /// TO.
    To(String),
    /// SUBJECT.
    Subject(String),
    /// BODY.
    Body(String),
    /// TEXT.
    Text(String),
    /// A set of sequence numbers.
    Set(SetOrSaved),
    /// UID.
    Uid(SetOrSaved),
    /// MODSEQ (RFC 7162); the metadata items of its long form are not told apart.
    ModSeq(u64),
    /// EMAILID.
    EmailId(String),
    /// THREADID.
    ThreadId(String),
    /// FUZZY (RFC 6203).
    Fuzzy(Box<Key>),
}

/// One criterion of SORT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortBy {
    /// REVERSE.
    pub reverse: bool,
    /// By what.
    pub what: SortKey,
}

/// What SORT compares (RFC 5256 section 3, RFC 5957, RFC 6203).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// ARRIVAL.
    Arrival,
    /// CC.
    Cc,
    /// DATE.
    Date,
    /// FROM.
    From,
    /// SIZE.
    Size,
    /// SUBJECT.
    Subject,
    /// TO.
    To,
    /// DISPLAYFROM.
    DisplayFrom,
    /// DISPLAYTO.
    DisplayTo,
    /// RELEVANCY.
    Relevancy,
}

/// Threading algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadBy {
    /// ORDEREDSUBJECT.
    OrderedSubject,
    /// REFERENCES.
    References,
}

/// Where a multi-mailbox search looks.
pub type Source = MailboxFilter;
