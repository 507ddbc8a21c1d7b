//! Large messages go in pieces, so that the window holds for bytes and not for messages: an IDR picture would else fill
//! the path's queue at once, and the sound would wait behind it.

use std::time::Duration;

use bytes::Bytes;

use super::super::link::{Link, Stage, Welcomed};
use super::super::window::Window;
use super::super::{Frame, Message};
use super::{State, TrackMachine};

/// A piece of a message: 65 ms of 1 Mbit/s.
const PIECE_BYTES: usize = 8 * 1024;
/// A message up to this size goes whole.
const WHOLE_BYTES: usize = 3 * PIECE_BYTES / 2;

impl TrackMachine {
    /// As [`poll_message`](Self::poll_message), with large messages in pieces; between the pieces of one message there
    /// are pings and no other message. A user of one does not use the other.
    pub fn poll_frame(&mut self, now: Duration) -> Option<Frame> {
        self.see(now);
        if self.unfinished_message().is_some()
            && let Some(number) = self.poll_ping(now)
        {
            return Some(Frame::Whole(Message::Ping(number)));
        }
        if let Some((window, rest)) = self.unfinished_message() {
            if !window.has_room_for_live() {
                return None;
            }
            let bytes = rest.split_to(rest.len().min(PIECE_BYTES));
            window.wrote(bytes.len());
            return Some(Frame::Piece { bytes, is_first: false, is_last: rest.is_empty() });
        }
        match self.poll_message(now)? {
            Message::Binary(mut rest) if rest.len() > WHOLE_BYTES => {
                let bytes = rest.split_to(PIECE_BYTES);
                if let State::Linked(Link { stage: Stage::Welcomed(welcomed), .. }) = &mut self.state {
                    welcomed.window.took_back(rest.len());
                    welcomed.unfinished = rest;
                }
                Some(Frame::Piece { bytes, is_first: true, is_last: false })
            }
            message => Some(Frame::Whole(message)),
        }
    }

    /// The rest of the message of which pieces are written, if there is one.
    fn unfinished_message(&mut self) -> Option<(&mut Window, &mut Bytes)> {
        match &mut self.state {
            State::Linked(Link { stage: Stage::Welcomed(welcomed), .. })
                if !welcomed.unfinished.is_empty() =>
            {
                let Welcomed { window, unfinished, .. } = &mut **welcomed;
                Some((window, unfinished))
            }
            _ => None,
        }
    }
}
