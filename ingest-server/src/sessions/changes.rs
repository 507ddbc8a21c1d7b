//! Who is told when sessions change.

use tokio::sync::{Notify, watch};

/// The two kinds of news of all sessions together.
#[derive(Debug)]
pub(crate) struct Changes {
    /// Wakes the caretaker, who looks at every session's facts.
    pub(super) settled: Notify,
    /// Counts what may interest a room: sessions that come, change their status or connections, and go.
    pub(super) sessions: watch::Sender<u64>,
}

impl Default for Changes {
    fn default() -> Self {
        Self { settled: Notify::new(), sessions: watch::channel(0).0 }
    }
}

impl Changes {
    /// A session came, changed, or went.
    pub(super) fn announce(&self) {
        self.sessions.send_modify(|count| *count += 1);
    }
}
