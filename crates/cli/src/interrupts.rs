//! Ctrl-C and the system's request to end, counted.

use tokio::sync::watch;

use crate::exit::Failure;

/// How often the program was asked to end.
#[derive(Clone)]
pub(crate) struct Interrupts(watch::Receiver<u32>);

impl Interrupts {
    /// Starts to count. To be called once.
    pub(crate) fn watch() -> Result<Self, Failure> {
        let (count, receiver) = watch::channel(0);
        ctrlc::set_handler(move || count.send_modify(|count| *count += 1))
            .map_err(|error| Failure::Fault(format!("cannot listen for Ctrl-C: {error}")))?;
        Ok(Self(receiver))
    }

    /// Waits until there were at least this many.
    pub(crate) async fn reach(&mut self, count: u32) {
        if self.0.wait_for(|have| *have >= count).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
