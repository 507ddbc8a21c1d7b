//! WebRTC over one port of UDP, and over TCP for those whom that does not reach: viewers by WHEP (draft-ietf-wish-whep), publishers
//! by WHIP (RFC 9725).
//!
//! ```text
//! http::whep, http::whip ─▶ negotiation ─▶ a task for each peer: viewer or publisher
//! port (UDP), tcp ─▶ routes ─▶ inbox of the peer ─▶ peer (str0m, sans-IO) ─▶ batch ─▶ port, stream (TCP)
//! fanout ─▶ viewer;  publisher ─▶ intake, timeline ─▶ ingest::feed ─▶ recorder and fanout, as from any other publisher
//! ```
//!
//! The server is an ICE-lite agent: it has addresses that peers reach, answers who knows the password in its answer, and tries nothing by itself.

mod address;
mod batch;
mod frames;
mod intake;
mod negotiation;
mod payloads;
mod peer;
mod playout;
mod port;
mod publisher;
mod resources;
mod routes;
mod stream;
mod take;
mod tcp;
mod tcp_slots;
mod timeline;
mod trickle;
mod viewer;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use protocol::codec::CodecParameters;
use protocol::control::Device;
use protocol::{RoomName, Track};
use signing::SigningKey;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::access::Grant;
use crate::ingest::feed::IngestContext;
use crate::listener::ConnectionRates;
use crate::log;
use crate::sessions::LiveSession;
use crate::stop::Stop;
use negotiation::{Agreed, Negotiator, Way};
use peer::{Patience, Peer};
use port::{Place, Port};
use publisher::Publisher;
use resources::{Held, Resources};
use viewer::Viewer;

pub(crate) use frames::begins_frame;
pub(crate) use negotiation::OfferError;
pub(crate) use resources::{Kind, NoRoom, PatchError};
pub(crate) use take::Claim;
pub(crate) use tcp::TcpPort;
pub(crate) use trickle::TrickleError;
pub(crate) use viewer::ViewerCounters;

/// An SDP offer or fragment, in bytes. A browser's has 2 to 8 KiB.
pub(crate) const MAX_SDP_BYTES: usize = 64 * 1024;

/// How WebRTC is set up.
#[derive(Debug, Clone)]
pub struct WebRtcConfig {
    /// The port, of UDP and of TCP; that of HTTP if none is set.
    pub port: Option<u16>,
    /// Addresses by which others reach the server behind a NAT.
    pub public_addresses: Vec<IpAddr>,
    /// Viewers and publishers at the same time.
    pub connections: usize,
}

/// Why an offer is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OpenError {
    #[error(transparent)]
    Offer(#[from] OfferError),
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

/// A peer connection whose offer was answered.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) id: Uuid,
    pub(crate) etag: String,
    pub(crate) answer: String,
}

/// Connections over TCP for each peer that there may be: a browser opens some for itself, and keeps one.
const CONNECTIONS_PER_PEER: usize = 4;

/// All WebRTC peers.
pub(crate) struct WebRtc {
    port: Arc<Port>,
    tcp: Arc<TcpPort>,
    /// Whether connections over TCP come to the port of HTTP.
    shares_port: bool,
    negotiator: Negotiator,
    resources: Arc<Resources>,
    connections: usize,
    context: Arc<IngestContext>,
    key: Arc<SigningKey>,
}

impl WebRtc {
    /// Opens the port and serves it until the server stops. `listen` is where HTTP was asked to be, and `http` where it is.
    /// Publishers' ends are signed with `key`.
    pub(crate) async fn start(
        config: &WebRtcConfig,
        (listen, http): (SocketAddr, SocketAddr),
        context: Arc<IngestContext>,
        key: Arc<SigningKey>,
        stop: Stop,
    ) -> io::Result<Self> {
        let address = SocketAddr::new(listen.ip(), config.port.unwrap_or(listen.port()));
        let port = Port::bind(address, context.clock)?;
        let patience = Patience::new(&context.bounds);
        let capacity = CONNECTIONS_PER_PEER * config.connections;
        let tcp = TcpPort::new(Arc::clone(&port), capacity, patience, stop.clone());
        let shares_port = config.port.is_none_or(|port| port == http.port());
        let tcp_port =
            if shares_port { Some(http.port()) } else { listen_for(&tcp, address, &context).await };
        let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
        let of_machine = interfaces.iter().map(if_addrs::Interface::ip);
        let candidates = address::candidates(port.address(), tcp_port, of_machine, &config.public_addresses);
        let negotiator =
            Negotiator::new(candidates).ok_or_else(|| io::Error::other("no DTLS certificate can be made"))?;
        tokio::spawn(Arc::clone(&port).read(stop));
        let resources = Resources::new(config.connections);
        let connections = config.connections;
        Ok(Self { port, tcp, shares_port, negotiator, resources, connections, context, key })
    }

    /// Where connections of ICE go that come to the port of HTTP, if they do.
    pub(crate) fn on_http_port(&self) -> Option<Arc<TcpPort>> {
        self.shares_port.then(|| Arc::clone(&self.tcp))
    }

    /// Lets a viewer watch a session, until it leaves, the session ends, or `until` comes true.
    pub(crate) fn watch(
        &self,
        session: Arc<LiveSession>,
        offer: &str,
        until: BoxFuture<'static, ()>,
    ) -> Result<Opened, OpenError> {
        let way = Way::Out(profile(&session));
        let Taken { peer, held, opened, video, audio } =
            self.take(Kind::Whep, session.info.room.clone(), offer, way, until)?;
        let viewer = Viewer { peer, session, clock: self.context.clock, held, video, audio };
        tokio::spawn(viewer.run());
        Ok(opened)
    }

    /// Lets somebody publish to a room, until it leaves or `until` comes true: the session of its claim, or a new one.
    pub(crate) fn publish(
        &self,
        grant: Grant,
        (room, claim): (RoomName, Option<Claim>),
        device: Device,
        offer: &str,
        until: BoxFuture<'static, ()>,
    ) -> Result<Opened, OpenError> {
        let Taken { peer, held, opened, video, audio } =
            self.take(Kind::Whip, room.clone(), offer, Way::In, until)?;
        let (context, key) = (Arc::clone(&self.context), Arc::clone(&self.key));
        let publisher = Publisher { peer, context, key, held, grant, room, claim, device, video, audio };
        tokio::spawn(publisher.run());
        Ok(opened)
    }

    fn take(
        &self,
        kind: Kind,
        room: RoomName,
        offer: &str,
        way: Way,
        until: BoxFuture<'static, ()>,
    ) -> Result<Taken, OpenError> {
        let slots = self.resources.admit()?;
        let now = self.context.clock.instant_now();
        let (agreed, place) = self.agree(offer, way)?;
        let Agreed { rtc, answer, remote_ufrag, video, audio, .. } = agreed;
        let stop = self.context.stop.clone();
        let patience = Patience::new(&self.context.bounds);
        let (held, etag) = self.resources.add(kind, room, remote_ufrag, slots, until, stop);
        let opened = Opened { id: held.id, etag, answer };
        Ok(Taken { peer: Peer::new(rtc, place, patience, now), held, opened, video, audio })
    }

    /// An answer under a name that no other peer has. Names have 64 random bits: there is no second time.
    fn agree(&self, offer: &str, way: Way) -> Result<(Agreed, Place), OfferError> {
        loop {
            let agreed = self.negotiator.answer(offer, way, self.context.clock.instant_now())?;
            if let Some(place) = self.port.join(&agreed.ufrag) {
                return Ok((agreed, place));
            }
        }
    }

    /// The room that a peer is in.
    pub(crate) fn room(&self, kind: Kind, id: Uuid) -> Option<RoomName> {
        self.resources.room(kind, id)
    }

    /// Takes candidates that a peer found after its offer.
    pub(crate) fn patch(
        &self,
        kind: Kind,
        id: Uuid,
        if_match: Option<&str>,
        fragment: &str,
    ) -> Result<(), PatchError> {
        self.resources.patch(kind, id, if_match, fragment)
    }

    /// Ends a peer. Says whether there was one.
    pub(crate) fn close(&self, kind: Kind, id: Uuid) -> bool {
        self.resources.close(kind, id)
    }

    /// Waits until the last peer is gone.
    pub(crate) async fn gone(&self) {
        self.resources.gone(self.connections).await;
        self.tcp.gone().await;
    }
}

/// Opens a TCP port for ICE alone; gives its number. Where another program has it, such as a proxy before this server, WebRTC goes
/// by UDP.
async fn listen_for(tcp: &Arc<TcpPort>, address: SocketAddr, context: &IngestContext) -> Option<u16> {
    let opened =
        TcpListener::bind(address).await.and_then(|socket| Ok((socket.local_addr()?.port(), socket)));
    match opened {
        Ok((number, socket)) => {
            let rates = ConnectionRates::new(context.bounds.connection_rate);
            tokio::spawn(Arc::clone(tcp).listen(socket, rates, context.clock));
            Some(number)
        }
        Err(error) => {
            log::webrtc_without_tcp(address.port(), &error);
            None
        }
    }
}

/// A peer that was let in.
struct Taken {
    peer: Peer,
    held: Held,
    opened: Opened,
    video: Option<negotiation::Line>,
    audio: Option<negotiation::Line>,
}

/// The profile of a session's pictures, as far as it is known.
fn profile(session: &LiveSession) -> Option<[u8; 3]> {
    match &session.ingest(Track::Video).all_params().last()?.parameters {
        CodecParameters::H264 { avcc, .. } => avcc.0.get(1..4)?.try_into().ok(),
        CodecParameters::Opus { .. } => None,
    }
}
