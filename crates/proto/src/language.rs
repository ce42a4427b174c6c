//! The languages in which people are spoken to, and what POP3 and IMAP say in the same words.
//!
//! A text is a key; what has keys of its own is [`Said`] in one table with a column for each language (`pop3::language`,
//! `imap::language`, `advice`). Texts are UTF-8, and ASCII in English, which is also `i-default` (RFC 2277 section 4.5); a `{}`
//! is a place for a name or a number, see [`Language::say`].
//!
//! Deliberately not here: the guide's pages and the web's, which have data files of their own.

use crate::guide::Lang;
use std::fmt::{Display, Write as _};

/// A language of [`LANGUAGES`], as its place there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Language(usize);

/// Tag and own name, in the order of the columns of all tables; the first is the default. They are those of the guide.
pub const LANGUAGES: [(&str, &str); Lang::ALL.len()] = {
    let mut rows = [("", ""); Lang::ALL.len()];
    let mut at = 0;
    while at < rows.len() {
        rows[at] = (Lang::ALL[at].code(), Lang::ALL[at].own_name());
        at += 1;
    }
    rows
};

/// `i-default` (RFC 2277 section 4.5): English that everybody can read.
pub const DEFAULT_TAG: &str = "i-default";

/// The key of a text.
pub trait Said: Copy {
    /// The text in this language.
    fn said(self, language: Language) -> &'static str;
}

impl Language {
    /// The language for a tag or a range such as `de-CH` or `*` (RFC 4647
    /// section 3.4: subtags are dropped until one fits), with the tag to report.
    #[must_use]
    pub fn find(tag: &str) -> Option<(Language, &'static str)> {
        if tag == "*" || tag.eq_ignore_ascii_case(DEFAULT_TAG) {
            let tag = if tag == "*" { LANGUAGES[0].0 } else { DEFAULT_TAG };
            return Some((Language(0), tag));
        }
        let mut range = tag;
        loop {
            if let Some(at) = LANGUAGES.iter().position(|(known, _)| known.eq_ignore_ascii_case(range)) {
                return Some((Language(at), LANGUAGES[at].0));
            }
            range = range.rsplit_once('-')?.0;
        }
    }

    /// Its place in [`LANGUAGES`], and its column in a table of texts.
    #[must_use]
    pub fn column(self) -> usize {
        self.0
    }

    /// A text in this language.
    #[must_use]
    pub fn text<S: Said>(self, text: S) -> &'static str {
        text.said(self)
    }

    /// A text in this language with names or numbers in its places.
    #[must_use]
    pub fn say<S: Said, D: Display>(self, text: S, places: &[D]) -> String {
        let mut pieces = text.said(self).split("{}");
        let mut said = pieces.next().unwrap_or_default().to_owned();
        for (piece, place) in pieces.zip(places) {
            // Writing to a String cannot fail.
            let _ = write!(said, "{place}{piece}");
        }
        said
    }
}

/// What POP3 and IMAP both say to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Common {
    /// Greeting, behind our name.
    Ready,
    /// Unknown word.
    Unknown,
    /// The end after too many errors.
    TooManyErrors,
    /// STLS goes ahead.
    BeginTls,
    /// STLS inside TLS.
    TlsActive,
    /// STLS without a certificate, or after UTF8.
    TlsUnavailable,
    /// Bytes behind STLS.
    EarlyBytes,
    /// A mechanism that is not offered.
    NotOffered,
    /// SASL was cancelled.
    Cancelled,
    /// SASL was not base64.
    Base64,
    /// LANG was obeyed.
    Language,
    /// NOOP.
    Done,
    /// QUIT.
    Bye,
    /// The service stops.
    Stopping,
    /// Wrong password or no such user.
    WrongPassword,
    /// Channel binding failed.
    ChannelBinding,
    /// A SASL message that is none.
    MalformedLogin,
    /// The directory cannot be read.
    CannotCheck,
}

impl Common {
    /// All of them, in the order of the table.
    pub const ALL: &[Common] = &[
        Common::Ready,
        Common::Unknown,
        Common::TooManyErrors,
        Common::BeginTls,
        Common::TlsActive,
        Common::TlsUnavailable,
        Common::EarlyBytes,
        Common::NotOffered,
        Common::Cancelled,
        Common::Base64,
        Common::Language,
        Common::Done,
        Common::Bye,
        Common::Stopping,
        Common::WrongPassword,
        Common::ChannelBinding,
        Common::MalformedLogin,
        Common::CannotCheck,
    ];
}

impl Said for Common {
    fn said(self, language: Language) -> &'static str {
        TEXTS[self as usize].1[language.column()]
    }
}

/// One row a text, in the order of [`Common`]; one column a language.
const TEXTS: [(Common, [&str; LANGUAGES.len()]); Common::ALL.len()] = [
    (Common::Ready, ["ready", "bereit", "έτοιμο", "listo", "prêt"]),
    (
        Common::Unknown,
        [
            "unknown command",
            "unbekannter Befehl",
            "άγνωστη εντολή",
            "comando desconocido",
            "commande inconnue",
        ],
    ),
    (
        Common::TooManyErrors,
        [
            "too many errors, goodbye",
            "zu viele Fehler, auf Wiedersehen",
            "πάρα πολλά σφάλματα, αντίο",
            "demasiados errores, adiós",
            "trop d'erreurs, au revoir",
        ],
    ),
    (Common::BeginTls, ["begin TLS", "TLS beginnen", "έναρξη TLS", "inicie TLS", "commencez TLS"]),
    (
        Common::TlsActive,
        [
            "TLS is already active",
            "TLS ist schon aktiv",
            "το TLS είναι ήδη ενεργό",
            "TLS ya está activo",
            "TLS est déjà actif",
        ],
    ),
    (
        Common::TlsUnavailable,
        [
            "TLS cannot be started here",
            "TLS ist hier nicht möglich",
            "το TLS δεν είναι διαθέσιμο εδώ",
            "TLS no está disponible aquí",
            "TLS n'est pas disponible ici",
        ],
    ),
    (
        Common::EarlyBytes,
        [
            "bytes came before TLS was begun, goodbye",
            "Daten vor dem Beginn von TLS, auf Wiedersehen",
            "δεδομένα πριν από την έναρξη TLS, αντίο",
            "datos antes de iniciar TLS, adiós",
            "données reçues avant TLS, au revoir",
        ],
    ),
    (
        Common::NotOffered,
        [
            "this way to log in is not offered",
            "diese Anmeldeart wird nicht angeboten",
            "αυτός ο τρόπος σύνδεσης δεν προσφέρεται",
            "esta forma de acceso no se ofrece",
            "ce mode de connexion n'est pas proposé",
        ],
    ),
    (
        Common::Cancelled,
        [
            "authentication cancelled",
            "Anmeldung abgebrochen",
            "η πιστοποίηση ακυρώθηκε",
            "autenticación cancelada",
            "authentification annulée",
        ],
    ),
    (
        Common::Base64,
        [
            "not valid base64",
            "kein gültiges Base64",
            "μη έγκυρο base64",
            "base64 no válido",
            "base64 non valide",
        ],
    ),
    (
        Common::Language,
        [
            "English it is",
            "ab jetzt Deutsch",
            "η γλώσσα άλλαξε σε ελληνικά",
            "idioma cambiado a español",
            "la langue est le français",
        ],
    ),
    (Common::Done, ["done", "erledigt", "έγινε", "hecho", "fait"]),
    (Common::Bye, ["goodbye", "auf Wiedersehen", "αντίο", "adiós", "au revoir"]),
    (
        Common::Stopping,
        [
            "service restarts, try again shortly",
            "Dienst startet neu, bitte gleich noch einmal",
            "επανεκκίνηση υπηρεσίας, δοκιμάστε ξανά σύντομα",
            "el servicio se reinicia, vuelva a intentarlo",
            "le service redémarre, réessayez bientôt",
        ],
    ),
    (
        Common::WrongPassword,
        [
            "Wrong user name or password; the user name is the full mail address",
            "Benutzername oder Passwort falsch; der Benutzername ist die ganze Mailadresse",
            "λάθος όνομα ή κωδικός· το όνομα χρήστη είναι ολόκληρη η διεύθυνση",
            "usuario o contraseña incorrectos; el usuario es la dirección completa",
            "nom ou mot de passe incorrect; le nom est l'adresse complète",
        ],
    ),
    (
        Common::ChannelBinding,
        [
            "Channel binding does not match: somebody may be reading along",
            "Kanalbindung stimmt nicht: vielleicht liest jemand mit",
            "η σύνδεση καναλιού δεν ταιριάζει: ίσως κάποιος παρακολουθεί",
            "el canal no coincide: alguien puede estar leyendo",
            "la liaison au canal ne correspond pas: quelqu'un lit peut-être",
        ],
    ),
    (
        Common::MalformedLogin,
        [
            "Malformed login message",
            "Anmeldung nicht verständlich",
            "μη έγκυρο μήνυμα σύνδεσης",
            "mensaje de acceso mal formado",
            "message de connexion mal formé",
        ],
    ),
    (
        Common::CannotCheck,
        [
            "The service cannot check logins now, try again later",
            "Anmeldungen sind jetzt nicht prüfbar, bitte später noch einmal",
            "η σύνδεση δεν ελέγχεται τώρα, δοκιμάστε αργότερα",
            "no se puede comprobar el acceso ahora, inténtelo más tarde",
            "la connexion ne peut être vérifiée à présent, réessayez plus tard",
        ],
    ),
];

/// Each text is in its row.
const _: () = {
    let mut row = 0;
    while row < TEXTS.len() {
        assert!(TEXTS[row].0 as usize == row);
        row += 1;
    }
};

/// What holds of every table of texts. `same` are those that another language happens to have in the same letters.
#[cfg(test)]
pub(crate) fn check_texts<S: Said + std::fmt::Debug + PartialEq>(all: &[S], same: &[S]) {
    for (at, text) in all.iter().enumerate() {
        let said: Vec<&str> = (0..LANGUAGES.len()).map(|column| Language(column).text(*text)).collect();
        assert!(said[0].is_ascii(), "{text:?}");
        let twice = all[..at].iter().find(|other| Language(0).text(**other).eq_ignore_ascii_case(said[0]));
        assert_eq!(twice, None, "{text:?} says the same");
        for one in &said {
            assert!(!one.is_empty() && one.len() < 240 && one.trim() == *one, "{text:?}: {one}");
            assert!(!one.chars().any(char::is_control), "{text:?}: {one}");
            assert_eq!(one.matches("{}").count(), said[0].matches("{}").count(), "{text:?}: {one}");
        }
        let copied = said[1..].iter().any(|one| *one == said[0]);
        assert_eq!(copied, same.contains(text), "{text:?} is not translated");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_fall_back() {
        assert_eq!(Language::find("DE-ch"), Some((Language(1), "de")));
        assert_eq!(Language::find("de-Latn-DE"), Some((Language(1), "de")));
        assert_eq!(Language::find("*"), Some((Language(0), "en")));
        assert_eq!(Language::find("i-default"), Some((Language(0), "i-default")));
        assert_eq!(Language::find("xx"), None);
        assert_eq!(Language::find("-"), None);
        assert_eq!(Language::find(""), None);
    }

    #[test]
    fn every_text_is_translated_once_and_fits_a_line() {
        check_texts(Common::ALL, &[]);
    }
}
