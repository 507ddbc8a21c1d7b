//! The commands, one file each.

pub(crate) mod devices;
pub(crate) mod load;
pub(crate) mod publish;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::control::Device;
use publisher::{Config, Publisher, Report};

use crate::arguments::ServerOptions;
use crate::exit::Failure;
use crate::interrupts::Interrupts;

/// The runtime that the sockets live in. Media threads are capture's own.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::Fault(format!("the system refuses to start threads: {error}")))
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// What the server's list shows.
fn device(name: Option<&str>) -> Device {
    let bounded = |text: &str| text[..text.floor_char_boundary(protocol::limits::MAX_TEXT_BYTES)].to_owned();
    Device {
        name: bounded(name.unwrap_or(&machine_name())),
        platform: std::env::consts::OS.to_owned(),
        app: concat!("longtake ", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}

fn machine_name() -> String {
    let told = ["COMPUTERNAME", "HOSTNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let on_disk = || std::fs::read_to_string("/etc/hostname").ok();
    let name = told.or_else(on_disk).map(|name| name.trim().to_owned());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "longtake".to_owned())
}

/// The publisher's configuration that the flags describe.
fn publisher_config(options: &ServerOptions, identity: publisher::track::Identity) -> Config {
    let mut config = Config::new(options.server.clone(), identity);
    config.token = options.access_token();
    config.own_authority = options.ca_file.clone();
    config.audio.pace.hold = options.audio_hold;
    config
}

/// Waits until the server has everything, or time or patience is over.
async fn finish(publisher: &Publisher, timeout: Duration, interrupts: &mut Interrupts, count: u32) -> Report {
    let patience = async {
        match timeout {
            Duration::ZERO => std::future::pending().await,
            timeout => tokio::time::sleep(timeout).await,
        }
    };
    tokio::select! {
        report = publisher.finish() => report,
        () = patience => publisher.report(),
        () = interrupts.reach(count) => publisher.report(),
    }
}
