//! What the tracks share about their way: how the sound fares.

use std::sync::{Mutex, PoisonError};

use crate::track::AudioState;

/// The sound's state, as its own connection knows it. The picture's connection makes room for it: both may share a
/// bottleneck, and sound comes first.
#[derive(Debug, Default)]
pub(crate) struct SharedAudioState(Mutex<AudioState>);

impl SharedAudioState {
    pub(crate) fn set(&self, state: AudioState) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    pub(crate) fn get(&self) -> AudioState {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
