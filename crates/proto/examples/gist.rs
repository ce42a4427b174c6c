//! Measures how fast messages are looked at: `gist DIRECTORY` takes every file below it as a message, and one with a
//! big attachment that is made here.
#![allow(clippy::print_stdout)]

use proto::message::gist::{Addresses, Gist, Limits, Scanner};
use proto::message::structure::{Encoding, TextPart};
use proto::message::text::{self, TextDecoder};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

/// Octets that arrive at a time.
const PIECE_BYTES: usize = 16 << 10;

fn main() -> std::io::Result<()> {
    let mut messages = Vec::new();
    if let Some(directory) = std::env::args_os().nth(1) {
        read_all(Path::new(&directory), &mut messages)?;
    }
    report("attachment, 10 MB", &[attachment(10 << 20)]);
    report("typical, 4 KB", &[typical()]);
    if !messages.is_empty() {
        report("directory", &messages);
    }
    reading(&gist(&typical()));
    texts();
    Ok(())
}

fn read_all(directory: &Path, into: &mut Vec<Vec<u8>>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            read_all(&path, into)?;
        } else {
            into.push(std::fs::read(path)?);
        }
    }
    Ok(())
}

fn gist(message: &[u8]) -> Vec<u8> {
    let mut scanner = Scanner::new(Limits::default());
    message.chunks(PIECE_BYTES).for_each(|piece| scanner.feed(piece));
    scanner.finish()
}

/// The processor's time of one call, from as many as fit in a second.
fn time(mut call: impl FnMut()) -> Duration {
    let (start, spent) = (Instant::now(), spent());
    let mut calls = 0;
    while start.elapsed() < Duration::from_secs(1) {
        for _ in 0..10 {
            call();
        }
        calls += 10;
    }
    match (spent, self::spent()) {
        (Some(before), Some(after)) => (after - before) / calls,
        _ => start.elapsed() / calls,
    }
}

/// What this thread has had of the processor, where the system tells: others may be at work on it.
fn spent() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}

fn report(what: &str, messages: &[Vec<u8>]) {
    let size: usize = messages.iter().map(Vec::len).sum();
    let each = time(|| messages.iter().for_each(|m| drop(black_box(gist(black_box(m))))));
    let (mut bytes, mut text) = (0, 0);
    for message in messages {
        let kept = gist(message);
        let read = Gist::read(&kept).expect("what was written can be read");
        bytes += kept.len();
        text += read.envelope().len() + read.body_structure().len();
    }
    println!(
        "{what}: {} messages, {:.2} us a message, {:.0} MB/s, gist {} bytes a message, {:.2} of envelope and structure",
        messages.len(),
        each.as_secs_f64() * 1e6 / messages.len() as f64,
        size as f64 / each.as_secs_f64() / 1e6,
        bytes / messages.len(),
        bytes as f64 / text as f64
    );
}

fn reading(kept: &[u8]) {
    let columns = time(|| {
        let gist = Gist::read(black_box(kept)).expect("a gist");
        for which in [Addresses::From, Addresses::To, Addresses::Cc, Addresses::Bcc] {
            black_box(text::fold(&gist.addresses(which)));
        }
        let subject = gist.subject();
        black_box(text::fold(&text::base_subject(&subject).0));
        black_box((text::fold(&subject), gist.sent(), gist.sent_day()));
    });
    let thread = time(|| {
        black_box(Gist::read(black_box(kept)).map(|g| g.thread()));
    });
    let find = time(|| {
        black_box(Gist::read(black_box(kept)).and_then(|g| g.find(&[2])));
    });
    println!("columns of a message: {columns:?}; thread: {thread:?}; find: {find:?}");
}

fn texts() {
    let html = "<p>Some <b>text</b> with m&uuml;ch markup and a longer line of words.</p>\r\n".repeat(2000);
    let base64: String =
        "U29tZSB0ZXh0IHdpdGggbW9yZSB3b3JkcyBpbiBpdCBhbmQgYSBsb25nZXIgbGluZSBvZiB0ZXh0Li4=\r\n".repeat(2000);
    for (what, encoding, html, octets) in [
        ("plain", Encoding::Identity, false, &html),
        ("html", Encoding::Identity, true, &html),
        ("quoted-printable", Encoding::QuotedPrintable, false, &html),
        ("base64", Encoding::Base64, false, &base64),
    ] {
        let part = TextPart { body: 0..0, encoding, charset: "utf-8", html };
        let mut out = String::new();
        let each = time(|| {
            out.clear();
            let mut decoder = TextDecoder::new(&part);
            octets.as_bytes().chunks(PIECE_BYTES).for_each(|piece| decoder.feed(piece, &mut out));
            decoder.finish(&mut out);
        });
        println!("text of {what}: {:.0} MB/s", octets.len() as f64 / each.as_secs_f64() / 1e6);
    }
    let each = time(|| drop(black_box(text::fold(black_box(&html)))));
    println!("fold: {:.0} MB/s", html.len() as f64 / each.as_secs_f64() / 1e6);
}

fn header(kind: &str) -> String {
    let mut out = String::new();
    for hop in 0..6 {
        out += &format!(
            "Received: from mx{hop}.example.test (mx{hop}.example.test [192.0.2.{hop}])\r\n\tby relay{hop}.example.test with ESMTPS id 4f8a{hop}b2c;\r\n\tSat, 21 Nov 2026 21:37:4{hop} +0000\r\n"
        );
    }
    out += "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.test; s=mail;\r\n\th=from:to:subject:date:message-id; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\tb=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR\r\n";
    out += "From: Ann Lee <ann@example.test>\r\nTo: Bob Ray <bob@example.test>, team@example.test\r\nCc: \"Doe, Jane\" <jane@example.test>\r\n";
    out += "Subject: Re: [project] =?utf-8?Q?Gr=C3=BC=C3=9Fe?= and the minutes of Monday\r\nDate: Sat, 21 Nov 2026 21:37:49 +0100\r\n";
    out += "Message-ID: <20261121213749.4f8ab2c@example.test>\r\nIn-Reply-To: <20261120.1@example.test>\r\nReferences: <20261119.7@example.test> <20261120.1@example.test>\r\nMIME-Version: 1.0\r\n";
    out + &format!("Content-Type: {kind}; boundary=\"=_4f8ab2c_boundary\"\r\n\r\n")
}

fn typical() -> Vec<u8> {
    let line = "Some words of a letter that somebody wrote on a Monday to somebody.\r\n";
    let mut out = header("multipart/alternative");
    out += &format!(
        "--=_4f8ab2c_boundary\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{}",
        line.repeat(10)
    );
    out += &format!(
        "--=_4f8ab2c_boundary\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>{}</p>\r\n--=_4f8ab2c_boundary--\r\n",
        line.repeat(14)
    );
    out.into_bytes()
}

fn attachment(size: usize) -> Vec<u8> {
    let mut out = header("multipart/mixed");
    out += "--=_4f8ab2c_boundary\r\n\r\nSee there.\r\n--=_4f8ab2c_boundary\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = 1_u32;
    while out.len() < size {
        for _ in 0..76 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            out.push(char::from(alphabet[(state >> 26) as usize]));
        }
        out += "\r\n";
    }
    out += "--=_4f8ab2c_boundary--\r\n";
    out.into_bytes()
}
