//! The settings of certificates that are ordered, and whether all settings together give a certificate at all.

use super::read::Answers;
use super::{Acme, Builder, Settings};
use proto::service::{Protection, Protocol, ports};

impl Builder<'_, '_> {
    pub(super) fn acme(&mut self) -> Option<Acme> {
        let directory = self.text("acme.directory");
        let acme = Acme {
            directory: directory.clone().unwrap_or_default(),
            contact: self.text("acme.contact"),
            ca: self.path("acme.ca"),
            names: self.hosts("acme.names").unwrap_or_default(),
            on_demand: self.switch("acme.on_demand").unwrap_or_default(),
            challenge: self.text("acme.challenge"),
            renew_before_seconds: self.u32("acme.renew_before"),
            keep_key: self.switch("acme.keep_key").unwrap_or_default(),
        };
        if !directory.as_deref()?.starts_with("https://") {
            self.answers.mistake(
                "acme.directory",
                "the authority's directory must be asked over HTTPS".to_owned(),
                "write the URL that the authority names, beginning with https://".to_owned(),
            );
        }
        if let Some(contact) = &acme.contact {
            self.must_be_address("acme.contact", contact, "postmaster@example.org");
        }
        if self.switch("acme.terms_agreed") != Some(true) {
            self.answers.mistake(
                "acme.terms_agreed",
                "certificates are ordered only by those who agree to the authority's terms".to_owned(),
                "read them, then write terms_agreed = true".to_owned(),
            );
        }
        Some(acme)
    }

    /// Notes a mistake at `path` if this is no mail address that can stand in a URI of ours.
    pub(super) fn must_be_address(&mut self, path: &str, address: &str, example: &str) {
        if !is_address(address) {
            self.answers.mistake(
                path,
                "this is no mail address".to_owned(),
                format!("write one such as \"{example}\""),
            );
        }
    }
}

/// Is there a certificate, or a way to one?
pub(super) fn check(settings: &Settings, answers: &mut Answers<'_>) {
    let Some(acme) = &settings.acme else {
        if answers.count("tls.certificates") == 0 {
            answers.mistake(
                "tls.certificates",
                "there is no certificate, and without one nothing can be served".to_owned(),
                "add [[tls.certificates]] with chain and key, or [acme] to order one".to_owned(),
            );
        }
        return;
    };
    let port = |protection| {
        let mut listeners = settings.model.listeners.iter();
        listeners.find(|l| l.protocol == Protocol::Web && l.protection == protection).map(|l| l.port)
    };
    let (clear, tls) = (port(Protection::Clear), port(Protection::Implicit));
    let (what, remedy) = match acme.challenge.as_deref() {
        Some("http-01") if clear.is_none() => (
            "\"http-01\" needs a listener of the web without TLS, and there is none",
            "add one, or choose \"tls-alpn-01\"",
        ),
        Some("tls-alpn-01") if tls.is_none() => (
            "\"tls-alpn-01\" needs a listener of the web with TLS, and there is none",
            "add one, or choose \"http-01\"",
        ),
        _ if clear.is_none() && tls.is_none() => (
            "the authority verifies names at a listener of the web, and there is none",
            "add [[listener]] with protocol = \"web\"",
        ),
        _ => {
            let asked = [(clear, ports::HTTP, "http-01"), (tls, ports::HTTPS, "tls-alpn-01")];
            let moved = |(port, registered, word): &(Option<u16>, u16, &str)| {
                port.is_none_or(|port| port != *registered)
                    || acme.challenge.as_deref().is_some_and(|c| c != *word)
            };
            if asked.iter().all(moved) {
                let what = format!(
                    "the authority asks at port {} or {}, and no listener of the web is there",
                    ports::HTTP,
                    ports::HTTPS
                );
                let remedy = "this is right only where something in front leads those ports to ours";
                answers.warning("acme.directory", what, remedy.to_owned());
            }
            return;
        }
    };
    let place = if acme.challenge.is_some() { "acme.challenge" } else { "acme.directory" };
    answers.mistake(place, what.to_owned(), remedy.to_owned());
}

fn is_address(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && domain.contains('.')
            && text.is_ascii()
            && !text.contains([' ', ',', '?', '<', '>', '%', ';', '!', '"', '\\'])
    })
}
