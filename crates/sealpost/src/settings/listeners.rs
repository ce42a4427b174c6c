//! The service model from the settings: a preset or listeners of one's own, and what both may be told beside.
//!
//! Flaws of the model are the model's own business (`proto::service::flaw`); here each gets the place in the
//! file at which the operator can mend it.

use super::Builder;
use proto::service::flaw::{Flaw, Weight};
use proto::service::preset::{Preset, registered_port};
use proto::service::{Listener, Model, Protection, Protocol};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

impl Builder<'_, '_> {
    pub(super) fn model(&mut self, preset: Preset) -> Model {
        let host = self.text("host").unwrap_or_default();
        let addresses = self.addresses("listen.addresses").unwrap_or_default();
        let mut model = preset.model(&host, &addresses);
        model.provider = self.text("provider");
        model.greeting_wait_millis = self.u32("listen.greeting_wait");
        model.mail_on_web = self.switch("listen.mail_on_web").unwrap_or_default();
        if let Some(clients) = self.switch("smtp.clients") {
            model.clients_on_exchange = clients;
        }
        if let Some(only) = self.switch("password.challenge_only") {
            model.password_sent = !only;
        }
        if self.switch("listen.web") == Some(false) {
            model.listeners.retain(|listener| listener.protocol != Protocol::Web);
        }
        let count = self.answers.count("listener");
        if count > 0 {
            let own: Option<Vec<Listener>> = (0..count).map(|i| self.listener(i, &addresses)).collect();
            // A listener that could not be made has its mistake already; flaws of a partial list would mislead.
            let Some(own) = own else { return Model { listeners: Vec::new(), ..model } };
            model.listeners = own;
        }
        self.flaws(&model, count > 0);
        model
    }

    /// Puts each flaw of the model to the key that mends it. A file without a host has its mistake already.
    fn flaws(&mut self, model: &Model, own: bool) {
        for flaw in model.validate() {
            if matches!(flaw, Flaw::NoHost) {
                continue;
            }
            let place = match flaw.listener() {
                Some(index) if own => format!("listener[{index}].{}", field(&flaw)),
                _ => key(&flaw).to_owned(),
            };
            let (what, remedy) = (flaw.to_string(), flaw.remedy().to_owned());
            match flaw.weight() {
                Weight::Error => self.answers.mistake(&place, what, remedy),
                Weight::Warning => self.answers.warning(&place, what, remedy),
            }
        }
    }

    fn listener(&mut self, index: usize, addresses: &[IpAddr]) -> Option<Listener> {
        let path = |name: &str| format!("listener[{index}].{name}");
        let word = self.text(&path("protocol"))?;
        let protocol = Protocol::from_word(&word)?;
        let security = self.text(&path("security"))?;
        let protection = match security.as_str() {
            "implicit" => Protection::Implicit,
            "starttls" => Protection::StartTls,
            _ => Protection::Clear,
        };
        let name = self.text(&path("name")).unwrap_or_else(|| format!("{word}-{security}"));
        let port = match self.number(&path("port")) {
            Some(port) => u16::try_from(port).ok(),
            // What cannot be served at all has its flaw, and needs no port for it.
            None if Flaw::unservable(protocol, protection) => Some(0),
            None => registered_port(protocol, protection),
        };
        let Some(port) = port else {
            self.answers.mistake(
                &path("security"),
                format!("listener \"{name}\" has no port, and there is no registered one for it"),
                "add port = and a number, or write security = \"starttls\"".to_owned(),
            );
            return None;
        };
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let usual = if protocol == Protocol::Lmtp { &loopback[..] } else { addresses };
        let addresses = self.addresses(&path("addresses")).unwrap_or_else(|| usual.to_vec());
        let either_way = self.switch(&path("either_way")).unwrap_or_default();
        Some(Listener { name, protocol, protection, either_way, addresses, port })
    }
}

/// Which key of a listener mends the flaw.
fn field(flaw: &Flaw) -> &'static str {
    match flaw {
        Flaw::SameSocket { .. } | Flaw::LooksLikeAnother { .. } => "port",
        Flaw::NoAddress { .. } => "addresses",
        Flaw::Unservable { .. } => "security",
        Flaw::EitherWay { .. } => "either_way",
        _ => "name",
    }
}

/// Which key mends a flaw of the whole service, or of a preset's listener.
fn key(flaw: &Flaw) -> &'static str {
    match flaw {
        Flaw::MailOnWeb => "listen.mail_on_web",
        Flaw::ClientsWithoutExchange => "smtp.clients",
        Flaw::NotCovered { .. } => "host",
        _ => "listen.preset",
    }
}
