//! What the server says, and what follows from it.

use bytes::Bytes;
use protocol::control::{ControlError, EventKind, Finish, ServerMessage, Welcome};
use protocol::digest::TrackDigest;
use protocol::error::{ErrorBody, ErrorCode};
use protocol::{UnitRange, UnitRanges};

use super::super::lanes::Lanes;
use super::super::link::{InFlight, Link, Stage, Welcomed};
use super::super::refusal::shown;
use super::super::window::Window;
use super::super::{Command, Completion, Tell};
use super::{State, TrackMachine};
use crate::spool::{MAX_NOTED_DIGESTS, Note};

impl TrackMachine {
    pub(super) fn text(&mut self, text: &str) {
        let message = match ServerMessage::parse(text) {
            Ok(message) => message,
            Err(error @ (ControlError::UnknownType(_) | ControlError::Version(_))) => {
                let message =
                    format!("the server speaks another version ({error}); update this program or it");
                return self.refused_on_link(ErrorBody::new(ErrorCode::UnsupportedVersion, message));
            }
            Err(error) => return self.drop_link(format!("the server sent nonsense: {error}")),
        };
        let State::Linked(link) = &self.state else { return };
        let (welcomed, params_told) = match &link.stage {
            Stage::Greeting { params_told, .. } => (false, *params_told),
            Stage::Welcomed(_) => (true, None),
        };
        match message {
            ServerMessage::Welcome(welcome) if let Some(params_told) = params_told => {
                self.welcome(welcome, params_told)
            }
            ServerMessage::Ack { durable } if welcomed => self.ack(&durable),
            ServerMessage::Complete { units, durable_units, digest } if welcomed => {
                self.complete(units, durable_units, digest)
            }
            ServerMessage::KeyframeRequest {} => self.tell(Tell::KeyframeRequest),
            ServerMessage::Viewers { count } => self.tell(Tell::Viewers(count)),
            ServerMessage::Notice(notice) => self.tell(Tell::Notice(shown(notice))),
            ServerMessage::Error(error) => self.refused_on_link(error),
            _ => self.drop_link("the server sent a message at the wrong moment".to_owned()),
        }
    }

    fn welcome(&mut self, welcome: Welcome, params_written: usize) {
        let found = self.recovered.take();
        if found.is_some() {
            // Until now it was presumed that the server has what was not found here; it knows better. It may even
            // have units that a power cut has taken from the log.
            self.durable = UnitRanges::new();
            let durable_units = welcome.durable.last().map_or(0, |last| last + 1);
            self.next_number = self.next_number.max(durable_units);
        }
        if welcome.durable.last().is_some_and(|last| last >= self.next_number) {
            let message =
                "the server holds units of this session that this device never made; start a new session";
            return self.refused_on_link(ErrorBody::new(ErrorCode::UnitOutOfRange, message));
        }
        self.absorb(&welcome.durable);
        let newest = self.newest();
        let lanes = Lanes::at_welcome(&*self.spool, newest, self.pace.live_backlog);
        let welcomed = Welcomed {
            limits: welcome.limits,
            window: Window::new(self.pace.in_flight_bytes, self.path_base),
            lanes,
            in_flight: InFlight::default(),
            params_written,
            events_written: 0,
            finish_written: None,
            unfinished: Bytes::new(),
        };
        if let State::Linked(link) = &mut self.state {
            link.welcome(self.now, welcomed);
        }
        self.offline = None;
        self.counters.connections = self.counters.connections.saturating_add(1);
        if let Some(found) = found {
            self.tell_damage(&found.given_up);
        }
    }

    /// Tells the recording which units neither the server nor the log has, and that nobody gave up.
    fn tell_damage(&mut self, given_up: &UnitRanges) {
        let mut known = given_up.clone();
        known.extend(&self.durable);
        known.extend(&self.spool.held());
        let missing = known.gaps_below(self.next_number);
        if let Some(first) = missing.as_slice().first() {
            let at_90k = self.spool.entry_from(first.first).map_or(self.end_90k, |entry| entry.pts_90k);
            let detail = format!("{} units did not survive on the device's disk: {missing}", missing.count());
            self.event(self.now, EventKind::UnitsLost, at_90k, &detail);
        }
    }

    fn ack(&mut self, durable: &UnitRanges) {
        if durable.last().is_some_and(|last| last >= self.next_number) {
            return self.drop_link("the server acknowledged units that were never made".to_owned());
        }
        let before = self.durable.count();
        self.absorb(durable);
        if let State::Linked(Link { stage: Stage::Welcomed(welcomed), .. }) = &mut self.state {
            welcomed.in_flight.acknowledge(self.now, durable, &mut self.latency);
        }
        if self.durable.count() > before {
            self.backoff.reset();
            self.silences = 0;
        }
    }

    fn absorb(&mut self, durable: &UnitRanges) {
        self.note_digests(durable);
        self.durable.extend(durable);
        self.spool.forget(durable);
    }

    /// Has the spool keep what stands for these units, once: they are about to be forgotten, and a later program could not
    /// vouch for them otherwise.
    fn note_digests(&mut self, durable: &UnitRanges) {
        let beyond = durable.last().map_or(0, |last| last.saturating_add(1));
        let mut others = durable.gaps_below(beyond);
        others.extend(&self.noted);
        others.extend(&self.digests.numbers().gaps_below(beyond));
        for &UnitRange { first, last } in others.gaps_below(beyond).as_slice() {
            for from in (first..=last).step_by(MAX_NOTED_DIGESTS) {
                let digests =
                    (from..=last).take(MAX_NOTED_DIGESTS).filter_map(|number| self.digests.get(number));
                let digests = digests.collect();
                self.spool.note(Note::Digests { first: from, digests });
            }
            self.noted.insert_range(UnitRange::new(first, last));
        }
    }

    fn complete(&mut self, units: u64, durable_units: u64, digest: TrackDigest) {
        let State::Linked(Link { stage: Stage::Welcomed(welcomed), .. }) = &mut self.state else { return };
        let is_ours =
            |finish: &Finish| finish.units == units && finish.digest == digest && durable_units <= units;
        let finish = welcomed.finish_written.take().filter(is_ours);
        let Some(finish) = finish else {
            return self.drop_link("the server completed something else than this track".to_owned());
        };
        // That is what it means; the acks of some units may have gone down with an earlier connection.
        self.absorb(&finish.lost.gaps_below(units));
        self.offline = None;
        self.commands.push_back(Command::Disconnect);
        self.state = State::Complete(Completion { units, durable_units, digest: Some(digest) });
    }
}
