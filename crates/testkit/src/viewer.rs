//! A viewer of a room without a browser: the room's socket alone.

use std::net::TcpStream;

use anyhow::{Context as _, Result, bail};
use protocol::room::{ChatMessage, Room, RoomMessage, ViewerMessage};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use crate::child::{PATIENCE, Server};

/// A viewer that has joined. It hears only while it is asked what it hears.
pub struct Viewer {
    socket: WebSocket<TcpStream>,
    /// The room as it was then.
    pub room: Room,
    /// What had been said before.
    pub chat: Vec<ChatMessage>,
}

impl Viewer {
    /// Joins a room of a server that asks for this token, if for any.
    ///
    /// # Errors
    /// When it is not let in, in time.
    pub fn join(server: &Server, room: &str, alias: &str, token: Option<&str>) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", server.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let query = token.map(|token| format!("?token={token}")).unwrap_or_default();
        let url = format!("ws://127.0.0.1:{}/ws/rooms/{room}{query}", server.port);
        let (mut socket, _) = tungstenite::client(url, stream).map_err(|error| anyhow::anyhow!("{error}"))?;
        let join = ViewerMessage::Join { viewer_token: None, alias: Some(alias.to_owned()), watches: None };
        socket.send(Message::text(join.to_json()))?;
        match next(&mut socket)? {
            RoomMessage::Joined { room, chat, .. } => Ok(Self { socket, room, chat }),
            other => bail!("joined was expected: {other:?}"),
        }
    }

    /// Says something in the chat.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn say(&mut self, text: &str) -> Result<()> {
        let message = ViewerMessage::Chat { text: text.to_owned() };
        Ok(self.socket.send(Message::text(message.to_json()))?)
    }

    /// Passes messages over until one is as wanted.
    ///
    /// # Errors
    /// When none is in time.
    pub fn until<T>(&mut self, what: &str, wanted: impl Fn(&RoomMessage) -> Option<T>) -> Result<T> {
        loop {
            let message = next(&mut self.socket).with_context(|| format!("waiting for {what}"))?;
            if let Some(found) = wanted(&message) {
                return Ok(found);
            }
        }
    }

    /// The next chat message.
    ///
    /// # Errors
    /// When none comes in time.
    pub fn next_chat(&mut self) -> Result<ChatMessage> {
        self.until("a chat message", |message| match message {
            RoomMessage::Chat(message) => Some(message.clone()),
            _ => None,
        })
    }

    /// Waits until so many watch.
    ///
    /// # Errors
    /// When they do not in time.
    pub fn until_viewers(&mut self, wanted: u32) -> Result<()> {
        self.until(&format!("{wanted} viewers"), |message| {
            matches!(message, RoomMessage::Viewers { count } if *count == wanted).then_some(())
        })
    }
}

fn next(socket: &mut WebSocket<TcpStream>) -> Result<RoomMessage> {
    loop {
        match socket.read()? {
            Message::Text(text) => return Ok(RoomMessage::parse(text.as_str())?),
            Message::Close(why) => bail!("the room's socket is closed: {why:?}"),
            _ => {}
        }
    }
}
