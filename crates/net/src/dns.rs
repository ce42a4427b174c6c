//! Questions to DNS: hickory behind a face of our own, so that tests can put a table in its place.
//!
//! What must hold: every question ends within its time; names leave in A-labels and are never completed from a
//! search list (only a single label that somebody typed is, see [`Resolver::addresses`]); an answer is bounded; what
//! cannot be read in a record is left out, never guessed. "The name does not exist", "it has no such record" and "nobody
//! answered" are three different things.
//! Deliberately not here: which addresses may be connected to (see `https::client`), and what a record means.

mod hickory;
mod table;

pub use proto::discovery::dns::Kind;

use proto::discovery::dns::{Data, Record};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Records that are taken from one answer.
pub const RECORDS_MAX: usize = 64;
/// Octets of a name (RFC 1035 2.3.4, without the final dot).
const NAME_BYTES_MAX: usize = 253;
/// Octets of a label (RFC 1035 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The records of the kind; none if the name or the kind does not exist.
    pub records: Vec<Record>,
    /// The name itself does not exist.
    pub no_such_name: bool,
    /// Proven by DNSSEC; only [`Resolver::ask_proven`] asks for the proof.
    pub secure: bool,
}

/// The resolver did not answer; a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed(pub String);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

/// A resolver. Clones share their cache.
#[derive(Clone)]
pub struct Resolver {
    inner: Arc<Inner>,
}

enum Inner {
    Network(Box<hickory::Network>),
    Table(table::Table),
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

impl Resolver {
    /// The system's (`/etc/resolv.conf`, `/etc/hosts`), each question bounded by `time_max`.
    ///
    /// # Errors
    /// The system's settings cannot be read.
    pub fn system(time_max: Duration) -> Result<Resolver, Failed> {
        hickory::Network::system(time_max)
            .map(|network| Resolver { inner: Arc::new(Inner::Network(Box::new(network))) })
    }

    /// Asks this server instead, and nothing else: `/etc/hosts` is not read.
    ///
    /// # Panics
    /// Never: see `hickory::Network::at`.
    #[must_use]
    pub fn at(server: SocketAddr, time_max: Duration) -> Resolver {
        Resolver { inner: Arc::new(Inner::Network(Box::new(hickory::Network::at(server, time_max)))) }
    }

    /// Answers from these records alone; for tests. Names that `silent` lists do not answer.
    #[must_use]
    pub fn fixed(records: Vec<Record>, silent: Vec<String>) -> Resolver {
        Resolver { inner: Arc::new(Inner::Table(table::Table::new(records, silent))) }
    }

    /// Asks for the records of a kind; a CNAME is followed, and the records stand under the name that was asked.
    /// A name that cannot be one ("a..b", 300 octets) is answered as one that does not exist.
    ///
    /// # Errors
    /// No answer.
    pub async fn ask(&self, name: &str, kind: Kind) -> Result<Answer, Failed> {
        let Some(name) = a_labels(name) else { return Ok(no_such_name()) };
        match &*self.inner {
            Inner::Network(network) => network.ask(&name, kind, false).await,
            Inner::Table(table) => table.ask(&name, kind).await,
        }
    }

    /// As [`Resolver::ask`], and checks the signatures from the root down (RFC 4035 5). Costs several questions more,
    /// and behind a resolver that drops signatures nothing is proven, so it is asked only where the proof decides (RFC 6698 4.1).
    ///
    /// # Errors
    /// No answer, or one whose signatures are wrong.
    pub async fn ask_proven(&self, name: &str, kind: Kind) -> Result<Answer, Failed> {
        let Some(name) = a_labels(name) else { return Ok(no_such_name()) };
        match &*self.inner {
            Inner::Network(network) => network.ask(&name, kind, true).await,
            Inner::Table(table) => table.ask(&name, kind).await,
        }
    }

    /// The addresses of a host, IPv6 and IPv4. An address as text is its own; a single label is looked for in
    /// the system's search list, as whoever typed it expects.
    ///
    /// # Errors
    /// No answer.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Failed> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse() {
            return Ok(vec![address]);
        }
        let Some(name) = a_labels(host) else { return Ok(Vec::new()) };
        let answer = match &*self.inner {
            Inner::Network(network) if !name.contains('.') => network.typed(&name).await?,
            _ => self.ask(&name, Kind::Address).await?,
        };
        let addresses = answer.records.into_iter().filter_map(|record| match record.data {
            Data::Address(address) => Some(address),
            _ => None,
        });
        Ok(addresses.collect())
    }
}

/// A name as it is asked: lower case, A-labels (RFC 5890 2.3.2.1), no final dot. `None` if it can be no name: letters,
/// digits, hyphens and underscores (RFC 8552), and `*` as first label, for wildcards are asked for by the check of records.
#[must_use]
pub fn a_labels(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let ascii = if name.is_ascii() {
        name.to_ascii_lowercase()
    } else {
        idna::domain_to_ascii_cow(name.as_bytes(), idna::AsciiDenyList::URL).ok()?.into_owned()
    };
    let rest = ascii.strip_prefix("*.").unwrap_or(&ascii);
    let fits = ascii.len() <= NAME_BYTES_MAX
        && rest.split('.').all(|label| {
            (1..=LABEL_BYTES_MAX).contains(&label.len())
                && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
        });
    fits.then_some(ascii)
}

fn no_such_name() -> Answer {
    Answer { no_such_name: true, ..Answer::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, data: Data) -> Record {
        Record { name: name.to_owned(), data }
    }

    fn address(text: &str) -> Data {
        Data::Address(text.parse().expect("an address"))
    }

    #[test]
    fn names_become_a_labels_or_none() {
        let cases = [
            ("Mail.Example.ORG.", Some("mail.example.org")),
            ("_imaps._tcp.example.org", Some("_imaps._tcp.example.org")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("*.example.org", Some("*.example.org")),
            ("localhost", Some("localhost")),
            ("", None),
            (".", None),
            ("a..b", None),
            ("a b.example", None),
            ("a/b.example", None),
            ("a.*.example", None),
            ("a\r\nb.example", None),
            ("müller/x.example", None),
        ];
        for (name, expected) in cases {
            assert_eq!(a_labels(name).as_deref(), expected, "{name:?}");
        }
        assert_eq!(a_labels(&"a".repeat(64)), None);
        assert_eq!(a_labels(&vec!["a".repeat(63); 4].join(".")), None);
        assert!(a_labels(&vec!["a".repeat(62); 4].join(".")).is_some());
    }

    #[tokio::test]
    async fn the_table_answers_as_dns_does() {
        let resolver = Resolver::fixed(
            vec![
                record("example.org", Data::Mx { preference: 10, host: "mx.example.org".into() }),
                record("mx.example.org", address("192.0.2.1")),
                record("mx.example.org", address("2001:db8::1")),
                record("www.example.org", Data::Cname("mx.example.org".into())),
                record("loop.example.org", Data::Cname("loop.example.org".into())),
                record("_imaps._tcp.example.org", Data::Txt("x".into())),
            ],
            vec!["silent.example.org".into()],
        );
        let answer = resolver.ask("EXAMPLE.org.", Kind::Mx).await.expect("an answer");
        assert_eq!(
            answer.records,
            [record("example.org", Data::Mx { preference: 10, host: "mx.example.org".into() })]
        );
        // No data is not "no such name", and neither is a name that only has names below it (RFC 8020).
        assert_eq!(resolver.ask("example.org", Kind::Txt).await, Ok(Answer::default()));
        assert_eq!(resolver.ask("_tcp.example.org", Kind::Txt).await, Ok(Answer::default()));
        assert_eq!(resolver.ask("gone.example.org", Kind::Txt).await, Ok(no_such_name()));
        // A CNAME is followed, and the record stands under the name that was asked.
        let answer = resolver.ask("www.example.org", Kind::Address).await.expect("an answer");
        assert_eq!(answer.records[0], record("www.example.org", address("2001:db8::1")));
        let cname = resolver.ask("www.example.org", Kind::Cname).await.expect("an answer");
        assert_eq!(cname.records, [record("www.example.org", Data::Cname("mx.example.org".into()))]);
        assert!(resolver.ask("loop.example.org", Kind::Address).await.is_err());
        assert!(resolver.ask("silent.example.org", Kind::Mx).await.is_err());
        let both = resolver.addresses("www.example.org").await.expect("an answer");
        assert_eq!(both, ["2001:db8::1".parse::<IpAddr>().unwrap(), "192.0.2.1".parse().unwrap()]);
        assert_eq!(resolver.addresses("[::1]").await, Ok(vec!["::1".parse().unwrap()]));
        assert_eq!(resolver.addresses("no such name").await, Ok(Vec::new()));
    }
}
