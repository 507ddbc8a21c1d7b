use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A session: from tap to stop, one publisher's take. A UUID, version 7 by whoever makes one.
///
/// Parsing accepts only the hyphenated form, so that the text is safe as a file name and each
/// session has one spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(type = "string"))]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(Uuid);

/// The text is not an id or a name of the expected form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a hyphenated UUID.
    #[error("a session id is a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057")]
    Session,
    /// Not a usable room name.
    #[error("a room name has 1 to 64 letters, digits, '-' or '_', and starts with a letter or digit")]
    Room,
    /// Not a viewer's id.
    #[error("a viewer's id has 32 hexadecimal digits in lower case")]
    Viewer,
    /// Not a resume key.
    #[error("a resume key has 32 hexadecimal digits")]
    ResumeKey,
}

impl SessionId {
    /// The id with these 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// A UUIDv7 of the given time and randomness; both are inputs because this crate reads no clock.
    ///
    /// Of `random`, 74 bits are used.
    #[must_use]
    pub fn v7(unix_ms: u64, random: [u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid())
    }

    /// The id's 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The last eight hexadecimal digits: short enough for a log line, random enough to tell sessions apart.
    #[must_use]
    pub fn short(&self) -> String {
        let text = self.0.simple().to_string();
        text[24..].to_owned()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), f)
    }
}

impl FromStr for SessionId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.len() != 36 {
            return Err(IdError::Session);
        }
        Uuid::try_parse(text).map(Self).map_err(|_| IdError::Session)
    }
}

impl TryFrom<String> for SessionId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.to_string()
    }
}

/// A room: a named place that sessions and viewers join.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(type = "string"))]
#[serde(try_from = "String", into = "String")]
pub struct RoomName(String);

impl RoomName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoomName {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for RoomName {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if starts_well && text.len() <= 64 && text.chars().all(legal) {
            Ok(Self(text))
        } else {
            Err(IdError::Room)
        }
    }
}

impl From<RoomName> for String {
    fn from(room: RoomName) -> Self {
        room.0
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What proves that a reconnecting publisher is the one that began the session.
///
/// The publisher draws it once per session from a secure source and presents it in every `hello`, on
/// both sockets; the server binds it to the session at the first and keeps only a hash. It is a
/// secret: `Debug` hides it.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(type = "string"))]
#[serde(try_from = "String", into = "String")]
pub struct ResumeKey(String);

impl ResumeKey {
    /// The key made of these random bytes.
    #[must_use]
    pub fn from_bytes(random: [u8; 16]) -> Self {
        Self(random.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The key's text, for hashing and for the wire.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ResumeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResumeKey(…)")
    }
}

impl TryFrom<String> for ResumeKey {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        if text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(IdError::ResumeKey)
        }
    }
}

impl From<ResumeKey> for String {
    fn from(key: ResumeKey) -> Self {
        key.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_has_one_spelling_and_no_path_tricks() {
        let id: SessionId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        assert_eq!(id.to_string(), "01890a5d-ac96-774b-bcce-b302099a8057");
        assert_eq!(id.short(), "099a8057");
        for bad in [
            "",
            "..",
            "../../etc/passwd",
            "01890a5dac96774bbcceb302099a8057",
            "{01890a5d-ac96-774b-bcce-b302099a8057}",
            "urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057",
            "01890a5d-ac96-774b-bcce-b302099a805/",
        ] {
            assert_eq!(bad.parse::<SessionId>(), Err(IdError::Session), "{bad}");
        }
    }

    #[test]
    fn a_v7_id_sorts_by_time() {
        let earlier = SessionId::v7(1_700_000_000_000, [0xff; 10]);
        let later = SessionId::v7(1_700_000_000_001, [0; 10]);
        assert!(earlier < later);
        assert_eq!(&earlier.to_string()[14..15], "7");
    }

    #[test]
    fn room_names_are_plain() {
        for good in ["a", "Studio-1", "0_x", &"r".repeat(64)] {
            assert!(good.parse::<RoomName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "_a", "a b", "a/b", "..", "ä", "a\n", &"r".repeat(65)] {
            assert_eq!(bad.parse::<RoomName>(), Err(IdError::Room), "{bad:?}");
        }
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let key = ResumeKey::from_bytes([0xab; 16]);
        assert_eq!(format!("{key:?}"), "ResumeKey(…)");
        assert_eq!(key.expose(), "ab".repeat(16));
    }
}
