//! The commands, one file each.

pub(crate) mod devices;
pub(crate) mod invite;
pub(crate) mod load;
pub(crate) mod publish;
pub(crate) mod resume;
pub(crate) mod test_connection;
pub(crate) mod verify;
mod watch;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::control::Device;
use publisher::{Config, Publisher, Report};
use signing::{KeyError, SigningKey};

use crate::arguments::{KeyFolder, ServerOptions};
use crate::destination::Destination;
use crate::exit::Failure;
use crate::interrupts::Interrupts;
use crate::screen::Screen;

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
    session::publishing_device(name, concat!("longtake ", env!("CARGO_PKG_VERSION")))
}

/// The publisher's configuration that the flags describe.
fn publisher_config(
    options: &ServerOptions,
    to: &Destination,
    identity: publisher::track::Identity,
) -> Config {
    let mut config = Config::new(to.server.clone(), identity);
    config.token = to.token.clone();
    config.own_authority = to.own_authority.clone();
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

/// The key that this device signs with. A folder that cannot be written to must not keep anybody from recording.
fn device_key(folder: &KeyFolder, screen: &Screen) -> Result<Arc<SigningKey>, Failure> {
    let fault = |error: KeyError| Failure::Fault(error.to_string());
    let folder = folder.data_dir.clone().or_else(|| Some(dirs::data_local_dir()?.join("longtake")));
    let Some(folder) = folder else { return Ok(Arc::new(SigningKey::generate().map_err(fault)?)) };
    match SigningKey::load_or_create(&folder.join("device.key")) {
        Ok(key) => Ok(Arc::new(key)),
        Err(error) => {
            screen.remark(&format!("{error}; this session is signed with a key of its own"));
            Ok(Arc::new(SigningKey::generate().map_err(fault)?))
        }
    }
}
