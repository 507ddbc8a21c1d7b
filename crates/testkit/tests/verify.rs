//! From a published session to `longtake verify`, with the shipped programs.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use media::mp4::{Contents, StoredUnit, read_recording};
use protocol::api::{ServerKey, Session};
use protocol::{SessionId, Track};
use testkit::child::{Running, Server, check_files, free_port};

const PATIENCE: Duration = Duration::from_secs(60);

/// Publishes three seconds of made-up devices; with what the program said at the end.
fn publish(server: &Server, folder: &Path) -> Result<(Session, String)> {
    let address = server.address();
    let data = folder.join("device");
    let args = [
        &["publish", "--server", &address, "--camera", "synthetic", "--microphone", "synthetic"][..],
        &["--width", "320", "--height", "180", "--video-bitrate", "500000", "--duration", "3s"],
        &["--data-dir", data.to_str().unwrap()],
    ];
    let mut publisher = Running::start("longtake", &args.concat(), &[])?;
    let status = publisher.wait(PATIENCE)?;
    ensure!(status.success(), "longtake publish: {status}; it said:\n{}", publisher.output());
    Ok((server.api.sessions()?.remove(0), publisher.output()))
}

/// Runs `longtake verify`; its exit code and what it said.
fn verify(args: &[&str]) -> Result<(Option<i32>, String)> {
    let mut verify = Running::start("longtake", &[&["verify"], args].concat(), &[])?;
    let status = verify.wait(PATIENCE)?;
    Ok((status.code(), verify.output()))
}

fn certificate(server: &Server, id: SessionId) -> Result<Vec<u8>> {
    let (status, body) = server.api.get(&format!("/api/sessions/{id}/certificate"))?;
    ensure!(status == 200, "status {status}: {}", String::from_utf8_lossy(&body));
    Ok(body)
}

fn find(contents: &Contents, track: Track, number: u64) -> StoredUnit {
    *contents.units.iter().find(|unit| (unit.track, unit.number) == (track, number)).unwrap()
}

#[test]
fn a_recording_is_verified_and_what_is_wrong_with_a_file_is_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("server"), free_port()?, &[])?;
    let (session, said) = publish(&server, folder.path())?;
    let (video, audio) = (session.video.unwrap().units, session.audio.unwrap().units);
    ensure!(said.contains(&format!("video: complete: {video} of {video} units, digest ")), "{said}");

    let (_, key) = server.api.get("/api/server-key")?;
    let key = serde_json::from_slice::<ServerKey>(&key)?.server_key.to_string();
    let whole =
        format!("complete: {video} of {video} video units, {audio} of {audio} audio units, signed by {key}");
    let url = format!("http://127.0.0.1:{}/api/sessions/{}", server.port, session.id);
    let (code, said) = verify(&[&url, "--server-key", &key])?;
    ensure!(code == Some(0) && said.trim() == whole, "{said}");

    let recording = server.api.recording(session.id)?;
    let contents = read_recording(&recording)?;
    let paths = ["recording.mp4", "certificate.json"].map(|name| folder.path().join(name));
    let [file, signed] = paths.each_ref().map(|path| path.to_str().unwrap());
    let certificate = certificate(&server, session.id)?;
    fs::write(signed, &certificate)?;
    let check = |bytes: &[u8]| -> Result<(Option<i32>, String)> {
        fs::write(file, bytes)?;
        verify(&[file, "--certificate", signed])
    };
    let (code, said) = check(&recording)?;
    ensure!(code == Some(0) && said.trim() == whole, "{said}");

    // One byte of one unit.
    for (track, number) in [(Track::Video, 17), (Track::Audio, 33)] {
        let unit = find(&contents, track, number);
        let mut altered = recording.clone();
        altered[unit.offset as usize + unit.bytes as usize / 2] ^= 0x20;
        let (code, said) = check(&altered)?;
        ensure!(code == Some(1) && said.contains(&format!("{track} unit {number} is altered\n")), "{said}");
        ensure!(said.contains("not complete: ") && said.lines().count() == 2, "{said}");
    }

    // One unit's bytes cut out, wherever it lies; and the end of the file.
    let last = contents.units.last().unwrap();
    for unit in [find(&contents, Track::Video, 20), contents.units[0], *last] {
        let mut cut = recording.clone();
        cut.drain(unit.offset as usize..unit.offset as usize + unit.bytes as usize);
        let (code, said) = check(&cut)?;
        let missing = format!("{} unit {} is missing from the file\n", unit.track, unit.number);
        ensure!(code == Some(1) && said.contains(&missing) && said.lines().count() == 2, "{missing}{said}");
    }

    // Keys and certificates.
    let stranger = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let (code, said) = verify(&[&url, "--server-key", stranger])?;
    ensure!(code == Some(1) && said.contains("signed by another server") && said.contains(&key), "{said}");
    fs::write(file, &recording)?;
    let text = String::from_utf8(certificate)?;
    for (from, to, complaint) in [
        (r#"\"room\":\"studio\""#, r#"\"room\":\"garage\""#, "forged"),
        (r#"\"platform\":"#, r#"\"flatform\":"#, "not a certificate"),
    ] {
        ensure!(text.contains(from), "{text}");
        fs::write(signed, text.replacen(from, to, 1))?;
        let (code, said) = verify(&[file, "--certificate", signed])?;
        ensure!(code == Some(1) && said.contains(complaint), "{said}");
    }
    ensure!(verify(&[file])?.0 == Some(2));
    ensure!(verify(&["http://127.0.0.1:1/elsewhere"])?.0 == Some(2));

    check_files(&folder.path().join("server"))
}
