//! What can be set, and the checked form of it.
//!
//! [`Settings`] is the only list: a flag, an environment variable and a key of the settings file each, by the same
//! name. [`Settings::check`] turns it into a [`Config`] once; nothing behind it checks again.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use media::part::PartLimits;
use media::segment::SegmentRule;
use protocol::limits::MAX_MESSAGE_BYTES;
use protocol::pairing::MAX_SERVER_BYTES;
use protocol::room::Role;
use protocol::{RoomName, Secret};

use crate::access::{APP_ORIGINS, OriginError, Origins};
use crate::rooms::RoomLimits;
use crate::webrtc::WebRtcConfig;

/// The command line.
#[derive(Debug, Clone, clap::Parser)]
#[command(
    name = "longtake-ingest",
    version,
    about = "Takes sessions over two WebSockets and records them durably"
)]
pub struct Cli {
    /// What to do; without it, serve.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What can be set.
    #[command(flatten)]
    pub settings: Settings,
}

/// What the program does besides serving.
#[derive(Debug, Clone, PartialEq, Eq, clap::Subcommand)]
pub enum Command {
    /// Shows the pairing link of the server that these settings make, and a code to scan; into a pipe, the link alone.
    Pair,
    /// Compares every file with its rows and reports what is wrong; changes nothing. Exit code 1 if anything is.
    Check,
    /// Prints a token with a role for the server that these settings make.
    Token(TokenCommand),
}

/// Makes a token, or revokes one.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct TokenCommand {
    /// What else is to be done with a token.
    #[command(subcommand)]
    pub action: Option<TokenAction>,
    /// What a new one is to allow.
    #[command(flatten)]
    pub options: Option<TokenOptions>,
}

/// What can be done with a token besides making it.
#[derive(Debug, Clone, PartialEq, Eq, clap::Subcommand)]
pub enum TokenAction {
    /// Revokes a token for good: a running server sends away within seconds whoever came by it.
    Revoke {
        /// The token, or its id
        token: String,
    },
}

/// What a token is to allow.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct TokenOptions {
    /// What its bearer may do
    #[arg(long, value_enum)]
    pub role: TokenRole,
    /// In which room; without it, in all
    #[arg(long)]
    pub room: Option<RoomName>,
    /// For how long: 90s, 30m, 2h, 7d
    #[arg(long, default_value = "1d", value_parser = parse_lasts, value_name = "TIME")]
    pub lasts: Duration,
    /// Who gets it, for the audit log
    #[arg(long)]
    pub name: Option<String>,
}

/// The roles, as the command line names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TokenRole {
    /// To watch and to chat.
    View,
    /// To publish as well.
    Publish,
    /// Everything.
    Administer,
}

impl From<TokenRole> for Role {
    fn from(role: TokenRole) -> Self {
        match role {
            TokenRole::View => Self::View,
            TokenRole::Publish => Self::Publish,
            TokenRole::Administer => Self::Administer,
        }
    }
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people: aligned lines.
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// Everything that can be set, as it comes from flags, environment and file.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// The address to listen on. Without a token only a loopback address is taken [default: 0.0.0.0 with a token, 127.0.0.1 without]
    #[arg(long, env = "LISTEN", value_parser = parse_listen, value_name = "ADDRESS", global = true)]
    pub listen: Option<IpAddr>,
    /// The port to listen on; 0 for any free one
    #[arg(long, env = "PORT", default_value_t = 8000, global = true)]
    pub port: u16,
    /// The token that publishers and the API's users must present
    #[arg(long, env = "STREAMING_ACCESS_TOKEN", hide_env_values = true, value_name = "TOKEN", global = true)]
    pub streaming_access_token: Option<Secret>,
    /// What tokens with a role are signed with, for servers that share them [default: a key in the data folder]
    #[arg(long, env = "TOKEN_SECRET", hide_env_values = true, value_name = "SECRET", global = true)]
    pub token_secret: Option<Secret>,
    /// Where others reach the server, if not by an address of this machine: <https://cam.example>. For the pairing link
    #[arg(long, env = "PUBLIC_URL", value_name = "URL", global = true)]
    pub public_url: Option<String>,
    /// The room that the pairing link proposes
    #[arg(long, env = "PAIRING_ROOM", value_name = "ROOM", global = true)]
    pub pairing_room: Option<RoomName>,
    /// Do not show the pairing link and its code at the start; without a terminal they are not shown anyway
    #[arg(long, env = "NO_PAIRING", value_parser = clap::builder::FalseyValueParser::new())]
    pub no_pairing: bool,
    /// Web pages that may use the server besides its own and the app's, such as <https://studio.example>
    #[arg(long, env = "CORS_ALLOW_ORIGINS", value_delimiter = ',', value_name = "ORIGIN")]
    pub cors_allow_origins: Vec<String>,
    /// Where recordings and the database are kept
    #[arg(long, env = "DATA_DIR", default_value = "longtake-data", value_name = "FOLDER", global = true)]
    pub data_dir: PathBuf,
    /// How the log is written
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Text, global = true)]
    pub log_format: LogFormat,
    /// Threads that serve connections [default: half of the processors]
    #[arg(long, env = "WORKER_THREADS", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub worker_threads: Option<u16>,
    /// The TLS certificate chain, a PEM file; needs tls-key
    #[arg(long, env = "TLS_CERT", value_name = "FILE", requires = "tls_key", global = true)]
    pub tls_cert: Option<PathBuf>,
    /// The TLS private key, a PEM file; needs tls-cert
    #[arg(long, env = "TLS_KEY", value_name = "FILE", requires = "tls_cert", global = true)]
    pub tls_key: Option<PathBuf>,
    /// How often what has arrived is made durable, in ms: how much media one part holds, and how long an
    /// acknowledgement takes at the most
    #[arg(long, env = "PART_MS", default_value_t = 400, value_parser = clap::value_parser!(u32).range(20..=10_000))]
    pub part_ms: u32,
    /// How much media one segment file holds at the least, in ms
    #[arg(long, env = "SEGMENT_MS", default_value_t = 6_000, value_parser = clap::value_parser!(u32).range(500..=600_000))]
    pub segment_ms: u32,
    /// How long a group commit waits for more parts to share it, in ms
    #[arg(long, env = "GATHER_MS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=5_000))]
    pub gather_ms: u32,
    /// When a session whose publisher is away counts as abandoned, in s
    #[arg(long, env = "ABANDON_AFTER_S", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    pub abandon_after_s: u32,
    /// When a silent connection is closed, and one whose peer takes no more of an answer, in s
    #[arg(long, env = "IDLE_S", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub idle_s: u32,
    /// How long a client may take for a request's head, and a publisher for its hello, in s
    #[arg(long, env = "OPENING_S", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub opening_s: u32,
    /// Connections at the same time
    #[arg(long, env = "MAX_CONNECTIONS", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_connections: u32,
    /// New connections a second from one address; 0 for any number
    #[arg(long, env = "MAX_CONNECTION_RATE", default_value_t = 50, value_name = "PER_SECOND")]
    pub max_connection_rate: u32,
    /// The port of WebRTC, UDP and TCP, for viewers and for publishers without the app [default: the same number as port]
    #[arg(long, env = "WEBRTC_PORT", value_name = "PORT")]
    pub webrtc_port: Option<u16>,
    /// The IP addresses by which viewers reach this server's WebRTC port, if it stands behind a NAT that leads there, such as 203.0.113.7
    #[arg(long, env = "PUBLIC_ADDRESS", value_delimiter = ',', value_name = "ADDRESS")]
    pub public_address: Vec<IpAddr>,
    /// Viewers and publishers by WebRTC at the same time
    #[arg(long, env = "MAX_WEBRTC", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_webrtc: u32,
    /// Sessions that are active or interrupted at the same time
    #[arg(long, env = "MAX_SESSIONS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_sessions: u32,
    /// Rooms that are there before anybody joins, separated by commas
    #[arg(long, env = "ROOMS", value_delimiter = ',', value_name = "ROOM")]
    pub rooms: Vec<RoomName>,
    /// Take nobody into rooms that were not made beforehand, by rooms or by the API
    #[arg(long, env = "ONLY_THESE_ROOMS", value_parser = clap::builder::FalseyValueParser::new())]
    pub only_these_rooms: bool,
    /// Rooms at the same time; the one that was empty for longest makes place for a new one
    #[arg(long, env = "MAX_ROOMS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_rooms: u32,
    /// Sessions of one room that are active or interrupted at the same time
    #[arg(long, env = "MAX_ROOM_PUBLISHERS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_room_publishers: u32,
    /// Viewers of one room at the same time
    #[arg(long, env = "MAX_ROOM_VIEWERS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_room_viewers: u32,
    /// When a room that nobody publishes to or watches vanishes with its chat, in s; recordings stay
    #[arg(long, env = "ROOM_LASTS_S", default_value_t = 3_600, value_parser = clap::value_parser!(u32).range(1..))]
    pub room_lasts_s: u32,
    /// Media of one connection that may wait to become durable, in MiB; then the server reads no further
    #[arg(long, env = "CONNECTION_BUDGET_MIB", default_value_t = 8, value_parser = clap::value_parser!(u32).range(8..=1_024))]
    pub connection_budget_mib: u32,
    /// The same of all connections together, in MiB
    #[arg(long, env = "MEMORY_BUDGET_MIB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(8..=65_536))]
    pub memory_budget_mib: u32,
}

/// What is set, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The token that everybody must present who has no token with a role; without one only this machine is served.
    pub token: Option<Secret>,
    /// What tokens with a role are signed with; without it, a key of the data folder.
    pub token_secret: Option<Secret>,
    /// Web pages that may use the server besides its own.
    pub origins: Origins,
    /// What rooms there are, and how much they may hold.
    pub rooms: RoomLimits,
    /// Where recordings and the database are kept.
    pub data_dir: PathBuf,
    /// Certificate and key files, when the server speaks TLS itself.
    pub tls: Option<TlsFiles>,
    /// How media is cut and made durable.
    pub recording: RecordingConfig,
    /// What one peer and all peers may take.
    pub bounds: Bounds,
    /// How WebRTC is set up.
    pub webrtc: WebRtcConfig,
    /// Where others reach the server, an `http` or `https` URL without a slash at its end; if it is not by an
    /// address of this machine.
    pub public_url: Option<String>,
    /// The room that the pairing link proposes.
    pub pairing_room: Option<RoomName>,
    /// When an interrupted session counts as abandoned.
    pub abandon_after: Duration,
}

/// Certificate and key files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain, PEM.
    pub cert: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

/// How media is cut and made durable.
#[derive(Debug, Clone, Copy)]
pub struct RecordingConfig {
    /// When a part closes by what it holds.
    pub part: PartLimits,
    /// The distance of the moments at which all parts close.
    pub part_wait: Duration,
    /// When a segment is long enough.
    pub segment: SegmentRule,
    /// How long a group commit waits for more to share it.
    pub gather: Duration,
}

impl RecordingConfig {
    /// No part of a usual picture rate lasts longer: a part closes with the unit by which it reaches its limit.
    #[must_use]
    pub fn longest_part(&self) -> Duration {
        const SLOWEST_FRAME: Duration = Duration::from_millis(67);
        Duration::from_micros(self.part.duration_90k * 100 / 9) + SLOWEST_FRAME
    }
}

/// What one peer and all peers may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connections at the same time.
    pub connections: usize,
    /// New connections a second from one address; 0 for any number.
    pub connection_rate: u32,
    /// Sessions in memory at the same time.
    pub sessions: usize,
    /// Undurable bytes of one connection at which it is not read further.
    pub connection_bytes: u64,
    /// Undurable bytes of all connections together.
    pub total_bytes: usize,
    /// When a silent connection is closed, and one whose peer takes no more of an answer.
    pub idle: Duration,
    /// How long a request's head, a TLS handshake or a `hello` may take.
    pub opening: Duration,
}

/// Why the settings do not make a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No token, but an address that others reach.
    #[error(
        "without a token the server listens on this machine only, and {0} can be reached by others; set STREAMING_ACCESS_TOKEN, or leave out listen"
    )]
    OpenWithoutToken(IpAddr),
    /// A token of no characters, or with characters that HTTP cannot carry.
    #[error("the token must have 1 to 512 visible ASCII characters; to run without one, leave it out")]
    Token,
    /// A secret that can be guessed.
    #[error("token-secret must have at least {MIN_SECRET_BYTES} bytes; to have one drawn, leave it out")]
    TokenSecret,
    /// A public address that no link can carry.
    #[error(
        "public-url {0:?} is not an address for others; write http:// or https://, the host, and maybe a path"
    )]
    PublicUrl(String),
    /// An origin that is none.
    #[error("cors-allow-origins: {0}")]
    Origin(#[from] OriginError),
}

/// A shorter key than the digest weakens HS256 (RFC 7518 §3.2).
const MIN_SECRET_BYTES: usize = 32;

fn parse_listen(text: &str) -> Result<IpAddr, String> {
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    text.parse().map_err(|_| "an IP address or localhost is expected".to_owned())
}

fn parse_lasts(text: &str) -> Result<Duration, String> {
    let expected = || "a whole number and s, m, h or d is expected, as in 2h".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(expected()),
    };
    let number: u64 = digits.parse().map_err(|_| expected())?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

fn checked_public_url(text: &str) -> Result<String, ConfigError> {
    let refused = || ConfigError::PublicUrl(text.to_owned());
    let url: Uri = text.parse().map_err(|_| refused())?;
    let is_http = url.scheme().is_some_and(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme));
    let has_host = url.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    // A fragment is no part of what the parser keeps.
    if !is_http || !has_host || url.query().is_some() || text.contains('#') || text.len() > MAX_SERVER_BYTES {
        return Err(refused());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

impl Settings {
    /// Threads that serve connections. By default half of the processors: what wakes for a message of a few bytes
    /// should rarely be another thread than the last time, and the disk's threads need processors too.
    #[must_use]
    pub fn worker_threads(&self) -> usize {
        let half =
            || std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2));
        self.worker_threads.map_or_else(half, usize::from)
    }

    /// The checked form.
    ///
    /// # Errors
    /// [`ConfigError`] for settings that contradict each other.
    pub fn check(&self) -> Result<Config, ConfigError> {
        let token = self.streaming_access_token.clone();
        if token.as_ref().is_some_and(|token| !token.is_token()) {
            return Err(ConfigError::Token);
        }
        let token_secret = self.token_secret.clone();
        if token_secret.as_ref().is_some_and(|secret| secret.expose().len() < MIN_SECRET_BYTES) {
            return Err(ConfigError::TokenSecret);
        }
        let default_host = if token.is_some() { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
        let host = self.listen.unwrap_or(default_host.into());
        if token.is_none() && !host.is_loopback() {
            return Err(ConfigError::OpenWithoutToken(host));
        }
        let origins = Origins::parse(
            APP_ORIGINS.into_iter().chain(self.cors_allow_origins.iter().map(String::as_str)),
        )?;
        let public_url = self.public_url.as_deref().map(checked_public_url).transpose()?;
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => Some(TlsFiles { cert: cert.clone(), key: key.clone() }),
            _ => None,
        };
        let ms = |ms: u32| Duration::from_millis(u64::from(ms));
        let s = |s: u32| Duration::from_secs(u64::from(s));
        Ok(Config {
            listen: SocketAddr::new(host, self.port),
            token,
            token_secret,
            origins,
            rooms: RoomLimits {
                named: self.rooms.iter().cloned().collect(),
                only_named: self.only_these_rooms,
                rooms: self.max_rooms as usize,
                publishers: self.max_room_publishers as usize,
                viewers: self.max_room_viewers as usize,
                lasts: s(self.room_lasts_s),
            },
            data_dir: self.data_dir.clone(),
            tls,
            recording: RecordingConfig {
                part: PartLimits {
                    // Parts close by the server's clock; this is for units that come faster than they play.
                    duration_90k: u64::from(self.part_ms) * 90 * 5 / 4,
                    // A part is held whole: a fourth of a connection's budget keeps lanes and commits apart.
                    payload_bytes: MAX_MESSAGE_BYTES / 2,
                },
                part_wait: ms(self.part_ms),
                segment: SegmentRule { target_duration_90k: u64::from(self.segment_ms) * 90 },
                gather: ms(self.gather_ms),
            },
            bounds: Bounds {
                connections: self.max_connections as usize,
                connection_rate: self.max_connection_rate,
                sessions: self.max_sessions as usize,
                connection_bytes: u64::from(self.connection_budget_mib) << 20,
                total_bytes: (self.memory_budget_mib as usize) << 20,
                idle: s(self.idle_s),
                opening: s(self.opening_s),
            },
            webrtc: WebRtcConfig {
                port: self.webrtc_port,
                public_addresses: self.public_address.clone(),
                connections: self.max_webrtc as usize,
            },
            public_url,
            pairing_room: self.pairing_room.clone(),
            abandon_after: s(self.abandon_after_s),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;

    fn check(args: &[&str]) -> Result<Config, ConfigError> {
        let args = std::iter::once(&"longtake-ingest").chain(args);
        Cli::try_parse_from(args).unwrap().settings.check()
    }

    #[test]
    fn the_command_line_is_consistent_and_takes_flags_on_either_side_of_a_command() {
        Cli::command().debug_assert();
        for args in [["--port", "9000", "pair"], ["pair", "--port", "9000"]] {
            let cli = Cli::try_parse_from(std::iter::once("longtake-ingest").chain(args)).unwrap();
            assert_eq!((cli.command, cli.settings.port), (Some(Command::Pair), 9_000));
        }
    }

    #[test]
    fn a_token_lasts_for_a_number_with_a_unit() {
        for (text, seconds) in [("90s", 90), ("30m", 1_800), ("2h", 7_200), ("7d", 604_800)] {
            assert_eq!(parse_lasts(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "2", "h", "-1h", "2 h", "2w", "1.5h", "2h30m"] {
            assert!(parse_lasts(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn without_a_token_only_loopback_is_bound() {
        assert_eq!(check(&["--listen", "127.0.0.1"]).unwrap().listen, "127.0.0.1:8000".parse().unwrap());
        assert!(check(&["--listen", "localhost", "--port", "0"]).is_ok());
        let refused = check(&["--listen", "0.0.0.0"]).unwrap_err();
        assert!(matches!(refused, ConfigError::OpenWithoutToken(_)));
        assert!(refused.to_string().contains("STREAMING_ACCESS_TOKEN"), "{refused}");
        let open = check(&["--streaming-access-token", "secret"]).unwrap();
        assert_eq!(open.listen.ip(), Ipv4Addr::UNSPECIFIED);
        assert!(open.token.is_some());
    }

    #[test]
    fn tokens_and_origins_are_checked_once() {
        for bad in ["", "with space", "ümlaut"] {
            assert!(matches!(check(&["--streaming-access-token", bad]), Err(ConfigError::Token)), "{bad:?}");
        }
        assert!(matches!(check(&["--cors-allow-origins", "studio"]), Err(ConfigError::Origin(_))));
        for bad in [
            "cam.example",
            "ftp://a",
            "https://",
            "https://a?b",
            "https://a#b",
            "https://me:pw@a",
            "https://a b",
        ] {
            assert!(matches!(check(&["--public-url", bad]), Err(ConfigError::PublicUrl(_))), "{bad}");
        }
        let good = check(&["--public-url", "https://cam.example/take/"]).unwrap();
        assert_eq!(good.public_url.as_deref(), Some("https://cam.example/take"));
        assert!(check(&["--cors-allow-origins", "https://a.example,https://b.example:8443"]).is_ok());
    }

    #[test]
    fn debug_output_of_a_config_does_not_hold_the_token() {
        let secret = "battery-staple-battery-staple-32";
        let args = ["--streaming-access-token", "correct-horse", "--token-secret", secret];
        let shown = format!("{:?}", check(&args).unwrap());
        assert!(!shown.contains("correct-horse") && !shown.contains("battery"), "{shown}");
        assert!(matches!(check(&["--token-secret", &secret[1..]]), Err(ConfigError::TokenSecret)));
    }
}
