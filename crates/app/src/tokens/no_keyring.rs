use protocol::Secret;

use super::TokenError;

/// There is none.
pub(super) fn load(_: &str) -> Result<Option<Secret>, TokenError> {
    Err(missing())
}

/// There is none.
pub(super) fn save(_: &str, _: Option<&Secret>) -> Result<(), TokenError> {
    Err(missing())
}

fn missing() -> TokenError {
    TokenError::Keyring("this platform has none".to_owned())
}
