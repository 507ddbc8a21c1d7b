//! Packets on a TCP connection, each behind its length in two bytes (RFC 4571). Pure.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::port::MAX_DATAGRAM_BYTES;

const LENGTH_BYTES: usize = 2;
/// What one read takes at the most.
const READ_BYTES: usize = 8 * 1024;

/// Whether a connection that begins with this byte speaks so. Its first packet is a connectivity check, shorter than 1,536 bytes;
/// HTTP begins with a letter, TLS with 0x16.
pub(crate) const fn begins_frame(first: u8) -> bool {
    first < 6
}

/// A frame that is longer than any packet of WebRTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

/// What has come in and was not taken yet: less than a frame and what one read takes.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: BytesMut,
}

impl Frames {
    /// Where the next bytes go, which is never full.
    pub(super) fn space(&mut self) -> impl bytes::BufMut + '_ {
        self.buffer.reserve(READ_BYTES);
        (&mut self.buffer).limit(READ_BYTES)
    }

    /// The next packet that is there as a whole.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        while let Some((length, rest)) = self.buffer.split_first_chunk::<LENGTH_BYTES>() {
            let length = usize::from(u16::from_be_bytes(*length));
            if length > MAX_DATAGRAM_BYTES {
                return Err(TooLong);
            }
            let Some(packet) = rest.get(..length) else { break };
            // A copy, so that a packet that waits does not hold the whole buffer.
            let packet = Bytes::copy_from_slice(packet);
            self.buffer.advance(LENGTH_BYTES + length);
            // An empty one says nothing.
            if !packet.is_empty() {
                return Ok(Some(packet));
            }
        }
        Ok(None)
    }
}

/// The bytes of a packet's frame.
pub(super) const fn frame_bytes(packet: &[u8]) -> usize {
    LENGTH_BYTES + packet.len()
}

/// Appends a packet's frame. Says whether it could be: no frame holds more than 64 KiB.
pub(super) fn append(packet: &[u8], to: &mut BytesMut) -> bool {
    let length = u16::try_from(packet.len());
    if let Ok(length) = length {
        to.put_u16(length);
        to.put_slice(packet);
    }
    length.is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn take(frames: &mut Frames, bytes: &[u8]) -> Result<Vec<Vec<u8>>, TooLong> {
        let mut packets = Vec::new();
        for bytes in bytes.chunks(READ_BYTES) {
            frames.space().put_slice(bytes);
            while let Some(packet) = frames.next()? {
                packets.push(packet.to_vec());
            }
        }
        Ok(packets)
    }

    const NONE: [Vec<u8>; 0] = [];

    #[test]
    fn a_frame_may_come_byte_by_byte_and_an_empty_one_says_nothing() {
        let mut frames = Frames::default();
        assert_eq!(take(&mut frames, &[0, 0, 0, 0, 0, 1, 7, 0, 0]).unwrap(), [[7]]);
        for byte in [0, 2, 9] {
            assert_eq!(take(&mut frames, &[byte]).unwrap(), NONE);
        }
        assert_eq!(take(&mut frames, &[5]).unwrap(), [[9, 5]]);
    }

    #[test]
    fn a_frame_that_is_too_long_is_told_before_its_bytes_come() {
        let mut frames = Frames::default();
        let longest = MAX_DATAGRAM_BYTES as u16;
        assert_eq!(take(&mut frames, &longest.to_be_bytes()).unwrap(), NONE);
        assert_eq!(take(&mut frames, &[1; MAX_DATAGRAM_BYTES]).unwrap(), [[1; MAX_DATAGRAM_BYTES]]);
        assert_eq!(take(&mut frames, &(longest + 1).to_be_bytes()), Err(TooLong));
    }

    #[test]
    fn neither_a_request_nor_tls_begins_like_a_frame() {
        for first in [b'G', b'P', b'O', b'D', b'h', b'\r', b'\n', 0x16, 0x80] {
            assert!(!begins_frame(first), "{first}");
        }
        let mut check = BytesMut::new();
        append(&[0; 1_500], &mut check);
        assert!(begins_frame(check[0]) && begins_frame(0));
    }

    proptest! {
        #[test]
        fn packets_come_out_as_they_went_in_however_they_are_cut(
            packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..MAX_DATAGRAM_BYTES), 0..20),
            cut in 1_usize..5_000,
        ) {
            let mut stream = BytesMut::new();
            for packet in &packets {
                let before = stream.len();
                prop_assert!(append(packet, &mut stream));
                prop_assert_eq!(stream.len() - before, frame_bytes(packet));
            }
            let mut frames = Frames::default();
            let mut out = Vec::new();
            for bytes in stream.chunks(cut) {
                out.extend(take(&mut frames, bytes).unwrap());
                prop_assert!(frames.buffer.len() < LENGTH_BYTES + MAX_DATAGRAM_BYTES);
            }
            prop_assert_eq!(out, packets);
        }

        #[test]
        fn any_bytes_are_taken_or_refused(reads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3_000), 0..20)) {
            let mut frames = Frames::default();
            for bytes in reads {
                if take(&mut frames, &bytes).is_err() {
                    break;
                }
                prop_assert!(frames.buffer.capacity() <= 4 * READ_BYTES);
            }
        }
    }
}
