//! Bounds on what a peer may declare or send. Both sides check them; `welcome` tells the server's own.

/// A WebSocket message, in bytes. An intra frame of 4K video at the highest quality stays below 2 MiB.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// One unit's payload, in bytes.
pub const MAX_UNIT_BYTES: usize = 2 * 1024 * 1024;

/// A text (control) message, in bytes.
pub const MAX_CONTROL_BYTES: usize = 64 * 1024;

/// Units in one binary message.
pub const MAX_UNITS_PER_MESSAGE: usize = 64;

/// Unit numbers stay below this: at 240 units a second it lasts for 145 years.
pub const MAX_UNIT_NUMBER: u64 = 1 << 40;

/// How far above the highest number seen so far a unit number may lie: two days of audio packets
/// fit, so that any outage a spool can bridge is legal, and a corrupted number is not.
pub const MAX_UNIT_JUMP: u64 = 10_000_000;

/// Presentation times stay below this: 99 years at 90 kHz.
pub const MAX_PTS_90K: u64 = 1 << 48;

/// One unit lasts at most this long: 10 s at 90 kHz.
pub const MAX_DURATION_90K: u32 = 900_000;

/// Ranges in one control message.
pub const MAX_RANGES: usize = 2_000;

/// Changes of codec parameters in one session and track.
pub const MAX_PARAMS_CHANGES: usize = 256;

/// Events in one session and track.
pub const MAX_EVENTS: usize = 1_024;

/// An access token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 512;

/// Text that a person or a device provides (device name, event detail), in bytes.
pub const MAX_TEXT_BYTES: usize = 256;

/// Picture width and height, in pixels.
pub const MAX_PICTURE_SIDE: u32 = 8_192;
