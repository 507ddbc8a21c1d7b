//! Taking units: one track's state machine, and the driver that connects it to a socket.
//!
//! [`TrackIngest`] is sans-IO: messages, time and the outcomes of recording go in; messages to the publisher and
//! [`Record`]s for the recorder come out. It knows nothing of sockets, files and tasks.

mod block;
mod checks;
pub(crate) mod feed;
mod params;
mod record;
pub(crate) mod socket;
mod track;

pub use record::{PartRecord, Record, StoredTrack, Ticket};
pub use track::{ConnectionId, Counters, TrackIngest, TrackSettings, Transmit};
