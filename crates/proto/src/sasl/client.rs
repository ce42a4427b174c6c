//! The client's side of an exchange: for sending to other servers, for the
//! doctor and for tests.

use super::scram::{self, Binding};
use super::{Mechanism, ScramHash, cram_md5, plain, prep};
use crate::proof::Secret;
use base64::Engine;
use std::fmt;
use zeroize::Zeroizing;

/// Why a client gives up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The user name or the password cannot be sent (empty, too long, prohibited characters).
    Unsendable,
    /// The server broke the mechanism's rules, or could not prove itself.
    ServerMisbehaved,
    /// The server's own word for its refusal (SCRAM `e=`).
    Refused(String),
}

/// What goes to the server; it may hold the password, so it is wiped when dropped.
pub type Message = Zeroizing<Vec<u8>>;

/// The client's side of one exchange.
pub struct Client {
    mechanism: Mechanism,
    user: String,
    password: Secret,
    state: State,
}

/// Named after what it waits for.
enum State {
    LoginUserPrompt,
    LoginPasswordPrompt,
    CramChallenge,
    ScramFirst(Box<scram::Client>),
    ScramLast(Box<scram::Client>),
    /// Nothing more to say; only the protocol's verdict is missing.
    Verdict,
    Broken,
}

impl Client {
    /// Begins; the second value is the initial response if the mechanism has
    /// one, to be sent at once or in reply to an empty challenge. `nonce` is 18
    /// or more fresh random bytes, used by SCRAM. An empty `authzid` means the user.
    pub fn start(
        mechanism: Mechanism,
        user: &str,
        password: &Secret,
        authzid: &str,
        nonce: &[u8],
        binding: Binding,
    ) -> Result<(Client, Option<Message>), Error> {
        if mechanism == Mechanism::External {
            let client = Client {
                mechanism,
                user: user.to_owned(),
                password: Secret::new(Vec::new()),
                state: State::Verdict,
            };
            let identity = if authzid.is_empty() { user } else { authzid };
            return Ok((client, Some(Zeroizing::new(identity.as_bytes().to_vec()))));
        }
        let user = prep::user(user.as_bytes()).ok_or(Error::Unsendable)?;
        let password = prep::password(password.expose()).ok_or(Error::Unsendable)?;
        let (state, initial) = match mechanism {
            Mechanism::Login => (State::LoginUserPrompt, None),
            Mechanism::CramMd5 => (State::CramChallenge, None),
            Mechanism::Plain => (State::Verdict, Some(plain::message(authzid, &user, password.expose()))),
            _ => {
                let hash = match mechanism {
                    Mechanism::ScramSha1 | Mechanism::ScramSha1Plus => ScramHash::Sha1,
                    _ => ScramHash::Sha256,
                };
                let nonce = base64::engine::general_purpose::STANDARD.encode(nonce);
                let (scram, first) =
                    scram::Client::start(hash, &user, password.clone(), authzid, nonce, binding);
                (State::ScramFirst(Box::new(scram)), Some(Zeroizing::new(first)))
            }
        };
        Ok((Client { mechanism, user, password, state }, initial))
    }

    /// The server's challenge, decoded; the result is the reply to it.
    pub fn receive(&mut self, challenge: &[u8]) -> Result<Message, Error> {
        let reply = match std::mem::replace(&mut self.state, State::Broken) {
            // What the prompts say is not looked at: their order is the mechanism.
            State::LoginUserPrompt => {
                self.state = State::LoginPasswordPrompt;
                self.user.clone().into_bytes()
            }
            State::LoginPasswordPrompt => {
                self.state = State::Verdict;
                self.password.expose().to_vec()
            }
            State::CramChallenge => {
                self.state = State::Verdict;
                cram_md5::respond(&self.user, &self.password, challenge).ok_or(Error::Unsendable)?
            }
            State::ScramFirst(mut scram) => {
                if let Some(error) = challenge.strip_prefix(b"e=") {
                    return Err(Error::Refused(String::from_utf8_lossy(error).into_owned()));
                }
                let reply = scram.respond(challenge).ok_or(Error::ServerMisbehaved)?;
                self.state = State::ScramLast(scram);
                reply
            }
            State::ScramLast(scram) => match scram.verify(challenge) {
                Ok(()) => {
                    self.state = State::Verdict;
                    Vec::new()
                }
                Err(word) if word.is_empty() => return Err(Error::ServerMisbehaved),
                Err(word) => return Err(Error::Refused(word)),
            },
            State::Verdict | State::Broken => return Err(Error::ServerMisbehaved),
        };
        Ok(Zeroizing::new(reply))
    }

    /// The protocol reported success: is that to be believed? A SCRAM server
    /// that has not proved itself may be anybody (RFC 5802 section 9).
    pub fn finish(self) -> Result<(), Error> {
        match self.state {
            State::Verdict => Ok(()),
            _ => Err(Error::ServerMisbehaved),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(mechanism: Mechanism) -> Client {
        let password = Secret::new("secret");
        Client::start(mechanism, "ann", &password, "", &[1; 18], Binding::None).unwrap().0
    }

    #[test]
    fn scram_success_without_proof_is_not_believed() {
        assert_eq!(start(Mechanism::ScramSha256).finish(), Err(Error::ServerMisbehaved));
        assert_eq!(start(Mechanism::Plain).finish(), Ok(()));
    }

    #[test]
    fn errors_of_the_server_are_named() {
        assert_eq!(
            start(Mechanism::ScramSha1).receive(b"e=no-resources"),
            Err(Error::Refused("no-resources".to_owned()))
        );
        assert_eq!(start(Mechanism::Plain).receive(b"more?"), Err(Error::ServerMisbehaved));
    }

    #[test]
    fn what_cannot_be_sent_is_refused_at_once() {
        let start = |user: &str, password: &str| {
            Client::start(Mechanism::Plain, user, &Secret::new(password), "", &[], Binding::None).err()
        };
        assert_eq!(start("", "x"), Some(Error::Unsendable));
        assert_eq!(start("a", ""), Some(Error::Unsendable));
        assert_eq!(start("a\nb", "x"), Some(Error::Unsendable));
    }
}
