//! What a session's status is looked at for while it is sent.

use std::time::Duration;

use publisher::Publisher;
use publisher::status::{Phase, Status};
use tokio::sync::mpsc;

use crate::exit::{Failure, judge};
use crate::screen::Screen;

/// Shows the status and notices when going on makes no sense.
pub(super) struct Watch<'a> {
    pub(super) publisher: &'a Publisher,
    pub(super) screen: &'a mut Screen,
    /// Lines for the person.
    pub(super) told: mpsc::Receiver<String>,
    pub(super) connect_timeout: Duration,
}

impl Watch<'_> {
    /// Returns when the server refuses, or was not reached in time.
    pub(super) async fn run(&mut self) -> Failure {
        let publisher = self.publisher;
        let timeout = self.connect_timeout;
        tokio::select! {
            failure = refusal(publisher) => failure,
            failure = absence(publisher, timeout) => failure,
            () = self.show_status() => Failure::Fault("the status ended".to_owned()),
        }
    }

    /// Shows remarks and the status; never returns.
    pub(super) async fn show_status(&mut self) {
        let interval = self.screen.interval;
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + interval, interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut status = self.publisher.status();
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    let now = self.publisher.report().status();
                    self.screen.status(&now);
                }
                Ok(()) = status.changed() => {
                    let now = status.borrow_and_update().clone();
                    self.screen.changes(&now);
                }
                Some(remark) = self.told.recv() => self.screen.remark(&remark),
            }
        }
    }
}

async fn refusal(publisher: &Publisher) -> Failure {
    let mut status = publisher.status();
    let refused =
        |status: &Status| status.tracks().any(|(_, track)| matches!(track.phase, Phase::NeedsYou(_)));
    status.wait_for(refused).await.ok();
    match judge([&publisher.report()]) {
        Err(failure) => failure,
        Ok(()) => Failure::Server("the server refuses".to_owned()),
    }
}

/// Returns when no track was welcomed within the time.
async fn absence(publisher: &Publisher, timeout: Duration) -> Failure {
    let mut status = publisher.status();
    let reached = |status: &Status| status.tracks().any(|(_, track)| track.counters.connections > 0);
    if timeout.is_zero() || tokio::time::timeout(timeout, status.wait_for(reached)).await.is_ok() {
        return std::future::pending().await;
    }
    let reason = publisher.report().tracks.iter().find_map(|track| match &track.status.phase {
        Phase::Offline { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    Failure::Server(reason.unwrap_or_else(|| "the server does not answer".to_owned()))
}
