//! The visit to the room on the server: who is there, who watches, and what is said.
//!
//! What happens on it is decided by a sans-IO state machine, [`visit::Visit`]; [`driver`] owns the socket and the clock. Which room
//! is visited, if any, is the actor's to say ([`Wanted`]).

mod driver;
mod media;
mod visit;

use std::path::PathBuf;

use protocol::{RoomName, Secret};
use publisher::ServerAddress;
use tokio::sync::oneshot;

use crate::api::{Problem, ProblemCode};

pub(crate) use driver::{Outlets, run};
pub(crate) use media::{Media, session_of};

/// What a person may ask of the visit that waits at once; more makes whoever has one wait.
pub(crate) const ASK_CAPACITY: usize = 8;

/// A room, and the way to it.
#[derive(Debug, Clone)]
pub(crate) struct RoomOnServer {
    pub(crate) server: ServerAddress,
    pub(crate) room: RoomName,
    pub(crate) token: Option<Secret>,
    pub(crate) own_authority: Option<PathBuf>,
}

impl RoomOnServer {
    /// Whether it is the same room, by the same way.
    fn is(&self, other: &Self) -> bool {
        let token = |place: &Self| place.token.as_ref().map(|token| token.expose().to_owned());
        (&self.server, &self.room, &self.own_authority) == (&other.server, &other.room, &other.own_authority)
            && token(self) == token(other)
    }
}

/// The visit that shall be.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) place: RoomOnServer,
    /// Whether it counts as a viewer: a publisher does not.
    pub(crate) watches: bool,
    /// By what name it chats.
    pub(crate) alias: Option<String>,
}

impl Wanted {
    /// Whether it is the same visit by the same name.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.is_same_connection(other) && self.alias == other.alias
    }

    /// Whether one connection does for both.
    fn is_same_connection(&self, other: &Self) -> bool {
        self.watches == other.watches && self.place.is(&other.place)
    }
}

/// What a person asks of the visit.
pub(crate) enum Ask {
    /// To say something.
    Say { text: String, answer: oneshot::Sender<Result<(), Problem>> },
    /// To try again, if it is over or waits.
    Again,
}

fn not_there() -> Problem {
    Problem::passing(ProblemCode::NotNow, "Not sent: there is no connection to the room now.")
}
