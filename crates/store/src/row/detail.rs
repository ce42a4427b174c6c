//! Rows of messages' details: where the body is, the prefix and the gist.
//!
//! Prefix and gist are a fifth of a short letter and much alike in all of them, so they are packed (LZ4) against a dictionary of what
//! most have. What stands in front of them is not, so that a row is moved or copied without unpacking it.

use super::{V1, put_body, take_body};
use crate::Error;
use crate::account::{Detail, DetailRef};
use crate::blob::BodyRef;
use crate::codec::{Put, Take};

/// The version of a row whose prefix and gist are packed.
const V2: u8 = 2;
/// Fewer octets are not packed.
const PACKED_FROM: usize = 64;
/// No octet of packed ones stands for more.
const UNPACKED_FACTOR_MAX: usize = 255;

/// What packed rows may refer to. A change needs a new version of the row.
const DICTIONARY: &[u8] = b"(\"application\" \"pdf\" (\"name\" \"\")) NIL NIL \"base64\" (\"attachment\" (\"filename\" \
\"image/png\" (\"text\" \"html\" (\"charset\" \"us-ascii\" \"iso-8859-1\" \"windows-1252\") NIL NIL \"8bit\" \
\"quoted-printable\" (\"boundary\" \"alternative\" \"mixed\" \"related\" multipart/In-Reply-To References =?utf-8?Q? \
=?UTF-8?B? List-Id noreply@ info@ .com\" .org\" .de\" .net\" https://www. Dear Hello Hi Return-Path: <>\r\nDelivered-To: \
\") NIL NIL NIL \"<\")) NIL NIL \"<@mail.gmail.com>(\"Mon, Tue, Wed, Thu, Fri, Sat, Sun, 1 Jan Feb Mar Apr May Jun Jul Aug \
Sep Oct Nov Dec 2023 2024 2025 2026 00:00:00 -0000 +0000\" \"Re: \" ((NIL NIL \"user\" \"example\")) ((\"\
(\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"7bit\"  NIL NIL NIL NIL)\x05utf-8";

/// The UID is in the key.
pub(crate) fn encode_detail_ref(d: &DetailRef<'_>) -> Vec<u8> {
    pack(d).unwrap_or_else(|| plain(d))
}

#[cfg(test)]
pub(crate) fn encode_detail(d: &Detail) -> Vec<u8> {
    let (prefix, gist) = (&d.prefix[..], &d.gist[..]);
    let (body, header_bytes, saved) = (d.body.clone(), d.header_bytes, d.saved);
    encode_detail_ref(&DetailRef { uid: 0, prefix, body, header_bytes, saved, gist })
}

pub(crate) fn decode_detail(bytes: &[u8]) -> Result<Detail, Error> {
    let mut room = Vec::new();
    let DetailRef { prefix, body, header_bytes, saved, gist, .. } = decode_detail_ref(0, bytes, &mut room)?;
    Ok(Detail { prefix: prefix.to_vec(), body, header_bytes, saved, gist: gist.to_vec() })
}

/// Borrows from the row, or from `room`, where it is unpacked.
pub(crate) fn decode_detail_ref<'a>(
    uid: u32,
    bytes: &'a [u8],
    room: &'a mut Vec<u8>,
) -> Result<DetailRef<'a>, Error> {
    let Front { version, body, header_bytes, saved, rest } = Front::decode(bytes)?;
    let mut t = Take::unversioned(WHAT, rest);
    if version == V1 {
        let (prefix, gist) = (t.bytes()?, t.bytes()?);
        t.end()?;
        return Ok(DetailRef { uid, prefix, body, header_bytes, saved, gist });
    }
    let mut length = || usize::try_from(t.num()?).map_err(|_| bad());
    let (prefix, gist) = (length()?, length()?);
    let packed = t.rest();
    let len =
        prefix.checked_add(gist).filter(|len| *len / UNPACKED_FACTOR_MAX <= packed.len()).ok_or_else(bad)?;
    room.clear();
    room.resize(len, 0);
    let unpacked = lz4_flex::block::decompress_into_with_dict(packed, room, DICTIONARY);
    if !unpacked.is_ok_and(|unpacked| unpacked == len) {
        return Err(bad());
    }
    let (prefix, gist) = room.split_at(prefix);
    Ok(DetailRef { uid, prefix, body, header_bytes, saved, gist })
}

/// Decodes a row as [`unpacked_detail`] gives it.
pub(crate) fn decode_unpacked_detail(uid: u32, bytes: &[u8]) -> Result<DetailRef<'_>, Error> {
    let Front { version, body, header_bytes, saved, rest } = Front::decode(bytes)?;
    let mut t = Take::unversioned(WHAT, rest);
    let (prefix, gist) = (t.bytes()?, t.bytes()?);
    t.end()?;
    if version == V1 { Ok(DetailRef { uid, prefix, body, header_bytes, saved, gist }) } else { Err(bad()) }
}

/// The same row with nothing packed; `None`: it is that already, or damaged, which decoding it tells.
pub(crate) fn unpacked_detail(bytes: &[u8], room: &mut Vec<u8>) -> Option<Vec<u8>> {
    if bytes.first() != Some(&V2) {
        return None;
    }
    decode_detail_ref(0, bytes, room).ok().map(|detail| plain(&detail))
}

/// A detail's row but for what may be packed.
#[derive(Clone, Debug)]
pub(crate) struct Front<'a> {
    version: u8,
    pub(crate) body: BodyRef,
    pub(crate) header_bytes: u64,
    pub(crate) saved: i64,
    /// As it is stored.
    rest: &'a [u8],
}

impl<'a> Front<'a> {
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Front<'a>, Error> {
        let (mut t, version) = Take::versions(WHAT, bytes, V2)?;
        let body = take_body(&mut t)?;
        Ok(Front { version, body, header_bytes: t.num()?, saved: t.int()?, rest: t.rest() })
    }

    /// The row.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut p = Put::sized(self.version, self.rest.len() + 80);
        put_body(&mut p, &self.body);
        p.num(self.header_bytes).int(self.saved).raw(self.rest).done()
    }
}

const WHAT: &str = "detail";

fn bad() -> Error {
    Error::Damaged("detail: not as it was written".to_owned())
}

fn plain(d: &DetailRef<'_>) -> Vec<u8> {
    let mut p = Put::sized(V1, d.prefix.len() + d.gist.len() + 96);
    put_body(&mut p, &d.body);
    p.num(d.header_bytes).int(d.saved).bytes(d.prefix).bytes(d.gist).done()
}

/// `None`: nothing is gained.
fn pack(d: &DetailRef<'_>) -> Option<Vec<u8>> {
    let len = d.prefix.len() + d.gist.len();
    if len < PACKED_FROM {
        return None;
    }
    let both = [d.prefix, d.gist].concat();
    let mut packed = vec![0; lz4_flex::block::get_maximum_output_size(len)];
    let packed_len = lz4_flex::block::compress_into_with_dict(&both, &mut packed, DICTIONARY).ok()?;
    if packed_len >= len {
        return None;
    }
    let mut p = Put::sized(V2, packed_len + 80);
    put_body(&mut p, &d.body);
    p.num(d.header_bytes).int(d.saved).num(d.prefix.len() as u64).num(d.gist.len() as u64);
    Some(p.raw(&packed[..packed_len]).done())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body() -> BodyRef {
        BodyRef { hash: [7; 32], segment: 3, offset: 300, len: 5 }
    }

    fn detail(prefix: &str, gist: &str) -> Detail {
        let (prefix, gist) = (prefix.as_bytes().to_vec(), gist.as_bytes().to_vec());
        Detail { prefix, body: body(), header_bytes: 4, saved: -1, gist }
    }

    const PREFIX: &str = "Return-Path: <a@x.test>\r\nDelivered-To: b@x.test\r\n";
    const GIST: &str =
        "(\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" 3904 52 NIL NIL NIL NIL)";

    /// The bytes on the disk of every store there is: a change here, or in the dictionary, needs a new version byte.
    #[test]
    fn golden_detail() {
        let short = detail("P", "g");
        let expected = [&[1][..], &[7; 32], &[3, 0xac, 2, 5, 4, 1, 1, b'P', 1, b'g']].concat();
        assert_eq!(encode_detail(&short), expected);
        assert_eq!(decode_detail(&expected).unwrap(), short);
        let long = detail(PREFIX, GIST);
        let stored = encode_detail(&long);
        let front =
            [&[2][..], &[7; 32], &[3, 0xac, 2, 5, 4, 1, PREFIX.len() as u8, GIST.len() as u8]].concat();
        assert_eq!(stored[..front.len()], front);
        assert!(stored.len() < 100, "{} octets", stored.len());
        assert_eq!(decode_detail(&stored).unwrap(), long);
        // Made by this program once; whoever packs may do it otherwise today, whoever unpacks reads this.
        assert_eq!(crc32fast::hash(DICTIONARY), DICTIONARY_CRC);
    }

    const DICTIONARY_CRC: u32 = 0x67b8bc0b;

    #[test]
    fn a_row_is_changed_without_unpacking_it() {
        let long = detail(PREFIX, GIST);
        let stored = encode_detail(&long);
        let front = Front { saved: 9, ..Front::decode(&stored).unwrap() };
        assert_eq!(decode_detail(&front.encode()).unwrap(), Detail { saved: 9, ..long.clone() });
        let unpacked = unpacked_detail(&stored, &mut Vec::new()).unwrap();
        assert_eq!(decode_unpacked_detail(0, &unpacked).unwrap().gist, GIST.as_bytes());
        assert!(matches!(decode_unpacked_detail(0, &stored), Err(Error::Damaged(_))));
        assert_eq!(unpacked_detail(&unpacked, &mut Vec::new()), None);
    }

    proptest! {
        #[test]
        fn packed_rows_are_the_same(prefix in "[a-f<>@ ]{0,80}", gist in "(\"text\" NIL|[a-z]{1,9} ){0,60}") {
            let detail = detail(&prefix, &gist);
            prop_assert_eq!(decode_detail(&encode_detail(&detail)).unwrap(), detail);
        }

        #[test]
        fn damaged_rows_do_not_panic(at in 0usize..200, octet: u8, cut in 0usize..200) {
            let mut stored = encode_detail(&detail(PREFIX, GIST));
            let at = at % stored.len();
            stored[at] = octet;
            stored.truncate(cut.max(1));
            if let Ok(detail) = decode_detail(&stored) {
                prop_assert!(detail.gist.len() + detail.prefix.len() <= UNPACKED_FACTOR_MAX * (stored.len() + 1));
            }
        }
    }
}
