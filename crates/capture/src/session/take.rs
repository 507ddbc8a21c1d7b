//! One track of one session: what its device delivers becomes units, and units become events.

use std::collections::VecDeque;
use std::sync::mpsc::{SyncSender, TrySendError};

use protocol::Track;

use super::CaptureEvent;
use super::event::Failure;
use crate::device::Stop;

/// Encodes what a device delivers. It is called from the track's one thread.
pub(super) trait Coder<T>: Send {
    /// Encodes one item.
    fn encode(&mut self, item: T, out: &mut Outbox) -> Result<(), Failure>;

    /// An item is dropped before it is encoded, as the reader of events is too slow.
    fn dropped(&mut self);

    /// The device was away before the next item, or another one has taken its place.
    fn restored(&mut self, is_other: bool);

    /// Nothing comes any more: encodes what it still holds.
    fn finish(&mut self, out: &mut Outbox) -> Result<(), Failure>;

    /// How many units it has made.
    fn units(&self) -> u64;
}

/// Where events wait for a reader who is slow, without making the track's thread wait.
///
/// Bounded by what one item makes: while something waits here, [`Take::put`] drops items before they are encoded.
pub(super) struct Outbox {
    events: SyncSender<CaptureEvent>,
    waiting: VecDeque<CaptureEvent>,
    abandoned: bool,
}

impl Outbox {
    pub(super) const fn new(events: SyncSender<CaptureEvent>) -> Self {
        Self { events, waiting: VecDeque::new(), abandoned: false }
    }

    /// Tells an event; it waits here if its reader has no room.
    pub(super) fn tell(&mut self, event: CaptureEvent) {
        self.waiting.push_back(event);
        self.is_clear();
    }

    /// Tells an event that may be left out. Whether it was told.
    pub(super) fn offer(&mut self, event: CaptureEvent) -> bool {
        self.is_clear() && self.events.try_send(event).is_ok()
    }

    /// Whether nothing waits.
    fn is_clear(&mut self) -> bool {
        while let Some(event) = self.waiting.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) => {
                    self.waiting.push_front(event);
                    return false;
                }
                Err(TrySendError::Disconnected(_)) => self.abandoned = true,
            }
        }
        true
    }

    /// Tells everything that waits, however long its reader takes.
    fn flush(mut self) {
        while let Some(event) = self.waiting.pop_front() {
            if self.events.send(event).is_err() {
                return;
            }
        }
    }
}

/// One track of one session.
pub(super) struct Take<T> {
    track: Track,
    coder: Box<dyn Coder<T>>,
    out: Outbox,
    stop: Stop,
}

impl<T> Take<T> {
    pub(super) fn new(track: Track, coder: Box<dyn Coder<T>>, out: Outbox, stop: Stop) -> Self {
        Self { track, coder, out, stop }
    }

    /// Whether somebody wants no more of it.
    pub(super) fn is_over(&self) -> bool {
        self.out.abandoned || self.stop.is_requested()
    }

    /// Encodes an item, or drops it when the reader of events is too slow.
    ///
    /// # Errors
    /// The encoder's; the take has to be [ended](Self::end) then.
    pub(super) fn put(&mut self, item: T) -> Result<(), Failure> {
        if self.out.is_clear() {
            self.coder.encode(item, &mut self.out)
        } else {
            self.coder.dropped();
            Ok(())
        }
    }

    /// Tells what happened beside the units.
    pub(super) fn tell(&mut self, event: CaptureEvent) {
        // What comes next does not continue what came before.
        match event {
            CaptureEvent::DeviceRestored { .. } => self.coder.restored(false),
            CaptureEvent::DeviceSwitched { .. } | CaptureEvent::SwitchedOff { .. } => {
                self.coder.restored(true)
            }
            _ => {}
        }
        self.out.tell(event);
    }

    /// Tells what may be left out. Whether it was told.
    pub(super) fn offer(&mut self, event: CaptureEvent) -> bool {
        self.out.offer(event)
    }

    /// Ends the track. Waits until its reader has room for the last events, or is gone.
    pub(super) fn end(mut self, failure: Option<Failure>) {
        let finished = self.coder.finish(&mut self.out).err();
        let failure = failure.or(finished);
        let units = self.coder.units();
        self.out.tell(CaptureEvent::Ended { track: self.track, units, failure });
        self.out.flush();
    }
}
