//! The word that the server stops.

use tokio::sync::watch;

/// Learns that the server stops; every task has one of its own.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// The word, and who waits for it: send `true` to stop.
    pub(crate) fn channel() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Returns when the server stops.
    pub(crate) async fn wait(&mut self) {
        // A sender that is gone has stopped as well.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.0.borrow()
    }
}
