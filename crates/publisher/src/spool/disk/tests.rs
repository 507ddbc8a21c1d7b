//! The log on disks that are full, fail, lose power, or are damaged.
#![allow(clippy::unwrap_used)]

mod bounds;
mod power;
mod reopening;
mod vouching;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use protocol::Track;
use protocol::unit::{Lane, Unit};

use super::files::Files;
use super::logs::{DiskSpool, MemoryBytes, bare};
use super::recovery::Found;
use super::segments::Budget;
use super::{Settings, WhenFull};

const MEMORY: MemoryBytes = MemoryBytes { video: 40_000, audio: 10_000 };

/// Pictures of 30 frames per second, an IDR each `gop`.
fn picture(number: u64, gop: u64, payload_bytes: usize) -> Unit {
    Unit {
        lane: Lane::Live,
        key: number.is_multiple_of(gop),
        number,
        pts_90k: number * 3_000,
        duration_90k: 3_000,
        capture_us: number * 33_333,
        payload: Bytes::from(vec![number as u8; payload_bytes]),
    }
}

fn settings(capacity_bytes: u64, when_full: WhenFull) -> Settings {
    Settings { capacity_bytes, when_full, ..Settings::new(Path::new("")) }
}

/// The queue of a track as a program finds it that starts now.
fn opened(files: &Arc<dyn Files>, track: Track, capacity_bytes: u64) -> (DiskSpool, Found) {
    let budget = Arc::new(Budget::new(capacity_bytes));
    bare(files, track, &settings(capacity_bytes, WhenFull::Drop), MEMORY, &budget)
}
