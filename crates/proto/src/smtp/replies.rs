//! Replies as a client reads them (RFC 5321 4.2.1), strictly and with limits.

use super::Reply;

/// Octets of one line: a SASL challenge of RFC 4954's 12,288 octets and its code.
pub(super) const LINE_BYTES_MAX: usize = 12_288 + 8;
/// Lines of one reply.
const LINES_MAX: usize = 128;

/// Why what came is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoReply;

/// The reader; it holds the lines of a reply that is not complete.
#[derive(Debug, Default)]
pub(super) struct Replies {
    code: u16,
    lines: Vec<String>,
}

impl Replies {
    /// Takes one line from the front: octets used, and the reply if this line
    /// completes it. No octet used means that more are needed.
    pub(super) fn next(&mut self, input: &[u8]) -> Result<(usize, Option<Reply>), NoReply> {
        let window = &input[..input.len().min(LINE_BYTES_MAX)];
        let Some(newline) = memchr::memchr(b'\n', window) else {
            return if input.len() >= LINE_BYTES_MAX { Err(NoReply) } else { Ok((0, None)) };
        };
        let line = window[..newline].strip_suffix(b"\r").ok_or(NoReply)?;
        let (code, more, text) = split(line).ok_or(NoReply)?;
        if self.lines.is_empty() {
            self.code = code;
        }
        // RFC 5321 4.2.1: all lines have the same code.
        if code != self.code || self.lines.len() >= LINES_MAX {
            return Err(NoReply);
        }
        self.lines.push(String::from_utf8_lossy(text).into_owned());
        let reply = (!more).then(|| finish(code, std::mem::take(&mut self.lines)));
        Ok((newline + 1, reply))
    }
}

fn split(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) || !(b'2'..=b'5').contains(&digits[0]) {
        return None;
    }
    let code = digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    match rest {
        [] => Some((code, false, rest)),
        [b' ', text @ ..] => Some((code, false, text)),
        [b'-', text @ ..] => Some((code, true, text)),
        _ => None,
    }
}

/// Takes the enhanced status (RFC 2034 4) off the lines, if the first one has it.
fn finish(code: u16, mut lines: Vec<String>) -> Reply {
    let status = lines.first().and_then(|line| enhanced(code, line));
    if let Some((class, subject, detail)) = status {
        let prefix = format!("{class}.{subject}.{detail}");
        for line in &mut lines {
            if let Some(text) = line.strip_prefix(&prefix) {
                *line = text.trim_start().to_owned();
            }
        }
    }
    Reply { code, status, lines }
}

fn enhanced(code: u16, line: &str) -> Option<(u8, u16, u16)> {
    let mut numbers = line.split(' ').next()?.split('.');
    let mut number = || -> Option<u16> {
        let text = numbers.next()?;
        let valid = (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        // RFC 3463 2 writes numbers without leading zeros; what has them is put back wrongly.
        if !valid || (text.len() > 1 && text.starts_with('0')) { None } else { text.parse().ok() }
    };
    let (class, subject, detail) = (number()?, number()?, number()?);
    if numbers.next().is_some() || class != code / 100 || !matches!(class, 2 | 4 | 5) {
        return None;
    }
    Some((u8::try_from(class).ok()?, subject, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &[u8]) -> Result<Vec<Reply>, NoReply> {
        let (mut replies, mut found, mut at) = (Replies::default(), Vec::new(), 0);
        loop {
            let (used, reply) = replies.next(&input[at..])?;
            found.extend(reply);
            at += used;
            if used == 0 {
                return Ok(found);
            }
        }
    }

    #[test]
    fn replies_are_read() {
        let found =
            all(b"220 hi\r\n250-a\r\n250-b c\r\n250 d\r\n550-5.1.1 no\r\n550 5.1.1 such\r\n354\r\n25")
                .unwrap();
        let lines = |r: &Reply| r.lines.join("|");
        assert_eq!(found.len(), 4);
        assert_eq!((found[1].code, lines(&found[1])), (250, "a|b c|d".into()));
        assert_eq!((found[2].status, lines(&found[2])), (Some((5, 1, 1)), "no|such".into()));
        assert_eq!((found[3].code, lines(&found[3])), (354, String::new()));
        assert_eq!(all(b"550 4.1.1 x\r\n").unwrap()[0].status, None);
        assert_eq!(all(b"250 2.1 x\r\n").unwrap()[0].status, None);
    }

    #[test]
    fn what_is_no_reply() {
        for input in [
            &b"25\r\n"[..],
            b"abc d\r\n",
            b"250_x\r\n",
            b"150 x\r\n",
            b"600 x\r\n",
            b"250 x\n",
            b"250-a\r\n251 b\r\n",
        ] {
            assert_eq!(all(input), Err(NoReply), "{}", input.escape_ascii());
        }
        assert_eq!(all("250-x\r\n".repeat(LINES_MAX + 1).as_bytes()), Err(NoReply));
        assert_eq!(all(&[b'2'; LINE_BYTES_MAX]), Err(NoReply));
    }

    #[test]
    fn encode_and_read_is_a_law() {
        for reply in [
            Reply::new(550, (5, 7, 1), "No"),
            Reply::plain(220, "mx ESMTP"),
            Reply { code: 250, status: None, lines: vec!["a".into(), "B C".into(), "D".into()] },
            Reply { code: 452, status: Some((4, 2, 2)), lines: vec!["a".into(), "b".into()] },
        ] {
            let mut bytes = Vec::new();
            reply.encode(&mut bytes);
            assert_eq!(all(&bytes).unwrap(), [reply]);
        }
    }
}
