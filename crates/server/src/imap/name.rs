//! From the name that a client says to an account, a mailbox and what the user may do with it.
//!
//! Own mailboxes have their own names; those that others of the domain share stand below `Other Users/ADDRESS/`
//! (RFC 2342), opened as their guest: whether a message was seen is each user's own (RFC 9051 2.3.2 leaves that open). What must hold: an answer to a user without the right `l` is the same as that for a mailbox that does not
//! exist (RFC 4314 section 4), and nothing tells whether an account exists.

use super::no::{No, blocking};
use crate::session::imap::ImapSession;
use proto::imap::code::Code;
use proto::imap::language::Text;
use proto::imap::name::canonical;
use std::fmt::Write as _;
use store::Store;
use store::account::{Account, Mailbox, MailboxId, Rights};
use store::blob::BodyRef;

/// Below this level are the mailboxes of others.
pub(crate) const OTHERS: &str = "Other Users";

/// Single rights (RFC 4314 section 2.1).
pub(crate) mod right {
    use store::account::Rights;

    /// `l`: see that it exists.
    pub(crate) const LOOKUP: Rights = Rights(1);
    /// `r`: open it, ask for its status, search.
    pub(crate) const READ: Rights = Rights(1 << 1);
    /// `s`: change `\Seen`.
    pub(crate) const SEEN: Rights = Rights(1 << 2);
    /// `w`: change flags other than `\Seen` and `\Deleted`.
    pub(crate) const WRITE: Rights = Rights(1 << 3);
    /// `i`: put messages in.
    pub(crate) const INSERT: Rights = Rights(1 << 4);
    /// `p`: send mail to it.
    pub(crate) const POST: Rights = Rights(1 << 5);
    /// `k`: make mailboxes below it.
    pub(crate) const CREATE: Rights = Rights(1 << 6);
    /// `x`: delete it.
    pub(crate) const DELETE: Rights = Rights(1 << 7);
    /// `t`: change `\Deleted`.
    pub(crate) const DELETE_MESSAGES: Rights = Rights(1 << 8);
    /// `e`: expunge.
    pub(crate) const EXPUNGE: Rights = Rights(1 << 9);
    /// `a`: change who may do what.
    pub(crate) const ADMINISTER: Rights = Rights(1 << 10);
}

/// A name that means a mailbox.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The own account or that of somebody who shares it.
    pub(crate) account: Account,
    /// The mailbox.
    pub(crate) mailbox: Mailbox,
    /// What the user may do.
    pub(crate) rights: Rights,
}

/// Finds it: own mailboxes by their names, others' below `Other Users/ADDRESS/`. `None`: there is none, or none on which the
/// user has any right.
pub(crate) async fn find(s: &ImapSession, name: &str) -> Result<Option<Found>, No> {
    Seeker::of(s)?.find(name).await
}

/// Finds it, and all of `rights` on it; otherwise the NO that fits.
pub(crate) async fn need(s: &ImapSession, name: &str, rights: Rights) -> Result<Found, No> {
    permit(find(s, name).await?, rights)
}

/// What was found if the user has all of `rights` on it; otherwise the NO that fits: of what must not be seen, nothing is
/// said (RFC 4314 section 4).
pub(crate) fn permit(found: Option<Found>, rights: Rights) -> Result<Found, No> {
    match found {
        Some(found) if found.rights.holds(rights) => Ok(found),
        Some(found) if found.rights.holds(right::LOOKUP) => {
            let missing = Rights(rights.0 & !found.rights.0).letters();
            Err(No::code(Code::NoPerm, Text::NoRight).with(missing))
        }
        _ => Err(No::no_mailbox()),
    }
}

/// MAILBOXID (RFC 8474): stays when the mailbox is renamed, and is never given to another.
pub(crate) fn mailbox_id(account: &Account, mailbox: MailboxId) -> String {
    format!("F{:x}-{:x}", account.id().0, mailbox.0)
}

/// EMAILID (RFC 8474): the same for all copies of a message, in whatever mailbox.
pub(crate) fn email_id(body: &BodyRef) -> String {
    object_id('M', &body.hash[..16])
}

/// THREADID (RFC 8474): the same for all messages of a conversation.
pub(crate) fn thread_id(thread: &[u8; 16]) -> String {
    object_id('T', thread)
}

fn object_id(kind: char, octets: &[u8]) -> String {
    let mut id = String::with_capacity(1 + 2 * octets.len());
    id.push(kind);
    for octet in octets {
        // Writing to a String cannot fail.
        let _ = write!(id, "{octet:02x}");
    }
    id
}

/// Whose tree a name is in.
#[derive(Debug)]
pub(crate) enum Place {
    /// The own one, with the name there.
    Own(String),
    /// Somebody's who shares, with the name there.
    Other {
        /// Whose.
        account: Account,
        /// The owner's address.
        owner: String,
        /// The name in that account.
        name: String,
    },
    /// Within the levels that only hold the others' mailboxes, or below an address that shares nothing.
    Nowhere,
}

/// A mailbox that LIST may show, with its name as this user says it.
#[derive(Clone, Debug)]
pub(crate) struct Visible {
    /// Full name.
    pub(crate) name: String,
    /// What it means.
    pub(crate) found: Found,
}

/// What finding mailboxes needs of a session, to be taken to another thread.
#[derive(Clone, Debug)]
pub(crate) struct Seeker {
    store: Store,
    /// The own account.
    pub(crate) account: Account,
    /// The own address.
    pub(crate) address: String,
}

impl Seeker {
    /// Of a session with a login.
    pub(crate) fn of(s: &ImapSession) -> Result<Seeker, No> {
        let user = s.user.as_deref().ok_or_else(No::no_login)?;
        Ok(Seeker {
            store: s.app.store.clone(),
            account: user.account.clone(),
            address: user.who.address().to_owned(),
        })
    }

    /// Finds a mailbox on which the user has any right.
    pub(crate) async fn find(&self, name: &str) -> Result<Option<Found>, No> {
        if !is_others(name) {
            // A short look-up of the own tree, which most commands are about.
            return Ok(self.find_own(name)?);
        }
        let (seeker, name) = (self.clone(), name.to_owned());
        blocking(move || seeker.find_blocking(&name)).await
    }

    /// The same for a thread that may wait.
    pub(crate) fn find_blocking(&self, name: &str) -> Result<Option<Found>, store::Error> {
        let (account, name) = match self.place(name)? {
            Place::Own(name) => return self.find_own(&name),
            Place::Other { account, name, .. } => (account, name),
            Place::Nowhere => return Ok(None),
        };
        let Some(mailbox) = account.mailbox(&name)? else { return Ok(None) };
        let rights = account.rights(mailbox.id, &self.address)?;
        Ok((rights != Rights::default()).then_some(Found { account, mailbox, rights }))
    }

    fn find_own(&self, name: &str) -> Result<Option<Found>, store::Error> {
        let mailbox = self.account.mailbox(name)?;
        Ok(mailbox.map(|mailbox| Found { account: self.account.clone(), mailbox, rights: Rights::ALL }))
    }

    /// Whose tree a name is in. Blocks for the disk where it is not the own one.
    pub(crate) fn place(&self, name: &str) -> Result<Place, store::Error> {
        if !is_others(name) {
            return Ok(Place::Own(name.to_owned()));
        }
        let Some((address, rest)) = split_other(name) else { return Ok(Place::Nowhere) };
        if rest.is_empty() || !same_domain(address, &self.address) {
            return Ok(Place::Nowhere);
        }
        match self.store.directory().account_by_address(address)? {
            Some(record) if record.id != self.account.id() => Ok(Place::Other {
                account: self.store.account(record.id).seen_by(self.account.id()),
                owner: record.address,
                name: canonical(rest.to_owned()),
            }),
            _ => Ok(Place::Nowhere),
        }
    }

    /// All own mailboxes, and with `others` those of others that this user may know of (`l`), in no stated order. Blocks for
    /// the disk.
    pub(crate) fn visible(&self, own: bool, others: bool) -> Result<Vec<Visible>, store::Error> {
        let mut all = Vec::new();
        if own {
            let mailboxes = self.account.mailboxes()?;
            all.reserve(mailboxes.len());
            all.extend(mailboxes.into_iter().map(|mailbox| Visible {
                name: mailbox.name.clone(),
                found: Found { account: self.account.clone(), mailbox, rights: Rights::ALL },
            }));
        }
        if !others {
            return Ok(all);
        }
        for id in self.store.sharers(&self.address)? {
            if id == self.account.id() {
                continue;
            }
            let Some(record) = self.store.directory().account(id)? else { continue };
            if !same_domain(&record.address, &self.address) {
                continue;
            }
            let account = self.store.account(id).seen_by(self.account.id());
            for (mailbox, rights) in account.shared_with(&self.address)? {
                if !rights.holds(right::LOOKUP) {
                    continue;
                }
                // It may have been deleted between the two looks.
                let Some(mailbox) = account.mailbox_by_id(mailbox)? else { continue };
                let name = other_name(&record.address, &mailbox.name);
                all.push(Visible { name, found: Found { account: account.clone(), mailbox, rights } });
            }
        }
        Ok(all)
    }
}

/// The name of somebody's mailbox as others say it.
pub(crate) fn other_name(owner: &str, name: &str) -> String {
    format!("{OTHERS}/{owner}/{name}")
}

/// Lies in the part of the tree where others' mailboxes are.
pub(crate) fn is_others(name: &str) -> bool {
    name.strip_prefix(OTHERS).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Address and name of `Other Users/ADDRESS/NAME`. A local part may hold a slash (RFC 5322 `atext`), a domain never
/// does: the address ends at the first slash behind its `@`.
fn split_other(name: &str) -> Option<(&str, &str)> {
    let rest = name.strip_prefix(OTHERS)?.strip_prefix('/')?;
    let at = rest.find('@')?;
    let end = at + rest.get(at..)?.find('/')?;
    Some((rest.get(..end)?, rest.get(end + 1..)?))
}

/// Both addresses are of one domain: nothing is shared beyond it.
pub(crate) fn same_domain(a: &str, b: &str) -> bool {
    match (a.rsplit_once('@'), b.rsplit_once('@')) {
        (Some((_, a)), Some((_, b))) => a.eq_ignore_ascii_case(b),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_names_are_taken_apart() {
        assert!(is_others("Other Users") && is_others("Other Users/x"));
        assert!(!is_others("Other Users2") && !is_others("INBOX"));
        assert_eq!(split_other("Other Users/bob@example.test/a/b"), Some(("bob@example.test", "a/b")));
        assert_eq!(split_other("Other Users/x/y@example.test/a"), Some(("x/y@example.test", "a")));
        assert_eq!(split_other("Other Users/bob@example.test/"), Some(("bob@example.test", "")));
        for nothing in ["Other Users", "Other Users/", "Other Users/bob", "Other Users/bob@example.test"] {
            assert_eq!(split_other(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn sharing_ends_with_the_domain() {
        assert!(same_domain("a@example.test", "b@EXAMPLE.test"));
        assert!(!same_domain("a@example.test", "b@sub.example.test"));
        assert!(!same_domain("a", "a"));
    }
}
