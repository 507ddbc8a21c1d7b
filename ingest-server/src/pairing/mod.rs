//! How an app learns where the server is and which token it wants: a link, and a code to scan.
//!
//! Both hold the token. They are for the eyes of whoever sits at the terminal, and so they are handed out as text
//! here and never logged.

mod address;
mod code;

use std::fmt;
use std::net::SocketAddr;

use protocol::pairing::PairingLink;
use protocol::{RoomName, Secret};

use crate::config::Config;

pub use address::Hint;

/// What a pairing link is made of, but for the port, which may be known only once the server listens.
#[derive(Debug, Clone)]
pub struct Pairing {
    public_url: Option<String>,
    is_tls: bool,
    token: Option<Secret>,
    room: Option<RoomName>,
}

/// A link to hand out.
#[derive(Debug, Clone)]
pub struct Offer {
    link: PairingLink,
    hint: Option<Hint>,
}

impl Pairing {
    /// What the configuration says of it.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            public_url: config.public_url.clone(),
            is_tls: config.tls.is_some(),
            token: config.token.clone(),
            room: config.pairing_room.clone(),
        }
    }

    /// The link to a server that listens there. When it listens on all of the machine's addresses, the machine is
    /// asked for them.
    #[must_use]
    pub fn offer(&self, listen: SocketAddr) -> Offer {
        let (server, hint) = match &self.public_url {
            Some(url) => (url.clone(), None),
            None => {
                let interfaces = if listen.ip().is_unspecified() {
                    // A machine that does not tell has none that anybody could be told of.
                    if_addrs::get_if_addrs().unwrap_or_default()
                } else {
                    Vec::new()
                };
                let (address, hint) = address::reachable(listen, &interfaces, self.token.is_some());
                let scheme = if self.is_tls { "https" } else { "http" };
                let hint = hint.or(self.is_tls.then_some(Hint::Certificate));
                (format!("{scheme}://{address}"), hint)
            }
        };
        let link = PairingLink { server, token: self.token.clone(), room: self.room.clone() };
        Offer { link, hint }
    }
}

impl Offer {
    /// The link alone, for a pipe.
    #[must_use]
    pub const fn link(&self) -> &PairingLink {
        &self.link
    }

    /// What a terminal shows: the code if another device can use it, the link, and what to know about them. Lines
    /// end with `\n`.
    #[must_use]
    pub fn screen(&self) -> String {
        let link = self.link.to_string();
        let mut screen = String::from("\n");
        let mut say = |line: &dyn fmt::Display| screen.push_str(&format!("  {line}\n"));
        match code::lines(&link) {
            // A code is for the camera of another device.
            _ if self.hint.is_some_and(Hint::is_this_machine_only) => {
                say(&"Pair an app on this machine: open the link.");
            }
            Some(code) => {
                say(&"Pair the app: scan this code, or open the link on the device that has the app.\n");
                code.iter().for_each(|line| say(line));
            }
            None => say(&"Pair the app: open the link on the device that has it. It is too long for a code."),
        }
        say(&format_args!("\n  {link}\n"));
        if self.link.token.is_some() {
            say(&"The link holds the access token: whoever has it can stream to this server.");
        }
        if let Some(hint) = self.hint {
            say(&hint);
        }
        screen.push('\n');
        screen
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::config::Cli;

    fn offer(args: &[&str], listen: &str) -> Offer {
        let args = std::iter::once(&"longtake-ingest").chain(args);
        let config = Cli::try_parse_from(args).unwrap().settings.check().unwrap();
        Pairing::new(&config).offer(listen.parse().unwrap())
    }

    const TOKEN: [&str; 2] = ["--streaming-access-token", "correct-horse"];

    #[test]
    fn the_link_says_what_is_set() {
        for (args, listen, expected) in [
            (&[][..], "127.0.0.1:8000", "longtake://pair?server=http%3A%2F%2F127.0.0.1%3A8000"),
            (
                &[TOKEN[0], TOKEN[1], "--pairing-room", "studio"],
                "192.168.1.20:9000",
                "longtake://pair?server=http%3A%2F%2F192.168.1.20%3A9000&token=correct-horse&room=studio",
            ),
            (
                &[TOKEN[0], TOKEN[1], "--tls-cert", "a", "--tls-key", "b"],
                "[2001:db8::1]:443",
                "longtake://pair?server=https%3A%2F%2F%5B2001%3Adb8%3A%3A1%5D%3A443&token=correct-horse",
            ),
            (
                &[TOKEN[0], TOKEN[1], "--public-url", "https://cam.example/take/"],
                "0.0.0.0:8000",
                "longtake://pair?server=https%3A%2F%2Fcam.example%2Ftake&token=correct-horse",
            ),
        ] {
            let link = offer(args, listen).link().to_string();
            assert_eq!(link, expected, "{args:?}");
            assert!(link.parse::<PairingLink>().is_ok());
        }
    }

    #[test]
    fn the_screen_fits_a_terminal_and_says_what_to_know() {
        let with_token = offer(&TOKEN, "192.168.1.20:8000").screen();
        assert!(
            with_token.contains("whoever has it") && with_token.contains("correct-horse"),
            "{with_token}"
        );
        let code: Vec<&str> = with_token.lines().filter(|line| line.contains('█')).collect();
        let drawn = |line: &&str| line.chars().filter(|c| " ▀▄█".contains(*c)).count();
        assert!((10..=24).contains(&code.len()), "{with_token}");
        assert!(code.iter().map(drawn).all(|columns| columns < 80), "{with_token}");
        let local = offer(&[], "127.0.0.1:8000").screen();
        assert!(!local.contains("whoever has it") && !local.contains('█'), "{local}");
        assert!(local.contains("STREAMING_ACCESS_TOKEN"), "{local}");
        let url = format!("https://{}.example", "a".repeat(400));
        let long = offer(&["--public-url", &url], "127.0.0.1:8000").screen();
        assert!(long.contains("too long for a code") && long.contains(&"a".repeat(400)), "{long}");
    }

    #[test]
    fn debug_output_does_not_hold_the_token() {
        assert!(!format!("{:?}", offer(&TOKEN, "192.168.1.20:8000")).contains("correct-horse"));
    }
}
