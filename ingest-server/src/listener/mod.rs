//! Taking connections: the accept loop, TLS, and HTTP/1.1 on each connection, all of it bounded. WebRTC shares the port: what begins
//! like ICE over TCP, and so like neither HTTP nor TLS, is handed on.

mod admission;
mod tls;
mod write_limit;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use protocol::error::{ErrorBody, ErrorCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::clock::Clock;
use crate::config::Bounds;
use crate::http::App;
use crate::stop::Stop;
use crate::webrtc::{TcpPort, begins_frame};

pub(crate) use admission::{ConnectionRates, household};
pub use tls::TlsError;
pub(crate) use tls::acceptor;
pub(crate) use write_limit::WriteLimit;

/// Header lines and bytes of one request's head.
const MAX_HEADERS: usize = 64;
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Connections that are told at the same time that there are too many. Beyond that they are dropped.
const REFUSALS: usize = 64;
/// How long the loop rests when the system gives no connection, such as for lack of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long HTTP requests may go on when the server stops.
const FAREWELL: Duration = Duration::from_secs(5);

/// A place among the connections, held for as long as the connection lives, also after an upgrade.
#[derive(Clone)]
pub(crate) struct ConnectionSlot {
    _permit: Arc<OwnedSemaphorePermit>,
}

pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) tls: Option<TlsAcceptor>,
    /// Where connections of ICE go, if they come to this port.
    pub(crate) webrtc: Option<Arc<TcpPort>>,
    pub(crate) app: App,
    pub(crate) bounds: Bounds,
    /// As many permits as connections may be open.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) clock: Clock,
    pub(crate) stop: Stop,
}

/// The next connection; none when the server stops.
pub(crate) async fn accept(socket: &TcpListener, stop: &mut Stop) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = stop.wait() => return None,
        };
        match accepted {
            Ok(connection) => return Some(connection),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

impl Listener {
    /// Takes connections until the server stops.
    pub(crate) async fn run(mut self) {
        let refusals = Arc::new(Semaphore::new(REFUSALS));
        let mut rates = ConnectionRates::new(self.bounds.connection_rate);
        while let Some((stream, peer)) = accept(&self.socket, &mut self.stop).await {
            let (slot, refusal) = self.admit(&mut rates, &refusals, peer);
            let Some(slot) = slot else { continue };
            let slot = ConnectionSlot { _permit: Arc::new(slot) };
            let connection = Connection {
                app: self.app.clone(),
                opening: self.bounds.opening,
                idle: self.bounds.idle,
                stop: self.stop.clone(),
                slot,
                refusal,
            };
            let (tls, webrtc) = (self.tls.clone(), self.webrtc.clone());
            tokio::spawn(async move {
                match webrtc {
                    Some(webrtc) => connection.sort(stream, peer, tls, &webrtc).await,
                    None => connection.serve(stream, tls).await,
                }
            });
        }
    }

    /// A slot for a new connection, and what it is told instead of being served, if anything.
    fn admit(
        &self,
        rates: &mut ConnectionRates,
        refusals: &Arc<Semaphore>,
        peer: SocketAddr,
    ) -> (Option<OwnedSemaphorePermit>, Option<ErrorBody>) {
        let refuse = |code, message: &str| {
            (Arc::clone(refusals).try_acquire_owned().ok(), Some(ErrorBody::new(code, message)))
        };
        if !rates.allow(self.clock.now(), peer.ip()) {
            return refuse(
                ErrorCode::RateLimited,
                "too many connections in too short a time; try again later",
            );
        }
        match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(slot) => (Some(slot), None),
            Err(_) => {
                refuse(ErrorCode::TooManySessions, "the server has as many connections as it is set to")
            }
        }
    }
}

struct Connection {
    app: App,
    opening: Duration,
    idle: Duration,
    stop: Stop,
    slot: ConnectionSlot,
    refusal: Option<ErrorBody>,
}

impl Connection {
    /// Looks at the first byte, and serves the connection or hands it on to WebRTC, which has bounds of its own.
    async fn sort(
        mut self,
        stream: TcpStream,
        peer: SocketAddr,
        tls: Option<TlsAcceptor>,
        webrtc: &Arc<TcpPort>,
    ) {
        let mut first = [0];
        let looked = tokio::select! {
            looked = timeout(self.opening, stream.peek(&mut first)) => looked,
            () = self.stop.wait() => return,
        };
        match looked {
            Ok(Ok(1..)) if !begins_frame(first[0]) => self.serve(stream, tls).await,
            Ok(Ok(1..)) if self.refusal.is_none() => webrtc.take(stream, peer),
            _ => {}
        }
    }

    async fn serve(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Acknowledgements are small and must not wait for each other.
        let _ = stream.set_nodelay(true);
        match tls {
            None => self.serve_http(stream).await,
            Some(tls) => {
                // Whoever does not speak TLS, or not in time, is not worth a line.
                if let Ok(Ok(stream)) = timeout(self.opening, tls.accept(stream)).await {
                    self.serve_http(stream).await;
                }
            }
        }
    }

    async fn serve_http<S>(mut self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (app, slot, refusal) = (self.app, self.slot, self.refusal);
        let service = service_fn(move |request| {
            let (app, slot, refusal) = (app.clone(), slot.clone(), refusal.clone());
            async move { Ok::<_, std::convert::Infallible>(app.answer(request, slot, refusal).await) }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.opening)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD_BYTES);
        let mut connection = std::pin::pin!(
            http.serve_connection(TokioIo::new(WriteLimit::new(stream, self.idle)), service).with_upgrades()
        );
        tokio::select! {
            // A connection that broke needs no line either.
            _ = connection.as_mut() => return,
            () = self.stop.wait() => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = timeout(FAREWELL, connection).await;
    }
}
