use anyhow::Result;
use testkit::child::{Running, Server, free_port};
use testkit::viewer::Viewer;
use testkit::window::Window;

use super::{look, open, open_with};

const TOKEN: &str = "the-token-of-this-test";

fn until_is(window: &Window, testid: &str, attribute: &str, value: &str) -> Result<()> {
    window.until(&format!("{testid} with {attribute} {value}"), |window| {
        Ok(window.attribute(testid, attribute)?.as_deref() == Some(value))
    })
}

fn until_says(window: &Window, text: &str) -> Result<()> {
    window.until("a chat message", |window| Ok(window.text("chat")?.contains(text)))
}

#[test]
fn the_app_watches_its_room_and_talks_with_those_who_watch() -> Result<()> {
    let (folder, store) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let mut server = Server::start(store.path(), free_port()?, &[])?;
    let window = open_with(folder.path(), &server)?;

    // Before anything is published the app is a viewer like others.
    window.click("room")?;
    until_is(&window, "room-panel", "data-phase", "open")?;
    until_is(&window, "room-viewers", "data-count", "1")?;
    let mut viewer = Viewer::join(&server, "studio", "Bob", None)?;
    assert_eq!(viewer.room.viewers, 2);
    until_is(&window, "room-viewers", "data-count", "2")?;
    look(&window, "room-ready")?;
    window.fill("alias", "Ada")?;
    window.until_shown("chat-text", true)?;
    window.fill("chat-text", "Good morning!")?;
    let heard = viewer.next_chat()?;
    assert_eq!((heard.alias.as_str(), heard.text.as_str()), ("Ada", "Good morning!"));

    // Who publishes is not one of those who watch.
    window.click("start-stop")?;
    window.until_phase(&["live"])?;
    until_is(&window, "room-panel", "data-phase", "open")?;
    until_is(&window, "room-viewers", "data-count", "1")?;
    viewer.say("The sound is good.")?;
    until_says(&window, "The sound is good.")?;
    window.fill("chat-text", "Thank you")?;
    assert_eq!([viewer.next_chat()?.text, viewer.next_chat()?.text], ["The sound is good.", "Thank you"]);
    look(&window, "room-live")?;

    // What is said while the panel is closed is not missed.
    window.click("sheet-close")?;
    window.until_shown("room-panel", false)?;
    viewer.say("Can you still hear me?")?;
    window.until_shown("unread", true)?;
    window.click("room")?;
    until_says(&window, "Can you still hear me?")?;

    server.process.kill()?;
    until_is(&window, "room-panel", "data-phase", "reconnecting")?;
    let server = Server::start(store.path(), server.port, &[])?;
    until_is(&window, "room-panel", "data-phase", "open")?;
    let mut viewer = Viewer::join(&server, "studio", "Bob", None)?;
    window.fill("chat-text", "Back again")?;
    assert_eq!(viewer.next_chat()?.alias, "Ada", "who comes back has the same name");
    Ok(())
}

#[test]
fn the_picture_of_another_in_the_room_is_shown_beside_the_own() -> Result<()> {
    let (folder, store) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let server = Server::start(store.path(), free_port()?, &["--streaming-access-token", TOKEN])?;
    let address = server.address();
    let args = ["publish", "--server", &address, "--token", TOKEN, "--room", "studio", "--json"];
    let synthetic =
        ["--camera", "synthetic", "--microphone", "synthetic", "--width", "640", "--height", "360"];
    let publisher =
        Running::start("longtake", &[&args[..], &synthetic, &["--video-bitrate", "800k"]].concat(), &[])?;

    let window = open(folder.path(), &[("LONGTAKE_SERVER", &address), ("LONGTAKE_TOKEN", TOKEN)])?;
    window.click("start-stop")?;
    window.until_phase(&["live"])?;
    window.click("room")?;
    until_is(&window, "tile", "data-phase", "playing")?;
    assert_eq!(window.attribute("tile", "data-transport")?.as_deref(), Some("hls"));
    let drawn = |window: &Window| Ok::<_, anyhow::Error>(window.number("tile", "data-drawn")?.unwrap_or(0.0));
    let before = drawn(&window)?;
    window.until("the picture of the other to move", |window| Ok(drawn(window)? > before + 30.0))?;
    window.until_preview_moves()?;
    look(&window, "room-pictures")?;

    drop(publisher);
    window.until("the other to be gone, or away", |window| {
        Ok(!window.shows("tile")?
            || window.attribute("tile", "data-status")?.as_deref() == Some("interrupted"))
    })?;
    assert_eq!(window.phases()?, ["live"; 2]);
    assert!(!window.log().contains(TOKEN), "the log is free of tokens");
    Ok(())
}
