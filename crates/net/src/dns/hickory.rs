//! The network's answers: hickory-resolver, and its records in our form.

use super::{Answer, Failed, Kind, RECORDS_MAX};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use proto::discovery::dns::{Data, Record};
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

/// Questions at a time on one connection to a server: many are asked side by side.
const QUESTIONS_MAX: usize = 128;
/// Repetitions of a question within its time: a datagram may be lost.
const REPETITIONS: usize = 1;

/// Two resolvers for the same servers: one takes what it is told, the other checks signatures. The second is built
/// at first need, as most programs never ask it.
pub(super) struct Network {
    plain: TokioResolver,
    proving: OnceLock<Result<TokioResolver, Failed>>,
    config: ResolverConfig,
    options: ResolverOpts,
    time_max: Duration,
}

impl Network {
    pub(super) fn system(time_max: Duration) -> Result<Network, Failed> {
        let (config, options) = hickory_resolver::system_conf::read_system_conf()
            .map_err(|error| Failed(format!("the system's DNS settings cannot be read: {error}")))?;
        Network::new(config, options, time_max)
    }

    pub(super) fn at(server: SocketAddr, time_max: Duration) -> Network {
        let mut name_server = NameServerConfig::udp_and_tcp(server.ip());
        for connection in &mut name_server.connections {
            connection.port = server.port();
        }
        let config = ResolverConfig::from_name_servers(vec![name_server]);
        let mut options = ResolverOpts::default();
        options.use_hosts_file = ResolveHosts::Never;
        // Building fails only where a file is read (hosts, trust anchors), and here none is.
        Network::new(config, options, time_max).expect("no file is read")
    }

    fn new(config: ResolverConfig, mut options: ResolverOpts, time_max: Duration) -> Result<Network, Failed> {
        let attempts = u32::try_from(REPETITIONS + 1).unwrap_or(1);
        options.timeout = time_max / attempts;
        options.attempts = REPETITIONS;
        options.max_active_requests = QUESTIONS_MAX;
        options.case_randomization = false;
        let plain = built(&config, &options)?;
        Ok(Network { plain, proving: OnceLock::new(), config, options, time_max })
    }

    fn proving(&self) -> Result<&TokioResolver, Failed> {
        let built = self.proving.get_or_init(|| {
            let mut options = self.options.clone();
            options.validate = true;
            built(&self.config, &options)
        });
        built.as_ref().map_err(Clone::clone)
    }

    /// `name` is checked and in A-labels.
    pub(super) async fn ask(&self, name: &str, kind: Kind, proven: bool) -> Result<Answer, Failed> {
        let resolver = if proven { self.proving()? } else { &self.plain };
        let absolute = absolute(name)?;
        self.bounded(name, asked(resolver, name, &absolute, kind)).await
    }

    /// The addresses of a single label that somebody typed: the search list is tried.
    pub(super) async fn typed(&self, label: &str) -> Result<Answer, Failed> {
        let mut relative = absolute(label)?;
        relative.set_fqdn(false);
        self.bounded(label, asked(&self.plain, label, &relative, Kind::Address)).await
    }

    async fn bounded(
        &self,
        name: &str,
        asking: impl Future<Output = Result<Answer, Failed>>,
    ) -> Result<Answer, Failed> {
        let late = |_| Failed(format!("DNS did not answer the question for {name} in time"));
        tokio::time::timeout(self.time_max, asking).await.map_err(late)?
    }
}

fn built(config: &ResolverConfig, options: &ResolverOpts) -> Result<TokioResolver, Failed> {
    TokioResolver::builder_with_config(config.clone(), TokioRuntimeProvider::default())
        .with_options(options.clone())
        .build()
        .map_err(|error| Failed(format!("the DNS settings cannot be used: {error}")))
}

fn absolute(name: &str) -> Result<Name, Failed> {
    let mut absolute =
        Name::from_ascii(name).map_err(|error| Failed(format!("{name} is no name: {error}")))?;
    absolute.set_fqdn(true);
    Ok(absolute)
}

async fn asked(resolver: &TokioResolver, name: &str, asked: &Name, kind: Kind) -> Result<Answer, Failed> {
    if kind != Kind::Address {
        return one(resolver, name, asked, kind, record_type(kind)).await;
    }
    let (v6, v4) = tokio::join!(
        one(resolver, name, asked, kind, RecordType::AAAA),
        one(resolver, name, asked, kind, RecordType::A),
    );
    match (v6, v4) {
        (Ok(mut v6), Ok(v4)) => {
            v6.no_such_name |= v4.no_such_name;
            v6.secure &= v4.secure;
            v6.records.extend(v4.records);
            v6.records.truncate(RECORDS_MAX);
            v6.no_such_name &= v6.records.is_empty();
            Ok(v6)
        }
        // Servers that choke on AAAA are not rare; what one family has is an answer.
        (Ok(one), Err(_)) | (Err(_), Ok(one)) if !one.records.is_empty() || one.no_such_name => Ok(one),
        (Err(failed), _) | (_, Err(failed)) => Err(failed),
    }
}

async fn one(
    resolver: &TokioResolver,
    name: &str,
    asked: &Name,
    kind: Kind,
    record_type: RecordType,
) -> Result<Answer, Failed> {
    let lookup = match resolver.lookup(asked.clone(), record_type).await {
        Ok(lookup) => lookup,
        Err(error) => return without_records(name, &error),
    };
    let mut records = Vec::new();
    let mut secure = true;
    for record in lookup.answers().iter().filter(|record| record.record_type() == record_type) {
        let Some(data) = data_of(&record.data) else { continue };
        debug_assert!(data.kind() == kind);
        secure &= record.proof == Proof::Secure;
        records.push(Record { name: name.to_owned(), data });
        if records.len() == RECORDS_MAX {
            break;
        }
    }
    secure &= !records.is_empty();
    Ok(Answer { records, no_such_name: false, secure })
}

/// "No such name" and "no such record" are answers; everything else is a failure, in words.
fn without_records(name: &str, error: &NetError) -> Result<Answer, Failed> {
    let failed = |words: &str| Err(Failed(format!("DNS {words} when asked for {name}")));
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => Ok(super::no_such_name()),
            ResponseCode::NoError => Ok(Answer::default()),
            code => failed(&format!("answered \"{code}\"")),
        },
        NetError::Dns(DnsError::Nsec { response, proof, .. }) => match (proof, response.response_code) {
            (Proof::Bogus, _) => failed("gave an answer whose signatures (DNSSEC) are wrong"),
            (_, ResponseCode::NXDomain) => {
                Ok(Answer { no_such_name: true, secure: *proof == Proof::Secure, ..Answer::default() })
            }
            _ => Ok(Answer { secure: *proof == Proof::Secure, ..Answer::default() }),
        },
        NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)) => {
            failed("reported a failure of the domain's servers (SERVFAIL)")
        }
        NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused)) => failed("refused to answer"),
        NetError::Dns(DnsError::ResponseCode(code)) => failed(&format!("answered \"{code}\"")),
        NetError::Dns(DnsError::DnssecBogus) => failed("gave an answer whose signatures (DNSSEC) are wrong"),
        NetError::Timeout => failed("did not answer in time"),
        NetError::NoConnections | NetError::Io(_) => failed("could not be reached"),
        error => failed(&format!("could not be understood ({error})")),
    }
}

fn record_type(kind: Kind) -> RecordType {
    match kind {
        // A and AAAA are two questions; see `asked`.
        Kind::Address => RecordType::A,
        Kind::Cname => RecordType::CNAME,
        Kind::Mx => RecordType::MX,
        Kind::Srv => RecordType::SRV,
        Kind::Txt => RecordType::TXT,
        Kind::Tlsa => RecordType::TLSA,
        Kind::Caa => RecordType::CAA,
    }
}

fn data_of(data: &RData) -> Option<Data> {
    Some(match data {
        RData::A(address) => Data::Address(address.0.into()),
        RData::AAAA(address) => Data::Address(address.0.into()),
        RData::CNAME(name) => Data::Cname(host(&name.0)),
        RData::MX(mx) => Data::Mx { preference: mx.preference, host: host(&mx.exchange) },
        RData::SRV(srv) => Data::Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: host(&srv.target),
        },
        RData::TXT(txt) => Data::Txt(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
        RData::TLSA(tlsa) => Data::Tlsa(
            tlsa.cert_usage.into(),
            tlsa.selector.into(),
            tlsa.matching.into(),
            tlsa.cert_data.clone(),
        ),
        RData::CAA(caa) => {
            Data::Caa(caa.flags(), caa.tag.clone(), String::from_utf8_lossy(&caa.value).into_owned())
        }
        _ => return None,
    })
}

/// Escaped where it holds octets that no host has; lower case, without final dot. The root is empty.
fn host(name: &Name) -> String {
    let text = name.to_ascii().to_ascii_lowercase();
    text.strip_suffix('.').map(str::to_owned).unwrap_or(text)
}
