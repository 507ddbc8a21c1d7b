//! `longtake publish`: capture, stream, and say whether it arrives.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use capture::{CameraChoice, DeviceKind, MicrophoneChoice, MonotonicClock, SessionClock};
use protocol::Track;
use publisher::spool::disk;
use publisher::track::Identity;
use publisher::{Publisher, Report, Storage};
use session::sources::{self, Chosen, Kind, SourceArgument};
use session::{Ended, Feed, answer_keyframe_requests, follow_network};
use tokio::sync::mpsc;

use super::watch::Watch;
use super::{device, device_key, finish, publisher_config, runtime, unix_ms};
use crate::arguments::PublishOptions;
use crate::destination::Destination;
use crate::exit::{Failure, judge};
use crate::interrupts::Interrupts;
use crate::screen::Screen;

/// What to tell the person and has not been told yet; what exceeds it is left out.
const REMARK_CAPACITY: usize = 64;

/// Publishes until the end.
pub(crate) fn run(options: PublishOptions) -> Result<(), Failure> {
    let interrupts = Interrupts::watch()?;
    let to = options.server.destination()?;
    if options.camera == options.microphone && matches!(options.camera, SourceArgument::File(_)) {
        let text = "picture and sound cannot come from the same file; give one of them another source";
        return Err(Failure::Usage(text.to_owned()));
    }
    let screen = Screen::new(options.json);
    tell_unfinished(&options.spool.folder.path(), &screen);
    for warning in capture::warnings() {
        screen.remark(&warning.to_string());
    }
    let clock = Arc::new(MonotonicClock::start());
    let started_unix_ms = unix_ms();
    let session = open(&options, clock, &screen)?;
    let key = device_key(&options.key, &screen)?;
    let mut identity =
        Identity::begin(to.room.clone(), device(options.name.as_deref()), started_unix_ms, key)?;
    if let Some(session) = options.session {
        identity.session = session;
    }
    let runtime = runtime()?;
    let outcome = runtime.block_on(Box::pin(publish(options, to, identity, session, interrupts, screen)));
    // A device that hangs must not keep the program from ending.
    runtime.shutdown_background();
    outcome
}

/// Says when earlier sessions wait to be sent.
fn tell_unfinished(spool: &Path, screen: &Screen) {
    match disk::waiting_sessions(spool).map(|sessions| sessions.len()) {
        Ok(0) => {}
        Ok(1) => {
            screen.remark("an earlier session is not complete on its server: `longtake resume` sends it")
        }
        Ok(count) => {
            screen.remark(&format!(
                "{count} earlier sessions are not complete on their servers: `longtake resume` sends them"
            ));
        }
        Err(error) => screen.remark(&format!("{}: {error}", spool.display())),
    }
}

/// Opens the devices. A device that `auto` chose and that cannot be opened gives way to the synthetic one.
fn open(
    options: &PublishOptions,
    clock: Arc<dyn SessionClock>,
    screen: &Screen,
) -> Result<capture::Session, Failure> {
    let mut camera: Chosen<CameraChoice> = sources::choose(options.camera.clone(), CameraChoice::list);
    let mut microphone: Chosen<MicrophoneChoice> =
        sources::choose(options.microphone.clone(), MicrophoneChoice::list);
    for remark in [&camera.remark, &microphone.remark].into_iter().flatten() {
        screen.remark(remark);
    }
    loop {
        let config = capture::Config {
            video: camera.choice.clone().map(|choice| options.media.video(choice)),
            audio: microphone.choice.clone().map(|choice| options.media.audio(choice)),
        };
        let error = match capture::start(&config, Arc::clone(&clock)) {
            Ok(session) => return Ok(session),
            Err(error) => error,
        };
        let remark = match failed_kind(&error) {
            Some(DeviceKind::Camera) if camera.is_automatic => {
                camera = sources::instead(error.to_string());
                &camera.remark
            }
            Some(DeviceKind::Microphone) if microphone.is_automatic => {
                microphone = sources::instead(error.to_string());
                &microphone.remark
            }
            _ => return Err(error.into()),
        };
        screen.remark(remark.as_deref().unwrap_or_default());
    }
}

/// Which device an error is about; none for a file or a setting.
fn failed_kind(error: &capture::StartError) -> Option<DeviceKind> {
    use capture::DeviceError as D;
    let capture::StartError::Device(error) = error else { return None };
    match error {
        D::NoDevice(kind)
        | D::PermissionDenied(kind)
        | D::Busy(kind)
        | D::Unplugged(kind)
        | D::Stalled(kind) => Some(*kind),
        D::NotFound { kind, .. } | D::Unsupported { kind, .. } | D::Failed { kind, .. } => Some(*kind),
        _ => None,
    }
}

async fn publish(
    options: PublishOptions,
    to: Destination,
    identity: Identity,
    session: capture::Session,
    mut interrupts: Interrupts,
    mut screen: Screen,
) -> Result<(), Failure> {
    let id = identity.session;
    let recording_url = to.server.http_url(&format!("/api/sessions/{id}/recording.mp4"));
    let mut config = publisher_config(&options.server, &to, identity);
    config.storage = Storage::Disk(options.spool.settings());
    config.rate = Some(options.rate());
    let names = [(Track::Video, session.camera_name()), (Track::Audio, session.microphone_name())];
    let tracks: Vec<Track> =
        names.iter().filter(|(_, name)| name.is_some()).map(|(track, _)| *track).collect();
    let publisher = Publisher::start(&config, &tracks)?;
    screen.started(&to, id, &recording_url, names);

    let controls = session.controls();
    tokio::spawn(answer_keyframe_requests(publisher.tells(), controls.clone()));
    tokio::spawn(follow_network(&publisher, controls.clone()));
    let (remarks, told) = mpsc::channel(REMARK_CAPACITY);
    let feed = Feed::new(session, &publisher, move |remark| {
        remarks.try_send(remark).ok();
    });
    let mut feeding = tokio::task::spawn_blocking(move || feed.run());

    let connect_timeout = options.server.connect_timeout;
    let mut watch = Watch { publisher: &publisher, screen: &mut screen, told, connect_timeout };
    let mut is_full = false;
    let (ended, refused) = tokio::select! {
        ended = &mut feeding => (Some(ended), Ok(())),
        () = interrupts.reach(1) => (None, Ok(())),
        () = rest(options.duration) => (None, Ok(())),
        () = publisher.must_stop() => {
            is_full = true;
            (None, Ok(()))
        }
        failure = watch.run() => (None, Err(failure)),
    };
    controls.stop();
    if is_full {
        watch.screen.remark("as much waits on this device's disk as may: the session is stopped");
    }
    watch.screen.remark("stopping: waiting until the server has everything; Ctrl-C again gives up");
    let ended: Ended = match ended {
        Some(ended) => ended,
        // Encoders come to their end at once; a device that hangs has until the second Ctrl-C.
        None => tokio::select! {
            ended = feeding => ended,
            () = interrupts.reach(2) => Ok(Ended::default()),
        },
    }
    .map_err(|error| Failure::Fault(format!("the thread that moves units failed: {error}")))?;
    let timeout = options.server.finish_timeout;
    let report = tokio::select! {
        report = finish(&publisher, timeout, &mut interrupts, 2) => report,
        () = watch.show_status() => publisher.report(),
    };
    screen.finished(&report, id, &recording_url, controls.stats().clock_drift.as_ref());
    if report.tracks.iter().any(|track| track.status.backlog.units > 0) {
        screen.remark("what the server does not have is kept on this device: `longtake resume` sends it");
    }
    verdict(refused, &ended, &report)
}

/// A refusal at the start outweighs what it led to; a device that failed outweighs a whole recording up to then.
fn verdict(refused: Result<(), Failure>, ended: &Ended, report: &Report) -> Result<(), Failure> {
    refused?;
    judge([report])?;
    if let Some(fault) = &ended.fault {
        return Err(Failure::Fault(fault.to_string()));
    }
    match ended.failures.first() {
        Some((_, capture::Failure::Source(error))) => Err(Failure::Device(error.to_string())),
        Some((_, failure)) => Err(Failure::Fault(failure.to_string())),
        None => Ok(()),
    }
}

async fn rest(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}
