//! Every transcript of SMTP and LMTP against the bare machine, whole and cut.
//!
//! With `SEALPOST_REWRITE=1` the `S:` and `E:` lines are written anew from what
//! the machine does; read the difference before it is kept.

use crate::script::{self, Script, Step, escape};
use crate::smtp::{Setup, Talk, tls};
use proto::proof::How;
use proto::sasl::Mechanism;
use proto::smtp::Role;

#[test]
fn smtp_transcripts_hold_whole_and_in_every_cut() {
    let files = script::files("smtp");
    assert!(files.len() >= 30, "only {} transcripts were found", files.len());
    let rewrite = std::env::var_os("SEALPOST_REWRITE").is_some();
    let mut failed = String::new();
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let script = Script::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(text.starts_with("# RFC "), "{name}: the head begins with the RFC section that it shows");
        let setup = setup(&script).unwrap_or_else(|e| panic!("{name}: {e}"));
        if rewrite {
            std::fs::write(&path, run(&script, &setup, usize::MAX).render()).unwrap();
            continue;
        }
        for cut in [usize::MAX, 1, 2, 3, 7] {
            let happened = run(&script, &setup, cut).render();
            if happened != text {
                failed.push_str(&format!(
                    "\n=== {name}, cut into {cut}\n{}",
                    first_difference(&text, &happened)
                ));
                break;
            }
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

/// Plays the client's part and writes down what the other side did.
fn run(script: &Script, setup: &Setup, cut: usize) -> Script {
    let mut talk = Talk::new(setup.clone());
    let mut out = Script { head: script.head.clone(), steps: Vec::new() };
    let events = script.steps.iter().any(|s| matches!(s, Step::Event(_)));
    talk.feed(b"");
    let mut at = 0;
    note(&mut out, &mut talk, events);
    while at < script.steps.len() {
        match &script.steps[at] {
            Step::Client(_) => {
                // Notes between what the client says at once do not part it.
                let mut said = Vec::new();
                while let Some(Step::Client(bytes)) = script.steps.get(at) {
                    said.extend_from_slice(bytes);
                    out.steps.push(Step::Client(bytes.clone()));
                    at += 1;
                }
                for piece in said.chunks(cut.min(said.len()).max(1)) {
                    talk.feed(piece);
                }
                note(&mut out, &mut talk, events);
                continue;
            }
            Step::Do(deed) => {
                // Whether the conversation is over is written down like what is said.
                let over = if proto::machine::Machine::ended(&talk.machine) { "ended" } else { "open" };
                let state = matches!(deed.as_str(), "ended" | "open");
                out.steps.push(Step::Do(if state { over.to_owned() } else { deed.clone() }));
                match deed.split_once(' ') {
                    Some(("time", seconds)) => talk.pass(seconds.parse().unwrap()),
                    None if deed == "shutdown" => talk.shutdown(),
                    _ if state => {}
                    _ => panic!("unknown deed {deed:?}"),
                }
                note(&mut out, &mut talk, events);
            }
            Step::Note(note) => out.steps.push(Step::Note(note.clone())),
            Step::Server(_) | Step::Event(_) => {}
        }
        at += 1;
    }
    out
}

fn note(out: &mut Script, talk: &mut Talk, events: bool) {
    if events {
        out.steps.extend(talk.events.drain(..).map(Step::Event));
    }
    for line in talk.said.split_inclusive(|b| *b == b'\n') {
        out.steps.push(Step::Server(line.to_vec()));
    }
    talk.said.clear();
}

fn setup(script: &Script) -> Result<Setup, String> {
    let role = match script.setting("role") {
        Some("exchange") => Role::Exchange,
        Some("submission") => Role::Submission,
        Some("lmtp") => Role::Lmtp,
        other => return Err(format!("role: {other:?}")),
    };
    let mut setup = Setup::new(role);
    for (key, value) in script.settings() {
        let number = || value.parse::<u32>().map_err(|e| format!("{key}: {e}"));
        match key {
            "role" => {}
            "security" => match value {
                "clear" => setup.offer.starttls = false,
                "starttls" => {}
                "implicit" => setup.security = tls(How::Implicit),
                _ => return Err(format!("security: {value}")),
            },
            "mechanisms" => setup.offer.mechanisms = mechanisms(value)?,
            "mechanisms-inside" => setup.mechanisms_inside = mechanisms(value)?,
            "newlines" if value == "normalise" => setup.offer.normalise_newlines = true,
            "early-bytes" if value == "yes" => setup.early_bytes = true,
            "line_bytes_max" => setup.limits.line_bytes_max = number()? as usize,
            "auth_line_bytes_max" => setup.limits.auth_line_bytes_max = number()? as usize,
            "message_bytes_max" => setup.limits.message_bytes_max = u64::from(number()?),
            "recipients_max" => setup.limits.recipients_max = number()?,
            "mails_max" => setup.limits.mails_max = number()?,
            "errors_max" => setup.limits.errors_max = number()?,
            "auth_failures_max" => setup.limits.auth_failures_max = number()?,
            _ => return Err(format!("unknown setting {key}: {value}")),
        }
    }
    Ok(setup)
}

fn mechanisms(names: &str) -> Result<Vec<Mechanism>, String> {
    names.split(' ').map(|n| Mechanism::from_name(n).ok_or(format!("no mechanism {n}"))).collect()
}

fn first_difference(expected: &str, happened: &str) -> String {
    let (mut e, mut h) = (expected.lines(), happened.lines());
    for number in 1.. {
        match (e.next(), h.next()) {
            (None, None) => break,
            (a, b) if a == b => {}
            (a, b) => {
                let show = |l: Option<&str>| escape(l.unwrap_or("(nothing)").as_bytes());
                return format!("line {number}\n  expected {}\n  happened {}", show(a), show(b));
            }
        }
    }
    String::new()
}
