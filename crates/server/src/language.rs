//! What the special mailboxes of an account are called, by language.
//!
//! The names are given once, when the account is made; from then on they are its owner's. English is the store's own.

use store::account::{SPECIAL_MAILBOXES, Uses};

/// Names of Drafts, Sent, Junk, Trash, Archive.
type Names = [&'static str; 5];

/// What the names are for, in their order.
const USES: [Uses; 5] = [Uses::DRAFTS, Uses::SENT, Uses::JUNK, Uses::TRASH, Uses::ARCHIVE];

/// By RFC 5646 tag in lower case; `en` is not among them.
const LANGUAGES: [(&str, Names); 11] = [
    ("da", ["Kladder", "Sendt", "Uønsket", "Papirkurv", "Arkiv"]),
    ("de", ["Entwürfe", "Gesendet", "Spam", "Papierkorb", "Archiv"]),
    ("es", ["Borradores", "Enviados", "Correo no deseado", "Papelera", "Archivo"]),
    ("fr", ["Brouillons", "Envoyés", "Indésirables", "Corbeille", "Archives"]),
    ("it", ["Bozze", "Posta inviata", "Posta indesiderata", "Cestino", "Archivio"]),
    ("nl", ["Concepten", "Verzonden", "Ongewenst", "Prullenbak", "Archief"]),
    ("no", ["Utkast", "Sendt", "Søppelpost", "Papirkurv", "Arkiv"]),
    ("pl", ["Wersje robocze", "Wysłane", "Spam", "Kosz", "Archiwum"]),
    ("pt", ["Rascunhos", "Enviados", "Spam", "Lixeira", "Arquivo"]),
    ("pt-pt", ["Rascunhos", "Enviados", "Lixo eletrónico", "Lixo", "Arquivo"]),
    ("sv", ["Utkast", "Skickat", "Skräppost", "Papperskorg", "Arkiv"]),
];

/// The special mailboxes in that language, found as RFC 4647 3.4 looks tags up: `de-AT` is `de`. `None`: there are no names.
#[must_use]
pub fn special_mailboxes(tag: &str) -> Option<[(&'static str, Uses); 5]> {
    let tag = tag.to_ascii_lowercase().replace('_', "-");
    let mut range = tag.as_str();
    loop {
        if range == "en" {
            return Some(SPECIAL_MAILBOXES);
        }
        if let Some((_, names)) = LANGUAGES.iter().find(|(known, _)| *known == range) {
            return Some(std::array::from_fn(|at| (names[at], USES[at])));
        }
        range = range.rsplit_once('-')?.0;
    }
}

/// All tags, for those who asked for another.
#[must_use]
pub fn tags() -> String {
    let mut tags: Vec<&str> = LANGUAGES.iter().map(|(tag, _)| *tag).chain(["en"]).collect();
    tags.sort_unstable();
    tags.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_language_has_five_different_names() {
        for tag in tags().split(", ") {
            let special = special_mailboxes(tag).unwrap();
            let names: BTreeSet<&str> = special.iter().map(|(name, _)| *name).collect();
            assert_eq!(names.len(), 5, "{tag}");
            assert_eq!(special.map(|(_, uses)| uses), SPECIAL_MAILBOXES.map(|(_, uses)| uses), "{tag}");
            // The store refuses these.
            assert!(names.iter().all(|name| !name.contains('/') && !name.eq_ignore_ascii_case("inbox")));
        }
        assert!(LANGUAGES.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn tags_are_looked_up() {
        let drafts = |tag: &str| special_mailboxes(tag).map(|special| special[0].0);
        assert_eq!(drafts("de-AT-1996"), Some("Entwürfe"));
        assert_eq!(drafts("EN_us"), Some("Drafts"));
        assert_eq!(special_mailboxes("pt-BR").unwrap()[3].0, "Lixeira");
        assert_eq!(special_mailboxes("pt-PT").unwrap()[3].0, "Lixo");
        for none in ["", "-", "x", "den", "e-n"] {
            assert_eq!(drafts(none), None, "{none}");
        }
    }
}
