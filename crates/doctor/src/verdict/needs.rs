//! What is known of the provider beforehand, and what is missing altogether.

use super::codes;
use super::finds::{Finds, Said};
use super::view::View;
use crate::provider::{self, Access, Provider, SignIn};
use crate::seen::{Looked, Outcome, Reach, Source};
use crate::{Actor, Level};
use proto::service::Protocol;

/// How far there is anything to judge at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// Something answered.
    Seen,
    /// The network gave nothing, not even names.
    NoNetwork,
    /// There is no mail service.
    NoService,
}

/// Is there anything to judge?
#[must_use]
pub fn ground(view: &View<'_>) -> Ground {
    let any = |wanted: &dyn Fn(&Reach) -> bool| view.probes.iter().any(|probe| wanted(&probe.reach));
    let found = view.lookup.looked.iter().any(|looked| matches!(looked.outcome, Outcome::Found(_)));
    if any(&|reach| *reach == Reach::Open) {
        return Ground::Seen;
    }
    // A refusal comes from a machine that was reached.
    if any(&|reach| *reach == Reach::Refused) {
        return Ground::NoService;
    }
    if any(&|reach| *reach == Reach::Silent) {
        return if found || !view.lookup.mx.is_empty() || view.question.is_host {
            Ground::Seen
        } else {
            Ground::NoService
        };
    }
    if any(&|reach| matches!(reach, Reach::Unreachable(_) | Reach::NotTried | Reach::Forbidden)) {
        return Ground::NoNetwork;
    }
    // Nothing was tried because no name has an address. If DNS itself is silent that says nothing about the domain.
    let of_dns = |looked: &&Looked| {
        matches!(looked.source, Source::Srv | Source::Mx) && !matches!(looked.outcome, Outcome::NotAsked(_))
    };
    let mut dns = view.lookup.looked.iter().filter(of_dns).peekable();
    let dns_answers = dns.peek().is_none()
        || dns.any(|looked| !matches!(&looked.outcome, Outcome::Broken(why) if is_silence(why)));
    // A provider that is known to exist has names: a resolver that denies them all (a closed network, a portal that
    // wants a sign-in first) says nothing about it.
    let denied = view.provider.is_some() && !known_closed(view);
    if dns_answers && !denied { Ground::NoService } else { Ground::NoNetwork }
}

/// Does a reason say that nobody answered (and not that there is nothing)?
fn is_silence(why: &str) -> bool {
    let why = why.to_ascii_lowercase();
    ["not answer", "no answer", "timed out", "unreachable", "in time"].iter().any(|sign| why.contains(sign))
}

/// Judges.
pub fn judge(view: &View<'_>, ground: Ground, finds: &mut Finds) {
    match ground {
        Ground::NoNetwork => no_network(finds),
        Ground::NoService if known_closed(view) => {}
        Ground::NoService => no_service(view, finds),
        Ground::Seen => missing(view, finds),
    }
    if let Some(provider) = view.provider {
        access(view, provider, finds);
        sign_in(provider, finds);
    } else if view.is_oauth_only() {
        let said = Said {
            seen: "The servers offer no sign-in with a password, only OAuth 2.".to_owned(),
            advice: "Choose \"OAuth2\" as authentication method, or a mail program that can do it."
                .to_owned(),
            headline: OAUTH_CLAUSE.to_owned(),
        };
        finds.add(&codes::OAUTH_ONLY, Level::Note, "", said);
    }
}

fn known_closed(view: &View<'_>) -> bool {
    view.provider.is_some_and(|p| matches!(p.access, Access::Bridge | Access::None))
}

fn no_network(finds: &mut Finds) {
    let said = Said {
        seen: "Nothing could be reached from here, and no name could be resolved.".to_owned(),
        advice: "Check this computer's connection to the internet, then ask again.".to_owned(),
        headline: "nothing can be reached from here: check this computer's connection to the internet"
            .to_owned(),
    };
    finds.add(&codes::CANNOT_TELL, Level::Note, "", said);
}

fn no_service(view: &View<'_>, finds: &mut Finds) {
    let domain = &view.question.domain;
    if let Some(meant) = provider::closest(domain) {
        let said = Said {
            seen: format!("No mail service was found for {domain}, but there is {meant}."),
            advice: format!("Check the spelling of the address: {meant} instead of {domain}?"),
            headline: format!("there is no mail service for {domain}; did you mean {meant}?"),
        };
        return finds.add(&codes::CLOSEST_NAME, Level::Broken, "", said);
    }
    let receives = !view.lookup.mx.is_empty();
    let (seen, actor) = if view.question.is_host {
        (format!("No mail port of {domain} answers."), Actor::Provider)
    } else if receives {
        (
            format!("{domain} receives mail, but no server was found that mail programs could use."),
            Actor::Provider,
        )
    } else {
        (format!("Neither settings nor a mail server were found for {domain}."), Actor::You)
    };
    let said = Said {
        advice: if receives {
            "Ask your provider for the server names.".to_owned()
        } else {
            "Check the spelling; if it is right, ask your provider for the server names.".to_owned()
        },
        headline: if view.question.is_host {
            format!("no mail service answers at {domain}")
        } else {
            format!("no mail service was found for {domain}; check the spelling")
        },
        seen,
    };
    finds.add_for(&codes::NO_MAIL_SERVICE, Level::Broken, actor, "", said);
}

/// Nothing works for reading, or for sending, and nothing else has said why.
fn missing(view: &View<'_>, finds: &mut Finds) {
    if view.question.is_host || known_closed(view) {
        return;
    }
    let asked =
        |protocol| view.question.now.is_empty() || view.question.now.iter().any(|n| n.protocol == protocol);
    let domain = &view.question.domain;
    // What was not tried may be what works.
    let untried =
        |protocol| view.mattering().any(|p| p.reach == Reach::NotTried && p.place.port.protocol == protocol);
    let (imap, pop3) = (Protocol::Imap, Protocol::Pop3);
    if !view.serves(imap) && (asked(imap) || asked(pop3)) && !untried(imap) && !untried(pop3) {
        let said = Said {
            seen: format!("No server was found from which mail of {domain} can be read safely."),
            advice: "See the other findings; ask your provider for the right server.".to_owned(),
            headline: format!("no server was found from which mail of {domain} can be read safely"),
        };
        finds.add(&codes::NO_READING, Level::Broken, "", said);
    }
    let sending = Protocol::Submission;
    if !view.serves(sending) && asked(sending) && !untried(sending) {
        let said = Said {
            seen: format!("No server was found through which mail of {domain} can be sent safely."),
            advice: "See the other findings; ask your provider for the right server.".to_owned(),
            headline: format!("no server was found through which mail of {domain} can be sent safely"),
        };
        finds.add(&codes::NO_SENDING, Level::Broken, "", said);
    }
}

/// ` See URL.`, and the provider's note.
fn more(url: Option<&String>, provider: &Provider) -> String {
    let url = url.map(|url| format!(" See {url}")).unwrap_or_default();
    let note = provider.note.as_ref().map(|note| format!(" {note}")).unwrap_or_default();
    if url.is_empty() { note } else { format!("{note}{url}") }
}

fn access(view: &View<'_>, provider: &Provider, finds: &mut Finds) {
    let name = &provider.name;
    let help = more(provider.access_help.as_ref(), provider);
    let (code, level, seen, advice, headline) = match provider.access {
        Access::Open => return,
        Access::Switch => (
            &codes::MUST_BE_SWITCHED_ON,
            Level::Note,
            format!("{name} lets mail programs in only after they were allowed in the web settings."),
            format!("Sign in on the web pages of {name} and allow IMAP or POP3.{help}"),
            format!("allow IMAP or POP3 in the web settings of {name} first"),
        ),
        Access::Plan => (
            &codes::NEEDS_PLAN,
            Level::Note,
            format!("{name} lets mail programs in only with a paid plan."),
            format!("Use the web pages, or choose a paid plan.{help}"),
            format!("{name} lets mail programs in only with a paid plan"),
        ),
        Access::Bridge => (
            &codes::NEEDS_BRIDGE,
            Level::Broken,
            format!("{name} can be read with mail programs only through its own Bridge program."),
            format!(
                "Install the Bridge and type what it shows into your mail program, or use the provider's own app.{help}"
            ),
            format!(
                "{name} works with mail programs only through its own Bridge program: install that first"
            ),
        ),
        Access::None => (
            &codes::NO_CLIENT_ACCESS,
            Level::Broken,
            format!("{name} cannot be used with mail programs at all."),
            format!("Use the provider's own app or web pages.{help}"),
            format!("{name} cannot be used with mail programs at all: use its own app or web pages"),
        ),
    };
    // Where something was seen to work for the domain all the same, the data know less than the probe.
    let level = if view.settings.is_empty() { level } else { Level::Note };
    finds.add(code, level, "", Said { seen, advice, headline });
}

fn sign_in(provider: &Provider, finds: &mut Finds) {
    let name = &provider.name;
    // The note is told once.
    let url = provider.help.as_ref().map(|url| format!(" See {url}")).unwrap_or_default();
    let note = match (&provider.note, provider.access) {
        (Some(note), Access::Open) => format!(" {note}"),
        _ => String::new(),
    };
    let what = provider.app_password();
    let (code, seen, advice) = match provider.sign_in {
        SignIn::Unknown => return,
        SignIn::AppPassword => (
            &codes::NEEDS_APP_PASSWORD,
            format!("{name} does not take your usual password from mail programs."),
            format!(
                "Create {what} on the web pages of {name} and type that into your mail program.{note}{url}"
            ),
        ),
        SignIn::AppPasswordWithTwoFactor => (
            &codes::NEEDS_APP_PASSWORD,
            format!(
                "With two-factor authentication {name} does not take your usual password from mail programs."
            ),
            format!(
                "If you use two-factor authentication, create {what} on the web pages of {name} and type that into your mail program.{note}{url}"
            ),
        ),
        SignIn::OAuthOrAppPassword => (
            &codes::NEEDS_APP_PASSWORD,
            format!("{name} does not take your usual password from mail programs."),
            format!(
                "Choose \"OAuth2\" as authentication method if your mail program can do it; else create {what} on the web pages of {name}.{note}{url}"
            ),
        ),
        SignIn::OAuth => (
            &codes::OAUTH_ONLY,
            format!("{name} takes no passwords from mail programs, whatever its servers offer."),
            format!(
                "Choose \"OAuth2\" as authentication method, or a mail program that can do it.{note}{url}"
            ),
        ),
    };
    let headline = clause(provider).unwrap_or_default();
    finds.add(code, Level::Note, "", Said { seen, advice, headline });
}

/// What a person has to know of signing in, as the last clause of a sentence.
#[must_use]
pub fn last_clause(view: &View<'_>) -> String {
    let clause = match view.provider {
        Some(provider) => clause(provider),
        None => view.is_oauth_only().then(|| OAUTH_CLAUSE.to_owned()),
    };
    clause.map(|clause| format!("; {clause}")).unwrap_or_default()
}

const OAUTH_CLAUSE: &str = "sign in with OAuth2, because passwords are not taken";

/// `sign in with an app password, not with your usual one`.
fn clause(provider: &Provider) -> Option<String> {
    match provider.sign_in {
        SignIn::Unknown | SignIn::AppPasswordWithTwoFactor => match provider.access {
            Access::Switch => {
                Some(format!("allow IMAP or POP3 in the web settings of {} first", provider.name))
            }
            Access::Plan => Some("mail programs need a paid plan".to_owned()),
            _ => None,
        },
        SignIn::AppPassword => {
            Some(format!("sign in with {}, not with your usual password", provider.app_password()))
        }
        SignIn::OAuthOrAppPassword => Some(format!(
            "sign in with OAuth2 or with {}, not with your usual password",
            provider.app_password()
        )),
        SignIn::OAuth => Some(OAUTH_CLAUSE.to_owned()),
    }
}
