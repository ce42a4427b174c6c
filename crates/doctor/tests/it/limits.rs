//! The time and the connections that a run may take.

use crate::hall::{now, places, question, resolver};
use doctor::probe;
use doctor::seen::{First, Reach};
use doctor::{Limits, Progress, Scope};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use testkit::hall::{Hall, Scenario};

/// Ten hosts with ten ports, of which `silent` on each do not answer, each in its own way.
fn ten_by_ten() -> Scenario {
    let mut text = String::from("title = \"Ten hosts\"\n[question]\nhost = \"h0.example.test\"\n");
    for host in 0..10 {
        text += &format!("[[host]]\nname = \"h{host}.example.test\"\nipv4 = \"127.0.1.{}\"\n", host + 1);
        for (at, port) in [993, 465, 587, 143, 995, 110, 25, 2525, 26, 2025].into_iter().enumerate() {
            let (speaks, protection) = match port {
                993 => ("imap", "implicit"),
                995 => ("pop3", "implicit"),
                465 => ("smtp", "implicit"),
                143 => ("imap", "starttls"),
                110 => ("pop3", "starttls"),
                _ => ("smtp", "starttls"),
            };
            let fault = match at {
                1 | 4 | 7 => "filtered",
                3 | 8 => "silent",
                _ => "none",
            };
            text += &format!(
                "[[listener]]\nhost = \"h{host}.example.test\"\nport = {port}\nspeaks = \"{speaks}\"\nprotection = \"{protection}\"\nfault = \"{fault}\"\n"
            );
        }
    }
    toml::from_str(&text).expect("a scenario")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_hosts_with_ten_ports_half_of_them_silent() {
    let hall = Hall::of(ten_by_ten()).await;
    let begun = Instant::now();
    let probes = probe::all(
        &question(&hall),
        &places(&hall),
        &resolver(&hall),
        Duration::from_secs(6),
        &|_| {},
        now(),
    )
    .await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert_eq!(probes.len(), 100);
    let count = |wanted: Reach| probes.iter().filter(|probe| probe.reach == wanted).count();
    assert_eq!((count(Reach::Open), count(Reach::Silent), count(Reach::NotTried)), (70, 30, 0), "{took:?}");
    let silent = probes.iter().filter(|probe| probe.first == First::Silence).count();
    assert_eq!(silent, 20);
    println_took("10 hosts x 10 ports, half silent", took);
}

/// Printed with `--nocapture`.
fn println_took(what: &str, took: Duration) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{what}: {took:?}");
}

#[tokio::test]
async fn the_time_is_never_exceeded_and_what_was_not_tried_says_so() {
    let hall = Hall::start("silent").await;
    let mut question = question(&hall);
    question.limits = Limits { parallel_host: 1, ..Limits::default() };
    let begun = Instant::now();
    let time = Duration::from_millis(800);
    let probes = probe::all(&question, &places(&hall), &resolver(&hall), time, &|_| {}, now()).await;
    assert!(begun.elapsed() <= time + Duration::from_millis(50), "{:?}", begun.elapsed());
    assert_eq!(probes.len(), places(&hall).len());
    assert!(probes.iter().any(|probe| probe.reach == Reach::NotTried));
    assert!(probes.iter().all(|probe| probe.first == First::None || probe.reach == Reach::Open));
    // Nothing is said about a server that was not given its time.
    assert!(!probes.iter().any(|probe| probe.first == First::Silence || probe.reach == Reach::Silent));
}

#[tokio::test]
async fn no_time_at_all_is_an_answer() {
    let hall = Hall::start("fine").await;
    let probes =
        probe::all(&question(&hall), &places(&hall), &resolver(&hall), Duration::ZERO, &|_| {}, now()).await;
    assert!(probes.iter().all(|probe| probe.reach == Reach::NotTried || probe.reach == Reach::NoAddress));
    assert_eq!(hall.heard().len(), 0);
}

#[tokio::test]
async fn strangers_do_not_reach_inside() {
    let hall = Hall::start("fine").await;
    let mut question = question(&hall);
    question.scope = Scope::Public;
    let probes =
        probe::all(&question, &places(&hall), &resolver(&hall), Duration::from_secs(3), &|_| {}, now()).await;
    assert!(probes.iter().all(|probe| probe.reach == Reach::Forbidden), "{probes:?}");
    assert_eq!(hall.heard().len(), 0);
}

#[tokio::test]
async fn unknown_and_silent_names_are_told_apart_from_silent_ports() {
    let mut scenario = Hall::start("fine").await.scenario.clone();
    scenario.silent = vec!["mail.example.test".to_owned()];
    let hall = Hall::of(scenario).await;
    let mut places = places(&hall);
    places.truncate(1);
    let mut unknown = places[0].clone();
    unknown.host = "nobody.example.test".to_owned();
    places.push(unknown);
    let begun = Instant::now();
    let probes =
        probe::all(&question(&hall), &places, &resolver(&hall), Duration::from_secs(4), &|_| {}, now()).await;
    assert!(begun.elapsed() < Duration::from_secs(4));
    assert!(probes.iter().all(|probe| probe.reach == Reach::NoAddress), "{probes:?}");
    assert!(probes.iter().all(|probe| !probe.transcript.is_empty()));
}

#[tokio::test]
async fn progress_is_told() {
    let hall = Hall::start("mechanisms-vanish").await;
    let told = Mutex::new(Vec::new());
    let tell = |progress| told.lock().expect("no panic").push(progress);
    let time = Duration::from_secs(5);
    probe::all(&question(&hall), &places(&hall), &resolver(&hall), time, &tell, now()).await;
    let number = hall.port(587);
    assert_eq!(
        *told.lock().expect("no panic"),
        [
            Progress::Planned(1),
            Progress::Probed("mail.example.test".to_owned(), number, "STARTTLS".to_owned())
        ]
    );
}
