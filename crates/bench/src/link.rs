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

/// An open link. Dropping it takes no new connections.
pub(crate) struct Link {
    upward: Arc<Upward>,
    task: JoinHandle<()>,
}

/// The way up.
struct Upward {
    bits_per_second: Option<u64>,
    bytes: AtomicU64,
    free_at: Mutex<Instant>,
}

impl Link {
    /// Opens a link from one port of the loopback interface to another.
    pub(crate) fn open(from: u16, to: u16, bits_per_second: Option<u64>) -> Result<Self> {
        let upward = Arc::new(Upward {
            bits_per_second,
            bytes: AtomicU64::new(0),
            free_at: Mutex::new(Instant::now()),
        });
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
        let takes = Duration::from_nanos(bytes as u64 * 8 * 1_000_000_000 / self.bits_per_second?);
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        *free_at = (*free_at).max(Instant::now()) + takes;
        Some(*free_at)
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
