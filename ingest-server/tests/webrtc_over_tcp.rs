//! WebRTC for peers that have no UDP: ICE over TCP, at the port of HTTP and at one of its own, and what else comes to such a port.
#![allow(clippy::unwrap_used)]

mod harness;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use harness::encoded::audio;
use harness::webrtc::{endpoint, follows, publish, receives};
use harness::{TestServer, large_units, new_session, soon, units, units_of};
use protocol::Track;
use protocol::api::{SessionList, SessionStatus};
use testkit::webrtc::{News, Offer, Peer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The TCP candidates of an answer: address and port.
fn tcp_candidates(answer: &str) -> Vec<(String, u16)> {
    let lines =
        answer.lines().filter(|line| line.starts_with("a=candidate:") && line.contains(" tcptype passive"));
    let parsed = lines.map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!((words[2], words[7]), ("tcp", "host"), "{line}");
        (words[4].to_owned(), words[5].parse().unwrap())
    });
    parsed.collect()
}

/// Lives on until it breaks.
async fn ended(peer: &mut Peer) -> anyhow::Error {
    loop {
        if let Err(error) = peer.next().await {
            return error;
        }
    }
}

/// Waits until the server has closed a connection; gives what it said before.
async fn closed(mut stream: TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = soon(stream.read_to_end(&mut answer)).await;
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_without_udp_receives_every_unit_at_the_port_of_http_or_at_one_of_its_own() {
    for args in [&[][..], &["--webrtc-port", "0"]] {
        let server = TestServer::start(args).await;
        let session = new_session();
        let [mut video, mut audio] = publish(&server, session).await;
        let (pictures, sound) = (units(Track::Video, 60), units(Track::Audio, 20));
        video.units(&pictures[..30]).await;
        video.acked(30).await;
        let mut viewer = Peer::watch_over_tcp(&endpoint(&server), "studio").await.unwrap();
        let http_port: u16 = server.address().rsplit_once(':').unwrap().1.parse().unwrap();
        let candidates = tcp_candidates(&viewer.answer.body);
        assert_eq!(candidates.len(), 1, "{candidates:?}");
        assert_eq!(candidates[0].1 == http_port, args.is_empty(), "{candidates:?}");
        receives(&mut viewer, Track::Video, &pictures[..30]).await;
        follows(&mut viewer, (&mut video, &pictures[30..]), (&mut audio, &sound)).await;
        assert_eq!(viewer.delete(&endpoint(&server)).await.unwrap(), 200);
        while soon(viewer.next()).await.unwrap() != News::Closed {}
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_pictures_come_whole() {
    let server = TestServer::start(&[]).await;
    let [mut video, _audio] = publish(&server, new_session()).await;
    let pictures = large_units(6);
    video.units(&pictures[..1]).await;
    let mut viewer = Peer::watch_over_tcp(&endpoint(&server), "studio").await.unwrap();
    receives(&mut viewer, Track::Video, &pictures[..1]).await;
    for picture in pictures[1..].chunks(1) {
        video.units(picture).await;
        receives(&mut viewer, Track::Video, picture).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_without_udp_is_recorded_without_a_loss() {
    let server = TestServer::start(&[]).await;
    let mut publisher = Peer::publish_over_tcp(&endpoint(&server), "studio").await.unwrap();
    let (sound, _) = audio(100);
    for packet in &sound {
        publisher.send(Track::Audio, &packet.payload, 50_000 + packet.pts_90k).await.unwrap();
        publisher.news_until(Some(Instant::now() + Duration::from_millis(2))).await.unwrap();
    }
    let all_there = async {
        loop {
            let list = server.get("/api/sessions").await.json::<SessionList>();
            let session = list.sessions.into_iter().next();
            if let Some(session) =
                session.filter(|one| one.audio.as_ref().is_some_and(|audio| audio.units == 100))
            {
                return session.id;
            }
        }
    };
    let id = tokio::select! {
        id = soon(all_there) => id,
        error = ended(&mut publisher) => panic!("{error}"),
    };
    assert_eq!(publisher.delete(&endpoint(&server)).await.unwrap(), 200);
    let state = server.session_when(id, |state| state.status == SessionStatus::Completed).await;
    let audio = state.audio.unwrap();
    assert!(audio.gaps.is_empty() && audio.events.is_empty(), "{audio:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_whose_connection_is_cut_comes_back_by_another_one() {
    let server = TestServer::start(&[]).await;
    let [mut video, _audio] = publish(&server, new_session()).await;
    let pictures = units(Track::Video, 20);
    video.units(&pictures[..10]).await;
    let mut viewer = Peer::watch_over_tcp(&endpoint(&server), "studio").await.unwrap();
    receives(&mut viewer, Track::Video, &pictures[..10]).await;
    // Its next check tells the server where it is now.
    viewer.reconnect().await.unwrap();
    video.units(&pictures[10..]).await;
    receives(&mut viewer, Track::Video, &pictures[10..]).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_neither_http_nor_of_a_known_session_is_closed_and_disturbs_nobody() {
    let server = TestServer::start(&["--opening-s", "5"]).await;
    let [mut video, _audio] = publish(&server, new_session()).await;
    let pictures = units(Track::Video, 30);
    video.units(&pictures[..10]).await;
    let mut viewer = Peer::watch_over_tcp(&endpoint(&server), "studio").await.unwrap();
    receives(&mut viewer, Track::Video, &pictures[..10]).await;

    // A check for nobody: the user name is none that an answer gave.
    let mut check = vec![0, 1, 0, 16, 0x21, 0x12, 0xa4, 0x42];
    check.extend([7; 12]);
    check.extend([0, 6, 0, 11]);
    check.extend(b"nobody:here\0");
    let framed = |packet: &[u8]| [&(packet.len() as u16).to_be_bytes()[..], packet].concat();
    let all = [
        framed(&check),
        framed(&[0x80; 100]),
        framed(&[0x16; 1_400]),
        vec![5, 220, 0],
        vec![5; 10_000],
        vec![0; 10_000],
        vec![0],
        vec![],
    ];
    join_all(all.map(async |garbage| {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        let _ = stream.write_all(&garbage).await;
        assert_eq!(closed(stream).await, b"", "{:?}", &garbage[..garbage.len().min(8)]);
    }))
    .await;
    for garbage in [&b"\x06\x00\x00\r\n\r\n"[..], b"\xff\xff\r\n\r\n", b"\x80nonsense\r\n\r\n"] {
        let answer = server.raw(garbage).await;
        assert!([0, 400].contains(&answer.status), "HTTP answers as to any nonsense: {answer:?}");
    }
    // A request that comes in pieces, the first one of a single byte.
    let mut slow = TcpStream::connect(server.address()).await.unwrap();
    slow.set_nodelay(true).unwrap();
    for piece in [&b"G"[..], b"ET /health", b" HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"] {
        slow.write_all(piece).await.unwrap();
        // Time passes, and others are served.
        assert_eq!(server.get("/health").await.status, 200);
    }
    assert!(closed(slow).await.starts_with(b"HTTP/1.1 200"));

    video.units(&pictures[10..]).await;
    receives(&mut viewer, Track::Video, &pictures[10..]).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_its_own_speaks_no_http() {
    let server = TestServer::start(&["--webrtc-port", "0"]).await;
    let _publishers = publish(&server, new_session()).await;
    let answer = endpoint(&server).offer("/whep/studio", &Offer::over_tcp(true).unwrap().text).await.unwrap();
    let (address, port) = tcp_candidates(&answer.body).pop().unwrap();
    let mut stream = TcpStream::connect((address, port)).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert_eq!(closed(stream).await, b"");
    // And the one of HTTP takes no connection of ICE then; what begins like one is a request that makes no sense.
    assert_ne!(server.raw(b"\x00\x01\x00\r\n\r\n").await.status, 200);
    assert_eq!(server.get("/health").await.status, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_another_program_has_the_tcp_port_webrtc_goes_by_udp() {
    let proxy = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = proxy.local_addr().unwrap().port().to_string();
    let server = TestServer::start(&["--webrtc-port", &port]).await;
    let [mut video, _audio] = publish(&server, new_session()).await;
    let pictures = units(Track::Video, 10);
    video.units(&pictures).await;
    let mut viewer = Peer::watch(&endpoint(&server), "studio").await.unwrap();
    assert_eq!(tcp_candidates(&viewer.answer.body), []);
    receives(&mut viewer, Track::Video, &pictures).await;
    server.stop().await;
}

/// What this process has in memory, in bytes, on a system that tells it in this way.
fn resident_bytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<usize>().ok()? * 1024)
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_that_read_nothing_delay_nobody_and_fill_no_memory() {
    const STALLED: usize = 8;
    /// A group of pictures of these fits into what the server keeps for viewers.
    const UNIT_BYTES: usize = 100_000;
    let server = TestServer::start(&[]).await;
    let [mut video, _audio] = publish(&server, new_session()).await;
    let pictures = units_of(UNIT_BYTES, 121);
    video.units(&pictures[..1]).await;
    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        let mut viewer = Peer::watch_over_tcp(&endpoint(&server), "studio").await.unwrap();
        viewer.is_stalled = true;
        stalled.push(tokio::spawn(async move { ended(&mut viewer).await }));
    }
    video.acked(1).await;
    let mut viewer = Peer::watch_over_tcp(&endpoint(&server), "studio").await.unwrap();
    receives(&mut viewer, Track::Video, &pictures[..1]).await;
    let before = resident_bytes();
    for picture in pictures[1..].chunks(1) {
        video.units(picture).await;
        receives(&mut viewer, Track::Video, picture).await;
    }
    video.acked(121).await;
    // What is kept for all viewers together, some 16 MiB, is there in any case.
    if let (Some(before), Some(after)) = (before, resident_bytes()) {
        let (grown, owed) = (after.saturating_sub(before), STALLED * 120 * UNIT_BYTES);
        assert!(grown < owed / 3, "{grown} more bytes in memory, with {owed} not delivered");
    }
    server.stop().await;
    for viewer in stalled {
        viewer.abort();
    }
}
