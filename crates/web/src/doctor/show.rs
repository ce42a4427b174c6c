//! What was found, as pieces of the page.
//!
//! The doctor's findings are in English, and marked so; the steps and all around them are in the reader's language.

use super::words::{Words, words};
use crate::guide::Blocks;
use askama::Template;
use doctor::render::clean;
use doctor::seen::Reach;
use doctor::verdict::words as plain;
use doctor::{Actor, Answer, Exit, Finding, Level, Progress};
use proto::guide::Lang;
use proto::service::Protocol;
use proto::service::publish::Endpoint;

/// Characters of a line of progress.
const STEP_CHARS_MAX: usize = 200;

#[derive(Template)]
#[template(source = "<li lang=\"{{ lang }}\">{{ text }}</li>\n", ext = "html")]
struct Step {
    lang: &'static str,
    text: String,
}

#[derive(Template)]
#[template(path = "doctor-answer.html")]
struct Found {
    words: &'static Words,
    sentence: String,
    class: &'static str,
    settings: Vec<Setting>,
    findings: Vec<Seen>,
    steps: Option<(String, Blocks)>,
    sent: Vec<String>,
    took: String,
}

struct Setting {
    what: &'static str,
    host: String,
    port: u16,
    security: &'static str,
    method: &'static str,
    user: String,
}

struct Seen {
    class: &'static str,
    level: &'static str,
    seen: String,
    why: String,
    advice: String,
    actor: Option<&'static str>,
    places: String,
    code: &'static str,
}

/// A line of progress.
pub(super) fn step(step: &Progress, lang: Lang) -> String {
    let (of, text) = match step {
        Progress::Looked(source, what) => (Lang::En, format!("{source}: {what}")),
        Progress::Planned(count) => (lang, words(lang).planned.replace("{}", &count.to_string())),
        Progress::Probed(host, port, what) => (Lang::En, format!("{} {what}", plain::spot(host, *port))),
    };
    let text = clean(&text).chars().take(STEP_CHARS_MAX).collect();
    // Writing two texts to a String cannot fail.
    Step { lang: of.code(), text }.render().unwrap_or_default()
}

/// Takes out what tells of addresses that may not be asked: which names lead inside is nobody's business.
pub(super) fn without_inside(answer: &mut Answer) {
    for probe in &mut answer.probes {
        if probe.reach == Reach::Forbidden {
            probe.address = None;
        }
        // The doctor's own remarks name every address that was thought of.
        probe.transcript.retain(|line| line.who != '-');
    }
}

/// The answer.
pub(super) fn answer(answer: Answer, address: Option<&str>, lang: Lang) -> String {
    let words = words(lang);
    let class = match answer.exit {
        Exit::Fine => "fine",
        Exit::Change => "should",
        Exit::Broken => "broken",
        Exit::CannotTell => "unknown",
    };
    let steps = answer.steps.map(|page| {
        let blocks =
            Blocks { blocks: page.blocks, title: page.title.clone(), carried: String::new(), own: None };
        (page.title, blocks)
    });
    let found = Found {
        words,
        sentence: clean(&answer.sentence),
        class,
        settings: answer.settings.iter().map(|row| setting(row, address, words)).collect(),
        findings: answer.findings.iter().map(|finding| seen(finding, words)).collect(),
        steps,
        sent: answer.address_sent_to.iter().map(|text| clean(text)).collect(),
        took: words.took.replace("{}", &answer.took_millis.to_string()),
    };
    found.render().unwrap_or_else(|error| {
        tracing::error!(%error, "the doctor's answer cannot be rendered: this is a fault of the program");
        String::new()
    })
}

fn setting(row: &Endpoint, address: Option<&str>, words: &'static Words) -> Setting {
    Setting {
        what: if row.protocol == Protocol::Submission {
            words.sending
        } else {
            plain::protocol(row.protocol)
        },
        host: clean(&row.host),
        port: row.port,
        security: plain::security(row.protection),
        method: row.authentication.first().map_or("", |first| plain::authentication(*first)),
        user: clean(&plain::user(&row.user, address)),
    }
}

fn seen(finding: &Finding, words: &'static Words) -> Seen {
    let (class, level) = match finding.level {
        Level::Broken => ("broken", words.broken),
        Level::Should => ("should", words.should),
        Level::Note => ("note", words.note),
    };
    let places: Vec<String> = finding.places.iter().map(|place| clean(place)).collect();
    Seen {
        class,
        level,
        seen: clean(&finding.seen),
        why: clean(&finding.why),
        advice: clean(&finding.advice),
        actor: match finding.actor {
            Actor::You => Some(words.you),
            Actor::Provider => Some(words.provider),
            Actor::Network => Some(words.network),
            Actor::Nobody => None,
        },
        places: plain::list(&places, 4),
        code: finding.code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doctor::seen::Lookup;

    const EVIL: &str = "<script>alert(\"x\")</script>\u{202e}\u{1b}[2J";

    fn sample() -> Answer {
        let finding = Finding {
            code: "greeting-odd",
            level: Level::Broken,
            actor: Actor::Provider,
            places: vec![format!("{EVIL}:993")],
            seen: EVIL.to_owned(),
            why: EVIL.to_owned(),
            advice: EVIL.to_owned(),
        };
        let row = Endpoint {
            protocol: Protocol::Imap,
            host: EVIL.to_owned(),
            port: 993,
            protection: proto::service::Protection::Implicit,
            authentication: Vec::new(),
            user: proto::service::publish::UserForm::Other(EVIL.to_owned()),
        };
        Answer {
            sentence: EVIL.to_owned(),
            exit: Exit::Broken,
            settings: vec![row],
            findings: vec![finding],
            steps: None,
            address_sent_to: vec![EVIL.to_owned()],
            lookup: Lookup::default(),
            probes: Vec::new(),
            took_millis: 7,
        }
    }

    #[test]
    fn what_strangers_said_is_text() {
        for lang in Lang::ALL {
            let text = answer(sample(), Some("a\"b@example.com"), lang);
            assert!(
                !text.contains("<script") && !text.contains('\u{202e}') && !text.contains('\u{1b}'),
                "{text}"
            );
            // Sentence, host, user, finding in three sentences, place, where the address went.
            assert_eq!(text.matches("&#60;script&#62;").count(), 8, "{text}");
        }
        let line = step(&Progress::Probed(EVIL.to_owned(), 993, EVIL.to_owned()), Lang::En);
        assert!(!line.contains("<script") && line.starts_with("<li"), "{line}");
        let long = step(&Progress::Looked("x".repeat(5000), "y".to_owned()), Lang::En);
        assert!(long.len() < 300);
    }
}
