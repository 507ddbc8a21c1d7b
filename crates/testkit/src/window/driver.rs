//! The way into the window: `tauri-driver` in front of WebKit's own driver.

use std::ffi::OsString;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;

use crate::child::{PATIENCE, Running, free_ports, wait_until};

/// Names the program `tauri-driver`, where it is not on the PATH.
pub const TAURI_DRIVER: &str = "LONGTAKE_TAURI_DRIVER";

/// What the app reads of the environment: a developer's own settings must not reach it.
const NOT_INHERITED: &[&str] = &[
    "LONGTAKE_SERVER",
    "LONGTAKE_TOKEN",
    "LONGTAKE_ROOM",
    "LONGTAKE_CAMERA",
    "LONGTAKE_MICROPHONE",
    "LONGTAKE_CA_FILE",
    "STREAMING_ACCESS_TOKEN",
    "PORT",
    "WAYLAND_DISPLAY",
];

/// The running drivers, which start the app. Dropping them ends all three.
pub(super) struct Driver {
    programs: Running,
    port: u16,
}

impl Driver {
    /// Starts the drivers. The app inherits their environment.
    pub(super) fn start(display: &str, env: &[(&str, OsString)]) -> Result<Self> {
        let program = std::env::var_os(TAURI_DRIVER).unwrap_or_else(|| "tauri-driver".into());
        let [port, native_port] = free_ports()?;
        let mut command = Command::new(program);
        command.args(["--port", &port.to_string(), "--native-port", &native_port.to_string()]);
        NOT_INHERITED.iter().for_each(|name| {
            command.env_remove(name);
        });
        command.env("DISPLAY", display).env("GDK_BACKEND", "x11").envs(env.iter().cloned());
        let programs = Running::spawn("tauri-driver", &mut command).with_context(|| {
            format!("`cargo xtask test` installs it and names it in {TAURI_DRIVER}; WebKit's is in webkit2gtk-driver")
        })?;
        let mut driver = Self { programs, port };
        let listens = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
        let ready = wait_until(PATIENCE, || {
            let both = [port, native_port].into_iter().all(listens);
            (both || driver.programs.has_ended()).then_some(both)
        });
        anyhow::ensure!(ready == Some(true), "the drivers do not listen; they said:\n{}", driver.output());
        Ok(driver)
    }

    /// Starts the app and takes hold of its window.
    pub(super) async fn open(&self, app: &Path) -> Result<Client> {
        let options = json!({ "application": app });
        let wanted = Capabilities::from_iter([("tauri:options".to_owned(), options)]);
        ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted)
            .connect(&format!("http://127.0.0.1:{}", self.port))
            .await
            .with_context(|| format!("the app opens; it and the drivers said:\n{}", self.output()))
    }

    /// The process id of `tauri-driver`, from which all others descend.
    pub(super) fn id(&self) -> u32 {
        self.programs.id()
    }

    /// What the drivers and the app have printed.
    pub(super) fn output(&self) -> String {
        self.programs.output()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Killed outright, it would leave WebKit's driver behind.
        self.programs.end();
    }
}
