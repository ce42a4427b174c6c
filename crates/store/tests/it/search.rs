//! Searches answer as a plain scan of what the messages say would, whatever of the index is there.

use crate::help::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use proto::message::text::fold;
use std::sync::Arc;
use store::Store;
use store::account::{Account, Copying, Delivery, Uses, View};
use store::search::{Address, Bits, Field, Scope};

/// A message as octets, and what is to be found in it, folded: fields, and texts.
#[derive(Clone)]
struct Sample {
    octets: Vec<u8>,
    fields: Vec<String>,
    texts: Vec<String>,
}

impl std::fmt::Debug for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.octets).replace("\r\n", "|"))
    }
}

/// How a text is written into a part.
#[derive(Clone, Copy, Debug)]
enum Written {
    Plain8Bit,
    Quoted,
    Base64,
    Latin,
    Html,
}

const WAYS: [Written; 5] =
    [Written::Plain8Bit, Written::Quoted, Written::Base64, Written::Latin, Written::Html];

/// Words of one to four letters of a small alphabet, so that needles occur by chance; some long, some of other scripts.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[abc]{1,4}",
        2 => "[a-e]{1,3}[-.'@][a-e]{1,3}",
        1 => "[ab]{60,260}",
        1 => "(\u{e4}|\u{f6}|\u{df}|\u{c9}){1,3}[ab]{0,2}",
        1 => "[a]?[\u{65e5}\u{672c}\u{3042}\u{3044}]{1,6}[\u{3002}b]?[\u{65e5}\u{672c}]{0,12}",
    ]
}

fn prose() -> impl Strategy<Value = String> {
    proptest::collection::vec(word(), 0..14).prop_map(|words| words.join(" "))
}

fn sample() -> impl Strategy<Value = Sample> {
    let part = (prose(), proptest::sample::select(&WAYS[..]));
    (prose(), "[a-c]{1,3}", proptest::collection::vec(part, 1..4)).prop_map(|(subject, list, parts)| {
        let subject: String = subject.chars().take(60).collect::<String>().trim().to_owned();
        let mut octets = format!(
            "Subject: {}\r\nX-List: <{list}.example.test>\r\nMIME-Version: 1.0\r\n",
            encoded_word(&subject)
        )
        .into_bytes();
        let mut fields = vec![
            format!("subject: {subject}"),
            format!("x-list: <{list}.example.test>"),
            "mime-version: 1.0".to_owned(),
        ];
        let mut texts = Vec::new();
        let many = parts.len() > 1;
        if many {
            octets.extend(b"Content-Type: multipart/mixed; boundary=zz\r\n\r\n");
            fields.push("content-type: multipart/mixed; boundary=zz".to_owned());
        }
        for (text, way) in parts {
            if many {
                octets.extend(b"--zz\r\n");
            }
            let (header, content) = write(&text, way);
            octets.extend(header.join("\r\n").into_bytes());
            octets.extend(b"\r\n\r\n");
            octets.extend(content);
            octets.extend(b"\r\n");
            fields.extend(header);
            texts.push(text);
        }
        if many {
            octets.extend(b"--zz--\r\n");
        }
        let folded = |texts: Vec<String>| texts.iter().map(|text| fold(text)).collect();
        Sample { octets, fields: folded(fields), texts: folded(texts) }
    })
}

fn encoded_word(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    // Cut so that no word is longer than RFC 2047 allows; white space between encoded words is none.
    let chars: Vec<char> = text.chars().collect();
    let words = chars.chunks(12).map(|some| {
        let octets: String = some.iter().collect::<String>().bytes().map(|b| format!("={b:02X}")).collect();
        format!("=?utf-8?Q?{octets}?=")
    });
    words.collect::<Vec<_>>().join("\r\n ")
}

fn write(text: &str, way: Written) -> (Vec<String>, Vec<u8>) {
    let header = |kind: &str, encoding: &str| {
        vec![format!("Content-Type: {kind}"), format!("Content-Transfer-Encoding: {encoding}")]
    };
    match way {
        // That charset does not have it.
        Written::Latin if text.chars().any(|c| c > '\u{ff}') => write(text, Written::Plain8Bit),
        Written::Plain8Bit => {
            (header("text/plain; charset=utf-8", "8bit"), text.replace(' ', "\r\n").into_bytes())
        }
        Written::Quoted => {
            let mut out = String::new();
            for (at, octet) in text.bytes().enumerate() {
                if at % 20 == 19 {
                    out.push_str("=\r\n");
                }
                match octet {
                    b'a'..=b'z' | b'.' | b'-' => out.push(char::from(octet)),
                    b' ' => out.push_str("=20"),
                    _ => out.push_str(&format!("={octet:02X}")),
                }
            }
            (header("text/plain; charset=utf-8", "quoted-printable"), out.into_bytes())
        }
        Written::Base64 => {
            let encoded = base64(text.as_bytes());
            let lines: Vec<&[u8]> = encoded.chunks(30).collect();
            (header("text/plain; charset=utf-8", "base64"), lines.join(&b"\r\n"[..]))
        }
        Written::Latin => {
            let octets = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
            (header("text/plain; charset=iso-8859-1", "8bit"), octets)
        }
        Written::Html => {
            let mut out = String::from("<style>aaa bbb</style><p>");
            for (at, c) in text.chars().enumerate() {
                match c {
                    _ if at % 7 == 3 => out.push_str(&format!("<b>{c}</b>")),
                    '\u{e4}' => out.push_str("&auml;"),
                    c => out.push(c),
                }
            }
            (header("text/html; charset=utf-8", "8bit"), out.into_bytes())
        }
    }
}

fn base64(octets: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    for three in octets.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        let letter = |at: usize| LETTERS[(bits >> (18 - 6 * at)) as usize & 63];
        out.extend((0..4).map(|at| if at <= three.len() { letter(at) } else { b'=' }));
    }
    out
}

async fn put(store: &Store, account: &Account, octets: &[u8]) -> u32 {
    account.deliver(mail(store, octets).await.unwrap()).await.unwrap().uid
}

fn inbox(account: &Account) -> Arc<View> {
    account.view("INBOX").unwrap().unwrap()
}

/// The messages of the mailbox by sequence number.
struct Known<'a> {
    samples: Vec<&'a Sample>,
}

impl Known<'_> {
    fn bits(&self, test: impl Fn(&Sample) -> bool) -> Bits {
        let mut bits = Bits::none(self.samples.len() as u32);
        (1..).zip(&self.samples).filter(|(_, sample)| test(sample)).for_each(|(seq, _)| bits.set(seq));
        bits
    }

    async fn agrees(&self, account: &Account, needle: &str, when: &str) -> Result<(), TestCaseError> {
        let view = inbox(account);
        prop_assert_eq!(view.len() as usize, self.samples.len());
        let needle = fold(needle);
        let all = Bits::all(view.len());
        let texts = |sample: &Sample| sample.texts.iter().any(|text| text.contains(&needle));
        let fields = |sample: &Sample| sample.fields.iter().any(|field| field.contains(&needle));
        let found = account.find_text(&view, &all, &needle, Scope::Body).await.unwrap();
        prop_assert_eq!(found, self.bits(texts), "texts with {:?}, {}", &needle, when);
        let found = account.find_text(&view, &all, &needle, Scope::Whole).await.unwrap();
        // Each has the prefix `P: 1` too.
        let expected = self.bits(|sample| texts(sample) || fields(sample) || fold("P: 1").contains(&needle));
        prop_assert_eq!(found, expected, "all with {:?}, {}", &needle, when);
        for name in ["Subject", "x-LIST"] {
            let value = |sample: &Sample| {
                let begin = fold(&format!("{name}: "));
                sample
                    .fields
                    .iter()
                    .any(|f| f.strip_prefix(&begin).is_some_and(|v| v.contains(needle.trim())))
            };
            let found = account.find_header(&view, &all, name, needle.trim()).await.unwrap();
            prop_assert_eq!(found, self.bits(value), "{} with {:?}, {}", name, &needle, when);
        }
        let subjects = self.bits(|sample| sample.fields[0]["subject: ".len()..].contains(needle.trim()));
        if !needle.trim().is_empty() {
            let columns = account.columns(&view).await.unwrap();
            prop_assert_eq!(columns.contains(Field::Subject, needle.trim()), subjects);
        }
        Ok(())
    }
}

/// Parts of texts and of fields, and others.
fn needles(samples: &[Sample], picks: &[(usize, usize, usize)], random: &[String]) -> Vec<String> {
    let mut needles: Vec<String> = random.to_vec();
    for (which, from, len) in picks {
        let sample = &samples[which % samples.len()];
        let all: Vec<&String> = sample.texts.iter().chain(&sample.fields).collect();
        let chars: Vec<char> = all[which / 7 % all.len()].chars().collect();
        let from = from % chars.len().max(1);
        needles.push(chars.iter().skip(from).take(1 + len % 120).collect());
    }
    // Line ends around a text are white space that the samples do not tell of.
    let needles = needles.iter().map(|needle| needle.trim().to_owned());
    needles.filter(|needle| !needle.is_empty()).collect()
}

#[test]
fn the_index_answers_as_a_plain_scan_would() {
    let strategy = (
        proptest::collection::vec(sample(), 1..24),
        0usize..24,
        proptest::collection::vec(any::<bool>(), 24),
        proptest::collection::vec((0usize..1000, 0usize..400, 0usize..400), 6),
        proptest::collection::vec(
            "[abc]{1,3}|[abc. -]{1,6}|\u{e4}[abc]?|[ab]{30,100}|[a\u{65e5}\u{672c}\u{3042}\u{3002}]{1,3}",
            5,
        ),
    );
    let rt = runtime();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), small()).unwrap();
    let ids = rt.block_on(people(&store, 1));
    let account = store.account(ids[0]);
    let mut runner = TestRunner::new(Config {
        cases: 64,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    });
    let result = runner.run(&strategy, |(samples, indexed, gone, picks, random)| {
        rt.block_on(async {
            let before = inbox(&account);
            let old: Vec<u32> = before.messages().iter().map(|message| message.uid).collect();
            account.expunge(before.mailbox.id, &old).await.unwrap();
            let needles = needles(&samples, &picks, &random);
            let mut uids = Vec::new();
            for (at, sample) in samples.iter().enumerate() {
                if at == indexed {
                    account.index(before.mailbox.id).unwrap();
                }
                uids.push(put(&store, &account, &sample.octets).await);
            }
            let whole = Known { samples: samples.iter().collect() };
            for needle in &needles {
                whole.agrees(&account, needle, "some of them indexed").await?;
            }
            let dead: Vec<u32> =
                uids.iter().zip(&gone).filter(|(_, gone)| **gone).map(|(uid, _)| *uid).collect();
            account.expunge(before.mailbox.id, &dead).await.unwrap();
            let left =
                Known { samples: samples.iter().zip(&gone).filter(|(_, g)| !**g).map(|(s, _)| s).collect() };
            for needle in &needles {
                left.agrees(&account, needle, "some of them gone").await?;
            }
            account.index(before.mailbox.id).unwrap();
            for needle in &needles {
                left.agrees(&account, needle, "all indexed").await?;
            }
            Ok(())
        })
    });
    result.unwrap();
    clean(&store);
}

/// A plain message.
fn plain(subject: &str, text: &str) -> Vec<u8> {
    format!("Subject: {subject}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n").into_bytes()
}

fn of(seqs: impl IntoIterator<Item = u32>, len: u32) -> Bits {
    let mut bits = Bits::none(len);
    seqs.into_iter().for_each(|seq| bits.set(seq));
    bits
}

/// Rows of the search index; changes them first.
fn index_rows(dir: &std::path::Path, change: &str) -> i64 {
    let db = rusqlite::Connection::open(dir.join("store.db")).unwrap();
    db.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    if !change.is_empty() {
        let changed = db.execute(&format!("{change} account BETWEEN 1<<59 AND (1<<60)-1"), []).unwrap();
        assert!(changed > 0, "{change} changed nothing");
    }
    let count = "SELECT count(*) FROM kv WHERE account BETWEEN 1<<59 AND (1<<60)-1";
    db.query_row(count, [], |row| row.get(0)).unwrap()
}

#[test]
fn an_index_that_is_lost_or_damaged_is_made_anew() {
    let rt = runtime();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), small()).unwrap();
    let id = rt.block_on(people(&store, 1))[0];
    for n in 0..30 {
        let octets = plain(&format!("n{n}"), &format!("common word{n} tail"));
        rt.block_on(put(&store, &store.account(id), &octets));
        if n % 10 == 9 {
            store.account(id).index(inbox(&store.account(id)).mailbox.id).unwrap();
        }
    }
    store.close().unwrap();
    drop(store);
    // A part is lost, another damaged, then all heads, then everything.
    for change in [
        "DELETE FROM kv WHERE key=(SELECT min(key) FROM kv WHERE key>='p' AND account>=1<<59) AND",
        "UPDATE kv SET value=zeroblob(length(value)) WHERE key>=cast('p' AS BLOB) AND",
        "UPDATE kv SET value=substr(value,1,length(value)-1) WHERE key<cast('p' AS BLOB) AND",
        "DELETE FROM kv WHERE key<cast('p' AS BLOB) AND",
        "DELETE FROM kv WHERE",
    ] {
        let change = change.replace("key>='p'", "key>=cast('p' AS BLOB)");
        index_rows(dir.path(), &change);
        let store = Store::open(dir.path(), small()).unwrap();
        let account = store.account(id);
        let view = inbox(&account);
        let all = Bits::all(view.len());
        for _ in 0..2 {
            let find = |needle: &str| {
                let needle = fold(needle);
                rt.block_on(account.find_text(&view, &all, &needle, Scope::Whole)).unwrap()
            };
            assert_eq!(find("common"), all, "after {change}");
            assert_eq!(find("ord17"), of([18], 30), "after {change}");
            assert_eq!(find("word2"), of([3, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30], 30));
            assert_eq!(find("d17 tail"), of([18], 30));
            assert_eq!(find("subject: n29"), of([30], 30));
            account.index(view.mailbox.id).unwrap();
        }
        clean(&store);
        store.close().unwrap();
        drop(store);
        assert!(index_rows(dir.path(), "") >= 3, "after {change}");
    }
}

#[test]
fn what_is_too_much_for_the_index_is_read() {
    let rt = runtime();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), small()).unwrap();
    let account = store.account(rt.block_on(people(&store, 1))[0]);
    let long = format!("{} needle", "many words ".repeat(450_000));
    let unbroken = format!("{}needle{}", "x".repeat(300_000), "y".repeat(300_000));
    let various: String = (0..60_000).map(|n| format!("w{n} ")).collect::<String>() + "needle";
    for text in ["no", &long, &unbroken, &various, "a needle"] {
        rt.block_on(put(&store, &account, &plain("s", text)));
    }
    let view = inbox(&account);
    let all = Bits::all(view.len());
    for when in ["not indexed", "indexed"] {
        for needle in ["needle", "eedl"] {
            let found = rt.block_on(account.find_text(&view, &all, &fold(needle), Scope::Body)).unwrap();
            assert_eq!(found, of([2, 3, 4, 5], 5), "{needle}, {when}");
        }
        let among = of([1, 3], 5);
        let found = rt.block_on(account.find_text(&view, &among, &fold("xneedley"), Scope::Body)).unwrap();
        assert_eq!(found, of([3], 5), "{when}");
        account.index(view.mailbox.id).unwrap();
    }
    clean(&store);
}

/// Waits until the words of so many messages are searched in memory.
fn gathered(store: &Store, messages: u64) {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while store.memory().tail_messages < messages {
        assert!(std::time::Instant::now() < until, "{} of {messages}", store.memory().tail_messages);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn new_messages_are_found_without_reading_before_they_are_in_a_block() {
    let rt = runtime();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), small()).unwrap();
    let id = rt.block_on(people(&store, 1))[0];
    let add = |store: &Store, numbers: std::ops::Range<u32>| {
        for n in numbers {
            rt.block_on(put(store, &store.account(id), &plain("s", &format!("text word{n}."))));
        }
    };
    let find = |store: &Store, needle: &str| {
        let (account, view) = (store.account(id), inbox(&store.account(id)));
        rt.block_on(account.find_text(&view, &Bits::all(view.len()), &fold(needle), Scope::Body)).unwrap()
    };
    add(&store, 0..63);
    assert_eq!(store.memory().tail_messages, 0, "a mailbox that is used little");
    add(&store, 63..64);
    gathered(&store, 64);
    // From now on each is gathered as it comes.
    add(&store, 64..70);
    gathered(&store, 70);
    store.settle().unwrap();
    assert_eq!(index_rows(dir.path(), ""), 0);
    store.close().unwrap();
    drop(store);
    let store = Store::open(dir.path(), small()).unwrap();
    gathered(&store, 70);
    // Bodies that cannot be read are not needed.
    let kept = blanked(dir.path());
    assert_eq!(find(&store, "word17"), of([18], 70));
    assert_eq!(find(&store, "ext"), of(1..=70, 70));
    assert_eq!(find(&store, "nothing"), of([], 70));
    assert_eq!(find(&store, "text word"), of([], 70), "this one reads, so it shows that they cannot be read");
    kept.iter().for_each(|(path, octets)| std::fs::write(path, octets).unwrap());
    assert_eq!(find(&store, "text word6"), of([7, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70], 70));
    store.account(id).index(inbox(&store.account(id)).mailbox.id).unwrap();
    assert_eq!(store.memory().tail_messages, 0);
    store.settle().unwrap();
    assert!(index_rows(dir.path(), "") > 0);
    assert_eq!(find(&store, "word17"), of([18], 70));
    clean(&store);
    // What is removed takes its index along.
    rt.block_on(store.directory().remove_account(id)).unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while index_rows(dir.path(), "") > 0 {
        assert!(std::time::Instant::now() < until, "the index outlived its account");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Deliver,
    Append(usize),
    /// Which, of those that are there; into which mailbox.
    Copy(usize, usize),
    Expunge(usize),
    Pause,
}

/// Whatever comes in while words are gathered one by one, each message is found by its own word and by no other, and none is left to be read.
#[test]
fn messages_that_come_in_every_way_are_gathered_as_what_they_are() {
    let step = prop_oneof![
        8 => Just(Step::Deliver),
        3 => (1usize..5).prop_map(Step::Append),
        2 => (any::<usize>(), 0usize..2).prop_map(|(which, to)| Step::Copy(which, to)),
        2 => any::<usize>().prop_map(Step::Expunge),
        1 => Just(Step::Pause),
    ];
    let rt = runtime();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), small()).unwrap();
    let account = store.account(rt.block_on(people(&store, 1))[0]);
    rt.block_on(account.create_mailbox("Other", Uses::default(), 1)).unwrap();
    let names = ["INBOX", "Other"];
    let mut number = 0u32;
    let mut make = async |mailbox: &str| {
        number += 1;
        let made = mail(&store, &plain("s", &format!("text word{number}x."))).await.unwrap();
        (number, Delivery { mailbox: mailbox.to_owned(), ..made })
    };
    // Words and UIDs of what is there.
    let mut there: [Vec<(u32, u32)>; 2] = Default::default();
    for (held, name) in there.iter_mut().zip(names) {
        for _ in 0..64 {
            let (word, one) = rt.block_on(make(name));
            held.push((rt.block_on(account.deliver(one)).unwrap().uid, word));
        }
    }
    gathered(&store, 128);
    let mut runner = TestRunner::new(Config {
        cases: 24,
        failure_persistence: None,
        max_shrink_iters: 0,
        ..Config::default()
    });
    let (make, there) = (std::cell::RefCell::new(make), std::cell::RefCell::new(there));
    let result = runner.run(&(proptest::collection::vec(step, 1..30), 0usize..2), |(steps, at)| {
        let (make, there) = (&mut *make.borrow_mut(), &mut *there.borrow_mut());
        let id = account.view(names[at]).unwrap().unwrap().mailbox.id;
        for step in steps {
            match step {
                Step::Deliver => {
                    let (word, one) = rt.block_on(make(names[at]));
                    there[at].push((rt.block_on(account.deliver(one)).unwrap().uid, word));
                }
                Step::Append(many) => {
                    let (words, all): (Vec<u32>, Vec<Delivery>) =
                        (0..many).map(|_| rt.block_on(make(names[at]))).unzip();
                    let uids = rt.block_on(account.append(all, None)).unwrap();
                    there[at].extend(uids.iter().map(|one| one.uid).zip(words));
                }
                Step::Copy(which, to) => {
                    let from = which % there[at].len();
                    let some: Vec<_> = there[at][from..(from + 3).min(there[at].len())].to_vec();
                    let uids = vec![(some[0].0, some[some.len() - 1].0)];
                    let to_id = account.view(names[to]).unwrap().unwrap().mailbox.id;
                    let copying = Copying { from: id, uids, to: to_id, remove: which % 2 == 1, saved: 1 };
                    let copied = rt.block_on(account.copy(copying)).unwrap().uids;
                    if which % 2 == 1 {
                        there[at].retain(|one| !some.contains(one));
                    }
                    there[to]
                        .extend(copied.iter().map(|(_, new)| *new).zip(some.iter().map(|(_, word)| *word)));
                }
                Step::Expunge(which) => {
                    let which = there[at].len() - 1 - (which % there[at].len()).min(4);
                    let (uid, _) = there[at].remove(which);
                    rt.block_on(account.expunge(id, &[uid])).unwrap();
                }
                Step::Pause => std::thread::sleep(std::time::Duration::from_millis(7)),
            }
            let view = account.view(names[at]).unwrap().unwrap();
            let len = view.len();
            let find = |needle: &str| {
                rt.block_on(account.find_text(&view, &Bits::all(len), &fold(needle), Scope::Body)).unwrap()
            };
            prop_assert_eq!(len as usize, there[at].len());
            prop_assert_eq!(find("text"), of(1..=len, len));
            for (_, word) in there[at].iter().rev().take(8) {
                let seqs = (1..).zip(&there[at]).filter(|(_, (_, other))| other == word).map(|(seq, _)| seq);
                prop_assert_eq!(find(&format!("word{word}x")), of(seqs, len), "word {}", word);
            }
        }
        Ok(())
    });
    result.unwrap();
    for name in names {
        account.index(account.view(name).unwrap().unwrap().mailbox.id).unwrap();
    }
    let id = account.id();
    store.close().unwrap();
    drop((account, store));
    // What came lately is no longer in memory.
    let store = Store::open(dir.path(), small()).unwrap();
    let account = store.account(id);
    let kept = blanked(dir.path());
    for (held, name) in there.borrow().iter().zip(names) {
        let view = account.view(name).unwrap().unwrap();
        let all = Bits::all(view.len());
        let found = rt.block_on(account.find_text(&view, &all, "TEXT", Scope::Body)).unwrap();
        assert_eq!(found.count() as usize, held.len(), "none is left to be read");
    }
    kept.iter().for_each(|(path, octets)| std::fs::write(path, octets).unwrap());
    clean(&store);
}

/// Makes all bodies unreadable; returns the files as they were.
fn blanked(dir: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let files = std::fs::read_dir(dir.join("blobs")).unwrap().map(|entry| entry.unwrap().path());
    let kept: Vec<_> = files.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    kept.iter().for_each(|(path, octets)| std::fs::write(path, vec![0; octets.len()]).unwrap());
    kept
}

/// Without a restart, and without anybody who looks for it.
#[test]
fn a_mailbox_that_is_gone_takes_its_index_along() {
    let rt = runtime();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), small()).unwrap();
    let account = store.account(rt.block_on(people(&store, 1))[0]);
    let made = rt.block_on(mail(&store, &plain("s", "some words"))).unwrap();
    for mailbox in ["Gone", "Stays"] {
        rt.block_on(account.create_mailbox(mailbox, Uses::default(), 1)).unwrap();
        let one = Delivery { mailbox: mailbox.to_owned(), ..made.clone() };
        rt.block_on(account.append(vec![one; 100], None)).unwrap();
        account.index(account.view(mailbox).unwrap().unwrap().mailbox.id).unwrap();
    }
    store.settle().unwrap();
    let both = index_rows(dir.path(), "");
    let gone = account.view("Gone").unwrap().unwrap().mailbox.id;
    rt.block_on(account.delete_mailbox(gone)).unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while index_rows(dir.path(), "") > both / 2 {
        assert!(std::time::Instant::now() < until, "the index outlived its mailbox");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    store.settle().unwrap();
    assert_eq!(index_rows(dir.path(), ""), both / 2, "the other mailbox keeps its own");
    clean(&store);
}

#[test]
fn sorting_and_threading_see_what_the_messages_say() {
    let rt = runtime();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), small()).unwrap();
    let account = store.account(rt.block_on(people(&store, 1))[0]);
    let first = b"From: Zoe <a@x.test>\r\nSubject: Plan\r\nMessage-ID: <1@x>\r\nDate: Tue, 14 Nov 2023 22:13:20 +0200\r\n\r\n";
    let reply =
        b"From: b@x.test\r\nSubject: Re: plan\r\nMessage-ID: <2@x>\r\nReferences: <0@x> <1@x>\r\n\r\n";
    let gone = rt.block_on(put(&store, &account, &plain("gone", "")));
    rt.block_on(put(&store, &account, first));
    drop(rt.block_on(account.columns(&inbox(&account))).unwrap());
    rt.block_on(put(&store, &account, reply));
    rt.block_on(account.expunge(inbox(&account).mailbox.id, &[gone])).unwrap();
    let view = inbox(&account);
    let columns = rt.block_on(account.columns(&view)).unwrap();
    assert_eq!(columns.contains(Field::From, &fold("zoe <A@")), of([1], 2));
    assert_eq!(columns.contains(Field::Subject, &fold("PLAN")), of([1, 2], 2));
    assert_eq!(columns.contains(Field::Cc, ""), of([], 2));
    assert_eq!((columns.sent(1), columns.sent(2)), (1_699_992_800, 1_700_000_000));
    assert_eq!(columns.sent_day(1), 19_675);
    let sort = rt.block_on(account.sort_keys(&view)).unwrap();
    assert_eq!((sort.subject(1), sort.subject(2)), (fold("plan").as_str(), fold("plan").as_str()));
    assert_eq!(sort.address(Address::From, 1), fold("a"));
    assert_eq!(sort.address(Address::DisplayFrom, 1), fold("Zoe"));
    assert_eq!(sort.address(Address::To, 1), "");
    let threads = rt.block_on(account.thread_keys(&view)).unwrap();
    assert_eq!((threads.message_id(1), threads.message_id(2)), (Some("1@x"), Some("2@x")));
    assert_eq!(threads.references(2).collect::<Vec<_>>(), ["0@x", "1@x"]);
    assert_eq!(threads.references(1).count(), 0);
    assert_eq!((threads.is_reply(1), threads.is_reply(2)), (false, true));
    assert_ne!(threads.content(1), threads.content(2));
}
