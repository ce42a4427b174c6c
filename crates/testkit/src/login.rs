//! The one account of the fixed sessions, and its login by every mechanism.

use proto::login::Turn;
use proto::proof::{How, Secret, Security, Tls, TlsVersion};
use proto::sasl::{self, Answer, CramKey, Failure, Mechanism, Policy, Question, ScramKeys, Step};

/// Who may log in.
pub const USER: &str = "ann@example.test";
/// With this.
pub const PASSWORD: &str = "secret word";
const SALT: &[u8] = b"salt of ann";

/// How a SASL exchange goes on.
pub enum Said {
    /// To be sent.
    Challenge(Vec<u8>),
    /// Logged in.
    In,
    /// Not this user, or not this password.
    Wrong,
    /// Not what the mechanism says.
    Malformed,
}

/// A SASL exchange under way.
#[derive(Default)]
pub struct Login {
    policy: Policy,
    sasl: Option<sasl::Server>,
    /// SCRAM's last message is on its way; what comes next is its acknowledgement.
    proven: bool,
}

impl Login {
    /// Nothing said yet.
    #[must_use]
    pub fn new(policy: Policy) -> Login {
        Login { policy, ..Login::default() }
    }

    /// The client's turn; `None`: it gave up, and there is nothing to answer.
    pub fn turn(&mut self, turn: Turn, security: &Security) -> Option<Said> {
        match turn {
            Turn::Password { user, password } if Login::knows(&user, &password) => Some(Said::In),
            Turn::Password { .. } => Some(Said::Wrong),
            Turn::Start { mechanism, initial } => Some(self.start(mechanism, initial, security)),
            Turn::Message(message) => Some(self.message(&message)),
            Turn::Cancelled => None,
        }
    }

    /// User name and password as they are.
    fn knows(user: &str, password: &Secret) -> bool {
        user == USER && *password == Secret::new(PASSWORD)
    }

    /// An exchange begins.
    fn start(&mut self, mechanism: Mechanism, initial: Option<Vec<u8>>, security: &Security) -> Said {
        let offered = sasl::offer(&self.policy, security);
        let (host, unix) = ("mail.example.test", 1_700_000_000);
        let (sasl, step) = sasl::Server::start(mechanism, &offered, security, &[5; 18], unix, host, initial);
        self.sasl = Some(sasl);
        self.proven = false;
        self.step(step)
    }

    /// The client's next message.
    fn message(&mut self, message: &[u8]) -> Said {
        if std::mem::take(&mut self.proven) {
            return Said::In;
        }
        let step = self.sasl.as_mut().unwrap().receive(message);
        self.step(step)
    }

    fn step(&mut self, step: Step) -> Said {
        match step {
            Step::Challenge(challenge) => Said::Challenge(challenge),
            Step::Ask(question) => {
                let secret = Secret::new(PASSWORD);
                let answer = match &question {
                    Question::Password { user, password } => Answer::Verdict(Login::knows(user, password)),
                    Question::Certificate { user } => Answer::Verdict(user == USER),
                    Question::CramKeys { .. } => Answer::Cram(vec![CramKey::from_password(&secret).unwrap()]),
                    Question::ScramKeys { hash, .. } => Answer::Scram {
                        salt: SALT.to_vec(),
                        iterations: 4096,
                        keys: vec![ScramKeys::derive(*hash, &secret, SALT, 4096).unwrap()],
                    },
                };
                let step = self.sasl.as_mut().unwrap().answer(answer);
                self.step(step)
            }
            Step::Success { last: None, .. } => Said::In,
            Step::Success { last: Some(last), .. } => {
                self.proven = true;
                Said::Challenge(last)
            }
            Step::Failure(Failure::Malformed) => Said::Malformed,
            Step::Failure(_) => Said::Wrong,
        }
    }
}

/// Invented, where the connection is encrypted.
#[must_use]
pub fn security(how: How) -> Security {
    if how == How::Clear {
        return Security::clear();
    }
    let tls = Tls {
        version: TlsVersion::Tls13,
        cipher: "TLS_AES_256_GCM_SHA384",
        group: None,
        server_name: None,
        exporter: None,
        end_point: Vec::new(),
        client_addresses: vec![USER.to_owned()],
    };
    Security::established(how, tls)
}
