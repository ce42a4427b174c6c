//! The guide as plain text, with the rules of the reader's domain.
//!
//! What must hold: an address changes nothing but what is filled in; nobody learns by it who has an account.

use proto::guide::{self, Lang, Page, Way};
use proto::service::policy::DomainPolicy;
use proto::service::publish::Published;
use proto::service::{Model, Protocol};
use serde::{Deserialize, Serialize};

/// Columns that a page is set in, at least and at most.
const COLUMNS_MIN: usize = 20;
const COLUMNS_MAX: usize = 500;

/// A page that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// A mail program, or `ports`, `systems`, `failures`; the index without.
    pub client: Option<String>,
    /// The account is there already.
    pub switch: bool,
    /// With POP3 instead of IMAP.
    pub pop3: bool,
    /// Filled in.
    pub address: Option<String>,
    /// Code of the language.
    pub lang: String,
    /// The reader's domain.
    pub domain: String,
    /// Width of the text.
    pub columns: usize,
}

impl Asked {
    /// The page as text, for the people of a domain with these rules.
    ///
    /// # Errors
    /// There is no such page; a sentence.
    pub fn text(&self, model: &Model, policy: &DomainPolicy) -> Result<String, String> {
        let page = self.page(model, policy)?;
        let text = guide::text(&page, self.columns.clamp(COLUMNS_MIN, COLUMNS_MAX));
        let text = text.trim_end();
        Ok(match self.client {
            Some(_) => text.to_owned(),
            None => format!("{text}\n\n{}", list(page.lang)),
        })
    }

    fn page(&self, model: &Model, policy: &DomainPolicy) -> Result<Page, String> {
        let lang = Lang::from_code(&self.lang).unwrap_or_default();
        let published = Published::new(model, &self.domain, policy);
        let Some(word) = self.client.as_deref() else { return Ok(guide::index(&published, lang)) };
        match word {
            "ports" => {
                let mended = model.listeners.iter().filter(|l| l.either_way).map(|l| l.port);
                return Ok(guide::ports_mended(&published, &mended.collect::<Vec<_>>(), lang));
            }
            "systems" => return Ok(guide::systems(&published, lang)),
            "failures" => return Ok(guide::failures(&published, lang)),
            _ => {}
        }
        let client = guide::find(word)
            .ok_or_else(|| format!("the guide knows no mail program \"{word}\"; it has:\n{}", list(lang)))?;
        let way = if self.switch { Way::Switch } else { Way::New };
        let (incoming, name) = if self.pop3 { (Protocol::Pop3, "POP3") } else { (Protocol::Imap, "IMAP") };
        let page = guide::page(&published, &client.id, way, incoming, self.address.as_deref(), lang);
        page.ok_or_else(|| {
            format!(
                "{} does not offer {name} (see [listen] in the settings file, and sealpost domain policy)",
                self.domain
            )
        })
    }
}

/// The words that the command takes, with what they mean.
fn list(lang: Lang) -> String {
    let clients = guide::clients(lang);
    let rows = clients.iter().map(|client| format!("  sealpost guide {:20} {}", client.id, client.name));
    rows.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::service::Listener;
    use proto::service::policy::Way as Allowed;
    use proto::service::preset::Preset;
    use std::net::{IpAddr, Ipv4Addr};

    fn asked(client: Option<&str>) -> Asked {
        Asked {
            client: client.map(str::to_owned),
            switch: false,
            pop3: false,
            address: None,
            lang: "de".to_owned(),
            domain: "example.test".to_owned(),
            columns: 80,
        }
    }

    fn model() -> Model {
        Preset::Compatible.model("mail.example.test", &[IpAddr::V4(Ipv4Addr::UNSPECIFIED)])
    }

    #[test]
    fn every_word_has_its_page() {
        let (model, rules) = (model(), DomainPolicy::default());
        let title = |word: &str| asked(Some(word)).page(&model, &rules).map(|page| page.title);
        for client in guide::clients(Lang::De) {
            assert!(title(&client.id).is_ok_and(|title| title.contains(&client.name)), "{}", client.id);
        }
        assert_eq!(title("k9"), title("thunderbird-android"));
        for word in ["ports", "systems", "failures"] {
            assert!(title(word).is_ok());
        }
        assert!(title("pine-tree").is_err_and(|told| told.contains("sealpost guide thunderbird")));
        let mut none = model.clone();
        none.listeners.retain(|listener| listener.protocol != Protocol::Pop3);
        let mut pop3 = asked(Some("outlook"));
        pop3.pop3 = true;
        assert!(pop3.text(&model, &rules).is_ok());
        assert!(pop3.text(&none, &rules).is_err_and(|told| told.contains("POP3")));
    }

    #[test]
    fn the_rules_of_a_domain_show() {
        let model = model();
        let imaps = model.listeners.iter().find(|l| l.name == "imaps").expect("it has one");
        let submissions = model.listeners.iter().find(|l| l.name == "submissions").expect("it has one");
        let way = |row: &Listener| Allowed { protocol: row.protocol, port: row.port };
        let rules = DomainPolicy {
            host: Some("imap.customer.test".to_owned()),
            ways: Some(vec![way(imaps), way(submissions)]),
            ..DomainPolicy::default()
        };
        let text = asked(Some("thunderbird")).text(&model, &rules).expect("a page");
        assert!(text.contains("imap.customer.test") && !text.contains("mail.example.test"), "{text}");
        let mut pop3 = asked(Some("thunderbird"));
        pop3.pop3 = true;
        assert!(pop3.text(&model, &rules).is_err(), "the domain has no POP3");
    }
}
