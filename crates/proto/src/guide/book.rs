//! The data files read: clients, pages, words; every text in all languages.
//!
//! The format stands in the head of each client's file, where the person who
//! edits it sees it. What must hold: a file
//! with a mistake is left out and its [`Mistake`] kept, and a test demands that
//! there is none; so nothing here can fail while the service runs.

use super::Lang;
use super::words::{Text, parse};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The clients' files in the order of the guide's index.
pub(super) const CLIENTS: &[(&str, &str)] = &[
    ("outlook", include_str!("clients/outlook.toml")),
    ("outlook-new", include_str!("clients/outlook-new.toml")),
    ("apple-mail-ios", include_str!("clients/apple-mail-ios.toml")),
    ("apple-mail-macos", include_str!("clients/apple-mail-macos.toml")),
    ("thunderbird", include_str!("clients/thunderbird.toml")),
    ("thunderbird-android", include_str!("clients/thunderbird-android.toml")),
    ("android", include_str!("clients/android.toml")),
    ("gmail-android", include_str!("clients/gmail-android.toml")),
    ("em-client", include_str!("clients/em-client.toml")),
    ("other", include_str!("clients/other.toml")),
];

/// The files of words that are shared, and of the pages that are no client's.
pub(super) const PAGES: &[(&str, &str)] = &[
    ("words", include_str!("pages/words.toml")),
    ("ports", include_str!("pages/ports.toml")),
    ("systems", include_str!("pages/systems.toml")),
    ("failures", include_str!("pages/failures.toml")),
];

/// What is wrong with a data file, for the person who edits it: the file, the place, what to do.
pub(super) type Mistake = String;

/// Everything that the guide can say.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// Words by `FILE.KEY`: `words.note`, `ports.title`.
    pub words: BTreeMap<String, Text>,
    /// In the order of the index.
    pub clients: Vec<Client>,
    /// Rows of the page on systems.
    pub systems: Vec<System>,
    /// Advice below them.
    pub advice: Vec<Text>,
    /// Entries of the page on failures.
    pub failures: Vec<Failure>,
}

/// One client's file.
#[derive(Debug)]
pub(super) struct Client {
    pub id: &'static str,
    pub aliases: Vec<String>,
    /// It can fetch mail with POP3.
    pub pop3: bool,
    /// It can log in with a challenge ("encrypted password").
    pub challenge: bool,
    pub name: Text,
    /// What it shows on menus, buttons and fields; the texts have them filled in already.
    #[cfg(test)]
    pub labels: BTreeMap<String, Text>,
    /// What it calls the values that are typed in, by [`FIELDS`].
    pub fields: BTreeMap<String, Text>,
    pub about: Vec<Text>,
    pub new: Vec<Text>,
    pub switch: Vec<Text>,
    pub notes: Vec<Text>,
}

/// A row of the page on systems.
#[derive(Debug)]
pub(super) struct System {
    pub name: Text,
    pub general: Text,
    pub here: Text,
}

/// A failure and what cures it.
#[derive(Debug)]
pub(super) struct Failure {
    pub seen: Text,
    /// Words and numbers that clients show, the same in all languages.
    pub shows: Vec<String>,
    pub cures: Vec<Text>,
}

/// Keys of `[fields]`: a client may name any of them after its own labels; for
/// the rest the words `field-…` of `pages/words.toml` stand.
pub(super) const FIELDS: &[&str] = &[
    "in-host",
    "in-port",
    "in-security",
    "out-host",
    "out-port",
    "out-security",
    "user",
    "authentication",
    "implicit",
    "starttls",
    "password",
    "challenge",
];

/// The book, read once.
pub(super) fn book() -> &'static Book {
    static BOOK: LazyLock<Book> = LazyLock::new(|| read().0);
    &BOOK
}

/// Reads all files, and says what is wrong with them.
pub(super) fn read() -> (Book, Vec<Mistake>) {
    let mut book = Book::default();
    let mut mistakes = Vec::new();
    for (name, source) in PAGES {
        if let Err(mistake) = page(&mut book, name, source) {
            mistakes.push(format!("pages/{name}.toml: {mistake}"));
        }
    }
    for (id, source) in CLIENTS {
        match client(&book.words, id, source) {
            Ok(client) => book.clients.push(client),
            Err(mistake) => mistakes.push(format!("clients/{id}.toml: {mistake}")),
        }
    }
    (book, mistakes)
}

/// One text as it is written: in all languages, or in none of them (`same`), or shared (`use`).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    when: Option<String>,
    r#use: Option<String>,
    same: Option<String>,
    en: Option<String>,
    de: Option<String>,
    el: Option<String>,
    es: Option<String>,
    fr: Option<String>,
}

impl Entry {
    /// The text, its labels taken from `labels`; `None` there means that this file has no labels of its own.
    fn text(&self, shared: &BTreeMap<String, Text>) -> Result<Text, Mistake> {
        let languages = [&self.en, &self.de, &self.el, &self.es, &self.fr];
        let written = languages.iter().filter(|text| text.is_some()).count();
        let when = self.when.as_deref().unwrap_or_default();
        match (&self.r#use, &self.same, written) {
            (Some(key), None, 0) => {
                let text = shared.get(&format!("words.{key}"));
                let text = text.ok_or(format!("use = \"{key}\": pages/words.toml has no such key"))?;
                text.clone().when(when)
            }
            (None, Some(same), 0) => Text::new([same; 5].map(|s| parse(s)), true)?.when(when),
            (None, None, _) => {
                let mut texts = Vec::new();
                for (lang, text) in Lang::ALL.into_iter().zip(languages) {
                    let text = text.as_deref().filter(|text| !text.trim().is_empty());
                    texts.push(text.ok_or(format!("{} is missing beside {:?}", lang.code(), self.en))?);
                }
                if texts.iter().all(|text| *text == texts[0]) {
                    return Err(format!("{:?} is the same everywhere: write same = instead", texts[0]));
                }
                let [en, de, el, es, fr] = texts[..] else { return Err("five languages".to_owned()) };
                let fr = unbroken(fr);
                Text::new([en, de, el, es, &fr].map(parse), false)?.when(when)
            }
            _ => Err("either en, de, el, es, fr, or same, or use, stands alone".to_owned()),
        }
    }
}

/// French sets spaces before `:;?!»` and behind `«` at which a line must not end;
/// who edits a file types plain ones.
fn unbroken(french: &str) -> String {
    let mut text = french.replace("« ", "«\u{a0}");
    for sign in [':', ';', '?', '!', '»'] {
        text = text.replace(&format!(" {sign}"), &format!("\u{a0}{sign}"));
    }
    text
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageFile {
    words: BTreeMap<String, Entry>,
    #[serde(default)]
    system: Vec<SystemEntry>,
    #[serde(default)]
    advice: Vec<Entry>,
    #[serde(default)]
    failure: Vec<FailureEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SystemEntry {
    name: Entry,
    general: Entry,
    here: Entry,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FailureEntry {
    seen: Entry,
    #[serde(default)]
    shows: Vec<String>,
    cure: Vec<Entry>,
}

/// Puts a file of words or a page into the book.
fn page(book: &mut Book, name: &str, source: &str) -> Result<(), Mistake> {
    let file: PageFile = toml::from_str(source).map_err(|e| e.to_string())?;
    for (key, entry) in &file.words {
        let text = entry.text(&book.words).map_err(|e| format!("[words.{key}]: {e}"))?;
        book.words.insert(format!("{name}.{key}"), text);
    }
    let list = |entries: &[Entry]| -> Result<Vec<Text>, Mistake> {
        entries.iter().map(|entry| unlabelled(entry.text(&book.words)?)).collect()
    };
    let advice = list(&file.advice)?;
    let mut systems = Vec::new();
    for system in &file.system {
        let [name, general, here] =
            [&system.name, &system.general, &system.here].map(|entry| entry.text(&book.words));
        systems.push(System {
            name: unlabelled(name?)?,
            general: unlabelled(general?)?,
            here: unlabelled(here?)?,
        });
    }
    let mut failures = Vec::new();
    for failure in file.failure {
        let seen = unlabelled(failure.seen.text(&book.words)?)?;
        failures.push(Failure { seen, shows: failure.shows, cures: list(&failure.cure)? });
    }
    book.advice.extend(advice);
    book.systems.extend(systems);
    book.failures.extend(failures);
    Ok(())
}

fn unlabelled(text: Text) -> Result<Text, Mistake> {
    text.with_labels(&BTreeMap::new())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientFile {
    aliases: Vec<String>,
    pop3: bool,
    challenge: bool,
    name: Entry,
    #[serde(default)]
    labels: BTreeMap<String, Entry>,
    #[serde(default)]
    fields: BTreeMap<String, String>,
    #[serde(default)]
    about: Vec<Entry>,
    new: Vec<Entry>,
    switch: Vec<Entry>,
    #[serde(default)]
    notes: Vec<Entry>,
}

fn client(words: &BTreeMap<String, Text>, id: &'static str, source: &str) -> Result<Client, Mistake> {
    let file: ClientFile = toml::from_str(source).map_err(|e| e.to_string())?;
    let mut labels = BTreeMap::new();
    for (key, entry) in &file.labels {
        labels.insert(key.clone(), entry.text(words).map_err(|e| format!("[labels] {key}: {e}"))?);
    }
    let mut fields = BTreeMap::new();
    for (field, label) in &file.fields {
        if !FIELDS.contains(&field.as_str()) {
            return Err(format!("[fields] {field}: there is no such field; there are {}", FIELDS.join(", ")));
        }
        let label = labels.get(label).ok_or(format!("[fields] {field}: no label \"{label}\""))?;
        fields.insert(field.clone(), label.clone());
    }
    let texts = |part: &str, entries: &[Entry]| -> Result<Vec<Text>, Mistake> {
        let text = |entry: &Entry| entry.text(words)?.with_labels(&labels);
        entries.iter().map(|entry| text(entry).map_err(|e| format!("[[{part}]]: {e}"))).collect()
    };
    Ok(Client {
        id,
        pop3: file.pop3,
        challenge: file.challenge,
        name: unlabelled(file.name.text(words)?)?,
        about: texts("about", &file.about)?,
        new: texts("new", &file.new)?,
        switch: texts("switch", &file.switch)?,
        notes: texts("notes", &file.notes)?,
        aliases: file.aliases,
        #[cfg(test)]
        labels,
        fields,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_file_has_a_mistake() {
        let (_, mistakes) = read();
        assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    }

    #[test]
    fn every_file_is_read() {
        for (directory, known) in [("clients", CLIENTS), ("pages", PAGES)] {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide").join(directory);
            let there: BTreeSet<String> = std::fs::read_dir(path)
                .expect("the folder is there")
                .map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned())
                .collect();
            let read: BTreeSet<String> = known.iter().map(|(id, _)| format!("{id}.toml")).collect();
            assert_eq!(there, read);
        }
    }

    /// A sentence is the same in two languages only if one was not translated; labels may
    /// agree between related languages ("Port"), but Greek ones are in Greek letters.
    #[test]
    fn nothing_is_left_in_english() {
        let (book, _) = read();
        let is_greek = |text: &str| text.chars().any(|c| ('\u{370}'..='\u{3ff}').contains(&c));
        let mut texts: Vec<(String, &Text)> = book.words.iter().map(|(k, t)| (k.clone(), t)).collect();
        texts.extend(book.advice.iter().map(|t| ("systems advice".to_owned(), t)));
        for system in &book.systems {
            texts.extend([&system.general, &system.here].map(|t| ("system".to_owned(), t)));
        }
        for failure in &book.failures {
            texts.push(("failure".to_owned(), &failure.seen));
            texts.extend(failure.cures.iter().map(|t| ("cure".to_owned(), t)));
        }
        for client in &book.clients {
            for part in [&client.about, &client.new, &client.switch, &client.notes] {
                texts.extend(part.iter().map(|t| (format!("step of {}", client.id), t)));
            }
            for (key, label) in client.labels.iter().filter(|(_, label)| !label.same) {
                let [en, greek] = [Lang::En, Lang::El].map(|lang| label.words_alone(lang));
                assert!(is_greek(&greek) && en != greek, "{}: label {key}: {greek:?}", client.id);
            }
        }
        for (place, text) in texts {
            let all = Lang::ALL.map(|lang| text.words_alone(lang));
            let letters = all[0].chars().filter(|c| c.is_alphabetic()).count();
            if text.same {
                assert!(letters < 20, "{place}: {:?} is a sentence and needs translations", all[0]);
                continue;
            }
            assert!(letters < 12 || is_greek(&all[2]), "{place}: {:?}", all[2]);
            for (index, one) in all.iter().enumerate().filter(|_| letters > 20) {
                assert!(!all[..index].contains(one), "{place}: twice {one:?}");
            }
        }
    }

    #[test]
    fn every_label_is_used() {
        for (id, source) in CLIENTS {
            let file: ClientFile = toml::from_str(source).expect("another test shows that it can be read");
            for key in file.labels.keys() {
                let in_text = source.contains(&format!("[{key}]"));
                let shared = book().words.values().any(|text| text.labels().any(|label| label == key));
                assert!(in_text || shared || file.fields.values().any(|l| l == key), "{id}: label {key}");
            }
        }
    }

    /// Hosts and ports come from the service's model alone.
    #[test]
    fn no_port_and_no_host_is_typed_by_hand() {
        use crate::service::ports;
        let all = [
            ports::SMTP,
            ports::SUBMISSION_26,
            ports::HTTP,
            ports::POP3,
            ports::IMAP,
            ports::HTTPS,
            ports::SUBMISSIONS,
            ports::SUBMISSION,
            ports::IMAPS,
            ports::POP3S,
            ports::SUBMISSION_2025,
            ports::SUBMISSION_ALTERNATE,
            ports::SIEVE,
        ]
        .map(|port| port.to_string());
        for (name, source) in CLIENTS.iter().chain(PAGES) {
            for line in source.lines().filter(|line| !line.starts_with('#')) {
                let mut words = line.split(|c: char| !c.is_ascii_alphanumeric());
                let port = words.find(|word| all.iter().any(|port| port == word));
                assert_eq!(port, None, "{name}: {line}");
                assert!(!line.contains("example."), "{name}: {line}");
            }
        }
    }

    #[test]
    fn mistakes_are_told() {
        let words = BTreeMap::new();
        let head = "aliases = []\npop3 = true\nchallenge = true\nname = { same = \"X\" }\n";
        let fails = |rest: &str, told: &str| {
            let mistake = client(&words, "x", &format!("{head}{rest}")).expect_err(rest);
            assert!(mistake.contains(told), "{rest}: {mistake}");
        };
        let five = |text: &str| format!("en = \"{text}\"\nde = \"b\"\nel = \"c\"\nes = \"d\"\nfr = \"e\"\n");
        fails("", "missing field `new`");
        let steps = |step: &str| format!("switch = []\n[[new]]\n{step}");
        fails(&steps("en = \"a\""), "de is missing");
        fails(&steps("use = \"nothing\""), "no such key");
        fails(&steps("same = \"[nothing]\""), "label");
        fails(&steps("same = \"{nothing}\""), "nothing");
        fails(&steps("same = \"{address\""), "is not closed");
        fails(&steps("same = \"a\"\nen = \"b\""), "stands alone");
        fails(&steps("same = \"a\"\nit = \"b\""), "unknown field");
        fails(&steps("same = \"a\"\nwhen = \"often\""), "often");
        fails(&steps(&five("{address}")), "not the same placeholders");
        fails("switch = []\nnew = []\n[fields]\nx = \"y\"", "no such field");
        fails("switch = []\nnew = []\n[fields]\nuser = \"y\"", "no label");
        let same = "en = \"a\"\nde = \"a\"\nel = \"a\"\nes = \"a\"\nfr = \"a\"";
        fails(&steps(same), "write same =");
    }
}
