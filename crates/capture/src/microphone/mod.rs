//! Microphones: a [`Source`] of [`PcmBlock`]s at 48 kHz.

pub(crate) mod cpal;
pub(crate) mod remix;
pub(crate) mod resample;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use self::cpal::CpalMicrophone;
use crate::clock::SessionClock;
use crate::device::{Source, Stop};
use crate::devices::DeviceChoice;
use crate::file::wav::WavMicrophone;
use crate::pcm::PcmBlock;
use crate::synthetic::SyntheticMicrophone;

/// Where the sound comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MicrophoneChoice {
    /// A microphone of this machine.
    Device(DeviceChoice),
    /// The [synthetic](crate::synthetic) microphone.
    Synthetic,
    /// A WAV file, or `-` for standard input, played as if it were live.
    File(String),
}

/// The source for a choice; it delivers `channels` (1 or 2) channels. `dropped` counts runs of sound that a
/// real microphone delivered in vain.
pub(crate) fn source(
    choice: &MicrophoneChoice,
    channels: u8,
    clock: &Arc<dyn SessionClock>,
    stop: &Stop,
    dropped: &Arc<AtomicU64>,
) -> Box<dyn Source<PcmBlock>> {
    let (clock, stop) = (Arc::clone(clock), stop.clone());
    match choice {
        MicrophoneChoice::Device(choice) => {
            Box::new(CpalMicrophone::new(choice.clone(), channels, clock, stop, Arc::clone(dropped)))
        }
        MicrophoneChoice::Synthetic => Box::new(SyntheticMicrophone::new(clock, channels)),
        MicrophoneChoice::File(path) => Box::new(WavMicrophone::new(path, channels, clock, stop)),
    }
}
