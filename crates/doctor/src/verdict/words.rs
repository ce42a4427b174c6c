//! How things are called: one place for the words that people read, in the terms of their mail programs.

use crate::seen::{Place, Source};
use proto::service::publish::{Authentication, Endpoint, UserForm};
use proto::service::{Protection, Protocol};

/// What a client's field for the connection security shows.
#[must_use]
pub fn security(protection: Protection) -> &'static str {
    match protection {
        Protection::Implicit => "SSL/TLS",
        Protection::StartTls => "STARTTLS",
        Protection::Clear => "none",
    }
}

/// What a client calls the kind of server.
#[must_use]
pub fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Imap => "IMAP",
        Protocol::Pop3 => "POP3",
        Protocol::Submission | Protocol::Smtp => "SMTP",
        Protocol::Lmtp => "LMTP",
        Protocol::Web => "HTTP",
    }
}

/// With what purpose a person thinks of it: "reading mail with IMAP", "sending".
#[must_use]
pub fn purpose(kind: Protocol) -> &'static str {
    match kind {
        Protocol::Imap => "reading mail with IMAP",
        Protocol::Pop3 => "fetching mail with POP3",
        Protocol::Submission => "sending mail",
        Protocol::Smtp => "mail between servers",
        Protocol::Lmtp => "delivery inside a mail system",
        Protocol::Web => "the web",
    }
}

/// Do both speak the same language on the wire? Submission is SMTP.
#[must_use]
pub fn same_language(one: Protocol, other: Protocol) -> bool {
    let plain = |p| if p == Protocol::Submission { Protocol::Smtp } else { p };
    plain(one) == plain(other)
}

/// `mail.example.com:143`, with brackets around an IPv6 address.
#[must_use]
pub fn spot(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The spot of a place.
#[must_use]
pub fn place(place: &Place) -> String {
    spot(&place.host, place.port.number)
}

/// `imap.example.com, port 993 with SSL/TLS`.
#[must_use]
pub fn endpoint(row: &Endpoint) -> String {
    format!("{}, {}", row.host, port_and_security(row))
}

/// `port 993 with SSL/TLS`.
#[must_use]
pub fn port_and_security(row: &Endpoint) -> String {
    match row.protection {
        Protection::Clear => format!("port {} without encryption", row.port),
        other => format!("port {} with {}", row.port, security(other)),
    }
}

/// What a client's field for the method shows.
#[must_use]
pub fn authentication(kind: Authentication) -> &'static str {
    match kind {
        Authentication::Password => "normal password",
        Authentication::Challenge => "encrypted password",
        Authentication::Certificate => "client certificate",
        Authentication::OAuth2 => "OAuth2",
        Authentication::None => "none",
        Authentication::Other => "another method",
    }
}

/// What to type as user name.
#[must_use]
pub fn user(form: &UserForm, address: Option<&str>) -> String {
    match (form, address) {
        (UserForm::Address, Some(address)) => address.to_owned(),
        (UserForm::Address, None) => "your full mail address".to_owned(),
        (UserForm::LocalPart, Some(address)) => {
            address.rsplit_once('@').map_or(address, |(local, _)| local).to_owned()
        }
        (UserForm::LocalPart, None) => "what stands before the @ of your address".to_owned(),
        (UserForm::Other(text), _) => text.clone(),
    }
}

/// A source, for people.
#[must_use]
pub fn source(source: Source) -> &'static str {
    match source {
        Source::Autoconfig => "the provider's autoconfig document",
        Source::WellKnown => "the autoconfig document on the domain's own web site",
        Source::IspDb => "the public database of mail providers (ISPDB)",
        Source::AutoconfigMx => "the autoconfig document of the mail exchanger's domain",
        Source::Autodiscover => "the Autodiscover document",
        Source::AutodiscoverJson => "the Autodiscover (JSON) document",
        Source::Pacc => "the PACC document",
        Source::Srv => "the SRV records in DNS",
        Source::Mx => "the MX records in DNS",
        Source::Guess => "a guessed name",
    }
}

/// The verb in the number of the source's name: `verb(source, "says", "say")`.
#[must_use]
pub fn verb(source: Source, one: &'static str, several: &'static str) -> &'static str {
    if matches!(source, Source::Srv | Source::Mx) { several } else { one }
}

/// Does a source name settings for clients? MX records are for servers, a guess is nobody's word.
#[must_use]
pub fn names_settings(source: Source) -> bool {
    !matches!(source, Source::Mx | Source::Guess)
}

/// `3 March 2026`, of seconds since 1970.
#[must_use]
pub fn day(seconds: i64) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let Ok(time) = jiff::Timestamp::from_second(seconds) else {
        return "a day outside the calendar".to_owned();
    };
    let date = time.to_zoned(jiff::tz::TimeZone::UTC).date();
    let month = usize::try_from(date.month()).ok().and_then(|month| MONTHS.get(month.wrapping_sub(1)));
    format!("{} {} {}", date.day(), month.unwrap_or(&"?"), date.year())
}

/// `a`, `a and b`, `a, b and c`; with more than `max`, `a, b and 5 others`.
#[must_use]
pub fn list(items: &[String], max: usize) -> String {
    let (shown, rest) = items.split_at(items.len().min(max));
    match (shown, rest.len()) {
        ([], _) => String::new(),
        ([one], 0) => one.clone(),
        ([first @ .., last], 0) => format!("{} and {last}", first.join(", ")),
        (_, 1) => format!("{} and one other", shown.join(", ")),
        (_, more) => format!("{} and {more} others", shown.join(", ")),
    }
}

/// The first letter as at the beginning of a sentence, unless the first word is a name that is written otherwise (`imap.example.com`).
#[must_use]
pub fn capital(clause: &str) -> String {
    let first = clause.split([' ', ',', ';', ':']).next().unwrap_or_default();
    if first.contains('.') || first.contains('[') {
        return clause.to_owned();
    }
    let mut letters = clause.chars();
    letters.next().map_or_else(String::new, |letter| letter.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_things() {
        assert_eq!(day(1_772_496_000), "3 March 2026");
        assert_eq!(day(i64::MAX), "a day outside the calendar");
        let three = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        assert_eq!(list(&three[..0], 3), "");
        assert_eq!(list(&three[..1], 3), "a");
        assert_eq!(list(&three[..2], 3), "a and b");
        assert_eq!(list(&three, 3), "a, b and c");
        assert_eq!(list(&three, 2), "a, b and one other");
        assert_eq!(list(&three, 1), "a and 2 others");
        assert_eq!(capital("the port"), "The port");
        assert_eq!(capital("mail.example.com is closed"), "mail.example.com is closed");
        assert_eq!(spot("2001:db8::1", 993), "[2001:db8::1]:993");
        assert_eq!(user(&UserForm::LocalPart, Some("me@example.com")), "me");
    }
}
