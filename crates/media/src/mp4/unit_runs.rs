//! Which units a recording holds: a `uuid` box behind `moov`, which players pass over.
//!
//! Sample tables number samples in a row and count time from the recording's start; what a digest covers is a unit's
//! own number and its time since the session's start. All fields are big-endian:
//!
//! ```text
//! size (4)  "uuid" (4)  BOX_ID (16)  version (4): 1
//! per track, until the box ends:
//!   track id (4)  number of runs (4)
//!   per run:  first unit (8)  units (4)  pts_90k of the first unit (8)
//! ```
//!
//! The samples of a track are its runs' units in order.

use protocol::Track;

use super::boxes::BoxView;
use super::{Mp4Error, track_id};

/// The box's type (ISO/IEC 14496-12 §4.2), made up once.
pub(super) const BOX_ID: [u8; 16] = *b"longtake:unitrun";
const VERSION: u32 = 1;
const RUN_BYTES: usize = 20;

/// Units that follow each other in number and in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitRun {
    /// The first unit's number.
    pub first_unit: u64,
    /// How many units.
    pub units: u32,
    /// When the first unit is to be shown, in 1/90000 s since the session's start.
    pub pts_90k: u64,
}

/// Appends the box.
pub(super) fn write<'a>(
    tracks: impl Iterator<Item = (Track, &'a [UnitRun])>,
    bytes: &mut Vec<u8>,
) -> Result<(), Mp4Error> {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(b"uuid");
    bytes.extend_from_slice(&BOX_ID);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    for (track, runs) in tracks {
        bytes.extend_from_slice(&track_id(track).to_be_bytes());
        bytes.extend_from_slice(&(runs.len() as u32).to_be_bytes());
        for run in runs {
            bytes.extend_from_slice(&run.first_unit.to_be_bytes());
            bytes.extend_from_slice(&run.units.to_be_bytes());
            bytes.extend_from_slice(&run.pts_90k.to_be_bytes());
        }
    }
    let size = u32::try_from(bytes.len() - start).map_err(|_| Mp4Error::TooLarge("the list of units"))?;
    bytes[start..start + 4].copy_from_slice(&size.to_be_bytes());
    Ok(())
}

/// Reads the box.
pub(super) fn read(view: &BoxView<'_>) -> Result<Vec<(Track, Vec<UnitRun>)>, Mp4Error> {
    let broken = || view.broken("its list of units cannot be read");
    let mut rest = view.body.strip_prefix(&BOX_ID).ok_or_else(broken)?;
    if take::<4>(&mut rest).map(u32::from_be_bytes) != Some(VERSION) {
        return Err(view.broken("its list of units has another version"));
    }
    let mut tracks = Vec::new();
    while !rest.is_empty() {
        let id = u32::from_be_bytes(take(&mut rest).ok_or_else(broken)?);
        let count = u32::from_be_bytes(take(&mut rest).ok_or_else(broken)?) as usize;
        let track = Track::ALL.into_iter().find(|&track| track_id(track) == id).ok_or_else(broken)?;
        let (list, after) = rest.split_at_checked(count.saturating_mul(RUN_BYTES)).ok_or_else(broken)?;
        rest = after;
        let runs = list.as_chunks::<RUN_BYTES>().0.iter().map(|run| {
            let mut run = &run[..];
            Some(UnitRun {
                first_unit: u64::from_be_bytes(take(&mut run)?),
                units: u32::from_be_bytes(take(&mut run)?),
                pts_90k: u64::from_be_bytes(take(&mut run)?),
            })
        });
        tracks.push((track, runs.collect::<Option<_>>().ok_or_else(broken)?));
    }
    Ok(tracks)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}
