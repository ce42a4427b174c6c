//! What servers mean when they refuse to sign somebody in: their own words, sorted.
//!
//! Codes come first (RFC 5530, RFC 3206, RFC 4954); then the phrases that large providers use, because most
//! of them answer "wrong password" and explain only in words that an app password or a browser is needed.

use super::{Language, Verdict};

/// What a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Wrong user name or password.
    Wrong,
    /// An app password is needed.
    NeedsAppPassword,
    /// Only OAuth is taken.
    NeedsOAuth,
    /// The mechanism is refused.
    Mechanism,
    /// The service is switched off for the account.
    SwitchedOff,
    /// Locked, too many attempts, or not possible for now.
    Later,
    /// Something else.
    Other,
}

/// Phrases, in lower case, the telling ones first: the first that is found decides.
const PHRASES: &[(&str, Refusal)] = &[
    ("application-specific password", Refusal::NeedsAppPassword),
    ("app-specific password", Refusal::NeedsAppPassword),
    ("app password", Refusal::NeedsAppPassword),
    ("application password", Refusal::NeedsAppPassword),
    ("app-password", Refusal::NeedsAppPassword),
    ("authorization code", Refusal::NeedsAppPassword),
    ("authorized code", Refusal::NeedsAppPassword),
    ("invalidsecondfactor", Refusal::NeedsAppPassword),
    ("basicauthblocked", Refusal::NeedsOAuth),
    ("basic authentication is disabled", Refusal::NeedsOAuth),
    ("oauth", Refusal::NeedsOAuth),
    ("modern auth", Refusal::NeedsOAuth),
    ("web browser", Refusal::NeedsOAuth),
    ("webloginrequired", Refusal::NeedsOAuth),
    ("smtpclientauthentication is disabled", Refusal::SwitchedOff),
    ("not enabled for imap", Refusal::SwitchedOff),
    ("not enabled for pop", Refusal::SwitchedOff),
    ("access is disabled", Refusal::SwitchedOff),
    ("access disabled", Refusal::SwitchedOff),
    ("service is not open", Refusal::SwitchedOff),
    ("imap is disabled", Refusal::SwitchedOff),
    ("pop is disabled", Refusal::SwitchedOff),
    ("pop3 is disabled", Refusal::SwitchedOff),
    ("imap disabled", Refusal::SwitchedOff),
    ("pop3 disabled", Refusal::SwitchedOff),
    ("enable imap", Refusal::SwitchedOff),
    ("enable pop", Refusal::SwitchedOff),
    ("too many", Refusal::Later),
    ("locked", Refusal::Later),
    ("try again later", Refusal::Later),
    ("temporar", Refusal::Later),
    ("rate limit", Refusal::Later),
    ("mechanism", Refusal::Mechanism),
    ("not supported", Refusal::Mechanism),
    ("unsupported", Refusal::Mechanism),
    ("authentication failed", Refusal::Wrong),
    ("authenticationfailed", Refusal::Wrong),
    ("login failed", Refusal::Wrong),
    ("invalid credentials", Refusal::Wrong),
    ("incorrect", Refusal::Wrong),
    ("wrong password", Refusal::Wrong),
    ("invalid password", Refusal::Wrong),
    ("invalid login", Refusal::Wrong),
];

/// Response codes in brackets (RFC 5530 section 3, RFC 2449 section 8.1, RFC 3206 section 4).
const CODES: &[(&str, Refusal)] = &[
    ("[unavailable]", Refusal::Later),
    ("[inuse]", Refusal::Later),
    ("[in-use]", Refusal::Later),
    ("[limit]", Refusal::Later),
    ("[login-delay]", Refusal::Later),
    ("[sys/temp]", Refusal::Later),
    ("[authenticationfailed]", Refusal::Wrong),
    ("[auth]", Refusal::Wrong),
    ("[authorizationfailed]", Refusal::Other),
    ("[expired]", Refusal::Other),
    ("[sys/perm]", Refusal::Other),
];

/// What a refusal means. A phrase says more than a code that only says "failed".
#[must_use]
pub fn refusal(language: Language, verdict: Verdict, lines: &[String]) -> Refusal {
    let text = lines.join(" ").to_ascii_lowercase();
    let code = CODES.iter().find(|(code, _)| text.contains(code)).map(|(_, refusal)| *refusal);
    if code == Some(Refusal::Later) {
        return Refusal::Later;
    }
    // Bare words of failure are weaker than what else is said, so they stand last in the list.
    if let Some((_, refusal)) = PHRASES.iter().find(|(phrase, _)| text.contains(phrase)) {
        return *refusal;
    }
    if let Some(refusal) = code {
        return refusal;
    }
    match (language, verdict) {
        (Language::Smtp, _) => smtp(lines),
        (_, Verdict::Bye) => Refusal::Later,
        (_, Verdict::Bad) => Refusal::Mechanism,
        // IMAP's NO and POP3's -ERR without a word of explanation.
        (_, Verdict::No) => Refusal::Wrong,
        _ => Refusal::Other,
    }
}

/// RFC 4954 section 6.
fn smtp(lines: &[String]) -> Refusal {
    let code = lines.last().and_then(|line| line.get(..3)).unwrap_or_default();
    match code {
        "535" => Refusal::Wrong,
        "534" | "504" | "538" | "500" | "502" | "503" => Refusal::Mechanism,
        "454" | "421" | "432" | "450" | "451" => Refusal::Later,
        _ => Refusal::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_say_is_sorted() {
        use Language::{Imap, Pop3, Smtp};
        for (language, verdict, line, expected) in [
            (Imap, Verdict::No, "d2 NO [AUTHENTICATIONFAILED] Authentication failed.", Refusal::Wrong),
            (Imap, Verdict::No, "d2 NO", Refusal::Wrong),
            (Imap, Verdict::No, "d2 NO [UNAVAILABLE] Temporary authentication failure.", Refusal::Later),
            (
                Imap,
                Verdict::No,
                "d2 NO [ALERT] Application-specific password required: https://support.example/",
                Refusal::NeedsAppPassword,
            ),
            (
                Imap,
                Verdict::No,
                "d2 NO [WEBALERT https://x] Please log in via your web browser",
                Refusal::NeedsOAuth,
            ),
            (
                Imap,
                Verdict::No,
                "d2 NO [ALERT] IMAP access is disabled for your domain.",
                Refusal::SwitchedOff,
            ),
            (Imap, Verdict::No, "d2 NO BasicAuthBlocked: no", Refusal::NeedsOAuth),
            (Imap, Verdict::Bad, "d2 BAD Command unknown", Refusal::Mechanism),
            (Imap, Verdict::Bye, "* BYE Too many failures", Refusal::Later),
            (Pop3, Verdict::No, "-ERR [AUTH] Username and password not accepted.", Refusal::Wrong),
            (Pop3, Verdict::No, "-ERR [SYS/TEMP] sorry", Refusal::Later),
            (Pop3, Verdict::No, "-ERR POP3 is disabled for this account", Refusal::SwitchedOff),
            (Smtp, Verdict::No, "535 5.7.8 Username and Password not accepted.", Refusal::Wrong),
            (
                Smtp,
                Verdict::No,
                "534 5.7.9 Application-specific password required.",
                Refusal::NeedsAppPassword,
            ),
            (
                Smtp,
                Verdict::No,
                "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
                Refusal::SwitchedOff,
            ),
            (
                Smtp,
                Verdict::No,
                "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
                Refusal::NeedsOAuth,
            ),
            (Smtp, Verdict::Bad, "504 5.5.4 Unrecognized authentication type", Refusal::Mechanism),
            (Smtp, Verdict::No, "454 4.7.0 try", Refusal::Later),
            (Smtp, Verdict::No, "550 go away", Refusal::Other),
        ] {
            assert_eq!(refusal(language, verdict, &[line.to_owned()]), expected, "{line}");
        }
    }
}
