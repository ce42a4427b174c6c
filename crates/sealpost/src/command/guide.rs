//! `sealpost guide`: the guide as plain text, from the settings file's model.
//!
//! It asks no running service and opens no store, so it knows the service and
//! not what single domains are allowed; the web pages know both.

use super::{Failure, operate};
use crate::settings::Settings;
use clap::Args;
use proto::guide::{self, Lang, Page, Way};
use proto::service::policy::DomainPolicy;
use proto::service::publish::Published;
use proto::service::{Model, Protocol};
use std::path::Path;
use std::process::ExitCode;

/// Columns where the terminal does not say, and the most that can be read well.
const COLUMNS: usize = 80;
const COLUMNS_MAX: usize = 100;

/// Tells people how to set up their mail program for this service.
#[derive(Debug, Args)]
pub struct Guide {
    /// The mail program (outlook, thunderbird, ios …), or one of the pages ports, systems, failures; a list of all without it
    client: Option<String>,
    /// The account is there already: switch it to SSL/TLS
    #[arg(long)]
    switch: bool,
    /// For an account with POP3 instead of IMAP
    #[arg(long)]
    pop3: bool,
    /// Fill in this address
    #[arg(long)]
    address: Option<String>,
    /// Language: en, de, el, es, fr; that of the terminal if not said
    #[arg(long, value_parser = language)]
    lang: Option<Lang>,
    /// The mail domain; that of the address, or of the service's host name, if not said
    #[arg(long)]
    domain: Option<String>,
}

/// A language on the command line.
pub(super) fn language(text: &str) -> Result<Lang, String> {
    let codes = || Lang::ALL.map(Lang::code).join(", ");
    Lang::from_code(text).ok_or_else(|| format!("there are {}", codes()))
}

impl Guide {
    /// Runs it.
    pub fn run(self, config: Option<&Path>) -> Result<ExitCode, Failure> {
        let settings = Settings::load(&super::settings_path(config)?)?;
        let page = self.page(&settings.model)?;
        let text = guide::text(&page, columns());
        operate::say(text.trim_end());
        if self.client.is_none() {
            operate::say(&format!("\n{}", list(page.lang)));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn page(&self, model: &Model) -> Result<Page, Failure> {
        let lang = self.lang.unwrap_or_else(locale);
        let published = Published::new(model, &self.domain(model), &DomainPolicy::default());
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
        let client = guide::find(word).ok_or_else(|| {
            Failure(format!("the guide knows no mail program \"{word}\"; it has:\n{}", list(lang)))
        })?;
        let way = if self.switch { Way::Switch } else { Way::New };
        let (incoming, name) = if self.pop3 { (Protocol::Pop3, "POP3") } else { (Protocol::Imap, "IMAP") };
        let page = guide::page(&published, &client.id, way, incoming, self.address.as_deref(), lang);
        page.ok_or_else(|| {
            Failure(format!("this service does not offer {name} (see [listen] in the settings file)"))
        })
    }

    /// The domain that was said, or of the address; else what stands behind the host's own name.
    fn domain(&self, model: &Model) -> String {
        let address = self.address.as_deref().and_then(|address| address.rsplit_once('@'));
        let behind = || match model.host.split_once('.') {
            Some((_, domain)) if domain.contains('.') => domain,
            _ => &model.host,
        };
        let said =
            self.domain.as_deref().or(address.map(|(_, domain)| domain)).filter(|domain| !domain.is_empty());
        said.unwrap_or_else(behind).to_ascii_lowercase()
    }
}

/// The words that the command takes, with what they mean.
fn list(lang: Lang) -> String {
    let clients = guide::clients(lang);
    let rows = clients.iter().map(|client| format!("  sealpost guide {:20} {}", client.id, client.name));
    rows.collect::<Vec<_>>().join("\n")
}

/// Columns of the terminal, if its shell says so.
pub(super) fn columns() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    columns.unwrap_or(COLUMNS).min(COLUMNS_MAX)
}

/// The language of the terminal, as the C library would choose it.
pub(super) fn locale() -> Lang {
    let set = ["LC_ALL", "LC_MESSAGES", "LANG"].map(|name| std::env::var(name).unwrap_or_default());
    set.iter().find(|value| !value.is_empty()).map_or_else(Lang::default, |value| Lang::choose(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::service::preset::Preset;
    use std::net::{IpAddr, Ipv4Addr};

    fn guide(client: Option<&str>) -> Guide {
        Guide {
            client: client.map(str::to_owned),
            switch: false,
            pop3: false,
            address: None,
            lang: Some(Lang::De),
            domain: None,
        }
    }

    fn model(host: &str) -> Model {
        Preset::Compatible.model(host, &[IpAddr::V4(Ipv4Addr::UNSPECIFIED)])
    }

    #[test]
    fn the_domain_is_found() {
        let mut asked = guide(None);
        for (host, domain) in
            [("mail.example.org", "example.org"), ("example.org", "example.org"), ("box", "box")]
        {
            assert_eq!(asked.domain(&model(host)), domain);
        }
        asked.address = Some("anna@Other.test".into());
        assert_eq!(asked.domain(&model("mail.example.org")), "other.test");
        asked.domain = Some("third.test".into());
        assert_eq!(asked.domain(&model("mail.example.org")), "third.test");
    }

    #[test]
    fn every_word_has_its_page() {
        let model = model("mail.example.test");
        let title =
            |word: &str| guide(Some(word)).page(&model).map(|page| page.title).map_err(|f| f.to_string());
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
        let mut asked = guide(Some("outlook"));
        asked.pop3 = true;
        assert!(asked.page(&model).is_ok());
        assert!(asked.page(&none).is_err_and(|told| told.to_string().contains("POP3")));
    }
}
