//! Which server, which token and which room, from flags or from a pairing link.

use std::path::PathBuf;

use clap::Args;
use protocol::pairing::PairingLink;
use protocol::{RoomName, Secret};
use publisher::ServerAddress;

use crate::exit::Failure;

/// The room when nobody says otherwise.
const ROOM: &str = "studio";

/// How to reach a server.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReachOptions {
    /// The ingest server: host, host:port, or a URL.
    #[arg(long, env = "LONGTAKE_SERVER", default_value = "localhost:8000", value_name = "ADDRESS")]
    pub(crate) server: ServerAddress,

    /// The server's access token. Better given in the environment, here or as STREAMING_ACCESS_TOKEN:
    /// other users can read a command line.
    #[arg(long, env = "LONGTAKE_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) token: Option<Secret>,

    /// The pairing link that the server shows (`longtake-ingest pair`), instead of server and token. It holds the
    /// token: better given in the environment.
    // A text until it is looked at: what is wrong with it must be said without showing it.
    #[arg(long, env = "LONGTAKE_PAIR", hide_env_values = true, value_name = "LINK",
          conflicts_with_all = ["server", "token"])]
    pub(crate) pair: Option<Secret>,

    /// A PEM file with the certificate of the authority that signed the server's, if it is your own.
    #[arg(long, env = "LONGTAKE_CA_FILE", value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// Where a session goes.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    pub(crate) server: ServerAddress,
    pub(crate) token: Option<Secret>,
    pub(crate) room: RoomName,
    pub(crate) own_authority: Option<PathBuf>,
}

impl ReachOptions {
    /// What the flags come to. A link's server and token outweigh those of the configuration file; `room` outweighs
    /// the link's.
    pub(crate) fn destination(&self, room: Option<&RoomName>) -> Result<Destination, Failure> {
        let usage = |reason: String| Failure::Usage(format!("--pair: {reason}"));
        let given = |token: &Secret| !token.expose().is_empty();
        let shared = || std::env::var("STREAMING_ACCESS_TOKEN").ok().map(Secret::new);
        let link: Option<PairingLink> = match self.pair.as_ref().filter(|link| given(link)) {
            Some(link) => Some(link.expose().parse().map_err(|error| usage(format!("{error}")))?),
            None => None,
        };
        let own_authority = self.ca_file.clone();
        let default_room = || ROOM.to_owned().try_into().map_err(|error| Failure::Fault(format!("{error}")));
        let (server, token, proposed) = match link {
            Some(link) => {
                let server = link.server.parse().map_err(|error| usage(format!("{error}")))?;
                (server, link.token, link.room)
            }
            None => {
                (self.server.clone(), self.token.clone().filter(given).or_else(shared).filter(given), None)
            }
        };
        let room = match room.cloned().or(proposed) {
            Some(room) => room,
            None => default_room()?,
        };
        Ok(Destination { server, token, room, own_authority })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(flatten)]
        reach: ReachOptions,
    }

    fn destination(args: &[&str], room: Option<&str>) -> Result<Destination, Failure> {
        let cli = Cli::try_parse_from(std::iter::once(&"longtake").chain(args)).unwrap();
        cli.reach.destination(room.map(|room| room.parse().unwrap()).as_ref())
    }

    const LINK: &str =
        "longtake://pair?server=https%3A%2F%2Fcam.example%2Ftake&token=correct-horse&room=stage";

    #[test]
    fn a_link_gives_server_token_and_room() {
        let found = destination(&["--pair", LINK], None).unwrap();
        assert_eq!(found.server.to_string(), "https://cam.example:443/take");
        assert_eq!(found.token.as_ref().map(Secret::expose), Some("correct-horse"));
        assert_eq!(found.room.as_str(), "stage");
        assert_eq!(destination(&["--pair", LINK], Some("other")).unwrap().room.as_str(), "other");
        let without = destination(&["--pair", "longtake://pair?server=http://a.example"], None).unwrap();
        assert!(without.token.is_none() && without.room.as_str() == ROOM);
    }

    #[test]
    fn flags_do_without_a_link_and_not_beside_one() {
        let found = destination(&["--server", "a.example", "--token", "t"], None).unwrap();
        assert_eq!((found.server.host(), found.room.as_str()), ("a.example", ROOM));
        for flag in [["--server", "a.example"], ["--token", "t"]] {
            let args = ["longtake", "--pair", LINK, flag[0], flag[1]];
            let error = Cli::try_parse_from(args).unwrap_err();
            assert_eq!(error.kind(), clap::error::ErrorKind::ArgumentConflict, "{flag:?}");
        }
    }

    #[test]
    fn a_bad_link_is_refused_without_being_shown() {
        for (bad, hint) in [
            ("https://cam.example?token=correct-horse", "not a pairing link"),
            ("longtake://pair?token=correct-horse", "names no server"),
            ("longtake://pair?server=http%3A%2F%2Fa%20b&token=correct-horse", "--pair"),
            ("longtake://pair?server=http%3A%2F%2Fa%3A0&token=correct-horse", "is not a port"),
        ] {
            let failure = destination(&["--pair", bad], None).unwrap_err();
            assert!(matches!(failure, Failure::Usage(_)), "{failure:?}");
            let text = failure.to_string();
            assert!(text.contains(hint) && !text.contains("correct-horse"), "{text}");
        }
    }
}
