//! A viewer's end of a room's socket.

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::error::ErrorBody;
use protocol::room::{ChatMessage, Rights, Room, RoomMessage, ViewerId, ViewerMessage};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::{TestServer, soon};

/// A viewer that has joined.
pub struct Viewer {
    pub socket: WebSocketStream<TcpStream>,
    pub id: ViewerId,
    pub token: String,
    pub rights: Rights,
    /// The room and its chat as they were when it joined.
    pub room: Room,
    pub chat: Vec<ChatMessage>,
}

pub fn join(alias: Option<&str>, viewer_token: Option<&str>) -> ViewerMessage {
    ViewerMessage::Join {
        viewer_token: viewer_token.map(str::to_owned),
        alias: alias.map(str::to_owned),
        watches: None,
    }
}

impl TestServer {
    /// Opens a socket of a room; `query` begins with `?` or is empty.
    pub async fn room_socket(&self, room: &str, query: &str) -> WebSocketStream<TcpStream> {
        let stream = TcpStream::connect(self.address()).await.unwrap();
        let url = format!("ws://{}/ws/rooms/{room}{query}", self.address());
        soon(tokio_tungstenite::client_async(url, stream)).await.unwrap().0
    }

    /// Joins a room.
    pub async fn watch(&self, room: &str, query: &str, message: ViewerMessage) -> Viewer {
        let mut socket = self.room_socket(room, query).await;
        socket.send(Message::text(message.to_json())).await.unwrap();
        match next(&mut socket).await {
            RoomMessage::Joined { viewer, viewer_token, rights, room, chat } => {
                Viewer { socket, id: viewer, token: viewer_token, rights, room, chat }
            }
            other => panic!("joined was expected: {other:?}"),
        }
    }

    /// Joins a room in vain.
    pub async fn refused_viewer(&self, room: &str, query: &str, message: ViewerMessage) -> ErrorBody {
        let mut socket = self.room_socket(room, query).await;
        socket.send(Message::text(message.to_json())).await.unwrap();
        match next(&mut socket).await {
            RoomMessage::Error(error) => error,
            other => panic!("an error was expected: {other:?}"),
        }
    }

    /// Asks until the room counts so many viewers. It may have yet to begin.
    pub async fn viewers_when(&self, room: &str, query: &str, wanted: u32) {
        soon(async {
            loop {
                let answer = self.get(&format!("/api/rooms/{room}{query}")).await;
                if answer.status == 200 && answer.json::<Room>().viewers == wanted {
                    return;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

/// The next message of a room.
pub async fn next(socket: &mut WebSocketStream<TcpStream>) -> RoomMessage {
    loop {
        let message = soon(socket.next()).await.expect("the connection ended").unwrap();
        match message {
            Message::Text(text) => return RoomMessage::parse(text.as_str()).unwrap(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("a text message was expected: {other:?}"),
        }
    }
}

impl Viewer {
    pub async fn say(&mut self, message: &ViewerMessage) {
        self.socket.send(Message::text(message.to_json())).await.unwrap();
    }

    pub async fn chat(&mut self, text: &str) {
        self.say(&ViewerMessage::Chat { text: text.to_owned() }).await;
    }

    /// Passes messages over until one is as wanted.
    pub async fn until<T>(&mut self, wanted: impl Fn(&RoomMessage) -> Option<T>) -> T {
        soon(async {
            loop {
                let message = next(&mut self.socket).await;
                if let Some(found) = wanted(&message) {
                    return found;
                }
                assert!(!matches!(message, RoomMessage::Error(_)), "{message:?}");
            }
        })
        .await
    }

    pub async fn next_chat(&mut self) -> ChatMessage {
        self.until(|message| match message {
            RoomMessage::Chat(chat) => Some(chat.clone()),
            _ => None,
        })
        .await
    }

    pub async fn refused(&mut self) -> ErrorBody {
        self.until(|message| match message {
            RoomMessage::Refused(error) => Some(error.clone()),
            _ => None,
        })
        .await
    }

    pub async fn count(&mut self, wanted: u32) {
        self.until(|message| {
            matches!(message, RoomMessage::Viewers { count } if *count == wanted).then_some(())
        })
        .await;
    }

    /// The last message before the close, and the close code.
    pub async fn end(&mut self) -> (ErrorBody, u16) {
        let error = self
            .until(|message| match message {
                RoomMessage::Error(error) => Some(error.clone()),
                _ => None,
            })
            .await;
        match soon(self.socket.next()).await {
            Some(Ok(Message::Close(Some(frame)))) => (error, frame.code.into()),
            other => panic!("a close was expected: {other:?}"),
        }
    }
}
