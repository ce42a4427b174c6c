//! The languages of LANGUAGE (RFC 5255) and the machine's own texts.
//!
//! Only what is true is offered: the texts of the machine, of the parser and of the session
//! are English, so there is English, under its two names.

/// The tags that LANGUAGE lists; `i-default` (RFC 2277 section 4.5) is what a connection begins with.
pub const TAGS: [&str; 2] = ["i-default", "en"];

/// The first of the client's ranges that can be had (RFC 4647 section 3.4: subtags are dropped
/// until one fits; `*` is whatever we like best), as a tag of [`TAGS`].
#[must_use]
pub fn find(ranges: &[String]) -> Option<&'static str> {
    ranges.iter().find_map(|range| {
        if range == "*" {
            return Some(TAGS[0]);
        }
        let mut range = range.as_str();
        loop {
            if let Some(tag) = TAGS.iter().find(|tag| tag.eq_ignore_ascii_case(range)) {
                return Some(*tag);
            }
            range = range.rsplit_once('-')?.0;
        }
    })
}

/// What the machine says by itself.
pub(super) mod text {
    pub const READY: &str = "ready";
    pub const NO_TAG: &str = "a command begins with a tag, such as A1";
    pub const UNKNOWN: &str = "unknown command";
    pub const LINE_BYTES: &str = "a command has neither NUL nor a lone CR";
    pub const LINE_TOO_LONG: &str = "the command is too long";
    pub const LITERAL_TOO_LONG: &str = "the literal is too long here";
    pub const LITERALS_TOO_MANY: &str = "the command has too many literals";
    pub const LITERAL_NUL: &str = "NUL can only be in a literal of the form ~{n}";
    pub const FLOOD: &str = "too much to read away, goodbye";
    pub const TOO_MANY_ERRORS: &str = "too many errors, goodbye";
    pub const NOT_LOGGED_IN: &str = "log in first";
    pub const LOGGED_IN: &str = "only before login";
    pub const NOT_SELECTED: &str = "open a mailbox with SELECT first";
    pub const SELECTED: &str = "only before a mailbox is open";
    pub const UID_REQUIRED: &str = "UIDONLY is enabled: use the UID form with UIDs";
    pub const NOT_OFFERED: &str = "this way to log in is not offered";
    pub const NO_LOGIN: &str = "LOGIN is not offered: use AUTHENTICATE";
    pub const BEGIN_TLS: &str = "begin TLS";
    pub const TLS_ACTIVE: &str = "TLS is already active";
    pub const TLS_UNAVAILABLE: &str = "TLS cannot be started here";
    pub const COMPRESSED: &str = "not under compression: log out and connect again";
    pub const COMPRESS_UNAVAILABLE: &str = "compression is not offered";
    pub const EARLY_BYTES: &str = "bytes came before TLS was begun, goodbye";
    pub const CANCELLED: &str = "authentication cancelled";
    pub const BASE64: &str = "not valid base64";
    pub const CAPABILITIES: &str = "that is what works now";
    pub const ENABLED: &str = "enabled";
    pub const UNAUTHENTICATED: &str = "begin again";
    pub const NO_ARGUMENTS: &str = "expected no arguments";
    pub const DONE_EXPECTED: &str = "expected DONE";
    pub const EMPTY_MESSAGE: &str = "a message of no octets cancels APPEND";
    pub const MESSAGES_TOO_MANY: &str = "too many messages for one APPEND";
    pub const MESSAGE_TOO_LONG: &str = "the message is larger than APPENDLIMIT allows";
    pub const UTF8_NOT_ENABLED: &str = "expected ENABLE UTF8=ACCEPT before UTF8";
    pub const LITERAL_EXPECTED: &str = "expected the octets of a literal";
    pub const CHARSET: &str = "the texts to search for have an unknown charset or are not in it";
    pub const NO_EVENT: &str = "no such event";
    pub const BYE: &str = "goodbye";
    pub const LOGGED_OUT: &str = "logged out";
    pub const SILENCE: &str = "autologout: too long without a word";
    pub const AUTH_FAILURES: &str = "too many failed logins, goodbye";
    pub const STOPPING: &str = "service restarts, connect again shortly";
}

#[cfg(test)]
mod tests {
    #[test]
    fn ranges_fall_back() {
        let find = |ranges: &[&str]| super::find(&ranges.iter().map(|&r| r.to_owned()).collect::<Vec<_>>());
        assert_eq!(find(&["EN-gb"]), Some("en"));
        assert_eq!(find(&["de", "I-DEFAULT"]), Some("i-default"));
        assert_eq!(find(&["*"]), Some("i-default"));
        assert_eq!(find(&["xx", "-", ""]), None);
        assert_eq!(find(&[]), None);
    }
}
