//! `cargo xtask demo`: a server, a publisher, and where to look. Both are stopped in order and never left behind.
//!
//! Where there is a display the publisher is the app, and a person's tap starts the session; elsewhere it is the command.

mod publisher;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use self::publisher::{Publisher, has_display};
use crate::http;
use crate::packages::{self, Purpose};
use crate::program::{Program, Signal, interrupts, watch_interrupts};
use crate::workspace::Workspace;

/// How to run the demonstration.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Stop after this many seconds instead of at Ctrl-C.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Publish by the command instead of opening the app, also where there is a display.
    #[arg(long)]
    headless: bool,
}

const ROOM: &str = "demo";
/// Below the repository's top folder.
const RECORDINGS: &str = "recordings/demo";
/// The port of longtake-ingest when nobody says otherwise.
const DEFAULT_PORT: u16 = 8000;

const READY_WITHIN: Duration = Duration::from_secs(30);
const SESSION_WITHIN: Duration = Duration::from_secs(15);
const SERVER_STOPS_WITHIN: Duration = Duration::from_secs(20);

/// Builds and runs both programs until Ctrl-C, `--seconds`, or the end of one of them.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    packages::ensure(Purpose::Build)?;
    let publisher = if options.headless || !has_display(|name| std::env::var_os(name)) {
        Publisher::Command
    } else {
        Publisher::App
    };
    publisher.build(workspace)?;
    watch_interrupts()?;
    let port = free_port(wanted_port()?)?;
    let mut server = start_server(workspace, port)?;
    wait_until_ready(&mut server, port)?;
    let earlier = sessions(port)?;
    let mut publishing = publisher.start(workspace, port)?;

    match publisher {
        Publisher::App => announce_app(port, options),
        Publisher::Command => {
            if let Some(session) = find_session(&mut server, &mut publishing, port, &earlier)? {
                announce_session(port, &session, options);
            }
        }
    }
    let ended_early = watch(&mut server, &mut publishing, options.seconds)?;

    println!("Stopping.");
    let published = publisher.stop(&mut publishing);
    // A session's id begins with its time, so that the last one is the newest.
    let session = match server.ended()? {
        None => sessions(port)?.difference(&earlier).max().cloned(),
        Some(_) => None,
    };
    let saved = match (&published, &session) {
        (Ok(()), Some(session)) => save_recording(workspace, port, session).map(Some),
        _ => Ok(None),
    };
    let served = stop(&mut server, Signal::Terminate, SERVER_STOPS_WITHIN);

    // The app's end is how a person ends the demonstration.
    if let Some(name) = ended_early
        && !(publisher == Publisher::App && name == publishing.name())
    {
        println!("{name} ended by itself.");
    }
    published?;
    served?;
    if session.is_none() && publisher == Publisher::Command {
        bail!("the server never listed a session for this publisher");
    }
    if let Some(recording) = saved? {
        // The command has to work from the folder that the reader is in: the top folder.
        println!("The server's own files: {RECORDINGS}");
        println!("The recording: {}", recording.display());
        println!("Play it with: ffplay {}", recording.display());
    }
    Ok(())
}

fn wanted_port() -> anyhow::Result<u16> {
    match std::env::var("PORT") {
        Ok(port) => port.parse().with_context(|| format!("PORT is not a port: {port:?}")),
        Err(_) => Ok(DEFAULT_PORT),
    }
}

/// `wanted` if nobody listens there, else any free port.
fn free_port(wanted: u16) -> anyhow::Result<u16> {
    if TcpListener::bind(("127.0.0.1", wanted)).is_ok() {
        return Ok(wanted);
    }
    let free = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    println!("Port {wanted} is busy; the server takes {free} instead.");
    Ok(free)
}

/// One of our programs, without an access token: the addresses printed here must work in any browser on this machine.
fn ours(workspace: &Workspace, name: &str) -> Command {
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let program = workspace.target_dir().join("release").join(file);
    let mut command = Command::new(program);
    command.current_dir(workspace.root()).env_remove("STREAMING_ACCESS_TOKEN");
    command
}

fn start_server(workspace: &Workspace, port: u16) -> anyhow::Result<Program> {
    let mut command = ours(workspace, "longtake-ingest");
    command.env("PORT", port.to_string()).args(["--data-dir", &format!("./{RECORDINGS}"), "--no-pairing"]);
    Program::start("longtake-ingest", &command)
}

fn wait_until_ready(server: &mut Program, port: u16) -> anyhow::Result<()> {
    let start = Instant::now();
    while start.elapsed() < READY_WITHIN {
        if let Some(status) = server.ended()? {
            bail!("{} ended before it was ready: {status}", server.name());
        }
        if interrupts() > 0 {
            bail!("interrupted before the server was ready");
        }
        if http::get(port, "/ready").is_ok_and(|answer| answer.status == 200) {
            return Ok(());
        }
        sleep(Duration::from_millis(50));
    }
    bail!("{} was not ready within {READY_WITHIN:?}", server.name())
}

/// The ids of the sessions that the server knows.
fn sessions(port: u16) -> anyhow::Result<BTreeSet<String>> {
    let answer = http::get(port, "/api/sessions")?;
    if answer.status != 200 {
        bail!("/api/sessions answered {}", answer.status);
    }
    Ok(session_ids(&answer.json()?))
}

fn session_ids(json: &serde_json::Value) -> BTreeSet<String> {
    let sessions = json["sessions"].as_array().into_iter().flatten();
    sessions.filter_map(|session| session["id"].as_str()).map(str::to_owned).collect()
}

/// The session that our publisher has opened, or `None` if it does not appear before something ends.
fn find_session(
    server: &mut Program,
    publisher: &mut Program,
    port: u16,
    earlier: &BTreeSet<String>,
) -> anyhow::Result<Option<String>> {
    let start = Instant::now();
    while start.elapsed() < SESSION_WITHIN && interrupts() == 0 && server.ended()?.is_none() {
        if let Some(session) = sessions(port)?.difference(earlier).next() {
            return Ok(Some(session.clone()));
        }
        if publisher.ended()?.is_some() {
            break;
        }
        sleep(Duration::from_millis(100));
    }
    Ok(None)
}

/// Tells what to do in the app's window.
fn announce_app(port: u16, options: &Options) {
    println!();
    println!(
        "The app is open. Its large button starts a session; close its window to end the demonstration."
    );
    println!("Watch it live:  http://127.0.0.1:{port}/watch/{ROOM}");
    println!("All recordings: http://127.0.0.1:{port}/");
    println!("Files on disk:  {RECORDINGS}");
    announce_end(options);
}

/// Tells where the session is to be seen.
fn announce_session(port: u16, session: &str, options: &Options) {
    println!();
    println!("Watch it live:  http://127.0.0.1:{port}/watch/{ROOM}");
    println!("All recordings: http://127.0.0.1:{port}/");
    println!("Its recording:  http://127.0.0.1:{port}/api/sessions/{session}/recording.mp4");
    println!("Files on disk:  {RECORDINGS}");
    announce_end(options);
}

fn announce_end(options: &Options) {
    match options.seconds {
        Some(seconds) => println!("Stops after {seconds} s, or at Ctrl-C."),
        None => println!("Stop with Ctrl-C."),
    }
    println!();
}

/// Returns when it is time to stop, with the name of a program that ended by itself.
fn watch(
    server: &mut Program,
    publisher: &mut Program,
    seconds: Option<u64>,
) -> anyhow::Result<Option<&'static str>> {
    let start = Instant::now();
    loop {
        for program in [&mut *server, &mut *publisher] {
            if program.ended()?.is_some() {
                return Ok(Some(program.name()));
            }
        }
        let is_over = seconds.is_some_and(|seconds| start.elapsed() >= Duration::from_secs(seconds));
        if is_over || interrupts() > 0 {
            return Ok(None);
        }
        sleep(Duration::from_millis(50));
    }
}

/// Asks the program to stop and waits for its end; a second Ctrl-C or the limit ends the patience.
///
/// # Errors
/// When the program reported a failure or had to be killed.
fn stop(program: &mut Program, signal: Signal, limit: Duration) -> anyhow::Result<()> {
    let before = interrupts().max(1);
    program.ask_to_stop(signal)?;
    match program.wait(limit, || interrupts() > before)? {
        Some(status) if status.success() => Ok(()),
        Some(status) => bail!("{} failed: {status}", program.name()),
        None => {
            program.kill()?;
            bail!("{} did not stop when asked and was killed", program.name())
        }
    }
}

/// Keeps the recording as one file, because the server that makes it from its parts is about to stop.
fn save_recording(workspace: &Workspace, port: u16, session: &str) -> anyhow::Result<PathBuf> {
    let path = Path::new("recordings").join(format!("demo-{session}.mp4"));
    let answer = http::get(port, &format!("/api/sessions/{session}/recording.mp4"))?;
    if answer.status != 200 {
        bail!("the recording cannot be fetched: the server answered {}", answer.status);
    }
    answer.save(&workspace.root().join(&path))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ids_are_found_in_the_list() {
        let json = serde_json::json!({"sessions": [{"id": "a"}, {"id": "b"}], "next_before": null});
        assert_eq!(session_ids(&json), BTreeSet::from(["a".to_owned(), "b".to_owned()]));
        assert!(session_ids(&serde_json::json!({})).is_empty());
    }

    #[test]
    fn a_busy_port_is_replaced_by_a_free_one() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let busy = listener.local_addr().expect("bound").port();
        let free = free_port(busy).expect("another port");
        assert_ne!(free, busy);
    }
}
