//! Gathers findings: the same thing seen at several places is one finding.

use super::codes::{self, Code};
use crate::{Actor, Finding, Level};

/// A finding and the clause in which it would be told in one sentence (begins small, no full stop).
#[derive(Clone, Debug)]
pub struct Draft {
    /// The finding.
    pub finding: Finding,
    /// `the certificate of mail.example.com expired on 3 March 2026; your provider must renew it`.
    pub headline: String,
}

/// What a judge says of one place.
#[derive(Clone, Debug)]
pub struct Said {
    /// What was seen, a sentence.
    pub seen: String,
    /// What to do, a sentence.
    pub advice: String,
    /// In one clause.
    pub headline: String,
}

/// All findings so far.
#[derive(Debug, Default)]
pub struct Finds(Vec<Draft>);

impl Finds {
    /// Adds what was seen at a place (empty: at no place) for the actor of the code.
    pub fn add(&mut self, code: &'static Code, level: Level, place: &str, said: Said) {
        self.add_for(code, level, code.actor, place, said);
    }

    /// The same for another actor.
    pub fn add_for(&mut self, code: &'static Code, level: Level, actor: Actor, place: &str, said: Said) {
        let same = |draft: &&mut Draft| draft.finding.code == code.word && draft.finding.seen == said.seen;
        if let Some(known) = self.0.iter_mut().find(same) {
            if level < known.finding.level {
                known.finding.level = level;
                known.finding.actor = actor;
                known.headline = said.headline;
            }
            if !place.is_empty() && !known.finding.places.iter().any(|p| p == place) {
                known.finding.places.push(place.to_owned());
            }
            return;
        }
        self.0.push(Draft {
            finding: Finding {
                code: code.word,
                level,
                actor,
                places: if place.is_empty() { Vec::new() } else { vec![place.to_owned()] },
                seen: said.seen,
                why: code.why.to_owned(),
                advice: said.advice,
            },
            headline: said.headline,
        });
    }

    /// The heaviest first; what weighs the same in the order of the catalogue.
    #[must_use]
    pub fn sorted(mut self) -> Vec<Draft> {
        self.0.sort_by_key(|draft| (draft.finding.level, codes::rank(draft.finding.code)));
        self.0
    }
}
