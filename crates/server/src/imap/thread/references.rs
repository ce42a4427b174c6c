//! REFERENCES (RFC 5256 section 3), its six steps.
//!
//! What must hold: no cycle, whatever messages refer to; no recursion; cost that grows with the number of references and not
//! with the depth of threads, up to sorting.

use super::Message;
use super::forest::{Forest, Node};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Levels that are walked up to see whether a link would close a circle; beyond, it is not made. Replies that come in
/// their order are linked without a walk, however deep.
const WALK_MAX: usize = 1000;

/// Threads messages that are in the order of their mailbox.
pub(crate) fn thread(messages: &[Message<'_>]) -> Forest {
    let mut links = Links::of(messages);
    let children = links.children();
    let mut tree = Tree { messages, forest: prune(&mut links, children) };
    tree.sort_roots();
    tree.gather_subjects();
    tree.sort_all();
    tree.forest
}

/// No node.
const NONE: u32 = u32::MAX;

/// Step 1: who answers whom, as links upwards. Node `n` below the number of messages is message `n`; those beyond are known by
/// references alone.
struct Links {
    parent: Vec<u32>,
    /// How many have it as parent: who has none below is above nobody.
    below: Vec<u32>,
    messages: u32,
}

impl Links {
    fn of(messages: &[Message<'_>]) -> Links {
        let count = messages.len() as u32;
        let mut links =
            Links { parent: vec![NONE; messages.len()], below: vec![0; messages.len()], messages: count };
        let mut ids: HashMap<&str, u32> = HashMap::with_capacity(messages.len());
        for (at, message) in (0u32..).zip(messages) {
            // A second message with an id that is taken counts as one without.
            if let Some(id) = &message.id {
                ids.entry(&**id).or_insert(at);
            }
        }
        for (at, message) in (0u32..).zip(messages) {
            let mut last = NONE;
            for id in &message.references {
                let node = match ids.entry(&**id) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(unknown) => *unknown.insert(links.dummy()),
                };
                if last != NONE && links.parent[node as usize] == NONE {
                    links.link(last, node);
                }
                last = node;
            }
            // What was guessed from others' references gives way to what the message itself says.
            links.unlink(at);
            if last != NONE {
                links.link(last, at);
            }
        }
        links
    }

    fn dummy(&mut self) -> u32 {
        self.parent.push(NONE);
        self.below.push(0);
        self.parent.len() as u32 - 1
    }

    fn unlink(&mut self, child: u32) {
        let parent = std::mem::replace(&mut self.parent[child as usize], NONE);
        if parent != NONE {
            self.below[parent as usize] -= 1;
        }
    }

    /// Links unless that would close a circle.
    fn link(&mut self, parent: u32, child: u32) {
        if parent == child || self.is_above(child, parent) {
            return;
        }
        self.parent[child as usize] = parent;
        self.below[parent as usize] += 1;
    }

    /// Is `upper` somewhere above `node`, or too far away to say?
    fn is_above(&self, upper: u32, node: u32) -> bool {
        if self.below[upper as usize] == 0 {
            return false;
        }
        let mut at = node;
        for _ in 0..WALK_MAX {
            at = self.parent[at as usize];
            if at == NONE {
                return false;
            }
            if at == upper {
                return true;
            }
        }
        true
    }

    fn children(&self) -> Vec<Vec<u32>> {
        let mut children = vec![Vec::new(); self.parent.len()];
        for (child, parent) in (0u32..).zip(&self.parent) {
            if *parent != NONE {
                children[*parent as usize].push(child);
            }
        }
        children
    }
}

/// Steps 2 and 3: what is below no other is a root; places without a message give way to what is below them, but for
/// a root that holds several together.
fn prune(links: &mut Links, mut children: Vec<Vec<u32>>) -> Forest {
    let roots: Vec<u32> =
        (0u32..).zip(&links.parent).filter(|(_, parent)| **parent == NONE).map(|(at, _)| at).collect();
    // Each before what is below it; backwards, each after.
    let mut order = roots.clone();
    let mut at = 0;
    while let Some(node) = order.get(at).copied() {
        order.extend_from_slice(&children[node as usize]);
        at += 1;
    }
    let is_dummy = |node: u32| node >= links.messages;
    for node in order.iter().rev().copied() {
        let below = std::mem::take(&mut children[node as usize]);
        let (dummies, mut kept): (Vec<u32>, Vec<u32>) = below.into_iter().partition(|child| is_dummy(*child));
        for dummy in dummies {
            let mut promoted = std::mem::take(&mut children[dummy as usize]);
            // The shorter is put to the longer; their order is made later.
            if promoted.len() > kept.len() {
                std::mem::swap(&mut promoted, &mut kept);
            }
            kept.append(&mut promoted);
        }
        children[node as usize] = kept;
    }
    let mut forest = Forest::default();
    for root in roots {
        match (is_dummy(root), children[root as usize].as_slice()) {
            (true, []) => {}
            (true, [only]) => forest.roots.push(*only),
            _ => forest.roots.push(root),
        }
    }
    let nodes = (0u32..).zip(children);
    forest.nodes =
        nodes.map(|(at, children)| Node { message: (!is_dummy(at)).then_some(at), children }).collect();
    forest
}

struct Tree<'a> {
    messages: &'a [Message<'a>],
    forest: Forest,
}

impl<'a> Tree<'a> {
    /// The message of a node, or of the first below a place without one. Such places have messages directly below them.
    fn message_of(&self, node: u32) -> Option<u32> {
        let node = &self.forest.nodes[node as usize];
        node.message.or_else(|| self.forest.nodes[*node.children.first()? as usize].message)
    }

    fn is_dummy(&self, node: u32) -> bool {
        self.forest.nodes[node as usize].message.is_none()
    }

    /// By the moment of sending, then by the order of the mailbox.
    fn sort(&self, nodes: &mut [u32]) {
        nodes.sort_by_cached_key(|node| {
            let message = self.message_of(*node).unwrap_or(NONE);
            (self.messages.get(message as usize).map_or(0, |m| m.sent), message)
        });
    }

    fn sort_children(&mut self, node: u32) {
        let mut children = std::mem::take(&mut self.forest.nodes[node as usize].children);
        self.sort(&mut children);
        self.forest.nodes[node as usize].children = children;
    }

    /// Step 4: the roots alone, those without a message by the first below them.
    fn sort_roots(&mut self) {
        let mut roots = std::mem::take(&mut self.forest.roots);
        for root in &roots {
            if self.is_dummy(*root) {
                self.sort_children(*root);
            }
        }
        self.sort(&mut roots);
        self.forest.roots = roots;
    }

    /// Step 5: roots with one base subject come together.
    fn gather_subjects(&mut self) {
        let roots = std::mem::take(&mut self.forest.roots);
        let mut table: HashMap<&str, u32> = HashMap::new();
        for root in &roots {
            let Some((subject, is_reply)) = self.subject(*root) else { continue };
            match table.entry(subject) {
                Entry::Vacant(none) => {
                    none.insert(*root);
                }
                Entry::Occupied(mut known) => {
                    let other = *known.get();
                    let other_replies = self.subject(other).is_some_and(|(_, is_reply)| is_reply);
                    if !self.is_dummy(other) && (self.is_dummy(*root) || other_replies && !is_reply) {
                        known.insert(*root);
                    }
                }
            }
        }
        let mut gone = vec![false; self.forest.nodes.len()];
        let mut made: HashMap<u32, u32> = HashMap::new();
        for root in &roots {
            let Some((subject, is_reply)) = self.subject(*root) else { continue };
            let Some(&other) = table.get(subject) else { continue };
            if other == *root {
                continue;
            }
            gone[*root as usize] = true;
            let other_replies = self.subject(other).is_some_and(|(_, is_reply)| is_reply);
            match (self.is_dummy(other), self.is_dummy(*root)) {
                (true, true) => {
                    let mut children = std::mem::take(&mut self.forest.nodes[*root as usize].children);
                    self.forest.nodes[other as usize].children.append(&mut children);
                }
                (true, false) => self.forest.nodes[other as usize].children.push(*root),
                (false, _) if is_reply && !other_replies => {
                    self.forest.nodes[other as usize].children.push(*root);
                }
                (false, _) => {
                    let dummy = self.forest.nodes.len() as u32;
                    self.forest.nodes.push(Node { message: None, children: vec![other, *root] });
                    made.insert(other, dummy);
                    table.insert(subject, dummy);
                }
            }
        }
        let kept = roots.into_iter().filter(|root| !gone[*root as usize]);
        self.forest.roots = kept.map(|root| made.get(&root).copied().unwrap_or(root)).collect();
    }

    /// The base subject of a root's thread, if it is not empty, and whether its message answers or forwards.
    fn subject(&self, root: u32) -> Option<(&'a str, bool)> {
        let message = self.messages.get(self.message_of(root)? as usize)?;
        (!message.subject.is_empty()).then_some((&*message.subject, message.is_reply))
    }

    /// Step 6: all siblings, those below before those above, whose order may depend on them.
    fn sort_all(&mut self) {
        for node in 0..self.forest.nodes.len() as u32 {
            if self.forest.nodes[node as usize].children.len() > 1 {
                self.sort_children(node);
            }
        }
        let mut roots = std::mem::take(&mut self.forest.roots);
        self.sort(&mut roots);
        self.forest.roots = roots;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::thread::forest::tests::shown;
    use proptest::prelude::*;

    /// `id`, what it refers to, subject, sent.
    fn message(id: &str, references: &str, subject: &str, sent: i64) -> Message<'static> {
        let (subject, is_reply) = match subject.strip_prefix("re: ") {
            Some(base) => (base, true),
            None => (subject, false),
        };
        Message {
            id: (!id.is_empty()).then(|| id.to_owned().into()),
            references: references.split_whitespace().map(|id| id.to_owned().into()).collect(),
            subject: subject.to_owned().into(),
            is_reply,
            sent,
        }
    }

    fn threads(messages: &[Message<'_>]) -> String {
        shown(&thread(messages), messages.len() as u32)
    }

    #[test]
    fn answers_stand_below_what_they_answer() {
        let messages = [
            message("a", "", "x", 1),
            message("b", "a", "re: x", 2),
            message("c", "a b", "re: x", 3),
            message("d", "a", "re: x", 4),
            message("e", "", "y", 2),
        ];
        assert_eq!(threads(&messages), " (1 (2 3)(4))(5)");
    }

    #[test]
    fn siblings_of_a_message_that_is_not_there() {
        let messages = [message("b", "a", "re: x", 2), message("c", "a", "re: x", 1)];
        assert_eq!(threads(&messages), " ((2)(1))");
        assert_eq!(threads(&messages[..1]), " (1)", "alone it needs none to hold it");
    }

    #[test]
    fn places_without_message_give_way() {
        // a and b are not there; c and d answer b, e answers a.
        let messages = [message("c", "a b", "x", 3), message("d", "a b", "x", 4), message("e", "a", "x", 5)];
        assert_eq!(threads(&messages), " ((1)(2)(3))");
    }

    #[test]
    fn one_subject_comes_together() {
        let reply_first = [message("a", "", "re: x", 1), message("b", "", "x", 2)];
        assert_eq!(threads(&reply_first), " (2 1)", "an answer goes below what is none");
        let two = [message("a", "", "x", 1), message("b", "", "x", 2), message("c", "", "x", 3)];
        assert_eq!(threads(&two), " ((1)(2)(3))", "equals side by side");
        let empty = [message("a", "", "", 1), message("b", "", "", 2)];
        assert_eq!(threads(&empty), " (1)(2)", "without a subject they stay apart");
        let dummy = [message("b", "a", "x", 1), message("c", "a", "x", 2), message("d", "", "x", 3)];
        assert_eq!(threads(&dummy), " ((1)(2)(3))");
    }

    #[test]
    fn own_references_count_more_than_others() {
        // 1 says that c is below b; c itself says a.
        let messages = [
            message("z", "b c", "1", 9),
            message("a", "", "2", 1),
            message("b", "", "3", 2),
            message("c", "a", "4", 3),
        ];
        assert_eq!(threads(&messages), " (2 4 1)(3)");
    }

    #[test]
    fn circles_are_not_closed() {
        let messages = [message("a", "b", "1", 1), message("b", "a", "2", 2), message("c", "c", "3", 3)];
        assert_eq!(threads(&messages), " (2 1)(3)");
    }

    #[test]
    fn an_id_that_is_taken_is_none() {
        let messages = [message("a", "", "1", 1), message("a", "", "2", 2), message("b", "a", "3", 3)];
        assert_eq!(threads(&messages), " (1 3)(2)");
    }

    #[test]
    fn depth_costs_no_stack_and_little_time() {
        let count = 100_000;
        let id = |at: i64| format!("m{at}");
        let make = |at: i64| message(&id(at), &if at > 0 { id(at - 1) } else { String::new() }, "", at);
        let forward: Vec<Message<'_>> = (0..count).map(make).collect();
        assert_eq!(threads(&forward).matches('(').count(), 1);
        let backward: Vec<Message<'_>> = (0..count).rev().map(make).collect();
        assert_eq!(threads(&backward).matches('(').count(), 1);
    }

    proptest! {
        /// Whatever refers to whatever: each message once, and parentheses that match.
        #[test]
        fn every_message_once(
            all in prop::collection::vec((0..6u8, prop::collection::vec(0..8u8, 0..5), 0..3u8, 0..4i64, any::<bool>()), 0..14)
        ) {
            let messages: Vec<Message<'_>> = all
                .iter()
                .map(|(id, references, subject, sent, is_reply)| Message {
                    id: (*id > 0).then(|| id.to_string().into()),
                    references: references.iter().map(|r| r.to_string().into()).collect(),
                    subject: if *subject == 0 { "".into() } else { subject.to_string().into() },
                    is_reply: *is_reply,
                    sent: *sent,
                })
                .collect();
            let text = threads(&messages);
            let mut numbers: Vec<usize> = text
                .split(|c: char| !c.is_ascii_digit())
                .filter_map(|n| n.parse().ok())
                .collect();
            numbers.sort_unstable();
            prop_assert_eq!(numbers, (1..=messages.len()).collect::<Vec<_>>());
            prop_assert_eq!(text.matches('(').count(), text.matches(')').count());
            prop_assert!(!text.contains("()") && !text.contains(" )") && !text.contains("( "));
        }
    }
}
