//! The app in its window, used as a person would: seen on a screen, clicked, typed into, closed.
//!
//! The screen is an Xvfb, the hands are WebDriver's. Everything that is waited for is looked at again and again with a
//! deadline; when it passes, the error tells what the screen and the log say, and a screenshot of the moment is kept.

mod display;
mod driver;
mod picture;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use fantoccini::actions::{InputSource as _, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
use fantoccini::elements::Element;
use fantoccini::{Client, Locator};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::child::{PATIENCE, program, wait_until};
use crate::family::{self, Relative};

use display::Display;
use driver::Driver;
use picture::Area;

pub use driver::TAURI_DRIVER;
pub use picture::Picture;

/// The app's program.
pub const APP: &str = "longtake-app";

/// Longer than the button wants to be held.
const HOLD: Duration = Duration::from_millis(900);

/// The app's open window. Dropping it ends the app, without asking, and everything that was started for it.
pub struct Window {
    client: Client,
    // In the order in which they are to end.
    driver: Driver,
    display: Display,
    runtime: Runtime,
}

impl Window {
    /// Starts the app with its settings and what its webview remembers in `folder`, and waits for its screen. The
    /// environment in `env` overrides the settings.
    ///
    /// # Errors
    /// When something that it needs is missing, with what to do; when the screen does not come.
    pub fn open(folder: &Path, env: &[(&str, &str)]) -> Result<Self> {
        let app = program(APP).context("the app; `cargo xtask test` builds its screen and then it")?;
        let display = Display::start()?;
        let mut variables = vec![
            ("LONGTAKE_CONFIG_DIR", folder.join("settings").into_os_string()),
            ("XDG_DATA_HOME", folder.join("webview").into_os_string()),
        ];
        variables.extend(env.iter().map(|(name, value)| (*name, value.into())));
        let driver = Driver::start(display.name(), &variables)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = runtime.block_on(driver.open(&app))?;
        let window = Self { client, driver, display, runtime };
        window.until("the screen; was the app built without it?", |window| window.shows("start-stop"))?;
        Ok(window)
    }

    // What is to be seen.

    /// Whether the screen has the element with this `data-testid`.
    ///
    /// # Errors
    /// When the window is gone.
    pub fn shows(&self, testid: &str) -> Result<bool> {
        Ok(self.look(testid, "true")? == Value::Bool(true))
    }

    /// An attribute of an element; none when there is no such element, or no such attribute.
    ///
    /// # Errors
    /// When the window is gone.
    pub fn attribute(&self, testid: &str, name: &str) -> Result<Option<String>> {
        let value = self.look(testid, &format!("found.getAttribute({})", json!(name)))?;
        Ok(value.as_str().map(str::to_owned))
    }

    /// An attribute that is a number.
    ///
    /// # Errors
    /// When the window is gone.
    pub fn number(&self, testid: &str, name: &str) -> Result<Option<f64>> {
        Ok(self.attribute(testid, name)?.and_then(|text| text.parse().ok()))
    }

    /// What an element says; empty when there is no such element.
    ///
    /// # Errors
    /// When the window is gone.
    pub fn text(&self, testid: &str) -> Result<String> {
        Ok(self.look(testid, "found.innerText")?.as_str().unwrap_or_default().to_owned())
    }

    /// What a field holds.
    ///
    /// # Errors
    /// When the window is gone.
    pub fn value(&self, testid: &str) -> Result<String> {
        Ok(self.look(testid, "found.value")?.as_str().unwrap_or_default().to_owned())
    }

    /// Whether the choice or the switch with this label is on.
    ///
    /// # Errors
    /// When the window is gone, or has no such label.
    pub fn is_chosen(&self, label: &str) -> Result<bool> {
        let input = self.labelled(label)?;
        Ok(self.runtime.block_on(input.is_selected())?)
    }

    /// Where the two tracks are: `data-phase` of the picture's and the sound's line.
    ///
    /// # Errors
    /// When the window is gone.
    pub fn phases(&self) -> Result<[String; 2]> {
        let phase =
            |testid| Ok::<_, anyhow::Error>(self.attribute(testid, "data-phase")?.unwrap_or_default());
        Ok([phase("video-track")?, phase("audio-track")?])
    }

    /// What is seen in the middle of the preview, where nothing lies over it while there is no dialog.
    ///
    /// # Errors
    /// When the window or the preview is gone.
    pub fn preview(&self) -> Result<Picture> {
        let place = self.look(
            "preview",
            "(() => { const r = found.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; })()",
        )?;
        let place: [f64; 4] = serde_json::from_value(place).context("the preview is there")?;
        let [x, y, width, height] = place;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // They are within the window.
        let pixels = |value: f64| value.round() as u16;
        let middle = Area {
            x: pixels(x + width * 0.3),
            y: pixels(y + height * 0.45),
            width: pixels(width * 0.4),
            height: pixels(height * 0.2),
        };
        self.display.picture(Some(middle))
    }

    /// Keeps what is seen, once what is on its way has arrived, and says where.
    ///
    /// # Errors
    /// When the window is gone, or the file cannot be written.
    pub fn screenshot(&self, name: &str) -> Result<()> {
        self.until_on_display()?;
        let path = screenshots()?.join(format!("{name}.png"));
        self.display.picture(None)?.save(&path)?;
        println!("{}", path.display());
        Ok(())
    }

    // What a person does.

    /// Clicks on an element.
    ///
    /// # Errors
    /// When it is not there in time, or lies under something.
    pub fn click(&self, testid: &str) -> Result<()> {
        let element = self.element(testid)?;
        self.runtime.block_on(element.click()).with_context(|| format!("click {testid}"))
    }

    /// Clicks on the choice or the switch with this label.
    ///
    /// # Errors
    /// When there is none.
    pub fn choose(&self, label: &str) -> Result<()> {
        let input = self.labelled(label)?;
        self.runtime.block_on(input.click()).with_context(|| format!("choose {label}"))
    }

    /// Holds the mouse button down on an element for as long as stopping wants it.
    ///
    /// # Errors
    /// When it is not there in time.
    pub fn hold(&self, testid: &str) -> Result<()> {
        let element = self.element(testid)?;
        let hold = MouseActions::new("mouse".to_owned())
            .then(PointerAction::MoveToElement { element, duration: None, x: 0.0, y: 0.0 })
            .then(PointerAction::Down { button: MOUSE_BUTTON_LEFT })
            .then(PointerAction::Pause { duration: HOLD })
            .then(PointerAction::Up { button: MOUSE_BUTTON_LEFT });
        self.runtime.block_on(self.client.perform_actions(hold)).with_context(|| format!("hold {testid}"))
    }

    /// Types over what a field holds, and presses Enter.
    ///
    /// # Errors
    /// When it is not there in time.
    pub fn fill(&self, testid: &str, text: &str) -> Result<()> {
        let element = self.element(testid)?;
        self.look(testid, "(found.focus(), found.select(), true)")?;
        self.runtime
            .block_on(element.send_keys(&format!("{text}\u{e007}")))
            .with_context(|| format!("fill {testid}"))
    }

    /// Gives the window another size, in pixels.
    ///
    /// # Errors
    /// When it does not take it in time.
    pub fn resize(&self, width: u32, height: u32) -> Result<()> {
        self.display.resize(width, height)?;
        let wanted = json!([width, height]);
        self.until("the new size", |window| {
            Ok(window.run("return [innerWidth, innerHeight]", Vec::new())? == wanted)
        })
    }

    /// Shows the screen `dark` or `light` until it is loaded anew, without remembering that.
    ///
    /// # Errors
    /// When the window is gone.
    pub fn look_in(&self, theme: &str) -> Result<()> {
        self.run("document.documentElement.dataset.theme = arguments[0]", vec![json!(theme)]).map(drop)
    }

    /// Presses the cross of the window's frame.
    ///
    /// # Errors
    /// When there is no window.
    pub fn ask_to_close(&self) -> Result<()> {
        self.display.ask_to_close()
    }

    // What is waited for.

    /// Waits until something is so.
    ///
    /// # Errors
    /// When it is not so in time, with what the screen and the log say; when it cannot be told.
    pub fn until(&self, what: &str, mut is_so: impl FnMut(&Self) -> Result<bool>) -> Result<()> {
        let found = wait_until(PATIENCE, || match is_so(self) {
            Ok(false) => None,
            Ok(true) => Some(Ok(())),
            Err(error) => Some(Err(error)),
        });
        match found {
            Some(outcome) => outcome.with_context(|| format!("waiting for {what}; log:\n{}", self.log())),
            None => Err(self.missed(what)),
        }
    }

    /// Waits until both tracks are in one of these phases.
    ///
    /// # Errors
    /// As [`Window::until`].
    pub fn until_phase(&self, phases: &[&str]) -> Result<()> {
        self.until(&format!("both tracks {}", phases.join(" or ")), |window| {
            Ok(window.phases()?.iter().all(|phase| phases.contains(&phase.as_str())))
        })
    }

    /// Waits until an element is there, or is not.
    ///
    /// # Errors
    /// As [`Window::until`].
    pub fn until_shown(&self, testid: &str, shown: bool) -> Result<()> {
        let what = format!("{testid} {}", if shown { "to come" } else { "to go" });
        self.until(&what, |window| Ok(window.shows(testid)? == shown))
    }

    /// Waits until the preview shows the camera's pictures and another one than at first, which is not all of one
    /// colour.
    ///
    /// # Errors
    /// As [`Window::until`].
    pub fn until_preview_moves(&self) -> Result<()> {
        // What stands there while the camera opens is no picture, and its coming no movement.
        self.until("the preview to have a picture", |window| {
            Ok(window.look("preview", "getComputedStyle(found).visibility")? == "visible")
        })?;
        self.until_on_display()?;
        let before = self.preview()?;
        self.until("the preview to move", |window| {
            let now = window.preview()?;
            Ok(now.contrast() > 16 && now.difference(&before) > 2.0)
        })
    }

    /// Waits until the app has ended by itself.
    ///
    /// # Errors
    /// When it has not in time, with its log.
    pub fn until_closed(&self) -> Result<()> {
        let gone = wait_until(PATIENCE, || self.family().is_ok_and(|family| family.is_empty()).then_some(()));
        gone.with_context(|| format!("the app does not end; log:\n{}", self.log()))
    }

    // What stands behind the window.

    /// The app and what it has started, the app first; empty once it has ended.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn family(&self) -> Result<Vec<Relative>> {
        let all = family::of(self.driver.id())?;
        all.iter().find(|relative| relative.name == APP).map_or(Ok(Vec::new()), |app| family::of(app.id))
    }

    /// What the app has printed, and its drivers.
    #[must_use]
    pub fn log(&self) -> String {
        self.driver.output()
    }

    fn element(&self, testid: &str) -> Result<Element> {
        self.until_shown(testid, true)?;
        let selector = format!("[data-testid={}]", json!(testid));
        Ok(self.runtime.block_on(self.client.find(Locator::Css(&selector)))?)
    }

    /// Waits until what the page shows now is on the display, at the end of its animations.
    fn until_on_display(&self) -> Result<()> {
        // A frame is on the display some time after the page has painted it, and nothing tells when.
        let settled = "const done = arguments[arguments.length - 1];
            const ends = document.getAnimations()
                .filter((animation) => Number.isFinite(animation.effect?.getComputedTiming().endTime))
                .map((animation) => animation.finished.catch(() => {}));
            const painted = () => setTimeout(() => done(true), 100);
            Promise.all(ends).then(() => requestAnimationFrame(() => requestAnimationFrame(painted)));";
        self.runtime.block_on(self.client.execute_async(settled, Vec::new()))?;
        Ok(())
    }

    fn labelled(&self, label: &str) -> Result<Element> {
        let path = format!("//label[starts-with(normalize-space(.), {})]//input", json!(label));
        let found = self.runtime.block_on(self.client.find(Locator::XPath(&path)));
        found.with_context(|| format!("nothing is labelled {label}"))
    }

    /// The value of an expression about the element `found`; null when there is no such element.
    fn look(&self, testid: &str, expression: &str) -> Result<Value> {
        let script = format!(
            "const found = document.querySelector(`[data-testid=\"${{arguments[0]}}\"]`); return found && ({expression})"
        );
        self.run(&script, vec![json!(testid)])
    }

    fn run(&self, script: &str, args: Vec<Value>) -> Result<Value> {
        Ok(self.runtime.block_on(self.client.execute(script, args))?)
    }

    /// What a test needs to know when it has waited in vain.
    fn missed(&self, what: &str) -> anyhow::Error {
        let kept = self.screenshot("waited-in-vain").err().map(|error| format!("no screenshot: {error:#}"));
        let screen = self.run("return document.body.innerText", Vec::new());
        let screen = screen
            .map_or_else(|error| error.to_string(), |text| text.as_str().unwrap_or_default().to_owned());
        anyhow!(
            "waited in vain for {what}; {}\nscreen:\n{screen}\nlog:\n{}",
            kept.unwrap_or_default(),
            self.log()
        )
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // The app ends with the session, if it has not by itself.
        let _ = self.runtime.block_on(self.client.clone().close());
    }
}

/// The folder for screenshots: beside the profiles in the target folder, so that they outlive the test.
///
/// # Errors
/// When the test does not run from a target folder.
pub fn screenshots() -> Result<PathBuf> {
    let app = program(APP)?;
    let profile = app.parent().context("a program lies in a folder")?;
    let target = profile.parent().context("a profile lies in the target folder")?;
    ensure!(target.is_dir(), "{} is no folder", target.display());
    Ok(target.join("screenshots"))
}
