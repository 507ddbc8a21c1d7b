//! What can be wrong with a configuration, said so that the reader can put it right.

use std::path::PathBuf;

/// Why a configuration was refused. The text names the file, the line and the key, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line or an environment variable is wrong, or help was asked for: clap's own report.
    #[error(transparent)]
    Arguments(clap::Error),

    /// The file cannot be read as text.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// The file is not TOML.
    #[error("{} is not valid TOML: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and what, from the TOML parser.
        message: String,
    },

    /// No flag has this name.
    #[error("{}:{line}: unknown setting `{key}`{hint}; the known settings are {known}", path.display(),
        hint = closest.as_ref().map(|name| format!(", did you mean `{name}`?")).unwrap_or_default(),
        known = known.join(", "))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The line of the key, from 1.
        line: usize,
        /// The key as written.
        key: String,
        /// The known key that resembles it most, if any does.
        closest: Option<String>,
        /// Every key that the program knows, sorted.
        known: Vec<String>,
    },

    /// The value's TOML type does not fit the flag.
    #[error("{}:{line}: `{key}` must be {expected}, not {found}", path.display())]
    WrongType {
        /// The file.
        path: PathBuf,
        /// The line of the key, from 1.
        line: usize,
        /// The key.
        key: String,
        /// What the flag takes.
        expected: &'static str,
        /// What the file has.
        found: &'static str,
    },

    /// The value has a fitting type, but the flag does not accept it.
    #[error("{}:{line}: `{key}`: {message}", path.display())]
    InvalidValue {
        /// The file.
        path: PathBuf,
        /// The line of the key, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The flag's own objection. It does not quote the value of a secret.
        message: String,
    },
}
