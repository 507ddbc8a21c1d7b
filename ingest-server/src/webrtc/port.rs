//! The one UDP port that all peers share: datagrams in, to the inbox of the peer they belong to; datagrams out, many at a time. A peer's
//! [place](Place) at it is also where its connections over TCP are.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use str0m::net::Protocol;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::batch::{Batch, Run};
use super::routes::{PeerNumber, Routes};
use super::stream::{Stream, Streams};
use crate::clock::Clock;
use crate::log;
use crate::stop::Stop;

/// Datagrams that wait for one peer: a large picture of a publisher. When they are as many, further ones are dropped, as a
/// network would, and counted.
const INBOX_DATAGRAMS: usize = 1_024;
/// The longest datagram that is read. WebRTC keeps below the 1,500 bytes of Ethernet.
pub(super) const MAX_DATAGRAM_BYTES: usize = 2_048;
/// Datagrams that one read takes from the system, at the most.
const READ_DATAGRAMS: usize = if BATCH_SIZE < 32 { BATCH_SIZE } else { 32 };
/// What the system is asked to hold of what has come in and was not read yet, and of what goes out.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// How long sending waits for room in the system's buffer. Then the datagrams are dropped, as a network would, and counted.
const SEND_PATIENCE: Duration = Duration::from_millis(50);
/// How long a picture waits for room on a connection over TCP, which is as quick as the way to its peer.
const STREAM_PATIENCE: Duration = Duration::from_secs(2);
/// How long the reader rests when the system gives an error.
const READ_PAUSE: Duration = Duration::from_millis(10);

/// What comes for a peer.
#[derive(Debug)]
pub(super) enum Arrival {
    /// It has connected over TCP.
    Opened(Stream),
    /// It has sent something.
    Datagram(Datagram),
}

/// What has come in from a peer: a datagram, or a packet over TCP.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) protocol: Protocol,
    pub(super) source: SocketAddr,
    /// The address of this machine that it came to.
    pub(super) destination: SocketAddr,
    pub(super) bytes: Bytes,
    pub(super) at: Instant,
}

/// What was dropped since the start.
#[derive(Debug, Default)]
struct Dropped {
    /// Datagrams that came for nobody.
    stray: AtomicU64,
    /// Datagrams that came while the peer's inbox was full.
    inbox: AtomicU64,
    /// Datagrams that the system did not take, and packets that a connection did not.
    outgoing: AtomicU64,
}

/// The UDP port.
#[derive(Debug)]
pub(super) struct Port {
    socket: UdpSocket,
    state: UdpSocketState,
    address: SocketAddr,
    routes: Mutex<Routes<mpsc::Sender<Arrival>>>,
    dropped: Dropped,
    clock: Clock,
}

/// A peer's place at the port, held for as long as the peer lives.
#[derive(Debug)]
pub(super) struct Place {
    port: Arc<Port>,
    number: PeerNumber,
    inbox: mpsc::Receiver<Arrival>,
    streams: Streams,
    /// The address that was claimed last, which most datagrams go to.
    claimed: Option<SocketAddr>,
}

impl Port {
    /// Opens the port.
    pub(super) fn bind(address: SocketAddr, clock: Clock) -> io::Result<Arc<Self>> {
        let socket = std::net::UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        // Larger buffers help and are not needed; the system may have a limit.
        let _ = state.set_recv_buffer_size(UdpSockRef::from(&socket), SOCKET_BUFFER_BYTES);
        let _ = state.set_send_buffer_size(UdpSockRef::from(&socket), SOCKET_BUFFER_BYTES);
        let socket = UdpSocket::from_std(socket)?;
        let address = socket.local_addr()?;
        let (routes, dropped) = (Mutex::default(), Dropped::default());
        Ok(Arc::new(Self { socket, state, address, routes, dropped, clock }))
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    fn routes(&self) -> MutexGuard<'_, Routes<mpsc::Sender<Arrival>>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a peer of this name. None if another one has it.
    pub(super) fn join(self: &Arc<Self>, ufrag: &str) -> Option<Place> {
        let (sender, inbox) = mpsc::channel(INBOX_DATAGRAMS);
        let number = self.routes().add(ufrag, sender)?;
        Some(Place { port: Arc::clone(self), number, inbox, streams: Streams::default(), claimed: None })
    }

    /// The inbox of the peer that a connectivity check over TCP is for. What is another packet, or for nobody, is counted.
    pub(super) fn checked(&self, packet: &[u8]) -> Option<mpsc::Sender<Arrival>> {
        let inbox = self.routes().checked(packet).cloned();
        if inbox.is_none() {
            self.dropped.stray.fetch_add(1, Ordering::Relaxed);
        }
        inbox
    }

    pub(super) fn now(&self) -> Instant {
        self.clock.instant_now()
    }

    /// Reads until the server stops.
    pub(super) async fn read(self: Arc<Self>, mut stop: Stop) {
        // With GRO the system joins datagrams of one peer into one buffer.
        let slot_bytes =
            MAX_DATAGRAM_BYTES.max(self.state.gro_segments() * MAX_DATAGRAM_BYTES / 2).min(65_536);
        let mut memory = vec![0; READ_DATAGRAMS * slot_bytes];
        let mut metas = [RecvMeta::default(); READ_DATAGRAMS];
        loop {
            let read = self.socket.async_io(Interest::READABLE, || {
                let mut slots: Vec<IoSliceMut<'_>> =
                    memory.chunks_mut(slot_bytes).map(IoSliceMut::new).collect();
                self.state.recv(UdpSockRef::from(&self.socket), &mut slots, &mut metas)
            });
            let read = tokio::select! {
                read = read => read,
                () = stop.wait() => break,
            };
            let Ok(read) = read else {
                tokio::time::sleep(READ_PAUSE).await;
                continue;
            };
            let at = self.clock.instant_now();
            for (meta, slot) in metas[..read].iter().zip(memory.chunks(slot_bytes)) {
                self.deliver(meta, &slot[..meta.len.min(slot.len())], at);
            }
        }
        let Dropped { stray, inbox, outgoing } = &self.dropped;
        let [stray, inbox, outgoing] = [stray, inbox, outgoing].map(|count| count.load(Ordering::Relaxed));
        log::datagrams_dropped(stray, inbox, outgoing);
    }

    fn deliver(&self, meta: &RecvMeta, bytes: &[u8], at: Instant) {
        let source = canonical(meta.addr);
        let ip = meta.dst_ip.unwrap_or(self.address.ip()).to_canonical();
        let destination = SocketAddr::new(ip, self.address.port());
        let routes = self.routes();
        for datagram in bytes.chunks(meta.stride.max(1)) {
            let Some(inbox) = routes.find(source, datagram) else {
                self.dropped.stray.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            let bytes = Bytes::copy_from_slice(datagram);
            let datagram = Datagram { protocol: Protocol::Udp, source, destination, bytes, at };
            if inbox.try_send(Arrival::Datagram(datagram)).is_err() {
                self.dropped.inbox.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    async fn send(&self, run: Run, bytes: &[u8]) {
        let sent = self.send_at_once(run, bytes, run.segment_bytes).await;
        if sent.is_ok() {
            return;
        }
        let mut lost = run.datagrams;
        if run.datagrams > 1 && !is_full(&sent) {
            // Not every network interface cuts.
            for datagram in run.datagrams(bytes) {
                lost -= usize::from(self.send_at_once(run, datagram, datagram.len()).await.is_ok());
            }
        }
        self.lost(lost);
    }

    fn lost(&self, datagrams: usize) {
        self.dropped.outgoing.fetch_add(datagrams as u64, Ordering::Relaxed);
    }

    async fn send_at_once(&self, run: Run, bytes: &[u8], segment_bytes: usize) -> io::Result<()> {
        let transmit = Transmit {
            destination: self.mapped(run.path.there),
            ecn: None,
            contents: bytes,
            segment_size: (bytes.len() > segment_bytes).then_some(segment_bytes),
            src_ip: (!run.path.here.is_unspecified()).then(|| self.mapped((run.path.here, 0).into()).ip()),
        };
        let send = || {
            let send = || self.state.try_send(UdpSockRef::from(&self.socket), &transmit);
            self.socket.try_io(Interest::WRITABLE, send)
        };
        let sent = send();
        if is_full(&sent) && timeout(SEND_PATIENCE, self.socket.writable()).await.is_ok() {
            return send();
        }
        sent
    }

    /// An address in the form that the socket takes: one of IPv6 sees those of IPv4 in its own form.
    fn mapped(&self, address: SocketAddr) -> SocketAddr {
        match address.ip() {
            IpAddr::V4(ip) if self.address.is_ipv6() => (ip.to_ipv6_mapped(), address.port()).into(),
            _ => address,
        }
    }
}

impl Place {
    /// Waits for the next datagram, and writes on meanwhile what connections have not taken yet. Losing the future loses nothing.
    pub(super) async fn datagram(&mut self) -> Option<Datagram> {
        loop {
            let arrival = tokio::select! {
                arrival = self.inbox.recv() => arrival?,
                () = self.streams.care() => continue,
            };
            if let Some(datagram) = self.arrived(arrival) {
                return Some(datagram);
            }
        }
    }

    /// The next datagram, if there is one already.
    pub(super) fn try_datagram(&mut self) -> Option<Datagram> {
        loop {
            let arrival = self.inbox.try_recv().ok()?;
            if let Some(datagram) = self.arrived(arrival) {
                return Some(datagram);
            }
        }
    }

    fn arrived(&mut self, arrival: Arrival) -> Option<Datagram> {
        match arrival {
            Arrival::Opened(stream) => {
                self.streams.add(stream);
                None
            }
            Arrival::Datagram(datagram) => Some(datagram),
        }
    }

    /// Sends what is in the batch, and empties it.
    pub(super) async fn send(&mut self, batch: &mut Batch) {
        let until = self.port.now() + STREAM_PATIENCE;
        for (run, bytes) in batch.runs() {
            if run.path.protocol == Protocol::Tcp {
                self.port.lost(self.streams.send(run.path, run.datagrams(bytes), until).await);
                continue;
            }
            if self.claimed != Some(run.path.there) {
                self.claimed = Some(run.path.there);
                self.port.routes().claim(self.number, run.path.there);
            }
            self.port.send(run, bytes).await;
        }
        batch.clear();
    }

    /// How many datagrams the system takes at once.
    pub(super) fn max_datagrams(&self) -> usize {
        self.port.state.max_gso_segments()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.port.routes().remove(self.number);
    }
}

fn is_full(sent: &io::Result<()>) -> bool {
    sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// An address of IPv4 as such, also on a socket of IPv6.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
