//! The settings file: flat TOML, with the line of each key kept for error messages.

use std::path::{Path, PathBuf};

use crate::Error;

/// A parsed settings file, not yet compared with any command.
#[derive(Debug)]
pub struct File {
    pub(crate) path: PathBuf,
    pub(crate) entries: Vec<Entry>,
}

/// One `key = value` of the file.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// From 1.
    pub(crate) line: usize,
    pub(crate) value: toml::Value,
}

impl File {
    /// Parses `text`. `path` only appears in messages; nothing is read.
    ///
    /// # Errors
    /// [`Error::Syntax`] when `text` is not TOML, a key that stands twice included.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let syntax = |error: toml::de::Error| Error::Syntax {
            path: path.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        };
        // Two passes over one text: the first knows where the keys are, the second gives plain values.
        let spans = toml::de::DeTable::parse(text).map_err(syntax)?;
        let mut values: toml::Table = text.parse().map_err(syntax)?;
        let mut entries: Vec<Entry> = spans
            .get_ref()
            .keys()
            .filter_map(|key| {
                let line = text[..key.span().start].matches('\n').count() + 1;
                let key = key.get_ref().to_string();
                let value = values.remove(&key)?;
                Some(Entry { key, line, value })
            })
            .collect();
        entries.sort_by_key(|entry| entry.line);
        Ok(Self { path: path.to_owned(), entries })
    }
}
