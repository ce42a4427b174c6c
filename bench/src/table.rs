//! What was found, as a table for people and as JSON for programs.

use crate::peer::Kind;
use serde::Serialize;
use std::fmt::Write;

/// One figure of one server.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Workload and variant; rows of the same name are compared.
    pub name: String,
    /// Which server.
    pub server: &'static str,
    /// The figure, in `unit`.
    pub value: f64,
    /// `msg/s`, `login/s`, `KB`, `ms`.
    pub unit: &'static str,
    /// Is more better?
    pub more_is_better: bool,
    /// Processor time of the server for one operation, microseconds.
    pub cpu_us: Option<f64>,
    /// Processor time of the load generator for one operation, microseconds.
    pub load_cpu_us: Option<f64>,
    /// Median and 99th percentile of one operation as the client saw it, milliseconds.
    pub latency_ms: Option<(f64, f64)>,
    /// Memory of the server at the end of the load, octets.
    pub pss_bytes: Option<u64>,
    /// Processes of the server then.
    pub processes: Option<usize>,
    /// What must be known to read the figure.
    pub note: String,
}

impl Row {
    /// A figure by itself.
    pub fn new(
        name: impl Into<String>,
        kind: Kind,
        value: f64,
        unit: &'static str,
        more_is_better: bool,
    ) -> Row {
        Row {
            name: name.into(),
            server: kind.name(),
            value,
            unit,
            more_is_better,
            cpu_us: None,
            load_cpu_us: None,
            latency_ms: None,
            pss_bytes: None,
            processes: None,
            note: String::new(),
        }
    }
}

/// Of several rounds, the row with the middle figure for each name, in the
/// order of the first round; its note says between which figures it stands.
pub fn median(rounds: Vec<Vec<Row>>) -> Vec<Row> {
    let mut by_name: Vec<Vec<Row>> = Vec::new();
    for row in rounds.into_iter().flatten() {
        match by_name.iter_mut().find(|rows| rows[0].name == row.name) {
            Some(rows) => rows.push(row),
            None => by_name.push(vec![row]),
        }
    }
    by_name
        .into_iter()
        .map(|mut rows| {
            rows.sort_by(|a, b| a.value.total_cmp(&b.value));
            let (low, high, rounds) = (rows[0].value, rows[rows.len() - 1].value, rows.len());
            let mut row = rows.swap_remove(rounds / 2);
            if rounds > 1 {
                row.note = format!("{}; {rounds} rounds: {} to {}", row.note, figure(low), figure(high));
            }
            row
        })
        .collect()
}

/// A whole run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Processors of the machine.
    pub cores: usize,
    /// Kernel.
    pub kernel: String,
    /// One sync of a small write to the disk measured on, median, microseconds.
    pub sync_us: u32,
    /// Seconds asked for per measurement.
    pub seconds: u64,
    /// Rounds of which the middle one counts.
    pub rounds: usize,
    /// Load average over a minute before and after: the measured servers and the
    /// generator make about 2 to 3 of it, the rest is somebody else.
    pub load_average: (f64, f64),
    /// Program versions.
    pub versions: Vec<String>,
    /// All figures.
    pub rows: Vec<Row>,
    /// What could not be measured, and why.
    pub failures: Vec<String>,
}

/// The report as Markdown.
pub fn markdown(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(
        out,
        "{} cores, Linux {}, one small sync {} us, {} s a measurement, {} round(s), load average {:.1} before \
         and {:.1} after\n",
        report.cores,
        report.kernel,
        report.sync_us,
        report.seconds,
        report.rounds,
        report.load_average.0,
        report.load_average.1
    );
    for version in &report.versions {
        let _ = writeln!(out, "* {version}");
    }
    out.push_str(
        "\n| workload | server | figure | ratio | CPU us/op | ratio | p50 / p99 ms | PSS MB | processes \
         | generator us/op | |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|---|\n",
    );
    for row in &report.rows {
        let peer = report.rows.iter().find(|r| r.name == row.name && r.server == Kind::PostfixDovecot.name());
        let ours = row.server == Kind::Sealpost.name();
        let ratio = peer
            .filter(|p| ours && p.value > 0.0 && row.value > 0.0)
            .map(|p| if row.more_is_better { row.value / p.value } else { p.value / row.value });
        let cpu_ratio =
            peer.filter(|_| ours).and_then(|p| Some(row.cpu_us? / p.cpu_us.filter(|c| *c > 0.0)?));
        let _ = writeln!(
            out,
            "| {} | {} | {} {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            row.name,
            row.server,
            figure(row.value),
            row.unit,
            ratio.map_or(String::new(), |r| format!("**{r:.2} x**")),
            row.cpu_us.map_or(String::new(), figure),
            cpu_ratio.map_or(String::new(), |r| format!("**{r:.2}**")),
            row.latency_ms.map_or(String::new(), |(a, b)| format!("{} / {}", figure(a), figure(b))),
            row.pss_bytes.map_or(String::new(), |b| figure(b as f64 / 1e6)),
            row.processes.map_or(String::new(), |n| n.to_string()),
            row.load_cpu_us.map_or(String::new(), figure),
            row.note
        );
    }
    if !report.failures.is_empty() {
        out.push_str("\nNot measured:\n\n");
        for failure in &report.failures {
            let _ = writeln!(out, "* {}", failure.replace('\n', "\n  "));
        }
    }
    out
}

/// Three significant digits are all that such a measurement gives.
fn figure(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_ours_to_the_peers() {
        let mut ours = Row::new("smtp", Kind::Sealpost, 4000.0, "msg/s", true);
        ours.cpu_us = Some(500.0);
        let mut peer = Row::new("smtp", Kind::PostfixDovecot, 400.0, "msg/s", true);
        peer.cpu_us = Some(5000.0);
        let memory = Row::new("idle", Kind::Sealpost, 20.0, "KB", false);
        let memory_peer = Row::new("idle", Kind::PostfixDovecot, 100.0, "KB", false);
        let report = Report { rows: vec![ours, peer, memory, memory_peer], ..Report::default() };
        let text = markdown(&report);
        assert!(text.contains("| smtp | sealpost | 4000 msg/s | **10.00 x** | 500 | **0.10** |"), "{text}");
        assert!(text.contains("| smtp | postfix-dovecot | 400 msg/s |  | 5000 |  |"), "{text}");
        assert!(text.contains("| idle | sealpost | 20.0 KB | **5.00 x** |"), "{text}");
    }

    #[test]
    fn the_middle_round_counts() {
        let round = |a: f64, b: f64| {
            vec![
                Row::new("a", Kind::Sealpost, a, "msg/s", true),
                Row::new("b", Kind::Sealpost, b, "KB", false),
            ]
        };
        let rows = median(vec![round(3.0, 30.0), round(1.0, 10.0), round(2.0, 20.0)]);
        assert_eq!(
            rows.iter().map(|r| (r.name.as_str(), r.value)).collect::<Vec<_>>(),
            [("a", 2.0), ("b", 20.0)]
        );
        assert!(rows[0].note.ends_with("3 rounds: 1.00 to 3.00"), "{}", rows[0].note);
        assert_eq!(median(vec![round(3.0, 1.0)])[0].note, "");
    }

    #[test]
    fn a_peer_that_failed_gives_no_ratio() {
        let report = Report {
            rows: vec![Row::new("smtp", Kind::Sealpost, 4000.0, "msg/s", true)],
            failures: vec!["smtp on postfix-dovecot: no".to_owned()],
            ..Report::default()
        };
        let text = markdown(&report);
        assert!(!text.contains(" x**"), "{text}");
        assert!(text.contains("* smtp on postfix-dovecot: no"), "{text}");
    }
}
