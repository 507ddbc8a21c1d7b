//! What the screen needs to be one.
#![allow(missing_docs)] // `App` documents what each command does.

use app::App;
use app::api::{Problem, ProblemCode, Update};
use tauri::ipc::{Channel, InvokeResponseBody};
use tauri::{AppHandle, Runtime, State};
use tauri_plugin_clipboard_manager::ClipboardExt as _;

use crate::pictures::Pictures;
use crate::updates::Updates;

#[tauri::command]
pub fn watch(app: State<'_, App>, updates: State<'_, Updates>, channel: Channel<Update>) {
    updates.tell(app.inner().clone(), channel);
}

#[tauri::command]
pub fn preview(
    app: State<'_, App>,
    pictures: State<'_, Pictures>,
    channel: Channel<InvokeResponseBody>,
) -> Result<(), Problem> {
    pictures.send_to(app.inner().clone(), channel)
}

#[tauri::command]
pub fn preview_shown(pictures: State<'_, Pictures>, sequence: u64) {
    pictures.shown(sequence);
}

#[tauri::command]
pub async fn copy_text<R: Runtime>(handle: AppHandle<R>, text: String) -> Result<(), Problem> {
    handle.clipboard().write_text(text).map_err(|error| {
        let message = format!("The text cannot be copied: {error}. Select it and copy it yourself.");
        Problem::new(ProblemCode::Unsupported, message)
    })
}
