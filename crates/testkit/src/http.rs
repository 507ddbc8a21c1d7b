//! The ingest server's HTTP API as a test asks it.

use std::time::Duration;

use anyhow::{Context, Result};
use protocol::SessionId;
use protocol::api::{Session, SessionList};

/// A client for one server.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    token: Option<String>,
    agent: ureq::Agent,
}

impl Api {
    /// A client for the server on this port of the loopback interface.
    #[must_use]
    pub fn new(port: u16) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(60)))
            .http_status_as_error(false)
            .build();
        Self { base: format!("http://127.0.0.1:{port}"), token: None, agent: config.into() }
    }

    /// The same, with the server's access token.
    #[must_use]
    pub fn with_token(self, token: Option<&str>) -> Self {
        Self { token: token.map(str::to_owned), ..self }
    }

    /// Asks for a path; gives the status and the body.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn get(&self, path: &str) -> Result<(u16, Vec<u8>)> {
        self.get_range(path, None)
    }

    /// Asks for bytes of a path by a `Range` header such as `bytes=0-99`.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn get_range(&self, path: &str, range: Option<&str>) -> Result<(u16, Vec<u8>)> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(range) = range {
            request = request.header("range", range);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut answer = request.call().with_context(|| format!("GET {path}"))?;
        let body = answer.body_mut().with_config().limit(4 << 30).read_to_vec()?;
        Ok((answer.status().as_u16(), body))
    }

    /// Whether the server says that it can record.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.get("/ready").is_ok_and(|(status, _)| status == 200)
    }

    /// All sessions of the first page, newest first.
    ///
    /// # Errors
    /// When the answer is not a list of sessions.
    pub fn sessions(&self) -> Result<Vec<Session>> {
        let (_, body) = self.get("/api/sessions")?;
        let list: SessionList = serde_json::from_slice(&body)
            .with_context(|| format!("a session list: {}", String::from_utf8_lossy(&body)))?;
        Ok(list.sessions)
    }

    /// One session.
    ///
    /// # Errors
    /// When there is no such session.
    pub fn session(&self, id: SessionId) -> Result<Session> {
        let (_, body) = self.get(&format!("/api/sessions/{id}"))?;
        serde_json::from_slice(&body)
            .with_context(|| format!("a session: {}", String::from_utf8_lossy(&body)))
    }

    /// The session's recording, whole.
    ///
    /// # Errors
    /// When the server does not give it.
    pub fn recording(&self, id: SessionId) -> Result<Vec<u8>> {
        let (status, body) = self.get(&recording_path(id))?;
        anyhow::ensure!(status == 200, "status {status}: {}", String::from_utf8_lossy(&body));
        Ok(body)
    }
}

/// The path of a session's recording.
#[must_use]
pub fn recording_path(id: SessionId) -> String {
    format!("/api/sessions/{id}/recording.mp4")
}
