//! Which command may come when: one table, and the one refusal path.
//!
//! A row names a word, the roles that know it, the phases in which it may come and
//! what it needs first. [`admit`] decides from the row and a [`Standing`]; a
//! [`Denial`] knows its reply and what it means for the session facts. What must
//! hold: no handler of a command refuses it for its moment, and nothing passes
//! that [`admit`] did not let pass. Syntax is not judged here.

use super::{Refusal, Reply, Role};
use crate::login;

/// The commands that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // Each is the command of its name.
pub enum Word {
    Helo,
    Ehlo,
    Lhlo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Rset,
    Noop,
    Vrfy,
    Expn,
    Help,
    Quit,
}

/// How far a conversation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Greeted; the client has not said its name.
    Start,
    /// Named, no transaction.
    Ready,
    /// MAIL was accepted.
    Mail,
    /// At least one recipient was accepted.
    Rcpt,
    /// Chunks have come, the last one has not (RFC 3030).
    Chunks,
}

impl Phase {
    /// All, in order.
    pub const ALL: [Phase; 5] = [Phase::Start, Phase::Ready, Phase::Mail, Phase::Rcpt, Phase::Chunks];
}

/// Everything that the gate looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which conversation.
    pub role: Role,
    /// How far it is.
    pub phase: Phase,
    /// The client named itself with EHLO or LHLO.
    pub extended: bool,
    /// Inside TLS.
    pub encrypted: bool,
    /// STARTTLS can be had.
    pub starttls: bool,
    /// There are mechanisms to log in with in this state.
    pub mechanisms: bool,
    /// AUTH succeeded.
    pub authenticated: bool,
    /// The transaction has BODY=BINARYMIME.
    pub binary: bool,
}

impl Standing {
    /// Submission in clear where nobody may log in: only the way to TLS is open
    /// (RFC 8314 3.3). Where a password may be sent in clear by the operator's
    /// will, there are mechanisms, and this is false.
    #[must_use]
    pub fn tls_first(&self) -> bool {
        self.role == Role::Submission && !self.encrypted && !self.mechanisms
    }
}

/// What a command needs beside its phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// Nothing, not even TLS where TLS comes first.
    Nothing,
    /// TLS where TLS comes first.
    Tls,
    /// TLS as above, and AUTH on submission.
    Login,
}

/// One row of the table.
#[derive(Debug)]
pub struct Row {
    /// The command.
    pub word: Word,
    /// As it is written.
    pub name: &'static str,
    /// Its syntax, for HELP.
    pub usage: &'static str,
    roles: &'static [Role],
    phases: &'static [Phase],
    needs: Needs,
}

impl Row {
    /// True if the role knows the word.
    #[must_use]
    pub fn for_role(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

const SMTP: &[Role] = &[Role::Exchange, Role::Submission];
const LMTP: &[Role] = &[Role::Lmtp];
const EVERY_ROLE: &[Role] = &[Role::Exchange, Role::Submission, Role::Lmtp];
const EVERY_PHASE: &[Phase] = &Phase::ALL;

const fn row(
    word: Word,
    name: &'static str,
    usage: &'static str,
    roles: &'static [Role],
    phases: &'static [Phase],
    needs: Needs,
) -> Row {
    Row { word, name, usage, roles, phases, needs }
}

/// The table. HELP lists it in this order.
#[rustfmt::skip]
pub const TABLE: [Row; 15] = [
    row(Word::Ehlo, "EHLO", "EHLO host.name", SMTP, EVERY_PHASE, Needs::Nothing),
    row(Word::Helo, "HELO", "HELO host.name", SMTP, EVERY_PHASE, Needs::Nothing),
    row(Word::Lhlo, "LHLO", "LHLO host.name", LMTP, EVERY_PHASE, Needs::Nothing),
    // RFC 4954 4: AUTH does not come within a transaction; RFC 3207 has no such rule, and TLS forgets it.
    row(Word::StartTls, "STARTTLS", "STARTTLS", EVERY_ROLE, &[Phase::Ready, Phase::Mail, Phase::Rcpt], Needs::Nothing),
    row(Word::Auth, "AUTH", "AUTH MECHANISM [initial-response]", EVERY_ROLE, &[Phase::Ready], Needs::Tls),
    row(Word::Mail, "MAIL", "MAIL FROM:<you@example.com> [SIZE=octets] [BODY=8BITMIME] [SMTPUTF8]", EVERY_ROLE, &[Phase::Ready], Needs::Login),
    row(Word::Rcpt, "RCPT", "RCPT TO:<name@example.com> [NOTIFY=list] [ORCPT=rfc822;address]", EVERY_ROLE, &[Phase::Mail, Phase::Rcpt], Needs::Login),
    row(Word::Data, "DATA", "DATA, then the message, then a line with only a dot", EVERY_ROLE, &[Phase::Rcpt], Needs::Login),
    row(Word::Bdat, "BDAT", "BDAT octets [LAST]", EVERY_ROLE, &[Phase::Rcpt, Phase::Chunks], Needs::Login),
    row(Word::Rset, "RSET", "RSET", EVERY_ROLE, EVERY_PHASE, Needs::Nothing),
    row(Word::Noop, "NOOP", "NOOP", EVERY_ROLE, EVERY_PHASE, Needs::Nothing),
    row(Word::Vrfy, "VRFY", "VRFY name: not told, send mail instead", EVERY_ROLE, EVERY_PHASE, Needs::Tls),
    row(Word::Expn, "EXPN", "EXPN list: not told", EVERY_ROLE, EVERY_PHASE, Needs::Tls),
    row(Word::Help, "HELP", "HELP [command]", EVERY_ROLE, EVERY_PHASE, Needs::Nothing),
    row(Word::Quit, "QUIT", "QUIT", EVERY_ROLE, EVERY_PHASE, Needs::Nothing),
];

/// The row of a word as the client wrote it.
#[must_use]
pub fn find(word: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name.eq_ignore_ascii_case(word))
}

/// Why a command may not come now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The word belongs to the other protocol (LHLO in SMTP, EHLO in LMTP).
    OtherProtocol,
    /// TLS comes first.
    TlsFirst,
    /// AUTH in clear where logging in needs TLS.
    AuthNeedsTls,
    /// AUTH comes first.
    AuthFirst,
    /// The client must name itself first.
    HelloFirst,
    /// The client said HELO, and this is an extension.
    EhloFirst,
    /// MAIL comes first.
    MailFirst,
    /// RCPT comes first, or none was accepted.
    RcptFirst,
    /// A transaction is open.
    InTransaction,
    /// Chunks have begun: only BDAT and RSET go on.
    InChunks,
    /// BODY=BINARYMIME goes with BDAT only.
    BinaryNeedsBdat,
    /// TLS is there already.
    AlreadyTls,
    /// Logged in already.
    AlreadyAuth,
    /// STARTTLS cannot be had here.
    NoStartTls,
    /// Nobody logs in on this listener.
    NoAuth,
}

/// Lets a command pass or says why not.
pub fn admit(row: &Row, standing: &Standing) -> Result<(), Denial> {
    if !row.roles.contains(&standing.role) {
        return Err(Denial::OtherProtocol);
    }
    match row.word {
        Word::StartTls if standing.encrypted => return Err(Denial::AlreadyTls),
        Word::StartTls if !standing.starttls => return Err(Denial::NoStartTls),
        Word::Auth if standing.authenticated => return Err(Denial::AlreadyAuth),
        Word::Auth if !standing.mechanisms => {
            // In LMTP nobody has a password to protect by going elsewhere.
            let elsewhere = !standing.encrypted && standing.role != Role::Lmtp;
            return Err(if elsewhere { Denial::AuthNeedsTls } else { Denial::NoAuth });
        }
        _ => {}
    }
    if row.needs != Needs::Nothing && standing.tls_first() {
        return Err(Denial::TlsFirst);
    }
    if standing.phase == Phase::Start && !row.phases.contains(&Phase::Start) {
        return Err(Denial::HelloFirst);
    }
    // STARTTLS is an extension too, but nobody is kept from encryption for having said HELO.
    if matches!(row.word, Word::Auth | Word::Bdat) && !standing.extended {
        return Err(Denial::EhloFirst);
    }
    if row.needs == Needs::Login && standing.role == Role::Submission && !standing.authenticated {
        return Err(Denial::AuthFirst);
    }
    if row.phases.contains(&standing.phase) {
        // RFC 3030 3: lines and dots mean nothing in binary content.
        let dots_lost = row.word == Word::Data && standing.binary;
        return if dots_lost { Err(Denial::BinaryNeedsBdat) } else { Ok(()) };
    }
    Err(match (row.word, standing.phase) {
        (_, Phase::Chunks) => Denial::InChunks,
        (Word::Rcpt | Word::Data | Word::Bdat, Phase::Ready) => Denial::MailFirst,
        (Word::Data | Word::Bdat, _) => Denial::RcptFirst,
        _ => Denial::InTransaction,
    })
}

impl Denial {
    /// The reply, which says what to do instead.
    #[must_use]
    pub fn reply(self, role: Role, needs_tls_text: &str) -> Reply {
        let hello = if role == Role::Lmtp { "LHLO" } else { "EHLO" };
        let sequence = |text: &str| Reply::new(503, (5, 5, 1), text);
        match self {
            Denial::OtherProtocol if role == Role::Lmtp => {
                Reply::new(500, (5, 5, 1), "This is LMTP: begin with LHLO")
            }
            Denial::OtherProtocol => Reply::new(500, (5, 5, 1), "This is SMTP: begin with EHLO"),
            Denial::TlsFirst => {
                Reply::new(530, (5, 7, 0), format!("Must issue STARTTLS first. {needs_tls_text}"))
            }
            Denial::AuthNeedsTls => Reply::new(530, (5, 7, 0), needs_tls_text),
            Denial::AuthFirst => Reply::new(
                530,
                (5, 7, 0),
                "Authentication required: switch on authentication for outgoing mail in your mail program",
            ),
            Denial::HelloFirst => sequence(&format!("Send {hello} first")),
            Denial::EhloFirst => sequence(&format!("This needs {hello} instead of HELO")),
            Denial::MailFirst => sequence("Send MAIL first"),
            Denial::RcptFirst => sequence("No valid recipients: send RCPT first"),
            Denial::InTransaction => sequence("Not within a transaction: finish it, or send RSET"),
            Denial::InChunks => sequence("Not between chunks: finish with BDAT LAST, or send RSET"),
            Denial::BinaryNeedsBdat => sequence("BODY=BINARYMIME needs BDAT instead of DATA"),
            Denial::AlreadyTls => sequence("TLS is active already"),
            Denial::AlreadyAuth => sequence("Already authenticated"),
            Denial::NoStartTls => Reply::new(502, (5, 5, 1), "STARTTLS is not available here"),
            Denial::NoAuth if role == Role::Exchange => {
                Reply::new(502, (5, 5, 1), "AUTH is not available here: use a submission port")
            }
            Denial::NoAuth => Reply::new(502, (5, 5, 1), "AUTH is not available here"),
        }
    }

    /// What it is in the session facts. `exposed`: an initial response came along.
    #[must_use]
    pub fn refusal(self, exposed: bool) -> Refusal {
        match self {
            Denial::AuthNeedsTls => Refusal::Login(login::Refusal::NeedsTls { exposed }),
            Denial::TlsFirst => Refusal::NeedsTls,
            Denial::AuthFirst => Refusal::NeedsAuth,
            _ => Refusal::Syntax,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_one_row() {
        for (i, row) in TABLE.iter().enumerate() {
            assert!(TABLE[i + 1..].iter().all(|r| r.word != row.word && r.name != row.name));
            assert_eq!(find(&row.name.to_lowercase()).map(|r| r.word), Some(row.word));
            assert!(row.usage.starts_with(row.name));
        }
    }

    #[test]
    fn a_password_in_clear_is_stopped_in_every_phase() {
        let auth = find("AUTH").unwrap();
        for phase in Phase::ALL {
            for role in SMTP {
                for starttls in [false, true] {
                    let standing = Standing {
                        role: *role,
                        phase,
                        extended: true,
                        encrypted: false,
                        starttls,
                        mechanisms: false,
                        authenticated: false,
                        binary: false,
                    };
                    assert_eq!(admit(auth, &standing), Err(Denial::AuthNeedsTls));
                }
            }
        }
    }
}
