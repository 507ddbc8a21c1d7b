//! Recordings out of what is stored, without touching a byte of media.

mod recording;
mod stream;

pub(crate) use recording::{PlaybackError, Recordings};
