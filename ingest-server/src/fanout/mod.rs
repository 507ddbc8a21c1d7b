//! Live fan-out: what arrives, to everybody who watches, at each one's own pace.
//!
//! A track has one [`Fanout`]. Viewers hold [`Subscription`]s, which read from its [ring](ring); nothing that a viewer does or
//! leaves undone reaches the publisher or the recorder.

mod ring;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::Track;
use tokio::sync::watch;

pub use ring::LiveUnit;
pub(crate) use ring::{Delivery, Payloads};

use ring::{Cursor, Ring};

/// One track's fan-out.
#[derive(Debug)]
pub(crate) struct Fanout {
    ring: Mutex<Ring>,
    /// Wakes subscribers. True when nothing comes any more.
    news: watch::Sender<bool>,
}

impl Fanout {
    pub(crate) fn new(track: Track) -> Self {
        Self { ring: Mutex::new(Ring::new(track)), news: watch::channel(false).0 }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives units to everybody who watches.
    pub(crate) fn publish(&self, units: impl IntoIterator<Item = LiveUnit>) {
        let mut is_news = false;
        {
            let mut ring = self.ring();
            // Who subscribes after this look finds what is in the ring by then.
            let is_read = self.news.receiver_count() > 0;
            for unit in units {
                is_news |= ring.push(unit, is_read) && is_read;
            }
        }
        if is_news {
            // An end stays one.
            self.news.send_modify(|_| {});
        }
    }

    /// Nothing comes any more: subscribers get what there is, and then the end.
    pub(crate) fn end(&self) {
        self.news.send_replace(true);
    }

    /// Whether a viewer who comes now gets something at once. If not, an IDR picture is worth asking for.
    pub(crate) fn can_be_joined(&self) -> bool {
        self.ring().can_be_joined()
    }

    /// The time of the newest unit that is held.
    pub(crate) fn newest_90k(&self) -> Option<u64> {
        self.ring().newest_90k()
    }

    /// Reads along from the newest place that can be decoded.
    pub(crate) fn subscribe(self: &Arc<Self>) -> Subscription {
        Subscription { fanout: Arc::clone(self), cursor: Cursor::default(), news: self.news.subscribe() }
    }
}

/// One viewer's place in a track. It holds no units: what it does not read in time it never gets.
#[derive(Debug)]
pub(crate) struct Subscription {
    fanout: Arc<Fanout>,
    cursor: Cursor,
    news: watch::Receiver<bool>,
}

impl Subscription {
    /// The next unit, if there is one already.
    pub(crate) fn try_next(&mut self) -> Option<Delivery> {
        self.fanout.ring().read(&mut self.cursor)
    }

    /// The next unit; `None` when the track has ended. Losing the future loses nothing.
    pub(crate) async fn next(&mut self) -> Option<Delivery> {
        loop {
            // First what is said, then the look: what comes between the two is seen by one of them.
            let has_ended = *self.news.borrow_and_update();
            if let Some(delivery) = self.try_next() {
                return Some(delivery);
            }
            if has_ended {
                return None;
            }
            self.news.changed().await.ok()?;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures_util::FutureExt as _;

    use super::ring::tests::live;
    use super::*;

    #[test]
    fn who_subscribes_is_woken_by_what_comes_and_has_the_end_after_it() {
        let fanout = Arc::new(Fanout::new(Track::Audio));
        fanout.publish([live(0, false, 10), live(1, false, 10)]);
        let mut subscription = fanout.subscribe();
        let mut next =
            || subscription.next().now_or_never().map(|got| got.map(|got| got.held.live.unit.number));
        assert_eq!(next(), Some(Some(1)), "the newest packet is where a viewer joins");
        assert_eq!(next(), None);
        fanout.publish([live(2, false, 10)]);
        assert_eq!(next(), Some(Some(2)));
        // A unit that was on its way when the track ended.
        fanout.end();
        fanout.publish([live(3, false, 10)]);
        assert_eq!(next(), Some(Some(3)));
        assert_eq!(next(), Some(None));
    }
}
