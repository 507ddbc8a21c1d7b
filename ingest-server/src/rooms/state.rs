//! Who and what is in the rooms. Pure: time comes in, messages go out.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use protocol::error::{ErrorBody, ErrorCode};
use protocol::room::{
    CHAT_HISTORY, ChatMessage, MAX_ALIAS_CHARS, MAX_CHAT_CHARS, Room, RoomMessage, RoomSession, TokenId,
    Viewer, ViewerId, ViewerMessage,
};
use protocol::{RoomName, SessionId};

use super::chat::{TextError, Window, cleaned};

/// What one viewer may write, also under several names and connections.
const VIEWER_WINDOW: (usize, Duration) = (5, Duration::from_secs(10));
/// What all viewers of a room may write together: more can nobody read.
const ROOM_WINDOW: (usize, Duration) = (50, Duration::from_secs(10));
/// Sockets of one viewer: the pages that it has open. A further one takes the oldest one's place.
const SOCKETS_PER_VIEWER: usize = 4;
/// The count of viewers is told at most this often.
const COUNT_INTERVAL: Duration = Duration::from_millis(500);

/// What rooms there are, and how much they may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomLimits {
    /// Rooms that are always there.
    pub named: BTreeSet<RoomName>,
    /// Whether only rooms that were made beforehand take anybody.
    pub only_named: bool,
    /// Rooms at the same time.
    pub rooms: usize,
    /// Sessions of one room in memory.
    pub publishers: usize,
    /// Viewers of one room.
    pub viewers: usize,
    /// When a room that nobody publishes to or watches vanishes.
    pub lasts: Duration,
}

/// Names one socket of a viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SocketId(pub(super) u64);

/// All rooms.
///
/// Invariant: a room that is not kept has a session, a viewer or a guest, or had one less than
/// [`RoomLimits::lasts`] ago.
#[derive(Debug)]
pub(super) struct RoomsState {
    limits: RoomLimits,
    rooms: BTreeMap<RoomName, RoomState>,
}

#[derive(Debug)]
struct RoomState {
    /// Whether it was made beforehand.
    is_kept: bool,
    /// What the room was told of its sessions last.
    sessions: Vec<RoomSession>,
    viewers: HashMap<ViewerId, Present>,
    /// Viewers without a socket: whoever watches by a program.
    guests: u32,
    chat: VecDeque<ChatMessage>,
    next_number: u64,
    said: Window,
    /// The count that was told last, and when.
    told: (u32, Duration),
    /// Since when nobody is there.
    empty_since: Option<Duration>,
}

/// A viewer, for as long as it has a socket or what it wrote counts.
#[derive(Debug)]
struct Present {
    alias: Option<String>,
    /// Oldest first; each counts as watching or not.
    sockets: Vec<(SocketId, bool)>,
    /// By which token it came last.
    token: Option<TokenId>,
    said: Window,
}

impl RoomState {
    fn new(now: Duration, is_kept: bool) -> Self {
        Self {
            is_kept,
            sessions: Vec::new(),
            viewers: HashMap::new(),
            guests: 0,
            chat: VecDeque::new(),
            next_number: 1,
            said: Window::new(ROOM_WINDOW.0, ROOM_WINDOW.1),
            told: (0, now),
            empty_since: Some(now),
        }
    }

    fn count(&self) -> u32 {
        let watching =
            self.viewers.values().filter(|viewer| viewer.sockets.iter().any(|(_, watches)| *watches));
        watching.count() as u32 + self.guests
    }

    fn is_empty(&self) -> bool {
        let has_sockets = self.viewers.values().any(|viewer| !viewer.sockets.is_empty());
        self.sessions.is_empty() && !has_sockets && self.guests == 0
    }

    /// Keeps in mind since when the room is empty.
    fn look(&mut self, now: Duration) {
        if self.is_empty() {
            self.empty_since.get_or_insert(now);
        } else {
            self.empty_since = None;
        }
    }
}

impl RoomsState {
    /// The rooms that are always there, and those that were made beforehand.
    pub(super) fn new(now: Duration, limits: RoomLimits, kept: impl IntoIterator<Item = RoomName>) -> Self {
        let mut state = Self { rooms: BTreeMap::new(), limits };
        for name in state.limits.named.clone().into_iter().chain(kept) {
            state.rooms.entry(name).or_insert_with(|| RoomState::new(now, true));
        }
        state
    }

    /// The names of all rooms.
    pub(super) fn names(&self) -> impl Iterator<Item = &RoomName> {
        self.rooms.keys()
    }

    /// Makes sure that the room is there for somebody who joins it.
    ///
    /// # Errors
    /// [`ErrorCode::RoomClosed`] or [`ErrorCode::TooManySessions`].
    pub(super) fn admit(&mut self, now: Duration, name: &RoomName) -> Result<(), ErrorBody> {
        if self.rooms.contains_key(name) {
            return Ok(());
        }
        if self.limits.only_named {
            let message =
                format!("there is no room {name}, and rooms are made by who administers the server");
            return Err(ErrorBody::new(ErrorCode::RoomClosed, message));
        }
        self.insert(now, name, false)
    }

    /// Makes sure that the room of a session that is there already is there too.
    pub(super) fn ensure(&mut self, now: Duration, name: &RoomName) {
        if !self.rooms.contains_key(name) {
            self.rooms.insert(name.clone(), RoomState::new(now, false));
        }
    }

    fn insert(&mut self, now: Duration, name: &RoomName, is_kept: bool) -> Result<(), ErrorBody> {
        if self.rooms.len() >= self.limits.rooms {
            let empty = self.rooms.iter().filter(|(_, room)| !room.is_kept);
            let longest = empty.filter_map(|(name, room)| Some((room.empty_since?, name))).min();
            let Some(longest) = longest.map(|(_, name)| name.clone()) else {
                let message = "the server has as many rooms as it is set to";
                return Err(ErrorBody::new(ErrorCode::TooManySessions, message));
            };
            self.rooms.remove(&longest);
        }
        self.rooms.insert(name.clone(), RoomState::new(now, is_kept));
        Ok(())
    }

    /// Makes a room beforehand. Says whether it was not kept before.
    ///
    /// # Errors
    /// [`ErrorCode::TooManySessions`].
    pub(super) fn keep(&mut self, now: Duration, name: &RoomName) -> Result<bool, ErrorBody> {
        if !self.rooms.contains_key(name) {
            self.insert(now, name, true)?;
            return Ok(true);
        }
        let room = self.rooms.get_mut(name);
        Ok(room.is_some_and(|room| !std::mem::replace(&mut room.is_kept, true)))
    }

    /// Closes a room: it is forgotten with its chat. One of the settings is empty then. Says whether there was one.
    pub(super) fn close(&mut self, now: Duration, name: &RoomName) -> bool {
        let was_there = self.rooms.remove(name).is_some();
        if self.limits.named.contains(name) {
            self.rooms.insert(name.clone(), RoomState::new(now, true));
        }
        was_there
    }

    /// Whether a session may come to a room in which `others` are.
    ///
    /// # Errors
    /// Those of [`Self::admit`], and [`ErrorCode::RoomFull`].
    pub(super) fn admit_session(
        &mut self,
        now: Duration,
        name: &RoomName,
        others: usize,
    ) -> Result<(), ErrorBody> {
        if others >= self.limits.publishers {
            let message = format!("room {name} has as many publishers as it may");
            return Err(ErrorBody::new(ErrorCode::RoomFull, message));
        }
        self.admit(now, name)
    }

    /// A viewer's socket joins. Says which socket has to leave for it.
    ///
    /// # Errors
    /// Those of [`Self::admit`], [`ErrorCode::RoomFull`], and [`ErrorCode::BadRequest`] for a bad alias.
    pub(super) fn enter(
        &mut self,
        now: Duration,
        name: &RoomName,
        viewer: &ViewerId,
        alias: Option<&str>,
        socket: (SocketId, bool),
    ) -> Result<Option<SocketId>, ErrorBody> {
        let alias = alias.map(shown_name).transpose()?;
        self.admit(now, name)?;
        let limit = self.limits.viewers;
        let Some(room) = self.rooms.get_mut(name) else { return Err(gone()) };
        let present = room.viewers.values().filter(|viewer| !viewer.sockets.is_empty()).count();
        let is_here = room.viewers.get(viewer).is_some_and(|viewer| !viewer.sockets.is_empty());
        if !is_here && present + room.guests as usize >= limit {
            let message = format!("room {name} has as many viewers as it may");
            return Err(ErrorBody::new(ErrorCode::RoomFull, message));
        }
        let viewer = room.viewers.entry(viewer.clone()).or_insert_with(|| Present {
            alias: None,
            sockets: Vec::new(),
            token: None,
            said: Window::new(VIEWER_WINDOW.0, VIEWER_WINDOW.1),
        });
        viewer.alias = alias.or(viewer.alias.take());
        let superseded = (viewer.sockets.len() >= SOCKETS_PER_VIEWER).then(|| viewer.sockets.remove(0).0);
        viewer.sockets.push(socket);
        room.empty_since = None;
        Ok(superseded)
    }

    /// A viewer that has just come did so by this token.
    pub(super) fn came_by(&mut self, name: &RoomName, viewer: &ViewerId, token: Option<TokenId>) {
        if let Some(viewer) = self.rooms.get_mut(name).and_then(|room| room.viewers.get_mut(viewer)) {
            viewer.token = token;
        }
    }

    /// A viewer's socket is gone.
    pub(super) fn leave(&mut self, now: Duration, name: &RoomName, viewer: &ViewerId, socket: SocketId) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        if let Some(present) = room.viewers.get_mut(viewer) {
            present.sockets.retain(|(id, _)| *id != socket);
        }
        room.look(now);
    }

    /// A viewer without a socket comes.
    ///
    /// # Errors
    /// Those of [`Self::admit`], and [`ErrorCode::RoomFull`].
    pub(super) fn guest_comes(&mut self, now: Duration, name: &RoomName) -> Result<(), ErrorBody> {
        self.admit(now, name)?;
        let limit = self.limits.viewers;
        let Some(room) = self.rooms.get_mut(name) else { return Err(gone()) };
        if room.count() as usize >= limit {
            let message = format!("room {name} has as many viewers as it may");
            return Err(ErrorBody::new(ErrorCode::RoomFull, message));
        }
        room.guests += 1;
        room.empty_since = None;
        Ok(())
    }

    /// A viewer without a socket is gone.
    pub(super) fn guest_leaves(&mut self, now: Duration, name: &RoomName) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        room.guests = room.guests.saturating_sub(1);
        room.look(now);
    }

    /// A viewer says something. Says what the room is told.
    ///
    /// # Errors
    /// Why it is refused; the viewer stays.
    pub(super) fn hear(
        &mut self,
        now: Duration,
        unix_ms: u64,
        name: &RoomName,
        viewer: &ViewerId,
        message: ViewerMessage,
    ) -> Result<Option<RoomMessage>, ErrorBody> {
        let Some(room) = self.rooms.get_mut(name) else { return Err(gone()) };
        let Some(present) = room.viewers.get_mut(viewer) else { return Err(gone()) };
        let too_often = |what: &str| Err(ErrorBody::new(ErrorCode::RateLimited, what));
        match message {
            ViewerMessage::Join { .. } => {
                Err(ErrorBody::new(ErrorCode::InvalidMessage, "join comes once, as the first message"))
            }
            ViewerMessage::Alias { alias } => {
                let alias = shown_name(&alias)?;
                if !present.said.take(now) {
                    return too_often("wait a few seconds before the next change");
                }
                present.alias = Some(alias);
                Ok(None)
            }
            ViewerMessage::Chat { text } => {
                let Some(alias) = present.alias.clone() else {
                    return Err(ErrorBody::new(ErrorCode::BadRequest, "choose a name before you write"));
                };
                let text = cleaned(&text, MAX_CHAT_CHARS)
                    .map_err(|error| refused_text(error, "message", MAX_CHAT_CHARS))?;
                if !present.said.take(now) {
                    return too_often("wait a few seconds before the next message");
                }
                if !room.said.take(now) {
                    return too_often("too much is written in this room just now; wait a few seconds");
                }
                let number = room.next_number;
                room.next_number += 1;
                let message =
                    ChatMessage { number, viewer: viewer.clone(), alias, text, at_unix_ms: unix_ms };
                if room.chat.len() >= CHAT_HISTORY {
                    room.chat.pop_front();
                }
                room.chat.push_back(message.clone());
                Ok(Some(RoomMessage::Chat(message)))
            }
        }
    }

    /// Deletes a chat message. Says what the room is told, if there was such a message.
    pub(super) fn delete_chat(&mut self, name: &RoomName, number: u64) -> Option<RoomMessage> {
        let room = self.rooms.get_mut(name)?;
        let before = room.chat.len();
        room.chat.retain(|message| message.number != number);
        (room.chat.len() < before).then_some(RoomMessage::ChatDeleted { number })
    }

    /// The room's sessions are these now. Says what the room is told.
    pub(super) fn set_sessions(
        &mut self,
        now: Duration,
        name: &RoomName,
        sessions: Vec<RoomSession>,
    ) -> Vec<RoomMessage> {
        let Some(room) = self.rooms.get_mut(name) else { return Vec::new() };
        let ids: BTreeSet<SessionId> = sessions.iter().map(|session| session.id).collect();
        let ended = room.sessions.iter().map(|session| session.id).filter(|id| !ids.contains(id));
        let mut told: Vec<RoomMessage> = ended.map(|id| RoomMessage::SessionEnded { id }).collect();
        let changed = sessions.iter().filter(|session| !room.sessions.contains(session));
        told.extend(changed.cloned().map(RoomMessage::Session));
        room.sessions = sessions;
        room.look(now);
        told
    }

    /// How many watch, if the room is to be told now.
    pub(super) fn due_count(&mut self, now: Duration, name: &RoomName) -> Option<u32> {
        let room = self.rooms.get_mut(name)?;
        let (told, at) = room.told;
        let count = room.count();
        let is_due = count != told && now >= at + COUNT_INTERVAL;
        is_due.then(|| {
            room.told = (count, now);
            count
        })
    }

    /// How many watch, as the room was told last.
    pub(super) fn told_count(&self, name: &RoomName) -> u32 {
        self.rooms.get(name).map_or(0, |room| room.told.0)
    }

    /// When [`Self::due_count`] has something to tell next.
    pub(super) fn next_count(&self) -> Option<Duration> {
        let changed = self.rooms.values().filter(|room| room.count() != room.told.0);
        changed.map(|room| room.told.1 + COUNT_INTERVAL).min()
    }

    /// Time has passed: rooms that are empty for long vanish, and so do viewers that left.
    pub(super) fn expire(&mut self, now: Duration) {
        let lasts = self.limits.lasts;
        self.rooms.retain(|_, room| {
            room.viewers.retain(|_, viewer| !viewer.sockets.is_empty() || !viewer.said.is_empty(now));
            room.is_kept || room.empty_since.is_none_or(|since| now < since + lasts)
        });
    }

    /// The room as its viewers see it.
    pub(super) fn room(&self, name: &RoomName) -> Option<Room> {
        let room = self.rooms.get(name)?;
        Some(Room { name: name.clone(), sessions: room.sessions.clone(), viewers: room.count() })
    }

    /// The latest chat messages, oldest first.
    pub(super) fn chat(&self, name: &RoomName) -> Vec<ChatMessage> {
        self.rooms.get(name).map(|room| room.chat.iter().cloned().collect()).unwrap_or_default()
    }

    /// The viewers that have a socket, by id.
    pub(super) fn viewers(&self, name: &RoomName) -> Option<Vec<Viewer>> {
        let room = self.rooms.get(name)?;
        let present = room.viewers.iter().filter(|(_, viewer)| !viewer.sockets.is_empty());
        let mut viewers: Vec<Viewer> = present
            .map(|(id, viewer)| Viewer {
                viewer: id.clone(),
                alias: viewer.alias.clone(),
                watches: viewer.sockets.iter().any(|(_, watches)| *watches),
                token: viewer.token,
            })
            .collect();
        viewers.sort_by(|a, b| a.viewer.cmp(&b.viewer));
        Some(viewers)
    }

    /// The sockets of the room's viewers.
    pub(super) fn sockets(&self, name: &RoomName) -> impl Iterator<Item = SocketId> {
        let viewers = self.rooms.get(name).into_iter().flat_map(|room| room.viewers.values());
        viewers.flat_map(|viewer| viewer.sockets.iter().map(|(id, _)| *id))
    }
}

pub(super) fn gone() -> ErrorBody {
    ErrorBody::new(ErrorCode::RoomClosed, "the room was closed")
}

/// A name as it may be shown.
///
/// # Errors
/// [`ErrorCode::BadRequest`].
pub(crate) fn shown_name(alias: &str) -> Result<String, ErrorBody> {
    cleaned(alias, MAX_ALIAS_CHARS).map_err(|error| refused_text(error, "name", MAX_ALIAS_CHARS))
}

fn refused_text(error: TextError, what: &str, most: usize) -> ErrorBody {
    let message = match error {
        TextError::Empty => format!("a {what} needs characters that can be seen"),
        TextError::TooLong => format!("a {what} has {most} characters at the most"),
    };
    ErrorBody::new(ErrorCode::BadRequest, message)
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
