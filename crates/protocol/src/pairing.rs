//! The link by which a server hands its address, token and room to an app: shown as text and as a QR code.
//!
//! ```text
//! longtake://pair?server=http%3A%2F%2F192.168.1.20%3A8000&token=correct-horse&room=studio
//! ```

use std::fmt;
use std::str::FromStr;

use crate::{IdError, RoomName, Secret};

/// A link is at most so long, in bytes: the longest server, token and room fit, each character written as three.
pub const MAX_PAIRING_LINK_BYTES: usize = 4_096;

/// A server's address is at most so long, in bytes.
pub const MAX_SERVER_BYTES: usize = 512;

/// What stands before the link's question mark. Systems that hand links on may add a slash.
const ADDRESS: &str = "longtake://pair";

/// What an app needs to reach a server.
///
/// Its text form holds the token in plain sight: it is for the person's eyes and camera, never for a log.
/// `Debug` does not show the token.
#[derive(Debug, Clone)]
pub struct PairingLink {
    /// The server's address, an `http` or `https` URL.
    pub server: String,
    /// The access token, if the server asks for one.
    pub token: Option<Secret>,
    /// The room to stream into, if the server proposes one.
    pub room: Option<RoomName>,
}

/// Why a text is no pairing link, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PairingError {
    /// Something else altogether.
    #[error("this is not a pairing link; scan or copy the one that the server shows, {ADDRESS}?server=…")]
    NotALink,
    /// More text than a link has.
    #[error("a pairing link has at most {MAX_PAIRING_LINK_BYTES} characters; copy only the link")]
    TooLong,
    /// The link names no server.
    #[error("the pairing link names no server; copy all of it, or scan the code again")]
    NoServer,
    /// The server is not named by an `http` or `https` URL.
    #[error("the pairing link's server is not an http:// or https:// address; ask for a new link")]
    Server,
    /// The token cannot be one.
    #[error("the pairing link's token is damaged; copy all of the link, or scan the code again")]
    Token,
    /// The room's name is none.
    #[error("the pairing link's room cannot be used: {0}")]
    Room(IdError),
    /// A key stands there twice, and nobody can say which one counts.
    #[error("the pairing link says {0} twice; ask for a new link")]
    Repeated(&'static str),
}

impl fmt::Display for PairingLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("server", &self.server);
        if let Some(token) = &self.token {
            query.append_pair("token", token.expose());
        }
        if let Some(room) = &self.room {
            query.append_pair("room", room.as_str());
        }
        write!(f, "{ADDRESS}?{}", query.finish())
    }
}

impl FromStr for PairingLink {
    type Err = PairingError;

    /// Keys that this version does not know are passed over, so that later versions may add some.
    fn from_str(text: &str) -> Result<Self, PairingError> {
        let text = text.trim();
        if text.len() > MAX_PAIRING_LINK_BYTES {
            return Err(PairingError::TooLong);
        }
        let (address, query) = text.split_once('?').ok_or(PairingError::NotALink)?;
        let address = address.strip_suffix('/').unwrap_or(address);
        if !address.eq_ignore_ascii_case(ADDRESS) || query.contains(['#', ' ']) {
            return Err(PairingError::NotALink);
        }
        let (mut server, mut token, mut room) = (None, None, None);
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            let (name, place) = match &*key {
                "server" => ("server", &mut server),
                "token" => ("token", &mut token),
                "room" => ("room", &mut room),
                _ => continue,
            };
            if place.replace(value.into_owned()).is_some() {
                return Err(PairingError::Repeated(name));
            }
        }
        let server = server.ok_or(PairingError::NoServer)?;
        if !is_http_url(&server) {
            return Err(PairingError::Server);
        }
        let token = token.map(Secret::new);
        if token.as_ref().is_some_and(|token| !token.is_token()) {
            return Err(PairingError::Token);
        }
        let room = room.map(RoomName::try_from).transpose().map_err(PairingError::Room)?;
        Ok(Self { server, token, room })
    }
}

/// Whether a text may be a server's URL, as far as this crate judges: whoever connects parses it.
fn is_http_url(text: &str) -> bool {
    if text.len() > MAX_SERVER_BYTES {
        return false;
    }
    let lower = text.to_ascii_lowercase();
    let rest = lower.strip_prefix("http://").or_else(|| lower.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<PairingLink, PairingError> {
        text.parse()
    }

    #[test]
    fn a_link_says_server_token_and_room() {
        let text = "longtake://pair?server=http%3A%2F%2F192.168.1.20%3A8000&token=correct-horse&room=studio";
        let link = parse(text).unwrap();
        assert_eq!(link.server, "http://192.168.1.20:8000");
        assert_eq!(link.token.as_ref().map(Secret::expose), Some("correct-horse"));
        assert_eq!(link.room, Some("studio".parse().unwrap()));
        assert_eq!(link.to_string(), text);
    }

    #[test]
    fn what_other_programs_make_of_a_link_is_still_one() {
        for text in [
            "longtake://pair?server=https://a.example",
            "  LONGTAKE://Pair/?server=https%3a%2f%2fa.example\n",
            "longtake://pair?colour=red&server=https://a.example&v=2",
            "longtake://pair?&server=https://a.example&",
        ] {
            let link = parse(text).unwrap();
            assert_eq!(
                (&*link.server, link.token.is_some(), &link.room),
                ("https://a.example", false, &None)
            );
        }
    }

    #[test]
    fn what_is_no_link_is_told_apart() {
        use PairingError as E;
        let long =
            format!("longtake://pair?server=https://a.example&x={}", "y".repeat(MAX_PAIRING_LINK_BYTES));
        let long_server = format!("longtake://pair?server=https://{}", "a".repeat(512));
        let long_token = format!("longtake://pair?server=https://a.example&token={}", "t".repeat(513));
        for (text, expected) in [
            ("", E::NotALink),
            ("longtake://pair", E::NotALink),
            ("https://a.example/?server=https://a.example", E::NotALink),
            ("longtake://repair?server=https://a.example", E::NotALink),
            ("longtake:pair?server=https://a.example", E::NotALink),
            ("longtake://pair?server=https://a.example#token=x", E::NotALink),
            ("longtake://pair?server=https://a.example and more", E::NotALink),
            (&long, E::TooLong),
            ("longtake://pair?", E::NoServer),
            ("longtake://pair?token=t", E::NoServer),
            ("longtake://pair?Server=https://a.example", E::NoServer),
            ("longtake://pair?server=", E::Server),
            (&long_server, E::Server),
            ("longtake://pair?server=a.example", E::Server),
            ("longtake://pair?server=https://", E::Server),
            ("longtake://pair?server=ftp://a.example", E::Server),
            ("longtake://pair?server=javascript:alert(1)", E::Server),
            ("longtake://pair?server=https://a%0Ab", E::Server),
            ("longtake://pair?server=https://%FF", E::Server),
            ("longtake://pair?server=https://a.example&token=", E::Token),
            ("longtake://pair?server=https://a.example&token=a+b", E::Token),
            ("longtake://pair?server=https://a.example&token=%00", E::Token),
            (&long_token, E::Token),
            ("longtake://pair?server=https://a.example&room=../etc", E::Room(IdError::Room)),
            ("longtake://pair?server=https://a.example&room=", E::Room(IdError::Room)),
            ("longtake://pair?server=https://a.example&server=https://b.example", E::Repeated("server")),
            ("longtake://pair?token=a&server=https://a.example&token=b", E::Repeated("token")),
        ] {
            assert_eq!(parse(text).map(|link| link.server), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn errors_and_debug_output_do_not_show_the_token() {
        let link = parse("longtake://pair?server=https://a.example&token=correct-horse").unwrap();
        assert!(!format!("{link:?}").contains("correct-horse"));
        let error = parse("longtake://pair?server=a&token=correct-horse").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("correct-horse"));
    }

    proptest! {
        #[test]
        fn a_link_survives_its_text(
            server in "https?://[!-~]{1,504}",
            token in proptest::option::of("[!-~]{1,512}"),
            room in proptest::option::of("[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}"),
        ) {
            let link = PairingLink {
                server,
                token: token.map(Secret::new),
                room: room.map(|room| room.parse().unwrap()),
            };
            let again = parse(&link.to_string()).unwrap();
            prop_assert_eq!(&again.server, &link.server);
            prop_assert_eq!(again.token.as_ref().map(Secret::expose), link.token.as_ref().map(Secret::expose));
            prop_assert_eq!(again.room, link.room);
        }

        #[test]
        fn any_text_is_a_link_or_an_error(text in "(longtake://pair\\?)?\\PC{0,80}") {
            if let Ok(link) = parse(&text) {
                prop_assert!(parse(&link.to_string()).is_ok());
            }
        }
    }
}
