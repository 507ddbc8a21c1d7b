//! What a peer's packets go over: UDP, or one TCP connection with a length before each (RFC 4571).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use str0m::Candidate;
use str0m::error::IceError;
use str0m::net::{Protocol, TcpType, Transmit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

const MAX_PACKET_BYTES: usize = 2_048;
const LENGTH_BYTES: usize = 2;

/// A socket of a peer.
pub(super) enum Socket {
    Udp(UdpSocket),
    Tcp(Connection),
}

/// A connection that is opened when the first packet goes out.
pub(super) struct Connection {
    local: SocketAddr,
    unopened: Option<TcpSocket>,
    opened: Option<(TcpStream, SocketAddr)>,
    received: Vec<u8>,
    has_received: bool,
}

impl Socket {
    pub(super) async fn udp() -> io::Result<Self> {
        Ok(Self::Udp(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?))
    }

    pub(super) fn tcp() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_nodelay(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let local = socket.local_addr()?;
        let (unopened, received) = (Some(socket), Vec::new());
        Ok(Self::Tcp(Connection { local, unopened, opened: None, received, has_received: false }))
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Udp(socket) => socket.local_addr(),
            Self::Tcp(connection) => Ok(connection.local),
        }
    }

    pub(super) const fn protocol(&self) -> Protocol {
        match self {
            Self::Udp(_) => Protocol::Udp,
            Self::Tcp(_) => Protocol::Tcp,
        }
    }

    pub(super) fn candidate(&self, address: SocketAddr) -> Result<Candidate, IceError> {
        match self {
            Self::Udp(_) => Candidate::host(address, "udp"),
            Self::Tcp(_) => Candidate::builder().tcp().host(address).tcptype(TcpType::Active).build(),
        }
    }

    /// Sends a packet. A network may lose it.
    pub(super) async fn send(&mut self, transmit: &Transmit) {
        let _ = match self {
            Self::Udp(socket) => socket.send_to(&transmit.contents, transmit.destination).await.map(|_| ()),
            Self::Tcp(connection) => connection.send(transmit).await,
        };
    }

    /// Leaves the connection for another one to the same address.
    pub(super) async fn reconnect(&mut self) -> io::Result<()> {
        let Self::Tcp(Connection { opened: Some((stream, there)), received, has_received, .. }) = self else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        *stream = TcpStream::connect(*there).await?;
        stream.set_nodelay(true)?;
        received.clear();
        *has_received = false;
        Ok(())
    }

    /// Whether a packet has come over the connection that is open now.
    pub(super) const fn has_received(&self) -> bool {
        matches!(self, Self::Tcp(Connection { has_received: true, .. }))
    }

    /// The next packet, and whom it comes from. Losing the future loses nothing.
    pub(super) async fn receive(&mut self) -> io::Result<(Vec<u8>, SocketAddr)> {
        match self {
            Self::Udp(socket) => {
                let mut bytes = vec![0; MAX_PACKET_BYTES];
                let (length, source) = socket.recv_from(&mut bytes).await?;
                bytes.truncate(length);
                Ok((bytes, source))
            }
            Self::Tcp(connection) => connection.receive().await,
        }
    }
}

impl Connection {
    async fn send(&mut self, transmit: &Transmit) -> io::Result<()> {
        if let Some(socket) = self.unopened.take() {
            let there = transmit.destination;
            self.opened = Some((socket.connect(there).await?, there));
        }
        let Some((stream, there)) = &mut self.opened else { return Err(io::ErrorKind::NotConnected.into()) };
        if *there != transmit.destination {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        // A check goes first on each connection, as from browsers: only it says whose connection it is.
        let is_check = transmit.contents.first().is_some_and(|first| *first < 2);
        if !(self.has_received || is_check) {
            return Ok(());
        }
        let mut frame = (transmit.contents.len() as u16).to_be_bytes().to_vec();
        frame.extend_from_slice(&transmit.contents);
        stream.write_all(&frame).await
    }

    async fn receive(&mut self) -> io::Result<(Vec<u8>, SocketAddr)> {
        let Some((stream, there)) = &mut self.opened else { return std::future::pending().await };
        loop {
            if let Some((length, rest)) = self.received.split_first_chunk::<LENGTH_BYTES>()
                && let Some(packet) = rest.get(..usize::from(u16::from_be_bytes(*length)))
            {
                self.has_received = true;
                let packet = packet.to_vec();
                self.received.drain(..LENGTH_BYTES + packet.len());
                return Ok((packet, *there));
            }
            if stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
