use anyhow::Result;
use testkit::child::{Server, free_port};
use testkit::window::Window;

use super::{look, only_session, open, open_with};

const TOKEN: &str = "the-token-of-this-test";

/// Waits until the app has kept what was typed: it then shows no problem, and the field holds the text.
fn until_kept(window: &Window, field: &str, text: &str) -> Result<()> {
    window.until(&format!("{field} to be kept"), |window| {
        Ok(window.value(field)? == text && !window.shows("server-problem")?)
    })
}

fn until_chosen(window: &Window, label: &str) -> Result<()> {
    window.until(&format!("{label} to be chosen"), |window| window.is_chosen(label))
}

#[test]
fn settings_survive_a_restart_of_the_app() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let address = "ws://127.0.0.1:9";
    let window = open(folder.path(), &[])?;
    window.click("settings-open")?;
    window.fill("server-field", address)?;
    until_kept(&window, "server-field", address)?;
    window.fill("room-field", "attic")?;
    until_kept(&window, "room-field", "attic")?;
    assert!(!window.is_chosen("540p")?, "the choice below is a change");
    window.choose("540p")?;
    until_chosen(&window, "540p")?;
    assert!(!window.is_chosen("Mirror the preview")?, "the switch below is a change");
    window.choose("Mirror the preview")?;
    window.until("the preview to be mirrored", |window| {
        Ok(window.attribute("preview", "class")?.unwrap_or_default().contains("mirrored"))
    })?;
    look(&window, "settings")?;
    window.ask_to_close()?;
    window.until_closed()?;
    drop(window);

    let window = open(folder.path(), &[])?;
    assert!(window.attribute("preview", "class")?.unwrap_or_default().contains("mirrored"));
    window.click("settings-open")?;
    assert_eq!(window.value("server-field")?, address);
    assert_eq!(window.value("room-field")?, "attic");
    assert!(window.is_chosen("540p")?);
    assert!(window.is_chosen("Mirror the preview")?);
    Ok(())
}

#[test]
fn a_wrong_token_is_told_and_the_right_one_goes_live() -> Result<()> {
    let (folder, store) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let server = Server::start(store.path(), free_port()?, &["--streaming-access-token", TOKEN])?;
    let window = open_with(folder.path(), &server)?;
    window.click("settings-open")?;
    window.fill("token-field", "a-wrong-token")?;
    // The field gives the token away and is empty then.
    window.until_shown("token-forget", true)?;
    until_kept(&window, "token-field", "")?;
    window.click("sheet-close")?;

    window.click("start-stop")?;
    window.until_phase(&["refused"])?;
    let told = window.text("video-track")?;
    assert!(told.contains("Token refused"), "{told}");
    window.until("what to do to be said", |window| {
        Ok(window.shows("notice")? && window.text("notice")?.contains("does not accept the access token"))
    })?;
    look(&window, "refused")?;

    window.click("settings-open")?;
    window.fill("token-field", TOKEN)?;
    until_kept(&window, "token-field", "")?;
    window.until_phase(&["live"])?;
    assert!(!window.log().contains(TOKEN), "the log is free of tokens");
    Ok(())
}

#[test]
fn a_first_start_offers_the_server_on_this_machine() -> Result<()> {
    let (folder, store) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let server = Server::start(store.path(), free_port()?, &[])?;
    let window = open(folder.path(), &[("PORT", &server.port.to_string())])?;
    window.until_shown("use-local-server", true)?;
    look(&window, "first-start")?;
    window.click("use-local-server")?;
    window.until_shown("use-local-server", false)?;

    window.click("start-stop")?;
    window.until_phase(&["live"])?;
    only_session(&server).map(drop)
}
