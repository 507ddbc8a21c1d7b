//! A link of one's own between a publisher and its server: it counts what goes up, and can be narrow.
//!
//! A relay of TCP connections on the loopback interface. All of them share one rate on the way up, and what has arrived
//! and may not go on yet waits in small buffers, as in front of a modem.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// What the system keeps of a connection before the narrow part, in bytes; Linux doubles it.
const BUFFER_BYTES: u32 = 32 * 1024;
/// What goes over the link in one piece: at 8 Mbit/s four milliseconds.
const PIECE_BYTES: usize = 4 * 1024;
const CONNECTIONS: u32 = 64;
/// What a relay that wakes late may make up for: a timer's millisecond after each piece would otherwise make the link a
/// fifth narrower than it says. After a rest so much goes over at once, like a token bucket's burst.
const BURST: Duration = Duration::from_millis(50);

/// An open link. Dropping it takes no new connections.
pub(crate) struct Link {
    upward: Arc<Upward>,
    task: JoinHandle<()>,
}

/// The way up.
struct Upward {
    bytes: AtomicU64,
    narrow: Option<Mutex<Narrow>>,
}

/// The narrow part: what it carries, and when it is through with everything so far.
struct Narrow {
    bits_per_second: u64,
    free_at: Instant,
}

impl Link {
    /// Opens a link from one port of the loopback interface to another.
    pub(crate) fn open(from: u16, to: u16, bits_per_second: Option<u64>) -> Result<Self> {
        let free_at = Instant::now();
        let narrow = bits_per_second.map(|bits_per_second| Mutex::new(Narrow { bits_per_second, free_at }));
        let upward = Arc::new(Upward { bytes: AtomicU64::new(0), narrow });
        let socket = TcpSocket::new_v4()?;
        // The server's side of an earlier link may still be closing.
        socket.set_reuseaddr(true)?;
        socket.set_recv_buffer_size(BUFFER_BYTES)?;
        socket.bind(([127, 0, 0, 1], from).into())?;
        let listener = socket.listen(CONNECTIONS)?;
        let shared = Arc::clone(&upward);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(relay(near, to, Arc::clone(&shared)));
            }
        });
        Ok(Self { upward, task })
    }

    /// Takes no new connections. Yields the bytes that went up: HTTP upgrades, WebSocket frames, everything above TCP.
    pub(crate) fn close(self) -> u64 {
        self.upward.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upward {
    /// When so many bytes have gone over.
    fn carry(&self, bytes: usize) -> Option<Instant> {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let mut narrow = self.narrow.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(narrow.carry(Instant::now(), bytes))
    }
}

impl Narrow {
    fn carry(&mut self, now: Instant, bytes: usize) -> Instant {
        let takes = Duration::from_nanos(bytes as u64 * 8 * 1_000_000_000 / self.bits_per_second);
        self.free_at = self.free_at.max(now.checked_sub(BURST).unwrap_or(now)) + takes;
        self.free_at
    }
}

/// A connection ends when either side ends it.
async fn relay(near: TcpStream, to: u16, upward: Arc<Upward>) {
    let Ok(far) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    // Without it the link would add Nagle's delays to its own.
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
    tokio::select! {
        _ = pass(from_near, to_far, Some(&upward)) => {}
        _ = pass(from_far, to_near, None) => {}
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, upward: Option<&Upward>) -> Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = from.read(&mut piece).await?;
        if count == 0 {
            return Ok(());
        }
        if let Some(at) = upward.and_then(|upward| upward.carry(count)) {
            sleep_until(at).await;
        }
        to.write_all(&piece[..count]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_link_carries_what_it_says_even_if_each_wake_up_is_late() {
        let start = Instant::now();
        let mut narrow = Narrow { bits_per_second: 8_000_000, free_at: start };
        let mut now = start;
        for _ in 0..1_000 {
            let gone_at = narrow.carry(now, PIECE_BYTES);
            now = gone_at.max(now) + Duration::from_micros(1_200);
        }
        let ideal = Duration::from_micros(4_096) * 1_000;
        let took = now - start;
        assert!(took >= ideal && took < ideal + BURST, "{took:?} for {ideal:?} of bytes");
    }

    #[test]
    fn after_a_rest_no_more_than_a_burst_goes_over_at_once() {
        let start = Instant::now();
        let mut narrow = Narrow { bits_per_second: 8_000_000, free_at: start };
        let now = start + Duration::from_secs(60);
        let gone_at = narrow.carry(now, 1_000_000);
        assert_eq!(gone_at, now + Duration::from_secs(1) - BURST);
    }
}
