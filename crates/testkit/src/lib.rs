//! What the tests of several crates share. A development dependency only.
//!
//! - [`network`]: what a path over a bad network does to messages, drawn from a seed, in virtual time.
//! - [`units`]: units and codec parameters that pass every check, without an encoder.
//! - [`browser`]: a headless Chromium on the server's pages, used as a viewer would.
//! - [`child`]: the workspace's own programs as child processes.
//! - [`family`]: a program and what it has started, with what they use.
//! - [`window`]: the app in its window, on a screen that nobody sees, used as a person would.
//! - [`viewer`]: a viewer of a room without a browser.
//! - [`http`]: the ingest server's API as a test asks it.
//! - [`webrtc`]: viewers and publishers by WebRTC, without a browser.
//! - [`ffmpeg`]: what an independent player says of a recording.
//!
//! This crate's own `tests/` are those in which publisher and server meet: the seeded simulation,
//! whole sessions over real sockets, crashes, and the app.

pub mod browser;
pub mod child;
pub mod family;
pub mod ffmpeg;
pub mod http;
pub mod network;
pub mod units;
pub mod viewer;
pub mod webrtc;
pub mod window;
