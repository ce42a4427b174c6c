//! The pieces that advice is put together from, in all languages.

use crate::language::{LANGUAGES, Language, Said};

/// A piece of advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// A password on a clear connection: the setting to choose.
    EncryptionRequired,
    /// The same, where no encrypted port is open.
    EncryptionUnknown,
    /// The version of TLS that is needed.
    TlsTooOld,
    /// The setting to choose instead.
    PortClosed,
    /// The protocol to set up instead, and its setting.
    PortInstead,
    /// Nothing is open.
    PortNone,
    /// The method to choose instead.
    MethodOff,
    /// No method can be named.
    MethodNone,
    /// A port with implicit TLS.
    SettingTls,
    /// A port with STARTTLS.
    SettingStartTls,
    /// Either.
    SettingEither,
    /// A password that is sent, as clients call it.
    MethodPassword,
    /// A password that is not sent.
    MethodChallenge,
    /// A client's certificate.
    MethodCertificate,
}

impl Text {
    /// All of them, in the order of the table.
    const ALL: &[Text] = &[
        Text::EncryptionRequired,
        Text::EncryptionUnknown,
        Text::TlsTooOld,
        Text::PortClosed,
        Text::PortInstead,
        Text::PortNone,
        Text::MethodOff,
        Text::MethodNone,
        Text::SettingTls,
        Text::SettingStartTls,
        Text::SettingEither,
        Text::MethodPassword,
        Text::MethodChallenge,
        Text::MethodCertificate,
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
        Text::EncryptionRequired,
        [
            "Encryption required: in your mail program set {}",
            "Verschlüsselung nötig: im Mailprogramm {} einstellen",
            "Απαιτείται κρυπτογράφηση: στο πρόγραμμα αλληλογραφίας ορίστε {}",
            "Se requiere cifrado: en su programa de correo ponga {}",
            "Chiffrement requis: dans votre logiciel de messagerie, choisissez {}",
        ],
    ),
    (
        Text::EncryptionUnknown,
        [
            "Encryption required: ask your provider for a port with SSL/TLS",
            "Verschlüsselung nötig: beim Anbieter nach einem Port mit SSL/TLS fragen",
            "Απαιτείται κρυπτογράφηση: ζητήστε από τον πάροχο θύρα με SSL/TLS",
            "Se requiere cifrado: pida a su proveedor un puerto con SSL/TLS",
            "Chiffrement requis: demandez à votre fournisseur un port avec SSL/TLS",
        ],
    ),
    (
        Text::TlsTooOld,
        [
            "Encryption too old: this account needs {}, so update your mail program or its system",
            "Verschlüsselung zu alt: dieses Konto braucht {}, bitte Mailprogramm oder System aktualisieren",
            "Παλιά κρυπτογράφηση: ο λογαριασμός χρειάζεται {}, ενημερώστε το πρόγραμμα αλληλογραφίας ή το σύστημα",
            "Cifrado demasiado antiguo: esta cuenta necesita {}, actualice su programa de correo o su sistema",
            "Chiffrement trop ancien: ce compte demande {}, mettez à jour votre logiciel de messagerie ou votre système",
        ],
    ),
    (
        Text::PortClosed,
        [
            "This account may not use this port: in your mail program set {}",
            "Dieses Konto darf diesen Port nicht benutzen: im Mailprogramm {} einstellen",
            "Ο λογαριασμός δεν επιτρέπεται σε αυτή τη θύρα: στο πρόγραμμα αλληλογραφίας ορίστε {}",
            "Esta cuenta no puede usar este puerto: en su programa de correo ponga {}",
            "Ce compte ne peut utiliser ce port: dans votre logiciel de messagerie, choisissez {}",
        ],
    ),
    (
        Text::PortInstead,
        [
            "This account may not use this port: in your mail program set up {} with {}",
            "Dieses Konto darf diesen Port nicht benutzen: im Mailprogramm {} mit {} einrichten",
            "Ο λογαριασμός δεν επιτρέπεται σε αυτή τη θύρα: στο πρόγραμμα αλληλογραφίας ρυθμίστε {} με {}",
            "Esta cuenta no puede usar este puerto: en su programa de correo configure {} con {}",
            "Ce compte ne peut utiliser ce port: dans votre logiciel de messagerie, configurez {} avec {}",
        ],
    ),
    (
        Text::PortNone,
        [
            "This account may not use this port: ask your provider",
            "Dieses Konto darf diesen Port nicht benutzen: bitte den Anbieter fragen",
            "Ο λογαριασμός δεν επιτρέπεται σε αυτή τη θύρα: ρωτήστε τον πάροχο",
            "Esta cuenta no puede usar este puerto: pregunte a su proveedor",
            "Ce compte ne peut utiliser ce port: demandez à votre fournisseur",
        ],
    ),
    (
        Text::MethodOff,
        [
            "This way to log in is off for this account: in your mail program choose {} as authentication",
            "Diese Anmeldeart ist für dieses Konto abgeschaltet: im Mailprogramm {} wählen",
            "Αυτός ο τρόπος σύνδεσης είναι κλειστός για τον λογαριασμό: στο πρόγραμμα αλληλογραφίας επιλέξτε {}",
            "Esta forma de acceso está desactivada para esta cuenta: en su programa de correo elija {}",
            "Ce mode de connexion est coupé pour ce compte: dans votre logiciel de messagerie, choisissez {}",
        ],
    ),
    (
        Text::MethodNone,
        [
            "This way to log in is off for this account: ask your provider",
            "Diese Anmeldeart ist für dieses Konto abgeschaltet: bitte den Anbieter fragen",
            "Αυτός ο τρόπος σύνδεσης είναι κλειστός για τον λογαριασμό: ρωτήστε τον πάροχο",
            "Esta forma de acceso está desactivada para esta cuenta: pregunte a su proveedor",
            "Ce mode de connexion est coupé pour ce compte: demandez à votre fournisseur",
        ],
    ),
    (
        Text::SettingTls,
        [
            "port {} with SSL/TLS",
            "Port {} mit SSL/TLS",
            "θύρα {} με SSL/TLS",
            "el puerto {} con SSL/TLS",
            "le port {} avec SSL/TLS",
        ],
    ),
    (
        Text::SettingStartTls,
        [
            "port {} with STARTTLS",
            "Port {} mit STARTTLS",
            "θύρα {} με STARTTLS",
            "el puerto {} con STARTTLS",
            "le port {} avec STARTTLS",
        ],
    ),
    (
        Text::SettingEither,
        [
            "port {} with SSL/TLS, or port {} with STARTTLS",
            "Port {} mit SSL/TLS oder Port {} mit STARTTLS",
            "θύρα {} με SSL/TLS ή θύρα {} με STARTTLS",
            "el puerto {} con SSL/TLS o el puerto {} con STARTTLS",
            "le port {} avec SSL/TLS ou le port {} avec STARTTLS",
        ],
    ),
    (
        Text::MethodPassword,
        [
            "\"normal password\"",
            "„normales Passwort“",
            "«κανονικός κωδικός πρόσβασης»",
            "«contraseña normal»",
            "«mot de passe normal»",
        ],
    ),
    (
        Text::MethodChallenge,
        [
            "\"encrypted password\"",
            "„verschlüsseltes Passwort“",
            "«κρυπτογραφημένος κωδικός πρόσβασης»",
            "«contraseña cifrada»",
            "«mot de passe chiffré»",
        ],
    ),
    (
        Text::MethodCertificate,
        [
            "\"TLS certificate\"",
            "„TLS-Zertifikat“",
            "«πιστοποιητικό TLS»",
            "«certificado TLS»",
            "«certificat TLS»",
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
    fn every_text_is_translated_once_and_fits_a_line() {
        crate::language::check_texts(Text::ALL, &[]);
    }
}
