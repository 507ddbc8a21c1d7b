//! The room against the real ingest server: who is there, who watches, and what is said.
#![allow(clippy::unwrap_used)]

mod stage;

use anyhow::{Context as _, Result};
use app::App;
use app::api::{ProblemCode, RoomPhase, RoomView, SettingsChange, TokenChange};
use protocol::room::RoomMessage;
use stage::{app_for, to_error, until_live};
use testkit::child::{PATIENCE, Server, free_port};
use testkit::viewer::Viewer;
use tokio::time::timeout;

/// Waits until the room is seen like this.
async fn until_room(app: &App, what: &str, reached: impl Fn(&RoomView) -> bool) -> Result<RoomView> {
    let mut room = app.room();
    let found = timeout(PATIENCE, room.wait_for(|room| room.as_ref().is_some_and(&reached))).await;
    match found {
        Ok(view) => view?.clone().context("it was just there"),
        Err(_) => anyhow::bail!("the room is not {what} within {PATIENCE:?}: {:#?}", app.room().borrow()),
    }
}

async fn until_open(app: &App) -> Result<RoomView> {
    until_room(app, "open", |room| room.phase == RoomPhase::Open).await
}

fn said(room: &RoomView) -> Vec<(&str, &str)> {
    room.chat.iter().map(|message| (message.alias.as_str(), message.text.as_str())).collect()
}

async fn call_oneself(app: &App, alias: &str) -> Result<()> {
    let change = SettingsChange { alias: Some(alias.to_owned()), ..SettingsChange::default() };
    app.change_settings(change).await.map_err(to_error)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_and_a_viewer_talk_also_across_a_restart_of_the_server() -> Result<()> {
    let (folder, port) = (tempfile::tempdir()?, free_port()?);
    let mut server = Server::start(folder.path(), port, &[])?;
    let (app, _settings) = app_for(&server.address()).await?;
    assert_eq!(app.say("Hello?".to_owned()).await.unwrap_err().code, ProblemCode::NotNow);
    app.open_room().await.map_err(to_error)?;
    until_open(&app).await?;

    // Without a session it is a viewer like others, and without a name it cannot chat.
    let mut viewer = Viewer::join(&server, "studio", "Bob", None)?;
    assert_eq!(viewer.room.viewers, 2);
    until_room(&app, "watched by two", |room| room.viewers == 2).await?;
    app.say("Who am I?".to_owned()).await.map_err(to_error)?;
    until_room(&app, "one that refuses", |room| room.refusal.is_some()).await?;
    call_oneself(&app, "Ada").await?;
    app.say("Hello from the app".to_owned()).await.map_err(to_error)?;
    let heard = viewer.next_chat()?;
    assert_eq!((heard.alias.as_str(), heard.text.as_str()), ("Ada", "Hello from the app"));
    viewer.say("Hello from outside")?;
    let room = until_room(&app, "one where both were heard", |room| room.chat.len() == 2).await?;
    assert_eq!(said(&room), [("Ada", "Hello from the app"), ("Bob", "Hello from outside")]);
    assert_eq!((room.refusal, room.chat[0].viewer == room.viewer.unwrap()), (None, true));

    server.process.kill()?;
    until_room(&app, "away", |room| matches!(room.phase, RoomPhase::Reconnecting { .. })).await?;
    let server = Server::start(folder.path(), port, &[])?;
    until_open(&app).await?;
    // The chat is in the server's memory only, and the name is told anew.
    let mut viewer = Viewer::join(&server, "studio", "Bob", None)?;
    app.say("Back again".to_owned()).await.map_err(to_error)?;
    assert_eq!(viewer.next_chat()?.alias, "Ada");

    app.close_room().await.map_err(to_error)?;
    viewer.until_viewers(1)?;
    timeout(PATIENCE, app.room().wait_for(Option::is_none)).await??;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_publishes_follows_the_room_and_is_no_viewer() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), free_port()?, &[])?;
    let mut viewer = Viewer::join(&server, "studio", "Bob", None)?;
    let (app, _settings) = app_for(&server.address()).await?;
    call_oneself(&app, "Ada").await?;
    app.open_room().await.map_err(to_error)?;
    viewer.until_viewers(2)?;
    app.start_session().await.map_err(to_error)?;
    viewer.until_viewers(1)?;
    let own = until_live(&app).await?.session.unwrap().id;
    let room = until_room(&app, "one with the session", |room| {
        room.sessions.iter().any(|session| session.id == own) && room.viewers == 1
    });
    room.await?;

    // The panel may be closed while it is live.
    app.close_room().await.map_err(to_error)?;
    viewer.say("Can you hear me?")?;
    let room = until_room(&app, "one where something was said", |room| room.chat.len() == 1).await?;
    assert_eq!(said(&room), [("Bob", "Can you hear me?")]);
    app.say("Yes".to_owned()).await.map_err(to_error)?;
    let answer = viewer.until("the app's answer", |message| match message {
        RoomMessage::Chat(message) if message.alias == "Ada" => Some(message.text.clone()),
        _ => None,
    })?;
    assert_eq!(answer, "Yes");

    // Another room that is set is for the next session.
    let change = SettingsChange { room: Some("attic".to_owned()), ..SettingsChange::default() };
    app.change_settings(change).await.map_err(to_error)?;
    assert!(app.invite().await.map_err(to_error)?.link.ends_with("/watch/studio"));
    app.stop().await.map_err(to_error)?;
    timeout(PATIENCE, app.room().wait_for(Option::is_none)).await??;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_refused_and_the_right_one_is_let_in() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let token = "the-token-of-this-test";
    let server = Server::start(folder.path(), free_port()?, &["--streaming-access-token", token])?;
    let (app, _settings) = app_for(&server.address()).await?;
    app.open_room().await.map_err(to_error)?;
    let refused = |room: &RoomView| match &room.phase {
        RoomPhase::Left { problem } => problem.code == ProblemCode::Unauthorized,
        _ => false,
    };
    until_room(&app, "refused", refused).await?;
    let change = |token: &str| SettingsChange {
        token: Some(TokenChange::Set(token.to_owned())),
        ..SettingsChange::default()
    };
    app.change_settings(change("a-wrong-one")).await.map_err(to_error)?;
    until_room(&app, "refused", refused).await?;
    app.change_settings(change(token)).await.map_err(to_error)?;
    until_open(&app).await?;
    assert_eq!(Viewer::join(&server, "studio", "Bob", Some(token))?.room.viewers, 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_media_of_the_room_is_got_with_a_viewers_token_and_nothing_else_is() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let token = "the-token-of-this-test";
    let server = Server::start(folder.path(), free_port()?, &["--streaming-access-token", token])?;
    let (app, _settings) = app_for(&server.address()).await?;
    let token = Some(TokenChange::Set(token.to_owned()));
    app.change_settings(SettingsChange { token, ..SettingsChange::default() }).await.map_err(to_error)?;
    app.start_session().await.map_err(to_error)?;
    let session = until_live(&app).await?.session.unwrap().id;
    until_room(&app, "one with the session", |room| room.sessions.iter().any(|one| one.id == session))
        .await?;
    let playlist = format!("/hls/{session}/video/index.m3u8");
    let got = timeout(PATIENCE, async {
        loop {
            // The first part comes when it is durable.
            match app.room_media(&playlist).await {
                Some(got)
                    if got.status == 200 && got.body.windows(12).any(|line| line == b"#EXT-X-PART:") =>
                {
                    return got;
                }
                _ => tokio::task::yield_now().await,
            }
        }
    });
    let playlist_text = String::from_utf8(got.await?.body.to_vec())?;
    assert!(!playlist_text.contains("token"), "the screen sees no token: {playlist_text}");
    let name = playlist_text
        .split("URI=\"")
        .filter_map(|rest| rest.split('"').next())
        .find(|name| name.ends_with(".mp4"));
    let init = app.room_media(&format!("/hls/{session}/video/{}", name.context("an init segment")?)).await;
    let init = init.context("the init segment")?;
    assert_eq!((init.status, init.content_type.as_deref()), (200, Some("video/mp4")));

    let other = protocol::SessionId::v7(1_700_000_000_000, [7; 10]);
    for address in
        [format!("/hls/{other}/index.m3u8"), "/api/sessions".to_owned(), format!("/api/sessions/{session}")]
    {
        assert!(app.room_media(&address).await.is_none(), "{address}");
    }
    app.stop().await.map_err(to_error)?;
    timeout(PATIENCE, app.room().wait_for(Option::is_none)).await??;
    assert!(app.room_media(&playlist).await.is_none(), "outside the room");
    Ok(())
}
