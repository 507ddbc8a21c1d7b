use keyring::{Entry, Error};
use protocol::Secret;

use super::TokenError;

/// What the keyring calls us.
const SERVICE: &str = "app.longtake.capture";

/// The token that the system's keyring holds for a server. May wait for a person to unlock it.
pub(super) fn load(server: &str) -> Result<Option<Secret>, TokenError> {
    match entry(server)?.get_password() {
        Ok(token) => Ok(Some(Secret::new(token))),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(unusable(&error)),
    }
}

/// Keeps or forgets a token.
pub(super) fn save(server: &str, token: Option<&Secret>) -> Result<(), TokenError> {
    let entry = entry(server)?;
    let saved = match token {
        Some(token) => entry.set_password(token.expose()),
        None => match entry.delete_credential() {
            Err(Error::NoEntry) => Ok(()),
            deleted => deleted,
        },
    };
    saved.map_err(|error| unusable(&error))
}

fn entry(server: &str) -> Result<Entry, TokenError> {
    Entry::new(SERVICE, server).map_err(|error| unusable(&error))
}

/// Some of the library's errors carry what was read; none of their text is taken over.
fn unusable(error: &Error) -> TokenError {
    let what = match error {
        Error::NoStorageAccess(_) => "it is locked, or access to it is refused",
        Error::NoDefaultStore => "there is none",
        Error::PlatformFailure(_) => "the system reports a failure",
        Error::BadEncoding(_) => "what it holds is no text",
        Error::TooLong(..) => "it takes no text of this length",
        _ => "it refuses",
    };
    TokenError::Keyring(what.to_owned())
}
