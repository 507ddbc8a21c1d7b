//! What a track has for those who watch, and what they want of its publisher.

use std::sync::Arc;
use std::time::Duration;

use protocol::Track;
use protocol::codec::CodecParameters;
use protocol::control::ServerMessage;
use protocol::unit::{Lane, Unit};

use super::TrackIngest;
use crate::fanout::LiveUnit;

/// A publisher is asked for an IDR picture at most this often, however many viewers come: each costs it several times
/// the bytes of another picture.
const KEY_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Live {
    /// What the message that came last has brought.
    units: Vec<LiveUnit>,
    /// The parameters of the latest live unit, by their place.
    parameters: Option<(usize, Arc<CodecParameters>)>,
    asked_for_key: Option<Duration>,
    /// How many watch, once somebody did.
    viewers: Option<u32>,
}

impl TrackIngest {
    /// The time of the highest unit that has arrived, or when its part ends, in 1/90000 s since the session's start.
    #[must_use]
    pub fn latest_90k(&self) -> Option<u64> {
        self.highest.map(|highest| highest.latest_90k)
    }

    /// Takes what the message that came last has brought for those who watch: units newer than all before. What is not
    /// taken before the next message is gone.
    pub fn take_live(&mut self) -> Vec<LiveUnit> {
        std::mem::take(&mut self.live.units)
    }

    /// Asks the publisher for an IDR picture, if it is there and was not asked just now. Says whether it was.
    pub fn request_key(&mut self, now: Duration) -> bool {
        let is_due = self.live.asked_for_key.is_none_or(|at| now >= at + KEY_INTERVAL);
        let Some(connection) = self.connection.as_mut().filter(|_| is_due && self.track == Track::Video)
        else {
            return false;
        };
        self.live.asked_for_key = Some(now);
        connection.out.push_back(ServerMessage::KeyframeRequest {});
        true
    }

    /// Tells the publisher how many watch, now and whenever it connects. Says whether that is news.
    pub fn tell_viewers(&mut self, count: u32) -> bool {
        let is_news = self.live.viewers.unwrap_or(0) != count;
        if is_news {
            self.live.viewers = Some(count);
            self.push_viewers();
        }
        is_news
    }

    /// Puts the count where it is sent, in the place of an earlier one that was not sent yet.
    pub(super) fn push_viewers(&mut self) {
        if let (Some(count), Some(connection)) = (self.live.viewers, &mut self.connection) {
            connection.out.retain(|message| !matches!(message, ServerMessage::Viewers { .. }));
            connection.out.push_back(ServerMessage::Viewers { count });
        }
    }

    pub(super) fn forget_live(&mut self) {
        self.live.units.clear();
    }

    /// A unit was taken. Those that fill gaps are for the recording only.
    pub(super) fn keep_live(&mut self, unit: &Unit, is_newest: bool, params_index: usize) {
        if !is_newest || unit.lane != Lane::Live {
            return;
        }
        let known = self.live.parameters.as_ref().filter(|(index, _)| *index == params_index);
        let parameters = match known {
            Some((_, parameters)) => Arc::clone(parameters),
            None => {
                let parameters = Arc::new(self.params.all()[params_index].parameters.clone());
                self.live.parameters = Some((params_index, Arc::clone(&parameters)));
                parameters
            }
        };
        self.live.units.push(LiveUnit { unit: unit.clone(), parameters });
    }
}
