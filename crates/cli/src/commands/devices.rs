//! `longtake devices`: what can be chosen.

use capture::{DeviceError, DeviceInfo, devices};
use serde_json::{Value, json};

use crate::arguments::DevicesOptions;
use crate::exit::Failure;

type Listed = Result<Vec<DeviceInfo>, DeviceError>;

/// Prints the devices.
pub(crate) fn run(options: &DevicesOptions) -> Result<(), Failure> {
    let (cameras, microphones) = (devices::cameras(), devices::microphones());
    if options.json {
        let object = json!({ "cameras": to_json(&cameras), "microphones": to_json(&microphones) });
        println!("{object}");
    } else {
        print!("{}", text("Cameras", &cameras));
        print!("{}", text("Microphones", &microphones));
    }
    verdict(&cameras, &microphones)
}

fn verdict(cameras: &Listed, microphones: &Listed) -> Result<(), Failure> {
    let is_empty = |listed: &Listed| listed.as_ref().map_or(true, Vec::is_empty);
    if !is_empty(cameras) || !is_empty(microphones) {
        return Ok(());
    }
    let reason = [cameras, microphones].into_iter().find_map(|listed| listed.as_ref().err());
    Err(Failure::Device(match reason {
        Some(error) => error.to_string(),
        None => "no camera and no microphone was found: connect one, or publish with --camera synthetic \
                 --microphone synthetic"
            .to_owned(),
    }))
}

fn text(title: &str, listed: &Listed) -> String {
    let mut text = format!("{title}:\n");
    match listed {
        Ok(devices) if devices.is_empty() => text.push_str("  none\n"),
        Ok(devices) => {
            let width = devices.iter().map(|device| device.id.chars().count()).max().unwrap_or(0);
            for DeviceInfo { id, name } in devices {
                text.push_str(&format!("  {id:width$}  {name}\n"));
            }
        }
        Err(error) => text.push_str(&format!("  {error}\n")),
    }
    text
}

fn to_json(listed: &Listed) -> Value {
    match listed {
        Ok(devices) => devices.iter().map(|device| json!({ "id": device.id, "name": device.name })).collect(),
        Err(error) => json!({ "error": error.code(), "message": error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use capture::DeviceKind;

    use super::*;

    fn device(id: &str, name: &str) -> DeviceInfo {
        DeviceInfo { id: id.into(), name: name.into() }
    }

    #[test]
    fn ids_stand_in_a_column_before_the_names() {
        let listed = Ok(vec![device("usb-1", "HD Webcam"), device("a", "Old one")]);
        assert_eq!(text("Cameras", &listed), "Cameras:\n  usb-1  HD Webcam\n  a      Old one\n");
        assert_eq!(text("Cameras", &Ok(vec![])), "Cameras:\n  none\n");
    }

    #[test]
    fn having_nothing_to_choose_is_a_device_problem() {
        let denied = || Err(DeviceError::PermissionDenied(DeviceKind::Camera));
        assert!(verdict(&Ok(vec![device("a", "b")]), &denied()).is_ok());
        for cameras in [Ok(vec![]), denied()] {
            assert!(matches!(verdict(&cameras, &Ok(vec![])), Err(Failure::Device(_))));
        }
    }
}
