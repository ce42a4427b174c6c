//! Our client machines on sockets.

use crate::house::{HOST, House, password_of};
use net::authority::Leaf;
use proto::machine::{Machine, Tick};
use proto::pop3::client::{self as pop3, Expect, Reply as Status};
use proto::proof::{How, Secret, Security};
use proto::sasl::scram::Binding;
use proto::sasl::{Mechanism, client as sasl};
use proto::smtp::client::{Client, Event, Limits, Way};
use proto::smtp::{Mail, Path, Rcpt, Reply, Role};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;
use testkit::smtp::tls;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const PATIENCE: Duration = Duration::from_secs(20);

trait Octets: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Octets for T {}

/// A connection, in clear or not.
pub struct Wire {
    octets: Box<dyn Octets>,
    /// `tls-exporter` (RFC 9266) as this end sees it.
    pub exporter: Option<[u8; 32]>,
}

/// How a client connects.
pub struct Look<'a> {
    pub server_name: &'a str,
    pub certificate: Option<&'a Leaf>,
}

impl Default for Look<'_> {
    fn default() -> Self {
        Look { server_name: HOST, certificate: None }
    }
}

impl Wire {
    pub async fn clear(house: &House, listener: &str) -> Wire {
        let tcp = TcpStream::connect(house.at(listener)).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        Wire { octets: Box::new(tcp), exporter: None }
    }

    pub async fn secure(self, house: &House, look: &Look<'_>) -> Wire {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(house.authority.certificate_file()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match look.certificate {
            None => builder.with_no_client_auth(),
            Some(leaf) => {
                let chain = CertificateDer::pem_slice_iter(leaf.chain_pem.as_bytes());
                let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
                let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let name = ServerName::try_from(look.server_name.to_owned()).unwrap();
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, self.octets);
        let stream = tokio::time::timeout(PATIENCE, connecting).await.unwrap().unwrap();
        let (_, connection) = stream.get_ref();
        let label = b"EXPORTER-Channel-Binding";
        let exporter = connection.export_keying_material([0; 32], label, Some(b"")).unwrap();
        Wire { octets: Box::new(stream), exporter: Some(exporter) }
    }

    pub async fn say(&mut self, bytes: &[u8]) {
        self.octets.write_all(bytes).await.unwrap();
        self.octets.flush().await.unwrap();
    }

    /// Appends what comes; false at the end.
    pub async fn hear(&mut self, into: &mut Vec<u8>) -> bool {
        let mut piece = [0; 4096];
        let read =
            tokio::time::timeout(PATIENCE, self.octets.read(&mut piece)).await.expect("an answer in time");
        let count = read.unwrap_or(0);
        into.extend_from_slice(&piece[..count]);
        count > 0
    }

    /// Everything until the server closes.
    pub async fn rest(&mut self) -> String {
        let mut all = Vec::new();
        while self.hear(&mut all).await {}
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Until this has come.
    pub async fn until(&mut self, end: &str) -> String {
        let mut all = Vec::new();
        while !String::from_utf8_lossy(&all).ends_with(end) {
            assert!(self.hear(&mut all).await, "closed after {}", String::from_utf8_lossy(&all));
        }
        String::from_utf8_lossy(&all).into_owned()
    }
}

/// What became of a message.
#[derive(Debug, Default)]
pub struct Sent {
    pub mail: Option<Reply>,
    pub rcpt: Vec<Reply>,
    pub delivered: Vec<(usize, Reply)>,
    pub refused: Option<Reply>,
}

impl Sent {
    /// Code and status of each reply: MAIL, RCPTs, then the message's.
    pub fn codes(&self) -> String {
        let last = self.delivered.iter().map(|(_, reply)| reply).chain(&self.refused);
        let all = self.mail.iter().chain(&self.rcpt).chain(last);
        let words: Vec<String> = all
            .map(|r| match r.status {
                Some((class, subject, detail)) => format!("{} {class}.{subject}.{detail}", r.code),
                None => r.code.to_string(),
            })
            .collect();
        words.join(", ")
    }
}

/// Somebody who sends mail.
pub struct Mailer {
    wire: Wire,
    machine: Client,
    held: Vec<u8>,
    lmtp: bool,
}

impl Mailer {
    /// Connects and, if the listener begins in clear, asks for TLS.
    pub async fn open(house: &House, listener: &str) -> Mailer {
        Mailer::looking(house, listener, &Look::default()).await
    }

    pub async fn looking(house: &House, listener: &str, look: &Look<'_>) -> Mailer {
        let role = match listener {
            "lmtp" => Role::Lmtp,
            "smtp" => Role::Exchange,
            _ => Role::Submission,
        };
        let new = |wire, security| {
            let machine = Client::new(role, "client.test", Limits::default(), security, Tick(0));
            Mailer { wire, machine, held: Vec::new(), lmtp: role == Role::Lmtp }
        };
        let wire = Wire::clear(house, listener).await;
        if listener == "submissions" {
            let mut mailer = new(wire.secure(house, look).await, tls(How::Implicit));
            mailer.ready().await;
            return mailer;
        }
        let mut mailer = new(wire, Security::clear());
        mailer.ready().await;
        mailer.machine.start_tls().unwrap();
        assert_eq!(mailer.next().await, Event::StartTls);
        let mut mailer = new(mailer.wire.secure(house, look).await, tls(How::StartTls));
        mailer.ready().await;
        mailer
    }

    async fn ready(&mut self) {
        let event = self.next().await;
        assert!(matches!(event, Event::Ready(_)), "{event:?}");
    }

    async fn next(&mut self) -> Event {
        loop {
            let (used, event) = self.machine.receive(&self.held, Tick(0));
            self.held.drain(..used);
            if let Some(event) = event {
                return event;
            }
            let said = std::mem::take(self.machine.output());
            self.wire.say(&said).await;
            if used == 0 {
                let open = self.wire.hear(&mut self.held).await;
                assert!(open, "closed while an answer was due");
            }
        }
    }

    /// Names of the mechanisms that are offered.
    pub fn mechanisms(&self) -> Vec<String> {
        self.machine.capabilities().auth.clone()
    }

    /// One message of a mechanism, whose verdict is the answer.
    pub async fn auth(&mut self, mechanism: Mechanism, initial: &[u8]) -> Reply {
        self.machine.auth(mechanism, Some(initial)).unwrap();
        match self.next().await {
            Event::AuthDone(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    /// A whole exchange with our SASL client; the server must prove itself where it can.
    pub async fn sasl(
        &mut self,
        mechanism: Mechanism,
        user: &str,
        password: &str,
        binding: Binding,
    ) -> Reply {
        let secret = Secret::new(password);
        let started = sasl::Client::start(mechanism, user, &secret, "", &[9; 18], binding);
        let (mut client, initial) = started.unwrap();
        self.machine.auth(mechanism, initial.as_ref().map(|i| i.as_slice())).unwrap();
        loop {
            match self.next().await {
                Event::AuthChallenge(challenge) => {
                    let answer = client.receive(&challenge);
                    // A refusal in the mechanism's words is acknowledged with an empty message.
                    self.machine.auth_message(Some(answer.as_ref().map_or(&[][..], |a| a.as_slice())));
                }
                Event::AuthDone(reply) => {
                    assert!(reply.code != 235 || client.finish().is_ok(), "it did not prove itself");
                    return reply;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// The channel binding of this connection.
    pub fn exporter(&self) -> [u8; 32] {
        self.wire.exporter.expect("it is encrypted")
    }

    pub async fn plain(&mut self, user: &str, password: &str) -> Reply {
        self.auth(Mechanism::Plain, format!("\0{user}\0{password}").as_bytes()).await
    }

    /// Logged in on the submission port.
    pub async fn of(house: &House, user: &str) -> Mailer {
        let mut mailer = Mailer::open(house, "submissions").await;
        assert_eq!(mailer.plain(user, &password_of(user)).await.code, 235);
        mailer
    }

    /// One message by DATA.
    pub async fn send(&mut self, from: &str, to: &[&str], content: &str) -> Sent {
        let mail = Mail { from: path(from), ..Mail::default() };
        self.send_as(&mail, to, content.as_bytes(), Way::Data).await
    }

    pub async fn send_as(&mut self, mail: &Mail, to: &[&str], content: &[u8], way: Way) -> Sent {
        let rcpt = |to: &&str| Rcpt { to: path(to).expect("a recipient"), notify: None, original: None };
        let recipients: Vec<Rcpt> = to.iter().map(rcpt).collect();
        self.machine.send(mail, &recipients, way).unwrap();
        let mut sent = Sent::default();
        let mut due = usize::MAX;
        while due > 0 {
            match self.next().await {
                Event::Mail(reply) => sent.mail = Some(reply),
                Event::Rcpt(_, reply) => sent.rcpt.push(reply),
                Event::Content => {
                    for piece in content.chunks(1000) {
                        self.machine.content(piece);
                    }
                    self.machine.end_content();
                    due = 1;
                    if self.lmtp {
                        due = sent.rcpt.iter().filter(|r| r.is_positive()).count();
                    }
                }
                Event::Delivered(index, reply) => {
                    sent.delivered.push((index, reply));
                    due -= 1;
                }
                Event::NotDelivered(reply) => {
                    sent.refused = Some(reply);
                    due = 0;
                }
                other => panic!("{other:?}"),
            }
        }
        sent
    }
}

/// `local@domain`; empty is the null path.
pub fn path(address: &str) -> Option<Path> {
    let (local, domain) = address.rsplit_once('@')?;
    Some(Path { local: local.to_owned(), domain: domain.to_owned() })
}

/// Somebody who fetches mail.
pub struct Reader {
    wire: Wire,
    machine: pop3::Client,
    held: Vec<u8>,
}

/// What came, without its loan.
enum Heard {
    Status(Status),
    Data(Vec<u8>),
    End,
    StartTls,
}

impl Reader {
    pub async fn open(house: &House, listener: &str) -> Reader {
        Reader::looking(house, listener, &Look::default()).await
    }

    pub async fn looking(house: &House, listener: &str, look: &Look<'_>) -> Reader {
        let mut wire = Wire::clear(house, listener).await;
        let implicit = listener == "pop3s";
        if implicit {
            wire = wire.secure(house, look).await;
        }
        let machine = pop3::Client::new(pop3::Limits::default(), true, Tick(0));
        let mut reader = Reader { wire, machine, held: Vec::new() };
        assert!(reader.status().await.ok);
        if implicit {
            return reader;
        }
        assert!(reader.machine.command("STLS", Expect::Tls));
        assert!(matches!(reader.next().await, Heard::StartTls));
        let wire = reader.wire.secure(house, look).await;
        let machine = pop3::Client::new(pop3::Limits::default(), false, Tick(0));
        Reader { wire, machine, held: Vec::new() }
    }

    /// Logged in.
    pub async fn of(house: &House, user: &str) -> Reader {
        let mut reader = Reader::open(house, "pop3s").await;
        let status = reader.login(user, &password_of(user)).await;
        assert!(status.ok, "{status:?}");
        reader
    }

    pub async fn login(&mut self, user: &str, password: &str) -> Status {
        self.ask(&format!("USER {user}")).await;
        self.ask(&format!("PASS {password}")).await
    }

    async fn next(&mut self) -> Heard {
        loop {
            let (used, event) = self.machine.receive(&self.held, Tick(0));
            let heard = event.map(|event| match event {
                pop3::Event::Reply(status) => Heard::Status(status),
                pop3::Event::Data(data) => Heard::Data(data.to_vec()),
                pop3::Event::End => Heard::End,
                pop3::Event::StartTls => Heard::StartTls,
                other => panic!("{other:?}"),
            });
            self.held.drain(..used);
            if let Some(heard) = heard {
                return heard;
            }
            let said = std::mem::take(self.machine.output());
            self.wire.say(&said).await;
            if used == 0 {
                let open = self.wire.hear(&mut self.held).await;
                assert!(open, "closed while an answer was due");
            }
        }
    }

    async fn status(&mut self) -> Status {
        match self.next().await {
            Heard::Status(status) => status,
            _ => panic!("no status"),
        }
    }

    /// A command with an answer of one line.
    pub async fn ask(&mut self, line: &str) -> Status {
        assert!(self.machine.command(line, Expect::Line));
        self.status().await
    }

    /// A command with a body, dots taken off.
    pub async fn fetch(&mut self, line: &str) -> Result<String, Status> {
        assert!(self.machine.command(line, Expect::Body));
        let status = self.status().await;
        if !status.ok {
            return Err(status);
        }
        let mut all = Vec::new();
        loop {
            match self.next().await {
                Heard::Data(data) => all.extend_from_slice(&data),
                Heard::End => return Ok(String::from_utf8_lossy(&all).into_owned()),
                _ => panic!("a status within a body"),
            }
        }
    }

    /// The connection below, for what no proper client does.
    pub fn wire(self) -> Wire {
        self.wire
    }
}
