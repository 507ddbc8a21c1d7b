//! Which camera and which microphone: what a person writes, and what it comes to on this machine.

use std::convert::Infallible;
use std::str::FromStr;

use capture::{
    CameraChoice, DeviceChoice, DeviceError, DeviceInfo, MicrophoneChoice, STANDARD_INPUT, devices,
};

/// A source as it is written: `auto`, `none`, `synthetic`, `file:PATH`, `-`, or a device's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceArgument {
    /// The first real device, the synthetic one when there is none.
    Auto,
    /// No such track.
    None,
    /// The synthetic device.
    Synthetic,
    /// This file, or standard input, as if it were live.
    File(String),
    /// The device with this id.
    Id(String),
}

impl FromStr for SourceArgument {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "auto" => Self::Auto,
            "none" => Self::None,
            "synthetic" => Self::Synthetic,
            STANDARD_INPUT => Self::File(STANDARD_INPUT.to_owned()),
            text => match text.strip_prefix("file:") {
                Some(path) => Self::File(path.to_owned()),
                None => Self::Id(text.to_owned()),
            },
        })
    }
}

/// A source that `auto` came to, or that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen<C> {
    /// The device; none for no such track.
    pub choice: Option<C>,
    /// A device that nobody asked for by name: another may take its place.
    pub is_automatic: bool,
    /// What to tell the person about the choice.
    pub remark: Option<String>,
}

/// What cameras and microphones have in common here.
pub trait Kind: Sized {
    /// What people call it.
    const NAME: &'static str;

    /// The devices of this machine.
    ///
    /// # Errors
    /// [`DeviceError`] when the system refuses to list them.
    fn list() -> Result<Vec<DeviceInfo>, DeviceError>;

    /// A device of this machine.
    fn device(choice: DeviceChoice) -> Self;

    /// The synthetic device.
    fn synthetic() -> Self;

    /// A file that is played as if it were live.
    fn file(path: String) -> Self;
}

impl Kind for CameraChoice {
    const NAME: &'static str = "camera";

    fn list() -> Result<Vec<DeviceInfo>, DeviceError> {
        devices::cameras()
    }

    fn device(choice: DeviceChoice) -> Self {
        Self::Device(choice)
    }

    fn synthetic() -> Self {
        Self::Synthetic
    }

    fn file(path: String) -> Self {
        Self::File(path)
    }
}

impl Kind for MicrophoneChoice {
    const NAME: &'static str = "microphone";

    fn list() -> Result<Vec<DeviceInfo>, DeviceError> {
        devices::microphones()
    }

    fn device(choice: DeviceChoice) -> Self {
        Self::Device(choice)
    }

    fn synthetic() -> Self {
        Self::Synthetic
    }

    fn file(path: String) -> Self {
        Self::File(path)
    }
}

/// Decides; for `auto` the first device that `list` gives, else the synthetic one.
pub fn choose<C: Kind>(
    argument: SourceArgument,
    list: impl FnOnce() -> Result<Vec<DeviceInfo>, DeviceError>,
) -> Chosen<C> {
    let asked_for = |choice| Chosen { choice, is_automatic: false, remark: None };
    match argument {
        SourceArgument::None => asked_for(None),
        SourceArgument::Synthetic => asked_for(Some(C::synthetic())),
        SourceArgument::File(path) => asked_for(Some(C::file(path))),
        SourceArgument::Id(id) => asked_for(Some(C::device(DeviceChoice::Id(id)))),
        SourceArgument::Auto => match list().map(|devices| devices.into_iter().next()) {
            Ok(Some(device)) => Chosen {
                choice: Some(C::device(DeviceChoice::Id(device.id))),
                is_automatic: true,
                remark: None,
            },
            Ok(None) => instead(format!("no {} was found", C::NAME)),
            Err(error) => instead(error.to_string()),
        },
    }
}

/// The synthetic source in the place of a device, and why.
pub fn instead<C: Kind>(reason: String) -> Chosen<C> {
    let remark = format!("{reason}; the synthetic {} takes its place", C::NAME);
    Chosen { choice: Some(C::synthetic()), is_automatic: false, remark: Some(remark) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn camera(argument: &str, devices: Result<&[&str], DeviceError>) -> Chosen<CameraChoice> {
        let list = || {
            let info = |id: &&str| DeviceInfo { id: (*id).to_owned(), name: "Camera".to_owned() };
            Ok(devices?.iter().map(info).collect())
        };
        choose(argument.parse().unwrap(), list)
    }

    #[test]
    fn what_is_asked_for_by_name_is_taken_at_its_word() {
        for (argument, choice) in [
            ("none", None),
            ("synthetic", Some(CameraChoice::Synthetic)),
            ("file:a b.y4m", Some(CameraChoice::File("a b.y4m".into()))),
            ("-", Some(CameraChoice::File("-".into()))),
            ("usb-1", Some(CameraChoice::Device(DeviceChoice::Id("usb-1".into())))),
        ] {
            let expected = Chosen { choice, is_automatic: false, remark: None };
            assert_eq!(camera(argument, Ok(&["other"])), expected, "{argument}");
        }
    }

    #[test]
    fn auto_takes_the_first_device_and_says_when_there_is_none() {
        let chosen = camera("auto", Ok(&["a", "b"]));
        assert_eq!(chosen.choice, Some(CameraChoice::Device(DeviceChoice::Id("a".into()))));
        assert!(chosen.is_automatic && chosen.remark.is_none());
        let denied = DeviceError::PermissionDenied(capture::DeviceKind::Camera);
        for devices in [Ok(&[][..]), Err(denied)] {
            let chosen = camera("auto", devices);
            assert_eq!(chosen.choice, Some(CameraChoice::Synthetic));
            assert!(chosen.remark.unwrap().contains("synthetic camera takes its place"));
        }
    }
}
