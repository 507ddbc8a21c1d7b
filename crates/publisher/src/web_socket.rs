//! One WebSocket to the server, by TCP or TLS.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::header::{AUTHORIZATION, HeaderValue, LOCATION};
use protocol::Secret;
use protocol::error::{ErrorBody, ErrorCode};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use crate::address::ServerAddress;
use crate::track::{ConnectFailure, refusal_of_http};

/// An open WebSocket.
pub type WebSocket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How often an attempt to connect is begun while earlier ones are not answered: the longest time for which the return
/// of a network stays unnoticed.
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(500);

/// Opens the WebSocket at a path below the server's own, which starts with a slash. `tls` is used where the address wants TLS. It
/// ends only with its caller's patience where nothing answers. Must run in a tokio runtime.
///
/// # Errors
/// [`ConnectFailure`].
pub async fn open(
    server: &ServerAddress,
    path: &str,
    token: Option<&Secret>,
    tls: Option<Arc<rustls::ClientConfig>>,
    config: WebSocketConfig,
) -> Result<WebSocket, ConnectFailure> {
    let unreachable = |error: &dyn std::fmt::Display| ConnectFailure::Unreachable(error.to_string());
    let mut request = server.socket_url(path).into_client_request().map_err(|error| unreachable(&error))?;
    if let Some(token) = token {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(|_| {
            let message =
                "the access token has characters that cannot be sent; give the one that the server has";
            ConnectFailure::Refused(ErrorBody::new(ErrorCode::Unauthorized, message))
        })?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
    }
    let connector = tls.map_or(Connector::Plain, Connector::Rustls);
    let stream = connect(server.host(), server.port()).await.map_err(|error| tcp_failure(&error, server))?;
    match client_async_tls_with_config(request, stream, Some(config), Some(connector)).await {
        Ok((web_socket, _)) => Ok(web_socket),
        Err(Error::Http(answer)) => {
            let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let body = answer.body().as_deref().unwrap_or_default();
            Err(refusal_of_http(answer.status().as_u16(), body, location))
        }
        Err(error) => Err(ConnectFailure::Unreachable(reason_of(&error, server))),
    }
}

/// Opens a TCP connection; ends only with its caller's patience if nothing answers.
///
/// A system repeats its first packet after one, three and seven seconds, so that an attempt that was begun while the
/// network was away sleeps for seconds after it is back. Therefore a fresh attempt begins every
/// [`ATTEMPT_INTERVAL`] beside the earlier ones, and the first that succeeds is taken.
async fn connect(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let mut attempts = FuturesUnordered::new();
    loop {
        attempts.push(TcpStream::connect((host, port)));
        let begun = Instant::now();
        let outcome = tokio::select! {
            Some(outcome) = attempts.next() => outcome,
            () = tokio::time::sleep(ATTEMPT_INTERVAL) => continue,
        };
        let stream = match outcome {
            // The system gave up an early attempt; later ones are under way.
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                tokio::time::sleep(ATTEMPT_INTERVAL.saturating_sub(begun.elapsed())).await;
                continue;
            }
            outcome => outcome?,
        };
        stream.set_nodelay(true)?;
        return Ok(stream);
    }
}

fn tcp_failure(error: &std::io::Error, server: &ServerAddress) -> ConnectFailure {
    let is_path = matches!(
        error.kind(),
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::NetworkDown
    );
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            ConnectFailure::Unreachable(format!("nothing listens at {server}; is the server running?"))
        }
        _ if is_path => ConnectFailure::NoNetwork(format!("there is no way to {server}: {error}")),
        _ => ConnectFailure::Unreachable(format!("cannot reach {server}: {error}")),
    }
}

/// Why there is no connection, and what to do about the likely cases.
fn reason_of(error: &Error, server: &ServerAddress) -> String {
    let Error::Io(error) = error else {
        return format!("no ingest server answers at {server}: {error}");
    };
    let reason = error.to_string();
    if reason.contains("certificate") {
        return format!(
            "{server} is not trusted: {reason}; if it is your own, name its authority's certificate file"
        );
    }
    format!("cannot reach {server}: {reason}")
}
