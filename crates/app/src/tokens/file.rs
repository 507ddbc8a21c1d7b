use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{fs, io};

use protocol::Secret;

use super::{Kept, KeptIn, TokenError, TokenStore};
use crate::durable_file;

const NAME: &str = "tokens.json";

/// Tokens in a file of a folder that only this user may read.
#[derive(Debug)]
pub struct FileTokens {
    folder: PathBuf,
}

impl FileTokens {
    /// In this folder, which need not exist yet.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn read(&self) -> Result<BTreeMap<String, String>, TokenError> {
        match fs::read(self.folder.join(NAME)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| TokenError::FileDamaged),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error.into()),
        }
    }
}

impl TokenStore for FileTokens {
    fn load(&self, server: &str) -> Result<Option<Kept>, TokenError> {
        let token = self.read()?.remove(server);
        Ok(token.map(|token| Kept { token: Secret::new(token), place: KeptIn::File }))
    }

    fn save(&self, server: &str, token: Option<&Secret>) -> Result<KeptIn, TokenError> {
        let mut tokens = match self.read() {
            // The tokens in it are gone in any case.
            Err(TokenError::FileDamaged) => BTreeMap::new(),
            tokens => tokens?,
        };
        let before = match token {
            Some(token) => tokens.insert(server.to_owned(), token.expose().to_owned()),
            None => tokens.remove(server),
        };
        if token.is_some() || before.is_some() {
            let json = serde_json::to_vec(&tokens).expect("texts are plain values");
            durable_file::write(&self.folder, NAME, &json)?;
        }
        Ok(KeptIn::File)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_server_has_its_own_token() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = FileTokens::new(folder.path());
        let load = |server| tokens.load(server).unwrap().map(|kept| kept.token.expose().to_owned());
        assert_eq!(load("http://a:80"), None);
        tokens.save("http://a:80", Some(&Secret::new("one"))).unwrap();
        tokens.save("http://b:80", Some(&Secret::new("two"))).unwrap();
        assert_eq!(load("http://a:80").as_deref(), Some("one"));
        tokens.save("http://a:80", None).unwrap();
        assert_eq!((load("http://a:80"), load("http://b:80").as_deref()), (None, Some("two")));
    }

    #[test]
    fn a_damaged_file_is_an_error_until_a_token_is_kept_again() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = FileTokens::new(folder.path());
        fs::write(folder.path().join(NAME), "{").unwrap();
        assert!(matches!(tokens.load("a"), Err(TokenError::FileDamaged)));
        tokens.save("a", Some(&Secret::new("one"))).unwrap();
        assert_eq!(tokens.load("a").unwrap().unwrap().token.expose(), "one");
    }
}
