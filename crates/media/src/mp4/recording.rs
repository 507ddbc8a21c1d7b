//! Recordings: one flat, seekable MP4 of both tracks, described around payloads as they are stored.
//!
//! ```text
//! ftyp
//! moov                 sample tables of both tracks, one chunk per part
//! uuid                 the numbers and times of the units (see [`super::UnitRun`])
//! mdat                 the parts' payloads, interleaved by time
//! ```
//!
//! The recording starts when its earlier track does; the other starts with an empty edit as long as
//! it comes later. A sample lasts until the next one starts, so that a gap shows the last picture
//! for longer and is silent. A video part that cannot be decoded, since the IDR picture it builds
//! on is not there, is left out until a part that starts with one: decoders would show garbage.

use std::collections::BTreeMap;

use bytes::Bytes;
use mp4_atom::{
    Co64, Codec, Edts, Elst, ElstEntry, Encode as _, FourCC, Ftyp, Moov, Mvhd, Stbl, Stco, Stsc, StscEntry,
    Stsd, Stss, Stsz, StszSamples, Stts, SttsEntry,
};
use protocol::Track;
use protocol::codec::CodecParameters;

use super::Mp4Error;
use super::fragment::MDAT_HEADER_BYTES;
use super::read::{FragmentIndex, next_sequence_number};
use super::sample_entry::{MOVIE_TIMESCALE, sample_entry, trak};
use super::unit_runs::{self, UnitRun};
use crate::time::clock_time_90k;

/// `mdat`'s header when its size takes 64 bits.
const LARGE_MDAT_HEADER_BYTES: usize = 16;

/// One stored part of a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedPart {
    /// Which of the track's parameters decode it.
    pub parameters_index: usize,
    /// The number of its first unit.
    pub first_unit: u64,
    /// When that is to be shown, in 1/90000 s since the session's start.
    pub pts_90k: u64,
    /// What its fragment holds.
    pub index: FragmentIndex,
}

/// What is stored of one track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedTrack {
    /// The track.
    pub track: Track,
    /// The codec parameters that parts refer to.
    pub parameters: Vec<CodecParameters>,
    /// The parts, ascending by unit number.
    pub parts: Vec<RecordedPart>,
}

/// A payload's place in the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The track whose part it is.
    pub track: Track,
    /// The part's index in [`RecordedTrack::parts`].
    pub part: usize,
    /// The payload's bytes; in the part's fragment they start at [`FragmentIndex::payload_offset`].
    pub bytes: u32,
}

/// A recording: `header`, then each piece's payload in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Everything in front of the payloads.
    pub header: Bytes,
    /// The payloads in the file's order.
    pub pieces: Vec<Piece>,
    /// The length of the whole file.
    pub total_bytes: u64,
    /// How many video units are left out because what they build on is not stored.
    pub left_out_units: u64,
}

/// Lays a recording out. Tracks without a part, or without a decodable one, are left out.
///
/// # Errors
/// [`Mp4Error::NoUnits`] when nothing is left; [`Mp4Error::NoParameters`], [`Mp4Error::WrongTrack`]
/// and [`Mp4Error::Parameters`] when the input contradicts itself; [`Mp4Error::TooLarge`] when a
/// track has a gap of more than 6 hours or more than 2³² samples.
pub fn layout(tracks: &[RecordedTrack]) -> Result<Layout, Mp4Error> {
    let mut left_out_units = 0;
    let mut tables = Vec::with_capacity(tracks.len());
    for track in tracks {
        let table = Table::of(track)?;
        left_out_units += table.left_out_units;
        if !table.chunks.is_empty() {
            tables.push(table);
        }
    }
    tables.sort_by_key(|table| table.track);
    let base_90k = tables.iter().map(|table| table.pts_90k).min().ok_or(Mp4Error::NoUnits)?;

    let mut places: Vec<(usize, usize)> = (0..tables.len())
        .flat_map(|table| (0..tables[table].chunks.len()).map(move |chunk| (table, chunk)))
        .collect();
    places.sort_by_key(|&(table, chunk)| (tables[table].chunks[chunk].start_90k, table));
    let mut payload_bytes = 0u64;
    let mut pieces = Vec::with_capacity(places.len());
    for (table, chunk) in places {
        let track = tables[table].track;
        let chunk = &mut tables[table].chunks[chunk];
        chunk.offset = payload_bytes;
        payload_bytes += u64::from(chunk.bytes);
        pieces.push(Piece { track, part: chunk.part, bytes: chunk.bytes });
    }

    // The header's length does not depend on the offsets in it, only on their width.
    let mut header = header(&tables, base_90k, payload_bytes, Offsets::Narrow(0))?;
    let narrow_end = header.len() as u64 + payload_bytes;
    header = if narrow_end <= u64::from(u32::MAX) {
        self::header(&tables, base_90k, payload_bytes, Offsets::Narrow(header.len() as u32))?
    } else {
        let wide = self::header(&tables, base_90k, payload_bytes, Offsets::Wide(0))?;
        self::header(&tables, base_90k, payload_bytes, Offsets::Wide(wide.len() as u64))?
    };
    let total_bytes = header.len() as u64 + payload_bytes;
    Ok(Layout { header: Bytes::from(header), pieces, total_bytes, left_out_units })
}

/// Where payloads start, and how wide offsets are written.
#[derive(Debug, Clone, Copy)]
enum Offsets {
    Narrow(u32),
    Wide(u64),
}

/// One part of a track in the file.
#[derive(Debug)]
struct Chunk {
    part: usize,
    bytes: u32,
    start_90k: u64,
    /// From the start of the payloads.
    offset: u64,
}

/// The sample tables of one track.
#[derive(Debug)]
struct Table {
    track: Track,
    /// When the first sample starts on the session's clock.
    pts_90k: u64,
    /// Ticks of the track's timescale from the first sample's start to the last one's end.
    duration: u64,
    /// Ticks that the edit list skips at the start.
    skip: u64,
    entries: Vec<Codec>,
    chunks: Vec<Chunk>,
    sizes: Vec<u32>,
    durations: Vec<SttsEntry>,
    /// Numbers of the samples at which decoding can start, from 1.
    keys: Vec<u32>,
    runs: Vec<StscEntry>,
    units: Vec<UnitRun>,
    left_out_units: u64,
}

impl Table {
    fn of(recorded: &RecordedTrack) -> Result<Self, Mp4Error> {
        let mut table = Self {
            track: recorded.track,
            pts_90k: 0,
            duration: 0,
            skip: 0,
            entries: Vec::new(),
            chunks: Vec::new(),
            sizes: Vec::new(),
            durations: Vec::new(),
            keys: Vec::new(),
            runs: Vec::new(),
            units: Vec::new(),
            left_out_units: 0,
        };
        // Sample entries by the parameters' index; those that no sample uses are not written.
        let mut entry_numbers = BTreeMap::new();
        let mut clock = SampleClock::default();
        let mut follows = None;
        for (at, part) in recorded.parts.iter().enumerate() {
            let (index, parameters_index) = (&part.index, part.parameters_index);
            if index.track != recorded.track {
                return Err(Mp4Error::WrongTrack(recorded.track));
            }
            let decodable = recorded.track == Track::Audio
                || index.samples.first().is_some_and(|sample| sample.key)
                || follows == Some((index.sequence_number, parameters_index));
            if !decodable {
                follows = None;
                table.left_out_units += index.samples.len() as u64;
                continue;
            }
            follows = Some((next_sequence_number(index), parameters_index));
            let parameters = recorded
                .parameters
                .get(parameters_index)
                .ok_or(Mp4Error::NoParameters { part: at, parameters_index })?;
            if table.chunks.is_empty() {
                table.pts_90k = index.pts_90k;
                if let CodecParameters::Opus { pre_skip_48k, .. } = parameters {
                    table.skip = u64::from(*pre_skip_48k);
                }
            }
            let entry_number = match entry_numbers.get(&parameters_index) {
                Some(&number) => number,
                None => {
                    table.entries.push(sample_entry(recorded.track, parameters)?);
                    let number = table.entries.len() as u32;
                    entry_numbers.insert(parameters_index, number);
                    number
                }
            };
            table.add(at, part, entry_number, &mut clock)?;
        }
        if let Some(last) = clock.last {
            push_duration(&mut table.durations, last.duration)?;
            table.duration = last.start.saturating_add(u64::from(last.duration)) - clock.first;
        }
        u32::try_from(table.sizes.len()).map_err(|_| Mp4Error::TooLarge("the number of units"))?;
        Ok(table)
    }

    /// Appends one part as a chunk.
    fn add(
        &mut self,
        at_part: usize,
        part: &RecordedPart,
        entry_number: u32,
        clock: &mut SampleClock,
    ) -> Result<(), Mp4Error> {
        let index = &part.index;
        let mut start = index.base_decode_time;
        for (at, sample) in index.samples.iter().enumerate() {
            if let Some(duration) = clock.start_sample(start, sample.duration) {
                push_duration(&mut self.durations, duration?)?;
            }
            self.sizes.push(sample.bytes);
            if sample.key {
                self.keys.push(self.sizes.len() as u32);
            }
            if at == 0 {
                let start_90k = clock.last.map_or(0, |last| clock_time_90k(self.track, last.start));
                self.chunks.push(Chunk { part: at_part, bytes: index.payload_bytes, start_90k, offset: 0 });
            }
            start = start.saturating_add(u64::from(sample.duration));
        }
        let samples_per_chunk = index.samples.len() as u32;
        match self.units.last_mut() {
            Some(run) if run.first_unit + u64::from(run.units) == part.first_unit => {
                run.units = run.units.saturating_add(samples_per_chunk);
            }
            _ => self.units.push(UnitRun {
                first_unit: part.first_unit,
                units: samples_per_chunk,
                pts_90k: part.pts_90k,
            }),
        }
        let run_goes_on = self.runs.last().is_some_and(|run| {
            (run.samples_per_chunk, run.sample_description_index) == (samples_per_chunk, entry_number)
        });
        if !run_goes_on {
            self.runs.push(StscEntry {
                first_chunk: self.chunks.len() as u32,
                samples_per_chunk,
                sample_description_index: entry_number,
            });
        }
        Ok(())
    }
}

/// Turns start times into durations: a sample lasts until the next one starts.
#[derive(Debug, Default)]
struct SampleClock {
    first: u64,
    last: Option<LastSample>,
}

#[derive(Debug, Clone, Copy)]
struct LastSample {
    start: u64,
    /// Its own, which holds when no other sample follows.
    duration: u32,
}

impl SampleClock {
    /// Starts a sample and yields the duration of the one before it. A start that is not behind the
    /// last sample's is moved to one tick behind it: decoders need ascending times.
    fn start_sample(&mut self, start: u64, duration: u32) -> Option<Result<u32, Mp4Error>> {
        let before = self.last;
        let start = before.map_or(start, |before| start.max(before.start.saturating_add(1)));
        self.last = Some(LastSample { start, duration: duration.max(1) });
        match before {
            // Players read durations as signed numbers.
            Some(before) => Some(
                i32::try_from(start - before.start)
                    .map(i32::unsigned_abs)
                    .map_err(|_| Mp4Error::TooLarge("a gap of many hours")),
            ),
            None => {
                self.first = start;
                None
            }
        }
    }
}

fn push_duration(durations: &mut Vec<SttsEntry>, duration: u32) -> Result<(), Mp4Error> {
    match durations.last_mut() {
        Some(run) if run.sample_delta == duration => {
            run.sample_count =
                run.sample_count.checked_add(1).ok_or(Mp4Error::TooLarge("the number of units"))?;
        }
        _ => durations.push(SttsEntry { sample_count: 1, sample_delta: duration }),
    }
    Ok(())
}

/// Everything up to the payloads: the last is the header of an `mdat` of `payload_bytes`.
fn header(
    tables: &[Table],
    base_90k: u64,
    payload_bytes: u64,
    offsets: Offsets,
) -> Result<Vec<u8>, Mp4Error> {
    let ftyp = Ftyp {
        major_brand: FourCC::new(b"isom"),
        minor_version: 0x200,
        compatible_brands: [b"isom", b"iso2", b"avc1", b"mp41"].map(FourCC::new).to_vec(),
    };
    let mut moov = Moov {
        mvhd: Mvhd {
            timescale: MOVIE_TIMESCALE,
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: 3,
            ..Mvhd::default()
        },
        ..Moov::default()
    };
    for table in tables {
        let delay_90k = table.pts_90k - base_90k;
        let shown_90k = clock_time_90k(table.track, table.duration.saturating_sub(table.skip));
        let movie_duration = delay_90k.saturating_add(shown_90k);
        let mut edits = Vec::new();
        if delay_90k > 0 {
            edits.push(ElstEntry { segment_duration: delay_90k, media_time: None, media_rate: 1.into() });
        }
        edits.push(ElstEntry {
            segment_duration: shown_90k,
            media_time: Some(table.skip),
            media_rate: 1.into(),
        });
        let edts = Edts { elst: Some(Elst { entries: edits }) };
        moov.mvhd.duration = moov.mvhd.duration.max(movie_duration);
        moov.trak.push(trak(
            table.track,
            movie_duration,
            table.duration,
            Some(edts),
            sample_table(table, offsets),
        ));
    }
    let mut bytes = Vec::new();
    ftyp.encode(&mut bytes).map_err(Mp4Error::Encoding)?;
    moov.encode(&mut bytes).map_err(Mp4Error::Encoding)?;
    unit_runs::write(tables.iter().map(|table| (table.track, &table.units[..])), &mut bytes)?;
    match u32::try_from(payload_bytes + MDAT_HEADER_BYTES as u64) {
        Ok(mdat_bytes) => {
            bytes.extend_from_slice(&mdat_bytes.to_be_bytes());
            bytes.extend_from_slice(b"mdat");
        }
        Err(_) => {
            bytes.extend_from_slice(&1u32.to_be_bytes());
            bytes.extend_from_slice(b"mdat");
            bytes.extend_from_slice(&(payload_bytes + LARGE_MDAT_HEADER_BYTES as u64).to_be_bytes());
        }
    }
    Ok(bytes)
}

fn sample_table(table: &Table, offsets: Offsets) -> Stbl {
    let chunks = table.chunks.iter().map(|chunk| chunk.offset);
    let (stco, co64) = match offsets {
        // The first, measuring pass may wrap; the offsets that are kept end below 4 GiB.
        Offsets::Narrow(base) => {
            (Some(Stco { entries: chunks.map(|offset| base.wrapping_add(offset as u32)).collect() }), None)
        }
        Offsets::Wide(base) => (None, Some(Co64 { entries: chunks.map(|offset| base + offset).collect() })),
    };
    Stbl {
        stsd: Stsd { codecs: table.entries.clone() },
        stts: Stts { entries: table.durations.clone() },
        stss: (table.track == Track::Video).then(|| Stss { entries: table.keys.clone() }),
        stsc: Stsc { entries: table.runs.clone() },
        stsz: Stsz { samples: StszSamples::Different { sizes: table.sizes.clone() } },
        stco,
        co64,
        ..Stbl::default()
    }
}
