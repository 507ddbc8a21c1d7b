//! What goes out to a peer over TCP: its connections, each with a bounded rest that the system has not taken yet.
//!
//! The peer's own task writes. Where a connection takes no more, the task waits for a while and so falls behind, which a viewer makes
//! up for at the newest IDR picture; then packets are dropped, as a network would. A frame is written whole or not at all.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Buf as _, BytesMut};
use tokio::io::AsyncWrite as _;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::batch::Path;
use super::frames;
use super::tcp_slots::TcpSlot;

/// Bytes of frames that wait for one connection at the most.
const MAX_REST_BYTES: usize = 64 * 1024;
/// What a connection keeps of that memory when nothing waits: most pictures fit.
const KEPT_BYTES: usize = 32 * 1024;
/// Connections that one peer may have: a browser opens one from each of its networks to each of the server's addresses, and closes those that it does not need.
const MAX_STREAMS: usize = 16;

/// The sending half of a connection. Dropping it closes the connection.
#[derive(Debug)]
pub(super) struct Stream {
    half: OwnedWriteHalf,
    path: Path,
    rest: BytesMut,
    is_broken: bool,
    /// The peer has answered along this connection, and so knows by now that who is there has its ICE password.
    is_known: bool,
    /// Tells the receiving half of the end, and hears of its.
    open: oneshot::Sender<Infallible>,
    _slot: Arc<TcpSlot>,
}

impl Stream {
    pub(super) fn new(
        half: OwnedWriteHalf,
        path: Path,
        open: oneshot::Sender<Infallible>,
        slot: Arc<TcpSlot>,
    ) -> Self {
        Self { half, path, rest: BytesMut::new(), is_broken: false, is_known: false, open, _slot: slot }
    }

    /// Sends packets, with one write for many of them. Gives how many were dropped because there was no room for them by `until`.
    async fn send<'a>(&mut self, packets: impl Iterator<Item = &'a [u8]>, until: Instant) -> usize {
        let mut dropped = 0;
        for packet in packets {
            let has_room = self.has_room_by(frames::frame_bytes(packet), until).await;
            if !(has_room && frames::append(packet, &mut self.rest)) {
                dropped += 1;
            }
        }
        self.write();
        dropped
    }

    async fn has_room_by(&mut self, bytes: usize, until: Instant) -> bool {
        while self.rest.len() + bytes > MAX_REST_BYTES {
            self.write();
            let is_full = self.rest.len() + bytes > MAX_REST_BYTES;
            if is_full && timeout_at(until.into(), self.half.writable()).await.is_err() {
                return false;
            }
        }
        !self.is_broken
    }

    /// Writes as much as the system takes.
    fn write(&mut self) {
        while !self.rest.is_empty() {
            match self.half.try_write(&self.rest) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                written => self.wrote(written),
            }
        }
    }

    /// Writes as much as the system takes; is woken when it takes more.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.half).poll_write(context, &self.rest).map(|written| self.wrote(written))
    }

    fn wrote(&mut self, written: io::Result<usize>) {
        match written {
            Ok(bytes @ 1..) => self.rest.advance(bytes),
            // The peer closed it, or it was cut.
            Ok(0) | Err(_) => {
                self.is_broken = true;
                self.rest.clear();
            }
        }
        if self.rest.is_empty() && self.rest.capacity() > KEPT_BYTES {
            self.rest = BytesMut::new();
        }
    }
}

/// All connections of one peer.
#[derive(Debug, Default)]
pub(super) struct Streams(Vec<Stream>);

impl Streams {
    /// Adds a connection. Of too many the latest is closed.
    pub(super) fn add(&mut self, stream: Stream) {
        if self.0.len() < MAX_STREAMS {
            self.0.push(stream);
        }
    }

    /// Sends packets along a path. Gives how many were dropped.
    ///
    /// What was to go along a connection that has ended goes along the latest other one that was answered: an ICE-lite agent stays with
    /// the path that was chosen first among equals, and a peer that has connected again is no other.
    pub(super) async fn send<'a>(
        &mut self,
        path: Path,
        packets: impl Iterator<Item = &'a [u8]>,
        until: Instant,
    ) -> usize {
        let works = |stream: &&mut Stream| !stream.is_broken && !stream.open.is_closed();
        if let Some(stream) = self.0.iter_mut().filter(works).find(|stream| stream.path == path) {
            stream.is_known = true;
            return stream.send(packets, until).await;
        }
        match self.0.iter_mut().filter(works).rfind(|stream| stream.is_known) {
            Some(stream) => stream.send(packets, until).await,
            None => packets.count(),
        }
    }

    /// Writes on what waits to be written, and lets go of connections that have ended. Returns when there was something to
    /// do; losing the future loses nothing.
    pub(super) async fn care(&mut self) {
        std::future::poll_fn(|context| {
            let mut outcome = Poll::Pending;
            for stream in &mut self.0 {
                stream.is_broken |= stream.open.poll_closed(context).is_ready();
                let has_written = !stream.rest.is_empty() && stream.poll_write(context).is_ready();
                if has_written || stream.is_broken {
                    outcome = Poll::Ready(());
                }
            }
            outcome
        })
        .await;
        self.0.retain(|stream| !stream.is_broken);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use str0m::net::Protocol;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::super::tcp_slots::TcpSlots;
    use super::*;

    /// A connection's sending half, the receiving half's hold on it, and the other end.
    async fn connection() -> (Stream, oneshot::Receiver<Infallible>, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let theirs = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (ours, there) = listener.accept().await.unwrap();
        let (receiving, half) = ours.into_split();
        // The receiving half closes nothing by itself.
        drop(receiving);
        let (open, closed) = oneshot::channel();
        let path = Path { protocol: Protocol::Tcp, here: Ipv4Addr::LOCALHOST.into(), there };
        let slot = TcpSlots::new(1).take(there.ip()).unwrap();
        (Stream::new(half, path, open, Arc::new(slot)), closed, theirs)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    const PACKET: [u8; 1_200] = [7; 1_200];

    #[tokio::test]
    async fn who_reads_nothing_has_a_bounded_rest_and_gets_whole_frames_when_it_reads_again() {
        let (stream, _closed, mut theirs) = connection().await;
        let path = stream.path;
        let mut streams = Streams::default();
        streams.add(stream);
        let mut sent = 0;
        loop {
            let dropped = streams.send(path, std::iter::repeat_n(&PACKET[..], 100), soon()).await;
            sent += 100 - dropped;
            assert!(
                streams.0[0].rest.len() <= MAX_REST_BYTES
                    && streams.0[0].rest.capacity() <= 2 * MAX_REST_BYTES
            );
            if dropped == 100 {
                break;
            }
        }
        let reading = async {
            let mut frames = frames::Frames::default();
            for _ in 0..sent {
                let packet = loop {
                    if let Some(packet) = frames.next().unwrap() {
                        break packet;
                    }
                    assert_ne!(theirs.read_buf(&mut frames.space()).await.unwrap(), 0);
                };
                assert_eq!(packet[..], PACKET);
            }
        };
        // What waited goes out without anything else being sent.
        tokio::select! {
            () = reading => {}
            () = async { loop { streams.care().await } } => {}
        }
        assert!(streams.0[0].rest.is_empty());
        assert_eq!(streams.send(path, std::iter::once(&PACKET[..]), soon()).await, 0);
    }

    #[tokio::test]
    async fn a_connection_that_has_ended_is_let_go_and_takes_nothing() {
        let (stream, closed, mut theirs) = connection().await;
        let path = stream.path;
        let mut streams = Streams::default();
        streams.add(stream);
        drop(closed);
        streams.care().await;
        assert!(streams.0.is_empty());
        assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0, "the other end hears of it");
        assert_eq!(streams.send(path, std::iter::repeat_n(&PACKET[..], 3), soon()).await, 3);
    }

    #[tokio::test]
    async fn of_too_many_connections_the_latest_are_closed() {
        let mut streams = Streams::default();
        let mut ends = Vec::new();
        for _ in 0..=MAX_STREAMS {
            let (stream, closed, theirs) = connection().await;
            streams.add(stream);
            ends.push((closed, theirs));
        }
        assert_eq!(streams.0.len(), MAX_STREAMS);
        let (closed, _) = ends.pop().unwrap();
        assert!(closed.await.is_err(), "its receiving half hears of it");
    }
}
