//! Whether one unit may be stored. Pure, and cheap: NAL headers and the Opus framing are read, nothing behind them.

use std::cmp::Ordering;

use media::h264::check_access_unit;
use media::opus::packet_duration_48k;
use protocol::Track;
use protocol::error::{ErrorBody, ErrorCode};
use protocol::limits::MAX_UNIT_JUMP;
use protocol::unit::Unit;

/// The highest unit received, and bounds of its time: they differ when only its part's row is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Highest {
    pub(super) number: u64,
    pub(super) earliest_90k: u64,
    pub(super) latest_90k: u64,
}

/// Whether a unit's number and time can be, given the highest.
///
/// # Errors
/// [`ErrorCode::UnitOutOfRange`] for a number that jumps, [`ErrorCode::InvalidUnit`] for a time that contradicts
/// the order of numbers.
pub(super) fn check_order(unit: &Unit, highest: Option<Highest>) -> Result<(), ErrorBody> {
    let limit = highest.map_or(0, |highest| highest.number + 1) + MAX_UNIT_JUMP;
    if unit.number > limit {
        let message = format!("unit {} lies more than {MAX_UNIT_JUMP} beyond the highest", unit.number);
        return Err(ErrorBody::new(ErrorCode::UnitOutOfRange, message));
    }
    let in_order = highest.is_none_or(|highest| match unit.number.cmp(&highest.number) {
        Ordering::Less => unit.pts_90k < highest.latest_90k,
        // It came before and could not be stored.
        Ordering::Equal => true,
        Ordering::Greater => unit.pts_90k > highest.earliest_90k,
    });
    if in_order { Ok(()) } else { Err(invalid(unit, "its time is out of order")) }
}

/// Whether a unit's payload is what its track and its header say.
///
/// # Errors
/// [`ErrorCode::InvalidUnit`].
pub(super) fn check_payload(track: Track, unit: &Unit) -> Result<(), ErrorBody> {
    match track {
        Track::Video if unit.duration_90k == 0 => Err(invalid(unit, "it has no duration")),
        Track::Video => {
            check_access_unit(&unit.payload, unit.key).map_err(|error| invalid(unit, &error.to_string()))
        }
        Track::Audio => {
            let samples =
                packet_duration_48k(&unit.payload).map_err(|error| invalid(unit, &error.to_string()))?;
            // 90 kHz over 48 kHz; both sides are bounded far below overflow.
            if u64::from(unit.duration_90k) * 8 != u64::from(samples) * 15 {
                return Err(invalid(unit, "its duration is not the Opus packet's"));
            }
            if unit.key { Ok(()) } else { Err(invalid(unit, "an Opus packet is always key")) }
        }
    }
}

fn invalid(unit: &Unit, why: &str) -> ErrorBody {
    ErrorBody::new(ErrorCode::InvalidUnit, format!("unit {} is broken: {why}", unit.number))
}
