//! Looking settings up the ways clients do, all at once.
//!
//! One file a source. What must hold: all is over within `limits.lookup`, whatever the other side does; nothing but the domain
//! leaves the machine unless a source cannot do without the address, and then its row says so; an address of the inside
//! is never asked with [`Scope::Public`](crate::Scope::Public), however it was named. Which of the answers is right is for
//! `verdict` to say, and reading them for `proto::discovery`.

mod ask;
mod autoconfig;
mod autodiscover;
mod endpoints;
mod guess;
mod mx;
mod pacc;
mod plan;
mod srv;

pub use endpoints::Endpoints;
pub use plan::plan;

use crate::seen::{Looked, Lookup, Outcome, Source};
use crate::{Progress, Question};
use ask::Asker;
use futures_util::future::{BoxFuture, FutureExt, join_all};
use net::dns::Resolver;

/// Whether a source is on, which it is, and its asking.
type Asking<'a> = (bool, &'static [Source], BoxFuture<'a, Vec<Looked>>);

/// Told of every row as it comes.
type Told<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// Asks every source that the question allows, side by side, within `question.limits.lookup`. Where a host was named
/// there is nothing to look up: it is probed.
pub async fn look_up(question: &Question, resolver: &Resolver, progress: Told<'_>) -> Lookup {
    if question.is_host {
        return Lookup::default();
    }
    let asker = &Asker::new(question, resolver);
    let on = question.sources;
    let sources: [Asking<'_>; 6] = [
        (on.autoconfig, &[Source::Autoconfig, Source::WellKnown], autoconfig::by_domain(asker).boxed()),
        (on.ispdb, &[Source::IspDb], autoconfig::by_database(asker).boxed()),
        (on.autodiscover, &[Source::Autodiscover], autodiscover::pox(asker).boxed()),
        (on.autodiscover, &[Source::AutodiscoverJson], autodiscover::json(asker).boxed()),
        (on.pacc, &[Source::Pacc], pacc::pacc(asker).boxed()),
        (on.srv, &[Source::Srv], srv::srv(asker).boxed()),
    ];
    let rows = sources.into_iter().map(|(on, sources, asking)| told(progress, on, sources, asking));
    let (rows, (mx_rows, mx), (guess_rows, guessed)) =
        tokio::join!(join_all(rows), by_mx(asker, progress), guesses(asker, progress));
    let mut looked: Vec<Looked> = rows.into_iter().flatten().chain(mx_rows).chain(guess_rows).collect();
    looked.sort_by_key(|row| row.source);
    Lookup { looked, mx, guessed }
}

/// One source, or that it was switched off.
async fn told(
    progress: Told<'_>,
    on: bool,
    sources: &[Source],
    asking: BoxFuture<'_, Vec<Looked>>,
) -> Vec<Looked> {
    let rows = if on { asking.await } else { switched_off(sources) };
    for row in &rows {
        tell(progress, row);
    }
    rows
}

/// MX, and what is found by its domain.
async fn by_mx(asker: &Asker<'_>, progress: Told<'_>) -> (Vec<Looked>, Vec<String>) {
    let sources = asker.question.sources;
    if !sources.mx {
        let rows = switched_off(&[Source::AutoconfigMx, Source::Mx]);
        rows.iter().for_each(|row| tell(progress, row));
        return (rows, Vec::new());
    }
    let (row, hosts) = mx::mx(asker).await;
    tell(progress, &row);
    let mut rows = vec![row];
    let by_mx = autoconfig::by_mx(asker, hosts.first().map(String::as_str)).boxed();
    rows.extend(told(progress, sources.autoconfig, &[Source::AutoconfigMx], by_mx).await);
    (rows, hosts)
}

async fn guesses(asker: &Asker<'_>, progress: Told<'_>) -> (Vec<Looked>, Vec<String>) {
    if !asker.question.sources.guess {
        let rows = switched_off(&[Source::Guess]);
        rows.iter().for_each(|row| tell(progress, row));
        return (rows, Vec::new());
    }
    let (row, hosts) = guess::guess(asker).await;
    tell(progress, &row);
    (vec![row], hosts)
}

fn switched_off(sources: &[Source]) -> Vec<Looked> {
    let row = |source: &Source| not_asked(*source, "It was switched off.");
    sources.iter().map(row).collect()
}

fn not_asked(source: Source, why: &str) -> Looked {
    Looked { source, asked: String::new(), sent_address: false, outcome: Outcome::NotAsked(why.to_owned()) }
}

fn tell(progress: Told<'_>, row: &Looked) {
    progress(Progress::Looked(row.source.title().to_owned(), row.outcome.word().to_owned()));
}
