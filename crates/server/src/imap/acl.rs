//! GETACL, SETACL, DELETEACL, LISTRIGHTS, MYRIGHTS (RFC 4314).
//!
//! Identifiers are full addresses of the owner's domain and `anyone`, which means all of that domain; `-` in front takes
//! away. Whether an address is somebody's is not asked: an answer would tell who has an account. The owner has all
//! rights, always.

use super::name::{self, Found, right, same_domain};
use super::no::{No, blocking, finish};
use crate::session::imap::ImapSession;
use proto::imap::code::Code;
use proto::imap::command::Change;
use proto::imap::encode;
use proto::imap::language::Text;
use proto::machine::Machine as _;
use store::account::Rights;

/// Everybody of the owner's domain.
const ANYONE: &str = "anyone";

/// GETACL.
pub(crate) async fn get(s: &mut ImapSession, mailbox: String) {
    let done = write_all(s, &mailbox).await;
    finish(s, done.map(|()| None), Text::Rights).await;
}

/// SETACL.
pub(crate) async fn set(
    s: &mut ImapSession,
    mailbox: String,
    identifier: String,
    how: Change,
    rights: String,
) {
    let done = change(s, &mailbox, &identifier, how, &rights).await;
    finish(s, done.map(|()| None), Text::RightsSet).await;
}

/// DELETEACL.
pub(crate) async fn delete(s: &mut ImapSession, mailbox: String, identifier: String) {
    let done = change(s, &mailbox, &identifier, Change::Replace, "").await;
    finish(s, done.map(|()| None), Text::RightsGone).await;
}

/// LISTRIGHTS.
pub(crate) async fn list(s: &mut ImapSession, mailbox: String, identifier: String) {
    let done = write_possible(s, &mailbox, &identifier).await;
    finish(s, done.map(|()| None), Text::RightsPossible).await;
}

/// MYRIGHTS.
pub(crate) async fn mine(s: &mut ImapSession, mailbox: String) {
    let done = match name::find(s, &mailbox).await {
        Ok(Some(found)) => {
            write_mine(s, &mailbox, found.rights);
            Ok(None)
        }
        Ok(None) => Err(No::no_mailbox()),
        Err(no) => Err(no),
    };
    finish(s, done, Text::RightsYours).await;
}

/// `* MYRIGHTS name rights`, also for LIST RETURN MYRIGHTS.
pub(crate) fn write_mine(s: &mut ImapSession, name: &str, rights: Rights) {
    let utf8 = s.machine.enabled().utf8_names();
    let out = s.machine.output();
    out.extend_from_slice(b"* MYRIGHTS ");
    encode::mailbox(name, utf8, out);
    out.push(b' ');
    encode::astring(rights.letters_shown().as_bytes(), utf8, out);
    out.extend_from_slice(b"\r\n");
}

async fn write_all(s: &mut ImapSession, mailbox: &str) -> Result<(), No> {
    let (found, owner) = administered(s, mailbox).await?;
    let (account, id) = (found.account.clone(), found.mailbox.id);
    let listed = blocking(move || account.acl(id)).await?;
    let utf8 = s.machine.enabled().utf8_names();
    let out = s.machine.output();
    out.extend_from_slice(b"* ACL ");
    encode::mailbox(mailbox, utf8, out);
    for (identifier, rights) in std::iter::once((owner, Rights::ALL)).chain(listed) {
        out.push(b' ');
        encode::astring(identifier.as_bytes(), utf8, out);
        out.push(b' ');
        encode::astring(rights.letters_shown().as_bytes(), utf8, out);
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

async fn change(
    s: &mut ImapSession,
    mailbox: &str,
    identifier: &str,
    how: Change,
    letters: &str,
) -> Result<(), No> {
    let Some(given) = Rights::parse(letters) else {
        // RFC 4314 section 3.1.
        return Err(No::bad(None, Text::RightsLetters));
    };
    let (found, owner) = administered(s, mailbox).await?;
    let identifier = match checked(identifier, &owner)? {
        Identifier::Owner => {
            return Err(No::code(Code::Cannot, Text::RightsOwner));
        }
        Identifier::Other(identifier) => identifier,
    };
    let (account, id) = (found.account.clone(), found.mailbox.id);
    let rights = if how == Change::Replace {
        given
    } else {
        let listed = blocking(move || account.acl(id)).await?;
        let now = listed.into_iter().find(|(listed, _)| listed.to_lowercase() == identifier.to_lowercase());
        let now = now.map_or(Rights::default(), |(_, rights)| rights);
        match how {
            Change::Add => Rights(now.0 | given.0),
            _ => Rights(now.0 & !given.0),
        }
    };
    Ok(found.account.set_acl(found.mailbox.id, &identifier, rights).await?)
}

async fn write_possible(s: &mut ImapSession, mailbox: &str, identifier: &str) -> Result<(), No> {
    let (_, owner) = administered(s, mailbox).await?;
    let whose = checked(identifier, &owner)?;
    let utf8 = s.machine.enabled().utf8_names();
    let out = s.machine.output();
    out.extend_from_slice(b"* LISTRIGHTS ");
    encode::mailbox(mailbox, utf8, out);
    out.push(b' ');
    encode::astring(identifier.as_bytes(), utf8, out);
    out.push(b' ');
    match whose {
        Identifier::Owner => encode::astring(Rights::ALL.letters_shown().as_bytes(), utf8, out),
        Identifier::Other(_) => {
            // None is bound to be there, each can be given by itself.
            out.extend_from_slice(b"\"\"");
            for letter in Rights::LETTERS.bytes() {
                out.extend_from_slice(&[b' ', letter]);
            }
            // RFC 4314 2.1.1: for clients of RFC 2086.
            out.extend_from_slice(b" c d");
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// A mailbox whose rights the user may read and change, with its owner's address.
async fn administered(s: &ImapSession, mailbox: &str) -> Result<(Found, String), No> {
    let found = name::need(s, mailbox, right::ADMINISTER).await?;
    let user = s.user.as_deref().ok_or_else(No::no_login)?;
    let owner = if found.account.id() == user.account.id() {
        user.who.address().to_owned()
    } else {
        let record = s.app.store.directory().account(found.account.id())?;
        record.ok_or_else(No::no_mailbox)?.address
    };
    Ok((found, owner))
}

#[derive(Debug, PartialEq, Eq)]
enum Identifier {
    Owner,
    /// As it is given to the store, which knows whether letter case counts in it.
    Other(String),
}

fn checked(identifier: &str, owner: &str) -> Result<Identifier, No> {
    let (minus, whom) = match identifier.strip_prefix('-') {
        Some(whom) => ("-", whom),
        None => ("", identifier),
    };
    if whom.eq_ignore_ascii_case(ANYONE) {
        return Ok(Identifier::Other(format!("{minus}{ANYONE}")));
    }
    if whom.to_lowercase() == owner.to_lowercase() {
        return Ok(Identifier::Owner);
    }
    let well_formed = whom.rsplit_once('@').is_some_and(|(local, _)| !local.is_empty())
        && whom.len() <= proto::address::PATH_BYTES_MAX
        && !whom.chars().any(|c| c.is_control() || c == ' ');
    if !well_formed {
        return Err(No::code(Code::Cannot, Text::RightsAddress));
    }
    if !same_domain(whom, owner) {
        return Err(No::code(Code::Cannot, Text::RightsDomain));
    }
    Ok(Identifier::Other(format!("{minus}{whom}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(identifier: &str) -> Option<String> {
        match checked(identifier, "ann@example.test") {
            Ok(Identifier::Other(kept)) => Some(kept),
            _ => None,
        }
    }

    #[test]
    fn identifiers_are_of_the_own_domain() {
        assert_eq!(other("Bob@Example.test").as_deref(), Some("Bob@Example.test"));
        assert_eq!(other("-bob@example.test").as_deref(), Some("-bob@example.test"));
        assert_eq!(other("ANYONE").as_deref(), Some("anyone"));
        assert_eq!(other("-anyone").as_deref(), Some("-anyone"));
        for refused in ["bob@other.test", "bob", "@example.test", "", "-", "b b@example.test"] {
            assert_eq!(other(refused), None, "{refused}");
        }
        assert_eq!(checked("ANN@example.test", "ann@example.test").unwrap(), Identifier::Owner);
    }
}
