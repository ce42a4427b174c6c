//! Signing in, only if asked, only to a server that proved who it is on this very connection.
//!
//! The full address first, then the bare local part if the server's words leave room for it. What must hold: a
//! password goes out only against a [`Verified`](super::trust::Verified); at most [`ATTEMPTS_MAX`] attempts, so that
//! nobody is locked out; no line of the transcript holds a secret, whoever said it.

use super::approach::{self, Ready};
use super::context::{Context, Target};
use super::knock::TAG_LEAVE;
use super::notes::{Notes, WORDS_CHARS_MAX};
use super::trust::Verified;
use super::wire::{Trouble, Wire};
use crate::seen::{Line, LoginResult, LoginSeen};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use proto::knock::words::{Refusal, refusal};
use proto::knock::{Answer, Awaited, Language, Offered, Tag, Verdict};
use proto::proof::Secret;
use proto::sasl::Mechanism;
use proto::sasl::client::Client;
use proto::sasl::scram::Binding;
use std::time::Duration;

/// Attempts for one protocol.
pub(super) const ATTEMPTS_MAX: usize = 2;
/// Messages of one exchange; SCRAM has three.
const STEPS_MAX: usize = 6;
/// An initial response in a longer line is sent by itself (RFC 5034 section 4: 255 octets).
const LINE_BYTES_MAX: usize = 255;
const TAG_LOGIN: u32 = 3;
/// For the answer to a password. Servers hold back what they say to wrong ones: Dovecot two seconds, and as many again
/// and twice as many before it looks at the next attempt. A run ends in time all the same.
const VERDICT_WAIT: Duration = Duration::from_secs(8);

/// Mechanisms in the order in which they are tried: those that do not send the password, then those that do.
/// CRAM-MD5 comes last: servers offer it for accounts that cannot use it.
const ORDER: [Mechanism; 5] =
    [Mechanism::ScramSha256, Mechanism::ScramSha1, Mechanism::Plain, Mechanism::Login, Mechanism::CramMd5];

/// How to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Sasl(Mechanism),
    /// IMAP's LOGIN, POP3's USER and PASS.
    Command,
}

/// Signs in; what came of it, and the transcript.
pub(super) async fn sign_in(
    context: &Context<'_>,
    target: &Target,
    starttls: bool,
    address: &str,
    password: &Secret,
) -> (Option<LoginSeen>, Vec<Line>) {
    let notes = Notes::new();
    notes.hide(password.expose());
    let permit = context.enter(target).await;
    let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
    let mut refused_ways: Vec<Way> = Vec::new();
    let mut first: Option<LoginSeen> = None;
    let mut user = address;
    for _ in 0..ATTEMPTS_MAX {
        let attempt = attempt(context, target, starttls, user, password, &refused_ways, &notes).await;
        let (way, mut seen) = match attempt {
            Ok(outcome) => outcome,
            Err(why) => {
                notes.remark(&format!("not signed in: {why}"));
                break;
            }
        };
        seen.full_address = user == address;
        let result = seen.result;
        // What is said of the password counts more than that a way to say it was refused.
        let no_answer = first.as_ref().is_none_or(|first| first.result == LoginResult::MechanismRefused);
        if result == LoginResult::Works || no_answer {
            first = Some(seen);
        } else if let Some(first) = &mut first
            && (first.result, result) == (LoginResult::Wrong, LoginResult::Wrong)
        {
            first.full_address = seen.full_address;
        }
        match (result, way) {
            (LoginResult::Wrong, _) if user != local => user = local,
            (LoginResult::MechanismRefused, Some(way)) => refused_ways.push(way),
            _ => break,
        }
    }
    drop(permit);
    (first, notes.into_lines())
}

/// One connection, one attempt.
async fn attempt(
    context: &Context<'_>,
    target: &Target,
    starttls: bool,
    user: &str,
    password: &Secret,
    refused: &[Way],
    notes: &Notes,
) -> Result<(Option<Way>, LoginSeen), String> {
    let mut ready = approach::verified(context, target, starttls, notes).await?;
    let (language, offered) = (ready.language, std::mem::take(&mut ready.offered));
    let Some(way) = choose(&offered, refused) else {
        let result = without_a_way(&offered);
        let words = offered.mechanisms.join(" ");
        let seen = LoginSeen { full_address: true, mechanism: String::new(), result, words };
        return Ok((None, seen));
    };
    let mechanism = match (way, language) {
        (Way::Sasl(mechanism), _) => mechanism.name(),
        (Way::Command, Language::Pop3) => "USER",
        (Way::Command, _) => "LOGIN",
    };
    notes.remark(&format!("signing in as {user} with {mechanism}"));
    let Ready { mut wire, verified, .. } = ready;
    let mut exchange = Exchange { context, notes, wire: &mut wire, language, user, password };
    let outcome = match way {
        Way::Sasl(mechanism) => exchange.sasl(&verified, mechanism, offered.initial_response).await,
        Way::Command if language == Language::Pop3 => exchange.user_pass(&verified).await,
        Way::Command => exchange.login(&verified).await,
    };
    let (result, words) = match outcome {
        Ok(answer) => (result(language, &answer), notes.clean(answer.words(), WORDS_CHARS_MAX)),
        Err(Stop::Trouble(Trouble::Closed)) => (LoginResult::Other, Trouble::Closed.words()),
        Err(Stop::Trouble(trouble)) => return Err(trouble.words()),
        Err(Stop::Refused(words)) => (LoginResult::Wrong, notes.clean(&words, WORDS_CHARS_MAX)),
        Err(Stop::Unproven) => {
            (LoginResult::Other, "the server could not prove that it knows the password".to_owned())
        }
        Err(Stop::Unsendable) => {
            return Err("the user name or the password cannot be sent with this mechanism".to_owned());
        }
    };
    if result == LoginResult::Works {
        let _ = wire.say(&language.leave(TAG_LEAVE), notes, context.answer()).await;
    }
    Ok((Some(way), LoginSeen { full_address: true, mechanism: mechanism.to_owned(), result, words }))
}

/// The best way that is offered and was not refused.
fn choose(offered: &Offered, refused: &[Way]) -> Option<Way> {
    let sasl = ORDER.into_iter().filter(|m| offered.mechanisms.iter().any(|name| name == m.name()));
    let command = offered.login_command.then_some(Way::Command);
    let (cram, others): (Vec<Way>, Vec<Way>) =
        sasl.map(Way::Sasl).partition(|way| *way == Way::Sasl(Mechanism::CramMd5));
    others.into_iter().chain(command).chain(cram).find(|way| !refused.contains(way))
}

fn without_a_way(offered: &Offered) -> LoginResult {
    let oauth = |name: &String| matches!(name.as_str(), "XOAUTH2" | "OAUTHBEARER");
    if offered.mechanisms.iter().any(oauth) { LoginResult::NeedsOAuth } else { LoginResult::MechanismRefused }
}

fn result(language: Language, answer: &Answer) -> LoginResult {
    if answer.verdict == Verdict::Ok {
        return LoginResult::Works;
    }
    match refusal(language, answer.verdict, &answer.lines) {
        Refusal::Wrong => LoginResult::Wrong,
        Refusal::NeedsAppPassword => LoginResult::NeedsAppPassword,
        Refusal::NeedsOAuth => LoginResult::NeedsOAuth,
        Refusal::Mechanism => LoginResult::MechanismRefused,
        Refusal::SwitchedOff => LoginResult::SwitchedOff,
        Refusal::Later => LoginResult::Later,
        Refusal::Other => LoginResult::Other,
    }
}

/// Why an exchange ended before the server's verdict.
enum Stop {
    Trouble(Trouble),
    /// The mechanism's own word (SCRAM `e=`).
    Refused(String),
    /// Success without proof, or against the mechanism's rules.
    Unproven,
    Unsendable,
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Stop {
        Stop::Trouble(trouble)
    }
}

struct Exchange<'a> {
    context: &'a Context<'a>,
    notes: &'a Notes,
    wire: &'a mut Wire,
    language: Language,
    user: &'a str,
    password: &'a Secret,
}

impl Exchange<'_> {
    async fn sasl(
        &mut self,
        _verified: &Verified,
        mechanism: Mechanism,
        in_line: bool,
    ) -> Result<Answer, Stop> {
        let nonce: [u8; 18] = rand::random();
        let started = Client::start(mechanism, self.user, self.password, "", &nonce, Binding::None);
        let (mut client, mut initial) = started.map_err(|_| Stop::Unsendable)?;
        let mut line = match self.language {
            Language::Imap => format!("{} AUTHENTICATE {}", Tag(TAG_LOGIN), mechanism.name()),
            Language::Pop3 | Language::Smtp => format!("AUTH {}", mechanism.name()),
        };
        if let Some(message) =
            initial.take_if(|m| in_line && line.len() + m.len().div_ceil(3) * 4 < LINE_BYTES_MAX)
        {
            self.notes.hide(&message);
            line.push(' ');
            line.push_str(if message.is_empty() { "=" } else { "" });
            BASE64.encode_string(&*message, &mut line);
        }
        let mut answer = self.secret_line(line).await?;
        for _ in 0..STEPS_MAX {
            if answer.verdict != Verdict::Continue {
                break;
            }
            let reply = match initial.take() {
                Some(message) => Ok(message),
                None => match BASE64.decode(answer.challenge().trim()) {
                    Ok(challenge) => client.receive(&challenge),
                    Err(_) => Err(proto::sasl::client::Error::ServerMisbehaved),
                },
            };
            answer = match reply {
                Ok(message) => {
                    self.notes.hide(&message);
                    self.secret_line(BASE64.encode(&*message)).await?
                }
                Err(error) => {
                    // RFC 4954 section 4, RFC 9051 6.2.2: a star gives up.
                    let _ = self.secret_line("*".to_owned()).await;
                    return Err(match error {
                        proto::sasl::client::Error::Refused(words) => Stop::Refused(words),
                        _ => Stop::Unproven,
                    });
                }
            };
        }
        if answer.verdict == Verdict::Ok && client.finish().is_err() {
            return Err(Stop::Unproven);
        }
        Ok(answer)
    }

    /// RFC 9051 6.2.3.
    async fn login(&mut self, _verified: &Verified) -> Result<Answer, Stop> {
        let password = self.password.expose();
        let user = quoted(self.user.as_bytes()).ok_or(Stop::Unsendable)?;
        let mut line = format!("{} LOGIN {user} ", Tag(TAG_LOGIN));
        if let Some(password) = quoted(password) {
            self.notes.hide(password.as_bytes());
            line.push_str(&password);
            return Ok(self.secret_line(line).await?);
        }
        line.push_str(&format!("{{{}}}", password.len()));
        let answer = self.secret_line(line).await?;
        if answer.verdict != Verdict::Continue {
            return Ok(answer);
        }
        let line = String::from_utf8(password.to_vec()).map_err(|_| Stop::Unsendable)?;
        Ok(self.secret_line(line).await?)
    }

    /// RFC 1939 section 7.
    async fn user_pass(&mut self, _verified: &Verified) -> Result<Answer, Stop> {
        let password = std::str::from_utf8(self.password.expose()).map_err(|_| Stop::Unsendable)?;
        if [self.user, password].iter().any(|text| text.contains(['\r', '\n', '\0'])) {
            return Err(Stop::Unsendable);
        }
        let answer = self.secret_line(format!("USER {}", self.user)).await?;
        if answer.verdict != Verdict::Ok {
            return Ok(answer);
        }
        Ok(self.secret_line(format!("PASS {password}")).await?)
    }

    /// Sends a line that may hold a secret (made known to the notes before) and reads the answer.
    async fn secret_line(&mut self, line: String) -> Result<Answer, Trouble> {
        // The line is wiped when it was sent.
        let line = Secret::new(line);
        let text = std::str::from_utf8(line.expose()).unwrap_or_default();
        self.wire.say(text, self.notes, self.context.answer()).await?;
        let until = self.context.until(VERDICT_WAIT);
        self.wire.answer(self.language, Awaited::Reply(TAG_LOGIN), self.notes, until).await
    }
}

/// In quotation marks, where that can be (RFC 9051 4.3).
fn quoted(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return None;
    }
    Some(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(mechanisms: &[&str], login_command: bool) -> Offered {
        let mechanisms = mechanisms.iter().map(|m| (*m).to_owned()).collect();
        Offered { mechanisms, login_command, ..Offered::default() }
    }

    #[test]
    fn the_best_way_is_chosen() {
        let both = offered(&["PLAIN", "LOGIN", "SCRAM-SHA-256", "CRAM-MD5"], true);
        assert_eq!(choose(&both, &[]), Some(Way::Sasl(Mechanism::ScramSha256)));
        assert_eq!(choose(&both, &[Way::Sasl(Mechanism::ScramSha256)]), Some(Way::Sasl(Mechanism::Plain)));
        assert_eq!(choose(&offered(&["CRAM-MD5"], true), &[]), Some(Way::Command));
        assert_eq!(choose(&offered(&["CRAM-MD5"], false), &[]), Some(Way::Sasl(Mechanism::CramMd5)));
        let oauth = offered(&["XOAUTH2", "OAUTHBEARER"], false);
        assert_eq!((choose(&oauth, &[]), without_a_way(&oauth)), (None, LoginResult::NeedsOAuth));
        assert_eq!(without_a_way(&offered(&["GSSAPI"], false)), LoginResult::MechanismRefused);
    }

    #[test]
    fn quotation_marks_hold() {
        assert_eq!(quoted(br#"a"b\c"#).as_deref(), Some(r#""a\"b\\c""#));
        assert_eq!(quoted("\u{fc}".as_bytes()), None);
        assert_eq!(quoted(b"a\r\nb"), None);
    }
}
