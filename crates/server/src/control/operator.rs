//! Carries the operator's requests out on an open store.

use super::dns;
use super::frame::{self, Frame, Pipe};
use super::{Item, Request, Response};
use crate::app::Settings;
use crate::auth::password::{self, Wanted};
use crate::certificate::Wishes;
use crate::clock::unix_now;
use crate::deliver::{self, Incoming, Parcel};
use crate::language;
use proto::message::intake::{Intake, Rules};
use proto::proof::AccountId;
use proto::sasl::Mechanism;
use proto::service::policy::DomainPolicy;
use std::io;
use std::sync::Arc;
use store::Store;
use store::account::{Flags, Refused};
use store::system::directory::{AccountRecord, CredentialKind, Credentials, DirectoryError, Domain};

/// Messages of an import that share their commits.
const IMPORT_BATCH: usize = 64;

/// An operator's side of the connection.
#[derive(Clone, Debug)]
pub struct Operator {
    pub(super) store: Store,
    /// The rules of domains are held against its model, records are made from it.
    pub(super) settings: Arc<Settings>,
    /// The running service's; without one nothing is ordered.
    pub(super) wishes: Option<Wishes>,
}

/// Why a request came to nothing, in words for the operator.
#[derive(Debug)]
pub(super) struct No(pub(super) String);

impl From<DirectoryError> for No {
    fn from(error: DirectoryError) -> No {
        No(error.to_string())
    }
}

impl From<store::Error> for No {
    fn from(error: store::Error) -> No {
        No(error.to_string())
    }
}

impl From<Refused> for No {
    fn from(error: Refused) -> No {
        No(error.to_string())
    }
}

impl From<io::Error> for No {
    fn from(error: io::Error) -> No {
        No(format!("the connection broke: {error}"))
    }
}

impl Operator {
    /// Works on this store, as the service with these settings would.
    #[must_use]
    pub fn new(store: Store, settings: &Settings) -> Operator {
        Operator { store, settings: Arc::new(settings.clone()), wishes: None }
    }

    /// The same within a running service, whose keeper of certificates hears these wishes.
    #[must_use]
    pub fn in_service(self, wishes: Wishes) -> Operator {
        Operator { wishes: Some(wishes), ..self }
    }

    /// Serves one connection: requests in order until the peer closes.
    pub async fn serve(&self, pipe: &mut impl Pipe) -> io::Result<()> {
        while let Some(request) = frame::read_json::<Request>(pipe).await? {
            let response = match self.carry_out(request, pipe).await {
                Ok(response) => response,
                Err(No(text)) => Response::Refused { text },
            };
            frame::write_json(pipe, &response).await?;
        }
        Ok(())
    }

    async fn carry_out(&self, request: Request, pipe: &mut impl Pipe) -> Result<Response, No> {
        match request {
            Request::DomainAdd { name, catch_all, cram_md5, case_sensitive, separator, replace } => {
                // A change says nothing of the other rules, so they stay.
                let known = self.store.directory().domain(&name)?.map(|domain| domain.policy);
                let policy = DomainPolicy { cram_md5, ..known.unwrap_or_default() };
                let domain = Domain { name: name.clone(), catch_all, case_sensitive, separator, policy };
                self.store.directory().put_domain(domain, replace).await?;
                if replace {
                    return done(format!("Domain {name} is set."));
                }
                done(format!("Domain {name} added. Next: sealpost account add someone@{name}"))
            }
            Request::DomainPolicy { name, change } => self.domain_policy(&name, change).await,
            Request::AccountException { address, change } => self.exception(&address, change).await,
            Request::DomainList => self.domains(),
            Request::DomainRemove { name } => {
                self.store.directory().remove_domain(&name).await?;
                done(format!("Domain {name} removed."))
            }
            Request::AccountAdd { address, name, password, quota_bytes, quota_messages, language } => {
                let tag = language.as_deref().unwrap_or("en");
                let Some(special) = language::special_mailboxes(tag) else {
                    let text =
                        format!("no mailbox names are known in '{tag}'; there are {}", language::tags());
                    return Err(No(text));
                };
                let record = AccountRecord {
                    id: AccountId(0),
                    address: address.clone(),
                    name,
                    enabled: true,
                    quota_bytes,
                    quota_messages,
                    created: unix_now(),
                };
                let credentials = self.credentials(&address, &password.0, None).await?;
                self.store.directory().add_account_with(record, credentials, &special).await?;
                done(format!("Account {address} added."))
            }
            Request::AccountList { domain } => self.accounts(domain.as_deref()),
            Request::AccountPassword { address, password } => {
                let record = self.account(&address)?;
                let old = self.store.directory().credentials(record.id)?;
                let credentials = self.credentials(&record.address, &password.0, old).await?;
                self.store.directory().put_credentials(record.id, credentials).await?;
                done(format!("Password of {} changed.", record.address))
            }
            Request::AccountEnable { address, enabled } => {
                let record = AccountRecord { enabled, ..self.account(&address)? };
                let word =
                    if enabled { "enabled" } else { "disabled: it cannot log in, its mail still comes in" };
                let text = format!("Account {} {word}.", record.address);
                self.store.directory().change_account(record).await?;
                done(text)
            }
            Request::AccountRemove { address } => {
                let record = self.account(&address)?;
                self.store.directory().remove_account(record.id).await?;
                done(format!("Account {} and its mail removed.", record.address))
            }
            Request::AliasAdd { address, targets, replace } => {
                self.store.directory().put_alias(&address, &targets, replace).await?;
                done(format!("Alias {address} leads to {}.", targets.join(", ")))
            }
            Request::AliasList { domain } => self.aliases(domain.as_deref()),
            Request::AliasRemove { address } => {
                self.store.directory().remove_alias(&address).await?;
                done(format!("Alias {address} removed."))
            }
            Request::DnsRecords { domain, format, hoster } => {
                let wishes = self.wishes(&domain, hoster).await?;
                done(dns::written(&wishes, format))
            }
            Request::DnsCheck { domain, hoster, resolver } => {
                let wishes = self.wishes(&domain, hoster).await?;
                dns::checked(&wishes, resolver).await.map_err(No)
            }
            Request::CertificateList => self.certificates(),
            Request::Guide(asked) => {
                let domain = self.store.directory().domain(&asked.domain)?;
                let policy = domain.map(|domain| domain.policy).unwrap_or_default();
                asked.text(&self.settings.model, &policy).map_err(No).and_then(done)
            }
            Request::Flaws => self.flaws(),
            Request::CertificateRenew { name, new_key, now } => {
                self.renew_certificates(name, new_key, now).await
            }
            Request::Check => self.check(pipe).await,
            Request::Import { address } => self.import(&address, pipe).await,
        }
    }

    /// What a domain of ours should say in DNS.
    async fn wishes(&self, domain: &str, hoster: bool) -> Result<dns::Wishes, No> {
        let known = self.store.directory().domain(domain)?.ok_or_else(|| {
            No(format!("{domain} is no domain of this service; sealpost domain list shows all."))
        })?;
        dns::wishes(&self.settings, &known, hoster).await.map_err(No)
    }

    pub(super) fn account(&self, address: &str) -> Result<AccountRecord, No> {
        self.store
            .directory()
            .account_by_address(address)?
            .ok_or_else(|| No(format!("There is no account {address}; sealpost account list shows all.")))
    }

    /// Keys for a password; what is slow happens off the async threads.
    async fn credentials(
        &self,
        address: &str,
        password: &str,
        old: Option<Credentials>,
    ) -> Result<Credentials, No> {
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        let domain = self.store.directory().domain(domain)?.ok_or_else(|| {
            No(format!(
                "{address} is not in a domain of this service; add it first: sealpost domain add DOMAIN"
            ))
        })?;
        let cost = self.settings.auth.cost;
        let excepted = self.wants_verifier(address)?;
        let wanted = Wanted {
            kind: CredentialKind::Main,
            cram_md5: excepted || domain.policy.takes(Mechanism::CramMd5),
            created: unix_now(),
            expires: None,
        };
        let secret = proto::proof::Secret::new(password.as_bytes());
        let made = tokio::task::spawn_blocking(move || match old {
            None => password::new(&secret, &wanted, &cost),
            Some(mut credentials) => {
                password::add(&mut credentials, &secret, &wanted, &cost).map(|()| credentials)
            }
        });
        match made.await {
            Ok(Ok(credentials)) => Ok(credentials),
            Ok(Err(problem)) => Err(No(problem.to_string())),
            Err(_) => Err(No("The service is stopping.".to_owned())),
        }
    }

    fn domains(&self) -> Result<Response, No> {
        let domains = self.store.directory().domains()?;
        let rows = domains.into_iter().map(|d| {
            let yes = |b: bool| if b { "yes" } else { "no" }.to_owned();
            let separator = d.separator.map_or_else(|| "off".to_owned(), |c| c.to_string());
            vec![
                d.name,
                d.catch_all.unwrap_or_default(),
                separator,
                yes(d.policy.takes(Mechanism::CramMd5)),
                yes(d.case_sensitive),
            ]
        });
        table(["domain", "catch-all", "sub-addresses", "CRAM-MD5", "case-sensitive"], rows)
    }

    fn accounts(&self, domain: Option<&str>) -> Result<Response, No> {
        let mut rows = Vec::new();
        for account in self.store.directory().accounts(domain)? {
            let usage = self.store.account(account.id).usage()?;
            let or_none = |limit: Option<u64>| limit.map_or_else(|| "none".to_owned(), |n| n.to_string());
            rows.push(vec![
                account.address,
                account.name,
                if account.enabled { "enabled" } else { "disabled" }.to_owned(),
                usage.messages.to_string(),
                usage.bytes.to_string(),
                or_none(account.quota_bytes),
                or_none(account.quota_messages),
            ]);
        }
        table(["account", "name", "login", "messages", "bytes", "quota bytes", "quota messages"], rows)
    }

    fn aliases(&self, domain: Option<&str>) -> Result<Response, No> {
        let rows = self.store.directory().aliases(domain)?;
        table(
            ["alias", "leads to"],
            rows.into_iter().map(|(address, targets)| vec![address, targets.join(", ")]),
        )
    }

    async fn check(&self, pipe: &mut impl Pipe) -> Result<Response, No> {
        let store = self.store.clone();
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let work = tokio::task::spawn_blocking(move || {
            store.check(&mut |done, total| {
                // A receiver that is gone stops no check.
                let _ = tell.send((done, total));
            })
        });
        while let Some((done, total)) = told.recv().await {
            frame::write_json(pipe, &Response::Progress { done, total }).await?;
        }
        let report = work.await.map_err(|_| No("The check was broken off.".to_owned()))??;
        Ok(Response::Checked {
            accounts: report.accounts,
            messages: report.messages,
            bodies: report.bodies,
            faults: report.faults,
            remarks: report.remarks,
        })
    }

    /// Takes messages in batches: their bodies share syncs, their rows a commit.
    async fn import(&self, address: &str, pipe: &mut impl Pipe) -> Result<Response, No> {
        let record = match self.account(address) {
            Ok(record) => record,
            Err(no) => {
                drain(pipe).await?;
                return Err(no);
            }
        };
        let account = self.store.account(record.id);
        let (mut count, mut batch) = (0u64, Vec::with_capacity(IMPORT_BATCH));
        let mut failure = None;
        while let Some(Frame::Json(head)) = frame::read(pipe).await? {
            let item: Item = serde_json::from_slice(&head).map_err(|e| No(format!("malformed item: {e}")))?;
            let made = self.import_body(pipe, item, failure.is_some()).await?;
            match made {
                Ok(Some(delivery)) => batch.push(delivery),
                Ok(None) => {}
                Err(no) => failure = failure.or(Some(no)),
            }
            if batch.len() >= IMPORT_BATCH {
                count += batch.len() as u64;
                if let Err(refused) = deliver::put(&account, std::mem::take(&mut batch)).await {
                    failure = failure.or(Some(refused.into()));
                }
            }
        }
        if let Some(No(why)) = failure {
            return Err(No(format!("Stopped after {count} messages: {why}")));
        }
        count += batch.len() as u64;
        deliver::put(&account, batch).await?;
        done(format!("{count} messages imported into {}.", record.address))
    }

    /// Reads one message into the store. The inner error is the store's and lets the stream be read on.
    async fn import_body(
        &self,
        pipe: &mut impl Pipe,
        item: Item,
        skip: bool,
    ) -> Result<Result<Option<Parcel>, No>, No> {
        let mut writer = Incoming::new(&self.store);
        let mut intake = Intake::new(Rules {
            received_max: usize::MAX,
            header_bytes_max: self.settings.mail.header_bytes_max,
            submission: None,
        });
        let mut scratch = Vec::new();
        let mut failure = None;
        loop {
            match frame::read(pipe).await? {
                Some(Frame::Piece(piece)) => {
                    if skip || failure.is_some() {
                        continue;
                    }
                    scratch.clear();
                    let written = match intake.feed(&piece, &mut scratch) {
                        Ok(rest) => match writer.write(&scratch).await {
                            Ok(()) => writer.write(rest).await.map_err(No::from),
                            Err(error) => Err(error.into()),
                        },
                        Err(_) => Err(No("a message's header is too big".to_owned())),
                    };
                    failure = written.err();
                }
                Some(Frame::End) => break,
                _ => return Err(No("The connection broke within a message.".to_owned())),
            }
        }
        if skip {
            return Ok(Ok(None));
        }
        if let Some(no) = failure {
            return Ok(Err(no));
        }
        scratch.clear();
        if intake.finish(&mut scratch).is_err() {
            return Ok(Err(No("a message's header is too big".to_owned())));
        }
        if let Err(error) = writer.write(&scratch).await {
            return Ok(Err(error.into()));
        }
        Ok(Ok(Some(Parcel {
            mailbox: item.mailbox,
            flags: Flags(item.flags),
            received: item.received,
            body: writer,
        })))
    }
}

/// Reads an import away that was refused, so that its sender sees the answer.
async fn drain(pipe: &mut impl Pipe) -> io::Result<()> {
    let mut within = false;
    loop {
        match frame::read(pipe).await? {
            None => return Ok(()),
            Some(Frame::Json(_)) => within = true,
            Some(Frame::Piece(_)) => {}
            Some(Frame::End) if within => within = false,
            Some(Frame::End) => return Ok(()),
        }
    }
}

pub(super) fn done(text: String) -> Result<Response, No> {
    Ok(Response::Done { text })
}

pub(super) fn table<const N: usize>(
    columns: [&str; N],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> Result<Response, No> {
    Ok(Response::Table {
        columns: columns.iter().map(|c| (*c).to_owned()).collect(),
        rows: rows.into_iter().collect(),
    })
}
