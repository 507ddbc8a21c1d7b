//! `recording.mp4`: where each of its bytes is found.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use media::mp4::recording::{Layout, RecordedPart, RecordedTrack, layout};
use media::mp4::{FragmentIndex, Mp4Error, read_fragment};
use protocol::codec::CodecParameters;
use protocol::{SessionId, Track};
use tokio::sync::Semaphore;

use crate::database::{Database, DatabaseError, PartRow, SegmentRow};
use crate::store::{SegmentKey, Store, StoreError};

/// Recordings whose layout is kept, for the many ranges that one viewer asks for.
const CACHED: usize = 16;
/// Layouts made at the same time; each reads the index of every part.
const BUILDERS: usize = 2;
/// What a fragment's head takes at the most, besides this much a unit. A larger one is read again, whole.
const HEAD_BYTES: u64 = 512;
const HEAD_BYTES_PER_UNIT: u64 = 16;

/// Why there is no recording to play.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaybackError {
    #[error("the session has no media that can be played yet")]
    Nothing,
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the recording cannot be laid out: {0}")]
    Layout(Mp4Error),
}

/// A recording: a header, then payloads where they are stored.
#[derive(Debug)]
pub(crate) struct Recording {
    /// Changes when, and only when, the bytes do.
    pub(crate) etag: String,
    pub(crate) total_bytes: u64,
    pub(super) header: Bytes,
    pub(super) pieces: Vec<Piece>,
}

/// A payload's place in the recording and in the store.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// Where it starts in the recording.
    pub(super) at: u64,
    pub(super) segment: SegmentKey,
    /// Its bytes of the segment.
    pub(super) bytes: Range<u64>,
}

/// Makes recordings and keeps the layouts of the latest.
#[derive(Debug)]
pub(crate) struct Recordings {
    database: Arc<dyn Database>,
    store: Arc<dyn Store>,
    cache: Mutex<VecDeque<(SessionId, Arc<Recording>)>>,
    builders: Semaphore,
}

impl Recordings {
    pub(crate) fn new(database: Arc<dyn Database>, store: Arc<dyn Store>) -> Self {
        Self { database, store, cache: Mutex::default(), builders: Semaphore::new(BUILDERS) }
    }

    pub(crate) const fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The recording of what is durable now; `None` for an unknown session.
    ///
    /// # Errors
    /// [`PlaybackError`].
    pub(crate) async fn get(&self, id: SessionId) -> Result<Option<Arc<Recording>>, PlaybackError> {
        let Some(version) = self.database.version(id).await? else { return Ok(None) };
        let etag = format!("\"{id}-{}-{}\"", version.parts, version.bytes);
        if let Some(cached) = self.cached(id, &etag) {
            return Ok(Some(cached));
        }
        // A closed semaphore would only mean that nobody waits any more.
        let _permit = self.builders.acquire().await.ok();
        if let Some(cached) = self.cached(id, &etag) {
            return Ok(Some(cached));
        }
        let (segments, parts) = (self.database.segments(id).await?, self.database.parts(id).await?);
        let bytes: u64 = parts.iter().map(|part| part.length_bytes).sum();
        let etag = format!("\"{id}-{}-{bytes}\"", parts.len());
        let recording = Arc::new(build(&*self.store, etag, &segments, &parts).await?);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.retain(|(cached, _)| *cached != id);
        cache.truncate(CACHED - 1);
        cache.push_front((id, Arc::clone(&recording)));
        Ok(Some(recording))
    }

    fn cached(&self, id: SessionId, etag: &str) -> Option<Arc<Recording>> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let found = cache.iter().find(|(cached, recording)| *cached == id && recording.etag == etag);
        found.map(|(_, recording)| Arc::clone(recording))
    }
}

async fn build(
    store: &dyn Store,
    etag: String,
    segments: &[SegmentRow],
    parts: &[PartRow],
) -> Result<Recording, PlaybackError> {
    let parameters: HashMap<SegmentKey, &CodecParameters> =
        segments.iter().map(|segment| (segment.key, &segment.parameters)).collect();
    let mut indexes = read_indexes(store, parts).await?;
    let mut tracks: Vec<RecordedTrack> = Vec::new();
    let mut rows: HashMap<Track, Vec<(PartRow, u32)>> = HashMap::new();
    for (at, part) in parts.iter().enumerate() {
        let (Some(index), Some(parameters)) = (indexes[at].take(), parameters.get(&part.segment)) else {
            tracing::error!(target: crate::log::TARGET, segment = %part.segment, "a part of {} cannot be read and is left out", part.segment);
            continue;
        };
        let name = part.segment.track;
        if tracks.last().is_none_or(|track| track.track != name) {
            tracks.push(RecordedTrack { track: name, parameters: Vec::new(), parts: Vec::new() });
        }
        let Some(track) = tracks.last_mut() else { continue };
        let known = track.parameters.iter().position(|known| known == *parameters);
        let parameters_index = known.unwrap_or_else(|| {
            track.parameters.push((*parameters).clone());
            track.parameters.len() - 1
        });
        rows.entry(name).or_default().push((*part, index.payload_offset));
        track.parts.push(RecordedPart {
            parameters_index,
            first_unit: part.first_unit,
            pts_90k: part.pts_90k,
            index,
        });
    }
    let laid_out = layout(&tracks).map_err(|error| match error {
        Mp4Error::NoUnits => PlaybackError::Nothing,
        error => PlaybackError::Layout(error),
    })?;
    Ok(place(etag, laid_out, &rows))
}

/// Finds the pieces of a layout in the store.
fn place(etag: String, layout: Layout, rows: &HashMap<Track, Vec<(PartRow, u32)>>) -> Recording {
    let mut at = layout.header.len() as u64;
    let pieces = layout.pieces.iter().filter_map(|piece| {
        let (row, payload_offset) = rows.get(&piece.track)?.get(piece.part)?;
        let start = row.offset_bytes + u64::from(*payload_offset);
        let placed = Piece { at, segment: row.segment, bytes: start..start + u64::from(piece.bytes) };
        at += u64::from(piece.bytes);
        Some(placed)
    });
    let pieces = pieces.collect();
    Recording { etag, total_bytes: layout.total_bytes, header: layout.header, pieces }
}

/// Reads the fragments' heads, segment by segment; `None` for a part whose bytes are not there or not a fragment.
async fn read_indexes(
    store: &dyn Store,
    parts: &[PartRow],
) -> Result<Vec<Option<FragmentIndex>>, StoreError> {
    let mut indexes = vec![None; parts.len()];
    let mut start = 0;
    while let Some(first) = parts.get(start) {
        let count = parts[start..].iter().take_while(|part| part.segment == first.segment).count();
        let rows = &parts[start..start + count];
        let head = |row: &PartRow| {
            let bytes = HEAD_BYTES + HEAD_BYTES_PER_UNIT * u64::from(row.unit_count);
            row.offset_bytes..row.offset_bytes + bytes.min(row.length_bytes)
        };
        match store.read(first.segment, rows.iter().map(head).collect()).await {
            Ok(heads) => {
                for (at, (row, head)) in rows.iter().zip(heads).enumerate() {
                    indexes[start + at] = read_index(store, row, &head).await;
                }
            }
            Err(StoreError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
        start += count;
    }
    Ok(indexes)
}

async fn read_index(store: &dyn Store, row: &PartRow, head: &[u8]) -> Option<FragmentIndex> {
    let index = match read_fragment(head) {
        Ok(index) => index,
        Err(Mp4Error::Truncated { .. }) => {
            let whole = store
                .read(row.segment, std::iter::once(row.offset_bytes..row.end_bytes()).collect())
                .await
                .ok()?;
            read_fragment(whole.first()?).ok()?
        }
        Err(_) => return None,
    };
    let is_the_rows = index.track == row.segment.track
        && index.total_bytes == row.length_bytes
        && index.samples.len() == row.unit_count as usize;
    is_the_rows.then_some(index)
}
