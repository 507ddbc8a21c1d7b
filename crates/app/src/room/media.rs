//! What the tiles of the other sessions may get from the server: their playlists and what these list, and nothing else.

use protocol::SessionId;
use publisher::connection::{Fetched, Fetcher};

use super::RoomOnServer;

/// No playlist, part or segment of a session that a screen can show comes near this.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;
/// The longest address that is asked for.
const MAX_ADDRESS_BYTES: usize = 256;
/// Parts of an address behind the session: the track, the kind, the name.
const MAX_DEPTH: usize = 3;

/// The way to the media of a room's sessions, as one of its viewers.
#[derive(Debug)]
pub(crate) struct Media(Fetcher);

impl Media {
    /// None when there is no way that can be trusted.
    pub(super) fn new(place: &RoomOnServer, viewer_token: &protocol::Secret) -> Option<Self> {
        let token = Some(viewer_token.clone());
        let fetcher = Fetcher::new(place.server.clone(), token, place.own_authority.as_deref());
        fetcher
            .inspect_err(|error| tracing::warn!("the room's pictures cannot be fetched: {error}"))
            .ok()
            .map(Self)
    }

    /// Gets an address that [`session_of`] has found to be one of a session that may be seen.
    pub(crate) async fn get(&self, address: &str) -> Option<Fetched> {
        let got = self.0.get(address, MAX_ANSWER_BYTES).await;
        got.inspect_err(|error| tracing::debug!("a picture of the room did not come: {error}")).ok()
    }
}

/// The session of an address of HLS media, a path and perhaps a query; none for an address of anything else.
pub(crate) fn session_of(address: &str) -> Option<SessionId> {
    if address.len() > MAX_ADDRESS_BYTES {
        return None;
    }
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let mut parts = path.strip_prefix("/hls/")?.split('/');
    let session = parts.next()?.parse().ok()?;
    let rest: Vec<&str> = parts.collect();
    let is_name = |part: &&str| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !part.is_empty() && !part.starts_with('.') && part.chars().all(is_plain)
    };
    let is_wish = |wish: &str| match wish.split_once('=') {
        Some(("_HLS_msn" | "_HLS_part", number)) => number.parse::<u64>().is_ok(),
        Some(("_HLS_skip", how)) => matches!(how, "YES" | "v2"),
        _ => false,
    };
    let is_media = (1..=MAX_DEPTH).contains(&rest.len())
        && rest.iter().all(is_name)
        && (query.is_empty() || query.split('&').all(is_wish));
    is_media.then_some(session)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01890a5d-ac96-7b7c-8f4e-000000000001";

    #[test]
    fn only_the_addresses_of_playlists_and_media_pass() {
        for good in [
            "index.m3u8",
            "video/index.m3u8",
            "video/index.m3u8?_HLS_msn=12&_HLS_part=3",
            "audio/index.m3u8?_HLS_skip=YES",
            "video/init/0.mp4",
            "video/segment/12-ab_9.mp4",
            "audio/part/1800.m4s",
        ] {
            let session = session_of(&format!("/hls/{ID}/{good}"));
            assert_eq!(session.map(|session| session.to_string()).as_deref(), Some(ID), "{good}");
        }
        for bad in [
            String::new(),
            "/".to_owned(),
            format!("/hls/{ID}"),
            format!("/hls/{ID}/"),
            "/hls/../api/sessions".to_owned(),
            format!("/hls/{ID}/../../api/sessions"),
            format!("/hls/{ID}/..%2f..%2fapi"),
            format!("/hls/{ID}/video//index.m3u8"),
            format!("/hls/{ID}/video/segment/a/b"),
            format!("/hls/{ID}/index.m3u8?token=abc"),
            format!("/hls/{ID}/index.m3u8?_HLS_msn=x"),
            format!("/hls/{ID}/index.m3u8?_HLS_msn=1&"),
            format!("/hls/{ID}/index.m3u8#x"),
            format!("/hls/{ID}/index.m3u8\r\nhost: b"),
            format!("/hls/{ID}/{}", "a".repeat(300)),
            format!("/api/sessions/{ID}"),
            format!("//other.example/hls/{ID}/index.m3u8"),
            format!("http://other.example/hls/{ID}/index.m3u8"),
            "/hls/not-a-session/index.m3u8".to_owned(),
        ] {
            assert!(session_of(&bad).is_none(), "{bad}");
        }
    }
}
