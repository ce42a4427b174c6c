//! IDLE (RFC 2177), and what a session says unasked.
//!
//! What must hold: a session that waits holds a watch and nothing else; it looks at the mailbox only when something in
//! the account was committed.

use super::announce::{self, Known};
use crate::session::imap::ImapSession;
use net::drive::{Next, Wire};
use proto::imap::language::Text;

pub(crate) async fn begin(s: &mut ImapSession, wire: &mut Wire<'_>) -> Next {
    if let Some(user) = s.user.as_deref_mut()
        && let Some(selected) = &user.selected
        && user.notify.is_none()
    {
        // Before the look at what there is, so that no commit falls between the two.
        user.watch = Some(selected.account.watch());
    }
    s.machine.idle_begin();
    tell(s, wire).await
}

/// What others changed, unless NOTIFY left it out.
async fn tell(s: &mut ImapSession, wire: &mut Wire<'_>) -> Next {
    let wanted = super::notify::tells_of_open(s);
    if wanted && announce::tell(s, true, &Known::default(), Some(wire)).await.is_err() {
        return Next::Close;
    }
    Next::Go
}

pub(crate) async fn done(s: &mut ImapSession, wire: &mut Wire<'_>) -> Next {
    if tell(s, wire).await == Next::Close {
        return Next::Close;
    }
    if let Some(user) = s.user.as_deref_mut()
        && user.notify.is_none()
    {
        user.watch = None;
    }
    s.machine.ok(None, Text::NoLongerIdle);
    Next::Go
}

/// Resolves when there may be something to tell; never where nothing may be told unasked.
pub(crate) async fn wakes(s: &mut ImapSession) {
    let idles = s.machine.is_idling();
    match s.user.as_deref_mut() {
        Some(user) if user.notify.is_some() => super::notify::changed(user).await,
        Some(user) if idles => match &mut user.watch {
            Some(watch) => watch.changed().await,
            None => std::future::pending().await,
        },
        _ => std::future::pending().await,
    }
}

pub(crate) async fn woken(s: &mut ImapSession, wire: &mut Wire<'_>) -> Next {
    if super::notify::is_on(s) {
        return super::notify::tell(s, wire).await;
    }
    if s.machine.is_idling() && announce::tell(s, true, &Known::default(), Some(wire)).await.is_err() {
        return Next::Close;
    }
    Next::Go
}
