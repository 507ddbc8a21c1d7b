//! A session from the first hello to the recording, over real sockets, with real H.264 and Opus.
#![allow(clippy::unwrap_used)]

mod harness;

use harness::{TestServer, hello_with, new_session};
use media::h264::{access_unit_from_annexb, codec_parameters};
use openh264::encoder::{Encoder, EncoderConfig, FrameRate};
use openh264::formats::YUVBuffer;
use openh264::{OpenH264API, Timestamp};
use protocol::api::SessionStatus;
use protocol::codec::{CodecParameters, Params};
use protocol::unit::{Lane, Unit};
use protocol::{Track, UnitRanges};

const WIDTH: usize = 320;
const HEIGHT: usize = 180;

/// Moving stripes, encoded.
fn video(frames: u64) -> (Vec<Unit>, Params) {
    let config = EncoderConfig::new().max_frame_rate(FrameRate::from_hz(30.0)).skip_frames(false);
    let mut encoder = Encoder::with_api_config(OpenH264API::from_source(), config).unwrap();
    let mut units = Vec::new();
    let mut parameters = None;
    for number in 0..frames {
        if number % 60 == 0 {
            encoder.force_intra_frame();
        }
        let mut yuv = vec![128u8; WIDTH * HEIGHT * 3 / 2];
        for (at, luma) in yuv[..WIDTH * HEIGHT].iter_mut().enumerate() {
            *luma = ((at % WIDTH + at / WIDTH + number as usize * 3) % 220 + 16) as u8;
        }
        let picture = YUVBuffer::from_vec(yuv, WIDTH, HEIGHT);
        let encoded =
            encoder.encode_at(&picture, Timestamp::from_millis(number * 1000 / 30)).unwrap().to_vec();
        let access_unit = access_unit_from_annexb(&encoded).unwrap();
        if let Some(sets) = &access_unit.parameter_sets {
            parameters.get_or_insert_with(|| codec_parameters(sets, 3_000).unwrap());
        }
        units.push(Unit {
            lane: Lane::Live,
            key: access_unit.key,
            number,
            pts_90k: number * 3_000,
            duration_90k: 3_000,
            capture_us: number * 33_333,
            payload: access_unit.payload,
        });
    }
    (units, Params { from_unit: 0, parameters: parameters.unwrap() })
}

/// A tone, encoded.
fn audio(packets: u64) -> (Vec<Unit>, Params) {
    let mut encoder = opus::Encoder::new(48_000, opus::Channels::Mono, opus::Application::Audio).unwrap();
    let packet = |number: u64| {
        let pcm: Vec<f32> = (0..960)
            .map(|at| ((number * 960 + at) as f32 * 1_000.0 * std::f32::consts::TAU / 48_000.0).sin() * 0.3)
            .collect();
        let payload = encoder.encode_vec_float(&pcm, 1_500).unwrap().into();
        Unit {
            lane: Lane::Live,
            key: true,
            number,
            pts_90k: number * 1_800,
            duration_90k: 1_800,
            capture_us: number * 20_000,
            payload,
        }
    };
    let units = (0..packets).map(packet).collect();
    (units, Params { from_unit: 0, parameters: CodecParameters::Opus { channels: 1, pre_skip_48k: 312 } })
}

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
