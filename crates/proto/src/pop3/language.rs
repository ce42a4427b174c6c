//! What is said to people, by the machine and by the session above it, in the languages that LANG offers
//! (RFC 6856 section 3).
//!
//! Texts are UTF-8 and short: a reply line has 512 octets at most (RFC 1939
//! section 3). A `{}` is a place for a number, see [`Language::say`]. Deliberately not here: the advice for a
//! login in clear, which `advice` words in English for all protocols.

use std::fmt::Write as _;

/// A language of [`LANGUAGES`], as its place there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Language(usize);

/// Tag and own name, in the order of the columns below; the first is the default.
pub const LANGUAGES: [(&str, &str); 5] =
    [("en", "English"), ("de", "Deutsch"), ("el", "Ελληνικά"), ("es", "Español"), ("fr", "Français")];

/// `i-default` (RFC 2277 section 4.5): English that everybody can read.
pub const DEFAULT_TAG: &str = "i-default";

/// What is said to people.
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
    /// Login succeeded: how many messages there are.
    LoggedIn,
    /// RETR: the size of a message.
    Octets,
    /// How many messages, and their octets.
    Totals,
    /// TOP.
    TopFollows,
    /// DELE.
    Marked,
    /// QUIT, and something was deleted.
    DeletedBye,
    /// QUIT, and the mailbox was deleted meanwhile.
    MailboxGone,
    /// QUIT failed.
    NothingDeleted,
    /// A number beyond the last, or of a message that is marked deleted.
    NoSuchMessage,
    /// Another client expunged the message.
    DeletedElsewhere,
    /// The store failed.
    MessageUnreadable,
    /// Wrong password or no such user.
    WrongPassword,
    /// Channel binding failed.
    ChannelBinding,
    /// A SASL message that is none.
    MalformedLogin,
    /// The directory cannot be read.
    CannotCheck,
    /// The maildrop is locked (RFC 2449 section 8.1.1).
    InUse,
    /// Login too soon after the one before (RFC 2449 section 8.1.2).
    TooSoon,
    /// The account has no INBOX.
    NoMailbox,
    /// The store failed at login.
    MaildropUnreadable,
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

    /// A text in this language with numbers in its places.
    #[must_use]
    pub fn say(self, text: Text, numbers: &[u64]) -> String {
        let mut pieces = self.text(text).split("{}");
        let mut said = pieces.next().unwrap_or_default().to_owned();
        for (piece, number) in pieces.zip(numbers) {
            // Writing to a String cannot fail.
            let _ = write!(said, "{number}{piece}");
        }
        said
    }
}

/// One row a text, in the order of [`Text`]; one column a language.
const TEXTS: [(Text, [&str; LANGUAGES.len()]); 41] = [
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
    (Text::LoggedIn, ["{} messages", "{} Nachrichten", "{} μηνύματα", "{} mensajes", "{} messages"]),
    (Text::Octets, ["{} octets", "{} Oktette", "{} οκτάδες", "{} octetos", "{} octets"]),
    (
        Text::Totals,
        [
            "{} messages, {} octets",
            "{} Nachrichten, {} Oktette",
            "{} μηνύματα, {} οκτάδες",
            "{} mensajes, {} octetos",
            "{} messages, {} octets",
        ],
    ),
    (
        Text::TopFollows,
        [
            "Top of message follows",
            "Anfang der Nachricht folgt",
            "ακολουθεί η αρχή του μηνύματος",
            "sigue el principio del mensaje",
            "le début du message suit",
        ],
    ),
    (
        Text::Marked,
        [
            "Marked for deletion at QUIT",
            "wird bei QUIT gelöscht",
            "θα διαγραφεί με το QUIT",
            "se borrará con QUIT",
            "sera supprimé à QUIT",
        ],
    ),
    (
        Text::DeletedBye,
        [
            "Deleted, bye",
            "gelöscht, auf Wiedersehen",
            "διαγράφηκαν, αντίο",
            "borrado, adiós",
            "supprimé, au revoir",
        ],
    ),
    (
        Text::MailboxGone,
        [
            "The mailbox is gone, bye",
            "das Postfach gibt es nicht mehr, auf Wiedersehen",
            "η θυρίδα δεν υπάρχει πια, αντίο",
            "el buzón ya no existe, adiós",
            "la boîte n'existe plus, au revoir",
        ],
    ),
    (
        Text::NothingDeleted,
        [
            "Nothing was deleted: the mailbox cannot be written now",
            "nichts gelöscht: das Postfach ist jetzt nicht beschreibbar",
            "δεν διαγράφηκε τίποτα: η θυρίδα δεν είναι εγγράψιμη τώρα",
            "no se borró nada: no se puede escribir en el buzón ahora",
            "rien n'a été supprimé: la boîte ne peut être modifiée à présent",
        ],
    ),
    (
        Text::NoSuchMessage,
        [
            "No such message",
            "keine solche Nachricht",
            "δεν υπάρχει τέτοιο μήνυμα",
            "no existe ese mensaje",
            "ce message n'existe pas",
        ],
    ),
    (
        Text::DeletedElsewhere,
        [
            "This message was deleted by another client",
            "diese Nachricht hat ein anderes Programm gelöscht",
            "το μήνυμα διαγράφηκε από άλλο πρόγραμμα",
            "otro programa borró este mensaje",
            "ce message a été supprimé par un autre programme",
        ],
    ),
    (
        Text::MessageUnreadable,
        [
            "The message cannot be read now, try again later",
            "die Nachricht ist jetzt nicht lesbar, bitte später noch einmal",
            "το μήνυμα δεν διαβάζεται τώρα, δοκιμάστε αργότερα",
            "no se puede leer el mensaje ahora, inténtelo más tarde",
            "le message ne peut être lu à présent, réessayez plus tard",
        ],
    ),
    (
        Text::WrongPassword,
        [
            "Wrong user name or password; the user name is the full mail address",
            "Benutzername oder Passwort falsch; der Benutzername ist die ganze Mailadresse",
            "λάθος όνομα ή κωδικός· το όνομα χρήστη είναι ολόκληρη η διεύθυνση",
            "usuario o contraseña incorrectos; el usuario es la dirección completa",
            "nom ou mot de passe incorrect; le nom est l'adresse complète",
        ],
    ),
    (
        Text::ChannelBinding,
        [
            "Channel binding does not match: somebody may be reading along",
            "Kanalbindung stimmt nicht: vielleicht liest jemand mit",
            "η σύνδεση καναλιού δεν ταιριάζει: ίσως κάποιος παρακολουθεί",
            "el canal no coincide: alguien puede estar leyendo",
            "la liaison au canal ne correspond pas: quelqu'un lit peut-être",
        ],
    ),
    (
        Text::MalformedLogin,
        [
            "Malformed login message",
            "Anmeldung nicht verständlich",
            "μη έγκυρο μήνυμα σύνδεσης",
            "mensaje de acceso mal formado",
            "message de connexion mal formé",
        ],
    ),
    (
        Text::CannotCheck,
        [
            "The service cannot check logins now, try again later",
            "Anmeldungen sind jetzt nicht prüfbar, bitte später noch einmal",
            "η σύνδεση δεν ελέγχεται τώρα, δοκιμάστε αργότερα",
            "no se puede comprobar el acceso ahora, inténtelo más tarde",
            "la connexion ne peut être vérifiée à présent, réessayez plus tard",
        ],
    ),
    (
        Text::InUse,
        [
            "Another POP3 session is reading this maildrop, try again later",
            "dieses Postfach liest gerade eine andere POP3-Sitzung, bitte später noch einmal",
            "άλλη συνεδρία POP3 διαβάζει τη θυρίδα, δοκιμάστε αργότερα",
            "otra sesión POP3 lee este buzón, inténtelo más tarde",
            "une autre session POP3 lit cette boîte, réessayez plus tard",
        ],
    ),
    (
        Text::TooSoon,
        [
            "Wait {} seconds between two logins",
            "zwischen zwei Anmeldungen {} Sekunden warten",
            "περιμένετε {} δευτερόλεπτα ανάμεσα σε δύο συνδέσεις",
            "espere {} segundos entre dos accesos",
            "attendez {} secondes entre deux connexions",
        ],
    ),
    (
        Text::NoMailbox,
        [
            "This account has no mailbox, ask your provider",
            "dieses Konto hat kein Postfach, bitte den Anbieter fragen",
            "ο λογαριασμός δεν έχει θυρίδα, ρωτήστε τον πάροχο",
            "esta cuenta no tiene buzón, pregunte a su proveedor",
            "ce compte n'a pas de boîte, demandez à votre fournisseur",
        ],
    ),
    (
        Text::MaildropUnreadable,
        [
            "The maildrop cannot be read now, try again later",
            "das Postfach ist jetzt nicht lesbar, bitte später noch einmal",
            "η θυρίδα δεν διαβάζεται τώρα, δοκιμάστε αργότερα",
            "no se puede leer el buzón ahora, inténtelo más tarde",
            "la boîte ne peut être lue à présent, réessayez plus tard",
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
    fn numbers_are_put_in() {
        let (german, _) = Language::find("de").unwrap();
        assert_eq!(german.say(Text::Totals, &[3, 520]), "3 Nachrichten, 520 Oktette");
        assert_eq!(german.say(Text::Bye, &[]), "auf Wiedersehen");
    }

    #[test]
    fn each_text_is_in_its_row_and_in_english_ascii() {
        assert_eq!(TEXTS.len(), Text::MaildropUnreadable as usize + 1, "the last text has the last row");
        for (at, (text, row)) in TEXTS.iter().enumerate() {
            assert_eq!(*text as usize, at);
            assert!(row[0].is_ascii());
            assert!(row.iter().all(|text| !text.is_empty() && text.len() < 240));
            let places = |text: &str| text.matches("{}").count();
            assert!(row.iter().all(|text| places(text) == places(row[0])), "{text:?}");
        }
    }
}
