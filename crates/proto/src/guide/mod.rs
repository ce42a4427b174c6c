//! The guide: for each client the exact steps, with this service's values filled in.
//!
//! The steps are data, one file a client (`clients/*.toml`), texts in all
//! [`Lang`]s; a test fails on a missing one. What is rendered here is a page as
//! values ([`Page`]); HTML, the terminal and the doctor make of it what they need.
//! No text names a host or a port: all of them come from a [`Published`].

mod book;
mod client;
mod lang;
mod pages;
mod reader;
mod text;
mod words;

pub use lang::Lang;
pub use text::text;

use crate::service::Protocol;
use crate::service::publish::Published;
use reader::Reader;

/// Why the reader came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// Set up a new account.
    New,
    /// The account is there: switch it to SSL/TLS.
    Switch,
}

/// One client that the guide knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Word in URLs and on the command line: `apple-mail-ios`.
    pub id: String,
    /// Its name: `Mail on iPhone and iPad`.
    pub name: String,
}

/// A page for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Title.
    pub title: String,
    /// Language of all its texts.
    pub lang: Lang,
    /// From top to bottom.
    pub blocks: Vec<Block>,
}

/// A part of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A heading; 2 or 3.
    Heading(u8, String),
    /// Running text.
    Paragraph(Vec<Span>),
    /// Numbered steps.
    Steps(Vec<Vec<Span>>),
    /// A list without order.
    List(Vec<Vec<Span>>),
    /// Values to copy: what the field is called, the value.
    Values(Vec<(String, String)>),
    /// A table with its heading row.
    Table(Vec<String>, Vec<Vec<String>>),
    /// Something that must not be overlooked.
    Note(Vec<Span>),
}

/// A piece of running text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Words.
    Text(String),
    /// What the client shows: a menu, a button, a field.
    Label(String),
    /// Something to type or copy.
    Value(String),
    /// A link: words, where to (a path below the guide as [`path`] makes it or the name of a
    /// page, `failures`, `systems`, `ports`, without a slash before it; or a URL).
    Link(String, String),
}

/// The clients in the order of the guide's index.
#[must_use]
pub fn clients(lang: Lang) -> Vec<Client> {
    book::book().clients.iter().map(|client| known(client, lang)).collect()
}

/// The client that a person means by a word: its id, or another name of it (`outlook`, `apple`, `ios`, `k9`), in any letter case.
/// Its name is the English one; [`page`]'s title has the one of the reader's language.
#[must_use]
pub fn find(word: &str) -> Option<Client> {
    let same = |name: &str| name.eq_ignore_ascii_case(word.trim());
    let clients = &book::book().clients;
    let by_id = clients.iter().find(|client| same(client.id));
    by_id
        .or_else(|| clients.iter().find(|client| client.aliases.iter().any(|alias| same(alias))))
        .map(|c| known(c, Lang::En))
}

/// The path of a client's page below the guide: `thunderbird`, `thunderbird/switch`, `thunderbird/switch/pop3`.
#[must_use]
pub fn path(client: &str, way: Way, incoming: Protocol) -> String {
    let mut path = client.to_owned();
    if way == Way::Switch {
        path.push_str("/switch");
    }
    if incoming == Protocol::Pop3 {
        path.push_str("/pop3");
    }
    path
}

/// What a path of a client's page names; `None` if [`path`] would not make it for a client that there is.
#[must_use]
pub fn place(path: &str) -> Option<(&str, Way, Protocol)> {
    let (rest, incoming) =
        path.strip_suffix("/pop3").map_or((path, Protocol::Imap), |rest| (rest, Protocol::Pop3));
    let (client, way) = rest.strip_suffix("/switch").map_or((rest, Way::New), |rest| (rest, Way::Switch));
    book::book().clients.iter().any(|c| c.id == client).then_some((client, way, incoming))
}

/// The guide's index.
#[must_use]
pub fn index(published: &Published, lang: Lang) -> Page {
    client::index(&Reader::new(published, lang), published)
}

/// The steps of one client. `address` fills in the reader's own values; without it a neutral one stands.
/// `None`: no such client, or the protocol is not offered (then the other one's page is what to show).
#[must_use]
pub fn page(
    published: &Published,
    client: &str,
    way: Way,
    incoming: Protocol,
    address: Option<&str>,
    lang: Lang,
) -> Option<Page> {
    let client = book::book().clients.iter().find(|known| known.id == client)?;
    let reader = Reader::new(published, lang).with_client(client, incoming).with_address(address);
    let row = reader.incoming.filter(|row| matches!(row.protocol, Protocol::Imap | Protocol::Pop3))?;
    Some(client::page(&reader, published, client, way, row))
}

/// Each port in numeric order, with what this service does on it.
#[must_use]
pub fn ports(published: &Published, lang: Lang) -> Page {
    ports_mended(published, &[], lang)
}

/// The same, where one knows on which ports the service takes both kinds of encryption
/// ([`crate::service::Listener::either_way`]): people are told that there the other kind works too.
#[must_use]
pub fn ports_mended(published: &Published, either_way: &[u16], lang: Lang) -> Page {
    pages::ports(&Reader::new(published, lang), published, either_way)
}

/// Which systems speak TLS 1.2, and what to do with older ones.
#[must_use]
pub fn systems(published: &Published, lang: Lang) -> Page {
    pages::systems(&Reader::new(published, lang))
}

/// Common failures and their cures.
#[must_use]
pub fn failures(published: &Published, lang: Lang) -> Page {
    pages::failures(&Reader::new(published, lang))
}

fn known(client: &book::Client, lang: Lang) -> Client {
    Client { id: client.id.to_owned(), name: client.name.words_alone(lang) }
}

#[cfg(test)]
mod tests;
