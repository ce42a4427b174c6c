//! What a registration means, what was told, and what differs from it.

use super::{MAILBOXES_WATCHED_MAX, NOTES_WATCHED_MAX, is_of_messages, is_open, multisearch, quiet};
use crate::imap::name::{Found, Seeker, Visible, right};
use crate::imap::no::No;
use proto::imap::code::Code;
use proto::imap::command::{FetchItem, MailboxFilter, NotifyEvent, NotifyGroup};
use proto::imap::language::Text;
use proto::proof::AccountId;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use store::account::MailboxId;

type Place = (AccountId, MailboxId);

/// The groups, checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// How the open mailbox is told of.
    pub(super) open: Option<Open>,
    groups: Vec<Group>,
}

#[derive(Clone, Debug)]
pub(super) struct Open {
    /// EXPUNGE waits for a command that may say it.
    pub(super) delayed: bool,
    /// What to fetch of new messages.
    pub(super) fetch: Vec<FetchItem>,
}

#[derive(Clone, Debug)]
struct Group {
    filter: MailboxFilter,
    messages: bool,
    flags: bool,
    names: bool,
    subscriptions: bool,
    notes: bool,
    server_notes: bool,
}

impl Plan {
    /// The rules of section 3.1 and 5.
    pub(super) fn of(groups: Vec<NotifyGroup>) -> Result<Plan, No> {
        let mut plan = Plan::default();
        let mut opens = 0;
        for NotifyGroup { filter, events } in groups {
            if events.contains(&NotifyEvent::AnnotationChange) {
                return Err(No::code(Code::BadEvent, Text::NoAnnotations));
            }
            let has = |event| events.contains(&event);
            let new = events.iter().find_map(|event| match event {
                NotifyEvent::MessageNew(items) => Some(items),
                _ => None,
            });
            let (expunge, flags) = (has(NotifyEvent::MessageExpunge), has(NotifyEvent::FlagChange));
            if new.is_some() != expunge || flags && !expunge {
                return Err(No::bad(None, Text::EventsTogether));
            }
            if is_open(&filter) {
                opens += 1;
                if opens > 1 || !events.iter().all(is_of_messages) {
                    return Err(No::bad(None, Text::EventsOpen));
                }
                plan.open = new.map(|items| Open {
                    delayed: filter == MailboxFilter::SelectedDelayed,
                    fetch: quiet(items),
                });
            } else if new.is_some_and(|items| !items.is_empty()) {
                return Err(No::bad(None, Text::EventsFetch));
            } else {
                plan.groups.push(Group {
                    messages: new.is_some(),
                    flags,
                    names: has(NotifyEvent::MailboxName),
                    subscriptions: has(NotifyEvent::SubscriptionChange),
                    notes: has(NotifyEvent::MailboxMetadataChange),
                    server_notes: has(NotifyEvent::ServerMetadataChange),
                    filter,
                });
            }
        }
        Ok(plan)
    }

    /// Nothing is of interest.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_none() && self.groups.is_empty()
    }

    /// The group of a mailbox: the first that fits (section 3.1).
    fn group(&self, name: &str, subscribed: &HashSet<String>) -> Option<&Group> {
        self.groups.iter().find(|group| multisearch::fits(&group.filter, name, subscribed))
    }

    /// Mailboxes of whose messages the client may not be told though it may see their names (section 3.1).
    pub(super) fn closed(&self, look: &Look) -> Vec<Change> {
        let closed = look.mailboxes.iter().filter(|one| {
            self.group(&one.name, &look.subscribed).is_some_and(|group| group.messages)
                && !one.found.rights.holds(right::READ)
        });
        let attributes = || vec!["\\NoAccess"];
        closed
            .map(|one| Change::Name { name: one.name.clone(), attributes: attributes(), old: None })
            .collect()
    }

    /// STATUS of all mailboxes of whose messages is told.
    pub(super) fn states(&self, look: &Look) -> Vec<Change> {
        let told = look.mailboxes.iter().filter(|one| {
            self.group(&one.name, &look.subscribed).is_some_and(|group| group.messages) && look.is_told(one)
        });
        told.map(|one| Change::Messages { name: one.name.clone(), found: one.found.clone() }).collect()
    }
}

/// The mailboxes of the groups at one moment.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) mailboxes: Vec<Visible>,
    subscribed: HashSet<String>,
    /// Names and digests of notes, by mailbox name; of the server under the empty one.
    notes: BTreeMap<String, BTreeMap<String, [u8; 32]>>,
    open: Option<Place>,
}

impl Look {
    /// Blocks for the disk.
    pub(super) fn now(
        seeker: &Seeker,
        plan: &Plan,
        whose: AccountId,
        open: Option<Place>,
    ) -> Result<Look, store::Error> {
        let mut look = Look { open, ..Look::default() };
        if plan.groups.is_empty() {
            return Ok(look);
        }
        look.subscribed = seeker.account.subscriptions()?.into_iter().collect();
        let others = plan.groups.iter().any(|group| multisearch::reaches_others(&group.filter));
        look.mailboxes = seeker.visible(true, others)?;
        look.mailboxes.retain(|one| plan.group(&one.name, &look.subscribed).is_some());
        if look.is_too_much() {
            return Ok(look);
        }
        let digest = |notes: Vec<(String, Vec<u8>)>| {
            notes.into_iter().map(|(entry, value)| (entry, *blake3::hash(&value).as_bytes())).collect()
        };
        for one in &look.mailboxes {
            let group = plan.group(&one.name, &look.subscribed);
            if group.is_some_and(|group| group.notes) && one.found.rights.holds(right::READ) {
                let notes = one.found.account.notes(Some(one.found.mailbox.id), whose)?;
                look.notes.insert(one.name.clone(), digest(notes));
            }
        }
        if plan.groups.iter().any(|group| group.server_notes) {
            look.notes.insert(String::new(), digest(seeker.account.notes(None, whose)?));
        }
        Ok(look)
    }

    pub(super) fn is_too_much(&self) -> bool {
        let notes: usize = self.notes.values().map(BTreeMap::len).sum();
        self.mailboxes.len() > MAILBOXES_WATCHED_MAX || notes > NOTES_WATCHED_MAX
    }

    /// Of its messages may be told: it may be read, and is not the open one, of which `announce` tells.
    fn is_told(&self, one: &Visible) -> bool {
        one.found.rights.holds(right::READ)
            && self.open != Some((one.found.account.id(), one.found.mailbox.id))
    }
}

/// What the client was told of.
#[derive(Debug, Default)]
pub(super) struct Seen {
    mailboxes: HashMap<Place, Known>,
    subscribed: BTreeSet<String>,
    notes: BTreeMap<String, BTreeMap<String, [u8; 32]>>,
}

#[derive(Debug)]
struct Known {
    name: String,
    uid_next: u32,
    messages: u32,
    modseq: u64,
}

/// Something to tell.
#[derive(Debug)]
pub(super) enum Change {
    Messages {
        name: String,
        found: Found,
    },
    Name {
        name: String,
        attributes: Vec<&'static str>,
        old: Option<String>,
    },
    /// Entries that were set or removed.
    Notes {
        name: String,
        entries: Vec<String>,
    },
}

impl Seen {
    pub(super) fn of(look: Look) -> Seen {
        let known = |one: Visible| {
            let mailbox = one.found.mailbox;
            let known = Known {
                name: one.name,
                uid_next: mailbox.uid_next,
                messages: mailbox.messages,
                modseq: mailbox.modseq,
            };
            ((one.found.account.id(), mailbox.id), known)
        };
        Seen {
            mailboxes: look.mailboxes.into_iter().map(known).collect(),
            subscribed: look.subscribed.into_iter().collect(),
            notes: look.notes,
        }
    }

    /// What differs now, in the order of names.
    pub(super) fn compare(&self, look: &Look, plan: &Plan) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut there = HashSet::new();
        for one in &look.mailboxes {
            let place = (one.found.account.id(), one.found.mailbox.id);
            there.insert(place);
            let Some(group) = plan.group(&one.name, &look.subscribed) else { continue };
            let known = self.mailboxes.get(&place);
            let renamed = known.is_some_and(|known| known.name != one.name);
            if group.names && (known.is_none() || renamed) {
                let attributes =
                    if look.subscribed.contains(&one.name) { vec!["\\Subscribed"] } else { Vec::new() };
                let old = known.filter(|_| renamed).map(|known| known.name.clone());
                changes.push(Change::Name { name: one.name.clone(), attributes, old });
            }
            let mailbox = &one.found.mailbox;
            let differs = match known {
                None => mailbox.messages > 0,
                Some(known) => {
                    known.uid_next != mailbox.uid_next
                        || known.messages != mailbox.messages
                        || group.flags && known.modseq != mailbox.modseq
                }
            };
            if group.messages && differs && look.is_told(one) {
                changes.push(Change::Messages { name: one.name.clone(), found: one.found.clone() });
            }
        }
        self.compare_gone(&there, look, plan, &mut changes);
        self.compare_subscriptions(look, plan, &mut changes);
        self.compare_notes(look, &mut changes);
        changes
    }

    fn compare_gone(&self, there: &HashSet<Place>, look: &Look, plan: &Plan, changes: &mut Vec<Change>) {
        let mut gone: Vec<&str> = self
            .mailboxes
            .iter()
            .filter(|(place, known)| {
                !there.contains(place)
                    && plan.group(&known.name, &look.subscribed).is_some_and(|group| group.names)
            })
            .map(|(_, known)| known.name.as_str())
            .collect();
        gone.sort_unstable();
        changes.extend(gone.into_iter().map(|name| Change::Name {
            name: name.to_owned(),
            attributes: vec!["\\NonExistent"],
            old: None,
        }));
    }

    fn compare_subscriptions(&self, look: &Look, plan: &Plan, changes: &mut Vec<Change>) {
        let wanted = |name: &str| {
            // By the subscriptions before and after: who ends one leaves the group `subscribed` with it.
            plan.groups.iter().any(|group| {
                group.subscriptions
                    && (group.filter == MailboxFilter::Subscribed
                        || multisearch::fits(&group.filter, name, &look.subscribed))
            })
        };
        let mut differ: Vec<(&str, bool)> = look
            .subscribed
            .iter()
            .filter(|name| !self.subscribed.contains(*name))
            .map(|name| (name.as_str(), true))
            .chain(
                self.subscribed
                    .iter()
                    .filter(|name| !look.subscribed.contains(*name))
                    .map(|name| (name.as_str(), false)),
            )
            .filter(|(name, _)| wanted(name))
            .collect();
        differ.sort_unstable();
        changes.extend(differ.into_iter().map(|(name, on)| Change::Name {
            name: name.to_owned(),
            attributes: if on { vec!["\\Subscribed"] } else { Vec::new() },
            old: None,
        }));
    }

    fn compare_notes(&self, look: &Look, changes: &mut Vec<Change>) {
        for (name, notes) in &look.notes {
            // Those of a mailbox that is new are not a change.
            let Some(known) = self.notes.get(name) else { continue };
            let set = notes.iter().filter(|(entry, value)| known.get(*entry) != Some(*value)).map(|(e, _)| e);
            let removed = known.keys().filter(|entry| !notes.contains_key(*entry));
            let entries: Vec<String> = set.chain(removed).cloned().collect();
            if !entries.is_empty() {
                changes.push(Change::Notes { name: name.clone(), entries });
            }
        }
    }
}
