//! Starting and stopping the service: the store, the listeners, the operator's
//! socket, what runs beside them, in order and back.

use crate::app::{App, Settings};
use crate::auth::{Auth, password};
use crate::control::SOCKET;
use crate::control::operator::Operator;
use crate::facts;
use crate::session::Origin;
use crate::session::imap::ImapSession;
use crate::session::pop3::Pop3Session;
use crate::session::smtp::SmtpSession;
use net::drive::{Ends, Session};
use net::listen::{self, Bound, Full, Gate, Means, Service};
use net::local::Local;
use net::tls::{Certificates, Failure, Shared};
use proto::advice;
use proto::machine::Tick;
use proto::proof::Security;
use proto::service::{Listener, Protocol};
use std::fmt;
use std::net::SocketAddr;
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
    pub async fn start(mut settings: Settings) -> Result<Running, StartError> {
        let certificates =
            Certificates::load(settings.certificates.clone()).map_err(StartError::Certificate)?;
        let shared = Shared::new(certificates.clone()).map_err(StartError::Certificate)?;
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
        let local = Local::bind(&app.settings.data.join(SOCKET)).map_err(StartError::Control)?;
        let (stop, stopping) = watch::channel(false);
        let gate = Gate::new(app.settings.connections);
        let mut running =
            Running { app, addresses: Vec::new(), stop, listeners: JoinSet::new(), beside: JoinSet::new() };
        for bound in bound {
            let protocol = bound.listener().protocol;
            let client_ca = running.app.settings.client_ca.as_deref();
            let acceptor = shared
                .acceptor(protocol, client_ca, running.app.settings.handshake)
                .map_err(StartError::Certificate)?;
            let means = Means {
                tls: Some(Arc::new(acceptor)),
                gate: gate.clone(),
                limits: running.app.settings.drive,
                shutdown: stopping.clone(),
            };
            running.listen(bound, means);
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

    fn listen(&mut self, bound: Bound, means: Means) {
        let listener = Arc::new(bound.listener().clone());
        for address in bound.addresses() {
            self.addresses.push((listener.clone(), *address));
        }
        let reception = Reception { app: self.app.clone(), busy: busy_line(listener.protocol), listener };
        match reception.listener.protocol {
            Protocol::Pop3 => {
                let front = Front { reception, begin: Pop3Session::new };
                self.listeners.spawn(bound.serve(Arc::new(front), means));
            }
            Protocol::Imap => {
                let front = Front { reception, begin: ImapSession::new };
                self.listeners.spawn(bound.serve(Arc::new(front), means));
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
    let operator = Operator::new(app.store.clone(), settings.auth.cost, settings.mail.header_bytes_max);
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
        Protocol::Smtp | Protocol::Submission | Protocol::Lmtp => format!("421 4.7.0 {text}\r\n"),
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
