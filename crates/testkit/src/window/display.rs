//! A screen that nobody sees, and the windows on it: Xvfb, spoken to in X11.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{
    AtomEnum, ClientMessageEvent, ConfigureWindowAux, ConnectionExt as _, EventMask, ImageFormat, MapState,
};
use x11rb::rust_connection::RustConnection;

use super::picture::{Area, Picture};
use crate::child::{PATIENCE, Running, wait_until};

/// The title of the app's own window; others have longer ones.
const TITLE: &str = "Longtake";

/// Larger than every window that is asked for.
const SCREEN: &str = "1600x1200x24";

/// A running X server. Dropping it ends it.
pub(super) struct Display {
    server: Running,
    name: String,
    x11: RustConnection,
    root: u32,
}

impl Display {
    /// Starts a server on a display number that is free.
    pub(super) fn start() -> Result<Self> {
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", SCREEN, "-nolisten", "tcp"]);
        let mut server = Running::spawn("Xvfb", &mut command)
            .context("it is in the package xvfb (`cargo xtask setup`)")?;
        let number = wait_until(PATIENCE, || {
            let said = server.output();
            let number = said.lines().find_map(|line| line.trim().parse::<u32>().ok());
            if number.is_none() && server.has_ended() { Some(None) } else { number.map(Some) }
        });
        let number =
            number.flatten().with_context(|| format!("no display; Xvfb said:\n{}", server.output()))?;
        let name = format!(":{number}");
        let (x11, screen) = x11rb::connect(Some(&name)).context("the display answers")?;
        let root = x11.setup().roots.get(screen).context("a screen")?.root;
        Ok(Self { server, name, x11, root })
    }

    /// What the variable `DISPLAY` has to be.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Asks the window to close, as a window manager does when its cross is pressed.
    pub(super) fn ask_to_close(&self) -> Result<()> {
        let (protocols, delete) = (self.atom("WM_PROTOCOLS")?, self.atom("WM_DELETE_WINDOW")?);
        let window = self.window()?;
        let event = ClientMessageEvent::new(32, window, protocols, [delete, x11rb::CURRENT_TIME, 0, 0, 0]);
        self.x11.send_event(false, window, EventMask::NO_EVENT, event)?.check()?;
        Ok(())
    }

    /// Gives the window another size, as a window manager does when its edge is drawn.
    pub(super) fn resize(&self, width: u32, height: u32) -> Result<()> {
        let wanted = ConfigureWindowAux::new().x(0).y(0).width(width).height(height);
        self.x11.configure_window(self.window()?, &wanted)?.check()?;
        Ok(())
    }

    /// What is seen of the window, or of a part of it.
    pub(super) fn picture(&self, part: Option<Area>) -> Result<Picture> {
        let window = self.window()?;
        let whole = self.x11.get_geometry(window)?.reply()?;
        let whole = Area { x: 0, y: 0, width: whole.width, height: whole.height };
        let Area { x, y, width, height } = part.unwrap_or(whole);
        let every_plane = u32::MAX;
        let (left, top) = (i16::try_from(x)?, i16::try_from(y)?);
        let image = self
            .x11
            .get_image(ImageFormat::Z_PIXMAP, window, left, top, width, height, every_plane)?
            .reply()?;
        ensure!(image.depth == 24, "the display has {} bits a pixel instead of 24", image.depth);
        Picture::from_bgrx(width, height, &image.data)
    }

    /// The app's own window.
    fn window(&self) -> Result<u32> {
        let own = self.windows()?.into_iter().find(|(_, title)| title == TITLE);
        own.map(|(window, _)| window).context("the app shows no window")
    }

    /// The windows that are to be seen and may be closed by a person, with their titles.
    fn windows(&self) -> Result<Vec<(u32, String)>> {
        let (protocols, delete) = (self.atom("WM_PROTOCOLS")?, self.atom("WM_DELETE_WINDOW")?);
        let title = self.atom("_NET_WM_NAME")?;
        let mut found = Vec::new();
        for window in self.x11.query_tree(self.root)?.reply()?.children {
            // It may go away in between.
            let Ok(attributes) = self.x11.get_window_attributes(window)?.reply() else { continue };
            let asked = self.x11.get_property(false, window, protocols, AtomEnum::ATOM, 0, 32)?.reply();
            let understands = asked.is_ok_and(|property| {
                property.value32().is_some_and(|mut atoms| atoms.any(|atom| atom == delete))
            });
            if attributes.map_state == MapState::VIEWABLE && understands {
                let named = self.x11.get_property(false, window, title, AtomEnum::ANY, 0, 256)?.reply();
                let named = named.map(|property| String::from_utf8_lossy(&property.value).into_owned());
                found.push((window, named.unwrap_or_default()));
            }
        }
        Ok(found)
    }

    fn atom(&self, name: &str) -> Result<u32> {
        Ok(self.x11.intern_atom(false, name.as_bytes())?.reply()?.atom)
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.server.end();
    }
}
