//! Where access tokens are kept: in the system's keyring, or in a file that only this user may read.
//!
//! There is one for each server, so that no server is ever shown the token of another.

mod file;
#[cfg(any(target_os = "linux", target_os = "macos", windows))]
mod keyring;
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
#[path = "no_keyring.rs"]
mod keyring;
mod system;

pub use file::FileTokens;
use protocol::Secret;
pub use system::SystemTokens;

/// Keeps access tokens across runs. `server` is the address in its full form. The methods may block for seconds.
pub trait TokenStore: Send + Sync {
    /// The token of a server, if one is kept.
    ///
    /// # Errors
    /// [`TokenError`] when that cannot be told.
    fn load(&self, server: &str) -> Result<Option<Kept>, TokenError>;

    /// Keeps a token, or forgets the one that is kept. Tells where it is then.
    ///
    /// # Errors
    /// [`TokenError`] when it is not kept, or not forgotten.
    fn save(&self, server: &str, token: Option<&Secret>) -> Result<KeptIn, TokenError>;
}

/// A token and where it is kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The token.
    pub token: Secret,
    /// Where.
    pub place: KeptIn,
}

/// Where a token is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptIn {
    /// In the system's keyring.
    Keyring,
    /// In a file that only this user may read.
    File,
}

/// Why a token cannot be kept or fetched. Never holds one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// There is no keyring, or it refuses.
    #[error("the system's keyring cannot be used: {0}")]
    Keyring(String),
    /// The keyring has not answered in time.
    #[error("the system's keyring does not answer")]
    KeyringSilent,
    /// The file cannot be read or written.
    #[error("the file of access tokens cannot be used: {0}")]
    File(#[from] std::io::Error),
    /// The file is not what was written.
    #[error("the file of access tokens is damaged")]
    FileDamaged,
}
