//! LIST with its extensions (RFC 9051 6.3.9, RFC 5258, 5819, 6154, 8440, 9590), LSUB, NAMESPACE.
//!
//! Which names there are is gathered on a thread that may wait, then answered one after the other; what is told beside a
//! name (STATUS, rights, notes) stands directly behind it. A mailbox is its row here: no view is opened.
//!
//! Not here: the remote mailboxes of RFC 5258 (there are none, so REMOTE chooses nothing more), `\Marked`.

pub(crate) mod pattern;
pub(crate) mod tree;

use super::name::{self, OTHERS, Seeker, right};
use super::no::{No, blocking, finish};
use super::{acl, metadata, status};
use crate::session::FLUSH_BYTES;
use crate::session::imap::ImapSession;
use net::drive::Wire;
use pattern::Pattern;
use proto::imap::code::Code;
use proto::imap::command::List;
use proto::imap::encode;
use proto::imap::language::Text;
use proto::imap::name::to_utf7;
use proto::machine::Machine as _;
use store::account::Uses;
use tree::Node;

/// Patterns of one command at most.
const PATTERNS_MAX: usize = 64;

/// LIST.
pub(crate) async fn list(s: &mut ImapSession, list: List, wire: &mut Wire<'_>) {
    let done = answer(s, &list, wire).await;
    finish(s, done.map(|()| None), Text::Listed).await;
}

/// LSUB (RFC 3501 6.3.9): the subscribed names that fit, and with `%` the levels above such names.
pub(crate) async fn lsub(s: &mut ImapSession, reference: String, pattern: String) {
    let done = subscribed(s, &reference, &pattern).await;
    finish(s, done.map(|()| None), Text::Listed).await;
}

/// NAMESPACE (RFC 2342).
pub(crate) fn namespace(s: &mut ImapSession) {
    write_namespace(s);
    s.machine.ok(None, Text::Namespaces);
}

/// The namespaces; where another language was chosen, with what people call them in it (RFC 5255 3.4).
pub(crate) fn write_namespace(s: &mut ImapSession) {
    let utf8 = s.machine.enabled().utf8_names();
    let translated = s.machine.tongue().text(Text::OtherUsers);
    let out = s.machine.output();
    out.extend_from_slice(b"* NAMESPACE ((\"\" \"/\")) ((");
    encode::mailbox(&format!("{OTHERS}/"), utf8, out);
    out.extend_from_slice(b" \"/\"");
    if translated != OTHERS {
        out.extend_from_slice(b" \"TRANSLATION\" (");
        // Modified UTF-7 whatever is enabled, says RFC 5255 3.5.
        let mut name = Vec::new();
        to_utf7(&format!("{translated}/"), &mut name);
        encode::string(&name, false, out);
        out.push(b')');
    }
    out.extend_from_slice(b")) NIL\r\n");
}

/// The attributes of a special use, as LIST and CREATE write them (RFC 6154, RFC 8457).
pub(crate) const USE_NAMES: [(Uses, &str); 6] = [
    (Uses::ARCHIVE, "\\Archive"),
    (Uses::DRAFTS, "\\Drafts"),
    (Uses::JUNK, "\\Junk"),
    (Uses::SENT, "\\Sent"),
    (Uses::TRASH, "\\Trash"),
    (Uses::IMPORTANT, "\\Important"),
];

/// One `* LIST` line. `more` stands in the parentheses of extended data.
pub(crate) fn line(word: &str, attributes: &[&str], name: &str, more: &[u8], utf8: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b"* ");
    out.extend_from_slice(word.as_bytes());
    out.extend_from_slice(b" (");
    for (at, attribute) in attributes.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(attribute.as_bytes());
    }
    out.extend_from_slice(b") \"/\" ");
    encode::mailbox(name, utf8, out);
    if !more.is_empty() {
        out.extend_from_slice(b" (");
        out.extend_from_slice(more);
        out.push(b')');
    }
    out.extend_from_slice(b"\r\n");
}

async fn answer(s: &mut ImapSession, list: &List, wire: &mut Wire<'_>) -> Result<(), No> {
    if !list.extended && list.patterns.iter().all(String::is_empty) {
        root(s, "LIST", &list.reference);
        return Ok(());
    }
    let patterns = compile(&list.reference, &list.patterns)?;
    let choice = Choice::of(list);
    let seeker = Seeker::of(s)?;
    let nodes = blocking(move || gather(&seeker, &patterns, choice)).await?;
    let style = Style {
        choice,
        // Who knows the extended form knows \NonExistent; \Noselect is what RFC 3501 has for it.
        missing: if list.extended || s.machine.enabled().rev2 { "\\NonExistent" } else { "\\Noselect" },
        subscribed: list.select_subscribed || list.return_subscribed,
    };
    let utf8 = s.machine.enabled().utf8_names();
    for node in &nodes {
        style.write(node, utf8, s.machine.output());
        // Of a name that is told for what is below it alone, nothing else is told (RFC 5819 section 3, RFC 9590 section 4).
        if choice.is_plain() || choice.takes(node) {
            beside(s, list, node).await?;
        }
        if s.machine.output().len() >= FLUSH_BYTES && wire.flush(s.machine.output()).await.is_err() {
            // The peer is gone: the loop will see it too.
            return Ok(());
        }
    }
    Ok(())
}

/// What RETURN asked for beside a name, for those that can be selected.
async fn beside(s: &mut ImapSession, list: &List, node: &Node) -> Result<(), No> {
    let Some(found) = &node.found else { return Ok(()) };
    if !list.return_status.is_empty() && found.rights.holds(right::READ) {
        status::write(s, &node.name, found, &list.return_status).await?;
    }
    if list.return_my_rights {
        acl::write_mine(s, &node.name, found.rights);
    }
    if let Some((options, entries)) = &list.return_metadata
        && found.rights.holds(right::READ)
    {
        metadata::write_beside(s, &node.name, found, entries, *options).await?;
    }
    Ok(())
}

async fn subscribed(s: &mut ImapSession, reference: &str, pattern: &str) -> Result<(), No> {
    if pattern.is_empty() {
        root(s, "LSUB", reference);
        return Ok(());
    }
    let patterns = compile(reference, std::slice::from_ref(&pattern.to_owned()))?;
    let parents = patterns.iter().any(Pattern::ends_in_percent);
    let seeker = Seeker::of(s)?;
    let choice = Choice { subscribed: true, special: false, parents };
    let nodes = blocking(move || gather(&seeker, &patterns, choice)).await?;
    let utf8 = s.machine.enabled().utf8_names();
    for node in &nodes {
        let attributes: &[&str] = if node.subscribed && node.found.is_some() { &[] } else { &["\\Noselect"] };
        line("LSUB", attributes, &node.name, b"", utf8, s.machine.output());
    }
    Ok(())
}

/// The answer to an empty pattern: the separator, and the root of the reference (RFC 9051 6.3.9).
fn root(s: &mut ImapSession, word: &str, reference: &str) {
    let root = if name::is_others(reference) { format!("{OTHERS}/") } else { String::new() };
    let utf8 = s.machine.enabled().utf8_names();
    line(word, &["\\Noselect"], &root, b"", utf8, s.machine.output());
}

fn compile(reference: &str, patterns: &[String]) -> Result<Vec<Pattern>, No> {
    if patterns.len() > PATTERNS_MAX {
        return Err(No::code(Code::Limit, Text::PatternsMany).with(PATTERNS_MAX));
    }
    let compiled = patterns.iter().map(|pattern| Pattern::new(reference, pattern));
    compiled.collect::<Option<Vec<Pattern>>>().ok_or_else(|| No::code(Code::Limit, Text::PatternLong))
}

/// Selection options.
#[derive(Clone, Copy, Debug)]
struct Choice {
    subscribed: bool,
    special: bool,
    /// RECURSIVEMATCH: those that have chosen ones below them, too.
    parents: bool,
}

impl Choice {
    fn of(list: &List) -> Choice {
        Choice {
            subscribed: list.select_subscribed,
            special: list.select_special_use,
            parents: list.recursive_match,
        }
    }

    /// Without selection options: what is a mailbox.
    fn is_plain(self) -> bool {
        !self.subscribed && !self.special
    }

    fn takes(self, node: &Node) -> bool {
        (!self.subscribed || node.subscribed)
            && (!self.special || uses_of(node).next().is_some())
            && (self.subscribed || node.found.is_some())
    }
}

/// The names that fit. Blocks for the disk.
fn gather(seeker: &Seeker, patterns: &[Pattern], choice: Choice) -> Result<Vec<Node>, store::Error> {
    let others = patterns.iter().any(|pattern| pattern.reaches(OTHERS));
    let visible = seeker.visible(true, others)?;
    let subscriptions = seeker.account.subscriptions()?;
    let mut nodes = tree::build(visible, subscriptions, &|node| choice.takes(node));
    nodes.retain(|node| {
        let wanted = if choice.is_plain() {
            node.found.is_some() || node.has_children
        } else {
            choice.takes(node) || choice.parents && node.chosen_below
        };
        wanted && patterns.iter().any(|pattern| pattern.matches(&node.name))
    });
    Ok(nodes)
}

/// Special uses are the owner's: they say nothing of the mailboxes that others share.
fn uses_of(node: &Node) -> impl Iterator<Item = &'static str> + '_ {
    let own = node.found.as_ref().filter(|_| !name::is_others(&node.name));
    let uses = own.map_or(0, |found| found.mailbox.uses.0);
    USE_NAMES.iter().filter(move |(bit, _)| uses & bit.0 != 0).map(|(_, name)| *name)
}

/// How the names of one answer are written.
struct Style {
    choice: Choice,
    /// The attribute of a name that is no mailbox.
    missing: &'static str,
    /// `\Subscribed` is told.
    subscribed: bool,
}

impl Style {
    fn write(&self, node: &Node, utf8: bool, out: &mut Vec<u8>) {
        let mut attributes: [&str; 9] = [""; 9];
        let mut count = 0;
        let mut add = |attribute| {
            attributes[count] = attribute;
            count += 1;
        };
        // At most: missing, children, subscribed, and six uses.
        if node.found.is_none() {
            add(self.missing);
        }
        match (node.has_children, node.found.is_some()) {
            (true, _) => add("\\HasChildren"),
            (false, true) => add("\\HasNoChildren"),
            (false, false) => {}
        }
        if self.subscribed && node.subscribed {
            add("\\Subscribed");
        }
        uses_of(node).for_each(&mut add);
        let more: &[u8] = match (self.choice.parents && node.chosen_below, self.choice.special) {
            (false, _) => b"",
            (true, false) => b"\"CHILDINFO\" (\"SUBSCRIBED\")",
            (true, true) if self.choice.subscribed => b"\"CHILDINFO\" (\"SUBSCRIBED\" \"SPECIAL-USE\")",
            (true, true) => b"\"CHILDINFO\" (\"SPECIAL-USE\")",
        };
        line("LIST", &attributes[..count], &node.name, more, utf8, out);
    }
}
