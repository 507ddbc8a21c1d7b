//! Prints a session's course: a live line on a terminal, plain lines elsewhere, JSON for scripts.

use std::cell::Cell;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use protocol::{ClockDrift, SessionId, Track};
use publisher::Report;
use publisher::spool::disk::Unfinished;
use publisher::status::Status;
use serde_json::json;

use crate::destination::Destination;
use crate::outcome;
use crate::status_line::{StatusLine, TERMINAL_WIDTH, phase_change, spool_change};

/// What the person or the script sees of a session.
///
/// Status and remarks go to standard error, results and JSON lines to standard output.
pub(crate) struct Screen {
    json: bool,
    is_terminal: bool,
    pub(crate) interval: Duration,
    line: StatusLine,
    start: Instant,
    last: Status,
    /// Whether the terminal's last line is a status without an end.
    is_open: Cell<bool>,
}

impl Screen {
    pub(crate) fn new(json: bool) -> Self {
        let is_terminal = !json && std::io::stderr().is_terminal();
        let interval = match (json, is_terminal) {
            (true, _) => Duration::from_secs(1),
            (false, true) => Duration::from_millis(250),
            (false, false) => Duration::from_secs(5),
        };
        Self {
            json,
            is_terminal,
            interval,
            line: StatusLine::default(),
            start: Instant::now(),
            last: Status::default(),
            is_open: Cell::new(false),
        }
    }

    pub(crate) fn started(
        &mut self,
        to: &Destination,
        id: SessionId,
        recording_url: &str,
        names: [(Track, Option<&str>); 2],
    ) {
        self.start = Instant::now();
        let [(_, camera), (_, microphone)] = names;
        let server = to.server.to_string();
        let room = to.room.as_str();
        if self.json {
            let line = json!({
                "type": "started", "session": id.to_string(), "room": room, "server": server,
                "camera": camera, "microphone": microphone, "recording_url": recording_url,
            });
            return print_line(&line.to_string());
        }
        let names: Vec<&str> = [camera, microphone].into_iter().flatten().collect();
        self.remark(&format!("{} → {server}, room {room}, session {id}", names.join(" and ")));
    }

    pub(crate) fn resuming(&mut self, session: &Unfinished, server: &str) {
        self.start = Instant::now();
        self.line = StatusLine::default();
        self.last = Status::default();
        if self.json {
            let line = json!({
                "type": "resuming", "session": session.session.to_string(), "room": session.room.as_str(),
                "server": server,
            });
            return print_line(&line.to_string());
        }
        self.remark(&format!("resuming session {} → {server}, room {}", session.session, session.room));
    }

    /// A line of its own. Scripts read it on standard error.
    pub(crate) fn remark(&self, text: &str) {
        self.end_line();
        eprintln!("{text}");
    }

    pub(crate) fn changes(&mut self, now: &Status) {
        for (track, status) in now.tracks() {
            let before = self.last.track(track);
            for change in [phase_change(before, status), spool_change(before, status)].into_iter().flatten() {
                if !self.json {
                    self.remark(&format!("{track}: {change}"));
                }
            }
        }
        self.last = now.clone();
    }

    pub(crate) fn status(&mut self, now: &Status) {
        let elapsed = self.start.elapsed();
        if self.json {
            return print_line(&self.line.render_json(elapsed, now).to_string());
        }
        let line = self.line.render(elapsed, now);
        if self.is_terminal {
            let line: String = line.chars().take(TERMINAL_WIDTH).collect();
            eprint!("\r\u{1b}[K{line}");
            self.is_open.set(true);
        } else {
            eprintln!("{line}");
        }
    }

    pub(crate) fn finished(
        &mut self,
        report: &Report,
        id: SessionId,
        recording_url: &str,
        drift: Option<&ClockDrift>,
    ) {
        self.end_line();
        if self.json {
            print_line(&outcome::json(report, id, recording_url, drift).to_string());
        } else {
            print_line(&outcome::text(report, id, recording_url, drift));
        }
    }

    fn end_line(&self) {
        if self.is_open.replace(false) {
            eprintln!();
        }
    }
}

/// A reader that has gone away ends the output, not the session.
fn print_line(line: &str) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}").and_then(|()| output.flush()).ok();
}
