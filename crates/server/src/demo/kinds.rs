//! One function for each kind of message.

use super::corpus::{Kind, Person, date};
use super::language::{ENGLISH, LANGUAGES, Language};
use super::mime::{Part, Transfer, field, mailbox, utf8_words, words};
use super::picture;
use super::random::Random;
use encoding_rs::Encoding;

/// Octets of the picture in the big message, before base64.
const BIG_BYTES: usize = 7_600_000;
/// Conversations that the thread messages of one person belong to.
const THREADS: usize = 6;

/// Which message is to be written.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Seed of the corpus.
    pub seed: u64,
    /// Who gets it.
    pub person: &'a Person,
    /// Which of the person's messages.
    pub index: usize,
    /// Which of its kind.
    pub number: usize,
    /// When it was written, Unix seconds.
    pub sent: i64,
}

/// Writes the message.
pub fn write(kind: Kind, cx: &Context<'_>, random: &mut Random) -> Vec<u8> {
    match kind {
        Kind::Plain => simple(cx, random, ENGLISH, None),
        Kind::Html => html(cx, random),
        Kind::Pdf => pdf(cx, random),
        Kind::Csv => csv(cx, random),
        Kind::Picture => picture(cx, random),
        Kind::Forwarded => forwarded(cx, random),
        Kind::InlineImage => inline_image(cx, random),
        Kind::Charset => charset(cx, random),
        Kind::Language => simple(cx, random, &LANGUAGES[1 + cx.number % (LANGUAGES.len() - 1)], None),
        Kind::Emoji => simple(cx, random, ENGLISH, Some("🎉 We did it 🚀👩🏽‍🔧 — thank you 🙏")),
        Kind::Flowed => flowed(cx, random),
        Kind::Thread => thread(cx, random),
        Kind::Newsletter => newsletter(cx, random),
        Kind::Invite => invite(cx, random),
        Kind::Report => report(cx, random),
        Kind::Signed => signed(cx, random),
        Kind::LongHeader => long_header(cx, random),
        Kind::NoSubject => no_subject(cx, random),
        Kind::Broken => broken(cx, random),
        Kind::Big => big(cx, random),
    }
}

/// The header up to MIME-Version. An empty subject leaves the field out.
fn head(cx: &Context<'_>, random: &mut Random, language: &Language, subject: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let from = mailbox(language.writer.0, language.writer.1);
    head_from(&mut out, cx, random, &from, language.writer.1, subject);
    out
}

fn head_from(
    out: &mut Vec<u8>,
    cx: &Context<'_>,
    random: &mut Random,
    from: &str,
    address: &str,
    subject: &str,
) {
    let zone = *random.pick(&[0, 1, 2, 9, -5, -8]);
    let domain = address.split_once('@').map_or("example.test", |(_, domain)| domain);
    let hop = format!(
        "from out.{domain} (out.{domain} [192.0.2.{}]) by mx.example.test with ESMTPS id {:08x} for <{}>; {}",
        1 + random.below(250),
        random.next() >> 32,
        cx.person.address,
        date(cx.sent + 10, 0)
    );
    field(out, "Received", &hop);
    field(out, "From", from);
    field(out, "To", &mailbox(&cx.person.name, &cx.person.address));
    if !subject.is_empty() {
        field(out, "Subject", &utf8_words(subject));
    }
    field(out, "Date", &date(cx.sent, zone));
    field(out, "Message-ID", &id(cx, cx.index));
    field(out, "MIME-Version", "1.0");
}

/// The Message-ID of the person's message `index`.
fn id(cx: &Context<'_>, index: usize) -> String {
    let person = blake3::hash(cx.person.address.as_bytes());
    let number = Random::new(cx.seed, u64::from(person.as_bytes()[0]) << 40 | index as u64).next();
    format!("<{}.{index}.{number:016x}@corpus.example>", &person.to_hex()[..12])
}

/// A boundary. `=_` occurs neither in base64 nor in quoted-printable nor in our texts.
fn boundary(random: &mut Random) -> String {
    format!("=_{:016x}", random.next())
}

fn finish(mut out: Vec<u8>, part: &Part) -> Vec<u8> {
    part.write(&mut out);
    out
}

fn letter(cx: &Context<'_>, random: &mut Random) -> String {
    let paragraphs = 1 + random.below(4);
    ENGLISH.letter(random, &cx.person.name, paragraphs)
}

fn simple(cx: &Context<'_>, random: &mut Random, language: &Language, subject: Option<&str>) -> Vec<u8> {
    let chosen = subject.unwrap_or(random.word(language.subjects));
    let out = head(cx, random, language, chosen);
    let paragraphs = 1 + random.below(5);
    let mut text = language.letter(random, &cx.person.name, paragraphs);
    if subject.is_some() {
        text.push_str("\r\n🌻🌧️🏳️‍🌈 ✔️ 3️⃣\r\n");
    }
    finish(out, &Part::text("plain", &text).with("Content-Language", language.tag))
}

fn html_of(text: &str, language: &Language, before_end: &str) -> String {
    let direction = if language.right_to_left { " dir=\"rtl\"" } else { "" };
    let mut out = format!("<!DOCTYPE html>\r\n<html lang=\"{}\"{direction}><body>\r\n", language.tag);
    for paragraph in text.split("\r\n\r\n") {
        let safe = paragraph.trim().replace('&', "&amp;").replace('<', "&lt;").replace("\r\n", "<br>\r\n");
        out.push_str(&format!("<p style=\"font-family: sans-serif\">{safe}</p>\r\n"));
    }
    out.push_str(before_end);
    out.push_str("</body></html>\r\n");
    out
}

fn alternative(random: &mut Random, text: &str, language: &Language) -> Part {
    let html = html_of(text, language, "");
    Part::multi("alternative", &boundary(random), vec![Part::text("plain", text), Part::text("html", &html)])
}

fn html(cx: &Context<'_>, random: &mut Random) -> Vec<u8> {
    let language = if random.chance(60) { ENGLISH } else { random.pick(&LANGUAGES) };
    let subject = random.word(language.subjects);
    let out = head(cx, random, language, subject);
    let text = language.letter(random, &cx.person.name, 3);
    let part = alternative(random, &text, language);
    finish(out, &part)
}

fn with_attachment(cx: &Context<'_>, random: &mut Random, subject: &str, attachment: Part) -> Vec<u8> {
    let out = head(cx, random, ENGLISH, subject);
    let text = letter(cx, random);
    let first =
        if random.chance(50) { Part::text("plain", &text) } else { alternative(random, &text, ENGLISH) };
    finish(out, &Part::multi("mixed", &boundary(random), vec![first, attachment]))
}

fn pdf(cx: &Context<'_>, random: &mut Random) -> Vec<u8> {
    let number = 1000 + random.below(9000);
    let name =
        if random.chance(50) { format!("invoice-{number}.pdf") } else { format!("Übersicht {number}.pdf") };
    let content = picture::pdf(&format!("Invoice {number} for {}", cx.person.name));
    let part = Part::leaf("application/pdf", content, Transfer::Base64).attached(&name);
    with_attachment(cx, random, &format!("Invoice {number}"), part)
}

fn csv(cx: &Context<'_>, random: &mut Random) -> Vec<u8> {
    let rows = 10 + random.below(200);
    let table = picture::csv(random, rows);
    let part = Part::leaf("text/csv; charset=us-ascii; header=present", table, Transfer::SevenBit);
    with_attachment(cx, random, "The orders of this year", part.attached("orders.csv"))
}

fn picture(cx: &Context<'_>, random: &mut Random) -> Vec<u8> {
    let png = picture::png(random, 96, 64);
    let part = Part::leaf("image/png", png, Transfer::Base64).attached("IMG_0042.png");
    with_attachment(cx, random, "A picture of the harbour", part)
}

fn forwarded(cx: &Context<'_>, random: &mut Random) -> Vec<u8> {
    // The inner message is one that came earlier, in another language, with an id of its own.
    let inner_cx = Context { index: cx.index + 1_000_000, sent: cx.sent - 90_000, ..*cx };
    let inner = simple(&inner_cx, random, &LANGUAGES[1 + cx.number % 4], None);
    // RFC 2046 5.2.1 allows message/rfc822 no encoding but 7bit, 8bit and binary.
    let part = Part::leaf("message/rfc822", inner, Transfer::SevenBit).attached("message.eml");
    with_attachment(cx, random, "Fwd: what do you make of this?", part)
}

fn inline_image(cx: &Context<'_>, random: &mut Random) -> Vec<u8> {
    let out = head(cx, random, ENGLISH, "How the new label looks");
    let text = letter(cx, random);
    let cid = format!("label.{:08x}@corpus.example", random.next() >> 32);
    let html = html_of(&text, ENGLISH, &format!("<img src=\"cid:{cid}\" alt=\"the label\">\r\n"));
    let image = Part::leaf("image/png", picture::png(random, 48, 48), Transfer::Base64)
        .with("Content-ID", format!("<{cid}>"))
        .with("Content-Disposition", "inline; filename=\"label.png\"");
    let related = Part::multi("related", &boundary(random), vec![Part::text("html", &html), image]);
    let parts = vec![Part::text("plain", &text), related];
    finish(out, &Part::multi("alternative", &boundary(random), parts))
}

fn charset(cx: &Context<'_>, random: &mut Random) -> Vec<u8> {
    // Every charset of every language comes up in turn.
    let pairs: Vec<(&Language, &str)> =
        LANGUAGES.iter().flat_map(|l| l.charsets.iter().map(move |c| (l, *c))).collect();
    let (language, label) = pairs[cx.number % pairs.len()];
    // The labels stand in our table and a test of it looks each up.
    let encoding = Encoding::for_label(label.as_bytes()).unwrap_or(encoding_rs::UTF_8);
    let mut out = Vec::new();
    let name = words(language.writer.0, encoding, label);
    let from = format!("{name} <{}>", language.writer.1);
    head_from(&mut out, cx, random, &from, language.writer.1, "");
    field(&mut out, "Subject", &words(random.word(language.subjects), encoding, label));
    let text = language.letter(random, language.subjects[0], 2);
    let transfer = match (label, random.below(3)) {
        ("us-ascii" | "iso-2022-jp", _) => Transfer::SevenBit,
        (_, 0) => Transfer::Quoted,
        (_, 1) => Transfer::EightBit,
        _ => Transfer::Base64,
    };
    finish(out, &Part::leaf(format!("text/plain; charset={label}"), encoding.encode(&text).0, transfer))
}

fn flowed(cx: &Context<'_>, random: &mut Random) -> Vec<u8> {
    let out = head(cx, random, ENGLISH, "Minutes of the garden committee");
    let mut text = String::new();
    for line in letter(cx, random).split("\r\n") {
        let mut width = 0;
        for word in line.split(' ') {
            if width > 0 && width + word.len() > 66 {
                // A space before the line end says that the paragraph flows on (RFC 3676 4.2).
                text.push_str(" \r\n");
                width = 0;
            } else if width > 0 {
                text.push(' ');
            }
            text.push_str(word);
            width += word.len() + 1;
        }
        text.push_str("\r\n");
    }
    text.push_str("> quoted once\r\n>> quoted twice\r\n \r\n-- \r\nThe committee\r\n");
    let part = Part::leaf("text/plain; charset=us-ascii; format=flowed; delsp=no", text, Transfer::SevenBit);
    finish(out, &part)
}

fn thread(cx: &Context<'_>, random: &mut Random) -> Vec<u8> {
    let (thread, position) = (cx.number % THREADS, cx.number / THREADS);
    // Ids of a thread are made from its number and place, outside the range of other messages' indexes.
    let id_at = |position: usize| id(cx, 2_000_000 + thread * 1000 + position);
    let writer = &LANGUAGES[(thread + position * 2) % 5];
    let subject = LANGUAGES[thread % 5].subjects[0];
    let subject = if position == 0 { subject.to_owned() } else { format!("Re: {subject}") };
    let inner = Context { index: 2_000_000 + thread * 1000 + position, ..*cx };
    let mut out = Vec::new();
    let from = mailbox(writer.writer.0, writer.writer.1);
    head_from(&mut out, &inner, random, &from, writer.writer.1, &subject);
    let mut text = String::new();
    if position > 0 {
        field(&mut out, "In-Reply-To", &id_at(position - 1));
        let references: Vec<String> = (0..position).map(id_at).collect();
        field(&mut out, "References", &references.join(" "));
        text.push_str("> ");
        text.push_str(random.word(ENGLISH.sentences));
        text.push_str("\r\n\r\n");
    }
    text.push_str(&ENGLISH.letter(random, &cx.person.name, 1));
    finish(out, &Part::text("plain", &text))
}

fn newsletter(cx: &Context<'_>, random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    let address = "news@tidetables.example";
    let subject = format!("Tide tables, issue {}", 200 + cx.number);
    head_from(&mut out, cx, random, &mailbox("Tide Tables, weekly", address), address, &subject);
    let token = format!("{:016x}", random.next());
    field(&mut out, "List-Id", "Tide tables <weekly.tidetables.example>");
    let unsubscribe = format!(
        "<mailto:leave@tidetables.example?subject={token}>, <https://tidetables.example/leave/{token}>"
    );
    field(&mut out, "List-Unsubscribe", &unsubscribe);
    field(&mut out, "List-Unsubscribe-Post", "List-Unsubscribe=One-Click");
    field(&mut out, "List-Archive", "<https://tidetables.example/archive>");
    field(&mut out, "List-Post", "NO");
    field(&mut out, "Precedence", "bulk");
    field(&mut out, "Auto-Submitted", "auto-generated");
    let text = ENGLISH.letter(random, &cx.person.name, 6);
    let part = alternative(random, &text, ENGLISH);
    finish(out, &part)
}

fn invite(cx: &Context<'_>, random: &mut Random) -> Vec<u8> {
    let out = head(cx, random, ENGLISH, "Invitation: catalogue meeting");
    let stamp = |seconds: i64| {
        let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        time.strftime("%Y%m%dT%H%M%SZ").to_string()
    };
    let start = (cx.sent / 3600 + 48) * 3600;
    let calendar = format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Corpus//EN\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\n\
         UID:{:016x}@corpus.example\r\nDTSTAMP:{}\r\nDTSTART:{}\r\nDTEND:{}\r\nSUMMARY:Catalogue meeting\r\n\
         LOCATION:Small room\\, first floor\r\nORGANIZER:mailto:{}\r\nATTENDEE;RSVP=TRUE:mailto:{}\r\n\
         END:VEVENT\r\nEND:VCALENDAR\r\n",
        random.next(),
        stamp(cx.sent),
        stamp(start),
        stamp(start + 3600),
        ENGLISH.writer.1,
        cx.person.address
    );
    let text = letter(cx, random);
    let both = Part::multi(
        "alternative",
        &boundary(random),
        vec![
            Part::text("plain", &text),
            Part::leaf("text/calendar; charset=utf-8; method=REQUEST", calendar.clone(), Transfer::SevenBit),
        ],
    );
    let file = Part::leaf("application/ics; name=\"invite.ics\"", calendar, Transfer::Base64);
    finish(out, &Part::multi("mixed", &boundary(random), vec![both, file.attached("invite.ics")]))
}

fn report(cx: &Context<'_>, random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    let from = "Mail Delivery System <mailer-daemon@mx.harbourprint.example>";
    let address = "mailer-daemon@mx.harbourprint.example";
    head_from(&mut out, cx, random, from, address, "Undelivered Mail Returned to Sender");
    field(&mut out, "Auto-Submitted", "auto-replied");
    let text = "This message could not be delivered to one recipient:\r\n\r\n  <nobody@harbourprint.example>: \
                there is no such mailbox.\r\n\r\nIt will not be tried again.\r\n";
    let status = format!(
        "Reporting-MTA: dns; mx.harbourprint.example\r\nArrival-Date: {}\r\n\r\n\
         Final-Recipient: rfc822; nobody@harbourprint.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\
         Diagnostic-Code: smtp; 550 5.1.1 No such mailbox\r\n",
        date(cx.sent - 5, 0)
    );
    let returned = format!(
        "From: {}\r\nTo: nobody@harbourprint.example\r\nSubject: Are you there?\r\nMessage-ID: {}\r\n\r\n",
        mailbox(&cx.person.name, &cx.person.address),
        id(cx, cx.index + 3_000_000)
    );
    let parts = vec![
        Part::text("plain", text).with("Content-Description", "Notification"),
        Part::leaf("message/delivery-status", status, Transfer::SevenBit),
        Part::leaf("text/rfc822-headers", returned, Transfer::SevenBit),
    ];
    finish(out, &Part::multi("report; report-type=delivery-status", &boundary(random), parts))
}

fn signed(cx: &Context<'_>, random: &mut Random) -> Vec<u8> {
    let out = head(cx, random, ENGLISH, "Signed: the lease");
    let text = letter(cx, random);
    let name = "smime.p7s";
    let fake = random.bytes(1800);
    let signature = Part::leaf(
        format!("application/pkcs7-signature; name=\"{name}\""),
        [&[0x30, 0x82, 0x07, 0x04][..], &fake].concat(),
        Transfer::Base64,
    );
    let subtype = "signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256";
    let parts = vec![Part::text("plain", &text), signature.attached(name)];
    finish(out, &Part::multi(subtype, &boundary(random), parts))
}

fn long_header(cx: &Context<'_>, random: &mut Random) -> Vec<u8> {
    let subject = ENGLISH.sentences.join(" ");
    let mut out = head(cx, random, ENGLISH, &subject);
    let people: Vec<String> =
        (0..150).map(|i| format!("Member {i} <member.{i}@garden-committee.example>")).collect();
    field(&mut out, "Cc", &people.join(", "));
    // One line of more than 998 octets, which RFC 5322 2.1.1 forbids and spam filters write.
    field(&mut out, "X-Filter-Detail", &"score=0.1;".repeat(150));
    let text = letter(cx, random);
    finish(out, &Part::text("plain", &text))
}

fn no_subject(cx: &Context<'_>, random: &mut Random) -> Vec<u8> {
    let mut out = head(cx, random, ENGLISH, "");
    if cx.number % 2 == 1 {
        out.extend_from_slice(b"Subject:\r\n");
    }
    let text = letter(cx, random);
    finish(out, &Part::text("plain", &text))
}

fn broken(cx: &Context<'_>, random: &mut Random) -> Vec<u8> {
    let text = letter(cx, random);
    let edge = boundary(random);
    let mut out = match cx.number % 9 {
        0 => return format!("From: {}\r\nSubject: bare\r\n\r\n{text}", ENGLISH.writer.1).into_bytes(),
        1 => {
            // 8-bit octets of ISO-8859-1 in the header.
            let mut out = b"From: J\xf6rg <joerg@muehlenbau.example>\r\nSubject: Gr\xfc\xdfe\r\n".to_vec();
            field(&mut out, "Message-ID", &id(cx, cx.index));
            return [out, b"\r\n".to_vec(), text.into_bytes()].concat();
        }
        8 => {
            // A header and nothing behind it, not even the empty line.
            let mut out = head(cx, random, ENGLISH, "Only a header");
            field(&mut out, "X-Comment", "the end");
            return out;
        }
        _ => head(cx, random, ENGLISH, "Something is wrong here"),
    };
    let tail = match cx.number % 9 {
        2 => format!("Content-Type: multipart/mixed; boundary=\"{edge}\"\r\n\r\n--{edge}\r\n\r\n{text}"),
        3 => format!("Content-Type: multipart/mixed; boundary=other\r\n\r\n--{edge}\r\n\r\n{text}--{edge}--\r\n"),
        4 => "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsb!G8sIH*dvcmxk\r\nQQ\r\n"
            .to_owned(),
        5 => format!("Content-Type: text/plain; charset=x-unknown\r\n\r\n{text}"),
        6 => format!("this line is no field\r\nX-After: lost\r\n\r\n{text}"),
        _ => format!(
            "Date: yesterday, after tea\r\nSubject: a second subject\r\nContent-Type: ;;;=\r\n\r\n{text}\0\r\n"
        ),
    };
    out.extend_from_slice(tail.as_bytes());
    out
}

fn big(cx: &Context<'_>, random: &mut Random) -> Vec<u8> {
    let scan = random.bytes(BIG_BYTES);
    let part =
        Part::leaf("application/octet-stream", scan, Transfer::Base64).attached("scan-of-everything.bin");
    with_attachment(cx, random, "The whole archive, scanned", part)
}
