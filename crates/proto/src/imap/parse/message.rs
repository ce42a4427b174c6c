//! Arguments of STORE, COPY and MOVE.

use super::Fault;
use super::cursor::Cursor;
use crate::imap::command::{Change, Command, Copy, Store};

/// STORE (RFC 9051 6.4.6, RFC 7162 3.1.3).
pub(super) fn store(c: &mut Cursor<'_>, uid: bool) -> Result<Command, Fault> {
    let set = c.set_or_saved()?;
    c.space()?;
    let mut unchanged_since = None;
    if c.peek() == Some(b'(') {
        c.list("expected (UNCHANGEDSINCE ...)", |c| {
            if !c.eat_word(b"UNCHANGEDSINCE") || unchanged_since.is_some() {
                return Err(Fault::Syntax(
                    "expected UNCHANGEDSINCE once, no other modifier of STORE is known",
                ));
            }
            c.space()?;
            unchanged_since = Some(c.number64()?);
            Ok(())
        })?;
        c.space()?;
    }
    let how = match c.peek() {
        Some(b'+') => Change::Add,
        Some(b'-') => Change::Remove,
        _ => Change::Replace,
    };
    if how != Change::Replace {
        c.skip(1);
    }
    let silent = match c.word().as_bytes() {
        b"FLAGS" => false,
        b"FLAGS.SILENT" => true,
        _ => return Err(Fault::Syntax("expected FLAGS, +FLAGS or -FLAGS, perhaps with .SILENT")),
    };
    c.space()?;
    let flags = if c.peek() == Some(b'(') {
        c.flag_list()?
    } else {
        let mut flags = Vec::new();
        loop {
            c.flag_into(&mut flags)?;
            if !c.more()? {
                break flags;
            }
        }
    };
    Ok(Command::Store(Store { uid, set, how, flags, silent, unchanged_since }))
}

/// COPY, or MOVE (RFC 6851).
pub(super) fn copy(c: &mut Cursor<'_>, uid: bool, remove: bool) -> Result<Command, Fault> {
    let set = c.set_or_saved()?;
    c.space()?;
    Ok(Command::Copy(Copy { uid, set, mailbox: c.mailbox()?, remove }))
}
