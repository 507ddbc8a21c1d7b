//! One request to the server's API, and its answer of any length.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use protocol::Secret;
use protocol::error::ErrorBody;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::MaybeTlsStream;

use super::http::{AskError, Question, begin};
use super::{ConnectionError, STEP_TIMEOUT, connect, look_up, secure};
use crate::address::ServerAddress;
use crate::tls::client_config;
use crate::track::printable;

/// A server that sends nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is read of a refusal.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;
/// The longest answer to something that is posted.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Why nothing, or not all, was downloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// The server cannot be reached.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The server answered, and refused.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Why, in words for a person.
        message: String,
    },
    /// The answer broke off.
    #[error("the download broke off: {0}")]
    BrokeOff(String),
    /// What came could not be kept.
    #[error("what was downloaded cannot be kept: {0}")]
    Keep(#[from] io::Error),
}

/// Downloads what is at a path below the server's own, piece by piece. Must run in a tokio runtime.
///
/// # Errors
/// [`DownloadError`]; pieces may have been handed out by then.
pub async fn download(
    server: &ServerAddress,
    path: &str,
    token: Option<&Secret>,
    own_authority: Option<&Path>,
    mut take: impl FnMut(&[u8]) -> io::Result<()> + Send,
) -> Result<(), DownloadError> {
    ask_api(server, Question { path, token, json: None }, own_authority, &mut take).await
}

/// Posts JSON to a path below the server's own. Yields the answer.
pub(super) async fn post(
    server: &ServerAddress,
    path: &str,
    token: Option<&Secret>,
    own_authority: Option<&Path>,
    json: &str,
) -> Result<Vec<u8>, DownloadError> {
    let mut answer = Vec::new();
    let mut take = |bytes: &[u8]| {
        if answer.len() + bytes.len() > MAX_ANSWER_BYTES {
            return Err(io::Error::other("the answer is too long"));
        }
        answer.extend_from_slice(bytes);
        Ok(())
    };
    ask_api(server, Question { path, token, json: Some(json) }, own_authority, &mut take).await?;
    Ok(answer)
}

/// Opens a connection to the server, with TLS where the address wants it.
pub(super) async fn open(
    server: &ServerAddress,
    trust: Option<&Arc<ClientConfig>>,
) -> Result<MaybeTlsStream<TcpStream>, ConnectionError> {
    let (addresses, _) = look_up(server).await?;
    let (stream, _) = connect(server, &addresses).await?;
    let Some(trust) = trust else { return Ok(MaybeTlsStream::Plain(stream)) };
    let (stream, _) = secure(server, &addresses, stream, trust).await?;
    Ok(MaybeTlsStream::Rustls(stream))
}

async fn ask_api(
    server: &ServerAddress,
    question: Question<'_>,
    own_authority: Option<&Path>,
    take: &mut (dyn FnMut(&[u8]) -> io::Result<()> + Send),
) -> Result<(), DownloadError> {
    let opening = async {
        let trust = server.is_encrypted().then(|| client_config(own_authority)).transpose()?;
        open(server, trust.as_ref()).await
    };
    let silent = || DownloadError::BrokeOff("the server does not answer".to_owned());
    let stream = timeout(2 * STEP_TIMEOUT, opening).await.map_err(|_| silent())??;
    let broken = |error: AskError| DownloadError::BrokeOff(error.to_string());
    let begun = timeout(PATIENCE, begin(stream, server, question)).await.map_err(|_| silent())?;
    let (_driver, head, mut body) = begun.map_err(broken)?;
    let mut refusal: Vec<u8> = Vec::new();
    while let Some(frame) = timeout(PATIENCE, body.frame()).await.map_err(|_| silent())? {
        let frame = frame.map_err(|error| broken(error.into()))?;
        let bytes: Bytes = frame.into_data().unwrap_or_default();
        if head.status.is_success() {
            take(&bytes)?;
        } else if refusal.len() + bytes.len() <= MAX_REFUSAL_BYTES {
            refusal.extend_from_slice(&bytes);
        }
    }
    if head.status.is_success() {
        return Ok(());
    }
    let message = serde_json::from_slice(&refusal).map(|error: ErrorBody| printable(&error.message));
    let message = message.unwrap_or_else(|_| format!("the server answers with status {}", head.status));
    Err(DownloadError::Refused { status: head.status.as_u16(), message })
}
