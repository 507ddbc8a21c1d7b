//! The systems that are checked for.

/// A system by Rust's name.
pub(super) struct Target {
    pub(super) triple: &'static str,
    /// Whether every run of all tests includes it; the others take `--all`.
    pub(super) in_every_run: bool,
}

/// The first three differ most from Linux: two have a sandbox and devices of their own, the other files and sockets unlike
/// ours. macOS is left to the workflows, which build for it natively.
pub(super) const TARGETS: &[Target] = &[
    Target { triple: "aarch64-linux-android", in_every_run: true },
    Target { triple: "x86_64-pc-windows-gnu", in_every_run: true },
    Target { triple: "aarch64-apple-ios", in_every_run: true },
    Target { triple: "aarch64-apple-darwin", in_every_run: false },
];
