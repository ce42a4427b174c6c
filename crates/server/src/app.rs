//! What all sessions of a running service share, and the settings it runs by.

use crate::auth::Auth;
use crate::clock::unix_now;
use crate::maildrop::Maildrops;
use crate::publish::Domains;
use proto::advice::{self, Encrypted};
use proto::discovery::mta_sts::{self, Mode};
use proto::language::Language;
use proto::proof::Security;
use proto::sasl::Mechanism;
use proto::service::policy::offered;
use proto::service::publish::Published;
use proto::service::{Listener, Model, Protection, Protocol};
use proto::{imap, pop3, smtp};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use store::Store;

/// Everything the operator decides, as plain values.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the store and the operator's socket live.
    pub data: PathBuf,
    /// The service model: host and listeners.
    pub model: Model,
    /// Certificate chains and keys, the default first.
    pub certificates: Vec<net::tls::Pair>,
    /// Ask the authorities' OCSP responders, and staple what they say.
    pub staple: bool,
    /// Certificates that are ordered; `None` orders none.
    pub acme: Option<crate::certificate::Settings>,
    /// Authorities whose client certificates are trusted for EXTERNAL.
    pub client_ca: Option<PathBuf>,
    /// Limits of a TLS handshake.
    pub handshake: net::tls::Limits,
    /// Limits of the loop that moves bytes.
    pub drive: net::drive::Limits,
    /// Limits on connections.
    pub connections: net::listen::Limits,
    /// Limits of SMTP conversations.
    pub smtp: smtp::server::Limits,
    /// Limits of POP3 conversations.
    pub pop3: pop3::server::Limits,
    /// Limits of IMAP conversations.
    pub imap: imap::server::Limits,
    /// What is done to and asked of messages.
    pub mail: MailSettings,
    /// Seconds between two logins to one maildrop; 0 for none.
    pub pop3_login_delay_seconds: u32,
    /// Who may have mail examined on the web pages.
    pub doctor: Doctor,
    /// Passwords and guessing.
    pub auth: crate::auth::Settings,
    /// The store's options.
    pub store: store::Options,
    /// Limits of HTTP connections.
    pub web: net::https::Limits,
    /// What is promised of all domains to other servers.
    pub promises: Promises,
}

/// What the operator promises of all domains to others, in DNS and in policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Promises {
    /// The one authority that may make certificates, as CAA names it; `None`: that of ACME, as it calls itself.
    pub ca: Option<String>,
    /// Where reports on forged mail go (DMARC).
    pub dmarc_reports: Option<String>,
    /// Where reports on encryption go (TLS-RPT).
    pub tls_reports: Option<String>,
    /// The mode of MTA-STS policies; `None`: as strict as the certificate allows.
    pub mta_sts: Option<Mode>,
}

impl Settings {
    /// The MTA-STS policy of a domain, and whether the certificate covers its host decides what it may demand. None
    /// where no mail comes in or no web serves it.
    #[must_use]
    pub fn mta_sts(&self, published: &Published, covered: bool) -> Option<String> {
        published.web.as_ref()?;
        mta_sts::render(published, Mode::effective(self.promises.mta_sts, covered))
    }
}

/// Who may have the connection to their mail examined on the web pages, here or at any other provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Doctor {
    /// Nobody.
    Off,
    /// People who have an account here, signed in.
    #[default]
    Accounts,
    /// Whoever asks, within the limits of the page.
    Everyone,
}

/// What is done to and asked of messages.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// Octets of a message's header.
    pub header_bytes_max: usize,
    /// `Received` fields before a message is taken for looping (RFC 5321 6.3).
    pub received_max: usize,
    /// Lone CR or LF becomes CRLF; otherwise the message is refused.
    pub normalise_newlines: bool,
    /// The From field of submitted mail must belong to the account, as the envelope's sender must.
    pub from_must_match: bool,
}

impl Default for MailSettings {
    fn default() -> MailSettings {
        MailSettings {
            header_bytes_max: 256 << 10,
            received_max: 100,
            normalise_newlines: false,
            from_must_match: false,
        }
    }
}

/// A running service.
#[derive(Debug)]
pub struct App {
    /// What lasts.
    pub store: Store,
    /// Who is who.
    pub auth: Auth,
    /// POP3's locks.
    pub maildrops: Maildrops,
    /// The operator's decisions.
    pub settings: Settings,
    /// Answers to an ACME authority that are waited for.
    pub challenges: net::acme::Challenges,
    /// What the operator wants of the keeper of certificates.
    pub certificate_wishes: crate::certificate::Wishes,
    /// Background deliveries, counted so that a stop can wait for them.
    pub deliveries: crate::tasks::Tasks,
    ids: AtomicU64,
    /// Domains and their rules.
    domains: RwLock<Arc<Domains>>,
}

impl App {
    /// Puts the parts together.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn new(store: Store, auth: Auth, settings: Settings) -> Result<Arc<App>, store::Error> {
        // Ids of one process count up from a random start, so that two runs rarely meet.
        let start: u64 = rand::random::<u64>() >> 14;
        let app = App {
            store,
            auth,
            maildrops: Maildrops::default(),
            settings,
            challenges: net::acme::Challenges::default(),
            certificate_wishes: crate::certificate::Wishes::default(),
            deliveries: crate::tasks::Tasks::default(),
            ids: AtomicU64::new(start),
            domains: RwLock::default(),
        };
        app.refresh()?;
        Ok(Arc::new(app))
    }

    /// Reads again what is kept of the directory: after the operator changed it.
    pub fn refresh(&self) -> Result<(), store::Error> {
        let read = Domains::read(self.store.directory(), &self.settings.model)?;
        *self.domains.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
        Ok(())
    }

    /// A fresh id for a session or a message.
    pub fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// The domains as they were read last.
    pub(crate) fn domains(&self) -> Arc<Domains> {
        self.domains.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Mechanisms to offer on a connection in this state: what some account may use here. A client that asked
    /// for a host of one of our domains is offered what that domain has.
    #[must_use]
    pub fn mechanisms(&self, listener: &Listener, security: &Security) -> Vec<Mechanism> {
        let name = security.tls().and_then(|tls| tls.server_name.as_deref());
        let domains = self.domains();
        offered(&self.settings.model, domains.rules_for(name), listener, security, unix_now())
    }

    /// What an SMTP or LMTP listener says of itself.
    #[must_use]
    pub fn smtp_offer(&self, listener: &Listener, security: &Security) -> smtp::server::Offer {
        let role = match listener.protocol {
            Protocol::Submission => smtp::Role::Submission,
            Protocol::Lmtp => smtp::Role::Lmtp,
            _ => smtp::Role::Exchange,
        };
        smtp::server::Offer {
            host: self.settings.model.host.clone(),
            role,
            starttls: upgrades(listener, security),
            mechanisms: self.mechanisms(listener, security),
            needs_tls_text: advice::needs_tls(
                Encrypted::of(&self.settings.model, listener.protocol),
                Language::default(),
            ),
            normalise_newlines: self.settings.mail.normalise_newlines,
        }
    }

    /// What an IMAP listener says of itself.
    #[must_use]
    pub fn imap_offer(&self, listener: &Listener, security: &Security) -> imap::server::Offer {
        let mechanisms = self.mechanisms(listener, security);
        imap::server::Offer {
            host: self.settings.model.host.clone(),
            starttls: upgrades(listener, security),
            login: mechanisms.contains(&Mechanism::Plain),
            mechanisms,
            compress: true,
            encrypted: Encrypted::of(&self.settings.model, listener.protocol),
            append_bytes_max: self.settings.smtp.message_bytes_max,
            message_limit: None,
        }
    }

    /// What a POP3 listener says of itself.
    #[must_use]
    pub fn pop3_offer(&self, listener: &Listener, security: &Security) -> pop3::server::Offer {
        let mechanisms = self.mechanisms(listener, security);
        pop3::server::Offer {
            host: self.settings.model.host.clone(),
            stls: upgrades(listener, security),
            user: mechanisms.contains(&Mechanism::Plain),
            mechanisms,
            encrypted: Encrypted::of(&self.settings.model, listener.protocol),
            expire_days: None,
            login_delay_seconds: self.settings.pop3_login_delay_seconds,
        }
    }
}

/// True where the connection is in clear and can be upgraded.
fn upgrades(listener: &Listener, security: &Security) -> bool {
    let begins_clear = listener.protection == Protection::StartTls || listener.either_way;
    begins_clear && !security.is_encrypted()
}
