//! The page of one client, and the index that leads to it.

use super::book::{Client, book};
use super::reader::{Reader, name};
use super::{Block, Page, Span, Way, path};
use crate::service::Protocol;
use crate::service::publish::{Endpoint, Published};

/// The guide's index.
pub(super) fn index(reader: &Reader<'_>, published: &Published) -> Page {
    let mut blocks = vec![Block::Paragraph(reader.say_spans("words.index-intro"))];
    let protocol = if published.first(Protocol::Imap).is_some() { Protocol::Imap } else { Protocol::Pop3 };
    let mut items = Vec::new();
    for client in &book().clients {
        let link = |key: &str, way| Span::Link(reader.say(key), path(client.id, way, protocol));
        items.push(vec![
            Span::Text(format!("{}: ", reader.line(&client.name))),
            link("words.index-new", Way::New),
            Span::Text(" · ".to_owned()),
            link("words.index-switch", Way::Switch),
        ]);
    }
    blocks.push(Block::Heading(2, reader.say("words.index-clients")));
    blocks.push(Block::List(items));
    blocks.push(Block::Heading(2, reader.say("words.index-values")));
    blocks.push(Block::Paragraph(reader.say_spans("words.index-values-intro")));
    let mut generic = reader.clone();
    for protocol in [Protocol::Imap, Protocol::Pop3] {
        if let Some(row) = published.first(protocol) {
            generic.incoming = Some(row);
            blocks.push(Block::Heading(3, generic.say("words.values-in")));
            blocks.push(incoming_values(&generic, row));
        }
    }
    if let Some(row) = published.outgoing.first() {
        blocks.push(Block::Heading(3, generic.say("words.values-out")));
        blocks.push(outgoing_values(&generic, row));
    }
    blocks.push(Block::Heading(2, reader.say("words.index-more")));
    let more = ["words.index-systems", "words.index-failures", "words.index-ports"];
    blocks.push(Block::List(more.map(|key| reader.say_spans(key)).into()));
    Page { title: reader.say("words.index-title"), lang: reader.lang, blocks }
}

/// The steps of one client.
pub(super) fn page(
    reader: &Reader<'_>,
    published: &Published,
    client: &Client,
    way: Way,
    incoming: &Endpoint,
) -> Page {
    let (title, steps) = match way {
        Way::New => ("words.title-new", &client.new),
        Way::Switch => ("words.title-switch", &client.switch),
    };
    let mut page = Page { title: reader.say(title), lang: reader.lang, blocks: Vec::new() };
    let blocks = &mut page.blocks;
    if incoming.protocol == Protocol::Pop3 && !client.pop3 {
        blocks.push(Block::Note(reader.say_spans("words.no-pop3")));
        let to = path(client.id, way, Protocol::Imap);
        if published.first(Protocol::Imap).is_some() {
            blocks.push(Block::Paragraph(vec![Span::Link(reader.say("words.no-pop3-link"), to)]));
        }
        return page;
    }
    let intro = if way == Way::New { "words.intro-new" } else { "words.intro-switch" };
    blocks.push(Block::Paragraph(reader.say_spans(intro)));
    if way == Way::New {
        blocks.extend(reader.all(&client.about).into_iter().map(Block::Paragraph));
    } else {
        let changes = ["words.change-type", "words.change-in", "words.change-out", "words.change-login"];
        let texts: Vec<_> = changes.iter().filter_map(|key| book().words.get(*key)).cloned().collect();
        blocks.push(Block::List(reader.all(&texts)));
    }
    let other = if incoming.protocol == Protocol::Imap { Protocol::Pop3 } else { Protocol::Imap };
    if published.first(other).is_some() && (other == Protocol::Imap || client.pop3) {
        let key = if other == Protocol::Imap { "words.other-imap" } else { "words.other-pop3" };
        let link = Span::Link(reader.say(key), path(client.id, way, other));
        blocks.push(Block::Paragraph(vec![link]));
    }
    if reader.shut_out() {
        blocks.push(Block::Note(reader.say_spans("words.shut-out")));
    }
    if reader.needs_oauth() {
        blocks.push(Block::Note(reader.say_spans("words.needs-oauth")));
    }
    blocks.push(Block::Heading(2, reader.say("words.values")));
    blocks.push(Block::Heading(3, reader.say("words.values-in")));
    blocks.push(incoming_values(reader, incoming));
    if let Some(row) = reader.outgoing {
        blocks.push(Block::Heading(3, reader.say("words.values-out")));
        blocks.push(outgoing_values(reader, row));
    }
    blocks.push(Block::Heading(2, reader.say("words.steps")));
    blocks.push(Block::Steps(reader.all(steps)));
    blocks.extend(reader.all(&client.notes).into_iter().map(Block::Note));
    blocks.push(Block::Heading(2, reader.say("words.help")));
    let help = ["words.help-failures", "words.help-systems", "words.help-ports"];
    blocks.push(Block::List(help.map(|key| reader.say_spans(key)).into()));
    page
}

fn incoming_values(reader: &Reader<'_>, row: &Endpoint) -> Block {
    let mut values = vec![
        (reader.say("words.field-type"), name(row.protocol).to_owned()),
        (reader.field("in-host"), row.host.clone()),
        (reader.field("in-port"), row.port.to_string()),
        (reader.field("in-security"), reader.security(row)),
    ];
    values.extend(login(reader, row));
    Block::Values(values)
}

fn outgoing_values(reader: &Reader<'_>, row: &Endpoint) -> Block {
    let mut values = vec![
        (reader.field("out-host"), row.host.clone()),
        (reader.field("out-port"), row.port.to_string()),
        (reader.field("out-security"), reader.security(row)),
        (reader.say("words.field-login"), reader.say("words.yes")),
    ];
    values.extend(login(reader, row));
    Block::Values(values)
}

/// The user name, and how to log in where the client lets one choose or the service is particular.
fn login(reader: &Reader<'_>, row: &Endpoint) -> Vec<(String, String)> {
    let mut values = vec![(reader.field("user"), reader.user(row))];
    if reader.names_authentication() || super::reader::challenge_only(row) {
        values.push((reader.field("authentication"), reader.authentication(row)));
    }
    values
}
