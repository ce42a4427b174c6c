//! What real clients ask, octet by octet: one file each in `tests/requests`.
//!
//! A file begins with `#` lines (who asks, and why so), then `over: https` or `over: http`, then what
//! must hold of the answer: `status:`, `kind:`, `has:` (a piece of the body), `not:`, `to:` (Location);
//! `{https}` stands for the port. Behind an empty line comes the request; `Content-Length: *` is filled in.
//! What each file stands on is said in `tests/requests/README.md`.

use crate::house::House;
use proto::service::Protection;
use std::path::Path;

#[tokio::test]
async fn each_captured_request_has_its_answer() {
    let house = House::new().await;
    let port = house.at(Protection::Implicit).port().to_string();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/requests");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "http"));
    files.sort();
    assert!(files.len() >= 12, "the requests are gone");
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let (wanted, request) = text.split_once("\n\n").expect(&name);
        let octets = octets(request);
        let rules: Vec<(&str, &str)> = wanted
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("{name}: {line}")))
            .collect();
        let said = match rules.first() {
            Some(("over", "https")) => house.say(&octets).await,
            Some(("over", "http")) => house.say_in_clear(&octets).await,
            other => panic!("{name}: {other:?}"),
        };
        let body = String::from_utf8_lossy(&said.body);
        assert!(rules.iter().any(|(rule, _)| *rule == "status"), "{name} wants no status");
        for (rule, value) in &rules[1..] {
            let value = value.replace("{https}", &port);
            let holds = match *rule {
                "status" => said.status.to_string() == value,
                "kind" => said.field("content-type") == value,
                "to" => said.field("location") == value,
                "has" => body.contains(&value),
                "not" => !body.contains(&value),
                other => panic!("{name}: no rule {other}"),
            };
            assert!(holds, "{name}: {rule}: {value}\n{} {said:?}\n{body}", said.status);
        }
        assert_eq!(said.field("x-content-type-options"), "nosniff", "{name}");
    }
}

/// The request with the line ends and the length that it has on the wire.
fn octets(request: &str) -> Vec<u8> {
    let (head, body) = request.split_once("\n\n").unwrap_or((request.trim_end(), ""));
    let body = body.trim_end_matches('\n');
    let head =
        head.replace('\n', "\r\n").replace("Content-Length: *", &format!("Content-Length: {}", body.len()));
    format!("{head}\r\n\r\n{body}").into_bytes()
}
