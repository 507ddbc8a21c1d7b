//! Sessions as HLS, low-latency while they run: playlists over the parts that are recorded, without a byte of media made anew.
//!
//! A playlist lists what is durable, so nothing in it can vanish, and grows part by part; the same addresses play a
//! session while it runs, from its start, and after its end. What backfill brings appears in its place.

mod playlist;
mod timeline;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt as _, iter};
use media::mp4::init_segment;
use protocol::api::SessionStatus;
use protocol::codec::Params;
use protocol::{RoomName, SessionId, Track, UnitRanges};
use tokio::sync::watch;
use tokio::time::timeout_at;

use crate::clock::Clock;
use crate::database::{Database, DatabaseError, PartRow};
use crate::sessions::{LiveSession, Sessions};
use crate::store::{Store, StoreError};

use playlist::{Edge, Facts, Rendition, edge, segment_name};
use timeline::Timeline;

pub(crate) use playlist::TARGET_S;

/// Sessions whose timelines are kept. One of ten hours takes 15 MiB.
const CACHED: usize = 32;
/// How long a session that has ended is taken not to have changed: deleted, or taken up again.
const ENDED_FRESH: Duration = Duration::from_secs(2);
/// How long a request waits for what is to come. A player asks again.
const PATIENCE: Duration = Duration::from_secs(TARGET_S);
/// How long a track is waited for that the session does not have yet, or has nothing of while it has of the other.
const OTHER_PATIENCE: Duration = Duration::from_millis(500);
/// Segments that a request may be ahead of the newest (§6.2.5.2 of draft-pantos-hls-rfc8216bis).
const MAX_AHEAD: u64 = 2;
/// Bytes of a segment that are read at once.
const READ_BYTES: u64 = 1 << 20;

/// Why there is nothing to play.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HlsError {
    #[error("there is no such session")]
    NoSession,
    #[error("the session has no such track, or nothing of it yet")]
    NoTrack,
    #[error("the playlist does not list this")]
    NotListed,
    #[error("the playlist is not about to list this")]
    TooFarAhead,
    #[error("the codec parameters cannot be written: {0}")]
    Init(#[from] media::mp4::Mp4Error),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// What a player wants to be in a playlist before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) segment: u64,
    /// A part of it; without one, all of the segment.
    pub(crate) part: Option<u64>,
}

/// A playlist.
#[derive(Debug)]
pub(crate) struct Playlist {
    pub(crate) text: String,
    /// Whether it holds what was waited for, so that everybody who waits for the same may have it.
    pub(crate) is_answer: bool,
}

/// Bytes of a segment or part.
#[derive(Debug)]
pub(crate) struct Fragments {
    pub(crate) parts: Vec<PartRow>,
    /// Whether this address never holds anything else.
    pub(crate) is_final: bool,
}

/// Plays sessions.
pub(crate) struct Hls {
    sessions: Arc<Sessions>,
    database: Arc<dyn Database>,
    store: Arc<dyn Store>,
    clock: Clock,
    part_target: Duration,
    cache: Mutex<VecDeque<Arc<Entry>>>,
}

/// A session whose timelines are kept.
struct Entry {
    id: SessionId,
    tracks: [tokio::sync::Mutex<Timeline>; 2],
    /// What was found of a session that is not in memory, and when.
    ended: Mutex<Option<(Duration, Arc<State>)>>,
}

/// A session as it is now.
struct State {
    room: RoomName,
    started_unix_ms: u64,
    has_ended: bool,
    tracks: [Option<TrackState>; 2],
}

struct TrackState {
    params: Vec<Params>,
    durable: UnitRanges,
}

impl Hls {
    pub(crate) fn new(
        sessions: Arc<Sessions>,
        database: Arc<dyn Database>,
        store: Arc<dyn Store>,
        clock: Clock,
        part_target: Duration,
    ) -> Self {
        Self { sessions, database, store, clock, part_target, cache: Mutex::default() }
    }

    /// The room of a session.
    pub(crate) async fn room(&self, id: SessionId) -> Result<RoomName, HlsError> {
        Ok(self.state(&self.entry(id)).await?.0.room.clone())
    }

    /// The playlist of a session's tracks. Waits for the first media of a session that has just begun.
    pub(crate) async fn multivariant(&self, id: SessionId, query: &str) -> Result<String, HlsError> {
        let entry = self.entry(id);
        let has_media = |timeline: &Timeline, _: bool| (!timeline.segments().is_empty()).then_some(());
        let wait = |track, patience| self.until(&entry, track, patience, has_media);
        // The two tracks of a session begin at about the same time.
        let found = tokio::join!(wait(Track::Video, OTHER_PATIENCE), wait(Track::Audio, OTHER_PATIENCE));
        if !matches!(found, (Ok(Some(())), _) | (_, Ok(Some(())))) {
            tokio::select! {
                found = wait(Track::Video, PATIENCE) => found?,
                found = wait(Track::Audio, PATIENCE) => found?,
            };
        }
        let (state, _) = self.state(&entry).await?;
        let timelines = [entry.tracks[0].lock().await, entry.tracks[1].lock().await];
        let rendition = |track: Track| {
            let timeline = &*timelines[track as usize];
            let params = state.tracks[track as usize].as_ref()?.params.last()?;
            (!timeline.segments().is_empty())
                .then_some(Rendition { timeline, parameters: &params.parameters })
        };
        playlist::multivariant(rendition(Track::Video), rendition(Track::Audio), query)
            .ok_or(HlsError::NoTrack)
    }

    /// The playlist of a track. Waits until it holds what is wanted, or for the first media, and not for ever.
    pub(crate) async fn media(
        &self,
        id: SessionId,
        track: Track,
        wanted: Option<Wanted>,
        skip: bool,
        query: &str,
    ) -> Result<Playlist, HlsError> {
        let entry = self.entry(id);
        let holds = |timeline: &Timeline, has_ended: bool| -> Option<Result<bool, HlsError>> {
            let edge = edge(timeline)?;
            let Some(wanted) = wanted else { return Some(Ok(false)) };
            if has_ended {
                return Some(Ok(false));
            }
            if wanted.segment > edge.segment + MAX_AHEAD {
                return Some(Err(HlsError::TooFarAhead));
            }
            let is_there = edge.segment > wanted.segment
                || (edge.segment == wanted.segment && wanted.part.is_some_and(|part| edge.part >= part));
            is_there.then_some(Ok(true))
        };
        let is_answer = self.until(&entry, track, PATIENCE, holds).await?.transpose()?.unwrap_or(false);
        let (state, _) = self.state(&entry).await?;
        let other = match track {
            Track::Video => Track::Audio,
            Track::Audio => Track::Video,
        };
        let other_edge = edge(&*entry.tracks[other as usize].lock().await);
        let facts = Facts {
            has_ended: state.has_ended,
            started_unix_ms: state.started_unix_ms,
            part_target: self.part_target,
            query,
            other: other_edge.map(|edge: Edge| (other, edge)),
        };
        let timeline = entry.tracks[track as usize].lock().await;
        if timeline.segments().is_empty() {
            return Err(HlsError::NoTrack);
        }
        Ok(Playlist { text: playlist::media(track, &timeline, &facts, skip), is_answer })
    }

    /// What decodes a track from a unit on.
    pub(crate) async fn init(&self, id: SessionId, track: Track, from_unit: u64) -> Result<Bytes, HlsError> {
        let (state, _) = self.state(&self.entry(id)).await?;
        let params = state.tracks[track as usize].as_ref().map_or(&[][..], |track| &track.params);
        let found = params.iter().find(|params| params.from_unit == from_unit).ok_or(HlsError::NotListed)?;
        Ok(init_segment(track, &found.parameters)?)
    }

    /// The part that begins with a unit. Waits for the one that is about to come.
    pub(crate) async fn part(&self, id: SessionId, track: Track, unit: u64) -> Result<Fragments, HlsError> {
        let entry = self.entry(id);
        let found = self.until(&entry, track, PATIENCE, |timeline, has_ended| {
            let is_past = has_ended || unit < timeline.next_unit();
            match timeline.part(unit) {
                Some(part) => Some(Some(*part)),
                None => is_past.then_some(None),
            }
        });
        let part = found.await?.flatten().ok_or(HlsError::NotListed)?;
        Ok(Fragments { parts: vec![part], is_final: true })
    }

    /// The segment of a name.
    pub(crate) async fn segment(
        &self,
        id: SessionId,
        track: Track,
        name: &str,
    ) -> Result<Fragments, HlsError> {
        let number =
            name.split('-').next().and_then(|number| number.parse().ok()).ok_or(HlsError::NotListed)?;
        let entry = self.entry(id);
        let found = self.until(&entry, track, PATIENCE, |timeline, has_ended| {
            let Some(segment) = timeline.segment(number) else { return Some(None) };
            let is_growing =
                !has_ended && timeline.segments().last().is_some_and(|last| last.number == number);
            let is_final = !is_growing && segment_name(timeline, segment) == name;
            Some(Some(Fragments { parts: timeline.parts(segment).to_vec(), is_final }))
        });
        found.await?.flatten().filter(|found| !found.parts.is_empty()).ok_or(HlsError::NotListed)
    }

    /// The bytes of parts, one after the other.
    pub(crate) fn bytes(
        &self,
        parts: &[PartRow],
    ) -> impl Stream<Item = Result<Bytes, StoreError>> + Send + 'static {
        let mut reads: Vec<(crate::store::SegmentKey, Vec<std::ops::Range<u64>>, u64)> = Vec::new();
        for part in parts {
            let range = part.offset_bytes..part.end_bytes();
            match reads.last_mut() {
                Some((key, ranges, bytes)) if *key == part.segment && *bytes < READ_BYTES => {
                    ranges.push(range);
                    *bytes += part.length_bytes;
                }
                _ => reads.push((part.segment, vec![range], part.length_bytes)),
            }
        }
        let store = Arc::clone(&self.store);
        let read = move |(key, ranges, _)| {
            let store = Arc::clone(&store);
            async move {
                match store.read(key, ranges).await {
                    Ok(pieces) => iter(pieces.into_iter().map(Ok).collect::<Vec<_>>()),
                    Err(error) => iter(vec![Err(error)]),
                }
            }
        };
        iter(reads).then(read).flatten()
    }

    fn entry(&self, id: SessionId) -> Arc<Entry> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let at = cache.iter().position(|entry| entry.id == id);
        let entry = at.and_then(|at| cache.remove(at)).unwrap_or_else(|| {
            let tracks = Track::ALL.map(|track| tokio::sync::Mutex::new(Timeline::new(track)));
            Arc::new(Entry { id, tracks, ended: Mutex::new(None) })
        });
        cache.truncate(CACHED - 1);
        cache.push_front(Arc::clone(&entry));
        entry
    }

    fn forget(&self, id: SessionId) {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).retain(|entry| entry.id != id);
    }

    /// The session as it is now, and itself if it is in memory.
    async fn state(&self, entry: &Entry) -> Result<(Arc<State>, Option<Arc<LiveSession>>), HlsError> {
        if let Some(live) = self.sessions.find(entry.id) {
            let mut tracks = [None, None];
            for (track, stored) in live.stored_tracks() {
                tracks[track as usize] = Some(TrackState { params: stored.params, durable: stored.durable });
            }
            let state = State {
                room: live.info.room.clone(),
                started_unix_ms: live.info.started_unix_ms,
                has_ended: has_ended(live.status_now()),
                tracks,
            };
            return Ok((Arc::new(state), Some(live)));
        }
        let now = self.clock.now();
        let known = entry.ended.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, state)) = known.filter(|(at, _)| now < *at + ENDED_FRESH) {
            return Ok((state, None));
        }
        let Some(stored) = self.database.session(entry.id).await? else {
            self.forget(entry.id);
            return Err(HlsError::NoSession);
        };
        let mut tracks = [None, None];
        for (track, stored) in stored.tracks {
            tracks[track as usize] = Some(TrackState { params: stored.params, durable: stored.durable });
        }
        let state = Arc::new(State {
            room: stored.info.room,
            started_unix_ms: stored.info.started_unix_ms,
            has_ended: true,
            tracks,
        });
        *entry.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(&state)));
        Ok((state, None))
    }

    /// Looks at a track's timeline until `look` has an answer, the session has ended, or patience has; then `None`.
    async fn until<T>(
        &self,
        entry: &Entry,
        track: Track,
        patience: Duration,
        mut look: impl FnMut(&Timeline, bool) -> Option<T>,
    ) -> Result<Option<T>, HlsError> {
        let began = self.clock.now();
        let deadline = self.clock.instant(began + patience);
        let mut sessions = self.sessions.news();
        loop {
            sessions.mark_unchanged();
            // First the news, then the look: nothing is missed between them.
            let mut news = self.sessions.find(entry.id).map(|live| live.news(track));
            let (state, live) = self.state(entry).await?;
            let Some(now) = &state.tracks[track as usize] else {
                let soon = deadline.min(self.clock.instant(began + OTHER_PATIENCE));
                if live.is_none() || timeout_at(soon, sessions.changed()).await.is_err() {
                    return Err(HlsError::NoTrack);
                }
                continue;
            };
            {
                let mut timeline = entry.tracks[track as usize].lock().await;
                self.refresh(entry.id, track, now, &mut timeline).await?;
                if let Some(answer) = look(&timeline, state.has_ended) {
                    return Ok(Some(answer));
                }
            }
            if state.has_ended {
                return Ok(None);
            }
            let changed = async {
                tokio::select! {
                    () = changed(news.as_mut()) => {}
                    _ = sessions.changed() => {}
                }
            };
            if timeout_at(deadline, changed).await.is_err() {
                return Ok(None);
            }
        }
    }

    async fn refresh(
        &self,
        id: SessionId,
        track: Track,
        now: &TrackState,
        timeline: &mut Timeline,
    ) -> Result<(), HlsError> {
        let mut rows = Vec::new();
        for units in timeline.unknown(&now.durable) {
            rows.extend(self.database.parts_in(id, track, units).await?);
        }
        timeline.extend(now.params.iter().map(|params| params.from_unit).collect(), rows);
        Ok(())
    }
}

const fn has_ended(status: SessionStatus) -> bool {
    matches!(status, SessionStatus::Completed | SessionStatus::Abandoned)
}

async fn changed(news: Option<&mut watch::Receiver<()>>) {
    match news {
        Some(news) => {
            // The sender lives as long as the session; when that goes, the sessions' news say so.
            if news.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        None => std::future::pending().await,
    }
}
