//! The driver: connects one WebSocket to its track's state machine. It decides nothing.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::Track;
use protocol::control::{Hello, PublisherMessage, ServerMessage};
use protocol::error::{ErrorBody, ErrorCode};
use protocol::limits::MAX_MESSAGE_BYTES;
use protocol::unit::{Lane, Unit, decode_message};
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error as WsError};
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

use super::block::Block;
use super::feed::{Feed, IngestContext};
use super::track::{TrackIngest, Transmit};
use crate::access::Grant;
use crate::log;
use crate::sessions::Attached;

/// What is read at once of a track's socket, at the most; larger messages grow it while they last. It holds most pictures, or
/// ten packets of sound. It is cleared before each read, so that more would only cost.
///
/// As much is read ahead of the WebSocket, which asks for a message's 14 header bytes first and for the rest then: two system
/// calls a message become one.
const fn read_bytes(track: Track) -> usize {
    match track {
        Track::Video => 16 * 1024,
        Track::Audio => 2 * 1024,
    }
}

/// How long a peer may take to accept what is sent.
const SEND_PATIENCE: Duration = Duration::from_secs(10);

/// How a connection ends.
enum Ending {
    /// The peer left, or does not take what is sent.
    Gone(&'static str),
    /// This side closes.
    Close(ErrorBody),
}

type Socket<S> = WebSocketStream<BufReader<S>>;

/// Serves an upgraded connection to its end. `read_ahead` holds what came behind the upgrade's request.
pub(crate) async fn serve<S>(
    stream: S,
    read_ahead: Vec<u8>,
    track: Track,
    grant: &Grant,
    context: &IngestContext,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let config = WebSocketConfig::default()
        .read_buffer_size(read_bytes(track))
        .write_buffer_size(0)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let stream = BufReader::with_capacity(read_bytes(track), stream);
    let mut socket =
        WebSocketStream::from_partially_read(stream, read_ahead, Role::Server, Some(config)).await;

    let attached = match open(&mut socket, track, grant, context).await {
        Ok(attached) => attached,
        Err(Ending::Gone(_)) => return,
        Err(Ending::Close(error)) => {
            log::refused(None, track, &error);
            farewell(&mut socket, error).await;
            return;
        }
    };
    let mut driver = Driver {
        feed: Feed::new(context, attached),
        block: Block::new(track),
        has_warned: false,
        is_stopping: false,
    };
    let ending = driver.run(&mut socket).await;
    driver.feed.detach().await;
    driver.log(&ending);
    if let Ending::Close(error) = ending {
        farewell(&mut socket, error).await;
    }
}

async fn farewell<S>(socket: &mut Socket<S>, error: ErrorBody)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let code = error.code;
    crate::farewell::close(socket, ServerMessage::Error(error).to_json(), code).await;
}

/// Waits for the hello and attaches the connection to its track.
async fn open<S>(
    socket: &mut Socket<S>,
    track: Track,
    grant: &Grant,
    context: &IngestContext,
) -> Result<Attached, Ending>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut stop = context.stop.clone();
    let hello = tokio::select! {
        hello = timeout(context.bounds.opening, hello(socket)) => hello.unwrap_or_else(|_| {
            Err(Ending::Close(ErrorBody::new(ErrorCode::IdleTimeout, "no hello came in time")))
        })?,
        () = stop.wait() => return Err(Ending::Close(shutting_down())),
    };
    if hello.track != track {
        let message = format!("this socket takes {track}, and the hello names {}", hello.track);
        return Err(Ending::Close(ErrorBody::new(ErrorCode::TrackMismatch, message)));
    }
    let attached = context.rooms.open(grant, &hello).await.map_err(Ending::Close)?;
    let (durable, codec) = {
        let ingest = attached.session.ingest(track);
        (
            ingest.stored().durable.clone(),
            ingest.all_params().last().map_or("", |params| params.parameters.name()),
        )
    };
    log::hello(hello.session, track, &attached.session.info.room, &durable, codec);
    Ok(attached)
}

async fn hello<S>(socket: &mut Socket<S>) -> Result<Hello, Ending>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let invalid = |code, message: String| Err(Ending::Close(ErrorBody::new(code, message)));
    loop {
        match socket.next().await {
            None => return Err(Ending::Gone("the peer left")),
            Some(Err(error)) => return Err(ending_of(&error)),
            Some(Ok(Message::Text(text))) => {
                return match PublisherMessage::parse(text.as_str()) {
                    Ok(PublisherMessage::Hello(hello)) => Ok(hello),
                    Ok(_) => invalid(ErrorCode::InvalidMessage, "the first message must be hello".to_owned()),
                    Err(error) => invalid(error.code(), error.to_string()),
                };
            }
            Some(Ok(Message::Binary(_))) => {
                return invalid(ErrorCode::InvalidMessage, "hello must come before units".to_owned());
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_))) => {}
        }
    }
}

struct Driver<'a> {
    feed: Feed<'a>,
    block: Block,
    has_warned: bool,
    is_stopping: bool,
}

impl Driver<'_> {
    async fn run<S>(&mut self, socket: &mut Socket<S>) -> Ending
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let context = self.feed.context;
        // These wait across many messages, so that a message costs no registration anew.
        let mut stop = context.stop.clone();
        let mut stopped = pin!(stop.wait());
        let mut timer = pin!(sleep_until(context.clock.instant(Duration::ZERO)));
        let mut timer_at = Duration::ZERO;
        let mut news = pin!(next_news(self.feed.attached.news.clone()));
        self.feed.with(|_| {});
        loop {
            if let Err(ending) = self.send(socket).await {
                return ending;
            }
            self.feed.pass_on();
            if self.is_stopping && !self.feed.is_waiting() && self.feed.is_settled() {
                let id = self.feed.attached.id;
                self.feed.with(|ingest| ingest.close(id, shutting_down()));
                continue;
            }
            let is_full = self.feed.is_full();
            if is_full && !self.has_warned {
                self.has_warned = true;
                let (id, track) = self.feed.names();
                log::budget_reached(id, track, self.feed.undurable_bytes);
            }
            let permits = self.feed.next_permits();
            let due = self.feed.deadline.unwrap_or_else(|| context.clock.now() + SEND_PATIENCE);
            if due != timer_at {
                timer_at = due;
                timer.as_mut().reset(context.clock.instant(due));
            }
            tokio::select! {
                message = socket.next(), if !is_full && !self.is_stopping => match message {
                    None => return Ending::Gone("the peer left"),
                    Some(Err(error)) => match ending_of(&error) {
                        Ending::Close(error) => {
                            let id = self.feed.attached.id;
                            self.feed.with(|ingest| ingest.close(id, error));
                        }
                        gone @ Ending::Gone(_) => return gone,
                    },
                    Some(Ok(message)) => self.take(message),
                },
                receiver = news.as_mut() => {
                    news.set(next_news(receiver));
                    self.feed.with(|_| {});
                }
                () = timer.as_mut() => {
                    // It has fired: it must be set again, also to the same moment.
                    timer_at = Duration::ZERO;
                    let (now, id) = (context.clock.now(), self.feed.attached.id);
                    self.feed.with(|ingest| {
                        if is_full {
                            // It is this side that does not listen.
                            ingest.heard(now, id);
                        }
                        ingest.tick(now);
                    });
                }
                permit = Arc::clone(&context.budget).acquire_many_owned(permits), if self.feed.is_waiting() => {
                    let Ok(permit) = permit else { return Ending::Close(shutting_down()) };
                    if !self.feed.pass_next(permit).await {
                        return Ending::Close(shutting_down());
                    }
                }
                () = stopped.as_mut(), if !self.is_stopping => {
                    self.is_stopping = true;
                    self.feed.with(TrackIngest::flush);
                }
            }
        }
    }

    fn take(&mut self, message: Message) {
        let (now, id) = (self.feed.context.clock.now(), self.feed.attached.id);
        self.trace(&message);
        match message {
            Message::Binary(bytes) => {
                let bytes = self.block.keep(&bytes);
                self.feed.with(|ingest| ingest.binary(now, id, bytes));
            }
            Message::Text(text) => self.feed.with(|ingest| ingest.text(now, id, text.as_str())),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {
                self.feed.with(|ingest| {
                    ingest.heard(now, id);
                });
            }
        }
    }

    /// What has arrived, unit by unit: with the line's time and the session's start it tells how long each was under way.
    fn trace(&self, message: &Message) {
        if !tracing::enabled!(tracing::Level::TRACE) {
            return;
        }
        let track = self.feed.attached.track.name();
        let Message::Binary(units) = message else {
            tracing::trace!(track, bytes = message.len(), "message");
            return;
        };
        for unit in decode_message(units.clone()).flatten() {
            let Unit { lane, number, capture_us, .. } = unit;
            let lane = if lane == Lane::Live { "live" } else { "backfill" };
            tracing::trace!(track, lane, number, capture_us, bytes = unit.payload.len(), "unit");
        }
    }

    async fn send<S>(&mut self, socket: &mut Socket<S>) -> Result<(), Ending>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        if self.feed.out.is_empty() {
            return Ok(());
        }
        self.feed.attached.session.heard_now();
        while let Some(transmit) = self.feed.out.pop_front() {
            match transmit {
                Transmit::Close(error) => return Err(Ending::Close(error)),
                Transmit::Message(message) => {
                    let sent = timeout(SEND_PATIENCE, socket.send(Message::text(message.to_json()))).await;
                    match sent {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => return Err(Ending::Gone("the connection broke")),
                        Err(_) => return Err(Ending::Gone("the peer takes nothing")),
                    }
                }
            }
        }
        Ok(())
    }

    fn log(&self, ending: &Ending) {
        let (id, track) = self.feed.names();
        let counters = self.feed.attached.session.ingest(track).counters();
        match ending {
            Ending::Gone(why) => log::gone(id, track, counters, why),
            Ending::Close(error) => match error.code {
                ErrorCode::Superseded | ErrorCode::IdleTimeout | ErrorCode::ShuttingDown => {
                    log::gone(id, track, counters, &error.message);
                }
                _ => log::refused(Some(id), track, error),
            },
        }
    }
}

/// Waits for news of a track and gives the receiver back.
async fn next_news(mut news: watch::Receiver<()>) -> watch::Receiver<()> {
    // The sender lives as long as the session, which the connection holds.
    let _ = news.changed().await;
    news
}

pub(crate) fn shutting_down() -> ErrorBody {
    ErrorBody::new(ErrorCode::ShuttingDown, "the server is stopping; it will be back")
}

/// What a failed read means.
fn ending_of(error: &WsError) -> Ending {
    match error {
        WsError::Capacity(CapacityError::MessageTooLong { .. }) => Ending::Close(ErrorBody::new(
            ErrorCode::TooLarge,
            format!("a message has at most {MAX_MESSAGE_BYTES} bytes"),
        )),
        WsError::Capacity(_) | WsError::Protocol(_) | WsError::Utf8(_) => match error {
            WsError::Protocol(
                tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            ) => Ending::Gone("the connection broke"),
            _ => Ending::Close(ErrorBody::new(
                ErrorCode::InvalidMessage,
                format!("this is not WebSocket: {error}"),
            )),
        },
        _ => Ending::Gone("the connection broke"),
    }
}
