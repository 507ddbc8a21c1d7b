//! A real sound server: a tone that it plays is captured through cpal, encoded, and found again; a server
//! that dies is a microphone that was unplugged, and one that is started again brings it back.
//!
//! Needs the programs of the Debian packages pulseaudio and pulseaudio-utils. It is one test, as the
//! way to the server lies in the environment of the process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

#[path = "../../support/mod.rs"]
mod support;

use std::f64::consts::TAU;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use capture::{
    AudioConfig, CaptureEvent, Config, DeviceChoice, MicrophoneChoice, MonotonicClock, Session, devices,
    start,
};
use protocol::Track;
use protocol::unit::Unit;
use support::{decode_opus, frequency_hz};

/// A PulseAudio of this test's own. Dropping it ends it.
struct SoundServer {
    daemon: Child,
    folder: PathBuf,
}

impl SoundServer {
    /// Starts a server with a null sink whose monitor is the default source.
    fn start(folder: &Path) -> Self {
        let folder = folder.to_owned();
        fs::create_dir_all(folder.join("pulse")).unwrap();
        let mut daemon = command("pulseaudio", &folder);
        daemon.args([
            "-n",
            "--daemonize=no",
            "--exit-idle-time=-1",
            "--log-target=stderr",
            "--disable-shm=yes",
        ]);
        daemon.args(["-L", "module-native-protocol-unix auth-anonymous=1"]);
        daemon.args(["-L", "module-null-sink sink_name=vspk rate=48000 channels=2"]);
        daemon.stderr(Stdio::null());
        let server = Self { daemon: spawn(daemon, "pulseaudio"), folder };
        server.wait_until_it_answers();
        assert!(server.control(&["set-default-source", "vspk.monitor"]));
        server
    }

    /// `pactl` fails until the server listens; it is asked a bounded number of times.
    fn wait_until_it_answers(&self) {
        for _ in 0..400 {
            if self.control(&["info"]) {
                return;
            }
            std::thread::yield_now();
        }
        panic!("pulseaudio does not answer");
    }

    fn control(&self, arguments: &[&str]) -> bool {
        let mut pactl = command("pactl", &self.folder);
        pactl.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        match pactl.status() {
            Ok(status) => status.success(),
            Err(error) => panic!("pactl cannot be run ({error}): apt install pulseaudio-utils"),
        }
    }

    fn play(&self, wav: &Path) -> Child {
        let mut player = command("paplay", &self.folder);
        player.args(["--latency-msec=20", "--device=vspk"]).arg(wav);
        spawn(player, "pulseaudio-utils")
    }

    fn kill(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl Drop for SoundServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn command(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("XDG_RUNTIME_DIR", folder).env("HOME", folder).env_remove("PULSE_SERVER");
    command
}

fn spawn(mut command: Command, package: &str) -> Child {
    match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("{} is missing: apt install {package}", command.get_program().display())
        }
        Err(error) => panic!("{} cannot be run: {error}", command.get_program().display()),
    }
}

/// A WAV file of 1 kHz at −12.04 dBFS peak (a quarter of full scale), 48 kHz, stereo.
fn write_tone(folder: &Path, seconds: u32) -> PathBuf {
    let path = folder.join("tone.wav");
    let samples = 48_000 * seconds;
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + 4 * samples).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x02\0\x80\xbb\0\0\0\xee\x02\0\x04\0\x10\0data");
    bytes.extend((4 * samples).to_le_bytes());
    for n in 0..samples {
        #[allow(clippy::cast_possible_truncation)]
        let sample = ((f64::from(n) * TAU * 1000.0 / 48_000.0).sin() * 8192.0).round() as i16;
        bytes.extend([sample, sample].iter().flat_map(|sample| sample.to_le_bytes()));
    }
    fs::write(&path, &bytes).unwrap();
    path
}

/// How long sound and clock are compared: seconds in an ordinary run, ten minutes in `cargo xtask torture`.
fn drift_seconds() -> u64 {
    std::env::var("LONGTAKE_SOUND_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(20)
}

/// Captures for so long; the packets have to follow each other without a gap, and the sound has to stay with the clock.
/// On a busy machine this sound server itself drops sound: that has to be told, and to be over at the end.
fn assert_in_time(session: &Session, seconds: u64) {
    let mut last: Option<Unit> = None;
    let (mut packets_left, mut losses) = (seconds * 50, 0);
    for event in session.events() {
        match event {
            CaptureEvent::Unit { track: Track::Audio, unit } => {
                let gap_90k = last.map_or(0, |last| unit.pts_90k - last.pts_90k - 1_800);
                assert_eq!(gap_90k, 0, "before unit {}", unit.number);
                last = Some(unit);
                packets_left -= 1;
            }
            CaptureEvent::Resynchronised { shift_us } => {
                println!("the sound server lost {shift_us} µs");
                (last, losses) = (None, losses + 1);
            }
            CaptureEvent::DeviceLost { error, .. } => panic!("{error}"),
            _ => {}
        }
        if packets_left == 0 {
            break;
        }
    }
    let drift = session.controls().stats().clock_drift.unwrap();
    println!("{seconds} s: {drift}");
    assert!(drift.offset_us_last.abs() <= 5_000, "{drift}");
    assert!(losses > 0 || drift.offset_us_max <= 20_000, "{drift}");
    assert_eq!(drift.drift_ppb.is_some(), seconds >= 90, "a rate is stated once it is known: {drift}");
}

/// Reads until the microphone has been loud for `packets` packets in a row; those packets.
fn loud_packets(session: &Session, packets: usize) -> Vec<Unit> {
    let (mut units, mut loud) = (Vec::new(), false);
    let mut waited = 0;
    for event in session.events() {
        match event {
            CaptureEvent::Level(level) => loud = level.rms_dbfs > -30.0,
            CaptureEvent::Unit { track: Track::Audio, unit } if loud => units.push(unit),
            CaptureEvent::Unit { .. } => units.clear(),
            CaptureEvent::DeviceLost { error, .. } => panic!("{error}"),
            _ => {}
        }
        waited += 1;
        assert!(waited < 10_000, "the tone is not heard");
        if units.len() == packets {
            return units;
        }
    }
    panic!("the session ended")
}

#[test]
#[allow(unsafe_code)]
fn a_tone_is_captured_from_a_sound_server_and_its_end_is_an_unplugged_microphone() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = SoundServer::start(folder.path());
    // SAFETY: the only test of this process sets its environment before any other thread runs.
    unsafe {
        std::env::set_var("XDG_RUNTIME_DIR", folder.path());
        std::env::set_var("HOME", folder.path());
        std::env::remove_var("PULSE_SERVER");
    }

    let microphones = devices::microphones().unwrap();
    println!("microphones: {microphones:?}");
    assert_eq!(microphones.len(), 1);
    assert_eq!(microphones[0].id, "pulseaudio:vspk.monitor");
    assert_eq!(microphones[0].name, "Monitor of Null Output");

    let mut player = server.play(&write_tone(folder.path(), 60 + u32::try_from(drift_seconds()).unwrap()));
    for (choice, channels) in [(DeviceChoice::Default, 2), (DeviceChoice::Id(microphones[0].id.clone()), 1)] {
        let config =
            Config { video: None, audio: Some(AudioConfig::new(MicrophoneChoice::Device(choice), channels)) };
        let session = start(&config, Arc::new(MonotonicClock::start())).unwrap();
        assert_eq!(session.microphone_name(), Some("Monitor of Null Output"));
        let units = loud_packets(&session, 100);
        let sound = decode_opus(&units, channels);
        // The first half second is left to the decoder and the player to settle.
        let mono: Vec<f32> = sound.into_iter().step_by(channels.into()).skip(24_000).collect();
        let (hz, rms_dbfs) = (frequency_hz(&mono, 1000.0), capture::level(&mono).rms_dbfs);
        println!("{channels} channels: {hz} Hz at {rms_dbfs} dBFS");
        assert!((hz - 1000.0).abs() <= 1.0, "{hz} Hz");
        assert!((rms_dbfs + 15.05).abs() < 1.0, "{rms_dbfs} dBFS");

        if channels == 2 {
            assert_in_time(&session, drift_seconds());
        }

        if channels == 1 {
            server.kill();
            let lost = session.events().find_map(|event| match event {
                CaptureEvent::DeviceLost { track: Track::Audio, error } => Some(error),
                _ => None,
            });
            assert_eq!(lost.unwrap().code(), "device_unplugged");
            // When the server is back, so is its microphone, and the units are numbered on.
            server = SoundServer::start(folder.path());
            let restored = session.events().any(|event| matches!(event, CaptureEvent::DeviceRestored { .. }));
            assert!(restored);
            let next = session.events().find_map(|event| match event {
                CaptureEvent::Unit { unit, .. } => Some(unit),
                _ => None,
            });
            assert!(next.unwrap().number > units.last().unwrap().number);
            session.stop();
            let last = session.events().last();
            assert!(matches!(last, Some(CaptureEvent::Ended { failure: None, .. })), "{last:?}");
        }
    }
    let _ = player.kill();
    let _ = player.wait();
}
