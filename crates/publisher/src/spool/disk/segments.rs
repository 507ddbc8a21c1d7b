//! The files of a track's log: segments of units, and the notes.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use protocol::Track;

use super::files::{Files, LogFile};
use super::index::Place;

/// What a session's units take on disk, of both tracks together.
#[derive(Debug)]
pub(super) struct Budget {
    capacity_bytes: u64,
    used_bytes: AtomicU64,
}

impl Budget {
    pub(super) const fn new(capacity_bytes: u64) -> Self {
        Self { capacity_bytes, used_bytes: AtomicU64::new(0) }
    }

    pub(super) const fn capacity_bytes(&self) -> u64 {
        self.capacity_bytes
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: u64) {
        self.used_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn take_back(&self, bytes: u64) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The name of a file of a log; see [`parse_name`].
pub(super) fn name(track: Track, kind: Kind, id: u32) -> String {
    format!("{track}-{id:08}.{}", kind.extension())
}

/// What a file of a log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Units,
    Notes,
}

impl Kind {
    const fn extension(self) -> &'static str {
        match self {
            Self::Units => "units",
            Self::Notes => "notes",
        }
    }
}

/// The track, the kind and the number that a file's name tells; none for a file that is not of a log.
pub(super) fn parse_name(text: &str) -> Option<(Track, Kind, u32)> {
    let (stem, extension) = text.split_once('.')?;
    let (track, id) = stem.split_once('-')?;
    let track = Track::ALL.into_iter().find(|known| known.name() == track)?;
    let kind = [Kind::Units, Kind::Notes].into_iter().find(|kind| kind.extension() == extension)?;
    let id = id.parse().ok()?;
    (name(track, kind, id) == text).then_some((track, kind, id))
}

/// A file that records are added to. What a failed write left is cut off before the next one.
struct Appender {
    file: Arc<dyn LogFile>,
    bytes: u64,
    needs_cut: bool,
    is_synced: bool,
}

impl Appender {
    fn create(files: &dyn Files, name: &str) -> io::Result<Self> {
        Ok(Self { file: files.create(name)?, bytes: 0, needs_cut: false, is_synced: true })
    }

    /// Adds a record and gives the place where it begins.
    fn append(&mut self, record: &[u8]) -> io::Result<u64> {
        if self.needs_cut {
            self.file.cut(self.bytes)?;
        }
        self.needs_cut = true;
        self.is_synced = false;
        self.file.append(record)?;
        self.needs_cut = false;
        let offset = self.bytes;
        self.bytes += record.len() as u64;
        Ok(offset)
    }

    fn take_unsynced(&mut self) -> Option<Arc<dyn LogFile>> {
        (!std::mem::replace(&mut self.is_synced, true)).then(|| Arc::clone(&self.file))
    }
}

/// What has to be made durable.
#[derive(Default)]
pub(super) struct Unsynced {
    pub(super) files: Vec<Arc<dyn LogFile>>,
    /// Files were made.
    pub(super) names: bool,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Segment {
    /// Units in it that are not forgotten.
    pub(super) held: u64,
    pub(super) bytes: u64,
}

/// Segment files. One whose units are all forgotten is removed.
pub(super) struct Segments {
    files: Arc<dyn Files>,
    track: Track,
    segment_bytes: u64,
    budget: Arc<Budget>,
    segments: BTreeMap<u32, Segment>,
    next: u32,
    active: Option<(u32, Appender)>,
    unsynced: Unsynced,
}

impl Segments {
    /// After those that were found: nothing is added to them any more.
    pub(super) fn new(
        files: Arc<dyn Files>,
        track: Track,
        segment_bytes: u64,
        budget: Arc<Budget>,
        found: BTreeMap<u32, Segment>,
        next: u32,
    ) -> Self {
        budget.add(found.values().map(|segment| segment.bytes).sum());
        let unsynced = Unsynced::default();
        Self { files, track, segment_bytes, budget, segments: found, next, active: None, unsynced }
    }

    /// Writes a unit's record, by one call.
    pub(super) fn append(&mut self, record: &[u8]) -> io::Result<Place> {
        if self.active.is_none() {
            let appender = Appender::create(&*self.files, &name(self.track, Kind::Units, self.next))?;
            self.segments.insert(self.next, Segment::default());
            self.active = Some((self.next, appender));
            self.next += 1;
            self.unsynced.names = true;
        }
        let Some((id, appender)) = self.active.as_mut() else { return Err(io::ErrorKind::NotFound.into()) };
        let (id, offset) = (*id, appender.append(record)?);
        let is_full = appender.bytes >= self.segment_bytes;
        if let Some(segment) = self.segments.get_mut(&id) {
            segment.held += 1;
            segment.bytes += record.len() as u64;
        }
        self.budget.add(record.len() as u64);
        if is_full {
            self.seal();
        }
        let bounded = |number: u64| u32::try_from(number).map_err(|_| io::ErrorKind::FileTooLarge);
        Ok(Place::File { segment: id, offset: bounded(offset)?, length_bytes: bounded(record.len() as u64)? })
    }

    fn seal(&mut self) {
        if let Some((_, mut appender)) = self.active.take() {
            self.unsynced.files.extend(appender.take_unsynced());
        }
    }

    /// A unit of this segment is forgotten.
    pub(super) fn release(&mut self, id: u32) {
        let Some(segment) = self.segments.get_mut(&id) else { return };
        segment.held = segment.held.saturating_sub(1);
        let Segment { held, bytes } = *segment;
        if held > 0 {
            return;
        }
        if self.active.as_ref().is_some_and(|(active, _)| *active == id) {
            // A file of its own for each moment in which everything is acknowledged would be too many.
            if bytes < self.segment_bytes / 4 {
                return;
            }
            self.active = None;
        }
        self.segments.remove(&id);
        self.budget.take_back(bytes);
        if let Err(error) = self.files.remove(&name(self.track, Kind::Units, id)) {
            tracing::warn!(track = %self.track, %error, "a file of the spool is no longer needed and cannot be removed");
        }
    }

    /// The bytes of a record.
    pub(super) fn read(&self, segment: u32, offset: u32, length_bytes: u32) -> io::Result<Bytes> {
        let name = name(self.track, Kind::Units, segment);
        self.files.read_at(&name, offset.into(), length_bytes as usize).map(Bytes::from)
    }

    pub(super) fn take_unsynced(&mut self) -> Unsynced {
        let mut unsynced = std::mem::take(&mut self.unsynced);
        unsynced.files.extend(self.active.as_mut().and_then(|(_, appender)| appender.take_unsynced()));
        unsynced
    }
}

/// The file of a track's notes. What cannot be written waits in memory.
pub(super) struct Notes {
    files: Arc<dyn Files>,
    name: String,
    appender: Option<Appender>,
    waiting: VecDeque<Bytes>,
    is_new: bool,
}

impl Notes {
    pub(super) fn new(files: Arc<dyn Files>, track: Track, id: u32) -> Self {
        let name = name(track, Kind::Notes, id);
        Self { files, name, appender: None, waiting: VecDeque::new(), is_new: false }
    }

    pub(super) fn push(&mut self, record: Bytes) {
        self.waiting.push_back(record);
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        while let Some(record) = self.waiting.front() {
            if self.appender.is_none() {
                self.appender = Some(Appender::create(&*self.files, &self.name)?);
                self.is_new = true;
            }
            if let Some(appender) = &mut self.appender {
                appender.append(record)?;
            }
            self.waiting.pop_front();
        }
        Ok(())
    }

    pub(super) fn take_unsynced(&mut self) -> Unsynced {
        let file = self.appender.as_mut().and_then(Appender::take_unsynced);
        Unsynced { files: file.into_iter().collect(), names: std::mem::take(&mut self.is_new) }
    }
}
