//! Starting and stopping the service: the store, the listeners, the operator's
//! socket, what runs beside them, in order and back.

use crate::app::{App, Settings};
use crate::auth::{Auth, password};
use crate::certificate;
use crate::control::SOCKET;
use crate::control::operator::Operator;
use crate::facts;
use crate::session::Origin;
use crate::session::imap::ImapSession;
use crate::session::pop3::Pop3Session;
use crate::session::smtp::SmtpSession;
use net::drive::{self, Ends, Session};
use net::https;
use net::listen::{self, Bound, Full, Gate, Means, Service};
use net::local::Local;
use net::tls::{self, Certificates, Failure, Shared};
use proto::advice;
use proto::machine::Tick;
use proto::proof::Security;
use proto::service::{Listener, Protocol};
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often certificate files are looked at.
const CERTIFICATES_LOOK: Duration = Duration::from_secs(5);

/// Why the service did not start; each says who must act.
#[derive(Debug)]
pub enum StartError {
    /// The store cannot be opened.
    Store(store::Error),
    /// The cost of passwords in the settings is impossible.
    Password(password::Refused),
    /// A certificate cannot be used.
    Certificate(net::tls::CertificateError),
    /// A socket is taken by another program.
    AddressInUse(listen::BindError),
    /// A socket cannot be had for another reason.
    Bind(listen::BindError),
    /// The operator's socket cannot be made.
    Control(std::io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Store(error) => error.fmt(f),
            StartError::Password(error) => error.fmt(f),
            StartError::Certificate(error) => error.fmt(f),
            StartError::AddressInUse(error) | StartError::Bind(error) => error.fmt(f),
            StartError::Control(error) => {
                write!(f, "cannot make the operator's socket in the data directory: {error}")
            }
        }
    }
}

impl std::error::Error for StartError {}

/// What serves the web listeners, made of the running service and its certificates. This room knows no HTTP;
/// without pages ([`Running::start`]'s `None`) web listeners are not opened.
pub type Pages = fn(Arc<App>, Arc<Certificates>) -> Arc<dyn https::Handler>;

/// A service that runs.
#[derive(Debug)]
pub struct Running {
    app: Arc<App>,
    addresses: Vec<(Arc<Listener>, SocketAddr)>,
    stop: watch::Sender<bool>,
    listeners: JoinSet<()>,
    beside: JoinSet<()>,
}

impl Running {
    /// Opens the store, binds every listener, and begins to serve.
    ///
    /// # Errors
    /// Nothing is left running then.
    pub async fn start(mut settings: Settings, pages: Option<Pages>) -> Result<Running, StartError> {
        if pages.is_none() {
            settings.model.listeners.retain(|listener| listener.protocol != Protocol::Web);
        }
        let (certificates, keeper) = certificate::load(&settings).map_err(StartError::Certificate)?;
        let bound = bind_all(&settings)?;
        // Where the system chose a port, texts must name that one.
        for (listener, bound) in settings.model.listeners.iter_mut().zip(&bound) {
            listener.port = bound.addresses().first().map_or(listener.port, SocketAddr::port);
        }
        let (data, options) = (settings.data.clone(), settings.store.clone());
        let opened = tokio::task::spawn_blocking(move || Store::open(&data, options)).await;
        let store = opened.unwrap_or(Err(store::Error::Closed)).map_err(StartError::Store)?;
        let auth = Auth::new(store.clone(), settings.auth.clone()).map_err(StartError::Password)?;
        let app = App::new(store, auth, settings).map_err(StartError::Store)?;
        let shared = Shared::new(certificates.clone()).map_err(StartError::Certificate)?;
        let shared = shared.proving(&app.challenges).map_err(StartError::Certificate)?;
        let local = Local::bind(&app.settings.data.join(SOCKET)).map_err(StartError::Control)?;
        let (stop, stopping) = watch::channel(false);
        let gate = Gate::new(app.settings.connections);
        let pages = pages.map(|pages| pages(app.clone(), certificates.clone()));
        let mut running =
            Running { app, addresses: Vec::new(), stop, listeners: JoinSet::new(), beside: JoinSet::new() };
        for bound in bound {
            let protocol = bound.listener().protocol;
            let settings = &running.app.settings;
            let client_ca = settings.client_ca.as_deref();
            let acceptor = if protocol == Protocol::Web && settings.model.mail_on_web {
                shared.acceptor_with_mail(client_ca, settings.handshake)
            } else {
                shared.acceptor(protocol, client_ca, settings.handshake)
            };
            let acceptor = acceptor.map_err(StartError::Certificate)?;
            let means = Means {
                tls: Some(Arc::new(acceptor)),
                gate: gate.clone(),
                limits: running.app.settings.drive,
                shutdown: stopping.clone(),
                greeting_wait: Duration::from_millis(u64::from(
                    running.app.settings.model.greeting_wait_millis,
                )),
            };
            running.listen(bound, means, pages.as_ref());
        }
        running.app.warn_of_rules(|host| certificates.covers(host));
        if let Some(keeper) = keeper {
            running.beside.spawn(keeper.run(running.app.clone(), certificates.clone()));
        }
        if running.app.settings.staple {
            let (data, keeper) = (&running.app.settings.data, running.app.certificate_wishes.clone());
            let stapler = certificate::staple::Stapler::new(data, keeper);
            running.beside.spawn(stapler.run(certificates.clone()));
        }
        running.beside.spawn(certificates.watch(CERTIFICATES_LOOK, stopping));
        running.beside.spawn(operate(running.app.clone(), local));
        match crate::deliver::resume(&running.app).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "deliveries of the last run go on"),
            Err(error) => tracing::error!(%error, "deliveries of the last run cannot be read"),
        }
        Ok(running)
    }

    fn listen(&mut self, bound: Bound, means: Means, pages: Option<&Arc<dyn https::Handler>>) {
        let listener = Arc::new(bound.row());
        for address in bound.addresses() {
            self.addresses.push((listener.clone(), *address));
        }
        let reception = Reception::new(&self.app, listener);
        match reception.listener.protocol {
            Protocol::Pop3 => {
                let front = Front { reception, begin: Pop3Session::new };
                self.listeners.spawn(bound.serve(Arc::new(front), means));
            }
            Protocol::Imap => {
                let front = Front { reception, begin: ImapSession::new };
                self.listeners.spawn(bound.serve(Arc::new(front), means));
            }
            Protocol::Web => {
                let Some(pages) = pages.cloned() else { return };
                let mail = MailOnWeb::new(&reception, &means);
                let limits = self.app.settings.web;
                let front = Arc::new(WebFront { reception, pages, mail });
                self.listeners.spawn(https::serve(bound, front, means, limits));
            }
            Protocol::Smtp | Protocol::Submission | Protocol::Lmtp => {
                let front = Front { reception, begin: SmtpSession::new };
                self.listeners.spawn(bound.serve(Arc::new(front), means));
            }
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &[(Arc<Listener>, SocketAddr)] {
        &self.addresses
    }

    /// What its sessions share.
    #[must_use]
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Stops: no new connection, running commands finish, deliveries finish, the store closes.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.listeners.join_next().await.is_some() {}
        let grace = Duration::from_secs(u64::from(self.app.settings.drive.stop_seconds_max));
        if tokio::time::timeout(grace, self.app.deliveries.finished()).await.is_err() {
            tracing::warn!("deliveries are left for the next start");
        }
        self.beside.shutdown().await;
        // A file that stays behind is replaced at the next start.
        let _ = std::fs::remove_file(self.app.settings.data.join(SOCKET));
        let store = self.app.store.clone();
        match tokio::task::spawn_blocking(move || store.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "the store did not close well; nothing acknowledged is lost")
            }
            Err(_) => tracing::error!("the store did not close well; nothing acknowledged is lost"),
        }
    }
}

fn bind_all(settings: &Settings) -> Result<Vec<Bound>, StartError> {
    let bind = |listener| {
        listen::bind(listener).map_err(|error| {
            if error.kind() == std::io::ErrorKind::AddrInUse {
                StartError::AddressInUse(error)
            } else {
                StartError::Bind(error)
            }
        })
    };
    settings.model.listeners.iter().map(bind).collect()
}

/// Serves the operator's socket.
async fn operate(app: Arc<App>, local: Local) {
    let settings = &app.settings;
    let operator = Operator::new(app.store.clone(), settings).in_service(app.certificate_wishes.clone());
    // Dropped with this task, which ends the connections too.
    let mut connections = JoinSet::new();
    loop {
        let mut pipe = match local.accept().await {
            Ok(pipe) => pipe,
            Err(error) => {
                tracing::error!(%error, "the operator's socket fails");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let (operator, app) = (operator.clone(), app.clone());
        connections.spawn(async move {
            if let Err(error) = operator.serve(&mut pipe).await {
                tracing::debug!(%error, "the operator's connection broke");
            }
            if let Err(error) = app.refresh() {
                tracing::error!(%error, "the directory cannot be read again");
            }
        });
    }
}

/// What a listener's connections need to begin.
#[derive(Debug)]
struct Reception {
    app: Arc<App>,
    listener: Arc<Listener>,
    busy: String,
}

impl Reception {
    fn new(app: &Arc<App>, listener: Arc<Listener>) -> Reception {
        Reception { app: app.clone(), busy: busy_line(listener.protocol), listener }
    }

    fn origin(&self, ends: Ends) -> Origin {
        Origin { ends, listener: self.listener.clone(), id: self.app.next_id() }
    }

    fn handshake_failed(&self, ends: Ends, failure: &Failure) {
        let origin = self.origin(ends);
        facts::record_handshake(&self.app.store, &origin, failure);
        tracing::info!(
            session = origin.id_text(),
            protocol = origin.protocol_word(),
            peer = %ends.peer,
            ?failure,
            "handshake failed"
        );
    }

    fn turned_away(&self, ends: Ends, limit: Full) {
        let listener = self.listener.name.as_str();
        tracing::warn!(listener, peer = %ends.peer, ?limit, "connection turned away: too many are open");
    }

    fn not_tls_line(&self) -> Option<Vec<u8>> {
        let text = advice::tls_from_the_start();
        let line = match self.listener.protocol {
            Protocol::Pop3 => format!("-ERR {text}\r\n"),
            Protocol::Imap => format!("* BYE {text}\r\n"),
            Protocol::Web => return None,
            Protocol::Smtp | Protocol::Submission | Protocol::Lmtp => format!("554 5.7.0 {text}\r\n"),
        };
        Some(line.into_bytes())
    }
}

fn busy_line(protocol: Protocol) -> String {
    let text = "Too many connections are open, try again later";
    match protocol {
        Protocol::Pop3 => format!("-ERR [SYS/TEMP] {text}\r\n"),
        Protocol::Imap => format!("* BYE [UNAVAILABLE] {text}\r\n"),
        Protocol::Web => String::new(),
        Protocol::Smtp | Protocol::Submission | Protocol::Lmtp => format!("421 4.7.0 {text}\r\n"),
    }
}

/// A web listener: what it says is the pages' business, what befalls it is noted here as elsewhere.
struct WebFront {
    reception: Reception,
    pages: Arc<dyn https::Handler>,
    mail: MailOnWeb,
}

/// The sessions of clients that ask for mail by ALPN on the web's port.
struct MailOnWeb {
    imap: Front<ImapSession>,
    submission: Front<SmtpSession>,
    limits: drive::Limits,
    shutdown: watch::Receiver<bool>,
}

impl MailOnWeb {
    fn new(web: &Reception, means: &Means) -> MailOnWeb {
        let reception = |protocol| {
            let listener = Listener { protocol, ..(*web.listener).clone() };
            Reception::new(&web.app, Arc::new(listener))
        };
        MailOnWeb {
            imap: Front { reception: reception(Protocol::Imap), begin: ImapSession::new },
            submission: Front { reception: reception(Protocol::Submission), begin: SmtpSession::new },
            limits: means.limits,
            shutdown: means.shutdown.clone(),
        }
    }

    fn carry<S: Session + 'static>(
        &self,
        front: &Front<S>,
        stream: net::Stream,
        security: Security,
        ends: Ends,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let session = front.open(ends, security, net::now());
        Box::pin(drive::drive(stream, None, session, self.limits, self.shutdown.clone()))
    }
}

impl https::Handler for WebFront {
    fn handle(
        &self,
        peer: https::Peer,
        request: https::Request,
    ) -> Pin<Box<dyn Future<Output = https::Response> + Send>> {
        self.pages.handle(peer, request)
    }

    fn other(
        &self,
        asked: &[u8],
        stream: net::Stream,
        security: Security,
        ends: Ends,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match asked {
            tls::IMAP_ON_WEB => self.mail.carry(&self.mail.imap, stream, security, ends),
            tls::SUBMISSIONS_ON_WEB => self.mail.carry(&self.mail.submission, stream, security, ends),
            // The acceptor agrees to no other name.
            _ => Box::pin(async { drop(stream) }),
        }
    }

    fn handshake_failed(&self, ends: Ends, failure: &Failure) {
        self.reception.handshake_failed(ends, failure);
    }

    fn turned_away(&self, ends: Ends, limit: Full) {
        self.reception.turned_away(ends, limit);
    }
}

/// A listener's connections, each with a session of this kind.
struct Front<S> {
    reception: Reception,
    begin: fn(Arc<App>, Arc<Origin>, Security) -> S,
}

impl<S: Session + 'static> Service for Front<S> {
    type Session = S;

    fn open(&self, ends: Ends, security: Security, _now: Tick) -> S {
        let origin = Arc::new(self.reception.origin(ends));
        (self.begin)(self.reception.app.clone(), origin, security)
    }

    fn handshake_failed(&self, ends: Ends, failure: &Failure) {
        self.reception.handshake_failed(ends, failure);
    }

    fn turned_away(&self, ends: Ends, limit: Full) {
        self.reception.turned_away(ends, limit);
    }

    fn busy_line(&self) -> &[u8] {
        self.reception.busy.as_bytes()
    }

    fn not_tls_line(&self) -> Option<Vec<u8>> {
        self.reception.not_tls_line()
    }
}
