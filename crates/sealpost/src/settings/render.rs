//! The table of keys as a commented example and as a page of documentation.

use super::key::{Fallback, KEYS, Key, Kind, SECTIONS};
use super::unit::{show_bytes, show_millis, show_seconds};
use proto::service::Protection;
use proto::service::preset::Preset;
use std::fmt::Write as _;

/// A complete settings file: what must be set is set, all else stands as a
/// comment with its default. It parses as it is.
#[must_use]
pub fn example() -> String {
    let mut out = String::from(
        "# Settings of Sealpost. Every key is here. A line that begins with \"#name =\" shows the default\n\
         # (or, where nothing is set by default, an example): take the # away to change it.\n",
    );
    for section in SECTIONS {
        let keys: Vec<&Key> = keys_of(section.path).collect();
        out.push('\n');
        comment(&mut out, section.doc);
        // A repeated section is written out only where one is needed to serve at all.
        let off = if section.path == "listener[]" { "#" } else { "" };
        if let Some(name) = section.path.strip_suffix("[]") {
            let _ = writeln!(out, "{off}[[{name}]]");
        } else if !section.path.is_empty() {
            let _ = writeln!(out, "[{}]", section.path);
        }
        for key in keys {
            out.push('\n');
            comment(&mut out, key.doc);
            comment(&mut out, &format!("Takes {}. {}", takes(key.kind), without(key.fallback)));
            let name = name_of(key);
            let _ = match key.fallback {
                Fallback::Required => writeln!(out, "{off}{name} = {}", key.example),
                Fallback::Value(value) => writeln!(out, "#{name} = {value}"),
                Fallback::Unset(_) => writeln!(out, "#{name} = {}", key.example),
            };
        }
    }
    out
}

/// `docs/settings.md`.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from(
        "# Settings\n\n\
         One TOML file. This page is generated from the table of keys in the program\n\
         (`sealpost settings --markdown`); `sealpost settings --example` writes a complete commented file.\n\
         Relative paths start at the file's directory. Durations are written as `\"90s\"`, `\"5m\"`, `\"1h30m\"`,\n\
         `\"7d\"`; sizes as `\"512 B\"`, `\"50 MB\"` (decimal) or `\"50 MiB\"` (binary).\n\n\
         All mistakes in a file are reported at once, each as `file:line:column`. Unknown keys are refused.\n",
    );
    for section in SECTIONS {
        let heading = match section.path.strip_suffix("[]") {
            Some(name) => format!("`[[{name}]]`"),
            None if section.path.is_empty() => "At the top".to_owned(),
            None => format!("`[{}]`", section.path),
        };
        let _ = write!(out, "\n## {heading}\n\n{}\n", section.doc);
        for key in keys_of(section.path) {
            let _ = write!(
                out,
                "\n### `{}`\n\n{}\n\n* Takes {}.\n* {}\n* Example: `{} = {}`\n",
                key.path,
                key.doc,
                takes(key.kind),
                without(key.fallback),
                name_of(key),
                key.example
            );
        }
    }
    out.push_str("\n## Presets\n\nThe listeners of each preset, recommended ones first.\n");
    for preset in Preset::ALL {
        let _ = write!(out, "\n### `{}`\n\n| listener | port | security |\n|---|---|---|\n", preset.name());
        for row in preset.model("", &[]).listeners {
            let security = match row.protection {
                Protection::Implicit if row.either_way => "implicit TLS, STARTTLS too (either way)",
                Protection::Implicit => "implicit TLS",
                Protection::StartTls => "STARTTLS",
                Protection::Clear => "none",
            };
            let _ = writeln!(out, "| {} | {} | {security} |", row.name, row.port);
        }
    }
    out
}

fn keys_of(section: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.path.rsplit_once('.').map_or("", |(s, _)| s) == section)
}

fn name_of(key: &Key) -> &'static str {
    key.path.rsplit('.').next().unwrap_or(key.path)
}

fn takes(kind: Kind) -> String {
    match kind {
        Kind::Text => "a text".to_owned(),
        Kind::Host => "a host name".to_owned(),
        Kind::Path => "a path".to_owned(),
        Kind::Duration { min, max } => {
            format!("a duration from \"{}\" to \"{}\"", show_seconds(min), show_seconds(max))
        }
        Kind::Millis { min, max } => {
            format!("a duration from \"{}\" to \"{}\"", show_millis(min), show_millis(max))
        }
        Kind::Size { min, max } => format!("a size from \"{}\" to \"{}\"", show_bytes(min), show_bytes(max)),
        Kind::Count { min, max } => format!("a number from {min} to {max}"),
        Kind::Switch => "true or false".to_owned(),
        Kind::Choice(words) => {
            format!("one of {}", words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(", "))
        }
        Kind::Addresses => "a list of IP addresses".to_owned(),
        Kind::Hosts => "a list of host names".to_owned(),
    }
}

fn without(fallback: Fallback) -> String {
    match fallback {
        Fallback::Required => "It must be given.".to_owned(),
        Fallback::Value(value) => format!("Default: {value}."),
        Fallback::Unset(what) => format!("Without it: {what}."),
    }
}

/// Writes a text as comment lines of at most 100 characters.
fn comment(out: &mut String, text: &str) {
    let mut width = 0;
    for word in text.split_whitespace() {
        if width == 0 || width + 1 + word.chars().count() > 100 {
            if width > 0 {
                out.push('\n');
            }
            out.push('#');
            width = 1;
        }
        out.push(' ');
        out.push_str(word);
        width += 1 + word.chars().count();
    }
    out.push('\n');
}
