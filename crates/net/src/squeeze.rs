//! Both directions of a connection compressed with DEFLATE (RFC 4978, RFC 1951).
//!
//! What must hold: what is sent can be read at once by the peer (each sending ends with a flush to a byte's
//! border); unpacking gives at most what the caller has room for, so that a small input which
//! unpacks to very much costs no memory. A compressed connection costs some 300 KB for the two windows.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use std::io::{self, ErrorKind};

/// Packed octets read at once.
const PACKED_BYTES: usize = 16 * 1024;

pub(crate) struct Squeeze {
    unpack: Decompress,
    pack: Compress,
    /// Packed octets that were read and not unpacked yet.
    held: Vec<u8>,
    /// The last unpacking filled its room: there may be more without further input.
    more: bool,
    ended: bool,
}

impl Squeeze {
    /// `early`: the first packed octets, read before.
    pub(crate) fn new(early: &[u8]) -> Squeeze {
        Squeeze {
            unpack: Decompress::new(false),
            // The fastest level: mail text packs well with it, and attachments are base64 of packed data.
            pack: Compress::new(Compression::fast(), false),
            held: early.to_vec(),
            more: false,
            ended: false,
        }
    }

    /// Unpacks into `into` what `read` gives. `Ok(0)` is the end.
    pub(crate) fn read(
        &mut self,
        into: &mut [u8],
        mut read: impl FnMut(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            if self.more || !self.held.is_empty() {
                let count = self.unpack(into)?;
                if count > 0 {
                    return Ok(count);
                }
            }
            if self.ended {
                return Ok(0);
            }
            let mut packed = [0; PACKED_BYTES];
            let count = match read(&mut packed) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // A wait follows, and a connection that waits owns no buffer.
                    self.held = Vec::new();
                    return Err(error);
                }
                other => other?,
            };
            if count == 0 {
                return Ok(0);
            }
            self.held.extend_from_slice(&packed[..count]);
        }
    }

    fn unpack(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (taken, given) = (self.unpack.total_in(), self.unpack.total_out());
        let status = self
            .unpack
            .decompress(&self.held, into, FlushDecompress::None)
            .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        let taken = (self.unpack.total_in() - taken) as usize;
        let given = (self.unpack.total_out() - given) as usize;
        self.held.drain(..taken.min(self.held.len()));
        self.ended |= status == Status::StreamEnd;
        self.more = given == into.len() && !self.ended;
        if self.ended {
            self.held.clear();
        } else if taken == 0 && given == 0 && !self.held.is_empty() {
            return Err(io::Error::new(ErrorKind::InvalidData, "the compressed stream makes no progress"));
        }
        Ok(given)
    }

    /// `output` packed; nothing for nothing.
    pub(crate) fn pack(&mut self, output: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        if output.is_empty() {
            return packed;
        }
        let mut rest = output;
        loop {
            packed.reserve(rest.len() / 2 + 128);
            let before = self.pack.total_in();
            let room = packed.capacity() - packed.len();
            let wrote = packed.len();
            // It fails only on a wrong order of flushes, which this is not; the peer would then see broken data.
            let status = self.pack.compress_vec(rest, &mut packed, FlushCompress::Sync);
            rest = &rest[(self.pack.total_in() - before) as usize..];
            // The flush is complete when room was left over.
            if rest.is_empty() && packed.len() - wrote < room || status.is_err() {
                return packed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ends over a pipe that hands over `cut` octets at a time.
    fn through(message: &[u8], cut: usize, room: usize) -> Vec<u8> {
        let mut sender = Squeeze::new(&[]);
        let packed = sender.pack(message);
        let (early, mut rest) = packed.split_at(cut.min(packed.len()));
        let mut receiver = Squeeze::new(early);
        let mut out = Vec::new();
        let mut into = vec![0; room];
        loop {
            let got = receiver.read(&mut into, |buffer| {
                if rest.is_empty() {
                    return Err(ErrorKind::WouldBlock.into());
                }
                let count = cut.min(rest.len()).min(buffer.len());
                buffer[..count].copy_from_slice(&rest[..count]);
                rest = &rest[count..];
                Ok(count)
            });
            match got {
                Ok(count) => out.extend_from_slice(&into[..count]),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    return out;
                }
            }
        }
    }

    #[test]
    fn arrives_whole_however_it_is_cut() {
        let message: Vec<u8> = (0..200_000u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
        for (cut, room) in [(1, 7), (100, 4096), (5000, 1), (1 << 20, 1 << 20)] {
            let part = if cut.min(room) < 10 { &message[..3000] } else { &message[..] };
            assert!(through(part, cut, room) == part, "cut {cut}, room {room}");
        }
        assert!(through(&vec![0; 1 << 20], 64, 1000) == vec![0; 1 << 20]);
    }

    #[test]
    fn garbage_is_an_error_and_nothing_is_nothing() {
        let mut squeeze = Squeeze::new(&[0xff; 40]);
        let error = squeeze.read(&mut [0; 100], |_| Err(ErrorKind::WouldBlock.into())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(Squeeze::new(&[]).pack(&[]).is_empty());
    }
}
