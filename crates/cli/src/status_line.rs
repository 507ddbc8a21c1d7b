//! The live status in one line: a pure function of what the publisher says.

use std::collections::VecDeque;
use std::time::Duration;

use protocol::Track;
use publisher::rate::Target;
use publisher::spool::Fill;
use publisher::status::{Phase, Status, TrackStatus};
use serde_json::{Value, json};

use crate::measures::clock_face;
use crate::verify::grouped;

/// A longer line would wrap on a narrow terminal, and a carriage return would not take it back.
pub(crate) const TERMINAL_WIDTH: usize = 79;

/// Rates are means over this time: long enough to be steady, short enough to show a change.
const RATE_WINDOW: Duration = Duration::from_secs(2);

/// Turns statuses into lines; remembers recent ones, because rates are differences.
#[derive(Debug)]
pub(crate) struct StatusLine {
    /// The newest one that is at least as old as the window, and everything after it.
    recent: VecDeque<(Duration, Status)>,
}

/// What a track's encoder made lately, per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    pub(crate) units: f64,
    pub(crate) kbit: f64,
}

impl Default for StatusLine {
    /// At the start nothing had been made: the first line tells what was made since.
    fn default() -> Self {
        Self { recent: [(Duration::ZERO, Status::default())].into() }
    }
}

impl StatusLine {
    /// The rates over the window that ends now; none as long as no time has passed.
    fn rates(&mut self, elapsed: Duration, status: &Status) -> [Option<Rate>; 2] {
        while self.recent.get(1).is_some_and(|(at, _)| elapsed.saturating_sub(*at) >= RATE_WINDOW) {
            self.recent.pop_front();
        }
        let rates = Track::ALL.map(|track| match (self.recent.front(), status.track(track)) {
            (Some((at, then)), Some(now)) => rate(elapsed.saturating_sub(*at), then.track(track), now),
            _ => None,
        });
        self.recent.push_back((elapsed, status.clone()));
        rates
    }

    /// The line for people.
    pub(crate) fn render(&mut self, elapsed: Duration, status: &Status) -> String {
        let rates = self.rates(elapsed, status);
        let tracks: Vec<String> = status
            .tracks()
            .map(|(track, status)| {
                let rate = rates[usize::from(track == Track::Audio)];
                track_text(track, status, rate)
            })
            .collect();
        format!("{} {}", clock_face(elapsed), tracks.join(" | "))
    }

    /// The line for scripts.
    pub(crate) fn render_json(&mut self, elapsed: Duration, status: &Status) -> Value {
        let rates = self.rates(elapsed, status);
        let mut line = json!({ "type": "status", "elapsed_ms": elapsed.as_millis() as u64 });
        if let Some(viewers) = status.viewers {
            line["viewers"] = viewers.into();
        }
        for (track, status) in status.tracks() {
            let rate = rates[usize::from(track == Track::Audio)];
            let mut fields = track_json(status);
            fields["units_per_s"] = rate.map(|rate| round(rate.units)).into();
            fields["kbit_per_s"] = rate.map(|rate| round(rate.kbit)).into();
            line[track.name()] = fields;
        }
        line
    }
}

fn rate(time: Duration, before: Option<&TrackStatus>, now: &TrackStatus) -> Option<Rate> {
    let seconds = time.as_secs_f64();
    if seconds <= 0.0 {
        return None;
    }
    let before = before.map(|before| before.counters).unwrap_or_default();
    Some(Rate {
        units: now.counters.units.saturating_sub(before.units) as f64 / seconds,
        kbit: now.counters.payload_bytes.saturating_sub(before.payload_bytes) as f64 * 8.0
            / 1_000.0
            / seconds,
    })
}

fn track_text(track: Track, status: &TrackStatus, rate: Option<Rate>) -> String {
    let counters = &status.counters;
    let shown = |number: Option<f64>| number.map_or_else(|| "–".to_owned(), |number| format!("{number:.0}"));
    let fps = match track {
        Track::Video => format!(" {} fps", shown(rate.map(|rate| rate.units))),
        Track::Audio => String::new(),
    };
    let kbit = match status.target.and_then(|target| target_text(&target)) {
        Some(lowered) => format!(", {lowered}"),
        None => format!(" {} kbit/s", shown(rate.map(|rate| rate.kbit))),
    };
    let behind = match status.phase {
        Phase::CatchingUp | Phase::Offline { .. } | Phase::NeedsYou(_) => {
            format!(" {:.1} s behind", status.backlog.duration_ms as f64 / 1_000.0)
        }
        _ => String::new(),
    };
    let lost = if counters.lost_units > 0 { format!(" LOST {}", counters.lost_units) } else { String::new() };
    format!(
        "{track} {}{fps}{kbit} {}/{}{behind}{lost}",
        status.phase.name(),
        counters.durable_units,
        counters.units
    )
}

/// What is made of the picture while the network carries less than all of it; none while it carries everything.
fn target_text(target: &Target) -> Option<String> {
    let Target { bitrate_bps, full_bps, is_paused, .. } = *target;
    let kbit = |bps: u32| grouped(u64::from(bps / 1_000));
    match (is_paused, target.is_lowered()) {
        (true, _) => Some("not live: the network carries the sound only".to_owned()),
        (false, true) => Some(format!("keeping up: {} of {} kbit/s", kbit(bitrate_bps), kbit(full_bps))),
        (false, false) => None,
    }
}

/// A track's state as scripts see it.
pub(crate) fn track_json(status: &TrackStatus) -> Value {
    let (counters, backlog) = (&status.counters, &status.backlog);
    let mut fields = json!({
        "phase": status.phase.name().replace(' ', "_"),
        "units": counters.units,
        "payload_bytes": counters.payload_bytes,
        "sent_units": counters.sent_units,
        "repeated_units": counters.repeated_units,
        "durable_units": counters.durable_units,
        "lost_units": counters.lost_units,
        "backlog_units": backlog.units,
        "backlog_bytes": backlog.bytes,
        "backlog_ms": backlog.duration_ms,
        "reconnects": counters.reconnects(),
    });
    fields["spool"] = match status.spool.fill {
        Fill::Room => "room",
        Fill::Warning => "warning",
        Fill::Full => "full",
    }
    .into();
    if let Some(trouble) = &status.spool.trouble {
        fields["spool_trouble"] = trouble.to_string().into();
    }
    if let Some(target) = status.target {
        fields["target"] = json!({
            "kbit_per_s": target.bitrate_bps / 1_000,
            "full_kbit_per_s": target.full_bps / 1_000,
            "thinning": target.thinning,
            "is_paused": target.is_paused,
        });
    }
    if let Some(round_trip) = counters.round_trip {
        fields["round_trip_ms"] = round(round_trip.as_secs_f64() * 1_000.0).into();
    }
    match &status.phase {
        Phase::Offline { reason, .. } => fields["reason"] = reason.as_str().into(),
        Phase::NeedsYou(error) => {
            fields["reason"] = error.message.as_str().into();
            fields["code"] = error.code.name().into();
        }
        _ => {}
    }
    fields
}

/// What a person should read in a line of its own when a track's phase has changed.
pub(crate) fn phase_change(before: Option<&TrackStatus>, now: &TrackStatus) -> Option<String> {
    let was = before.map(|before| &before.phase);
    match &now.phase {
        phase if was == Some(phase) => None,
        // Offline lasts over many attempts; a reason that changes is news, the time since when is not.
        Phase::Offline { reason, .. } => match was {
            Some(Phase::Offline { reason: before, .. }) if before == reason => None,
            _ => Some(format!("offline: {reason}; what is captured is kept here")),
        },
        Phase::NeedsYou(error) => Some(format!("refused: {}", error.message)),
        Phase::Live | Phase::CatchingUp
            if matches!(was, Some(Phase::Offline { .. } | Phase::NeedsYou(_))) =>
        {
            Some("connected again".to_owned())
        }
        _ => None,
    }
}

/// What a person should read when the place in which units wait has got into another state.
pub(crate) fn spool_change(before: Option<&TrackStatus>, now: &TrackStatus) -> Option<String> {
    let was = before.map(|before| &before.spool);
    let now = &now.spool;
    let trouble_before = was.and_then(|was| was.trouble.as_ref());
    match &now.trouble {
        Some(trouble) if trouble_before.is_none() => {
            return Some(format!("{trouble}; what is captured is kept in memory as long as that suffices"));
        }
        None if trouble_before.is_some() => return Some("the disk takes what is captured again".to_owned()),
        _ => {}
    }
    match now.fill {
        fill if was.map_or(Fill::Room, |was| was.fill) >= fill => None,
        Fill::Full => Some("as much waits on this device's disk as may".to_owned()),
        _ => Some("four fifths of what may wait on this device's disk do".to_owned()),
    }
}

fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use protocol::error::{ErrorBody, ErrorCode};
    use publisher::spool::{Backlog, Health, Trouble};
    use publisher::status::Counters;

    use super::*;

    fn track(phase: Phase, units: u64, payload_bytes: u64, durable_units: u64) -> TrackStatus {
        let counters = Counters { units, payload_bytes, durable_units, ..Counters::default() };
        let backlog = Backlog { units: 5, bytes: 2_000, duration_ms: 3_210 };
        TrackStatus { phase, backlog, counters, spool: Health::default(), target: None }
    }

    fn both(video: TrackStatus, audio: TrackStatus) -> Status {
        Status { video: Some(video), audio: Some(audio), viewers: None }
    }

    fn offline(reason: &str) -> Phase {
        Phase::Offline { since: Duration::ZERO, reason: reason.to_owned() }
    }

    #[test]
    fn the_line_tells_the_rates_of_the_last_two_seconds() {
        let mut line = StatusLine::default();
        let at = Duration::from_secs;
        let start = both(track(Phase::Connecting, 0, 0, 0), track(Phase::Connecting, 0, 0, 0));
        assert_eq!(
            line.render(at(0), &start),
            "00:00 video connecting – fps – kbit/s 0/0 | audio connecting – kbit/s 0/0"
        );
        let later = both(track(Phase::Live, 60, 500_000, 45), track(Phase::Live, 100, 16_000, 90));
        assert_eq!(
            line.render(at(2), &later),
            "00:02 video live 30 fps 2000 kbit/s 45/60 | audio live 64 kbit/s 90/100"
        );
        let stalled = both(track(Phase::Live, 60, 500_000, 60), track(Phase::Live, 100, 16_000, 100));
        line.render(at(3), &stalled);
        assert_eq!(
            line.render(at(4), &stalled),
            "00:04 video live 0 fps 0 kbit/s 60/60 | audio live 0 kbit/s 100/100"
        );
    }

    #[test]
    fn the_first_line_tells_the_rate_since_the_start() {
        let first = both(track(Phase::Live, 150, 1_250_000, 100), track(Phase::Live, 250, 40_000, 200));
        assert_eq!(
            StatusLine::default().render(Duration::from_secs(5), &first),
            "00:05 video live 30 fps 2000 kbit/s 100/150 | audio live 64 kbit/s 200/250"
        );
    }

    #[test]
    fn trouble_shows() {
        let mut line = StatusLine::default();
        let mut audio = track(Phase::CatchingUp, 123_456, 0, 120_000);
        audio.counters.lost_units = 7;
        let status = Status { audio: Some(audio), ..Status::default() };
        let text = line.render(Duration::from_secs(5), &status);
        assert_eq!(text, "00:05 audio catching up 0 kbit/s 120000/123456 3.2 s behind LOST 7");
    }

    #[test]
    fn a_picture_that_is_lowered_says_so() {
        let of = |kbps: u32, is_paused| {
            let target = Target { bitrate_bps: kbps * 1_000, thinning: 2, is_paused, full_bps: 2_000_000 };
            let video = TrackStatus { target: Some(target), ..track(Phase::Live, 60, 185_000, 45) };
            Status { video: Some(video), ..Status::default() }
        };
        for (status, expected) in [
            (of(740, false), "00:02 video live 30 fps, keeping up: 740 of 2,000 kbit/s 45/60"),
            (of(100, true), "00:02 video live 30 fps, not live: the network carries the sound only 45/60"),
        ] {
            assert_eq!(StatusLine::default().render(Duration::from_secs(2), &status), expected);
        }
        let json = StatusLine::default().render_json(Duration::from_secs(2), &of(740, false));
        assert_eq!(json["video"]["target"]["kbit_per_s"], 740);
    }

    #[test]
    fn scripts_read_the_same_figures() {
        let mut line = StatusLine::default();
        let error = ErrorBody::new(ErrorCode::Unauthorized, "wrong token");
        let status = both(track(Phase::NeedsYou(error), 3, 300, 0), track(offline("no route"), 9, 90, 2));
        let json = line.render_json(Duration::from_millis(1_500), &status);
        assert_eq!(json["type"], "status");
        assert_eq!(json["elapsed_ms"], 1_500);
        assert_eq!(json["video"]["phase"], "needs_you");
        assert_eq!(json["video"]["code"], "unauthorized");
        assert_eq!(json["audio"]["reason"], "no route");
        assert_eq!(json["audio"]["durable_units"], 2);
        assert_eq!(json["audio"]["backlog_ms"], 3_210);
    }

    #[test]
    fn only_changes_that_matter_get_a_line_of_their_own() {
        let of = |phase| track(phase, 0, 0, 0);
        let error = ErrorBody::new(ErrorCode::SessionTaken, "taken");
        for (before, now, expected) in [
            (None, Phase::Connecting, None),
            (Some(Phase::Connecting), Phase::Live, None),
            (Some(Phase::Live), Phase::CatchingUp, None),
            (Some(Phase::Live), offline("cut"), Some("offline: cut; what is captured is kept here")),
            (Some(offline("cut")), offline("cut"), None),
            (
                Some(offline("cut")),
                offline("no route"),
                Some("offline: no route; what is captured is kept here"),
            ),
            (Some(offline("cut")), Phase::CatchingUp, Some("connected again")),
            (Some(Phase::Live), Phase::NeedsYou(error), Some("refused: taken")),
        ] {
            let found = phase_change(before.clone().map(of).as_ref(), &of(now.clone()));
            assert_eq!(found.as_deref(), expected, "{before:?} → {now:?}");
        }
    }

    #[test]
    fn a_disk_that_fills_or_fails_is_told_once() {
        let of = |fill, trouble: Option<Trouble>| TrackStatus {
            spool: Health { fill, trouble, ..Health::default() },
            ..track(Phase::Live, 0, 0, 0)
        };
        let full = || Some(Trouble::DiskFull);
        for (before, now, expected) in [
            (of(Fill::Room, None), of(Fill::Room, None), None),
            (of(Fill::Room, None), of(Fill::Warning, None), Some("four fifths")),
            (of(Fill::Warning, None), of(Fill::Full, None), Some("as much waits")),
            (of(Fill::Full, None), of(Fill::Room, None), None),
            (of(Fill::Room, None), of(Fill::Room, full()), Some("the disk of this device is full; ")),
            (of(Fill::Room, full()), of(Fill::Room, full()), None),
            (of(Fill::Room, full()), of(Fill::Room, None), Some("takes what is captured again")),
        ] {
            let found = spool_change(Some(&before), &now);
            assert_eq!(found.is_some(), expected.is_some(), "{found:?}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()));
        }
        let json = track_json(&of(Fill::Warning, full()));
        assert_eq!(
            (&json["spool"], &json["spool_trouble"]),
            (&"warning".into(), &"the disk of this device is full".into())
        );
    }
}
