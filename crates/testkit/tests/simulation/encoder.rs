//! Units of a form that the server takes, made without an encoder and at a bit rate that is drawn.
//!
//! They are long (pictures of 100 ms, packets of 60 ms), so that an hour of virtual time has few of them.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use fastrand::Rng;
use protocol::Track;
use protocol::unit::{Lane, Unit};

/// Pictures from one IDR to the next, if nobody asks for one: 3 s.
const GOP: u64 = 30;

/// How many times as large as other pictures an IDR is.
const KEY_FACTOR: u64 = 3;

/// An Opus packet's first byte: SILK, 60 ms, mono, one frame (RFC 6716, table 2).
const OPUS_60_MS: u8 = 3 << 3;

/// Payload bytes; none is zero, so that no start code can appear.
static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut rng = Rng::with_seed(1);
    (0..1 << 17).map(|_| rng.u8(1..)).collect()
});

/// How long a unit lasts.
pub(crate) const fn unit_time(track: Track) -> Duration {
    match track {
        Track::Video => Duration::from_millis(100),
        Track::Audio => Duration::from_millis(60),
    }
}

/// Makes a track's units one after another.
pub(crate) struct Encoder {
    track: Track,
    next: u64,
    bytes_per_second: u64,
    wants_key: bool,
    rng: Rng,
}

impl Encoder {
    pub(crate) fn new(track: Track, bytes_per_second: u64, seed: u64) -> Self {
        Self { track, next: 0, bytes_per_second, wants_key: true, rng: Rng::with_seed(seed) }
    }

    /// The next picture is to be an IDR.
    pub(crate) fn request_key(&mut self) {
        self.wants_key = true;
    }

    /// The largest unit that it makes, in bytes.
    pub(crate) fn largest_bytes(track: Track, bytes_per_second: u64) -> u64 {
        let even = bytes_per_second * unit_time(track).as_millis() as u64 / 1_000;
        if track == Track::Video { even * KEY_FACTOR * 5 / 4 + 16 } else { even * 5 / 4 + 16 }
    }

    pub(crate) fn next(&mut self) -> Unit {
        let number = self.next;
        self.next += 1;
        let duration_90k = unit_time(self.track).as_millis() as u32 * 90;
        let key = match self.track {
            Track::Video => std::mem::take(&mut self.wants_key) || number.is_multiple_of(GOP),
            Track::Audio => true,
        };
        let even = self.bytes_per_second * unit_time(self.track).as_millis() as u64 / 1_000;
        let factor = if key && self.track == Track::Video { KEY_FACTOR } else { 1 };
        let bytes = (self.rng.u64(even * 3 / 4..=even * 5 / 4) * factor) as usize;
        Unit {
            lane: Lane::Live,
            key,
            number,
            pts_90k: number * u64::from(duration_90k),
            duration_90k,
            capture_us: number * u64::from(duration_90k) * 100 / 9,
            payload: self.payload(key, bytes.max(8)),
        }
    }

    fn payload(&mut self, key: bool, bytes: usize) -> Bytes {
        let mut payload = BytesMut::with_capacity(bytes + 5);
        match self.track {
            Track::Video => {
                payload.put_u32(bytes as u32 + 1);
                payload.put_u8(if key { 0x65 } else { 0x41 });
            }
            Track::Audio => payload.put_u8(OPUS_60_MS),
        }
        let start = self.rng.usize(0..NOISE.len() - bytes);
        payload.put_slice(&NOISE[start..start + bytes]);
        payload.freeze()
    }
}
