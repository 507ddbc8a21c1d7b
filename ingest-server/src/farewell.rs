//! The end of a WebSocket from this side.

use std::time::Duration;

use futures_util::SinkExt as _;
use protocol::error::ErrorCode;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, coding::CloseCode};

/// How long a peer may take to take the reason and to close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// Says why, in a last message, and closes. Then reads on for a while, so that a peer in the middle of sending gets to
/// see it.
pub(crate) async fn close<S>(socket: &mut WebSocketStream<S>, last: String, code: ErrorCode)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let farewell = async {
        socket.send(Message::text(last)).await?;
        let frame = CloseFrame { code: CloseCode::from(code.close_code()), reason: code.name().into() };
        socket.send(Message::Close(Some(frame))).await?;
        // Closing with bytes unread would reset the connection and take the reason with it.
        socket.get_mut().shutdown().await?;
        tokio::io::copy(socket.get_mut(), &mut tokio::io::sink()).await?;
        Ok::<(), WsError>(())
    };
    // Whoever does not take the reason goes without it.
    let _ = timeout(CLOSE_PATIENCE, farewell).await;
}
