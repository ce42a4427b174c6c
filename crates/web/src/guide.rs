//! The guide in HTML: `proto::guide`'s pages as they are, with a form that fills in the reader's own values.

use crate::Inner;
use crate::answer::Answer;
use crate::ask::Ask;
use crate::page::{self, Layout};
use crate::words::{Words, words};
use askama::Template;
use http::StatusCode;
use proto::address::Address;
use proto::guide::{self, Block, Page, Span};
use proto::service::Protocol;
use proto::service::publish::Published;

#[derive(Template)]
#[template(path = "guide.html")]
struct GuidePage {
    layout: Layout,
    words: &'static Words,
    blocks: Blocks,
    /// What the form shows.
    address: String,
    mistake: Option<String>,
    lang_asked: Option<&'static str>,
}

/// The content of a page of the guide. It is escaped when it is rendered, so templates take it as it is.
#[derive(Template)]
#[template(path = "blocks.html")]
pub(crate) struct Blocks {
    pub blocks: Vec<Block>,
    /// Names tables for those who cannot see them.
    pub title: String,
    /// What links inside carry on.
    pub carried: String,
    /// Start of our own pages' addresses.
    pub own: Option<String>,
}

impl Blocks {
    /// A link of the guide as one of the web: paths are below `/guide/`; those to our own pages carry
    /// language and address on.
    fn href(&self, to: &str) -> String {
        let ours = self.own.as_deref().and_then(|own| to.strip_prefix(own));
        if let Some(path) = ours.filter(|path| path.starts_with('/')) {
            return format!("{path}{}", self.carried);
        }
        if to.starts_with("https://") || to.starts_with("http://") || to.starts_with("mailto:") {
            return to.to_owned();
        }
        format!("/guide/{}{}", to.trim_start_matches('/'), self.carried)
    }
}

/// The page below `/guide/`.
pub(crate) fn answer(web: &Inner, ask: &Ask, path: &str) -> Answer {
    let words = words(ask.lang());
    let (address, mistake) = match ask.address("address") {
        None => (None, None),
        Some(Ok(address)) => (Some(address), None),
        Some(Err(_)) => (None, Some(words.address_bad.to_owned())),
    };
    let (published, address, mistake) = match web.published(ask, address.as_ref()) {
        Ok(published) => (published, address, mistake),
        Err(domain) => match web.published(ask, None) {
            Ok(published) => (published, None, Some(words.address_foreign.replace("{}", &domain))),
            Err(_) => return page::not_found(web, ask),
        },
    };
    let own = published.web.clone();
    let Some(page) = find(&published, path, address.as_ref(), ask) else {
        return page::not_found(web, ask);
    };
    let status = if mistake.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let layout = Layout::new(web, ask, &page.title);
    let blocks = Blocks { blocks: page.blocks, title: page.title, carried: layout.carried.clone(), own };
    let shown = GuidePage {
        layout,
        words,
        blocks,
        address: ask.query("address").unwrap_or_default().to_owned(),
        mistake,
        lang_asked: ask.asked_lang().map(guide::Lang::code),
    };
    page::general(page::html(status, shown.render()), ask)
}

fn find(published: &Published, path: &str, address: Option<&Address>, ask: &Ask) -> Option<Page> {
    let lang = ask.lang();
    let address = address.map(ToString::to_string);
    Some(match path {
        "" => guide::index(published, lang),
        "ports" => guide::ports(published, lang),
        "systems" => guide::systems(published, lang),
        "failures" => guide::failures(published, lang),
        _ => {
            let (client, way, incoming) = guide::place(path)?;
            let page = |incoming| guide::page(published, client, way, incoming, address.as_deref(), lang);
            let other = if incoming == Protocol::Imap { Protocol::Pop3 } else { Protocol::Imap };
            // A protocol that is not offered: the other one's page is what helps.
            page(incoming).or_else(|| page(other))?
        }
    })
}
