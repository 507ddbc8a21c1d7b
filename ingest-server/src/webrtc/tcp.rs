//! ICE over TCP (RFC 6544), for peers that UDP does not reach: connections that they open, and what comes in on them.
//!
//! A connection belongs to the peer whose name its first packet gives, a connectivity check. What a name without its password is worth
//! the peer decides itself, as it does of a datagram. The connection ends with the peer; when it ends first, the peer may come
//! back by another one, or by UDP, for as long as it may be silent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;
use str0m::net::Protocol;
use tokio::io::AsyncReadExt as _;
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::batch::Path;
use super::frames::Frames;
use super::peer::Patience;
use super::port::{Arrival, Datagram, Port, canonical};
use super::stream::Stream;
use super::tcp_slots::{TcpSlot, TcpSlots};
use crate::clock::Clock;
use crate::listener::{ConnectionRates, accept};
use crate::stop::Stop;

/// What the system holds of what goes out on one connection: some hundred milliseconds of pictures. More would only make a
/// slow viewer late.
const SEND_BUFFER_BYTES: usize = 128 * 1024;
/// How long a connection that the server has closed is still read, so that what was sent last arrives: whoever closes with something
/// unread resets.
const LINGER: Duration = Duration::from_secs(1);

/// The TCP port of WebRTC.
#[derive(Debug)]
pub(crate) struct TcpPort {
    port: Arc<Port>,
    slots: Arc<TcpSlots>,
    patience: Patience,
    stop: Stop,
}

impl TcpPort {
    /// Takes so many connections, for the peers that have a place at `port`.
    pub(super) fn new(port: Arc<Port>, capacity: usize, patience: Patience, stop: Stop) -> Arc<Self> {
        Arc::new(Self { port, slots: TcpSlots::new(capacity), patience, stop })
    }

    /// Takes connections at a port of its own until the server stops. Who connects too often is dropped.
    pub(super) async fn listen(
        self: Arc<Self>,
        socket: TcpListener,
        mut rates: ConnectionRates,
        clock: Clock,
    ) {
        let mut stop = self.stop.clone();
        while let Some((stream, peer)) = accept(&socket, &mut stop).await {
            if rates.allow(clock.now(), peer.ip()) {
                self.take(stream, peer);
            }
        }
    }

    /// Serves a connection, if there is room for one more.
    pub(crate) fn take(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        if let (Some(slot), Ok(local)) = (self.slots.take(peer.ip()), stream.local_addr()) {
            tokio::spawn(Arc::clone(self).serve(stream, canonical(peer), canonical(local), slot));
        }
    }

    async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        source: SocketAddr,
        destination: SocketAddr,
        slot: TcpSlot,
    ) {
        // Neither is needed for the connection to work.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES);
        let (half, sending) = stream.into_split();
        let mut incoming = Incoming { half, frames: Frames::default() };
        let mut stop = self.stop.clone();
        let first = tokio::select! {
            first = incoming.next(self.patience.connect) => first,
            () = stop.wait() => None,
        };
        let Some(first) = first else { return };
        let Some(inbox) = self.port.checked(&first) else { return };
        let (open, mut closed) = oneshot::channel();
        let path = Path { protocol: Protocol::Tcp, here: destination.ip(), there: source };
        let slot = Arc::new(slot);
        let stream = Stream::new(sending, path, open, Arc::clone(&slot));
        let mut arrival = Arrival::Opened(stream);
        let mut next = Some(first);
        // A peer that does not keep up is not read further: the connection itself slows the sender down.
        while inbox.send(arrival).await.is_ok() {
            let Some(bytes) = next.take() else { break };
            let at = self.port.now();
            arrival = Arrival::Datagram(Datagram { protocol: Protocol::Tcp, source, destination, bytes, at });
            next = tokio::select! {
                next = incoming.next(self.patience.silence) => next,
                _ = &mut closed => None,
            };
        }
        // The sending half closes too when it hears of this.
        drop((closed, inbox));
        let _ = timeout(LINGER, incoming.pass_over()).await;
        drop(slot);
    }

    /// Waits until the last connection is gone.
    pub(super) async fn gone(&self) {
        self.slots.gone().await;
    }
}

/// The receiving half of a connection.
struct Incoming {
    half: OwnedReadHalf,
    frames: Frames,
}

impl Incoming {
    /// The next packet; none when the connection ends, is silent for so long, or makes no sense. Losing the future loses nothing.
    async fn next(&mut self, patience: Duration) -> Option<Bytes> {
        let next = async {
            loop {
                if let Some(packet) = self.frames.next().ok()? {
                    return Some(packet);
                }
                if self.half.read_buf(&mut self.frames.space()).await.ok()? == 0 {
                    return None;
                }
            }
        };
        timeout(patience, next).await.ok().flatten()
    }

    /// Reads to the end.
    async fn pass_over(mut self) {
        let mut bytes = [0; 1_024];
        while self.half.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
    }
}
