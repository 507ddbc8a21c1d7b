//! How the program ends: what scripts see, and what people read.

use std::process::ExitCode;

use protocol::error::ErrorCode;
use publisher::spool::disk::SpoolError;
use publisher::status::Phase;
use publisher::{Report, StartError};
use tracing_subscriber::EnvFilter;

/// The table of exit codes for `--help`.
pub(crate) const HELP: &str = "Exit codes:
  0  done; every unit is durable on the server
  1  a fault of this program or of the system; verify: the recording is not as it was certified
  2  the command line, the environment or the configuration file is wrong
  3  the server cannot be reached, or refuses
  4  there is no such camera, microphone or file, or it cannot be used
  5  incomplete: some units are not durable on the server";

/// Why the program ends without success. Each kind has an exit code of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Fault(String),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Server(String),
    #[error("{0}")]
    Device(String),
    #[error("{0}")]
    Incomplete(String),
}

impl Failure {
    pub(crate) const fn code(&self) -> u8 {
        match self {
            Self::Fault(_) => 1,
            Self::Usage(_) => 2,
            Self::Server(_) => 3,
            Self::Device(_) => 4,
            Self::Incomplete(_) => 5,
        }
    }

    /// Tells the person in one line and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("error: {self}");
        ExitCode::from(self.code())
    }
}

impl From<capture::StartError> for Failure {
    fn from(error: capture::StartError) -> Self {
        use capture::StartError as E;
        match error {
            E::NoTrack | E::OutOfRange { .. } => Self::Usage(error.to_string()),
            E::Device(_) => Self::Device(error.to_string()),
            _ => Self::Fault(error.to_string()),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Tls(_) | StartError::Address { .. } => Self::Usage(error.to_string()),
            StartError::Spool(SpoolError::Exists(_) | SpoolError::InUse(_)) => Self::Usage(error.to_string()),
            _ => Self::Fault(error.to_string()),
        }
    }
}

/// Whether the sessions ended well; else the gravest reason: a refusal before an absence before a loss.
pub(crate) fn judge<'a>(reports: impl IntoIterator<Item = &'a Report>) -> Result<(), Failure> {
    let mut tracks: Vec<_> = reports.into_iter().flat_map(|report| &report.tracks).collect();
    tracks.retain(|track| !track.is_whole());
    let refusal = tracks.iter().find_map(|track| match &track.status.phase {
        Phase::NeedsYou(error) => {
            let hint = match error.code {
                ErrorCode::Unauthorized => "; give it as LONGTAKE_TOKEN or STREAMING_ACCESS_TOKEN",
                _ => "",
            };
            Some(format!("the server refuses {}: {}{hint}", track.track, error.message))
        }
        _ => None,
    });
    if let Some(refusal) = refusal {
        return Err(Failure::Server(refusal));
    }
    let absence = tracks.iter().find_map(|track| match &track.status.phase {
        Phase::Offline { reason, .. } if track.status.counters.connections == 0 => Some(reason.clone()),
        _ => None,
    });
    if let Some(reason) = absence {
        return Err(Failure::Server(reason));
    }
    let missing: u64 =
        tracks.iter().map(|track| track.status.counters.units - track.status.counters.durable_units).sum();
    match tracks.first() {
        None => Ok(()),
        Some(_) if missing == 0 => {
            let text = "all units are durable, but the server has not said that the session is complete";
            Err(Failure::Incomplete(text.to_owned()))
        }
        Some(_) => Err(Failure::Incomplete(format!(
            "{missing} units are not durable on the server; look at the session's gaps there, and at `longtake resume --list`"
        ))),
    }
}

/// Starts to log to standard error.
///
/// Only `tracing` is listened to, not the `log` crate: the WebSocket library writes whole requests,
/// tokens included, to the latter at its lowest level.
pub(crate) fn start_log(filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::Usage(format!("--log {filter:?}: {error}; write error, warn, info or debug"))
    })?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .finish();
    tracing::subscriber::set_global_default(subscriber).map_err(|error| Failure::Fault(error.to_string()))
}
