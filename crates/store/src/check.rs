//! The consistency check of a whole store. It only reads, and runs while the store is at work: each account is
//! looked at as of one moment, and bodies while the compactor pauses, so that nothing that
//! happens meanwhile is taken for a fault.

mod tree;

use crate::account::{CHANGES_KEPT, Flags, Mailbox, MailboxId, MessageRow, RECORD_MESSAGES_MAX, messages};
use crate::blob::{Bodies, BodyRef, frame};
use crate::engine::{Engine, Snapshot, VERSION_KEY};
use crate::row::{self, HeadRow, MailboxRow, TokenRow};
use crate::{Error, key, search};
use proto::proof::AccountId;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;

/// Faults that are reported; more are counted only.
const FAULTS_MAX: usize = 1000;

/// What `check` found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Accounts looked at.
    pub accounts: u64,
    /// Messages looked at.
    pub messages: u64,
    /// Bodies read and compared with their hash.
    pub bodies: u64,
    /// One sentence for each fault; empty means consistent.
    pub faults: Vec<String>,
    /// Harmless remarks (bytes that the compactor will reclaim).
    pub remarks: Vec<String>,
}

impl Report {
    fn fault(&mut self, text: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(text);
        } else if self.faults.len() == FAULTS_MAX {
            self.faults.push("there are more faults than are listed".to_owned());
        }
    }

    /// The value, or a fault.
    fn sound<T>(&mut self, whose: &str, value: Result<T, Error>) -> Result<Option<T>, Error> {
        match value {
            Ok(value) => Ok(Some(value)),
            Err(Error::Damaged(text)) => {
                self.fault(format!("{whose}: {text}"));
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }
}

/// Bodies verified so far, and the octets of their frames.
#[derive(Default)]
struct Verified {
    sound: HashMap<(u64, u64), [u8; 32]>,
    bytes: u64,
}

pub(crate) fn run(
    engine: &dyn Engine,
    bodies: &Bodies,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, Error> {
    let mut report = Report::default();
    for text in engine.verify()? {
        report.fault(format!("database: {text}"));
    }
    let ids = check_system(&*engine.snapshot()?, &mut report)?;
    let total = ids.len() as u64 + 2;
    progress(1, total);
    let mut verified = Verified::default();
    for (done, id) in ids.into_iter().enumerate() {
        let mut refs = Vec::new();
        {
            let snapshot = engine.snapshot()?;
            // Gone since the list was made: not a fault.
            if snapshot.get(key::SYSTEM, &key::account(id))?.is_some() {
                Account {
                    id,
                    snapshot: &*snapshot,
                    report: &mut report,
                    refs: &mut refs,
                    graves: Graves::new(),
                }
                .check()?;
            }
        }
        check_bodies(bodies, &format!("account {}", id.0), &refs, &mut verified, &mut report)?;
        progress(done as u64 + 2, total);
    }
    let refs = entries(&*engine.snapshot()?, &mut report)?;
    check_bodies(bodies, "pending entries", &refs, &mut verified, &mut report)?;
    let held: u64 = bodies.segments()?.values().sum();
    let dead = held.saturating_sub(verified.bytes);
    if dead > 0 {
        report.remarks.push(format!("{dead} octets of segments are referred to by nothing"));
    }
    progress(total, total);
    Ok(report)
}

fn check_bodies(
    bodies: &Bodies,
    whose: &str,
    refs: &[(String, BodyRef)],
    verified: &mut Verified,
    report: &mut Report,
) -> Result<(), Error> {
    for (what, body) in refs {
        let at = (body.segment, body.offset);
        match verified.sound.get(&at) {
            // The same place under another hash is a fault: it is looked at again.
            Some(hash) if *hash == body.hash => continue,
            _ => {}
        }
        let fault = bodies.verify(body)?;
        report.bodies += 1;
        if fault.is_none() {
            verified.sound.insert(at, body.hash);
            verified.bytes += frame::frame_bytes(body.len).unwrap_or(0);
        }
        if let Some(text) = fault {
            report.fault(format!("{whose}, {what}: its body in segment {}: {text}", body.segment));
        }
    }
    Ok(())
}

fn entries(snapshot: &dyn Snapshot, report: &mut Report) -> Result<Vec<(String, BodyRef)>, Error> {
    let mut refs = Vec::new();
    snapshot.scan(key::PENDING, &[key::ENTRY], &[], &mut |key, value| {
        let token = key::number64(key, 1).unwrap_or(0);
        if let Some(entry) = report.sound(&format!("pending entry {token}"), row::decode_entry(value))? {
            refs.push((format!("entry {token}"), entry.body));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(refs)
}

/// Checks the directory; the accounts that it has.
fn check_system(snapshot: &dyn Snapshot, report: &mut Report) -> Result<Vec<AccountId>, Error> {
    let mut domains = BTreeSet::new();
    let mut accounts = BTreeMap::new();
    let mut addressed: BTreeMap<u64, u64> = BTreeMap::new();
    let mut with_credentials = BTreeSet::new();
    let (mut marked, mut excepted) = (BTreeSet::new(), BTreeSet::new());
    let mut of_domains: Vec<(String, String)> = Vec::new();
    snapshot.scan(key::SYSTEM, &[], &[], &mut |key, value| {
        let id = key::number64(key, 1).unwrap_or(0);
        let whose = "directory";
        match key.first() {
            Some(&key::DOMAIN) => {
                let domain = report.sound(whose, row::decode_domain(value))?;
                domains.extend(domain.map(|d| d.name));
            }
            Some(&key::ACCOUNT) => {
                if let Some(record) = report.sound(whose, row::decode_account(value))? {
                    accounts.insert(id, record);
                }
            }
            Some(&key::ADDRESS) => {
                if let Some(id) = report.sound(whose, row::decode_number(value))? {
                    *addressed.entry(id).or_default() += 1;
                    of_domains.push((domain_of(key), format!("account {id}")));
                }
            }
            Some(&key::ALIAS) => {
                if let Some((address, _)) = report.sound(whose, row::decode_alias(value))? {
                    of_domains.push((domain_of(key), format!("alias {address}")));
                }
            }
            Some(&key::CREDENTIALS) => {
                report.sound(whose, row::decode_credentials(value))?;
                with_credentials.insert(id);
            }
            Some(&key::EXCEPTION) => {
                report.sound(whose, row::decode_exception(value))?;
                excepted.insert(id);
            }
            Some(&key::REMOVAL) => drop(marked.insert(id)),
            // An entry that leads to nothing is harmless; one that is missing is found at the account.
            Some(&key::SHARE) => drop(report.sound(whose, row::decode_number(value))?),
            None => {}
            Some(_) if [key::next_account(), key::seed(), key::settled()].iter().any(|k| k == key) => {}
            Some(_) => report.fault(format!("directory: a row of an unknown kind, {key:?}")),
        }
        Ok(ControlFlow::Continue(()))
    })?;
    for (domain, what) in of_domains {
        if !domains.contains(&domain) {
            report.fault(format!("directory: {what} is of the domain {domain}, which does not exist"));
        }
    }
    for (id, record) in &accounts {
        if record.id.0 != *id || addressed.remove(id) != Some(1) {
            report.fault(format!("directory: account {id} does not have exactly one address"));
        }
        if !with_credentials.remove(id) {
            report.fault(format!("directory: account {id} has no credentials"));
        }
    }
    for id in addressed.keys() {
        report.fault(format!("directory: an address leads to account {id}, which does not exist"));
    }
    for id in excepted.iter().filter(|id| !accounts.contains_key(id)) {
        report.fault(format!("directory: an exception of account {id}, which does not exist"));
    }
    for id in with_credentials {
        report.fault(format!("directory: credentials of account {id}, which does not exist"));
    }
    check_partitions(snapshot, &accounts.keys().copied().collect(), &marked, report)?;
    Ok(accounts.keys().map(|id| AccountId(*id)).collect())
}

fn domain_of(key: &[u8]) -> String {
    let end = key.iter().position(|byte| *byte == 0).unwrap_or(key.len());
    String::from_utf8_lossy(&key[1..end]).into_owned()
}

/// Every partition belongs to somebody; facts decode and are counted.
fn check_partitions(
    snapshot: &dyn Snapshot,
    accounts: &BTreeSet<u64>,
    marked: &BTreeSet<u64>,
    report: &mut Report,
) -> Result<(), Error> {
    let mut partition = key::SYSTEM;
    while let Some(next) = snapshot.next_partition(partition)? {
        partition = next;
        if partition == key::PENDING {
            continue;
        }
        if let Some(owner) = partition.checked_sub(key::SEARCH).filter(|_| partition < key::FACTS) {
            if !accounts.contains(&owner) {
                report.remarks.push(format!("a search index of account {owner}, which does not exist"));
            } else if !marked.contains(&owner) {
                search::check(snapshot, AccountId(owner), &mut report.remarks)?;
            }
            continue;
        }
        let (owner, facts) = match partition.checked_sub(key::FACTS) {
            Some(owner) => (owner, true),
            None => (partition, false),
        };
        if marked.contains(&owner) {
            report.remarks.push(format!("account {owner} is being added or removed"));
        } else if facts && (owner == 0 || accounts.contains(&owner)) {
            check_facts(snapshot, partition, owner, report)?;
        } else if facts {
            // Facts that were on their way when the account was removed.
            report.remarks.push(format!("session facts of account {owner}, which does not exist"));
        } else if !accounts.contains(&owner) {
            report.fault(format!("partition {owner} belongs to no account"));
        }
    }
    Ok(())
}

fn check_facts(
    snapshot: &dyn Snapshot,
    partition: u64,
    owner: u64,
    report: &mut Report,
) -> Result<(), Error> {
    let (whose, mut found) = (format!("session facts of account {owner}"), 0u64);
    snapshot.scan(partition, &[key::FACT], &[], &mut |_, value| {
        found += 1;
        report.sound(&whose, row::decode_fact(value))?;
        Ok(ControlFlow::Continue(()))
    })?;
    let counted = snapshot.get(partition, &key::fact_count())?;
    let counted = counted.map_or(Ok(0), |bytes| row::decode_number(&bytes));
    if let Some(counted) = report.sound(&whose, counted)?
        && counted != found
    {
        report.fault(format!("{whose}: {counted} are counted, {found} are there"));
    }
    Ok(())
}

/// How many messages have this flag, and their octets.
fn with(rows: &[MessageRow], flag: Flags) -> (u64, u64) {
    let found = rows.iter().filter(|m| m.flags.0 & flag.0 != 0);
    found.fold((0, 0), |(count, bytes), m| (count + 1, bytes + m.size))
}

fn keywords_known(mailbox: &Mailbox, rows: &[MessageRow]) -> bool {
    let used = rows.iter().fold(0, |used, m| used | m.flags.0);
    let count = u32::try_from(mailbox.keywords.len()).unwrap_or(u32::MAX);
    let known = used.checked_shr(Flags::KEYWORD_FIRST + count).unwrap_or(0) == 0;
    known && mailbox.keywords.len() <= Flags::KEYWORDS_MAX
}

/// Details that are still to be removed, by mailbox, as ranges of UIDs.
type Graves = HashMap<u32, BTreeMap<u32, u32>>;

fn is_buried(graves: &Graves, mailbox: u32, uid: u32) -> bool {
    let range = graves.get(&mailbox).and_then(|ranges| ranges.range(..=uid).next_back());
    range.is_some_and(|(_, to)| uid <= *to)
}

struct Account<'a> {
    id: AccountId,
    snapshot: &'a dyn Snapshot,
    report: &'a mut Report,
    refs: &'a mut Vec<(String, BodyRef)>,
    graves: Graves,
}

impl Account<'_> {
    fn fault(&mut self, text: &str) {
        self.report.fault(format!("account {}: {text}", self.id.0));
    }

    fn check(&mut self) -> Result<(), Error> {
        self.report.accounts += 1;
        let partition = key::partition(self.id);
        let whose = format!("account {}", self.id.0);
        let Some(head) = self.snapshot.get(partition, &key::head())? else {
            self.fault("it has no head");
            return Ok(());
        };
        let Some(head) = self.report.sound(&whose, HeadRow::decode(&head))? else { return Ok(()) };
        let version = self.snapshot.version(partition)?;
        self.snapshot.scan(partition, &[key::GRAVE], &[], &mut |key, value| {
            let ranges = self.report.sound(&whose, row::decode_ranges(value))?.unwrap_or_default();
            self.graves.entry(key::number32(key, 1).unwrap_or(0)).or_default().extend(ranges);
            Ok(ControlFlow::Continue(()))
        })?;
        let mut mailboxes: BTreeMap<u32, MailboxRow> = BTreeMap::new();
        self.snapshot.scan(partition, &[key::MAILBOX], &[], &mut |key, value| {
            if let Some(row) = self.report.sound(&whose, MailboxRow::decode(value))? {
                if key::number32(key, 1) == Some(row.mailbox.id.0) {
                    mailboxes.insert(row.mailbox.id.0, row);
                } else {
                    self.report.fault(format!("{whose}: mailbox {} under a wrong key", row.mailbox.id.0));
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let (mut bytes, mut count) = (0u64, 0u64);
        for row in mailboxes.values() {
            bytes += row.mailbox.bytes;
            count += u64::from(row.mailbox.messages);
            self.mailbox(&head, version, row)?;
        }
        if (bytes, count) != (head.bytes, head.messages) {
            self.fault("what it uses differs from the sum of its mailboxes");
        }
        if !mailboxes.values().any(|row| row.mailbox.name == crate::account::INBOX) {
            self.fault("it has no INBOX");
        }
        let tree =
            tree::Tree { id: self.id, snapshot: self.snapshot, head: &head, version, mailboxes: &mailboxes };
        let marked = tree.check(self.report)?;
        self.other_rows(version, &head, &mailboxes, &marked)
    }

    /// A mailbox's row against its messages, and these against their details.
    fn mailbox(&mut self, head: &HeadRow, version: u64, row: &MailboxRow) -> Result<(), Error> {
        let partition = key::partition(self.id);
        let mailbox = &row.mailbox;
        let whose = format!("account {}, mailbox {}", self.id.0, mailbox.id.0);
        let Some(rows) = self.report.sound(&whose, messages(self.snapshot, partition, mailbox))? else {
            return Ok(());
        };
        self.report.messages += rows.len() as u64;
        let named = self.snapshot.get(partition, &key::name(&mailbox.name))?;
        let named = named.map(|bytes| row::decode_number(&bytes)).transpose()?;
        let ordered = rows.windows(2).all(|pair| pair[0].uid < pair[1].uid);
        let graves_sound = !rows.iter().any(|m| is_buried(&self.graves, mailbox.id.0, m.uid));
        let below_next = rows.last().is_none_or(|last| last.uid < mailbox.uid_next);
        let truths = [
            (named == Some(mailbox.id.0.into()), "its name does not lead to it"),
            (mailbox.id.0 < head.next_mailbox, "its id was not given yet"),
            (mailbox.uid_validity <= head.uid_validity_last, "its UIDVALIDITY was not given yet"),
            (mailbox.modseq <= version, "its MODSEQ is above the account's version"),
            (rows.len() as u64 == u64::from(mailbox.messages), "its number of messages is wrong"),
            (rows.iter().map(|m| m.size).sum::<u64>() == mailbox.bytes, "its octets are wrong"),
            (
                rows.len() as u64 - with(&rows, Flags::SEEN).0 == u64::from(mailbox.unseen),
                "its number of unseen messages is wrong",
            ),
            (
                with(&rows, Flags::DELETED) == (u64::from(mailbox.deleted), mailbox.deleted_bytes),
                "its number of messages to be removed, or their octets, is wrong",
            ),
            (keywords_known(mailbox, &rows), "a message has a keyword that the mailbox does not know"),
            (ordered, "its UIDs do not ascend"),
            (below_next, "a UID is not below the next one"),
            (graves_sound, "a message that is there is to be swept"),
            (row.folded_next <= mailbox.uid_next, "more is folded than there is"),
            (rows.iter().all(|m| m.modseq <= mailbox.modseq), "a message's MODSEQ is above the mailbox's"),
        ];
        for (holds, text) in truths {
            if !holds {
                self.report.fault(format!("{whose}: {text}"));
            }
        }
        self.records(&whose, row)?;
        self.details(&whose, mailbox.id, &rows)
    }

    fn records(&mut self, whose: &str, row: &MailboxRow) -> Result<(), Error> {
        let partition = key::partition(self.id);
        let id = row.mailbox.id;
        let mut recorded = BTreeSet::new();
        self.snapshot.scan(partition, &key::records(id), &[], &mut |key, value| {
            let mut rows = Vec::new();
            self.report.sound(whose, row::decode_record(value, &mut rows))?;
            let first = key::number32(key, 5).unwrap_or(0);
            let sound = (1..=RECORD_MESSAGES_MAX).contains(&rows.len())
                && rows.first().is_some_and(|m| m.uid >= first)
                && rows.last().is_some_and(|m| m.uid < row.folded_next);
            if !sound {
                self.report.fault(format!("{whose}: the record at UID {first} is not sound"));
            }
            recorded.extend(rows.into_iter().map(|m| m.uid));
            Ok(ControlFlow::Continue(()))
        })?;
        self.snapshot.scan(partition, &key::tails(id), &[], &mut |key, value| {
            let uid = key::number32(key, 5).unwrap_or(0);
            let tail = self.report.sound(whose, row::decode_tail(uid, value))?;
            let folded = uid < row.folded_next;
            if folded != recorded.contains(&uid) || (!folded && tail.flatten().is_none()) {
                self.report.fault(format!("{whose}: the tail row of UID {uid} does not fit the records"));
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    fn details(&mut self, whose: &str, id: MailboxId, rows: &[MessageRow]) -> Result<(), Error> {
        let mut expected = rows.iter().peekable();
        self.snapshot.scan(key::partition(self.id), &key::details(id), &[], &mut |key, value| {
            let uid = key::number32(key, 5).unwrap_or(0);
            while let Some(missing) = expected.next_if(|m| m.uid < uid) {
                self.report.fault(format!("{whose}: UID {} has no detail", missing.uid));
            }
            let row = expected.next_if(|m| m.uid == uid);
            if let Some(detail) = self.report.sound(whose, row::decode_detail(value))? {
                let size = detail.body.len + detail.prefix.len() as u64;
                match row {
                    None if is_buried(&self.graves, id.0, uid) => {}
                    None => self.report.fault(format!("{whose}: a detail of UID {uid}, which is not there")),
                    Some(row) if row.size != size || detail.header_bytes > size => {
                        self.report.fault(format!("{whose}: the sizes of UID {uid} do not agree"));
                    }
                    Some(_) => {}
                }
                self.refs.push((format!("mailbox {} UID {uid}", id.0), detail.body));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for missing in expected {
            self.report.fault(format!("{whose}: UID {} has no detail", missing.uid));
        }
        Ok(())
    }

    /// Names, tokens, the change log; and that no row is of a mailbox that does not exist.
    fn other_rows(
        &mut self,
        version: u64,
        head: &HeadRow,
        mailboxes: &BTreeMap<u32, MailboxRow>,
        marked: &BTreeSet<u32>,
    ) -> Result<(), Error> {
        let whose = format!("account {}", self.id.0);
        let (report, graves) = (&mut *self.report, &self.graves);
        let uid_next = |id: u32| mailboxes.get(&id).map(|row: &MailboxRow| row.mailbox.uid_next);
        let mut changes = 0u64;
        self.snapshot.scan(key::partition(self.id), &[], &[], &mut |key, value| {
            let id = key::number32(key, 1).unwrap_or(0);
            match key.first() {
                None | Some(&key::MAILBOX) => {}
                Some(&(key::SUBSCRIPTION | key::REMAINS | key::NOTE)) => {}
                // They may outlive their mailbox, until they are swept.
                Some(&key::GRAVE) => {}
                Some(&key::DETAIL) if is_buried(graves, id, key::number32(key, 5).unwrap_or(0)) => {}
                Some(tag) if key::OF_MAILBOX.contains(tag) => {
                    if uid_next(id).is_none() && !marked.contains(&id) {
                        report.fault(format!("{whose}: a row of mailbox {id}, which does not exist"));
                    }
                }
                Some(&key::NAME) => {
                    let id = report.sound(&whose, row::decode_number(value))?.unwrap_or(0);
                    let row = u32::try_from(id).ok().and_then(|id| mailboxes.get(&id));
                    if row.is_none_or(|row| row.mailbox.name.as_bytes() != &key[1..]) {
                        report.fault(format!("{whose}: a name leads to mailbox {id}, which differs"));
                    }
                }
                Some(&key::TOKEN) => drop(report.sound(&whose, TokenRow::decode(value))?),
                Some(&key::CHANGE) => {
                    changes += 1;
                    let items = report.sound(&whose, row::decode_change(value))?.unwrap_or_default();
                    let modseq = key::number64(key, 1).unwrap_or(u64::MAX);
                    let below = |item: &row::ChangeItem| match (uid_next(item.mailbox.0), item.uids.last()) {
                        (Some(next), Some((_, to))) => *to < next,
                        (Some(_), None) => true,
                        // Of mailboxes that were deleted since, and of none.
                        (None, _) => item.mailbox.0 < head.next_mailbox,
                    };
                    if modseq > version || !items.iter().all(below) {
                        report.fault(format!("{whose}: the change at version {modseq} is not sound"));
                    }
                }
                Some(_) if key == key::head() || key == VERSION_KEY => {}
                Some(_) => report.fault(format!("{whose}: a row of an unknown kind, {key:?}")),
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if changes > CHANGES_KEPT + 128 {
            report.fault(format!("{whose}: the change log is not trimmed"));
        }
        Ok(())
    }
}
