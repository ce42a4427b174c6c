//! Markdown for a ticket: the same order as in a terminal.

use super::{actor, clean, exit, level, record};
use crate::Answer;
use crate::verdict::words;
use proto::guide::{Block, Page, Span};
use proto::service::Protocol;

/// Renders.
pub fn render(answer: &Answer, verbose: bool) -> String {
    let mut out = format!("**{}** ({})\n", escape(&answer.sentence), exit(answer.exit));
    settings(answer, &mut out);
    findings(answer, &mut out);
    if let Some(page) = &answer.steps {
        steps(page, &mut out);
    }
    if verbose {
        details(answer, &mut out);
    }
    out
}

/// Text without anything that Markdown or HTML would read as markup.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            other => out.push(other),
        }
    }
    out
}

/// A value in a code span, which knows no escapes: backquotes become quotes.
fn code(text: &str) -> String {
    format!("`{}`", clean(text).replace('`', "'").replace('|', "/"))
}

fn settings(answer: &Answer, out: &mut String) {
    if answer.settings.is_empty() {
        return;
    }
    out.push_str("\n## Settings that were seen to work\n\n| | server | port | security | method | user name |\n|---|---|---|---|---|---|\n");
    for row in &answer.settings {
        let what = match row.protocol {
            Protocol::Submission => "sending",
            other => words::protocol(other),
        };
        let method = row.authentication.first().map_or("", |first| words::authentication(*first));
        out.push_str(&format!(
            "| {what} | {} | {} | {} | {method} | {} |\n",
            code(&row.host),
            row.port,
            words::security(row.protection),
            escape(&words::user(&row.user, None))
        ));
    }
}

fn findings(answer: &Answer, out: &mut String) {
    if answer.findings.is_empty() {
        return;
    }
    out.push_str("\n## Findings\n");
    for finding in &answer.findings {
        let places: Vec<String> = finding.places.iter().map(|place| code(place)).collect();
        out.push_str(&format!(
            "\n* **{}** {} ({})\n  {}\n  To act: {}. {}\n",
            level(finding.level),
            escape(&finding.seen),
            [vec![code(finding.code)], places].concat().join(", "),
            escape(&finding.why),
            actor(finding.actor),
            escape(&finding.advice)
        ));
    }
}

fn spans(spans: &[Span]) -> String {
    spans
        .iter()
        .map(|span| match span {
            Span::Text(text) => escape(text),
            Span::Label(text) => format!("**{}**", escape(text)),
            Span::Value(text) => code(text),
            // Paths below a guide lead nowhere from a ticket.
            Span::Link(text, to) if to.starts_with("https://") => {
                format!("{} ({})", escape(text), escape(to))
            }
            Span::Link(text, _) => escape(text),
        })
        .collect()
}

fn steps(page: &Page, out: &mut String) {
    out.push_str(&format!("\n## {}\n", escape(&page.title)));
    for block in &page.blocks {
        out.push('\n');
        match block {
            Block::Heading(depth, text) => {
                let depth = usize::from(*depth).clamp(2, 5) + 1;
                out.push_str(&format!("{} {}\n", "#".repeat(depth), escape(text)));
            }
            Block::Paragraph(text) => out.push_str(&format!("{}\n", spans(text))),
            Block::Note(text) => out.push_str(&format!("> {}\n", spans(text))),
            Block::Steps(items) => {
                for (nth, item) in items.iter().enumerate() {
                    out.push_str(&format!("{}. {}\n", nth + 1, spans(item)));
                }
            }
            Block::List(items) => items.iter().for_each(|item| out.push_str(&format!("* {}\n", spans(item)))),
            Block::Values(values) => {
                values.iter().for_each(|(name, value)| {
                    out.push_str(&format!("* {}: {}\n", escape(name), code(value)));
                });
            }
            Block::Table(head, rows) => {
                let line = |cells: &[String]| {
                    let cells: Vec<String> = cells.iter().map(|cell| escape(cell)).collect();
                    format!("| {} |\n", cells.join(" | "))
                };
                out.push_str(&line(head));
                out.push_str(&format!("|{}\n", "---|".repeat(head.len())));
                rows.iter().for_each(|row| out.push_str(&line(row)));
            }
        }
    }
}

fn details(answer: &Answer, out: &mut String) {
    out.push_str("\n## Looked up\n\n");
    for looked in &answer.lookup.looked {
        out.push_str(&format!("* {}\n", escape(&record::looked(looked))));
    }
    out.push_str("\n## Probed\n\n");
    for probe in &answer.probes {
        out.push_str(&format!("* {}\n", escape(&record::probe(probe))));
        if probe.transcript.is_empty() {
            continue;
        }
        // An indented block cannot be left by what stands in it, as a fenced one can.
        out.push('\n');
        for line in &probe.transcript {
            let (who, text) = (clean(&line.who.to_string()), clean(&line.text));
            out.push_str(&format!("      {:>6} ms {who} {text}\n", line.at_millis));
        }
        out.push('\n');
    }
    out.push_str(&format!("\nTook {} ms.\n", answer.took_millis));
}
