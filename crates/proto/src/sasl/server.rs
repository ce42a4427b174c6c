//! The server's side of an exchange, whatever the mechanism.

use super::{Answer, CramKey, Failure, Mechanism, Question, ScramHash, Step};
use super::{cram_md5, external, login, plain, scram};
use crate::proof::Security;
use base64::Engine;
use std::fmt;
use zeroize::Zeroizing;

/// The server's side of one exchange.
pub struct Server {
    mechanism: Mechanism,
    state: State,
}

/// Named after what it waits for.
enum State {
    PlainMessage,
    LoginUser,
    LoginPassword {
        user: String,
    },
    CramResponse {
        challenge: Vec<u8>,
    },
    ScramFirst(Box<scram::Server>),
    ScramLast(Box<scram::Server>),
    /// An `e=` was sent; the client's reply, whatever it is, ends the exchange.
    RefusalSeen(Failure),
    ExternalIdentity {
        addresses: Vec<String>,
    },
    Verdict {
        user: String,
    },
    CramKeys {
        challenge: Vec<u8>,
        response: cram_md5::Response,
    },
    ScramKeys(Box<scram::Server>),
    Over,
}

impl Server {
    /// Begins. `nonce` is 18 or more fresh random bytes; `now` is Unix time in
    /// seconds and `host` our name, both for CRAM-MD5's challenge; `initial` is the initial
    /// response (`Some(vec![])` for `=`). A mechanism that is not in `offered` fails.
    pub fn start(
        mechanism: Mechanism,
        offered: &[Mechanism],
        security: &Security,
        nonce: &[u8],
        now: i64,
        host: &str,
        initial: Option<Vec<u8>>,
    ) -> (Server, Step) {
        let initial = initial.map(Zeroizing::new);
        let mut server = Server { mechanism, state: State::Over };
        if !offered.contains(&mechanism) {
            return (server, Step::Failure(Failure::Malformed));
        }
        let scram = |hash, plus| {
            let plus_offered =
                [Mechanism::ScramSha256Plus, Mechanism::ScramSha1Plus].iter().any(|m| offered.contains(m));
            let nonce = base64::engine::general_purpose::STANDARD.encode(nonce);
            State::ScramFirst(Box::new(scram::Server::new(hash, plus, plus_offered, security, nonce)))
        };
        server.state = match mechanism {
            Mechanism::ScramSha256Plus => scram(ScramHash::Sha256, true),
            Mechanism::ScramSha256 => scram(ScramHash::Sha256, false),
            Mechanism::ScramSha1Plus => scram(ScramHash::Sha1, true),
            Mechanism::ScramSha1 => scram(ScramHash::Sha1, false),
            Mechanism::Plain => State::PlainMessage,
            Mechanism::Login => State::LoginUser,
            Mechanism::External => State::ExternalIdentity {
                addresses: security.tls().map(|tls| tls.client_addresses.clone()).unwrap_or_default(),
            },
            Mechanism::CramMd5 => {
                // The server speaks first, so there is nothing that the client
                // could have said yet (RFC 4422 section 3, item 2b).
                if initial.is_some() {
                    return (server, Step::Failure(Failure::Malformed));
                }
                let challenge = cram_md5::challenge(nonce, now, host);
                server.state = State::CramResponse { challenge: challenge.clone() };
                return (server, Step::Challenge(challenge));
            }
        };
        let step = match initial {
            Some(message) if mechanism == Mechanism::Login && message.is_empty() => {
                Step::Challenge(login::USER_PROMPT.to_vec())
            }
            Some(message) => server.receive(&message),
            None if mechanism == Mechanism::Login => Step::Challenge(login::USER_PROMPT.to_vec()),
            None => Step::Challenge(Vec::new()),
        };
        (server, step)
    }

    /// Which mechanism this is.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The client's next message, decoded.
    pub fn receive(&mut self, message: &[u8]) -> Step {
        match std::mem::replace(&mut self.state, State::Over) {
            State::PlainMessage => self.ask(plain::parse(message)),
            State::LoginUser => match login::user(message) {
                Ok(user) => {
                    self.state = State::LoginPassword { user };
                    Step::Challenge(login::PASSWORD_PROMPT.to_vec())
                }
                Err(failure) => Step::Failure(failure),
            },
            State::LoginPassword { user } => self.ask(login::password(user, message)),
            State::ExternalIdentity { addresses } => {
                self.ask(external::parse(&addresses, message).map(|user| Question::Certificate { user }))
            }
            State::CramResponse { challenge } => match cram_md5::parse(message) {
                Ok(response) => {
                    let user = response.user.clone();
                    self.state = State::CramKeys { challenge, response };
                    Step::Ask(Question::CramKeys { user })
                }
                Err(failure) => Step::Failure(failure),
            },
            State::ScramFirst(mut scram) => match scram.first(message) {
                Ok(()) => {
                    let question = Question::ScramKeys { user: scram.user().to_owned(), hash: scram.hash() };
                    self.state = State::ScramKeys(scram);
                    Step::Ask(question)
                }
                Err(refused) => self.refuse(refused),
            },
            State::ScramLast(mut scram) => match scram.last(message) {
                Ok(last) => Step::Success { user: scram.user().to_owned(), last: Some(last) },
                Err(refused) => self.refuse(refused),
            },
            State::RefusalSeen(failure) => Step::Failure(failure),
            State::Verdict { .. } | State::CramKeys { .. } | State::ScramKeys(_) | State::Over => {
                Step::Failure(Failure::Malformed)
            }
        }
    }

    /// The answer to the question asked last. One that does not belong to it
    /// counts as [`Answer::Unavailable`].
    pub fn answer(&mut self, answer: Answer) -> Step {
        match (std::mem::replace(&mut self.state, State::Over), answer) {
            (State::Verdict { user }, Answer::Verdict(true)) => Step::Success { user, last: None },
            (State::Verdict { .. }, Answer::Verdict(false)) => Step::Failure(Failure::Credentials),
            (State::CramKeys { challenge, response }, Answer::Cram(keys)) => {
                cram_outcome(&keys, &challenge, response)
            }
            (State::ScramKeys(mut scram), Answer::Scram { salt, iterations, keys }) => {
                let challenge = scram.challenge(&salt, iterations, keys);
                self.state = State::ScramLast(scram);
                Step::Challenge(challenge)
            }
            _ => Step::Failure(Failure::Temporary),
        }
    }

    /// The client sent `*` or went away: how the exchange counts. A client that
    /// has seen `e=` and does not reply to it has failed, not cancelled.
    #[must_use]
    pub fn cancel(&self) -> Failure {
        match self.state {
            State::RefusalSeen(failure) => failure,
            _ => Failure::Aborted,
        }
    }

    fn ask(&mut self, question: Result<Question, Failure>) -> Step {
        match question {
            Ok(question) => {
                let (Question::Password { user, .. }
                | Question::Certificate { user }
                | Question::CramKeys { user }
                | Question::ScramKeys { user, .. }) = &question;
                self.state = State::Verdict { user: user.clone() };
                Step::Ask(question)
            }
            Err(failure) => Step::Failure(failure),
        }
    }

    /// SCRAM's `e=` goes out as the last server message (RFC 5802 section 5.1);
    /// the exchange fails when the client has acknowledged it.
    fn refuse(&mut self, refused: scram::Refused) -> Step {
        self.state = State::RefusalSeen(refused.failure);
        Step::Challenge(format!("e={}", refused.error).into_bytes())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

fn cram_outcome(keys: &[CramKey], challenge: &[u8], response: cram_md5::Response) -> Step {
    if cram_md5::verify(keys, challenge, &response.digest) {
        Step::Success { user: response.user, last: None }
    } else {
        Step::Failure(Failure::Credentials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::Secret;
    use crate::sasl::client::Client;
    use crate::sasl::scram::Binding;
    use crate::sasl::tests::encrypted;
    use crate::sasl::{Policy, ScramKeys, offer};

    const NOW: i64 = 1_700_000_000;

    fn begin(mechanism: Mechanism, initial: Option<&[u8]>) -> (Server, Step) {
        let security = encrypted(Some([9; 32]), &["ann@example.test"]);
        let offered = offer(&Policy { cram_md5: true, ..Policy::default() }, &security);
        let initial = initial.map(<[u8]>::to_vec);
        Server::start(mechanism, &offered, &security, &[5; 18], NOW, "mail.example.test", initial)
    }

    fn reply(question: &Question, password: &str) -> Answer {
        let secret = Secret::new(password);
        match question {
            Question::Password { password, .. } => Answer::Verdict(*password == secret),
            Question::Certificate { user } => Answer::Verdict(user == "ann@example.test"),
            Question::CramKeys { .. } => Answer::Cram(vec![CramKey::from_password(&secret).unwrap()]),
            Question::ScramKeys { hash, .. } => Answer::Scram {
                salt: b"salt".to_vec(),
                iterations: 4096,
                keys: vec![ScramKeys::derive(*hash, &secret, b"salt", 4096).unwrap()],
            },
        }
    }

    /// Our client against our server; `true` if the initial response is sent at once.
    fn pair(mechanism: Mechanism, sent: &str, kept: &str, at_once: bool) -> Result<String, Failure> {
        let binding = match mechanism {
            Mechanism::ScramSha256Plus | Mechanism::ScramSha1Plus => Binding::Exporter([9; 32]),
            _ => Binding::None,
        };
        let (mut client, mut initial) =
            Client::start(mechanism, "ann@example.test", &Secret::new(sent), "", &[6; 18], binding).unwrap();
        let (mut server, mut step) =
            begin(mechanism, initial.take_if(|_| at_once).as_deref().map(Vec::as_slice));
        loop {
            step = match step {
                Step::Challenge(challenge) => match initial.take() {
                    Some(first) => server.receive(&first),
                    None => match client.receive(&challenge) {
                        Ok(response) => server.receive(&response),
                        Err(_) => server.receive(b""),
                    },
                },
                Step::Ask(question) => server.answer(reply(&question, kept)),
                Step::Success { user, last } => {
                    if let Some(last) = last {
                        assert_eq!(client.receive(&last).unwrap().as_slice(), b"");
                    }
                    client.finish().unwrap();
                    return Ok(user);
                }
                Step::Failure(failure) => return Err(failure),
            }
        }
    }

    #[test]
    fn every_mechanism_lets_the_right_password_in_and_no_other() {
        for mechanism in Mechanism::ALL {
            for at_once in [true, false] {
                let name = mechanism.name();
                assert_eq!(
                    pair(mechanism, "secret", "secret", at_once).as_deref(),
                    Ok("ann@example.test"),
                    "{name}"
                );
                if mechanism != Mechanism::External {
                    assert_eq!(
                        pair(mechanism, "secret", "other", at_once),
                        Err(Failure::Credentials),
                        "{name}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_mechanism_that_is_not_offered_fails() {
        let (_, step) = Server::start(
            Mechanism::Plain,
            &[],
            &Security::clear(),
            &[0; 18],
            0,
            "h",
            Some(b"\0a\0b".to_vec()),
        );
        assert!(matches!(step, Step::Failure(Failure::Malformed)));
    }

    #[test]
    fn cram_md5_takes_no_initial_response() {
        assert!(matches!(begin(Mechanism::CramMd5, Some(b"")).1, Step::Failure(Failure::Malformed)));
    }

    #[test]
    fn login_prompts() {
        for initial in [None, Some(&b""[..])] {
            let (mut server, step) = begin(Mechanism::Login, initial);
            assert!(matches!(step, Step::Challenge(prompt) if prompt == b"Username:"));
            assert!(matches!(server.receive(b"ann"), Step::Challenge(prompt) if prompt == b"Password:"));
        }
        assert!(
            matches!(begin(Mechanism::Login, Some(b"ann")).1, Step::Challenge(prompt) if prompt == b"Password:")
        );
    }

    #[test]
    fn scram_errors_are_said_and_then_fail() {
        let (mut server, step) = begin(Mechanism::ScramSha256, Some(b"y,,n=ann,r=x"));
        assert!(matches!(step, Step::Challenge(e) if e == b"e=server-does-support-channel-binding"));
        assert_eq!(server.cancel(), Failure::ChannelBinding, "going away does not undo it");
        assert!(matches!(server.receive(b""), Step::Failure(Failure::ChannelBinding)));
        assert!(matches!(server.receive(b""), Step::Failure(Failure::Malformed)));
    }

    #[test]
    fn a_store_that_cannot_answer_is_temporary() {
        let (mut server, step) = begin(Mechanism::Plain, Some(b"\0ann\0secret"));
        assert!(matches!(step, Step::Ask(Question::Password { .. })));
        assert!(matches!(server.answer(Answer::Unavailable), Step::Failure(Failure::Temporary)));
        let (mut server, _) = begin(Mechanism::Plain, Some(b"\0ann\0secret"));
        assert!(matches!(server.answer(Answer::Cram(Vec::new())), Step::Failure(Failure::Temporary)));
        assert_eq!(server.cancel(), Failure::Aborted);
    }

    #[test]
    fn messages_out_of_turn_fail() {
        let (mut server, _) = begin(Mechanism::Plain, Some(b"\0ann\0secret"));
        assert!(matches!(server.receive(b"\0ann\0secret"), Step::Failure(Failure::Malformed)));
        assert!(matches!(server.answer(Answer::Verdict(true)), Step::Failure(Failure::Temporary)));
    }

    proptest::proptest! {
        /// Whatever the client sends, nothing panics, nothing grows, and nobody
        /// gets in on a made-up verdict.
        #[test]
        fn any_messages_end_without_a_login(
            which in 0usize..8,
            messages in proptest::collection::vec(hostile(), 0..5),
        ) {
            let mechanism = Mechanism::ALL[which];
            let (mut server, mut step) = begin(mechanism, None);
            for message in &messages {
                if let Step::Ask(question) = step {
                    step = server.answer(match reply(&question, "secret") {
                        Answer::Verdict(_) => Answer::Verdict(false),
                        keys => keys,
                    });
                }
                proptest::prop_assert!(!matches!(step, Step::Success { .. }), "let in");
                if let Step::Challenge(challenge) = &step {
                    proptest::prop_assert!(challenge.len() < 2048);
                }
                step = server.receive(message);
            }
        }
    }

    /// Messages of the right kind with odd parts, and arbitrary bytes.
    fn hostile() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
        use proptest::prelude::*;
        prop_oneof![
            "[nyp](=tls-exporter)?,(a=[a=,2CD3\u{e4}]{0,4})?,n=[a=2C3D\u{e4}]{0,6},r=[!-~]{0,8}(,m=x)?"
                .prop_map(String::into_bytes),
            "c=biws,r=[A-Za-z+/]{0,40},p=[A-Za-z+/=]{0,44}".prop_map(String::into_bytes),
            "[a-z@. ]{0,5}[0-9a-fA-F]{30,34}".prop_map(String::into_bytes),
            "\0?[a-z]{0,3}\0[a-z]{0,3}\0[a-z]{0,3}".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..60),
        ]
    }

    #[test]
    fn debug_shows_no_secret() {
        let (server, step) = begin(Mechanism::Plain, Some(b"\0ann\0hunter2"));
        let shown = format!("{server:?} {step:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("104, 117"), "{shown}");
    }
}
