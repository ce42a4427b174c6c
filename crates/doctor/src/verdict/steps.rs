//! The steps for the person's client, from the guide, with the settings that were seen to work.

use super::view::View;
use proto::guide::{self, Page, Way};
use proto::service::Protocol;
use proto::service::publish::Published;

/// The page, if a client was named that the guide knows and there are settings for it. `switch`: the account is there already.
#[must_use]
pub fn steps(view: &View<'_>, switch: bool) -> Option<Page> {
    let question = view.question;
    let client = guide::find(question.client.as_deref()?)?;
    let published = published(view)?;
    let wanted = question.now.iter().map(|now| now.protocol);
    let wanted = wanted.chain([Protocol::Imap, Protocol::Pop3]).filter(|p| *p != Protocol::Submission);
    let way = if switch { Way::Switch } else { Way::New };
    let mut pages = wanted.filter_map(|incoming| {
        guide::page(&published, &client.id, way, incoming, question.address.as_deref(), question.lang)
    });
    pages.next()
}

/// The provider's service as far as it was seen to work.
fn published(view: &View<'_>) -> Option<Published> {
    let domain = view.question.domain.clone();
    let (outgoing, incoming): (Vec<_>, Vec<_>) =
        view.settings.iter().cloned().partition(|row| row.protocol == Protocol::Submission);
    let host = incoming.first().or(outgoing.first())?.host.clone();
    let named = view.documents().find_map(|(_, document)| document.provider.clone());
    let provider = view.provider.map(|p| p.name.clone()).or(named).unwrap_or_else(|| domain.clone());
    Some(Published {
        domain,
        provider,
        host,
        incoming,
        outgoing,
        web: None,
        receives: !view.lookup.mx.is_empty(),
    })
}
