//! The operator's commands about rules of connecting: those of a domain, and exceptions of single accounts.
//!
//! What must hold: a change is whole or not at all; what it leads to is held against the service and said at once, so
//! that nobody is locked out without a word.

use super::operator::{No, Operator, done, table};
use super::{ExceptionChange, PolicyChange, Response};
use crate::clock::unix_now;
use proto::date::{parse_day, show_day};
use proto::proof::TlsVersion;
use proto::sasl::Mechanism;
use proto::service::flaw::of_policy;
use proto::service::policy::{ClearLogin, DomainPolicy, Exception, Stage, Way};

/// Octets of a reason or a name for people.
const TEXT_BYTES_MAX: usize = 200;

impl Operator {
    pub(super) async fn domain_policy(&self, name: &str, change: PolicyChange) -> Result<Response, No> {
        let directory = self.store.directory();
        let domain = directory
            .domain(name)?
            .ok_or_else(|| No(format!("There is no domain {name}; sealpost domain list shows all.")))?;
        let mut policy = domain.policy;
        if change != PolicyChange::default() {
            self.apply(change, &mut policy)?;
            directory.put_policy(&domain.name, policy.clone()).await?;
        }
        self.show_policy(&policy)
    }

    pub(super) async fn exception(&self, address: &str, change: ExceptionChange) -> Result<Response, No> {
        let account = self.account(address)?;
        let directory = self.store.directory();
        match change {
            ExceptionChange::Show => {}
            ExceptionChange::Remove => {
                directory.put_exception(account.id, None).await?;
                return done(format!("{} has no exception any more.", account.address));
            }
            ExceptionChange::Set { until, reason, ports, mechanisms, clear } => {
                let until = parse_day(&until)
                    .ok_or_else(|| No(format!("{until} is no day; write it as 2027-03-01.")))?;
                if until <= unix_now() {
                    return Err(No(format!("{} is over; name a day to come.", show_day(until))));
                }
                let exception = Exception {
                    reason: text("reason", reason)?
                        .ok_or_else(|| No("An exception needs a reason.".to_owned()))?,
                    until,
                    ways: self.ways(ports)?,
                    mechanisms: named(&mechanisms)?,
                    clear,
                };
                if exception.ways.is_empty() && exception.mechanisms.is_empty() && !clear {
                    let words = "Say what is allowed: --ports, --mechanisms or --clear.";
                    return Err(No(words.to_owned()));
                }
                directory.put_exception(account.id, Some(exception)).await?;
            }
        }
        match directory.exception(account.id)? {
            None => done(format!("{} has no exception.", account.address)),
            Some(exception) => self.show_exception(&account.address, &exception),
        }
    }

    /// Does an exception of this account ask for a CRAM-MD5 verifier?
    pub(super) fn wants_verifier(&self, address: &str) -> Result<bool, No> {
        let directory = self.store.directory();
        // A new account has none yet.
        let Some(account) = directory.account_by_address(address)? else { return Ok(false) };
        let exception = directory.exception(account.id)?;
        Ok(exception.is_some_and(|e| e.holds(unix_now()) && e.mechanisms.contains(&Mechanism::CramMd5)))
    }

    fn apply(&self, change: PolicyChange, policy: &mut DomainPolicy) -> Result<(), No> {
        if let Some(version) = change.tls_min {
            policy.tls_min = TlsVersion::from_name(&format!("TLSv{version}"))
                .ok_or_else(|| No(format!("TLS {version} is not spoken here; there are 1.2 and 1.3.")))?;
        }
        match change.mechanisms {
            Some(words) if is_all(&words) => policy.mechanisms = None,
            Some(words) => {
                let list = named(&words)?;
                // Who names it wants it, and who leaves it out of a list does not.
                policy.cram_md5 = list.contains(&Mechanism::CramMd5);
                policy.mechanisms = Some(list);
            }
            None => {}
        }
        match change.ports {
            Some(words) if is_all(&words) => policy.ways = None,
            Some(words) => {
                let port = |word: &String| {
                    word.trim().parse::<u16>().map_err(|_| No(format!("\"{word}\" is no port.")))
                };
                policy.ways = Some(self.ways(words.iter().map(port).collect::<Result<_, _>>()?)?);
            }
            None => {}
        }
        match change.clear_login.as_deref() {
            Some("never") => policy.clear_login = ClearLogin::Never,
            Some("staged") => policy.clear_login = ClearLogin::Staged,
            Some(word) => return Err(No(format!("--clear-login is never or staged, not {word}."))),
            None => {}
        }
        match change.stage.as_deref() {
            Some("observe") => policy.stage = Stage::Observe,
            Some("deny") => policy.stage = Stage::Deny,
            Some(word) => return Err(No(format!("--stage is observe or deny, not {word}."))),
            None => {}
        }
        if let Some(host) = change.host {
            // The directory holds it to the rules of host names.
            policy.host = Some(host).filter(|host| !host.is_empty());
        }
        if let Some(provider) = change.provider {
            policy.provider = text("provider", provider)?;
        }
        Ok(())
    }

    /// The rows that listen at these ports.
    fn ways(&self, ports: Vec<u16>) -> Result<Vec<Way>, No> {
        let mut ways = Vec::new();
        for port in ports {
            let found = self.settings.model.ways_at(port);
            if found.is_empty() {
                let mut open: Vec<u16> = self.settings.model.listeners.iter().map(|l| l.port).collect();
                open.sort_unstable();
                open.dedup();
                let open = open.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
                return Err(No(format!("Nothing listens at port {port}; there are {open}.")));
            }
            ways.extend(found);
        }
        ways.sort_unstable();
        ways.dedup();
        Ok(ways)
    }

    fn show_policy(&self, policy: &DomainPolicy) -> Result<Response, No> {
        let row = |name: &str, value: String| vec![name.to_owned(), value];
        let own = |value: &Option<String>| value.clone().unwrap_or_else(|| "the service's".to_owned());
        let clear = match policy.clear_login {
            ClearLogin::Never => "never",
            ClearLogin::Staged => "staged",
        };
        let stage = match policy.stage {
            Stage::Observe => "observe",
            Stage::Deny => "deny",
        };
        let mut rows = vec![
            row("host", own(&policy.host)),
            row("provider", own(&policy.provider)),
            row("tls-min", policy.tls_min.name().trim_start_matches("TLSv").to_owned()),
            row("mechanisms", policy.mechanisms.as_deref().map_or_else(|| "all".to_owned(), words_of)),
            row("CRAM-MD5 verifiers", if policy.cram_md5 { "kept" } else { "none" }.to_owned()),
            row("ports", policy.ways.as_deref().map_or_else(|| "all".to_owned(), ports_of)),
            row("clear-login", clear.to_owned()),
            row("stage", stage.to_owned()),
        ];
        if policy.cram_md5 && policy.mechanisms.is_some() {
            rows.push(row("note", "CRAM-MD5 works for an account from its next new password on".to_owned()));
        }
        if policy.takes_clear() {
            rows.push(row("warning", "passwords can be read by anybody on the way".to_owned()));
        }
        rows.extend(
            of_policy(&self.settings.model, policy).iter().map(|flaw| row("warning", flaw.to_string())),
        );
        table(["rule", "value"], rows)
    }

    fn show_exception(&self, address: &str, exception: &Exception) -> Result<Response, No> {
        let row = |name: &str, value: String| vec![name.to_owned(), value];
        let until = show_day(exception.until);
        let over = if exception.holds(unix_now()) { "" } else { " (over)" };
        let mut rows = vec![
            row("account", address.to_owned()),
            row("until", format!("{until}{over}")),
            row("reason", exception.reason.clone()),
            row("ports", ports_of(&exception.ways)),
            row("mechanisms", words_of(&exception.mechanisms)),
            row("clear", if exception.clear { "yes" } else { "no" }.to_owned()),
        ];
        if exception.mechanisms.contains(&Mechanism::CramMd5) {
            let text =
                format!("CRAM-MD5 works from the next password on: sealpost account password {address}");
            rows.push(row("note", text));
        }
        table(["exception", "value"], rows)
    }
}

fn is_all(words: &[String]) -> bool {
    matches!(words, [word] if word == "all")
}

fn named(words: &[String]) -> Result<Vec<Mechanism>, No> {
    let mut list = words
        .iter()
        .map(|word| {
            Mechanism::from_name(word.trim()).ok_or_else(|| {
                No(format!("There is no mechanism {word}; there are {}.", words_of(&Mechanism::ALL)))
            })
        })
        .collect::<Result<Vec<_>, No>>()?;
    list.sort_unstable();
    list.dedup();
    Ok(list)
}

/// A text for people; empty is none.
fn text(what: &str, text: String) -> Result<Option<String>, No> {
    let text = text.trim().to_owned();
    if text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(No(format!(
            "The {what} is longer than {TEXT_BYTES_MAX} octets or holds control characters."
        )));
    }
    Ok((!text.is_empty()).then_some(text))
}

fn words_of(list: &[Mechanism]) -> String {
    list.iter().map(|mechanism| mechanism.name()).collect::<Vec<_>>().join(", ")
}

fn ports_of(ways: &[Way]) -> String {
    ways.iter().map(|way| format!("{} ({})", way.port, way.protocol.word())).collect::<Vec<_>>().join(", ")
}
