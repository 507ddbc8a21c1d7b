//! How late a viewer sees what happens: from the synthetic camera's picture to the same picture painted in Chromium.
//!
//! Each picture carries its capture time, which a script in the page reads. Publisher, server and browser run on one
//! machine and therefore have one clock.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use testkit::browser::Browser;
use testkit::child::{Running, Server, free_port};

use crate::{PictureSize, percentile};

/// Runs in each page before the page's own scripts.
const PAINTED: &str = include_str!("painted.js");

const ROOM: &str = "bench";

/// The transport gets going in this time; it is not counted.
const WARM_UP: Duration = Duration::from_secs(8);

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    size: PictureSize,
    /// Seconds that are counted, for each transport.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How often the page is opened to time its first picture, for each transport.
    #[arg(long, default_value_t = 10)]
    starts: usize,
}

/// What the script has seen, as in `painted.js`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Painted {
    first_ms: Option<f64>,
    /// Capture time in the session, and when it was painted, in ms since 1970.
    pictures: Vec<(f64, f64)>,
    unreadable: u64,
}

/// Measures and prints the table.
pub(crate) fn run(options: &Options) -> Result<()> {
    println!(
        "{}×{} at 30 fps, 2 Mbit/s and Opus; publisher, server and a headless Chromium on this machine",
        options.size.width, options.size.height
    );
    let folder = tempfile::tempdir_in(std::env::current_exe()?.parent().context("a folder")?)?;
    let server = Server::start(folder.path(), free_port()?, &[])?;
    let _publisher = publish(options, &server)?;
    let browser = Browser::start(folder.path(), (1280, 800))?;
    browser.before_pages(PAINTED)?;

    println!();
    println!("| transport | pictures per second | captured → painted p50 | p95 | first picture p50 | p95 |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    for (name, query) in [("WebRTC (WHEP)", ""), ("low-latency HLS", "?transport=hls")] {
        let address = format!("http://127.0.0.1:{}/watch/{ROOM}{query}", server.port);
        let mut firsts_ms = Vec::new();
        for _ in 0..options.starts {
            firsts_ms.push(first_picture(&browser, &address)?);
        }
        let started_unix_ms = started(&server)?;
        let latencies_ms = latencies(options, &browser, started_unix_ms)?;
        println!(
            "| {name} | {:.1} | {:.0} ms | {:.0} ms | {:.0} ms | {:.0} ms |",
            latencies_ms.len() as f64 / options.seconds as f64,
            percentile(latencies_ms.iter().copied(), 50),
            percentile(latencies_ms.iter().copied(), 95),
            percentile(firsts_ms.iter().copied(), 50),
            percentile(firsts_ms.iter().copied(), 95),
        );
    }
    Ok(())
}

fn publish(options: &Options, server: &Server) -> Result<Running> {
    let (address, width, height) =
        (server.address(), options.size.width.to_string(), options.size.height.to_string());
    let args = [
        &["publish", "--server", &address, "--room", ROOM, "--json"][..],
        &["--camera", "synthetic", "--microphone", "synthetic", "--width", &width, "--height", &height],
        &["--video-bitrate", "2M"],
    ]
    .concat();
    Running::start("longtake", &args, &[])
}

/// When the session began, in ms since 1970.
fn started(server: &Server) -> Result<f64> {
    let sessions = server.api.sessions()?;
    let session = sessions.first().context("somebody publishes")?;
    Ok(session.started_unix_ms as f64)
}

fn painted(browser: &Browser) -> Result<Painted> {
    Ok(serde_json::from_value(browser.run("return window.painted", Vec::new())?)?)
}

/// Opens the page. Returns the ms until its first picture.
fn first_picture(browser: &Browser, address: &str) -> Result<f64> {
    browser.open("about:blank")?;
    browser.open(address)?;
    let mut first_ms = None;
    browser.until("the first picture", |browser| {
        first_ms = painted(browser)?.first_ms;
        Ok(first_ms.is_some())
    })?;
    first_ms.context("the first picture was painted")
}

/// How late the pictures of the measured time were in the page that is open, in ms.
fn latencies(options: &Options, browser: &Browser, started_unix_ms: f64) -> Result<Vec<f64>> {
    sleep(WARM_UP);
    browser.run("window.painted.pictures = []; window.painted.unreadable = 0", Vec::new())?;
    sleep(Duration::from_secs(options.seconds));
    let Painted { pictures, unreadable, .. } = painted(browser)?;
    ensure!(!pictures.is_empty(), "no picture was painted");
    // A picture that is half replaced cannot be read; if there are many, the rest is no fair sample.
    ensure!(unreadable as usize * 20 <= pictures.len(), "{unreadable} pictures could not be read");
    Ok(pictures.iter().map(|(captured_ms, painted_ms)| painted_ms - started_unix_ms - captured_ms).collect())
}
