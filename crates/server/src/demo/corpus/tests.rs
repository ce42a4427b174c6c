use super::super::language::LANGUAGES;
use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const NOW: i64 = 1_795_000_000;

fn people() -> Vec<Person> {
    [("Ada Quill", "ada@example.test"), ("Björn Ødegård", "bjorn@example.test")]
        .map(|(name, address)| Person { name: name.into(), address: address.into() })
        .to_vec()
}

fn id_of(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    Some(head.split("\r\nMessage-ID: ").nth(1)?.split("\r\n").next()?.to_owned())
}

#[test]
fn counts_order_and_line_ends() {
    let people = people();
    let mut counts = BTreeMap::new();
    let mut last = (0, 0);
    let mut ids = BTreeSet::new();
    let mut without_id = 0;
    for sample in corpus(1, NOW, &people) {
        *counts.entry((sample.to, sample.kind)).or_insert(0) += 1;
        assert!((sample.to, sample.received) >= last, "each person's mail comes in order");
        last = (sample.to, sample.received);
        assert!(sample.received < NOW && sample.received > NOW - (SPAN_DAYS + 1) * DAY);
        let crlf = sample.bytes.windows(2).filter(|w| w == b"\r\n").count();
        for byte in [b'\r', b'\n'] {
            assert_eq!(sample.bytes.iter().filter(|b| **b == byte).count(), crlf, "{:?}", sample.kind);
        }
        assert!(sample.bytes.ends_with(b"\r\n"), "{:?}", sample.kind);
        match id_of(&sample.bytes) {
            Some(id) => assert!(ids.insert(id.clone()), "{id} comes twice"),
            None => without_id += 1,
        }
        if sample.kind == Kind::Big {
            assert!((10_000_000..11_000_000).contains(&sample.bytes.len()), "{}", sample.bytes.len());
        }
    }
    assert_eq!(without_id, 2, "one broken message a person has no Message-ID");
    for (kind, count) in COUNTS {
        assert_eq!(counts.get(&(0, *kind)), Some(count), "{kind:?}");
        assert_eq!(counts.get(&(1, *kind)), Some(count).filter(|_| *kind != Kind::Big), "{kind:?}");
    }
}

#[test]
fn equal_arguments_give_equal_octets_and_others_differ() {
    let people = &people()[1..];
    let digest = |seed, now| {
        let mut hash = blake3::Hasher::new();
        for sample in corpus(seed, now, people) {
            hash.update(&sample.bytes);
            hash.update(&sample.received.to_le_bytes());
        }
        hash.finalize()
    };
    assert_eq!(digest(1, NOW), digest(1, NOW));
    assert_ne!(digest(1, NOW), digest(2, NOW));
    assert_ne!(digest(1, NOW), digest(1, NOW + DAY));
}

#[test]
fn absurd_dates_do_not_panic() {
    for now in [i64::MIN, -1, i64::MAX] {
        assert!(corpus(1, now, &people()[1..]).take(40).all(|s| !s.bytes.is_empty()));
    }
}

#[test]
fn threads_hang_together() {
    let mut known = BTreeSet::new();
    let mut answers = 0;
    for sample in corpus(3, NOW, &people()[1..]).filter(|s| s.kind == Kind::Thread) {
        let text = String::from_utf8_lossy(&sample.bytes).replace("\r\n ", " ");
        if let Some(parent) = text.split("\r\nIn-Reply-To: ").nth(1).and_then(|t| t.split("\r\n").next()) {
            assert!(known.contains(parent), "{parent} is answered before it came");
            assert!(text.contains(&format!("{parent}\r\nMIME")) || text.contains("\r\nReferences: "));
            answers += 1;
        }
        known.insert(id_of(&sample.bytes).unwrap());
    }
    assert_eq!(answers, 30);
}

#[test]
fn sized_is_exact() {
    let least = sized(7, 0).len();
    assert!(least < 400, "{least}");
    for bytes in (least..least + 200).chain([2000, 20_000, 100_003]) {
        let message = sized(7, bytes);
        assert_eq!(message.len(), bytes);
        assert!(message.windows(4).any(|w| w == b"\r\n\r\n"));
        assert!(message.split(|b| *b == b'\n').all(|line| line.len() <= 100));
    }
    assert_ne!(id_of(&sized(1, 500)), id_of(&sized(2, 500)));
}

#[test]
fn dates_are_known_answers() {
    assert_eq!(date(0, 0), "Thu, 1 Jan 1970 00:00:00 +0000");
    assert_eq!(date(1_795_297_069, 9), "Sun, 22 Nov 2026 06:37:49 +0900");
    assert_eq!(date(1_795_297_069, -5), "Sat, 21 Nov 2026 16:37:49 -0500");
}

/// Python's email package, as a judge that we did not write.
const JUDGE: &str = r#"
import email, email.policy, sys, os, struct, zlib
def check_png(b):
    assert b[:8] == b"\x89PNG\r\n\x1a\n"
    at, data = 8, b""
    while at < len(b):
        (n,) = struct.unpack(">I", b[at:at + 4])
        name, body, crc = b[at + 4:at + 8], b[at + 8:at + 8 + n], b[at + 8 + n:at + 12 + n]
        assert zlib.crc32(name + body) == struct.unpack(">I", crc)[0]
        if name == b"IHDR":
            w, h = struct.unpack(">II", body[:8])
        if name == b"IDAT":
            data += body
        at += 12 + n
    assert name == b"IEND" and len(zlib.decompress(data)) == h * (1 + 3 * w)
for name in sorted(os.listdir(sys.argv[1])):
    with open(os.path.join(sys.argv[1], name), "rb") as f:
        m = email.message_from_binary_file(f, policy=email.policy.default)
    kind = name.split("-")[1]
    broken = kind == "Broken"
    defects, leaves, text = list(m.defects), [], ""
    for part in m.walk():
        defects += part.defects
        for field, value in ([] if broken else part.items()):
            defects += value.defects
        if not part.is_multipart():
            leaves.append(part.get_content_type())
        if part.get_content_type() == "image/png":
            check_png(part.get_content())
        if part.get_content_type() == "application/pdf":
            assert part.get_content().startswith(b"%PDF-") and part.get_filename().endswith(".pdf")
        if part.get_content_maintype() == "text" and not text and not broken:
            text = part.get_content()
    if defects and not broken:
        print("DEFECT", name, defects)
    subject = "" if broken else str(m["Subject"] or "")
    print("\t".join([kind, subject, ",".join(leaves), m.get_content_charset() or "", text.replace("\r", "").replace("\n", "|")]))
"#;

#[test]
fn a_foreign_parser_agrees() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: python3 is not installed, and its email package is the judge here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (i, sample) in corpus(5, NOW, &people()[1..]).enumerate() {
        std::fs::write(dir.path().join(format!("{i:04}-{:?}", sample.kind)), &sample.bytes).unwrap();
    }
    std::fs::write(dir.path().join("9999-Plain"), sized(1, 3000)).unwrap();
    let mut judge = Command::new("python3");
    let output = judge.env("PYTHONIOENCODING", "utf-8").args(["-c", JUDGE]).arg(dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let defects: Vec<&str> = text.lines().filter(|line| line.starts_with("DEFECT")).collect();
    assert_eq!(defects, [] as [&str; 0]);
    let mut seen = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.splitn(5, '\t').collect();
        let [kind, subject, leaves, charset, body] = fields[..] else { panic!("{line}") };
        *seen.entry(kind).or_insert(0) += 1;
        let leaves: Vec<&str> = leaves.split(',').collect();
        match kind {
            "Charset" | "Language" => {
                let language = LANGUAGES.iter().find(|l| l.subjects.contains(&subject));
                let language = language.unwrap_or_else(|| panic!("{charset}: subject read as {subject}"));
                let whole = language.sentences.iter().any(|sentence| body.contains(sentence));
                assert!(whole, "{charset}: {body}");
            }
            "Html" => assert_eq!(leaves, ["text/plain", "text/html"]),
            "Pdf" => assert_eq!(leaves.last(), Some(&"application/pdf")),
            "Csv" => assert_eq!(leaves.last(), Some(&"text/csv")),
            "InlineImage" => assert_eq!(leaves, ["text/plain", "text/html", "image/png"]),
            "Invite" => assert_eq!(leaves, ["text/plain", "text/calendar", "application/ics"]),
            "Emoji" => assert!(subject.starts_with("🎉 We did it 🚀")),
            "NoSubject" => assert_eq!(subject, ""),
            _ => {}
        }
    }
    assert_eq!(seen["Charset"], 30);
    assert_eq!(seen.values().sum::<usize>(), COUNTS.iter().map(|(_, n)| n).sum::<usize>() + 1);
}
