//! What each form looks like, and that strangers' words stay words.

use super::*;
use crate::seen::{Line, Source};
use crate::tests::sample::*;
use crate::verdict::judge;
use std::path::Path;

/// An answer with something of everything.
fn sample() -> Answer {
    let mut lookup = usual();
    lookup.looked[0].sent_address = true;
    lookup.looked.push(outcome(Source::Guess, crate::seen::Outcome::NotAsked("switched off".to_owned())));
    let mut probes = fine();
    probes[0] = with(probes[0].clone(), |c| c.not_after = NOW + 3 * DAY);
    probes[0].transcript = vec![
        Line { at_millis: 12, who: 'S', text: "* OK ready".to_owned() },
        Line { at_millis: 15, who: 'C', text: "a1 CAPABILITY".to_owned() },
    ];
    probes.push(guessed(shut("smtp.example.com", 25, crate::seen::Reach::Silent)));
    let mut answer = judge(&question(), &lookup, &probes, NOW);
    answer.took_millis = 1234;
    answer
}

/// Compares with a file beside this one; `SEALPOST_REWRITE=1` writes it anew.
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/render/golden").join(name);
    if std::env::var_os("SEALPOST_REWRITE").is_some() {
        std::fs::write(&path, text).expect("the golden file can be written");
    }
    let expected = std::fs::read_to_string(&path).expect("the golden file is there");
    assert_eq!(text, expected, "{name} differs; if that is meant, run the test with SEALPOST_REWRITE=1");
}

#[test]
fn the_forms_look_like_this() {
    let answer = sample();
    golden("answer.txt", &text(&answer, false, true, 80));
    golden("answer.json", &json(&answer));
    golden("answer.md", &markdown(&answer, true));
}

#[test]
fn colour_is_all_that_colour_adds_and_lines_keep_the_width() {
    let answer = sample();
    let plain = text(&answer, false, false, 60);
    let coloured = text(&answer, true, false, 60);
    assert!(coloured.contains("\u{1b}[1;33m"));
    let mut stripped = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        stripped.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    stripped.push_str(rest);
    assert_eq!(stripped, plain);
    // The table of settings is as wide as its values.
    let (table, prose): (Vec<&str>, Vec<&str>) =
        plain.lines().partition(|line| line.contains("example.com  ") || line.contains("  server  "));
    assert_eq!(table.len(), 3);
    for line in prose {
        assert!(line.chars().count() <= 60, "{line}");
    }
    assert!(plain.starts_with("Mail for example.com works, but"), "the sentence leads");
}

#[test]
fn what_strangers_say_cannot_steer() {
    let evil = "a\u{1b}[2Jb\r\nc\u{202e}d`|<script>[x](javascript:y)";
    let mut probes = fine();
    for probe in &mut probes {
        probe.place.host = evil.to_owned();
        probe.greeting = Some(evil.to_owned());
        probe.transcript = vec![Line { at_millis: 0, who: '\u{7}', text: evil.to_owned() }];
    }
    probes[1].first = crate::seen::First::Foreign;
    let mut lookup = usual();
    lookup.mx = vec![evil.to_owned()];
    lookup.looked[0].asked = evil.to_owned();
    let answer = judge(&question(), &lookup, &probes, NOW);
    let shown = text(&answer, false, true, 80);
    assert!(!shown.contains(['\u{1b}', '\r', '\u{202e}', '\u{7}']), "{shown:?}");
    let shown = markdown(&answer, true);
    assert!(!shown.contains(['\u{1b}', '\r', '\u{202e}', '\u{7}']));
    // Outside code (`…` and indented blocks) no markup of theirs is left.
    for line in shown.lines().filter(|line| !line.starts_with("      ")) {
        let outside: String = line.split('`').step_by(2).collect();
        assert!(!outside.contains("<script") && !outside.contains("[x]("), "{line}");
    }
    let value: serde_json::Value = serde_json::from_str(&json(&answer)).expect("well-formed");
    assert_eq!(value["mx"][0], evil);
}

#[test]
fn every_code_is_in_the_documentation() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/doctor.md");
    let page = std::fs::read_to_string(&path).expect("the documentation is there");
    let mut table = String::from("| code | who acts as a rule | why it matters |\n|---|---|---|\n");
    for code in crate::verdict::codes::ALL {
        table.push_str(&format!("| `{}` | {} | {} |\n", code.word, actor(code.actor), code.why));
    }
    let (begin, end) = ("<!-- codes -->\n", "<!-- end of codes -->");
    let (head, rest) = page.split_once(begin).expect("the mark of the table");
    let (inside, tail) = rest.split_once(end).expect("the mark of its end");
    if std::env::var_os("SEALPOST_REWRITE").is_some() {
        std::fs::write(&path, format!("{head}{begin}{table}{end}{tail}")).expect("the page can be written");
    } else {
        assert_eq!(inside, table, "docs/doctor.md: run this test with SEALPOST_REWRITE=1");
    }
}
