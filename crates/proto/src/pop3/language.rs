//! What POP3 says to people, by the machine and by the session above it, in the languages that LANG offers
//! (RFC 6856 section 3).
//!
//! Texts are short: a reply line has 512 octets at most (RFC 1939 section 3). What IMAP says too stands in
//! [`crate::language`], the advice for a login in clear in [`crate::advice`].

use crate::language::{LANGUAGES, Language, Said};

/// What is said to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// Known word, wrong state.
    WrongState,
    /// Wrong number or form of arguments.
    Syntax,
    /// Line over its limit.
    LineTooLong,
    /// Lone LF, CR or NUL.
    LineEnd,
    /// USER was taken.
    SendPassword,
    /// Head of a list.
    ListFollows,
    /// LANG with a tag that is not here.
    NoLanguage,
    /// UTF8 was accepted.
    Utf8,
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
    /// The maildrop is locked (RFC 2449 section 8.1.1).
    InUse,
    /// Login too soon after the one before (RFC 2449 section 8.1.2).
    TooSoon,
    /// The account has no INBOX.
    NoMailbox,
    /// The store failed at login.
    MaildropUnreadable,
}

impl Text {
    /// All of them, in the order of the table.
    pub const ALL: &[Text] = &[
        Text::WrongState,
        Text::Syntax,
        Text::LineTooLong,
        Text::LineEnd,
        Text::SendPassword,
        Text::ListFollows,
        Text::NoLanguage,
        Text::Utf8,
        Text::LoggedIn,
        Text::Octets,
        Text::Totals,
        Text::TopFollows,
        Text::Marked,
        Text::DeletedBye,
        Text::MailboxGone,
        Text::NothingDeleted,
        Text::NoSuchMessage,
        Text::DeletedElsewhere,
        Text::MessageUnreadable,
        Text::InUse,
        Text::TooSoon,
        Text::NoMailbox,
        Text::MaildropUnreadable,
    ];
}

impl Said for Text {
    fn said(self, language: Language) -> &'static str {
        TEXTS[self as usize].1[language.column()]
    }
}

/// One row a text, in the order of [`Text`]; one column a language.
const TEXTS: [(Text, [&str; LANGUAGES.len()]); Text::ALL.len()] = [
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
    (Text::SendPassword, ["send PASS", "sende PASS", "στείλτε PASS", "envíe PASS", "envoyez PASS"]),
    (
        Text::ListFollows,
        ["list follows", "Liste folgt", "ακολουθεί λίστα", "sigue la lista", "la liste suit"],
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
        Text::Utf8,
        ["UTF-8 enabled", "UTF-8 eingeschaltet", "UTF-8 ενεργοποιήθηκε", "UTF-8 activado", "UTF-8 activé"],
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

/// Each text is in its row.
const _: () = {
    let mut row = 0;
    while row < TEXTS.len() {
        assert!(TEXTS[row].0 as usize == row);
        row += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_put_in() {
        let (german, _) = Language::find("de").unwrap();
        assert_eq!(german.say(Text::Totals, &[3, 520]), "3 Nachrichten, 520 Oktette");
        assert_eq!(german.say(Text::SendPassword, &[0; 0]), "sende PASS");
    }

    #[test]
    fn every_text_is_translated_once_and_fits_a_line() {
        crate::language::check_texts(Text::ALL, &[Text::LoggedIn, Text::Octets, Text::Totals]);
    }
}
