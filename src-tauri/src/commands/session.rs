//! The session, from tap to stop.
#![allow(missing_docs)] // `App` documents what each command does.

use app::api::Problem;
use app::{App, CloseAnswer};
use tauri::State;

#[tauri::command]
pub async fn start(app: State<'_, App>) -> Result<(), Problem> {
    app.start_session().await
}

#[tauri::command]
pub async fn stop(app: State<'_, App>) -> Result<(), Problem> {
    app.stop().await
}

#[tauri::command]
pub async fn reconnect(app: State<'_, App>) -> Result<(), Problem> {
    app.reconnect().await
}

#[tauri::command]
pub async fn dismiss(app: State<'_, App>) -> Result<(), Problem> {
    app.dismiss().await
}

#[tauri::command]
pub async fn close(app: State<'_, App>, answer: CloseAnswer) -> Result<(), Problem> {
    app.close(answer).await
}
