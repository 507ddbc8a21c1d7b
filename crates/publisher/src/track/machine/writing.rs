//! What is written to the socket: hello, units, events of losses, finish.

use bytes::BytesMut;
use protocol::PROTOCOL_VERSION;
use protocol::control::{EventKind, Finish, Hello, PublisherMessage};
use protocol::error::{ErrorBody, ErrorCode};
use protocol::limits::{MAX_RANGES, MAX_UNITS_PER_MESSAGE};

use super::super::Message;
use super::super::link::{Link, Stage};
use super::super::losses::coarser;
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

    pub(super) fn next_units(&mut self) -> Option<Message> {
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
        let message_bytes = welcomed.limits.message_bytes as usize;
        let shared_bytes = self.pace.shared_message_bytes.min(message_bytes);
        let mut message = BytesMut::new();
        let mut units = 0;
        while let Some(mut unit) = self.spool.next_from(welcomed.cursor) {
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
            {
                break;
            }
            unit.lane = welcomed.lane.lane_of(&unit);
            unit.encode(&mut message);
            welcomed.in_flight.add(self.now, &unit);
            welcomed.cursor = unit.number + 1;
            units += 1;
            if unit.number < self.written_below {
                self.counters.repeated_units += 1;
            }
            self.written_below = self.written_below.max(unit.number + 1);
        }
        if units == 0 {
            return None;
        }
        if self.spool.entry_from(welcomed.cursor).is_none() {
            self.held = None;
        }
        self.counters.sent_units += units as u64;
        self.counters.sent_bytes += message.len() as u64;
        Some(Message::Binary(message.freeze()))
    }

    pub(super) fn next_finish(&mut self) -> Option<Message> {
        let State::Linked(Link { stage: Stage::Welcomed(welcomed), .. }) = &self.state else { return None };
        if !self.finished || self.spool.entry_from(welcomed.cursor).is_some() {
            return None;
        }
        let mut lost = self.lost();
        if lost.as_slice().len() > MAX_RANGES {
            // A coarser list also names units between its ranges: it waits until those are durable.
            if self.spool.backlog().units > 0 {
                return None;
            }
            lost = coarser(&lost, MAX_RANGES);
        }
        let finish = Finish { units: self.next_number, lost };
        if welcomed.finish_written.as_ref() == Some(&finish) {
            return None;
        }
        let text = PublisherMessage::Finish(finish.clone()).to_json();
        if let State::Linked(Link { stage: Stage::Welcomed(welcomed), .. }) = &mut self.state {
            welcomed.finish_written = Some(finish);
        }
        Some(Message::Text(text))
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
