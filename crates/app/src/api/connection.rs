use serde::{Deserialize, Serialize};

use super::Problem;

/// What a test of the connection found: its steps in order. After a step that failed, the rest is not tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct ConnectionReport {
    /// The address, written out: scheme, host and port.
    pub server: String,
    /// Each step, in order.
    pub steps: Vec<ConnectionStep>,
}

/// One step of a test of the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct ConnectionStep {
    /// Which.
    pub name: StepName,
    /// How it went.
    pub outcome: StepOutcome,
}

/// The steps, in the order in which they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum StepName {
    /// The host's name becomes addresses.
    Name,
    /// A TCP connection is made.
    Connect,
    /// TLS is agreed on. Not needed without TLS.
    Tls,
    /// An ingest server answers, and speaks our version of the protocol.
    Version,
    /// The access token is accepted.
    Token,
}

/// How a step went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum StepOutcome {
    /// Well.
    Passed {
        /// What was found, for people who like to know: addresses, a version, a time.
        detail: String,
    },
    /// Not well.
    Failed {
        /// What is wrong and what to do.
        problem: Problem,
    },
    /// It does not apply, or was not reached.
    Skipped,
}
