//! Reading a recording's head back: which units the file holds, and where.

use mp4_atom::{Moov, Stbl, StszSamples};
use protocol::Track;
use protocol::digest::{UnitDigest, UnitFacts};

use super::boxes::{BoxView, Head, head, split_box};
use super::{Mp4Error, track_id, unit_runs};
use crate::time::{clock_time_90k, media_time};

/// What a box's header takes at the most.
pub const BOX_HEADER_BYTES: usize = 16;

/// One unit in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredUnit {
    /// The track.
    pub track: Track,
    /// Its number.
    pub number: u64,
    /// Whether decoding can start with it.
    pub key: bool,
    /// When it is to be shown, in the track's timescale since the session's start.
    pub media_time: u64,
    /// Where its payload starts in the file.
    pub offset: u64,
    /// The length of its payload.
    pub bytes: u32,
}

impl StoredUnit {
    /// Whether the unit with this payload has this digest.
    ///
    /// 48000 ticks a second cannot tell all times of the session's clock apart: of an audio unit, the file leaves up to
    /// two times to choose from, and only one of them has the digest.
    #[must_use]
    pub fn has_digest(&self, payload: &[u8], digest: UnitDigest) -> bool {
        let Self { track, number, key, media_time: time, .. } = *self;
        let earliest = clock_time_90k(track, time);
        let candidates = [earliest, earliest.saturating_add(1)];
        candidates
            .into_iter()
            .filter(|&pts_90k| media_time(track, pts_90k) == time)
            .any(|pts_90k| UnitFacts { track, key, number, pts_90k }.digest(payload) == digest)
    }
}

/// What a recording holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The units in the order of their payloads.
    pub units: Vec<StoredUnit>,
    /// The length of the whole file, by its own word.
    pub total_bytes: u64,
}

/// The name and the whole length of the box whose header these bytes start with; `offset` is where it stands.
///
/// # Errors
/// [`Mp4Error`] when they are no box's.
pub fn box_head(bytes: &[u8], offset: u64) -> Result<([u8; 4], u64), Mp4Error> {
    head(bytes, offset).map(|head| (head.name.0, head.total_bytes))
}

/// Reads the head of a recording: all bytes in front of `mdat`, and at least the header of that.
///
/// # Errors
/// [`Mp4Error::Broken`] or [`Mp4Error::Truncated`] when it is not a recording as [`super::recording::layout`] makes
/// it, or does not list its units.
pub fn read_recording(bytes: &[u8]) -> Result<Contents, Mp4Error> {
    let (mut moov, mut runs) = (None, None);
    let (mut rest, mut offset) = (bytes, 0);
    let mdat: Head = loop {
        let next = head(rest, offset)?;
        if next.name.0 == *b"mdat" {
            break next;
        }
        let (view, after) = split_box(rest, offset)?;
        match &view.name.0 {
            b"moov" => moov = Some(view),
            b"uuid" if view.body.starts_with(&unit_runs::BOX_ID) => runs = Some(view),
            _ => {}
        }
        offset += (rest.len() - after.len()) as u64;
        rest = after;
    };
    let missing = |reason| Mp4Error::Broken { box_name: mdat.name, offset, reason };
    let moov = moov.ok_or_else(|| missing("no moov stands in front of it"))?;
    let runs = runs.ok_or_else(|| missing("no list of units stands in front of it"))?;
    let tables: Moov = moov.decode()?;
    let payload = offset + mdat.header_bytes..offset.saturating_add(mdat.total_bytes);
    let mut units = Vec::new();
    for (track, runs) in unit_runs::read(&runs)? {
        let same = |trak: &&mp4_atom::Trak| trak.tkhd.track_id == track_id(track);
        let trak = tables.trak.iter().find(same).ok_or_else(|| moov.broken("a track is missing"))?;
        read_track(track, &trak.mdia.minf.stbl, &runs, &moov, &mut units)?;
    }
    let outside = |unit: &StoredUnit| {
        unit.offset < payload.start || unit.offset.saturating_add(u64::from(unit.bytes)) > payload.end
    };
    if units.iter().any(outside) {
        return Err(moov.broken("a unit lies outside the mdat"));
    }
    units.sort_by_key(|unit| unit.offset);
    Ok(Contents { units, total_bytes: payload.end })
}

fn read_track(
    track: Track,
    stbl: &Stbl,
    runs: &[unit_runs::UnitRun],
    moov: &BoxView<'_>,
    units: &mut Vec<StoredUnit>,
) -> Result<(), Mp4Error> {
    let broken = || moov.broken("the sample tables contradict each other");
    let StszSamples::Different { sizes } = &stbl.stsz.samples else { return Err(broken()) };
    let mut samples = sizes.iter().enumerate();
    let mut durations = stbl.stts.entries.iter().flat_map(|run| {
        // Never more than there are samples, whatever a run says.
        std::iter::repeat_n(run.sample_delta, sizes.len().min(run.sample_count as usize))
    });
    let mut offsets = offsets(stbl, sizes.len()).ok_or_else(broken)?.into_iter();
    for run in runs {
        let mut time = media_time(track, run.pts_90k);
        for number in run.first_unit..run.first_unit.saturating_add(u64::from(run.units)) {
            let (at, &bytes) = samples.next().ok_or_else(broken)?;
            let key = match &stbl.stss {
                Some(keys) => keys.entries.binary_search(&(at as u32 + 1)).is_ok(),
                None => true,
            };
            let offset = offsets.next().ok_or_else(broken)?;
            units.push(StoredUnit { track, number, key, media_time: time, offset, bytes });
            time = time.saturating_add(u64::from(durations.next().ok_or_else(broken)?));
        }
    }
    if samples.next().is_some() { Err(broken()) } else { Ok(()) }
}

/// Where each sample starts; `None` when the tables do not add up to so many samples.
fn offsets(stbl: &Stbl, samples: usize) -> Option<Vec<u64>> {
    let chunks: Vec<u64> = match (&stbl.stco, &stbl.co64) {
        (Some(narrow), None) => narrow.entries.iter().copied().map(u64::from).collect(),
        (None, Some(wide)) => wide.entries.clone(),
        _ => return None,
    };
    let StszSamples::Different { sizes } = &stbl.stsz.samples else { return None };
    let mut sizes = sizes.iter();
    let mut offsets = Vec::with_capacity(samples);
    let mut runs = stbl.stsc.entries.iter().peekable();
    let mut samples_per_chunk = 0;
    for (at, start) in chunks.iter().enumerate() {
        if let Some(run) = runs.next_if(|run| run.first_chunk as usize == at + 1) {
            samples_per_chunk = run.samples_per_chunk as usize;
        }
        let mut offset = *start;
        for size in sizes.by_ref().take(samples_per_chunk) {
            offsets.push(offset);
            offset = offset.checked_add(u64::from(*size))?;
        }
    }
    (offsets.len() == samples).then_some(offsets)
}
