//! A peer that asks for a recording and then reads nothing does not hold its place for ever.
#![allow(clippy::unwrap_used)]

mod harness;

use harness::{TestServer, hello, large_units, new_session, soon};
use protocol::{Track, UnitRanges};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// 24 MB: more than the system's buffers of both ends hold.
const UNITS: usize = 120;

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stalls_loses_its_connection_and_others_get_the_place() {
    let server = TestServer::start(&[]).await;
    let hello = hello(new_session(), Track::Video);
    let (mut publisher, _) = server.publish(&hello).await;
    publisher.units(&large_units(UNITS)).await;
    assert_eq!(publisher.finish(UNITS as u64, UnitRanges::new()).await, (UNITS as u64, UNITS as u64));
    publisher.leave().await;
    let folder = server.stop().await;

    let server = TestServer::start_in(folder, &["--max-connections", "1", "--idle-s", "1"]).await;
    let mut stalled = TcpStream::connect(server.address()).await.unwrap();
    let request = format!(
        "GET /api/sessions/{}/recording.mp4 HTTP/1.1\r\nhost: {}\r\n\r\n",
        hello.session,
        server.address()
    );
    stalled.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 15];
    soon(stalled.read_exact(&mut head)).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");

    // Only when the stalled reader's place is free does anybody else get an answer.
    soon(async { while server.get("/health").await.status != 200 {} }).await;
    let mut rest = Vec::new();
    // An end and a reset are equally good.
    soon(stalled.read_to_end(&mut rest)).await.ok();
    assert!(rest.len() < UNITS * 200_000, "the whole recording came: {}", rest.len());
    server.stop().await;
}
