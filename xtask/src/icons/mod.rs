//! `cargo xtask icons`: every size of the mark that a system asks for, from the two drawings in `icons/`.
//!
//! The pictures are committed, so that a build needs no tool for them. What they were made from is recorded beside them as
//! checksums: not every format comes out the same twice, so that making them again would not tell whether they are stale.

mod checksums;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::json;

use crate::run;
use crate::tauri_cli::tauri;
use crate::workspace::Workspace;

/// Below the repository's top folder.
pub(crate) const FOLDER: &str = "icons";
/// The mark on its tile, and the mark in one colour.
const MARK: &str = "mark.svg";
const MONO: &str = "mark-mono.svg";

/// What the installers of desktop systems take.
const DESKTOP: &[&str] =
    &["32x32.png", "64x64.png", "128x128.png", "128x128@2x.png", "icon.png", "icon.icns", "icon.ico"];
/// What the projects of mobile systems take.
const MOBILE: &[&str] = &["android", "ios"];
/// Sizes of the one-colour mark for trays, in pixels.
const TRAY_SIZES: &str = "16,32,64";

/// Gives the tile its shape. Mobile systems cut the picture to their own, and want it to reach the edges.
const TILE: &str = " clip-path=\"url(#tile)\"";
/// What Android adds around the mark, as parts of its side: it may cut away a sixth of the result on each side.
const ANDROID_MARGIN: f64 = 1.0 / 6.0;
/// The same around the mark in one colour, which is drawn up to its edges.
const ANDROID_MARGIN_MONO: f64 = 1.0 / 4.0;

/// Draws all pictures anew and records what they were made from.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let icons = workspace.root().join(FOLDER);
    let bench = workspace.target_dir().join("icons");
    fs::create_dir_all(&bench)?;

    let mark = fs::read_to_string(icons.join(MARK))?;
    let mono = fs::read_to_string(icons.join(MONO))?;
    let full = without_tile(&mark)?;
    let sources = json!({
        "default": drawn(&bench, "full.svg", &full)?,
        "bg_color": colour(&mark)?,
        "android_fg": drawn(&bench, "android.svg", &with_margin(&full, ANDROID_MARGIN)?)?,
        "android_fg_scale": 100,
        "android_monochrome": drawn(&bench, "android-mono.svg", &with_margin(&mono, ANDROID_MARGIN_MONO)?)?,
    });
    let mobile = drawn(&bench, "mobile.json", &sources.to_string())?;

    remove_pictures(&icons)?;
    for (source, wanted) in [(&icons.join(MARK), DESKTOP), (&mobile, MOBILE)] {
        let all = bench.join("all");
        if all.exists() {
            fs::remove_dir_all(&all)?;
        }
        run::checked(tauri(workspace).arg("icon").arg(source).arg("--output").arg(&all))?;
        for name in wanted {
            fs::rename(all.join(name), icons.join(name))
                .or_else(|_| copy_tree(&all.join(name), &icons.join(name)))
                .with_context(|| format!("`tauri icon` has made no {name}"))?;
        }
    }
    let mut tray = tauri(workspace);
    tray.arg("icon").arg(icons.join(MONO)).arg("--output").arg(icons.join("tray"));
    run::checked(tray.args(["--png", TRAY_SIZES]))?;
    checksums::record(&icons)
}

/// What is wrong with the pictures: their paths below the folder, none if they are what the drawings say.
pub(crate) fn stale(root: &Path) -> anyhow::Result<Vec<String>> {
    checksums::differences(&root.join(FOLDER))
}

/// Writes a file below `folder` and tells where.
fn drawn(folder: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// The drawing in the middle of a larger square: `margin` parts of its side are added on each side. A line that reaches
/// beyond the drawing goes on in the margin.
fn with_margin(drawing: &str, margin: f64) -> anyhow::Result<String> {
    let (before, rest) = drawing.split_once("viewBox=\"0 0 ").context("the drawing does not begin at 0 0")?;
    let (view, after) = rest.split_once('"').context("the drawing breaks off")?;
    let side: f64 = view.split(' ').next().unwrap_or_default().parse().context("the drawing has no size")?;
    ensure!(view == format!("{side} {side}"), "the drawing is not square: {view}");
    let (start, side) = (-margin * side, side * (1.0 + 2.0 * margin));
    Ok(format!("{before}viewBox=\"{start} {start} {side} {side}\"{after}"))
}

/// The drawing without the tile's shape: its colour reaches the edges.
fn without_tile(drawing: &str) -> anyhow::Result<String> {
    ensure!(drawing.contains(TILE), "{MARK} does not say{TILE}");
    Ok(drawing.replace(TILE, ""))
}

/// The colour behind the mark: the first that the drawing names.
fn colour(drawing: &str) -> anyhow::Result<&str> {
    let (_, rest) = drawing.split_once("fill=\"#").context("the drawing has no colour")?;
    let (digits, _) = rest.split_once('"').context("the drawing breaks off")?;
    ensure!(digits.len() == 6, "the first colour of the drawing is not #rrggbb");
    Ok(&drawing[drawing.len() - rest.len() - 1..][..7])
}

/// Removes what an earlier run has made, so that nothing outlives its reason.
fn remove_pictures(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else if ![MARK, MONO].iter().any(|drawing| entry.file_name() == *drawing) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// For a target folder on another file system, where nothing can be renamed to.
fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    if from.is_file() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy_tree(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mobile_systems_get_the_mark_without_its_tile() {
        let drawing = r##"<g clip-path="url(#tile)"><rect fill="#1b2029"/><circle fill="#ff4b3e"/></g>"##;
        assert_eq!(colour(drawing).expect("has one"), "#1b2029");
        let full = without_tile(drawing).expect("has a tile");
        assert_eq!(full, r##"<g><rect fill="#1b2029"/><circle fill="#ff4b3e"/></g>"##);
        assert!(without_tile(&full).is_err());
    }

    #[test]
    fn a_margin_is_added_on_each_side() {
        let larger = with_margin(r#"<svg viewBox="0 0 16 16"><g/></svg>"#, 0.25).expect("square");
        assert_eq!(larger, r#"<svg viewBox="-4 -4 24 24"><g/></svg>"#);
        assert!(with_margin(r#"<svg viewBox="0 0 16 9">"#, 0.25).is_err());
        assert!(with_margin(r#"<svg viewBox="1 0 16 16">"#, 0.25).is_err());
    }
}
