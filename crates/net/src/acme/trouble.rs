//! Why there is no certificate, in words that say who must do what.

use super::Proof;
use instant_acme::{Error, Problem};
use std::fmt;
use std::time::Duration;

/// Octets of an authority's own words that are passed on.
const QUOTE_BYTES_MAX: usize = 300;
/// The longest wait that an authority can impose.
const WAIT_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Whom a failure concerns, and so what else need not be tried meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// This name alone: its DNS, or what answers there.
    Name,
    /// Every order at this authority: it is away, or does not want us now.
    Authority,
    /// Every order of this account, which the authority does not have any more: a new one is needed.
    Account,
}

/// Why an order failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Whom it concerns.
    pub who: Who,
    /// What happened and who must do what.
    pub text: String,
    /// What the authority asked to wait.
    pub wait: Option<Duration>,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Trouble {}

impl Trouble {
    pub(super) fn ours(error: &dyn std::error::Error) -> Trouble {
        Trouble::authority(format!("this is a fault of Sealpost: {error}"))
    }

    pub(super) fn kept(error: &dyn std::error::Error) -> Trouble {
        Trouble::authority(format!(
            "the file of the account at the authority is damaged ({error}); the operator must restore it, or remove it \
             so that a new account is made"
        ))
    }

    fn authority(text: String) -> Trouble {
        Trouble { who: Who::Authority, text, wait: None }
    }

    pub(super) fn name(text: String) -> Trouble {
        Trouble { who: Who::Name, text, wait: None }
    }

    pub(super) fn too_slow() -> Trouble {
        Trouble::authority("the authority did not finish in time; it is tried again".to_owned())
    }

    /// What an error of the library means.
    pub(super) fn of(error: &Error, wait: Option<Duration>) -> Trouble {
        let trouble = match error {
            Error::Api(problem) => Trouble::refused(problem),
            Error::Timeout(_) => Trouble::too_slow(),
            Error::Json(_) => Trouble::authority(
                "what answers is no ACME authority, or is out of order; the operator must check acme.directory"
                    .to_owned(),
            ),
            Error::Other(inner) => {
                let why = clean(&with_sources(inner.as_ref()));
                Trouble::authority(format!("the authority cannot be asked: {why}"))
            }
            other => Trouble::authority(format!("the authority answered something unexpected: {}", clean(&other.to_string()))),
        };
        Trouble { wait: wait.map(|wait| wait.min(WAIT_MAX)), ..trouble }
    }

    fn refused(problem: &Problem) -> Trouble {
        let detail = quote(problem);
        match kind(problem) {
            "rateLimited" => Trouble::authority(format!(
                "the authority takes no more orders for now{detail}; it is tried again later"
            )),
            "userActionRequired" => Trouble::authority(format!(
                "the authority wants its new terms agreed to{detail}; the operator must do so at the authority"
            )),
            "accountDoesNotExist" => Trouble {
                who: Who::Account,
                ..Trouble::authority(format!(
                    "the authority does not know our account{detail}; a new one is made"
                ))
            },
            "unauthorized" => Trouble::authority(format!(
                "the authority does not let our account order{detail}; the operator must ask the authority, or move the \
                 account's file away so that a new one is made"
            )),
            "externalAccountRequired" => Trouble::authority(format!(
                "the authority takes only accounts that were made with it beforehand{detail}; the operator must choose \
                 another one"
            )),
            "invalidContact" | "unsupportedContact" => Trouble::authority(format!(
                "the authority does not take the address in acme.contact{detail}; the operator must mend it"
            )),
            "rejectedIdentifier" | "caa" | "unsupportedIdentifier" => Trouble::name(format!(
                "the authority makes no certificate for this name{detail}; if a CAA record forbids it, the domain's \
                 DNS must name this authority"
            )),
            _ => Trouble::authority(format!("the authority refused{detail}")),
        }
    }

    /// Why the proof of a name failed, by the authority's word for it (RFC 8555 6.7).
    pub(super) fn unproven(name: &str, proof: Proof, problem: Option<&Problem>) -> Trouble {
        let Some(problem) = problem else {
            return Trouble::name(format!("the authority could not verify {name} and does not say why"));
        };
        let detail = quote(problem);
        let (asked, port) = match proof {
            Proof::Http => {
                (format!("http://{name}/.well-known/acme-challenge/..."), "the port of clear HTTP")
            }
            Proof::TlsAlpn => (format!("https://{name}/"), "the port of HTTPS"),
        };
        Trouble::name(match kind(problem) {
            "connection" => format!(
                "the authority could not reach {asked}: {name} must point to this machine in DNS, and {port} must lead \
                 here through every firewall{detail}"
            ),
            "dns" => format!(
                "the authority found no address of {name}: the domain's DNS must have an A or AAAA record for it that \
                 leads here{detail}"
            ),
            "caa" => format!(
                "a CAA record forbids the authority to make a certificate for {name}: the domain's DNS must name \
                 it{detail}"
            ),
            "tls" => format!(
                "the authority had no proper handshake with {asked}: something else answers there{detail}"
            ),
            "unauthorized" | "incorrectResponse" => format!(
                "something else than this service answered at {asked}: {name} must point to this machine in DNS, and \
                 {port} must lead here{detail}"
            ),
            _ => format!("the authority could not verify {name}{detail}"),
        })
    }
}

/// The last part of `urn:ietf:params:acme:error:connection`.
fn kind(problem: &Problem) -> &str {
    problem
        .r#type
        .as_deref()
        .and_then(|urn| urn.strip_prefix("urn:ietf:params:acme:error:"))
        .unwrap_or_default()
}

fn quote(problem: &Problem) -> String {
    match &problem.detail {
        Some(detail) => format!(" (it says: {})", clean(detail)),
        None => String::new(),
    }
}

/// A stranger's words on one line of the log, at most so many.
fn clean(words: &str) -> String {
    let mut end = words.len().min(QUOTE_BYTES_MAX);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    words[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn with_sources(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(kind: &str, detail: &str) -> Problem {
        Problem {
            r#type: Some(format!("urn:ietf:params:acme:error:{kind}")),
            detail: Some(detail.to_owned()),
            status: None,
            subproblems: Vec::new(),
        }
    }

    #[test]
    fn the_words_say_who_must_do_what() {
        let of = |kind| Trouble::unproven("a.test", Proof::Http, Some(&problem(kind, "x")));
        let unreachable = of("connection");
        assert_eq!(unreachable.who, Who::Name);
        assert!(unreachable.text.contains("could not reach http://a.test/.well-known/acme-challenge/"));
        assert!(unreachable.text.contains("must lead here"));
        assert!(of("dns").text.contains("A or AAAA record"));
        assert!(of("caa").text.contains("CAA"));
        assert!(of("unauthorized").text.contains("something else"));
        let limited = Trouble::of(&Error::Api(problem("rateLimited", "slow")), Some(Duration::from_secs(60)));
        assert_eq!((limited.who, limited.wait), (Who::Authority, Some(Duration::from_secs(60))));
        let forgotten = Trouble::of(&Error::Api(problem("accountDoesNotExist", "who?")), None);
        assert_eq!(forgotten.who, Who::Account);
        let rejected = Trouble::of(&Error::Api(problem("rejectedIdentifier", "no")), None);
        assert_eq!(rejected.who, Who::Name);
    }

    #[test]
    fn a_strangers_words_are_cut_and_stay_on_their_line() {
        let long = format!("a\r\nb{}", "ü".repeat(400));
        let text = Trouble::unproven("a.test", Proof::Http, Some(&problem("dns", &long))).text;
        assert!(!text.contains(['\r', '\n']) && text.len() < 600, "{text}");
    }

    #[test]
    fn no_wait_is_longer_than_a_week() {
        let far = Trouble::of(&Error::Api(problem("rateLimited", "")), Some(Duration::from_secs(u64::MAX)));
        assert_eq!(far.wait, Some(WAIT_MAX));
    }
}
