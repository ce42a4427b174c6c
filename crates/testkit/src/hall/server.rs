//! The mail servers of the hall: enough of three protocols to be looked at, and every fault on purpose.

use super::scenario::{Fault, Listener, Shield, Speaks};
use super::{Heard, PASSWORD};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::ServerConfig;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// Between the octets of a drip.
const DRIP: Duration = Duration::from_millis(100);
/// A line of the client.
const LINE_BYTES_MAX: usize = 64 * 1024;

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// What a server is made of.
pub(super) struct Server {
    pub(super) listener: Listener,
    pub(super) tls: Arc<ServerConfig>,
    pub(super) heard: Arc<Mutex<Vec<Heard>>>,
}

struct Session<'a> {
    server: &'a Server,
    io: Box<dyn Io>,
    buffer: Vec<u8>,
    encrypted: bool,
    at: usize,
}

impl Server {
    /// One connection, to its end.
    pub(super) async fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let at = {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.push(Heard { port: self.listener.port, ..Heard::default() });
            heard.len() - 1
        };
        let mut session =
            Session { server: self, io: Box::new(stream), buffer: Vec::new(), encrypted: false, at };
        match self.listener.fault {
            Fault::Silent => loop {
                session.line().await?;
            },
            Fault::Closes => return Ok(()),
            Fault::Drip => loop {
                session.io.write_all(b"*").await?;
                tokio::time::sleep(DRIP).await;
            },
            Fault::Endless => loop {
                session.io.write_all(b"220-and another line\r\n").await?;
            },
            Fault::EndlessLine => loop {
                session.io.write_all(b"* OK and so on and so forth ").await?;
            },
            Fault::Foreign => return session.io.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await,
            _ => {}
        }
        if self.listener.protection == Shield::Implicit {
            session = session.shake().await?;
        }
        session.greet().await?;
        session.talk().await
    }
}

impl<'a> Session<'a> {
    /// TLS, or what is broken about it.
    async fn shake(mut self) -> io::Result<Session<'a>> {
        let answer = match self.server.listener.fault {
            Fault::Tls10 => Some(self.old_hello(0x0301, 0x002f).await?),
            Fault::Ssl3 => Some(self.old_hello(0x0300, 0x0005).await?),
            Fault::Alert => Some(vec![21, 3, 3, 0, 2, 2, 80]),
            Fault::StarttlsGarbage => Some(b"what do you mean?\r\n".to_vec()),
            _ => None,
        };
        if let Some(answer) = answer {
            self.io.write_all(&answer).await?;
            self.io.flush().await?;
            // What the client makes of it is waited for: a reset could overtake the answer.
            let mut rest = [0; 1024];
            while self.io.read(&mut rest).await? > 0 {}
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let carried = match self.server.listener.fault {
            Fault::Injectable => std::mem::take(&mut self.buffer),
            _ => Vec::new(),
        };
        let acceptor = TlsAcceptor::from(Arc::clone(&self.server.tls));
        let io: Box<dyn Io> = Box::new(acceptor.accept(self.io).await?);
        Ok(Session { io, buffer: carried, encrypted: true, ..self })
    }

    /// The answer of a server that speaks one old version: a ServerHello, or an alert to those who are older still
    /// or do not offer its suite.
    async fn old_hello(&mut self, version: u16, suite: u16) -> io::Result<Vec<u8>> {
        use proto::hello::{Alert, Parsed, alert, parse};
        let mut octets = std::mem::take(&mut self.buffer);
        let hello = loop {
            match parse(&octets) {
                Parsed::Hello(hello) => break hello,
                Parsed::NeedMore => {}
                _ => return Ok(alert(None, Alert::DecodeError).to_vec()),
            }
            let mut chunk = [0; 4096];
            let count = self.io.read(&mut chunk).await?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            octets.extend_from_slice(&chunk[..count]);
        };
        if hello.legacy_version < version {
            return Ok(alert(Some(&hello), Alert::ProtocolVersion).to_vec());
        }
        // The library offers no old suites; a real server of this age would hang up just there.
        let modern = !hello.supported_versions.is_empty();
        if !hello.suites.contains(&suite) && !modern {
            return Ok(alert(Some(&hello), Alert::HandshakeFailure).to_vec());
        }
        let [major, minor] = version.to_be_bytes();
        let mut body = vec![major, minor];
        body.extend_from_slice(&[7; 32]);
        body.push(0);
        body.extend_from_slice(&suite.to_be_bytes());
        body.push(0);
        let length = u8::try_from(body.len()).expect("a short message");
        let message = [&[2, 0, 0, length], body.as_slice()].concat();
        let length = u8::try_from(message.len()).expect("a short message");
        Ok([&[22, major, minor, 0, length], message.as_slice()].concat())
    }

    async fn greet(&mut self) -> io::Result<()> {
        let own = match self.server.listener.speaks {
            Speaks::Imap => "* OK hall ready",
            Speaks::Pop3 => "+OK hall ready",
            Speaks::Smtp => "220 hall ESMTP",
        };
        let greeting = self.server.listener.greeting.clone().unwrap_or_else(|| own.to_owned());
        self.say(&greeting).await
    }

    async fn talk(mut self) -> io::Result<()> {
        loop {
            let Some(line) = self.line().await? else { return Ok(()) };
            let (tag, command) = match self.server.listener.speaks {
                Speaks::Imap => line
                    .split_once(' ')
                    .map_or((line.clone(), String::new()), |(tag, rest)| (tag.to_owned(), rest.to_owned())),
                _ => (String::new(), line.clone()),
            };
            let (word, rest) = command.split_once(' ').unwrap_or((&command, ""));
            match word.to_ascii_uppercase().as_str() {
                "CAPABILITY" | "CAPA" | "EHLO" => self.capabilities(&tag).await?,
                "STARTTLS" | "STLS" => {
                    let fault = self.server.listener.fault;
                    let can = self.server.listener.protection == Shield::Starttls && !self.encrypted;
                    if !can || fault == Fault::StarttlsRefused {
                        self.no(&tag, "TLS not available").await?;
                        continue;
                    }
                    self.yes(&tag, "go ahead").await?;
                    self = self.shake().await?;
                }
                "NOOP" if self.server.listener.speaks == Speaks::Pop3 => self.no(&tag, "not now").await?,
                "NOOP" => self.yes(&tag, "nothing done").await?,
                "LOGOUT" | "QUIT" => {
                    if self.server.listener.speaks == Speaks::Imap {
                        self.say("* BYE bye").await?;
                    }
                    let text = if self.server.listener.speaks == Speaks::Smtp { "221 bye" } else { "bye" };
                    return if text.starts_with('2') {
                        self.say(text).await
                    } else {
                        self.yes(&tag, text).await
                    };
                }
                "LOGIN" => {
                    let mut parts = rest.split('"').filter(|part| !part.trim().is_empty());
                    let (user, password) =
                        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                    self.sign_in(&tag, user, password).await?;
                }
                "AUTHENTICATE" | "AUTH" => self.auth(&tag, rest).await?,
                "USER" => {
                    let user = rest.to_owned();
                    self.yes(&tag, "and?").await?;
                    let Some(line) = self.line().await? else { return Ok(()) };
                    let password = line.strip_prefix("PASS ").unwrap_or_default().to_owned();
                    self.sign_in(&tag, &user, &password).await?;
                }
                _ => self.unknown(&tag).await?,
            }
        }
    }

    async fn auth(&mut self, tag: &str, rest: &str) -> io::Result<()> {
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut messages = Vec::new();
        let prompts: &[&str] = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" if initial.is_empty() => &[""],
            "PLAIN" => &[],
            "LOGIN" => &["VXNlcm5hbWU6", "UGFzc3dvcmQ6"],
            _ => return self.unknown(tag).await,
        };
        if !initial.is_empty() {
            messages.push(initial.to_owned());
        }
        for prompt in prompts {
            let sign = if self.server.listener.speaks == Speaks::Smtp { "334" } else { "+" };
            self.say(&format!("{sign} {prompt}")).await?;
            let Some(line) = self.line().await? else { return Ok(()) };
            messages.push(line);
        }
        let decoded: Vec<String> = messages
            .iter()
            .map(|message| String::from_utf8_lossy(&BASE64.decode(message).unwrap_or_default()).into_owned())
            .collect();
        let parts: Vec<&str> =
            decoded.iter().flat_map(|message| message.split('\0')).filter(|p| !p.is_empty()).collect();
        match parts.as_slice() {
            [user, password] => self.sign_in(tag, user, password).await,
            _ => self.no(tag, "malformed").await,
        }
    }

    async fn sign_in(&mut self, tag: &str, user: &str, password: &str) -> io::Result<()> {
        let listener = &self.server.listener;
        {
            let mut heard = self.server.heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard[self.at].attempts.push(user.to_owned());
        }
        if listener.user.as_deref() == Some(user) && password == PASSWORD {
            return match listener.speaks {
                Speaks::Smtp => self.say("235 2.7.0 welcome").await,
                _ => self.yes(tag, "welcome").await,
            };
        }
        tokio::time::sleep(Duration::from_millis(listener.refusal_millis)).await;
        let refusal = match (listener.fault, &listener.refusal) {
            (Fault::Echo, _) => {
                format!("[AUTHENTICATIONFAILED] {password} {} is wrong", BASE64.encode(password))
            }
            (_, Some(refusal)) => refusal.clone(),
            _ => "authentication failed".to_owned(),
        };
        match listener.speaks {
            Speaks::Smtp => self.say(&format!("535 5.7.8 {refusal}")).await,
            _ => self.no(tag, &refusal).await,
        }
    }

    async fn capabilities(&mut self, tag: &str) -> io::Result<()> {
        let listener = &self.server.listener;
        let given = if self.encrypted { &listener.encrypted } else { &listener.clear };
        let usual = usual(listener.speaks, listener.protection, self.encrypted);
        let list = given.clone().unwrap_or_else(|| usual.iter().map(|s| (*s).to_owned()).collect());
        match listener.speaks {
            Speaks::Imap => {
                self.say(&format!("* CAPABILITY {}", list.join(" "))).await?;
                self.yes(tag, "done").await
            }
            Speaks::Pop3 => self.say(&format!("+OK\r\n{}\r\n.", list.join("\r\n"))).await,
            Speaks::Smtp => {
                let mut lines = vec!["hall".to_owned()];
                lines.extend(list);
                let last = lines.len() - 1;
                let text: Vec<String> = lines
                    .iter()
                    .enumerate()
                    .map(|(at, line)| format!("250{}{line}", if at == last { ' ' } else { '-' }))
                    .collect();
                self.say(&text.join("\r\n")).await
            }
        }
    }

    async fn yes(&mut self, tag: &str, text: &str) -> io::Result<()> {
        let line = match self.server.listener.speaks {
            Speaks::Imap => format!("{tag} OK {text}"),
            Speaks::Pop3 => format!("+OK {text}"),
            Speaks::Smtp if text == "go ahead" => format!("220 {text}"),
            Speaks::Smtp => format!("250 {text}"),
        };
        self.say(&line).await
    }

    async fn no(&mut self, tag: &str, text: &str) -> io::Result<()> {
        let line = match self.server.listener.speaks {
            Speaks::Imap => format!("{tag} NO {text}"),
            Speaks::Pop3 => format!("-ERR {text}"),
            Speaks::Smtp => format!("454 {text}"),
        };
        self.say(&line).await
    }

    async fn unknown(&mut self, tag: &str) -> io::Result<()> {
        let line = match self.server.listener.speaks {
            Speaks::Imap => format!("{tag} BAD what?"),
            Speaks::Pop3 => "-ERR what?".to_owned(),
            Speaks::Smtp => "500 5.5.1 what?".to_owned(),
        };
        self.say(&line).await
    }

    async fn say(&mut self, line: &str) -> io::Result<()> {
        self.io.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.io.flush().await
    }

    /// The next line; `None` at the end. Everything is remembered.
    async fn line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                self.buffer.clear();
            }
            let mut chunk = [0; 4096];
            let count = self.io.read(&mut chunk).await?;
            if count == 0 {
                return Ok(None);
            }
            self.buffer.extend_from_slice(&chunk[..count]);
            let mut heard = self.server.heard.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = if self.encrypted { &mut heard[self.at].encrypted } else { &mut heard[self.at].clear };
            kept.extend_from_slice(&chunk[..count]);
        }
    }
}

fn usual(speaks: Speaks, protection: Shield, encrypted: bool) -> &'static [&'static str] {
    match (speaks, encrypted, protection) {
        (Speaks::Imap, false, Shield::Starttls) => &["IMAP4rev1", "STARTTLS", "LOGINDISABLED"],
        (Speaks::Imap, ..) => &["IMAP4rev1", "SASL-IR", "AUTH=PLAIN"],
        (Speaks::Pop3, false, Shield::Starttls) => &["TOP", "STLS"],
        (Speaks::Pop3, ..) => &["TOP", "USER", "SASL PLAIN"],
        (Speaks::Smtp, false, Shield::Starttls) => &["PIPELINING", "STARTTLS"],
        (Speaks::Smtp, ..) => &["PIPELINING", "AUTH PLAIN LOGIN"],
    }
}
