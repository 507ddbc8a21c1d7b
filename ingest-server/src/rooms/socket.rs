//! The driver: connects one viewer's WebSocket to its room. It decides nothing.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::RoomName;
use protocol::error::{ErrorBody, ErrorCode};
use protocol::room::{RoomMessage, ViewerMessage};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error as WsError};
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

use super::chat::Window;
use super::{Entered, Outgoing, Presence, Rooms};
use crate::access::Grant;
use crate::farewell;
use crate::stop::Stop;

/// The longest message that a viewer sends: the longest chat message, each character escaped, and the token of a join.
const MAX_MESSAGE_BYTES: usize = 8 * 1024;
/// How long a viewer may take to accept what is sent.
const SEND_PATIENCE: Duration = Duration::from_secs(5);
/// What a viewer may ask for in vain before it is disconnected.
const REFUSALS: (usize, Duration) = (20, Duration::from_secs(10));

/// How a connection ends.
enum Ending {
    /// The peer left, or does not take what is sent.
    Gone,
    /// This side closes.
    Close(ErrorBody),
}

/// Serves an upgraded connection to its end. `read_ahead` holds what came behind the upgrade's request.
pub(crate) async fn serve<S>(
    stream: S,
    read_ahead: Vec<u8>,
    rooms: &Arc<Rooms>,
    room: &RoomName,
    grant: Grant,
    mut stop: Stop,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let config = WebSocketConfig::default()
        .read_buffer_size(MAX_MESSAGE_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let mut socket =
        WebSocketStream::from_partially_read(stream, read_ahead, Role::Server, Some(config)).await;
    // Before the socket joins, so that no ban falls in between.
    let revoked = rooms.revoked(&grant, room);
    let ending = tokio::select! {
        ending = converse(&mut socket, rooms, room, &grant) => ending,
        why = revoked => Ending::Close(why),
        () = stop.wait() => {
            Ending::Close(ErrorBody::new(ErrorCode::ShuttingDown, "the server is stopping; it will be back"))
        }
    };
    if let Ending::Close(error) = ending {
        let code = error.code;
        farewell::close(&mut socket, RoomMessage::Error(error).to_json(), code).await;
    }
}

async fn converse<S>(
    socket: &mut WebSocketStream<S>,
    rooms: &Arc<Rooms>,
    room: &RoomName,
    grant: &Grant,
) -> Ending
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Entered { joined, mut inbox, presence } = match timeout(rooms.bounds.opening, join(socket)).await {
        Err(_) => return Ending::Close(ErrorBody::new(ErrorCode::IdleTimeout, "no join came in time")),
        Ok(Err(ending)) => return ending,
        Ok(Ok(ViewerMessage::Join { viewer_token, alias, watches })) => {
            let watches = watches.unwrap_or(true);
            match rooms.enter(grant, room, viewer_token.as_deref(), alias.as_deref(), watches) {
                Ok(entered) => entered,
                Err(error) => return Ending::Close(error),
            }
        }
        Ok(Ok(_)) => {
            return Ending::Close(ErrorBody::new(
                ErrorCode::InvalidMessage,
                "the first message must be join",
            ));
        }
    };
    // What a viewer is known by from here on may be more than what it came with.
    let known = Grant { viewer: Some(presence.viewer.clone()), room: Some(room.clone()), ..grant.clone() };
    let revoked = rooms.revoked(&known, room);
    tokio::select! {
        ending = follow(socket, joined, &mut inbox, &presence) => ending,
        why = revoked => Ending::Close(why),
    }
}

async fn join<S>(socket: &mut WebSocketStream<S>) -> Result<ViewerMessage, Ending>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    loop {
        match socket.next().await {
            None => return Err(Ending::Gone),
            Some(Err(error)) => return Err(ending_of(&error)),
            Some(Ok(Message::Text(text))) => return parse(&text).map_err(Ending::Close),
            Some(Ok(Message::Binary(_))) => return Err(Ending::Close(no_binary())),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_))) => {}
        }
    }
}

/// Passes messages on in both directions until one side has enough.
async fn follow<S>(
    socket: &mut WebSocketStream<S>,
    joined: RoomMessage,
    inbox: &mut mpsc::Receiver<Outgoing>,
    presence: &Presence,
) -> Ending
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (clock, idle) = (presence.rooms.clock, presence.rooms.bounds.idle);
    let mut refusals = Window::new(REFUSALS.0, REFUSALS.1);
    let mut heard = clock.now();
    let mut next_ping = heard + idle / 2;
    let mut outgoing = Some(Message::text(joined.to_json()));
    loop {
        if let Some(message) = outgoing.take() {
            match timeout(SEND_PATIENCE, socket.send(message)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Ending::Gone,
            }
        }
        tokio::select! {
            message = socket.next() => {
                heard = clock.now();
                let said = match message {
                    None => return Ending::Gone,
                    Some(Err(error)) => return ending_of(&error),
                    Some(Ok(Message::Text(text))) => parse(&text).and_then(|said| presence.hear(said)),
                    Some(Ok(Message::Binary(_))) => return Ending::Close(no_binary()),
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_))) => Ok(()),
                };
                if let Err(refused) = said {
                    if !refusals.take(heard) {
                        let message = "too much was asked for in vain; connect again later";
                        return Ending::Close(ErrorBody::new(ErrorCode::RateLimited, message));
                    }
                    outgoing = Some(Message::text(RoomMessage::Refused(refused).to_json()));
                }
            }
            next = inbox.recv() => match next {
                Some(Outgoing::Text(text)) => outgoing = Some(Message::Text(text)),
                Some(Outgoing::Close(why)) => return Ending::Close(why),
                None => {
                    let message = "the connection takes too little of what happens in the room; connect again";
                    return Ending::Close(ErrorBody::new(ErrorCode::IdleTimeout, message));
                }
            },
            () = sleep_until(clock.instant(next_ping)) => {
                let now = clock.now();
                if now >= heard + idle {
                    let message = "nothing was heard for too long";
                    return Ending::Close(ErrorBody::new(ErrorCode::IdleTimeout, message));
                }
                next_ping = now + idle / 2;
                outgoing = Some(Message::Ping(bytes::Bytes::new()));
            }
        }
    }
}

fn parse(text: &str) -> Result<ViewerMessage, ErrorBody> {
    ViewerMessage::parse(text).map_err(|error| ErrorBody::new(error.code(), error.to_string()))
}

fn no_binary() -> ErrorBody {
    ErrorBody::new(ErrorCode::InvalidMessage, "this socket takes text messages")
}

/// What a failed read means.
fn ending_of(error: &WsError) -> Ending {
    match error {
        WsError::Capacity(CapacityError::MessageTooLong { .. }) => {
            let message = format!("a message has at most {MAX_MESSAGE_BYTES} bytes");
            Ending::Close(ErrorBody::new(ErrorCode::TooLarge, message))
        }
        WsError::Utf8(_) => Ending::Close(ErrorBody::new(ErrorCode::InvalidMessage, "this is not text")),
        _ => Ending::Gone,
    }
}
