//! What can go wrong with a device, in words that say what to do.

use std::fmt;

/// What kind of device an error speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// A camera.
    Camera,
    /// A microphone.
    Microphone,
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Camera => "camera",
            Self::Microphone => "microphone",
        })
    }
}

/// Why a device cannot be used, or cannot be used any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The machine has none.
    #[error("no {0} was found: connect one, or choose a synthetic or file source")]
    NoDevice(DeviceKind),
    /// The chosen one is not there.
    #[error(
        "the {kind} \"{id}\" is not connected: connect it, or choose another one from the list of devices"
    )]
    NotFound {
        /// Camera or microphone.
        kind: DeviceKind,
        /// The id that was asked for.
        id: String,
    },
    /// The operating system refuses access.
    #[error(
        "access to the {0} was denied: allow it in the system's privacy settings; on Linux add the user to \
         the group \"video\" or \"audio\" and log in again"
    )]
    PermissionDenied(DeviceKind),
    /// Another program has it.
    #[error("the {0} is in use by another program: close that program, or choose another {0}")]
    Busy(DeviceKind),
    /// It was there and went away.
    #[error("the {0} was unplugged: connect it again, capture then continues by itself")]
    Unplugged(DeviceKind),
    /// It is there but delivers nothing.
    #[error(
        "the {0} has stopped delivering: unplug it and plug it in again, capture then continues by itself"
    )]
    Stalled(DeviceKind),
    /// It has no format that can be used.
    #[error("the {kind} cannot be used as asked ({detail}): choose another size, frame rate or {kind}")]
    Unsupported {
        /// Camera or microphone.
        kind: DeviceKind,
        /// What is not supported.
        detail: String,
    },
    /// Nothing in this program knows how to use such devices on this system.
    #[error(
        "a {0} of this system cannot be used yet: choose the synthetic {0} or a file, or capture on another system"
    )]
    NoBackend(DeviceKind),
    /// What the operating system said and nobody has classified.
    #[error("the {kind} failed: {detail}")]
    Failed {
        /// Camera or microphone.
        kind: DeviceKind,
        /// The operating system's own words.
        detail: String,
    },
    /// A file source failed.
    #[error(transparent)]
    File(#[from] FileError),
}

impl DeviceError {
    /// A stable name for scripts and for the user interface.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoDevice(_) => "no_device",
            Self::NotFound { .. } => "device_not_found",
            Self::PermissionDenied(_) => "permission_denied",
            Self::Busy(_) => "device_busy",
            Self::Unplugged(_) => "device_unplugged",
            Self::Stalled(_) => "device_stalled",
            Self::Unsupported { .. } | Self::NoBackend(_) => "device_unsupported",
            Self::Failed { .. } => "device_failed",
            Self::File(_) => "file_unusable",
        }
    }
}

/// Why a file cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be opened or read.
    #[error("cannot read {path}: {detail}")]
    Read {
        /// The file, or `standard input`.
        path: String,
        /// The operating system's own words.
        detail: String,
    },
    /// It does not begin as its format demands.
    #[error("{path} is not a usable {format} file: {detail}")]
    Malformed {
        /// The file, or `standard input`.
        path: String,
        /// `Y4M` or `WAV`.
        format: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// Its pictures are not 8-bit 4:2:0.
    #[error(
        "{path} has pictures in {found}, but 8-bit 4:2:0 is needed: convert with `ffmpeg -pix_fmt yuv420p`"
    )]
    PixelFormat {
        /// The file, or `standard input`.
        path: String,
        /// The Y4M name of the format.
        found: String,
    },
    /// Its sound is coded in a way that is not PCM.
    #[error("{path} holds sound in {found}, but PCM is needed: convert with `ffmpeg -c:a pcm_s16le`")]
    SampleFormat {
        /// The file, or `standard input`.
        path: String,
        /// The WAV format code and width.
        found: String,
    },
}

/// What was going on when a device failed: the same words mean different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It was being opened.
    Opening,
    /// It had already delivered.
    Running,
}

/// Classifies the words in which a camera backend reports failure.
///
/// nokhwa hands on what the system says as text. Linux says `os error N`; the hexadecimal codes are
/// Media Foundation's (`mferror.h`) and COM's (`winerror.h`).
#[must_use]
pub fn classify(kind: DeviceKind, phase: Phase, id: &str, text: &str) -> DeviceError {
    let lower = text.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if says(&[
        "os error 13)",
        "os error 1)",
        "permission denied",
        "access denied",
        "not authorized",
        "0x80070005",
    ]) {
        DeviceError::PermissionDenied(kind)
    } else if says(&["os error 16)", "0xc00d3704"]) {
        DeviceError::Busy(kind)
    } else if says(&["os error 19)", "os error 2)", "os error 6)", "no such device", "0xc00d3ea2"]) {
        match phase {
            Phase::Opening => DeviceError::NotFound { kind, id: id.to_owned() },
            Phase::Running => DeviceError::Unplugged(kind),
        }
    } else if says(&["failed to fufill", "not whole number", "unsupported", "rejected", "os error 22)"]) {
        DeviceError::Unsupported { kind, detail: text.to_owned() }
    } else {
        DeviceError::Failed { kind, detail: text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_backend_become_typed_errors() {
        use DeviceKind::Camera;
        let table = [
            (
                Phase::Opening,
                "Could not open device 0: V4L2 Error: Permission denied (os error 13)",
                "permission_denied",
            ),
            (
                Phase::Opening,
                "Could not open device stream: Device or resource busy (os error 16)",
                "device_busy",
            ),
            (
                Phase::Opening,
                "Could not open device 9: V4L2 Error: No such file or directory (os error 2)",
                "device_not_found",
            ),
            (
                Phase::Opening,
                "Could not open device 0: V4L2 Error: No such device (os error 19)",
                "device_not_found",
            ),
            (Phase::Running, "Could not capture frame: No such device (os error 19)", "device_unplugged"),
            (Phase::Running, "Could not capture frame: Input/output error (os error 5)", "device_failed"),
            (
                Phase::Opening,
                "Could not get device property CameraFormat: Failed to Fufill",
                "device_unsupported",
            ),
            (
                Phase::Opening,
                "Could not get device property V4L2 FrameRate: Framerate not whole number: 25 / 2",
                "device_unsupported",
            ),
            (Phase::Running, "Could not capture frame: 0xC00D3EA2", "device_unplugged"),
            (Phase::Running, "os error 190)", "device_failed"),
        ];
        for (phase, text, code) in table {
            assert_eq!(classify(Camera, phase, "x", text).code(), code, "{text}");
        }
    }

    #[test]
    fn every_error_says_what_to_do() {
        let text = DeviceError::Busy(DeviceKind::Camera).to_string();
        assert_eq!(
            text,
            "the camera is in use by another program: close that program, or choose another camera"
        );
        let text =
            classify(DeviceKind::Microphone, Phase::Opening, "pulseaudio:usb", "No such device").to_string();
        assert!(text.contains("\"pulseaudio:usb\" is not connected: connect it"), "{text}");
    }
}
