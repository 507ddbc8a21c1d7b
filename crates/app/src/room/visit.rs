//! A visit to a room, without its socket and its clock.
//!
//! It keeps at it until it is dropped or the server refuses for good. Invariant: a message goes out only between
//! [`SocketEvent::Opened`] and the end of that connection, the first one is `join`, and nothing follows that before `joined`.

use std::collections::VecDeque;
use std::time::Duration;

use protocol::Secret;
use protocol::error::{ErrorBody, ErrorCode};
use protocol::room::{CHAT_HISTORY, MAX_CHAT_CHARS, RoomMessage, RoomSession, ViewerMessage};
use publisher::Backoff;
use publisher::track::ConnectFailure;

use super::not_there;
use crate::api::{Problem, ProblemCode, RoomPhase, RoomView};
use crate::problem::sentence;

/// How long a connection may take from its first packet until `joined`.
const OPENING: Duration = Duration::from_secs(15);
/// How often the server is asked for a sign of life.
const PING_INTERVAL: Duration = Duration::from_secs(8);
/// A connection on which nothing was heard for so long is dead.
const DEAD_AFTER: Duration = Duration::from_secs(20);
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
const BACKOFF_LONGEST: Duration = Duration::from_secs(5);

/// What the driver is to do with the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// Open a connection and report how that went.
    Connect,
    /// Close it, or stop opening it, and report nothing of it any more.
    Disconnect,
    Send(ViewerMessage),
    Ping,
}

/// What happened to the socket.
#[derive(Debug)]
pub(super) enum SocketEvent {
    Opened,
    ConnectFailed(ConnectFailure),
    Text(String),
    /// A sign of life without a meaning.
    Heard,
    /// Why, if that is known.
    Closed(String),
}

/// What is known of a room from an earlier connection to it.
pub(super) struct Memory {
    /// Who comes back with it stays the same viewer.
    viewer_token: Option<Secret>,
    view: RoomView,
}

#[derive(Debug, Clone, Copy)]
enum Link {
    /// No connection until then.
    Waiting {
        until: Duration,
    },
    /// None until somebody does something.
    Left,
    /// It is being opened, or `joined` has not come.
    Opening {
        deadline: Duration,
    },
    Open {
        heard_at: Duration,
        ping_at: Duration,
    },
}

pub(super) struct Visit {
    link: Link,
    watches: bool,
    alias: Option<String>,
    viewer_token: Option<Secret>,
    view: RoomView,
    backoff: Backoff,
    commands: VecDeque<Command>,
}

impl Visit {
    /// Begins to connect.
    pub(super) fn new(now: Duration, known: Memory, watches: bool, alias: Option<String>, seed: u64) -> Self {
        let Memory { viewer_token, view } = known;
        let backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_LONGEST, seed);
        let link = Link::Left;
        let mut visit = Self { link, watches, alias, viewer_token, view, backoff, commands: VecDeque::new() };
        visit.connect(now);
        visit
    }

    /// What a later visit to the same room need not find out again.
    pub(super) fn into_memory(self) -> Memory {
        let view = RoomView { phase: RoomPhase::Connecting, refusal: None, ..self.view };
        Memory { viewer_token: self.viewer_token, view }
    }

    pub(super) const fn view(&self) -> &RoomView {
        &self.view
    }

    /// What lets its bearer watch this room, once somebody is in it.
    pub(super) const fn viewer_token(&self) -> Option<&Secret> {
        self.viewer_token.as_ref()
    }

    pub(super) fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    pub(super) fn next_timeout(&self) -> Option<Duration> {
        match self.link {
            Link::Waiting { until } => Some(until),
            Link::Left => None,
            Link::Opening { deadline } => Some(deadline),
            Link::Open { heard_at, ping_at } => Some(ping_at.min(heard_at + DEAD_AFTER)),
        }
    }

    pub(super) fn timeout(&mut self, now: Duration) {
        match self.link {
            Link::Waiting { until } if now >= until => self.connect(now),
            Link::Opening { deadline } if now >= deadline => {
                self.give_up(now, "the server does not answer");
            }
            Link::Open { heard_at, .. } if now >= heard_at + DEAD_AFTER => {
                self.give_up(now, "nothing is heard of the server any more");
            }
            Link::Open { heard_at, ping_at } if now >= ping_at => {
                self.link = Link::Open { heard_at, ping_at: now + PING_INTERVAL };
                self.commands.push_back(Command::Ping);
            }
            _ => {}
        }
    }

    pub(super) fn socket(&mut self, now: Duration, event: SocketEvent) {
        if let Link::Open { heard_at, .. } = &mut self.link {
            *heard_at = now;
        }
        match event {
            SocketEvent::Opened => {
                let viewer_token = self.viewer_token.as_ref().map(|token| token.expose().to_owned());
                // The name follows: one that the server does not take is no reason to stay outside.
                let join = ViewerMessage::Join { viewer_token, alias: None, watches: Some(self.watches) };
                self.commands.push_back(Command::Send(join));
            }
            SocketEvent::ConnectFailed(ConnectFailure::Refused(error)) => self.refused(now, error),
            SocketEvent::ConnectFailed(
                ConnectFailure::Unreachable(reason) | ConnectFailure::NoNetwork(reason),
            ) => self.lost(now, &reason),
            // A newer server may say what is not known here.
            SocketEvent::Text(text) => {
                if let Ok(message) = RoomMessage::parse(&text) {
                    self.hear(now, message);
                }
            }
            SocketEvent::Heard => {}
            SocketEvent::Closed(reason) => self.lost(now, &reason),
        }
    }

    /// Says something in the chat.
    pub(super) fn say(&mut self, text: &str) -> Result<(), Problem> {
        let text = text.trim();
        if !matches!(self.link, Link::Open { .. }) {
            return Err(not_there());
        }
        if text.is_empty() || text.chars().count() > MAX_CHAT_CHARS {
            let message = format!("A message has 1 to {MAX_CHAT_CHARS} characters.");
            return Err(Problem::new(ProblemCode::BadSetting, message));
        }
        self.commands.push_back(Command::Send(ViewerMessage::Chat { text: text.to_owned() }));
        Ok(())
    }

    pub(super) fn rename(&mut self, alias: Option<String>) {
        self.alias = alias;
        self.view.refusal = None;
        if matches!(self.link, Link::Open { .. }) {
            self.tell_alias();
        }
    }

    /// Tries again at once, unless it is at it.
    pub(super) fn again(&mut self, now: Duration) {
        if matches!(self.link, Link::Waiting { .. } | Link::Left) {
            self.view.phase = RoomPhase::Connecting;
            self.connect(now);
        }
    }

    fn connect(&mut self, now: Duration) {
        self.link = Link::Opening { deadline: now + OPENING };
        self.commands.push_back(Command::Connect);
    }

    fn tell_alias(&mut self) {
        if let Some(alias) = self.alias.clone() {
            self.commands.push_back(Command::Send(ViewerMessage::Alias { alias }));
        }
    }

    /// The connection is of no use any more.
    fn give_up(&mut self, now: Duration, reason: &str) {
        self.commands.push_back(Command::Disconnect);
        self.lost(now, reason);
    }

    /// The connection is gone.
    fn lost(&mut self, now: Duration, reason: &str) {
        if matches!(self.link, Link::Left | Link::Waiting { .. }) {
            return;
        }
        let reason = if reason.is_empty() { "the connection was lost" } else { reason };
        self.view.phase = RoomPhase::Reconnecting { reason: sentence(reason) };
        self.link = Link::Waiting { until: now + self.backoff.next_wait() };
    }

    fn refused(&mut self, now: Duration, error: ErrorBody) {
        // A full room is told, and not besieged.
        if error.retryable && error.code != ErrorCode::RoomFull {
            return self.lost(now, &error.message);
        }
        self.view.phase = RoomPhase::Left { problem: Problem::from(&error) };
        self.link = Link::Left;
    }

    fn hear(&mut self, now: Duration, message: RoomMessage) {
        let view = &mut self.view;
        match message {
            RoomMessage::Joined { viewer, viewer_token, rights: _, room, chat } => {
                view.phase = RoomPhase::Open;
                view.viewer = Some(viewer);
                view.viewers = room.viewers;
                view.sessions = room.sessions;
                view.chat = chat;
                keep_latest(&mut view.chat);
                self.viewer_token = Some(Secret::new(viewer_token));
                self.backoff.reset();
                self.link = Link::Open { heard_at: now, ping_at: now + PING_INTERVAL };
                self.tell_alias();
            }
            RoomMessage::Session(session) => put(&mut view.sessions, session),
            RoomMessage::SessionEnded { id } => view.sessions.retain(|session| session.id != id),
            RoomMessage::Viewers { count } => view.viewers = count,
            RoomMessage::Chat(message) => {
                view.refusal = None;
                view.chat.retain(|known| known.number != message.number);
                view.chat.push(message);
                keep_latest(&mut view.chat);
            }
            RoomMessage::ChatDeleted { number } => view.chat.retain(|message| message.number != number),
            RoomMessage::Refused(error) => view.refusal = Some(sentence(&error.message)),
            RoomMessage::Error(error) => {
                self.commands.push_back(Command::Disconnect);
                self.refused(now, error);
            }
        }
    }
}

impl Memory {
    /// Nothing is known of a room but its name.
    pub(super) const fn none(name: protocol::RoomName) -> Self {
        let view = RoomView {
            name,
            phase: RoomPhase::Connecting,
            viewer: None,
            viewers: 0,
            sessions: Vec::new(),
            chat: Vec::new(),
            refusal: None,
        };
        Self { viewer_token: None, view }
    }
}

fn put(sessions: &mut Vec<RoomSession>, session: RoomSession) {
    match sessions.iter_mut().find(|known| known.id == session.id) {
        Some(known) => *known = session,
        None => sessions.push(session),
    }
}

fn keep_latest<T>(chat: &mut Vec<T>) {
    chat.drain(..chat.len().saturating_sub(CHAT_HISTORY));
}

#[cfg(test)]
#[path = "visit_tests.rs"]
mod tests;
