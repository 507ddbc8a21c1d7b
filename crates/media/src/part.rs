//! Parts: short runs of units, each written as one fMP4 fragment.

use bytes::Bytes;
use protocol::Track;
use protocol::limits::MAX_DURATION_90K;
use protocol::unit::{Lane, Unit};

use crate::mp4;

/// Units in one part, whatever the limits say. It bounds what one part makes a reader hold.
pub const MAX_PART_UNITS: usize = 1_024;

/// Payload bytes at which a part closes, whatever the limits say. A part may exceed it by one unit.
pub const MAX_PART_BYTES: usize = 64 * 1024 * 1024;

/// A short run of consecutive units of one track and lane, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The track.
    pub track: Track,
    /// The lane in which the units came.
    pub lane: Lane,
    /// The number of the first unit.
    pub first_unit: u64,
    /// How many units; never zero, at most [`MAX_PART_UNITS`].
    pub unit_count: u32,
    /// When the first unit is to be shown, in 1/90000 s since the session's start.
    pub pts_90k: u64,
    /// From the first unit's start to the last unit's end, in 1/90000 s.
    pub duration_90k: u64,
    /// Whether decoding can start with the first unit. No later unit of a video part is key.
    pub key: bool,
    /// Bytes of the units' payloads.
    pub payload_bytes: u64,
    /// When the device captured the first unit, in µs since the session's start.
    pub capture_us: u64,
    /// One fMP4 fragment, `moof` and `mdat`, that holds the units.
    pub fragment: Bytes,
}

impl Part {
    /// The number of the unit that follows the last one.
    #[must_use]
    pub const fn next_unit(&self) -> u64 {
        self.first_unit + self.unit_count as u64
    }

    /// When the last unit ends, in 1/90000 s since the session's start.
    #[must_use]
    pub const fn end_90k(&self) -> u64 {
        self.pts_90k.saturating_add(self.duration_90k)
    }
}

/// When a part is large enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartLimits {
    /// A part closes with the unit by which it lasts at least this long, in 1/90000 s.
    pub duration_90k: u64,
    /// A part closes with the unit by which its payloads hold at least this many bytes.
    pub payload_bytes: usize,
}

/// Gathers the units of one track and lane into parts.
///
/// Payloads are shared, not copied, until a part closes; then each is copied once, into the
/// fragment. Invariant: the units held form a part, that is, they are consecutive in number,
/// ascend in time by steps of at most 10 s, share one lane, and only the first of a video part is
/// key.
#[derive(Debug)]
pub struct PartAssembler {
    track: Track,
    limits: PartLimits,
    units: Vec<Unit>,
    payload_bytes: usize,
}

impl PartAssembler {
    /// An assembler that holds nothing.
    #[must_use]
    pub const fn new(track: Track, limits: PartLimits) -> Self {
        Self { track, limits, units: Vec::new(), payload_bytes: 0 }
    }

    /// Takes a unit and yields the part that it closed: the one before it when the unit starts
    /// another (it does not follow on in number or time, comes in the other lane, or is an IDR
    /// picture), else the one that it completed by reaching a limit.
    ///
    /// A unit that does both, an IDR picture that reaches a limit alone, is held until the next
    /// call. When codec parameters change, call [`Self::flush`] before the first unit that needs them.
    pub fn push(&mut self, unit: Unit) -> Option<Part> {
        let closed = if self.takes(&unit) { None } else { self.flush() };
        self.payload_bytes += unit.payload.len();
        self.units.push(unit);
        if closed.is_none() && self.full() { self.flush() } else { closed }
    }

    /// Closes the part that is being gathered, if any.
    pub fn flush(&mut self) -> Option<Part> {
        let (first, last) = (self.units.first()?, self.units.last()?);
        let part = Part {
            track: self.track,
            lane: first.lane,
            first_unit: first.number,
            unit_count: self.units.len() as u32,
            pts_90k: first.pts_90k,
            duration_90k: end_90k(last) - first.pts_90k,
            key: first.key,
            payload_bytes: self.payload_bytes as u64,
            capture_us: first.capture_us,
            fragment: mp4::write_fragment(self.track, &self.units, self.payload_bytes),
        };
        self.units.clear();
        self.payload_bytes = 0;
        Some(part)
    }

    /// How many units are held.
    #[must_use]
    pub const fn pending_units(&self) -> usize {
        self.units.len()
    }

    /// How many payload bytes are held.
    #[must_use]
    pub const fn pending_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// When the oldest unit that is held is to be shown, in 1/90000 s since the session's start.
    #[must_use]
    pub fn pending_since_90k(&self) -> Option<u64> {
        self.units.first().map(|unit| unit.pts_90k)
    }

    fn takes(&self, unit: &Unit) -> bool {
        let Some(last) = self.units.last() else { return true };
        let starts_group = self.track == Track::Video && unit.key;
        !self.full() && !starts_group && last.lane == unit.lane && mp4::follows(last, unit)
    }

    fn full(&self) -> bool {
        let (Some(first), Some(last)) = (self.units.first(), self.units.last()) else { return false };
        self.units.len() >= MAX_PART_UNITS
            || self.payload_bytes >= self.limits.payload_bytes.min(MAX_PART_BYTES)
            || end_90k(last) - first.pts_90k >= self.limits.duration_90k
    }
}

/// When a unit ends. A duration out of the protocol's range is cut, so that it cannot distort a file.
pub(crate) fn end_90k(unit: &Unit) -> u64 {
    unit.pts_90k.saturating_add(u64::from(unit.duration_90k.min(MAX_DURATION_90K)))
}
