//! What two subjects must have in common to belong to one conversation (RFC 5256 2.1).

/// The subject without `Re:`, `Fwd:` and the like (RFC 5256 2.1), not folded; and whether the message is by that a reply
/// or a forward: whether something was taken away other than white space and a `[list]`.
#[must_use]
pub fn base_subject(subject: &str) -> (String, bool) {
    let mut text = String::with_capacity(subject.len());
    // Step 1. Encoded words have been decoded before.
    for c in subject.chars() {
        match c {
            ' ' | '\t' | '\r' | '\n' if text.ends_with(' ') => {}
            ' ' | '\t' | '\r' | '\n' => text.push(' '),
            c => text.push(c),
        }
    }
    let mut reply = false;
    let mut base = &text[..];
    loop {
        // Step 2.
        base = base.trim_end_matches(' ');
        while let Some(rest) = strip_suffix(base, "(fwd)") {
            reply = true;
            base = rest.trim_end_matches(' ');
        }
        // Steps 3 to 5.
        loop {
            base = base.trim_start_matches(' ');
            if let Some(rest) = leader(base) {
                reply = true;
                base = rest;
            } else if let Some(rest) = blob(base).filter(|rest| !rest.is_empty()) {
                base = rest;
            } else {
                break;
            }
        }
        // Step 6.
        match strip_prefix(base, "[fwd:").and_then(|inner| inner.strip_suffix(']')) {
            Some(inner) => {
                reply = true;
                base = inner;
            }
            None => return (base.to_owned(), reply),
        }
    }
}

/// `*subj-blob subj-refwd`: what follows it.
fn leader(text: &str) -> Option<&str> {
    let mut text = text;
    while let Some(rest) = blob(text) {
        text = rest;
    }
    let word = ["re", "fwd", "fw"].into_iter().find_map(|word| strip_prefix(text, word))?;
    let word = word.trim_start_matches(' ');
    blob(word).unwrap_or(word).strip_prefix(':')
}

/// `"[" *BLOBCHAR "]" *WSP`: what follows it.
fn blob(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find(['[', ']'])?;
    Some(inner[end..].strip_prefix(']')?.trim_start_matches(' '))
}

/// In any letter case. What is compared is ASCII, so a cut cannot fall into a character.
fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn strip_suffix<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let (rest, tail) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    tail.eq_ignore_ascii_case(suffix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects() {
        for (subject, base, reply) in [
            ("Hello", "Hello", false),
            ("Re: Hello", "Hello", true),
            ("RE : fw: Fwd: Hello", "Hello", true),
            ("Re[2]: Hello", "Hello", true),
            ("Re [a] : Hello", "Hello", true),
            ("[list] Hello", "Hello", false),
            ("[list] Re: [list] Hello (fwd) (FWD) ", "Hello", true),
            ("[a] [b] Re: x", "x", true),
            ("[a]", "[a]", false),
            ("[a] [b]", "[b]", false),
            ("Re: [a]", "[a]", true),
            ("[Fwd: Hello]", "Hello", true),
            ("[fwd: [fwd: Re: Hello (fwd)] ]", "Hello", true),
            ("Re: [Fwd: Hello] (fwd)", "Hello", true),
            ("Re:", "", true),
            ("(fwd)", "", true),
            ("", "", false),
            ("  a\t b \r\n c  ", "a b c", false),
            ("Reply", "Reply", false),
            ("re [x[y]: z", "re [x[y]: z", false),
            ("Fwdü: x", "Fwdü: x", false),
            ("é(fwd)", "é", true),
            ("[ü] x", "x", false),
            ("[fwd:", "[fwd:", false),
            ("Aw: x", "Aw: x", false),
        ] {
            assert_eq!(base_subject(subject), (base.to_owned(), reply), "{subject}");
        }
    }
}
