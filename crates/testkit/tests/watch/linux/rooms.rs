//! Several publishers and viewers in one room: counts, chat, moderation.

use anyhow::Result;
use serde_json::json;
use testkit::browser::Browser;

use super::{DESKTOP, browse, page, publish, serve, until_moves};

const HOSTILE: &str =
    "<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script>";

fn until_says(browser: &Browser, text: &str) -> Result<()> {
    browser.until("a chat message", |browser| {
        let said = browser.look("chat", "found.innerText")?;
        Ok(said.as_str().is_some_and(|said| said.contains(text)))
    })
}

#[test]
fn three_publishers_and_five_viewers_are_counted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = serve(folder.path())?;
    let publishers: Vec<_> = (1..=3).map(|index| publish(&server, "studio", index)).collect::<Result<_>>()?;
    let browser = browse(DESKTOP)?;
    browser.open(&page(&server, "/watch/studio"))?;
    let first = browser.tab()?;
    for _ in 1..5 {
        browser.open_tab(&page(&server, "/watch/studio"))?;
    }
    let last = browser.tab()?;
    for tab in [&first, &last] {
        browser.bring_up(tab)?;
        browser.until_is("viewers", "data-count", "5")?;
        browser.until("three pictures", |browser| {
            let script = "return document.querySelectorAll('[data-testid=tile][data-phase=playing]').length";
            Ok(browser.run(script, Vec::new())? == json!(3))
        })?;
    }
    browser.screenshot("watch-three")?;
    browser.close_tab()?;
    browser.bring_up(&first)?;
    browser.until_is("viewers", "data-count", "4")?;
    drop(publishers);
    Ok(())
}

#[test]
fn viewers_talk_and_hostile_text_is_text() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = serve(folder.path())?;
    let (_publisher, _) = publish(&server, "studio", 1)?;
    let [ada, bob] = [browse(DESKTOP)?, browse((390, 844))?];
    for (browser, name) in [(&ada, "Ada"), (&bob, "<b>Bob</b>")] {
        browser.open(&page(&server, "/watch/studio"))?;
        browser.until_is("watch", "data-phase", "open")?;
        browser.enter("alias", name)?;
    }
    ada.enter("chat-text", "Hello from Ada")?;
    until_says(&bob, "Hello from Ada")?;
    bob.enter("chat-text", HOSTILE)?;
    until_says(&ada, HOSTILE)?;
    until_says(&ada, "<b>Bob</b>")?;
    for browser in [&ada, &bob] {
        let title = browser.run("return document.title", Vec::new())?;
        assert_eq!(title, json!("studio · Longtake"));
        assert_eq!(browser.look("chat", "found.querySelectorAll('img, script, b').length")?, json!(0));
    }
    ada.screenshot("chat")?;
    bob.screenshot("chat-phone")?;
    // Who comes later reads what was said.
    let tab = ada.open_tab(&page(&server, "/watch/studio"))?;
    ada.bring_up(&tab)?;
    until_says(&ada, "Hello from Ada")
}

#[test]
fn a_banned_viewer_sees_nothing_more() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = serve(folder.path())?;
    let (_publisher, _) = publish(&server, "studio", 1)?;
    let [administrator, viewer] = [browse(DESKTOP)?, browse(DESKTOP)?];
    for browser in [&administrator, &viewer] {
        browser.open(&page(&server, "/watch/studio"))?;
        browser.until_is("tile", "data-phase", "playing")?;
    }
    viewer.enter("alias", "Mallory")?;
    viewer.enter("chat-text", "Something rude")?;
    until_says(&administrator, "Something rude")?;
    until_moves(&viewer)?;
    administrator.click("moderate")?;
    administrator.click("ban-viewer")?;
    administrator.click("ban-viewer")?;

    viewer.until_is("standing", "data-kind", "removed")?;
    assert!(!viewer.shows("video")?);
    viewer.screenshot("banned")?;
    // Neither does it come back in.
    viewer.open(&page(&server, "/watch/studio"))?;
    viewer.until_is("standing", "data-kind", "removed")?;
    administrator.until_is("viewers", "data-count", "1")?;
    until_moves(&administrator)
}
