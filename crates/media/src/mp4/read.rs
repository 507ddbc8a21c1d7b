//! Reading back what this crate wrote: fragments for playback and recovery, whole segments for checks.

use mp4_atom::{Dops, Mfhd, Tfdt, Tfhd, Trex, Trun, TrunSamples};
use protocol::Track;
use protocol::codec::{Base64, CodecParameters};

use super::boxes::{BoxView, head, split_box};
use super::fragment::{KEY_FLAGS, MDAT_HEADER_BYTES};
use super::recording_read::StoredUnit;
use super::{BoxName, Mp4Error, track_id};
use crate::part::MAX_PART_UNITS;
use crate::time::clock_time_90k;

/// One sample of a fragment: one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleEntry {
    /// Length of its payload.
    pub bytes: u32,
    /// Ticks of the track's timescale until the next sample starts.
    pub duration: u32,
    /// Whether decoding can start with it.
    pub key: bool,
}

/// What a fragment holds, read from its `moof`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FragmentIndex {
    /// The track.
    pub track: Track,
    /// The first unit's number plus one, low 32 bits.
    pub sequence_number: u32,
    /// When the first unit is to be shown, in 1/90000 s since the session's start. For audio it may
    /// be one tick less than the unit's own time: `base_decode_time` is what was stored.
    pub pts_90k: u64,
    /// The same in the track's timescale.
    pub base_decode_time: u64,
    /// The samples; never empty.
    pub samples: Vec<SampleEntry>,
    /// Where the payloads start, in bytes from the fragment's start. They end where it ends.
    pub payload_offset: u32,
    /// Bytes of all payloads.
    pub payload_bytes: u32,
    /// The whole fragment, `moof` and `mdat`.
    pub total_bytes: u64,
}

impl FragmentIndex {
    /// The units of the fragment, which starts at `offset`, when its first one has this number.
    pub fn units(&self, first_unit: u64, offset: u64) -> impl Iterator<Item = StoredUnit> + '_ {
        let mut next = (first_unit, self.base_decode_time, offset + u64::from(self.payload_offset));
        self.samples.iter().map(move |sample| {
            let (number, media_time, offset) = next;
            next = (
                number + 1,
                media_time.saturating_add(u64::from(sample.duration)),
                offset + u64::from(sample.bytes),
            );
            let (track, key, bytes) = (self.track, sample.key, sample.bytes);
            StoredUnit { track, number, key, media_time, offset, bytes }
        })
    }

    /// Ticks of the track's timescale from the first sample's start to the last one's end.
    #[must_use]
    pub fn duration(&self) -> u64 {
        self.samples.iter().map(|sample| u64::from(sample.duration)).sum()
    }
}

/// Reads a fragment's index from bytes that start with it and hold at least its `moof` and the
/// header of its `mdat`.
///
/// # Errors
/// [`Mp4Error::Truncated`] when there are too few bytes; [`Mp4Error::Broken`] when it is not a
/// fragment as this crate writes it, or its sizes contradict each other.
pub fn read_fragment(bytes: &[u8]) -> Result<FragmentIndex, Mp4Error> {
    read_fragment_at(bytes, 0)
}

fn read_fragment_at(bytes: &[u8], offset: u64) -> Result<FragmentIndex, Mp4Error> {
    let (moof, rest) = split_box(bytes, offset)?;
    expect(&moof, b"moof")?;
    let moof_bytes = bytes.len() - rest.len();
    let mfhd: Mfhd = moof.child(0, b"mfhd")?.decode()?;
    let traf = moof.child(0, b"traf")?;
    let tfhd_box = traf.child(0, b"tfhd")?;
    let tfhd: Tfhd = tfhd_box.decode()?;
    let Some(track) = Track::ALL.into_iter().find(|&track| track_id(track) == tfhd.track_id) else {
        return Err(tfhd_box.broken("the track id is neither video's nor audio's"));
    };
    if !tfhd.default_base_is_moof || tfhd.base_data_offset.is_some() {
        return Err(tfhd_box.broken("offsets must count from the moof"));
    }
    let base_decode_time = traf.child(0, b"tfdt")?.decode::<Tfdt>()?.base_media_decode_time;
    let trun_box = traf.child(0, b"trun")?;
    let trun: Trun = trun_box.decode()?;
    let samples = samples(&trun, tfhd.default_sample_flags).ok_or_else(|| {
        trun_box.broken("it must list between one and 1024 samples with durations and sizes")
    })?;

    let mdat_offset = offset + moof_bytes as u64;
    let mdat = head(rest, mdat_offset)?;
    let broken = |reason| Mp4Error::Broken { box_name: mdat.name, offset: mdat_offset, reason };
    if mdat.name.0 != *b"mdat" || mdat.header_bytes != MDAT_HEADER_BYTES as u64 {
        return Err(broken("an mdat with a small header must follow the moof"));
    }
    let payload_offset = moof_bytes as u64 + mdat.header_bytes;
    if trun.data_offset.map(i64::from) != Some(payload_offset as i64) {
        return Err(trun_box.broken("its data offset is not where the mdat's contents start"));
    }
    let payload_bytes = mdat.total_bytes - mdat.header_bytes;
    if samples.iter().map(|sample| u64::from(sample.bytes)).sum::<u64>() != payload_bytes {
        return Err(broken("its size is not the sum of the samples"));
    }
    Ok(FragmentIndex {
        track,
        sequence_number: mfhd.sequence_number,
        pts_90k: clock_time_90k(track, base_decode_time),
        base_decode_time,
        samples,
        payload_offset: payload_offset as u32,
        payload_bytes: payload_bytes as u32,
        total_bytes: moof_bytes as u64 + mdat.total_bytes,
    })
}

/// The samples of a run that lists a duration and a size for each.
fn samples(trun: &Trun, default_flags: Option<u32>) -> Option<Vec<SampleEntry>> {
    let TrunSamples::Explicit(entries) = &trun.samples else { return None };
    if entries.is_empty() || entries.len() > MAX_PART_UNITS {
        return None;
    }
    let sample = |entry: &mp4_atom::TrunEntry| {
        let key = entry.flags.or(default_flags)? == KEY_FLAGS;
        Some(SampleEntry { bytes: entry.size?, duration: entry.duration?, key })
    };
    entries.iter().map(sample).collect()
}

fn expect(view: &BoxView<'_>, name: &[u8; 4]) -> Result<(), Mp4Error> {
    if view.name.0 == *name { Ok(()) } else { Err(view.broken("another box belongs here")) }
}

/// What an init segment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitIndex {
    /// The track.
    pub track: Track,
    /// The codec parameters from which it was written.
    pub parameters: CodecParameters,
    /// The whole init segment, `ftyp` and `moov`.
    pub total_bytes: u64,
}

/// Bytes of the fields in front of the boxes in `avc1` (ISO/IEC 14496-12 §12.1.3).
const VISUAL_FIELDS_BYTES: usize = 78;
/// Bytes of the fields in front of the boxes in `Opus` (§12.2.3).
const AUDIO_FIELDS_BYTES: usize = 28;
/// Version, flags and the number of entries, in front of the entries of `stsd`.
const STSD_FIELDS_BYTES: usize = 8;

/// Reads the init segment at the start of `bytes`.
///
/// # Errors
/// [`Mp4Error::Truncated`], or [`Mp4Error::Broken`] when it is not as [`super::init_segment`]
/// writes it.
pub fn read_init(bytes: &[u8]) -> Result<InitIndex, Mp4Error> {
    let (ftyp, rest) = split_box(bytes, 0)?;
    expect(&ftyp, b"ftyp")?;
    let moov_offset = (bytes.len() - rest.len()) as u64;
    let (moov, rest) = split_box(rest, moov_offset)?;
    expect(&moov, b"moov")?;
    let trex: Trex = moov.child(0, b"mvex")?.child(0, b"trex")?.decode()?;
    let mut stsd = moov.child(0, b"trak")?;
    for name in [b"mdia", b"minf", b"stbl", b"stsd"] {
        stsd = stsd.child(0, name)?;
    }
    let entry = stsd
        .children(STSD_FIELDS_BYTES)
        .next()
        .unwrap_or_else(|| Err(stsd.broken("a box that belongs in it is missing")))?;
    let parameters = match &entry.name.0 {
        b"avc1" => {
            let side = |at: usize| {
                let bytes = entry.body.get(at..at + 2).and_then(<[u8]>::first_chunk::<2>);
                bytes.map(|side| u32::from(u16::from_be_bytes(*side)))
            };
            let (Some(width), Some(height)) = (side(24), side(26)) else {
                return Err(entry.broken("its fields cannot be read"));
            };
            let avcc = Base64(entry.child(VISUAL_FIELDS_BYTES, b"avcC")?.body.to_vec());
            CodecParameters::H264 { width, height, frame_duration_90k: trex.default_sample_duration, avcc }
        }
        b"Opus" => {
            let dops: Dops = entry.child(AUDIO_FIELDS_BYTES, b"dOps")?.decode()?;
            CodecParameters::Opus { channels: dops.output_channel_count, pre_skip_48k: dops.pre_skip }
        }
        _ => return Err(entry.broken("the codec is neither H.264 nor Opus")),
    };
    let track = parameters.track();
    let total_bytes = (bytes.len() - rest.len()) as u64;
    // Being as written is the whole contract, so compare with what would be written.
    match super::init_segment(track, &parameters) {
        Ok(written) if written[..] == bytes[..total_bytes as usize] => {
            Ok(InitIndex { track, parameters, total_bytes })
        }
        _ => Err(moov.broken("it is not an init segment as this crate writes it")),
    }
}

/// What a walk over a segment's bytes found.
#[derive(Debug)]
pub struct SegmentWalk {
    /// The init segment in front, when the bytes start with one.
    pub init: Option<InitIndex>,
    /// The fragments with their offsets, in bytes from the segment's start.
    pub fragments: Vec<(u64, FragmentIndex)>,
    /// Up to where the bytes are whole: the end of the last box that is.
    pub whole_bytes: u64,
    /// What is wrong behind that, if anything. Offsets in it count from the segment's start.
    pub fault: Option<Mp4Error>,
}

/// Walks a segment: an optional init segment, then fragments of one track that follow each other.
///
/// Stops at the first fault. A crash in the middle of writing leaves [`Mp4Error::Truncated`]; what
/// comes before it plays.
#[must_use]
pub fn walk_segment(bytes: &[u8]) -> SegmentWalk {
    let mut walk = SegmentWalk { init: None, fragments: Vec::new(), whole_bytes: 0, fault: None };
    walk.fault = walk.read(bytes).err();
    walk
}

impl SegmentWalk {
    fn read(&mut self, bytes: &[u8]) -> Result<(), Mp4Error> {
        if bytes.get(4..8) == Some(b"ftyp") {
            let init = read_init(bytes)?;
            self.whole_bytes = init.total_bytes;
            self.init = Some(init);
        }
        let mut rest = &bytes[self.whole_bytes as usize..];
        while !rest.is_empty() {
            let offset = self.whole_bytes;
            let index = read_fragment_at(rest, offset)?;
            let moof = |reason| Mp4Error::Broken { box_name: BoxName(*b"moof"), offset, reason };
            if index.total_bytes > rest.len() as u64 {
                let mdat_offset = offset + u64::from(index.payload_offset) - MDAT_HEADER_BYTES as u64;
                return Err(Mp4Error::Truncated { box_name: BoxName(*b"mdat"), offset: mdat_offset });
            }
            let track = self.init.as_ref().map(|init| init.track);
            let last = self.fragments.last().map(|(_, last)| last);
            if track.or(last.map(|last| last.track)).is_some_and(|track| track != index.track) {
                return Err(moof("it is of the other track"));
            }
            if last.is_some_and(|last| next_sequence_number(last) != index.sequence_number) {
                return Err(moof("its units do not follow those before it"));
            }
            self.whole_bytes += index.total_bytes;
            rest = &rest[index.total_bytes as usize..];
            self.fragments.push((offset, index));
        }
        Ok(())
    }
}

/// The sequence number of the fragment whose units follow those of `index`.
pub(super) fn next_sequence_number(index: &FragmentIndex) -> u32 {
    index.sequence_number.wrapping_add(index.samples.len() as u32)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use protocol::unit::{Lane, Unit};

    use super::super::{fragment, init_segment};
    use super::*;
    use crate::h264::{ParameterSets, codec_parameters};

    fn video_parameters() -> CodecParameters {
        let sps = vec![0x67, 0x42, 0xc0, 0x1f, 0xda, 0x02, 0x80, 0xbf, 0xe5];
        codec_parameters(&ParameterSets { sps, pps: vec![0x68, 0xce, 0x3c, 0x80] }, 3000).unwrap()
    }

    fn segment(track: Track, parameters: &CodecParameters) -> Vec<u8> {
        let unit = |number| Unit {
            lane: Lane::Live,
            key: number % 3 == 0,
            number,
            pts_90k: number * 3000,
            duration_90k: 3000,
            capture_us: 0,
            payload: Bytes::from(vec![1; 5]),
        };
        let mut bytes = init_segment(track, parameters).unwrap().to_vec();
        for first in [0, 3, 6] {
            let units: Vec<Unit> = (first..first + 3).map(unit).collect();
            bytes.extend_from_slice(&fragment(track, &units).unwrap());
        }
        bytes
    }

    #[test]
    fn an_init_segment_tells_its_parameters() {
        let mono = CodecParameters::Opus { channels: 1, pre_skip_48k: 312 };
        let stereo = CodecParameters::Opus { channels: 2, pre_skip_48k: u16::MAX };
        for parameters in [video_parameters(), mono, stereo] {
            let track = parameters.track();
            let bytes = init_segment(track, &parameters).unwrap();
            let init = read_init(&bytes).unwrap();
            assert_eq!(
                init,
                InitIndex { track, parameters: parameters.clone(), total_bytes: bytes.len() as u64 }
            );
            let other = if track == Track::Video { Track::Audio } else { Track::Video };
            assert!(matches!(init_segment(other, &parameters), Err(Mp4Error::WrongTrack(_))));
        }
        let surround = CodecParameters::Opus { channels: 6, pre_skip_48k: 312 };
        assert!(matches!(init_segment(Track::Audio, &surround), Err(Mp4Error::Parameters(_))));
    }

    #[test]
    fn every_changed_bit_of_an_init_segment_is_noticed() {
        let parameters = video_parameters();
        let good = init_segment(Track::Video, &parameters).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(init) = read_init(&bytes) {
                assert_ne!(init.parameters, parameters, "bit {bit}");
            }
        }
    }

    #[test]
    fn boxes_within_boxes_do_not_exhaust_the_stack() {
        let levels = 200_000u32;
        let bytes: Vec<u8> =
            (1..=levels).rev().flat_map(|level| [(level * 8).to_be_bytes(), *b"moof"].concat()).collect();
        assert!(read_fragment(&bytes).is_err());
        let bytes: Vec<u8> =
            (1..=levels).rev().flat_map(|level| [(level * 8).to_be_bytes(), *b"moov"].concat()).collect();
        assert!(read_init(&[&[0, 0, 0, 8], &b"ftyp"[..], &bytes].concat()).is_err());
    }

    proptest! {
        #[test]
        fn damaged_segments_are_walked_without_panic(
            video: bool, damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let audio = CodecParameters::Opus { channels: 2, pre_skip_48k: 312 };
            let (track, parameters) = if video { (Track::Video, video_parameters()) } else { (Track::Audio, audio) };
            let mut bytes = segment(track, &parameters);
            for (at, value) in damage {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            bytes.truncate(cut.index(bytes.len() + 1));
            let walk = walk_segment(&bytes);
            prop_assert!(walk.whole_bytes <= bytes.len() as u64);
            prop_assert_eq!(walk.fault.is_none(), walk.whole_bytes == bytes.len() as u64);
            for (offset, index) in walk.fragments {
                prop_assert!(offset + index.total_bytes <= walk.whole_bytes);
                prop_assert!(index.samples.len() <= MAX_PART_UNITS);
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let named = |name: &[u8; 4]| [&(bytes.len() as u32 + 8).to_be_bytes(), &name[..], &bytes].concat();
            prop_assert!(read_fragment(&bytes).is_err());
            prop_assert!(read_fragment(&named(b"moof")).is_err());
            prop_assert!(read_init(&named(b"ftyp")).is_err());
            _ = walk_segment(&bytes);
        }
    }
}
