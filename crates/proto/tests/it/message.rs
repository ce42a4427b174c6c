//! Laws of gists and texts on messages that are nearly right.

use proptest::prelude::*;
use testkit::message;

const LINES: [&str; 44] = [
    "Content-Type: multipart/mixed; boundary=b\r\n",
    "Content-Type: multipart/alternative; boundary=\"bb\"\r\n",
    "Content-Type: multipart/digest;\r\n boundary=b\r\n",
    "Content-Type: multipart/mixed\r\n",
    "Content-Type: message/rfc822\r\n",
    "Content-Type: message/global\n",
    "Content-Type: text/html; charset*=utf-8''utf-8; name*0=a; name*1*=%20\r\n",
    "Content-Type: text/plain; charset=iso-8859-1\r\n",
    "Content-Type: image/png; name=\"a\\\"b\"\r\n",
    "Content-Type: ???\r\n",
    "Content-Transfer-Encoding: base64\r\n",
    "Content-Transfer-Encoding: quoted-printable\r\n",
    "Content-Transfer-Encoding: x-odd\r\n",
    "Content-Disposition: attachment; filename=a b c\r\n",
    "Content-Language: en, de\r\n",
    "Content-ID: <a@b>\r\n",
    "Content-Description: \u{fc}ber\r\n",
    "From: Ann \"A\" <ann@b.test>, (x) c@d.test\r\n",
    "To: Team: a@b, \u{fc} <c@d>;\r\n",
    "Sender: open: a@b\r\n",
    "Subject: Re: =?utf-8?Q?x?=\r\n\t=?utf-8?B?w7w=?=\r\n",
    "Date: Sat, 21 Nov 2026 21:37:49 +0100\r\n",
    "Message-ID: <1@b.test>\r\n",
    "References: <2@b.test>\r\n <3@b.test>\r\n",
    "In-Reply-To: <2@b.test>\r\n",
    " folded\r\n",
    "no field\r\n",
    "\r\n",
    "\r\n",
    "\r\n",
    "\n",
    "--b\r\n",
    "--b\r\n",
    "--bb\r\n",
    "--b--\r\n",
    "--bb--  \r\n",
    "--b\n",
    "--bx y\r\n",
    "--\r\n",
    "-\r\n",
    "text & <b>text</b>\r\n",
    "> quoted\r\n",
    "PGI+eDwvYj4=\r\n",
    "\0\r\r\n",
];

fn messages() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        30 => (0..LINES.len()).prop_map(|i| LINES[i].as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
        1 => (0..LINES.len(), 0_usize..40).prop_map(|(i, n)| LINES[i].as_bytes()[..n.min(LINES[i].len())].to_vec()),
        1 => (250_usize..260).prop_map(|n| format!("--{}\r\n", "b".repeat(n)).into_bytes()),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.max(1000), failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn gists(message in messages(), cuts in proptest::collection::vec(1_usize..90, 1..4)) {
        message::gists(&message, &cuts);
        message::gists(&message, &[1]);
    }

    #[test]
    fn damaged_gists(message in messages(), at in any::<prop::sample::Index>(), octet in any::<u8>(), cut in any::<bool>()) {
        let mut gist = message::gist(&message, &[], Default::default());
        let at = at.index(gist.len());
        gist[at] = octet;
        if cut {
            gist.truncate(at);
        }
        message::damaged_gists(&gist);
    }

    #[test]
    fn texts(
        text in proptest::collection::vec(prop_oneof![
            (0..FRAGMENTS.len()).prop_map(|i| FRAGMENTS[i].as_bytes().to_vec()),
            proptest::collection::vec(any::<u8>(), 0..4),
        ], 0..20),
        cuts in proptest::collection::vec(1_usize..9, 1..4),
        charset in prop_oneof![Just(""), Just("utf-7"), Just("iso-2022-jp"), Just("gb18030"), Just("utf-16")],
    ) {
        message::texts(&text.concat(), &cuts, charset);
    }
}

const FRAGMENTS: [&str; 26] = [
    "Re: ",
    "[a] ",
    "(fwd)",
    "[Fwd: ",
    "]",
    " ",
    "\r\n",
    "=",
    "=\r\n",
    "=C3=BC",
    "ü",
    "+AKM-",
    "+",
    "-",
    "<b>",
    "</b>",
    "<!--",
    "-->",
    "<style>",
    "</style>",
    "&amp;",
    "&#x",
    ";",
    "=?utf-8?Q?",
    "=?utf-8?B?",
    "?=",
];
