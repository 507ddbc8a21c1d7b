//! `longtake-ingest check`: whether the files hold what the rows promise. It changes nothing.

use std::collections::HashMap;
use std::fmt;
use std::fs::{File, TryLockError};
use std::path::Path;

use media::mp4::{StoredUnit, walk_segment};
use media::time::media_time;
use protocol::digest::UnitDigests;
use protocol::{SessionId, Track};

use crate::database::{Database, DatabaseError, PartRow, SegmentRow, SqliteDatabase};
use crate::server::{DATABASE_FILE, LOCK_FILE};
use crate::store::{LocalStore, SegmentKey, Store, StoreError};

/// Why the check could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// There are no recordings where they were looked for.
    #[error("{0} holds no recordings; name the server's data-dir")]
    NotADataDir(std::path::PathBuf),
    /// The rows cannot be read.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The files cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is wrong: something that was acknowledged cannot be played as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The file ends before the part does, or is not there.
    Missing(SegmentKey, u64),
    /// The part's bytes are not those that were stored.
    Checksum(SegmentKey, u64),
    /// The file's boxes are broken within what rows cover.
    Boxes(SegmentKey, String),
    /// A row says something else of a part than the file.
    Row(SegmentKey, u64),
    /// A unit is not the one that its digest was taken of.
    Digest(SegmentKey, u64),
    /// Two rows claim the same unit.
    Overlap(SegmentKey, u64),
    /// A part's segment has no row.
    NoSegment(SegmentKey),
}

/// What a crash leaves behind and the next start clears away: no unit that was acknowledged is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// Bytes behind the last row.
    Tail(SegmentKey, u64),
    /// A file without rows.
    Orphan(SegmentKey),
    /// Files of a session without rows.
    UnknownSession(SessionId),
}

/// The outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Whether a server is recording into the folder, so that there may be notes about what it is writing.
    pub is_serving: bool,
    /// Sessions looked at.
    pub sessions: u64,
    /// Segments looked at.
    pub segments: u64,
    /// Parts looked at.
    pub parts: u64,
    /// Units in them.
    pub units: u64,
    /// Bytes of their fragments.
    pub bytes: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What is left over.
    pub notes: Vec<Note>,
}

/// Checks a data folder.
///
/// # Errors
/// [`CheckError`] when it cannot be read; what is wrong in it is in the report.
pub async fn check_folder(data_dir: &Path) -> Result<Report, CheckError> {
    let file = data_dir.join(DATABASE_FILE);
    if !file.is_file() {
        return Err(CheckError::NotADataDir(data_dir.to_owned()));
    }
    let lock = File::open(data_dir.join(LOCK_FILE));
    let is_serving = lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)));
    let database = SqliteDatabase::open_existing(&file).await?;
    let report = check(&database, &LocalStore::open(data_dir)?).await;
    database.close().await;
    Ok(Report { is_serving, ..report? })
}

/// Checks all sessions, one after another.
///
/// # Errors
/// [`CheckError`] when rows or files cannot be read.
pub async fn check(database: &dyn Database, store: &dyn Store) -> Result<Report, CheckError> {
    let mut report = Report::default();
    let known = database.ids().await?;
    for &id in &known {
        check_session(database, store, id, &mut report).await?;
    }
    let unknown = store.sessions().await?.into_iter().filter(|id| known.binary_search(id).is_err());
    report.notes.extend(unknown.map(Note::UnknownSession));
    Ok(report)
}

async fn check_session(
    database: &dyn Database,
    store: &dyn Store,
    id: SessionId,
    report: &mut Report,
) -> Result<(), CheckError> {
    // Rows first: what they name was there when they were read, whatever a running server adds meanwhile.
    let (segments, parts) = (database.segments(id).await?, database.parts(id).await?);
    let files = store.segments(id).await?;
    let mut digests = [UnitDigests::new(), UnitDigests::new()];
    for track in Track::ALL {
        digests[track as usize] = database.digests(id, track).await?;
    }
    report.sessions += 1;
    report.problems.extend(overlaps(&parts));
    let mut of_segment: HashMap<SegmentKey, Vec<PartRow>> = HashMap::new();
    for part in parts {
        report.parts += 1;
        report.units += u64::from(part.unit_count);
        report.bytes += part.length_bytes;
        of_segment.entry(part.segment).or_default().push(part);
    }
    for segment in &segments {
        report.segments += 1;
        let parts = of_segment.remove(&segment.key).unwrap_or_default();
        let length = files.iter().find(|file| file.key == segment.key).map_or(0, |file| file.bytes);
        let bytes = match store.read(segment.key, std::iter::once(0..length).collect()).await {
            Ok(mut bytes) => bytes.pop().unwrap_or_default(),
            Err(StoreError::Missing { .. }) => bytes::Bytes::new(),
            Err(error) => return Err(error.into()),
        };
        let (problems, notes) = check_segment(segment, &parts, &digests[segment.key.track as usize], &bytes);
        report.problems.extend(problems);
        report.notes.extend(notes);
    }
    report.problems.extend(of_segment.into_keys().map(Problem::NoSegment));
    let orphans = files.iter().filter(|file| !segments.iter().any(|segment| segment.key == file.key));
    report.notes.extend(orphans.map(|file| Note::Orphan(file.key)));
    Ok(())
}

/// Rows of a session, ascending by track and unit, that claim a unit twice. Pure.
#[must_use]
pub fn overlaps(parts: &[PartRow]) -> Vec<Problem> {
    let twice = |pair: &&[PartRow]| {
        pair[0].segment.track == pair[1].segment.track && pair[1].first_unit < pair[0].next_unit()
    };
    parts.windows(2).filter(twice).map(|pair| Problem::Overlap(pair[1].segment, pair[1].first_unit)).collect()
}

/// Compares one segment's bytes with its row, the rows of its parts and the digests of their units. Pure.
#[must_use]
pub fn check_segment(
    segment: &SegmentRow,
    parts: &[PartRow],
    digests: &UnitDigests,
    bytes: &[u8],
) -> (Vec<Problem>, Vec<Note>) {
    let key = segment.key;
    let mut problems = Vec::new();
    let mut notes = Vec::new();
    let end = parts.iter().map(PartRow::end_bytes).max().unwrap_or(0);
    if end == 0 {
        notes.push(Note::Orphan(key));
        return (problems, notes);
    }
    if (bytes.len() as u64) > end {
        notes.push(Note::Tail(key, bytes.len() as u64 - end));
    }
    let walk = walk_segment(&bytes[..bytes.len().min(end as usize)]);
    if let Some(fault) = &walk.fault
        && bytes.len() as u64 >= end
    {
        problems.push(Problem::Boxes(key, fault.to_string()));
    }
    let has_init = walk
        .init
        .as_ref()
        .is_some_and(|init| init.total_bytes == segment.init_bytes && init.parameters == segment.parameters);
    if !has_init && !bytes.is_empty() {
        problems.push(Problem::Boxes(key, "the init segment is not the row's".to_owned()));
    }
    for part in parts {
        let range = part.offset_bytes as usize..part.end_bytes() as usize;
        let Some(fragment) = bytes.get(range) else {
            problems.push(Problem::Missing(key, part.first_unit));
            continue;
        };
        if crc32fast::hash(fragment) != part.crc32 {
            problems.push(Problem::Checksum(key, part.first_unit));
            continue;
        }
        let index = walk.fragments.iter().find(|(offset, index)| {
            *offset == part.offset_bytes
                && index.total_bytes == part.length_bytes
                && index.samples.len() == part.unit_count as usize
                && u64::from(index.payload_bytes) == part.payload_bytes
                && index.base_decode_time == media_time(key.track, part.pts_90k)
                && index.samples.first().is_some_and(|first| first.key == part.key)
        });
        match index {
            None => problems.push(Problem::Row(key, part.first_unit)),
            Some((offset, index)) => {
                let payload = &fragment[index.payload_offset as usize..];
                let units = index.units(part.first_unit, *offset);
                problems.extend(altered(units, payload, digests).map(|unit| Problem::Digest(key, unit)));
            }
        }
    }
    (problems, notes)
}

/// The numbers of units that are not those of their digests; `payload` holds theirs in a row.
fn altered<'a>(
    units: impl Iterator<Item = StoredUnit> + 'a,
    payload: &'a [u8],
    digests: &'a UnitDigests,
) -> impl Iterator<Item = u64> + 'a {
    let mut rest = payload;
    units.filter_map(move |unit| {
        let (own, after) = rest.split_at_checked(unit.bytes as usize)?;
        rest = after;
        let is_right = digests.get(unit.number).is_some_and(|digest| unit.has_digest(own, digest));
        (!is_right).then_some(unit.number)
    })
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(key, unit) => write!(f, "{key}: the part of unit {unit} is missing"),
            Self::Checksum(key, unit) => write!(f, "{key}: the part of unit {unit} is damaged (CRC-32)"),
            Self::Boxes(key, fault) => write!(f, "{key}: {fault}"),
            Self::Row(key, unit) => write!(f, "{key}: the part of unit {unit} is not as its row says"),
            Self::Digest(key, unit) => write!(f, "{key}: unit {unit} is not the one that arrived (BLAKE3)"),
            Self::Overlap(key, unit) => write!(f, "{key}: unit {unit} is stored twice"),
            Self::NoSegment(key) => write!(f, "{key}: parts have rows, and their segment has none"),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tail(key, bytes) => write!(f, "{key}: {bytes} bytes that were never acknowledged"),
            Self::Orphan(key) => write!(f, "{key}: never acknowledged"),
            Self::UnknownSession(id) => write!(f, "sessions/{id}: no such session"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "WRONG  {problem}")?;
        }
        for note in &self.notes {
            writeln!(f, "note   {note}")?;
        }
        if !self.notes.is_empty() {
            let what = if self.is_serving {
                "a running server is just writing"
            } else {
                "the next start clears away"
            };
            writeln!(f, "Notes are about what {what}; nothing in them was acknowledged.")?;
        }
        let Report { sessions, segments, parts, units, bytes, .. } = self;
        writeln!(f, "{sessions} sessions {segments} segments {parts} parts {units} units {bytes} bytes")?;
        match self.problems.len() {
            0 => write!(f, "clean: every acknowledged unit is there as it came"),
            1 => write!(f, "1 thing is wrong"),
            more => write!(f, "{more} things are wrong"),
        }
    }
}

impl Report {
    /// Whether every acknowledged unit is there.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}
