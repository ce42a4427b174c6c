use super::*;
use crate::demo::{Person, corpus};
use std::fs;
use tempfile::TempDir;

const FROM: &str = "From a@b.example Thu Jan  1 00:00:07 1970\n";

fn read(item: Item) -> String {
    let mut reader = item.reader;
    let mut out = Vec::new();
    reader.read_to_end(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn mbox(content: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("box");
    fs::write(&path, content).unwrap();
    let plan = scan(&path, Some(Kind::Mbox)).unwrap();
    let texts: Vec<String> = plan.items(Options::default()).map(|item| read(item.unwrap())).collect();
    assert_eq!(plan.messages, texts.len() as u64);
    assert_eq!(plan.bytes, content.len() as u64);
    texts
}

#[test]
fn mbox_shapes() {
    for (content, expected) in [
        (String::new(), vec![]),
        (format!("{FROM}A: 1\n\nx\n\n{FROM}B: 2\n\ny\n"), vec!["A: 1\r\n\r\nx\r\n", "B: 2\r\n\r\ny\r\n"]),
        // CRLF in the file, empty lines before the first message, no line end at the end.
        (
            format!("\n\r\n{FROM}A: 1\r\n\r\nx\r\n\r\n{FROM}B: 2\n\ny"),
            vec!["A: 1\r\n\r\nx\r\n", "B: 2\r\n\r\ny"],
        ),
        // Quoting of mboxrd and mboxo.
        (
            format!("{FROM}A: 1\n\n>From x\n>>From y\n> From\n\n"),
            vec!["A: 1\r\n\r\nFrom x\r\n>From y\r\n> From\r\n"],
        ),
        // `From ` in the text: not behind an empty line; behind one without a date.
        (
            format!("{FROM}A: 1\n\nx\n{FROM}\nFrom here on\n"),
            vec!["A: 1\r\n\r\nx\r\nFrom a@b.example Thu Jan  1 00:00:07 1970\r\n\r\nFrom here on\r\n"],
        ),
        // Only headers; two empty lines at the end keep one.
        (
            format!("{FROM}A: 1\n\n{FROM}B: 2\n\n\n{FROM}C: 3\n\nx\n\n\n"),
            vec!["A: 1\r\n\r\n", "B: 2\r\n\r\n", "C: 3\r\n\r\nx\r\n\r\n"],
        ),
        // Nothing behind the last `From ` line.
        (format!("{FROM}A: 1\n\nx\n\n{FROM}"), vec!["A: 1\r\n\r\nx\r\n", ""]),
        ("no mbox at all\n\nFrom a Thu Jan  1 00:00:07 1970\n".to_owned(), vec![]),
    ] {
        assert_eq!(mbox(&content), expected, "{content:?}");
    }
}

#[test]
fn content_length_is_believed_only_if_it_fits() {
    let body = format!("x\n\n{FROM}y >From\n>From z\n");
    let fits = format!("{FROM}Content-Length: {}\n\n{body}\n{FROM}B: 2\n\nend\n", body.len());
    let read = mbox(&fits);
    assert_eq!(read.len(), 2, "{read:#?}");
    assert!(read[0].ends_with("\r\n>From z\r\n") && read[0].contains("\r\n\r\nFrom a@b"), "{read:#?}");
    for wrong in [0, 1, 5, 10_000, u64::MAX] {
        let lies = format!("{FROM}Content-Length: {wrong}\n\nx\n>From q\n\n{FROM}B: 2\n\nend\n");
        let read = mbox(&lies);
        assert_eq!(read.len(), 2, "{wrong}");
        assert!(read[0].ends_with("\r\n\r\nx\r\nFrom q\r\n"), "{wrong} {read:#?}");
    }
}

#[test]
fn folder_note_is_left_out_and_flags_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mail");
    let note = "X-IMAP: 1 2\nSubject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n\nnote\n\n";
    let dated = "From - Thu Jan  1 x\nbroken\n";
    fs::write(&path, format!("{FROM}{note}{FROM}Status: RO\nX-Status: F\n\nx\n{dated}")).unwrap();
    assert_eq!(scan(&path, None).unwrap().kind, Kind::Mbox);
    let items: Vec<Item> = scan(&path, None).unwrap().items(Options::default()).map(Result::unwrap).collect();
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].marks, Marks { seen: true, flagged: true, ..Marks::default() });
    assert_eq!(items[0].received, Some(7));
    assert_eq!(items[0].offset, Some((FROM.len() + note.len()) as u64));
    assert_eq!(items[0].mailbox, "INBOX");
}

#[test]
fn tree_of_mbox_files() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, content: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    let one = format!("{FROM}A: 1\n\nx\n");
    put("Inbox", &one);
    put("Inbox.msf", "// index");
    put("Work", &one);
    put("Work.sbd/Bills.mbox", &one);
    let plan = scan(dir.path(), None).unwrap();
    assert_eq!((plan.kind, plan.messages), (Kind::Mbox, 3));
    let names: Vec<String> = plan.items(Options::default()).map(|i| i.unwrap().mailbox).collect();
    assert_eq!(names, ["INBOX", "Work", "Work/Bills"]);
}

fn maildir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, content: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    put("cur/900000010.a.host:2,RS", "A: 1\n\nsecond\n");
    put("cur/1000000000.b.host:2,", "A: 2\n\nthird\n");
    put("new/5.c.host", "A: 0\n\nfirst\n");
    put("tmp/6.d.host", "A: x\n\nunfinished\n");
    put("cur/.nfs0001", "not a message");
    put("dovecot-uidlist", "3 V1 N4\n");
    put(".Gel&APY-scht.Alt/cur/1.e:2,T", "A: 4\n\nold\n");
    put(".Empty/new/.keep", "");
    put(".Empty/tmp/.keep", "");
    dir
}

#[test]
fn maildir_with_subfolders() {
    let dir = maildir();
    let plan = scan(dir.path(), None).unwrap();
    assert_eq!((plan.kind, plan.messages), (Kind::Maildir, 4));
    let items: Vec<Item> = plan.items(Options::default()).map(Result::unwrap).collect();
    let places: Vec<&str> = items.iter().map(|i| i.mailbox.as_str()).collect();
    assert_eq!(places, ["INBOX", "INBOX", "INBOX", "Gelöscht/Alt"]);
    assert!(items[1].marks.seen && items[1].marks.answered && items[3].marks.deleted);
    assert!(items.iter().all(|i| i.received.is_some()));
    let texts: Vec<String> = items.into_iter().map(read).collect();
    assert_eq!(texts[0], "A: 0\r\n\r\nfirst\r\n");
    assert!(texts[1].ends_with("second\r\n") && texts[2].ends_with("third\r\n"));
    let flat = Options { root: "Old".into(), mailboxes: false };
    assert!(plan.items(flat).all(|i| i.unwrap().mailbox == "Old"));
}

#[test]
fn one_bad_file_does_not_stop_the_run() {
    let dir = maildir();
    let plan = scan(dir.path(), None).unwrap();
    let mut items = plan.items(Options::default());
    assert!(items.next().unwrap().is_ok());
    fs::remove_file(dir.path().join("cur/900000010.a.host:2,RS")).unwrap();
    fs::remove_dir_all(dir.path().join(".Gel&APY-scht.Alt")).unwrap();
    let rest: Vec<_> = items.collect();
    assert!(matches!(&rest[0], Err(Error::Io(path, _)) if path.ends_with("cur/900000010.a.host:2,RS")));
    assert!(rest[1].is_ok());
    assert_eq!(rest.iter().filter(|r| r.is_err()).count(), 1, "a mailbox that vanished is an empty one");
}

#[test]
fn folder_of_eml() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("Letters/2025")).unwrap();
    fs::write(dir.path().join("b.EML"), "Date: Thu, 1 Jan 1970 00:00:09 +0000\n\nx").unwrap();
    fs::write(dir.path().join("notes.txt"), "x").unwrap();
    fs::write(dir.path().join("Letters/2025/a.eml"), "Subject: no date\n\ny").unwrap();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("Letters/circle")).unwrap();
    let plan = scan(dir.path(), None).unwrap();
    assert_eq!((plan.kind, plan.messages), (Kind::Folder, 2));
    let items: Vec<Item> = plan.items(Options::default()).map(Result::unwrap).collect();
    assert_eq!(items[0].received, Some(9));
    assert_eq!(items[1].mailbox, "Letters/2025");
    assert!(items[1].received.is_some_and(|t| t > 1_600_000_000), "the file's time stands in");
    let single = scan(&dir.path().join("b.EML"), None).unwrap();
    assert_eq!(single.items(Options::default()).count(), 1);
}

#[test]
fn what_is_no_mail_is_said() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(scan(dir.path(), None), Err(Error::UnknownKind(_))));
    assert!(matches!(scan(dir.path(), Some(Kind::Maildir)), Err(Error::NotThatKind(..))));
    assert!(matches!(scan(&dir.path().join("none"), None), Err(Error::Io(..))));
    let file = dir.path().join("x");
    fs::write(&file, "hello").unwrap();
    assert!(matches!(scan(&file, None), Err(Error::UnknownKind(_))));
    assert!(scan(&file, None).unwrap_err().to_string().contains("neither an mbox"));
}

/// The corpus written as an mbox and read again gives the same octets.
#[test]
fn corpus_round_trip_through_mboxrd() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("corpus.mbox");
    let people = [
        Person { name: String::new(), address: "first@example.test".into() },
        Person { name: "Ada".into(), address: "ada@example.test".into() },
    ];
    let samples: Vec<Vec<u8>> =
        corpus(9, 1_795_000_000, &people).filter(|s| s.to == 1).map(|s| s.bytes).collect();
    let mut out = Vec::new();
    for bytes in &samples {
        out.extend_from_slice(b"From x@y.example Sat Nov 21 21:37:49 2026\n");
        for line in bytes.split_inclusive(|b| *b == b'\n') {
            if line.iter().position(|b| *b != b'>').is_some_and(|at| line[at..].starts_with(b"From ")) {
                out.push(b'>');
            }
            out.extend_from_slice(line.strip_suffix(b"\r\n").unwrap());
            out.push(b'\n');
        }
        out.push(b'\n');
    }
    fs::write(&path, out).unwrap();
    let plan = scan(&path, None).unwrap();
    assert_eq!(plan.messages, samples.len() as u64);
    for (item, sample) in plan.items(Options::default()).zip(&samples) {
        let item = item.unwrap();
        assert_eq!(item.received, Some(1_795_297_069));
        let mut bytes = Vec::new();
        { item.reader }.read_to_end(&mut bytes).unwrap();
        // Of a header alone nothing tells whether its empty line is mbox's or its own.
        let mut sample = sample.clone();
        if !sample.windows(4).any(|w| w == b"\r\n\r\n") {
            sample.extend_from_slice(b"\r\n");
        }
        assert!(bytes == sample, "{}", String::from_utf8_lossy(&sample));
    }
}

/// Any file: the spans lie in order within it, and reading them does not fail.
#[test]
fn any_octets_give_sound_spans() {
    let pieces = [
        FROM,
        "\n",
        "\r\n",
        "From ",
        ">From x\n",
        "A: 1\n",
        "Content-Length: 3\n",
        "\r",
        "x",
        "\u{0}é\n",
        ">>",
    ];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("odd");
    let mut state = 1_u64;
    for _ in 0..300 {
        let mut content = FROM.to_owned();
        for _ in 0..40 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            content.push_str(pieces[(state >> 33) as usize % pieces.len()]);
        }
        fs::write(&path, &content).unwrap();
        let mut end = 0;
        for span in mbox::Messages::open(&path).unwrap() {
            let span = span.unwrap();
            assert!(span.from_line >= end && span.start > span.from_line, "{content:?} {span:?}");
            assert!(content[span.from_line as usize..].starts_with("From "), "{content:?} {span:?}");
            end = span.start + span.bytes;
            assert!(end <= content.len() as u64, "{content:?} {span:?}");
        }
        let rest = &content[end as usize..];
        assert!(rest.trim_matches(['\r', '\n']).is_empty(), "{content:?} leaves {rest:?}");
        for item in scan(&path, Some(Kind::Mbox)).unwrap().items(Options::default()) {
            let mut bytes = Vec::new();
            { item.unwrap().reader }.read_to_end(&mut bytes).unwrap();
            assert_eq!(
                bytes.iter().filter(|b| **b == b'\n').count(),
                bytes.windows(2).filter(|w| w == b"\r\n").count()
            );
        }
    }
}
