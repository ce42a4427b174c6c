//! CRAM-MD5 (RFC 2195): HMAC-MD5 over a challenge, under the password.
//!
//! Only for domains whose policy asks for it. The server keeps neither the
//! password nor anything that another mechanism could use: HMAC runs one MD5
//! block of key material inside and one outside, and the two states after those
//! blocks are all that a check needs.

use super::{CramKey, Failure, prep};
use crate::proof::Secret;
use md5::block_api::compress;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroize;

/// MD5's first state (RFC 1321 3.3).
const INITIAL: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
const BLOCK: usize = 64;

impl CramKey {
    /// The verifier of a password, which is prepared here (RFC 4013); `None` if
    /// it is empty or too long.
    #[must_use]
    pub fn from_password(password: &Secret) -> Option<CramKey> {
        let password = prep::password(password.expose())?;
        let mut block = [0u8; BLOCK];
        let key = password.expose();
        if key.len() > BLOCK {
            // RFC 2104 section 2: a key longer than a block is hashed first.
            let mut state = INITIAL;
            finish(&mut state, 0, key);
            write_state(&state, &mut block[..16]);
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        let mut out = [0u8; 32];
        for (pad, half) in [(0x5c, 0..16), (0x36, 16..32)] {
            let mut padded = block.map(|byte| byte ^ pad);
            let mut state = INITIAL;
            compress(&mut state, &[padded]);
            write_state(&state, &mut out[half]);
            padded.zeroize();
        }
        block.zeroize();
        Some(CramKey(out))
    }

    /// HMAC-MD5 of `challenge` under this key, 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn digest(&self, challenge: &[u8]) -> [u8; 32] {
        let mut inner = read_state(&self.0[16..]);
        finish(&mut inner, BLOCK, challenge);
        let mut inner_digest = [0u8; 16];
        write_state(&inner, &mut inner_digest);
        let mut outer = read_state(&self.0[..16]);
        finish(&mut outer, BLOCK, &inner_digest);
        let mut digest = [0u8; 16];
        write_state(&outer, &mut digest);
        let mut out = [0u8; 32];
        for (pair, byte) in out.chunks_exact_mut(2).zip(digest) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        out
    }
}

/// The client's answer, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) user: String,
    pub(super) digest: [u8; 32],
}

/// `<nonce.time@host>`: an msg-id, as RFC 2195 section 2 wants it.
pub(super) fn challenge(nonce: &[u8], now: i64, host: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(nonce.len() * 2 + host.len() + 24);
    out.push(b'<');
    for byte in nonce {
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
    out.extend_from_slice(format!(".{now}@{host}>").as_bytes());
    out
}

/// `user SP digest`. The name may itself hold spaces, so the last one counts.
pub(super) fn parse(message: &[u8]) -> Result<Response, Failure> {
    let split = message.len().checked_sub(33).ok_or(Failure::Malformed)?;
    let (name, rest) = message.split_at(split);
    let [b' ', digest @ ..] = rest else { return Err(Failure::Malformed) };
    let mut digest: [u8; 32] = digest.try_into().map_err(|_| Failure::Malformed)?;
    // RFC 2195 asks for lower case; a device that writes upper case proves no less.
    digest.make_ascii_lowercase();
    if !digest.iter().all(u8::is_ascii_hexdigit) {
        return Err(Failure::Malformed);
    }
    Ok(Response { user: prep::user(name).ok_or(Failure::Malformed)?, digest })
}

/// True if the answer fits one of the keys. All are tried, and an empty list
/// costs as much as one key, so that time does not tell who has a verifier.
pub(super) fn verify(keys: &[CramKey], challenge: &[u8], digest: &[u8; 32]) -> bool {
    if keys.is_empty() {
        let _ = bool::from(CramKey([0; 32]).digest(challenge).ct_eq(digest));
        return false;
    }
    let mut right = Choice::from(0);
    for key in keys {
        right |= key.digest(challenge).ct_eq(digest);
    }
    right.into()
}

/// The client's answer; `None` for a password that cannot be.
pub(super) fn respond(user: &str, password: &Secret, challenge: &[u8]) -> Option<Vec<u8>> {
    let digest = CramKey::from_password(password)?.digest(challenge);
    let mut out = Vec::with_capacity(user.len() + 33);
    out.extend_from_slice(user.as_bytes());
    out.push(b' ');
    out.extend_from_slice(&digest);
    Some(out)
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Hashes `data` and MD5's padding into `state`, which has seen `before` octets.
fn finish(state: &mut [u32; 4], before: usize, data: &[u8]) {
    let (blocks, rest) = data.as_chunks::<BLOCK>();
    compress(state, blocks);
    let mut tail = [[0u8; BLOCK]; 2];
    let flat = tail.as_flattened_mut();
    flat[..rest.len()].copy_from_slice(rest);
    flat[rest.len()] = 0x80;
    let used = if rest.len() + 9 <= BLOCK { 1 } else { 2 };
    let bits = ((before + data.len()) as u64).wrapping_mul(8);
    flat[used * BLOCK - 8..used * BLOCK].copy_from_slice(&bits.to_le_bytes());
    compress(state, &tail[..used]);
    tail.as_flattened_mut().zeroize();
}

/// MD5 writes its words with the low octet first (RFC 1321 3.5).
fn write_state(state: &[u32; 4], out: &mut [u8]) {
    for (chunk, word) in out.chunks_exact_mut(4).zip(state) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
}

fn read_state(bytes: &[u8]) -> [u32; 4] {
    let mut state = [0; 4];
    for (word, chunk) in state.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{Hmac, KeyInit, Mac};

    const CHALLENGE: &[u8] = b"<1896.697170952@postoffice.reston.mci.net>";

    fn key(password: impl Into<Vec<u8>>) -> CramKey {
        CramKey::from_password(&Secret::new(password)).unwrap()
    }

    #[test]
    fn example_of_rfc_2195_section_2() {
        assert_eq!(&key("tanstaaftanstaaf").digest(CHALLENGE), b"b913a602c7eda7a495b4e6e7334d3890");
        let response = parse(b"tim b913a602c7eda7a495b4e6e7334d3890").unwrap();
        assert_eq!(response.user, "tim");
        assert!(verify(&[key("x"), key("tanstaaftanstaaf")], CHALLENGE, &response.digest));
        assert!(!verify(&[key("x")], CHALLENGE, &response.digest));
        assert!(!verify(&[], CHALLENGE, &response.digest));
        assert_eq!(
            respond("tim", &Secret::new("tanstaaftanstaaf"), CHALLENGE).unwrap(),
            b"tim b913a602c7eda7a495b4e6e7334d3890"
        );
    }

    #[test]
    fn layout_is_that_of_dovecot() {
        // `doveadm pw -s CRAM-MD5 -p test`.
        let hex: String = key("test").0.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "e02d374fde0dc75a17a557039a3a5338c7743304777dccd376f332bee68d2cf6");
    }

    #[test]
    fn equals_hmac_at_every_length() {
        for length in 0..200 {
            let password = vec![b'k'; length.max(1)];
            let challenge = vec![b'c'; length];
            let mut mac = Hmac::<md5::Md5>::new_from_slice(&password).unwrap();
            mac.update(&challenge);
            let wanted: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(&key(password).digest(&challenge), wanted.as_bytes(), "{length}");
        }
    }

    #[test]
    fn challenge_is_a_message_id() {
        assert_eq!(challenge(&[0xab, 1], 12, "mail.example.test"), b"<ab01.12@mail.example.test>");
    }

    #[test]
    fn answers_are_parsed_strictly() {
        let digest = "b913a602c7eda7a495b4e6e7334d3890";
        assert_eq!(parse(format!("a b {digest}").as_bytes()).unwrap().user, "a b");
        assert_eq!(
            parse(format!("a {}", digest.to_uppercase()).as_bytes()).unwrap().digest,
            digest.as_bytes()
        );
        for bad in
            ["", "a", digest, &format!(" {digest}"), &format!("a {}z", &digest[1..]), &format!("a{digest}")]
        {
            assert_eq!(parse(bad.as_bytes()), Err(Failure::Malformed), "{bad:?}");
        }
    }
}
