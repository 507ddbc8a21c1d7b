//! Stable ids for cameras.
//!
//! Linux numbers its video devices in the order in which they appear. What stays is the name that udev makes of
//! maker, model and serial number (`/dev/v4l/by-id`), and failing that the place in the tree of buses
//! (sysfs). On other systems the backend tells a unique id, and these files do not exist.

use std::fs;
use std::path::Path;

/// The id of Linux's video device `number`; `None` when the system has no such files.
pub(super) fn linux_id(number: u32) -> Option<String> {
    by_id(Path::new("/dev/v4l/by-id"), number).or_else(|| by_bus(Path::new("/sys/class/video4linux"), number))
}

/// Whether Linux's video device `number` is the first one of its camera; the others carry metadata.
pub(super) fn is_primary(number: u32) -> bool {
    let path = format!("/sys/class/video4linux/video{number}/index");
    fs::read_to_string(path).map_or(true, |index| index.trim() == "0")
}

fn by_id(links: &Path, number: u32) -> Option<String> {
    let device = format!("video{number}");
    let mut names: Vec<String> = fs::read_dir(links)
        .ok()?
        .filter_map(Result::ok)
        .filter(|link| fs::read_link(link.path()).is_ok_and(|target| target.ends_with(&device)))
        .filter_map(|link| link.file_name().into_string().ok())
        .collect();
    names.sort();
    names.into_iter().next()
}

fn by_bus(class: &Path, number: u32) -> Option<String> {
    let node = class.join(format!("video{number}"));
    let parent = fs::canonicalize(node.join("device")).ok()?;
    let index = fs::read_to_string(node.join("index"))
        .map_or_else(|_| "0".to_owned(), |index| index.trim().to_owned());
    Some(format!("{}-video-index{index}", parent.file_name()?.to_str()?))
}

#[cfg(test)]
#[cfg(unix)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn an_id_is_the_udev_name_or_the_place_on_the_bus() {
        let root = tempfile::tempdir().unwrap();
        let links = root.path().join("by-id");
        fs::create_dir_all(&links).unwrap();
        symlink("../../video2", links.join("usb-Maker_Model_0042-video-index0")).unwrap();
        symlink("../../video12", links.join("usb-Other-video-index0")).unwrap();
        assert_eq!(by_id(&links, 2).as_deref(), Some("usb-Maker_Model_0042-video-index0"));
        assert_eq!(by_id(&links, 1), None);
        let (class, device) = (root.path().join("class"), root.path().join("devices/platform/vivid.0"));
        fs::create_dir_all(class.join("video0")).unwrap();
        fs::create_dir_all(&device).unwrap();
        symlink(&device, class.join("video0/device")).unwrap();
        fs::write(class.join("video0/index"), "0\n").unwrap();
        assert_eq!(by_bus(&class, 0).as_deref(), Some("vivid.0-video-index0"));
        assert_eq!(by_bus(&class, 1), None);
    }
}
