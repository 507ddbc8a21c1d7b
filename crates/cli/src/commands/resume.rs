//! `longtake resume`: send what sessions that ended early have left on this machine.

use std::path::Path;
use std::time::Duration;

use publisher::spool::disk::{self, Listing, SpoolError, Unfinished};
use publisher::{Publisher, Report, ResumeConfig, ServerAddress};
use serde_json::json;
use tokio::sync::mpsc;

use super::watch::Watch;
use super::{finish, runtime};
use crate::arguments::ResumeOptions;
use crate::destination::Destination;
use crate::exit::{Failure, judge};
use crate::interrupts::Interrupts;
use crate::measures::mebibytes;
use crate::screen::Screen;

/// Lists, discards or sends.
pub(crate) fn run(options: &ResumeOptions) -> Result<(), Failure> {
    let folder = options.spool.path();
    if options.discard {
        return discard(options, &folder);
    }
    let unreadable = |error| Failure::Fault(format!("{}: {error}", folder.display()));
    let Listing { mut sessions, unreadable } = disk::unfinished(&folder).map_err(unreadable)?;
    for (path, reason) in &unreadable {
        eprintln!("{}: {reason}", path.display());
    }
    if !options.sessions.is_empty() {
        if let Some(absent) = options.sessions.iter().find(|id| !sessions.iter().any(|s| s.session == **id)) {
            return Err(Failure::Usage(format!("{}: there is no session {absent}", folder.display())));
        }
        sessions.retain(|session| options.sessions.contains(&session.session));
    }
    if options.list {
        list(&sessions, options.json);
        return Ok(());
    }
    sessions.retain(|session| !session.in_use);
    if sessions.is_empty() {
        eprintln!("nothing waits in {}", folder.display());
        return Ok(());
    }
    let interrupts = Interrupts::watch()?;
    let to = options.reach.destination(None)?;
    let runtime = runtime()?;
    let outcome = runtime.block_on(Box::pin(resume_all(options, &folder, &to, &sessions, interrupts)));
    runtime.shutdown_background();
    outcome
}

fn discard(options: &ResumeOptions, folder: &Path) -> Result<(), Failure> {
    for &session in &options.sessions {
        disk::discard(folder, session).map_err(|error| match error {
            SpoolError::InUse(_) => Failure::Usage(error.to_string()),
            error => Failure::Fault(error.to_string()),
        })?;
        eprintln!("session {session}: removed from this device");
    }
    Ok(())
}

fn list(sessions: &[Unfinished], as_json: bool) {
    for session in sessions {
        let Unfinished { session: id, room, server, started_unix_ms, in_use, tracks } = session;
        if as_json {
            let mut line = json!({
                "type": "listed", "session": id.to_string(), "room": room.as_str(), "server": server,
                "started_unix_ms": started_unix_ms, "in_use": in_use,
            });
            for (track, backlog) in tracks {
                line[track.name()] =
                    json!({ "units": backlog.units, "bytes": backlog.bytes, "ms": backlog.duration_ms });
            }
            println!("{line}");
            continue;
        }
        let waits: Vec<String> = tracks
            .iter()
            .map(|(track, backlog)| format!("{track} {} units, {}", backlog.units, mebibytes(backlog.bytes)))
            .collect();
        let state = if *in_use { "in use by a program that runs".to_owned() } else { waits.join("; ") };
        println!("{id}  room {room}  {server}  {state}");
    }
}

/// One after the other. A session that fails does not keep the next from being sent; the gravest failure counts.
async fn resume_all(
    options: &ResumeOptions,
    folder: &Path,
    to: &Destination,
    sessions: &[Unfinished],
    mut interrupts: Interrupts,
) -> Result<(), Failure> {
    let mut screen = Screen::new(options.json);
    let mut failures = Vec::new();
    for session in sessions {
        let resumed = tokio::select! {
            resumed = resume(options, folder, to, session, interrupts.clone(), &mut screen) => resumed,
            () = interrupts.reach(1) => {
                let text = "stopped; what was not sent waits on this device";
                return Err(Failure::Incomplete(text.to_owned()));
            }
        };
        if let Err(failure) = resumed {
            screen.remark(&format!("session {}: {failure}", session.session));
            failures.push(failure);
        }
    }
    failures.into_iter().min_by_key(Failure::code).map_or(Ok(()), Err)
}

async fn resume(
    options: &ResumeOptions,
    folder: &Path,
    to: &Destination,
    session: &Unfinished,
    mut interrupts: Interrupts,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let config = config(options, to, session);
    let server = config.server.as_ref().map_or_else(|| session.server.clone(), ServerAddress::to_string);
    screen.resuming(session, &server);
    let publisher = Publisher::resume(folder, session.session, &config)?;
    let (_nobody, told) = mpsc::channel(1);
    let connect_timeout = options.connect_timeout;
    let mut watch = Watch { publisher: &publisher, screen, told, connect_timeout };
    let report: Report = tokio::select! {
        report = finish(&publisher, Duration::ZERO, &mut interrupts, 1) => report,
        failure = watch.run() => return Err(failure),
    };
    let path = format!("/api/sessions/{}/recording.mp4", session.session);
    let recording_url = match server.parse::<ServerAddress>() {
        Ok(server) => server.http_url(&path),
        Err(_) => path,
    };
    screen.finished(&report, session.session, &recording_url, None);
    judge([&report])
}

/// Only the server that the token is for is shown it.
fn config(options: &ResumeOptions, to: &Destination, session: &Unfinished) -> ResumeConfig {
    let is_token_for = options.moved_to.is_some() || to.server.to_string() == session.server;
    ResumeConfig {
        server: options.moved_to.clone(),
        token: to.token.clone().filter(|_| is_token_for),
        own_authority: to.own_authority.clone(),
    }
}
