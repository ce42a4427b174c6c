//! What is wanted held against what resolvers say, each difference in plain words.
//!
//! Only values are compared here. What makes no difference is passed over: how long
//! records are kept, priorities and weights, texts of others at the same name, the
//! order of tags. A name may point to the service by CNAME or by its addresses. The
//! answers are hostile: hosts and texts are repeated cut and without control characters.

mod hosts;
#[cfg(test)]
mod tests;
mod texts;

use super::{Data, Kind, Record, Wanted, Weight, spf, write};

/// Questions that SPF's includes may add (twice what a receiver looks up, so that an excess is seen).
const FURTHER_MAX: usize = 2 * spf::LOOKUPS_MAX;

/// What has to be asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// Name without final dot.
    pub name: String,
    /// Kind.
    pub kind: Kind,
}

/// What a resolver said to a question: its records (none if there are none), or why it did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The question.
    pub question: Question,
    /// Data found (a CNAME followed, unless CNAME was the question), or a sentence.
    pub found: Result<Vec<Data>, String>,
    /// A proof by DNSSEC was asked for, and there is none.
    pub unproven: bool,
}

/// What kind of difference it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing is there.
    Missing,
    /// Something else is there.
    Other,
    /// What is wanted is there, and something beside it that should not be.
    Extra,
    /// There are several where only one may be.
    Several,
    /// It is there, but nobody can read it.
    Syntax,
    /// It is there, and worth nothing without a proof by DNSSEC.
    Unproven,
    /// The resolver did not answer.
    Unknown,
}

/// One difference, explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: Kind,
    /// What kind of difference.
    pub fault: Fault,
    /// How much it matters.
    pub weight: Weight,
    /// What is so, one or two sentences.
    pub text: String,
    /// Who must do what, a sentence.
    pub remedy: String,
}

/// What has to be asked to compare, each question once.
#[must_use]
pub fn questions(wanted: &[Wanted]) -> Vec<Question> {
    let mut out: Vec<Question> = Vec::new();
    let mut ask = |name: &str, kind| {
        let question = Question { name: asked(name), kind };
        if !out.contains(&question) {
            out.push(question);
        }
    };
    for Record { name, data } in wanted.iter().map(|wanted| &wanted.record) {
        ask(name, data.kind());
        match data {
            // Neither the domain nor the MX host may be an alias.
            Data::Mx { host, .. } => {
                ask(name, Kind::Cname);
                ask(host, Kind::Cname);
            }
            // Instead of the alias there may be what it points to.
            Data::Cname(target) => {
                let kind =
                    if name.starts_with('_') || name.contains("._") { Kind::Txt } else { Kind::Address };
                ask(name, kind);
                ask(target, kind);
            }
            _ => {}
        }
    }
    out
}

/// What has to be asked besides, now that these answers are there: what the SPF records include. None when all is known.
#[must_use]
pub fn further(wanted: &[Wanted], answers: &[Answer]) -> Vec<Question> {
    let said = Said(answers);
    let asked_for_more = answers.len().saturating_sub(questions(wanted).len());
    let mut out: Vec<Question> = Vec::new();
    for Record { name, data } in wanted.iter().map(|wanted| &wanted.record) {
        if matches!(data, Data::Txt(text) if spf::is_spf(text)) {
            for name in spf::walk(name, |name| texts::spf_text(&said, name)).open {
                let question = Question { name, kind: Kind::Txt };
                if !out.contains(&question) {
                    out.push(question);
                }
            }
        }
    }
    out.truncate(FURTHER_MAX.saturating_sub(asked_for_more));
    out
}

/// The differences, in the order of what is wanted.
#[must_use]
pub fn compare(wanted: &[Wanted], answers: &[Answer]) -> Vec<Difference> {
    let mut report = Report { wanted, said: Said(answers), out: Vec::new() };
    let mut seen: Vec<(&str, Kind)> = Vec::new();
    for Wanted { record, weight, .. } in wanted {
        let group = (record.name.as_str(), record.data.kind());
        if seen.contains(&group) {
            continue;
        }
        seen.push(group);
        let all: Vec<&Data> = wanted
            .iter()
            .map(|wanted| &wanted.record)
            .filter(|r| (r.name.as_str(), r.data.kind()) == group)
            .map(|r| &r.data)
            .collect();
        let place = Place { name: &record.name, kind: group.1, weight: *weight };
        match report.said.get(&record.name, group.1) {
            Ok(found) => {
                judge(&mut report, place, &all, found);
                if report.said.is_unproven(&record.name, group.1) {
                    hosts::unproven(&mut report, place, found);
                }
            }
            Err(why) => report.add(
                place,
                Fault::Unknown,
                format!("What stands at {} could not be found out: {why}", record.name),
                "Try again later, or from another network.".to_owned(),
            ),
        }
    }
    report.out
}

fn judge(report: &mut Report<'_>, place: Place<'_>, wanted: &[&Data], found: &[Data]) {
    match place.kind {
        Kind::Address => hosts::addresses(report, place, wanted, found),
        Kind::Cname => hosts::alias(report, place, wanted, found),
        Kind::Mx => hosts::mx(report, place, wanted, found),
        Kind::Srv => hosts::srv(report, place, wanted, found),
        Kind::Tlsa => hosts::tlsa(report, place, wanted, found),
        Kind::Caa => hosts::caa(report, place, wanted, found),
        Kind::Txt => texts::txt(report, place, wanted, found),
    }
}

/// Where a difference is.
#[derive(Clone, Copy)]
struct Place<'a> {
    name: &'a str,
    kind: Kind,
    weight: Weight,
}

/// Differences as they are found.
struct Report<'a> {
    wanted: &'a [Wanted],
    said: Said<'a>,
    out: Vec<Difference>,
}

impl Report<'_> {
    fn add(&mut self, place: Place<'_>, fault: Fault, text: String, remedy: String) {
        self.out.push(Difference {
            name: place.name.to_owned(),
            kind: place.kind,
            fault,
            weight: place.weight,
            text,
            remedy,
        });
    }

    /// Nothing is there: all of it has to be added.
    fn missing(&mut self, place: Place<'_>, wanted: &[&Data]) {
        let kind = wanted.first().map_or("record", |data| data.type_name());
        let text = format!("{} has no {kind} record.", place.name);
        self.add(place, Fault::Missing, text, add_to_zone(place.name, wanted));
    }
}

/// The answers, by question.
struct Said<'a>(&'a [Answer]);

impl<'a> Said<'a> {
    fn is_unproven(&self, name: &str, kind: Kind) -> bool {
        let name = asked(name);
        self.0.iter().any(|a| a.question.name == name && a.question.kind == kind && a.unproven)
    }

    /// What was found, or a sentence why it is not known.
    fn get(&self, name: &str, kind: Kind) -> Result<&'a [Data], &'a str> {
        let name = asked(name);
        match self.0.iter().find(|a| a.question.name == name && a.question.kind == kind) {
            Some(Answer { found: Ok(found), .. }) => Ok(found),
            Some(Answer { found: Err(why), .. }) => Err(why),
            None => Err("it was not asked."),
        }
    }
}

/// A wildcard cannot be seen but in a name that it covers.
fn asked(name: &str) -> String {
    match name.strip_prefix("*.") {
        Some(rest) => format!("autoconfig.{rest}"),
        None => name.to_owned(),
    }
}

/// "In the zone of … add: …".
fn add_to_zone(name: &str, data: &[&Data]) -> String {
    let lines: Vec<String> = data.iter().map(|d| line(name, d)).collect();
    format!("Whoever keeps the zone with {name} has to add: {}", lines.join(" and "))
}

/// "Replace … by …".
fn replace(name: &str, found: &[&Data], data: &[&Data]) -> String {
    let old: Vec<String> = found.iter().map(|d| format!("{} {}", d.type_name(), write::value(d))).collect();
    let new: Vec<String> = data.iter().map(|d| format!("{} {}", d.type_name(), write::value(d))).collect();
    format!(
        "Whoever keeps the zone with {name} has to replace {} by {}",
        cut(&old.join(" and ")),
        new.join(" and ")
    )
}

/// "Take out …".
fn take_out(name: &str, data: &[&Data]) -> String {
    let lines: Vec<String> = data.iter().map(|d| format!("{} {}", d.type_name(), write::value(d))).collect();
    format!("Whoever keeps the zone with {name} has to take out {}", cut(&lines.join(" and ")))
}

fn line(name: &str, data: &Data) -> String {
    format!("{name}. {} {}", data.type_name(), write::value(data))
}

/// What strangers wrote, bounded; `write::value` has escaped it.
fn cut(text: &str) -> String {
    crate::discovery::kept(text)
}

/// The same name, whatever the letter case and the final dot.
fn same(a: &str, b: &str) -> bool {
    a.trim_end_matches('.').eq_ignore_ascii_case(b.trim_end_matches('.'))
}
