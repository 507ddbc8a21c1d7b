//! The ingest server: takes sessions over two WebSockets, records them durably, and plays them back.
//!
//! ```text
//! listener ─▶ http ─▶ ingest::socket ─▶ ingest::TrackIngest ─▶ recorder ─▶ store, then database ─▶ ack
//!               │      webrtc (WHIP) ──────────▲
//!               │                              └───▶ fanout ─▶ viewers: webrtc (WHEP)
//!               ├───▶ rooms: who watches, writes and may be there
//!               └───▶ playback ◀─────────────────────────────────────────── store and database
//! ```
//!
//! [`Server::start`] is the whole program but for settings and signals, so that tests run it in their own process.

pub mod access;
pub mod certificate;
pub mod check;
mod clock;
pub mod config;
pub mod database;
mod fanout;
mod farewell;
mod http;
pub mod ingest;
mod listener;
pub mod log;
pub mod pairing;
mod playback;
mod recorder;
pub mod recovery;
mod rooms;
mod server;
pub mod sessions;
mod stop;
pub mod store;
mod webrtc;

pub use fanout::LiveUnit;
pub use http::http_api_markdown;
pub use listener::TlsError;
pub use rooms::{Ban, RoomLimits};
pub use server::{RevokeError, Server, StartError, TokenError, make_token, revoke_token};
pub use webrtc::WebRtcConfig;
