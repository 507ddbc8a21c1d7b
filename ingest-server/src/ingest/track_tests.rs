//! The track's state machine without sockets, files and clocks.

use std::collections::BTreeMap;

use proptest::prelude::*;
use protocol::ResumeKey;
use protocol::control::Device;
use protocol::digest::unit_digest;
use protocol::unit::Lane;
use testkit::units::{UnitSource, finish, params};

use super::*;

const MS: Duration = Duration::from_millis(1);
const FIRST: ConnectionId = ConnectionId(1);

fn settings() -> TrackSettings {
    TrackSettings {
        part: PartLimits { duration_90k: 27_000, payload_bytes: 1 << 20 },
        part_wait: 500 * MS,
        limits: Limits { message_bytes: 4 << 20, unit_bytes: 2 << 20, idle_ms: 10_000 },
    }
}

fn hello(track: Track) -> Hello {
    Hello {
        version: PROTOCOL_VERSION,
        session: protocol::SessionId::from_bytes([1; 16]),
        resume_key: ResumeKey::from_bytes([2; 16]),
        room: "a".parse().unwrap(),
        track,
        params: vec![params(track)],
        device: Device { name: String::new(), platform: String::new(), app: String::new() },
        started_unix_ms: 0,
    }
}

fn message(units: &[Unit]) -> Bytes {
    let mut message = bytes::BytesMut::new();
    units.iter().for_each(|unit| unit.encode(&mut message));
    message.freeze()
}

/// Records everything that waits; yields the units that became durable.
fn record_all(ingest: &mut TrackIngest) -> UnitRanges {
    let mut units = UnitRanges::new();
    while let Some((ticket, record)) = ingest.poll_record() {
        if let Record::Part(PartRecord { part, .. }) = &record {
            units.insert_range(UnitRange::new(part.first_unit, part.next_unit() - 1));
        }
        ingest.recorded(ticket, Ok(()));
    }
    units
}

fn transmits(ingest: &mut TrackIngest, id: ConnectionId) -> Vec<Transmit> {
    std::iter::from_fn(|| ingest.poll_transmit(id)).collect()
}

/// A track with a welcomed connection.
fn connected(track: Track) -> TrackIngest {
    let mut ingest = TrackIngest::new(track, settings(), StoredTrack::default());
    ingest.connect(Duration::ZERO, 5, FIRST, &hello(track)).unwrap();
    assert!(transmits(&mut ingest, FIRST).is_empty(), "welcome waits until the session is durable");
    record_all(&mut ingest);
    let sent = transmits(&mut ingest, FIRST);
    assert!(
        matches!(&sent[..], [Transmit::Message(ServerMessage::Welcome(welcome))] if welcome.server_unix_ms == 5)
    );
    ingest
}

#[test]
fn nothing_is_acknowledged_before_it_is_recorded() {
    let mut ingest = connected(Track::Video);
    let units: Vec<Unit> = UnitSource::new(Track::Video, 1).take(9).collect();
    ingest.binary(MS, FIRST, message(&units));
    assert!(ingest.poll_record().is_none(), "a part waits for the moment at which all close");
    ingest.tick(ingest.poll_timeout().unwrap());
    let (ticket, record) = ingest.poll_record().unwrap();
    assert!(
        matches!(record, Record::Part(PartRecord { part, received, .. }) if part.unit_count == 9 && received == MS)
    );
    assert!(transmits(&mut ingest, FIRST).is_empty());
    assert!(ingest.undurable_bytes() > 0 && !ingest.is_settled());
    ingest.recorded(ticket, Ok(()));
    let durable: UnitRanges = [UnitRange::new(0, 8)].into_iter().collect();
    assert_eq!(transmits(&mut ingest, FIRST), [Transmit::Message(ServerMessage::Ack { durable })]);
    assert!(ingest.undurable_bytes() == 0 && ingest.is_settled());
}

#[test]
fn a_part_that_nothing_follows_closes_in_time_and_silence_ends_the_connection() {
    let mut ingest = connected(Track::Video);
    let units: Vec<Unit> = UnitSource::new(Track::Video, 1).take(2).collect();
    ingest.binary(100 * MS, FIRST, message(&units));
    assert_eq!(ingest.poll_timeout(), Some(500 * MS));
    ingest.tick(499 * MS);
    assert!(ingest.poll_record().is_none());
    ingest.tick(500 * MS);
    assert_eq!(record_all(&mut ingest).count(), 2);
    assert_eq!(ingest.poll_timeout(), Some(10_100 * MS));
    ingest.tick(10_100 * MS);
    let sent = transmits(&mut ingest, FIRST);
    assert!(matches!(&sent[..], [Transmit::Message(ServerMessage::Ack { .. }), Transmit::Close(error)]
        if error.code == ErrorCode::IdleTimeout));
    assert_eq!(ingest.poll_timeout(), None);
}

#[test]
fn a_record_that_fails_closes_the_connection_and_its_units_may_come_again() {
    let mut ingest = connected(Track::Audio);
    let units: Vec<Unit> = UnitSource::new(Track::Audio, 1).take(30).collect();
    ingest.binary(MS, FIRST, message(&units));
    let (failed, _) = ingest.poll_record().unwrap();
    let error = ErrorBody::new(ErrorCode::StorageUnavailable, "full");
    ingest.recorded(failed, Err(error.clone()));
    assert_eq!(transmits(&mut ingest, FIRST), [Transmit::Close(error.clone())]);
    ingest.disconnect(FIRST);

    // The publisher is back before the outcome of the second part is known; welcome says what is durable by then.
    let second = ConnectionId(2);
    ingest.connect(2 * MS, 0, second, &hello(Track::Audio)).unwrap();
    let (flying, _) = ingest.poll_record().unwrap();
    ingest.recorded(flying, Err(error));
    record_all(&mut ingest);
    let sent = transmits(&mut ingest, second);
    assert!(
        matches!(&sent[..], [Transmit::Message(ServerMessage::Welcome(welcome))] if welcome.durable.is_empty())
    );
    ingest.binary(3 * MS, second, message(&units));
    assert_eq!(record_all(&mut ingest).count(), 30);
    assert_eq!(ingest.counters().duplicates, 0);
}

#[test]
fn an_older_connection_is_told_and_no_longer_heard() {
    let mut ingest = connected(Track::Audio);
    let units: Vec<Unit> = UnitSource::new(Track::Audio, 1).take(20).collect();
    ingest.binary(MS, FIRST, message(&units[..5]));
    let second = ConnectionId(2);
    ingest.connect(2 * MS, 0, second, &hello(Track::Audio)).unwrap();
    assert!(
        matches!(&transmits(&mut ingest, FIRST)[..], [Transmit::Close(error)] if error.code == ErrorCode::Superseded)
    );
    ingest.binary(3 * MS, FIRST, message(&units[5..10]));
    ingest.text(3 * MS, FIRST, "garbage");
    ingest.disconnect(FIRST);
    assert_eq!(ingest.connection(), Some(second));
    assert_eq!(record_all(&mut ingest).count(), 5);
    assert!(matches!(&transmits(&mut ingest, second)[..],
        [Transmit::Message(ServerMessage::Welcome(welcome))] if welcome.durable.count() == 5));
}

/// What one step of a random life does.
#[derive(Debug, Clone)]
enum Step {
    Send { first: usize, count: usize, backfill: bool },
    Record { fails: bool },
    Reconnect,
    Crash,
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0usize..200, 1usize..30, any::<bool>())
            .prop_map(|(first, count, backfill)| Step::Send { first, count, backfill }),
        6 => prop::bool::weighted(0.1).prop_map(|fails| Step::Record { fails }),
        2 => Just(Step::Reconnect),
        1 => Just(Step::Crash),
        1 => Just(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever happens in whatever order: what is acknowledged is recorded, each unit is recorded once, and a
    /// publisher that goes on trying gets to the end.
    #[test]
    fn every_unit_is_recorded_once_and_acknowledged_only_then(
        track in prop_oneof![Just(Track::Video), Just(Track::Audio)],
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let units: Vec<Unit> = UnitSource::new(track, 7).take(200).collect();
        let mut stored = StoredTrack::default();
        let mut ingest = TrackIngest::new(track, settings(), stored.clone());
        let mut now = Duration::ZERO;
        let mut id = ConnectionId(0);
        let mut recorded: BTreeMap<u64, u32> = BTreeMap::new();
        let mut acked = UnitRanges::new();
        ingest.connect(now, 0, id, &hello(track)).unwrap();
        for at in 0..steps.len() + 400 {
            now += 10 * MS;
            // Behind the random life comes a patient one, which sends everything in order.
            let step = steps.get(at).cloned().unwrap_or_else(|| match at % 2 {
                0 => Step::Send { first: (at - steps.len()) / 2 % 20 * 10, count: 10, backfill: false },
                _ => Step::Record { fails: false },
            });
            match step {
                Step::Send { first, count, backfill } => {
                    let lane = if backfill { Lane::Backfill } else { Lane::Live };
                    let chosen = units[first..(first + count).min(200)].iter().cloned();
                    ingest.binary(now, id, message(&chosen.map(|unit| Unit { lane, ..unit }).collect::<Vec<_>>()));
                }
                Step::Record { fails } => {
                    while let Some((ticket, record)) = ingest.poll_record() {
                        let is_part = matches!(record, Record::Part(_));
                        if fails && is_part {
                            ingest.recorded(ticket, Err(ErrorBody::new(ErrorCode::StorageUnavailable, "full")));
                            continue;
                        }
                        match &record {
                            Record::Part(PartRecord { part, .. }) => {
                                for number in part.first_unit..part.next_unit() {
                                    *recorded.entry(number).or_insert(0) += 1;
                                }
                                let range = UnitRange::new(part.first_unit, part.next_unit() - 1);
                                stored.insert(range, part.payload_bytes, part.pts_90k, part.end_90k());
                            }
                            Record::Opened { params, .. } => stored.params.clone_from(params),
                            _ => {}
                        }
                        ingest.recorded(ticket, Ok(()));
                    }
                }
                Step::Reconnect => {
                    ingest.disconnect(id);
                    id = ConnectionId(id.0 + 1);
                    ingest.connect(now, 0, id, &hello(track)).unwrap();
                }
                Step::Crash => {
                    // What was not recorded is gone; whether the bytes were on their way does not matter.
                    ingest = TrackIngest::new(track, settings(), stored.clone());
                    id = ConnectionId(id.0 + 1);
                    ingest.connect(now, 0, id, &hello(track)).unwrap();
                }
                Step::Wait => {
                    now += 600 * MS;
                    ingest.tick(now);
                }
            }
            let mut is_closed = false;
            while let Some(transmit) = ingest.poll_transmit(id) {
                match transmit {
                    Transmit::Message(ServerMessage::Ack { durable }) => acked.extend(&durable),
                    Transmit::Message(ServerMessage::Welcome(welcome)) => acked.extend(&welcome.durable),
                    Transmit::Message(other) => prop_assert!(false, "{other:?}"),
                    Transmit::Close(error) => {
                        prop_assert_eq!(error.code, ErrorCode::StorageUnavailable);
                        is_closed = true;
                    }
                }
            }
            if is_closed {
                ingest.disconnect(id);
                id = ConnectionId(id.0 + 1);
                ingest.connect(now, 0, id, &hello(track)).unwrap();
            }
            for range in acked.as_slice() {
                for number in range.first..=range.last {
                    prop_assert!(recorded.contains_key(&number), "unit {number} was acknowledged and not recorded");
                }
            }
        }
        let digests = units.iter().map(|unit| (unit.number, unit_digest(track, unit))).collect();
        let finish = finish(&hello(track), 200, UnitRanges::new(), &digests);
        let finish = PublisherMessage::Finish(finish);
        ingest.text(now, id, &finish.to_json());
        while let Some((ticket, record)) = ingest.poll_record() {
            if let Record::Part(PartRecord { part, .. }) = &record {
                for number in part.first_unit..part.next_unit() {
                    *recorded.entry(number).or_insert(0) += 1;
                }
            }
            ingest.recorded(ticket, Ok(()));
        }
        let sent = transmits(&mut ingest, id);
        prop_assert!(matches!(sent.last(), Some(Transmit::Message(ServerMessage::Complete { units: 200, durable_units: 200, .. }))), "{sent:?}");
        prop_assert!(recorded.values().all(|times| *times == 1) && recorded.len() == 200);
        prop_assert!(ingest.is_complete() && ingest.is_settled() && ingest.undurable_bytes() == 0);
    }

    #[test]
    fn any_bytes_are_taken_or_refused_without_panic(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..20),
        texts in prop::collection::vec(".{0,100}", 0..10),
    ) {
        let mut ingest = connected(Track::Video);
        for message in messages {
            ingest.binary(MS, FIRST, Bytes::from(message));
        }
        for text in texts {
            ingest.text(MS, FIRST, &text);
        }
        record_all(&mut ingest);
        prop_assert_eq!(ingest.undurable_bytes(), 0);
    }
}
