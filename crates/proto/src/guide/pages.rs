//! The pages that are no client's: ports, systems, failures.

use super::book::book;
use super::reader::Reader;
use super::{Block, Page, Span};
use crate::service::publish::{Endpoint, Published};
use crate::service::{Protection, Protocol, ports};

/// Ports that people ask about, in numeric order, with the key of what each is for.
const KNOWN: &[(u16, &str)] = &[
    (ports::SMTP, "ports.for-smtp"),
    (ports::SUBMISSION_26, "ports.for-alternate"),
    (ports::HTTP, "ports.for-http"),
    (ports::POP3, "ports.for-pop3"),
    (ports::IMAP, "ports.for-imap"),
    (ports::HTTPS, "ports.for-https"),
    (ports::SUBMISSIONS, "ports.for-submissions"),
    (ports::SUBMISSION, "ports.for-submission"),
    (ports::IMAPS, "ports.for-imaps"),
    (ports::POP3S, "ports.for-pop3s"),
    (ports::SUBMISSION_2025, "ports.for-alternate"),
    (ports::SUBMISSION_ALTERNATE, "ports.for-alternate"),
    (ports::SIEVE, "ports.for-sieve"),
];

/// Each port in numeric order: what it is for, what this service does there, what happens with a wrong setting.
pub(super) fn ports(reader: &Reader<'_>, published: &Published, either_way: &[u16]) -> Page {
    let rows = published.incoming.iter().chain(&published.outgoing);
    let web = published.web.as_deref().map(web_port);
    let mut numbers: Vec<u16> = KNOWN.iter().map(|(port, _)| *port).collect();
    numbers.extend(rows.clone().map(|row| row.port).chain(web));
    numbers.sort_unstable();
    numbers.dedup();
    let mut table = Vec::new();
    for port in numbers {
        let mut reader = reader.clone();
        reader.port = Some(port);
        let row = rows.clone().find(|row| row.port == port);
        let purpose = KNOWN.iter().find(|(known, _)| *known == port).map(|(_, key)| *key);
        let purpose = purpose.unwrap_or_else(|| own_purpose(row));
        let (here, wrong) = state(published, port, row, web);
        let wrong = if row.is_some() && either_way.contains(&port) { "ports.wrong-mended" } else { wrong };
        table.push(
            [port.to_string()].into_iter().chain([purpose, here, wrong].map(|key| reader.say(key))).collect(),
        );
    }
    let head = ["port", "for", "here", "wrong"].map(|column| reader.say(&format!("ports.head-{column}")));
    let blocks = vec![
        Block::Paragraph(reader.say_spans("ports.intro")),
        Block::Table(head.into(), table),
        Block::Note(reader.say_spans("ports.note")),
    ];
    Page { title: reader.say("ports.title"), lang: reader.lang, blocks }
}

/// What a port beside the registered ones is for.
fn own_purpose(row: Option<&Endpoint>) -> &'static str {
    match row.map(|row| (row.protocol, row.protection)) {
        Some((Protocol::Imap, Protection::Implicit)) => "ports.for-imaps",
        Some((Protocol::Imap, _)) => "ports.for-imap",
        Some((Protocol::Pop3, Protection::Implicit)) => "ports.for-pop3s",
        Some((Protocol::Pop3, _)) => "ports.for-pop3",
        Some((_, Protection::Implicit)) => "ports.for-submissions",
        Some(_) => "ports.for-submission",
        None => "ports.for-https",
    }
}

/// Keys of what the service does on a port, and of what a wrong setting leads to.
fn state(
    published: &Published,
    port: u16,
    row: Option<&Endpoint>,
    web: Option<u16>,
) -> (&'static str, &'static str) {
    let exchange = port == ports::SMTP && published.receives;
    match row.map(|row| row.protection) {
        Some(Protection::StartTls) if exchange => ("ports.here-exchange-both", "ports.wrong-starttls"),
        Some(Protection::Implicit) => ("ports.here-implicit", "ports.wrong-implicit"),
        Some(Protection::StartTls) => ("ports.here-starttls", "ports.wrong-starttls"),
        Some(Protection::Clear) => ("ports.here-clear", "ports.wrong-clear"),
        None if exchange => ("ports.here-exchange", "ports.wrong-exchange"),
        None if web == Some(port) => ("ports.here-web", "ports.wrong-web"),
        None if port == ports::HTTP && web == Some(ports::HTTPS) => {
            ("ports.here-plain-web", "ports.wrong-web")
        }
        None => ("ports.here-closed", "ports.wrong-closed"),
    }
}

/// The port of a URL of ours, `https://HOST[:PORT]`.
fn web_port(url: &str) -> u16 {
    let host = url.rsplit_once("//").map_or(url, |(_, host)| host);
    let own = host.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    own.unwrap_or(ports::HTTPS)
}

/// Which systems speak TLS 1.2, and what to do with older ones.
pub(super) fn systems(reader: &Reader<'_>) -> Page {
    let head = ["system", "general", "here"].map(|column| reader.say(&format!("systems.head-{column}")));
    let row =
        |row: &super::book::System| [&row.name, &row.general, &row.here].map(|text| reader.line(text)).into();
    let blocks = vec![
        Block::Paragraph(reader.say_spans("systems.intro")),
        Block::Table(head.into(), book().systems.iter().map(row).collect()),
        Block::Heading(2, reader.say("systems.old")),
        Block::List(reader.all(&book().advice)),
    ];
    Page { title: reader.say("systems.title"), lang: reader.lang, blocks }
}

/// Common failures and their cures.
pub(super) fn failures(reader: &Reader<'_>) -> Page {
    let mut blocks = vec![Block::Paragraph(reader.say_spans("failures.intro"))];
    for failure in &book().failures {
        blocks.push(Block::Heading(2, reader.line(&failure.seen)));
        if !failure.shows.is_empty() {
            let mut spans = vec![Span::Text(format!("{} ", reader.say("failures.shows")))];
            for (index, shown) in failure.shows.iter().enumerate() {
                let between = if index == 0 { "" } else { ", " };
                spans.extend([Span::Text(between.to_owned()), Span::Label(shown.clone())]);
            }
            spans.retain(|span| *span != Span::Text(String::new()));
            blocks.push(Block::Paragraph(spans));
        }
        blocks.push(Block::List(reader.all(&failure.cures)));
    }
    Page { title: reader.say("failures.title"), lang: reader.lang, blocks }
}
