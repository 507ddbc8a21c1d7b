//! Where a track's units wait until the server has acknowledged them: in memory, or on disk.

pub mod disk;
mod memory;

use protocol::codec::Params;
use protocol::control::Event;
use protocol::digest::UnitDigest;
use protocol::unit::Unit;
use protocol::{UnitRange, UnitRanges};

pub use memory::MemorySpool;

/// The memory that a queued unit takes beside its payload, in bytes: the struct and the allocation.
const OVERHEAD_BYTES: u64 = 96;

/// Units that were given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GivenUp {
    /// Which.
    pub units: UnitRange,
    /// The presentation time of the first of them.
    pub pts_90k: u64,
}

/// What a spool holds, for people and for pacing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Units.
    pub units: u64,
    /// Bytes, payloads and overhead, as the bound counts them.
    pub bytes: u64,
    /// From the oldest unit's start to the newest one's end, in ms.
    pub duration_ms: u64,
}

/// What a spool knows of a unit without looking at its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub number: u64,
    /// Whether decoding can start here.
    pub key: bool,
    /// When it is to be shown.
    pub pts_90k: u64,
    /// How long it lasts.
    pub duration_90k: u32,
    /// Its payload, in bytes.
    pub payload_bytes: u32,
}

impl From<&Unit> for Entry {
    fn from(unit: &Unit) -> Self {
        Self {
            number: unit.number,
            key: unit.key,
            pts_90k: unit.pts_90k,
            duration_90k: unit.duration_90k,
            payload_bytes: u32::try_from(unit.payload.len()).unwrap_or(u32::MAX),
        }
    }
}

/// What belongs to a track beside its units, for a spool that outlives the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Codec parameters; noted before the units that need them.
    Params(Params),
    /// Something that a viewer of the recording should know.
    Event(Event),
    /// The track has ended with so many units.
    Finish {
        /// One more than the last unit's number.
        units: u64,
    },
    /// Units were given up.
    GivenUp(GivenUp),
    /// What stands for units that are forgotten next, so that a later program can still vouch for them.
    Digests {
        /// The number of the first unit.
        first: u64,
        /// The digests of this unit and of those that follow it; at most [`MAX_NOTED_DIGESTS`].
        digests: Vec<UnitDigest>,
    },
}

/// The most digests of one [`Note::Digests`]: 16 KiB of them.
pub const MAX_NOTED_DIGESTS: usize = 1024;

/// How full a spool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Fill {
    /// There is room.
    #[default]
    Room,
    /// Four fifths of what it may hold wait in it.
    Warning,
    /// It holds as much as it may: units are given up, or the session has to stop.
    Full,
}

/// What keeps a spool from the disk. Units are held in memory meanwhile, and written when it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The disk, or the user's part of it, is full.
    DiskFull,
    /// The disk cannot be written or read, in the system's words.
    DiskFails(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DiskFull => f.write_str("the disk of this device is full"),
            Self::DiskFails(reason) => write!(f, "the disk of this device fails: {reason}"),
        }
    }
}

/// Whether a spool can keep its promise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// How full it is.
    pub fill: Fill,
    /// Whether the session has to stop because the spool is full and may give up nothing.
    pub must_stop: bool,
    /// What keeps it from the disk.
    pub trouble: Option<Trouble>,
}

/// A track's queue of units that are not acknowledged, ordered by number.
///
/// The state machine of a track is its only user. Numbers are pushed in ascending order; holes arise
/// where units were forgotten or given up. No unit is given up without being told, by [`Spool::push`] or
/// [`Spool::take_given_up`].
pub trait Spool: Send {
    /// Takes the newest unit. Returns what had to be given up for it; that may be the unit itself.
    fn push(&mut self, unit: Unit) -> Vec<GivenUp>;

    /// The unit with the lowest number at or above `number`. None as well while it cannot be read.
    fn next_from(&mut self, number: u64) -> Option<Unit>;

    /// What is known of the unit with the lowest number at or above `number`.
    fn entry_from(&self, number: u64) -> Option<Entry>;

    /// The first key unit with a number at or above `number`.
    fn key_from(&self, number: u64) -> Option<Entry>;

    /// The first key unit that is to be shown at `pts_90k` or later.
    fn key_from_pts(&self, pts_90k: u64) -> Option<Entry>;

    /// Forgets the units of these numbers, those it does not hold included.
    fn forget(&mut self, units: &UnitRanges);

    /// The numbers of the units that it holds.
    fn held(&self) -> UnitRanges;

    /// How much it holds.
    fn backlog(&self) -> Backlog;

    /// Keeps what belongs to the track beside its units, if it outlives the program.
    fn note(&mut self, note: Note);

    /// What was given up otherwise than by a push, since it was asked last: for the other track's sake, or because
    /// it could not be read again.
    fn take_given_up(&mut self) -> Vec<GivenUp>;

    /// Whether it can keep its promise.
    fn health(&self) -> Health;
}

/// What a full queue gives up first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// The oldest units up to the next key unit, because the rest of a GOP is useless without its
    /// start. Fits video.
    OldestGop,
    /// The oldest units one by one. Fits audio.
    OldestUnit,
}

/// Adds a unit to the last run of given-up units, or starts a new run.
fn note_given_up(given_up: &mut Vec<GivenUp>, number: u64, pts_90k: u64) {
    match given_up.last_mut() {
        Some(run) if run.units.last + 1 == number => run.units.last = number,
        _ => given_up.push(GivenUp { units: UnitRange::new(number, number), pts_90k }),
    }
}
