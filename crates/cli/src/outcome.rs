//! What is printed at the end of a session.

use protocol::{ClockDrift, SessionId, Track};
use publisher::{Report, TrackReport};
use serde_json::{Value, json};
use session::clock_drift_text;

use crate::status_line::track_json;
use crate::verify::grouped;

/// One line per track, the session, and where its recording is.
pub(crate) fn text(
    report: &Report,
    session: SessionId,
    recording_url: &str,
    drift: Option<&ClockDrift>,
) -> String {
    let mut lines: Vec<String> = report.tracks.iter().map(track_text).collect();
    lines.extend(drift.map(clock_drift_text));
    lines.push(format!("session {session}"));
    if report.tracks.iter().any(|track| track.status.counters.durable_units > 0) {
        lines.push(format!("recording {recording_url}"));
    }
    lines.join("\n")
}

fn track_text(track: &TrackReport) -> String {
    let counters = &track.status.counters;
    let (durable, units) = (grouped(counters.durable_units), grouped(counters.units));
    let mut line = match &track.digest {
        Some(digest) if counters.lost_units == 0 => {
            format!("{}: complete: {durable} of {units} units, digest {:.8}", track.track, digest.to_string())
        }
        _ => format!("{}: {durable} of {units} units durable", track.track),
    };
    if counters.lost_units > 0 {
        line.push_str(&format!("; lost: {}", track.lost));
    }
    if track.status.backlog.units > 0 {
        line.push_str(&format!("; {} not acknowledged", track.status.backlog.units));
    }
    if counters.reconnects() > 0 {
        line.push_str(&format!("; reconnected {} times", counters.reconnects()));
    }
    line
}

/// The same for scripts.
pub(crate) fn json(
    report: &Report,
    session: SessionId,
    recording_url: &str,
    drift: Option<&ClockDrift>,
) -> Value {
    let mut line = json!({
        "type": "finished",
        "session": session.to_string(),
        "recording_url": recording_url,
        "whole": report.is_whole(),
    });
    for track in &report.tracks {
        line[track.track.name()] = track_json(&track.status);
        line[track.track.name()]["digest"] = json!(track.digest.map(|digest| digest.to_string()));
    }
    if let Some(drift) = drift {
        line[Track::Audio.name()]["clock"] = json!(drift);
    }
    line
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use protocol::{Hex, Track, UnitRange};
    use publisher::latency::Latency;
    use publisher::spool::Backlog;
    use publisher::status::{Counters, Phase, TrackStatus};

    use super::*;

    const DRIFT: ClockDrift =
        ClockDrift { drift_ppb: Some(-4_600), offset_us_max: 1_200, offset_us_last: 300 };

    fn report(units: u64, durable_units: u64, lost: &[(u64, u64)]) -> Report {
        let lost: protocol::UnitRanges =
            lost.iter().map(|&(first, last)| UnitRange::new(first, last)).collect();
        let counters = Counters {
            units,
            durable_units,
            lost_units: lost.count(),
            connections: 3,
            ..Counters::default()
        };
        let backlog = Backlog { units: units - durable_units - lost.count(), ..Backlog::default() };
        let status = TrackStatus {
            phase: Phase::Complete,
            backlog,
            counters,
            spool: Default::default(),
            target: None,
        };
        Report {
            tracks: vec![TrackReport {
                track: Track::Video,
                status,
                digest: (lost.is_empty()).then_some(Hex([0xa5; 32])),
                lost,
                ack_latency: Latency::default(),
            }],
        }
    }

    fn session() -> SessionId {
        "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap()
    }

    #[test]
    fn the_end_says_what_is_durable_and_what_is_missing() {
        assert_eq!(
            text(&report(1_800, 1_800, &[]), session(), "http://a/r.mp4", Some(&DRIFT)),
            "video: complete: 1,800 of 1,800 units, digest a5a5a5a5; reconnected 2 times\n\
             microphone clock -4.6 ppm, corrected; sound within 1.2 ms of the picture\n\
             session 01890a5d-ac96-774b-bcce-b302099a8057\nrecording http://a/r.mp4"
        );
        assert_eq!(
            text(&report(60, 0, &[(3, 9)]), session(), "http://a/r.mp4", None),
            "video: 0 of 60 units durable; lost: 3–9; 53 not acknowledged; reconnected 2 times\n\
             session 01890a5d-ac96-774b-bcce-b302099a8057"
        );
    }

    #[test]
    fn scripts_see_whether_it_is_whole() {
        let json = json(&report(60, 60, &[]), session(), "http://a/r.mp4", Some(&DRIFT));
        assert_eq!((json["type"].as_str(), json["whole"].as_bool()), (Some("finished"), Some(true)));
        assert_eq!(json["video"]["durable_units"], 60);
        assert_eq!(json["audio"]["clock"]["drift_ppb"], -4_600);
        assert_eq!(json["video"]["digest"], "a5".repeat(32));
    }
}
