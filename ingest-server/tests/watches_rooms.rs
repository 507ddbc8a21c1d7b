//! Viewers join a room, see who publishes, count, and talk to each other; and none of them can spoil it for the others.
#![allow(clippy::unwrap_used)]

mod harness;

use futures_util::{SinkExt as _, StreamExt as _};
use harness::viewer::{join, next};
use harness::{TestServer, hello, new_session, soon, units};
use protocol::api::SessionStatus;
use protocol::control::{PublisherMessage, ServerMessage};
use protocol::error::ErrorCode;
use protocol::room::{RoomList, RoomMessage, ViewerMessage};
use protocol::{Track, UnitRanges};
use tokio_tungstenite::tungstenite::Message;

#[tokio::test(flavor = "multi_thread")]
async fn viewers_see_who_publishes_and_publishers_how_many_watch() {
    let server = TestServer::start(&[]).await;
    let mut anna = server.watch("studio", "", join(Some("Anna"), None)).await;
    assert_eq!((anna.room.sessions.len(), anna.room.viewers), (0, 1));
    assert!(anna.rights.publish && anna.rights.administer, "a server without a token allows everything");

    let hello = hello(new_session(), Track::Audio);
    let (mut publisher, _) = server.publish(&hello).await;
    let session = anna
        .until(|message| match message {
            RoomMessage::Session(session) => Some(session.clone()),
            _ => None,
        })
        .await;
    assert_eq!((session.id, session.status), (hello.session, SessionStatus::Active));
    assert!(session.video.is_none() && session.audio.unwrap().connected);
    assert_eq!(publisher.next().await, ServerMessage::Viewers { count: 1 });

    // Somebody who is here already does not count twice, and who only follows the chat not at all.
    let mut again = server.watch("studio", "", join(None, Some(&anna.token))).await;
    assert_eq!((&again.id, again.room.viewers), (&anna.id, 1));
    let quiet = ViewerMessage::Join { viewer_token: None, alias: None, watches: Some(false) };
    let quiet = server.watch("studio", "", quiet).await;
    assert_eq!((quiet.room.sessions.len(), quiet.room.viewers), (1, 1));
    let ben = server.watch("studio", "", join(None, None)).await;
    assert_ne!(ben.id, anna.id);
    anna.count(2).await;
    again.count(2).await;
    assert_eq!(publisher.next().await, ServerMessage::Viewers { count: 2 });
    let listed: RoomList = server.get("/api/rooms").await.json();
    assert_eq!((listed.rooms.len(), listed.rooms[0].viewers), (1, 2));
    drop(ben);
    anna.count(1).await;
    assert_eq!(publisher.next().await, ServerMessage::Viewers { count: 1 });

    // The publisher goes away, comes back, and finishes.
    let status = |wanted| {
        move |message: &RoomMessage| match message {
            RoomMessage::Session(session) if session.status == wanted => Some(()),
            _ => None,
        }
    };
    publisher.leave().await;
    anna.until(status(SessionStatus::Interrupted)).await;
    let (mut publisher, _) = server.publish(&hello).await;
    anna.until(status(SessionStatus::Active)).await;
    assert_eq!(publisher.next().await, ServerMessage::Viewers { count: 1 });
    publisher.units(&units(Track::Audio, 5)).await;
    publisher.finish(5, UnitRanges::new()).await;
    let id = anna
        .until(|message| match message {
            RoomMessage::SessionEnded { id } => Some(*id),
            _ => None,
        })
        .await;
    assert_eq!(id, hello.session);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_talk_and_who_comes_later_reads_it() {
    let server = TestServer::start(&[]).await;
    let mut anna = server.watch("studio", "", join(Some("Anna"), None)).await;
    let mut ben = server.watch("studio", "", join(None, None)).await;
    let mut elsewhere = server.watch("stage", "", join(Some("Eve"), None)).await;
    ben.chat("hello").await;
    assert_eq!(ben.refused().await.code, ErrorCode::BadRequest, "without a name");
    ben.say(&ViewerMessage::Alias { alias: "Ben".to_owned() }).await;
    let hostile = "<img src=x onerror=alert(1)> \u{202e}gpj.exe";
    anna.chat(hostile).await;
    for viewer in [&mut anna, &mut ben] {
        let said = viewer.next_chat().await;
        assert_eq!((said.alias.as_str(), said.number), ("Anna", 1));
        assert_eq!(
            said.text, "<img src=x onerror=alert(1)> gpj.exe",
            "as text, and without what turns it round"
        );
    }
    ben.chat("hi Anna").await;
    assert_eq!(anna.next_chat().await.alias, "Ben");
    // Five in ten seconds, the name included.
    for _ in 0..4 {
        ben.chat("more").await;
    }
    assert_eq!(ben.refused().await.code, ErrorCode::RateLimited);
    elsewhere.chat("nobody from the studio hears me").await;
    assert_eq!(elsewhere.next_chat().await.number, 1);
    let late = server.watch("studio", "", join(None, None)).await;
    let texts: Vec<&str> = late.chat.iter().map(|message| message.text.as_str()).collect();
    assert_eq!(texts, ["<img src=x onerror=alert(1)> gpj.exe", "hi Anna", "more", "more", "more"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_is_refused_and_too_much_of_it_ends_the_connection() {
    let server = TestServer::start(&[]).await;
    let large = format!(r#"{{"type":"chat","text":"{}"}}"#, "a".repeat(9_000));
    for (first, code) in [
        (Message::text(r#"{"type":"chat","text":"before join"}"#), ErrorCode::InvalidMessage),
        (Message::text("not JSON"), ErrorCode::InvalidMessage),
        (Message::text(r#"{"type":"dance"}"#), ErrorCode::UnknownMessage),
        (Message::text(r#"{"type":"join","alias":"\u202e"}"#), ErrorCode::BadRequest),
        (Message::binary(vec![0; 10]), ErrorCode::InvalidMessage),
        (Message::text(large), ErrorCode::TooLarge),
    ] {
        let mut socket = server.room_socket("studio", "").await;
        socket.send(first.clone()).await.unwrap();
        match next(&mut socket).await {
            RoomMessage::Error(error) => assert_eq!(error.code, code, "{first:?}"),
            other => panic!("{first:?}: {other:?}"),
        }
    }
    let mut viewer = server.watch("studio", "", join(Some("Mallory"), None)).await;
    for _ in 0..21 {
        viewer.say(&join(None, None)).await;
    }
    for _ in 0..20 {
        assert_eq!(viewer.refused().await.code, ErrorCode::InvalidMessage);
    }
    assert_eq!(viewer.end().await.0.code, ErrorCode::RateLimited);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_never_reads_is_dropped() {
    let server = TestServer::start(&["--idle-s", "1"]).await;
    let mut deaf = server.room_socket("studio", "").await;
    deaf.send(Message::text(join(Some("Deaf"), None).to_json())).await.unwrap();
    server.viewers_when("studio", "", 1).await;
    // It answers no ping, since it reads none.
    server.viewers_when("studio", "", 0).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_sockets_that_come_and_go_leave_nothing_behind() {
    let server = TestServer::start(&["--max-room-viewers", "200"]).await;
    let mut watching = server.watch("studio", "", join(Some("Anna"), None)).await;
    for round in 0..10 {
        let mut sockets = Vec::new();
        for number in 0..100 {
            let mut socket = server.room_socket("studio", "").await;
            // Some never say who they are, some never read, some leave in the middle.
            if number % 4 != 0 {
                socket.send(Message::text(join(None, None).to_json())).await.unwrap();
            }
            if number % 4 == 1 {
                assert!(matches!(next(&mut socket).await, RoomMessage::Joined { .. }), "round {round}");
            }
            sockets.push(socket);
        }
    }
    server.viewers_when("studio", "", 1).await;
    watching.chat("still here").await;
    assert_eq!(watching.next_chat().await.text, "still here");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_publishers_and_viewers_are_limited() {
    let limits = ["--max-rooms", "1", "--max-room-viewers", "1", "--max-room-publishers", "1"];
    let server = TestServer::start(&limits).await;
    let viewer = server.watch("studio", "", join(None, None)).await;
    assert_eq!(server.refused_viewer("studio", "", join(None, None)).await.code, ErrorCode::RoomFull);
    assert_eq!(server.refused_viewer("stage", "", join(None, None)).await.code, ErrorCode::TooManySessions);
    let first = hello(new_session(), Track::Audio);
    let (publisher, _) = server.publish(&first).await;
    let mut second = server.connect(Track::Audio).await;
    second.say(&PublisherMessage::Hello(hello(new_session(), Track::Audio))).await;
    assert_eq!(second.error().await.0.code, ErrorCode::RoomFull);
    // The other track of the same session is no second publisher.
    server.publish(&hello(first.session, Track::Video)).await;
    drop((viewer, publisher));
    server.stop().await;

    let server = TestServer::start(&["--rooms", "studio,stage", "--only-these-rooms"]).await;
    server.watch("studio", "", join(None, None)).await;
    assert_eq!(server.refused_viewer("attic", "", join(None, None)).await.code, ErrorCode::RoomClosed);
    let mut publisher = server.connect(Track::Audio).await;
    let mut elsewhere = hello(new_session(), Track::Audio);
    elsewhere.room = "attic".parse().unwrap();
    publisher.say(&PublisherMessage::Hello(elsewhere)).await;
    assert_eq!(publisher.error().await.0.code, ErrorCode::RoomClosed);
    let listed: RoomList = server.get("/api/rooms").await.json();
    assert_eq!(listed.rooms.iter().map(|room| room.name.as_str()).collect::<Vec<_>>(), ["stage", "studio"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn room_names_are_no_paths() {
    let server = TestServer::start(&[]).await;
    for trick in ["..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "a%00b", "%ff", "-x", "a%20b", &"r".repeat(65)] {
        for method in ["GET", "PUT", "DELETE"] {
            let answer = server.request(method, &format!("/api/rooms/{trick}"), &[]).await;
            assert!([400, 404].contains(&answer.status), "{method} {trick}: {answer:?}");
        }
        let (status, _) = server.refused_handshake(&format!("/ws/rooms/{trick}"), &[]).await;
        assert!([400, 404].contains(&status), "{trick}: {status}");
    }
    let listed: RoomList = server.get("/api/rooms").await.json();
    assert_eq!(listed.rooms, []);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_tells_its_viewers() {
    let server = TestServer::start(&[]).await;
    let mut viewer = server.watch("studio", "", join(None, None)).await;
    let stopped = tokio::spawn(server.stop());
    assert_eq!(viewer.end().await.0.code, ErrorCode::ShuttingDown);
    assert!(soon(viewer.socket.next()).await.is_none_or(|end| end.is_err()));
    soon(stopped).await.unwrap();
}
