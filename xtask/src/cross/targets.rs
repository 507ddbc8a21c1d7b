//! The systems that are checked for.

/// A system by Rust's name.
pub(super) struct Target {
    pub(super) triple: &'static str,
    /// Whether every run of all tests includes it; the others take `--all`.
    pub(super) in_every_run: bool,
}

/// The first two differ most from Linux: the one has a sandbox, Java and devices of its own, the other files and sockets unlike
/// ours. The workflows build natively for the rest.
pub(super) const TARGETS: &[Target] = &[
    Target { triple: "aarch64-linux-android", in_every_run: true },
    Target { triple: "x86_64-pc-windows-gnu", in_every_run: true },
    Target { triple: "aarch64-apple-darwin", in_every_run: false },
    Target { triple: "aarch64-apple-ios", in_every_run: false },
];
