//! One request on a connection of its own, and its answer.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use http::response::Parts;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use protocol::Secret;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::address::ServerAddress;

/// No answer of an ingest server that is asked for here comes near this.
const MAX_BODY_BYTES: usize = 64 * 1024;

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// What came is not HTTP, or nothing came before the end.
    #[error("{0}")]
    NotHttp(#[from] hyper::Error),
    /// The body never ends.
    #[error("the answer is too long")]
    TooLong,
    /// The token cannot stand in a header.
    #[error("the token cannot be sent")]
    Token,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    /// Below the server's own path.
    pub(super) path: &'a str,
    pub(super) token: Option<&'a Secret>,
    /// JSON to post; without it, the path is got.
    pub(super) json: Option<&'a str>,
}

/// A request to the server. Errors hold neither the token nor anything else that is sent.
pub(super) fn request(
    server: &ServerAddress,
    Question { path, token, json }: Question<'_>,
) -> Result<Request<Full<Bytes>>, AskError> {
    let mut request = Request::new(Full::new(Bytes::from(json.unwrap_or_default().to_owned())));
    if json.is_some() {
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let target = server.request_path(path).parse();
    // An address that was parsed has a path that can be asked for.
    *request.uri_mut() = target.unwrap_or_else(|_| http::Uri::from_static("/"));
    let headers = request.headers_mut();
    if let Ok(host) = HeaderValue::try_from(server.authority()) {
        headers.insert(HOST, host);
    }
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("longtake/", env!("CARGO_PKG_VERSION"))));
    if let Some(token) = token {
        let bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()));
        let mut bearer = bearer.map_err(|_| AskError::Token)?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    Ok(request)
}

/// Asks the server; gives the head of the answer, and the body as it comes while the driver is held.
pub(super) async fn begin<S>(
    stream: S,
    server: &ServerAddress,
    question: Question<'_>,
) -> Result<(Driver, Parts, Incoming), AskError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut request = request(server, question)?;
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Dropped with the answer, and with it the connection.
    let driver = Driver(tokio::spawn(connection));
    let (head, body) = sender.send_request(request).await?.into_parts();
    Ok((driver, head, body))
}

/// Asks for a path below the server's own, and takes the whole answer, which is short.
pub(super) async fn ask<S>(
    stream: S,
    server: &ServerAddress,
    path: &str,
    token: Option<&Secret>,
) -> Result<Answer, AskError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (_driver, head, body) = begin(stream, server, Question { path, token, json: None }).await?;
    let body = match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            return Err(error.downcast().map_or(AskError::TooLong, |error| AskError::NotHttp(*error)));
        }
    };
    Ok(Answer { status: head.status, headers: head.headers, body })
}

/// The task that moves a connection's bytes.
pub(super) struct Driver(tokio::task::JoinHandle<hyper::Result<()>>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}
