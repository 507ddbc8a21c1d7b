//! What a refusal means when the server, or something before it, gave no error body.

use protocol::error::{ErrorBody, ErrorCode};

use super::ConnectFailure;

/// The longest text of an error that is shown to a person, in characters.
const SHOWN_CHARS: usize = 300;

/// The meaning of an HTTP answer other than 101.
///
/// A server of this project sends an [`ErrorBody`]; a proxy before it sends anything. `location` is
/// the `Location` header of a redirect.
#[must_use]
pub fn refusal_of_http(status: u16, body: &[u8], location: Option<&str>) -> ConnectFailure {
    if let Ok(error) = serde_json::from_slice::<ErrorBody>(body) {
        return ConnectFailure::Refused(error);
    }
    let refused = |code, message: &str| ConnectFailure::Refused(ErrorBody::new(code, message));
    match status {
        401 => refused(
            ErrorCode::Unauthorized,
            "the server wants another access token; give the one that it was started with",
        ),
        403 => refused(ErrorCode::ForbiddenOrigin, "the server, or a proxy before it, forbids this request"),
        404 => refused(
            ErrorCode::NotFound,
            "there is a web server at this address, but no ingest server; check the address and its path",
        ),
        429 => refused(ErrorCode::RateLimited, "the server asks for fewer connections"),
        300..=399 => {
            let to = location.unwrap_or("another address");
            refused(ErrorCode::BadRequest, &format!("the server has moved to {to}; use that address"))
        }
        500.. => ConnectFailure::Unreachable(format!("the server answers with HTTP status {status}")),
        _ => refused(
            ErrorCode::BadRequest,
            &format!("this is not an ingest server: it answers with HTTP status {status}; check the address"),
        ),
    }
}

/// The meaning of a WebSocket close code; none for a code that refuses nothing.
#[must_use]
pub fn refusal_of_close(close_code: u16, reason: &str) -> Option<ErrorBody> {
    let code = ErrorCode::ALL.into_iter().find(|code| code.close_code() == close_code)?;
    let message = if reason.is_empty() { "the server closed the connection" } else { reason };
    Some(ErrorBody::new(code, message))
}

/// The error as it may be shown.
pub(crate) fn shown(error: ErrorBody) -> ErrorBody {
    ErrorBody { message: printable(&error.message), ..error }
}

/// A peer's text as it may stand on a terminal: short, and without control characters.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_answers_are_told_apart_by_whether_a_person_must_act() {
        let body = br#"{"code":"too_many_sessions","message":"full","retryable":true}"#;
        let table: [(u16, &[u8], Option<ErrorCode>); 9] = [
            (503, body, Some(ErrorCode::TooManySessions)),
            (503, b"<html>", None),
            (502, b"", None),
            (401, b"", Some(ErrorCode::Unauthorized)),
            (403, b"", Some(ErrorCode::ForbiddenOrigin)),
            (404, b"", Some(ErrorCode::NotFound)),
            (429, b"", Some(ErrorCode::RateLimited)),
            (301, b"", Some(ErrorCode::BadRequest)),
            (200, b"hello", Some(ErrorCode::BadRequest)),
        ];
        for (status, body, code) in table {
            let found = match refusal_of_http(status, body, Some("https://b.example")) {
                ConnectFailure::Refused(error) => Some(error.code),
                ConnectFailure::Unreachable(_) | ConnectFailure::NoNetwork(_) => None,
            };
            assert_eq!(found, code, "{status}");
        }
    }

    #[test]
    fn close_codes_have_the_meaning_that_the_protocol_gives_them() {
        for code in ErrorCode::ALL {
            assert_eq!(refusal_of_close(code.close_code(), "x").map(|error| error.code), Some(code));
        }
        assert_eq!(refusal_of_close(1000, ""), None);
        assert_eq!(refusal_of_close(1006, ""), None);
    }
}
