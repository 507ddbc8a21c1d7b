//! Fragmented MP4 as parts and segments are stored, and flat MP4 as recordings are handed out
//! (ISO/IEC 14496-12; H.264 in 14496-15; "Encapsulation of Opus in ISO Base Media File Format").
//!
//! - An [`init_segment`] holds a track's codec parameters; [`fragment`]s hold its units, one part
//!   each. An init segment followed by fragments of its track, in any number, plays.
//! - [`read_fragment`], [`read_init`] and [`walk_segment`] read what this module wrote, and nothing
//!   else: another writer's boxes are reported as faults.
//! - [`recording::layout`] describes one seekable MP4 of both tracks around payloads as they are;
//!   [`read_recording`] finds the units in it again.
//!
//! Track ids are 1 for video and 2 for audio. Decode times are the units' presentation times: the
//! encoders do not reorder pictures.

mod boxes;
mod fragment;
mod init;
mod read;
pub mod recording;
mod recording_read;
mod sample_entry;
mod unit_runs;

pub use fragment::{MAX_HEAD_BYTES, fragment};
pub(crate) use fragment::{follows, write_fragment};
pub use init::init_segment;
pub use read::{FragmentIndex, InitIndex, SampleEntry, SegmentWalk, read_fragment, read_init, walk_segment};
pub use recording_read::{BOX_HEADER_BYTES, Contents, StoredUnit, box_head, read_recording};
pub use unit_runs::UnitRun;

use protocol::Track;

use crate::params::ParamsError;

/// Why MP4 cannot be written, or is not what this crate writes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Mp4Error {
    /// The codec parameters cannot be described.
    #[error("the codec parameters cannot be used: {0}")]
    Parameters(#[from] ParamsError),
    /// The codec parameters, or a part, belong to the other track.
    #[error("this is not of the {0} track")]
    WrongTrack(Track),
    /// Nothing to write.
    #[error("there are no units to write")]
    NoUnits,
    /// Units that cannot share a fragment.
    #[error("unit {0} does not follow the one before it")]
    NotConsecutive(u64),
    /// More than a box can hold.
    #[error("{0} exceeds what MP4 can hold")]
    TooLarge(&'static str),
    /// A part refers to codec parameters that its track does not list.
    #[error("part {part} refers to codec parameters {parameters_index}, which do not exist")]
    NoParameters {
        /// The part's index.
        part: usize,
        /// The index it gives.
        parameters_index: usize,
    },
    /// The bytes end within a box.
    #[error("the bytes end within the box `{box_name}` at offset {offset}")]
    Truncated {
        /// The box's four characters.
        box_name: BoxName,
        /// Where it starts, in bytes from the start of what was given.
        offset: u64,
    },
    /// A box with contents that this crate does not write.
    #[error("the box `{box_name}` at offset {offset} is broken: {reason}")]
    Broken {
        /// The box's four characters.
        box_name: BoxName,
        /// Where it starts, in bytes from the start of what was given.
        offset: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The library that encodes boxes failed.
    #[error("a box could not be written")]
    Encoding(#[source] mp4_atom::Error),
}

/// A box's four characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BoxName(pub [u8; 4]);

impl std::fmt::Display for BoxName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl std::fmt::Debug for BoxName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

const fn track_id(track: Track) -> u32 {
    match track {
        Track::Video => 1,
        Track::Audio => 2,
    }
}
