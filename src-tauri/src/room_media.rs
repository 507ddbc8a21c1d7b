//! The pictures and the sound of the room's other sessions, for the screen's players: `room://localhost/hls/…` is what the server
//! has at `/hls/…`.
//!
//! The screen has no way to the server and no token. A request becomes one of the app's only if it gets media of a session of the
//! room that is visited.

use app::App;
use tauri::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use tauri::http::{HeaderValue, Method, Request, Response, StatusCode};
use tauri::{Builder, Manager as _, Runtime, async_runtime};

/// The scheme. Where a webview knows only those of the web, it is `http://room.localhost`.
const SCHEME: &str = "room";

pub(crate) fn serve<R: Runtime>(builder: Builder<R>) -> Builder<R> {
    builder.register_asynchronous_uri_scheme_protocol(SCHEME, |context, request, responder| {
        // It may be asked before there is an app.
        let app = context.app_handle().try_state::<App>().map(|app| app.inner().clone());
        async_runtime::spawn(async move { responder.respond(answer(app, &request).await) });
    })
}

async fn answer(app: Option<App>, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
    if request.method() != Method::GET {
        return empty(StatusCode::METHOD_NOT_ALLOWED);
    }
    let address = request.uri().path_and_query().map_or("/", |address| address.as_str());
    let Some(app) = app else { return empty(StatusCode::SERVICE_UNAVAILABLE) };
    let Some(got) = app.room_media(address).await else { return empty(StatusCode::BAD_GATEWAY) };
    let mut response = empty(StatusCode::from_u16(got.status).unwrap_or(StatusCode::BAD_GATEWAY));
    if let Some(kind) = got.content_type.and_then(|kind| HeaderValue::try_from(kind).ok()) {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    *response.body_mut() = got.body.into();
    response
}

/// The screen is of another origin than the scheme, and nothing else is in the webview.
fn empty(status: StatusCode) -> Response<Vec<u8>> {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = status;
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::rehearsal;

    #[test]
    fn nothing_but_the_media_of_a_room_that_is_visited_is_got() {
        let (app, _folder) = rehearsal::app();
        let status = |method: Method, address: &str| {
            let request = Request::builder().method(method).uri(format!("room://localhost{address}"));
            let request = request.body(Vec::new()).unwrap();
            let answer = async_runtime::block_on(answer(Some(app.clone()), &request));
            assert!(answer.body().is_empty());
            answer.status()
        };
        let playlist = "/hls/01890a5d-ac96-7b7c-8f4e-000000000001/index.m3u8";
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::HEAD] {
            assert_eq!(status(method, playlist), StatusCode::METHOD_NOT_ALLOWED);
        }
        for address in [playlist, "/api/sessions", "/", "/hls/../api/tokens"] {
            assert_eq!(status(Method::GET, address), StatusCode::BAD_GATEWAY, "{address}");
        }
    }
}
