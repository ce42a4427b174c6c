//! What a server costs: processor time and memory of its process tree.
//!
//! A peer may be dozens of processes that come and go. The processor time of a
//! tree is the sum over its living processes of their own time and the time of
//! children they have already collected, so nothing is lost when a process
//! ends and nothing is counted twice. Memory is the proportional set size,
//! which shares out common pages and so may be added up.
//!
//! Not here: the kernel's memory for sockets, and its processor time that is
//! not charged to a process (interrupts, writeback).

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::Duration;

/// The unit of the times in `/proc/PID/stat`: `USER_HZ`, 100 on every Linux
/// architecture that Debian still builds for.
const TICKS_PER_SECOND: u64 = 100;

/// The processes of a server, found anew from their roots at each look.
#[derive(Clone, Debug)]
pub struct ProcessTree {
    roots: Vec<u32>,
}

/// Memory of a process tree.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Proportional set size, octets.
    pub pss_bytes: u64,
    /// Living processes.
    pub processes: usize,
}

impl ProcessTree {
    /// The trees below these processes, taken together.
    pub fn new(roots: Vec<u32>) -> ProcessTree {
        ProcessTree { roots }
    }

    /// Processor time used so far, user and system; steps of 10 ms.
    pub fn cpu(&self) -> Duration {
        let all = processes();
        let ticks: u64 =
            members(&self.roots, &all).iter().filter_map(|pid| all.get(pid)).map(|p| p.ticks).sum();
        Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
    }

    /// Memory held now.
    pub fn memory(&self) -> Memory {
        let all = processes();
        let mut memory = Memory::default();
        for pid in members(&self.roots, &all) {
            // A process that ended since the list was read holds nothing any more.
            if let Some(kib) =
                fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok().as_deref().and_then(pss_kib)
            {
                memory.pss_bytes += kib * 1024;
                memory.processes += 1;
            }
        }
        memory
    }
}

/// Processor time of this program itself, the load generator.
pub fn own_cpu() -> Duration {
    let ticks =
        fs::read_to_string("/proc/self/stat").ok().and_then(|s| parse_stat(&s)).map_or(0, |p| p.own_ticks);
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

/// The value at a quantile between 0 and 1; sorts the samples.
pub fn quantile(samples: &mut [u32], q: f64) -> u32 {
    if samples.is_empty() {
        return 0;
    }
    samples.sort_unstable();
    let last = samples.len() - 1;
    samples[((last as f64 * q).round() as usize).min(last)]
}

/// One line of the process list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    parent: u32,
    /// Own time, user and system.
    own_ticks: u64,
    /// Own time and that of collected children.
    ticks: u64,
}

fn processes() -> HashMap<u32, Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| Some((pid, parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect()
}

/// All processes at or below `roots`.
fn members(roots: &[u32], all: &HashMap<u32, Process>) -> HashSet<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for (pid, process) in all {
        children.entry(process.parent).or_default().push(*pid);
    }
    let mut found = HashSet::new();
    let mut open: Vec<u32> = roots.iter().copied().filter(|pid| all.contains_key(pid)).collect();
    while let Some(pid) = open.pop() {
        if found.insert(pid) {
            open.extend(children.get(&pid).into_iter().flatten());
        }
    }
    found
}

/// Reads `/proc/PID/stat` (proc(5)). The command name is in brackets and may
/// itself hold brackets and spaces, so fields are counted from the last one.
fn parse_stat(stat: &str) -> Option<Process> {
    let rest = &stat[stat.rfind(')')? + 1..];
    // After the name: state is field 3, parent 4, utime 14, stime 15, cutime 16, cstime 17.
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let own_ticks = number(14)? + number(15)?;
    Some(Process {
        parent: u32::try_from(number(4)?).ok()?,
        own_ticks,
        ticks: own_ticks + number(16)? + number(17)?,
    })
}

fn pss_kib(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_with_brackets_in_the_name() {
        let line = "42 (a b) c) S 7 42 42 0 -1 4194560 1 2 3 4 10 20 300 4000 20 0 1 0 5 6 7";
        assert_eq!(parse_stat(line), Some(Process { parent: 7, own_ticks: 30, ticks: 4330 }));
        assert_eq!(parse_stat("42 (short) S 7"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn pss_is_found_among_its_namesakes() {
        let rollup = "55-7f ---p 00000000 00:00 0 [rollup]\nRss:  900 kB\nPss:   123 kB\nPss_Anon:   99 kB\n";
        assert_eq!(pss_kib(rollup), Some(123));
        assert_eq!(pss_kib("Rss: 1 kB\n"), None);
    }

    #[test]
    fn a_tree_is_its_roots_and_all_below() {
        let process = |parent| Process { parent, own_ticks: 1, ticks: 1 };
        let all = HashMap::from([
            (1, process(0)),
            (2, process(1)),
            (3, process(2)),
            (4, process(1)),
            (5, process(4)),
        ]);
        assert_eq!(members(&[2], &all), HashSet::from([2, 3]));
        assert_eq!(members(&[2, 4], &all), HashSet::from([2, 3, 4, 5]));
        assert_eq!(members(&[99], &all), HashSet::new());
    }

    #[test]
    fn own_process_is_seen() {
        let memory = ProcessTree::new(vec![std::process::id()]).memory();
        assert!(memory.processes >= 1);
        assert!(memory.pss_bytes > 100_000);
    }

    #[test]
    fn quantiles() {
        assert_eq!(quantile(&mut [], 0.5), 0);
        assert_eq!(quantile(&mut [5], 0.99), 5);
        assert_eq!(quantile(&mut [9, 1, 5], 0.5), 5);
        assert_eq!(quantile(&mut (0..101).rev().collect::<Vec<u32>>(), 0.99), 99);
    }
}
