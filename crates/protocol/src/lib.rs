//! What travels between a publisher, the ingest server and the pages that watch it.
//!
//! Two WebSockets carry a session, one per [`Track`]. Binary messages hold [`unit::Unit`]s behind a
//! fixed header ([`mod@unit`]); text messages hold JSON control messages ([`control`]). The HTTP API's
//! answers are in [`api`]; what proves that both sides hold the same is in [`mod@digest`] and [`certificate`]. Refusals and failures share one vocabulary, [`error::ErrorCode`].
//!
//! This crate does no I/O, starts no task and reads no clock. Decoding never panics and never
//! allocates more than the bytes it was given.

pub mod api;
pub mod certificate;
pub mod codec;
pub mod control;
pub mod digest;
pub mod error;
mod event_detail;
mod hex;
mod ids;
pub mod limits;
pub mod pairing;
mod ranges;
pub mod room;
mod secret;
mod track;
pub mod unit;

pub use event_detail::{ClockDrift, DetailError, Interruption, InterruptionReason, NetworkRate, SoundShift};
pub use hex::{Hex, HexError};
pub use ids::{IdError, ResumeKey, RoomName, SessionId};
pub use ranges::{UnitRange, UnitRanges};
pub use secret::Secret;
pub use track::Track;

/// The version of the wire protocol that this crate speaks, in `hello`, `welcome` and every unit header.
pub const PROTOCOL_VERSION: u8 = 1;
