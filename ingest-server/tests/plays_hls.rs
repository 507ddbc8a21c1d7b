//! Sessions as HLS: while they run, with gaps, and after their end.
#![allow(clippy::unwrap_used)]

mod harness;

use harness::encoded::{audio, video};
use harness::{Answer, TestServer, hello, hello_with, new_session, soon, units};
use protocol::control::PublisherMessage;
use protocol::error::ErrorCode;
use protocol::unit::{Lane, Unit};
use protocol::{SessionId, Track, UnitRanges};

impl Text for Answer {
    fn text(&self) -> &str {
        assert_eq!(self.status, 200, "{self:?}");
        std::str::from_utf8(&self.body).unwrap()
    }
}

trait Text {
    fn text(&self) -> &str;
}

/// The addresses in a playlist that are no tags, and what a tag says.
fn addresses(playlist: &str) -> Vec<&str> {
    playlist.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect()
}

fn tags<'a>(playlist: &'a str, tag: &str) -> Vec<&'a str> {
    playlist.lines().filter_map(|line| line.strip_prefix(tag)).collect()
}

fn quoted<'a>(attributes: &'a str, name: &str) -> &'a str {
    attributes.split_once(&format!("{name}=\"")).unwrap().1.split('"').next().unwrap()
}

fn base(session: SessionId, track: Track) -> String {
    format!("/hls/{session}/{track}")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_session_plays_whole_from_its_segments() {
    let server = TestServer::start(&[]).await;
    let session = new_session();
    let (video, video_params) = video(300);
    let (audio, audio_params) = audio(500);
    for (track, units, params) in [(Track::Video, &video, video_params), (Track::Audio, &audio, audio_params)]
    {
        let (mut socket, _) = server.publish(&hello_with(session, track, vec![params], [1; 16])).await;
        socket.units(units).await;
        let count = units.len() as u64;
        assert_eq!(socket.finish(count, UnitRanges::new()).await, (count, count));
    }
    let main = server.get(&format!("/hls/{session}/index.m3u8")).await;
    assert_eq!(main.header("content-type"), Some("application/vnd.apple.mpegurl"));
    assert!(main.text().contains("RESOLUTION=320x180,FRAME-RATE=30.000"), "{}", main.text());
    assert_eq!(addresses(main.text()), ["video/index.m3u8"]);

    for (track, count) in [(Track::Video, 300), (Track::Audio, 500)] {
        let base = base(session, track);
        let playlist = soon(async {
            loop {
                // The session ends for everybody when its caretaker has looked.
                let playlist = server.get(&format!("{base}/index.m3u8")).await;
                if playlist.text().contains("#EXT-X-ENDLIST") {
                    return playlist;
                }
            }
        })
        .await;
        let text = playlist.text();
        let map = quoted(tags(text, "#EXT-X-MAP:")[0], "URI");
        let init = server.get(&format!("{base}/{map}")).await;
        assert_eq!(init.status, 200);
        let mut file = init.body;
        let mut length = 0.0;
        for (address, duration) in addresses(text).iter().zip(tags(text, "#EXTINF:")) {
            let segment = server.get(&format!("{base}/{address}")).await;
            assert_eq!(segment.status, 200);
            assert_eq!(segment.header("content-length").unwrap(), segment.body.len().to_string());
            assert_eq!(segment.header("cache-control"), Some("public, max-age=31536000, immutable"));
            file.extend(segment.body);
            length += duration.trim_end_matches(',').parse::<f64>().unwrap();
        }
        assert!((length - 10.0).abs() < 0.001, "{length} s");
        let path = server.folder.path().join(format!("{track}.mp4"));
        std::fs::write(&path, file).unwrap();
        testkit::ffmpeg::decode_silently(&path).unwrap();
        assert_eq!(testkit::ffmpeg::packets(&path).unwrap().len(), count);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_waits_for_the_next_part_and_gets_it_when_it_is_durable() {
    let server = TestServer::start(&["--part-ms", "100"]).await;
    let session = new_session();
    let base = base(session, Track::Video);
    let (mut socket, _) = server.publish(&hello(session, Track::Video)).await;
    let all = units(Track::Video, 30);
    let (first, second) = all.split_at(15);
    socket.units(first).await;
    socket.acked(15).await;
    let before = server.get(&format!("{base}/index.m3u8")).await;
    let hint = quoted(tags(before.text(), "#EXT-X-PRELOAD-HINT:")[0], "URI").to_owned();
    assert_eq!(hint, "part/15.m4s");
    let parts = tags(before.text(), "#EXT-X-PART:").len();
    assert!(tags(before.text(), "#EXT-X-PART:")[0].ends_with(",INDEPENDENT=YES"), "{}", before.text());
    assert!(addresses(before.text()).is_empty(), "the segment that grows is not listed: {}", before.text());

    let wanted = format!("{base}/index.m3u8?_HLS_msn=0&_HLS_part={parts}");
    let (address, next_part) = (server.address(), format!("{base}/{hint}"));
    let asks = async {
        let (playlist, part) = tokio::join!(server.get(&wanted), server.get(&next_part));
        assert!(tags(playlist.text(), "#EXT-X-PART:").len() > parts, "{}", playlist.text());
        assert_eq!(playlist.header("cache-control"), Some("public, max-age=48"), "{address}");
        assert_eq!(part.status, 200);
        assert!(part.body.windows(4).any(|four| four == b"moof"));
        part
    };
    let sends = async {
        socket.units(second).await;
        socket.acked(30).await;
    };
    let (part, ()) = tokio::join!(asks, sends);
    let again = server.get(&next_part).await;
    assert!(again.body == part.body);
    // What lies behind is not waited for, and what is far ahead is refused.
    assert_eq!(server.get(&format!("{base}/part/1.m4s")).await.code(), ErrorCode::NotFound);
    assert_eq!(server.get(&format!("{base}/index.m3u8?_HLS_msn=9")).await.code(), ErrorCode::BadRequest);
    // Who waits for more of a session that ends is told of the end.
    let more = format!("{base}/index.m3u8?_HLS_msn=1&_HLS_part=0");
    let (ended, _) = tokio::join!(server.get(&more), socket.finish(30, UnitRanges::new()));
    assert!(ended.text().contains("#EXT-X-ENDLIST"), "{}", ended.text());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_listed_and_heals_and_no_number_moves() {
    let server = TestServer::start(&["--part-ms", "100"]).await;
    let session = new_session();
    let base = base(session, Track::Video);
    let (mut socket, _) = server.publish(&hello(session, Track::Video)).await;
    let all = units(Track::Video, 900);
    let first_key = all[400..].iter().position(|unit| unit.key).unwrap() + 400;
    socket.units(&all[..60]).await;
    socket.units(&all[first_key..]).await;
    socket.acked(60 + 900 - first_key as u64).await;
    let before = server.get(&format!("{base}/index.m3u8")).await;
    assert_eq!(tags(before.text(), "#EXT-X-MEDIA-SEQUENCE:"), ["0"]);
    let gaps = before.text().matches("#EXT-X-GAP").count();
    assert!(gaps >= 2, "{}", before.text());
    let gap = before.text().split_once("#EXT-X-GAP").unwrap().1.lines().nth(2).unwrap().to_owned();
    assert_eq!(server.get(&format!("{base}/{gap}")).await.code(), ErrorCode::NotFound);

    let late = all[60..first_key].iter().map(|unit| Unit { lane: Lane::Backfill, ..unit.clone() });
    socket.units(&late.collect::<Vec<_>>()).await;
    socket.acked(900).await;
    let after = server.get(&format!("{base}/index.m3u8")).await;
    assert!(!after.text().contains("#EXT-X-GAP"), "{}", after.text());
    let number = |address: &str| address.trim_start_matches("segment/").split('-').next().unwrap().to_owned();
    let numbers = |text: &str| addresses(text).iter().map(|address| number(address)).collect::<Vec<_>>();
    assert_eq!(numbers(before.text()), numbers(after.text()), "segments stay where they are");
    let units_of = |address: &str| -> u64 {
        address.trim_end_matches(".m4s").rsplit('-').next().unwrap().parse().unwrap()
    };
    let listed: u64 = addresses(after.text()).iter().map(|address| units_of(address)).sum();
    assert!((780..=900).contains(&listed), "{listed} units in whole segments");
    // A playlist from before the gap healed has an old name; it plays, and caches must ask again.
    let old = addresses(before.text())[0];
    assert_ne!(old, addresses(after.text())[0]);
    let segment = server.get(&format!("{base}/{old}")).await;
    assert_eq!((segment.status, segment.header("cache-control")), (200, Some("no-store")));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_and_tokens_are_passed_on() {
    let server = TestServer::start(&["--streaming-access-token", "let-me-in", "--listen", "127.0.0.1"]).await;
    let session = new_session();
    let url = format!("ws://{}{}?token=let-me-in", server.address(), Track::Audio.socket_path());
    let stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let (socket, _) = soon(tokio_tungstenite::client_async(url, stream)).await.unwrap();
    let mut socket = harness::Publisher::over(socket);
    socket.say(&PublisherMessage::Hello(hello(session, Track::Audio))).await;
    socket.welcome().await;
    socket.units(&units(Track::Audio, 50)).await;
    socket.acked(50).await;

    let main = server.get(&format!("/hls/{session}/index.m3u8?token=let-me-in")).await;
    assert_eq!(addresses(main.text()), ["audio/index.m3u8?token=let-me-in"]);
    let playlist = server.get(&format!("/hls/{session}/audio/index.m3u8?token=let-me-in")).await;
    let part = quoted(tags(playlist.text(), "#EXT-X-PART:")[0], "URI");
    assert_eq!(part, "part/0.m4s?token=let-me-in");
    let part = server.get(&format!("/hls/{session}/audio/{part}")).await;
    assert_eq!(part.header("cache-control"), Some("private, max-age=31536000, immutable"));

    let header = ("authorization", "Bearer let-me-in");
    let other = new_session();
    for (path, expected) in [
        (format!("/hls/{session}/video/index.m3u8"), ErrorCode::NotFound),
        (format!("/hls/{other}/index.m3u8"), ErrorCode::NotFound),
        (format!("/hls/{other}/audio/index.m3u8"), ErrorCode::NotFound),
        ("/hls/..%2f..%2fetc/index.m3u8".to_owned(), ErrorCode::BadRequest),
        (format!("/hls/{session}/..%2fvideo/index.m3u8"), ErrorCode::NotFound),
        (format!("/hls/{session}/audio/part/..%2f..%2fx.m4s"), ErrorCode::NotFound),
        (format!("/hls/{session}/audio/segment/..%2f0-0-1.m4s"), ErrorCode::NotFound),
        (format!("/hls/{session}/audio/segment/999-0-1.m4s"), ErrorCode::NotFound),
        (format!("/hls/{session}/audio/segment/18446744073709551615-0-1.m4s"), ErrorCode::NotFound),
        (format!("/hls/{session}/audio/init/1.mp4"), ErrorCode::NotFound),
        (format!("/hls/{session}/audio/init/x.mp4"), ErrorCode::NotFound),
        (format!("/hls/{session}/audio/index.m3u8?_HLS_msn=-1"), ErrorCode::BadRequest),
        (format!("/hls/{session}/audio/index.m3u8?_HLS_msn=18446744073709551615"), ErrorCode::BadRequest),
        (format!("/hls/{session}/audio/index.m3u8?_HLS_part=1"), ErrorCode::BadRequest),
        (format!("/hls/{session}/audio/nothing"), ErrorCode::NotFound),
    ] {
        let answer = server.request("GET", &path, &[header]).await;
        assert_eq!(answer.code(), expected, "{path}");
    }
    for path in ["index.m3u8", "audio/index.m3u8", "audio/part/0.m4s", "audio/init/0.mp4"] {
        let answer = server.get(&format!("/hls/{session}/{path}")).await;
        assert_eq!((answer.status, answer.code()), (401, ErrorCode::Unauthorized), "{path}");
    }
    server.stop().await;
}
