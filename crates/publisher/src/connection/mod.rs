//! A test of the connection: what stands between this device and the server, found step by step; and requests to the server's API.

mod download;
mod error;
mod http;
mod invitation;
mod kept;
mod tls;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::http::StatusCode;
use protocol::api::{Health, SERVER_NAME};
use protocol::{PROTOCOL_VERSION, Secret};
use rustls::ClientConfig;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_tungstenite::MaybeTlsStream;

use crate::address::ServerAddress;
use crate::tls::client_config;
use crate::track::printable;

pub use download::{DownloadError, download};
pub use error::ConnectionError;
use http::{Answer, AskError, ask};
pub use invitation::{Invitation, invite};
pub use kept::{Fetched, Fetcher};

/// How long each step may take unless somebody says otherwise.
pub const STEP_TIMEOUT: Duration = Duration::from_secs(5);

/// How long, within a step, it may take to find out what a peer speaks instead.
const SECOND_LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// What a test of the connection found.
#[derive(Debug)]
pub struct ConnectionReport {
    /// The server's address, written out; as it was typed if it is none.
    pub server: String,
    /// Every step with its outcome, in the order of [`Step::ALL`]. After one that failed, the rest is skipped.
    pub steps: Vec<(Step, Outcome)>,
}

/// The steps, in the order in which they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The host's name becomes addresses.
    Name,
    /// A TCP connection is made.
    Connect,
    /// TLS is agreed on; skipped for an address without TLS.
    Tls,
    /// An ingest server answers, and speaks our version of the protocol.
    Version,
    /// The access token is accepted, or none is asked for.
    Token,
}

/// How a step went.
#[derive(Debug)]
pub enum Outcome {
    /// Well.
    Passed {
        /// What was found, for the curious.
        detail: String,
    },
    /// Not well.
    Failed(ConnectionError),
    /// It does not apply, or a step before it failed.
    Skipped,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 5] = [Self::Name, Self::Connect, Self::Tls, Self::Version, Self::Token];

    /// The step's name, for people and scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Version => "version",
            Self::Token => "token",
        }
    }
}

impl ConnectionReport {
    /// What failed, if anything did.
    #[must_use]
    pub fn failure(&self) -> Option<(Step, &ConnectionError)> {
        self.steps.iter().find_map(|(step, outcome)| match outcome {
            Outcome::Failed(error) => Some((*step, error)),
            _ => None,
        })
    }

    /// How a step went.
    #[must_use]
    pub fn outcome(&self, step: Step) -> &Outcome {
        self.steps
            .iter()
            .find_map(|(found, outcome)| (*found == step).then_some(outcome))
            .unwrap_or(&Outcome::Skipped)
    }
}

/// Tests whether a session could be published to `address`, as a person typed it, with this token.
///
/// `own_authority` is a PEM file with the certificate of an authority of one's own. Nothing is left behind on
/// the server. Each step takes at most [`STEP_TIMEOUT`]. Must run in a tokio runtime.
pub async fn test(address: &str, token: Option<&Secret>, own_authority: Option<&Path>) -> ConnectionReport {
    test_within(address, token, own_authority, STEP_TIMEOUT).await
}

/// [`test()`] with another limit for each step.
pub async fn test_within(
    address: &str,
    token: Option<&Secret>,
    own_authority: Option<&Path>,
    step_timeout: Duration,
) -> ConnectionReport {
    let mut passed = Vec::new();
    let parsed: Result<ServerAddress, _> = address.parse();
    let server = parsed.as_ref().map_or_else(|_| printable(address), ToString::to_string);
    let failure = match parsed {
        Ok(server) => {
            let mut walk = Walk { server: &server, token, own_authority, step_timeout, passed: &mut passed };
            Box::pin(walk.run()).await.err()
        }
        Err(error) => Some((Step::Name, error.into())),
    };
    let mut steps: Vec<(Step, Outcome)> = Step::ALL.map(|step| (step, Outcome::Skipped)).into();
    let outcomes = passed.into_iter().map(|(step, detail)| (step, Outcome::Passed { detail }));
    for (step, outcome) in outcomes.chain(failure.map(|(step, error)| (step, Outcome::Failed(error)))) {
        steps[step as usize].1 = outcome;
    }
    ConnectionReport { server, steps }
}

type Failure = (Step, ConnectionError);

/// The way to the server, as far as it has been gone.
struct Walk<'a> {
    server: &'a ServerAddress,
    token: Option<&'a Secret>,
    own_authority: Option<&'a Path>,
    step_timeout: Duration,
    passed: &'a mut Vec<(Step, String)>,
}

impl Walk<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        let server = self.server;
        let addresses = self.step(Step::Name, look_up(server)).await?;
        let stream = self.step(Step::Connect, connect(server, &addresses)).await?;
        let tls = if server.is_encrypted() {
            let trust = client_config(self.own_authority).map_err(|error| (Step::Tls, error.into()))?;
            Some(trust)
        } else {
            None
        };
        let stream = match &tls {
            None => MaybeTlsStream::Plain(stream),
            Some(tls) => {
                let stream = self.step(Step::Tls, secure(server, &addresses, stream, tls)).await?;
                MaybeTlsStream::Rustls(stream)
            }
        };
        let version = self.step(Step::Version, meet(server, &addresses, stream)).await;
        version.map_err(|(step, error)| match error {
            // Found out late, for what was spoken was not TLS.
            ConnectionError::SpeaksTls { .. } => (Step::Tls, error),
            error => (step, error),
        })?;
        self.step(Step::Token, present(server, &addresses, tls.as_ref(), self.token)).await
    }

    /// Takes a step within its time and notes what it found.
    async fn step<T>(
        &mut self,
        step: Step,
        going: impl Future<Output = Result<(T, String), ConnectionError>>,
    ) -> Result<T, Failure> {
        let started = Instant::now();
        let outcome = match timeout(self.step_timeout, going).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ConnectionError::of_silence(step, self.server)),
        };
        let (found, detail) = outcome.map_err(|error| (step, error))?;
        self.passed.push((step, format!("{detail} ({} ms)", started.elapsed().as_millis())));
        Ok(found)
    }
}

async fn look_up(server: &ServerAddress) -> Result<(Vec<SocketAddr>, String), ConnectionError> {
    let unknown = |reason: String| ConnectionError::NameUnknown { host: server.host().to_owned(), reason };
    let found = lookup_host((server.host(), server.port())).await;
    let addresses: Vec<SocketAddr> = found.map_err(|error| unknown(error.to_string()))?.collect();
    if addresses.is_empty() {
        return Err(unknown("it has no address".to_owned()));
    }
    let shown: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    let detail = shown.join(", ");
    Ok((addresses, detail))
}

async fn connect(
    server: &ServerAddress,
    addresses: &[SocketAddr],
) -> Result<(TcpStream, String), ConnectionError> {
    let connected = TcpStream::connect(addresses).await;
    let stream = connected.map_err(|error| ConnectionError::of_connect(&error, server))?;
    let peer = stream.peer_addr().map_err(|error| ConnectionError::of_connect(&error, server))?;
    Ok((stream, peer.to_string()))
}

type TlsStream = tokio_rustls::client::TlsStream<TcpStream>;

async fn secure(
    server: &ServerAddress,
    addresses: &[SocketAddr],
    stream: TcpStream,
    config: &Arc<ClientConfig>,
) -> Result<(TlsStream, String), ConnectionError> {
    match tls::handshake(server, stream, config).await {
        Ok(agreed) => Ok(agreed),
        // Whoever answers with something else than TLS may well be a server without it.
        Err(ConnectionError::NotTls { .. }) if speaks_plain_http(server, addresses).await => {
            Err(ConnectionError::SpeaksPlainHttp { server: server.to_string() })
        }
        Err(error) => Err(error),
    }
}

/// Asks who answers, and which version it speaks.
async fn meet(
    server: &ServerAddress,
    addresses: &[SocketAddr],
    stream: MaybeTlsStream<TcpStream>,
) -> Result<((), String), ConnectionError> {
    let (error, may_want_tls) = match ask(stream, server, "/health", None).await {
        Ok(answer) if answer.status == StatusCode::OK => {
            return judge_health(server, &answer).map(|detail| ((), detail));
        }
        Ok(answer) => (ConnectionError::of_answer(&answer, server), answer.status == StatusCode::BAD_REQUEST),
        Err(error) => (ConnectionError::of_ask(&error, server), !matches!(error, AskError::TooLong)),
    };
    // A server with TLS answers plain text with a TLS alert, with nothing, or with a page of its own and status 400.
    if may_want_tls && !server.is_encrypted() && speaks_tls(server, addresses).await {
        return Err(ConnectionError::SpeaksTls { server: server.to_string() });
    }
    Err(error)
}

fn judge_health(server: &ServerAddress, answer: &Answer) -> Result<String, ConnectionError> {
    let health: Option<Health> = serde_json::from_slice(&answer.body).ok();
    let Some(health) = health.filter(|health| health.server == SERVER_NAME) else {
        return Err(ConnectionError::NotAServer {
            server: server.to_string(),
            found: "it answers with something else than its name and version".to_owned(),
        });
    };
    let version = printable(&health.version);
    if health.protocol_version == PROTOCOL_VERSION {
        return Ok(format!("{SERVER_NAME} {version}, protocol version {PROTOCOL_VERSION}"));
    }
    Err(ConnectionError::OtherVersion { server: version, theirs: health.protocol_version })
}

/// Shows the token.
async fn present(
    server: &ServerAddress,
    addresses: &[SocketAddr],
    tls: Option<&Arc<ClientConfig>>,
    token: Option<&Secret>,
) -> Result<((), String), ConnectionError> {
    let (stream, _) = connect(server, addresses).await?;
    let stream = match tls {
        None => MaybeTlsStream::Plain(stream),
        Some(tls) => MaybeTlsStream::Rustls(tls::handshake(server, stream, tls).await?.0),
    };
    let asked = ask(stream, server, "/api/access", token).await;
    let answer = asked.map_err(|error| ConnectionError::of_ask(&error, server))?;
    match (answer.status, token) {
        (StatusCode::NO_CONTENT, Some(_)) => Ok(((), "accepted".to_owned())),
        (StatusCode::NO_CONTENT, None) => Ok(((), "none is asked for".to_owned())),
        (StatusCode::UNAUTHORIZED, Some(_)) => Err(ConnectionError::TokenWrong),
        (StatusCode::UNAUTHORIZED, None) => Err(ConnectionError::TokenMissing),
        _ => Err(ConnectionError::of_answer(&answer, server)),
    }
}

/// Whether somebody at these addresses answers plain HTTP, whatever the answer is.
async fn speaks_plain_http(server: &ServerAddress, addresses: &[SocketAddr]) -> bool {
    let asking = async {
        let stream = TcpStream::connect(addresses).await.ok()?;
        ask(MaybeTlsStream::Plain(stream), server, "/health", None).await.ok()
    };
    matches!(timeout(SECOND_LOOK_TIMEOUT, asking).await, Ok(Some(_)))
}

/// Whether somebody at these addresses answers TLS with TLS, trusted or not.
async fn speaks_tls(server: &ServerAddress, addresses: &[SocketAddr]) -> bool {
    let asking = async {
        let trust = client_config(None).ok()?;
        let stream = TcpStream::connect(addresses).await.ok()?;
        match tls::handshake(server, stream, &trust).await {
            Err(ConnectionError::NotTls { .. } | ConnectionError::Address(_)) => None,
            Ok(_) | Err(_) => Some(()),
        }
    };
    matches!(timeout(SECOND_LOOK_TIMEOUT, asking).await, Ok(Some(())))
}
