//! The app against the real ingest server: what it says is true of what is recorded.
#![allow(clippy::unwrap_used)]

mod stage;

use std::fs;

use anyhow::Result;
use app::CloseAnswer;
use app::api::{
    Condition, ProblemCode, Quality, SessionPhase, SettingsChange, Source, State, TokenChange, Track,
    TrackPhase, UnfinishedPhase, WhenFull,
};
use protocol::api::SessionStatus;
use protocol::control::EventKind;
use stage::{SMALL, app_for, both, new_picture, options, to_error, until, until_live};
use testkit::child::{Server, free_port};
use testkit::ffmpeg;

fn phase(state: &State) -> Option<&SessionPhase> {
    state.session.as_ref().map(|session| &session.phase)
}

fn is_complete(state: &State) -> bool {
    phase(state) == Some(&SessionPhase::Complete)
}

fn units(track: &Option<Track>) -> (u64, u64) {
    let arrival = track.as_ref().unwrap().arrival;
    (arrival.units, arrival.durable_units)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_survives_the_server_and_ends_complete() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let mut server = Server::start(folder.path(), port, &[])?;
    let (app, _settings) = app_for(&server.address()).await?;
    app.start_session().await.map_err(to_error)?;
    until_live(&app).await?;
    let figures = until(&app, "measured", |state| {
        let rate = |track: &Option<Track>| track.as_ref().is_some_and(|track| track.bitrate_bps > 0);
        state.session.as_ref().is_some_and(|session| rate(&session.video) && rate(&session.audio))
    });
    let session = figures.await?.session.unwrap();
    assert!(session.video.unwrap().encoder_load > 0.0);

    server.process.kill()?;
    until(&app, "offline", |state| both(state, |phase| matches!(phase, TrackPhase::Offline { .. }))).await?;
    new_picture(&app).await?;
    let kept = until(&app, "keeping units", |state| {
        state.session.as_ref().is_some_and(|session| session.video.as_ref().unwrap().arrival.backlog_ms > 500)
    });
    assert_eq!(phase(&kept.await?), Some(&SessionPhase::Running));

    let server = Server::start(folder.path(), port, &[])?;
    app.reconnect().await.map_err(to_error)?;
    until_live(&app).await?;
    app.stop().await.map_err(to_error)?;
    let session = until(&app, "complete", is_complete).await?.session.unwrap();

    let recorded = server.api.session(session.id)?;
    assert_eq!(recorded.status, SessionStatus::Completed);
    for (shown, recorded) in [(&session.video, recorded.video), (&session.audio, recorded.audio)] {
        let recorded = recorded.unwrap();
        assert_eq!(units(shown), (recorded.units, recorded.units));
        assert!(recorded.gaps.is_empty() && recorded.units > 0);
    }
    let file = folder.path().join("recording.mp4");
    fs::write(&file, server.api.recording(session.id)?)?;
    ffmpeg::decode_silently(&file)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_while_live_stays_one_recording_and_is_told_in_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), free_port()?, &[])?;
    let (app, _settings) = app_for(&server.address()).await?;
    app.start_session().await.map_err(to_error)?;
    until_live(&app).await?;

    let delivering = |state: &State| state.camera.condition == Condition::Delivering;
    let quality = Quality { width: 640, height: 360, video_bitrate_bps: 700_000, ..SMALL };
    let change = SettingsChange { quality: Some(quality), ..SettingsChange::default() };
    app.change_settings(change).await.map_err(to_error)?;
    until(&app, "delivering again", delivering).await?;
    new_picture(&app).await?;
    app.set_muted(true).await.map_err(to_error)?;
    app.set_camera_on(false).await.map_err(to_error)?;
    let off = until(&app, "off", |state| state.camera.condition == Condition::Closed).await?;
    assert!(!off.camera.on && !off.microphone.on);
    new_picture(&app).await?;
    app.set_camera_on(true).await.map_err(to_error)?;
    app.set_muted(false).await.map_err(to_error)?;
    until(&app, "on again", delivering).await?;
    new_picture(&app).await?;
    // The very picture that is there may still be on its way to the encoder.
    let change = SettingsChange { camera: Some(Source::Synthetic), ..SettingsChange::default() };
    app.change_settings(change).await.map_err(to_error)?;
    until(&app, "switched", delivering).await?;
    new_picture(&app).await?;

    app.stop().await.map_err(to_error)?;
    let session = until(&app, "complete", is_complete).await?.session.unwrap();
    let recorded = server.api.session(session.id)?;
    let kinds = |track: Option<protocol::api::TrackState>| -> Vec<EventKind> {
        track.unwrap().events.iter().map(|event| event.kind).collect()
    };
    assert_eq!(kinds(recorded.video), [EventKind::QualityChanged, EventKind::Muted, EventKind::Unmuted]);
    assert_eq!(kinds(recorded.audio), [EventKind::Muted, EventKind::Unmuted]);
    let file = folder.path().join("recording.mp4");
    fs::write(&file, server.api.recording(session.id)?)?;
    ffmpeg::decode_silently(&file)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_said_and_the_right_one_heals_the_session() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let token = ["--streaming-access-token", "correct-horse-battery"];
    let server = Server::start(folder.path(), free_port()?, &token)?;
    let (app, _settings) = app_for(&server.address()).await?;
    let set = |token: &str| SettingsChange {
        token: Some(TokenChange::Set(token.to_owned())),
        ..SettingsChange::default()
    };
    app.change_settings(set("wrong")).await.map_err(to_error)?;
    app.start_session().await.map_err(to_error)?;
    let refused = |phase: &TrackPhase| {
        matches!(phase, TrackPhase::Refused { problem }
            if problem.code == ProblemCode::Unauthorized && problem.message.contains("in the settings"))
    };
    until(&app, "refused", |state| both(state, refused)).await?;
    new_picture(&app).await?;
    // Stopping does not lose what a person can still rescue.
    app.stop().await.map_err(to_error)?;
    until(&app, "finishing", |state| phase(state) == Some(&SessionPhase::Finishing)).await?;
    app.change_settings(set("correct-horse-battery")).await.map_err(to_error)?;
    let session = until(&app, "complete", is_complete).await?.session.unwrap();
    assert!(units(&session.video).0 > 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_is_recorded_while_the_camera_is_missing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), free_port()?, &[])?;
    let (app, _settings) = app_for(&server.address()).await?;
    let camera = Some(Source::Device { id: "no-such-camera".to_owned() });
    app.change_settings(SettingsChange { camera, ..SettingsChange::default() }).await.map_err(to_error)?;
    let failed = until(&app, "failed", |state| matches!(state.camera.condition, Condition::Failed { .. }));
    let Condition::Failed { problem } = failed.await?.camera.condition else { panic!("failed") };
    assert!(matches!(problem.code, ProblemCode::DeviceNotFound | ProblemCode::NoDevice), "{problem:?}");

    app.start_session().await.map_err(to_error)?;
    let track_phase = |track: &Option<Track>| track.as_ref().map(|track| track.phase.clone());
    let state = until(&app, "live", |state| {
        state.session.as_ref().is_some_and(|session| track_phase(&session.audio) == Some(TrackPhase::Live))
    });
    assert_eq!(track_phase(&state.await?.session.unwrap().video), Some(TrackPhase::Waiting));
    app.stop().await.map_err(to_error)?;
    let session = until(&app, "complete", is_complete).await?.session.unwrap();
    assert_eq!(units(&session.video), (0, 0));
    assert!(server.api.session(session.id)?.audio.unwrap().finished);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_window_closes_when_everything_is_on_the_server() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let mut server = Server::start(folder.path(), port, &[])?;
    let (app, _settings) = app_for(&server.address()).await?;
    assert!(app.may_close());
    app.start_session().await.map_err(to_error)?;
    until_live(&app).await?;
    assert!(!app.may_close());
    app.ask_to_close();
    until(&app, "closing", |state| state.closing).await?;
    app.close(CloseAnswer::Keep).await.map_err(to_error)?;
    until(&app, "kept", |state| !state.closing && phase(state) == Some(&SessionPhase::Running)).await?;

    server.process.kill()?;
    until(&app, "offline", |state| both(state, |phase| matches!(phase, TrackPhase::Offline { .. }))).await?;
    app.ask_to_close();
    until(&app, "closing", |state| state.closing).await?;
    app.close(CloseAnswer::Finish).await.map_err(to_error)?;
    until(&app, "finishing", |state| phase(state) == Some(&SessionPhase::Finishing)).await?;
    // Who asks again is asked again.
    assert!(!app.may_close());
    app.ask_to_close();
    until(&app, "closing", |state| state.closing).await?;
    app.close(CloseAnswer::Finish).await.map_err(to_error)?;
    let _server = Server::start(folder.path(), port, &[])?;
    tokio::time::timeout(testkit::child::PATIENCE, app.closed()).await?;
    assert!(app.may_close());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_wait_is_told_what_is_missing_and_it_is_sent_later() -> Result<()> {
    let port = free_port()?;
    let (app, _settings) = app_for(&format!("127.0.0.1:{port}")).await?;
    app.start_session().await.map_err(to_error)?;
    assert_eq!(app.start_session().await.unwrap_err().code, ProblemCode::NotNow);
    assert_eq!(app.dismiss().await.unwrap_err().code, ProblemCode::NotNow);
    until(&app, "keeping units", |state| {
        state
            .session
            .as_ref()
            .is_some_and(|session| units(&session.video).0 > 0 && units(&session.audio).0 > 0)
    })
    .await?;
    app.stop().await.map_err(to_error)?;
    app.dismiss().await.map_err(to_error)?;
    let ended = until(&app, "ended", |state| matches!(phase(state), Some(SessionPhase::Incomplete { .. })));
    let Some(SessionPhase::Incomplete { problem }) = phase(&ended.await?).cloned() else { panic!("ended") };
    assert_eq!(problem.code, ProblemCode::UnitsLost);
    assert!(problem.message.contains("pictures") && problem.message.contains("sound packets"), "{problem:?}");
    app.dismiss().await.map_err(to_error)?;
    until(&app, "dismissed", |state| state.session.is_none()).await?;
    assert_eq!(app.stop().await.unwrap_err().code, ProblemCode::NotNow);

    let waiting = until(&app, "listed", |state| !state.unfinished.is_empty()).await?;
    let [session] = &waiting.unfinished[..] else { panic!("{:?}", waiting.unfinished) };
    assert!(session.backlog_bytes > 0 && session.phase == UnfinishedPhase::Waiting, "{session:?}");
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), port, &[])?;
    until(&app, "sent", |state| state.unfinished.is_empty()).await?;
    let sent = server.api.session(session.id)?;
    assert_eq!(sent.status, SessionStatus::Completed);
    for track in [sent.video, sent.audio].into_iter().flatten() {
        assert!(track.units > 0 && track.durable_units == track.units);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_finds_the_server_on_this_machine() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), free_port()?, &[])?;
    let settings = tempfile::tempdir()?;
    let mut options = options(settings.path());
    options.local_ports = vec![free_port()?, server.port];
    let app = app::App::start(options).map_err(to_error)?;
    assert_eq!(app.start_session().await.unwrap_err().code, ProblemCode::NoServer);
    let found = until(&app, "found", |state| state.local_server.is_some()).await?;
    assert_eq!(found.local_server, Some(format!("127.0.0.1:{}", server.port)));
    app.use_local_server().await.map_err(to_error)?;
    let used = until(&app, "used", |state| state.settings.server.is_some()).await?;
    assert_eq!((used.settings.server, used.local_server), (found.local_server, None));
    app.start_session().await.map_err(to_error)?;
    until_live(&app).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_place_on_this_device_is_told_and_what_was_chosen_is_done() -> Result<()> {
    // Nobody listens there.
    let (app, _folder) = app_for(&format!("http://127.0.0.1:{}", free_port()?)).await?;
    let big = Quality { width: 640, height: 360, video_bitrate_bps: 6_000_000, ..SMALL };
    let change = |when_full| SettingsChange {
        quality: Some(big),
        spool_bytes: Some(1 << 20),
        when_full: Some(when_full),
        ..SettingsChange::default()
    };
    let lost = |state: &State| {
        let video = state.session.as_ref().and_then(|session| session.video.as_ref());
        video.map_or(0, |video| video.arrival.lost_units)
    };
    let told = |state: &State| Some(state.session.as_ref()?.storage.as_ref()?.code);

    app.change_settings(change(WhenFull::DropOldest)).await.map_err(to_error)?;
    app.start_session().await.map_err(to_error)?;
    until(&app, "short of room", |state| told(state) == Some(ProblemCode::DeviceStorageLow)).await?;
    let full = until(&app, "without the oldest pictures", |state| lost(state) > 0).await?;
    assert_eq!(full.session.map(|session| session.phase), Some(SessionPhase::Running));
    app.stop().await.map_err(to_error)?;
    until(&app, "stopped", |state| {
        state.session.as_ref().is_some_and(|session| session.phase == SessionPhase::Finishing)
    })
    .await?;
    app.dismiss().await.map_err(to_error)?;

    app.change_settings(change(WhenFull::Stop)).await.map_err(to_error)?;
    app.start_session().await.map_err(to_error)?;
    let stopped = until(&app, "stopped by itself", |state| {
        state.notices.iter().any(|notice| notice.code == ProblemCode::DeviceStorage)
    })
    .await?;
    assert_eq!(lost(&stopped), 0, "nothing of it is lost");
    Ok(())
}
