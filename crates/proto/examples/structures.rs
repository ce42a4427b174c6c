//! Prints what is learnt of messages: `structures FILE...` takes each as a message, bare LF as CRLF, and answers a line
//! `* (ENVELOPE BODYSTRUCTURE)` as IMAP writes both. `tools/compare-structures.py` compares these with another server's.

use proto::message::gist::{Gist, Limits, Scanner};
use std::io::Write as _;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for path in std::env::args_os().skip(1) {
        let mut scanner = Scanner::new(Limits::default());
        scanner.feed(&with_crlf(&std::fs::read(path)?));
        let bytes = scanner.finish();
        let gist = Gist::read(&bytes).ok_or_else(|| std::io::Error::other("a gist that cannot be read"))?;
        out.write_all(b"* (")?;
        out.write_all(gist.envelope())?;
        out.write_all(b" ")?;
        out.write_all(gist.body_structure())?;
        out.write_all(b")\r\n")?;
    }
    out.flush()
}

fn with_crlf(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 32);
    let mut before = 0;
    for &octet in message {
        if octet == b'\n' && before != b'\r' {
            out.push(b'\r');
        }
        out.push(octet);
        before = octet;
    }
    out
}
