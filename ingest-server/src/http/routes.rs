//! Every address of the server, once: the router and its description are made of the same list.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, delete, get, options, patch, post, put};
use protocol::Track;

use super::document::{Needs, Operation};
use super::{
    Services, body, certificate, document, hls, peer_connection, recording, rooms, sessions, site, status,
    tokens, upgrade, whep, whip,
};

type Handler = MethodRouter<Arc<Services>>;

/// An address and method: what it is said to do, and what does it.
pub(super) struct Route {
    pub(super) operation: Operation,
    pub(super) handler: Handler,
}

/// All routes. A `GET` answers `HEAD` too.
#[rustfmt::skip]
pub(super) fn all() -> Vec<Route> {
    use Needs::{Administer, Nothing, Publish, Token, View};
    const SESSIONS: &[(&str, &str)] = &[
        ("before", "a session's id: only older ones"),
        ("limit", "how many, 200 at the most; 50 by default"),
        ("status", "active, interrupted, completed or abandoned"),
        ("room", "a room's name"),
    ];
    const AUDIT: &[(&str, &str)] = &[
        ("before", "an entry's number: only older ones"),
        ("limit", "how many, 500 at the most; 100 by default"),
    ];
    const HLS: &[(&str, &str)] = &[
        ("_HLS_msn", "wait for this segment"),
        ("_HLS_part", "wait for this part of it"),
        ("_HLS_skip", "YES: leave out what is old"),
    ];
    let route = |method, path, needs, what, handler| Route {
        operation: Operation::new(method, path, needs, what),
        handler,
    };
    vec![
        route("GET", "/health", Nothing, "The process is up, and what it is", get(status::health)).gives(200, "Health"),
        route("GET", "/ready", Nothing, "Whether the server can record", get(status::ready)).gives(200, "Ready").gives(503, "Ready"),
        route("GET", "/api/access", Token, "Whether the token is right", get(status::access)).answers(204, "It is"),
        route("GET", "/api/server-key", Nothing, "The key that certificates are signed with", get(certificate::server_key)).gives(200, "ServerKey"),
        route("GET", "/api/openapi.json", Nothing, "This description, as OpenAPI 3.1", get(document::json)).media(200, "application/json"),
        route("GET", "/api/docs", Nothing, "This description, as a page", get(document::page)).media(200, "text/html"),

        route("GET", "/api/sessions", Token, "A page of sessions, newest first; with a token for one room, of that room", get(sessions::list)).query(SESSIONS).gives(200, "SessionList"),
        route("GET", "/api/sessions/{id}", View, "One session", get(sessions::get)).gives(200, "Session"),
        route("DELETE", "/api/sessions/{id}", Administer, "Deletes a session whose publisher has left, with its recording", delete(sessions::delete)).answers(204, "It is gone").answers(409, "Its publisher is there"),
        route("POST", "/api/sessions/{id}/end", Administer, "Ends a session: its publisher is told session_ended and may not come back with it; what arrived stays", post(rooms::end_session)).answers(204, "It has ended"),
        route("POST", "/api/sessions/{id}/ban", Administer, "Ends a session, and keeps the token of its publisher out of the room; the server's own token cannot be banned", with_body(post(rooms::ban_publisher))).takes("BanRequest").answers(204, "It is banned"),
        route("GET", "/api/sessions/{id}/recording.mp4", View, "What is recorded, whole or in ranges", get(recording::get)).media(200, "video/mp4").media(206, "video/mp4"),
        route("GET", "/api/sessions/{id}/certificate", View, "What proves that the session is complete", get(certificate::get)).gives(200, "Certificate"),

        route("GET", "/api/rooms", Token, "The rooms that the token may watch, by name", get(rooms::list)).gives(200, "RoomList"),
        route("GET", "/api/rooms/{room}", View, "One room", get(rooms::get)).gives(200, "Room"),
        route("PUT", "/api/rooms/{room}", Administer, "Makes a room beforehand: it stays until it is closed", put(rooms::make)).gives(201, "Room").gives(200, "Room"),
        route("DELETE", "/api/rooms/{room}", Administer, "Closes a room: its sessions end, its viewers leave, its chat is forgotten; recordings stay", delete(rooms::close)).answers(204, "It is closed"),
        route("GET", "/api/rooms/{room}/viewers", Administer, "Who has a socket of the room", get(rooms::viewers)).gives(200, "ViewerList"),
        route("DELETE", "/api/rooms/{room}/viewers/{viewer}", Administer, "Makes a viewer leave, who may come back", delete(rooms::remove)).answers(204, "It was told to leave"),
        route("POST", "/api/rooms/{room}/viewers/{viewer}/ban", Administer, "Makes a viewer leave and keeps it out, also after a restart", with_body(post(rooms::ban))).takes("BanRequest").answers(204, "It is banned"),
        route("DELETE", "/api/rooms/{room}/viewers/{viewer}/ban", Administer, "Lets a banned viewer come back", delete(rooms::lift_ban)).answers(204, "It may come back"),
        route("POST", "/api/rooms/{room}/tokens/{token}/ban", Administer, "Keeps a token out of the room, with everybody who came by it, also after a restart", with_body(post(rooms::ban_token))).takes("BanRequest").answers(204, "It is banned"),
        route("DELETE", "/api/rooms/{room}/tokens/{token}/ban", Administer, "Lets a banned token into the room again", delete(rooms::lift_token_ban)).answers(204, "It may come back"),
        route("DELETE", "/api/rooms/{room}/chat/{number}", Administer, "Deletes a chat message", delete(rooms::delete_chat)).answers(204, "It is gone"),
        route("POST", "/api/tokens", Publish, "Makes a token. Who publishes may make tokens to view one room; who administers may give away what it has, and nobody for longer", with_body(post(tokens::issue))).takes("TokenRequest").gives(201, "IssuedToken"),
        route("POST", "/api/tokens/{token}/revoke", Administer, "Revokes a token for good: it opens nothing any more, and whoever came by it leaves; with a token for all rooms only", post(tokens::revoke)).answers(204, "It is revoked"),
        route("GET", "/api/tokens/banned", Administer, "The tokens that are revoked or banned; with a token for one room, from that room", get(tokens::banned)).gives(200, "TokenBanList"),
        route("GET", "/api/audit", Administer, "What was done by those who administer, newest first; with a token for one room, in that room", get(tokens::audit)).query(AUDIT).gives(200, "AuditList"),

        route("GET", Track::Video.socket_path(), Publish, "The WebSocket of a publisher's picture, see protocol.md", get(upgrade::video)).answers(101, "WebSocket"),
        route("GET", Track::Audio.socket_path(), Publish, "The WebSocket of a publisher's sound, see protocol.md", get(upgrade::audio)).answers(101, "WebSocket"),
        route("GET", "/ws/rooms/{room}", View, "The WebSocket of a room: ViewerMessage from the viewer, RoomMessage to it, as JSON texts; the first is join", get(upgrade::room)).answers(101, "WebSocket"),

        route("GET", "/hls/{session}/index.m3u8", View, "LL-HLS: the multivariant playlist of a session, live or ended", get(hls::multivariant)).media(200, "application/vnd.apple.mpegurl"),
        route("GET", "/hls/{session}/{track}/index.m3u8", View, "LL-HLS: the playlist of a track", get(hls::media)).query(HLS).media(200, "application/vnd.apple.mpegurl"),
        route("GET", "/hls/{session}/{track}/init/{name}", View, "LL-HLS: an init segment, as the playlist names it", get(hls::init)).media(200, "video/mp4"),
        route("GET", "/hls/{session}/{track}/part/{name}", View, "LL-HLS: a part, as the playlist names it", get(hls::part)).media(200, "video/mp4"),
        route("GET", "/hls/{session}/{track}/segment/{name}", View, "LL-HLS: a segment, as the playlist names it", get(hls::segment)).media(200, "video/mp4"),

        route("POST", "/whep/{target}", View, "WHEP: watches a session, or a room's newest one; SDP offer in, answer out", post(whep::post)).media(201, "application/sdp"),
        route("OPTIONS", "/whep/{target}", Token, "WHEP: what may be posted", options(peer_connection::options)).answers(204, "Accept-Post tells"),
        route("PATCH", "/whep/sessions/{id}", View, "WHEP: candidates that come later", patch(peer_connection::whep)).answers(204, "They are taken"),
        route("DELETE", "/whep/sessions/{id}", View, "WHEP: stops watching", delete(peer_connection::whep)).answers(200, "It has stopped"),
        route("POST", "/whip/{room}", Publish, "WHIP (RFC 9725): publishes to a room; SDP offer in, answer out", post(whip::post)).query(&[("name", "what lists call the publisher")]).header(&[("Longtake-Session", "a UUID and 32 random hexadecimal digits, drawn by the publisher: names a session to begin, or to go on with after a lost connection")]).media(201, "application/sdp"),
        route("OPTIONS", "/whip/{room}", Token, "WHIP: what may be posted", options(peer_connection::options)).answers(204, "Accept-Post tells"),
        route("PATCH", "/whip/sessions/{id}", Publish, "WHIP: candidates that come later", patch(peer_connection::whip)).answers(204, "They are taken"),
        route("DELETE", "/whip/sessions/{id}", Publish, "WHIP: stops publishing", delete(peer_connection::whip)).answers(200, "It has stopped"),

        route("GET", "/", Nothing, "The web site: everything live, and what is recorded", get(site::page)).media(200, "text/html"),
        route("GET", "/watch/{room}", Nothing, "The web site: a room", get(site::page)).media(200, "text/html"),
        route("GET", "/publish", Nothing, "The web site: publishing from a browser", get(site::page)).media(200, "text/html"),
        route("GET", "/recording/{session}", Nothing, "The web site: a recording", get(site::page)).media(200, "text/html"),
        route("GET", "/assets/{*path}", Nothing, "The web site: what its page is made of", get(site::asset)).media(200, "*/*"),
    ]
}

impl Route {
    fn gives(mut self, status: u16, schema: &'static str) -> Self {
        self.operation.answers.push(document::Answer::Json(status, schema));
        self
    }

    fn media(mut self, status: u16, media_type: &'static str) -> Self {
        self.operation.answers.push(document::Answer::Media(status, media_type));
        self
    }

    fn answers(mut self, status: u16, what: &'static str) -> Self {
        self.operation.answers.push(document::Answer::Empty(status, what));
        self
    }

    fn takes(mut self, schema: &'static str) -> Self {
        self.operation.body = Some(schema);
        self
    }

    const fn header(mut self, header: &'static [(&'static str, &'static str)]) -> Self {
        self.operation.header = header;
        self
    }

    const fn query(mut self, query: &'static [(&'static str, &'static str)]) -> Self {
        self.operation.query = query;
        self
    }
}

/// A route whose requests may have a body; all others take none, or read it themselves.
fn with_body(handler: Handler) -> Handler {
    handler.layer(DefaultBodyLimit::max(body::MAX_BODY_BYTES))
}
