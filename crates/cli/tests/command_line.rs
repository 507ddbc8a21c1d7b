//! The built program as scripts see it: exit codes, and one line that says what to do.

#![allow(clippy::unwrap_used)]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output};

fn longtake(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longtake"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LONGTAKE_")) {
        command.env_remove(name);
    }
    command.env("LONGTAKE_SPOOL", concat!(env!("CARGO_TARGET_TMPDIR"), "/spool"));
    command.env_remove("STREAMING_ACCESS_TOKEN").current_dir(std::env::temp_dir()).args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    longtake(arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// An address at which nothing listens.
fn nobody() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("127.0.0.1:{port}")
}

#[test]
fn wrong_arguments_end_with_code_2_and_say_what_is_right() {
    for (arguments, hint) in [
        (&["publish", "--server", "ftp://a"][..], "write http://, https://, ws:// or wss://"),
        (&["publish", "--quality", "4k"], "360p, 540p, 720p or 1080p"),
        (&["publish", "--video-bitrate", "fast"], "800k, 2M or 2000000"),
        (&["publish", "--duration", "soon"], "60s, 5m or 1h"),
        (&["publish", "--room", "../etc"], "a room name has"),
        (&["publish", "--session", "1"], "a session id is a UUID"),
        (&["publish", "--camera", "none", "--microphone", "none"], "nothing to capture"),
        (&["publish", "--camera", "-", "--microphone", "-"], "cannot come from the same file"),
        (&["publish", "--camera", "synthetic", "--microphone", "none", "--fps", "1000"], "1 to 120 frames"),
        (&["load", "-n", "0"], "1..=10000"),
        (&["load", "-n", "1", "--server", "https://media.example.org"], "--i-run-that-server"),
        (&["publish", "--spool-bytes", "much"], "512M or 4G"),
        (&["publish", "--spool-full", "burst"], "stop, drop"),
        (&["resume", "--discard"], "SESSION"),
        (&["dance"], "dance"),
        (&["--log", "a=b=c", "devices"], "--log"),
    ] {
        let output = run(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", errors(&output));
        assert!(errors(&output).contains(hint), "{arguments:?}: {}", errors(&output));
    }
}

#[test]
fn help_names_the_exit_codes() {
    let output = run(&["--help"]);
    assert_eq!(code(&output), 0);
    assert!(String::from_utf8(output.stdout).unwrap().contains("5  incomplete"));
}

#[test]
fn devices_are_listed_for_people_and_for_scripts_alike() {
    let (plain, json) = (run(&["devices"]), run(&["devices", "--json"]));
    assert_eq!(code(&plain), code(&json));
    let text = String::from_utf8(plain.stdout).unwrap();
    assert!(text.contains("Cameras:\n") && text.contains("Microphones:\n"), "{text}");
    let object: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let listed = ["cameras", "microphones"].map(|kind| object[kind].as_array().cloned().unwrap_or_default());
    for device in listed.iter().flatten() {
        assert!(
            text.contains(device["id"].as_str().unwrap()) && text.contains(device["name"].as_str().unwrap())
        );
    }
    let expected = if listed.iter().all(Vec::is_empty) { 4 } else { 0 };
    assert_eq!(code(&json), expected);
}

#[test]
fn a_device_or_file_that_is_not_there_ends_with_code_4() {
    for (arguments, hint) in [
        (["--camera", "no-such-camera", "--microphone", "none"], "no-such-camera"),
        (["--camera", "file:/does/not/exist.y4m", "--microphone", "none"], "/does/not/exist.y4m"),
        (["--camera", "none", "--microphone", "file:/does/not/exist.wav"], "/does/not/exist.wav"),
    ] {
        let output = longtake(&["publish", "--server", &nobody()]).args(arguments).output().unwrap();
        assert_eq!(code(&output), 4, "{}", errors(&output));
        assert!(errors(&output).contains(hint), "{}", errors(&output));
    }
}

#[test]
fn a_server_that_is_not_there_ends_with_code_3_and_keeps_the_token_secret() {
    let synthetic = ["--camera", "synthetic", "--microphone", "synthetic", "--quality", "360p"];
    let times = ["--connect-timeout", "200ms", "--finish-timeout", "100ms", "--log", "trace"];
    let server = nobody();
    let output = longtake(&["publish", "--json", "--server", &server])
        .args(synthetic)
        .args(times)
        .env("STREAMING_ACCESS_TOKEN", "correct-horse")
        .output()
        .unwrap();
    assert_eq!(code(&output), 3, "{}", errors(&output));
    assert!(errors(&output).contains("is the server running?"), "{}", errors(&output));
    assert!(!errors(&output).contains("correct-horse"));
    let lines: Vec<serde_json::Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.first().unwrap()["type"], "started");
    assert_eq!(lines.first().unwrap()["camera"], "Synthetic camera");
    let last = lines.last().unwrap();
    assert_eq!((&last["type"], &last["whole"]), (&"finished".into(), &false.into()));
    assert!(last["video"]["backlog_units"].as_u64().unwrap() > 0, "what was captured was kept: {last}");
}

#[test]
fn a_server_that_refuses_the_token_ends_with_code_3_and_no_log_level_shows_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            assert!(String::from_utf8(request).unwrap().contains("Bearer correct-horse"));
            let answer = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let output = longtake(&["publish", "--camera", "none", "--microphone", "synthetic", "--log", "trace"])
        .args(["--server", &address])
        .env("LONGTAKE_TOKEN", "correct-horse")
        .output()
        .unwrap();
    assert_eq!(code(&output), 3, "{}", errors(&output));
    assert!(errors(&output).contains("LONGTAKE_TOKEN"), "{}", errors(&output));
    assert!(!errors(&output).contains("correct-horse"), "{}", errors(&output));
}

#[test]
fn settings_come_from_the_environment_and_from_a_file_by_the_same_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("longtake.toml");
    std::fs::write(&file, "quality = \"4k\"\n").unwrap();
    let output = longtake(&["publish"]).current_dir(folder.path()).output().unwrap();
    assert_eq!(code(&output), 2);
    assert!(
        errors(&output).contains("longtake.toml") && errors(&output).contains("quality"),
        "{}",
        errors(&output)
    );
    let output = longtake(&["publish"]).env("LONGTAKE_QUALITY", "4k").output().unwrap();
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("720p"), "{}", errors(&output));
}
