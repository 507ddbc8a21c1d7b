//! Settings, tokens and links: what is remembered, and what a person is told about it.
#![allow(clippy::unwrap_used)]

mod stage;

use std::fs;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use app::api::{
    Condition, ProblemCode, SettingsChange, Source, StepName, StepOutcome, TokenChange, WhenFull, WhenSlow,
};
use app::{App, Kept, KeptIn, Options, TokenError, TokenStore};
use protocol::Secret;
use stage::{SMALL, options, to_error, until};
use testkit::child::{Server, free_port};

/// A keyring that is in memory and notes what it is asked.
#[derive(Default)]
struct Keyring(Mutex<Vec<(String, String)>>);

impl TokenStore for Keyring {
    fn load(&self, server: &str) -> Result<Option<Kept>, TokenError> {
        let tokens = self.0.lock().unwrap();
        let token = tokens.iter().rfind(|(name, _)| name == server);
        Ok(token.map(|(_, token)| Kept { token: Secret::new(token.as_str()), place: KeptIn::Keyring }))
    }

    fn save(&self, server: &str, token: Option<&Secret>) -> Result<KeptIn, TokenError> {
        let mut tokens = self.0.lock().unwrap();
        tokens.retain(|(name, _)| name != server);
        tokens.extend(token.map(|token| (server.to_owned(), token.expose().to_owned())));
        Ok(KeptIn::Keyring)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_chosen_is_there_at_the_next_start() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let keyring = Arc::new(Keyring::default());
    let options = || Options { tokens: Arc::clone(&keyring) as _, ..options(folder.path()) };
    let first = App::start(options()).map_err(to_error)?;
    let change = SettingsChange {
        server: Some("http://127.0.0.1:9".to_owned()),
        token: Some(TokenChange::Set("correct-horse".to_owned())),
        room: Some("stage".to_owned()),
        camera: Some(Source::Device { id: "usb-1".to_owned() }),
        quality: Some(SMALL),
        when_slow: Some(WhenSlow::KeepQuality),
        spool_bytes: Some(8 << 30),
        when_full: Some(WhenFull::DropOldest),
        mirrored: Some(true),
        ..SettingsChange::default()
    };
    first.change_settings(change).await.map_err(to_error)?;
    let chosen = until(&first, "changed", |state| state.settings.room == "stage").await?.settings;
    assert!(chosen.has_token && chosen.token_in_keyring);
    drop(first);

    let mut later = options();
    later.overrides.camera = None;
    let second = App::start(later).map_err(to_error)?;
    let found = until(&second, "started", |state| state.settings.has_token).await?.settings;
    assert_eq!(found, chosen);
    let written = fs::read_to_string(folder.path().join("settings.toml"))?;
    assert!(!written.contains("correct-horse"), "a token is not a setting");
    // What holds for this run was not remembered.
    assert!(written.contains("microphone = \"auto\""), "{written}");

    // The token stays with its server.
    let elsewhere =
        SettingsChange { server: Some("http://127.0.0.1:10".to_owned()), ..SettingsChange::default() };
    second.change_settings(elsewhere).await.map_err(to_error)?;
    until(&second, "without a token", |state| !state.settings.has_token).await?;
    let back = SettingsChange { server: Some("127.0.0.1:9".to_owned()), ..SettingsChange::default() };
    second.change_settings(back).await.map_err(to_error)?;
    until(&second, "with its token", |state| state.settings.has_token).await?;
    let forget = SettingsChange { token: Some(TokenChange::Clear), ..SettingsChange::default() };
    second.change_settings(forget).await.map_err(to_error)?;
    until(&second, "without a token", |state| !state.settings.has_token).await?;
    assert!(keyring.0.lock().unwrap().is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_be_read_are_kept_and_said() -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("settings.toml"), "room = [")?;
    let app = App::start(options(folder.path())).map_err(to_error)?;
    let state = app.state().borrow().clone();
    assert_eq!(state.notices.len(), 1);
    assert_eq!(state.notices[0].code, ProblemCode::SettingsUnusable);
    assert_eq!(state.settings.room, "studio");
    assert_eq!(fs::read_to_string(folder.path().join("settings.broken.toml"))?, "room = [");
    app.dismiss_notice(ProblemCode::SettingsUnusable).await.map_err(to_error)?;
    until(&app, "dismissed", |state| state.notices.is_empty()).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_change_changes_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let app = App::start(options(folder.path())).map_err(to_error)?;
    let before = app.state().borrow().settings.clone();
    let change = SettingsChange {
        room: Some("stage".to_owned()),
        server: Some("rtmp://a".to_owned()),
        ..SettingsChange::default()
    };
    assert_eq!(app.change_settings(change).await.unwrap_err().code, ProblemCode::BadAddress);
    let token = SettingsChange { token: Some(TokenChange::Set("a".to_owned())), ..SettingsChange::default() };
    assert_eq!(app.change_settings(token).await.unwrap_err().code, ProblemCode::NoServer);
    assert_eq!(app.state().borrow().settings, before);
    assert!(!folder.path().join("settings.toml").exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pairing_link_sets_everything_and_a_link_from_elsewhere_says_so() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let app = App::start(options(folder.path())).map_err(to_error)?;
    app.pair("longtake://pair?server=http%3A%2F%2F127.0.0.1%3A9&token=correct-horse&room=stage")
        .await
        .map_err(to_error)?;
    let paired = until(&app, "paired", |state| state.settings.has_token).await?;
    assert_eq!(paired.settings.server.as_deref(), Some("http://127.0.0.1:9"));
    assert_eq!((paired.settings.room.as_str(), paired.notices.len()), ("stage", 0));
    assert_eq!(app.pair("https://example.org").await.unwrap_err().code, ProblemCode::BadPairingLink);

    app.pair_by_link("longtake://pair?server=http%3A%2F%2F127.0.0.1%3A10").await;
    let told = until(&app, "told", |state| !state.notices.is_empty()).await?;
    assert_eq!(told.notices[0].code, ProblemCode::PairedByLink);
    assert!(told.notices[0].message.contains("http://127.0.0.1:10, room stage"), "{:?}", told.notices);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_of_the_connection_uses_the_token_that_is_kept() -> Result<()> {
    let served = tempfile::tempdir()?;
    let token = ["--streaming-access-token", "correct-horse-battery"];
    let server = Server::start(served.path(), free_port()?, &token)?;
    let (app, _settings) = stage::app_for(&server.address()).await?;
    let set = TokenChange::Set("correct-horse-battery".to_owned());
    let change = SettingsChange { token: Some(set), ..SettingsChange::default() };
    app.change_settings(change).await.map_err(to_error)?;
    for (token, passes) in [(None, true), (Some("wrong-battery-staple"), false)] {
        let report =
            app.test_connection(&server.address(), token.map(Secret::new)).await.map_err(to_error)?;
        let step = report.steps.iter().find(|step| step.name == StepName::Token).unwrap();
        assert_eq!(matches!(step.outcome, StepOutcome::Passed { .. }), passes, "{step:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_level_follows_the_microphone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let app = App::start(options(folder.path())).map_err(to_error)?;
    until(&app, "delivering", |state| state.microphone.condition == Condition::Delivering).await?;
    let mut levels = app.levels();
    let heard = levels.wait_for(|level| level.rms_dbfs > -40.0);
    let level = *tokio::time::timeout(testkit::child::PATIENCE, heard).await??;
    assert!(level.peak_dbfs >= level.rms_dbfs);
    let none = SettingsChange {
        microphone: Some(Source::Device { id: "none".to_owned() }),
        ..SettingsChange::default()
    };
    app.change_settings(none).await.map_err(to_error)?;
    let state = until(&app, "closed", |state| state.microphone.condition == Condition::Closed).await?;
    assert_eq!(state.microphone.name, None);
    Ok(())
}
