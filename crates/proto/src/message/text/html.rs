//! The text of HTML, streaming: tags, comments, scripts and styles are left out, character references resolved.
//!
//! This is no parser of HTML: it knows which tags begin a new line (so that words do not run together) and takes all others
//! for nothing (so that `<b>w</b>ord` is one word). Broken markup loses at most what stands in it. Holds one tag's name.

use super::charset::windows_1252;

/// Octets of a tag's name or of a character reference that are kept.
const NAME_BYTES_MAX: usize = 16;
/// What stands in these is not shown. A title is shown by browsers, not by mail programs.
const HIDDEN: [&str; 4] = ["script", "style", "title", "xml"];
const BLOCKS: [&str; 48] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "br",
    "caption",
    "center",
    "dd",
    "details",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hr",
    "html",
    "legend",
    "li",
    "main",
    "menu",
    "nav",
    "ol",
    "option",
    "p",
    "pre",
    "section",
    "select",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "ul",
];

/// Takes the markup out of a text.
#[derive(Debug, Default)]
pub(super) struct Markup {
    state: State,
    /// Of the tag or reference that has begun.
    name: String,
    closing: bool,
}

/// Named after what has been seen or is awaited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// `&`
    Reference,
    /// `<`
    Open,
    /// `<a`
    Name,
    /// Within a tag, behind its name.
    Attributes,
    /// Behind `=`.
    Value,
    /// Within quotes.
    Quoted(char),
    /// `<!` and how many hyphens.
    Declaration(u8),
    /// Within `<!-- -->`, and how many hyphens were last.
    Comment(u8),
    /// What is not shown: which of `HIDDEN`, and how much of `</name` has been seen.
    Hidden(usize, usize),
}

impl Markup {
    /// Appends what the text says.
    pub(super) fn feed(&mut self, text: &str, out: &mut String) {
        let mut rest = text;
        loop {
            rest = self.pass(rest, out);
            let Some(c) = rest.chars().next() else { return };
            rest = &rest[c.len_utf8()..];
            // A character that ends something may have to be looked at again: at most once for each state.
            while !self.character(c, out) {}
        }
    }

    /// The text ends.
    pub(super) fn finish(mut self, out: &mut String) {
        match self.state {
            State::Reference => self.reference(out, false),
            State::Open => out.push('<'),
            _ => {}
        }
    }

    /// Passes over characters in bulk where none of them changes anything; gives the rest.
    fn pass<'a>(&mut self, text: &'a str, out: &mut String) -> &'a str {
        let bytes = text.as_bytes();
        let end = match self.state {
            State::Text => memchr::memchr2(b'<', b'&', bytes),
            State::Hidden(_, 0) => memchr::memchr(b'<', bytes),
            State::Comment(0) => memchr::memchr(b'-', bytes),
            State::Attributes => memchr::memchr2(b'>', b'=', bytes),
            State::Quoted(quote) => memchr::memchr(quote as u8, bytes),
            _ => Some(0),
        };
        // What was searched for is ASCII, so the cut is between characters.
        let (passed, rest) = text.split_at(end.unwrap_or(text.len()));
        if self.state == State::Text {
            out.push_str(passed);
        }
        rest
    }

    /// One character; false if it has to be looked at again in the new state.
    fn character(&mut self, c: char, out: &mut String) -> bool {
        match self.state {
            State::Text => match c {
                '<' => self.begin(State::Open),
                '&' => self.begin(State::Reference),
                c => out.push(c),
            },
            State::Reference => {
                if (c.is_ascii_alphanumeric() || c == '#') && self.name.len() < NAME_BYTES_MAX {
                    self.name.push(c);
                } else {
                    self.reference(out, c == ';');
                    self.state = State::Text;
                    return c == ';';
                }
            }
            State::Open => match c {
                '/' if !self.closing => self.closing = true,
                '!' if !self.closing => self.state = State::Declaration(0),
                '?' => self.state = State::Declaration(3),
                c if c.is_ascii_alphabetic() => {
                    self.name.push(c.to_ascii_lowercase());
                    self.state = State::Name;
                }
                _ => {
                    out.push_str(if self.closing { "</" } else { "<" });
                    self.state = State::Text;
                    return false;
                }
            },
            State::Name => {
                if c.is_ascii_whitespace() || matches!(c, '/' | '>') {
                    self.state = State::Attributes;
                    return false;
                }
                if self.name.len() < NAME_BYTES_MAX {
                    self.name.extend(Some(c.to_ascii_lowercase()).filter(char::is_ascii));
                }
            }
            State::Attributes | State::Value | State::Quoted(_) => self.attribute(c, out),
            State::Declaration(_) | State::Comment(_) => self.declaration(c),
            State::Hidden(which, seen) => return self.hidden(which, seen, c),
        }
        true
    }

    fn begin(&mut self, state: State) {
        self.name.clear();
        self.closing = false;
        self.state = state;
    }

    fn attribute(&mut self, c: char, out: &mut String) {
        self.state = match (self.state, c) {
            (State::Quoted(quote), c) if c != quote => return,
            (State::Attributes | State::Value, '>') => return self.tag(out),
            (State::Attributes, '=') => State::Value,
            (State::Value, '"' | '\'') => State::Quoted(c),
            (State::Value, c) if c.is_ascii_whitespace() => State::Value,
            _ => State::Attributes,
        };
    }

    /// A tag is complete.
    fn tag(&mut self, out: &mut String) {
        let name = &self.name[..];
        self.state = match HIDDEN.iter().position(|h| *h == name) {
            Some(which) if !self.closing => State::Hidden(which, 0),
            _ => State::Text,
        };
        if BLOCKS.binary_search(&name).is_ok() {
            out.push('\n');
        }
    }

    fn declaration(&mut self, c: char) {
        self.state = match (self.state, c) {
            // `<!-->` is a whole comment, as browsers see it.
            (State::Declaration(1), '-') => State::Comment(2),
            (State::Declaration(0), '-') => State::Declaration(1),
            (State::Declaration(_), '>') => State::Text,
            (State::Declaration(_), _) => State::Declaration(3),
            (State::Comment(2), '>') => State::Text,
            (State::Comment(hyphens), '-') => State::Comment((hyphens + 1).min(2)),
            _ => State::Comment(0),
        };
    }

    /// Waits for `</name` and then for the end of that tag.
    fn hidden(&mut self, which: usize, seen: usize, c: char) -> bool {
        let name = HIDDEN[which].as_bytes();
        let awaited = match seen {
            0 => Some('<'),
            1 => Some('/'),
            _ => name.get(seen - 2).map(|b| char::from(*b)),
        };
        match awaited {
            Some(awaited) if c.to_ascii_lowercase() == awaited => self.state = State::Hidden(which, seen + 1),
            None if c.is_ascii_whitespace() || matches!(c, '/' | '>') => {
                self.begin(State::Attributes);
                self.closing = true;
                return false;
            }
            _ => {
                self.state = State::Hidden(which, 0);
                // It may begin another end tag.
                return seen == 0 || c != '<';
            }
        }
        true
    }

    /// What stands behind `&` is resolved, or else left as it is.
    fn reference(&mut self, out: &mut String, semicolon: bool) {
        match resolve(&self.name) {
            Some(c) => out.push(c),
            None => {
                out.push('&');
                out.push_str(&self.name);
                out.push_str(if semicolon { ";" } else { "" });
            }
        }
    }
}

fn resolve(name: &str) -> Option<char> {
    let Some(number) = name.strip_prefix('#') else {
        return NAMES.binary_search_by(|(n, _)| (*n).cmp(name)).ok().map(|at| NAMES[at].1);
    };
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    };
    if number.contains(['+', '-']) || number.is_empty() {
        return None;
    }
    match code.ok()? {
        code @ 0x80..=0x9f => Some(windows_1252(code as u8)),
        0 => Some(char::REPLACEMENT_CHARACTER),
        code => Some(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)),
    }
}

/// The named references that mail has, sorted.
#[rustfmt::skip]
const NAMES: [(&str, char); 171] = [
    ("AElig", '\u{c6}'), ("AMP", '\u{26}'), ("Aacute", '\u{c1}'), ("Acirc", '\u{c2}'), ("Agrave", '\u{c0}'),
    ("Aring", '\u{c5}'), ("Atilde", '\u{c3}'), ("Auml", '\u{c4}'), ("COPY", '\u{a9}'), ("Ccedil", '\u{c7}'),
    ("Dagger", '\u{2021}'), ("Delta", '\u{394}'), ("ETH", '\u{d0}'), ("Eacute", '\u{c9}'),
    ("Ecirc", '\u{ca}'), ("Egrave", '\u{c8}'), ("Euml", '\u{cb}'), ("GT", '\u{3e}'), ("Iacute", '\u{cd}'),
    ("Icirc", '\u{ce}'), ("Igrave", '\u{cc}'), ("Iuml", '\u{cf}'), ("LT", '\u{3c}'), ("Ntilde", '\u{d1}'),
    ("OElig", '\u{152}'), ("Oacute", '\u{d3}'), ("Ocirc", '\u{d4}'), ("Ograve", '\u{d2}'),
    ("Omega", '\u{3a9}'), ("Oslash", '\u{d8}'), ("Otilde", '\u{d5}'), ("Ouml", '\u{d6}'),
    ("Prime", '\u{2033}'), ("QUOT", '\u{22}'), ("REG", '\u{ae}'), ("Scaron", '\u{160}'), ("THORN", '\u{de}'),
    ("Uacute", '\u{da}'), ("Ucirc", '\u{db}'), ("Ugrave", '\u{d9}'), ("Uuml", '\u{dc}'),
    ("Yacute", '\u{dd}'), ("Yuml", '\u{178}'), ("aacute", '\u{e1}'), ("acirc", '\u{e2}'),
    ("acute", '\u{b4}'), ("aelig", '\u{e6}'), ("agrave", '\u{e0}'), ("alpha", '\u{3b1}'), ("amp", '\u{26}'),
    ("apos", '\u{27}'), ("aring", '\u{e5}'), ("asymp", '\u{2248}'), ("atilde", '\u{e3}'), ("auml", '\u{e4}'),
    ("bdquo", '\u{201e}'), ("beta", '\u{3b2}'), ("brvbar", '\u{a6}'), ("bull", '\u{2022}'),
    ("ccedil", '\u{e7}'), ("cedil", '\u{b8}'), ("cent", '\u{a2}'), ("check", '\u{2713}'),
    ("circ", '\u{2c6}'), ("clubs", '\u{2663}'), ("copy", '\u{a9}'), ("curren", '\u{a4}'),
    ("dagger", '\u{2020}'), ("darr", '\u{2193}'), ("deg", '\u{b0}'), ("delta", '\u{3b4}'),
    ("diams", '\u{2666}'), ("divide", '\u{f7}'), ("eacute", '\u{e9}'), ("ecirc", '\u{ea}'),
    ("egrave", '\u{e8}'), ("emsp", '\u{2003}'), ("ensp", '\u{2002}'), ("epsilon", '\u{3b5}'),
    ("eth", '\u{f0}'), ("euml", '\u{eb}'), ("euro", '\u{20ac}'), ("fnof", '\u{192}'), ("frac12", '\u{bd}'),
    ("frac14", '\u{bc}'), ("frac34", '\u{be}'), ("gamma", '\u{3b3}'), ("ge", '\u{2265}'), ("gt", '\u{3e}'),
    ("harr", '\u{2194}'), ("hearts", '\u{2665}'), ("hellip", '\u{2026}'), ("iacute", '\u{ed}'),
    ("icirc", '\u{ee}'), ("iexcl", '\u{a1}'), ("igrave", '\u{ec}'), ("infin", '\u{221e}'),
    ("iquest", '\u{bf}'), ("iuml", '\u{ef}'), ("lambda", '\u{3bb}'), ("laquo", '\u{ab}'),
    ("larr", '\u{2190}'), ("ldquo", '\u{201c}'), ("le", '\u{2264}'), ("lrm", '\u{200e}'),
    ("lsaquo", '\u{2039}'), ("lsquo", '\u{2018}'), ("lt", '\u{3c}'), ("macr", '\u{af}'),
    ("mdash", '\u{2014}'), ("micro", '\u{b5}'), ("middot", '\u{b7}'), ("minus", '\u{2212}'),
    ("mu", '\u{3bc}'), ("nbsp", '\u{a0}'), ("ndash", '\u{2013}'), ("ne", '\u{2260}'), ("not", '\u{ac}'),
    ("ntilde", '\u{f1}'), ("oacute", '\u{f3}'), ("ocirc", '\u{f4}'), ("oelig", '\u{153}'),
    ("ograve", '\u{f2}'), ("omega", '\u{3c9}'), ("ordf", '\u{aa}'), ("ordm", '\u{ba}'), ("oslash", '\u{f8}'),
    ("otilde", '\u{f5}'), ("ouml", '\u{f6}'), ("para", '\u{b6}'), ("permil", '\u{2030}'), ("pi", '\u{3c0}'),
    ("plusmn", '\u{b1}'), ("pound", '\u{a3}'), ("prime", '\u{2032}'), ("quot", '\u{22}'),
    ("radic", '\u{221a}'), ("raquo", '\u{bb}'), ("rarr", '\u{2192}'), ("rdquo", '\u{201d}'),
    ("reg", '\u{ae}'), ("rlm", '\u{200f}'), ("rsaquo", '\u{203a}'), ("rsquo", '\u{2019}'),
    ("sbquo", '\u{201a}'), ("scaron", '\u{161}'), ("sect", '\u{a7}'), ("shy", '\u{ad}'),
    ("sigma", '\u{3c3}'), ("spades", '\u{2660}'), ("sum", '\u{2211}'), ("sup1", '\u{b9}'),
    ("sup2", '\u{b2}'), ("sup3", '\u{b3}'), ("szlig", '\u{df}'), ("thinsp", '\u{2009}'), ("thorn", '\u{fe}'),
    ("tilde", '\u{2dc}'), ("times", '\u{d7}'), ("trade", '\u{2122}'), ("uacute", '\u{fa}'),
    ("uarr", '\u{2191}'), ("ucirc", '\u{fb}'), ("ugrave", '\u{f9}'), ("uml", '\u{a8}'), ("uuml", '\u{fc}'),
    ("yacute", '\u{fd}'), ("yen", '\u{a5}'), ("yuml", '\u{ff}'), ("zwj", '\u{200d}'), ("zwnj", '\u{200c}'),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn text(html: &str) -> String {
        let run = |cut: usize| {
            let mut markup = Markup::default();
            let mut out = String::new();
            let chars: Vec<char> = html.chars().collect();
            chars.chunks(cut).for_each(|piece| markup.feed(&piece.iter().collect::<String>(), &mut out));
            markup.finish(&mut out);
            out
        };
        let whole = run(usize::MAX);
        for cut in 1..7 {
            assert_eq!(run(cut), whole, "cut every {cut}");
        }
        whole
    }

    #[test]
    fn the_tables_are_sorted() {
        assert!(BLOCKS.is_sorted());
        assert!(NAMES.is_sorted_by_key(|(n, _)| *n));
        assert!(NAMES.iter().all(|(n, _)| n.len() <= NAME_BYTES_MAX));
    }

    #[test]
    fn markup_goes() {
        for (html, out) in [
            ("<b>w</b>ord", "word"),
            ("a<br>b<BR/>c<p class='x>y'>d", "a\nb\nc\nd"),
            ("<td>1</td><td>2</td>", "\n1\n\n2\n"),
            ("a<!-- x > -- y -->b<!-->c<!--->d", "abcd"),
            ("<!DOCTYPE html><?xml x?>a<![if !mso]>b<![endif]>", "ab"),
            ("<style>p{}</style >a<SCRIPT>if (a</b) '</scrip>'</Script>b", "ab"),
            ("<script><</script>x", "x"),
            ("<title>t</title><style><!-- </style>x", "x"),
            ("<a href=\"x>y\" title='\"'>l</a>", "l"),
            ("<a title=it's>x</a>", "x"),
            ("1 < 2 <3 </ x <", "1 < 2 <3 </ x <"),
            ("&lt;b&gt; &amp;amp; &nbsp;&#8364;&#x20aC;&#128; &eacute;&Eacute;", "<b> &amp; \u{a0}€€€ éÉ"),
            (
                "&copy 1 &nosuch; & &; &#; &#x; &#0; &#1114112; &#+1;",
                "© 1 &nosuch; & &; &#; &#x; \u{fffd} \u{fffd} &#+1;",
            ),
            ("&amp", "&"),
            ("&abcdefghijklmnopqrstuvwxyz;", "&abcdefghijklmnopqrstuvwxyz;"),
            ("<abcdefghijklmnopqrstuvwxyzü >x", "x"),
            ("<open", ""),
            ("x<!-- open", "x"),
        ] {
            assert_eq!(text(html), out, "{html}");
        }
    }
}
