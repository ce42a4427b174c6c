//! For a terminal: the sentence, the settings, the findings by weight, and with `verbose` how all that came about.

use super::{actor, clean, record};
use crate::verdict::words;
use crate::{Actor, Answer, Exit, Finding, Level};
use proto::service::Protocol;
use proto::service::publish::Endpoint;

/// Narrower is not wrapped well, wider is not read well.
const WIDTH_MIN: usize = 40;
const WIDTH_MAX: usize = 110;

/// Escape sequences, or none.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    fn level(self, level: Level, text: &str) -> String {
        match level {
            Level::Broken => self.with("1;31", text),
            Level::Should => self.with("1;33", text),
            Level::Note => self.with("36", text),
        }
    }

    fn exit(self, exit: Exit, text: &str) -> String {
        match exit {
            Exit::Fine => self.with("1;32", text),
            Exit::Change => self.with("1;33", text),
            Exit::Broken => self.with("1;31", text),
            Exit::CannotTell => self.with("1;35", text),
        }
    }
}

/// Renders.
pub fn render(answer: &Answer, colour: bool, verbose: bool, width: usize) -> String {
    let width = width.clamp(WIDTH_MIN, WIDTH_MAX);
    let paint = Paint(colour);
    let mut out = String::new();
    // Colour comes behind wrapping, so that sequences count for no columns.
    for line in wrap(&clean(&answer.sentence), width) {
        push(&mut out, &paint.exit(answer.exit, &line));
    }
    settings(answer, paint, &mut out);
    findings(answer, paint, width, &mut out);
    if let Some(page) = &answer.steps {
        out.push('\n');
        // Values in the page come from documents; its layout stays.
        let page = proto::guide::text(page, width);
        page.lines().for_each(|line| push(&mut out, &clean(line)));
    }
    if verbose {
        details(answer, paint, width, &mut out);
    }
    out
}

fn push(out: &mut String, line: &str) {
    out.push_str(line.trim_end());
    out.push('\n');
}

fn push_wrapped(out: &mut String, text: &str, indent: &str, width: usize) {
    for line in wrap(text, width.saturating_sub(indent.len())) {
        push(out, &format!("{indent}{line}"));
    }
}

/// Lines of at most `width` characters; a longer word stands alone.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut line, mut used) = (String::new(), 0);
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += length;
    }
    if used > 0 {
        lines.push(line);
    }
    lines
}

fn settings(answer: &Answer, paint: Paint, out: &mut String) {
    if answer.settings.is_empty() {
        return;
    }
    push(out, "");
    push(out, &paint.bold("What to type in (seen to work, best first)"));
    let rows: Vec<[String; 6]> = answer.settings.iter().map(row).collect();
    let head = ["", "server", "port", "security", "method", "user name"].map(str::to_owned);
    let width = |column: usize| {
        rows.iter().chain([&head]).map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    for (nth, row) in [&head].into_iter().chain(&rows).enumerate() {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| format!("{cell}{}", " ".repeat(width - cell.chars().count().min(width))))
            .collect();
        let line = format!("  {}", cells.join("  "));
        push(out, &if nth == 0 { paint.dim(line.trim_end()) } else { line });
    }
}

/// The cells of a setting.
fn row(row: &Endpoint) -> [String; 6] {
    let what = match row.protocol {
        Protocol::Submission => "sending",
        other => words::protocol(other),
    };
    let method = row.authentication.first().map_or("", |first| words::authentication(*first));
    [
        what.to_owned(),
        clean(&row.host),
        row.port.to_string(),
        words::security(row.protection).to_owned(),
        method.to_owned(),
        clean(&words::user(&row.user, None)),
    ]
}

fn findings(answer: &Answer, paint: Paint, width: usize, out: &mut String) {
    for level in [Level::Broken, Level::Should, Level::Note] {
        let of_level: Vec<&Finding> = answer.findings.iter().filter(|f| f.level == level).collect();
        if of_level.is_empty() {
            continue;
        }
        let title = match level {
            Level::Broken => "What is broken",
            Level::Should => "What should change",
            Level::Note => "Good to know",
        };
        push(out, "");
        push(out, &paint.bold(title));
        for finding in of_level {
            one(finding, paint, width, out);
        }
    }
}

fn one(finding: &Finding, paint: Paint, width: usize, out: &mut String) {
    let places: Vec<String> = finding.places.iter().map(|place| clean(place)).collect();
    let places = words::list(&places, 4);
    let mark = match finding.level {
        Level::Broken => "x",
        Level::Should => "!",
        Level::Note => "-",
    };
    let seen = wrap(&clean(&finding.seen), width - 4);
    for (nth, line) in seen.iter().enumerate() {
        let before = if nth == 0 { paint.level(finding.level, mark) } else { " ".to_owned() };
        push(out, &format!("  {before} {line}"));
    }
    push_wrapped(out, &clean(&finding.why), "    ", width);
    push_wrapped(out, &format!("To do: {}", clean(&finding.advice)), "    ", width);
    let act = match finding.actor {
        Actor::Nobody => String::new(),
        other => format!("; to act: {}", actor(other)),
    };
    let at = if places.is_empty() { String::new() } else { format!(" at {places}") };
    for line in wrap(&format!("{}{at}{act}", finding.code), width - 4) {
        push(out, &format!("    {}", paint.dim(&line)));
    }
}

fn details(answer: &Answer, paint: Paint, width: usize, out: &mut String) {
    push(out, "");
    push(out, &paint.bold("Looked up"));
    for looked in &answer.lookup.looked {
        push_wrapped(out, &clean(&record::looked(looked)), "  ", width);
    }
    if !answer.lookup.mx.is_empty() {
        push_wrapped(out, &clean(&format!("MX: {}", answer.lookup.mx.join(", "))), "  ", width);
    }
    push(out, "");
    push(out, &paint.bold("Probed"));
    for probe in &answer.probes {
        push_wrapped(out, &clean(&record::probe(probe)), "  ", width);
        // A transcript is what was said; it is not wrapped.
        for line in &probe.transcript {
            let text =
                format!("{:>6} ms {} {}", line.at_millis, clean(&line.who.to_string()), clean(&line.text));
            push(out, &format!("    {}", paint.dim(&text)));
        }
    }
    push(out, "");
    push(out, &format!("Took {} ms.", answer.took_millis));
}
