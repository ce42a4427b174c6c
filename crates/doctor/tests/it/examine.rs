//! The whole way, from the question to the sentence, for scenarios that say what is expected.

use crate::hall::{now, question, resolver};
use doctor::Exit;
use std::time::{Duration, Instant};
use testkit::hall::{Hall, files};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_expected_answer_is_given() {
    let mut wrong = Vec::new();
    for file in files() {
        let hall = Hall::play(&file).await;
        let Some(expect) = &hall.scenario.expect else { continue };
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let question = question(&hall);
        let begun = Instant::now();
        let answer = doctor::examine(&question, &resolver(&hall), &|_| {}, now()).await;
        let took = begun.elapsed();
        assert!(took <= question.limits.run + Duration::from_millis(100), "{name} took {took:?}");
        let exit = match answer.exit {
            Exit::Fine => 0,
            Exit::Change => 1,
            Exit::Broken => 2,
            Exit::CannotTell => 3,
        };
        let sentence = hall.text(&expect.sentence);
        let codes: Vec<&str> = answer.findings.iter().map(|finding| finding.code).collect();
        if answer.sentence != sentence {
            wrong.push(format!("{name}: \"{}\", not \"{sentence}\"", answer.sentence));
        }
        if exit != expect.exit {
            wrong.push(format!("{name}: exit {exit}, not {}", expect.exit));
        }
        for code in expect.findings.iter().filter(|code| !codes.contains(&code.as_str())) {
            wrong.push(format!("{name}: {code} was not found, but {codes:?}"));
        }
        for code in expect.absent.iter().filter(|code| codes.contains(&code.as_str())) {
            wrong.push(format!("{name}: {code} was found"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
