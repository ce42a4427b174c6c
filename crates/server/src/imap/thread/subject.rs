//! ORDEREDSUBJECT (RFC 5256 section 3): messages with one base subject are one thread, the first sent above the others.

use super::Message;
use super::forest::{Forest, Node};
use std::collections::HashMap;

/// Threads messages that are in the order of their mailbox.
pub(crate) fn thread(messages: &[Message<'_>]) -> Forest {
    let mut order: Vec<u32> = (0..messages.len() as u32).collect();
    order.sort_by_key(|at| messages[*at as usize].sent);
    let mut forest = Forest { nodes: vec![Node::default(); messages.len()], roots: Vec::new() };
    let mut first: HashMap<&str, u32> = HashMap::new();
    for at in order {
        forest.nodes[at as usize].message = Some(at);
        match first.entry(&messages[at as usize].subject) {
            std::collections::hash_map::Entry::Occupied(root) => {
                forest.nodes[*root.get() as usize].children.push(at);
            }
            std::collections::hash_map::Entry::Vacant(none) => {
                none.insert(at);
                forest.roots.push(at);
            }
        }
    }
    forest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::thread::forest::tests::shown;

    #[test]
    fn one_level_below_the_first() {
        let message =
            |subject: &'static str, sent| Message { subject: subject.into(), sent, ..Message::default() };
        let messages = [
            message("b", 5),
            message("a", 1),
            message("a", 3),
            message("b", 2),
            message("a", 2),
            message("c", 2),
        ];
        assert_eq!(shown(&thread(&messages), 6), " (2 (5)(3))(4 1)(6)");
    }
}
