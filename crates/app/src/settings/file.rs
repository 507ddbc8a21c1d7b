//! The settings file: TOML with a version, replaced as a whole.

use std::path::Path;
use std::{fs, io};

use toml::Table;

use super::Choices;
use crate::api::{Problem, ProblemCode};
use crate::durable_file;

const NAME: &str = "settings.toml";
/// What could not be read is kept under this name.
const BROKEN_NAME: &str = "settings.broken.toml";

/// The form that is written. What a newer app has written is not guessed at.
const VERSION: i64 = 1;

/// Reads the settings in `folder`; the defaults when there are none. When they cannot be used, the file is put aside and
/// a problem says so.
pub(crate) fn load(folder: &Path) -> (Choices, Option<Problem>) {
    let path = folder.join(NAME);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (Choices::default(), None),
        // Such as bytes that are no text.
        Err(error) => return (Choices::default(), Some(put_aside(folder, &error.to_string()))),
    };
    match parse(&text) {
        Ok(choices) => (choices, None),
        Err(reason) => (Choices::default(), Some(put_aside(folder, &reason))),
    }
}

/// Writes the settings. Blocks until they are durable.
///
/// # Errors
/// A problem that says why not.
pub(crate) fn save(folder: &Path, choices: &Choices) -> Result<(), Problem> {
    durable_file::write(folder, NAME, print(choices).as_bytes()).map_err(|error| {
        let message =
            format!("The settings cannot be remembered: {error}. They hold until the app is closed.");
        Problem::new(ProblemCode::SettingsUnusable, message)
    })
}

fn print(choices: &Choices) -> String {
    let choices = toml::to_string(choices).expect("settings are plain values");
    format!("version = {VERSION}\n{choices}")
}

fn parse(text: &str) -> Result<Choices, String> {
    let table: Table = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    match table.get("version").and_then(toml::Value::as_integer) {
        Some(VERSION) => {}
        Some(_) => return Err("another version of the app wrote them".to_owned()),
        None => return Err("they name no version".to_owned()),
    }
    let choices: Choices = table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
    choices.check().map_err(|problem| problem.message)?;
    Ok(choices)
}

fn put_aside(folder: &Path, reason: &str) -> Problem {
    let reason = reason.trim_end_matches('.');
    let message = match fs::rename(folder.join(NAME), folder.join(BROKEN_NAME)) {
        Ok(()) => format!(
            "The settings could not be read ({reason}), so the app starts with its defaults. The old ones are kept \
             as {BROKEN_NAME} in {}.",
            folder.display()
        ),
        Err(_) => format!(
            "The settings in {} could not be read ({reason}), so the app starts with its defaults.",
            folder.display()
        ),
    };
    Problem::new(ProblemCode::SettingsUnusable, message)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::api::Source;

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let camera = Source::Device { id: "usb \"front\"".into() };
        let choices = Choices { server: Some("studio-pc".into()), camera, ..Choices::default() };
        save(folder.path(), &choices).unwrap();
        assert_eq!(load(folder.path()), (choices, None));
    }

    #[test]
    fn no_file_means_the_defaults() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(load(&folder.path().join("missing")), (Choices::default(), None));
    }

    #[test]
    fn what_is_left_out_has_its_default_and_what_is_unknown_is_ignored() {
        let choices = parse("version = 1\nroom = \"stage\"\ncolour = \"red\"\n").unwrap();
        assert_eq!(choices, Choices { room: "stage".parse().unwrap(), ..Choices::default() });
    }

    #[test]
    fn what_cannot_be_used_is_put_aside_and_said() {
        for text in [
            &b"room = "[..],
            b"\xff\xfe",
            b"",
            b"version = 2\n",
            b"version = 1\nroom = \"a b\"\n",
            b"version = 1\nserver = 7\n",
            b"version = 1\n[quality]\nwidth = 1\nheight = 2\nfps = 3\nvideo_bitrate_bps = 4\naudio_bitrate_bps = 5\nchannels = 6\n",
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(NAME), text).unwrap();
            let (choices, notice) = load(folder.path());
            assert_eq!(choices, Choices::default());
            assert_eq!(notice.unwrap().code, ProblemCode::SettingsUnusable);
            assert_eq!(fs::read(folder.path().join(BROKEN_NAME)).unwrap(), text);
            assert!(!folder.path().join(NAME).exists());
        }
    }
}
