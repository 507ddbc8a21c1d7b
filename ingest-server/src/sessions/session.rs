//! One session in memory: its two tracks, and who waits for news of them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::Track;
use protocol::api::{Session, SessionStatus, TrackState};
use protocol::error::ErrorBody;
use protocol::room::{RoomSession, RoomTrack, TokenId};
use tokio::sync::watch;

use super::changes::Changes;
use super::lifecycle::{Facts, Lifecycle};
use crate::clock::Clock;
use crate::database::{SessionInfo, StoredSession};
use crate::fanout::{Fanout, LiveUnit, Subscription};
use crate::ingest::{ConnectionId, StoredTrack, Ticket, TrackIngest, TrackSettings};
use crate::recorder::Recorded;

/// A session with at least the chance of a publisher.
pub(crate) struct LiveSession {
    pub(crate) info: Arc<SessionInfo>,
    tracks: [LiveTrack; 2],
    lifecycle: Mutex<Lifecycle>,
    last_activity_unix_ms: AtomicU64,
    /// Whether somebody has ended it who moderates its room.
    is_ended: AtomicBool,
    /// The token by which its publisher came last.
    publisher_token: Mutex<Option<TokenId>>,
    clock: Clock,
    changes: Arc<Changes>,
}

struct LiveTrack {
    /// Held for as long as one message takes; nobody else needs it but the recorder's word and a takeover.
    ingest: Mutex<TrackIngest>,
    /// Wakes the track's connections.
    news: watch::Sender<()>,
    fanout: Arc<Fanout>,
}

/// A connection's hold on its track.
pub(crate) struct Attached {
    pub(crate) session: Arc<LiveSession>,
    pub(crate) track: Track,
    pub(crate) id: ConnectionId,
    pub(crate) news: watch::Receiver<()>,
}

impl LiveSession {
    pub(crate) fn new(
        stored: StoredSession,
        settings: &TrackSettings,
        abandon_after: Duration,
        clock: Clock,
        changes: Arc<Changes>,
    ) -> Self {
        let track = |track: Track| {
            let found = stored.tracks.iter().find(|(of, _)| *of == track);
            let stored = found.map(|(_, stored)| stored.clone()).unwrap_or_default();
            let ingest = Mutex::new(TrackIngest::new(track, settings.clone(), stored));
            LiveTrack { ingest, news: watch::channel(()).0, fanout: Arc::new(Fanout::new(track)) }
        };
        Self {
            tracks: Track::ALL.map(track),
            lifecycle: Mutex::new(Lifecycle::new(clock.now(), abandon_after, stored.status)),
            last_activity_unix_ms: AtomicU64::new(stored.last_activity_unix_ms),
            info: Arc::new(stored.info),
            is_ended: AtomicBool::new(false),
            publisher_token: Mutex::new(None),
            clock,
            changes,
        }
    }

    fn live(&self, track: Track) -> &LiveTrack {
        &self.tracks[track as usize]
    }

    /// The track's state machine. Whoever has used it drains its records.
    pub(crate) fn ingest(&self, track: Track) -> MutexGuard<'_, TrackIngest> {
        // A panic elsewhere must not end every connection of the session.
        self.live(track).ingest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn news(&self, track: Track) -> watch::Receiver<()> {
        self.live(track).news.subscribe()
    }

    /// Gives units to those who watch the track.
    pub(crate) fn publish(&self, track: Track, units: Vec<LiveUnit>) {
        self.live(track).fanout.publish(units);
    }

    /// Reads along with a track. Where there is nothing to begin with, its publisher is asked for an IDR picture.
    pub(crate) fn subscribe(&self, track: Track) -> Subscription {
        let fanout = &self.live(track).fanout;
        let subscription = fanout.subscribe();
        if !fanout.can_be_joined() {
            self.request_key();
        }
        subscription
    }

    /// The time of the newest unit that those who watch may have, in 1/90000 s since the session's start.
    pub(crate) fn newest_live_90k(&self) -> Option<u64> {
        Track::ALL.into_iter().filter_map(|track| self.live(track).fanout.newest_90k()).max()
    }

    /// Asks the publisher for an IDR picture, if it was not asked just now.
    pub(crate) fn request_key(&self) {
        if self.ingest(Track::Video).request_key(self.clock.now()) {
            self.live(Track::Video).news.send_replace(());
        }
    }

    /// Tells the publisher how many watch.
    pub(crate) fn tell_viewers(&self, count: u32) {
        for track in Track::ALL {
            if self.ingest(track).tell_viewers(count) {
                self.live(track).news.send_replace(());
            }
        }
    }

    /// Takes no more of the session: its connections are closed with `why`, and who watches sees its end.
    pub(crate) fn end(&self, why: &ErrorBody) {
        self.is_ended.store(true, Ordering::Relaxed);
        self.send_away(why);
        self.end_fanout();
    }

    /// Closes its publisher's connections with `why`.
    pub(crate) fn send_away(&self, why: &ErrorBody) {
        for track in Track::ALL {
            let mut ingest = self.ingest(track);
            if let Some(connection) = ingest.connection() {
                ingest.close(connection, why.clone());
            }
            drop(ingest);
            self.announce(track);
        }
    }

    /// Remembers by which token its publisher came.
    pub(crate) fn set_publisher_token(&self, token: Option<TokenId>) {
        *self.publisher_token.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// The token by which its publisher came last, if that was one with a role.
    pub(crate) fn publisher_token(&self) -> Option<TokenId> {
        *self.publisher_token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::Relaxed)
    }

    /// The session leaves memory: who watches it sees its end.
    pub(crate) fn end_fanout(&self) {
        for track in Track::ALL {
            self.live(track).fanout.end();
        }
    }

    /// Wakes the track's connections, the caretaker and the rooms: a connection came or went.
    pub(crate) fn announce(&self, track: Track) {
        self.live(track).news.send_replace(());
        self.changes.settled.notify_one();
        self.changes.announce();
    }

    pub(crate) fn heard_now(&self) {
        self.last_activity_unix_ms.fetch_max(self.clock.unix_ms(), Ordering::Relaxed);
    }

    pub(crate) fn last_activity_unix_ms(&self) -> u64 {
        self.last_activity_unix_ms.load(Ordering::Relaxed)
    }

    fn lifecycle(&self) -> MutexGuard<'_, Lifecycle> {
        self.lifecycle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn facts(&self) -> Facts {
        let mut facts = Facts { is_connected: false, is_complete: true, is_ended: self.is_ended() };
        let mut has_track = false;
        for track in Track::ALL {
            let ingest = self.ingest(track);
            if !ingest.all_params().is_empty() {
                has_track = true;
                facts.is_connected |= ingest.connection().is_some();
                facts.is_complete &= ingest.is_complete();
            }
        }
        facts.is_complete &= has_track;
        facts
    }

    /// Looks at the facts; says the status if it changed.
    pub(crate) fn observe(&self, now: Duration) -> Option<SessionStatus> {
        let facts = self.facts();
        self.lifecycle().observe(now, facts)
    }

    pub(crate) fn status(&self) -> SessionStatus {
        self.lifecycle().status()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.facts().is_connected
    }

    /// Whether nothing of the session waits to become durable.
    pub(crate) fn is_settled(&self) -> bool {
        Track::ALL.into_iter().all(|track| self.ingest(track).is_settled())
    }

    /// Waits until nothing of the session waits to become durable.
    pub(crate) async fn settled(&self) {
        for track in Track::ALL {
            let mut news = self.news(track);
            while !self.ingest(track).is_settled() && news.changed().await.is_ok() {}
        }
    }

    /// What is durable of each track that said hello.
    pub(crate) fn stored_tracks(&self) -> Vec<(Track, StoredTrack)> {
        let stored = |track| {
            let ingest = self.ingest(track);
            let params = ingest.all_params().to_vec();
            (!params.is_empty()).then(|| (track, StoredTrack { params, ..ingest.stored().clone() }))
        };
        Track::ALL.into_iter().filter_map(stored).collect()
    }

    /// The session as the API shows it.
    pub(crate) fn view(&self) -> Session {
        let track = |track| {
            let ingest = self.ingest(track);
            let params = ingest.all_params().to_vec();
            let stored = StoredTrack { params, ..ingest.stored().clone() };
            track_state(&stored, ingest.known_units(), ingest.connection().is_some())
        };
        Session {
            id: self.info.id,
            room: self.info.room.clone(),
            status: self.status_now(),
            device: self.info.device.clone(),
            started_unix_ms: self.info.started_unix_ms,
            last_activity_unix_ms: self.last_activity_unix_ms(),
            video: track(Track::Video),
            audio: track(Track::Audio),
        }
    }

    /// The session as its room sees it; `None` once it has ended.
    pub(crate) fn room_view(&self) -> Option<RoomSession> {
        let status = self.status_now();
        if !matches!(status, SessionStatus::Active | SessionStatus::Interrupted) {
            return None;
        }
        let track = |track| {
            let ingest = self.ingest(track);
            let codec = ingest.all_params().last()?.parameters.clone();
            Some(RoomTrack { codec, connected: ingest.connection().is_some() })
        };
        Some(RoomSession {
            id: self.info.id,
            name: self.info.device.name.clone(),
            status,
            started_unix_ms: self.info.started_unix_ms,
            video: track(Track::Video),
            audio: track(Track::Audio),
        })
    }

    /// The status by the facts of now, without taking the change from the caretaker, who logs and stores it.
    pub(crate) fn status_now(&self) -> SessionStatus {
        let facts = self.facts();
        let mut lifecycle = self.lifecycle().clone();
        lifecycle.observe(self.clock.now(), facts).unwrap_or_else(|| lifecycle.status())
    }
}

impl Recorded for LiveSession {
    fn recorded(&self, track: Track, outcomes: Vec<(Ticket, Result<(), ErrorBody>)>) {
        let mut ingest = self.ingest(track);
        for (ticket, outcome) in outcomes {
            ingest.recorded(ticket, outcome);
        }
        drop(ingest);
        self.live(track).news.send_replace(());
        self.changes.settled.notify_one();
    }
}

/// A stored session as the API shows it.
pub(crate) fn view_stored(stored: &StoredSession) -> Session {
    let track = |track: Track| {
        let (_, stored) = stored.tracks.iter().find(|(of, _)| *of == track)?;
        let durable = stored.durable.last().map_or(0, |last| last + 1);
        let units = durable.max(stored.finish.as_ref().map_or(0, |finish| finish.units));
        track_state(stored, units, false)
    };
    Session {
        id: stored.info.id,
        room: stored.info.room.clone(),
        status: stored.status,
        device: stored.info.device.clone(),
        started_unix_ms: stored.info.started_unix_ms,
        last_activity_unix_ms: stored.last_activity_unix_ms,
        video: track(Track::Video),
        audio: track(Track::Audio),
    }
}

fn track_state(stored: &StoredTrack, units: u64, connected: bool) -> Option<TrackState> {
    let codec = stored.params.last()?.parameters.clone();
    let span = stored.start_90k.zip(stored.end_90k).map_or(0, |(start, end)| end.saturating_sub(start));
    let lost = stored.finish.as_ref().map(|finish| finish.lost.clone()).unwrap_or_default();
    Some(TrackState {
        units,
        durable_units: stored.durable.count(),
        durable_bytes: stored.durable_bytes,
        duration_ms: span / 90,
        codec_string: codec.rfc6381(),
        codec,
        connected,
        finished: stored.finish.is_some(),
        gaps: stored.durable.gaps_below(units),
        lost,
        events: stored.events.clone(),
    })
}
