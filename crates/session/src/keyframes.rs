use capture::Controls;
use protocol::Track;
use publisher::track::Tell;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Makes the next picture an IDR whenever the server asks for one. Ends with the publisher.
pub async fn answer_keyframe_requests(mut tells: Receiver<(Track, Tell)>, controls: Controls) {
    loop {
        match tells.recv().await {
            Ok((Track::Video, Tell::KeyframeRequest)) => controls.request_idr(),
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}
