//! Links that begin with `longtake:`, opened anywhere on the device.

use app::App;
use tauri::{AppHandle, Manager, Runtime, async_runtime};
use tauri_plugin_deep_link::DeepLinkExt;

/// Follows pairing links: the one that the app was started with, and those that come.
pub(crate) fn follow<R: Runtime>(handle: &AppHandle<R>) {
    let links = handle.deep_link();
    if let Ok(Some(started_with)) = links.get_current() {
        started_with.into_iter().for_each(|link| pair(handle, link.to_string()));
    }
    let on_open = handle.clone();
    links.on_open_url(move |event| {
        event.urls().into_iter().for_each(|link| pair(&on_open, link.to_string()));
    });
}

fn pair<R: Runtime>(handle: &AppHandle<R>, link: String) {
    let app = handle.state::<App>().inner().clone();
    async_runtime::spawn(async move { app.pair_by_link(&link).await });
}
