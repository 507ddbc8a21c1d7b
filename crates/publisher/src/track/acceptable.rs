//! Which units a track takes.

use protocol::limits::{MAX_DURATION_90K, MAX_PTS_90K, MAX_UNIT_BYTES, MAX_UNIT_NUMBER};
use protocol::unit::{Unit, UnitError};

use super::PushError;

/// Whether a unit has the expected number and can go over the wire.
pub(super) fn check(unit: &Unit, expected: u64) -> Result<(), PushError> {
    let number = unit.number;
    if number != expected {
        return Err(PushError::NotConsecutive { number, expected });
    }
    if number >= MAX_UNIT_NUMBER {
        return Err(UnitError::Number(number).into());
    }
    if unit.payload.is_empty() {
        return Err(UnitError::NoPayload(number).into());
    }
    if unit.payload.len() > MAX_UNIT_BYTES {
        return Err(UnitError::PayloadTooLarge(u32::try_from(unit.payload.len()).unwrap_or(u32::MAX)).into());
    }
    let capture_bound_us = MAX_PTS_90K / 9 * 100;
    if unit.pts_90k >= MAX_PTS_90K
        || unit.duration_90k > MAX_DURATION_90K
        || unit.capture_us >= capture_bound_us
    {
        return Err(UnitError::Time(number).into());
    }
    Ok(())
}
