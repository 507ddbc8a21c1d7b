//! What is written to the socket: hello, units, events of losses, finish.

use bytes::BytesMut;
use protocol::certificate::excluded;
use protocol::control::{EventKind, Finish, Hello, PublisherMessage};
use protocol::error::{ErrorBody, ErrorCode};
use protocol::limits::{MAX_RANGES, MAX_UNITS_PER_MESSAGE};
use protocol::unit::Lane;
use protocol::{Hex, PROTOCOL_VERSION, UnitRanges};

use super::super::link::{Link, Stage};
use super::super::losses::coarser;
use super::super::{Identity, Message, Tell};
use super::{State, TrackMachine};

impl TrackMachine {
    pub(super) fn hello(&self) -> PublisherMessage {
        PublisherMessage::Hello(Hello {
            version: PROTOCOL_VERSION,
            session: self.identity.session,
            resume_key: self.identity.resume_key.clone(),
            room: self.identity.room.clone(),
            track: self.track,
            params: self.params.clone(),
            device: self.identity.device.clone(),
            started_unix_ms: self.identity.started_unix_ms,
        })
    }

    /// Units of one lane in one message: of the live lane while it has any, else of what was left behind, as far as
    /// the window lets them.
    pub(super) fn next_units(&mut self) -> Option<Message> {
        let newest = self.newest();
        let State::Linked(Link { stage: Stage::Welcomed(welcomed), .. }) = &mut self.state else {
            return None;
        };
        if let Some((since, bytes)) = self.held
            && self.now < since + self.pace.hold
            && bytes < self.pace.shared_message_bytes
            && !self.finished
        {
            return None;
        }
        let lane = if welcomed.lanes.next_live(&*self.spool, newest, self.pace.live_backlog).is_some() {
            Lane::Live
        } else if welcomed.lanes.is_paused() {
            return None;
        } else if welcomed.lanes.next_backfill(&*self.spool).is_some() {
            Lane::Backfill
        } else {
            return None;
        };
        if !welcomed.window.has_room_for_live() {
            return None;
        }
        let wants_key = welcomed.lanes.wants_key(self.now, newest);
        // What was left behind of the sound is little, and goes before what was left behind of the picture: side by side
        // they would fill the way of what is live. After the end nothing is.
        if lane == Lane::Backfill && self.audio.catches_up && !self.finished {
            if wants_key {
                self.tell(Tell::KeyframeRequest);
            }
            return None;
        }
        let message_bytes = welcomed.limits.message_bytes as usize;
        let lane_bytes = match lane {
            Lane::Live => message_bytes,
            Lane::Backfill => welcomed.window.backfill_message_bytes(),
        };
        let shared_bytes = self.pace.shared_message_bytes.min(message_bytes).min(lane_bytes);
        let mut message = BytesMut::new();
        let mut units = 0;
        loop {
            let next = match lane {
                Lane::Live => welcomed.lanes.next_live(&*self.spool, newest, self.pace.live_backlog),
                Lane::Backfill => welcomed.lanes.next_backfill(&*self.spool),
            };
            // A spool on a disk may not be able to give the unit now.
            let Some(next) = next else { break };
            let Some(mut unit) = self.spool.next_from(next.number).filter(|unit| unit.number == next.number)
            else {
                break;
            };
            let more_bytes = unit.encoded_bytes();
            let payload_bytes = unit.payload.len();
            if more_bytes > message_bytes || payload_bytes > welcomed.limits.unit_bytes as usize {
                if units > 0 {
                    break;
                }
                let message = format!(
                    "unit {} has {payload_bytes} bytes, more than the server takes; raise its limit, or start anew with \
                     a lower quality",
                    unit.number
                );
                self.refused_on_link(ErrorBody::new(ErrorCode::TooLarge, message));
                return None;
            }
            let shares = units == 0 || message.len() + more_bytes <= shared_bytes;
            if !shares
                || units == MAX_UNITS_PER_MESSAGE
                || !welcomed.in_flight.has_room(more_bytes, self.pace.in_flight_bytes)
                || lane == Lane::Backfill
                    && !welcomed.window.has_room_for_backfill(message.len() + more_bytes)
            {
                break;
            }
            unit.lane = lane;
            unit.encode(&mut message);
            welcomed.in_flight.add(self.now, &unit);
            welcomed.lanes.wrote(lane, unit.number);
            units += 1;
            self.counters.repeated_units += u64::from(self.written.contains(unit.number));
            self.written.insert(unit.number);
        }
        welcomed.window.wrote(message.len());
        if !welcomed.lanes.has_more(&*self.spool) {
            self.held = None;
        }
        if wants_key {
            self.tell(Tell::KeyframeRequest);
        }
        if units == 0 {
            return None;
        }
        self.counters.sent_units += units as u64;
        self.counters.sent_bytes += message.len() as u64;
        Some(Message::Binary(message.freeze()))
    }

    pub(super) fn next_finish(&mut self) -> Option<Message> {
        let State::Linked(Link { stage: Stage::Welcomed(welcomed), .. }) = &mut self.state else {
            return None;
        };
        if !self.finished || welcomed.lanes.has_more(&*self.spool) {
            return None;
        }
        let unwitnessed = coarser(&self.unwitnessed(), MAX_RANGES / 2);
        let room = MAX_RANGES - unwitnessed.as_slice().len();
        let mut lost = self.lost();
        if lost.as_slice().len() > room {
            // A coarser list also names units between its ranges: it waits until those are durable.
            if self.spool.backlog().units > 0 {
                return None;
            }
            lost = coarser(&lost, room);
        }
        let is_news = |written: &Finish| (&written.lost, &written.unwitnessed) != (&lost, &unwitnessed);
        let State::Linked(Link { stage: Stage::Welcomed(welcomed), .. }) = &self.state else {
            return None;
        };
        if !welcomed.finish_written.as_ref().is_none_or(is_news) {
            return None;
        }
        let finish = self.signed_finish(lost, unwitnessed)?;
        let text = PublisherMessage::Finish(finish.clone()).to_json();
        if let State::Linked(Link { stage: Stage::Welcomed(welcomed), .. }) = &mut self.state {
            welcomed.finish_written = Some(finish);
        }
        Some(Message::Text(text))
    }

    /// The units that the server holds and whose digests are not known here.
    fn unwitnessed(&self) -> UnitRanges {
        let mut others = self.digests.numbers();
        others.extend(&self.durable.gaps_below(self.next_number));
        others.gaps_below(self.next_number)
    }

    /// None only if a unit that waits in the spool were without a digest.
    fn signed_finish(&self, lost: UnitRanges, unwitnessed: UnitRanges) -> Option<Finish> {
        let Identity { session, started_unix_ms, device_key, .. } = &self.identity;
        let units = self.next_number;
        let digest = self.digests.track_digest(self.track, units, &excluded(&lost, &unwitnessed))?;
        let (device_key, unsigned) = (device_key.public(), Hex([0; 64]));
        let finish = Finish { units, lost, unwitnessed, digest, device_key, signature: unsigned };
        let statement = finish.statement(*session, self.track, *started_unix_ms).to_json();
        Some(Finish { signature: self.identity.device_key.sign(&statement), ..finish })
    }

    /// Turns what was given up into an event, once it is sure and not too often.
    pub(super) fn tell_losses(&mut self) {
        let welcomed = matches!(&self.state, State::Linked(Link { stage: Stage::Welcomed(_), .. }));
        let due = self.losses.due_at().is_some_and(|due| self.finished || self.now >= due);
        if welcomed && due {
            let lost = self.lost();
            if let Some((at_90k, detail)) = self.losses.take(self.now, &lost) {
                self.event(self.now, EventKind::UnitsLost, at_90k, &detail);
            }
        }
    }
}
