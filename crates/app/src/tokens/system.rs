use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use protocol::Secret;

use super::{FileTokens, Kept, KeptIn, TokenError, TokenStore, keyring};

/// How long the keyring may take: a person may have to unlock it. Some keyrings never answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Tokens in the system's keyring; in a file where there is none, or it does not work.
#[derive(Debug)]
pub struct SystemTokens {
    file: FileTokens,
}

impl SystemTokens {
    /// With the file in this folder, when it comes to that.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { file: FileTokens::new(folder) }
    }
}

impl TokenStore for SystemTokens {
    fn load(&self, server: &str) -> Result<Option<Kept>, TokenError> {
        let name = server.to_owned();
        match in_time(PATIENCE, move || keyring::load(&name)) {
            Ok(Some(token)) => return Ok(Some(Kept { token, place: KeptIn::Keyring })),
            Ok(None) => {}
            Err(error) => tracing::info!(%error, "looking for the access token in a file"),
        }
        self.file.load(server)
    }

    fn save(&self, server: &str, token: Option<&Secret>) -> Result<KeptIn, TokenError> {
        let (name, secret) = (server.to_owned(), token.cloned());
        match in_time(PATIENCE, move || keyring::save(&name, secret.as_ref())) {
            Ok(()) => {
                // An older one must not come back when the keyring fails once.
                self.file.save(server, None)?;
                Ok(KeptIn::Keyring)
            }
            Err(error) => {
                tracing::info!(%error, "keeping the access token in a file");
                self.file.save(server, token)
            }
        }
    }
}

/// What `ask` answers, if it does so in time. Its thread is left alone otherwise.
fn in_time<T: Send + 'static>(
    patience: Duration,
    ask: impl FnOnce() -> Result<T, TokenError> + Send + 'static,
) -> Result<T, TokenError> {
    let (answer, answered) = mpsc::channel();
    // Nobody may be left to hear the answer.
    let spawned = thread::Builder::new().name("keyring".to_owned()).spawn(move || answer.send(ask()).ok());
    spawned?;
    answered.recv_timeout(patience).unwrap_or(Err(TokenError::KeyringSilent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyring_that_never_answers_is_given_up() {
        let (_hold, never) = mpsc::channel::<()>();
        let asked = in_time(Duration::from_millis(1), move || {
            never.recv().ok();
            Ok(())
        });
        assert!(matches!(asked, Err(TokenError::KeyringSilent)));
        assert!(matches!(in_time(PATIENCE, || Ok(7)), Ok(7)));
    }
}
