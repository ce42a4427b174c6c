//! Signing in: what is offered in clear and inside TLS, and what came of trying.

use super::codes::{self, Code};
use super::finds::{Finds, Said};
use super::view::{self, View};
use super::words;
use crate::Level;
use crate::seen::{LoginResult, LoginSeen, Offer, Probe, Reach};
use proto::service::Protocol;

const USER_FORM_ADVICE: &str = "Type as user name only what stands before the @ of your address.";
const USER_FORM_HEADLINE: &str =
    "your password is right, but the user name is only what stands before the @ of your address";

/// Judges every open place that matters, and each attempt to sign in.
pub fn judge(view: &View<'_>, finds: &mut Finds) {
    for probe in view.mattering().filter(|probe| probe.reach == Reach::Open) {
        in_clear(probe, finds);
        inside(view, probe, finds);
    }
    for probe in view.probes {
        if let Some(login) = &probe.login {
            attempt(view, probe, login, finds);
        }
    }
}

fn in_clear(probe: &Probe, finds: &mut Finds) {
    let Some(clear) = &probe.clear else { return };
    let sent = clear.password || clear.mechanisms.iter().any(|m| sends_password(m));
    if !sent {
        return;
    }
    let host = &probe.place.host;
    let said = Said {
        seen: format!("{host} would take the password before any encryption."),
        advice: "Choose SSL/TLS or STARTTLS in your mail program, never \"none\" and never \"if available\"; your provider should refuse passwords in clear.".to_owned(),
        headline: format!("{host} would take your password without encryption"),
    };
    finds.add(&codes::PASSWORD_IN_CLEAR, Level::Should, &words::place(&probe.place), said);
}

fn sends_password(mechanism: &str) -> bool {
    mechanism.eq_ignore_ascii_case("PLAIN") || mechanism.eq_ignore_ascii_case("LOGIN")
}

/// What is offered inside the encryption, against what was offered before.
fn inside(view: &View<'_>, probe: &Probe, finds: &mut Finds) {
    let Some(encrypted) = &probe.encrypted else { return };
    let place = &probe.place;
    if place.port.protocol == Protocol::Smtp {
        return; // Servers that only take mail from servers offer no sign-in, and rightly so.
    }
    let nothing = Offer::default();
    let clear = probe.clear.as_ref().unwrap_or(&nothing);
    let (before, after) = (view::methods(clear), view::methods(encrypted));
    let vanished: Vec<String> = clear
        .mechanisms
        .iter()
        .filter(|m| !encrypted.mechanisms.iter().any(|other| other.eq_ignore_ascii_case(m)))
        .cloned()
        .collect();
    let host = &place.host;
    if after.is_empty() && before.is_empty() {
        let said = Said {
            seen: format!("Even inside the encryption {host} offers no way to sign in."),
            advice: "Use another port; your provider must allow signing in there or close it to people."
                .to_owned(),
            headline: format!("{host} offers no way to sign in on port {}", place.port.number),
        };
        finds.add(&codes::LOGIN_DISABLED, view.unusable(place), &words::place(place), said);
    } else if after.is_empty() || !vanished.is_empty() {
        let (what, level) = if after.is_empty() {
            ("the ways to sign in".to_owned(), view.unusable(place))
        } else {
            (words::list(&vanished, 4), Level::Note)
        };
        let said = Said {
            seen: format!("Before the encryption {host} offers {what}, inside it no longer."),
            advice: "Use another port; your provider must offer inside the encryption what it offers before."
                .to_owned(),
            headline: format!(
                "{host} offers a sign-in on port {} only before the encryption; your provider must mend that",
                place.port.number
            ),
        };
        finds.add(&codes::MECHANISMS_VANISH, level, &words::place(place), said);
    }
}

fn attempt(view: &View<'_>, probe: &Probe, login: &LoginSeen, finds: &mut Finds) {
    let host = &probe.place.host;
    let provider = view.provider;
    let name = provider.map_or("your provider", |p| p.name.as_str());
    let page = |url: Option<&String>| url.map(|url| format!(": {url}")).unwrap_or_default();
    let help = page(provider.and_then(|p| p.help.as_ref()));
    let note = provider.and_then(|p| p.note.as_ref()).map(|note| format!(" {note}")).unwrap_or_default();
    let by_local_part = |other: &LoginSeen| other.result == LoginResult::Works && !other.full_address;
    let right_elsewhere = view.probes.iter().any(|other| other.login.as_ref().is_some_and(by_local_part));
    let (code, level, seen, advice, headline): (&'static Code, Level, String, String, String) = match login.result {
        LoginResult::Works if login.full_address => (
            &codes::LOGIN_WORKS,
            Level::Note,
            format!("Signing in to {host} with the full address works."),
            "Nothing to do.".to_owned(),
            format!("signing in to {host} works"),
        ),
        // The other form was not tried here: the run was over before a server that holds back its refusals took the next attempt.
        LoginResult::Wrong if login.full_address && right_elsewhere => (
            &codes::LOGIN_USER_FORM,
            Level::Broken,
            format!("{host} refuses the full address with this password."),
            USER_FORM_ADVICE.to_owned(),
            USER_FORM_HEADLINE.to_owned(),
        ),
        LoginResult::Works => (
            &codes::LOGIN_USER_FORM,
            Level::Broken,
            format!("{host} takes the part before the @ as user name, not the full address."),
            USER_FORM_ADVICE.to_owned(),
            USER_FORM_HEADLINE.to_owned(),
        ),
        LoginResult::Wrong => (
            &codes::LOGIN_WRONG,
            Level::Broken,
            if login.full_address {
                format!("{host} refuses the full address with this password.")
            } else {
                format!("{host} refuses this password with the full address and with the part before the @.")
            },
            format!("Type the password anew (copy it from where you sign in on the web); if it works there, your provider may want another user name or an app password.{note}"),
            format!("{host} refuses your user name or password; everything else is right"),
        ),
        LoginResult::NeedsAppPassword => {
            let what = provider.map_or_else(|| "an app password".to_owned(), |p| p.app_password());
            (
                &codes::LOGIN_APP_PASSWORD,
                Level::Broken,
                format!("{host} says that the account's own password is not taken here."),
                format!("Create {what} on the web pages of {name} and type that into your mail program{help}."),
                format!("{name} does not take your usual password from mail programs: create {what}"),
            )
        }
        LoginResult::NeedsOAuth => (
            &codes::LOGIN_OAUTH,
            Level::Broken,
            format!("{host} takes no password, only a sign-in in the browser (OAuth 2)."),
            format!("Choose \"OAuth2\" as authentication method, or a mail program that can do it{help}."),
            format!("{name} takes no password from mail programs: choose OAuth2 as authentication method"),
        ),
        LoginResult::MechanismRefused => (
            &codes::LOGIN_MECHANISM,
            Level::Broken,
            format!("{host} refuses the method {} although it offers it.", login.mechanism),
            "Choose another authentication method in your mail program (\"normal password\" instead of \"encrypted password\", or the other way round).".to_owned(),
            format!("{host} refuses the method {} that it offers", login.mechanism),
        ),
        LoginResult::SwitchedOff => (
            &codes::LOGIN_SWITCHED_OFF,
            Level::Broken,
            format!("{host} says that mail programs are not allowed for this mailbox."),
            format!(
                "Sign in on the web pages of {name} and allow access by mail programs (IMAP, POP3){}.",
                page(provider.and_then(|p| p.access_help.as_ref()))
            ),
            format!("mail programs are not allowed for your mailbox: switch that on in the web settings of {name}"),
        ),
        LoginResult::Later => (
            &codes::LOGIN_LATER,
            Level::Broken,
            format!("{host} does not let you in for the moment."),
            "Wait an hour, close other programs that try again and again with an old password, then try once more.".to_owned(),
            format!("{host} does not let you in for the moment: wait, then try again"),
        ),
        LoginResult::Other => (
            &codes::LOGIN_OTHER,
            Level::Broken,
            format!("{host} refuses the sign-in."),
            "Ask your provider and quote the server's words.".to_owned(),
            format!("{host} refuses the sign-in for a reason of its own"),
        ),
    };
    let seen = match login.words.trim() {
        words if words.is_empty() || login.result == LoginResult::Works => seen,
        words => format!("{seen} Its words: \"{words}\"."),
    };
    finds.add(code, level, &words::place(&probe.place), Said { seen, advice, headline });
}
