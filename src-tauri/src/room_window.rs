//! The page of the room that is recorded to, in a window of its own: who else is there, the chat, the link to share.
//!
//! The page is the server's. It may call nothing of the app: the capability is the main window's, and Tauri refuses commands
//! to pages that are not the app's own.

use app::api::Problem;
use tauri::{AppHandle, Runtime};

/// The window's name.
pub(crate) const ROOM: &str = "room";

/// Opens the window, or brings it to the front.
#[cfg(desktop)]
pub(crate) fn open<R: Runtime>(handle: &AppHandle<R>, link: &str) -> Result<(), Problem> {
    use app::api::ProblemCode;
    use tauri::{Manager as _, Url, WebviewUrl, WebviewWindowBuilder};

    let refused = |error: String| {
        let message = format!("The room cannot be shown: {error}. Copy the link and open it in a browser.");
        Problem::passing(ProblemCode::Internal, message)
    };
    let page = |url: &Url| (url.origin(), url.path().to_owned());
    let url: Url = link.parse().map_err(|error| refused(format!("{error}")))?;
    if let Some(window) = handle.get_webview_window(ROOM) {
        let shows = window.url().is_ok_and(|shown| page(&shown) == page(&url));
        let shown = if shows { Ok(()) } else { window.navigate(url) };
        // Systems that do not let a program take the focus leave it be.
        let _ = window.unminimize().and_then(|()| window.set_focus());
        return shown.map_err(|error| refused(error.to_string()));
    }
    let origin = url.origin();
    WebviewWindowBuilder::new(handle, ROOM, WebviewUrl::External(url))
        .title("Longtake: the room")
        .inner_size(1040.0, 720.0)
        .min_inner_size(360.0, 480.0)
        .on_navigation(move |to| to.origin() == origin)
        .build()
        .map(|_| ())
        .map_err(|error| refused(error.to_string()))
}

/// Phones have one window.
#[cfg(mobile)]
pub(crate) fn open<R: Runtime>(_: &AppHandle<R>, _: &str) -> Result<(), Problem> {
    let message = "This system has one window for each app. Copy the link and open it in a browser.";
    Err(Problem::new(app::api::ProblemCode::Unsupported, message))
}
