//! The catalogue of findings: the stable word, who must act as a rule, and why it matters.
//!
//! The order is the order of weight within a level. A word is never given another meaning; `docs/doctor.md` lists
//! them all (a test compares).

use crate::Actor;

/// A kind of finding.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// The stable word.
    pub word: &'static str,
    /// Who must act, unless what was seen says otherwise.
    pub actor: Actor,
    /// Why it matters, a sentence.
    pub why: &'static str,
}

macro_rules! codes {
    ($($name:ident $word:literal $actor:ident $why:literal)*) => {
        $(
            #[doc = concat!("`", $word, "`.")]
            pub static $name: Code = Code { word: $word, actor: Actor::$actor, why: $why };
        )*
        /// All, in the order of weight within a level.
        pub static ALL: &[&Code] = &[$(&$name),*];
    };
}

codes! {
    CANNOT_TELL "cannot-tell" You "Without an answer from the network nothing can be said about the provider."
    NOT_ENOUGH_TIME "not-enough-time" Nobody "What was not tried may work or not."
    NOW_CLEAR "now-clear" You "Without encryption everybody on the way can read your password and your mail."
    NOW_SWAPPED "now-swapped" You "A server for sending cannot hand out mail, and one for reading cannot take it."
    NOW_OTHER_PROTOCOL "now-other-protocol" You "IMAP, POP3 and SMTP are different languages; each has ports of its own."
    NOW_EXCHANGE "now-server-port" You "That port is for mail between servers; many networks block it and many servers take nothing from people there."
    NOW_BOTH "now-port-and-security" You "A port works with one kind of security only; the wrong pair never connects."
    NOW_PORT "now-port" You "A port works with one kind of security only; the wrong pair never connects."
    NOW_SECURITY "now-security" You "A port works with one kind of security only; the wrong pair never connects."
    NOW_ELSEWHERE "now-elsewhere" You "Your setting fits the port, but the server does not serve it there; another port does."
    NOW_HOST "now-host" You "Without the right server name nothing is reached, or something that cannot prove who it is."
    NOW_SPA "now-spa" You "\"Secure Password Authentication (SPA)\" is a method that hardly any provider speaks; it has nothing to do with encryption."
    NOW_NO_CHOICE "now-no-choice" Provider "No other setting can be recommended because none was seen to work."
    NOW_RIGHT "now-right" Nobody "Nothing has to be changed in your mail program."
    LOGIN_APP_PASSWORD "login-needs-app-password" You "The password of the account itself is not taken from mail programs."
    LOGIN_OAUTH "login-needs-oauth" You "The provider takes no password from mail programs, only a sign-in in the browser."
    LOGIN_SWITCHED_OFF "login-switched-off" You "The provider lets mail programs in only after they were allowed on its web pages."
    LOGIN_WRONG "login-wrong" You "The server was reached safely, so only user name or password can be the reason."
    LOGIN_USER_FORM "login-user-form" You "With the other form of the user name the same password is refused."
    LOGIN_MECHANISM "login-mechanism-refused" Provider "The server offers a method that it then does not take."
    LOGIN_LATER "login-later" You "Further attempts make such a lock longer."
    LOGIN_OTHER "login-other" Provider "The server refused for a reason that only its operator can explain."
    LOGIN_WORKS "login-works" Nobody "User name, password and connection are right."
    NO_CLIENT_ACCESS "no-client-access" You "No setting in a mail program can change it."
    NO_MAIL_SERVICE "no-mail-service" You "Without a server there is nothing that a mail program could connect to."
    CLOSEST_NAME "closest-name" You "Mail to a mistyped domain goes to strangers or nowhere."
    STARTTLS_STRIPPED "starttls-stripped" Network "Somebody between you and the server removes the encryption; your password would be readable there."
    STARTTLS_INJECTABLE "starttls-injectable" Provider "Commands that somebody slips in before the encryption are executed inside it (CVE-2011-0411)."
    CERTIFICATE_EXPIRED "certificate-expired" Provider "Mail programs refuse an expired certificate, and they are right: it proves nothing any more."
    CERTIFICATE_NOT_YET "certificate-not-yet-valid" Provider "Mail programs refuse a certificate before its time."
    CERTIFICATE_NAME "certificate-wrong-name" Provider "A certificate proves who the server is only for the names that are in it."
    CERTIFICATE_SELF "certificate-self-signed" Provider "Anybody can make such a certificate, so it proves nothing."
    CERTIFICATE_INCOMPLETE "certificate-incomplete" Provider "The server does not send the certificate between its own and the authority; some programs find it elsewhere, many fail."
    CERTIFICATE_UNKNOWN "certificate-unknown-authority" Provider "Mail programs trust only authorities that they know; software that inspects connections on your computer can be the cause too."
    CERTIFICATE_BROKEN "certificate-broken" Provider "A certificate that cannot be checked proves nothing."
    CERTIFICATE_WEAK "certificate-weak" Provider "Weak keys and signatures can be forged; newer systems refuse them."
    TLS_TOO_OLD "tls-too-old" Provider "Today's mail programs no longer speak versions before TLS 1.2, which are broken (RFC 8996)."
    TLS_FAILS "tls-fails" Provider "Without a handshake there is no encryption and no connection."
    STARTTLS_FAILS "starttls-fails" Provider "The server promises encryption and then cannot do it."
    STARTTLS_MISSING "starttls-missing" Provider "Without STARTTLS everything on this port, the password too, travels unencrypted."
    PLAIN_ON_IMPLICIT "plain-on-implicit-port" Provider "A mail program that is set to SSL/TLS waits there for ever or reports a protocol error."
    TLS_ON_STARTTLS "tls-on-starttls-port" Provider "A mail program that is set to STARTTLS waits there for a greeting that never comes."
    PORT_REFUSED "port-refused" Provider "Nothing listens there, so no setting of a mail program can help."
    HOST_UNKNOWN "host-unknown" Provider "A name without an address leads nowhere."
    GREETING_LIES "greeting-lies" Provider "A mail program that expects one language gets another and gives up."
    GREETING_ENDLESS "greeting-never-ends" Provider "Mail programs wait for the end of the greeting until they give up."
    GREETING_FOREIGN "greeting-foreign" Provider "What answers there is no mail server."
    GREETING_REFUSES "greeting-refuses" Provider "The server answers and turns everybody, or you, away."
    GREETING_MISSING "greeting-missing" Provider "The connection is taken and then nothing is said: an overloaded server, or a filter on the way."
    CLOSED_AT_ONCE "closed-at-once" Provider "The server takes the connection and drops it: a block of your address, or a fault."
    PORT_SILENT "port-silent" Network "Something on the way drops the packets, so that programs wait until they give up."
    HOST_UNREACHABLE "host-unreachable" Network "The network knows no way to the server."
    LOGIN_DISABLED "login-disabled" Provider "Even inside the encryption no way to sign in is offered."
    MECHANISMS_VANISH "mechanisms-vanish" Provider "What is offered before the encryption should be offered inside it, where it is safe."
    PASSWORD_IN_CLEAR "password-offered-in-clear" Provider "A mail program with the wrong setting sends the password readable for everybody on the way, and nobody notices."
    PLAINTEXT_ENTRY "plaintext-entry" Provider "Mail programs that follow it send the password readable for everybody on the way."
    SOURCES_DISAGREE "sources-disagree" Provider "Each mail program asks another source, so that one works and the other does not."
    SOURCE_LIES "source-lies" Provider "Mail programs that configure themselves by it fail."
    SOURCE_BROKEN "source-broken" Provider "Mail programs that ask there get nothing useful."
    SOURCE_REMARK "source-remark" Provider "Some mail programs read such a document otherwise, or not at all."
    IPV6_BROKEN "ipv6-broken" Provider "Programs that try IPv6 first wait or fail although IPv4 works."
    NO_READING "no-reading-service" Provider "Without it no mail program can show your mail."
    NO_SENDING "no-sending-service" Provider "Without it no mail program can send your mail."
    EXPIRES_SOON "certificate-expires-soon" Provider "When it has expired, mail programs refuse to connect."
    WEAK_SUITES "weak-suites" Provider "Connections with them can be read by those who record them."
    OLD_TLS "old-tls-accepted" Provider "Versions before TLS 1.2 are broken and obsolete (RFC 8996); up-to-date programs do not use them."
    OAUTH_ONLY "oauth-only" You "The provider takes no password from mail programs, only a sign-in in the browser."
    NEEDS_APP_PASSWORD "needs-app-password" You "The password of the account itself is not taken from mail programs."
    MUST_BE_SWITCHED_ON "must-be-switched-on" You "The provider lets mail programs in only after they were allowed on its web pages."
    NEEDS_PLAN "needs-plan" You "The provider's free accounts cannot be used with mail programs."
    NEEDS_BRIDGE "needs-bridge" You "The provider's mail is encrypted in a way that only its own program can open."
    ADDRESS_SENT "address-sent" Nobody "Everything else was asked with the domain alone."
}

/// The place of a code in the order of weight.
#[must_use]
pub fn rank(word: &str) -> usize {
    ALL.iter().position(|code| code.word == word).unwrap_or(ALL.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_one_word_and_a_sentence() {
        let words: BTreeSet<_> = ALL.iter().map(|code| code.word).collect();
        assert_eq!(words.len(), ALL.len(), "a word stands for one thing");
        for code in ALL {
            assert!(code.word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-' || b.is_ascii_digit()));
            assert!(code.why.ends_with('.'), "{}: {}", code.word, code.why);
        }
    }
}
