//! Sessions of two tracks, and what a WebRTC viewer gets of them.

use media::h264::to_annexb;
use protocol::codec::CodecParameters;
use protocol::unit::Unit;
use protocol::{SessionId, Track};
use testkit::units::parameters;
use testkit::webrtc::{Endpoint, Peer, Received};
use tokio::net::TcpStream;

use super::{Publisher, TestServer, hello};

/// Where its WHEP and WHIP are.
pub fn endpoint(server: &TestServer) -> Endpoint {
    Endpoint::new(server.address().parse().unwrap())
}

/// A unit as a viewer gets it.
fn as_received(track: Track, unit: &Unit) -> Vec<u8> {
    match parameters(track) {
        CodecParameters::H264 { avcc, .. } => to_annexb(&unit.payload, &avcc.0, unit.key).unwrap(),
        CodecParameters::Opus { .. } => unit.payload.to_vec(),
    }
}

/// Waits for the units of a track, which must be these and nothing else, at times in the same distances.
pub async fn receives(viewer: &mut Peer, track: Track, expected: &[Unit]) -> Vec<Received> {
    let mut all = Vec::new();
    while all.len() < expected.len() {
        let received = viewer.unit().await.unwrap();
        if received.track == track {
            let unit = &expected[all.len()];
            assert_eq!(received.bytes, as_received(track, unit), "unit {}", unit.number);
            assert!(received.contiguous, "unit {}", unit.number);
            all.push(received);
        }
    }
    let (first, first_90k) = (&all[0], expected[0].pts_90k);
    for (received, unit) in all.iter().zip(expected) {
        assert_eq!(received.rtp_90k - first.rtp_90k, unit.pts_90k - first_90k, "unit {}", unit.number);
    }
    all
}

/// Publishes units of both tracks, while a viewer is there that receives each of them.
pub async fn follows(
    viewer: &mut Peer,
    (video, pictures): (&mut Publisher<TcpStream>, &[Unit]),
    (audio, sound): (&mut Publisher<TcpStream>, &[Unit]),
) {
    for ten in pictures.chunks(10) {
        video.units(ten).await;
        receives(viewer, Track::Video, ten).await;
    }
    // Sound begins with the newest packet; so each one is awaited before the next is sent.
    for packet in sound.chunks(1) {
        audio.units(packet).await;
        receives(viewer, Track::Audio, packet).await;
    }
}

/// Both tracks of a session, open.
pub async fn publish(server: &TestServer, session: SessionId) -> [Publisher<TcpStream>; 2] {
    let (video, _) = server.publish(&hello(session, Track::Video)).await;
    let (audio, _) = server.publish(&hello(session, Track::Audio)).await;
    [video, audio]
}
