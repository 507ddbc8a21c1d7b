//! The pairing link is for whoever sits at the terminal: the program shows it there, and nowhere else.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};

use protocol::Secret;
use protocol::pairing::PairingLink;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

const TOKEN: &str = "token-aXzQ81";
const ROOM: &str = "stage";

fn program(args: &[&str], folder: &tempfile::TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longtake-ingest"));
    command.current_dir(folder.path()).env_clear().env("STREAMING_ACCESS_TOKEN", TOKEN);
    // As tcsh and conda set it; once it was taken for the address to listen on.
    command.env("HOST", "the-machines-name");
    command.args(["--listen", "127.0.0.1", "--data-dir", "d", "--pairing-room", ROOM]).args(args);
    command
}

/// A terminal of which we are the keyboard and the screen.
fn terminal() -> (File, File) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let path = ptsname(&ours, Vec::new()).unwrap();
    let theirs = File::options().read(true).write(true).open(path.to_str().unwrap()).unwrap();
    (File::from(ours), theirs)
}

/// Reads until the text is there, or to the end. A terminal's end is an error (EIO).
fn read_until(screen: &mut File, shown: &mut String, wanted: &str) {
    let mut bytes = [0; 4_096];
    while !shown.contains(wanted) {
        match screen.read(&mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(length) => shown.push_str(&String::from_utf8_lossy(&bytes[..length])),
        }
    }
}

fn stop(child: &Child) {
    kill_process(Pid::from_child(child), Signal::TERM).unwrap();
}

/// What a server with its output on a terminal shows until it is asked to stop.
fn shown_on_a_terminal(args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (mut screen, theirs) = terminal();
    let mut command = program(&["--port", "0"], &folder);
    let mut child = command.args(args).stdout(theirs).stderr(Stdio::null()).spawn().unwrap();
    // The command keeps its copy of the terminal, whose end would never come.
    drop(command);
    let mut shown = String::new();
    read_until(&mut screen, &mut shown, "listens on");
    stop(&child);
    read_until(&mut screen, &mut shown, "no end is shown");
    assert!(child.wait().unwrap().success(), "{shown}");
    shown
}

#[test]
fn a_terminal_shows_the_link_at_the_start() {
    let shown = shown_on_a_terminal(&[]);
    let link = shown.split_whitespace().find(|word| word.starts_with("longtake://")).expect(&shown);
    let link: PairingLink = link.parse().unwrap();
    let port = link.server.strip_prefix("http://127.0.0.1:").expect(&shown);
    assert!(shown.contains(&format!("listens on http://127.0.0.1:{port}")), "{shown}");
    assert_eq!(link.token.as_ref().map(Secret::expose), Some(TOKEN));
    assert_eq!(link.room.unwrap().as_str(), ROOM);
    assert!(shown.contains("whoever has it") && shown.contains("this machine only"), "{shown}");
    assert!(!shown.contains('█'), "a code for nobody's camera: {shown}");
}

#[test]
fn a_terminal_shows_a_code_when_other_devices_can_use_it() {
    let shown = shown_on_a_terminal(&["--public-url", "https://cam.example"]);
    let link = "longtake://pair?server=https%3A%2F%2Fcam.example&token=token-aXzQ81&room=stage";
    assert!(shown.contains('█') && shown.contains(link), "{shown}");
}

#[test]
fn whoever_does_not_want_it_or_reads_json_is_not_shown_it() {
    for args in [&["--no-pairing"][..], &["--log-format", "json"]] {
        let shown = shown_on_a_terminal(args);
        assert!(shown.contains("listens on"), "{shown}");
        assert!(!shown.contains("longtake://") && !shown.contains(TOKEN), "{args:?}: {shown}");
    }
}

#[test]
fn a_log_without_a_terminal_holds_neither_link_nor_token() {
    let folder = tempfile::tempdir().unwrap();
    let output = {
        let mut command = program(&["--port", "0"], &folder);
        command.env("RUST_LOG", "trace").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = String::new();
        let mut pipe = child.stdout.take().unwrap();
        let mut bytes = [0; 4_096];
        while !log.contains("listens on") {
            let length = pipe.read(&mut bytes).unwrap();
            assert!(length > 0, "{log}");
            log.push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
        stop(&child);
        pipe.read_to_string(&mut log).unwrap();
        let rest = child.wait_with_output().unwrap();
        assert!(rest.status.success(), "{log}");
        log + &String::from_utf8_lossy(&rest.stderr)
    };
    assert!(output.contains("listens on") && output.contains("  debug  "), "{output}");
    assert!(!output.contains("longtake://") && !output.contains(TOKEN), "{output}");
}

#[test]
fn the_command_gives_the_link_alone_to_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let output = program(&["pair", "--port", "9000"], &folder).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let expected = "longtake://pair?server=http%3A%2F%2F127.0.0.1%3A9000&token=token-aXzQ81&room=stage\n";
    assert_eq!(text, expected);
    assert!(!folder.path().join("d").exists(), "nothing is made");
    let output = program(&["pair", "--port", "0"], &folder).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("only the running server knows its port"));
}
