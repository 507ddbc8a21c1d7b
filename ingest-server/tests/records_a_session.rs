//! A session from the first hello to the recording, over real sockets, with real H.264 and Opus.
#![allow(clippy::unwrap_used)]

mod harness;

use harness::encoded::{audio, video};
use harness::{TestServer, hello_with, new_session};
use protocol::api::SessionStatus;
use protocol::{Track, UnitRanges};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_recorded_and_its_recording_plays_whole_and_in_pieces() {
    let server = TestServer::start(&["--segment-ms", "1000"]).await;
    let session = new_session();
    let (video, video_params) = video(150);
    let (audio, audio_params) = audio(250);

    let (mut video_socket, welcome) =
        server.publish(&hello_with(session, Track::Video, vec![video_params], [1; 16])).await;
    assert!(welcome.durable.is_empty());
    let (mut audio_socket, _) =
        server.publish(&hello_with(session, Track::Audio, vec![audio_params], [1; 16])).await;
    video_socket.units(&video).await;
    audio_socket.units(&audio).await;
    let state = server.session(session).await;
    assert_eq!(state.status, SessionStatus::Active);
    assert!(state.video.unwrap().connected);
    assert_eq!(video_socket.finish(150, UnitRanges::new()).await, (150, 150));
    assert_eq!(audio_socket.finish(250, UnitRanges::new()).await, (250, 250));
    assert_eq!(video_socket.durable.count(), 150, "complete comes behind the acknowledgements");

    let state = server.session_when(session, |state| state.status == SessionStatus::Completed).await;
    let track = state.video.unwrap();
    assert_eq!((track.units, track.durable_units, track.duration_ms), (150, 150, 5_000));
    assert!(track.finished && track.gaps.is_empty());
    assert!(track.codec_string.starts_with("avc1."));
    assert_eq!(state.audio.unwrap().duration_ms, 5_000);

    let path = format!("/api/sessions/{session}/recording.mp4");
    let whole = server.get(&path).await;
    assert_eq!(whole.status, 200);
    assert_eq!(whole.header("content-length").unwrap(), whole.body.len().to_string());
    let file = server.folder.path().join("whole.mp4");
    std::fs::write(&file, &whole.body).unwrap();
    testkit::ffmpeg::decode_silently(&file).unwrap();
    let packets = testkit::ffmpeg::packets(&file).unwrap();
    assert_eq!(packets.len(), 400);

    // The segments play by themselves too.
    for segment in walk(&server.folder.path().join("sessions")) {
        testkit::ffmpeg::decode_silently(&segment).unwrap();
    }

    // Any range is the same bytes.
    let total = whole.body.len();
    let etag = whole.header("etag").unwrap().to_owned();
    for (range, expected) in [
        (format!("bytes=0-{}", total - 1), 0..total),
        ("bytes=0-0".to_owned(), 0..1),
        (format!("bytes={}-{}", total / 3, total / 3 + 70_000), total / 3..(total / 3 + 70_001).min(total)),
        ("bytes=-1000".to_owned(), total - 1000..total),
        (format!("bytes={}-", total / 2), total / 2..total),
    ] {
        let piece = server.request("GET", &path, &[("range", &range), ("if-range", &etag)]).await;
        assert_eq!(piece.status, 206, "{range}");
        assert!(piece.body == whole.body[expected], "{range}");
    }
    let mut joined = Vec::new();
    while joined.len() < total {
        let range = format!("bytes={}-{}", joined.len(), joined.len() + 9_999);
        joined.extend(server.request("GET", &path, &[("range", &range)]).await.body);
    }
    assert!(joined == whole.body);
    let beyond = server.request("GET", &path, &[("range", &format!("bytes={total}-"))]).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some(&*format!("bytes */{total}"))));
    let other = server.request("GET", &path, &[("range", "bytes=0-0"), ("if-range", "\"other\"")]).await;
    assert_eq!((other.status, other.body.len()), (200, total));
    let head = server.request("HEAD", &path, &[]).await;
    assert_eq!(
        (head.status, head.body.len(), head.header("content-length")),
        (200, 0, Some(&*total.to_string()))
    );
    let known = server.request("GET", &path, &[("if-none-match", &etag)]).await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    server.stop().await;
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}
