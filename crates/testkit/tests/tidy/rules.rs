//! The rules. Each gives its breaches: what, where, and what to do instead.

use super::source::Source;

/// A broken rule.
#[derive(Debug)]
pub struct Breach {
    /// Name of the rule, for the exceptions.
    pub rule: &'static str,
    /// Path, and `:function` where a function is meant.
    pub place: String,
    pub line: usize,
    pub what: String,
}

const FILE_LINES_AIM: usize = 600;
const FILE_LINES_MAX: usize = 700;
const FUNCTION_LINES_AIM: usize = 70;
const FUNCTION_LINES_MAX: usize = 100;

/// Every rule on every file.
pub fn breaches(sources: &[Source]) -> Vec<Breach> {
    let mut out = Vec::new();
    for source in sources {
        let mut add = |rule, line, place: &str, what: String| {
            out.push(Breach { rule, place: place.to_owned(), line, what });
        };
        pure(source, &mut add);
        store_words(source, &mut add);
        ports(source, &mut add);
        proofs(source, &mut add);
        sizes(source, &mut add);
        unfinished(source, &mut add);
        machine_paths(source, &mut add);
        heads(source, &mut add);
        arrows(source, &mut add);
        one_test_program(source, &mut add);
    }
    out
}

type Add<'a> = dyn FnMut(&'static str, usize, &str, String) + 'a;

/// `proto` is a function of values.
fn pure(source: &Source, add: &mut Add<'_>) {
    const NEVER: &[(&str, &str)] = &[
        ("Instant", "take the time as a `Tick` argument"),
        ("SystemTime", "take the time as an argument"),
        ("now()", "take the time as an argument"),
        ("async", "give an event to the session and let it wait"),
        ("tokio", "move what touches sockets to net"),
        ("TcpStream", "move what touches sockets to net"),
        ("UdpSocket", "move what touches sockets to net"),
        ("TcpListener", "move what touches sockets to net"),
        ("rand", "take random bytes as an argument"),
        ("getrandom", "take random bytes as an argument"),
        ("std::fs", "files belong to store, net and sealpost"),
        ("std::env", "settings come as arguments"),
        ("std::process", "this belongs to the program"),
        ("std::thread", "machines do not start threads"),
        ("static mut", "state lives in the machine"),
    ];
    if !source.path.starts_with("crates/proto/src/") {
        return;
    }
    for (line, text) in source.own(&source.code) {
        for (word, instead) in NEVER {
            if has_word(text, word) {
                add("pure", line, &source.path, format!("proto says `{word}`: {instead}"));
            }
        }
    }
}

/// `store` does not know the protocols, not in comments either.
fn store_words(source: &Source, add: &mut Add<'_>) {
    if !source.path.starts_with("crates/store/src/") {
        return;
    }
    for (number, line) in source.text.lines().enumerate() {
        let lower = line.to_ascii_lowercase();
        for word in ["imap", "smtp", "pop3", "lmtp", "jmap"] {
            if has_word(&lower, word) {
                let what = format!("store says {word}: name what is kept, not who asks for it");
                add("store-words", number + 1, &source.path, what);
            }
        }
    }
}

/// Port numbers stand in `proto::service` and in tests.
fn ports(source: &Source, add: &mut Add<'_>) {
    const ALWAYS: &[&str] = &["465", "587", "993", "995", "4190", "2525"];
    const BESIDE_THE_WORD: &[&str] = &["24", "25", "26", "110", "143", "443", "2025"];
    if source.path.starts_with("crates/proto/src/service/") {
        return;
    }
    for (line, text) in source.own(&source.uncommented) {
        let about_ports = speaks_of_ports(&text.to_ascii_lowercase());
        let found = ALWAYS
            .iter()
            .chain(BESIDE_THE_WORD.iter().filter(|_| about_ports))
            .find(|number| has_word(text, number));
        if let Some(number) = found {
            let what = format!("port number {number}: take it from proto::service::ports or from the model");
            add("ports", line, &source.path, what);
        }
    }
}

/// What proves something is made in one place.
fn proofs(source: &Source, add: &mut Add<'_>) {
    const MADE: &[(&str, &str)] = &[
        ("Security::established", "crates/net/src/tls"),
        ("Authenticated::checked", "crates/server/src/auth"),
    ];
    for (line, text) in source.own(&source.code) {
        for (made, home) in MADE {
            if has_word(text, made) && !source.path.starts_with(home) {
                let what = format!("`{made}` outside {home}: ask for the proof as an argument");
                add("proofs", line, &source.path, what);
            }
        }
    }
}

fn sizes(source: &Source, add: &mut Add<'_>) {
    if !source.path.ends_with(".rs") {
        return;
    }
    let lines = source.own_lines();
    if lines > FILE_LINES_MAX {
        let what = format!(
            "{lines} lines without tests: find the seam and make two files (aim {FILE_LINES_AIM}, limit {FILE_LINES_MAX})"
        );
        add("file-length", lines, &source.path, what);
    }
    for function in source.functions() {
        if function.lines > FUNCTION_LINES_MAX {
            let what = format!(
                "`{}` has {} lines: give its parts names of their own (aim {FUNCTION_LINES_AIM}, limit {FUNCTION_LINES_MAX})",
                function.name, function.lines
            );
            add("function-length", function.line, &format!("{}:{}", source.path, function.name), what);
        }
    }
}

fn unfinished(source: &Source, add: &mut Add<'_>) {
    for (number, line) in source.code.lines().enumerate() {
        for (sign, instead) in [
            (concat!("#[", "ignore"), "put the reason for a skip into the file of skips, or mend the test"),
            (concat!("todo", "!"), "finish it, or return an error that says who must act"),
            ("unimplemented!", "finish it, or return an error that says who must act"),
            ("dbg!", "take it out"),
        ] {
            if has_word(line, sign) {
                add("unfinished", number + 1, &source.path, format!("`{sign}`: {instead}"));
            }
        }
    }
}

/// Nothing depends on the machine that it was written on.
fn machine_paths(source: &Source, add: &mut Add<'_>) {
    for (number, line) in source.text.lines().enumerate() {
        for path in ["home", "root", "work", "Users"].map(|name| format!("/{name}/")) {
            let Some(at) = line.find(&path) else { continue };
            // A path begins behind a space or a quote; `crates/root/x` and URLs do not count.
            let before = line[..at].chars().next_back();
            if before.is_none_or(|c| c.is_whitespace() || "\"'`=(:<".contains(c))
                && !line[..at].ends_with("//")
            {
                let what = format!("absolute path below {path}: make it relative or an argument");
                add("machine-paths", number + 1, &source.path, what);
            }
        }
    }
}

/// The plate on the door.
fn heads(source: &Source, add: &mut Add<'_>) {
    let is_module = source.path.starts_with("crates/") && source.path.ends_with(".rs") && !source.is_test();
    if is_module && !source.text.starts_with("//!") {
        let what = "begins without `//!`: say what it does, what must hold, what is not here".to_owned();
        add("heads", 1, &source.path, what);
    }
}

/// Dependencies between our crates point downwards.
fn arrows(source: &Source, add: &mut Add<'_>) {
    const OURS: &[&str] = &["proto", "store", "net", "server", "doctor", "web", "testkit"];
    const ALLOWED: &[(&str, &[&str])] = &[
        ("proto", &[]),
        ("store", &["proto"]),
        ("net", &["proto"]),
        ("server", &["store", "net", "proto"]),
        ("doctor", &["net", "proto"]),
        ("web", &["server", "doctor", "store", "net", "proto"]),
        ("sealpost", &["web", "server", "doctor", "store", "net", "proto"]),
        ("testkit", &["proto", "store", "net"]),
    ];
    let Some(name) = source.path.strip_prefix("crates/").and_then(|p| p.strip_suffix("/Cargo.toml")) else {
        return;
    };
    let Some((_, allowed)) = ALLOWED.iter().find(|(n, _)| *n == name) else {
        return add(
            "arrows",
            1,
            &source.path,
            format!("crate {name} has no place in the levels: give it one here"),
        );
    };
    let mut section = "";
    for (number, line) in source.text.lines().enumerate() {
        if line.starts_with('[') {
            section = line.trim();
        }
        let word = line.split(['.', ' ', '=']).next().unwrap_or_default();
        if section == "[dependencies]" && OURS.contains(&word) && !allowed.contains(&word) {
            let what = format!(
                "{name} -> {word} points upwards or sideways: move what is needed down, or pass it in"
            );
            add("arrows", number + 1, &source.path, what);
        }
    }
}

/// Each further file directly under `tests/` is another program to link.
fn one_test_program(source: &Source, add: &mut Add<'_>) {
    let Some((_, inner)) = source.path.split_once("/tests/") else { return };
    let is_program = source.path.starts_with("crates/")
        && source.path.ends_with(".rs")
        && !source.path.contains("/src/")
        && (!inner.contains('/') || inner.ends_with("/main.rs"))
        && inner != "it/main.rs";
    if is_program {
        let what = "a test program of its own: make it a module of tests/it/main.rs".to_owned();
        add("one-test-program", 1, &source.path, what);
    }
}

/// `port`, `ports`, `smtp_port`, but not `support` nor `portion`.
fn speaks_of_ports(lower: &str) -> bool {
    lower.match_indices("port").any(|(at, word)| {
        let before = lower[..at].chars().next_back().is_some_and(char::is_alphabetic);
        let after = lower[at + word.len()..].trim_start_matches('s').chars().next();
        !before && !after.is_some_and(char::is_alphabetic)
    })
}

/// Does the text hold `word` with no letter, digit or underscore on its open sides?
fn has_word(text: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    let open_start = word.starts_with(part_of_word);
    let open_end = word.ends_with(part_of_word);
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back().is_some_and(part_of_word);
        let after = text[at + word.len()..].chars().next().is_some_and(part_of_word);
        !(open_start && before || open_end && after)
    })
}

#[test]
fn every_rule_can_fail() {
    let long = format!("//! .\nfn f() {{\n{}}}\n", "    x();\n".repeat(FILE_LINES_MAX));
    for (rule, path, text) in [
        ("pure", "crates/proto/src/x.rs", "//! .\nuse std::time::Instant;\n"),
        ("pure", "crates/proto/src/x.rs", "//! .\nasync fn f() {}\n"),
        ("store-words", "crates/store/src/x.rs", "//! What IMAP wants.\n"),
        ("ports", "crates/net/src/x.rs", "//! .\nconst P: u16 = 995;\n"),
        ("ports", "crates/net/src/x.rs", "//! .\nlet port = 25;\n"),
        ("ports", "crates/net/src/x.rs", "//! .\nlet text = \"use port 143\";\n"),
        ("proofs", "crates/server/src/session.rs", "//! .\nlet s = Security::established(a, b);\n"),
        ("proofs", "crates/server/src/session.rs", "//! .\nlet s = Authenticated::checked(a);\n"),
        ("file-length", "crates/net/src/x.rs", &long),
        ("function-length", "crates/net/src/x.rs", &long),
        ("unfinished", "crates/net/tests/it/x.rs", concat!("#[", "ignore]\nfn a() {}\n")),
        ("unfinished", "crates/net/src/x.rs", concat!("//! .\nfn a() { todo", "!() }\n")),
        ("machine-paths", "docs/x.md", concat!("See `/ho", "me/me/x`.\n")),
        ("heads", "crates/net/src/x.rs", "fn a() {}\n"),
        ("arrows", "crates/store/Cargo.toml", "[dependencies]\nnet.workspace = true\n"),
        ("arrows", "crates/extra/Cargo.toml", ""),
        ("one-test-program", "crates/net/tests/more.rs", ""),
    ] {
        let found = breaches(&[Source::new(path.to_owned(), text.to_owned())]);
        assert!(found.iter().any(|b| b.rule == rule), "{rule} lets pass: {text:.80}");
    }
}

#[test]
fn what_is_allowed_passes() {
    for (path, text) in [
        (
            "crates/proto/src/x.rs",
            "//! The Instant of port 995.\n/// async\nfn brand() {}\n#[cfg(test)]\nmod t { use std::fs; }\n",
        ),
        ("crates/proto/src/service/mod.rs", "//! .\nconst P: u16 = 995;\n"),
        (
            "crates/net/src/x.rs",
            "//! .\nlet x = 25 + 0x995;\nlet supported = 110;\n#[cfg(test)]\nmod t { const P: u16 = 993; }\n",
        ),
        ("crates/net/src/tls/x.rs", "//! .\nlet s = Security::established(a, b);\n"),
        ("crates/net/tests/it/main.rs", "mod x;\n"),
        (
            "crates/store/Cargo.toml",
            "[dependencies]\nproto.workspace = true\n[dev-dependencies]\ntestkit.workspace = true\n",
        ),
        ("docs/x.md", concat!("https://example.org/ho", "me/x and crates/wo", "rk/x\n")),
    ] {
        let found = breaches(&[Source::new(path.to_owned(), text.to_owned())]);
        assert!(found.is_empty(), "{path}: {found:?}");
    }
}
