//! The bit rate's controller is shown the connection, and what it says about the live lane is done.

use std::time::Duration;

use super::super::AudioState;
use super::super::link::{Link, Stage};
use super::{State, TrackMachine};
use crate::rate::{Controller, Reading, Settings};

impl TrackMachine {
    /// Lets the encoder's bit rate follow what the network carries; the status tells its target. Again with other
    /// settings whenever they change.
    pub fn follow_network(&mut self, settings: Settings) {
        match &mut self.rate {
            Some(rate) => rate.set(settings),
            None => self.rate = Some(Controller::new(settings)),
        }
    }

    /// Takes how the sound fares, which may share the picture's way and has precedence.
    pub fn make_room(&mut self, now: Duration, audio: AudioState) {
        self.see(now);
        self.audio = audio;
        if let State::Linked(Link { stage: Stage::Welcomed(welcomed), .. }) = &mut self.state {
            welcomed.window.other_is_late(audio.delay);
        }
    }

    /// How the sound fares, if this is its track. Without a connection there is nothing to make room for.
    #[must_use]
    pub fn audio_state(&mut self, now: Duration) -> AudioState {
        match &mut self.state {
            State::Linked(Link { stage: Stage::Welcomed(welcomed), .. }) => AudioState {
                delay: welcomed.window.queueing_so_far(now),
                catches_up: welcomed.lanes.next_backfill(&*self.spool).is_some(),
            },
            _ => AudioState::default(),
        }
    }

    pub(super) fn rate_due_at(&self) -> Option<Duration> {
        self.rate.as_ref().filter(|_| !self.finished).and_then(Controller::due_at)
    }

    pub(super) fn read_rate(&mut self) {
        let newest = self.newest();
        let Some(rate) = &mut self.rate else { return };
        let State::Linked(Link { stage: Stage::Welcomed(welcomed), .. }) = &mut self.state else {
            return rate.disconnected();
        };
        if !self.finished {
            rate.read(
                self.now,
                Reading {
                    arrived_bytes: welcomed.window.arrived_bytes(),
                    made_bytes: self.counters.payload_bytes,
                    live_lag: welcomed.lanes.live_lag(&*self.spool, newest),
                    has_backlog: welcomed.lanes.next_backfill(&*self.spool).is_some(),
                    audio_delay: self.audio.delay,
                    audio_catches_up: self.audio.catches_up,
                },
            );
        }
        welcomed.lanes.pause(rate.target().is_paused && !self.finished);
    }
}
