//! The invariants, and what is remembered to check them.

use std::time::Duration;

use bytes::Bytes;
use ingest_server::ingest::StoredTrack;
use protocol::certificate::excluded;
use protocol::digest::{UnitDigests, unit_digest};
use protocol::unit::{Lane, decode_message};
use protocol::{Track, UnitRanges};

use crate::encoder::Encoder;
use crate::fault::Fault;
use crate::scenario::AUDIO_BYTES_PER_SECOND;
use crate::world::World;

/// The least window of a connection: what the publisher may have under way whatever pings say.
const LEAST_WINDOW_BYTES: u64 = 32 * 1024;

/// The window of a fresh connection that has nothing but new units. Too large a one shrinks by half of what arrives.
const FIRST_WINDOW_BYTES: u64 = 256 * 1024;

/// What a fresh connection may have under way beyond what this takes (RFC 6928) waits for acks: slow start.
const FIRST_FLIGHT_BYTES: u64 = 14_600;

/// What is remembered for the checks.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// How often somebody died.
    pub(crate) disturbances: u64,
    /// The newest live picture that has arrived: when it was made.
    newest_picture: Option<Duration>,
    /// When the server came up, and when it last refused a connection.
    pub(crate) server_up_at: Duration,
    pub(crate) refused_at: Duration,
    /// When anything of a connection that was given up last arrived, and when one was opened.
    pub(crate) stale_at: Duration,
    pub(crate) opened_at: Duration,
    /// The publisher's spool has asked for the end.
    pub(crate) must_stop: bool,
    pub(crate) died_at: Duration,
}

impl World {
    /// Whether the program has nothing more to do.
    pub(crate) fn is_over(&self) -> bool {
        self.publisher.program.as_ref().is_some_and(|program| {
            program.sides.iter().all(|side| side.machine.completion().is_some())
                || self.is_beyond_help(program)
        })
    }

    /// A power cut before the first sync may take the codec parameters and leave units.
    fn is_beyond_help(&self, program: &crate::publisher_side::Program) -> bool {
        use protocol::error::ErrorCode;
        use publisher::status::Phase;
        program.sides.iter().zip(&self.publisher.safe_units).any(|(side, safe)| {
            *safe == Some(0)
                && matches!(side.machine.status().phase, Phase::NeedsYou(error) if error.code == ErrorCode::InvalidParams)
        })
    }

    /// It always completes when the network stays up and nobody dies any more.
    pub(crate) fn check_patience(&self) {
        let quiet_from = self.scenario.quiet_from.max(self.watch.died_at);
        let patience = 100 * self.scenario.weather.latency + Duration::from_secs(300);
        // Most of the time that says it, without a count of what is to be sent.
        if self.now <= quiet_from + patience {
            return;
        }
        let made_bytes: u64 =
            self.made.iter().flat_map(|made| &made.units).map(|unit| unit.payload.len() as u64 + 200).sum();
        // Behind a queue that takes no more, the smallest window of 16 KiB a round trip is all that is sure.
        let round_trip = 2.0 * self.scenario.weather.latency.as_secs_f64();
        let rate = (self.network.weather.rate_at(Duration::MAX) as f64).min(16_384.0 / round_trip);
        let sending = Duration::from_secs_f64(4.0 * made_bytes as f64 / rate);
        if self.now > quiet_from + patience + sending {
            let sides = self.publisher.program.iter().flat_map(|program| &program.sides);
            let statuses: Vec<_> = sides.map(|side| side.machine.status()).collect();
            panic!("invariant: it completes, {:?} after {quiet_from:?}: {statuses:#?}", self.now);
        }
    }

    /// What holds at every step.
    pub(crate) fn check(&self) {
        for track in Track::ALL {
            self.check_track(track);
        }
        let made = self.made.iter().map(|made| made.units.len()).sum::<usize>();
        // Beside the units: the eighth that is kept for the end, a record of each unit's digest, events, parameters, and
        // what a failing disk took of a record.
        let notes = 100_000 + made * 200;
        let bound = self.scenario.capacity_bytes as usize / 8 * 9 + notes;
        let bytes = self.publisher.folder.bytes();
        assert!(bytes <= bound, "invariant: the spool is bounded: {bytes} of {bound} bytes on disk");
    }

    fn check_track(&self, track: Track) {
        let at = track as usize;
        let pace = self.scenario.pace(track);
        let largest = 16 * 1024 + Encoder::largest_bytes(Track::Video, self.scenario.video_bytes_per_second);
        if let Some(program) = &self.publisher.program {
            let machine = &program.sides[at].machine;
            let stored = self.disks[at].stored();
            for range in self.heard_of(track).as_slice() {
                let missing = stored.durable.first_missing_from(range.first);
                assert!(missing > range.last, "invariant: acknowledged unit {missing} is not durable");
            }
            let status = machine.status();
            let in_flight = status.counters.in_flight_bytes;
            assert!(
                in_flight <= pace.in_flight_bytes + largest || self.fault == Fault::OverfillsServer,
                "invariant: what is in flight is bounded: {in_flight} bytes"
            );
            let most = self.scenario.capacity_bytes / 8 * 9 + 2 * self.scenario.memory_bytes;
            assert!(status.backlog.bytes <= most, "invariant: what waits is bounded: {:?}", status.backlog);
        }
        if let Some(ingests) = &self.ingests {
            // An old connection may have filled the window before the present one did; events and parameters come besides.
            let bound = 2 * pace.in_flight_bytes + 6 * largest;
            let bytes = ingests[at].undurable_bytes();
            assert!(bytes <= bound, "invariant: the server holds a bounded amount: {bytes} of {bound} bytes");
        }
    }

    /// What the publisher has been told of. One that has just started only presumes.
    fn heard_of(&self, track: Track) -> UnitRanges {
        let Some(program) = &self.publisher.program else { return UnitRanges::new() };
        let machine = &program.sides[track as usize].machine;
        if machine.status().counters.connections == 0 && machine.completion().is_none() {
            return UnitRanges::new();
        }
        machine.durable().clone()
    }

    /// Units have reached the server.
    pub(crate) fn units_arrived(&mut self, track: Track, is_current: bool, message: Bytes) {
        if !is_current {
            self.watch.stale_at = self.now;
            return;
        }
        for unit in decode_message(message).map_while(Result::ok).filter(|unit| unit.lane == Lane::Live) {
            let made_at = Duration::from_micros(unit.capture_us);
            match track {
                Track::Video => {
                    self.watch.newest_picture = self.watch.newest_picture.max(Some(made_at));
                }
                Track::Audio => self.check_audio(made_at),
            }
        }
    }

    /// Sound is not delayed by a picture that does not fit the path: beyond the way itself, by what a connection may
    /// always have under way, for each track, and by one picture.
    fn check_audio(&mut self, made_at: Duration) {
        let weather = &self.network.weather;
        let rate = weather.rate_at(self.now);
        let settled = Duration::from_secs_f64(5.0 + 3.0 * FIRST_WINDOW_BYTES as f64 / rate as f64)
            + 8 * weather.latency;
        let is_promised = self.is_recording
            && self.scenario.has_default_pace()
            && rate >= 4 * AUDIO_BYTES_PER_SECOND
            && weather.queue_bytes >= self.always_under_way()
            && made_at >= self.watch.opened_at.max(self.watch.stale_at).max(self.watch.died_at) + settled
            && weather.is_steady(made_at.saturating_sub(settled), self.now);
        if !is_promised {
            return;
        }
        let delay = self.now.saturating_sub(made_at);
        let bound = weather.latency + self.queueing(rate) + Duration::from_millis(600);
        self.outcome.audio_checks += 1;
        assert!(delay <= bound, "invariant: sound is not delayed: {delay:?}, at most {bound:?}");
    }

    /// The bytes that both tracks may have under way whatever pings say.
    fn always_under_way(&self) -> u64 {
        2 * LEAST_WINDOW_BYTES + Encoder::largest_bytes(Track::Video, self.scenario.video_bytes_per_second)
    }

    /// How long what both tracks may always have under way takes through the bottleneck.
    fn queueing(&self, rate: u64) -> Duration {
        Duration::from_secs_f64(self.always_under_way() as f64 / rate as f64)
    }

    /// How long the opening of a connection and its first picture take on the way itself: two round trips to open it, one
    /// for hello and welcome, one way for the picture, and as many round trips as it takes to be sent in slow start.
    fn way(&self, rate: u64) -> Duration {
        let picture = Encoder::largest_bytes(Track::Video, self.scenario.video_bytes_per_second);
        let flights = (picture / FIRST_FLIGHT_BYTES + 1).ilog2() + 1;
        self.network.weather.latency * (7 + 2 * flights) + self.queueing(rate)
    }

    /// When the network has come back: when viewers have to see the present, if that is promised now.
    pub(crate) fn network_returned(&self) -> Option<Duration> {
        let weather = &self.network.weather;
        let gone = weather.outages.iter().find(|outage| outage.end == self.now)?;
        let rate = weather.rate_at(self.now);
        let due = self.now + self.way(rate) + Duration::from_secs(1);
        let side = &self.publisher.program.as_ref()?.sides[Track::Video as usize];
        // The publisher knows that it is away.
        let knows = side.current.is_none() || !side.is_open;
        let is_promised = self.is_recording
            && !self.watch.must_stop
            && knows
            && self.scenario.has_default_pace()
            && !self.scenario.server_is_slow
            && self.scenario.server_full.is_none()
            && self.scenario.device_trouble.is_none()
            && self.ingests.is_some()
            && self.watch.server_up_at < gone.start
            && self.watch.refused_at < gone.start
            && rate * 2 >= self.scenario.needed_bytes_per_second() * 3
            && weather.queue_bytes >= self.always_under_way()
            && weather.is_steady(self.now, due);
        is_promised.then_some(due)
    }

    /// Looks at the viewers' delay. Returns when to look again.
    pub(crate) fn check_live(&mut self, disturbances: u64) -> Option<Duration> {
        let weather = &self.network.weather;
        let rate = weather.rate_at(self.now);
        let start = weather.outages.iter().rfind(|outage| outage.end <= self.now)?.end;
        // A session that its full spool has ended shows nothing new.
        let is_undisturbed = self.watch.disturbances == disturbances
            && self.is_recording
            && !self.watch.must_stop
            && self.now < self.scenario.length
            && weather.is_steady(start, self.now);
        if !is_undisturbed {
            return None;
        }
        let delay = self.now.saturating_sub(self.watch.newest_picture.unwrap_or_default());
        let bound = self.way(rate) + Duration::from_secs(1);
        self.outcome.live_checks += 1;
        assert!(delay <= bound, "invariant: viewers see the present: {delay:?} behind, at most {bound:?}");
        Some(self.now + Duration::from_secs(1))
    }

    /// What holds at the end.
    pub(crate) fn check_completion(&self) {
        let program = self.publisher.program.as_ref().unwrap();
        if self.is_beyond_help(program) {
            return;
        }
        for track in Track::ALL {
            self.check_completed_track(track);
        }
    }

    fn check_completed_track(&self, track: Track) {
        let at = track as usize;
        let (stored, made) = (self.disks[at].stored(), &self.made[at]);
        let machine = &self.publisher.program.as_ref().unwrap().sides[at].machine;
        let completion = machine.completion().unwrap();
        let safe = self.publisher.safe_units[at];
        let Some(digest) = completion.digest else {
            // The publisher has nothing, not even parameters: a power cut before the first sync.
            assert!(safe == Some(0) || made.units.is_empty(), "invariant: a track with units has a digest");
            return;
        };
        let made_units = made.units.len() as u64;
        let kept = safe.unwrap_or(made_units);
        assert!(
            (kept..=made_units).contains(&completion.units),
            "invariant: all units are counted: {} of {kept} to {made_units}",
            completion.units
        );
        assert_eq!(
            completion.durable_units,
            stored.durable.count(),
            "invariant: the durable ones are counted"
        );
        assert!(stored.is_complete(), "invariant: the server knows that the track is complete");
        let finish = stored.finish.as_ref().unwrap();
        let gaps = stored.durable.gaps_below(completion.units);
        assert_eq!(finish.lost, gaps, "invariant: the gaps are named");
        let present = made.units.iter().filter(|unit| stored.durable.contains(unit.number));
        let digests: UnitDigests = present.map(|unit| (unit.number, unit_digest(track, unit))).collect();
        let excluded = excluded(&finish.lost, &finish.unwitnessed);
        assert_eq!(
            Some(digest),
            digests.track_digest(track, completion.units, &excluded),
            "invariant: both agree on the digest of what is durable"
        );
        // Only a full spool, a power cut, and a death while the disk refuses lose units.
        if self.scenario.is_roomy() {
            let lost = gaps.as_slice().iter().find(|range| range.first < kept);
            assert!(lost.is_none(), "invariant: nothing that was kept is lost: {gaps}, {kept} were kept");
        }
        self.check_witnesses(at, stored);
    }

    /// What a publisher that died had acknowledged, and on its disk, is vouched for.
    fn check_witnesses(&self, at: usize, stored: &StoredTrack) {
        let Some(finish) = &stored.finish else { return };
        let mut others = finish.unwitnessed.gaps_below(finish.units);
        match &self.publisher.vouched[at] {
            Some(vouched) => others.extend(&vouched.gaps_below(finish.units)),
            None => {
                assert!(finish.unwitnessed.is_empty(), "invariant: a publisher that lives knows its units");
                return;
            }
        }
        let missing = others.gaps_below(finish.units);
        assert!(missing.is_empty(), "invariant: what was acknowledged is vouched for: {missing} are not");
    }

    pub(crate) fn finish_outcome(&mut self) {
        self.outcome.units = self.made.iter().map(|made| made.units.len() as u64).sum();
        self.outcome.server_disk_errors = self.disks.iter().map(|disk| disk.errors).sum();
        for (side, disk) in self.publisher.program.iter().flat_map(|program| &program.sides).zip(&self.disks)
        {
            let counters = side.machine.status().counters;
            self.outcome.lost_units += counters.lost_units;
            self.outcome.repeated_units += counters.repeated_units;
            self.outcome.reconnects += u64::from(counters.reconnects());
            let finish = disk.stored().finish.as_ref();
            self.outcome.unwitnessed_units += finish.map_or(0, |finish| finish.unwitnessed.count());
        }
    }
}
