//! The newest units of one track, for viewers who each read at their own pace. Pure.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use protocol::Track;
use protocol::codec::CodecParameters;
use protocol::unit::Unit;

/// Units that a ring holds at the most: half a minute of pictures at 30 a second, 20 s of sound.
pub(crate) const RING_UNITS: usize = 1_024;
/// Payload bytes that a ring holds at the most: two groups of pictures of 2 s at 16 Mbit/s. Of what is watched by WebRTC as many again are
/// held as [`Payloads`].
pub(crate) const RING_BYTES: usize = 8 * 1024 * 1024;
/// Groups of pictures that are kept while somebody reads: the one in progress, which viewers join, and the one before it, for those
/// who are a little late.
const GROUPS: usize = 2;
/// Packets of sound that are kept while somebody reads: as long as two groups of pictures usually last.
const SOUND_UNITS: usize = 200;
/// A unit on its way to viewers, and what decodes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveUnit {
    /// The unit.
    pub unit: Unit,
    /// The parameters that decode it.
    pub parameters: Arc<CodecParameters>,
}

/// A unit as payloads of RTP, in their order.
pub(crate) type Payloads = Box<[Arc<[u8]>]>;

/// A unit that somebody reads, and what is made of it for viewers once for all of them.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) live: LiveUnit,
    payloads: OnceLock<Payloads>,
}

impl Held {
    /// The unit's payloads; who asks first makes them.
    pub(crate) fn payloads(&self, make: impl FnOnce(&LiveUnit) -> Payloads) -> &[Arc<[u8]>] {
        self.payloads.get_or_init(|| make(&self.live))
    }
}

/// What a reader gets.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) held: Arc<Held>,
    /// Whether units between the last delivery and this one are not delivered: a picture then is an IDR.
    pub(crate) has_skipped: bool,
}

/// A unit that is held. Nearly all of them are let go unread, so what readers need is made when one comes.
#[derive(Debug)]
struct Entry {
    live: LiveUnit,
    held: Option<Arc<Held>>,
}

/// Where a reader stands: the place of the next unit that it gets, and the number that this unit has if nothing is
/// missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    place: u64,
    follows: Option<u64>,
}

/// The newest units. Capacity: [`RING_UNITS`], [`RING_BYTES`] and what the constants above say; the oldest go first.
///
/// Invariant of a ring of pictures: each picture but an IDR, and but the first one that is held, follows the one before
/// it. So a reader may start at any IDR, and go on from any place. The first one is an IDR, too, unless its group is larger than
/// the ring: then those who keep up see all of it, and nobody can join before the next IDR.
#[derive(Debug)]
pub(crate) struct Ring {
    track: Track,
    units: VecDeque<Entry>,
    /// The place of the first unit that is held; places count all units that were ever held.
    first_place: u64,
    /// The places of the IDR pictures that are held.
    keys: VecDeque<u64>,
    bytes: usize,
}

impl Ring {
    pub(crate) const fn new(track: Track) -> Self {
        Self { track, units: VecDeque::new(), first_place: 0, keys: VecDeque::new(), bytes: 0 }
    }

    /// Takes the next unit. Says whether it was taken: a picture that follows nothing that is held cannot be decoded.
    ///
    /// Unless it `is_read`, the ring keeps no more than its next reader gets.
    pub(crate) fn push(&mut self, live: LiveUnit, is_read: bool) -> bool {
        let newest = self.units.back().map(|entry| entry.live.unit.number);
        if newest.is_some_and(|newest| live.unit.number <= newest) {
            return false;
        }
        if self.track == Track::Video {
            if live.unit.key {
                self.keys.push_back(self.next_place());
            } else if newest.is_none_or(|newest| newest + 1 != live.unit.number) {
                return false;
            }
        }
        self.bytes += live.unit.payload.len();
        self.units.push_back(Entry { live, held: None });
        self.shrink(is_read);
        true
    }

    /// The next delivery for a reader, whose cursor moves on.
    ///
    /// A reader that is further behind than what is held goes on at the newest place where it can.
    pub(crate) fn read(&mut self, cursor: &mut Cursor) -> Option<Delivery> {
        if cursor.place < self.first_place || cursor.follows.is_none() {
            cursor.place = self.entry()?.max(cursor.place);
        }
        let entry = self.units.get_mut((cursor.place - self.first_place) as usize)?;
        let number = entry.live.unit.number;
        let held = entry
            .held
            .get_or_insert_with(|| Arc::new(Held { live: entry.live.clone(), payloads: OnceLock::new() }));
        let has_skipped = cursor.follows.is_some_and(|follows| follows != number);
        *cursor = Cursor { place: cursor.place + 1, follows: Some(number + 1) };
        Some(Delivery { held: Arc::clone(held), has_skipped })
    }

    /// The time of the newest unit that is held.
    pub(crate) fn newest_90k(&self) -> Option<u64> {
        self.units.back().map(|entry| entry.live.unit.pts_90k)
    }

    /// Whether a reader who comes now has something to start with.
    pub(crate) fn can_be_joined(&self) -> bool {
        self.entry().is_some_and(|place| place < self.next_place())
    }

    /// Where a reader starts: at the newest IDR picture, or with the next packet of sound.
    fn entry(&self) -> Option<u64> {
        match self.track {
            Track::Video => self.keys.back().copied(),
            Track::Audio => Some(self.next_place().saturating_sub(1).max(self.first_place)),
        }
    }

    fn next_place(&self) -> u64 {
        self.first_place + self.units.len() as u64
    }

    fn shrink(&mut self, is_read: bool) {
        let (groups, sounds) = if is_read { (GROUPS, SOUND_UNITS) } else { (1, 1) };
        while self.keys.len() > groups || (self.track == Track::Audio && self.units.len() > sounds) {
            self.drop_group();
        }
        while self.bytes > RING_BYTES || self.units.len() > RING_UNITS {
            self.drop_group();
        }
    }

    /// Drops the first unit, and of an earlier group than the newest also what needs it: up to the next IDR picture.
    fn drop_group(&mut self) {
        let end =
            self.keys.iter().copied().find(|key| *key > self.first_place).unwrap_or(self.first_place + 1);
        while self.first_place < end
            && let Some(entry) = self.units.pop_front()
        {
            self.bytes -= entry.live.unit.payload.len();
            self.keys.pop_front_if(|key| *key == self.first_place);
            self.first_place += 1;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use protocol::unit::Lane;

    use super::*;

    pub(in crate::fanout) fn live(number: u64, key: bool, bytes: usize) -> LiveUnit {
        let unit = Unit {
            lane: Lane::Live,
            key,
            number,
            pts_90k: number * 3_000,
            duration_90k: 3_000,
            capture_us: number * 33_333,
            payload: Bytes::from(vec![0; bytes]),
        };
        LiveUnit { unit, parameters: Arc::new(CodecParameters::Opus { channels: 2, pre_skip_48k: 312 }) }
    }

    fn ring(track: Track, units: impl IntoIterator<Item = (u64, bool)>) -> Ring {
        let mut ring = Ring::new(track);
        for (number, key) in units {
            ring.push(live(number, key, 10), true);
        }
        ring
    }

    fn read_all(ring: &mut Ring, cursor: &mut Cursor) -> Vec<(u64, bool)> {
        std::iter::from_fn(|| ring.read(cursor))
            .map(|got| (got.held.live.unit.number, got.has_skipped))
            .collect()
    }

    #[test]
    fn a_viewer_joins_at_the_newest_idr_picture_and_reads_on() {
        let mut ring = ring(Track::Video, [(0, true), (1, false), (2, true), (3, false)]);
        let mut cursor = Cursor::default();
        assert!(ring.can_be_joined());
        assert_eq!(read_all(&mut ring, &mut cursor), [(2, false), (3, false)]);
        assert_eq!(read_all(&mut ring, &mut cursor), []);
        ring.push(live(4, false, 10), true);
        ring.push(live(5, true, 10), true);
        assert_eq!(read_all(&mut ring, &mut cursor), [(4, false), (5, false)]);
    }

    #[test]
    fn a_viewer_who_is_a_little_late_misses_nothing_and_one_far_behind_goes_on_at_an_idr_picture() {
        let mut ring = ring(Track::Video, [(0, true), (1, false)]);
        let (mut late, mut far) = (Cursor::default(), Cursor::default());
        assert_eq!(read_all(&mut ring, &mut late).len(), 2);
        assert_eq!(ring.read(&mut far).unwrap().held.live.unit.number, 0);
        for number in 2..9 {
            ring.push(live(number, number % 3 == 0, 10), true);
        }
        // 3..=8 are held, in two groups.
        assert_eq!(read_all(&mut ring, &mut far)[..2], [(6, true), (7, false)]);
        let mut second = Cursor { place: 4, follows: Some(4) };
        assert_eq!(read_all(&mut ring, &mut second)[..2], [(4, false), (5, false)]);
    }

    #[test]
    fn pictures_that_cannot_be_decoded_are_not_taken() {
        let mut ring = ring(Track::Video, [(3, false)]);
        assert!(!ring.can_be_joined());
        assert!(ring.push(live(4, true, 10), true));
        assert!(!ring.push(live(4, true, 10), true), "twice");
        assert!(!ring.push(live(6, false, 10), true), "5 is missing");
        assert!(ring.push(live(9, true, 10), true));
        let mut cursor = Cursor { place: 1, follows: Some(5) };
        assert_eq!(read_all(&mut ring, &mut cursor), [(9, true)]);
    }

    #[test]
    fn sound_is_joined_at_its_newest_packet_and_never_grows() {
        let mut ring = ring(Track::Audio, (0..1_000).map(|number| (number, false)));
        assert_eq!(ring.units.len(), SOUND_UNITS);
        assert_eq!(read_all(&mut ring, &mut Cursor::default()), [(999, false)]);
        let mut late = Cursor { place: 3, follows: Some(3) };
        assert_eq!(read_all(&mut ring, &mut late), [(999, true)]);
    }

    #[test]
    fn while_nobody_reads_only_that_is_held_which_the_next_reader_gets() {
        let mut pictures = Ring::new(Track::Video);
        let mut sound = Ring::new(Track::Audio);
        for number in 0..9 {
            assert!(pictures.push(live(number, number % 3 == 0, 10), false));
            assert!(sound.push(live(number, false, 10), false));
        }
        assert_eq!((pictures.units.len(), sound.units.len()), (3, 1));
        let (mut seen, mut heard) = (Cursor::default(), Cursor::default());
        assert_eq!(read_all(&mut pictures, &mut seen), [(6, false), (7, false), (8, false)]);
        assert_eq!(read_all(&mut sound, &mut heard), [(8, false)]);
        // Now somebody reads, and may be late by a group.
        for number in 9..14 {
            pictures.push(live(number, number % 3 == 0, 10), true);
            sound.push(live(number, false, 10), true);
        }
        assert_eq!(read_all(&mut pictures, &mut seen).len(), 5);
        assert_eq!(read_all(&mut sound, &mut heard).len(), 5);
    }

    #[test]
    fn of_a_group_that_is_too_large_everything_reaches_who_keeps_up_and_nobody_joins() {
        let mut ring = Ring::new(Track::Video);
        ring.push(live(0, true, 10), true);
        let mut follows = Cursor::default();
        assert_eq!(read_all(&mut ring, &mut follows), [(0, false)]);
        for number in 1..=9 {
            assert!(ring.push(live(number, false, RING_BYTES / 4), true));
            assert_eq!(read_all(&mut ring, &mut follows), [(number, false)]);
        }
        assert!(ring.bytes <= RING_BYTES);
        assert!(!ring.can_be_joined());
        let (mut late, mut new) = (Cursor { place: 3, follows: Some(3) }, Cursor::default());
        assert_eq!(read_all(&mut ring, &mut late), []);
        assert_eq!(read_all(&mut ring, &mut new), []);
        assert!(ring.push(live(10, true, 10), true));
        assert_eq!(read_all(&mut ring, &mut late), [(10, true)]);
        assert_eq!(read_all(&mut ring, &mut new), [(10, false)]);
        assert_eq!(read_all(&mut ring, &mut follows), [(10, false)]);
    }

    #[test]
    fn what_viewers_get_of_a_unit_is_made_once_for_all_of_them() {
        let mut ring = ring(Track::Video, [(0, true)]);
        let made = std::cell::Cell::new(0);
        let make = |live: &LiveUnit| -> Payloads {
            made.set(made.get() + 1);
            Box::new([Arc::from(&live.unit.payload[..])])
        };
        let readers = [0; 3].map(|_| ring.read(&mut Cursor::default()).unwrap().held);
        let payloads = readers.each_ref().map(|held| Arc::as_ptr(&held.payloads(make)[0]));
        assert!(payloads.iter().all(|payload| std::ptr::addr_eq(*payload, payloads[0])));
        assert_eq!(made.get(), 1);
    }

    proptest! {
        #[test]
        fn every_reader_gets_what_can_be_decoded_in_order(
            steps in prop::collection::vec((0_u8..8, 1_usize..400_000, any::<bool>()), 1..150),
        ) {
            let mut ring = Ring::new(Track::Video);
            let (mut cursor, mut last, mut number) = (Cursor::default(), None::<u64>, 0);
            for (kind, bytes, is_read) in steps {
                match kind {
                    0 => number += 2,
                    1 | 2 => while let Some(got) = ring.read(&mut cursor) {
                        let unit = &got.held.live.unit;
                        let follows = last.is_some_and(|last| last + 1 == unit.number);
                        prop_assert!(unit.key || follows, "{last:?} then {}", unit.number);
                        prop_assert!(last.is_none_or(|last| last < unit.number));
                        prop_assert_eq!(got.has_skipped, last.is_some() && !follows);
                        last = Some(unit.number);
                    },
                    _ => { ring.push(live(number, kind == 3, bytes), is_read); number += 1; }
                }
                prop_assert!(ring.bytes <= RING_BYTES && ring.units.len() <= RING_UNITS);
                prop_assert_eq!(ring.bytes, ring.units.iter().map(|entry| entry.live.unit.payload.len()).sum::<usize>());
            }
        }
    }
}
