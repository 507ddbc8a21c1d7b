//! Units and codec parameters that pass every check of the server, made without an encoder.
//!
//! The payloads have the form of H.264 and Opus but hold noise: a server that never decodes cannot
//! tell, and a test that must decode uses the `capture` crate's encoders.

use bytes::{BufMut, Bytes, BytesMut};
use fastrand::Rng;
use protocol::codec::{Base64, CodecParameters, Params};
use protocol::control::{Finish, Hello};
use protocol::digest::UnitDigests;
use protocol::unit::{Lane, Unit};
use protocol::{Hex, Track, UnitRanges};
use signing::SigningKey;

/// A sequence parameter set of 320×180, Constrained Baseline, level 3.0, as x264 wrote it.
pub const SPS: [u8; 25] = [
    0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x01, 0x41, 0x9f, 0x9f, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00,
    0x00, 0x03, 0x03, 0xc0, 0xf1, 0x62, 0xe4, 0x80,
];

/// The picture parameter set that goes with [`SPS`].
pub const PPS: [u8; 5] = [0x68, 0xcb, 0x83, 0xcb, 0x20];

/// Frames per second of the made-up video.
pub const FPS: u64 = 30;

/// Opus packets per second of the made-up audio.
pub const PACKETS_PER_SECOND: u64 = 50;

/// Frames from one IDR to the next.
pub const GOP: u64 = 60;

/// Codec parameters of the made-up units of a track.
#[must_use]
pub fn parameters(track: Track) -> CodecParameters {
    match track {
        Track::Video => {
            let mut avcc = vec![1, SPS[1], SPS[2], SPS[3], 0xff, 0xe1, 0, 25];
            avcc.extend_from_slice(&SPS);
            avcc.extend_from_slice(&[1, 0, 5]);
            avcc.extend_from_slice(&PPS);
            CodecParameters::H264 { width: 320, height: 180, frame_duration_90k: 3_000, avcc: Base64(avcc) }
        }
        Track::Audio => CodecParameters::Opus { channels: 1, pre_skip_48k: 312 },
    }
}

/// [`parameters`] from the first unit on.
#[must_use]
pub fn params(track: Track) -> Params {
    Params { from_unit: 0, parameters: parameters(track) }
}

/// The key of the device that made-up units come from.
#[must_use]
pub fn device_key() -> SigningKey {
    SigningKey::from_seed([9; 32])
}

/// The signed end of a track, of units with these digests.
///
/// # Panics
/// When a unit has no digest and is not lost.
#[must_use]
pub fn finish(hello: &Hello, units: u64, lost: UnitRanges, digests: &UnitDigests) -> Finish {
    let digest =
        digests.track_digest(hello.track, units, &lost).expect("every unit that is not lost has a digest");
    let key = device_key();
    let (device_key, signature) = (key.public(), Hex([0; 64]));
    let finish = Finish { units, lost, unwitnessed: UnitRanges::new(), digest, device_key, signature };
    let statement = finish.statement(hello.session, hello.track, hello.started_unix_ms).to_json();
    Finish { signature: key.sign(&statement), ..finish }
}

/// Makes a track's units one after another. The same seed gives the same units.
#[derive(Debug, Clone)]
pub struct UnitSource {
    track: Track,
    next: u64,
    rng: Rng,
    picture_scale: usize,
}

impl UnitSource {
    /// A source that starts with unit 0. Its pictures come to about 127 kbit/s.
    #[must_use]
    pub fn new(track: Track, seed: u64) -> Self {
        Self { track, next: 0, rng: Rng::with_seed(seed), picture_scale: 1 }
    }

    /// The same with pictures so many times as large.
    #[must_use]
    pub const fn with_larger_pictures(mut self, scale: usize) -> Self {
        self.picture_scale = scale;
        self
    }

    /// How many units a second the track has.
    #[must_use]
    pub const fn rate(track: Track) -> u64 {
        match track {
            Track::Video => FPS,
            Track::Audio => PACKETS_PER_SECOND,
        }
    }
}

impl Iterator for UnitSource {
    type Item = Unit;

    fn next(&mut self) -> Option<Unit> {
        let number = self.next;
        self.next += 1;
        let rate = Self::rate(self.track);
        let (key, payload) = match self.track {
            Track::Video => {
                let key = number.is_multiple_of(GOP);
                let bytes = if key { self.rng.usize(2_000..6_000) } else { self.rng.usize(40..900) };
                (key, access_unit(&mut self.rng, key, bytes * self.picture_scale))
            }
            Track::Audio => (true, opus_packet(&mut self.rng)),
        };
        Some(Unit {
            lane: Lane::Live,
            key,
            number,
            pts_90k: number * 90_000 / rate,
            duration_90k: u32::try_from(90_000 / rate).expect("a unit is short"),
            capture_us: number * 1_000_000 / rate,
            payload,
        })
    }
}

/// One slice NAL unit of noise behind its length.
fn access_unit(rng: &mut Rng, key: bool, bytes: usize) -> Bytes {
    let mut payload = BytesMut::with_capacity(bytes + 5);
    payload.put_u32(u32::try_from(bytes + 1).expect("a small unit"));
    payload.put_u8(if key { 0x65 } else { 0x41 });
    // No zero bytes, so that no start code can appear.
    payload.extend((0..bytes).map(|_| rng.u8(1..)));
    payload.freeze()
}

/// A 20 ms CELT packet (configuration 31, mono, one frame) of noise.
fn opus_packet(rng: &mut Rng) -> Bytes {
    let mut payload = BytesMut::with_capacity(120);
    payload.put_u8(31 << 3);
    let bytes = rng.usize(40..120);
    payload.extend((0..bytes).map(|_| rng.u8(..)));
    payload.freeze()
}
