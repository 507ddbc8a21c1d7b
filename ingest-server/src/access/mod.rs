//! Who may talk to the server and do what there: the shared token, tokens with a role, and the rules for web pages. Pure.

mod grant;
mod token;

use protocol::Secret;
use protocol::error::{ErrorBody, ErrorCode};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

pub use grant::Grant;
pub(crate) use grant::barred;
pub use token::TokenKey;
pub(crate) use token::token_id;

use token::TokenError;

/// Who shows the shared token, in the audit log.
const SHARED_TOKEN: &str = "shared token";
/// Whoever is on the machine of a server without a token, in the audit log.
const THIS_MACHINE: &str = "this machine";

/// The pages of the app itself, on its three kinds of system.
pub const APP_ORIGINS: [&str; 3] = ["tauri://localhost", "http://tauri.localhost", "https://tauri.localhost"];

/// Which web pages may use the server besides its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Every page; only for whoever set `*`.
    Any,
    /// These pages, as `scheme://host[:port]` in lower case.
    These(Vec<String>),
}

/// An entry of the list of origins that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not an origin; write scheme://host or scheme://host:port without a path, or * for every page"
)]
pub struct OriginError(String);

impl Origins {
    /// The app's own pages.
    #[must_use]
    pub fn app() -> Self {
        Self::These(APP_ORIGINS.iter().map(|&origin| origin.to_owned()).collect())
    }

    /// Reads a configured list.
    ///
    /// # Errors
    /// [`OriginError`] for an entry with a path, without a scheme, or with spaces.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, OriginError> {
        let mut origins = Vec::new();
        for entry in entries.into_iter().map(str::trim).filter(|entry| !entry.is_empty()) {
            if entry == "*" {
                return Ok(Self::Any);
            }
            let host = entry.split_once("://").map(|(_, host)| host).unwrap_or_default();
            if host.is_empty() || host.contains(['/', '?', '#', '@', ' ']) {
                return Err(OriginError(entry.to_owned()));
            }
            origins.push(entry.to_ascii_lowercase());
        }
        Ok(Self::These(origins))
    }
}

/// The token that a request shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The `token` of the query, decoded.
    pub query_token: Option<&'a str>,
}

/// The server's rules.
#[derive(Debug, Clone)]
pub struct Access {
    token: Option<Secret>,
    origins: Origins,
    key: TokenKey,
}

impl Access {
    /// Rules with a token, or without one for a server that only this machine reaches. `key` signs and checks tokens with a
    /// role.
    #[must_use]
    pub const fn new(token: Option<Secret>, origins: Origins, key: TokenKey) -> Self {
        Self { token, origins, key }
    }

    /// Whether a token is asked for.
    #[must_use]
    pub const fn asks_for_token(&self) -> bool {
        self.token.is_some()
    }

    /// Checks the `Origin`, which programs that are no browsers do not send, and, on a server without a token, the `Host`.
    ///
    /// Without a token only the loopback interface listens, and then a page that has bound a name of its own to
    /// 127.0.0.1 (DNS rebinding) would count as same-origin. So the host must be this machine's by name.
    ///
    /// # Errors
    /// [`ErrorCode::ForbiddenOrigin`].
    pub fn check_origin(&self, origin: Option<&str>, host: Option<&str>) -> Result<(), ErrorBody> {
        let refused = |what: &str| {
            let message = format!("{what}; allow the page's address with cors-allow-origins");
            Err(ErrorBody::new(ErrorCode::ForbiddenOrigin, message))
        };
        if self.token.is_none() && !host.is_none_or(is_loopback_host) {
            return refused("a server without a token answers to localhost only");
        }
        match origin {
            None => Ok(()),
            Some(origin) if self.allows(origin, host) => Ok(()),
            Some(_) => refused("this web page may not use the server"),
        }
    }

    fn allows(&self, origin: &str, host: Option<&str>) -> bool {
        let origin = origin.to_ascii_lowercase();
        let own = |host: &str| {
            ["http://", "https://"].iter().any(|scheme| {
                origin.strip_prefix(scheme).is_some_and(|authority| authority.eq_ignore_ascii_case(host))
            })
        };
        match &self.origins {
            Origins::Any => true,
            Origins::These(allowed) => allowed.contains(&origin) || host.is_some_and(own),
        }
    }

    /// What a request may do by the token that it shows, at `unix_ms` by the wall clock. Ask [`Self::check_origin`] first,
    /// so that a foreign page learns nothing about tokens.
    ///
    /// On a server without a token everything is allowed; a token with a role that is shown there still says who
    /// shows it, and so a viewer who was banned is known again.
    ///
    /// # Errors
    /// [`ErrorCode::Unauthorized`].
    pub fn grant(&self, credentials: Credentials<'_>, unix_ms: u64) -> Result<Grant, ErrorBody> {
        let bearer = credentials.authorization.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        let refused = |message: &str| Err(ErrorBody::new(ErrorCode::Unauthorized, message));
        let Some(token) = bearer.or(credentials.query_token) else {
            return match self.token {
                None => Ok(Grant::everything(THIS_MACHINE)),
                Some(_) => {
                    refused("the server asks for its access token, in Authorization: Bearer or in ?token=")
                }
            };
        };
        if self.token.as_ref().is_some_and(|expected| same_secret(expected.expose(), token)) {
            return Ok(Grant::everything(SHARED_TOKEN));
        }
        match (self.key.check(token, unix_ms), &self.token) {
            (Ok(grant), _) => Ok(grant),
            (Err(_), None) => Ok(Grant::everything(THIS_MACHINE)),
            (Err(TokenError::Ended), Some(_)) => refused("the access token has ended; ask for a new one"),
            (Err(TokenError::Wrong), Some(_)) => refused("the access token is wrong"),
        }
    }

    /// The viewer that a token of an earlier visit names, with what it allows; `None` for any other text.
    pub(crate) fn viewer(&self, token: &str, unix_ms: u64) -> Option<Grant> {
        self.key.check(token, unix_ms).ok().filter(|grant| grant.viewer.is_some())
    }

    /// Makes the token of a grant.
    #[must_use]
    pub fn issue(&self, grant: &Grant) -> String {
        self.key.sign(grant)
    }
}

/// Compares in a time that depends on neither text: digests have one length and reveal no prefix.
fn same_secret(expected: &str, given: &str) -> bool {
    Sha256::digest(expected).as_slice().ct_eq(Sha256::digest(given).as_slice()).into()
}

/// Whether a `Host` header names this machine by a name that no page can bind.
fn is_loopback_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use protocol::room::Role;

    use super::*;

    fn access(token: Option<&str>, origins: &[&str]) -> Access {
        let origins = Origins::parse(APP_ORIGINS.into_iter().chain(origins.iter().copied())).unwrap();
        Access::new(token.map(Secret::new), origins, TokenKey::new(b"key"))
    }

    #[test]
    fn only_the_right_token_passes_in_header_or_query() {
        let access = access(Some("correct horse"), &[]);
        let code = |authorization: Option<&str>, query_token: Option<&str>| {
            access.grant(Credentials { authorization, query_token }, 0).err().map(|error| error.code)
        };
        assert_eq!(code(Some("Bearer correct horse"), None), None);
        assert_eq!(code(Some("bearer correct horse"), None), None);
        assert_eq!(code(None, Some("correct horse")), None);
        for (authorization, query) in [
            (None, None),
            (Some("correct horse"), None),
            (Some("Basic correct horse"), None),
            (Some("Bearer correct hors"), None),
            (Some("Bearer correct horse2"), None),
            (Some("Bearer"), None),
            (None, Some("")),
            (Some("Bearer wrong"), Some("correct horse")),
        ] {
            assert_eq!(
                code(authorization, query),
                Some(ErrorCode::Unauthorized),
                "{authorization:?} {query:?}"
            );
        }
    }

    #[test]
    fn tokens_with_a_role_stand_beside_the_shared_one() {
        let anna = Grant {
            role: Role::View,
            room: Some("studio".parse().unwrap()),
            name: "Anna".to_owned(),
            ends_unix_ms: Some(10_000),
            ..Grant::everything("")
        };
        let token = access(None, &[]).issue(&anna);
        let anna = Grant { token: Some(token_id(&token)), ..anna };
        let granted = |shared: Option<&str>, query_token: Option<&str>, unix_ms| {
            access(shared, &[]).grant(Credentials { query_token, authorization: None }, unix_ms).ok()
        };
        let everything = |name| Some(Grant::everything(name));
        for (shared, shown, unix_ms, expected) in [
            (Some("t"), Some("t"), 0, everything(SHARED_TOKEN)),
            (Some("t"), Some(token.as_str()), 0, Some(anna.clone())),
            (Some("t"), Some(token.as_str()), 15_000, None),
            (Some("t"), None, 0, None),
            (None, None, 0, everything(THIS_MACHINE)),
            (None, Some("whatever"), 0, everything(THIS_MACHINE)),
            (None, Some(token.as_str()), 0, Some(anna.clone())),
            (None, Some(token.as_str()), 15_000, everything(THIS_MACHINE)),
        ] {
            assert_eq!(granted(shared, shown, unix_ms), expected, "{shared:?} {shown:?} at {unix_ms}");
        }
    }

    #[test]
    fn pages_pass_when_they_are_the_apps_the_servers_own_or_listed() {
        let access = access(Some("t"), &["https://studio.example"]);
        let passes = |origin: Option<&str>, host: &str| access.check_origin(origin, Some(host)).is_ok();
        assert!(passes(None, "cam.example"));
        assert!(passes(Some("tauri://localhost"), "cam.example"));
        assert!(passes(Some("http://tauri.localhost"), "cam.example"));
        assert!(passes(Some("https://cam.example"), "cam.example"));
        assert!(passes(Some("http://cam.example:8000"), "cam.example:8000"));
        assert!(passes(Some("https://STUDIO.example"), "cam.example"));
        for foreign in [
            "https://evil.example",
            "null",
            "https://cam.example.evil.example",
            "https://studio.example.evil",
            "http://cam.example:8001",
            "",
        ] {
            assert!(!passes(Some(foreign), "cam.example"), "{foreign}");
        }
    }

    #[test]
    fn without_a_token_a_rebound_name_does_not_pass() {
        let access = access(None, &[]);
        for own in ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST:1"] {
            assert!(access.check_origin(Some(&format!("http://{own}")), Some(own)).is_ok(), "{own}");
        }
        for foreign in ["evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", ""] {
            assert!(
                access.check_origin(Some(&format!("http://{foreign}")), Some(foreign)).is_err(),
                "{foreign}"
            );
            assert!(access.check_origin(None, Some(foreign)).is_err(), "{foreign}");
        }
        assert!(access.check_origin(None, None).is_ok());
    }

    #[test]
    fn a_list_of_origins_takes_origins_only() {
        assert_eq!(Origins::parse(["*"]), Ok(Origins::Any));
        assert_eq!(Origins::parse(["", " "]), Ok(Origins::These(vec![])));
        for bad in ["studio.example", "https://studio.example/", "https://", "https://a b"] {
            assert!(Origins::parse([bad]).is_err(), "{bad}");
        }
    }
}
