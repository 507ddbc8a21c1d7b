//! Rooms: who watches, what they write to each other, and who may be there.
//!
//! What happens in a room is decided by pure code ([`state`], [`chat`], [`bans`]); [`Rooms`] connects it to sockets,
//! sessions and the database.

mod bans;
mod chat;
mod moderation;
pub(crate) mod socket;
mod state;
mod token_bans;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::RoomName;
use protocol::control::Hello;
use protocol::error::{ErrorBody, ErrorCode};
use protocol::room::{Role, Room, RoomMessage, TokenId, Viewer, ViewerId, ViewerMessage};
use tokio::sync::{Notify, broadcast, mpsc};
use tokio::time::sleep_until;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::access::{Access, Grant};
use crate::clock::Clock;
use crate::config::Bounds;
use crate::database::{Database, DatabaseError};
use crate::sessions::{Attached, Sessions};
use crate::stop::Stop;

pub use bans::Ban;
pub(crate) use moderation::no_such_room;
pub use state::RoomLimits;
pub(crate) use state::shown_name;

use bans::Bans;
use state::{RoomsState, SocketId};
use token_bans::TokenBans;

/// Messages that wait for one viewer. One who takes so few of them is disconnected, and finds the room as it then is
/// when it comes back.
const QUEUE: usize = 64;
/// Revocations that a connection may not have heard of yet. One that has missed some ends, and may come back.
const REVOCATIONS: usize = 64;
/// How long a viewer stays the same one.
const VIEWER_TOKEN_LASTS: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How often rooms are looked at though nothing was heard: changed codec parameters, and rooms that vanish.
const CARE_INTERVAL: Duration = Duration::from_secs(1);
/// Changes that come so close to each other are told together.
const CARE_REST: Duration = Duration::from_millis(20);

/// All rooms, and who is in them.
pub(crate) struct Rooms {
    hub: Mutex<Hub>,
    /// Held while a session opens, so that a room's limit holds.
    opening: tokio::sync::Mutex<()>,
    sessions: Arc<Sessions>,
    database: Arc<dyn Database>,
    access: Arc<Access>,
    bounds: Bounds,
    clock: Clock,
    revocations: broadcast::Sender<Revocation>,
    /// Wakes the caretaker: a viewer came or left.
    changed: Notify,
    next_socket: AtomicU64,
}

struct Hub {
    rooms: RoomsState,
    bans: Bans,
    token_bans: TokenBans,
    outboxes: HashMap<SocketId, mpsc::Sender<Outgoing>>,
}

/// What goes to one viewer.
#[derive(Debug, Clone)]
enum Outgoing {
    Text(Utf8Bytes),
    /// The last thing.
    Close(ErrorBody),
}

/// Who must leave at once.
#[derive(Debug, Clone)]
struct Revocation {
    /// This room; without one, every room.
    room: Option<RoomName>,
    whom: Whom,
    why: ErrorBody,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Whom {
    Everybody,
    Viewer(ViewerId),
    Token(TokenId),
}

impl Whom {
    fn includes(&self, grant: &Grant) -> bool {
        match self {
            Self::Everybody => true,
            Self::Viewer(viewer) => grant.viewer.as_ref() == Some(viewer),
            Self::Token(token) => grant.token == Some(*token),
        }
    }
}

/// A viewer's place in a room, given back when it is dropped.
pub(crate) struct Presence {
    rooms: Arc<Rooms>,
    room: RoomName,
    viewer: ViewerId,
    socket: SocketId,
}

/// A viewer without a socket of the room, counted while this lives.
pub(crate) struct Guest {
    rooms: Arc<Rooms>,
    room: RoomName,
}

/// What a viewer gets that has joined.
struct Entered {
    joined: RoomMessage,
    inbox: mpsc::Receiver<Outgoing>,
    presence: Presence,
}

impl Hub {
    /// Tells everybody in the room. Who does not take it loses its outbox, and with it the connection.
    fn tell(&mut self, room: &RoomName, message: &RoomMessage) {
        let text = Utf8Bytes::from(message.to_json());
        for socket in self.rooms.sockets(room) {
            let outbox = self.outboxes.get(&socket);
            if outbox.is_some_and(|outbox| outbox.try_send(Outgoing::Text(text.clone())).is_err()) {
                self.outboxes.remove(&socket);
            }
        }
    }
}

impl Rooms {
    /// The rooms of the settings and of the database.
    pub(crate) async fn load(
        limits: RoomLimits,
        bounds: Bounds,
        access: Arc<Access>,
        sessions: Arc<Sessions>,
        database: Arc<dyn Database>,
        clock: Clock,
    ) -> Result<Arc<Self>, DatabaseError> {
        let rooms = RoomsState::new(clock.now(), limits, database.kept_rooms().await?);
        let bans = Bans::new(database.bans().await?);
        let token_bans = TokenBans::new(database.token_bans().await?);
        Ok(Arc::new(Self {
            hub: Mutex::new(Hub { rooms, bans, token_bans, outboxes: HashMap::new() }),
            opening: tokio::sync::Mutex::default(),
            sessions,
            database,
            access,
            bounds,
            clock,
            revocations: broadcast::channel(REVOCATIONS).0,
            changed: Notify::new(),
            next_socket: AtomicU64::new(0),
        }))
    }

    fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Attaches a publisher's connection, if it may publish to the room of its hello and the room takes it.
    ///
    /// # Errors
    /// [`ErrorCode::Forbidden`], [`ErrorCode::RoomClosed`], [`ErrorCode::RoomFull`], and those of [`Sessions::open`].
    pub(crate) async fn open(&self, grant: &Grant, hello: &Hello) -> Result<Attached, ErrorBody> {
        let _opening = self.opening.lock().await;
        // Somebody may have banned the token since the connection was made.
        self.check_token(grant.clone())?.may_publish(&hello.room)?;
        if self.sessions.find(hello.session).is_none() {
            self.check_publisher(grant, &hello.room)?;
        }
        let attached = self.sessions.open(hello).await?;
        attached.session.set_publisher_token(grant.token);
        Ok(attached)
    }

    /// Whether one more session may come to the room, as far as can be told before it does.
    ///
    /// # Errors
    /// [`ErrorCode::Forbidden`], [`ErrorCode::RoomClosed`] or [`ErrorCode::RoomFull`].
    pub(crate) fn check_publisher(&self, grant: &Grant, room: &RoomName) -> Result<(), ErrorBody> {
        grant.may_publish(room)?;
        let others = self.sessions.in_room(room).len();
        self.hub().rooms.admit_session(self.clock.now(), room, others)
    }

    /// Whether a viewer's token still counts: not after a ban.
    ///
    /// # Errors
    /// [`ErrorCode::Removed`].
    pub(crate) fn check_ban(&self, grant: &Grant) -> Result<(), ErrorBody> {
        let (Some(room), Some(viewer)) = (&grant.room, &grant.viewer) else { return Ok(()) };
        if self.hub().bans.holds(room, viewer, self.clock.unix_ms()) { Err(banned()) } else { Ok(()) }
    }

    /// The grant with the rooms that its token is kept out of.
    ///
    /// # Errors
    /// [`ErrorCode::Unauthorized`] when the token is revoked.
    pub(crate) fn check_token(&self, grant: Grant) -> Result<Grant, ErrorBody> {
        let Some(token) = grant.token else { return Ok(grant) };
        let (hub, unix_ms) = (self.hub(), self.clock.unix_ms());
        if hub.token_bans.is_revoked(token, unix_ms) {
            return Err(revoked_token());
        }
        Ok(Grant { barred: hub.token_bans.rooms(token, unix_ms), ..grant })
    }

    /// Resolves, with the reason, when the grant no longer holds in the room: its viewer was removed or banned, the room
    /// was closed, or its token has ended. From the call on nothing is missed.
    pub(crate) fn revoked(
        self: &Arc<Self>,
        grant: &Grant,
        room: &RoomName,
    ) -> impl Future<Output = ErrorBody> + Send + use<> {
        let mut revocations = self.revocations.subscribe();
        // A ban that came before is found by looking, one that comes now is heard.
        let token = self.check_token(grant.clone()).and_then(|grant| grant.may_view(room));
        let already = self.check_ban(grant).and(token).err();
        let ends = grant.ends_unix_ms.map(|ends| {
            let left = Duration::from_millis(ends.saturating_sub(self.clock.unix_ms()));
            tokio::time::sleep(left)
        });
        let (grant, room) = (grant.clone(), room.clone());
        async move {
            if let Some(why) = already {
                return why;
            }
            let ended = async {
                match ends {
                    Some(ends) => ends.await,
                    None => std::future::pending().await,
                }
            };
            let revoked = async {
                loop {
                    match revocations.recv().await {
                        Ok(Revocation { room: of, whom, why })
                            if of.as_ref().is_none_or(|of| *of == room) && whom.includes(&grant) =>
                        {
                            return why;
                        }
                        Ok(_) => {}
                        Err(_) => {
                            let message = "the server was too busy to follow the room; connect again";
                            return ErrorBody::new(ErrorCode::ShuttingDown, message);
                        }
                    }
                }
            };
            tokio::select! {
                why = revoked => why,
                () = ended => ErrorBody::new(ErrorCode::Unauthorized, "the access token has ended; ask for a new one"),
            }
        }
    }

    /// Counts a viewer who has no socket of the room.
    ///
    /// # Errors
    /// [`ErrorCode::RoomClosed`], [`ErrorCode::RoomFull`] or [`ErrorCode::TooManySessions`].
    pub(crate) fn guest(self: &Arc<Self>, room: &RoomName) -> Result<Guest, ErrorBody> {
        self.hub().rooms.guest_comes(self.clock.now(), room)?;
        self.changed.notify_one();
        Ok(Guest { rooms: Arc::clone(self), room: room.clone() })
    }

    /// The room as it is.
    pub(crate) fn room(&self, name: &RoomName) -> Option<Room> {
        self.look();
        self.hub().rooms.room(name)
    }

    /// The rooms that the grant may watch, by name.
    pub(crate) fn list(&self, grant: &Grant) -> Vec<Room> {
        self.look();
        let hub = self.hub();
        let names = hub.rooms.names().filter(|name| grant.may_view(name).is_ok());
        names.filter_map(|name| hub.rooms.room(name)).collect()
    }

    /// The viewers of a room that have a socket.
    pub(crate) fn viewers(&self, name: &RoomName) -> Option<Vec<Viewer>> {
        self.hub().rooms.viewers(name)
    }

    /// Follows sessions and viewers until the server stops, and tells the rooms.
    pub(crate) async fn care(&self, mut stop: Stop) {
        let mut news = self.sessions.news();
        loop {
            let now = self.clock.now();
            let due =
                self.hub().rooms.next_count().map_or(now + CARE_INTERVAL, |due| due.min(now + CARE_INTERVAL));
            tokio::select! {
                _ = news.changed() => tokio::time::sleep(CARE_REST).await,
                () = self.changed.notified() => {}
                () = sleep_until(self.clock.instant(due)) => {}
                () = stop.wait() => return,
            }
            self.look();
            self.expire();
            self.learn_revocations().await;
        }
    }

    /// Forgets rooms and bans whose time has passed.
    fn expire(&self) {
        let mut hub = self.hub();
        hub.rooms.expire(self.clock.now());
        hub.bans.expire(self.clock.unix_ms());
    }

    /// Looks at the sessions and viewers as they are now, and tells what has changed.
    fn look(&self) {
        let mut by_room = self.sessions.by_room();
        let now = self.clock.now();
        let mut hub = self.hub();
        for room in by_room.keys() {
            hub.rooms.ensure(now, room);
        }
        let names: Vec<RoomName> = hub.rooms.names().cloned().collect();
        for room in names {
            let (sessions, views): (Vec<_>, Vec<_>) =
                by_room.remove(&room).unwrap_or_default().into_iter().unzip();
            for message in hub.rooms.set_sessions(now, &room, views) {
                hub.tell(&room, &message);
            }
            if let Some(count) = hub.rooms.due_count(now, &room) {
                hub.tell(&room, &RoomMessage::Viewers { count });
            }
            let count = hub.rooms.told_count(&room);
            for session in sessions {
                session.tell_viewers(count);
            }
        }
    }

    /// A viewer joins by a socket.
    fn enter(
        self: &Arc<Self>,
        grant: &Grant,
        room: &RoomName,
        viewer_token: Option<&str>,
        alias: Option<&str>,
        watches: bool,
    ) -> Result<Entered, ErrorBody> {
        let unix_ms = self.clock.unix_ms();
        let earlier = viewer_token
            .and_then(|token| self.access.viewer(token, unix_ms))
            .filter(|earlier| earlier.room.as_ref() == Some(room))
            .and_then(|earlier| earlier.viewer);
        let drawn = || ViewerId::from_bytes(*uuid::Uuid::now_v7().as_bytes());
        let viewer = grant.viewer.clone().or(earlier).unwrap_or_else(drawn);
        let lasts = unix_ms + VIEWER_TOKEN_LASTS.as_millis() as u64;
        let viewer_grant = Grant {
            role: Role::View,
            room: Some(room.clone()),
            name: viewer.to_string(),
            viewer: Some(viewer.clone()),
            token: grant.token,
            barred: Vec::new(),
            ends_unix_ms: Some(grant.ends_unix_ms.map_or(lasts, |ends| ends.min(lasts))),
        };
        let socket = SocketId(self.next_socket.fetch_add(1, Ordering::Relaxed));
        let (outbox, inbox) = mpsc::channel(QUEUE);
        self.look();
        let mut hub = self.hub();
        if hub.bans.holds(room, &viewer, unix_ms) {
            return Err(banned());
        }
        let superseded = hub.rooms.enter(self.clock.now(), room, &viewer, alias, (socket, watches))?;
        hub.rooms.came_by(room, &viewer, grant.token);
        if let Some(outbox) = superseded.and_then(|socket| hub.outboxes.remove(&socket)) {
            let message = "this viewer has opened the room in too many pages; this one was closed";
            let why = ErrorBody { retryable: false, ..ErrorBody::new(ErrorCode::Superseded, message) };
            let _ = outbox.try_send(Outgoing::Close(why));
        }
        hub.outboxes.insert(socket, outbox);
        let (view, chat) = (hub.rooms.room(room), hub.rooms.chat(room));
        drop(hub);
        let presence =
            Presence { rooms: Arc::clone(self), room: room.clone(), viewer: viewer.clone(), socket };
        let view = view.ok_or_else(state::gone)?;
        self.changed.notify_one();
        let viewer_token = self.access.issue(&viewer_grant);
        let rights = grant.rights(room);
        let joined = RoomMessage::Joined { viewer, viewer_token, rights, room: view, chat };
        Ok(Entered { joined, inbox, presence })
    }
}

impl Presence {
    /// The viewer says something; the room hears it.
    ///
    /// # Errors
    /// Why it is refused; the viewer stays.
    fn hear(&self, message: ViewerMessage) -> Result<(), ErrorBody> {
        let (now, unix_ms) = (self.rooms.clock.now(), self.rooms.clock.unix_ms());
        let mut hub = self.rooms.hub();
        if let Some(told) = hub.rooms.hear(now, unix_ms, &self.room, &self.viewer, message)? {
            hub.tell(&self.room, &told);
        }
        Ok(())
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut hub = self.rooms.hub();
        hub.outboxes.remove(&self.socket);
        hub.rooms.leave(self.rooms.clock.now(), &self.room, &self.viewer, self.socket);
        drop(hub);
        self.rooms.changed.notify_one();
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.rooms.hub().rooms.guest_leaves(self.rooms.clock.now(), &self.room);
        self.rooms.changed.notify_one();
    }
}

fn revoked_token() -> ErrorBody {
    ErrorBody::new(ErrorCode::Unauthorized, "the access token was revoked; ask for another one")
}

fn banned() -> ErrorBody {
    ErrorBody::new(ErrorCode::Removed, "who moderates this room has banned you from it")
}
