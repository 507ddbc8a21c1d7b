use protocol::Track;
use protocol::codec::Params;
use protocol::unit::Unit;

use crate::encode::EncodeError;
use crate::error::DeviceError;
use crate::level::Level;

/// What a session tells. The events of one track come in order.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum CaptureEvent {
    /// Codec parameters: before a track's first unit, and whenever they change.
    Parameters {
        /// The track.
        track: Track,
        /// The parameters and the unit from which they hold.
        params: Params,
    },
    /// A unit: numbered from 0 without holes in each track, with strictly increasing times.
    Unit {
        /// The track.
        track: Track,
        /// The unit, in the live lane.
        unit: Unit,
    },
    /// How loud the microphone is, about fifty times a second. Left out when the reader is slow, and in a session
    /// on [`Inputs`](crate::Inputs), which tell it themselves.
    Level(Level),
    /// The track's device was lost, or is lost for another reason than before. It is opened again as soon as
    /// it can be; the other track goes on.
    DeviceLost {
        /// The track.
        track: Track,
        /// The reason.
        error: DeviceError,
    },
    /// The track's device delivers again.
    DeviceRestored {
        /// The track.
        track: Track,
        /// How long nothing was captured, in µs.
        away_us: u64,
    },
    /// A person has switched the track's device off: dark pictures come instead, until
    /// [`DeviceSwitched`](Self::DeviceSwitched) says that one is on again.
    SwitchedOff {
        /// The track.
        track: Track,
    },
    /// Another device has taken the place of the track's, or the same one was opened anew.
    DeviceSwitched {
        /// The track.
        track: Track,
        /// Its plain name.
        name: String,
    },
    /// Sound was lost between the microphone and here (positive), or there was more of it than time had
    /// passed (negative); the count of PCM samples was set to the session's clock.
    Resynchronised {
        /// By how much, in µs.
        shift_us: i64,
    },
    /// The track has ended: it was stopped, its file is over, or it failed.
    Ended {
        /// The track.
        track: Track,
        /// How many units it had.
        units: u64,
        /// Why, if it was not in order.
        failure: Option<Failure>,
    },
}

/// Why a track ended before it was stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Its source cannot come back.
    #[error(transparent)]
    Source(#[from] DeviceError),
    /// Its encoder cannot go on.
    #[error(transparent)]
    Encoder(#[from] EncodeError),
}
