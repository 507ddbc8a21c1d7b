//! Recordings out of what is stored, without touching a byte of media.

mod hls;
mod recording;
mod stream;

pub(crate) use hls::{Fragments, Hls, HlsError, TARGET_S, Wanted};
pub(crate) use recording::{PlaybackError, Recordings};
