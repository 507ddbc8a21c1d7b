//! What went wrong elsewhere, as the person at the screen is told.

use capture::{DeviceError, EncodeError, Failure};
use protocol::error::{ErrorBody, ErrorCode};
use protocol::pairing::PairingError;
use publisher::AddressError;
use publisher::track::PushError;

use crate::api::{Problem, ProblemCode};

/// An error's text as a sentence of its own.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let mut sentence: String = first.chain(letters).collect();
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

impl From<&DeviceError> for Problem {
    fn from(error: &DeviceError) -> Self {
        use DeviceError as E;
        use ProblemCode as C;
        let (code, retryable) = match error {
            E::NoDevice(_) => (C::NoDevice, false),
            E::NotFound { .. } => (C::DeviceNotFound, false),
            E::PermissionDenied(_) => (C::PermissionDenied, false),
            E::Busy(_) => (C::DeviceBusy, true),
            E::Unplugged(_) => (C::DeviceUnplugged, true),
            E::Stalled(_) => (C::DeviceStalled, true),
            E::Unsupported { .. } => (C::DeviceUnsupported, false),
            E::File(_) => (C::FileUnusable, false),
            _ => (C::DeviceFailed, true),
        };
        Self { code, message: sentence(&error.to_string()), retryable }
    }
}

impl From<&EncodeError> for Problem {
    fn from(error: &EncodeError) -> Self {
        let message = format!("{} Stop, and start a new recording.", sentence(&error.to_string()));
        Self::new(ProblemCode::EncoderFailed, message)
    }
}

impl From<&Failure> for Problem {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Source(error) => error.into(),
            Failure::Encoder(error) => error.into(),
            other => Self::new(ProblemCode::Internal, sentence(&other.to_string())),
        }
    }
}

impl From<&capture::StartError> for Problem {
    fn from(error: &capture::StartError) -> Self {
        use capture::StartError as E;
        let code = match error {
            E::Device(error) => return error.into(),
            E::Encoder(error) => return error.into(),
            E::NoTrack => ProblemCode::NothingToCapture,
            E::OutOfRange { .. } => ProblemCode::BadSetting,
            _ => ProblemCode::Internal,
        };
        Self::new(code, sentence(&error.to_string()))
    }
}

impl From<&publisher::StartError> for Problem {
    fn from(error: &publisher::StartError) -> Self {
        let code = match error {
            publisher::StartError::Tls(_) => ProblemCode::TlsFailed,
            publisher::StartError::Spool(_) => ProblemCode::DeviceStorage,
            _ => ProblemCode::Internal,
        };
        Self::new(code, sentence(&error.to_string()))
    }
}

impl From<&AddressError> for Problem {
    fn from(error: &AddressError) -> Self {
        Self::new(ProblemCode::BadAddress, sentence(&error.to_string()))
    }
}

impl From<&PairingError> for Problem {
    fn from(error: &PairingError) -> Self {
        Self::new(ProblemCode::BadPairingLink, sentence(&error.to_string()))
    }
}

impl From<&PushError> for Problem {
    fn from(error: &PushError) -> Self {
        let message = format!("{} Stop, and start a new recording.", sentence(&error.to_string()));
        Self::new(ProblemCode::Internal, message)
    }
}

impl From<&ErrorBody> for Problem {
    fn from(error: &ErrorBody) -> Self {
        use ErrorCode as E;
        use ProblemCode as C;
        let said = sentence(&error.message);
        let (code, message) = match error.code {
            E::Unauthorized => (
                C::Unauthorized,
                "The server does not accept the access token. Enter the one that it was started with in the settings."
                    .to_owned(),
            ),
            E::UnsupportedVersion => (
                C::UnsupportedVersion,
                "The server speaks another version of the protocol. Update the older of the two.".to_owned(),
            ),
            E::StorageUnavailable => {
                (C::ServerStorage, format!("The server cannot store. Look at its disk. It says: {said}"))
            }
            E::NotFound | E::BadRequest => (C::NotAServer, said),
            _ => (C::ServerRefused, said),
        };
        Self { code, message, retryable: error.retryable }
    }
}

#[cfg(test)]
mod tests {
    use capture::DeviceKind;

    use super::*;

    #[test]
    fn device_errors_keep_their_codes_and_become_sentences() {
        let kind = DeviceKind::Camera;
        for error in [
            DeviceError::NoDevice(kind),
            DeviceError::NotFound { kind, id: "usb".into() },
            DeviceError::PermissionDenied(kind),
            DeviceError::Busy(kind),
            DeviceError::Unplugged(kind),
            DeviceError::Stalled(kind),
            DeviceError::Unsupported { kind, detail: "no format".into() },
            DeviceError::Failed { kind, detail: "os error 5".into() },
        ] {
            let problem = Problem::from(&error);
            let code = serde_json::to_value(problem.code).expect("a name");
            assert_eq!(code, error.code());
            assert!(problem.message.ends_with('.') && !problem.message.starts_with(char::is_lowercase));
        }
    }

    #[test]
    fn refusals_say_what_to_do() {
        let table = [
            (ErrorCode::Unauthorized, ProblemCode::Unauthorized, "in the settings"),
            (ErrorCode::UnsupportedVersion, ProblemCode::UnsupportedVersion, "Update"),
            (ErrorCode::StorageUnavailable, ProblemCode::ServerStorage, "its disk"),
            (ErrorCode::NotFound, ProblemCode::NotAServer, "Hello there."),
            (ErrorCode::SessionEnded, ProblemCode::ServerRefused, "Hello there."),
        ];
        for (code, expected, says) in table {
            let problem = Problem::from(&ErrorBody::new(code, "hello there"));
            assert_eq!((problem.code, problem.retryable), (expected, code.retryable()), "{code}");
            assert!(problem.message.contains(says), "{}", problem.message);
        }
    }
}
