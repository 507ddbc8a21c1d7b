//! Digests: how two sides that never compare bytes find out that they hold the same units.
//!
//! A **unit digest** is the first 16 bytes of BLAKE3 in its keyed mode, under [`UNIT_KEY`], of
//!
//! | offset | bytes | field (big-endian) |
//! | ---: | ---: | --- |
//! | 0 | 1 | track: 0 video, 1 audio |
//! | 1 | 1 | flags: bit 0 key |
//! | 2 | 8 | unit number |
//! | 10 | 8 | presentation time, in 1/90000 s since the session's start |
//! | 18 | | payload |
//!
//! A **track digest** is keyed BLAKE3 under [`TRACK_KEY`] of the track (1 byte, as above), the number of its units
//! (8 bytes, big-endian), and the digests of its units, ascending by number. Units that `finish` excludes (lost or
//! unwitnessed) have no place in it: each digest holds its number, so that nothing can move into a hole, and a
//! `finish` that names many lost units costs no more than one that names few.
//!
//! The duration has no place in a unit's digest: a recording keeps when the next unit starts, not how long this one
//! was meant to last. The keys are public; they keep these digests apart from BLAKE3 used for anything else.

use crate::unit::Unit;
use crate::{Hex, Track, UnitRange, UnitRanges};

/// The key of unit digests.
pub const UNIT_KEY: &[u8; 32] = b"longtake: unit digest, version 1";

/// The key of track digests.
pub const TRACK_KEY: &[u8; 32] = b"longtake: track digest, version1";

/// Stands for one unit.
pub type UnitDigest = Hex<16>;

/// Stands for all units of a track.
pub type TrackDigest = Hex<32>;

/// What of a unit its digest covers, but for the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitFacts {
    /// The track.
    pub track: Track,
    /// Whether decoding can start here.
    pub key: bool,
    /// Its place in the track.
    pub number: u64,
    /// When it is to be shown, in 1/90000 s since the session's start.
    pub pts_90k: u64,
}

impl UnitFacts {
    /// The digest of the unit with these facts and this payload.
    #[must_use]
    pub fn digest(&self, payload: &[u8]) -> UnitDigest {
        // In one piece: BLAKE3 takes many blocks at once only of what lies together, which outweighs the copy by far.
        let mut covered = Vec::with_capacity(18 + payload.len());
        covered.extend([self.track as u8, u8::from(self.key)]);
        covered.extend(self.number.to_be_bytes());
        covered.extend(self.pts_90k.to_be_bytes());
        covered.extend_from_slice(payload);
        let hash = blake3::keyed_hash(UNIT_KEY, &covered);
        let mut digest = [0; 16];
        digest.copy_from_slice(&hash.as_bytes()[..16]);
        Hex(digest)
    }
}

/// The digest of a unit of this track.
#[must_use]
pub fn unit_digest(track: Track, unit: &Unit) -> UnitDigest {
    let Unit { key, number, pts_90k, .. } = *unit;
    UnitFacts { track, key, number, pts_90k }.digest(&unit.payload)
}

/// A track's unit digests, by number: 16 bytes a unit, in as many runs as there are holes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitDigests {
    /// The first unit and the digests of a run, ascending; no run touches the next one.
    runs: Vec<(u64, Vec<UnitDigest>)>,
}

impl UnitDigests {
    /// No digests.
    #[must_use]
    pub const fn new() -> Self {
        Self { runs: Vec::new() }
    }

    /// Takes a unit's digest; another one of the same number is replaced.
    pub fn record(&mut self, number: u64, digest: UnitDigest) {
        let after = self.runs.partition_point(|(first, _)| *first <= number);
        if let Some((first, run)) = after.checked_sub(1).and_then(|at| self.runs.get_mut(at)) {
            let at = (number - *first) as usize;
            if let Some(known) = run.get_mut(at) {
                *known = digest;
                return;
            }
            if at == run.len() {
                run.push(digest);
                return self.join(after);
            }
        }
        self.runs.insert(after, (number, vec![digest]));
        self.join(after + 1);
    }

    /// Joins a run with the one before it, if that has grown up to it.
    fn join(&mut self, at: usize) {
        let (Some((first, _)), Some((before, run))) = (self.runs.get(at), self.runs.get(at - 1)) else {
            return;
        };
        if before + run.len() as u64 == *first {
            let (_, next) = self.runs.remove(at);
            self.runs[at - 1].1.extend(next);
        }
    }

    /// A unit's digest.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<UnitDigest> {
        let after = self.runs.partition_point(|(first, _)| *first <= number);
        let (first, run) = self.runs.get(after.checked_sub(1)?)?;
        run.get(usize::try_from(number - first).ok()?).copied()
    }

    /// The units whose digests are known.
    #[must_use]
    pub fn numbers(&self) -> UnitRanges {
        self.runs().map(|(first, run)| UnitRange::new(first, first + run.len() as u64 - 1)).collect()
    }

    /// Runs of consecutive units: the first one's number, and their digests.
    pub fn runs(&self) -> impl Iterator<Item = (u64, &[UnitDigest])> {
        self.runs.iter().map(|(first, run)| (*first, &run[..]))
    }

    /// The digest of a track of so many units without the excluded ones; `None` when the digest of a unit that
    /// belongs in it is not known.
    #[must_use]
    pub fn track_digest(&self, track: Track, units: u64, excluded: &UnitRanges) -> Option<TrackDigest> {
        let mut hasher = blake3::Hasher::new_keyed(TRACK_KEY);
        hasher.update(&[track as u8]).update(&units.to_be_bytes());
        for range in excluded.gaps_below(units).as_slice() {
            // Asked first, since a range that nobody has recorded may be astronomically long.
            if self.numbers_missing_in(*range) {
                return None;
            }
            for number in range.first..=range.last {
                hasher.update(&self.get(number)?.0);
            }
        }
        Some(Hex(*hasher.finalize().as_bytes()))
    }

    fn numbers_missing_in(&self, range: UnitRange) -> bool {
        let after = self.runs.partition_point(|(first, _)| *first <= range.first);
        let run = after.checked_sub(1).and_then(|at| self.runs.get(at));
        run.is_none_or(|(first, run)| first + run.len() as u64 <= range.last)
    }
}

impl FromIterator<(u64, UnitDigest)> for UnitDigests {
    fn from_iter<I: IntoIterator<Item = (u64, UnitDigest)>>(digests: I) -> Self {
        let mut all = Self::new();
        digests.into_iter().for_each(|(number, digest)| all.record(number, digest));
        all
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const FACTS: UnitFacts = UnitFacts { track: Track::Video, key: true, number: 0, pts_90k: 0 };

    fn vectors() -> [(UnitFacts, &'static [u8], &'static str); 4] {
        let audio = UnitFacts { track: Track::Audio, key: true, number: 1, pts_90k: 1_800 };
        let far = UnitFacts { key: false, number: (1 << 40) - 1, pts_90k: (1 << 48) - 1, ..FACTS };
        [
            (FACTS, b"", "daa6218cfe3a096e3f21096afb363abc"),
            (FACTS, b"abc", "59ccb59d2b139cf906e9be10d742c07f"),
            (audio, b"\xf8\xff\xfe", "bc1175732ddf347f090add3ab4b7c3cd"),
            (far, b"abc", "2d2f6832031dd23170493fe7bfc57acf"),
        ]
    }

    #[test]
    fn unit_digests_are_those_of_the_documentation() {
        for (facts, payload, expected) in vectors() {
            assert_eq!(facts.digest(payload).to_string(), expected, "{facts:?}");
        }
    }

    #[test]
    fn track_digests_are_those_of_the_documentation() {
        let digests: UnitDigests = (0..3)
            .map(|number| {
                let facts = UnitFacts { number, pts_90k: number * 3_000, key: number == 0, ..FACTS };
                (number, facts.digest(b"abc"))
            })
            .collect();
        let lost: UnitRanges = std::iter::once(UnitRange::new(1, 1)).collect();
        let nothing = UnitRanges::new();
        for (units, excluded, expected) in [
            (0, &nothing, "c51407b1a5ef271a5e87aea7f8fe1ecae095923f4c1b55e1acfb252f14b6f1b8"),
            (3, &nothing, "f88a4c5df2d0fd79efc4dae352b6ffc206c1e338d3babe592778bec3aa1b3bbe"),
            (3, &lost, "83f9c18026e0990f694a3671d16b69af34b24750e0b52d4737f837980a907b28"),
        ] {
            let digest = digests.track_digest(Track::Video, units, excluded).unwrap();
            assert_eq!(digest.to_string(), expected, "{units} without {excluded}");
        }
        assert_eq!(digests.track_digest(Track::Video, 4, &nothing), None);
        assert_eq!(digests.track_digest(Track::Video, u64::MAX, &nothing), None);
    }

    #[test]
    fn a_unit_digest_depends_on_everything_that_it_covers() {
        let digest = FACTS.digest(b"abc");
        for facts in [
            UnitFacts { track: Track::Audio, ..FACTS },
            UnitFacts { key: false, ..FACTS },
            UnitFacts { number: 1, ..FACTS },
            UnitFacts { pts_90k: 1, ..FACTS },
        ] {
            assert_ne!(facts.digest(b"abc"), digest, "{facts:?}");
        }
        assert_ne!(FACTS.digest(b"abd"), digest);
        assert_ne!(FACTS.digest(b"abc\0"), digest);
    }

    proptest! {
        #[test]
        fn any_order_of_arrival_gives_the_same_digest(
            payloads in prop::collection::btree_map(0u64..120, prop::collection::vec(any::<u8>(), 0..9), 0..80),
            order in any::<u64>(), more in 0u64..5, twice: bool,
        ) {
            let digest = |number, payload: &[u8]| UnitFacts { number, ..FACTS }.digest(payload);
            let in_order: BTreeMap<u64, UnitDigest> =
                payloads.iter().map(|(&number, payload)| (number, digest(number, payload))).collect();
            let mut shuffled: Vec<(u64, UnitDigest)> = in_order.iter().map(|(a, b)| (*a, *b)).collect();
            shuffled.sort_by_key(|(number, _)| blake3::hash(&(number ^ order).to_be_bytes()).as_bytes()[..8].to_vec());
            if twice {
                shuffled.extend_from_within(..);
            }
            let digests: UnitDigests = shuffled.into_iter().collect();
            let ascending: UnitDigests = in_order.iter().map(|(a, b)| (*a, *b)).collect();
            prop_assert_eq!(&digests, &ascending);
            for number in 0..125 {
                prop_assert_eq!(digests.get(number), in_order.get(&number).copied());
                prop_assert_eq!(digests.numbers().contains(number), in_order.contains_key(&number));
            }
            let units = in_order.keys().last().map_or(0, |last| last + 1) + more;
            let holes = digests.numbers().gaps_below(units);
            let whole = digests.track_digest(Track::Video, units, &holes).unwrap();
            // By the letter of the definition.
            let mut hasher = blake3::Hasher::new_keyed(TRACK_KEY);
            hasher.update(&[0]).update(&units.to_be_bytes());
            for digest in in_order.values() {
                hasher.update(&digest.0);
            }
            prop_assert_eq!(whole.0, *hasher.finalize().as_bytes());
            prop_assert_eq!(digests.track_digest(Track::Video, units, &UnitRanges::new()).is_some(), holes.is_empty());
        }
    }
}
