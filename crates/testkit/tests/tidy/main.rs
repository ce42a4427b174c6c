//! House rules that text can show (ARCHITECTURE.md, "Invariants").
//!
//! A breach says what to do instead. Where a rule must give way, the place stands
//! in `exceptions.txt` with its reason; an exception that is no longer needed fails
//! too. `SEALPOST_TIDY_ROOT` looks at another checkout.

mod rules;
mod source;
mod standards;

use rules::Breach;

const EXCEPTIONS: &str = include_str!("exceptions.txt");

struct Exception {
    rule: &'static str,
    place: &'static str,
    used: bool,
}

/// Lines `rule place reason of several words`.
fn exceptions() -> Vec<Exception> {
    EXCEPTIONS
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut words = line.split_whitespace();
            let (rule, place) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            assert!(words.count() >= 3, "exceptions.txt: \"{line}\" needs a reason in words");
            Exception { rule, place, used: false }
        })
        .collect()
}

#[test]
fn house_rules() {
    let mut exceptions = exceptions();
    let sources = source::all();
    assert!(sources.len() > 20, "the project was not found below {}", source::root().display());
    let excused = |breach: &Breach, exceptions: &mut [Exception]| {
        let found = exceptions.iter_mut().find(|e| e.rule == breach.rule && e.place == breach.place);
        found.map(|e| e.used = true).is_some()
    };
    let mut breaches = rules::breaches(&sources);
    breaches.retain(|breach| !excused(breach, &mut exceptions));
    let mut report: Vec<String> = breaches
        .iter()
        .map(|b| {
            format!("{}:{}: [{}] {}", b.place.split(':').next().unwrap_or_default(), b.line, b.rule, b.what)
        })
        .collect();
    for e in exceptions.iter().filter(|e| !e.used) {
        report.push(format!("exceptions.txt: {} {} is no longer needed: take the line out", e.rule, e.place));
    }
    assert!(report.is_empty(), "{} broken:\n{}", report.len(), report.join("\n"));
}
