//! A headless Chromium on the server's pages, used as a viewer would.
//!
//! Everything that is waited for is looked at again and again with a deadline; when it passes, the error tells what the page
//! says, and a screenshot of the moment is kept.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand, WindowHandle};
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use url::{ParseError, Url};

use crate::child::{PATIENCE, Running, free_port, wait_until};

/// Where Debian, Ubuntu and Google put it; `CHROMIUM` names another place.
const BROWSERS: &[&str] = &["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/// A running browser. Dropping it ends it.
pub struct Browser {
    client: Client,
    runtime: Runtime,
    driver: Running,
    screenshots: PathBuf,
    _profile: TempDir,
}

/// One of its tabs.
#[derive(Debug, Clone)]
pub struct Tab(WindowHandle);

impl Browser {
    /// Starts a browser with a made-up camera and microphone, in `size` pixels. Screenshots go to `screenshots`.
    ///
    /// # Errors
    /// When the browser or its driver is missing, with what to install.
    pub fn start(screenshots: &Path, size: (u32, u32)) -> Result<Self> {
        Self::start_with(screenshots, size, &[])
    }

    /// The same, with further flags of the browser.
    ///
    /// # Errors
    /// When the browser or its driver is missing, with what to install.
    pub fn start_with(screenshots: &Path, size: (u32, u32), flags: &[&str]) -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}"));
        let mut driver = Running::spawn("chromedriver", &mut command)
            .context("`cargo xtask setup` installs chromium-driver")?;
        let ready = wait_until(PATIENCE, || {
            let listens = TcpStream::connect(("127.0.0.1", port)).is_ok();
            (listens || driver.has_ended()).then_some(listens)
        });
        anyhow::ensure!(ready == Some(true), "chromedriver does not listen; it said:\n{}", driver.output());
        let profile = TempDir::new()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let wanted = capabilities(profile.path(), size, flags)?;
        let client = runtime
            .block_on(
                ClientBuilder::new(HttpConnector::new())
                    .capabilities(wanted)
                    .connect(&format!("http://127.0.0.1:{port}")),
            )
            .with_context(|| format!("the browser starts; its driver said:\n{}", driver.output()))?;
        fs::create_dir_all(screenshots)?;
        Ok(Self { client, runtime, driver, screenshots: screenshots.to_owned(), _profile: profile })
    }

    /// Opens an address in the tab in front.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn open(&self, address: &str) -> Result<()> {
        self.runtime.block_on(self.client.goto(address)).with_context(|| format!("open {address}"))
    }

    /// Runs a script in each page that the tab in front opens from now on, before the page's own.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn before_pages(&self, script: &str) -> Result<()> {
        let command = Devtools {
            command: "Page.addScriptToEvaluateOnNewDocument",
            parameters: json!({ "source": script }),
        };
        self.runtime.block_on(self.client.issue_cmd(command))?;
        Ok(())
    }

    /// Opens an address in a new tab, which is in front then.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn open_tab(&self, address: &str) -> Result<Tab> {
        let opened = self.runtime.block_on(self.client.new_window(true))?;
        let tab = Tab(opened.handle);
        self.bring_up(&tab)?;
        self.open(address)?;
        Ok(tab)
    }

    /// The tab in front.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn tab(&self) -> Result<Tab> {
        Ok(Tab(self.runtime.block_on(self.client.window())?))
    }

    /// Brings a tab to the front: all else looks at it then.
    ///
    /// # Errors
    /// When there is no such tab any more.
    pub fn bring_up(&self, tab: &Tab) -> Result<()> {
        Ok(self.runtime.block_on(self.client.switch_to_window(tab.0.clone()))?)
    }

    /// Closes the tab in front.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn close_tab(&self) -> Result<()> {
        Ok(self.runtime.block_on(self.client.close_window())?)
    }

    /// The value of a script, which says `return`.
    ///
    /// # Errors
    /// When it throws.
    pub fn run(&self, script: &str, args: Vec<Value>) -> Result<Value> {
        Ok(self.runtime.block_on(self.client.execute(script, args))?)
    }

    /// The value of an expression about the first element `found` with this `data-testid`; null when there is none.
    ///
    /// # Errors
    /// When it throws.
    pub fn look(&self, testid: &str, expression: &str) -> Result<Value> {
        let script = format!(
            "const found = document.querySelector(`[data-testid=\"${{arguments[0]}}\"]`); return found && ({expression})"
        );
        self.run(&script, vec![json!(testid)])
    }

    /// Whether the page has such an element.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn shows(&self, testid: &str) -> Result<bool> {
        Ok(self.look(testid, "true")? == Value::Bool(true))
    }

    /// An attribute of an element; none when there is no such element, or no such attribute.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn attribute(&self, testid: &str, name: &str) -> Result<Option<String>> {
        let value = self.look(testid, &format!("found.getAttribute({})", json!(name)))?;
        Ok(value.as_str().map(str::to_owned))
    }

    /// Clicks an element once it is there.
    ///
    /// # Errors
    /// When it does not come, or cannot be clicked.
    pub fn click(&self, testid: &str) -> Result<()> {
        self.until_shown(testid)?;
        let selector = format!("[data-testid={}]", json!(testid));
        let element = self.runtime.block_on(self.client.find(Locator::Css(&selector)))?;
        self.runtime.block_on(element.click()).with_context(|| format!("click {testid}"))
    }

    /// Types into a field and presses Enter.
    ///
    /// # Errors
    /// When it does not come, or takes no text.
    pub fn enter(&self, testid: &str, text: &str) -> Result<()> {
        self.until_shown(testid)?;
        let selector = format!("[data-testid={}]", json!(testid));
        let element = self.runtime.block_on(self.client.find(Locator::Css(&selector)))?;
        self.runtime
            .block_on(element.send_keys(&format!("{text}\u{e007}")))
            .with_context(|| format!("fill {testid}"))
    }

    /// Keeps what is to be seen as `name`.png.
    ///
    /// # Errors
    /// When the browser is gone, or the disk is full.
    pub fn screenshot(&self, name: &str) -> Result<PathBuf> {
        let picture = self.runtime.block_on(self.client.screenshot())?;
        let file = self.screenshots.join(format!("{name}.png"));
        fs::write(&file, picture)?;
        Ok(file)
    }

    /// Waits until something is so.
    ///
    /// # Errors
    /// When it is not so in time, with what the page says; when it cannot be told.
    pub fn until(&self, what: &str, mut is_so: impl FnMut(&Self) -> Result<bool>) -> Result<()> {
        let found = wait_until(PATIENCE, || match is_so(self) {
            Ok(false) => None,
            Ok(true) => Some(Ok(())),
            Err(error) => Some(Err(error)),
        });
        match found {
            Some(outcome) => outcome.with_context(|| format!("waiting for {what}")),
            None => Err(self.missed(what)),
        }
    }

    /// Waits until an element is there.
    ///
    /// # Errors
    /// As [`Browser::until`].
    pub fn until_shown(&self, testid: &str) -> Result<()> {
        self.until(&format!("{testid} to come"), |browser| browser.shows(testid))
    }

    /// Waits until an attribute has this value.
    ///
    /// # Errors
    /// As [`Browser::until`].
    pub fn until_is(&self, testid: &str, attribute: &str, value: &str) -> Result<()> {
        self.until(&format!("{testid}: {attribute}={value}"), |browser| {
            Ok(browser.attribute(testid, attribute)?.as_deref() == Some(value))
        })
    }

    /// What a test needs to know when it has waited in vain.
    fn missed(&self, what: &str) -> anyhow::Error {
        let kept = match self.screenshot("waited-in-vain") {
            Ok(file) => format!("the page is in {}", file.display()),
            Err(error) => format!("no screenshot: {error:#}"),
        };
        let page = self.run("return document.body.innerText", Vec::new());
        let page =
            page.map_or_else(|error| error.to_string(), |text| text.as_str().unwrap_or_default().to_owned());
        anyhow!("waited in vain for {what}; {kept}\npage:\n{page}")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser ends with the session; the driver with the signal.
        let _ = self.runtime.block_on(self.client.clone().close());
        self.driver.end();
    }
}

/// A command of the browser's developer tools, which chromedriver passes on.
#[derive(Debug)]
struct Devtools {
    command: &'static str,
    parameters: Value,
}

impl WebDriverCompatibleCommand for Devtools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        let body = json!({ "cmd": self.command, "params": self.parameters });
        (Method::POST, Some(body.to_string()))
    }
}

fn capabilities(profile: &Path, (width, height): (u32, u32), flags: &[&str]) -> Result<Capabilities> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let found = || BROWSERS.iter().map(PathBuf::from).find(|path| path.is_file());
    let binary = named.or_else(found).context("`cargo xtask setup` installs chromium")?;
    let (profile, window) =
        (format!("--user-data-dir={}", profile.display()), format!("--window-size={width},{height}"));
    let usual = [
        "--headless=new",
        // The sandbox does not start as root.
        "--no-sandbox",
        &profile,
        &window,
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        // Tabs behind the one in front are viewers like it.
        "--disable-background-timer-throttling",
        "--disable-backgrounding-occluded-windows",
        "--disable-renderer-backgrounding",
    ];
    let args = [&usual, flags].concat();
    let options = json!({ "binary": binary, "args": args });
    Ok(Capabilities::from_iter([("goog:chromeOptions".to_owned(), options)]))
}
