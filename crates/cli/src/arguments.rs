//! The command line. Each flag is also an environment variable and a key of the configuration file.

use std::path::PathBuf;
use std::time::Duration;

use capture::Quality;
use clap::{Args, Parser, Subcommand, ValueEnum};
use protocol::certificate::PublicKey;
use protocol::{RoomName, Secret, SessionId};
use publisher::spool::disk;
use publisher::{ServerAddress, rate};
use session::sources::SourceArgument;

use crate::destination::{Destination, ReachOptions};
use crate::exit::{self, Failure};
use crate::measures::{parse_bitrate, parse_bytes, parse_duration};

/// Streams this machine's camera and microphone to your own server, which records them.
///
/// Every flag can be set in the environment (`LONGTAKE_…`) and in a TOML file by its long name: `longtake.toml` in
/// the current folder, or the one that `--config` or `LONGTAKE_CONFIG` names.
#[derive(Debug, Parser)]
#[command(name = "longtake", version, after_help = exit::HELP)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,

    /// What to log to standard error: off, error, warn, info, debug.
    #[arg(long, env = "LONGTAKE_LOG", default_value = "error", global = true, value_name = "LEVEL")]
    pub(crate) log: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the cameras and microphones of this machine.
    Devices(DevicesOptions),
    /// Capture and stream until Ctrl-C, or for a while.
    Publish(Box<PublishOptions>),
    /// Send what sessions that ended early have left on this machine.
    Resume(ResumeOptions),
    /// Find out, step by step, whether a session could be published to the server.
    TestConnection(TestConnectionOptions),
    /// Make a link by which others watch a room, and nothing else.
    Invite(InviteOptions),
    /// Check a recording against its certificate: is every unit there, and as it was made?
    Verify(VerifyOptions),
    /// Stream made-up sessions to measure a server.
    Load(Box<LoadOptions>),
}

#[derive(Debug, Args)]
pub(crate) struct DevicesOptions {
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The server, and how long to wait for it.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerOptions {
    #[command(flatten)]
    pub(crate) reach: ReachOptions,

    /// The room to stream into [default: the pairing link's, else studio]
    #[arg(long, env = "LONGTAKE_ROOM")]
    pub(crate) room: Option<RoomName>,

    /// Give up when the server was not reached within this time at the start; 0 never gives up.
    #[arg(long, env = "LONGTAKE_CONNECT_TIMEOUT", default_value = "10s", value_parser = parse_duration, value_name = "TIME")]
    pub(crate) connect_timeout: Duration,

    /// How long to wait at the end until the server has everything; 0 waits until Ctrl-C.
    #[arg(long, env = "LONGTAKE_FINISH_TIMEOUT", default_value = "60s", value_parser = parse_duration, value_name = "TIME")]
    pub(crate) finish_timeout: Duration,

    /// Hold sound back for so long to send fewer messages.
    #[arg(long, env = "LONGTAKE_AUDIO_HOLD", default_value = "0ms", value_parser = parse_duration, value_name = "TIME")]
    pub(crate) audio_hold: Duration,
}

impl ServerOptions {
    pub(crate) fn destination(&self) -> Result<Destination, Failure> {
        self.reach.destination(self.room.as_ref())
    }
}

#[derive(Debug, Args)]
pub(crate) struct InviteOptions {
    #[command(flatten)]
    pub(crate) reach: ReachOptions,

    /// The room to watch [default: the pairing link's, else studio]
    #[arg(long, env = "LONGTAKE_ROOM")]
    pub(crate) room: Option<RoomName>,
}

#[derive(Debug, Args)]
pub(crate) struct TestConnectionOptions {
    #[command(flatten)]
    pub(crate) reach: ReachOptions,

    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where what the server does not have waits, and how much of it.
#[derive(Debug, Clone, Args)]
pub(crate) struct SpoolOptions {
    #[command(flatten)]
    pub(crate) folder: SpoolFolder,

    /// How much a session may keep on disk: 512M, 4G.
    #[arg(long, env = "LONGTAKE_SPOOL_BYTES", default_value = "4G", value_parser = parse_bytes, value_name = "BYTES")]
    pub(crate) spool_bytes: u64,

    /// How much time may wait, such as 12h or 7d; 0 for any.
    #[arg(long, env = "LONGTAKE_SPOOL_AGE", default_value = "0", value_parser = parse_duration, value_name = "TIME")]
    pub(crate) spool_age: Duration,

    /// What happens when as much waits as may: stop the session, or drop the oldest pictures, and sound last.
    #[arg(long, env = "LONGTAKE_SPOOL_FULL", default_value = "stop")]
    pub(crate) spool_full: WhenFull,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhenFull {
    Stop,
    Drop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhenSlow {
    KeepQuality,
    KeepUp,
}

impl From<WhenSlow> for rate::WhenSlow {
    fn from(when_slow: WhenSlow) -> Self {
        match when_slow {
            WhenSlow::KeepQuality => Self::KeepQuality,
            WhenSlow::KeepUp => Self::KeepUp,
        }
    }
}

/// The spool's folder.
#[derive(Debug, Clone, Args)]
pub(crate) struct SpoolFolder {
    /// The folder in which sessions wait until the server has them [default: in this user's own files]
    #[arg(long, env = "LONGTAKE_SPOOL", value_name = "DIR")]
    pub(crate) spool: Option<PathBuf>,
}

impl SpoolFolder {
    pub(crate) fn path(&self) -> PathBuf {
        let own = || dirs::data_local_dir().map(|folder| folder.join("longtake").join("spool"));
        self.spool.clone().or_else(own).unwrap_or_else(|| PathBuf::from("longtake-spool"))
    }
}

impl SpoolOptions {
    pub(crate) fn settings(&self) -> disk::Settings {
        let when_full = match self.spool_full {
            WhenFull::Stop => disk::WhenFull::Stop,
            WhenFull::Drop => disk::WhenFull::Drop,
        };
        let longest = Some(self.spool_age).filter(|age| !age.is_zero());
        disk::Settings { folder: self.folder.path(), capacity_bytes: self.spool_bytes, longest, when_full }
    }
}

/// The device key's folder.
#[derive(Debug, Clone, Args)]
pub(crate) struct KeyFolder {
    /// Where the key is kept that this device signs with [default: the user's folder for data]
    #[arg(long, env = "LONGTAKE_DATA_DIR", value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeOptions {
    /// The sessions to resume; without any, all.
    #[arg(value_name = "SESSION")]
    pub(crate) sessions: Vec<SessionId>,

    #[command(flatten)]
    pub(crate) reach: ReachOptions,

    #[command(flatten)]
    pub(crate) spool: SpoolFolder,

    #[command(flatten)]
    pub(crate) key: KeyFolder,

    /// List what waits, and send nothing.
    #[arg(long)]
    pub(crate) list: bool,

    /// Remove the sessions named, with all that the server does not have of them.
    #[arg(long, requires = "sessions", conflicts_with = "list")]
    pub(crate) discard: bool,

    /// The address that the sessions' server has now. Without it each session goes where it went before, and only
    /// those of --server are sent with the token.
    #[arg(long, env = "LONGTAKE_MOVED_TO", value_name = "ADDRESS")]
    pub(crate) moved_to: Option<ServerAddress>,

    /// Give up a session whose server was not reached within this time; 0 never gives up.
    #[arg(long, env = "LONGTAKE_CONNECT_TIMEOUT", default_value = "10s", value_parser = parse_duration, value_name = "TIME")]
    pub(crate) connect_timeout: Duration,

    /// Print one JSON object a line: resuming, status, finished; or listed.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyOptions {
    /// A recording.mp4, or a session on its server: http://HOST:8000/api/sessions/ID.
    #[arg(value_name = "FILE|URL")]
    pub(crate) recording: String,

    /// The recording's certificate, a file; of a session on its server it is fetched.
    #[arg(long, env = "LONGTAKE_CERTIFICATE", value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,

    /// The key that the server's certificates must be signed with; without it, any.
    #[arg(long, env = "LONGTAKE_SERVER_KEY", value_name = "KEY")]
    pub(crate) server_key: Option<PublicKey>,

    /// The server's access token. Better given in the environment, here or as STREAMING_ACCESS_TOKEN.
    #[arg(long, env = "LONGTAKE_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) token: Option<Secret>,

    /// A PEM file with the certificate of the authority that signed the server's, if it is your own.
    #[arg(long, env = "LONGTAKE_CA_FILE", value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// The picture's and the sound's quality.
#[derive(Debug, Clone, Args)]
pub(crate) struct MediaOptions {
    /// The picture's quality: 360p, 540p, 720p or 1080p.
    #[arg(long, env = "LONGTAKE_QUALITY", default_value = "720p", value_parser = parse_quality)]
    pub(crate) quality: Quality,

    /// The picture's width in pixels, instead of the quality's.
    #[arg(long, env = "LONGTAKE_WIDTH", value_name = "PIXELS")]
    pub(crate) width: Option<u32>,

    /// The picture's height in pixels, instead of the quality's.
    #[arg(long, env = "LONGTAKE_HEIGHT", value_name = "PIXELS")]
    pub(crate) height: Option<u32>,

    /// Frames per second, instead of the quality's.
    #[arg(long, env = "LONGTAKE_FPS")]
    pub(crate) fps: Option<u32>,

    /// The video bit rate, such as 800k or 2M, instead of the quality's.
    #[arg(long, env = "LONGTAKE_VIDEO_BITRATE", value_parser = parse_bitrate, value_name = "RATE")]
    pub(crate) video_bitrate: Option<u32>,

    /// The audio bit rate, such as 64k.
    #[arg(long, env = "LONGTAKE_AUDIO_BITRATE", value_parser = parse_bitrate, value_name = "RATE")]
    pub(crate) audio_bitrate: Option<u32>,

    /// 1 for mono, 2 for stereo.
    #[arg(long, env = "LONGTAKE_CHANNELS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub(crate) channels: u8,
}

impl MediaOptions {
    pub(crate) fn video(&self, camera: capture::CameraChoice) -> capture::VideoConfig {
        let preset = capture::VideoConfig::new(camera, self.quality);
        capture::VideoConfig {
            width: self.width.unwrap_or(preset.width),
            height: self.height.unwrap_or(preset.height),
            fps: self.fps.unwrap_or(preset.fps),
            bitrate_bps: self.video_bitrate.unwrap_or(preset.bitrate_bps),
            ..preset
        }
    }

    pub(crate) fn audio(&self, microphone: capture::MicrophoneChoice) -> capture::AudioConfig {
        let preset = capture::AudioConfig::new(microphone, self.channels);
        capture::AudioConfig { bitrate_bps: self.audio_bitrate.unwrap_or(preset.bitrate_bps), ..preset }
    }
}

#[derive(Debug, Args)]
pub(crate) struct PublishOptions {
    #[command(flatten)]
    pub(crate) server: ServerOptions,

    #[command(flatten)]
    pub(crate) media: MediaOptions,

    #[command(flatten)]
    pub(crate) spool: SpoolOptions,

    /// What gives way when the network carries less than the picture needs: keep-up lowers the picture's bit rate, then its
    /// frame rate, so that it stays live; keep-quality records all of it, and sends what cannot go live later.
    #[arg(long, env = "LONGTAKE_WHEN_SLOW", default_value = "keep-up")]
    pub(crate) when_slow: WhenSlow,

    /// auto, none, synthetic, file:PATH.y4m, - (Y4M on standard input), or an id from `longtake devices`.
    #[arg(
        long,
        env = "LONGTAKE_CAMERA",
        default_value = "auto",
        value_name = "SOURCE",
        allow_hyphen_values = true
    )]
    pub(crate) camera: SourceArgument,

    /// auto, none, synthetic, file:PATH.wav, - (WAV on standard input), or an id from `longtake devices`.
    #[arg(
        long,
        env = "LONGTAKE_MICROPHONE",
        default_value = "auto",
        value_name = "SOURCE",
        allow_hyphen_values = true
    )]
    pub(crate) microphone: SourceArgument,

    /// Stop after this time instead of at Ctrl-C: 90s, 5m, 1h.
    #[arg(long, env = "LONGTAKE_DURATION", value_parser = parse_duration, value_name = "TIME")]
    pub(crate) duration: Option<Duration>,

    /// The id of the new session, a UUID; by default one is made up.
    #[arg(long, env = "LONGTAKE_SESSION", value_name = "ID")]
    pub(crate) session: Option<SessionId>,

    /// What the list of sessions calls this device; by default the machine's name.
    #[arg(long, env = "LONGTAKE_NAME")]
    pub(crate) name: Option<String>,

    #[command(flatten)]
    pub(crate) key: KeyFolder,

    /// Print one JSON object a line: started, status, finished.
    #[arg(long)]
    pub(crate) json: bool,
}

impl PublishOptions {
    /// What the encoder of the picture makes, and what it does when the network carries less.
    pub(crate) fn rate(&self) -> rate::Settings {
        let video = self.media.video(capture::CameraChoice::Synthetic);
        rate::Settings { when_slow: self.when_slow.into(), bitrate_bps: video.bitrate_bps, fps: video.fps }
    }
}

#[derive(Debug, Args)]
pub(crate) struct LoadOptions {
    #[command(flatten)]
    pub(crate) server: ServerOptions,

    #[command(flatten)]
    pub(crate) media: MediaOptions,

    /// How many publishers, each with picture and sound.
    #[arg(short = 'n', long, env = "LONGTAKE_PUBLISHERS", default_value_t = 20, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) publishers: u16,

    /// How long each streams.
    #[arg(long, env = "LONGTAKE_DURATION", default_value = "30s", value_parser = parse_duration, value_name = "TIME")]
    pub(crate) duration: Duration,

    /// Permit a server that is not on this machine. Only for one that is yours to burden.
    #[arg(long)]
    pub(crate) i_run_that_server: bool,

    /// Print the report as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

fn parse_quality(text: &str) -> Result<Quality, String> {
    Quality::by_name(text).ok_or_else(|| "a quality is 360p, 540p, 720p or 1080p".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_setting_has_an_environment_variable_of_its_long_name() {
        let command = Cli::command();
        for subcommand in command.get_subcommands() {
            for arg in subcommand.get_arguments().filter(|arg| arg.get_action().takes_values()) {
                let Some(long) = arg.get_long() else { continue };
                let expected = format!("LONGTAKE_{}", long.to_uppercase().replace('-', "_"));
                assert_eq!(arg.get_env().and_then(|name| name.to_str()), Some(expected.as_str()), "{long}");
            }
        }
    }
}
