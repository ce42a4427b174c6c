//! The accounts of the fixed sessions, and their login by every mechanism.

use crate::rules::Observed;
use proto::login::Turn;
use proto::proof::{How, Secret, Security, Tls, TlsVersion};
use proto::sasl::{self, Answer, CramKey, Failure, Mechanism, Policy, Question, ScramKeys, Step};
use proto::service::policy::Denied;

/// Who may log in.
pub const USER: &str = "ann@example.test";
/// The same person in the domain that takes no login in clear (see [`crate::rules`]).
pub const STRICT_USER: &str = "ann@strict.test";
/// With this.
pub const PASSWORD: &str = "secret word";
const SALT: &[u8] = b"salt of ann";

/// How a SASL exchange goes on.
pub enum Said {
    /// To be sent.
    Challenge(Vec<u8>),
    /// Logged in.
    In,
    /// Who it is was proven, but the rules forbid it; what the person is told.
    Denied(Denied, String),
    /// Not this user, or not this password.
    Wrong,
    /// Not what the mechanism says.
    Malformed,
}

/// A SASL exchange under way.
#[derive(Default)]
pub struct Login {
    policy: Policy,
    rules: Option<Observed>,
    mechanism: Option<Mechanism>,
    sasl: Option<sasl::Server>,
    /// SCRAM's last message is on its way; what comes next is its acknowledgement. Who it is.
    proven: Option<String>,
}

impl Login {
    /// Nothing said yet.
    #[must_use]
    pub fn new(policy: Policy, rules: Option<Observed>) -> Login {
        Login { policy, rules, ..Login::default() }
    }

    /// The client's turn; `None`: it gave up, and there is nothing to answer.
    pub fn turn(&mut self, turn: Turn, security: &Security) -> Option<Said> {
        match turn {
            Turn::Password { user, password } => Some(self.plain(&user, &password, security)),
            Turn::Start { mechanism, initial } => Some(self.start(mechanism, initial, security)),
            Turn::Message(message) => Some(self.message(&message, security)),
            Turn::Cancelled => None,
        }
    }

    /// User name and password as they are.
    fn plain(&self, user: &str, password: &Secret, security: &Security) -> Said {
        if knows(user, password) { self.permit(user, None, security) } else { Said::Wrong }
    }

    /// An exchange begins.
    fn start(&mut self, mechanism: Mechanism, initial: Option<Vec<u8>>, security: &Security) -> Said {
        let offered = offered(&self.policy, self.rules.as_ref(), security);
        let (host, unix) = ("mail.example.test", 1_700_000_000);
        let (sasl, step) = sasl::Server::start(mechanism, &offered, security, &[5; 18], unix, host, initial);
        self.sasl = Some(sasl);
        self.mechanism = Some(mechanism);
        self.proven = None;
        self.step(step, security)
    }

    /// The client's next message.
    fn message(&mut self, message: &[u8], security: &Security) -> Said {
        if let Some(user) = self.proven.take() {
            return self.permit(&user, self.mechanism, security);
        }
        let step = self.sasl.as_mut().unwrap().receive(message);
        self.step(step, security)
    }

    fn permit(&self, user: &str, mechanism: Option<Mechanism>, security: &Security) -> Said {
        match self.rules.as_ref().map_or(Ok(()), |rules| rules.permit(user, mechanism, security)) {
            Ok(()) => Said::In,
            Err((denied, text)) => Said::Denied(denied, text),
        }
    }

    fn step(&mut self, step: Step, security: &Security) -> Said {
        match step {
            Step::Challenge(challenge) => Said::Challenge(challenge),
            Step::Ask(question) => {
                let secret = Secret::new(PASSWORD);
                let answer = match &question {
                    Question::Password { user, password } => Answer::Verdict(knows(user, password)),
                    Question::Certificate { user } => Answer::Verdict(user == USER),
                    Question::CramKeys { .. } => Answer::Cram(vec![CramKey::from_password(&secret).unwrap()]),
                    Question::ScramKeys { hash, .. } => Answer::Scram {
                        salt: SALT.to_vec(),
                        iterations: 4096,
                        keys: vec![ScramKeys::derive(*hash, &secret, SALT, 4096).unwrap()],
                    },
                };
                let step = self.sasl.as_mut().unwrap().answer(answer);
                self.step(step, security)
            }
            Step::Success { user, last: None } => self.permit(&user, self.mechanism, security),
            Step::Success { user, last: Some(last) } => {
                self.proven = Some(user);
                Said::Challenge(last)
            }
            Step::Failure(Failure::Malformed) => Said::Malformed,
            Step::Failure(_) => Said::Wrong,
        }
    }
}

/// What there is before anybody has said who they are: by the rules of the domains, or else by the policy.
#[must_use]
pub fn offered(policy: &Policy, rules: Option<&Observed>, security: &Security) -> Vec<Mechanism> {
    rules.map_or_else(|| sasl::offer(policy, security), |rules| rules.offered(security))
}

fn knows(user: &str, password: &Secret) -> bool {
    [USER, STRICT_USER].contains(&user) && *password == Secret::new(PASSWORD)
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
