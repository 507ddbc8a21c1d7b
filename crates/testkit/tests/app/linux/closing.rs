use anyhow::Result;
use protocol::api::SessionStatus;
use testkit::child::{Server, free_port};

use super::{look, only_session, open_with};

#[test]
fn closing_while_live_asks_and_finishing_ends_with_a_complete_session() -> Result<()> {
    let (folder, store) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let server = Server::start(store.path(), free_port()?, &[])?;
    let window = open_with(folder.path(), &server)?;
    window.click("start-stop")?;
    window.until_phase(&["live"])?;

    window.ask_to_close()?;
    window.until_shown("close-dialog", true)?;
    look(&window, "closing")?;
    window.click("close-keep")?;
    window.until_shown("close-dialog", false)?;
    assert_eq!(window.phases()?, ["live"; 2]);
    assert_eq!(server.api.session(only_session(&server)?)?.status, SessionStatus::Active);

    window.ask_to_close()?;
    window.click("close-finish")?;
    window.until_closed()?;
    let session = server.api.session(only_session(&server)?)?;
    assert_eq!(session.status, SessionStatus::Completed);
    for track in [session.video.unwrap(), session.audio.unwrap()] {
        assert!(track.units > 0);
        assert_eq!(track.durable_units, track.units);
    }
    Ok(())
}
