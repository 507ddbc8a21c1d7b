//! A spool on disk: what it holds survives the program.
//!
//! A session has a folder `<spool>/<session id>/`:
//!
//! | file | what |
//! | --- | --- |
//! | `session.json` | who the session is, with its resume key; never an access token |
//! | `lock` | locked by the program that owns the folder, as long as it runs |
//! | `video-00000003.units` | a segment of a track's units; removed once the server has all of them |
//! | `video-00000000.notes` | codec parameters, events, what was given up, and the count of units at the end |
//!
//! Each unit is written in one call before it can go over the network, so that a killed program loses nothing. A
//! thread makes durable what was written, twice a second: a power cut costs the last second at most. Records have
//! checksums: what a crash left half-written is recognised and left out.
//!
//! # Invariants
//! 1. A unit that was sent is in the log, in memory because the disk refuses, or acknowledged.
//! 2. Units that are not on disk are the newest ones, and are all in memory.
//! 3. Nothing is added to a file that another program has begun.
//! 4. The memory is bounded, whatever waits: see [`Settings`] and [`TrackSettings`](crate::TrackSettings).

mod files;
mod index;
mod log;
mod logs;
mod record;
mod recovery;
mod segments;
mod session;
#[cfg(any(test, feature = "simulation"))]
pub mod simulated;
mod sync;
#[cfg(test)]
mod tests;
mod unfinished;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use logs::{MemoryBytes, RecoveredTrack};
pub(crate) use session::{Reopened, SessionFolder};
pub use unfinished::{Listing, Unfinished, discard, unfinished, waiting_sessions};

/// What a session may take on disk when nobody says otherwise: 4 GiB, over four hours at 2 Mbit/s.
pub const DEFAULT_CAPACITY_BYTES: u64 = 4 << 30;

/// Where a session's units wait, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The folder of the spool, in which each session has its own. Made when it is missing.
    pub folder: PathBuf,
    /// What the session may take on disk, both tracks together, in bytes; at least 1 MiB.
    pub capacity_bytes: u64,
    /// How much time of one track may wait; none for any.
    pub longest: Option<Duration>,
    /// What is done when as much waits as may.
    pub when_full: WhenFull,
}

/// What is done when as much waits as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// The session is to stop; see [`Health::must_stop`](super::Health::must_stop). An eighth of the capacity is kept for what is made until then.
    #[default]
    Stop,
    /// The oldest GOPs of the picture are given up, and when there are none, the oldest sound.
    Drop,
}

/// Why a session's folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// A program that runs owns it.
    #[error("{0}: another program is recording or resuming this session")]
    InUse(PathBuf),
    /// There is one of the same session already.
    #[error("{0}: this session exists already; resume it, or begin one with another id")]
    Exists(PathBuf),
    /// The folder does not tell which session it is of.
    #[error("{path}: {reason}; the folder is no session's, or is damaged")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The disk refuses.
    #[error("{path}: {source}; choose another folder for the spool, or make room")]
    Disk {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}
