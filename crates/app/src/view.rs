//! What the screen is told, made from what the parts of a session say. Pure.

use protocol::error::ErrorCode;
use protocol::{ClockDrift, Track};
use publisher::spool::{Backlog, Fill, Trouble};
use publisher::status::{Phase, TrackStatus};

use crate::api::{self, Arrival, Problem, ProblemCode, SessionPhase, TrackPhase, WhenFull};
use crate::problem::sentence;
use crate::rates::Figures;

/// What is known of a track beside its publisher's status.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TrackFacts {
    pub(crate) figures: Figures,
    pub(crate) full_bitrate_bps: u32,
    pub(crate) dropped: u64,
    pub(crate) clock: Option<ClockDrift>,
}

/// A track as it is shown.
pub(crate) fn track(status: &TrackStatus, facts: &TrackFacts) -> api::Track {
    let TrackStatus { backlog, counters, .. } = status;
    let round_trip = counters.round_trip.map(|round_trip| round_trip.as_millis());
    api::Track {
        phase: phase(status),
        arrival: Arrival {
            units: counters.units,
            durable_units: counters.durable_units,
            lost_units: counters.lost_units,
            backlog_units: backlog.units,
            backlog_bytes: backlog.bytes,
            backlog_ms: backlog.duration_ms,
        },
        bitrate_bps: facts.figures.bitrate_bps,
        wanted_bitrate_bps: status.target.map_or(facts.full_bitrate_bps, |target| target.bitrate_bps),
        full_bitrate_bps: facts.full_bitrate_bps,
        is_paused: status.target.is_some_and(|target| target.is_paused),
        units_per_second: facts.figures.units_per_second,
        dropped: facts.dropped,
        encoder_load: facts.figures.encoder_load,
        round_trip_ms: round_trip.and_then(|ms| u32::try_from(ms).ok()),
        clock: facts.clock,
    }
}

fn phase(status: &TrackStatus) -> TrackPhase {
    match &status.phase {
        Phase::Waiting => TrackPhase::Waiting,
        Phase::Connecting => TrackPhase::Connecting,
        Phase::Live => TrackPhase::Live,
        Phase::CatchingUp => TrackPhase::CatchingUp,
        Phase::Offline { reason, .. } => TrackPhase::Offline { reason: sentence(reason) },
        Phase::Complete if status.counters.lost_units > 0 => TrackPhase::Incomplete,
        Phase::Complete => TrackPhase::Complete,
        Phase::NeedsYou(error) => TrackPhase::Refused { problem: error.into() },
    }
}

/// How a session that was stopped has ended; none while something can still arrive.
pub(crate) fn outcome(tracks: &[(Track, &TrackStatus)]) -> Option<SessionPhase> {
    let refusal = tracks.iter().find_map(|(_, status)| match &status.phase {
        Phase::NeedsYou(error) if is_final(error.code) => Some(error),
        _ => None,
    });
    let settled = |status: &TrackStatus| match &status.phase {
        Phase::Complete => true,
        Phase::NeedsYou(error) => is_final(error.code),
        _ => false,
    };
    if !tracks.iter().all(|(_, status)| settled(status)) {
        return None;
    }
    if tracks.iter().all(|(_, status)| status.counters.units == 0) {
        let message = "Neither a picture nor a sound came from the devices, so there is nothing to keep.";
        return Some(incomplete(ProblemCode::NothingToCapture, message.to_owned()));
    }
    if let Some(error) = refusal {
        let problem = Problem::from(error);
        let message = format!("{} {}", problem.message, missing(tracks).unwrap_or_default());
        return Some(incomplete(problem.code, message.trim_end().to_owned()));
    }
    Some(match missing(tracks) {
        Some(missing) => {
            let why = "More was waiting than this device keeps.";
            incomplete(ProblemCode::UnitsLost, format!("{why} {missing}"))
        }
        None => SessionPhase::Complete,
    })
}

/// Why this device cannot keep what waits, or soon cannot: the worst of the tracks. None while there is room.
pub(crate) fn storage(tracks: &[(Track, &TrackStatus)], when_full: WhenFull) -> Option<Problem> {
    let trouble = tracks.iter().find_map(|(_, status)| status.spool.trouble.as_ref());
    if let Some(trouble) = trouble {
        let message = match trouble {
            Trouble::DiskFull => {
                "This device's disk is full. What is recorded waits in memory, which does not last long: free some \
                 space, or stop."
                    .to_owned()
            }
            Trouble::DiskFails(reason) => format!(
                "This device's disk fails ({}). What is recorded waits in memory, which does not last long: stop \
                 once it has arrived.",
                reason.trim_end_matches('.')
            ),
        };
        return Some(Problem::passing(ProblemCode::DeviceStorage, message));
    }
    let fill = tracks.iter().map(|(_, status)| status.spool.fill).max().unwrap_or_default();
    let (code, message) = match (fill, when_full) {
        (Fill::Room, _) => return None,
        (Fill::Warning, WhenFull::Stop) => (
            ProblemCode::DeviceStorageLow,
            "Four fifths of the room for recordings on this device are used. When it is full, the recording stops: get \
             back to the network.",
        ),
        (Fill::Warning, WhenFull::DropOldest) => (
            ProblemCode::DeviceStorageLow,
            "Four fifths of the room for recordings on this device are used. When it is full, the oldest pictures are \
             lost: get back to the network.",
        ),
        (Fill::Full, WhenFull::Stop) => (
            ProblemCode::DeviceStorage,
            "The room for recordings on this device is full, and so the recording is stopped.",
        ),
        (Fill::Full, WhenFull::DropOldest) => (
            ProblemCode::DeviceStorage,
            "The room for recordings on this device is full: the oldest pictures are being lost. Get back to the network.",
        ),
    };
    Some(Problem::passing(code, message))
}

/// How a session has ended that a person did not want to wait for any longer.
pub(crate) fn given_up(tracks: &[(Track, &TrackStatus)]) -> SessionPhase {
    match missing(tracks) {
        Some(missing) => incomplete(
            ProblemCode::UnitsLost,
            format!(
                "You did not wait for the rest. {missing} It is kept on this device, and sent when the server is reached."
            ),
        ),
        // Everything is there; only the server's last word is missing.
        None => SessionPhase::Complete,
    }
}

/// What the server does not have, in a sentence.
fn missing(tracks: &[(Track, &TrackStatus)]) -> Option<String> {
    let parts: Vec<String> = tracks.iter().filter_map(|(track, status)| missing_of(*track, status)).collect();
    (!parts.is_empty()).then(|| format!("The server does not have {}.", parts.join(" and ")))
}

fn missing_of(track: Track, status: &TrackStatus) -> Option<String> {
    let Backlog { units, duration_ms, .. } = status.backlog;
    let all = units + status.counters.lost_units;
    let (what, of) = match track {
        Track::Video => ("pictures", status.counters.units),
        Track::Audio => ("sound packets", status.counters.units),
    };
    let length =
        if units > 0 { format!(" (the last {:.1} s)", duration_ms as f64 / 1e3) } else { String::new() };
    (all > 0).then(|| format!("{all} of {of} {what}{length}"))
}

/// Whether nothing that a person can do makes the server take this session's units after this refusal.
const fn is_final(code: ErrorCode) -> bool {
    use ErrorCode as E;
    matches!(
        code,
        E::SessionEnded
            | E::SessionTaken
            | E::Superseded
            | E::TrackMismatch
            | E::InvalidMessage
            | E::InvalidUnit
            | E::InvalidParams
            | E::UnitOutOfRange
            | E::UnknownMessage
            | E::TooLarge
    )
}

const fn incomplete(code: ProblemCode, message: String) -> SessionPhase {
    SessionPhase::Incomplete { problem: Problem { code, message, retryable: false } }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use protocol::error::ErrorBody;
    use publisher::status::Counters;

    use super::*;

    fn status(phase: Phase, units: u64, lost_units: u64, waiting: u64) -> TrackStatus {
        let backlog = Backlog { units: waiting, bytes: waiting * 1_000, duration_ms: waiting * 20 };
        let durable_units = units - lost_units - waiting;
        let counters = Counters { units, durable_units, lost_units, ..Counters::default() };
        TrackStatus { phase, backlog, counters, spool: Default::default(), target: None }
    }

    fn refused(code: ErrorCode) -> Phase {
        Phase::NeedsYou(ErrorBody::new(code, "no"))
    }

    fn problem(phase: Option<SessionPhase>) -> Option<(ProblemCode, String)> {
        match phase {
            Some(SessionPhase::Incomplete { problem }) => Some((problem.code, problem.message)),
            _ => None,
        }
    }

    #[test]
    fn phases_become_what_a_person_reads() {
        let offline = Phase::Offline { since: Duration::ZERO, reason: "no route".into() };
        for (publisher, lost_units, shown) in [
            (Phase::Waiting, 0, "waiting"),
            (Phase::Connecting, 0, "connecting"),
            (Phase::Live, 0, "live"),
            (Phase::CatchingUp, 3, "catching_up"),
            (offline, 0, "offline"),
            (Phase::Complete, 0, "complete"),
            (Phase::Complete, 1, "incomplete"),
            (refused(ErrorCode::Unauthorized), 0, "refused"),
        ] {
            let track = track(&status(publisher, 9, lost_units, 0), &TrackFacts::default());
            let phase = serde_json::to_value(track.phase).expect("a value");
            assert_eq!(phase["kind"], shown);
            assert!(shown != "offline" || phase["reason"] == "No route.", "a sentence: {phase}");
        }
    }

    #[test]
    fn figures_and_arrival_are_handed_on() {
        let mut status = status(Phase::Live, 100, 1, 9);
        status.counters.round_trip = Some(Duration::from_millis(42));
        let figures = Figures { bitrate_bps: 7, units_per_second: 30.0, encoder_load: 0.1 };
        let shown = track(
            &status,
            &TrackFacts { figures, full_bitrate_bps: 8, dropped: 2, clock: Some(ClockDrift::default()) },
        );
        let arrival = Arrival {
            units: 100,
            durable_units: 90,
            lost_units: 1,
            backlog_units: 9,
            backlog_bytes: 9_000,
            backlog_ms: 180,
        };
        assert_eq!(shown.arrival, arrival);
        assert_eq!((shown.bitrate_bps, shown.wanted_bitrate_bps, shown.dropped), (7, 8, 2));
        assert_eq!(shown.round_trip_ms, Some(42));
        assert_eq!(shown.clock, Some(ClockDrift::default()));
    }

    #[test]
    fn what_cannot_be_kept_is_told_the_worst_first() {
        let with = |fill, trouble| {
            let spool = publisher::spool::Health { fill, trouble, ..Default::default() };
            TrackStatus { spool, ..status(Phase::Live, 9, 0, 0) }
        };
        let (room, low, full) = (with(Fill::Room, None), with(Fill::Warning, None), with(Fill::Full, None));
        let broken = with(Fill::Room, Some(Trouble::DiskFails("I/O error.".into())));
        let disk_full = with(Fill::Full, Some(Trouble::DiskFull));
        for (video, audio, when_full, says) in [
            (&room, &room, WhenFull::Stop, None),
            (&room, &low, WhenFull::Stop, Some((ProblemCode::DeviceStorageLow, "the recording stops"))),
            (&low, &room, WhenFull::DropOldest, Some((ProblemCode::DeviceStorageLow, "oldest pictures"))),
            (&full, &low, WhenFull::Stop, Some((ProblemCode::DeviceStorage, "is stopped"))),
            (&full, &low, WhenFull::DropOldest, Some((ProblemCode::DeviceStorage, "being lost"))),
            (&disk_full, &low, WhenFull::Stop, Some((ProblemCode::DeviceStorage, "disk is full"))),
            (&full, &broken, WhenFull::Stop, Some((ProblemCode::DeviceStorage, "(I/O error)"))),
        ] {
            let told = storage(&[(Track::Video, video), (Track::Audio, audio)], when_full);
            assert_eq!(told.as_ref().map(|told| told.code), says.map(|(code, _)| code));
            let message = told.map(|told| told.message).unwrap_or_default();
            assert!(message.contains(says.map_or("", |(_, text)| text)), "{message}");
        }
    }

    #[test]
    fn a_session_ends_when_nothing_can_arrive_any_more() {
        let offline = Phase::Offline { since: Duration::ZERO, reason: String::new() };
        let complete = status(Phase::Complete, 10, 0, 0);
        for waiting in [Phase::Live, Phase::CatchingUp, offline, refused(ErrorCode::Unauthorized)] {
            let video = status(waiting, 10, 0, 4);
            assert_eq!(outcome(&[(Track::Video, &video), (Track::Audio, &complete)]), None);
        }
        let whole = outcome(&[(Track::Video, &complete), (Track::Audio, &complete)]);
        assert_eq!(whole, Some(SessionPhase::Complete));
        let silent = status(Phase::Complete, 0, 0, 0);
        assert_eq!(outcome(&[(Track::Audio, &silent), (Track::Video, &complete)]), whole);
    }

    #[test]
    fn what_is_missing_is_named() {
        let lost = status(Phase::Complete, 10, 3, 0);
        let (code, text) = problem(outcome(&[(Track::Video, &lost)])).expect("incomplete");
        assert_eq!(code, ProblemCode::UnitsLost);
        assert!(text.ends_with("The server does not have 3 of 10 pictures."), "{text}");

        let ended = status(refused(ErrorCode::SessionEnded), 50, 0, 5);
        let (code, text) = problem(outcome(&[(Track::Audio, &ended)])).expect("incomplete");
        assert_eq!(code, ProblemCode::ServerRefused);
        assert!(text.ends_with("does not have 5 of 50 sound packets (the last 0.1 s)."), "{text}");

        let silent = status(Phase::Complete, 0, 0, 0);
        let (code, _) = problem(outcome(&[(Track::Video, &silent)])).expect("incomplete");
        assert_eq!(code, ProblemCode::NothingToCapture);

        let waiting = status(Phase::Connecting, 60, 0, 60);
        let given_up_with = given_up(&[(Track::Video, &waiting), (Track::Audio, &ended)]);
        let (code, text) = problem(Some(given_up_with)).expect("incomplete");
        assert_eq!(code, ProblemCode::UnitsLost);
        assert!(text.contains("60 of 60 pictures (the last 1.2 s) and 5 of 50 sound packets"), "{text}");
    }
}
