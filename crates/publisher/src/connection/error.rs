//! What can stand between a publisher and its server, and what to do about it.

use std::io;

use http::StatusCode;
use http::header::LOCATION;
use protocol::PROTOCOL_VERSION;
use protocol::error::ErrorBody;

use super::Step;
use super::http::{Answer, AskError};
use crate::address::{AddressError, ServerAddress};
use crate::tls::TlsError;
use crate::track::{printable, shown};

/// Why a step of the test failed. The text says what happened and what to do; `server` is the address as a URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // The fields are the texts' own words.
pub enum ConnectionError {
    /// The text is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Nobody knows the name.
    #[error(
        "no machine is known as {host} ({reason}); check the spelling, and whether this device is online"
    )]
    NameUnknown { host: String, reason: String },
    /// The name service does not answer.
    #[error("looking up {host} takes too long; is this device online?")]
    NameTimedOut { host: String },
    /// The machine is there, and nothing listens at the port.
    #[error("nothing listens at {server}; is the server running, and is the port right?")]
    Refused { server: String },
    /// The machine does not answer at all.
    #[error(
        "nobody answers at {server}; is the address right, the machine on, and in the same network? A firewall may be in between"
    )]
    ConnectTimedOut { server: String },
    /// There is no way to the machine.
    #[error("{server} cannot be reached: {reason}; is this device in the right network?")]
    Unreachable { server: String, reason: String },
    /// The file with the own authority's certificate cannot be used.
    #[error(transparent)]
    OwnAuthority(#[from] TlsError),
    /// The certificate was signed by nobody that this device trusts.
    #[error(
        "this device does not know who signed the certificate of {server}; if the authority is your own, give the file with its certificate"
    )]
    UnknownAuthority { server: String },
    /// The certificate is another machine's.
    #[error(
        "the certificate of {server} is for {names}; use a name that it has, or give the server another certificate"
    )]
    OtherName { server: String, names: String },
    /// The certificate has run out.
    #[error(
        "the certificate of {server} has expired; the server needs a new one, or this device's clock is wrong"
    )]
    Expired { server: String },
    /// The certificate does not hold yet.
    #[error("the certificate of {server} is not valid yet; is this device's clock right?")]
    NotYetValid { server: String },
    /// The certificate cannot be accepted for another reason.
    #[error("the certificate of {server} cannot be accepted: {reason}; the server needs another one")]
    Certificate { server: String, reason: String },
    /// The other side speaks TLS, but not with us.
    #[error("{server} refuses a secure connection: {reason}; the server needs TLS 1.2 or 1.3")]
    TlsRefused { server: String, reason: String },
    /// The other side does not speak TLS.
    #[error("something answers at {server}, but not with TLS ({reason}); check the port")]
    NotTls { server: String, reason: String },
    /// The other side took the connection and said nothing to a TLS greeting.
    #[error("something takes connections at {server}, but does not answer with TLS in time; check the port")]
    TlsTimedOut { server: String },
    /// TLS was spoken to a server without it.
    #[error(
        "the server at {server} has no TLS; write http:// instead of https:// (in a network that you trust: the token is sent in plain text)"
    )]
    SpeaksPlainHttp { server: String },
    /// Plain text was spoken to a server with TLS.
    #[error("the server at {server} speaks TLS only; write https:// instead of http://")]
    SpeaksTls { server: String },
    /// The other side took the connection and said nothing to a request.
    #[error(
        "something takes connections at {server}, but does not answer in time; try again, or check the port"
    )]
    AnswerTimedOut { server: String },
    /// Something else lives there.
    #[error(
        "what answers at {server} is no ingest server ({found}); check the address, its port and its path"
    )]
    NotAServer { server: String, found: String },
    /// The address leads elsewhere.
    #[error("the server has moved to {to}; use that address")]
    Moved { to: String },
    /// A proxy answers, and nothing behind it.
    #[error(
        "{server} answers with HTTP status {status}; the ingest server behind it does not run, try again later"
    )]
    Unavailable { server: String, status: u16 },
    /// The two sides do not understand each other.
    #[error("the server (version {server}) speaks version {theirs} of the protocol, and this program version {PROTOCOL_VERSION}; update {}",
        if *theirs > PROTOCOL_VERSION { "this program" } else { "the server" })]
    OtherVersion { server: String, theirs: u8 },
    /// The server wants a token.
    #[error("the server asks for an access token; give the one that it was started with")]
    TokenMissing,
    /// The server does not take this token.
    #[error("the server does not accept this access token; give the one that it was started with")]
    TokenWrong,
    /// The server refuses for a reason of its own.
    #[error("the server refuses: {0}")]
    ServerRefused(ErrorBody),
}

impl ConnectionError {
    pub(super) fn of_silence(step: Step, server: &ServerAddress) -> Self {
        let host = server.host().to_owned();
        let server = server.to_string();
        match step {
            Step::Name => Self::NameTimedOut { host },
            Step::Connect => Self::ConnectTimedOut { server },
            Step::Tls => Self::TlsTimedOut { server },
            Step::Version | Step::Token => Self::AnswerTimedOut { server },
        }
    }

    pub(super) fn of_connect(error: &io::Error, server: &ServerAddress) -> Self {
        let server = server.to_string();
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused { server },
            io::ErrorKind::TimedOut => Self::ConnectTimedOut { server },
            _ => Self::Unreachable { server, reason: error.to_string() },
        }
    }

    pub(super) fn of_ask(error: &AskError, server: &ServerAddress) -> Self {
        match error {
            AskError::Token => Self::TokenWrong,
            AskError::NotHttp(_) | AskError::TooLong => {
                Self::NotAServer { server: server.to_string(), found: error.to_string() }
            }
        }
    }

    /// The meaning of an answer other than the one that was hoped for.
    pub(super) fn of_answer(answer: &Answer, server: &ServerAddress) -> Self {
        let server = server.to_string();
        if let Ok(body) = serde_json::from_slice::<ErrorBody>(&answer.body) {
            return Self::ServerRefused(shown(body));
        }
        let location = answer.headers.get(LOCATION).and_then(|location| location.to_str().ok());
        match (answer.status, location) {
            (status, Some(to)) if status.is_redirection() => Self::Moved { to: printable(to) },
            (StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT, _) => {
                Self::Unavailable { server, status: answer.status.as_u16() }
            }
            (status, _) => Self::NotAServer { server, found: format!("HTTP status {}", status.as_u16()) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_of_a_connection_is_told_apart() {
        use ConnectionError as E;
        let server: ServerAddress = "192.168.1.20".parse().unwrap();
        for (kind, hint) in [
            (io::ErrorKind::ConnectionRefused, "is the server running"),
            (io::ErrorKind::TimedOut, "is the address right"),
            (io::ErrorKind::NetworkUnreachable, "is this device in the right network"),
            (io::ErrorKind::HostUnreachable, "is this device in the right network"),
        ] {
            let error = E::of_connect(&kind.into(), &server).to_string();
            assert!(error.contains(hint) && error.contains("http://192.168.1.20:8000"), "{kind}: {error}");
        }
    }

    #[test]
    fn whoever_is_older_is_asked_to_update() {
        let text = |theirs| ConnectionError::OtherVersion { server: "9.9".to_owned(), theirs }.to_string();
        assert!(text(PROTOCOL_VERSION + 1).ends_with("update this program"));
        assert!(text(PROTOCOL_VERSION - 1).ends_with("update the server"));
    }

    #[test]
    fn silence_means_another_thing_at_each_step() {
        let server: ServerAddress = "a.example".parse().unwrap();
        for (step, hint) in [
            (Step::Name, "looking up a.example"),
            (Step::Connect, "nobody answers"),
            (Step::Tls, "does not answer with TLS in time"),
            (Step::Version, "does not answer in time"),
            (Step::Token, "does not answer in time"),
        ] {
            let error = ConnectionError::of_silence(step, &server).to_string();
            assert!(error.contains(hint), "{step:?}: {error}");
        }
    }
}
