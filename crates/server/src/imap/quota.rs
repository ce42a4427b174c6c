//! GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208).
//!
//! There is one quota root, the own account, with the name `""`. Mailboxes that others share count against their owners, of
//! whose quota nothing is told: they have no root here.

use super::name::{self, right};
use super::no::{No, finish};
use crate::session::imap::ImapSession;
use proto::imap::code::Code;
use proto::imap::encode;
use proto::imap::language::Text;
use proto::machine::Machine as _;

/// The name of the one root.
const ROOT: &str = "";

/// Octets of the unit of STORAGE (RFC 9208 5.1).
const STORAGE_UNIT: u64 = 1024;

/// GETQUOTA.
pub(crate) async fn get(s: &mut ImapSession, root: String) {
    let done = if root == ROOT { write_root(s) } else { Err(No::code(Code::NonExistent, Text::NoQuotaRoot)) };
    finish(s, done.map(|()| None), Text::Quota).await;
}

/// GETQUOTAROOT.
pub(crate) async fn get_root(s: &mut ImapSession, mailbox: String) {
    let done = roots_of(s, &mailbox).await;
    finish(s, done.map(|()| None), Text::Quota).await;
}

/// SETQUOTA: quotas are the operator's.
pub(crate) fn set(s: &mut ImapSession, _root: String, _limits: Vec<(String, u64)>) {
    No::code(Code::NoPerm, Text::QuotaOperator).tell(s);
}

async fn roots_of(s: &mut ImapSession, mailbox: &str) -> Result<(), No> {
    let found = name::need(s, mailbox, right::READ).await?;
    let user = s.user.as_deref().ok_or_else(No::no_login)?;
    let own = found.account.id() == user.account.id();
    let utf8 = s.machine.enabled().utf8_names();
    let out = s.machine.output();
    out.extend_from_slice(b"* QUOTAROOT ");
    encode::mailbox(mailbox, utf8, out);
    if own {
        out.push(b' ');
        encode::astring(ROOT.as_bytes(), utf8, out);
    }
    out.extend_from_slice(b"\r\n");
    if own { write_root(s) } else { Ok(()) }
}

/// `* QUOTA "" (STORAGE used limit MESSAGE used limit)`: what has no limit is not listed.
fn write_root(s: &mut ImapSession) -> Result<(), No> {
    let user = s.user.as_deref().ok_or_else(No::no_login)?;
    let quota = user.account.quota()?;
    let storage =
        quota.bytes.map(|limit| ("STORAGE", quota.usage.bytes.div_ceil(STORAGE_UNIT), limit / STORAGE_UNIT));
    let messages = quota.messages.map(|limit| ("MESSAGE", quota.usage.messages, limit));
    let out = s.machine.output();
    out.extend_from_slice(b"* QUOTA ");
    encode::astring(ROOT.as_bytes(), false, out);
    out.extend_from_slice(b" (");
    for (at, (name, used, limit)) in storage.into_iter().chain(messages).enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(format!("{name} {used} {limit}").as_bytes());
    }
    out.extend_from_slice(b")\r\n");
    Ok(())
}
