//! Records for people and programs: a zone in BIND's form, JSON, a table.

use super::{Data, TTL_SECONDS, Wanted, Weight};
use serde::Serialize;
use std::fmt::Write as _;

/// Octets of one character-string of a TXT record (RFC 1035 3.3).
const STRING_BYTES_MAX: usize = 255;

/// Lines for a zone file (RFC 1035 5), absolute names, comments with the reasons.
#[must_use]
pub fn zone(records: &[Wanted]) -> String {
    let mut out = String::new();
    let mut why = "";
    for wanted in records {
        if wanted.why != why {
            why = wanted.why;
            let _ = writeln!(out, "; {why}");
        }
        let data = &wanted.record.data;
        let name = absolute(&wanted.record.name);
        let _ = writeln!(out, "{name}\t{TTL_SECONDS}\tIN\t{}\t{}", data.type_name(), value(data));
    }
    out
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    ttl: u32,
    value: String,
    needed: bool,
    why: &'static str,
}

/// An array of objects: `name`, `type`, `ttl`, `value` (as a zone file has it), `needed`, `why`.
#[must_use]
pub fn json(records: &[Wanted]) -> String {
    let rows: Vec<Row<'_>> = records
        .iter()
        .map(|wanted| Row {
            name: &wanted.record.name,
            kind: wanted.record.data.type_name(),
            ttl: TTL_SECONDS,
            value: value(&wanted.record.data),
            needed: wanted.weight == Weight::Needed,
            why: wanted.why,
        })
        .collect();
    // Strings, numbers and booleans under fixed keys can always be written.
    serde_json::to_string_pretty(&rows).unwrap_or_default() + "\n"
}

/// Columns for people who type the records into a form: name, type, value as forms want it.
#[must_use]
pub fn table(records: &[Wanted]) -> String {
    let rows: Vec<[String; 4]> = records
        .iter()
        .map(|wanted| {
            let data = &wanted.record.data;
            let weight = if wanted.weight == Weight::Needed { "needed" } else { "advised" };
            [printable(&wanted.record.name), data.type_name().to_owned(), weight.to_owned(), typed(data)]
        })
        .collect();
    let head = ["NAME", "TYPE", "", "VALUE"].map(str::to_owned);
    let width = |column: usize| {
        rows.iter().chain([&head]).map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let (first, second, third) = (width(0), width(1), width(2));
    let mut out = String::new();
    for [name, kind, weight, value] in [&head].into_iter().chain(&rows) {
        let _ = writeln!(out, "{name:first$}  {kind:second$}  {weight:third$}  {value}");
    }
    out
}

/// The data as a zone file has it.
pub(super) fn value(data: &Data) -> String {
    match data {
        Data::Address(address) => address.to_string(),
        Data::Cname(name) => absolute(name),
        Data::Mx { preference, host } => format!("{preference} {}", absolute(host)),
        Data::Srv { priority, weight, port, target } => {
            format!("{priority} {weight} {port} {}", absolute(target))
        }
        Data::Txt(text) => strings(text),
        Data::Tlsa(usage, selector, matching, digest) => {
            format!("{usage} {selector} {matching} {}", hex(digest))
        }
        Data::Caa(flags, tag, value) => format!("{flags} {} {}", word(tag), quoted(value.as_bytes())),
    }
}

/// The data as forms want it: texts whole and without quotes.
fn typed(data: &Data) -> String {
    match data {
        Data::Txt(text) => printable(text),
        other => value(other),
    }
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A name with its final dot; what no name should contain is escaped, so that nothing breaks out of its line.
fn absolute(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 1);
    for octet in name.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'*' => {
                out.push(char::from(octet))
            }
            _ => {
                let _ = write!(out, "\\{octet:03}");
            }
        }
    }
    out.push('.');
    out
}

/// A CAA tag is letters and digits (RFC 8659 4.1).
fn word(tag: &str) -> String {
    tag.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// A text in pieces of at most 255 octets, each quoted.
fn strings(text: &str) -> String {
    if text.is_empty() {
        return quoted(b"");
    }
    text.as_bytes().chunks(STRING_BYTES_MAX).map(quoted).collect::<Vec<_>>().join(" ")
}

fn quoted(octets: &[u8]) -> String {
    let mut out = String::with_capacity(octets.len() + 2);
    out.push('"');
    for octet in octets {
        match octet {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(*octet));
            }
            b' '..=b'~' => out.push(char::from(*octet)),
            _ => {
                let _ = write!(out, "\\{octet:03}");
            }
        }
    }
    out.push('"');
    out
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut out, octet| {
        let _ = write!(out, "{octet:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::super::Record;
    use super::*;

    fn wanted(name: &str, data: Data) -> Wanted {
        Wanted { record: Record { name: name.into(), data }, weight: Weight::Needed, why: "Because." }
    }

    #[test]
    fn every_type_as_a_zone_has_it() {
        for (data, written) in [
            (Data::Address("192.0.2.1".parse().unwrap()), "A 192.0.2.1"),
            (Data::Address("2001:db8::1".parse().unwrap()), "AAAA 2001:db8::1"),
            (Data::Cname("a.test".into()), "CNAME a.test."),
            (Data::Mx { preference: 10, host: "a.test".into() }, "MX 10 a.test."),
            (Data::Mx { preference: 0, host: String::new() }, "MX 0 ."),
            (Data::Srv { priority: 0, weight: 1, port: 993, target: "a.test".into() }, "SRV 0 1 993 a.test."),
            (Data::Srv { priority: 0, weight: 0, port: 0, target: String::new() }, "SRV 0 0 0 ."),
            (Data::Txt("a \"b\" \\ ü\n".into()), "TXT \"a \\\"b\\\" \\\\ \\195\\188\\010\""),
            (Data::Txt(String::new()), "TXT \"\""),
            (Data::Tlsa(3, 1, 1, vec![0, 0xab]), "TLSA 3 1 1 00ab"),
            (Data::Caa(0, "iss ue\"".into(), "ca.test; x=\"".into()), "CAA 0 issue \"ca.test; x=\\\"\""),
        ] {
            assert_eq!(format!("{} {}", data.type_name(), value(&data)), written);
        }
    }

    #[test]
    fn long_texts_are_split_at_255_octets() {
        let text = format!("{}\"{}", "a".repeat(254), "b".repeat(300));
        let written = value(&Data::Txt(text));
        assert_eq!(
            written,
            format!("\"{}\\\"\" \"{}\" \"{}\"", "a".repeat(254), "b".repeat(255), "b".repeat(45))
        );
    }

    #[test]
    fn the_three_forms() {
        let records = [
            wanted("example.test", Data::Mx { preference: 10, host: "mail.example.test".into() }),
            wanted("x;\ny.example.test", Data::Txt("v=spf1 -all".into())),
        ];
        assert_eq!(
            zone(&records),
            "; Because.\nexample.test.\t3600\tIN\tMX\t10 mail.example.test.\n\
             x\\059\\010y.example.test.\t3600\tIN\tTXT\t\"v=spf1 -all\"\n"
        );
        assert_eq!(
            table(&records),
            "NAME               TYPE          VALUE\n\
             example.test       MX    needed  10 mail.example.test.\n\
             x;\u{fffd}y.example.test  TXT   needed  v=spf1 -all\n"
        );
        let rows: serde_json::Value = serde_json::from_str(&json(&records)).unwrap();
        assert_eq!(
            rows[0],
            serde_json::json!({"name": "example.test", "type": "MX", "ttl": 3600, "value": "10 mail.example.test.",
                "needed": true, "why": "Because."})
        );
    }
}
