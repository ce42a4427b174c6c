//! `sealpost guide`: the guide as plain text, as the people of a domain see it.
//!
//! The rules of the domain are the running service's, or its store's. Before there is one the page is that of the
//! settings file's model, so that the guide can be read before anything is installed.

use super::{Failure, operate};
use crate::settings::Settings;
use clap::Args;
use proto::guide::Lang;
use proto::service::Model;
use proto::service::policy::DomainPolicy;
use server::control::guide::Asked;
use server::control::{Request, Response};
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
        let asked = self.asked(&settings.model);
        let text = match super::block_on(with_rules(&settings, &asked)) {
            Ok(Some(text)) => text,
            Ok(None) => asked.text(&settings.model, &DomainPolicy::default()).map_err(Failure)?,
            Err(error) => return Err(error),
        };
        operate::say(&text);
        Ok(ExitCode::SUCCESS)
    }

    fn asked(self, model: &Model) -> Asked {
        Asked {
            domain: self.domain(model),
            client: self.client,
            switch: self.switch,
            pop3: self.pop3,
            address: self.address,
            lang: self.lang.unwrap_or_else(locale).code().to_owned(),
            columns: columns(),
        }
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

/// The page with the rules of the domain; `None` where no service runs and nothing is kept yet, so that there are none.
async fn with_rules(settings: &Settings, asked: &Asked) -> Result<Option<String>, Failure> {
    let mut line = match operate::Line::open_if_there(settings).await {
        Ok(Some(line)) => line,
        Ok(None) => return Ok(None),
        Err(Failure(error)) => {
            operate::complain(&format!(
                "rules of single domains are not shown, for they cannot be read: {error}"
            ));
            return Ok(None);
        }
    };
    line.send(&Request::Guide(asked.clone())).await?;
    let response = line.next().await?;
    line.close().await?;
    match response {
        Response::Done { text } => Ok(Some(text)),
        Response::Refused { text } => Err(Failure(text)),
        _ => Err(Failure("the service answered something else; is it of another version?".to_owned())),
    }
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
}
