//! How a track ends: the publisher's finish, and the proof that what is durable is what it made.

use protocol::control::Finish;
use protocol::error::{ErrorBody, ErrorCode};
use protocol::limits::MAX_UNIT_NUMBER;
use signing::verify;

use super::super::record::Record;
use super::{Connection, TrackIngest, What};

impl TrackIngest {
    /// The publisher says that the track has ended.
    pub(super) fn finish(&mut self, finish: Finish) -> Result<(), ErrorBody> {
        let invalid = |message: &str| Err(ErrorBody::new(ErrorCode::InvalidMessage, message));
        if finish.units > MAX_UNIT_NUMBER {
            return invalid("finish counts more units than there can be");
        }
        if self.highest.is_some_and(|highest| highest.number >= finish.units) {
            return invalid("finish counts fewer units than have arrived");
        }
        match &self.finish {
            Some(known) if known.units != finish.units && self.is_complete() => {
                return Err(ErrorBody::new(
                    ErrorCode::SessionEnded,
                    "the track has ended with another count",
                ));
            }
            Some(known) if known.units != finish.units => {
                return invalid("the track was finished with another count");
            }
            _ => {}
        }
        if let Some(Connection { session, started_unix_ms, .. }) = &self.connection {
            let statement = finish.statement(*session, self.track, *started_unix_ms).to_json();
            if !verify(&finish.device_key, &statement, &finish.signature) {
                return invalid("the signature of finish is not that of its device key");
            }
        }
        self.flush();
        if self.finish.as_ref() != Some(&finish) {
            self.record(Record::Finish(finish.clone()), What::Finish(finish.clone()));
            self.finish = Some(finish);
        }
        self.record(Record::Seal, What::Other);
        if let Some(connection) = &mut self.connection {
            connection.wants_complete = true;
        }
        self.prove();
        Ok(())
    }

    /// Has the digest checked once everything is there that it covers, and a publisher waits for the answer.
    pub(super) fn prove(&mut self) {
        let is_asked = self.connection.as_ref().is_some_and(|connection| connection.wants_complete);
        if !is_asked || self.stored.is_proven || !self.stored.has_all() {
            return;
        }
        // What is on its way may change what is to be proven.
        let Some(finish) = self.stored.finish.clone().filter(|finish| self.finish.as_ref() == Some(finish))
        else {
            return;
        };
        if !self.in_flight.values().any(|flying| matches!(flying.what, What::Proof(_) | What::Part { .. })) {
            self.record(Record::Proof(finish.clone()), What::Proof(finish));
        }
    }
}
