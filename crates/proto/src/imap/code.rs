//! Response codes (RFC 5530, RFC 9051 7.1 and the extensions).
//!
//! What must hold: whatever is in a code, its brackets close where they should.

use super::encode;
use super::set::Set;
use crate::service::policy::Denied;

/// A code in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// ALERT.
    Alert,
    /// ALREADYEXISTS.
    AlreadyExists,
    /// APPENDUID.
    AppendUid {
        /// UIDVALIDITY.
        validity: u32,
        /// UIDs given.
        uids: Set,
    },
    /// AUTHENTICATIONFAILED.
    AuthenticationFailed,
    /// AUTHORIZATIONFAILED.
    AuthorizationFailed,
    /// BADCHARSET with those that we know.
    BadCharset,
    /// BADURL.
    BadUrl(String),
    /// CANNOT.
    Cannot,
    /// CLIENTBUG.
    ClientBug,
    /// CLOSED (RFC 7162).
    Closed,
    /// COMPRESSIONACTIVE (RFC 4978).
    CompressionActive,
    /// COPYUID.
    CopyUid {
        /// UIDVALIDITY of the target.
        validity: u32,
        /// Old UIDs.
        from: Set,
        /// New UIDs, in the same order.
        to: Set,
    },
    /// CORRUPTION.
    Corruption,
    /// EXPUNGEISSUED.
    ExpungeIssued,
    /// HASCHILDREN.
    HasChildren,
    /// HIGHESTMODSEQ.
    HighestModSeq(u64),
    /// INUSE.
    InUse,
    /// LIMIT.
    Limit,
    /// MAILBOXID (RFC 8474).
    MailboxId(String),
    /// MESSAGELIMIT (RFC 9738): how many, and the lowest UID that was worked on.
    MessageLimit(u32, Option<u32>),
    /// METADATA LONGENTRIES.
    MetadataLongEntries(u64),
    /// METADATA MAXSIZE.
    MetadataMaxSize(u64),
    /// METADATA TOOMANY.
    MetadataTooMany,
    /// METADATA NOPRIVATE.
    MetadataNoPrivate,
    /// MODIFIED (RFC 7162).
    Modified(Set),
    /// NOMODSEQ.
    NoModSeq,
    /// NONEXISTENT.
    NonExistent,
    /// NOPERM.
    NoPerm,
    /// NOTIFICATIONOVERFLOW.
    NotificationOverflow,
    /// NOTSAVED.
    NotSaved,
    /// NOUPDATE (RFC 5267), with the tag.
    NoUpdate(String),
    /// OVERQUOTA.
    OverQuota,
    /// PERMANENTFLAGS: keywords, and whether new ones can be made. Without either it says `()`:
    /// nothing can be changed, as after EXAMINE.
    PermanentFlags {
        /// Of this mailbox.
        keywords: Vec<String>,
        /// `\*`.
        more: bool,
    },
    /// PRIVACYREQUIRED.
    PrivacyRequired,
    /// READ-ONLY.
    ReadOnly,
    /// READ-WRITE.
    ReadWrite,
    /// SERVERBUG.
    ServerBug,
    /// TOOBIG (RFC 4469).
    TooBig,
    /// TRYCREATE.
    TryCreate,
    /// UIDNEXT.
    UidNext(u32),
    /// UIDNOTSTICKY.
    UidNotSticky,
    /// UIDREQUIRED (RFC 9586).
    UidRequired,
    /// UIDVALIDITY.
    UidValidity(u32),
    /// UNAVAILABLE.
    Unavailable,
    /// UNKNOWN-CTE (RFC 3516).
    UnknownCte,
    /// UNSEEN (RFC 3501): the first.
    Unseen(u32),
    /// USEATTR (RFC 6154).
    UseAttr,
    /// INPROGRESS (RFC 9585): tag, done, of how many.
    InProgress(String, Option<(u64, u64)>),
    /// BADEVENT (RFC 5465).
    BadEvent,
}

impl Code {
    /// Of a login whose credential was right, but which the rules forbid: what is missing is privacy, or the right to
    /// come this way (RFC 5530 3).
    #[must_use]
    pub fn of_denied(denied: Denied) -> Code {
        match denied {
            Denied::Clear | Denied::TlsTooOld(_) => Code::PrivacyRequired,
            Denied::Way | Denied::Mechanism => Code::AuthorizationFailed,
        }
    }

    /// Writes it without brackets.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.word().as_bytes());
        match self {
            Code::AppendUid { validity, uids } => {
                spaced_number(u64::from(*validity), out);
                spaced_set(uids, out);
            }
            Code::CopyUid { validity, from, to } => {
                spaced_number(u64::from(*validity), out);
                spaced_set(from, out);
                spaced_set(to, out);
            }
            Code::Modified(set) => spaced_set(set, out),
            Code::BadUrl(url) => {
                out.push(b' ');
                bare_text(url, out);
            }
            Code::MailboxId(id) => {
                out.extend_from_slice(b" (");
                bare_text(id, out);
                out.push(b')');
            }
            Code::HighestModSeq(number)
            | Code::MetadataLongEntries(number)
            | Code::MetadataMaxSize(number) => {
                spaced_number(*number, out);
            }
            Code::UidNext(number) | Code::UidValidity(number) | Code::Unseen(number) => {
                spaced_number(u64::from(*number), out);
            }
            Code::MessageLimit(limit, lowest) => {
                spaced_number(u64::from(*limit), out);
                if let Some(uid) = lowest {
                    spaced_number(u64::from(*uid), out);
                }
            }
            Code::NoUpdate(tag) => {
                out.push(b' ');
                quoted(tag, out);
            }
            Code::InProgress(tag, state) => in_progress(tag, *state, out),
            Code::PermanentFlags { keywords, more } => permanent_flags(keywords, *more, out),
            _ => {}
        }
    }

    /// What the code begins with; all of it where nothing varies.
    fn word(&self) -> &'static str {
        match self {
            Code::Alert => "ALERT",
            Code::AlreadyExists => "ALREADYEXISTS",
            Code::AppendUid { .. } => "APPENDUID",
            Code::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Code::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Code::BadCharset => "BADCHARSET (UTF-8 US-ASCII)",
            Code::BadEvent => BAD_EVENT,
            Code::BadUrl(_) => "BADURL",
            Code::Cannot => "CANNOT",
            Code::ClientBug => "CLIENTBUG",
            Code::Closed => "CLOSED",
            Code::CompressionActive => "COMPRESSIONACTIVE",
            Code::CopyUid { .. } => "COPYUID",
            Code::Corruption => "CORRUPTION",
            Code::ExpungeIssued => "EXPUNGEISSUED",
            Code::HasChildren => "HASCHILDREN",
            Code::HighestModSeq(_) => "HIGHESTMODSEQ",
            Code::InProgress(..) => "INPROGRESS",
            Code::InUse => "INUSE",
            Code::Limit => "LIMIT",
            Code::MailboxId(_) => "MAILBOXID",
            Code::MessageLimit(..) => "MESSAGELIMIT",
            Code::MetadataLongEntries(_) => "METADATA LONGENTRIES",
            Code::MetadataMaxSize(_) => "METADATA MAXSIZE",
            Code::MetadataNoPrivate => "METADATA NOPRIVATE",
            Code::MetadataTooMany => "METADATA TOOMANY",
            Code::Modified(_) => "MODIFIED",
            Code::NoModSeq => "NOMODSEQ",
            Code::NoPerm => "NOPERM",
            Code::NoUpdate(_) => "NOUPDATE",
            Code::NonExistent => "NONEXISTENT",
            Code::NotSaved => "NOTSAVED",
            Code::NotificationOverflow => "NOTIFICATIONOVERFLOW",
            Code::OverQuota => "OVERQUOTA",
            Code::PermanentFlags { .. } => "PERMANENTFLAGS",
            Code::PrivacyRequired => "PRIVACYREQUIRED",
            Code::ReadOnly => "READ-ONLY",
            Code::ReadWrite => "READ-WRITE",
            Code::ServerBug => "SERVERBUG",
            Code::TooBig => "TOOBIG",
            Code::TryCreate => "TRYCREATE",
            Code::UidNext(_) => "UIDNEXT",
            Code::UidNotSticky => "UIDNOTSTICKY",
            Code::UidRequired => "UIDREQUIRED",
            Code::UidValidity(_) => "UIDVALIDITY",
            Code::Unavailable => "UNAVAILABLE",
            Code::UnknownCte => "UNKNOWN-CTE",
            Code::Unseen(_) => "UNSEEN",
            Code::UseAttr => "USEATTR",
        }
    }
}

/// RFC 5465 section 5: what the client may ask for follows.
const BAD_EVENT: &str = "BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange \
                         MailboxMetadataChange ServerMetadataChange)";

fn spaced_number(number: u64, out: &mut Vec<u8>) {
    out.push(b' ');
    encode::number(number, out);
}

fn spaced_set(set: &Set, out: &mut Vec<u8>) {
    out.push(b' ');
    set.write(out);
}

/// Text that stands in a code without quotes. What could end the code, or the line, is written
/// as a URL writes it; only URLs and our own identifiers come here.
fn bare_text(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        if matches!(byte, 0..=b' ' | b'"' | b'(' | b')' | b'[' | b']' | b'\\' | 0x7f..) {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            out.push(byte);
        }
    }
}

/// A tag in quotes; tags have neither quotes nor controls.
fn quoted(tag: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend(tag.bytes().filter(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')));
    out.push(b'"');
}

/// RFC 9585 section 5: the code may say nothing of how far it is.
fn in_progress(tag: &str, state: Option<(u64, u64)>, out: &mut Vec<u8>) {
    out.extend_from_slice(b" (");
    quoted(tag, out);
    match state {
        Some((done, of)) => {
            spaced_number(done, out);
            spaced_number(of, out);
        }
        None => out.extend_from_slice(b" NIL NIL"),
    }
    out.push(b')');
}

fn permanent_flags(keywords: &[String], more: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b" (");
    if more || !keywords.is_empty() {
        out.extend_from_slice(encode::SYSTEM_FLAGS.join(" ").as_bytes());
    }
    for keyword in keywords {
        out.push(b' ');
        out.extend_from_slice(keyword.as_bytes());
    }
    if more {
        out.extend_from_slice(b" \\*");
    }
    out.push(b')');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_documents_write_them() {
        let set = |ranges: &[(u32, u32)]| Set(ranges.to_vec());
        for (code, text) in [
            (Code::Alert, "ALERT"),
            (Code::AppendUid { validity: 38505, uids: Set::one(3955) }, "APPENDUID 38505 3955"),
            (
                Code::CopyUid {
                    validity: 38505,
                    from: set(&[(304, 304), (319, 320)]),
                    to: set(&[(3956, 3958)]),
                },
                "COPYUID 38505 304,319:320 3956:3958",
            ),
            (Code::BadUrl("/INBOX;UID=9/;SECTION=a]\r\n".into()), "BADURL /INBOX;UID=9/;SECTION=a%5D%0D%0A"),
            (Code::HighestModSeq(715_194_045_007), "HIGHESTMODSEQ 715194045007"),
            (Code::MailboxId("F2212ea87-6097".into()), "MAILBOXID (F2212ea87-6097)"),
            (Code::MessageLimit(1000, Some(23221)), "MESSAGELIMIT 1000 23221"),
            (Code::MessageLimit(1000, None), "MESSAGELIMIT 1000"),
            (Code::MetadataMaxSize(1024), "METADATA MAXSIZE 1024"),
            (Code::Modified(set(&[(7, 7), (9, 9)])), "MODIFIED 7,9"),
            (Code::NoUpdate("B02".into()), "NOUPDATE \"B02\""),
            (Code::InProgress("A001".into(), Some((454, 1000))), "INPROGRESS (\"A001\" 454 1000)"),
            (Code::InProgress("A001".into(), None), "INPROGRESS (\"A001\" NIL NIL)"),
            (Code::PermanentFlags { keywords: vec![], more: false }, "PERMANENTFLAGS ()"),
            (
                Code::PermanentFlags { keywords: vec!["$MDNSent".into()], more: true },
                "PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $MDNSent \\*)",
            ),
            (Code::UidValidity(7), "UIDVALIDITY 7"),
        ] {
            let mut out = Vec::new();
            code.write(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
