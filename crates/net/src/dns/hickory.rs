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

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::dnssec::crypto::Ed25519SigningKey;
    use hickory_resolver::proto::dnssec::rdata::{DNSKEY, DNSSECRData, RRSIG, SigInput};
    use hickory_resolver::proto::dnssec::{
        Algorithm, DnssecSigner, PublicKey, SigningKey, TBS, TrustAnchors,
    };
    use hickory_resolver::proto::op::{Message, OpCode};
    use hickory_resolver::proto::rr::rdata::TLSA;
    use hickory_resolver::proto::rr::{DNSClass, Record, SerialNumber};
    use std::sync::Arc;
    use std::time::{SystemTime, UNIX_EPOCH};
    use tokio::net::UdpSocket;

    const HOST: &str = "_25._tcp.mail.test";

    /// A root zone that signs what stands in it, and the anchor that proves its key.
    struct Root {
        signer: DnssecSigner,
        anchors: Arc<TrustAnchors>,
    }

    impl Root {
        fn new() -> Root {
            let key = Ed25519SigningKey::from_pkcs8(&Ed25519SigningKey::generate_pkcs8().unwrap()).unwrap();
            let public = key.to_public_key().unwrap();
            let mut anchors = TrustAnchors::empty();
            anchors.insert(&public);
            assert_eq!(public.algorithm(), Algorithm::ED25519);
            let signer = DnssecSigner::new(
                DNSKEY::from_key(&public),
                Box::new(key),
                Name::root(),
                Duration::from_secs(600),
            );
            Root { signer, anchors: Arc::new(anchors) }
        }

        /// A record with its signature, which ends so many seconds from now.
        fn signed(&self, name: &Name, data: RData, seconds: i64) -> [Record; 2] {
            let record = Record::from_rdata(name.clone(), 60, data);
            let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
            let serial = |seconds: i64| SerialNumber::new(u32::try_from(seconds).unwrap());
            let input = SigInput {
                type_covered: record.record_type(),
                algorithm: self.signer.key().algorithm(),
                num_labels: name.num_labels(),
                original_ttl: 60,
                sig_expiration: serial(now + seconds),
                sig_inception: serial(now - 3600),
                key_tag: self.signer.calculate_key_tag().unwrap(),
                signer_name: Name::root(),
            };
            let tbs = TBS::from_input(name, DNSClass::IN, &input, std::iter::once(&record)).unwrap();
            let signature = RRSIG::from_sig(input, self.signer.sign(&tbs).unwrap());
            let signature = RData::DNSSEC(DNSSECRData::RRSIG(signature));
            let signature = Record::from_rdata(name.clone(), 60, signature);
            [record, signature]
        }

        fn key(&self) -> [Record; 2] {
            let key = RData::DNSSEC(DNSSECRData::DNSKEY(self.signer.to_dnskey()));
            self.signed(&Name::root(), key, 600)
        }

        /// What a resolver that trusts this root makes of these records at the host.
        async fn asked(&self, at_host: Vec<Record>) -> Result<Answer, Failed> {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let mut network = Network::at(socket.local_addr().unwrap(), Duration::from_secs(2));
            network.proving = OnceLock::from(
                TokioResolver::builder_with_config(network.config.clone(), TokioRuntimeProvider::default())
                    .with_options(network.options.clone())
                    .with_trust_anchor(self.anchors.clone())
                    .build()
                    .map_err(|error| Failed(error.to_string())),
            );
            let key = self.key();
            let server = tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
                    let question = Message::from_vec(&buffer[..length]).unwrap();
                    let query = question.queries[0].clone();
                    let mut answer = Message::response(question.metadata.id, OpCode::Query);
                    answer.metadata.recursion_available = true;
                    answer.add_query(query.clone());
                    let records: &[Record] = match query.query_type() {
                        RecordType::DNSKEY if query.name().is_root() => &key,
                        RecordType::TLSA => &at_host,
                        _ => &[],
                    };
                    for record in records {
                        answer.add_answer(record.clone());
                    }
                    socket.send_to(&answer.to_vec().unwrap(), peer).await.unwrap();
                }
            });
            let answer = network.ask(HOST, Kind::Tlsa, true).await;
            server.abort();
            answer
        }
    }

    fn tlsa(octet: u8) -> RData {
        RData::TLSA(TLSA::new(3.into(), 1.into(), 1.into(), vec![octet; 32]))
    }

    #[tokio::test]
    async fn a_good_proof_is_told_from_a_bad_one_and_from_none() {
        let root = Root::new();
        let host = absolute(HOST).unwrap();
        let good = root.signed(&host, tlsa(7), 600);
        let proven = root.asked(good.to_vec()).await.unwrap();
        assert!(proven.secure, "{proven:?}");
        assert_eq!(proven.records[0].data, Data::Tlsa(3, 1, 1, vec![7; 32]));
        // The signature is of another record, out of date, of another's key, or missing.
        let mut changed = good.clone();
        changed[0] = Record::from_rdata(host.clone(), 60, tlsa(8));
        let late = root.signed(&host, tlsa(7), -60);
        let foreign = Root::new().signed(&host, tlsa(7), 600);
        for bad in [changed.to_vec(), late.to_vec(), foreign.to_vec(), good[..1].to_vec()] {
            match root.asked(bad).await {
                Ok(answer) => assert!(!answer.secure, "{answer:?}"),
                Err(failed) => assert!(failed.0.contains(HOST), "{failed}"),
            }
        }
        // Who trusts another root proves nothing by this one.
        let other = Root::new();
        let unproven = other.asked(good.to_vec()).await;
        assert!(unproven.is_err() || unproven.is_ok_and(|answer| !answer.secure));
    }
}
