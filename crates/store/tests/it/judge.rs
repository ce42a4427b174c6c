//! A foreign judge of durability: a child delivers under `strace`, and the trace must show that between the last
//! change of a file that an acknowledgement rests on and the acknowledgement there was a sync of that file, and
//! of its directory if its name is new. Records of commits lie in segments; the database may lag behind them, but none is
//! given up before its log is synced. This covers the database, whose syncs no test can intercept.
//!
//! The judge itself is judged: a trace from which the syncs of one file were struck out must be found wanting.

use crate::help::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::process::{Command, Stdio};
use store::account::{Copying, FlagChange, Flags, How, Uses};
use store::{Options, Store};

const VICTIM: &str = "SEALPOST_STORE_TEST_TRACED";
const TEST: &str = "judge::every_acknowledgement_comes_after_its_syncs";
/// The one reason for which this test is passed over.
const SKIPPED: &str = "strace is not there or may not trace here (Debian: apt-get install strace)";

const CALLS: &str = "trace=mkdir,mkdirat,openat,write,pwrite64,pwritev,pwritev2,ftruncate,fsync,fdatasync,rename,renameat,\
                     renameat2,unlink,unlinkat";

/// Delivers one message after the other: every path a body takes, several segments, a checkpoint in the
/// middle and the log that begins anew after it.
fn victim(dir: &Path) {
    let rt = runtime();
    // So few octets of records that they are given up again and again.
    let store = Store::open(dir, Options { records_bytes_max: 1200, ..small() }).unwrap();
    rt.block_on(async {
        let id = people(&store, 1).await[0];
        say("acknowledged account");
        for (n, size) in [100, 70_000, 180_000, 400_000, 20, 150_000, 220_000, 30].into_iter().enumerate() {
            if n == 5 {
                // More than a quiet moment: a checkpoint runs.
                tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
            }
            let mut writer = store.bodies().writer();
            writer.write(&text(n as u64, size)).await.unwrap();
            // Every other one is durable before its delivery, the others with it.
            let stored = if n % 2 == 0 {
                let durable = writer.finish().await.unwrap();
                say(&format!("acknowledged body {n}"));
                durable
            } else {
                writer.place().await.unwrap()
            };
            let got = store.account(id).deliver(delivery(stored)).await.unwrap();
            say(&format!("acknowledged delivery {n}"));
            if n % 3 == 2 {
                store.account(id).expunge(got.mailbox, &[got.uid]).await.unwrap();
                say(&format!("acknowledged removal {n}"));
            }
        }
    });
    rt.block_on(change(&store));
    store.close().unwrap();
    say("acknowledged close");
}

/// One of each kind of change that is not a delivery.
async fn change(store: &Store) {
    let account = store.account(store.directory().accounts(None).unwrap()[0].id);
    let [inbox, sent] = ["INBOX", "Sent"].map(|name| account.mailbox(name).unwrap().unwrap().id);
    let detail = account.detail(inbox, 1).unwrap().unwrap();
    let made = account.append(vec![delivery(detail.body); 3], None).await.unwrap();
    say("acknowledged append");
    let uids = vec![(made[0].uid, made[2].uid)];
    let (how, flags, keywords) = (How::Add, Flags::SEEN, vec!["new".to_owned()]);
    let flagging =
        FlagChange { mailbox: inbox, uids: uids.clone(), how, flags, keywords, unchanged_since: None };
    account.change_flags(flagging).await.unwrap();
    say("acknowledged flags");
    for remove in [false, true] {
        let copying = Copying { from: inbox, uids: uids.clone(), to: sent, remove, saved: 1 };
        account.copy(copying).await.unwrap();
        say("acknowledged copy or move");
    }
    let created = account.create_mailbox("a/b", Uses::default(), 1).await.unwrap();
    say("acknowledged mailbox");
    account.rename_mailbox("a", "c", 2).await.unwrap();
    say("acknowledged name");
    let note = vec![("/private/comment".to_owned(), Some(b"text".to_vec()))];
    account.set_notes(Some(created), account.id(), note).await.unwrap();
    say("acknowledged note");
    account.delete_mailbox(created).await.unwrap();
    say("acknowledged deletion");
}

/// One write of its own, which the trace shows.
fn say(line: &str) {
    rustix::io::write(std::io::stdout(), format!("{line}\n").as_bytes()).unwrap();
}

/// One call: from when to when (as lines of the trace), and what.
#[derive(Clone, Debug)]
struct Call {
    begun: usize,
    ended: usize,
    name: String,
    arguments: String,
    result: String,
}

/// The calls of a trace, those that were interrupted by other threads' put together, by their end.
fn calls(trace: &str) -> Vec<Call> {
    let mut open: HashMap<&str, (usize, String)> = HashMap::new();
    let mut found = Vec::new();
    for (at, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.trim_start().split_once(' ') else { continue };
        let rest = rest.trim_start();
        let (begun, whole) = if let Some(rest) = rest.strip_prefix("<... ") {
            let Some((begun, front)) = open.remove(thread) else { continue };
            let back = rest.split_once("resumed>").map_or("", |(_, back)| back);
            (begun, format!("{front}{back}"))
        } else if let Some(front) = rest.strip_suffix("<unfinished ...>") {
            open.insert(thread, (at, front.trim_end().to_owned()));
            continue;
        } else {
            (at, rest.to_owned())
        };
        let Some((name, rest)) = whole.split_once('(') else { continue };
        let Some((arguments, result)) = rest.rsplit_once(" = ") else { continue };
        let arguments = arguments.trim_end().trim_end_matches(')').to_owned();
        found.push(Call { begun, ended: at, name: name.to_owned(), arguments, result: result.to_owned() });
    }
    found
}

/// The path that `strace -y` writes behind the number of an open file.
fn path_of(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('<')?;
    Some(rest.split_once('>')?.0.trim_end_matches(" (deleted)"))
}

fn quoted(text: &str) -> Vec<&str> {
    text.split('"').skip(1).step_by(2).collect()
}

fn dir_of(path: &str) -> String {
    path.rsplit_once('/').map_or(String::new(), |(dir, _)| dir.to_owned())
}

/// What is not durable yet: since which line.
#[derive(Default)]
struct Unsynced {
    contents: BTreeMap<String, usize>,
    /// Directory, then name.
    names: BTreeMap<(String, String), usize>,
    known: BTreeSet<String>,
    /// The segment of the last record, and where it is.
    record: Option<(String, u64)>,
    /// Records that were given up, whether or not they were needed.
    given_up: usize,
}

impl Unsynced {
    fn named(&mut self, path: &str, at: usize) {
        self.names.insert((dir_of(path), path.to_owned()), at);
    }

    /// The record at the beginning is written over, or cut off with all others.
    fn give_up(&mut self, call: &Call, faults: &mut Vec<String>) {
        self.given_up += 1;
        if let Some((_, at)) = self.contents.iter().find(|(path, _)| path.ends_with("store.db-wal")) {
            faults.push(format!(
                "line {}: records are given up, the log of line {at} is not synced",
                call.begun
            ));
        }
    }

    fn note_record(&mut self, path: &str, call: &Call, faults: &mut Vec<String>) {
        let here = self.record.as_ref().filter(|(segment, _)| segment == path).map(|(_, at)| *at);
        if matches!(call.name.as_str(), "ftruncate" | "unlink" | "unlinkat") && here.is_some() {
            self.give_up(call, faults);
            self.record = None;
        } else if call.arguments.contains("\"SPR1") {
            let offset = call.arguments.rsplit(", ").next().and_then(|at| at.parse().ok());
            let offset: u64 = offset.expect("strace ends a pwritev with its offset");
            if here.is_some_and(|last| offset <= last) {
                self.give_up(call, faults);
            }
            self.record = Some((path.to_owned(), offset));
        }
    }

    fn note(&mut self, call: &Call, faults: &mut Vec<String>) {
        let path = path_of(&call.arguments).unwrap_or_default().to_owned();
        self.note_record(&path, call, faults);
        match call.name.as_str() {
            "openat" if call.arguments.contains("O_CREAT") => {
                if let Some(path) = path_of(&call.result)
                    && self.known.insert(path.to_owned())
                {
                    self.named(path, call.ended);
                }
            }
            "write" | "pwrite64" | "pwritev" | "pwritev2" | "ftruncate" => {
                // The log begins anew: what it said must be durable in the database.
                let anew = call.name == "ftruncate" || call.arguments.ends_with(", 0");
                if path.ends_with("store.db-wal")
                    && anew
                    && let Some(at) = self.contents.get(path.trim_end_matches("-wal"))
                {
                    faults.push(format!("line {}: the log begins anew over line {at}", call.begun));
                }
                match call.name.as_str() {
                    // What is cut off a segment was not needed; an empty log says nothing.
                    "ftruncate" if path.ends_with(".seg") => {}
                    // Zeros ahead, on which nothing rests.
                    "pwritev" if call.arguments.contains("[{iov_base=\"\\0\\0\\0\\0") => {}
                    "ftruncate" if path.ends_with("store.db-wal") => drop(self.contents.remove(&path)),
                    _ => drop(self.contents.insert(path, call.ended)),
                }
            }
            "fsync" | "fdatasync" => {
                self.contents.retain(|of, at| *of != path || *at > call.begun);
                self.names.retain(|(dir, _), at| *dir != path || *at > call.begun);
            }
            "rename" | "renameat" | "renameat2" => {
                let names = quoted(&call.arguments);
                let (from, to) = (names[0], names[1]);
                if let Some(at) = self.contents.remove(from) {
                    self.contents.insert(to.to_owned(), at);
                }
                self.named(to, call.ended);
            }
            // One that is there already is not new.
            "mkdir" | "mkdirat" if call.result.starts_with('0') => {
                quoted(&call.arguments).first().into_iter().for_each(|name| self.named(name, call.ended));
            }
            "unlink" | "unlinkat" => {
                for name in quoted(&call.arguments) {
                    self.contents.remove(name);
                    self.known.remove(name);
                    self.names.remove(&(dir_of(name), name.to_owned()));
                }
            }
            _ => {}
        }
    }
}

/// What is wrong with a trace, how many acknowledgements it has, and how often records are given up in it.
fn judged(calls: &[Call]) -> (Vec<String>, usize, usize) {
    let (mut unsynced, mut faults, mut acknowledged) = (Unsynced::default(), Vec::new(), 0);
    for call in calls {
        if call.name == "write" && call.arguments.contains("\"acknowledged ") {
            acknowledged += 1;
            let rests_on = |path: &str| path.ends_with(".seg") || path.ends_with("-wal");
            for (path, at) in unsynced.contents.iter().filter(|(path, _)| path.ends_with(".seg")) {
                faults.push(format!("{}: {path} was written at line {at}, not synced", call.arguments));
            }
            for ((_, path), at) in &unsynced.names {
                if rests_on(path)
                    || ["store.db", "/new", "/store", "/blobs"].iter().any(|end| path.ends_with(end))
                {
                    faults.push(format!("{}: {path} was named at line {at}, not synced", call.arguments));
                }
            }
        } else {
            unsynced.note(call, &mut faults);
        }
    }
    (faults, acknowledged, unsynced.given_up)
}

/// Runs the child under strace; `None`: it cannot trace here.
fn trace() -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("trace");
    let probe = Command::new("strace").args(["-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        return None;
    }
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-s", "40", "-e", CALLS, "-o"]).arg(&output);
    strace.arg(std::env::current_exe().unwrap()).args([TEST, "--exact", "--nocapture", "--test-threads=1"]);
    let status = strace.env(VICTIM, dir.path().join("new/store")).stdout(Stdio::null()).status().unwrap();
    assert!(status.success());
    Some(std::fs::read_to_string(output).unwrap())
}

#[test]
fn every_acknowledgement_comes_after_its_syncs() {
    if let Some(dir) = std::env::var_os(VICTIM) {
        return victim(Path::new(&dir));
    }
    let Some(trace) = trace() else {
        eprintln!("skipped: {SKIPPED}");
        return;
    };
    let calls = calls(&trace);
    let (faults, acknowledged, given_up) = judged(&calls);
    assert_eq!((faults, acknowledged), (Vec::new(), 24));
    assert!(given_up > 3, "records were given up {given_up} times only");
    let copied = calls.iter().position(|call| {
        call.name == "pwrite64"
            && path_of(&call.arguments).is_some_and(|path| path.ends_with("store.db"))
            && call.begun
                > calls.iter().find(|c| c.arguments.contains("body 0")).map_or(usize::MAX, |c| c.begun)
    });
    let last = calls.iter().position(|call| call.arguments.contains("acknowledged delivery 7"));
    assert!(copied.is_some_and(|at| Some(at) < last), "the quiet moment was not used for a checkpoint");
    let is_sync = |call: &Call, end: &str| {
        call.name.ends_with("sync") && path_of(&call.arguments).is_some_and(|path| path.ends_with(end))
    };
    for forgotten in [".seg", "/blobs", "store.db-wal", "store.db", "/store"] {
        let without: Vec<Call> = calls.iter().filter(|call| !is_sync(call, forgotten)).cloned().collect();
        assert!(without.len() < calls.len(), "no sync of {forgotten} in the trace");
        assert_ne!(judged(&without).0, Vec::<String>::new(), "{forgotten} was never synced: not noticed");
    }
    // A single one is missed too: of bodies, of records, and of a large body before it gets its name.
    let of_body = |call: &Call| is_sync(call, ".seg") || is_sync(call, ".body");
    let bodies: Vec<usize> = (0..calls.len()).filter(|at| of_body(&calls[*at])).collect();
    assert!(bodies.len() > 20, "{} syncs of segments for 24 acknowledgements", bodies.len());
    for at in bodies {
        let mut without = calls.clone();
        without.remove(at);
        assert_ne!(judged(&without).0, Vec::<String>::new(), "line {}: not noticed", calls[at].begun);
    }
}
