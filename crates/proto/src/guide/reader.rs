//! Who reads and what is filled in: the service's rows, the reader's address, the language.

use super::book::{Client, book};
use super::words::{Piece, Slot, Text, When};
use super::{Lang, Span};
use crate::service::publish::{Authentication, Endpoint, Published, UserForm};
use crate::service::{Protection, Protocol};

/// Octets of an address that is shown (RFC 5321 4.5.3.1: 64 before the sign, 255 behind it).
const ADDRESS_BYTES_MAX: usize = 320;

/// What fills the texts of one page.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    published: &'a Published,
    pub lang: Lang,
    client: Option<&'a Client>,
    pub incoming: Option<&'a Endpoint>,
    pub outgoing: Option<&'a Endpoint>,
    address: String,
    /// The port that a row of the page on ports speaks of.
    pub port: Option<u16>,
}

impl<'a> Reader<'a> {
    /// A reader of a page that is no client's, in front of the recommended rows.
    pub fn new(published: &'a Published, lang: Lang) -> Reader<'a> {
        let incoming = published.first(Protocol::Imap).or(published.incoming.first());
        let outgoing = published.outgoing.first();
        let address = String::new();
        let mut reader = Reader { published, lang, client: None, incoming, outgoing, address, port: None };
        reader.address = format!("{}@{}", reader.say("words.your-name"), published.domain);
        reader
    }

    /// The same reader with a client, in front of the rows that are best for it.
    pub fn with_client(mut self, client: &'a Client, incoming: Protocol) -> Reader<'a> {
        let best = |rows: &'a [Endpoint], protocol| {
            let mut rows = rows.iter().filter(move |row| row.protocol == protocol);
            let first = rows.clone().next();
            rows.find(|row| usable(row, client)).or(first)
        };
        self.client = Some(client);
        self.incoming = best(&self.published.incoming, incoming);
        self.outgoing = best(&self.published.outgoing, Protocol::Submission);
        self
    }

    /// The same reader with an address, if it looks like one; it may come from a stranger's link.
    pub fn with_address(mut self, address: Option<&str>) -> Reader<'a> {
        let fits = |address: &&str| {
            let parts = address.rsplit_once('@');
            address.len() <= ADDRESS_BYTES_MAX
                && !address.chars().any(|c| c.is_control() || c.is_whitespace())
                && parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
        };
        if let Some(address) = address.map(str::trim).filter(fits) {
            address.clone_into(&mut self.address);
        }
        self
    }

    /// Does the text's condition hold, and is there a value for each of its placeholders?
    pub fn shows(&self, text: &Text) -> bool {
        text.when.iter().all(|when| self.holds(*when))
            && text.pieces(self.lang).iter().all(|piece| match piece {
                Piece::Slot(slot) => self.value(*slot).is_some(),
                _ => true,
            })
    }

    /// The text filled in.
    pub fn spans(&self, text: &Text) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for piece in text.pieces(self.lang) {
            let span = match piece {
                Piece::Words(words) => Span::Text(words.clone()),
                Piece::Label(label) => Span::Label(label.clone()),
                Piece::Link(words, to) => match (to.strip_prefix("web:"), &self.published.web) {
                    (Some(path), Some(web)) => Span::Link(words.clone(), format!("{web}{path}")),
                    (Some(_), None) => Span::Text(words.clone()),
                    (None, _) => Span::Link(words.clone(), to.clone()),
                },
                Piece::Slot(slot) => {
                    let value = self.value(*slot).unwrap_or_default();
                    match slot {
                        Slot::InSecurity | Slot::OutSecurity | Slot::Authentication => Span::Label(value),
                        Slot::Client | Slot::Protocol | Slot::Provider | Slot::Port => Span::Text(value),
                        _ => Span::Value(value),
                    }
                }
            };
            match (spans.last_mut(), span) {
                (Some(Span::Text(before)), Span::Text(words)) => before.push_str(&words),
                (_, span) => spans.push(span),
            }
        }
        spans
    }

    /// Those of the texts that are shown, filled in.
    pub fn all(&self, texts: &[Text]) -> Vec<Vec<Span>> {
        texts.iter().filter(|text| self.shows(text)).map(|text| self.spans(text)).collect()
    }

    /// A text as words alone: for titles and cells.
    pub fn line(&self, text: &Text) -> String {
        let words = |span| match span {
            Span::Text(words) | Span::Label(words) | Span::Value(words) | Span::Link(words, _) => words,
        };
        self.spans(text).into_iter().map(words).collect()
    }

    /// A text of the book by its key. A key that is missing shows itself, and a test looks for that.
    pub fn say(&self, key: &str) -> String {
        book().words.get(key).map_or_else(|| format!("\u{27e8}{key}\u{27e9}"), |text| self.line(text))
    }

    /// The same with its links.
    pub fn say_spans(&self, key: &str) -> Vec<Span> {
        book().words.get(key).map_or_else(|| vec![Span::Text(self.say(key))], |text| self.spans(text))
    }

    /// What the client calls a field or a choice in it; the common word if it has none of its own.
    pub fn field(&self, field: &str) -> String {
        match self.client.and_then(|client| client.fields.get(field)) {
            Some(text) => self.line(text),
            None => self.say(&format!("words.field-{field}")),
        }
    }

    /// The client has a choice of how to log in.
    pub fn names_authentication(&self) -> bool {
        self.client.is_some_and(|client| client.fields.contains_key("authentication"))
    }

    /// The client cannot log in at these rows: they take challenges alone, or nothing that it can.
    pub fn shut_out(&self) -> bool {
        let Some(client) = self.client else { return false };
        self.rows().any(|row| !usable(row, client) && !other_kind(row))
    }

    /// The rows want a sign-in in the browser.
    pub fn needs_oauth(&self) -> bool {
        self.rows().any(|row| other_kind(row) && row.authentication.contains(&Authentication::OAuth2))
    }

    /// What the client calls the way to log in at a row.
    pub fn authentication(&self, row: &Endpoint) -> String {
        if row.authentication.contains(&Authentication::Password) {
            self.field("password")
        } else if row.authentication.contains(&Authentication::Challenge) {
            self.field("challenge")
        } else if row.authentication.contains(&Authentication::OAuth2) {
            self.say("words.oauth")
        } else {
            self.field("password")
        }
    }

    /// What the client calls the protection of a row.
    pub fn security(&self, row: &Endpoint) -> String {
        match row.protection {
            Protection::Implicit => self.field("implicit"),
            Protection::StartTls => self.field("starttls"),
            Protection::Clear => self.say("words.clear"),
        }
    }

    /// What to type as user name at a row.
    pub fn user(&self, row: &Endpoint) -> String {
        let (local, domain) = self.address.rsplit_once('@').unwrap_or((&self.address, ""));
        match &row.user {
            UserForm::Address => self.address.clone(),
            UserForm::LocalPart => local.to_owned(),
            UserForm::Other(form) => form
                .replace("%EMAILADDRESS%", &self.address)
                .replace("%EMAILLOCALPART%", local)
                .replace("%EMAILDOMAIN%", domain),
        }
    }

    fn rows(&self) -> impl Iterator<Item = &'a Endpoint> {
        self.incoming.into_iter().chain(self.outgoing)
    }

    fn holds(&self, when: When) -> bool {
        let incoming = |protection| self.incoming.is_some_and(|row| row.protection == protection);
        let outgoing = |protection| self.outgoing.is_some_and(|row| row.protection == protection);
        match when {
            When::Imap => self.incoming.is_some_and(|row| row.protocol == Protocol::Imap),
            When::Pop3 => self.incoming.is_some_and(|row| row.protocol == Protocol::Pop3),
            When::InImplicit => incoming(Protection::Implicit),
            When::InStartTls => incoming(Protection::StartTls),
            When::OutImplicit => outgoing(Protection::Implicit),
            When::OutStartTls => outgoing(Protection::StartTls),
            When::Password => {
                self.published.outgoing.iter().chain(&self.published.incoming).any(sends_password)
            }
            When::Challenge => {
                self.published.outgoing.iter().chain(&self.published.incoming).all(challenge_only)
            }
            When::Web => self.published.web.is_some(),
        }
    }

    fn value(&self, slot: Slot) -> Option<String> {
        let text = |text: &str| Some(text.to_owned());
        match slot {
            Slot::Address => text(&self.address),
            Slot::Domain => text(&self.published.domain),
            Slot::Provider => text(&self.published.provider),
            Slot::Client => self.client.map(|client| self.line(&client.name)),
            Slot::Protocol => self.incoming.map(|row| name(row.protocol).to_owned()),
            Slot::User => self.incoming.map(|row| self.user(row)),
            Slot::InHost => self.incoming.map(|row| row.host.clone()),
            Slot::InPort => self.incoming.map(|row| row.port.to_string()),
            Slot::InSecurity => self.incoming.map(|row| self.security(row)),
            Slot::Authentication => self.incoming.map(|row| self.authentication(row)),
            Slot::OutUser => self.outgoing.map(|row| self.user(row)),
            Slot::OutHost => self.outgoing.map(|row| row.host.clone()),
            Slot::OutPort => self.outgoing.map(|row| row.port.to_string()),
            Slot::OutSecurity => self.outgoing.map(|row| self.security(row)),
            Slot::Port => self.port.map(|port| port.to_string()),
        }
    }
}

/// The protocol's name for people.
pub(super) const fn name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Imap => "IMAP",
        Protocol::Pop3 => "POP3",
        Protocol::Smtp | Protocol::Submission => "SMTP",
        Protocol::Lmtp => "LMTP",
        Protocol::Web => "HTTPS",
    }
}

/// May the password itself be sent at this row?
pub(super) fn sends_password(row: &Endpoint) -> bool {
    row.authentication.contains(&Authentication::Password)
}

/// Only challenges are taken at this row.
pub(super) fn challenge_only(row: &Endpoint) -> bool {
    !sends_password(row) && row.authentication.contains(&Authentication::Challenge)
}

/// Neither password nor challenge.
fn other_kind(row: &Endpoint) -> bool {
    !sends_password(row) && !row.authentication.contains(&Authentication::Challenge)
}

fn usable(row: &Endpoint, client: &Client) -> bool {
    row.protection != Protection::Clear && (sends_password(row) || client.challenge && challenge_only(row))
}
