//! The log as a product: who tails it watches the ingest.
//!
//! Lines for people are made here, one function each, so that they read alike. Each carries the same facts as
//! fields for `LOG_FORMAT=json`. Tokens, resume keys and addresses of peers have no place in any of them.

mod format;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use protocol::api::SessionStatus;
use protocol::certificate::PublicKey;
use protocol::control::Finish;
use protocol::digest::TrackDigest;
use protocol::error::ErrorBody;
use protocol::room::AuditEntry;
use protocol::unit::Lane;
use protocol::{RoomName, SessionId, Track, UnitRanges};
use tracing::{error, info, warn};

use crate::database::StoredSession;
use crate::ingest::{Counters, PartRecord, StoredTrack};
use crate::webrtc::ViewerCounters;

pub use format::{discreet, subscriber};

/// The target of every line that is written for people.
pub(crate) const TARGET: &str = "longtake";

/// One segment, as its line shows it.
#[derive(Debug, Clone)]
pub(crate) struct SegmentLine {
    session: SessionId,
    track: Track,
    ordinal: u64,
    units: u64,
    backfilled: u64,
    bytes: u64,
    duration_90k: u64,
    /// The longest time from a part's first unit's arrival to its being durable.
    pub(crate) durable_in: Duration,
}

impl SegmentLine {
    pub(crate) const fn new(session: SessionId, track: Track, ordinal: u64) -> Self {
        Self {
            session,
            track,
            ordinal,
            units: 0,
            backfilled: 0,
            bytes: 0,
            duration_90k: 0,
            durable_in: Duration::ZERO,
        }
    }

    /// Adds a part; `duration_90k` is the whole segment's with it.
    pub(crate) fn add(&mut self, record: &PartRecord, duration_90k: u64) {
        let units = u64::from(record.part.unit_count);
        self.units += units;
        self.bytes += record.part.payload_bytes;
        self.duration_90k = duration_90k;
        if record.part.lane == Lane::Backfill {
            self.backfilled += units;
        }
    }
}

/// A segment is complete and durable.
pub(crate) fn segment(line: &SegmentLine) {
    let seconds = (line.duration_90k as f64 / 90_000.0).max(1e-3);
    let kbit_s = line.bytes as f64 * 8.0 / 1000.0 / seconds;
    let fps = line.units as f64 / seconds;
    let rate = match line.track {
        Track::Video => format!("{fps:5.1} fps"),
        Track::Audio => " ".repeat(9),
    };
    let backfilled = match line.backfilled {
        0 => String::new(),
        units => format!("  {units} backfilled"),
    };
    let durable_in_ms = line.durable_in.as_millis() as u64;
    info!(
        target: TARGET,
        session = line.session.short(),
        track = line.track.name(),
        segment = line.ordinal,
        units = line.units,
        bytes = line.bytes,
        kbit_s = kbit_s.round() as u64,
        fps = (fps * 10.0).round() / 10.0,
        durable_in_ms,
        backfilled = line.backfilled,
        "segment {:>5} {:>5} units {} {kbit_s:>6.0} kbit/s {rate}  durable in {durable_in_ms:>4} ms{backfilled}",
        line.ordinal,
        line.units,
        bytes(line.bytes),
    );
}

/// The server listens.
pub(crate) fn listening(
    address: SocketAddr,
    is_tls: bool,
    asks_for_token: bool,
    data_dir: &Path,
    key: &PublicKey,
) {
    let scheme = if is_tls { "https" } else { "http" };
    info!(
        target: TARGET,
        %address,
        tls = is_tls,
        token = asks_for_token,
        data_dir = %data_dir.display(),
        version = env!("CARGO_PKG_VERSION"),
        "longtake-ingest {} listens on {scheme}://{address}, {}, and records to {}",
        env!("CARGO_PKG_VERSION"),
        if asks_for_token { "asks for a token" } else { "asks for no token" },
        data_dir.display(),
    );
    info!(target: TARGET, server_key = %key, "certificates are signed with the key {key}");
    if !asks_for_token {
        info!(
            target: TARGET,
            "only this machine can connect, since no token is set; with STREAMING_ACCESS_TOKEN others can too"
        );
    }
}

/// A publisher said hello on a track.
pub(crate) fn hello(id: SessionId, track: Track, room: &RoomName, durable: &UnitRanges, codec: &str) {
    let units = durable.count();
    let how = if units == 0 { "started".to_owned() } else { format!("resumed, {units} units durable") };
    info!(
        target: TARGET,
        session = id.short(),
        track = track.name(),
        room = room.as_str(),
        durable_units = units,
        codec,
        "{how}, room {room}, {codec}"
    );
}

/// A track's connection is gone.
pub(crate) fn gone(id: SessionId, track: Track, counters: Counters, why: &str) {
    let repeated = match counters.duplicates {
        0 => String::new(),
        units => format!(", {units} sent twice"),
    };
    info!(
        target: TARGET,
        session = id.short(),
        track = track.name(),
        units = counters.units,
        duplicates = counters.duplicates,
        why,
        "connection closed: {why}; {} units taken{repeated}",
        counters.units
    );
}

/// A connection is closed because of what its peer did or because the server cannot go on.
pub(crate) fn refused(id: Option<SessionId>, track: Track, error: &ErrorBody) {
    warn!(
        target: TARGET,
        session = id.map(|id| id.short()),
        track = track.name(),
        code = error.code.name(),
        "refused: {} ({})",
        error.message,
        error.code
    );
}

/// A viewer is connected by WebRTC.
pub(crate) fn viewer_joined(id: SessionId, room: &RoomName) {
    info!(target: TARGET, session = id.short(), room = room.as_str(), "a viewer watches by WHEP, room {room}");
}

/// A viewer that came by WebRTC is gone.
pub(crate) fn viewer_left(id: SessionId, counters: ViewerCounters, lasted: Duration, why: &str) {
    let ViewerCounters { units, skips, key_requests, is_over_tcp } = counters;
    let skipped = match skips {
        0 => String::new(),
        times => format!(", skipped {times} times"),
    };
    let seconds = lasted.as_secs();
    let over = if is_over_tcp { " over TCP" } else { "" };
    info!(
        target: TARGET,
        session = id.short(),
        units,
        skips,
        key_requests,
        tcp = is_over_tcp,
        seconds,
        why,
        "a viewer by WHEP{over} has left: {why}; {units} units in {}{skipped}",
        duration(seconds)
    );
}

/// Somebody began to publish by WebRTC and has sent nothing that could be recorded.
pub(crate) fn publisher_without_media(room: &RoomName, why: &str) {
    warn!(target: TARGET, room = room.as_str(), why, "a WHIP publisher left room {room} without picture and sound: {why}");
}

/// The TCP port of WebRTC cannot be opened.
pub(crate) fn webrtc_without_tcp(port: u16, error: &std::io::Error) {
    warn!(target: TARGET, port, %error, "WebRTC goes by UDP alone: TCP port {port} cannot be opened: {error}");
}

/// What the port of WebRTC has dropped since the start, if anything.
pub(crate) fn datagrams_dropped(stray: u64, inbox: u64, outgoing: u64) {
    if stray + inbox + outgoing > 0 {
        info!(
            target: TARGET,
            stray,
            inbox,
            outgoing,
            "datagrams dropped: {stray} for nobody, {inbox} that came faster than they were read, {outgoing} that the system \
             did not take"
        );
    }
}

/// A session's status changed.
pub(crate) fn status(id: SessionId, status: SessionStatus, tracks: &[(Track, StoredTrack)]) {
    let sum = |of: fn(&StoredTrack) -> u64| tracks.iter().map(|(_, stored)| of(stored)).sum::<u64>();
    let units = sum(|stored| stored.durable.count());
    let total = sum(|stored| stored.durable_bytes);
    let start = tracks.iter().filter_map(|(_, stored)| stored.start_90k).min().unwrap_or(0);
    let end = tracks.iter().filter_map(|(_, stored)| stored.end_90k).max().unwrap_or(0);
    let seconds = end.saturating_sub(start) / 90_000;
    let missing: u64 = tracks
        .iter()
        .map(|(_, stored)| {
            let count = stored.finish.as_ref().map(|finish| finish.units);
            let count = count.or_else(|| stored.durable.last().map(|last| last + 1)).unwrap_or(0);
            stored.durable.gaps_below(count).count()
        })
        .sum();
    let missing_text = match missing {
        0 => String::new(),
        units => format!(", {units} units missing"),
    };
    let duration = duration(seconds);
    info!(
        target: TARGET,
        session = id.short(),
        id = %id,
        status = status.name(),
        units,
        bytes = total,
        seconds,
        missing,
        "session {}: {duration}, {units} units, {}{missing_text}",
        status.name(),
        bytes(total).trim_start()
    );
}

/// A session was removed on request.
pub(crate) fn deleted(id: SessionId) {
    info!(target: TARGET, session = id.short(), %id, "session deleted");
}

/// Somebody did something that the audit log keeps.
pub(crate) fn audit(entry: &AuditEntry) {
    let (room, target) =
        (entry.room.as_ref().map_or("", RoomName::as_str), entry.target.as_deref().unwrap_or(""));
    info!(
        target: TARGET,
        action = entry.action.name(),
        role = entry.role.name(),
        name = entry.name,
        room,
        of = target,
        "{} ({}): {} {room} {target}",
        entry.name,
        entry.role.name(),
        entry.action.name().replace('_', " "),
    );
}

/// Storing fails; said once until it works again.
pub(crate) fn storage_fails(error: &str) {
    error!(target: TARGET, error, "cannot store: {error}; publishers keep what is not acknowledged and try again");
}

/// A track's units are not those of its publisher's digest: something is wrong with the server, or with the publisher.
pub(crate) fn digest_mismatch(id: SessionId, track: Track, finish: &Finish, found: Option<TrackDigest>) {
    let found = found.map_or_else(|| "none, since rows are missing".to_owned(), |digest| digest.to_string());
    error!(
        target: TARGET,
        session = %id,
        track = track.name(),
        units = finish.units,
        "{} {track}: DIGEST MISMATCH: the publisher says {}, what is stored has {found}; the session is not certified",
        id.short(),
        finish.digest,
    );
}

/// Storing works after it failed.
pub(crate) fn storage_works_again() {
    info!(target: TARGET, "storing works again");
}

/// A group commit took long.
pub(crate) fn slow_disk(took: Duration) {
    let took_ms = took.as_millis() as u64;
    warn!(target: TARGET, took_ms, "the disk is slow: making parts durable took {took_ms} ms");
}

/// A connection is not read because too much of it waits to be durable; said once a connection.
pub(crate) fn budget_reached(id: SessionId, track: Track, undurable: u64) {
    warn!(
        target: TARGET,
        session = id.short(),
        track = track.name(),
        undurable_bytes = undurable,
        "reading paused: {} wait to become durable",
        bytes(undurable).trim_start()
    );
}

/// An unfinished session was found at the start.
pub(crate) fn recovered(session: &StoredSession, cut_bytes: u64, removed_files: u64, lost_parts: u64) {
    let units: u64 = session.tracks.iter().map(|(_, stored)| stored.durable.count()).sum();
    let id = session.info.id;
    let rest = if cut_bytes == 0 && removed_files == 0 {
        String::new()
    } else {
        format!(
            "; {} that were never acknowledged were cut off, {removed_files} files of such removed",
            bytes(cut_bytes).trim_start()
        )
    };
    info!(
        target: TARGET,
        session = id.short(),
        %id,
        status = session.status.name(),
        units,
        cut_bytes,
        removed_files,
        lost_parts,
        "found {}: {units} units durable{rest}",
        session.status.name(),
    );
}

/// The store does not hold what rows say: the one thing that must not happen.
pub(crate) fn lost(id: SessionId, track: Track, units: &UnitRanges, parts: u64) {
    error!(
        target: TARGET,
        session = id.short(),
        track = track.name(),
        parts,
        units = %units,
        "MEDIA IS MISSING: units {units} were durable and their bytes are gone; is the disk damaged, or was a file removed?"
    );
}

/// The start-up recovery is done.
pub(crate) fn recovery_done(sessions: usize, took: Duration) {
    let took_ms = took.as_millis() as u64;
    info!(target: TARGET, sessions, took_ms, "start-up: {sessions} unfinished sessions looked at in {took_ms} ms");
}

/// The server was asked to stop.
pub(crate) fn stopping(connections: usize) {
    info!(target: TARGET, connections, "stopping: {connections} connections are told; once more stops at once");
}

/// The server has stopped; everything that arrived is durable.
pub(crate) fn stopped() {
    info!(target: TARGET, "stopped");
}

/// Bytes for people, eight characters wide.
fn bytes(bytes: u64) -> String {
    let amount = bytes as f64;
    match bytes {
        0..1_000 => format!("{amount:>6.0}  B"),
        1_000..1_000_000 => format!("{:>6.1} kB", amount / 1e3),
        1_000_000..1_000_000_000 => format!("{:>6.2} MB", amount / 1e6),
        _ => format!("{:>6.2} GB", amount / 1e9),
    }
}

/// A length of time for people.
fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short_and_align() {
        for (amount, text) in
            [(0, "     0  B"), (999, "   999  B"), (1_234, "   1.2 kB"), (2_500_000, "  2.50 MB")]
        {
            assert_eq!(bytes(amount), text);
        }
        assert_eq!([duration(59), duration(61), duration(3_700)], ["59 s", "1 min 01 s", "1 h 01 min"]);
    }
}
