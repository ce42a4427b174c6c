//! From the text of a settings file to values by key, with every mistake.
//!
//! The walk goes by the table in [`super::key`] alone. A mistake never stops it:
//! the key then has its fallback and the mistake is in the list, so that the
//! caller may go on and find the next one. Nothing here knows what a key is for.

use super::key::{Fallback, KEYS, Key, Kind};
use super::mistake::{Mistake, nearest, position};
use super::unit::{duration_millis, duration_seconds, show_bytes, show_millis, show_seconds, size_bytes};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value that its kind allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text, Host, Path, Choice.
    Text(String),
    /// Duration (seconds), Millis (milliseconds), Size (octets), Count.
    Number(u64),
    /// Switch.
    Switch(bool),
    /// Addresses.
    Addresses(Vec<IpAddr>),
    /// Hosts.
    Hosts(Vec<String>),
}

/// What a file says.
#[derive(Debug)]
pub struct Answers<'a> {
    text: &'a str,
    values: BTreeMap<String, (Value, Range<usize>)>,
    /// Spans of the elements of repeated tables, by path without `[]`.
    repeated: BTreeMap<String, Vec<Range<usize>>>,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
}

/// Reads `text`. What cannot be read is in the mistakes. `complete` asks for
/// the required keys too.
#[must_use]
pub fn read(text: &str, complete: bool) -> Answers<'_> {
    let mut answers = Answers {
        text,
        values: BTreeMap::new(),
        repeated: BTreeMap::new(),
        mistakes: Vec::new(),
        warnings: Vec::new(),
    };
    let (root, errors) = DeTable::parse_recoverable(text);
    answers.table(root.get_ref(), "", "");
    let broken = !errors.is_empty();
    // What the parser made of a line that it could not read is no statement of the operator's.
    let syntax: Vec<Mistake> = errors.iter().map(|error| answers.syntax(error)).collect();
    answers.mistakes.retain(|m| syntax.iter().all(|s| s.line != m.line));
    answers.mistakes.extend(syntax);
    if complete && !broken {
        for key in required("") {
            if !root.get_ref().keys().any(|name| name.get_ref() == key.path) {
                answers.missing(key, 0..0, "");
            }
        }
    }
    answers
}

/// Reads the fallback or the example of a key. The table is ours: a literal in
/// it that does not read is a bug, which a test over the whole table finds.
#[must_use]
pub fn literal(key: &Key, text: &str) -> Value {
    let value = DeValue::parse(text).unwrap_or_else(|e| panic!("table of keys, {}: {e}", key.path));
    checked(key.kind, value.get_ref()).unwrap_or_else(|e| panic!("table of keys, {}: {}", key.path, e.0))
}

/// The row of a path such as `listener[2].name`.
#[must_use]
pub fn key_of(path: &str) -> Option<&'static Key> {
    let mut pattern = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(open) = rest.find('[') {
        let close = rest[open..].find(']')? + open;
        pattern.push_str(&rest[..=open]);
        pattern.push(']');
        rest = &rest[close + 1..];
    }
    pattern.push_str(rest);
    KEYS.iter().find(|key| key.path == pattern)
}

impl Answers<'_> {
    /// The value of a key, or its fallback's; `None` if it is unset or was wrong
    /// and has no fallback. Panics for a path that is not in the table: paths
    /// are written in our code, and every one of them is read by each parse.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<Value> {
        if let Some((value, _)) = self.values.get(path) {
            return Some(value.clone());
        }
        let key = key_of(path).unwrap_or_else(|| panic!("{path} is not in the table of keys"));
        match key.fallback {
            Fallback::Value(text) => Some(literal(key, text)),
            Fallback::Required | Fallback::Unset(_) => None,
        }
    }

    /// How many elements a repeated table has.
    #[must_use]
    pub fn count(&self, path: &str) -> usize {
        self.repeated.get(path).map_or(0, Vec::len)
    }

    /// Adds a mistake at the key's value, else at the element or table it is in, else at the start.
    pub fn mistake(&mut self, path: &str, what: String, remedy: String) {
        let mistake = self.place(path, what, remedy);
        self.mistakes.push(mistake);
    }

    /// Adds what is hardly meant so, and no mistake, likewise.
    pub fn warning(&mut self, path: &str, what: String, remedy: String) {
        let warning = self.place(path, what, remedy);
        self.warnings.push(warning);
    }

    /// The warnings by place, taken out.
    pub fn take_warnings(&mut self) -> Vec<Mistake> {
        self.warnings.sort();
        std::mem::take(&mut self.warnings)
    }

    fn place(&self, path: &str, what: String, remedy: String) -> Mistake {
        let mut at = self.values.get(path).map(|(_, span)| span.clone());
        if at.is_none()
            && let Some((table, rest)) = path.split_once('[')
            && let Some((index, _)) = rest.split_once(']')
            && let Ok(index) = index.parse::<usize>()
        {
            at = self.repeated.get(table).and_then(|spans| spans.get(index)).cloned();
        }
        let (line, column) = position(self.text, at.map_or(0, |span| span.start));
        Mistake { line, column, what, remedy }
    }

    /// All mistakes by place, which ends the answers.
    #[must_use]
    pub fn into_mistakes(mut self) -> Vec<Mistake> {
        self.mistakes.sort();
        self.mistakes.dedup();
        self.mistakes
    }

    fn at(&mut self, span: Range<usize>, what: String, remedy: String) {
        let (line, column) = position(self.text, span.start);
        self.mistakes.push(Mistake { line, column, what, remedy });
    }

    fn missing(&mut self, key: &Key, span: Range<usize>, place: &str) {
        let name = key.path.rsplit('.').next().unwrap_or(key.path);
        let what = if place.is_empty() {
            format!("\"{name}\" is missing")
        } else {
            format!("{place} has no \"{name}\"")
        };
        self.at(span, what, format!("add {name} = {}", key.example));
    }

    fn syntax(&self, error: &toml::de::Error) -> Mistake {
        let (line, column) = position(self.text, error.span().map_or(0, |span| span.start));
        let message = error.message();
        let remedy = if message.contains("duplicate") {
            "keep one of the two"
        } else {
            "write: name = \"text\", name = 10, name = true, or [section]"
        };
        Mistake { line, column, what: format!("this is not TOML: {message}"), remedy: remedy.to_owned() }
    }

    fn table(&mut self, table: &DeTable<'_>, pattern: &str, concrete: &str) {
        for (name, value) in table {
            let path = join(pattern, name.get_ref());
            let here = join(concrete, name.get_ref());
            if let Some(key) = KEYS.iter().find(|key| key.path == path) {
                match checked(key.kind, value.get_ref()) {
                    Ok(read) => {
                        self.values.insert(here, (read, value.span()));
                    }
                    Err((what, remedy)) => self.at(value.span(), format!("\"{here}\" {what}"), remedy),
                }
            } else if has_below(&path, ".") {
                match value.get_ref().as_table() {
                    Some(table) => self.table(table, &path, &here),
                    None => self.at(
                        value.span(),
                        format!("\"{here}\" is a section, not a value"),
                        format!("write [{here}] on a line of its own and its keys below"),
                    ),
                }
            } else if has_below(&path, "[].") {
                self.repeated_table(value, &path, &here);
            } else {
                self.unknown(name, pattern);
            }
        }
    }

    fn repeated_table(&mut self, value: &Spanned<DeValue<'_>>, path: &str, here: &str) {
        let elements: Option<Vec<_>> = value.get_ref().as_array().and_then(|array| {
            array.iter().map(|element| Some((element.get_ref().as_table()?, element.span()))).collect()
        });
        let Some(elements) = elements else {
            let what = format!("\"{here}\" is a list of tables");
            return self.at(
                value.span(),
                what,
                format!("write [[{here}]] with its keys below, once for each"),
            );
        };
        for (index, (table, span)) in elements.into_iter().enumerate() {
            let pattern = format!("{path}[]");
            let concrete = format!("{here}[{index}]");
            self.table(table, &pattern, &concrete);
            for key in required(&pattern) {
                let name = &key.path[pattern.len() + 1..];
                if !table.keys().any(|k| k.get_ref() == name) {
                    self.missing(key, span.clone(), &format!("{here} number {}", index + 1));
                }
            }
            self.repeated.entry(here.to_owned()).or_default().push(span);
        }
    }

    fn unknown(&mut self, name: &Spanned<std::borrow::Cow<'_, str>>, pattern: &str) {
        let word = name.get_ref();
        let place = if pattern.is_empty() { "at the top".to_owned() } else { format!("in [{pattern}]") };
        // A name in the same section is the likelier slip; then the same word in another section.
        let moved =
            KEYS.iter().map(|key| key.path).find(|path| path.rsplit('.').next() == Some(word.as_ref()));
        let remedy = if let Some(known) = nearest(word, names_in(pattern)) {
            format!("did you mean \"{known}\"?")
        } else if let Some(path) = moved {
            format!("did you mean \"{path}\"?")
        } else {
            let mut known: Vec<_> = names_in(pattern).collect();
            known.dedup();
            format!("known here: {}", known.join(", "))
        };
        self.at(name.span(), format!("there is no \"{word}\" {place}"), remedy);
    }
}

/// Names that may stand directly in a section, each run of equal ones to be taken once.
fn names_in(pattern: &str) -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter_map(move |key| {
        let rest = match pattern {
            "" => key.path,
            _ => key.path.strip_prefix(pattern)?.strip_prefix('.')?,
        };
        rest.split(['.', '[']).next()
    })
}

/// Required keys directly in a section.
fn required(pattern: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| {
        let section = key.path.rsplit_once('.').map_or("", |(section, _)| section);
        key.fallback == Fallback::Required && section == pattern
    })
}

fn has_below(path: &str, separator: &str) -> bool {
    KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with(separator)))
}

fn join(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

type Wrong = (String, String);

/// Holds a value against its kind; the mistake is what is wrong, and the remedy.
fn checked(kind: Kind, value: &DeValue<'_>) -> Result<Value, Wrong> {
    match kind {
        Kind::Text | Kind::Path => {
            let text = text_of(value, "needs a text", "put it in quotes")?;
            if text.is_empty() || text.chars().any(char::is_control) {
                return Err(("is empty or holds control characters".into(), "write a plain text".into()));
            }
            Ok(Value::Text(text.to_owned()))
        }
        Kind::Host => host(text_of(value, "needs a host name", "write \"mail.example.org\"")?),
        Kind::Choice(words) => choice(words, value),
        Kind::Switch => value.as_bool().map(Value::Switch).ok_or_else(|| {
            (
                format!("needs true or false, found {}", found(value)),
                "write true or false without quotes".into(),
            )
        }),
        Kind::Duration { min, max } => {
            let needs = "needs a duration such as \"5m\"";
            let text = text_of(value, needs, "write a number with s, m, h or d, in quotes")?;
            let seconds = duration_seconds(text).ok_or_else(|| {
                (
                    format!("{needs}, found \"{text}\""),
                    "write a number with s, m, h or d: \"90s\", \"1h30m\"".into(),
                )
            })?;
            within(seconds, min, max, |n| format!("\"{}\"", show_seconds(n)))
        }
        Kind::Millis { min, max } => {
            let needs = "needs a short duration such as \"300ms\"";
            let remedy = "write a number with ms or s, in quotes";
            let text = text_of(value, needs, remedy)?;
            let millis = duration_millis(text)
                .ok_or_else(|| (format!("{needs}, found \"{text}\""), remedy.to_owned()))?;
            within(millis, min, max, |n| format!("\"{}\"", show_millis(n)))
        }
        Kind::Size { min, max } => {
            let needs = "needs a size such as \"50 MB\" or \"50 MiB\"";
            let text =
                text_of(value, needs, "write a number with B, KB, KiB, MB, MiB, GB or GiB, in quotes")?;
            let bytes = size_bytes(text).ok_or_else(|| {
                (
                    format!("{needs}, found \"{text}\""),
                    "write a whole number with B, KB, KiB, MB, MiB, GB or GiB".into(),
                )
            })?;
            within(bytes, min, max, |n| format!("\"{}\"", show_bytes(n)))
        }
        Kind::Count { min, max } => {
            let number = value
                .as_integer()
                .and_then(|n| i128::from_str_radix(n.as_str(), n.radix()).ok())
                .ok_or_else(|| {
                    (
                        format!("needs a whole number, found {}", found(value)),
                        format!("write a number from {min} to {max} without quotes"),
                    )
                })?;
            let number = u64::try_from(number)
                .map_err(|_| (format!("is {number}"), format!("write a number from {min} to {max}")))?;
            within(number, min, max, |n| n.to_string())
        }
        Kind::Addresses => addresses(value),
        Kind::Hosts => hosts(value),
    }
}

fn text_of<'v>(value: &'v DeValue<'_>, needs: &str, remedy: &str) -> Result<&'v str, Wrong> {
    value.as_str().ok_or_else(|| (format!("{needs}, found {}", found(value)), remedy.to_owned()))
}

fn within(number: u64, min: u64, max: u64, show: impl Fn(u64) -> String) -> Result<Value, Wrong> {
    if (min..=max).contains(&number) {
        return Ok(Value::Number(number));
    }
    let side = if number < min { "less than is allowed" } else { "more than is allowed" };
    Err((format!("is {}, {side}", show(number)), format!("choose from {} to {}", show(min), show(max))))
}

fn choice(words: &[&'static str], value: &DeValue<'_>) -> Result<Value, Wrong> {
    let all = words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(", ");
    let text = text_of(value, "needs a word in quotes", &format!("choose one of {all}"))?;
    if words.contains(&text) {
        return Ok(Value::Text(text.to_owned()));
    }
    let remedy = match nearest(text, words.iter().copied()) {
        Some(word) => format!("did you mean \"{word}\"? Possible are {all}"),
        None => format!("choose one of {all}"),
    };
    Err((format!("does not know \"{text}\""), remedy))
}

/// A host name in A-labels, made lower-case and without a trailing dot (RFC 1123 2.1).
fn hosts(value: &DeValue<'_>) -> Result<Value, Wrong> {
    let remedy = "write [\"imap.example.org\"]";
    let array = value
        .as_array()
        .ok_or_else(|| (format!("needs a list of host names, found {}", found(value)), remedy.to_owned()))?;
    let mut list = Vec::new();
    for element in array {
        if let Value::Text(name) = host(text_of(element.get_ref(), "needs host names", remedy)?)? {
            list.push(name);
        }
    }
    Ok(Value::Hosts(list))
}

fn host(text: &str) -> Result<Value, Wrong> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let wrong = |what: &str, remedy: &str| Err((what.to_owned(), remedy.to_owned()));
    if !name.is_ascii() {
        return wrong("holds letters beyond ASCII", "write the name in its xn-- form");
    }
    if name.parse::<IpAddr>().is_ok() {
        return wrong("needs a host name, found an IP address", "write the name that is in the certificate");
    }
    let label_is_sound = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > 253 || !name.contains('.') || !name.split('.').all(label_is_sound) {
        return wrong(
            &format!("needs a full host name, found \"{text}\""),
            "write letters, digits and hyphens with dots between, such as \"mail.example.org\"",
        );
    }
    Ok(Value::Text(name))
}

fn addresses(value: &DeValue<'_>) -> Result<Value, Wrong> {
    let needs = "needs a list of IP addresses such as [\"0.0.0.0\", \"::\"]";
    let Some(array) = value.as_array() else {
        return Err((format!("{needs}, found {}", found(value)), "put the addresses in [ ]".into()));
    };
    let mut list = Vec::new();
    for element in array.iter() {
        let text = element.get_ref().as_str().unwrap_or_default();
        let address: IpAddr = text.trim_matches(['[', ']']).parse().map_err(|_| {
            (
                format!("{needs}, found {} in it", found(element.get_ref())),
                "write addresses alone, without host names and ports".to_owned(),
            )
        })?;
        if !list.contains(&address) {
            list.push(address);
        }
    }
    if list.is_empty() {
        return Err((format!("{needs}, found an empty list"), "name one address at least".into()));
    }
    Ok(Value::Addresses(list))
}

/// What stands there, in words.
fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.chars().count() <= 60 => {
            format!("the text \"{}\"", text.escape_debug())
        }
        DeValue::String(_) => "a long text".to_owned(),
        DeValue::Integer(n) => format!("the number {}", n.as_str()),
        DeValue::Float(n) => format!("the number {}", n.as_str()),
        DeValue::Boolean(b) => b.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
