//! Trees of messages, and how THREAD writes them.

use proto::imap::encode;

/// A message, or a place that only holds others together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    /// Which message, counted from 0.
    pub(crate) message: Option<u32>,
    /// Nodes below it.
    pub(crate) children: Vec<u32>,
}

/// Trees. No node is below two others or below itself.
#[derive(Debug, Default)]
pub(crate) struct Forest {
    pub(crate) nodes: Vec<Node>,
    pub(crate) roots: Vec<u32>,
}

enum Step {
    Node(u32),
    Text(&'static [u8]),
}

impl Forest {
    /// ` (2)(3 6 (4 23)(44 7 96))`, with `numbers` for the messages; nothing if there is none. Without recursion: a thread may be
    /// as deep as there are messages.
    pub(crate) fn write(&self, numbers: &[u32], out: &mut Vec<u8>) {
        if !self.roots.is_empty() {
            out.push(b' ');
        }
        let mut steps: Vec<Step> = Vec::new();
        push_all(&self.roots, &mut steps);
        while let Some(step) = steps.pop() {
            let node = match step {
                Step::Text(text) => {
                    out.extend_from_slice(text);
                    continue;
                }
                Step::Node(at) => &self.nodes[at as usize],
            };
            if let Some(number) = node.message.and_then(|message| numbers.get(message as usize)) {
                encode::number(u64::from(*number), out);
                if !node.children.is_empty() {
                    out.push(b' ');
                }
            }
            match node.children.as_slice() {
                [only] if node.message.is_some() => steps.push(Step::Node(*only)),
                children => push_all(children, &mut steps),
            }
        }
    }
}

/// Each in parentheses of its own, the first on top.
fn push_all(nodes: &[u32], steps: &mut Vec<Step>) {
    for node in nodes.iter().rev() {
        steps.extend([Step::Text(b")"), Step::Node(*node), Step::Text(b"(")]);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn shown(forest: &Forest, count: u32) -> String {
        let numbers: Vec<u32> = (1..=count).collect();
        let mut out = Vec::new();
        forest.write(&numbers, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn node(message: Option<u32>, children: &[u32]) -> Node {
        Node { message, children: children.to_vec() }
    }

    #[test]
    fn as_in_the_rfc() {
        // RFC 5256 section 4: (2)(3 6 (4 23)(44 7 96)), with the numbers 1 to 8 here.
        let nodes = vec![
            node(Some(0), &[]),
            node(Some(1), &[2]),
            node(Some(2), &[3, 5]),
            node(Some(3), &[4]),
            node(Some(4), &[]),
            node(Some(5), &[6]),
            node(Some(6), &[7]),
            node(Some(7), &[]),
        ];
        let forest = Forest { nodes, roots: vec![0, 1] };
        let numbers = [2, 3, 6, 4, 23, 44, 7, 96];
        let mut out = Vec::new();
        forest.write(&numbers, &mut out);
        assert_eq!(out, b" (2)(3 6 (4 23)(44 7 96))");
        let siblings = Forest {
            nodes: vec![node(None, &[1, 2]), node(Some(2), &[]), node(Some(4), &[])],
            roots: vec![0],
        };
        assert_eq!(shown(&siblings, 5), " ((3)(5))");
        assert_eq!(shown(&Forest::default(), 0), "");
    }

    #[test]
    fn depth_needs_no_stack() {
        let count = 300_000;
        let nodes = (0..count).map(|at| node(Some(at), if at + 1 < count { &[0] } else { &[] }));
        let mut nodes: Vec<Node> = nodes.collect();
        for at in 0..count - 1 {
            nodes[at as usize].children[0] = at + 1;
        }
        let text = shown(&Forest { nodes, roots: vec![0] }, count);
        assert!(text.starts_with(" (1 2 3 ") && text.ends_with("300000)"));
    }
}
