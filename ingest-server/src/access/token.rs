//! Tokens that say themselves what they allow: JSON Web Tokens (RFC 7519), signed with HS256. Pure.

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use protocol::room::{Role, TokenId, ViewerId};
use protocol::{Hex, RoomName};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Grant;

/// How far the clocks of two servers with the same key may be apart.
const LEEWAY_MS: u64 = 5_000;

/// Signs tokens and checks them. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct TokenKey {
    signs: EncodingKey,
    checks: DecodingKey,
}

/// Why a text is no token that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenError {
    /// Not a token of this server, or changed since.
    Wrong,
    /// It was right once.
    Ended,
}

/// What a token is banned by.
pub(crate) fn token_id(token: &str) -> TokenId {
    // A signature's last character has bits that mean nothing; what it signs has none.
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    let mut id = [0; 16];
    id.copy_from_slice(&Sha256::digest(signed)[..16]);
    Hex(id)
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    /// By what name the audit log knows its bearer; a viewer's token names the viewer.
    sub: String,
    role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    room: Option<RoomName>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    viewer: bool,
    /// Of a viewer: by which token it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    via: Option<TokenId>,
    /// In s since 1970.
    exp: u64,
}

impl TokenKey {
    /// The key of these secret bytes.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self { signs: EncodingKey::from_secret(secret), checks: DecodingKey::from_secret(secret) }
    }

    /// The token of a grant. It ends with the grant, in a whole second; one without an end lasts for good.
    #[must_use]
    pub fn sign(&self, grant: &Grant) -> String {
        let claims = Claims {
            sub: grant.viewer.as_ref().map_or(grant.name.as_str(), ViewerId::as_str).to_owned(),
            role: grant.role,
            room: grant.room.clone(),
            viewer: grant.viewer.is_some(),
            via: grant.token.filter(|_| grant.viewer.is_some()),
            exp: grant.ends_unix_ms.map_or(u64::from(u32::MAX), |ends| ends / 1_000),
        };
        // The claims are plain values, and every key of bytes can sign so.
        encode(&Header::new(Algorithm::HS256), &claims, &self.signs).expect("an HS256 key signs")
    }

    /// Whether a token was made with this key, also if it has ended.
    #[must_use]
    pub fn has_signed(&self, token: &str) -> bool {
        self.check(token, 0).is_ok()
    }

    /// What a token allows.
    pub(super) fn check(&self, token: &str, unix_ms: u64) -> Result<Grant, TokenError> {
        let mut validation = Validation::new(Algorithm::HS256);
        // The end is checked below, by the time that is given.
        validation.validate_exp = false;
        let claims =
            decode::<Claims>(token, &self.checks, &validation).map_err(|_| TokenError::Wrong)?.claims;
        let ends_unix_ms = claims.exp.saturating_mul(1_000);
        if unix_ms >= ends_unix_ms.saturating_add(LEEWAY_MS) {
            return Err(TokenError::Ended);
        }
        let viewer = claims.viewer.then(|| ViewerId::try_from(claims.sub.clone())).transpose();
        let viewer = viewer.map_err(|_| TokenError::Wrong)?;
        Ok(Grant {
            role: claims.role,
            room: claims.room,
            token: if claims.viewer { claims.via } else { Some(token_id(token)) },
            barred: Vec::new(),
            viewer,
            name: claims.sub,
            ends_unix_ms: Some(ends_unix_ms),
        })
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;

    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn grant() -> Grant {
        Grant {
            role: Role::Publish,
            room: Some("studio".parse().unwrap()),
            ends_unix_ms: Some(NOW + 60_000),
            ..Grant::everything("Anna")
        }
    }

    #[test]
    fn a_token_says_what_it_was_made_for_until_it_ends() {
        let key = TokenKey::new(b"secret");
        let token = key.sign(&grant());
        assert!(token.len() <= protocol::limits::MAX_TOKEN_BYTES, "{}", token.len());
        let shown = Grant { token: Some(token_id(&token)), ..grant() };
        for (after_ms, expected) in [
            (0, Ok(shown.clone())),
            (64_999, Ok(shown)),
            (65_000, Err(TokenError::Ended)),
            (u64::MAX - NOW, Err(TokenError::Ended)),
        ] {
            assert_eq!(key.check(&token, NOW + after_ms), expected, "{after_ms} ms later");
        }
        let id = ViewerId::from_bytes([7; 16]);
        let via = Some(token_id(&token));
        let name = id.to_string();
        let viewer = Grant { role: Role::View, viewer: Some(id), token: via, name, ..grant() };
        assert_eq!(key.check(&key.sign(&viewer), NOW), Ok(viewer), "it goes with the token by which it came");
        assert_eq!(TokenKey::new(b"another").check(&token, NOW), Err(TokenError::Wrong));
    }

    #[test]
    fn whatever_was_not_signed_here_does_not_pass() {
        let key = TokenKey::new(b"secret");
        let token = key.sign(&grant());
        let parts: Vec<&str> = token.split('.').collect();
        let [head, body, signature] = parts[..] else { panic!("{token}") };
        let claims = |claims: &str| BASE64.encode(claims);
        let header = |alg: &str| BASE64.encode(format!(r#"{{"typ":"JWT","alg":"{alg}"}}"#));
        let administer = claims(r#"{"sub":"a","role":"administer","exp":9999999999}"#);
        for forged in [
            String::new(),
            "..".to_owned(),
            format!("{head}.{administer}.{signature}"),
            format!("{}.{administer}.", header("none")),
            format!("{}.{body}.{signature}", header("HS384")),
            format!("{}.{body}.{signature}", header("RS256")),
            format!("{head}.{body}."),
            format!("{head}.{body}"),
            format!("{token}."),
            format!(" {token}"),
        ] {
            assert_eq!(key.check(&forged, NOW), Err(TokenError::Wrong), "{forged}");
        }
        // The last character holds two bits that mean nothing.
        for position in 0..token.len() - 1 {
            let mut bytes = token.clone().into_bytes();
            bytes[position] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert!(key.check(&changed, NOW).is_err(), "{changed}");
        }
    }

    #[test]
    fn a_token_has_one_id_whatever_bits_without_meaning_it_ends_in() {
        let key = TokenKey::new(b"secret");
        let token = key.sign(&grant());
        let (rest, last) = token.split_at(token.len() - 1);
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let others = alphabet.chars().map(|other| format!("{rest}{other}"));
        for other in others.filter(|other| key.check(other, NOW).is_ok()) {
            assert_eq!(token_id(&other), token_id(&token), "{last}");
        }
        assert_ne!(token_id(&token), token_id(&key.sign(&Grant { role: Role::View, ..grant() })));
    }

    #[test]
    fn claims_of_another_form_do_not_pass_even_when_signed() {
        let key = TokenKey::new(b"secret");
        for claims in [
            r#"{"sub":"a","role":"view"}"#,
            r#"{"sub":"a","role":"view","exp":"9999999999"}"#,
            r#"{"sub":"a","role":"owner","exp":9999999999}"#,
            r#"{"sub":"a","role":"view","exp":9999999999,"room":"../x"}"#,
            r#"{"sub":"a","role":"view","exp":9999999999,"viewer":true}"#,
            r#"{"sub":"a","role":"view","exp":9999999999,"admin":true}"#,
        ] {
            let value: serde_json::Value = serde_json::from_str(claims).unwrap();
            let token = encode(&Header::new(Algorithm::HS256), &value, &key.signs).unwrap();
            assert_eq!(key.check(&token, NOW), Err(TokenError::Wrong), "{claims}");
        }
    }

    #[test]
    fn a_key_does_not_show() {
        assert_eq!(format!("{:?}", TokenKey::new(b"secret")), "TokenKey(…)");
    }
}
