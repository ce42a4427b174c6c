//! IMAP sessions: what a connection knows, and which command goes where.
//!
//! One file a command stands in `crate::imap`; here is what they share: the login, the open mailbox as the client
//! knows it, and the announcement of what others changed.

use super::Origin;
use super::login::{self, Exchange, Login, Place};
use crate::app::App;
use crate::facts::{self, Outcome};
use crate::imap::{self, no::No};
use net::drive::{End, Next, Session, Wire};
use proto::imap::code::Code;
use proto::imap::command::Command;
use proto::imap::language::Text;
use proto::imap::server::Server;
use proto::imap::set::{STAR, SetOrSaved};
use proto::imap::{Event, Refusal};
use proto::machine::Machine;
use proto::proof::{Authenticated, Security};
use proto::sasl::Failure;
use std::ops::Range;
use std::sync::Arc;
use store::account::{Account, MessageRow, Rights, View, Watch};

/// One connection.
#[derive(Debug)]
pub struct ImapSession {
    pub(crate) machine: Server,
    pub(crate) app: Arc<App>,
    pub(crate) origin: Arc<Origin>,
    pub(crate) exchange: Exchange,
    /// What the client calls itself, from ID.
    pub(crate) client: String,
    pub(crate) user: Option<Box<User>>,
    pub(crate) append: Option<Box<imap::append::Appending>>,
    /// COMPRESS was used.
    pub(crate) compressed: bool,
}

/// Who has logged in, and what is open.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) who: Authenticated,
    pub(crate) account: Account,
    pub(crate) selected: Option<Selected>,
    /// Commits of the selected mailbox's account; of the own account with NOTIFY.
    pub(crate) watch: Option<Watch>,
    pub(crate) notify: Option<Box<imap::notify::Registered>>,
}

/// The open mailbox as the client knows it.
#[derive(Debug)]
pub(crate) struct Selected {
    /// Whose mailbox it is: the own account, or that of somebody who shares it.
    pub(crate) account: Account,
    /// Its name as the client says it.
    pub(crate) name: String,
    /// What the client has been told. Sequence numbers are those of this view, until `announce` moves it on.
    pub(crate) view: Arc<View>,
    /// As of what its flags have been told: newer than `view` while messages are gone that could not be announced yet.
    pub(crate) told: Arc<View>,
    pub(crate) read_only: bool,
    pub(crate) rights: Rights,
    /// UIDs of the last search that saved its result (RFC 5182), as ascending ranges.
    pub(crate) saved: Vec<(u32, u32)>,
    /// Results that are kept up to date (RFC 5267).
    pub(crate) contexts: Vec<imap::search::context::Context>,
    /// NOTIFY shows new messages from this UID on (RFC 5465 5.2).
    pub(crate) next_to_show: u32,
    /// How many keywords the last FLAGS answer named.
    pub(crate) keywords_told: usize,
}

impl ImapSession {
    /// Begins; the machine greets unless TLS came by STARTTLS.
    #[must_use]
    pub fn new(app: Arc<App>, origin: Arc<Origin>, security: Security) -> ImapSession {
        let offer = app.imap_offer(&origin.listener, &security);
        let machine = Server::new(offer, app.settings.imap.clone(), security, net::now());
        ImapSession {
            machine,
            app,
            origin,
            exchange: Exchange::default(),
            client: String::new(),
            user: None,
            append: None,
            compressed: false,
        }
    }

    /// The open mailbox.
    pub(crate) fn selected(&self) -> Option<&Selected> {
        self.user.as_deref()?.selected.as_ref()
    }

    /// Writes what changed in the selected mailbox since the client was last told, and moves its view on. Without `expunges` (the command
    /// forbids them) messages that are gone stay in the client's view, and so do those that came after: see `imap::announce`.
    pub(crate) async fn announce(&mut self, expunges: bool) {
        imap::announce::announce(self, expunges).await;
    }

    async fn command(&mut self, command: Command, wire: &mut Wire<'_>) -> Next {
        match command {
            Command::Noop | Command::Check => return imap::noop::noop(self, wire).await,
            Command::Id(fields) => imap::noop::id(self, &fields),
            Command::Unauthenticate => imap::noop::unauthenticate(self),
            Command::Compress => return imap::noop::compress(self),
            Command::Language(tags) => imap::noop::language(self, &tags),
            Command::Comparator(names) => imap::noop::comparator(self, &names),
            Command::Idle => return imap::idle::begin(self, wire).await,
            Command::Notify(notify) => imap::notify::notify(self, notify, wire).await,
            Command::Select(select) => return imap::select::select(self, select, wire).await,
            Command::Close => imap::select::close(self).await,
            Command::Unselect => imap::select::unselect(self),
            Command::Create { mailbox, level, uses } => {
                imap::mailbox::create(self, mailbox, level, uses).await
            }
            Command::Delete(name) => imap::mailbox::delete(self, name).await,
            Command::Rename { from, to } => imap::mailbox::rename(self, from, to).await,
            Command::Subscribe(name) => imap::mailbox::subscribe(self, name, true).await,
            Command::Unsubscribe(name) => imap::mailbox::subscribe(self, name, false).await,
            Command::List(list) => imap::list::list(self, list, wire).await,
            Command::Lsub { reference, pattern } => imap::list::lsub(self, reference, pattern).await,
            Command::Namespace => imap::list::namespace(self),
            Command::Status { mailbox, items } => imap::status::status(self, mailbox, items).await,
            Command::Expunge(set) => return imap::expunge::expunge(self, set, wire).await,
            Command::Fetch(fetch) => return imap::fetch::fetch(self, fetch, wire).await,
            Command::Store(store) => return imap::store::store(self, store, wire).await,
            Command::Copy(copy) => return imap::copy::copy(self, copy, wire).await,
            Command::Search(search) => imap::search::search(self, search, wire).await,
            Command::Sort { order, search } => imap::sort::sort(self, order, search, wire).await,
            Command::Thread { by, search } => imap::thread::thread(self, by, search, wire).await,
            Command::Multisearch { sources, search } => {
                imap::multisearch::multisearch(self, sources, search, wire).await;
            }
            Command::CancelUpdate(tags) => imap::search::cancel_update(self, tags),
            Command::GetQuota(root) => imap::quota::get(self, root).await,
            Command::GetQuotaRoot(mailbox) => imap::quota::get_root(self, mailbox).await,
            Command::SetQuota { root, limits } => imap::quota::set(self, root, limits),
            Command::GetAcl(mailbox) => imap::acl::get(self, mailbox).await,
            Command::SetAcl { mailbox, identifier, how, rights } => {
                imap::acl::set(self, mailbox, identifier, how, rights).await;
            }
            Command::DeleteAcl { mailbox, identifier } => imap::acl::delete(self, mailbox, identifier).await,
            Command::ListRights { mailbox, identifier } => imap::acl::list(self, mailbox, identifier).await,
            Command::MyRights(mailbox) => imap::acl::mine(self, mailbox).await,
            Command::GetMetadata { mailbox, entries, options } => {
                imap::metadata::get(self, mailbox, entries, options).await;
            }
            Command::SetMetadata { mailbox, entries } => imap::metadata::set(self, mailbox, entries).await,
        }
        Next::Go
    }

    fn fact(&self, outcome: Outcome) {
        facts::record(
            &self.app.store,
            &self.origin,
            self.machine.security(),
            outcome,
            None,
            "",
            &self.client,
        );
    }

    fn refused(&self, refusal: Refusal) {
        match refusal {
            Refusal::Login(refusal) => self.fact(refusal.into()),
            Refusal::Syntax | Refusal::TooManyErrors => {}
        }
    }

    fn login_step(&mut self, login: Login) {
        match login {
            Login::Challenge(challenge) => self.machine.auth_challenge(&challenge),
            Login::Done(who) => {
                let account = self.app.store.account(who.account());
                let text = self.machine.tongue().say(Text::LoggedInAs, &[who.address()]);
                self.user = Some(Box::new(User { who, account, selected: None, watch: None, notify: None }));
                self.machine.logged_in(text);
            }
            Login::Denied(denied, text) => self.machine.login_failed(Code::of_denied(denied), text),
            Login::Failed(failure) => {
                let code = match failure {
                    Failure::Temporary => Code::Unavailable,
                    _ => Code::AuthenticationFailed,
                };
                self.machine.login_failed(code, login::words(failure));
            }
        }
    }
}

impl Session for ImapSession {
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
                let place = Place {
                    app: &self.app,
                    origin: &self.origin,
                    security: &security,
                    client: &self.client,
                    language,
                };
                if let Some(login) = self.exchange.turn(place, turn).await {
                    self.login_step(login);
                }
            }
            Event::Command(command) => return Box::pin(self.command(*command, wire)).await,
            Event::Append(step) => imap::append::step(self, step).await,
            Event::IdleDone => return Box::pin(imap::idle::done(self, wire)).await,
            Event::Logout => {}
            Event::Refused(refusal) => self.refused(refusal),
        }
        Next::Go
    }

    async fn wakes(&mut self) {
        imap::idle::wakes(self).await;
    }

    async fn woken(&mut self, wire: &mut Wire<'_>) -> Next {
        imap::idle::woken(self, wire).await
    }

    fn secured(self, security: Security) -> ImapSession {
        ImapSession::new(self.app, self.origin, security)
    }

    async fn ended(self, why: End) {
        super::ended(&self.app, &self.origin, self.machine.security(), &why);
    }
}

/// Messages with these numbers of `view`, as `told` knows them, or else `view`.
pub(crate) fn rows<'a>(
    view: &'a Arc<View>,
    told: &'a Arc<View>,
    seqs: Range<u32>,
) -> impl Iterator<Item = (u32, MessageRow)> + 'a {
    let same = Arc::ptr_eq(view, told);
    view.rows(seqs).map(move |(seq, row)| match same {
        true => (seq, row),
        false => (seq, told.seq(row.uid).and_then(|seq| told.row(seq)).unwrap_or(row)),
    })
}

impl Selected {
    /// Sequence numbers or UIDs of a command, as ascending ranges of sequence numbers of the client's view.
    pub(crate) fn ranges(&self, uid: bool, set: &SetOrSaved) -> Vec<Range<u32>> {
        let set = match set {
            SetOrSaved::Set(set) if uid => set.resolve(self.view.last_uid()),
            SetOrSaved::Set(set) => {
                let len = self.view.len();
                let known = set.resolve(len).into_iter().filter(|(from, _)| *from <= len);
                return known.map(|(from, to)| from..to.min(len) + 1).collect();
            }
            SetOrSaved::Saved => self.saved.clone(),
        };
        let ranges = set.into_iter().map(|(from, to)| self.view.seqs(from, to));
        ranges.filter(|range| !range.is_empty()).collect()
    }

    /// The same, refused where a sequence number is none (RFC 9051 section 9, `seq-number`): the client counts otherwise than we
    /// do. A UID that is not there is nothing.
    pub(crate) fn numbers(&self, uid: bool, set: &SetOrSaved) -> Result<Vec<Range<u32>>, No> {
        if let SetOrSaved::Set(set) = set
            && !uid
        {
            let len = self.view.len();
            // `*` is the last message; where there is none, it is none.
            let beyond = |number: u32| (number != STAR && number > len) || len == 0;
            if set.0.iter().any(|(a, b)| beyond(*a) || beyond(*b)) {
                return Err(No::bad(None, Text::NoSuchNumber).with(len));
            }
        }
        Ok(self.ranges(uid, set))
    }

    /// UIDs of a command of UIDs, as ascending ranges, whether they exist or not; up to `last`.
    pub(crate) fn uids(&self, set: &SetOrSaved, last: u32) -> Vec<(u32, u32)> {
        match set {
            SetOrSaved::Set(set) => set.resolve(last),
            SetOrSaved::Saved => self.saved.clone(),
        }
    }

    /// Ranges of sequence numbers as ranges of UIDs. Between two neighbours of the client's view no UID is ever born,
    /// so that such a range holds nothing that the client does not know of.
    pub(crate) fn uid_ranges(&self, seqs: &[Range<u32>]) -> Vec<(u32, u32)> {
        let uid = |seq| self.view.uid(seq);
        seqs.iter().filter_map(|range| Some((uid(range.start)?, uid(range.end.checked_sub(1)?)?))).collect()
    }
}
