//! What the app does, without its window.
//!
//! [`App`] is the handle: one method for each thing that the screen may ask for. Behind it one task, the actor, owns the
//! devices, the session that runs and the settings, and publishes the [`api::State`] whenever it changes. [`api`] is
//! what the screen is told and what it may ask for; the TypeScript types are generated from it.

mod actor;
pub mod api;
mod app;
mod connection;
mod durable_file;
mod local_server;
mod meter;
pub mod preview;
mod problem;
mod rates;
mod room;
mod settings;
mod tokens;
mod unfinished;
mod view;

pub use app::{App, CloseAnswer, Options};
pub use publisher::connection::Fetched;
pub use settings::Overrides;
pub use tokens::{FileTokens, Kept, KeptIn, SystemTokens, TokenError, TokenStore};
