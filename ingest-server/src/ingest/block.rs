//! Where messages are kept until they are recorded and nobody watches them any more.
//!
//! What a socket has read into must not be held by them. It would not be free for its next read, which then goes into memory
//! that has gone cold; and where a large message has grown it, a small one could hold all of it.

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
        // Some pictures, or half a second of sound. One message that is held holds its block: the thousand units of a ring, each
        // in a block with others that are not held, hold 32 MiB at the worst.
        let bytes = match track {
            Track::Video => 32 * 1024,
            Track::Audio => 4 * 1024,
        };
        Self { free: BytesMut::new(), bytes }
    }

    /// A copy of a message in the block. What does not fit into the rest of it begins a new one; what is larger than all of it has
    /// memory of its own.
    pub(super) fn keep(&mut self, message: &[u8]) -> Bytes {
        if message.len() > self.bytes {
            return Bytes::copy_from_slice(message);
        }
        if self.free.capacity() < message.len() {
            self.free = BytesMut::with_capacity(self.bytes);
        }
        self.free.extend_from_slice(message);
        self.free.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_what_came_also_when_it_does_not_fit() {
        let came: Vec<u8> = (0..=u8::MAX).cycle().take(200_000).collect();
        let mut block = Block::new(Track::Video);
        let messages = [10..20, 0..0, 4_000..32_000, 7..32_775, 100..199, 3..32_000, 0..200_000];
        let kept: Vec<Bytes> = messages.clone().map(|range| block.keep(&came[range])).into();
        for (range, kept) in messages.into_iter().zip(kept) {
            assert_eq!(kept, &came[range.clone()]);
        }
    }
}
