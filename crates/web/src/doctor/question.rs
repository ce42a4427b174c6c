//! The question of a form or a link, held against what a stranger may ask.

use crate::ask::Ask;
use doctor::lookup::Endpoints;
use doctor::{Limits, Mistyped, Now, Question, Scope, Target};
use proto::guide::{self, Lang};

/// Settings of today in one question.
const NOW_MAX: usize = 4;

/// What was typed, to be shown again in the form.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed {
    pub address: String,
    pub client: String,
    pub reading: Row,
    pub sending: Row,
    /// Settings in the words of `sealpost doctor --now`, from a link.
    pub now: Vec<String>,
    pub json: bool,
}

/// One kind of server as it is set up today.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub protocol: String,
    pub host: String,
    pub port: String,
    pub security: String,
}

impl Typed {
    /// From the query or the form in the body; names as in the page's form, and `now`.
    pub(super) fn read(ask: &Ask) -> Typed {
        let form = ask.form();
        let get = |name: &str| -> String {
            form.get(name).or_else(|| ask.query(name)).unwrap_or_default().to_owned()
        };
        let row = |kind: &str, protocol: String| Row {
            protocol,
            host: get(&format!("{kind}-host")),
            port: get(&format!("{kind}-port")),
            security: get(&format!("{kind}-security")),
        };
        Typed {
            address: get("address"),
            client: get("client"),
            reading: row("reading", get("reading-protocol")),
            sending: row("sending", "smtp".to_owned()),
            now: get("now").split([',', ' ']).filter(|one| !one.is_empty()).map(str::to_owned).collect(),
            json: get("format") == "json",
        }
    }

    /// Is anything asked, or is the form wanted?
    pub(super) fn is_empty(&self) -> bool {
        self.address.is_empty()
    }

    /// The question.
    pub(super) fn question(
        &self,
        lang: Lang,
        limits: Limits,
        endpoints: Endpoints,
    ) -> Result<Question, Mistyped> {
        let target = Target::read(&self.address, Scope::Public)?;
        if self.now.len() > NOW_MAX {
            return Err(Mistyped::Setting);
        }
        let mut now = Vec::new();
        for text in &self.now {
            now.push(Now::read(text, Scope::Public)?);
        }
        for row in [&self.reading, &self.sending] {
            now.extend(row.now()?);
        }
        let client = guide::find(&self.client).map(|client| client.id);
        Ok(Question { now, client, scope: Scope::Public, limits, lang, endpoints, ..Question::of(target) })
    }
}

impl Row {
    /// The setting; `None` if the port was left empty.
    fn now(&self) -> Result<Option<Now>, Mistyped> {
        if self.port.is_empty() {
            return Ok(None);
        }
        Now::of(&self.protocol, &self.host, &self.port, &self.security, Scope::Public).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::service::{Protection, Protocol};

    fn typed(address: &str) -> Typed {
        Typed { address: address.to_owned(), ..Typed::default() }
    }

    fn asked(typed: &Typed) -> Result<Question, Mistyped> {
        typed.question(Lang::En, Limits::default(), Endpoints::default())
    }

    #[test]
    fn questions_stay_on_the_public_net_and_bring_no_password() {
        let question = asked(&typed("me@Example.COM")).expect("a question");
        assert_eq!(
            (question.address.as_deref(), question.domain.as_str()),
            (Some("me@example.com"), "example.com")
        );
        assert!(!question.is_host && question.password.is_none());
        assert_eq!(question.scope, Scope::Public);
        assert!(asked(&typed("mail.example.com")).expect("a question").is_host);
        for (text, mistake) in [("localhost", Mistyped::Host), ("me@localhost", Mistyped::Address)] {
            assert_eq!(asked(&typed(text)).err(), Some(mistake), "{text}");
        }
    }

    #[test]
    fn settings_of_today_come_from_fields_or_words() {
        let row = |protocol: &str, host: &str, port: &str, security: &str| Row {
            protocol: protocol.to_owned(),
            host: host.to_owned(),
            port: port.to_owned(),
            security: security.to_owned(),
        };
        let mut typed = typed("me@example.com");
        typed.reading = row("imap", "Mail.Example.com", "143", "none");
        typed.sending = row("smtp", "", "", "");
        typed.now = vec!["smtp:465:starttls".to_owned()];
        let now = asked(&typed).expect("a question").now;
        assert_eq!(now.len(), 2);
        assert_eq!((now[0].protocol, now[0].protection), (Protocol::Submission, Protection::StartTls));
        assert_eq!((now[1].host.as_deref(), now[1].port), (Some("mail.example.com"), 143));
        for (bad, mistake) in [
            (row("imap", "intranet", "143", "none"), Mistyped::Server),
            (row("imap", "", "x.example:143", "none"), Mistyped::Port),
            (row("imap", "", "143", ""), Mistyped::Security),
        ] {
            typed.reading = bad;
            assert_eq!(asked(&typed).err(), Some(mistake), "{:?}", typed.reading);
        }
        typed.reading = Row::default();
        typed.now = vec!["imap:intranet:143:none".to_owned()];
        assert_eq!(asked(&typed).err(), Some(Mistyped::Server));
        typed.now = vec!["imap:143:none".to_owned(); NOW_MAX + 1];
        assert_eq!(asked(&typed).err(), Some(Mistyped::Setting));
    }
}
