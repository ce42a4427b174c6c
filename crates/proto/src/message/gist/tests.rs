//! Known answers. The laws stand in `tests/it/message.rs`.

use super::*;
use crate::message::structure::Encoding;

fn gist_of(message: &[u8], limits: Limits) -> Vec<u8> {
    let mut scanner = Scanner::new(limits);
    scanner.feed(message);
    scanner.finish()
}

fn gist(message: &[u8]) -> Vec<u8> {
    gist_of(message, Limits::default())
}

/// With CRLF for LF.
fn crlf(message: &str) -> Vec<u8> {
    message.replace('\n', "\r\n").into_bytes()
}

fn structure(message: &str) -> String {
    let bytes = gist(&crlf(message));
    String::from_utf8_lossy(Gist::read(&bytes).unwrap().body_structure()).into_owned()
}

/// What stands in a part, and in its header.
fn section(message: &[u8], numbers: &[u32]) -> Option<(String, String)> {
    let bytes = gist(message);
    let place = Gist::read(&bytes).unwrap().find(numbers)?;
    let cut = |range: Range<u64>| {
        String::from_utf8_lossy(&message[range.start as usize..range.end as usize]).replace("\r\n", "\n")
    };
    Some((cut(place.body), cut(place.mime)))
}

const PLAIN: &str = "\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\"";
const NONE: &str = "NIL NIL NIL NIL";

#[test]
fn single_parts() {
    for (message, out) in [
        ("Subject: x\n\nHello\nWorld\n", format!("({PLAIN} 14 2 {NONE})")),
        ("", format!("({PLAIN} 0 0 {NONE})")),
        ("\nbody", format!("({PLAIN} 4 0 {NONE})")),
        ("Subject: x", format!("({PLAIN} 0 0 {NONE})")),
        ("Content-Type: ???\n\nx\n", format!("({PLAIN} 3 1 {NONE})")),
        ("Content-Type: text\n\nx\n", format!("({PLAIN} 3 1 {NONE})")),
        (
            "Content-Type: Text/HTML; Charset=UTF-8\nContent-Transfer-Encoding: Quoted-Printable\n\nx\n",
            format!("(\"Text\" \"HTML\" (\"Charset\" \"UTF-8\") NIL NIL \"Quoted-Printable\" 3 1 {NONE})"),
        ),
        (
            "Content-Type: image/png; name=\"a\\\"b.png\"\nContent-ID: <1@b>\nContent-Description: a\n picture\n\
             Content-Transfer-Encoding: base64\nContent-MD5: Q2hl\nContent-Disposition: attachment; filename=a.png\n\
             Content-Language: en, de\nContent-Location: http://x/\n\nAAAA\n",
            "(\"image\" \"png\" (\"name\" \"a\\\"b.png\") \"<1@b>\" \"a picture\" \"base64\" 6 \"Q2hl\" \
             (\"attachment\" (\"filename\" \"a.png\")) (\"en\" \"de\") \"http://x/\")"
                .into(),
        ),
        (
            "Content-Type: application/pdf;\n name*0*=utf-8''%e2%82%ac; name*1=\" x.pdf\"\n\n",
            format!(
                "(\"application\" \"pdf\" (\"name*\" \"utf-8''%e2%82%ac%20x.pdf\") NIL NIL \"7bit\" 0 {NONE})"
            ),
        ),
    ] {
        assert_eq!(structure(message), out, "{message}");
    }
}

/// The kind of message that RFC 9051 6.4.5.1 numbers the parts of.
const NESTED: &str = "From: a@b.test\nContent-Type: multipart/mixed; boundary=outer\n\npreamble\n\
    --outer\n\none\n\n--outer\nContent-Type: application/octet-stream\n\ntwo\n\
    --outer\nContent-Type: message/rfc822\n\nFrom: c@d.test\nSubject: inner\nContent-Type: multipart/alternative; boundary=\"in ner\"\n\n\
    --in ner\nContent-Type: text/plain\n\nthree one\n--in ner\nContent-Type: text/html; charset=utf-8\n\n<p>three two\n--in ner--\nepilogue\n\
    --outer\nContent-Type: message/rfc822\n\nSubject: plain\n\nfour\n--outer--\nend\n";

#[test]
fn nested_parts() {
    let inner = "(NIL \"inner\" ((NIL NIL \"c\" \"d.test\")) ((NIL NIL \"c\" \"d.test\")) ((NIL NIL \"c\" \"d.test\")) NIL NIL NIL NIL NIL)";
    let message = "\"message\" \"rfc822\" NIL NIL NIL \"7bit\"";
    let html = "\"text\" \"html\" (\"charset\" \"utf-8\") NIL NIL \"7bit\"";
    let mixed = "(\"boundary\" \"outer\")";
    let alternative = "(\"boundary\" \"in ner\")";
    let plain_envelope = "(NIL \"plain\" NIL NIL NIL NIL NIL NIL NIL NIL)";
    assert_eq!(
        structure(NESTED),
        format!(
            "(({PLAIN} 5 1 {NONE})(\"application\" \"octet-stream\" NIL NIL NIL \"7bit\" 3 {NONE})\
             ({message} 225 {inner} (({PLAIN} 9 0 {NONE})({html} 12 0 {NONE}) \"alternative\" {alternative} NIL NIL NIL) 13 {NONE})\
             ({message} 22 {plain_envelope} ({PLAIN} 4 0 {NONE}) 2 {NONE}) \"mixed\" {mixed} NIL NIL NIL)"
        )
    );
    let bytes = gist(&crlf(NESTED));
    let mut short = Vec::new();
    Gist::read(&bytes).unwrap().body(&mut short);
    assert_eq!(
        String::from_utf8(short).unwrap(),
        format!(
            "(({PLAIN} 5 1)(\"application\" \"octet-stream\" NIL NIL NIL \"7bit\" 3)\
             ({message} 225 {inner} (({PLAIN} 9 0)({html} 12 0) \"alternative\") 13)\
             ({message} 22 {plain_envelope} ({PLAIN} 4 0) 2) \"mixed\")"
        )
    );
}

#[test]
fn sections() {
    let message = crlf(NESTED);
    for (numbers, body, mime) in [
        (&[1][..], "one\n", "\n"),
        (&[2], "two", "Content-Type: application/octet-stream\n\n"),
        (&[3, 1], "three one", "Content-Type: text/plain\n\n"),
        (&[3, 2], "<p>three two", "Content-Type: text/html; charset=utf-8\n\n"),
        (&[4, 1], "four", "Subject: plain\n\n"),
        (&[4], "Subject: plain\n\nfour", "Content-Type: message/rfc822\n\n"),
    ] {
        assert_eq!(section(&message, numbers), Some((body.into(), mime.into())), "{numbers:?}");
    }
    for none in [&[0][..], &[5], &[1, 1], &[3, 3], &[4, 2], &[4, 1, 1]] {
        assert_eq!(section(&message, none), None);
    }
    let bytes = gist(&message);
    let gist = Gist::read(&bytes).unwrap();
    let texts: Vec<_> = gist.parts().texts().map(|t| (t.charset, t.html, t.encoding)).collect();
    let plain = ("", false, Encoding::Identity);
    assert_eq!(texts, [plain, plain, ("utf-8", true, Encoding::Identity), plain]);
    assert_eq!(gist.parts().headers().count(), 9);
    assert_eq!(gist.header(), 0..gist.find(&[]).unwrap().body.start);
}

#[test]
fn boundaries() {
    let head = "Content-Type: multipart/mixed; boundary=b\n\n";
    let parts = |body: &str| {
        let message = crlf(&format!("{head}{body}"));
        (1..9).map_while(|n| section(&message, &[n])).map(|(body, _)| body).collect::<Vec<_>>()
    };
    for (body, expected) in [
        ("--b\n\none\n--b\n\ntwo\n--b--\n", &["one", "two"][..]),
        // No last delimiter; no line end after it; white space behind it.
        ("--b\n\none\n", &["one\n"]),
        ("--b\n\none\n--b--", &["one"]),
        ("--b  \n\none\n--b-- \t\nx", &["one"]),
        // The line end before a delimiter belongs to it; that of a header does not.
        ("--b\n\n--b\n\n\n--b\nX: y\n--b--", &["", "", ""]),
        // No field, no header.
        ("--b\none\n--b--", &["one"]),
        // What follows the boundary on the line is passed over (RFC 2046 5.1.1), in the epilogue all is.
        ("--bx\n\none\n--b--\n--b\n\ntwo", &["one"]),
        ("x\n-- b\n--c\n--b\n\n--\n-b\none", &["--\n-b\none"]),
        // Nothing at all: it is one text.
        ("", &[""]),
        ("text\nonly\n", &["text\nonly\n"]),
        ("--b--\nx", &["--b--\nx"]),
        // An outer delimiter ends inner parts; the longest boundary that fits counts.
        (
            "--b\nContent-Type: multipart/mixed; boundary=bb\n\n--bb\n\none\n--b\n\ntwo\n--b--",
            &["--bb\n\none", "two"],
        ),
        (
            "--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n--b\n\ntwo",
            &["--b\n\none\n--b--", "two"],
        ),
    ] {
        assert_eq!(parts(body), expected, "{body}");
    }
    let no_boundary = crlf("Content-Type: multipart/mixed\n\nshown\n");
    assert_eq!(section(&no_boundary, &[1]).unwrap().0, "shown\n");
    let bytes = gist(&no_boundary);
    assert_eq!(Gist::read(&bytes).unwrap().preview(), "shown");
    let long = format!(
        "Content-Type: multipart/mixed; boundary={0}\n\n--{0}\n\none\n--{0}--\n",
        "b".repeat(scan::BOUNDARY_BYTES_MAX)
    );
    assert_eq!(section(&crlf(&long), &[1]).unwrap().0, "one");
    let digest =
        "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\none\n--b\nno field\n\n--b--";
    assert_eq!(section(&crlf(digest), &[1, 1]).unwrap(), ("one".into(), "Subject: x\n\n".into()));
    assert_eq!(section(&crlf(digest), &[2, 1]).unwrap(), ("".into(), "no field\n\n".into()));
    let lf = b"Content-Type: multipart/mixed; boundary=b\n\n--b\nX: y\n\none\n\n--b--\n";
    assert_eq!(section(lf, &[1]).unwrap().0, "one\n");
}

#[test]
fn limits() {
    let many = format!("Content-Type: multipart/mixed; boundary=b\n\n{}", "--b\n\nx\n".repeat(20));
    let bytes = gist_of(&crlf(&many), Limits { parts_max: 5, ..Limits::default() });
    let gist = Gist::read(&bytes).unwrap();
    assert_eq!(gist.parts().texts().count(), 4);
    // The rest of the message belongs to the last part.
    assert_eq!(gist.find(&[4]).unwrap().body.end, crlf(&many).len() as u64);
    let mut deep = String::new();
    for n in 0..20 {
        deep += &format!("Content-Type: multipart/mixed; boundary=b{n:02}\n\n--b{n:02}\n");
    }
    let bytes = gist_of(&crlf(&deep), Limits { depth_max: 3, ..Limits::default() });
    let gist = Gist::read(&bytes).unwrap();
    assert!(gist.find(&[1, 1, 1]).is_some_and(|p| !p.multipart) && gist.find(&[1, 1, 1, 1]).is_none());
    assert!(String::from_utf8_lossy(gist.body_structure()).contains("\"application\" \"octet-stream\""));
    let long = format!("Subject: {}\nFrom: a@b\n\nx", "s".repeat(500));
    let bytes = gist_of(&crlf(&long), Limits { header_bytes_max: 100, ..Limits::default() });
    let gist = Gist::read(&bytes).unwrap();
    assert_eq!(gist.subject().len(), 91);
    assert_eq!(gist.header().end, crlf(&long).len() as u64 - 1);
    // What is written down of very many parts has an end.
    let params: String = (0..50).map(|n| format!("; p{n}={}", "\"\\\"\"".repeat(30))).collect();
    let part = format!("--b\nContent-Type: a/b{params}\n\nx\n");
    let big = crlf(&format!("Content-Type: multipart/mixed; boundary=b\n\n{}", part.repeat(900)));
    let bytes = gist_of(&big, Limits::default());
    assert!(bytes.len() < 1 << 20, "{}", bytes.len());
    assert!(Gist::read(&bytes).unwrap().find(&[900]).is_some());
}

#[test]
fn what_is_asked_of_a_gist() {
    let message = crlf(
        "From: =?utf-8?Q?Ann_L=C3=A9e?= <ann@b.test>\nTo: Team: bob@c.test, \"Doe, J\" <j@d.test>;, x@y.test\n\
         Cc: =?utf-8?B?w7w=?= group:;\nSubject: Re: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\n folded\n\
         Date: Sun, 22 Nov 2026 00:37:49 +0300 (MSK)\nMessage-ID: <3@b.test>\nIn-Reply-To: <2@b.test>\n\
         References: <1@b.test> <2@b.test>\n\nOn Sat, Bob wrote:\n> old\n\nThank  you,\nAnn\n",
    );
    let bytes = gist(&message);
    let gist = Gist::read(&bytes).unwrap();
    assert_eq!(gist.subject(), "Re: Grüße folded");
    assert_eq!(gist.addresses(Addresses::From), "Ann Lée <ann@b.test>");
    assert_eq!(gist.addresses(Addresses::To), "Team: bob@c.test, Doe, J <j@d.test>;, x@y.test");
    assert_eq!(gist.addresses(Addresses::Cc), "ü group: ;");
    for none in [Addresses::Sender, Addresses::ReplyTo, Addresses::Bcc] {
        assert_eq!(gist.addresses(none), "");
    }
    assert_eq!(gist.first_address(Addresses::From, false), "ann");
    assert_eq!(gist.first_address(Addresses::From, true), "Ann Lée");
    assert_eq!(gist.first_address(Addresses::To, false), "Team");
    assert_eq!(gist.first_address(Addresses::Bcc, true), "");
    assert_eq!((gist.sent(), gist.sent_day()), (Some(1_795_297_069), Some(20_779)));
    assert_eq!(gist.preview(), "Thank you, Ann");
    assert_eq!(gist.message_id(), Some("3@b.test"));
    assert_eq!(gist.references().collect::<Vec<_>>(), ["1@b.test", "2@b.test"]);
}

/// Names of conversations are kept in stores: they never change.
#[test]
fn conversations() {
    let thread = |message: &str| {
        let bytes = gist(&crlf(message));
        let name = Gist::read(&bytes).unwrap().thread();
        name.iter().map(|b| format!("{b:02x}")).collect::<String>()
    };
    let first = thread("Message-ID: <1@b.test>\n\n");
    assert_eq!(first, "cafbb4b5b7b294c24322d32bce65dc92");
    for reply in [
        "Message-ID: <2@b.test>\nIn-Reply-To: <1@b.test> <x@y>\n\n",
        "References: <\"1\"@b.test>\n <2@b.test>\nIn-Reply-To: <2@b.test>\n\n",
        "Message-ID: x\nReferences: none\nIn-Reply-To: Your message <1@b.test>\n\n",
    ] {
        assert_eq!(thread(reply), first, "{reply}");
    }
    assert_ne!(thread("Subject: a\n\n"), thread("Subject: b\n\n"));
    let long: String = (0..200).map(|n| format!("<{n}@b.test>\n ")).collect();
    let bytes = gist(&crlf(&format!("References: {long}\n\n")));
    let kept: Vec<_> = Gist::read(&bytes).unwrap().references().collect();
    assert_eq!((kept.len(), kept[0], kept[1], kept[63]), (64, "0@b.test", "137@b.test", "199@b.test"));
}

#[test]
fn no_gists() {
    for bytes in [&b""[..], b"\x01", b"\x02\x00", b"\x01\x01", b"\x01\x00\x05x"] {
        assert!(Gist::read(bytes).is_none());
    }
    // The format: version, no flags, five empty sections.
    let empty = Gist::read(b"\x01\x00\0\0\0\0\0").unwrap();
    assert_eq!((empty.header(), empty.subject(), empty.find(&[1])), (0..0, String::new(), None));
}
