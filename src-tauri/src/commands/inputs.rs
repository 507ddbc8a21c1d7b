//! The camera and the microphone.
#![allow(missing_docs)] // `App` documents what each command does.

use app::App;
use app::api::{DeviceList, Problem};
use tauri::State;

#[tauri::command]
pub async fn devices(app: State<'_, App>) -> Result<DeviceList, Problem> {
    app.devices().await
}

#[tauri::command]
pub async fn set_muted(app: State<'_, App>, muted: bool) -> Result<(), Problem> {
    app.set_muted(muted).await
}

#[tauri::command]
pub async fn set_camera_on(app: State<'_, App>, on: bool) -> Result<(), Problem> {
    app.set_camera_on(on).await
}
