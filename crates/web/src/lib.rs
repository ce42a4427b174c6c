//! HTTP and HTML: client discovery, the guide, the doctor's page. Reaches data only through `server`; knows no keys
//! of the store and speaks no mail protocol.
//!
//! A request becomes an [`ask::Ask`], [`route`] says what it is for and by which methods, a room gives
//! an [`answer::Answer`], and [`headers`] dresses it.
//!
//! What must hold: nothing depends on whether an account exists; nothing personal is
//! answered in clear; nothing from a request stands in an answer unescaped; a page works without scripts.

mod answer;
mod apple;
mod ask;
mod clear;
mod discovery;
pub mod doctor;
mod guide;
mod headers;
mod page;
mod route;
mod sign_in;
mod words;

use answer::Answer;
use apple::Links;
use ask::Ask;
use net::https::{self, Handler, Peer};
use net::tls::Certificates;
use page::Assets;
use proto::address::Address;
use proto::service::policy::DomainPolicy;
use proto::service::publish::Published;
use proto::service::{Protection, Protocol};
use route::Route;
use server::app::App;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// The pages of a running service.
#[derive(Debug)]
pub struct Web {
    inner: Arc<Inner>,
}

/// What all requests share.
struct Inner {
    app: Arc<App>,
    certificates: Arc<Certificates>,
    links: Links,
    assets: Assets,
    /// Where mail is examined; `None` where the operator does not offer it.
    surgery: Option<doctor::Surgery>,
}

impl Web {
    /// The pages above this service. The certificates sign profiles.
    #[must_use]
    pub fn new(app: Arc<App>, certificates: Arc<Certificates>) -> Web {
        let surgery = doctor::Surgery::of(&app.settings);
        Web::with_surgery(app, certificates, surgery)
    }

    /// The same with a doctor whose means are the caller's.
    #[must_use]
    pub fn with_surgery(
        app: Arc<App>,
        certificates: Arc<Certificates>,
        surgery: Option<doctor::Surgery>,
    ) -> Web {
        let inner = Inner { app, certificates, links: Links::default(), assets: Assets::new(), surgery };
        Web { inner: Arc::new(inner) }
    }
}

/// [`Web`] as the service starts it.
#[must_use]
pub fn pages(app: Arc<App>, certificates: Arc<Certificates>) -> Arc<dyn Handler> {
    Arc::new(Web::new(app, certificates))
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").finish_non_exhaustive()
    }
}

impl Handler for Web {
    fn handle(
        &self,
        peer: Peer,
        request: https::Request,
    ) -> Pin<Box<dyn Future<Output = https::Response> + Send>> {
        let inner = self.inner.clone();
        Box::pin(async move {
            let ask = Ask::new(peer, request);
            let answer = inner.answer(&ask).await;
            tracing::debug!(
                peer = %ask.peer.ends.peer.ip(),
                encrypted = ask.encrypted(),
                method = %ask.method,
                host = ask.host,
                path = ask.path,
                status = answer.status.as_u16(),
                "answered"
            );
            headers::dress(&ask, answer)
        })
    }
}

impl Inner {
    async fn answer(&self, ask: &Ask) -> Answer {
        if !ask.encrypted() {
            return clear::answer(self, ask);
        }
        let Some(route) = Route::of(&ask.path) else { return page::not_found(self, ask) };
        match route.admits(&ask.method) {
            route::Admitted::Answer => self.page(ask, route).await,
            route::Admitted::Options => Answer::options(route.methods()),
            route::Admitted::No => Answer::method_not_allowed(route.methods()),
        }
    }

    async fn page(&self, ask: &Ask, route: Route<'_>) -> Answer {
        match route {
            Route::Front => page::front(self, ask),
            Route::Guide(path) => guide::answer(self, ask, path),
            Route::Doctor => doctor::answer(self, ask).await,
            Route::AppleForm => apple::form(self, ask),
            Route::AppleLink(token) => apple::link(self, ask, token),
            Route::AppleProfile(token) => apple::profile(self, ask, token),
            Route::AppleCode(token) => apple::code(self, ask, token),
            Route::Style(hash) => self.assets.style(self, ask, hash),
            Route::Icon => Assets::icon(),
            Route::Robots => Assets::robots(),
            Route::Autoconfig => discovery::autoconfig(self, ask),
            Route::Autodiscover => discovery::autodiscover(self, ask),
            Route::AutodiscoverJson(address) => discovery::autodiscover_json(self, ask, address),
            Route::Pacc => discovery::pacc(self, ask),
            Route::MtaSts => discovery::mta_sts(self, ask),
            // The authority asks in clear.
            Route::Challenge(token) => clear::challenge(self, token),
        }
    }

    /// What is told to the reader of a page: the view of the address's domain, of the host's, or of the service in general.
    ///
    /// # Errors
    /// The address is of a domain that is not ours; the words are the domain.
    fn published(&self, ask: &Ask, address: Option<&Address>) -> Result<Published, String> {
        if let Some(address) = address {
            return self.app.published(address.domain()).ok_or_else(|| address.domain().to_owned());
        }
        let own = self.app.domain_of_host(&ask.host).and_then(|domain| self.app.published(&domain));
        // A domain that is nobody's (RFC 2606) stands where none is known.
        Ok(own.unwrap_or_else(|| {
            Published::new(&self.app.settings.model, "example.org", &DomainPolicy::default())
        }))
    }

    /// Is this a name under which the service itself is asked? The name in a request is the client's word.
    fn is_own_host(&self, host: &str) -> bool {
        host == self.app.settings.model.host || self.app.domain_of_host(host).is_some()
    }

    /// The start of a URL of the web pages under `host`: `https://mail.example.org`, with the port if it is another than HTTPS' own.
    fn start_under(&self, host: &str) -> Option<String> {
        let listeners = &self.app.settings.model.listeners;
        let web = |protection| {
            listeners.iter().find(move |l| l.protocol == Protocol::Web && l.protection == protection)
        };
        let port = web(Protection::Implicit)?.port;
        Some(match port {
            proto::service::ports::HTTPS => format!("https://{host}"),
            port => format!("https://{host}:{port}"),
        })
    }
}
