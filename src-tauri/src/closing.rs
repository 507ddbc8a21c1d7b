//! The window closes at once, unless a session is open: then the person is asked.

use app::App;
use tauri::{AppHandle, ExitRequestApi, Manager, Runtime, Window, WindowEvent, async_runtime};

/// Holds a window that was asked to close too early.
pub(crate) fn on_window_event<R: Runtime>(window: &Window<R>, event: &WindowEvent) {
    if let WindowEvent::CloseRequested { api, .. } = event
        && asks_first(window.app_handle())
    {
        api.prevent_close();
    }
}

/// Holds an app that was asked to quit too early, as from a dock's menu. A code comes from the app itself.
pub(crate) fn on_exit_requested<R: Runtime>(handle: &AppHandle<R>, code: Option<i32>, api: &ExitRequestApi) {
    if code.is_none() && asks_first(handle) {
        api.prevent_exit();
    }
}

/// Ends the program once the person has wanted that and everything is on the server.
pub(crate) fn close_when_allowed<R: Runtime>(handle: &AppHandle<R>) {
    let (handle, app) = (handle.clone(), handle.state::<App>().inner().clone());
    async_runtime::spawn(async move {
        app.closed().await;
        handle.exit(0);
    });
}

fn asks_first<R: Runtime>(handle: &AppHandle<R>) -> bool {
    // It may be asked before there is an app.
    let Some(app) = handle.try_state::<App>() else { return false };
    let asks = !app.may_close();
    if asks {
        app.ask_to_close();
    }
    asks
}
