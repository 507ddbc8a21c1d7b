//! Whether an ingest server runs on this machine, so that a newcomer need not know an address.

use std::time::Duration;

use protocol::api::{Health, SERVER_NAME};

/// Where the server listens unless it is told otherwise.
pub(crate) const USUAL_PORT: u16 = 8000;

/// A server on this machine answers at once, or not at all.
const PATIENCE: Duration = Duration::from_secs(1);

/// More is no answer to `/health`.
const LONGEST_ANSWER_BYTES: u64 = 4_096;

/// The address of the first of these ports of this machine on which an ingest server answers. Blocks.
pub(crate) fn find(ports: &[u16]) -> Option<String> {
    let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).max_redirects(0).build();
    let agent = ureq::Agent::from(config);
    ports.iter().map(|port| format!("127.0.0.1:{port}")).find(|address| answers(&agent, address))
}

fn answers(agent: &ureq::Agent, address: &str) -> bool {
    let Ok(mut answer) = agent.get(format!("http://{address}/health")).call() else { return false };
    let body = answer.body_mut().with_config().limit(LONGEST_ANSWER_BYTES).read_to_vec();
    let health: Option<Health> = body.ok().and_then(|body| serde_json::from_slice(&body).ok());
    health.is_some_and(|health| health.server == SERVER_NAME)
}
