//! One probe: connect, see who speaks first and how, what is offered, what TLS looks like.
//!
//! Ports for implicit TLS get a ClientHello at once; the others are waited for. Where nothing comes, a second
//! connection tries TLS while the first goes on waiting. Nothing is changed at the server, nobody signs in here.

use super::context::{Connected, Context, Permit, Target};
use super::notes::{Notes, WORDS_CHARS_MAX, printable};
use super::wire::{ShakeFailed, Shaken, Trouble, Wire};
use crate::seen::{First, Offer, Probe, Reach, StartTls, TlsSeen};
use proto::hello;
use proto::knock::{Answer, Awaited, Language, Offered, Verdict, masked, offered};
use proto::service::{Protection, Protocol};

/// Our name in EHLO: the address literal that mail programs send which do not tell where they are.
pub(super) const EHLO_NAME: &str = "[127.0.0.1]";

/// Probes a place at addresses of one family.
pub(super) async fn knock(context: &Context<'_>, target: &Target) -> Probe {
    let permit = context.enter(target).await;
    let probe = Probe::blank(target.place.clone(), target.ipv6, Reach::NotTried);
    let mut knock = Knock { context, target, notes: Notes::new(), probe };
    if context.is_over() {
        return knock.probe;
    }
    match context.connect(target, &knock.notes).await {
        Err((address, reach)) => {
            knock.probe.reach = reach;
            knock.probe.address = Some(address);
        }
        Ok(Connected { wire, address }) => {
            knock.probe.reach = Reach::Open;
            knock.probe.address = Some(address);
            match target.place.port.protection {
                Protection::Implicit => knock.implicit(wire).await,
                Protection::StartTls | Protection::Clear => knock.waiting(wire, permit).await,
            }
            knock.cut_off();
        }
    }
    let mut probe = knock.probe;
    probe.transcript = knock.notes.into_lines();
    probe
}

struct Knock<'a> {
    context: &'a Context<'a>,
    target: &'a Target,
    notes: Notes,
    probe: Probe,
}

impl Knock<'_> {
    /// TLS is expected from the first octet.
    async fn implicit(&mut self, wire: Wire) {
        match self.shake(wire).await {
            Ok((wire, shaken)) => {
                self.probe.first = First::Tls;
                self.established(&shaken);
                self.under_tls(wire, None).await;
            }
            Err(failed) => match answered(&failed) {
                Answered::Tls => {
                    self.probe.first = First::Tls;
                    self.failed(&failed);
                }
                Answered::Clear => {
                    self.notes.remark("this port speaks in clear, not TLS");
                    if let Some(wire) = self.again().await {
                        self.clear(wire).await;
                    }
                    // The first connection showed who speaks first, whatever the second one did.
                    if self.probe.first == First::None {
                        self.probe.first = First::Greeting;
                    }
                }
                Answered::Foreign => self.probe.first = First::Foreign,
                Answered::Nothing if failed.timed_out => self.probe.first = First::Silence,
                Answered::Nothing => self.probe.first = First::Closed,
            },
        }
    }

    /// A greeting is expected. If there is none within half the time, TLS is tried beside.
    async fn waiting(&mut self, mut wire: Wire, permit: Permit<'_>) {
        let half = self.context.until(self.context.limits.answer / 2);
        let full = self.context.answer();
        if !matches!(wire.first_octet(half).await, Err(Trouble::TimedOut { .. })) {
            return self.clear(wire).await;
        }
        self.notes.remark("no greeting yet: trying TLS");
        let Some(second) = self.context.try_enter(self.target) else {
            // No room for two: the first is given up, and its place used.
            drop(wire);
            let shaken = self.try_tls().await;
            drop(permit);
            return self.without_greeting(shaken).await;
        };
        let shaken = {
            let mut tls = std::pin::pin!(self.try_tls());
            tokio::select! {
                greeted = wire.first_octet(full) => match greeted {
                    Ok(()) => None,
                    Err(_) => Some(tls.await),
                },
                shaken = &mut tls => match shaken {
                    Some(Err(failed)) if matches!(answered(&failed), Answered::Nothing) => {
                        match wire.first_octet(full).await {
                            Ok(()) => None,
                            Err(_) => Some(Some(Err(failed))),
                        }
                    }
                    other => Some(other),
                },
            }
        };
        drop(second);
        match shaken {
            None => self.clear(wire).await,
            Some(shaken) => {
                drop(wire);
                self.without_greeting(shaken).await;
            }
        }
    }

    /// A ClientHello on a new connection; `None` if it cannot be made.
    async fn try_tls(&self) -> Option<Result<(Wire, Shaken), ShakeFailed>> {
        let connected = self.context.connect(self.target, &self.notes).await.ok()?;
        Some(self.shake(connected.wire).await)
    }

    /// What the ClientHello brought where no greeting came.
    async fn without_greeting(&mut self, shaken: Option<Result<(Wire, Shaken), ShakeFailed>>) {
        match shaken {
            Some(Ok((wire, shaken))) => {
                self.probe.first = First::Tls;
                self.established(&shaken);
                self.under_tls(wire, None).await;
            }
            Some(Err(failed)) => match answered(&failed) {
                Answered::Tls => {
                    self.probe.first = First::Tls;
                    self.failed(&failed);
                }
                // It greets those who speak before it does, and nobody else within the time.
                Answered::Clear => self.probe.first = First::Greeting,
                Answered::Foreign => self.probe.first = First::Foreign,
                Answered::Nothing => self.probe.first = First::Silence,
            },
            None => self.probe.first = First::Silence,
        }
    }

    /// From the greeting in clear to STARTTLS and what is behind it.
    async fn clear(&mut self, mut wire: Wire) {
        let Some((language, greeting)) = self.greeting(&mut wire).await else { return };
        self.probe.first = First::Greeting;
        if greeting.verdict == Verdict::Bye {
            self.notes.remark("the greeting refuses");
            return;
        }
        let Some(offer) = self.capabilities(&mut wire, language).await else { return };
        let was_offered = offer.starttls;
        let mask = masked(&offer.capabilities).map(str::to_owned);
        self.probe.clear = Some(seen_offer(offer));
        if !was_offered {
            self.notes.remark("STARTTLS is not offered: asking all the same");
        }
        let line = language.ask_tls(TAG_TLS);
        let answer = self.ask(&mut wire, language, &line, Awaited::Reply(TAG_TLS)).await;
        let taken = match answer {
            Ok(Answer { verdict: Verdict::Ok, .. }) => true,
            Ok(answer) if was_offered => {
                let words = self.notes.clean(answer.words(), WORDS_CHARS_MAX);
                self.probe.starttls = StartTls::Fails(format!("refused: {words}"));
                false
            }
            Err(trouble) if was_offered => {
                self.probe.starttls = StartTls::Fails(trouble.words());
                false
            }
            _ => false,
        };
        if !taken {
            if !was_offered {
                self.probe.starttls = mask.map_or(StartTls::NotOffered, StartTls::Stripped);
            }
            return;
        }
        match self.shake(wire).await {
            Ok((wire, shaken)) => {
                self.probe.starttls = if was_offered {
                    StartTls::Works { injectable: false }
                } else {
                    StartTls::Stripped(
                        mask.unwrap_or_else(|| "not offered, and taken when asked for".to_owned()),
                    )
                };
                self.established(&shaken);
                self.under_tls(wire, Some(language)).await;
            }
            Err(failed) => {
                self.probe.starttls = StartTls::Fails(failed.why.clone());
                if matches!(answered(&failed), Answered::Tls) || !failed.chain.is_empty() {
                    self.failed(&failed);
                }
            }
        }
    }

    /// What is offered under TLS; `language` is known behind STARTTLS, else there is a greeting.
    async fn under_tls(&mut self, mut wire: Wire, language: Option<Language>) {
        let language = match language {
            Some(language) => language,
            None => {
                // Under TLS a missing greeting does not change what came first.
                let first = self.probe.first;
                let greeted = self.greeting(&mut wire).await;
                if !matches!(self.probe.first, First::NeverEnds | First::Foreign) {
                    self.probe.first = first;
                }
                match greeted {
                    Some((language, greeting)) if greeting.verdict != Verdict::Bye => language,
                    _ => return,
                }
            }
        };
        if let Some(offer) = self.capabilities(&mut wire, language).await {
            self.probe.encrypted = Some(seen_offer(offer));
        }
        let line = language.leave(TAG_LEAVE);
        // Politeness: what is answered is nobody's business any more.
        let _ = wire.say(&line, &self.notes, self.context.answer()).await;
    }

    /// Reads the greeting, or notes what came instead.
    async fn greeting(&mut self, wire: &mut Wire) -> Option<(Language, Answer)> {
        match wire.greeting(&self.notes, self.context.answer()).await {
            Ok((language, greeting)) => {
                let words = greeting.lines.first().map_or("", String::as_str);
                self.probe.greeting = Some(self.notes.clean(words, WORDS_CHARS_MAX));
                self.probe.protocol = Some(protocol(language, self.target.place.port.protocol));
                Some((language, greeting))
            }
            Err(trouble) => {
                self.notes.remark(&trouble.words());
                self.probe.first = match trouble {
                    Trouble::TimedOut { some: true } | Trouble::TooLong => First::NeverEnds,
                    Trouble::TimedOut { some: false } => First::Silence,
                    Trouble::Closed | Trouble::Failed(_) => First::Closed,
                    Trouble::Foreign(line) => {
                        self.probe.greeting = Some(printable(&line, WORDS_CHARS_MAX));
                        First::Foreign
                    }
                };
                None
            }
        }
    }

    async fn capabilities(&mut self, wire: &mut Wire, language: Language) -> Option<Offered> {
        match capabilities(self.context, &self.notes, wire, language).await {
            Ok(offer) => Some(offer),
            Err(trouble) => {
                self.notes.remark(&trouble.words());
                None
            }
        }
    }

    async fn ask(
        &self,
        wire: &mut Wire,
        language: Language,
        line: &str,
        awaited: Awaited,
    ) -> Result<Answer, Trouble> {
        ask(self.context, &self.notes, wire, language, line, awaited).await
    }

    async fn shake(&self, wire: Wire) -> Result<(Wire, Shaken), ShakeFailed> {
        self.notes.remark("TLS handshake");
        let host = &self.target.place.host;
        let shaken = wire.shake(&self.context.trust, host, self.context.answer()).await;
        match &shaken {
            Ok((_, shaken)) => self.notes.remark(&format!("{} with {}", shaken.version, shaken.cipher)),
            Err(failed) => self.notes.remark(&format!("TLS failed: {}", failed.why)),
        }
        shaken
    }

    /// One more connection, in the place of one that has ended.
    async fn again(&self) -> Option<Wire> {
        self.context.connect(self.target, &self.notes).await.ok().map(|connected| connected.wire)
    }

    fn established(&mut self, shaken: &Shaken) {
        let host = &self.target.place.host;
        let certificate = self.context.trust.certificate(host, &shaken.chain, shaken.proven);
        let mut seen = TlsSeen {
            version: Some(shaken.version.clone()),
            cipher: Some(shaken.cipher.clone()),
            accepts: vec![shaken.version.clone()],
            refuses: Vec::new(),
            weak: Vec::new(),
            failure: None,
            certificate,
        };
        if shaken.version != hello::version_name(hello::TLS13) {
            // Both were offered, and a server takes the better one.
            seen.refuses.push(hello::version_name(hello::TLS13).to_owned());
        }
        self.probe.tls = Some(seen);
    }

    fn failed(&mut self, failed: &ShakeFailed) {
        let host = &self.target.place.host;
        self.probe.tls = Some(TlsSeen {
            version: None,
            cipher: None,
            accepts: Vec::new(),
            refuses: Vec::new(),
            weak: Vec::new(),
            failure: Some(failed.why.clone()),
            certificate: self.context.trust.certificate(host, &failed.chain, false),
        });
    }

    /// The run ended in the middle: silence then says nothing of the server.
    fn cut_off(&mut self) {
        let nothing = matches!(self.probe.first, First::None | First::Silence);
        if self.context.is_over() && nothing {
            self.notes.remark("the time is over");
            self.probe.reach = Reach::NotTried;
            self.probe.first = First::None;
        }
    }
}

pub(super) const TAG_CAPABILITIES: u32 = 1;
pub(super) const TAG_TLS: u32 = 2;
pub(super) const TAG_LEAVE: u32 = 9;

/// Sends a line and reads the answer to it.
pub(super) async fn ask(
    context: &Context<'_>,
    notes: &Notes,
    wire: &mut Wire,
    language: Language,
    line: &str,
    awaited: Awaited,
) -> Result<Answer, Trouble> {
    wire.say(line, notes, context.answer()).await?;
    wire.answer(language, awaited, notes, context.answer()).await
}

/// Asks what is offered.
pub(super) async fn capabilities(
    context: &Context<'_>,
    notes: &Notes,
    wire: &mut Wire,
    language: Language,
) -> Result<Offered, Trouble> {
    let line = language.ask_capabilities(TAG_CAPABILITIES, EHLO_NAME);
    let answer = ask(context, notes, wire, language, &line, Awaited::Listing(TAG_CAPABILITIES)).await?;
    match answer.verdict {
        Verdict::Ok => Ok(offered(language, &answer.lines)),
        Verdict::Bye => Err(Trouble::Closed),
        // A server that knows no list offers what it always offered.
        Verdict::No | Verdict::Bad | Verdict::Continue => Ok(offered(language, &[])),
    }
}

/// What was sent in answer to a ClientHello.
enum Answered {
    Tls,
    Clear,
    Foreign,
    Nothing,
}

fn answered(failed: &ShakeFailed) -> Answered {
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    match failed.first.as_slice() {
        [] => Answered::Nothing,
        [ALERT | HANDSHAKE, 3, ..] => Answered::Tls,
        first => {
            let line = first.split(|byte| *byte == b'\n').next().unwrap_or(first);
            let line = String::from_utf8_lossy(line);
            if Language::greeting(line.trim_end()).is_some() { Answered::Clear } else { Answered::Foreign }
        }
    }
}

/// What is spoken, where the language has several protocols.
fn protocol(language: Language, expected: Protocol) -> Protocol {
    match language {
        _ if Language::of(expected) == Some(language) => expected,
        Language::Imap => Protocol::Imap,
        Language::Pop3 => Protocol::Pop3,
        Language::Smtp => Protocol::Submission,
    }
}

fn seen_offer(offer: Offered) -> Offer {
    Offer {
        capabilities: offer.capabilities,
        mechanisms: offer.mechanisms,
        password: offer.password,
        starttls: offer.starttls,
    }
}
