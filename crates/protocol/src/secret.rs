use std::fmt;

use crate::limits::MAX_TOKEN_BYTES;

/// Text that must never be shown: an access token.
///
/// `Debug` prints `Secret(…)`; there is no `Display`. Comparison in constant time is the server's
/// task, so there is no `PartialEq` either.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps the secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself, for the one place that compares it or sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether this can be an access token: 1 to [`MAX_TOKEN_BYTES`] visible ASCII characters, which every HTTP
    /// header and every link can carry.
    #[must_use]
    pub fn is_token(&self) -> bool {
        (1..=MAX_TOKEN_BYTES).contains(&self.0.len()) && self.0.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl std::str::FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(secret: &str) -> Result<Self, Self::Err> {
        Ok(Self(secret.to_owned()))
    }
}
