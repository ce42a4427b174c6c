//! One text of the guide: words with labels, placeholders and links, in all languages.
//!
//! `[key]` is a label of the client, `{in.host}` a value of the service or the
//! reader, `<words|place>` a link. Nothing is escaped: the texts need none of
//! these characters otherwise.

use super::Lang;
use super::book::Mistake;
use std::collections::{BTreeMap, BTreeSet};

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Piece {
    Words(String),
    /// Before labels are known: the key; after [`Text::with_labels`]: what the client shows.
    Label(String),
    Slot(Slot),
    /// Words, and where to: a path below the guide, or `web:PATH` for one of the service.
    Link(String, String),
}

/// A value that is filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    Address,
    User,
    OutUser,
    Domain,
    Provider,
    Client,
    Protocol,
    InHost,
    InPort,
    InSecurity,
    OutHost,
    OutPort,
    OutSecurity,
    Authentication,
    Port,
}

impl Slot {
    /// As it is written in the files; some are plain words in the page and not values to copy.
    const ALL: [(&'static str, Slot); 15] = [
        ("address", Slot::Address),
        ("user", Slot::User),
        ("out.user", Slot::OutUser),
        ("domain", Slot::Domain),
        ("provider", Slot::Provider),
        ("client", Slot::Client),
        ("protocol", Slot::Protocol),
        ("in.host", Slot::InHost),
        ("in.port", Slot::InPort),
        ("in.security", Slot::InSecurity),
        ("out.host", Slot::OutHost),
        ("out.port", Slot::OutPort),
        ("out.security", Slot::OutSecurity),
        ("authentication", Slot::Authentication),
        ("port", Slot::Port),
    ];
}

/// When a text is shown; all its conditions must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Imap,
    Pop3,
    InImplicit,
    InStartTls,
    OutImplicit,
    OutStartTls,
    /// The password itself may be sent, inside TLS.
    Password,
    /// Only mechanisms with a challenge.
    Challenge,
    /// The service has web pages.
    Web,
}

impl When {
    const ALL: [(&'static str, When); 9] = [
        ("imap", When::Imap),
        ("pop3", When::Pop3),
        ("in-implicit", When::InImplicit),
        ("in-starttls", When::InStartTls),
        ("out-implicit", When::OutImplicit),
        ("out-starttls", When::OutStartTls),
        ("password", When::Password),
        ("challenge", When::Challenge),
        ("web", When::Web),
    ];
}

/// A text in all languages.
#[derive(Clone, Debug)]
pub(super) struct Text {
    /// By language, in the order of [`Lang::ALL`].
    pieces: [Vec<Piece>; 5],
    pub when: Vec<When>,
    /// Marked as the same in all languages.
    #[cfg(test)]
    pub same: bool,
}

impl Text {
    /// A text of its languages, which must have the same placeholders, labels and links.
    pub fn new(pieces: [Result<Vec<Piece>, Mistake>; 5], same: bool) -> Result<Text, Mistake> {
        let [en, de, el, es, fr] = pieces;
        let pieces = [en?, de?, el?, es?, fr?];
        for (lang, other) in Lang::ALL.into_iter().zip(&pieces) {
            if parts(other) != parts(&pieces[0]) {
                return Err(format!(
                    "{} has not the same placeholders, labels and links as en: {:?}, {:?}",
                    lang.code(),
                    parts(other),
                    parts(&pieces[0])
                ));
            }
        }
        #[cfg(not(test))]
        let _ = same;
        Ok(Text {
            pieces,
            when: Vec::new(),
            #[cfg(test)]
            same,
        })
    }

    /// The same text under further conditions, written as words between spaces.
    pub fn when(mut self, conditions: &str) -> Result<Text, Mistake> {
        for word in conditions.split_whitespace() {
            let found = When::ALL.into_iter().find(|(name, _)| *name == word);
            let (_, when) = found.ok_or(format!("when = \"{word}\": there is no such condition"))?;
            self.when.push(when);
        }
        Ok(self)
    }

    /// The same text with what the client shows instead of the labels' keys.
    pub fn with_labels(mut self, labels: &BTreeMap<String, Text>) -> Result<Text, Mistake> {
        for (index, pieces) in self.pieces.iter_mut().enumerate() {
            for piece in pieces {
                if let Piece::Label(key) = piece {
                    let label = labels.get(key).ok_or(format!("there is no label \"{key}\""))?;
                    *key = plain(&label.pieces[index]);
                }
            }
        }
        Ok(self)
    }

    /// The pieces of one language.
    pub fn pieces(&self, lang: Lang) -> &[Piece] {
        Lang::ALL.iter().position(|l| *l == lang).map_or(&[], |index| &self.pieces[index])
    }

    /// The words of one language without placeholders.
    pub fn words_alone(&self, lang: Lang) -> String {
        plain(self.pieces(lang))
    }

    /// The labels of it.
    #[cfg(test)]
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.pieces[0]
            .iter()
            .filter_map(|p| if let Piece::Label(key) = p { Some(key.as_str()) } else { None })
    }
}

fn plain(pieces: &[Piece]) -> String {
    let mut out = String::new();
    for piece in pieces {
        if let Piece::Words(words) | Piece::Link(words, _) = piece {
            out.push_str(words);
        }
    }
    out
}

/// What all languages must have in common. How often does not matter: one
/// language repeats a word where another does not.
fn parts(pieces: &[Piece]) -> BTreeSet<Piece> {
    let part = |piece: &Piece| match piece {
        Piece::Words(_) => None,
        Piece::Link(_, to) => Some(Piece::Link(String::new(), to.clone())),
        other => Some(other.clone()),
    };
    pieces.iter().filter_map(part).collect()
}

/// The pieces of a written text.
pub(super) fn parse(text: &str) -> Result<Vec<Piece>, Mistake> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['[', '{', '<', ']', '}', '>']) {
        // A menu path is written "[one] > [two]": this sign alone closes nothing.
        if rest[at..].starts_with('>') {
            let (words, behind) = rest.split_at(at + 1);
            push_words(&mut pieces, words);
            rest = behind;
            continue;
        }
        let close = match &rest[at..=at] {
            "[" => ']',
            "{" => '}',
            "<" => '>',
            other => return Err(format!("{other:?} closes nothing in {text:?}")),
        };
        push_words(&mut pieces, &rest[..at]);
        let length = rest[at..].find(close).ok_or(format!("{:?} is not closed in {text:?}", &rest[at..]))?;
        let inner = &rest[at + 1..at + length];
        pieces.push(match close {
            ']' => Piece::Label(inner.to_owned()),
            '}' => {
                let slot = Slot::ALL.into_iter().find(|(name, _)| *name == inner);
                Piece::Slot(slot.ok_or(format!("there is no placeholder {{{inner}}}"))?.1)
            }
            _ => {
                let (words, to) = inner.split_once('|').ok_or(format!("<{inner}> has no | and place"))?;
                Piece::Link(words.to_owned(), to.to_owned())
            }
        });
        rest = &rest[at + length + 1..];
    }
    push_words(&mut pieces, rest);
    Ok(pieces)
}

fn push_words(pieces: &mut Vec<Piece>, words: &str) {
    match pieces.last_mut() {
        _ if words.is_empty() => {}
        Some(Piece::Words(before)) => before.push_str(words),
        _ => pieces.push(Piece::Words(words.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses() {
        let words = |w: &str| Piece::Words(w.to_owned());
        assert_eq!(
            parse("Open [file] > [new], type {in.host} or <ask|failures>."),
            Ok(vec![
                words("Open "),
                Piece::Label("file".into()),
                words(" > "),
                Piece::Label("new".into()),
                words(", type "),
                Piece::Slot(Slot::InHost),
                words(" or "),
                Piece::Link("ask".into(), "failures".into()),
                words("."),
            ])
        );
        for wrong in ["[a", "{in.host", "a]", "}", "{}", "{in.hosts}", "<a>", "<a|b", "[a{b"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse(""), Ok(vec![]));
    }
}
