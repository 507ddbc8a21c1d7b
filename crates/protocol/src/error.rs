//! One vocabulary for everything that can be refused or can fail, on the sockets and in the API.

use serde::{Deserialize, Serialize};

/// Why something was refused or failed. The JSON form is snake case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// The access token is missing or wrong.
    Unauthorized,
    /// The request comes from a web page that the server does not allow.
    ForbiddenOrigin,
    /// The token is right and does not allow this.
    Forbidden,
    /// Who moderates the room has removed or banned this viewer.
    Removed,
    /// The room was closed, or takes nobody.
    RoomClosed,
    /// The room has as many publishers or viewers as it may.
    RoomFull,
    /// The request is not what this address expects.
    BadRequest,
    /// There is no such thing.
    NotFound,
    /// The peer speaks another version of the protocol.
    UnsupportedVersion,
    /// The control message's type is not known.
    UnknownMessage,
    /// The message does not have the form its type prescribes, or comes at the wrong moment.
    InvalidMessage,
    /// The message, or something in it, is larger than the limits in `welcome`.
    TooLarge,
    /// The `hello` names another track than the socket's.
    TrackMismatch,
    /// The session belongs to another publisher.
    SessionTaken,
    /// A newer connection of the same publisher has taken this one's place.
    Superseded,
    /// The session has ended and takes no more units.
    SessionEnded,
    /// The unit's header or payload is broken.
    InvalidUnit,
    /// The unit's number lies outside what the session can hold.
    UnitOutOfRange,
    /// The codec parameters are broken or not supported.
    InvalidParams,
    /// The server holds other units than the publisher's digest says.
    DigestMismatch,
    /// The server has as many sessions or connections as it is set to hold.
    TooManySessions,
    /// Too many connections or messages in too short a time.
    RateLimited,
    /// The peer said nothing for too long.
    IdleTimeout,
    /// The server cannot store: its disk is full or failing.
    StorageUnavailable,
    /// The server is stopping; it will be back.
    ShuttingDown,
    /// A fault of the server; its log has the details.
    Internal,
}

impl ErrorCode {
    /// Every code, for tables in tests and docs.
    pub const ALL: [Self; 26] = [
        Self::Unauthorized,
        Self::ForbiddenOrigin,
        Self::Forbidden,
        Self::Removed,
        Self::RoomClosed,
        Self::RoomFull,
        Self::BadRequest,
        Self::NotFound,
        Self::UnsupportedVersion,
        Self::UnknownMessage,
        Self::InvalidMessage,
        Self::TooLarge,
        Self::TrackMismatch,
        Self::SessionTaken,
        Self::Superseded,
        Self::SessionEnded,
        Self::InvalidUnit,
        Self::UnitOutOfRange,
        Self::InvalidParams,
        Self::DigestMismatch,
        Self::TooManySessions,
        Self::RateLimited,
        Self::IdleTimeout,
        Self::StorageUnavailable,
        Self::ShuttingDown,
        Self::Internal,
    ];

    /// Whether trying the same again later can succeed without a person doing something.
    #[must_use]
    pub const fn retryable(self) -> bool {
        matches!(
            self,
            Self::TooManySessions
                | Self::RoomFull
                | Self::RateLimited
                | Self::IdleTimeout
                | Self::StorageUnavailable
                // The newer connection may be one that this publisher gave up before, whose hello arrived late.
                | Self::Superseded
                | Self::ShuttingDown
                | Self::Internal
        )
    }

    /// The WebSocket close code: RFC 6455 §7.4.1 where it has a fitting one, else the private range
    /// in the likeness of HTTP's status codes.
    #[must_use]
    pub const fn close_code(self) -> u16 {
        match self {
            Self::ShuttingDown => 1001,
            Self::TooLarge => 1009,
            Self::Internal => 1011,
            Self::BadRequest => 4400,
            Self::Unauthorized => 4401,
            Self::ForbiddenOrigin => 4403,
            Self::NotFound => 4404,
            Self::IdleTimeout => 4408,
            Self::SessionTaken => 4409,
            Self::SessionEnded => 4410,
            Self::Superseded => 4412,
            Self::UnknownMessage => 4420,
            Self::InvalidMessage => 4421,
            Self::InvalidUnit => 4422,
            Self::UnitOutOfRange => 4423,
            Self::InvalidParams => 4424,
            Self::DigestMismatch => 4427,
            Self::TrackMismatch => 4425,
            Self::UnsupportedVersion => 4426,
            Self::RateLimited => 4429,
            Self::Forbidden => 4430,
            Self::Removed => 4431,
            Self::RoomClosed => 4432,
            Self::RoomFull => 4433,
            Self::TooManySessions => 4503,
            Self::StorageUnavailable => 4507,
        }
    }

    /// The code as it stands in JSON and in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::ForbiddenOrigin => "forbidden_origin",
            Self::Forbidden => "forbidden",
            Self::Removed => "removed",
            Self::RoomClosed => "room_closed",
            Self::RoomFull => "room_full",
            Self::BadRequest => "bad_request",
            Self::NotFound => "not_found",
            Self::UnsupportedVersion => "unsupported_version",
            Self::UnknownMessage => "unknown_message",
            Self::InvalidMessage => "invalid_message",
            Self::TooLarge => "too_large",
            Self::TrackMismatch => "track_mismatch",
            Self::SessionTaken => "session_taken",
            Self::Superseded => "superseded",
            Self::SessionEnded => "session_ended",
            Self::InvalidUnit => "invalid_unit",
            Self::UnitOutOfRange => "unit_out_of_range",
            Self::InvalidParams => "invalid_params",
            Self::DigestMismatch => "digest_mismatch",
            Self::TooManySessions => "too_many_sessions",
            Self::RateLimited => "rate_limited",
            Self::IdleTimeout => "idle_timeout",
            Self::StorageUnavailable => "storage_unavailable",
            Self::ShuttingDown => "shutting_down",
            Self::Internal => "internal",
        }
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// The public form of every error: in the API's bodies and in the socket's `error` message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[error("{message} ({code})")]
pub struct ErrorBody {
    /// What kind of error it is, for programs.
    pub code: ErrorCode,
    /// What happened and what to do, for people.
    pub message: String,
    /// Whether the same may succeed later by itself.
    pub retryable: bool,
}

impl ErrorBody {
    /// An error whose retryability follows from its code.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retryable: code.retryable() }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_has_its_own_close_code_and_its_json_name() {
        let mut seen = HashSet::new();
        for code in ErrorCode::ALL {
            assert!(seen.insert(code.close_code()), "{code} shares its close code");
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{}\"", code.name()));
        }
    }
}
