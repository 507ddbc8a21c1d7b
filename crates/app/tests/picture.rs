//! The committed picture, which the screen's tests read, is what the app would send.
//!
//! `UPDATE_GENERATED=1` writes it anew.

use std::fs;
use std::path::PathBuf;

use app::api::PictureHeader;

/// Three by three pixels, so that the chroma planes are rounded up, and a different value in every byte of the planes.
fn picture() -> Vec<u8> {
    let header = PictureHeader {
        sequence: 0x0001_0203_0405_0607,
        captured_unix_us: 1_767_225_600_123_456,
        width: 3,
        height: 3,
        frames_captured: 0x0000_0001_0000_0002,
    };
    let planes = 100..100 + (3 * 3 + 2 * (2 * 2));
    header.to_bytes().into_iter().chain(planes).collect()
}

#[test]
fn the_committed_picture_is_current() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../ui/src/lib/platform/picture.golden");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&path, picture()).expect("the file can be written");
    }
    let committed = fs::read(&path).expect("ui/src/lib/platform/picture.golden exists");
    assert!(committed == picture(), "ui/src/lib/platform/picture.golden is stale; run `cargo xtask codegen`");
}
