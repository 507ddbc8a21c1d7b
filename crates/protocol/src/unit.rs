//! Units and the binary messages that carry them.
//!
//! A binary message is one or more units of one track, each behind this header (all fields
//! big-endian):
//!
//! | offset | bytes | field |
//! | ---: | ---: | --- |
//! | 0 | 1 | version, [`PROTOCOL_VERSION`] |
//! | 1 | 1 | lane: 0 live, 1 backfill |
//! | 2 | 2 | flags: bit 0 key; all others zero |
//! | 4 | 4 | payload length in bytes |
//! | 8 | 8 | unit number |
//! | 16 | 8 | presentation time, in 1/90000 s since the session's start |
//! | 24 | 4 | duration, in 1/90000 s |
//! | 28 | 8 | capture time, in µs since the session's start |
//! | 36 | | payload |

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::PROTOCOL_VERSION;
use crate::error::ErrorCode;
use crate::limits::{MAX_DURATION_90K, MAX_PTS_90K, MAX_UNIT_BYTES, MAX_UNIT_NUMBER, MAX_UNITS_PER_MESSAGE};

/// The length of a unit's header in bytes.
pub const HEADER_BYTES: usize = 36;

const FLAG_KEY: u16 = 1;

/// Whether a unit is part of the newest run or of what an outage left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// The newest units.
    Live,
    /// Units that an outage left behind.
    Backfill,
}

/// What an encoder emits once: an H.264 access unit or an Opus packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The lane it travels in.
    pub lane: Lane,
    /// Whether decoding can start here: an IDR access unit, or any Opus packet.
    pub key: bool,
    /// Its place in the track, from 0 without holes.
    pub number: u64,
    /// When it is to be shown, in 1/90000 s since the session's start. For Opus: when the first PCM
    /// sample that was encoded into it was captured.
    pub pts_90k: u64,
    /// How long it lasts, in 1/90000 s.
    pub duration_90k: u32,
    /// When the device captured it, in µs since the session's start on its monotonic clock.
    pub capture_us: u64,
    /// H.264: NAL units behind 4-byte big-endian lengths, without parameter sets. Opus: the packet.
    pub payload: Bytes,
}

/// Why a binary message is not a sequence of units.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// The message holds nothing.
    #[error("the message holds no unit")]
    Empty,
    /// The message ends within a header or a payload.
    #[error("the message ends {missing_bytes} bytes too early")]
    Truncated {
        /// How many bytes are missing at the least.
        missing_bytes: usize,
    },
    /// Another version of the header.
    #[error("unit header version {0} is not supported")]
    Version(u8),
    /// Neither live nor backfill.
    #[error("lane {0} does not exist")]
    Lane(u8),
    /// A flag that this version does not define.
    #[error("flags {0:#06x} have bits that are not defined")]
    Flags(u16),
    /// A payload of no bytes.
    #[error("unit {0} has no payload")]
    NoPayload(u64),
    /// The payload exceeds [`MAX_UNIT_BYTES`].
    #[error("a payload of {0} bytes exceeds the limit")]
    PayloadTooLarge(u32),
    /// More than [`MAX_UNITS_PER_MESSAGE`] units.
    #[error("the message holds more than {MAX_UNITS_PER_MESSAGE} units")]
    TooManyUnits,
    /// The number is at or above [`MAX_UNIT_NUMBER`].
    #[error("unit number {0} is out of range")]
    Number(u64),
    /// A time or a duration is out of range.
    #[error("unit {0} has a time or a duration out of range")]
    Time(u64),
}

impl UnitError {
    /// The code that a peer is told.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Version(_) => ErrorCode::UnsupportedVersion,
            Self::PayloadTooLarge(_) | Self::TooManyUnits => ErrorCode::TooLarge,
            Self::Number(_) => ErrorCode::UnitOutOfRange,
            _ => ErrorCode::InvalidUnit,
        }
    }
}

impl Unit {
    /// The bytes that the unit takes in a message.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        HEADER_BYTES + self.payload.len()
    }

    /// Appends header and payload to a message.
    ///
    /// # Panics
    /// When the payload exceeds 4 GiB.
    pub fn encode(&self, message: &mut BytesMut) {
        let length = u32::try_from(self.payload.len()).expect("a payload below 4 GiB");
        message.reserve(self.encoded_bytes());
        message.put_u8(PROTOCOL_VERSION);
        message.put_u8(match self.lane {
            Lane::Live => 0,
            Lane::Backfill => 1,
        });
        message.put_u16(if self.key { FLAG_KEY } else { 0 });
        message.put_u32(length);
        message.put_u64(self.number);
        message.put_u64(self.pts_90k);
        message.put_u32(self.duration_90k);
        message.put_u64(self.capture_us);
        message.put_slice(&self.payload);
    }

    /// Takes one unit off the front of a message; its payload shares the message's memory.
    ///
    /// # Errors
    /// [`UnitError`] when the front is not a unit within the limits; the message is then used up to
    /// an unspecified point.
    pub fn decode(message: &mut Bytes) -> Result<Self, UnitError> {
        if message.len() < HEADER_BYTES {
            return Err(UnitError::Truncated { missing_bytes: HEADER_BYTES - message.len() });
        }
        let version = message.get_u8();
        if version != PROTOCOL_VERSION {
            return Err(UnitError::Version(version));
        }
        let lane = match message.get_u8() {
            0 => Lane::Live,
            1 => Lane::Backfill,
            other => return Err(UnitError::Lane(other)),
        };
        let flags = message.get_u16();
        if flags & !FLAG_KEY != 0 {
            return Err(UnitError::Flags(flags));
        }
        let length = message.get_u32();
        let number = message.get_u64();
        let pts_90k = message.get_u64();
        let duration_90k = message.get_u32();
        let capture_us = message.get_u64();
        if number >= MAX_UNIT_NUMBER {
            return Err(UnitError::Number(number));
        }
        // The capture time's bound is the same 99 years, in µs.
        if pts_90k >= MAX_PTS_90K || duration_90k > MAX_DURATION_90K || capture_us / 100 >= MAX_PTS_90K / 9 {
            return Err(UnitError::Time(number));
        }
        if length == 0 {
            return Err(UnitError::NoPayload(number));
        }
        let payload_bytes = length as usize;
        if payload_bytes > MAX_UNIT_BYTES {
            return Err(UnitError::PayloadTooLarge(length));
        }
        if message.len() < payload_bytes {
            return Err(UnitError::Truncated { missing_bytes: payload_bytes - message.len() });
        }
        let payload = message.split_to(payload_bytes);
        let key = flags & FLAG_KEY != 0;
        Ok(Self { lane, key, number, pts_90k, duration_90k, capture_us, payload })
    }
}

/// Decodes a binary message unit by unit, without copying payloads.
///
/// The iterator ends after the last unit or after the first error.
pub fn decode_message(message: Bytes) -> impl Iterator<Item = Result<Unit, UnitError>> {
    Units { rest: message, taken: 0, ended: false }
}

struct Units {
    rest: Bytes,
    taken: usize,
    ended: bool,
}

impl Iterator for Units {
    type Item = Result<Unit, UnitError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended || (self.rest.is_empty() && self.taken > 0) {
            return None;
        }
        let unit = if self.rest.is_empty() {
            Err(UnitError::Empty)
        } else if self.taken == MAX_UNITS_PER_MESSAGE {
            Err(UnitError::TooManyUnits)
        } else {
            Unit::decode(&mut self.rest)
        };
        self.taken += 1;
        self.ended = unit.is_err();
        Some(unit)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unit(number: u64) -> Unit {
        Unit {
            lane: Lane::Live,
            key: true,
            number,
            pts_90k: 3000 * number,
            duration_90k: 3000,
            capture_us: 33_333 * number,
            payload: Bytes::from_static(&[0, 0, 0, 2, 0x65, 0x88]),
        }
    }

    fn encoded(units: &[Unit]) -> Bytes {
        let mut message = BytesMut::new();
        for unit in units {
            unit.encode(&mut message);
        }
        message.freeze()
    }

    fn first_error(bytes: &[u8]) -> Option<UnitError> {
        decode_message(Bytes::copy_from_slice(bytes)).find_map(Result::err)
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let mut message = BytesMut::new();
        Unit { lane: Lane::Backfill, capture_us: 0x0102, ..unit(7) }.encode(&mut message);
        let expected: &[u8] = &[
            1, 1, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0x52, 0x08, 0, 0, 0x0b, 0xb8,
            0, 0, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 2, 0x65, 0x88,
        ];
        assert_eq!(&message[..], expected);
    }

    #[test]
    fn broken_messages_name_what_is_broken() {
        let good = encoded(&[unit(3)]).to_vec();
        let with = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            first_error(&bytes)
        };
        assert_eq!(first_error(&good), None);
        assert_eq!(first_error(&[]), Some(UnitError::Empty));
        assert_eq!(first_error(&good[..35]), Some(UnitError::Truncated { missing_bytes: 1 }));
        assert_eq!(first_error(&good[..40]), Some(UnitError::Truncated { missing_bytes: 2 }));
        assert_eq!(with(0, 2), Some(UnitError::Version(2)));
        assert_eq!(with(1, 2), Some(UnitError::Lane(2)));
        assert_eq!(with(2, 0x80), Some(UnitError::Flags(0x8001)));
        assert_eq!(with(7, 0), Some(UnitError::NoPayload(3)));
        assert_eq!(with(4, 1), Some(UnitError::PayloadTooLarge(0x0100_0006)));
        assert_eq!(with(8, 1), Some(UnitError::Number(0x0100_0000_0000_0003)));
        assert_eq!(with(16, 1), Some(UnitError::Time(3)));
        assert_eq!(with(24, 1), Some(UnitError::Time(3)));
        assert_eq!(with(28, 0xff), Some(UnitError::Time(3)));
        let many: Vec<Unit> = (0..65).map(unit).collect();
        assert_eq!(first_error(&encoded(&many)), Some(UnitError::TooManyUnits));
    }

    proptest! {
        #[test]
        fn units_survive_the_wire(
            numbers in prop::collection::vec(0..MAX_UNIT_NUMBER, 1..MAX_UNITS_PER_MESSAGE),
            key: bool, backfill: bool, pts_90k in 0..MAX_PTS_90K, duration_90k in 0..=MAX_DURATION_90K,
            payload in prop::collection::vec(any::<u8>(), 1..200),
        ) {
            let units: Vec<Unit> = numbers.into_iter().map(|number| Unit {
                lane: if backfill { Lane::Backfill } else { Lane::Live },
                key, number, pts_90k, duration_90k,
                capture_us: pts_90k * 100 / 9,
                payload: Bytes::from(payload.clone()),
            }).collect();
            let decoded: Result<Vec<Unit>, UnitError> = decode_message(encoded(&units)).collect();
            prop_assert_eq!(decoded.unwrap(), units);
        }

        #[test]
        fn any_bytes_decode_or_fail_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for unit in decode_message(Bytes::from(bytes)).flatten() {
                prop_assert!(unit.number < MAX_UNIT_NUMBER && !unit.payload.is_empty());
            }
        }
    }
}
