//! What a person wants changed: settings, the server, the window.

use std::path::PathBuf;

use protocol::{Secret, SessionId};
use publisher::ServerAddress;

use super::Actor;
use crate::api::{Problem, ProblemCode, Quality, Unfinished, UnfinishedPhase};
use crate::app::CloseAnswer;
use crate::room::{RoomOnServer, Wanted};
use crate::settings::{Change, Choices};
use crate::tokens::Kept;

impl Actor {
    /// Takes a change of settings; what is overridden for this run no longer is. `token` is what has come of the access
    /// token, if anything. Gives the settings to remember.
    pub(crate) fn change(&mut self, change: Change, token: Option<Option<Kept>>) -> Choices {
        let before = self.choices.quality;
        if let Some(server) = change.server {
            self.choices.server = server;
            self.overrides.server = None;
            // Whoever gave it for this run gave it for that server.
            self.overrides.token = None;
        }
        if let Some(token) = token {
            self.set_token(token);
        }
        if let Some(room) = change.room {
            self.choices.room = room;
            self.overrides.room = None;
        }
        if let Some(alias) = change.alias {
            self.choices.alias = alias;
        }
        if let Some(mirrored) = change.mirrored {
            self.choices.mirrored = mirrored;
        }
        if let Some(when_slow) = change.when_slow {
            self.choices.when_slow = when_slow;
        }
        if let Some(bytes) = change.spool_bytes {
            self.choices.spool_bytes = bytes;
        }
        if let Some(when_full) = change.when_full {
            self.choices.when_full = when_full;
        }
        if let Some(quality) = change.quality {
            self.choices.quality = quality;
        }
        if change.quality.is_some() || change.when_slow.is_some() {
            self.tell_quality();
        }
        let size = |quality: &Quality| (quality.width, quality.height, quality.fps);
        let new_size = size(&before) != size(&self.choices.quality);
        let new_channels = before.channels != self.choices.quality.channels;
        let new_camera = change.camera.is_some();
        if let Some(camera) = change.camera {
            self.choices.camera = camera;
            self.overrides.camera = None;
        }
        if new_camera || new_size {
            self.open_camera();
        }
        let new_microphone = change.microphone.is_some();
        if let Some(microphone) = change.microphone {
            self.choices.microphone = microphone;
            self.overrides.microphone = None;
        }
        if new_microphone || new_channels {
            self.open_microphone();
        }
        self.choices.clone()
    }

    /// Takes the token of the server that counts. A session that goes to the same server gets it too; no other does.
    pub(crate) fn set_token(&mut self, token: Option<Kept>) {
        self.token = token;
        self.overrides.token = None;
        let server = self.address().map(|address| address.to_string()).ok();
        if server.is_some() && server.as_deref() == self.session_server() {
            self.tell_token();
        }
    }

    /// Takes the token that was kept from an earlier run, unless a person was quicker.
    pub(crate) fn token_found(&mut self, server: &str, token: Option<Kept>) {
        let is_current = self.address().is_ok_and(|address| address.to_string() == server);
        if is_current && self.token.is_none() && self.overrides.token.is_none() && token.is_some() {
            self.set_token(token);
        }
    }

    /// The file with the certificate of one's own authority.
    pub(crate) fn own_authority(&self) -> Option<PathBuf> {
        self.overrides.own_authority.clone()
    }

    /// The token that counts, if this is the server that counts.
    pub(crate) fn token_if_current(&self, address: &ServerAddress) -> Option<Secret> {
        let is_current = self.address().is_ok_and(|current| current == *address);
        let kept = || self.token.as_ref().map(|kept| kept.token.clone());
        is_current.then(|| self.overrides.token.clone().or_else(kept)).flatten()
    }

    /// A person looks at the room, or no longer does.
    pub(crate) const fn show_room(&mut self, open: bool) {
        self.room_open = open;
    }

    /// The visit that shall be: while a session runs, and while somebody looks at the room. Without a session it watches.
    pub(super) fn wanted_visit(&self) -> Option<Wanted> {
        let runs = self.is_running();
        let place = (runs || self.room_open).then(|| self.room_on_server().ok()).flatten()?;
        Some(Wanted { place, watches: !runs, alias: self.choices.alias.clone() })
    }

    /// The room that is recorded to, and the way to it. While a session is open, that is its room, whatever has been set since,
    /// unless that is another server.
    ///
    /// # Errors
    /// [`ProblemCode::NoServer`], [`ProblemCode::BadAddress`].
    pub(crate) fn room_on_server(&self) -> Result<RoomOnServer, Problem> {
        let server = self.address()?;
        let set = || self.overrides.room.clone().unwrap_or_else(|| self.choices.room.clone());
        let room = self.session_room(&server.to_string()).cloned().unwrap_or_else(set);
        let (token, own_authority) = (self.token_if_current(&server), self.own_authority());
        Ok(RoomOnServer { server, room, token, own_authority })
    }

    /// A server was found on this machine, or not.
    pub(crate) fn local_server_found(&mut self, server: Option<String>) {
        self.local_server = server;
    }

    /// The server that was found on this machine.
    ///
    /// # Errors
    /// None was.
    pub(crate) fn found_server(&self) -> Result<String, Problem> {
        self.local_server.clone().ok_or_else(|| {
            let message = "No server runs on this machine. Start one, or enter the address of another.";
            Problem::new(ProblemCode::NoServer, message)
        })
    }

    /// Forgets notices.
    pub(crate) fn dismiss_notice(&mut self, code: ProblemCode) {
        self.notices.retain(|notice| notice.code != code);
    }

    /// Something to tell a person that came up outside.
    pub(crate) fn add_notice(&mut self, problem: Problem) {
        self.notice(problem);
    }

    /// These sessions wait to be sent.
    pub(crate) fn set_unfinished(&mut self, unfinished: Vec<Unfinished>) {
        self.unfinished = unfinished;
    }

    /// How a session stands that waits or is being sent.
    pub(crate) fn tell_unfinished(&mut self, session: Unfinished) {
        if let Some(known) = self.unfinished.iter_mut().find(|known| known.id == session.id) {
            *known = session;
        }
    }

    /// Nothing is sent beside a session that is recorded.
    pub(crate) fn unfinished_wait(&mut self) {
        for session in &mut self.unfinished {
            if session.phase == UnfinishedPhase::Sending {
                session.phase = UnfinishedPhase::Waiting;
            }
        }
    }

    /// A session that waited is complete; whether it is whole.
    pub(crate) fn unfinished_sent(&mut self, id: SessionId, is_whole: bool) {
        self.unfinished.retain(|session| session.id != id);
        tracing::info!(session = %id.short(), is_whole, "an earlier session is complete");
        if !is_whole {
            let message =
                "An earlier recording is on its server now, but a part of it did not survive on this device.";
            self.notice(Problem::new(ProblemCode::UnitsLost, message));
        }
    }

    /// The window was asked to close: the screen asks the person if a session is open.
    pub(crate) fn ask_to_close(&mut self) {
        if self.is_recording() {
            self.closing = true;
        } else {
            self.may_close.send_replace(true);
        }
    }

    /// What the person wants with the window.
    pub(crate) fn close(&mut self, answer: CloseAnswer) {
        self.closing = false;
        match answer {
            CloseAnswer::Keep => self.closes_when_complete = false,
            CloseAnswer::Finish => {
                self.closes_when_complete = true;
                if self.is_running() {
                    // It runs, and so it can be stopped.
                    self.stop().ok();
                } else if !self.is_recording() {
                    self.may_close.send_replace(true);
                }
            }
        }
    }
}
