//! The peer connections as HTTP resources: found by an id that only their opener knows, and closed by it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use protocol::RoomName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use uuid::Uuid;

use super::trickle::{self, TrickleError};
use crate::stop::Stop;

/// Peers at the same time that have an answer and are not connected yet. With the time that each may take it bounds what
/// offers without a sequel cost.
pub(super) const MAX_HALF_OPEN: usize = 512;

/// What a peer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It watches.
    Whep,
    /// It publishes.
    Whip,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Whep => "whep",
            Self::Whip => "whip",
        }
    }
}

/// There are as many peers as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NoRoom {
    #[error("the server has as many WebRTC connections as it is set to")]
    Connections,
    #[error("too many WebRTC connections are being set up; try again in some seconds")]
    HalfOpen,
}

/// Why a `PATCH` is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PatchError {
    #[error("there is no such session")]
    NotFound,
    #[error("the request needs If-Match with the session's ETag")]
    NoTag,
    #[error("the session has another ETag")]
    WrongTag,
    #[error(transparent)]
    Fragment(#[from] TrickleError),
}

#[derive(Debug)]
struct Resource {
    kind: Kind,
    room: RoomName,
    etag: String,
    remote_ufrag: Option<String>,
    close: oneshot::Sender<()>,
}

/// All peers.
#[derive(Debug)]
pub(super) struct Resources {
    all: Mutex<HashMap<Uuid, Resource>>,
    slots: Arc<Semaphore>,
    half_open: Arc<Semaphore>,
}

/// Why a peer must go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// It has said so itself.
    Left,
    /// It may no longer be here.
    Unwelcome,
    /// The server stops.
    Stopping,
}

impl Over {
    /// The reason for a log line.
    pub(super) const fn why(self) -> &'static str {
        match self {
            Self::Left => "the peer left",
            Self::Unwelcome => "it may no longer be here",
            Self::Stopping => "the server stops",
        }
    }
}

/// Two places: among all peers, and among those that are not connected yet.
#[derive(Debug)]
pub(super) struct Slots {
    _slot: OwnedSemaphorePermit,
    half_open: Option<OwnedSemaphorePermit>,
}

/// A peer's hold on its resource, and what else can end it.
pub(super) struct Held {
    resources: Arc<Resources>,
    pub(super) id: Uuid,
    slots: Slots,
    closed: oneshot::Receiver<()>,
    until: BoxFuture<'static, ()>,
    stop: Stop,
}

impl Resources {
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            all: Mutex::default(),
            slots: Arc::new(Semaphore::new(capacity)),
            half_open: Arc::new(Semaphore::new(MAX_HALF_OPEN.min(capacity))),
        })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Uuid, Resource>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more peer.
    pub(super) fn admit(&self) -> Result<Slots, NoRoom> {
        let slot = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| NoRoom::Connections)?;
        let half_open = Arc::clone(&self.half_open).try_acquire_owned().map_err(|_| NoRoom::HalfOpen)?;
        Ok(Slots { _slot: slot, half_open: Some(half_open) })
    }

    /// Adds a peer; it ends also with `until` and with the server. Gives its hold and its entity tag.
    pub(super) fn add(
        self: &Arc<Self>,
        kind: Kind,
        room: RoomName,
        remote_ufrag: Option<String>,
        slots: Slots,
        until: BoxFuture<'static, ()>,
        stop: Stop,
    ) -> (Held, String) {
        let id = Uuid::new_v4();
        let etag = format!("\"{}\"", Uuid::new_v4().simple());
        let (close, closed) = oneshot::channel();
        self.all().insert(id, Resource { kind, room, etag: etag.clone(), remote_ufrag, close });
        (Held { resources: Arc::clone(self), id, slots, closed, until, stop }, etag)
    }

    /// The room of a peer.
    pub(super) fn room(&self, kind: Kind, id: Uuid) -> Option<RoomName> {
        self.all().get(&id).filter(|found| found.kind == kind).map(|found| found.room.clone())
    }

    /// Takes candidates.
    pub(super) fn patch(
        &self,
        kind: Kind,
        id: Uuid,
        if_match: Option<&str>,
        fragment: &str,
    ) -> Result<(), PatchError> {
        let all = self.all();
        let found = all.get(&id).filter(|found| found.kind == kind).ok_or(PatchError::NotFound)?;
        let tag = if_match.ok_or(PatchError::NoTag)?.trim();
        if tag == "*" {
            // By which RFC 9725 §4.3.3 asks for a restart.
            return Err(TrickleError::Restart.into());
        }
        if tag != found.etag {
            return Err(PatchError::WrongTag);
        }
        Ok(trickle::check(fragment, found.remote_ufrag.as_deref())?)
    }

    /// Ends a peer. Says whether there was one.
    pub(super) fn close(&self, kind: Kind, id: Uuid) -> bool {
        let mut all = self.all();
        if all.get(&id).is_none_or(|found| found.kind != kind) {
            return false;
        }
        // Whose peer is just ending by itself hears nothing any more.
        all.remove(&id).is_some_and(|found| found.close.send(()).is_ok())
    }

    /// Waits until the last peer is gone.
    pub(super) async fn gone(&self, capacity: usize) {
        // A closed semaphore would mean the same.
        let _ = self.slots.acquire_many(capacity as u32).await;
    }
}

impl Held {
    /// The peer is connected.
    pub(super) fn connected(&mut self) {
        self.slots.half_open = None;
    }

    /// Waits for the word that the peer must go. Losing the future loses nothing.
    pub(super) async fn over(&mut self) -> Over {
        tokio::select! {
            _ = &mut self.closed => Over::Left,
            () = &mut self.until => Over::Unwelcome,
            () = self.stop.wait() => Over::Stopping,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.resources.all().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(resources: &Arc<Resources>, until: BoxFuture<'static, ()>) -> (Held, String) {
        let slots = resources.admit().unwrap();
        let (sender, stop) = Stop::channel();
        // A server that is gone has stopped.
        std::mem::forget(sender);
        let room = "studio".parse().unwrap();
        resources.add(Kind::Whep, room, Some("abcd".to_owned()), slots, until, stop)
    }

    #[test]
    fn candidates_need_the_tag_and_a_restart_is_refused() {
        let resources = Resources::new(9);
        let (held, etag) = add(&resources, Box::pin(std::future::pending()));
        let fragment = "a=ice-ufrag:abcd\r\n";
        let patch = |kind, tag: Option<&str>| resources.patch(kind, held.id, tag, fragment);
        assert_eq!(patch(Kind::Whep, Some(&etag)), Ok(()));
        assert_eq!(patch(Kind::Whep, None), Err(PatchError::NoTag));
        assert_eq!(patch(Kind::Whep, Some("\"other\"")), Err(PatchError::WrongTag));
        assert_eq!(patch(Kind::Whep, Some("*")), Err(PatchError::Fragment(TrickleError::Restart)));
        assert_eq!(patch(Kind::Whip, Some(&etag)), Err(PatchError::NotFound), "it watches");
        assert_eq!(resources.room(Kind::Whip, held.id), None);
        assert_eq!(resources.room(Kind::Whep, held.id).unwrap().as_str(), "studio");
        let id = held.id;
        drop(held);
        assert_eq!(resources.patch(Kind::Whep, id, Some(&etag), fragment), Err(PatchError::NotFound));
        assert!(!resources.close(Kind::Whep, id));
    }

    #[test]
    fn what_connects_gives_its_half_open_place_back_and_what_ends_gives_back_both() {
        let resources = Resources::new(2);
        let (mut first, _) = add(&resources, Box::pin(std::future::pending()));
        let (second, _) = add(&resources, Box::pin(std::future::pending()));
        assert_eq!(resources.admit().err(), Some(NoRoom::Connections));
        first.connected();
        assert_eq!(resources.half_open.available_permits(), 1);
        drop((first, second));
        assert_eq!((resources.half_open.available_permits(), resources.slots.available_permits()), (2, 2));
        let half_open = Resources::new(2 * MAX_HALF_OPEN);
        let waiting: Vec<_> = (0..MAX_HALF_OPEN).map(|_| half_open.admit().unwrap()).collect();
        assert_eq!(half_open.admit().err(), Some(NoRoom::HalfOpen));
        drop(waiting);
        assert!(half_open.admit().is_ok());
    }

    #[tokio::test]
    async fn a_peer_is_over_by_its_own_word_and_when_it_may_no_longer_be_there() {
        let resources = Resources::new(9);
        let (mut held, _) = add(&resources, Box::pin(std::future::pending()));
        assert!(!resources.close(Kind::Whip, held.id), "it watches");
        assert!(resources.close(Kind::Whep, held.id));
        assert!(!resources.close(Kind::Whep, held.id), "twice");
        assert_eq!(held.over().await, Over::Left);
        let (mut banned, _) = add(&resources, Box::pin(std::future::ready(())));
        assert_eq!(banned.over().await, Over::Unwelcome);
    }
}
