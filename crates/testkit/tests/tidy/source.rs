//! Source files taken apart as far as the rules need: code, text, comments, functions.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the project.
pub struct Source {
    /// From the root, with `/`.
    pub path: String,
    /// As it is.
    pub text: String,
    /// Rust only: comments and the insides of literals blanked, lines kept.
    pub code: String,
    /// Rust only: comments blanked, literals kept.
    pub uncommented: String,
}

/// A function's place.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    /// Counts from 1.
    pub line: usize,
    /// From the line of its `fn` to that of its closing brace.
    pub lines: usize,
}

impl Source {
    pub fn new(path: String, text: String) -> Source {
        let (code, uncommented) =
            if path.ends_with(".rs") { mask(&text) } else { (String::new(), String::new()) };
        Source { path, text, code, uncommented }
    }

    /// Is the whole file tests (or for tests)?
    pub fn is_test(&self) -> bool {
        let p = &self.path;
        p.contains("/tests/")
            || p.ends_with("/tests.rs")
            || p.contains("/examples/")
            || p.contains("/benches/")
            || p.starts_with("crates/testkit/")
            || p.starts_with("fuzz/")
            || p.starts_with("bench/")
    }

    /// Lines before the tests at the bottom; 0 for a file of tests.
    pub fn own_lines(&self) -> usize {
        if self.is_test() {
            return 0;
        }
        let tests = self.code.lines().position(|line| line.trim() == "#[cfg(test)]");
        tests.unwrap_or_else(|| self.code.lines().count())
    }

    /// Numbered lines of `view` (code or uncommented) that are not tests.
    pub fn own<'a>(&self, view: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
        view.lines().take(self.own_lines()).enumerate().map(|(i, line)| (i + 1, line))
    }

    /// The functions with a body, those of tests left out.
    pub fn functions(&self) -> Vec<Function> {
        functions(&self.code).into_iter().filter(|f| f.line <= self.own_lines()).collect()
    }
}

/// The root of the project.
pub fn root() -> PathBuf {
    match std::env::var_os("SEALPOST_TIDY_ROOT") {
        Some(other) => PathBuf::from(other),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."),
    }
}

/// All text files of the project, by path.
pub fn all() -> Vec<Source> {
    let root = root();
    let mut out = Vec::new();
    let mut waiting = vec![root.clone()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).expect("the project can be read") {
            let path = entry.expect("the project can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let built =
                name.starts_with("target") || matches!(name.as_str(), "corpus" | "crashes" | "node_modules");
            if path.is_dir() {
                if !built && (!name.starts_with('.') || name == ".ci") {
                    waiting.push(path);
                }
                continue;
            }
            let wanted = [".rs", ".toml", ".md", ".sh", ".txt", ".py", "Makefile", "run"]
                .iter()
                .any(|e| name.ends_with(e));
            if wanted && let Ok(text) = fs::read_to_string(&path) {
                let relative =
                    path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
                out.push(Source::new(relative, text));
            }
        }
    }
    out.sort_by(|a, b| a.path.cmp(&b.path));
    out
}

/// Blanks comments and literals (first result) or comments alone (second).
fn mask(text: &str) -> (String, String) {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut uncommented) = (String::with_capacity(text.len()), String::with_capacity(text.len()));
    let blank = |c: char| if c == '\n' { '\n' } else { ' ' };
    let mut i = 0;
    while i < chars.len() {
        let (end, is_comment) = if let Some(end) = comment_end(&chars, i) {
            (end, true)
        } else if let Some(end) = literal_end(&chars, i) {
            (end, false)
        } else {
            code.push(chars[i]);
            uncommented.push(chars[i]);
            i += 1;
            continue;
        };
        for &c in &chars[i..end] {
            code.push(blank(c));
            uncommented.push(if is_comment { blank(c) } else { c });
        }
        i = end;
    }
    (code, uncommented)
}

fn comment_end(chars: &[char], at: usize) -> Option<usize> {
    let rest = &chars[at..];
    if rest.starts_with(&['/', '/']) {
        return Some(at + rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()));
    }
    if !rest.starts_with(&['/', '*']) {
        return None;
    }
    let mut depth = 0;
    let mut i = 0;
    while i < rest.len() {
        if rest[i..].starts_with(&['/', '*']) {
            depth += 1;
            i += 2;
        } else if rest[i..].starts_with(&['*', '/']) {
            depth -= 1;
            i += 2;
            if depth == 0 {
                break;
            }
        } else {
            i += 1;
        }
    }
    Some(at + i)
}

/// The end of a string or character literal that begins here.
fn literal_end(chars: &[char], at: usize) -> Option<usize> {
    let inside_a_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    let mut i = at;
    if !inside_a_word {
        // b"..", r"..", br#".."#, c"..", b'..'
        while i < chars.len() && i < at + 2 && matches!(chars[i], 'b' | 'r' | 'c') {
            i += 1;
        }
    }
    let raw = chars[at..i].contains(&'r');
    let hashes = if raw { chars[i..].iter().take_while(|c| **c == '#').count() } else { 0 };
    i += hashes;
    match chars.get(i) {
        Some('"') if raw => {
            let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            let inner = &chars[i + 1..];
            let end = inner.windows(close.len()).position(|w| w == close).unwrap_or(inner.len());
            Some((i + 1 + end + close.len()).min(chars.len()))
        }
        Some('"') => Some(quoted_end(chars, i, '"')),
        // A lifetime has no closing quote behind one character.
        Some('\'') if chars.get(i + 1) == Some(&'\\') || chars.get(i + 2) == Some(&'\'') => {
            Some(quoted_end(chars, i, '\''))
        }
        _ => None,
    }
}

fn quoted_end(chars: &[char], open: usize, quote: char) -> usize {
    let mut i = open + 1;
    while i < chars.len() && chars[i] != quote {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(chars.len())
}

fn functions(code: &str) -> Vec<Function> {
    let mut out = Vec::new();
    let bytes = code.as_bytes();
    for (at, _) in code.match_indices("fn ") {
        let starts_a_word = at == 0 || !(bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        let name: String = code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !starts_a_word || name.is_empty() {
            continue;
        }
        // The body is the first brace outside parentheses and brackets; `;` first means no body.
        let mut depth = 0_i32;
        let mut braces = 0_i32;
        for (i, &byte) in bytes.iter().enumerate().skip(at) {
            match byte {
                b'(' | b'[' => depth += 1,
                b')' | b']' => depth -= 1,
                b';' if depth == 0 && braces == 0 => break,
                b'{' => braces += 1,
                b'}' => {
                    braces -= 1;
                    if braces == 0 {
                        let line = code[..at].matches('\n').count() + 1;
                        let lines = code[at..i].matches('\n').count() + 1;
                        out.push(Function { name, line, lines });
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    out
}

#[test]
fn masks() {
    let (code, uncommented) = mask("a /* x /* y */ \" */ \"s // \\\" \" 'c' b'\\'' r#\"\"q\"# &'a b // e\nf");
    assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["a", "&'a", "b", "f"]);
    assert!(
        uncommented.contains("\"s // \\\" \"")
            && uncommented.contains("\"q")
            && !uncommented.contains("// e")
    );
    assert_eq!(code.lines().count(), 2);
}

#[test]
fn measures_functions() {
    let text = "fn a() -> [u8; 2] {\n  if x { y }\n}\ntrait T { fn b(&self); fn c() {\n} }\nstruct often { x: fn (u8) }\n";
    let found = functions(&mask(text).0);
    let expected = |name: &str, line, lines| Function { name: name.into(), line, lines };
    assert_eq!(found, [expected("a", 1, 3), expected("c", 4, 2)]);
}
