use std::path::PathBuf;

use protocol::{RoomName, Secret};
use publisher::ServerAddress;

use super::choices::checked_room;
use crate::api::{Problem, Source};

/// Settings that hold for this run and are not remembered: for kiosks and for tests. A person's change takes their
/// place.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// The server's address.
    pub server: Option<String>,
    /// The access token, whatever the server.
    pub token: Option<Secret>,
    /// The room.
    pub room: Option<RoomName>,
    /// The camera.
    pub camera: Option<Source>,
    /// The microphone.
    pub microphone: Option<Source>,
    /// A PEM file with the certificate of the authority that signed the server's, if it is one's own.
    pub own_authority: Option<PathBuf>,
}

impl Overrides {
    /// Those of the environment, by the names that the `longtake` command has: `LONGTAKE_SERVER`, `LONGTAKE_TOKEN`,
    /// `LONGTAKE_ROOM`, `LONGTAKE_CAMERA`, `LONGTAKE_MICROPHONE`, `LONGTAKE_CA_FILE`. An empty one is none. What is unusable is left out, and
    /// a problem says why.
    pub fn from_environment(get: impl Fn(&str) -> Option<String>) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let text = |name| get(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let mut usable = |name: &str, check: Result<(), Problem>| {
            let unusable =
                |problem: Problem| Problem { message: format!("{name}: {}", problem.message), ..problem };
            check.map_err(|problem| problems.push(unusable(problem))).is_ok()
        };
        let server = text("LONGTAKE_SERVER").filter(|server| {
            let check = server.parse::<ServerAddress>().map(drop);
            usable("LONGTAKE_SERVER", check.map_err(|error| Problem::from(&error)))
        });
        let room = text("LONGTAKE_ROOM").and_then(|room| {
            let room = checked_room(&room);
            usable("LONGTAKE_ROOM", room.clone().map(drop)).then_some(room.ok()).flatten()
        });
        let token = text("LONGTAKE_TOKEN").map(Secret::new);
        let source = |name| text(name).map(|text| Source::from_text(&text));
        let (camera, microphone) = (source("LONGTAKE_CAMERA"), source("LONGTAKE_MICROPHONE"));
        let own_authority = text("LONGTAKE_CA_FILE").map(PathBuf::from);
        (Self { server, token, room, camera, microphone, own_authority }, problems)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::api::ProblemCode;

    #[test]
    fn the_environment_is_read_and_what_is_unusable_is_said() {
        let (overrides, problems) = Overrides::from_environment(|name| {
            let value = match name {
                "LONGTAKE_SERVER" => "rtmp://a",
                "LONGTAKE_ROOM" => "stage",
                "LONGTAKE_CAMERA" => "synthetic",
                "LONGTAKE_MICROPHONE" => "file:a.wav",
                _ => " ",
            };
            Some(value.to_owned())
        });
        assert!(overrides.server.is_none() && overrides.token.is_none());
        assert_eq!(overrides.room.unwrap().as_str(), "stage");
        assert_eq!(overrides.camera, Some(Source::Synthetic));
        assert_eq!(overrides.microphone, Some(Source::Device { id: "file:a.wav".into() }));
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].code, ProblemCode::BadAddress);
        assert!(problems[0].message.starts_with("LONGTAKE_SERVER: "));
    }
}
