//! A second start shows the window of the first and hands it the link that it was started with.

use tauri::{Builder, Runtime};

/// With the plugin, which has to be the first one. Who has a settings folder of their own runs beside the others.
#[cfg(desktop)]
pub(crate) fn on<R: Runtime>(builder: Builder<R>) -> Builder<R> {
    if crate::own_folder().is_some() {
        return builder;
    }
    builder.plugin(tauri_plugin_single_instance::init(|handle, _, _| {
        use tauri::Manager as _;
        let Some(window) = handle.get_webview_window("main") else { return };
        // Systems that do not let a program take the focus leave it be.
        let _ = window.unminimize().and_then(|()| window.set_focus());
    }))
}

/// Phones do it themselves.
#[cfg(mobile)]
pub(crate) fn on<R: Runtime>(builder: Builder<R>) -> Builder<R> {
    builder
}
