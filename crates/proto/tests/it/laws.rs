//! Laws that hold for any bytes, on inputs that are nearly right; the fuzzer tests the same ones.

use proptest::prelude::*;
use proto::proof::{How, Security};
use proto::sasl::Mechanism;
use proto::smtp::Role;
use testkit::laws;
use testkit::smtp::tls;

const LINES: [&[u8]; 34] = [
    b"EHLO client.test\r\n",
    b"LHLO client.test\r\n",
    b"HELO x\r\n",
    b"MAIL FROM:<a@b.test>\r\n",
    b"MAIL FROM:<> BODY=BINARYMIME SIZE=30\r\n",
    b"MAIL FROM:<\xc3\xbc@b.test> SMTPUTF8\r\n",
    b"RCPT TO:<a@example.test>\r\n",
    b"RCPT TO:<later@example.test>\r\n",
    b"RCPT TO:<full@example.test> NOTIFY=NEVER\r\n",
    b"RCPT TO:<a@other.test>\r\n",
    b"DATA\r\n",
    b"a line\r\n",
    b"..dots\r\n",
    b".\r\n",
    b"\n.\n",
    b"\r\n.\r\n",
    b"\r.\r",
    b"BDAT 5\r\nab\r\nc",
    b"BDAT 3\r\nab\r",
    b"BDAT 2 LAST\r\n\nb",
    b"BDAT 0 LAST\r\n",
    b"BDAT 700\r\n",
    b"BDAT x\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"HELP\r\n",
    b"VRFY a\r\n",
    b"STARTTLS\r\n",
    b"AUTH PLAIN AGFubkBleGFtcGxlLnRlc3QAc2VjcmV0\r\n",
    b"AUTH LOGIN\r\n",
    b"AGFubkBleGFtcGxlLnRlc3QAc2VjcmV0\r\n",
    b"*\r\n",
    b"QUIT\r\n",
    b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
];

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => (0..LINES.len()).prop_map(|i| LINES[i].to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a')], 0..12),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// `PROPTEST_CASES` asks for more than the usual number.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.max(1000), failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(config())]

    /// Any bytes in any cuts: no panic, bounded memory, the same conversation as whole.
    #[test]
    fn smtp_server_cuts_do_not_matter(
        input in bytes(),
        cuts in proptest::collection::vec(1..30_usize, 1..8),
        role in prop_oneof![Just(Role::Exchange), Just(Role::Submission), Just(Role::Lmtp)],
        inside: bool,
        normalise: bool,
    ) {
        laws::smtp_server(&input, &cuts, &laws::smtp_setup(role, inside, normalise));
    }

    /// A server that says anything, in any cuts: the client does not panic and ends the same way.
    #[test]
    fn smtp_client_cuts_do_not_matter(
        input in replies(),
        cuts in proptest::collection::vec(1..20_usize, 1..6),
    ) {
        laws::smtp_client(&input, &cuts, Role::Exchange, &tls(How::Implicit));
        laws::smtp_client(&input, &cuts, Role::Lmtp, &Security::clear());
    }

    /// What is sent behind DATA ends where it was meant to and nowhere else.
    #[test]
    fn content_comes_out_as_it_went_in(
        content in proptest::collection::vec(
            prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a')], 0..200),
        cut in 1..20_usize,
    ) {
        let sent = crate::pairs::through_data(&content, cut);
        prop_assert_eq!(sent.escape_ascii().to_string(), mended(&content).escape_ascii().to_string());
    }

    /// The intake's result does not depend on cuts, and without submission nothing is lost.
    #[test]
    fn intake_cuts_do_not_matter(
        message in "(((From|Bcc|X-Y|Date|Received)(: |:|)[a-z@.<>, ]{0,12}(\r\n|\n|\r\n |))|(\r\n)|([a-z: ]{0,9})){0,12}",
        cut in 1..9_usize,
        submission: bool,
    ) {
        laws::intake(message.as_bytes(), &[cut], submission);
    }

    /// Text of any kind: no panic, and an address that is read is written so that it reads the same.
    #[test]
    fn addresses_and_mailboxes(text in "\\PC{0,40}", part in "[a-z\"@.<>,:;() \\\\]{0,30}") {
        for text in [text, part] {
            laws::mailboxes(&text);
            laws::xtext(&text);
            laws::header(text.as_bytes());
        }
    }

    /// Exchanges of every mechanism, with messages that are nearly right.
    #[test]
    fn sasl_exchanges(
        which in 0..Mechanism::ALL.len(),
        sent_first: bool,
        picked in proptest::collection::vec((0..SASL.len(), 0..60_usize), 0..4),
    ) {
        let messages: Vec<&[u8]> = picked.iter().map(|(i, cut)| &SASL[*i][..SASL[*i].len().min(*cut)]).collect();
        let mechanism = Mechanism::ALL[which];
        match messages.split_first() {
            Some((first, rest)) if sent_first => laws::sasl_server(mechanism, Some(first), rest),
            _ => laws::sasl_server(mechanism, None, &messages),
        }
        laws::sasl_client(mechanism, &messages);
    }
}

const SASL: [&[u8]; 9] = [
    b"\0ann@example.test\0secret",
    b"ann@example.test",
    b"secret",
    b"",
    b"n,,n=ann@example.test,r=abc",
    b"p=tls-exporter,a=ann@example.test,n=ann@example.test,r=abc",
    b"c=biws,r=abcBQUFBQUFBQUFBQUFBQUFBQUF,p=AAAA",
    b"r=CQkJCQkJCQkJCQkJCQkJCQkJx,s=c2FsdA==,i=4096",
    b"v=AAAA",
];

fn replies() -> impl Strategy<Value = Vec<u8>> {
    const SAID: [&[u8]; 14] = [
        b"220 mx ESMTP\r\n",
        b"250-mx\r\n250-PIPELINING\r\n250 SIZE 10\r\n",
        b"250-mx\r\n250-CHUNKING\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n",
        b"250 2.1.0 ok\r\n",
        b"251 elsewhere\r\n",
        b"354 go\r\n",
        b"550-5.1.1 no\r\n550 5.1.1 body\r\n",
        b"452 4.3.1 full\r\n",
        b"421 4.3.2 bye\r\n",
        b"502 what\r\n",
        b"334 AAAA\r\n",
        b"221 bye\r\n",
        b"25",
        b"\r\n",
    ];
    let piece = prop_oneof![
        12 => (0..SAID.len()).prop_map(|i| SAID[i].to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

/// Lone CR and LF as CRLF, and a CRLF at the end.
fn mended(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = content;
    loop {
        rest = match rest {
            [] => break,
            [b'\r', b'\n', rest @ ..] | [b'\r' | b'\n', rest @ ..] => {
                out.extend_from_slice(b"\r\n");
                rest
            }
            [other, rest @ ..] => {
                out.push(*other);
                rest
            }
        };
    }
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}
