//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 9051 6.3.4 to 6.3.8, RFC 6154, RFC 8474, RFC 4314).
//!
//! A mailbox that other sessions have open may be deleted or renamed (RFC 2180 section 3 lets a server choose). Renamed, it
//! stays open there: it is the same mailbox. Deleted, those sessions are disconnected (RFC 2180 3.3; see `announce`); the
//! session that deletes what it has open is told CLOSED.

use super::list::USE_NAMES;
use super::name::{self, Place, Seeker, right};
use super::no::{No, blocking, finish};
use crate::clock::unix_now;
use crate::session::imap::ImapSession;
use proto::imap::code::Code;
use proto::imap::language::Text;
use store::account::{Account, INBOX, MailboxId, Uses};

/// CREATE. A name that is given as a level (`level`, a separator at its end) becomes a mailbox too: it may have both.
pub(crate) async fn create(s: &mut ImapSession, mailbox: String, _level: bool, uses: Vec<String>) {
    let done = make(s, &mailbox, &uses).await;
    finish(s, done.map(Some), Text::Created).await;
}

/// DELETE.
pub(crate) async fn delete(s: &mut ImapSession, name: String) {
    let done = remove(s, &name).await;
    finish(s, done.map(|()| None), Text::Deleted).await;
}

/// RENAME.
pub(crate) async fn rename(s: &mut ImapSession, from: String, to: String) {
    let done = change_name(s, &from, &to).await;
    finish(s, done.map(|()| None), Text::Renamed).await;
}

/// SUBSCRIBE and UNSUBSCRIBE. A subscription is to a name: whether there is a mailbox is not asked (RFC 9051 6.3.7).
pub(crate) async fn subscribe(s: &mut ImapSession, name: String, on: bool) {
    let done = match &s.user {
        Some(user) => user.account.clone().subscribe(&name, on).await.map_err(No::from),
        None => Err(No::no_login()),
    };
    finish(s, done.map(|()| None), if on { Text::Subscribed } else { Text::Unsubscribed }).await;
}

async fn make(s: &mut ImapSession, name: &str, uses: &[String]) -> Result<Code, No> {
    let uses = parse_uses(uses)?;
    let seeker = Seeker::of(s)?;
    let (account, id) = match place(&seeker, name).await? {
        Place::Own(name) => {
            let id = seeker.account.create_mailbox(&name, uses, unix_now()).await?;
            (seeker.account, id)
        }
        Place::Other { account, owner, name } => {
            if uses != Uses::default() {
                return Err(No::code(Code::UseAttr, Text::UseOwner));
            }
            let id = make_for_other(&seeker, &account, &owner, &name).await?;
            (account, id)
        }
        Place::Nowhere => return Err(nowhere()),
    };
    Ok(Code::MailboxId(name::mailbox_id(&account, id)))
}

/// In another's tree: by the right `k` on the nearest level above, whose rights the new mailbox gets (RFC 4314 section 4: so
/// that who makes it can use it).
async fn make_for_other(
    seeker: &Seeker,
    account: &Account,
    owner: &str,
    name: &str,
) -> Result<MailboxId, No> {
    let parent = need_parent(seeker, owner, name).await?;
    let id = account.create_mailbox(name, Uses::default(), unix_now()).await?;
    let from = account.clone();
    for (identifier, rights) in blocking(move || from.acl(parent)).await? {
        account.set_acl(id, &identifier, rights).await?;
    }
    Ok(id)
}

/// The nearest mailbox above `name` in another's tree, if the user may make mailboxes below it.
async fn need_parent(seeker: &Seeker, owner: &str, name: &str) -> Result<MailboxId, No> {
    let mut above = name;
    while let Some((parent, _)) = above.rsplit_once('/') {
        above = parent;
        let found = seeker.find(&name::other_name(owner, parent)).await?;
        if let Some(found) = found {
            return name::permit(Some(found), right::CREATE).map(|found| found.mailbox.id);
        }
    }
    // The same words as for an address that nobody has.
    Err(nowhere())
}

async fn remove(s: &mut ImapSession, name: &str) -> Result<(), No> {
    let found = name::need(s, name, right::DELETE).await?;
    found.account.delete_mailbox(found.mailbox.id).await?;
    super::select::forget(s, &found.account, found.mailbox.id);
    Ok(())
}

async fn change_name(s: &mut ImapSession, from: &str, to: &str) -> Result<(), No> {
    let seeker = Seeker::of(s)?;
    match (place(&seeker, from).await?, place(&seeker, to).await?) {
        (Place::Own(from), Place::Own(to)) => {
            seeker.account.rename_mailbox(&from, &to, unix_now()).await?;
        }
        (Place::Other { account, owner, name }, Place::Other { account: other, name: to, .. })
            if account.id() == other.id() =>
        {
            // RFC 4314 section 4: `x` on the old name, `k` on the new parent.
            name::permit(seeker.find(from).await?, right::DELETE)?;
            if name == INBOX {
                return Err(No::code(Code::Cannot, Text::InboxOwner));
            }
            need_parent(&seeker, &owner, &to).await?;
            account.rename_mailbox(&name, &to, unix_now()).await?;
        }
        (Place::Nowhere, _) => return Err(No::no_mailbox()),
        (Place::Other { .. }, _) => {
            name::permit(seeker.find(from).await?, right::LOOKUP)?;
            return Err(other_tree());
        }
        (Place::Own(_), _) => return Err(other_tree()),
    }
    if let Some(open) = s.user.as_deref_mut().and_then(|user| user.selected.as_mut()) {
        if open.name == from && from != INBOX {
            to.clone_into(&mut open.name);
        } else if super::list::tree::is_below(&open.name, from) && from != INBOX {
            open.name.replace_range(..from.len(), to);
        }
    }
    Ok(())
}

/// Whose tree a name is in; only the look at another's waits for the disk.
async fn place(seeker: &Seeker, name: &str) -> Result<Place, No> {
    if !name::is_others(name) {
        return Ok(Place::Own(name.to_owned()));
    }
    let (seeker, name) = (seeker.clone(), name.to_owned());
    blocking(move || seeker.place(&name)).await
}

fn parse_uses(uses: &[String]) -> Result<Uses, No> {
    let mut all = Uses::default();
    for asked in uses {
        let known = USE_NAMES.iter().find(|(_, name)| name.eq_ignore_ascii_case(asked));
        let Some((bit, _)) = known else {
            return Err(No::code(Code::UseAttr, Text::UseCannot));
        };
        all.0 |= bit.0;
    }
    Ok(all)
}

fn nowhere() -> No {
    No::code(Code::NoPerm, Text::CreateOwner)
}

fn other_tree() -> No {
    No::code(Code::Cannot, Text::StaysWithOwner)
}
