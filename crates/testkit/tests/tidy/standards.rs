//! The index of standards: which RFCs the code cites, and where.

use super::source::{Source, root};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

const TITLES: &str = include_str!("rfc-titles.txt");

/// RFC numbers cited in a text: `RFC 5321`, also `RFC 2369, 2919 and 8058`.
pub fn cited(text: &str) -> BTreeSet<u32> {
    let mut out = BTreeSet::new();
    for (at, _) in text.match_indices("RFC") {
        let mut rest = text[at + 3..].trim_start_matches(['s', '-', ' ']);
        loop {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            // Four digits or three; what is shorter is a section.
            let Ok(number) = rest[..digits].parse() else { break };
            if digits < 3 {
                break;
            }
            out.insert(number);
            rest = &rest[digits..];
            let Some(next) =
                [", RFC ", " and RFC ", ", ", " and "].iter().find_map(|sep| rest.strip_prefix(sep))
            else {
                break;
            };
            // `RFC 1951 3.2.4` and `RFC 5321, 100 recipients` name no further RFC.
            let run = next.find(|c: char| !c.is_ascii_digit()).unwrap_or(next.len());
            if run != 4 || next[run..].starts_with('.') {
                break;
            }
            rest = next;
        }
    }
    out
}

/// The page as it should be, or the numbers whose titles are missing.
pub fn page(sources: &[Source]) -> Result<String, Vec<u32>> {
    let titles: BTreeMap<u32, &str> = TITLES
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(number, title)| Some((number.parse().ok()?, title)))
        .collect();
    let mut places: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for source in sources.iter().filter(|s| s.path.ends_with(".rs") && !s.path.contains("/tests/tidy/")) {
        for number in cited(&source.text) {
            places.entry(number).or_default().insert(module(&source.path));
        }
    }
    let missing: Vec<u32> = places.keys().filter(|n| !titles.contains_key(n)).copied().collect();
    if !missing.is_empty() {
        return Err(missing);
    }
    let mut out = String::from(
        "# Standards\n\nEvery RFC that the code cites, and the modules that do. Generated:\n\
         `SEALPOST_REWRITE=1 cargo test -p sealpost-testkit --test tidy`.\n\n\
         | RFC | title | cited in |\n|---|---|---|\n",
    );
    for (number, modules) in places {
        let modules: Vec<String> = modules.into_iter().map(|m| format!("`{m}`")).collect();
        let title = titles[&number];
        out.push_str(&format!(
            "| [{number}](https://www.rfc-editor.org/rfc/rfc{number}) | {title} | {} |\n",
            modules.join(", ")
        ));
    }
    Ok(out)
}

/// `crates/proto/src/smtp/server.rs` is in `proto::smtp`.
fn module(path: &str) -> String {
    let mut parts: Vec<&str> = path
        .trim_end_matches(".rs")
        .split('/')
        .filter(|p| !matches!(*p, "crates" | "src" | "mod" | "lib"))
        .collect();
    parts.truncate(2);
    parts.join("::")
}

#[test]
fn index_is_fresh() {
    let path = root().join("docs/standards.md");
    let page = page(&super::source::all()).unwrap_or_else(|missing| {
        panic!("add the titles of RFC {missing:?} to crates/testkit/tests/tidy/rfc-titles.txt, one a line")
    });
    if std::env::var_os("SEALPOST_REWRITE").is_some() {
        fs::write(&path, &page).expect("docs can be written");
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == page,
        "docs/standards.md is stale: run SEALPOST_REWRITE=1 cargo test -p sealpost-testkit --test tidy, and commit it"
    );
}

#[test]
fn finds_citations() {
    let found: Vec<u32> =
        cited("RFC 5321 4.5, RFC2449; (RFC 2369, 2919 and 8058), RFC 822, RFC x, RFC 1870, 100")
            .into_iter()
            .collect();
    assert_eq!(found, [822, 1870, 2369, 2449, 2919, 5321, 8058]);
}
