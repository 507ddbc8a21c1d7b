//! What is remembered, and the way to the server.
#![allow(missing_docs)] // `App` documents what each command does.

use app::App;
use app::api::{ConnectionReport, Problem, ProblemCode, SettingsChange};
use protocol::Secret;
use tauri::State;

#[tauri::command]
pub async fn change_settings(app: State<'_, App>, change: SettingsChange) -> Result<(), Problem> {
    app.change_settings(change).await
}

#[tauri::command]
pub async fn use_local_server(app: State<'_, App>) -> Result<(), Problem> {
    app.use_local_server().await
}

#[tauri::command]
pub async fn pair(app: State<'_, App>, link: String) -> Result<(), Problem> {
    app.pair(&link).await
}

#[tauri::command]
pub async fn test_connection(
    app: State<'_, App>,
    server: String,
    token: Option<String>,
) -> Result<ConnectionReport, Problem> {
    app.test_connection(&server, token.map(Secret::new)).await
}

#[tauri::command]
pub async fn dismiss_notice(app: State<'_, App>, code: ProblemCode) -> Result<(), Problem> {
    app.dismiss_notice(code).await
}
