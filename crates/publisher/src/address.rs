//! The server's address as a person types it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The port that the server listens on unless it is told otherwise.
const SERVER_PORT: u16 = 8000;

/// Where an ingest server is.
///
/// Parsing accepts `host`, `host:port`, `http(s)://…` and `ws(s)://…`, with a path when the server is
/// behind a proxy. Without a scheme, this machine and private networks are spoken to in plain text, on
/// port 8000 unless another is given; every other host with TLS, so that a token never crosses the
/// internet in plain text unless somebody wrote `http://`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    encrypted: bool,
    host: String,
    port: u16,
    /// Empty, or a path that starts with a slash and does not end with one.
    path: String,
}

/// Why a text is no server address, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Nothing was given.
    #[error("no server is given; write its address, such as 192.168.1.20:8000 or https://media.example.org")]
    Empty,
    /// Another scheme.
    #[error(
        "{0}:// is not how a server is reached; write http://, https://, ws:// or wss://, or leave it away"
    )]
    Scheme(String),
    /// A user name or password.
    #[error("an address has no user or password in it; give the access token separately")]
    UserInfo,
    /// A query or fragment.
    #[error("an address ends with its path; leave away everything from '?' or '#' on")]
    Query,
    /// Not a host name or IP address.
    #[error("{0:?} is not a host name or an IP address; an IPv6 address with a port is written [::1]:8000")]
    Host(String),
    /// Not a port.
    #[error("{0:?} is not a port; a port is a number from 1 to 65535")]
    Port(String),
    /// Characters that cannot stand in a path.
    #[error("{0:?} is not a path")]
    Path(String),
}

impl ServerAddress {
    /// The address of a WebSocket on the server; `path` starts with a slash.
    #[must_use]
    pub fn socket_url(&self, path: &str) -> String {
        let scheme = if self.encrypted { "wss" } else { "ws" };
        format!("{scheme}://{}{}{path}", self.authority(), self.path)
    }

    /// The address of something else on the server; `path` starts with a slash.
    #[must_use]
    pub fn http_url(&self, path: &str) -> String {
        let scheme = if self.encrypted { "https" } else { "http" };
        format!("{scheme}://{}{}{path}", self.authority(), self.path)
    }

    /// The host's name or IP address, without a port or brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What a request's target is for something on the server; `path` starts with a slash.
    pub(crate) fn request_path(&self, path: &str) -> String {
        format!("{}{path}", self.path)
    }

    /// Whether TLS is used.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Whether the server is on this machine, by the address alone.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }

    /// Host and port, as a `Host` header has them.
    pub(crate) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.http_url(""))
    }
}

impl FromStr for ServerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let (scheme_encrypted, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(encrypted_by(scheme)?), rest),
            None => (None, text),
        };
        if rest.contains(['?', '#']) {
            return Err(AddressError::Query);
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(AddressError::UserInfo);
        }
        if authority.is_empty() {
            return Err(AddressError::Empty);
        }
        let (host, port) = split_port(authority)?;
        let host = checked_host(host)?;
        let path = path.trim_end_matches('/');
        let legal = |c: char| c.is_ascii_alphanumeric() || "/-_.~%".contains(c);
        if !path.chars().all(legal) {
            return Err(AddressError::Path(path.to_owned()));
        }
        let encrypted = scheme_encrypted.unwrap_or_else(|| !is_near(&host));
        let default_port = match (scheme_encrypted, encrypted) {
            (_, true) => 443,
            (Some(_), false) => 80,
            (None, false) => SERVER_PORT,
        };
        Ok(Self { encrypted, host, port: port.unwrap_or(default_port), path: path.to_owned() })
    }
}

fn encrypted_by(scheme: &str) -> Result<bool, AddressError> {
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => Ok(false),
        "https" | "wss" => Ok(true),
        other => Err(AddressError::Scheme(other.chars().take(20).collect())),
    }
}

/// Splits `host`, `host:port`, `[v6]`, `[v6]:port` and a bare IPv6 address.
fn split_port(authority: &str) -> Result<(&str, Option<u16>), AddressError> {
    let not_a_host = || AddressError::Host(authority.to_owned());
    let (host, port) = if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, after) = bracketed.split_once(']').ok_or_else(not_a_host)?;
        host.parse::<Ipv6Addr>().map_err(|_| not_a_host())?;
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err(not_a_host()),
        }
    } else if authority.parse::<Ipv6Addr>().is_ok() {
        (authority, None)
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    let port = match port {
        Some(text) => match text.parse() {
            Ok(0) | Err(_) => return Err(AddressError::Port(text.to_owned())),
            Ok(port) => Some(port),
        },
        None => None,
    };
    Ok((host, port))
}

fn checked_host(host: &str) -> Result<String, AddressError> {
    let is_ip = host.parse::<IpAddr>().is_ok();
    let label_is_legal = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    let is_name = host.len() <= 253 && host.trim_end_matches('.').split('.').all(label_is_legal);
    // Digits and dots that are no IPv4 address are a typing error, not a name.
    let looks_numeric = host.chars().all(|c| c.is_ascii_digit() || c == '.');
    if is_ip || (is_name && !looks_numeric) {
        Ok(host.to_ascii_lowercase())
    } else {
        Err(AddressError::Host(host.to_owned()))
    }
}

/// Whether a host is this machine or in a private network, where servers seldom have a certificate.
fn is_near(host: &str) -> bool {
    match host.parse() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        Err(_) => !host.contains('.') || host.ends_with(".local") || host.ends_with(".lan"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use protocol::Track;

    use super::*;

    #[test]
    fn everything_a_person_may_type_becomes_one_address() {
        for (typed, expected) in [
            ("localhost", "ws://localhost:8000/ws/video"),
            ("localhost:9000", "ws://localhost:9000/ws/video"),
            (" 127.0.0.1 ", "ws://127.0.0.1:8000/ws/video"),
            ("192.168.1.20:8001/", "ws://192.168.1.20:8001/ws/video"),
            ("studio-pc", "ws://studio-pc:8000/ws/video"),
            ("studio.local", "ws://studio.local:8000/ws/video"),
            ("::1", "ws://[::1]:8000/ws/video"),
            ("[::1]:9000", "ws://[::1]:9000/ws/video"),
            ("media.example.org", "wss://media.example.org:443/ws/video"),
            ("media.example.org:8443", "wss://media.example.org:8443/ws/video"),
            ("8.8.8.8", "wss://8.8.8.8:443/ws/video"),
            ("http://media.example.org", "ws://media.example.org:80/ws/video"),
            ("HTTPS://Media.Example.org/take/", "wss://media.example.org:443/take/ws/video"),
            ("ws://10.0.0.1:8000", "ws://10.0.0.1:8000/ws/video"),
            ("wss://localhost", "wss://localhost:443/ws/video"),
            ("https://[2001:db8::1]", "wss://[2001:db8::1]:443/ws/video"),
        ] {
            let address: ServerAddress = typed.parse().unwrap();
            assert_eq!(address.socket_url(Track::Video.socket_path()), expected, "{typed}");
            assert_eq!(address.to_string().parse(), Ok(address), "{typed}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_apart() {
        use AddressError as E;
        for (typed, expected) in [
            ("", E::Empty),
            ("http://", E::Empty),
            ("/ws/video", E::Empty),
            ("ftp://a", E::Scheme("ftp".into())),
            ("rtmp://a/live", E::Scheme("rtmp".into())),
            ("https://me:secret@a", E::UserInfo),
            ("a/?token=secret", E::Query),
            ("a#b", E::Query),
            ("a b", E::Host("a b".into())),
            ("192.168.1", E::Host("192.168.1".into())),
            ("192.168.1.256", E::Host("192.168.1.256".into())),
            ("a..b", E::Host("a..b".into())),
            ("[::1", E::Host("[::1".into())),
            ("[zz]:1", E::Host("[zz]:1".into())),
            ("a:", E::Port("".into())),
            ("a:0", E::Port("0".into())),
            ("a:65536", E::Port("65536".into())),
            ("a:80:90", E::Port("80:90".into())),
            ("a/b c", E::Path("/b c".into())),
        ] {
            assert_eq!(typed.parse::<ServerAddress>(), Err(expected), "{typed:?}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (typed, expected) in [
            ("localhost", true),
            ("127.0.0.2:1", true),
            ("[::1]", true),
            ("10.0.0.1", false),
            ("a.org", false),
        ] {
            assert_eq!(typed.parse::<ServerAddress>().unwrap().is_loopback(), expected, "{typed}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_an_error_and_addresses_are_legal_urls(text in "\\PC{0,40}") {
            if let Ok(address) = text.parse::<ServerAddress>() {
                let url: http::Uri = address.socket_url(Track::Audio.socket_path()).parse().unwrap();
                prop_assert!(url.host().is_some());
            }
        }
    }
}
