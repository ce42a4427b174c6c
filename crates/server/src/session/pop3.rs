//! POP3 sessions: the maildrop behind the machine.
//!
//! The maildrop is INBOX as of the login: a snapshot, numbered from 1, under an
//! exclusive lock (RFC 1939 section 8). Deletions are marks here until QUIT, and
//! then one commit: all or none. A lost connection deletes nothing.

use super::login::{self, Exchange, Login, Place};
use super::{FLUSH_BYTES, Origin};
use crate::app::App;
use crate::facts::{self, Outcome};
use crate::maildrop::size::{Limits, Sizes};
use crate::maildrop::{Busy, MaildropLock};
use net::drive::{End, Next, Session, Wire};
use proto::language::{Common, Said};
use proto::machine::Machine;
use proto::pop3::language::Text;
use proto::pop3::server::{Code, Server};
use proto::pop3::{Event, Refusal};
use proto::proof::{Authenticated, Security};
use proto::sasl::Failure;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::account::{Account, Details, MessageRow, Refused, View};

/// The mailbox that POP3 serves (RFC 9051 5.1: the one that always exists).
const MAILDROP: &str = store::account::INBOX;
/// Messages whose details are read together,
const AHEAD: u32 = 12;
/// and used for so long.
const AHEAD_AGE: Duration = Duration::from_secs(1);

/// One connection.
#[derive(Debug)]
pub struct Pop3Session {
    machine: Server,
    app: Arc<App>,
    origin: Arc<Origin>,
    exchange: Exchange,
    drop: Option<Box<Maildrop>>,
}

/// An open maildrop.
#[derive(Debug)]
struct Maildrop {
    account: Account,
    view: Arc<View>,
    deleted: Vec<bool>,
    /// How long surrogates are, as soon as somebody has asked.
    sizes: Option<Arc<Sizes>>,
    ahead: Ahead,
    lock: MaildropLock,
}

/// Details of messages that are probably asked for next: most clients read one message after the other.
#[derive(Debug, Default)]
struct Ahead {
    details: Details,
    /// When they were read: what was expunged or moved elsewhere since is not known here.
    at: Option<Instant>,
    /// The message that was asked for last.
    last: u32,
}

impl Ahead {
    /// Sees to it that the detail of a message is here, if it exists.
    async fn read(&mut self, number: u32, account: &Account, view: &View) -> Result<(), store::Error> {
        let Some(row) = view.row(number) else { return Ok(()) };
        let in_order = number == self.last + 1;
        self.last = number;
        let is_fresh = self.at.is_some_and(|at| at.elapsed() < AHEAD_AGE);
        if is_fresh && in_order && self.details.holds(row.uid) {
            return Ok(());
        }
        let end = number.saturating_add(if in_order { AHEAD } else { 1 });
        let uids = view.rows(number..end.min(view.len() + 1)).map(|(_, row)| row.uid).collect();
        self.details = account.details(view.mailbox.id, uids).await?;
        self.at = Some(Instant::now());
        Ok(())
    }
}

impl Pop3Session {
    /// Begins; the machine greets unless TLS came by STLS.
    #[must_use]
    pub fn new(app: Arc<App>, origin: Arc<Origin>, security: Security) -> Pop3Session {
        let offer = app.pop3_offer(&origin.listener, &security);
        let machine = Server::new(offer, app.settings.pop3.clone(), security, net::now());
        Pop3Session { machine, app, origin, exchange: Exchange::default(), drop: None }
    }

    fn fact(&self, outcome: Outcome) {
        facts::record(&self.app.store, &self.origin, self.machine.security(), outcome, None, "", "");
    }

    fn refused(&self, refusal: Refusal) {
        match refusal {
            Refusal::Login(refusal) => self.fact(refusal.into()),
            Refusal::Syntax | Refusal::TooManyErrors => {}
        }
    }

    async fn login_step(&mut self, login: Login) {
        let (code, text) = match login {
            Login::Challenge(challenge) => return self.machine.auth_challenge(&challenge),
            Login::Done(who) => return self.open(&who).await,
            // RFC 3206 4: it is the person's settings that have to change.
            Login::Denied(_, text) => return self.machine.login_failed(Code::Auth, &text),
            Login::Failed(failure) => {
                let code = if failure == Failure::Temporary { Code::SysTemp } else { Code::Auth };
                (code, login::words(failure))
            }
        };
        self.login_failed(code, text);
    }

    fn login_failed(&mut self, code: Code, text: impl Said) {
        self.machine.login_failed(code, self.machine.tongue().text(text));
    }

    fn err(&mut self, code: Option<Code>, text: impl Said) {
        self.machine.err(code, self.machine.tongue().text(text));
    }

    fn say(&self, text: impl Said, numbers: &[u64]) -> String {
        self.machine.tongue().say(text, numbers)
    }

    /// Opens the maildrop of a user who has logged in.
    async fn open(&mut self, who: &Authenticated) {
        let delay = self.app.settings.pop3_login_delay_seconds;
        let lock = match self.app.maildrops.lock(who.account(), delay, net::now()) {
            Ok(lock) => lock,
            Err(Busy::InUse) => {
                return self.login_failed(Code::InUse, Text::InUse);
            }
            Err(Busy::TooSoon) => {
                let text = self.say(Text::TooSoon, &[delay.into()]);
                return self.machine.login_failed(Code::LoginDelay, &text);
            }
        };
        let account = self.app.store.account(who.account());
        let reader = account.clone();
        match tokio::task::spawn_blocking(move || reader.view(MAILDROP)).await {
            Ok(Ok(Some(view))) => {
                let text = self.say(Text::LoggedIn, &[view.len().into()]);
                let deleted = vec![false; view.len() as usize];
                let ahead = Ahead::default();
                self.drop = Some(Box::new(Maildrop { account, view, deleted, sizes: None, ahead, lock }));
                self.machine.logged_in(&text);
            }
            Ok(Ok(None)) => {
                self.login_failed(Code::SysPerm, Text::NoMailbox);
            }
            Ok(Err(error)) => {
                tracing::error!(session = self.origin.id_text(), %error, "cannot open maildrop");
                self.login_failed(Code::SysTemp, Text::MaildropUnreadable);
            }
            Err(_) => self.login_failed(Code::SysTemp, Common::Stopping),
        }
    }

    /// Before a size is told for the first time: how long are the surrogates?
    async fn find_sizes(&mut self) {
        let Some(drop) = self.drop.as_deref_mut().filter(|drop| drop.sizes.is_none()) else { return };
        if self.machine.utf8() {
            return;
        }
        let mut sizes = drop.lock.sizes();
        if let Err(error) = Arc::make_mut(&mut sizes)
            .learn(&drop.account, &drop.view, self.app.store.bodies(), Limits::default())
            .await
        {
            // Sizes are told as they are kept then.
            tracing::warn!(session = self.origin.id_text(), %error, "cannot find sizes of messages");
        }
        drop.lock.remember(sizes.clone());
        drop.sizes = Some(sizes);
    }

    /// STAT, LIST and UIDL.
    async fn listing(&mut self, what: Listing, wire: &mut Wire<'_>) -> Next {
        let Some(drop) = &self.drop else { return self.no_maildrop() };
        let mut line = String::with_capacity(48);
        match what {
            Listing::One(number, show) => match drop.get(number) {
                Some(row) => {
                    show(&mut line, number, &row, drop);
                    self.machine.ok(&line);
                }
                None => self.err(None, Text::NoSuchMessage),
            },
            Listing::All(show) => {
                let (count, octets) = drop.totals();
                self.machine.begin(&self.say(Text::Totals, &[count, octets]));
                for (number, row) in drop.present() {
                    line.clear();
                    show(&mut line, number, &row, drop);
                    self.machine.line(&line);
                    if self.machine.output().len() >= FLUSH_BYTES
                        && wire.flush(self.machine.output()).await.is_err()
                    {
                        return Next::Close;
                    }
                }
                self.machine.end();
            }
        }
        Next::Go
    }

    /// RETR and TOP: header lines of this recipient, then the stored octets, as
    /// the socket takes them.
    async fn retrieve(&mut self, number: u32, top: bool, wire: &mut Wire<'_>) -> Next {
        let Some(drop) = self.drop.as_deref_mut() else { return self.no_maildrop() };
        let Some(row) = drop.get(number) else {
            self.err(None, Text::NoSuchMessage);
            return Next::Go;
        };
        let read = drop.ahead.read(number, &drop.account, &drop.view).await;
        let found = read.and_then(|()| drop.ahead.details.get(row.uid).transpose());
        let detail = match found {
            Ok(Some(detail)) => detail,
            Ok(None) => {
                // Another session expunged it; the snapshot still counts it (RFC 1939 lets no number move).
                self.err(Some(Code::SysPerm), Text::DeletedElsewhere);
                return Next::Go;
            }
            Err(error) => {
                tracing::error!(session = self.origin.id_text(), %error, "cannot read message");
                self.err(Some(Code::SysTemp), Text::MessageUnreadable);
                return Next::Go;
            }
        };
        let mut reader = self.app.store.bodies().read(&detail.body, 0..detail.body.len);
        let said = match top {
            true => self.machine.tongue().text(Text::TopFollows).to_owned(),
            false => self.machine.tongue().say(Text::Octets, &[drop.size(&row)]),
        };
        let machine = &mut self.machine;
        let mut begin = |piece: &[u8]| {
            machine.begin(&said);
            if piece.len() as u64 == detail.body.len && piece.is_ascii() && detail.prefix.is_ascii() {
                machine.message_is_ascii();
            }
            machine.message(detail.prefix) && machine.message(piece)
        };
        let mut more = match reader.now(&mut begin) {
            Some(more) => more,
            None => match reader.next().await {
                Ok(piece) => begin(&piece.unwrap_or_default()),
                Err(error) => {
                    tracing::error!(session = self.origin.id_text(), %error, "cannot read message");
                    self.err(Some(Code::SysTemp), Text::MessageUnreadable);
                    return Next::Go;
                }
            },
        };
        while more {
            if self.machine.output().len() >= FLUSH_BYTES && wire.flush(self.machine.output()).await.is_err()
            {
                return Next::Close;
            }
            more = match reader.now(|piece| self.machine.message(piece)) {
                Some(more) => more,
                None => match reader.next().await {
                    Ok(Some(piece)) => self.machine.message(&piece),
                    Ok(None) => break,
                    Err(error) => {
                        tracing::error!(session = self.origin.id_text(), %error, "message breaks off");
                        self.machine.break_off();
                        return Next::Close;
                    }
                },
            };
        }
        self.machine.end();
        Next::Go
    }

    fn mark(&mut self, number: u32) {
        let Some(drop) = &mut self.drop else { return self.err(None, Text::WrongState) };
        if drop.get(number).is_none() {
            return self.err(None, Text::NoSuchMessage);
        }
        drop.deleted[number as usize - 1] = true;
        self.machine.ok(self.machine.tongue().text(Text::Marked));
    }

    fn unmark(&mut self) {
        let Some(drop) = &mut self.drop else { return self.err(None, Text::WrongState) };
        drop.deleted.fill(false);
        let (count, octets) = drop.totals();
        self.machine.ok(&self.say(Text::Totals, &[count, octets]));
    }

    /// QUIT: the deletions in one commit (RFC 1939 section 6).
    async fn update(&mut self) {
        let tongue = self.machine.tongue();
        let Some(drop) = self.drop.take() else { return self.machine.updated(Ok(tongue.text(Common::Bye))) };
        let uids: Vec<u32> = drop
            .view
            .messages()
            .iter()
            .zip(&drop.deleted)
            .filter_map(|(row, deleted)| deleted.then_some(row.uid))
            .collect();
        if uids.is_empty() {
            return self.machine.updated(Ok(tongue.text(Common::Bye)));
        }
        match drop.account.expunge(drop.view.mailbox.id, &uids).await {
            Ok(()) => self.machine.updated(Ok(tongue.text(Text::DeletedBye))),
            Err(Refused::NoAccount | Refused::NoMailbox) => {
                self.machine.updated(Ok(tongue.text(Text::MailboxGone)))
            }
            Err(error) => {
                tracing::error!(session = self.origin.id_text(), %error, "deletions not made");
                self.machine.updated(Err(tongue.text(Text::NothingDeleted)));
            }
        }
    }

    fn no_maildrop(&mut self) -> Next {
        // The gate lets these commands through in the transaction state only.
        self.err(None, Text::WrongState);
        Next::Go
    }
}

type Show = fn(&mut String, u32, &MessageRow, &Maildrop);

enum Listing {
    One(u32, Show),
    All(Show),
}

fn show_size(line: &mut String, number: u32, row: &MessageRow, drop: &Maildrop) {
    // Writing to a String cannot fail.
    let _ = write!(line, "{number} {}", drop.size(row));
}

/// The unique id: UIDVALIDITY and UID, which neither restart nor restore changes.
fn show_uid(line: &mut String, number: u32, row: &MessageRow, drop: &Maildrop) {
    let _ = write!(line, "{number} {:08x}{:08x}", drop.view.mailbox.uid_validity, row.uid);
}

impl Maildrop {
    /// The message of that number, if it exists and is not marked.
    fn get(&self, number: u32) -> Option<MessageRow> {
        let index = (number as usize).checked_sub(1)?;
        let deleted = *self.deleted.get(index)?;
        if deleted { None } else { self.view.row(number) }
    }

    fn present(&self) -> impl Iterator<Item = (u32, MessageRow)> {
        let all = self.view.rows(1..self.view.len() + 1);
        all.zip(&self.deleted).filter_map(|(pair, deleted)| (!deleted).then_some(pair))
    }

    /// Its octets as RETR sends them, as far as they have been found out.
    fn size(&self, row: &MessageRow) -> u64 {
        self.sizes.as_ref().map_or(row.size, |sizes| sizes.of(row.uid, row.size))
    }

    fn totals(&self) -> (u64, u64) {
        self.present().fold((0, 0), |(count, octets), (_, row)| (count + 1, octets + self.size(&row)))
    }
}

impl Session for Pop3Session {
    type Machine = Server;

    fn machine(&mut self) -> &mut Server {
        &mut self.machine
    }

    async fn event<'a>(&mut self, event: <Server as Machine>::Event<'a>, wire: &mut Wire<'_>) -> Next {
        match event {
            Event::StartTls => return Next::StartTls,
            Event::Login(turn) => {
                let security = self.machine.security().clone();
                let language = self.machine.tongue();
                let place =
                    Place { app: &self.app, origin: &self.origin, security: &security, client: "", language };
                if let Some(login) = self.exchange.turn(place, turn).await {
                    self.login_step(login).await;
                }
            }
            Event::Stat => {
                self.find_sizes().await;
                let Some(drop) = &self.drop else { return self.no_maildrop() };
                let (count, octets) = drop.totals();
                self.machine.ok(&format!("{count} {octets}"));
            }
            Event::List(number) => {
                self.find_sizes().await;
                let all = Listing::All(show_size);
                return self.listing(number.map_or(all, |n| Listing::One(n, show_size)), wire).await;
            }
            Event::Uidl(Some(number)) => return self.listing(Listing::One(number, show_uid), wire).await,
            Event::Uidl(None) => return self.listing(Listing::All(show_uid), wire).await,
            Event::Retr(number) => return self.retrieve(number, false, wire).await,
            Event::Top { message, lines: _ } => return self.retrieve(message, true, wire).await,
            Event::Dele(number) => self.mark(number),
            Event::Rset => self.unmark(),
            Event::Update => self.update().await,
            Event::Refused(refusal) => self.refused(refusal),
            Event::Utf8 => {
                // From now on messages are sent as they are kept.
                if let Some(drop) = &mut self.drop {
                    drop.sizes = None;
                }
            }
            Event::Quit | Event::Language(_) => {}
        }
        Next::Go
    }

    fn secured(self, security: Security) -> Pop3Session {
        Pop3Session::new(self.app, self.origin, security)
    }

    async fn ended(self, why: End) {
        super::ended(&self.app, &self.origin, self.machine.security(), &why);
    }
}
