//! Sends a session's units to the ingest server and keeps them until they are durable there.
//!
//! Each track has a socket of its own that connects, resumes and ends alone. What happens on it is
//! decided by a sans-IO state machine, [`track::TrackMachine`]; a thin driver owns the socket and the clock.
//! What is not acknowledged waits in a [`spool::Spool`]. [`Publisher`] is both tracks in one handle.
//! [`connection::test()`] finds out beforehand whether a session could be published, and what stands in the way if not.

mod address;
mod audio_state;
mod backoff;
pub mod connection;
mod driver;
pub mod latency;
mod publisher;
pub mod rate;
mod socket;
pub mod spool;
pub mod status;
mod tls;
pub mod track;
pub mod web_socket;

pub use address::{AddressError, ServerAddress};
pub use backoff::Backoff;
pub use publisher::{
    Config, Publisher, Report, ResumeConfig, StartError, Storage, TrackHandle, TrackReport, TrackSettings,
};
pub use tls::{TlsError, client_config};
