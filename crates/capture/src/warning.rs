//! What is not wrong, but costs.

use crate::encode::h264;

/// Something about this build or machine that makes capture worse than it could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// OpenH264 was built without its assembly code.
    #[error(
        "this program was built without nasm, so that H.264 encoding costs 2.4 times as much processor time: \
         install nasm and build again (cargo clean -p openh264-sys2)"
    )]
    SlowH264,
}

/// The warnings that apply; for the most part none.
#[must_use]
pub fn warnings() -> Vec<Warning> {
    if h264::has_assembly() { Vec::new() } else { vec![Warning::SlowH264] }
}
