//! The names that LIST chooses from, in their hierarchy: mailboxes, names that are only subscribed to, and levels above
//! either that are no mailbox.

use crate::imap::name::{Found, Visible};

/// A name.
#[derive(Debug)]
pub(crate) struct Node {
    /// Full name.
    pub(crate) name: String,
    /// The mailbox, if it is one.
    pub(crate) found: Option<Found>,
    /// Subscribed to.
    pub(crate) subscribed: bool,
    /// There is a mailbox below it.
    pub(crate) has_children: bool,
    /// A name below it is chosen by the selection options.
    pub(crate) chosen_below: bool,
}

impl Node {
    fn level(name: &str) -> Node {
        Node {
            name: name.to_owned(),
            found: None,
            subscribed: false,
            has_children: false,
            chosen_below: false,
        }
    }
}

/// Puts them in order: each level directly before what is below it, missing levels made.
/// `chosen` are the selection options, for `chosen_below`.
pub(crate) fn build(
    visible: Vec<Visible>,
    subscriptions: Vec<String>,
    chosen: &dyn Fn(&Node) -> bool,
) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::with_capacity(visible.len() + subscriptions.len());
    nodes.extend(visible.into_iter().map(|v| Node { found: Some(v.found), ..Node::level(&v.name) }));
    nodes.extend(subscriptions.into_iter().map(|name| Node { subscribed: true, ..Node::level(&name) }));
    nodes.sort_by(|a, b| in_order(&a.name, &b.name));
    nodes.dedup_by(|second, first| {
        let same = second.name == first.name;
        if same {
            first.subscribed |= second.subscribed;
            first.found = first.found.take().or_else(|| second.found.take());
        }
        same
    });
    let mut all: Vec<Node> = Vec::with_capacity(nodes.len());
    let mut above: Vec<usize> = Vec::new();
    for node in nodes {
        while above.last().is_some_and(|&top| !is_below(&node.name, &all[top].name)) {
            above.pop();
        }
        let known = above.last().map_or(0, |&top| all[top].name.len() + 1);
        let levels: Vec<usize> = node.name.match_indices('/').map(|(at, _)| at).collect();
        for at in levels.into_iter().filter(|&at| at >= known && at > 0) {
            above.push(all.len());
            all.push(Node::level(&node.name[..at]));
        }
        let (is_mailbox, is_chosen) = (node.found.is_some(), chosen(&node));
        for &parent in &above {
            all[parent].has_children |= is_mailbox;
            all[parent].chosen_below |= is_chosen;
        }
        above.push(all.len());
        all.push(node);
    }
    all
}

/// `name` lies on any level below `parent`.
pub(crate) fn is_below(name: &str, parent: &str) -> bool {
    name.strip_prefix(parent).is_some_and(|rest| rest.starts_with('/'))
}

/// Octet by octet with the separator before all others, so that what is below a name follows it at once.
fn in_order(a: &str, b: &str) -> std::cmp::Ordering {
    let key = |octet: u8| if octet == b'/' { 0 } else { octet };
    a.bytes().map(key).cmp(b.bytes().map(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_that_are_missing_are_made_once() {
        let names = ["a/b/c", "a b", "a/b/d", "x", "x/y"].map(str::to_owned).to_vec();
        let nodes = build(Vec::new(), names, &|node| node.subscribed);
        let seen: Vec<(&str, bool, bool)> =
            nodes.iter().map(|n| (n.name.as_str(), n.subscribed, n.chosen_below)).collect();
        assert_eq!(
            seen,
            [
                ("a", false, true),
                ("a/b", false, true),
                ("a/b/c", true, false),
                ("a/b/d", true, false),
                ("a b", true, false),
                ("x", true, true),
                ("x/y", true, false),
            ]
        );
    }

    #[test]
    fn names_with_empty_levels_do_no_harm() {
        let names = ["/a", "b//c", "/"].map(str::to_owned).to_vec();
        let nodes = build(Vec::new(), names, &|_| true);
        assert!(nodes.iter().any(|n| n.name == "b//c" && n.subscribed));
    }
}
