//! The machine's own texts, in the languages that LANG offers (RFC 6856 section 3).
//!
//! Texts are UTF-8 and short: a reply line has 512 octets at most (RFC 1939
//! section 3). What the session says (counts, errors of the store) is English.

/// A language of [`LANGUAGES`], as its place there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Language(usize);

/// Tag and own name, in the order of the columns below; the first is the default.
pub const LANGUAGES: [(&str, &str); 5] =
    [("en", "English"), ("de", "Deutsch"), ("el", "Ελληνικά"), ("es", "Español"), ("fr", "Français")];

/// `i-default` (RFC 2277 section 4.5): English that everybody can read.
pub const DEFAULT_TAG: &str = "i-default";

/// What the machine says by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// Greeting, behind our name.
    Ready,
    /// Unknown word.
    Unknown,
    /// Known word, wrong state.
    WrongState,
    /// Wrong number or form of arguments.
    Syntax,
    /// Line over its limit.
    LineTooLong,
    /// Lone LF, CR or NUL.
    LineEnd,
    /// The end after too many errors.
    TooManyErrors,
    /// USER was taken.
    SendPassword,
    /// Head of a list.
    ListFollows,
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
    /// LANG with a tag that is not here.
    NoLanguage,
    /// LANG was obeyed.
    Language,
    /// UTF8 was accepted.
    Utf8,
    /// NOOP.
    Done,
    /// QUIT.
    Bye,
    /// The service stops.
    Stopping,
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

    /// A text in this language.
    #[must_use]
    pub fn text(self, text: Text) -> &'static str {
        TEXTS[text as usize].1[self.0]
    }
}

/// One row a text, in the order of [`Text`]; one column a language.
const TEXTS: [(Text, [&str; LANGUAGES.len()]); 22] = [
    (Text::Ready, ["ready", "bereit", "έτοιμο", "listo", "prêt"]),
    (
        Text::Unknown,
        [
            "unknown command",
            "unbekannter Befehl",
            "άγνωστη εντολή",
            "comando desconocido",
            "commande inconnue",
        ],
    ),
    (
        Text::WrongState,
        [
            "command not allowed now",
            "Befehl jetzt nicht erlaubt",
            "η εντολή δεν επιτρέπεται τώρα",
            "comando no permitido ahora",
            "commande non permise à présent",
        ],
    ),
    (
        Text::Syntax,
        [
            "wrong arguments",
            "falsche Argumente",
            "λανθασμένα ορίσματα",
            "argumentos incorrectos",
            "arguments incorrects",
        ],
    ),
    (
        Text::LineTooLong,
        [
            "line too long",
            "Zeile zu lang",
            "πολύ μεγάλη γραμμή",
            "línea demasiado larga",
            "ligne trop longue",
        ],
    ),
    (
        Text::LineEnd,
        [
            "line must end with CRLF",
            "Zeile muss mit CRLF enden",
            "η γραμμή πρέπει να τελειώνει με CRLF",
            "la línea debe terminar con CRLF",
            "la ligne doit se terminer par CRLF",
        ],
    ),
    (
        Text::TooManyErrors,
        [
            "too many errors, goodbye",
            "zu viele Fehler, auf Wiedersehen",
            "πάρα πολλά σφάλματα, αντίο",
            "demasiados errores, adiós",
            "trop d'erreurs, au revoir",
        ],
    ),
    (Text::SendPassword, ["send PASS", "sende PASS", "στείλτε PASS", "envíe PASS", "envoyez PASS"]),
    (
        Text::ListFollows,
        ["list follows", "Liste folgt", "ακολουθεί λίστα", "sigue la lista", "la liste suit"],
    ),
    (Text::BeginTls, ["begin TLS", "TLS beginnen", "έναρξη TLS", "inicie TLS", "commencez TLS"]),
    (
        Text::TlsActive,
        [
            "TLS is already active",
            "TLS ist schon aktiv",
            "το TLS είναι ήδη ενεργό",
            "TLS ya está activo",
            "TLS est déjà actif",
        ],
    ),
    (
        Text::TlsUnavailable,
        [
            "TLS cannot be started here",
            "TLS ist hier nicht möglich",
            "το TLS δεν είναι διαθέσιμο εδώ",
            "TLS no está disponible aquí",
            "TLS n'est pas disponible ici",
        ],
    ),
    (
        Text::EarlyBytes,
        [
            "bytes came before TLS was begun, goodbye",
            "Daten vor dem Beginn von TLS, auf Wiedersehen",
            "δεδομένα πριν από την έναρξη TLS, αντίο",
            "datos antes de iniciar TLS, adiós",
            "données reçues avant TLS, au revoir",
        ],
    ),
    (
        Text::NotOffered,
        [
            "this way to log in is not offered",
            "diese Anmeldeart wird nicht angeboten",
            "αυτός ο τρόπος σύνδεσης δεν προσφέρεται",
            "esta forma de acceso no se ofrece",
            "ce mode de connexion n'est pas proposé",
        ],
    ),
    (
        Text::Cancelled,
        [
            "authentication cancelled",
            "Anmeldung abgebrochen",
            "η πιστοποίηση ακυρώθηκε",
            "autenticación cancelada",
            "authentification annulée",
        ],
    ),
    (
        Text::Base64,
        [
            "not valid base64",
            "kein gültiges Base64",
            "μη έγκυρο base64",
            "base64 no válido",
            "base64 non valide",
        ],
    ),
    (
        Text::NoLanguage,
        [
            "no such language",
            "Sprache nicht vorhanden",
            "η γλώσσα δεν υπάρχει",
            "idioma no disponible",
            "langue non disponible",
        ],
    ),
    (
        Text::Language,
        [
            "English it is",
            "ab jetzt Deutsch",
            "η γλώσσα άλλαξε σε ελληνικά",
            "idioma cambiado a español",
            "la langue est le français",
        ],
    ),
    (
        Text::Utf8,
        ["UTF-8 enabled", "UTF-8 eingeschaltet", "UTF-8 ενεργοποιήθηκε", "UTF-8 activado", "UTF-8 activé"],
    ),
    (Text::Done, ["done", "erledigt", "έγινε", "hecho", "fait"]),
    (Text::Bye, ["goodbye", "auf Wiedersehen", "αντίο", "adiós", "au revoir"]),
    (
        Text::Stopping,
        [
            "service restarts, try again shortly",
            "Dienst startet neu, bitte gleich noch einmal",
            "επανεκκίνηση υπηρεσίας, δοκιμάστε ξανά σύντομα",
            "el servicio se reinicia, vuelva a intentarlo",
            "le service redémarre, réessayez bientôt",
        ],
    ),
];

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
    fn each_text_is_in_its_row_and_in_english_ascii() {
        assert_eq!(TEXTS.len(), Text::Stopping as usize + 1, "the last text has the last row");
        for (at, (text, row)) in TEXTS.iter().enumerate() {
            assert_eq!(*text as usize, at);
            assert!(row[0].is_ascii());
            assert!(row.iter().all(|text| !text.is_empty() && text.len() < 120));
        }
    }
}
