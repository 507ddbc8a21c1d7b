//! The thin layer between a visit and the world: it owns the socket and the clock.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use publisher::client_config;
use publisher::track::ConnectFailure;
use publisher::web_socket::{self, WebSocket};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::visit::{Command, Memory, SocketEvent, Visit};
use super::{Ask, Media, RoomOnServer, Wanted, not_there};
use crate::api::RoomView;

/// `joined` is the longest message: a hundred of the longest chat messages, and a hundred sessions.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// How long the server may take to accept a message, or a goodbye.
const SEND_PATIENCE: Duration = Duration::from_secs(5);

type Opening = Pin<Box<dyn Future<Output = Result<WebSocket, ConnectFailure>> + Send>>;

/// The present socket, if there is one.
enum Socket {
    Absent,
    Opening(Opening),
    Open(Box<WebSocket>),
}

/// A visit, and what it was wanted as.
struct Present {
    wanted: Wanted,
    visit: Visit,
    socket: Socket,
    /// The viewer token that the way to the pictures was told for.
    media_token: Option<String>,
}

/// What a driver tells.
#[derive(Default)]
pub(crate) struct Outlets {
    pub(crate) view: watch::Sender<Option<RoomView>>,
    /// The way to the pictures of a room that lets this app in.
    pub(crate) media: watch::Sender<Option<Arc<Media>>>,
}

/// Visits the room that is wanted, and tells what is known of it, until nobody wants anything any more.
pub(crate) async fn run(
    mut wanted: watch::Receiver<Option<Wanted>>,
    mut asks: mpsc::Receiver<Ask>,
    outlets: Outlets,
) {
    let epoch = Instant::now();
    let mut present: Option<Present> = None;
    wanted.mark_changed();
    loop {
        if let Some(present) = &mut present {
            present.obey(epoch).await;
        }
        let view = present.as_ref().map(|present| present.visit.view());
        outlets.view.send_if_modified(|told| {
            let is_news = told.as_ref() != view;
            if is_news {
                *told = view.cloned();
            }
            is_news
        });
        tell_media(&outlets.media, &mut present);
        tokio::select! {
            changed = wanted.changed() => {
                if changed.is_err() {
                    return;
                }
                let wanted = wanted.borrow_and_update().clone();
                present = turn_to(epoch.elapsed(), present, wanted);
            }
            ask = asks.recv() => match ask {
                Some(ask) => hear(epoch.elapsed(), present.as_mut(), ask),
                None => return,
            },
            event = next(present.as_mut(), epoch) => if let (Some(present), Some(event)) = (&mut present, event) {
                present.visit.socket(epoch.elapsed(), event);
            } else if let Some(present) = &mut present {
                present.visit.timeout(epoch.elapsed());
            },
        }
    }
}

/// Tells the way to the pictures when it is another.
fn tell_media(told: &watch::Sender<Option<Arc<Media>>>, present: &mut Option<Present>) {
    let Some(present) = present else {
        told.send_if_modified(|told| told.take().is_some());
        return;
    };
    let token = present.visit.viewer_token().map(|token| token.expose().to_owned());
    if present.media_token != token {
        let viewer_token = present.visit.viewer_token();
        told.send_replace(
            viewer_token.and_then(|token| Media::new(&present.wanted.place, token)).map(Arc::new),
        );
        present.media_token = token;
    }
}

/// Leaves where nobody wants to be any more, and goes where somebody does.
fn turn_to(now: Duration, present: Option<Present>, wanted: Option<Wanted>) -> Option<Present> {
    let Some(wanted) = wanted else {
        if let Some(mut present) = present {
            present.say_goodbye();
        }
        return None;
    };
    let memory = match present {
        Some(mut present) if present.wanted.is_same_connection(&wanted) => {
            if present.wanted.alias != wanted.alias {
                present.visit.rename(wanted.alias.clone());
            }
            return Some(Present { wanted, ..present });
        }
        Some(mut present) => {
            present.say_goodbye();
            present.wanted.place.is(&wanted.place).then(|| present.visit.into_memory())
        }
        None => None,
    };
    let memory = memory.unwrap_or_else(|| Memory::none(wanted.place.room.clone()));
    let visit = Visit::new(now, memory, wanted.watches, wanted.alias.clone(), fastrand::u64(..));
    Some(Present { wanted, visit, socket: Socket::Absent, media_token: None })
}

fn hear(now: Duration, present: Option<&mut Present>, ask: Ask) {
    match (ask, present) {
        (Ask::Say { text, answer }, present) => {
            let said = present.map_or_else(|| Err(not_there()), |present| present.visit.say(&text));
            // Whoever asked may have lost interest.
            answer.send(said).ok();
        }
        (Ask::Again, Some(present)) => present.visit.again(now),
        (Ask::Again, None) => {}
    }
}

/// The next thing that happens to the socket; none when the visit's time has come. Losing the future loses nothing.
async fn next(present: Option<&mut Present>, epoch: Instant) -> Option<SocketEvent> {
    let Some(present) = present else { return std::future::pending().await };
    let due = present.visit.next_timeout();
    let sleep = async {
        match due {
            Some(due) => tokio::time::sleep_until((epoch + due).into()).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        event = present.socket.next() => Some(event),
        () = sleep => None,
    }
}

impl Present {
    /// Does what the visit wants done.
    async fn obey(&mut self, epoch: Instant) {
        while let Some(command) = self.visit.poll_command() {
            let message = match command {
                Command::Connect => {
                    self.socket = Socket::Opening(Box::pin(open(self.wanted.place.clone())));
                    continue;
                }
                Command::Disconnect => {
                    self.say_goodbye();
                    continue;
                }
                Command::Send(message) => Message::text(message.to_json()),
                Command::Ping => Message::Ping(Bytes::new()),
            };
            let Socket::Open(socket) = &mut self.socket else { continue };
            if !matches!(timeout(SEND_PATIENCE, socket.send(message)).await, Ok(Ok(()))) {
                self.socket = Socket::Absent;
                self.visit.socket(epoch.elapsed(), SocketEvent::Closed(String::new()));
            }
        }
    }

    fn say_goodbye(&mut self) {
        if let Socket::Open(mut socket) = std::mem::replace(&mut self.socket, Socket::Absent) {
            // Whether the close arrives changes nothing.
            tokio::spawn(async move { timeout(SEND_PATIENCE, socket.as_mut().close(None)).await.ok() });
        }
    }
}

impl Socket {
    async fn next(&mut self) -> SocketEvent {
        match self {
            Self::Absent => std::future::pending().await,
            Self::Opening(opening) => match opening.await {
                Ok(socket) => {
                    *self = Self::Open(Box::new(socket));
                    SocketEvent::Opened
                }
                Err(failure) => {
                    *self = Self::Absent;
                    SocketEvent::ConnectFailed(failure)
                }
            },
            Self::Open(socket) => {
                let event = match socket.next().await {
                    Some(Ok(Message::Text(text))) => return SocketEvent::Text(text.as_str().to_owned()),
                    Some(Ok(Message::Close(frame))) => {
                        SocketEvent::Closed(frame.map(|frame| frame.reason.to_string()).unwrap_or_default())
                    }
                    Some(Ok(_)) => return SocketEvent::Heard,
                    Some(Err(error)) => SocketEvent::Closed(format!("the connection broke: {error}")),
                    None => SocketEvent::Closed(String::new()),
                };
                *self = Self::Absent;
                event
            }
        }
    }
}

async fn open(place: RoomOnServer) -> Result<WebSocket, ConnectFailure> {
    let RoomOnServer { server, room, token, own_authority } = place;
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let trust = || {
        let trust = client_config(own_authority.as_deref());
        trust.map_err(|error| ConnectFailure::Unreachable(error.to_string()))
    };
    let tls = server.is_encrypted().then(trust).transpose()?;
    web_socket::open(&server, &format!("/ws/rooms/{room}"), token.as_ref(), tls, config).await
}
