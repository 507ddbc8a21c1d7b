//! Sessions that the server does not have completely, and that no program sends any more.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use protocol::{RoomName, SessionId, Track};

use super::SpoolError;
use super::files::Folder;
use super::recovery::find;
use super::session::{About, own, remove};
use crate::spool::Backlog;

/// A session whose folder is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// The session.
    pub session: SessionId,
    /// The room that it is in.
    pub room: RoomName,
    /// The server that it was sent to, in its full form.
    pub server: String,
    /// When it was started, in ms since 1970.
    pub started_unix_ms: u64,
    /// Whether a program that runs owns it: it is being recorded or resumed.
    pub in_use: bool,
    /// What waits, at most: the server may have a part of it. Empty for a session that is in use.
    pub tracks: Vec<(Track, Backlog)>,
}

/// What a spool's folder holds.
#[derive(Debug, Default)]
pub struct Listing {
    /// Sessions, the oldest first.
    pub sessions: Vec<Unfinished>,
    /// Folders of sessions that cannot be read, and why.
    pub unreadable: Vec<(PathBuf, String)>,
}

/// Lists the sessions in a spool's folder. Reads every unit that waits, and so may take seconds; changes nothing.
///
/// # Errors
/// When the folder cannot be listed; one that does not exist is empty.
pub fn unfinished(folder: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for session in sessions(folder)? {
        let path = folder.join(session.to_string());
        match look(&path) {
            Ok(found) => listing.sessions.push(found),
            Err(error) => listing.unreadable.push((path, error.to_string())),
        }
    }
    Ok(listing)
}

/// The sessions in a spool's folder that no running program owns, without a look at their units. Oldest first.
///
/// # Errors
/// When the folder cannot be listed; one that does not exist is empty.
pub fn waiting_sessions(folder: &Path) -> io::Result<Vec<SessionId>> {
    let is_waiting = |session: &SessionId| own(&folder.join(session.to_string())).is_ok();
    Ok(sessions(folder)?.into_iter().filter(is_waiting).collect())
}

/// Removes a session's folder, with all units that the server does not have.
///
/// # Errors
/// [`SpoolError`]: a program that runs owns it, or the disk refuses.
pub fn discard(folder: &Path, session: SessionId) -> Result<(), SpoolError> {
    let path = folder.join(session.to_string());
    let _lock = own(&path)?;
    remove(&path, &Folder::new(&path)).map_err(|source| SpoolError::Disk { path, source })
}

/// The sessions that have a folder. One whose program ended before it had taken a unit has no description, and
/// nothing to resume.
fn sessions(folder: &Path) -> io::Result<Vec<SessionId>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut sessions = Vec::new();
    for entry in entries {
        let entry = entry?;
        let session = entry.file_name().to_str().and_then(|name| name.parse::<SessionId>().ok());
        sessions.extend(session.filter(|_| entry.path().join("session.json").exists()));
    }
    // A UUIDv7 sorts by time.
    sessions.sort_unstable();
    Ok(sessions)
}

fn look(path: &Path) -> Result<Unfinished, SpoolError> {
    let about = About::read(path)?;
    let in_use = match own(path) {
        Ok(_) => false,
        Err(SpoolError::InUse(_)) => true,
        Err(error) => return Err(error),
    };
    let mut tracks = Vec::new();
    for &track in about.tracks.iter().filter(|_| !in_use) {
        let found = find(&Folder::new(path), track)
            .map_err(|source| SpoolError::Disk { path: path.to_owned(), source })?;
        tracks.push((track, found.index.backlog()));
    }
    let About { session, room, server, started_unix_ms, .. } = about;
    Ok(Unfinished { session, room, server, started_unix_ms, in_use, tracks })
}
