//! What is said to people, by the machine and by the session above it, in the languages that LANGUAGE offers
//! (RFC 5255 section 3).
//!
//! A text is a key of [`Text`] or of [`Common`]; English stands in `en`, which makes the keys, and each other language in a
//! file of its own. What must hold: every language has every text, which the compiler sees to; the texts of i-default, with which
//! a connection begins, are ASCII; no text begins with a bracket, which would be taken for a response code.
//!
//! What the parser says in English of a malformed command (`expected a number`) is for those who write clients, and only
//! told as long as no other language was chosen: RFC 5255 3.2 leaves no room for a mixture, and whoever reads another language
//! is told in one sentence that the mail program is at fault ([`Text::Malformed`]).

use crate::language::{DEFAULT_TAG, LANGUAGES, Language, Said};
use std::borrow::Cow;

pub use crate::language::Common;

/// Makes the keys and the English column of one list.
macro_rules! texts {
    ($($key:ident: $english:literal,)*) => {
        /// One row a text, in the order of [`Text`].
        pub(super) const TEXTS: [(Text, &str); Text::ALL.len()] = [$((Text::$key, $english)),*];

        /// What is said to people, named by what it says in English.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Text {
            $(#[doc = $english] $key,)*
        }

        impl Text {
            /// All of them.
            pub const ALL: &[Text] = &[$(Text::$key),*];
        }
    };
}

mod de;
mod el;
mod en;
mod es;
mod fr;

pub use en::Text;

/// The columns, in the order of [`LANGUAGES`].
const COLUMNS: [&[(Text, &str); Text::ALL.len()]; LANGUAGES.len()] =
    [&en::TEXTS, &de::TEXTS, &el::TEXTS, &es::TEXTS, &fr::TEXTS];

/// Each text is in its row.
const _: () = {
    let mut row = 0;
    while row < Text::ALL.len() {
        let mut column = 0;
        while column < COLUMNS.len() {
            assert!(COLUMNS[column][row].0 as usize == row);
            column += 1;
        }
        row += 1;
    }
};

impl Said for Text {
    fn said(self, language: Language) -> &'static str {
        COLUMNS[language.column()][self as usize].1
    }
}

/// What a line says: a text by its key, which the machine says in the connection's language, or one that was put together with
/// [`Language::say`].
#[derive(Clone, Debug)]
pub enum Words<'a> {
    /// A text of IMAP.
    Text(Text),
    /// A text that POP3 has too.
    Common(Common),
    /// Put together; names and numbers are in it.
    Ready(Cow<'a, str>),
}

impl Words<'_> {
    /// As it is written.
    pub(super) fn said(&self, language: Language) -> &str {
        match self {
            Words::Text(text) => language.text(*text),
            Words::Common(text) => language.text(*text),
            Words::Ready(text) => text,
        }
    }

    /// To be said later.
    pub(super) fn into_owned(self) -> Words<'static> {
        match self {
            Words::Text(text) => Words::Text(text),
            Words::Common(text) => Words::Common(text),
            Words::Ready(text) => Words::Ready(Cow::Owned(text.into_owned())),
        }
    }
}

impl From<Text> for Words<'_> {
    fn from(text: Text) -> Self {
        Words::Text(text)
    }
}

impl From<Common> for Words<'_> {
    fn from(text: Common) -> Self {
        Words::Common(text)
    }
}

impl From<String> for Words<'_> {
    fn from(text: String) -> Self {
        Words::Ready(Cow::Owned(text))
    }
}

/// The tags that LANGUAGE lists; a connection begins with the first, `i-default` (RFC 5255 3.1).
pub fn tags() -> impl Iterator<Item = &'static str> {
    std::iter::once(DEFAULT_TAG).chain(LANGUAGES.map(|(tag, _)| tag))
}

/// The first of the client's ranges that can be had, with its tag of [`tags`]. `default` (RFC 5255 3.2) and `*` are what a
/// connection begins with.
#[must_use]
pub fn find(ranges: &[String]) -> Option<(Language, &'static str)> {
    ranges.iter().find_map(|range| {
        if range == "*" || range.eq_ignore_ascii_case("default") {
            return Some((Language::default(), DEFAULT_TAG));
        }
        Language::find(range)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_fall_back() {
        let find = |ranges: &[&str]| {
            let ranges: Vec<String> = ranges.iter().map(|&range| range.to_owned()).collect();
            super::find(&ranges).map(|(_, tag)| tag)
        };
        assert_eq!(find(&["EN-gb"]), Some("en"));
        assert_eq!(find(&["xx", "de-AT", "en"]), Some("de"));
        assert_eq!(find(&["xx", "I-DEFAULT"]), Some("i-default"));
        assert_eq!(find(&["*"]), Some("i-default"));
        assert_eq!(find(&["Default"]), Some("i-default"));
        assert_eq!(find(&["xx", "-", ""]), None);
        assert_eq!(find(&[]), None);
    }

    #[test]
    fn every_text_is_translated_once_and_fits_a_line() {
        crate::language::check_texts(Text::ALL, &[]);
        // Nor is any said in POP3's words already.
        for text in Text::ALL {
            let said = Language::default().text(*text);
            let same = Common::ALL
                .iter()
                .find(|common| Language::default().text(**common).eq_ignore_ascii_case(said));
            assert_eq!(same, None, "{text:?}");
            for tag in tags() {
                let (language, _) = find(&[tag.to_owned()]).unwrap();
                assert!(!language.text(*text).contains('['), "{text:?} (RFC 5255 3.5)");
            }
        }
    }
}
