use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

/// What is logged to standard error unless `RUST_LOG` says otherwise.
const DEFAULT: &str = "warn,longtake_app_lib=info,app=info,capture=info,publisher=info";

/// Logs to standard error from now on. No access token is ever logged: its type does not print.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    log.with_ansi(io::stderr().is_terminal()).init();
}
