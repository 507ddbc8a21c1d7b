//! The room on the server: who is there, and what is said.
#![allow(missing_docs)] // `App` documents what each command does.

use app::App;
use app::api::{Invitation, Problem};
use tauri::State;

#[tauri::command]
pub async fn open_room(app: State<'_, App>) -> Result<(), Problem> {
    app.open_room().await
}

#[tauri::command]
pub async fn close_room(app: State<'_, App>) -> Result<(), Problem> {
    app.close_room().await
}

#[tauri::command]
pub async fn say(app: State<'_, App>, text: String) -> Result<(), Problem> {
    app.say(text).await
}

#[tauri::command]
pub async fn invite(app: State<'_, App>) -> Result<Invitation, Problem> {
    app.invite().await
}
