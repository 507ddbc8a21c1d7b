use serde::{Deserialize, Serialize};

/// What went wrong, said so that a person knows what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Problem {
    /// What kind of problem.
    pub code: ProblemCode,
    /// One or two sentences: what happened and what to do.
    pub message: String,
    /// Whether trying the same again can succeed without a person doing something.
    pub retryable: bool,
}

impl Problem {
    /// A problem that somebody has to do something about.
    #[must_use]
    pub fn new(code: ProblemCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retryable: false }
    }

    /// A problem that may pass by itself.
    #[must_use]
    pub fn passing(code: ProblemCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retryable: true }
    }
}

/// The kinds of problem. The JSON form is snake case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProblemCode {
    /// The machine has no such device.
    NoDevice,
    /// The chosen device is not connected.
    DeviceNotFound,
    /// The system refuses access to the device.
    PermissionDenied,
    /// Another program has the device.
    DeviceBusy,
    /// The device was there and went away.
    DeviceUnplugged,
    /// The device is there and delivers nothing.
    DeviceStalled,
    /// The device cannot do what is asked of it.
    DeviceUnsupported,
    /// The device failed for a reason that nobody has classified.
    DeviceFailed,
    /// A file that stands for a device cannot be played.
    FileUnusable,
    /// An encoder cannot go on.
    EncoderFailed,
    /// There is nothing to record: neither picture nor sound is on.
    NothingToCapture,
    /// No server address is set.
    NoServer,
    /// The text is not a server's address.
    BadAddress,
    /// The text is not a pairing link.
    BadPairingLink,
    /// A link that was opened elsewhere has set the server; not a fault, but to be known.
    PairedByLink,
    /// A setting is out of range.
    BadSetting,
    /// The server's name is not known.
    NameUnknown,
    /// The server does not answer.
    Unreachable,
    /// No secure connection can be made.
    TlsFailed,
    /// Something answers, but it is no ingest server.
    NotAServer,
    /// The access token is missing or wrong.
    Unauthorized,
    /// The server speaks another version of the protocol.
    UnsupportedVersion,
    /// The server cannot store: its disk is full or failing.
    ServerStorage,
    /// The server refuses for another reason, which its message tells.
    ServerRefused,
    /// This device's own disk is full, fails or cannot be used.
    DeviceStorage,
    /// Little more may wait on this device.
    DeviceStorageLow,
    /// Something that was recorded did not reach the server and never will.
    UnitsLost,
    /// Settings cannot be read or written.
    SettingsUnusable,
    /// The request does not fit the moment, such as stopping when nothing runs.
    NotNow,
    /// This platform cannot do it.
    Unsupported,
    /// A fault of the app.
    Internal,
}
