//! The floor: a plain tokio-tungstenite server that welcomes a publisher, reads its messages and drops them.
//!
//! It checks nothing and stores nothing. Every hundredth message it claims that all is durable, since a publisher
//! that hears of no progress stops sending. No ingest server that takes the same messages over the same
//! sockets can cost much less.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use futures_util::{SinkExt, StreamExt};
use protocol::control::{Limits, ServerMessage, Welcome};
use protocol::limits::{MAX_MESSAGE_BYTES, MAX_UNIT_BYTES};
use protocol::{PROTOCOL_VERSION, UnitRange, UnitRanges};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

/// Serves until the process is stopped.
pub(crate) fn serve(port: u16) -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(async move {
                // A publisher that leaves in whatever way is the end of its connection, nothing more.
                let _ = read_and_drop(stream).await;
            });
        }
    })
}

async fn read_and_drop(stream: TcpStream) -> Result<()> {
    let mut socket = tokio_tungstenite::accept_async(stream).await?;
    let mut dropped = 0u64;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_binary() {
            dropped += 1;
            // The number of the message's first unit (protocol::unit).
            if dropped.is_multiple_of(100)
                && let Some(number) = message.into_data().get(8..16)
            {
                let last = u64::from_be_bytes(number.try_into()?);
                let durable = [UnitRange::new(0, last)].into_iter().collect();
                socket.send(Message::text(ServerMessage::Ack { durable }.to_json())).await?;
            }
        } else if message.is_text() {
            let welcome = ServerMessage::Welcome(Welcome {
                version: PROTOCOL_VERSION,
                durable: UnitRanges::new(),
                limits: Limits {
                    message_bytes: MAX_MESSAGE_BYTES as u32,
                    unit_bytes: MAX_UNIT_BYTES as u32,
                    idle_ms: 60_000,
                },
                server_unix_ms: u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?,
            });
            socket.send(Message::text(welcome.to_json())).await?;
        }
    }
    Ok(())
}
