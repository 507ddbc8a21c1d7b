//! Many requests to one server, over connections that are kept between them.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use protocol::Secret;
use rustls::ClientConfig;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::download::{DownloadError, open};
use super::http::{AskError, Question, request};
use super::{ConnectionError, STEP_TIMEOUT};
use crate::address::ServerAddress;
use crate::tls::client_config;

/// Requests that are under way at once; more wait.
const MAX_REQUESTS: usize = 24;
/// Connections that are kept while nothing is asked.
const MAX_IDLE: usize = 8;
/// A server that has not answered whole in so long is given up. It may hold an answer back for what is about to come.
const PATIENCE: Duration = Duration::from_secs(30);

type Sender = SendRequest<Full<Bytes>>;

/// What a server answers.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The HTTP status.
    pub status: u16,
    /// What kind of thing it is, if the server says.
    pub content_type: Option<String>,
    /// All of it.
    pub body: Bytes,
}

/// Gets things from one server, by one token. Its connections end with it.
#[derive(Debug)]
pub struct Fetcher {
    server: ServerAddress,
    token: Option<Secret>,
    trust: Option<Arc<ClientConfig>>,
    idle: Mutex<Vec<Sender>>,
    requests: Semaphore,
}

impl Fetcher {
    /// Opens nothing yet.
    ///
    /// # Errors
    /// [`ConnectionError`] when `own_authority` cannot be used.
    pub fn new(
        server: ServerAddress,
        token: Option<Secret>,
        own_authority: Option<&Path>,
    ) -> Result<Self, ConnectionError> {
        let trust = server.is_encrypted().then(|| client_config(own_authority)).transpose()?;
        Ok(Self { server, token, trust, idle: Mutex::default(), requests: Semaphore::new(MAX_REQUESTS) })
    }

    /// Gets a path below the server's own, with its query. Must run in a tokio runtime.
    ///
    /// # Errors
    /// [`DownloadError`] when no whole answer comes, or one of more than `longest_bytes`. A refusal is an answer.
    pub async fn get(&self, path: &str, longest_bytes: usize) -> Result<Fetched, DownloadError> {
        // It is never closed.
        let _permit = self.requests.acquire().await;
        let mut earlier = self.take_idle();
        loop {
            let was_idle = earlier.is_some();
            let mut sender = match earlier.take() {
                Some(sender) => sender,
                None => timeout(2 * STEP_TIMEOUT, self.connect()).await.map_err(|_| silent())??,
            };
            let question = Question { path, token: self.token.as_ref(), json: None };
            let question = request(&self.server, question).map_err(broken)?;
            let answer = match timeout(PATIENCE, sender.send_request(question)).await {
                Err(_) => return Err(silent()),
                Ok(Ok(answer)) => answer,
                // The server has closed it meanwhile.
                Ok(Err(_)) if was_idle => continue,
                Ok(Err(error)) => return Err(broken(error.into())),
            };
            let status = answer.status().as_u16();
            let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            let content_type = kind.map(str::to_owned);
            let whole = Limited::new(answer.into_body(), longest_bytes).collect();
            let body = match timeout(PATIENCE, whole).await {
                Err(_) => return Err(silent()),
                Ok(Ok(body)) => body.to_bytes(),
                Ok(Err(error)) => return Err(DownloadError::BrokeOff(error.to_string())),
            };
            self.keep(sender);
            return Ok(Fetched { status, content_type, body });
        }
    }

    async fn connect(&self) -> Result<Sender, DownloadError> {
        let stream = open(&self.server, self.trust.as_ref()).await?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| broken(error.into()))?;
        // It ends when the sender is dropped, or when the server wants that.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn take_idle(&self) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|sender| !sender.is_closed());
        let ready = idle.iter().rposition(SendRequest::is_ready)?;
        Some(idle.swap_remove(ready))
    }

    fn keep(&self, sender: Sender) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(sender);
        }
    }
}

fn silent() -> DownloadError {
    DownloadError::BrokeOff("the server does not answer".to_owned())
}

fn broken(error: AskError) -> DownloadError {
    DownloadError::BrokeOff(error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Reads one request; says what it asked for.
    async fn heard(stream: &mut TcpStream) -> String {
        let mut request = String::new();
        while !request.ends_with("\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap().into());
        }
        request
    }

    async fn answer(stream: &mut TcpStream, body: &str) {
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_serves_several_requests_and_one_that_was_closed_is_replaced() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/behind", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut first, _) = listener.accept().await.unwrap();
            let mut requests = Vec::new();
            for body in ["one", "two"] {
                requests.push(heard(&mut first).await);
                answer(&mut first, body).await;
            }
            // The third request may come before the end of this connection is noticed, or after that.
            drop(first);
            let (mut second, _) = listener.accept().await.unwrap();
            requests.push(heard(&mut second).await);
            answer(&mut second, "three").await;
            requests.push(heard(&mut second).await);
            answer(&mut second, "much too long").await;
            requests
        });
        let fetcher = Fetcher::new(address.parse().unwrap(), Some(Secret::new("a-token")), None).unwrap();
        for body in ["one", "two", "three"] {
            let got = fetcher.get("/hls/x?y=1", 5).await.unwrap();
            assert_eq!((got.status, got.body.as_ref()), (200, body.as_bytes()));
            assert_eq!(got.content_type.as_deref(), Some("text/plain"));
        }
        assert!(matches!(fetcher.get("/hls/x?y=1", 5).await, Err(DownloadError::BrokeOff(_))));
        let requests = served.await.unwrap();
        assert_eq!(requests.len(), 4);
        for request in requests {
            assert!(request.starts_with("GET /behind/hls/x?y=1 HTTP/1.1\r\n"), "{request}");
            assert!(request.contains("authorization: Bearer a-token\r\n"), "{request}");
        }
    }
}
