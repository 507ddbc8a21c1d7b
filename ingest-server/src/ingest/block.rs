//! Where messages are kept until they are recorded and nobody watches them any more.
//!
//! What a socket has read into must not be held by them: it would not be free for its next read, which then goes into memory
//! that has gone cold.

use bytes::{Bytes, BytesMut};
use protocol::Track;

/// Memory for a connection's messages, one behind the other.
#[derive(Debug)]
pub(super) struct Block {
    free: BytesMut,
    bytes: usize,
}

impl Block {
    pub(super) fn new(track: Track) -> Self {
        // Some pictures, or half a second of sound.
        let bytes = match track {
            Track::Video => 64 * 1024,
            Track::Audio => 4 * 1024,
        };
        Self { free: BytesMut::new(), bytes }
    }

    /// A copy of a message in the block. What does not fit into the rest of it begins a new one; what is larger than all of it has been
    /// read into memory of its own, and stays there.
    pub(super) fn keep(&mut self, message: Bytes) -> Bytes {
        if message.len() > self.bytes {
            return message;
        }
        if self.free.capacity() < message.len() {
            self.free = BytesMut::with_capacity(self.bytes);
        }
        self.free.extend_from_slice(&message);
        self.free.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_what_came_and_no_part_of_where_it_came_in() {
        let came = Bytes::from((0..=u8::MAX).cycle().take(200_000).collect::<Vec<_>>());
        let mut block = Block::new(Track::Video);
        let messages = [10..20, 0..0, 4_000..64_000, 7..65_543, 100..199, 3..60_000];
        let kept: Vec<Bytes> = messages.clone().map(|range| block.keep(came.slice(range))).into();
        for (range, kept) in messages.into_iter().zip(&kept) {
            assert_eq!(kept, &came.slice(range));
        }
        assert!(came.is_unique(), "what was read into is free again");
        let larger = block.keep(came.slice(0..70_000));
        assert_eq!(larger.as_ptr(), came.as_ptr());
    }
}
