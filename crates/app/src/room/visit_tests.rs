//! A visit on a clock that is made up.
#![allow(clippy::unwrap_used)]

use protocol::room::{ChatMessage, Rights, Room, ViewerId};

use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn visit() -> Visit {
    let memory = Memory::none("studio".parse().unwrap());
    let mut visit = Visit::new(s(0), memory, true, Some("Ada".to_owned()), 7);
    assert_eq!(commands(&mut visit), [Command::Connect]);
    visit
}

fn commands(visit: &mut Visit) -> Vec<Command> {
    std::iter::from_fn(|| visit.poll_command()).collect()
}

fn message(number: u64) -> ChatMessage {
    let viewer = ViewerId::from_bytes([9; 16]);
    ChatMessage { number, viewer, alias: "Bob".into(), text: format!("{number}"), at_unix_ms: number }
}

fn joined(chat: Vec<ChatMessage>) -> RoomMessage {
    let room = Room { name: "studio".parse().unwrap(), sessions: Vec::new(), viewers: 3 };
    let rights = Rights { publish: true, administer: false };
    let viewer = ViewerId::from_bytes([1; 16]);
    RoomMessage::Joined { viewer, viewer_token: "who-it-is".to_owned(), rights, room, chat }
}

fn hear(visit: &mut Visit, at: Duration, message: &RoomMessage) {
    visit.socket(at, SocketEvent::Text(message.to_json()));
}

fn open_visit() -> Visit {
    let mut visit = visit();
    visit.socket(s(1), SocketEvent::Opened);
    hear(&mut visit, s(1), &joined(vec![message(1)]));
    commands(&mut visit);
    visit
}

fn refusal(code: ErrorCode) -> ErrorBody {
    ErrorBody::new(code, "because of this")
}

#[test]
fn it_joins_first_and_then_says_its_name() {
    let mut visit = visit();
    assert_eq!(visit.say("too early").unwrap_err().code, ProblemCode::NotNow);
    visit.socket(s(1), SocketEvent::Opened);
    let join = ViewerMessage::Join { viewer_token: None, alias: None, watches: Some(true) };
    assert_eq!(commands(&mut visit), [Command::Send(join)]);
    visit.rename(Some("Grace".to_owned()));
    assert_eq!(commands(&mut visit), [], "not before it is let in");
    hear(&mut visit, s(1), &joined(vec![message(1), message(2)]));
    let alias = ViewerMessage::Alias { alias: "Grace".to_owned() };
    assert_eq!(commands(&mut visit), [Command::Send(alias)]);
    let view = visit.view();
    assert_eq!((view.phase.clone(), view.viewers, view.chat.len()), (RoomPhase::Open, 3, 2));
    assert_eq!(visit.viewer_token().unwrap().expose(), "who-it-is");
    visit.say(" Hello ").unwrap();
    assert_eq!(commands(&mut visit), [Command::Send(ViewerMessage::Chat { text: "Hello".to_owned() })]);
    for bad in ["  ", &"x".repeat(MAX_CHAT_CHARS + 1)] {
        assert_eq!(visit.say(bad).unwrap_err().code, ProblemCode::BadSetting);
    }
    assert_eq!(commands(&mut visit), []);
}

#[test]
fn what_happens_in_the_room_is_told_and_the_chat_is_bounded() {
    let mut visit = open_visit();
    for number in 2..300 {
        hear(&mut visit, s(2), &RoomMessage::Chat(message(number)));
    }
    assert_eq!(visit.view().chat.len(), CHAT_HISTORY);
    assert_eq!(visit.view().chat.last().unwrap().number, 299);
    hear(&mut visit, s(2), &RoomMessage::ChatDeleted { number: 299 });
    assert_eq!(visit.view().chat.last().unwrap().number, 298);
    hear(&mut visit, s(2), &RoomMessage::Viewers { count: 8 });
    assert_eq!(visit.view().viewers, 8);
    hear(&mut visit, s(2), &RoomMessage::Refused(refusal(ErrorCode::RateLimited)));
    assert_eq!(visit.view().refusal.as_deref(), Some("Because of this."));
    hear(&mut visit, s(2), &RoomMessage::Chat(message(300)));
    assert_eq!(visit.view().refusal, None);
    visit.socket(s(2), SocketEvent::Text(r#"{"type":"what_a_newer_server_says"}"#.to_owned()));
    assert_eq!(visit.view().phase, RoomPhase::Open);
}

#[test]
fn who_comes_back_is_the_same_viewer_and_sees_what_was_known_meanwhile() {
    let mut visit = open_visit();
    visit.socket(s(2), SocketEvent::Closed(String::new()));
    let RoomPhase::Reconnecting { reason } = &visit.view().phase else { panic!("{:?}", visit.view()) };
    assert_eq!(reason, "The connection was lost.");
    assert_eq!(visit.view().chat.len(), 1);
    assert_eq!(visit.say("Hello?").unwrap_err().code, ProblemCode::NotNow);
    let due = visit.next_timeout().unwrap();
    assert!(due <= s(2) + BACKOFF_FIRST);
    visit.timeout(due);
    assert_eq!(commands(&mut visit), [Command::Connect]);
    visit.socket(due, SocketEvent::Opened);
    let viewer_token = Some("who-it-is".to_owned());
    let join = ViewerMessage::Join { viewer_token, alias: None, watches: Some(true) };
    assert_eq!(commands(&mut visit), [Command::Send(join)]);
    // The same in another visit to the same room.
    let mut next = Visit::new(due, visit.into_memory(), false, None, 7);
    assert_eq!((next.view().chat.len(), &next.view().phase), (1, &RoomPhase::Connecting));
    next.socket(due, SocketEvent::Opened);
    let viewer_token = Some("who-it-is".to_owned());
    let join = ViewerMessage::Join { viewer_token, alias: None, watches: Some(false) };
    assert_eq!(commands(&mut next), [Command::Connect, Command::Send(join)]);
}

#[test]
fn a_refusal_that_stays_ends_it_until_somebody_wants_it_again() {
    let by_http = |error| SocketEvent::ConnectFailed(ConnectFailure::Refused(error));
    let by_message = |error| SocketEvent::Text(RoomMessage::Error(error).to_json());
    for (code, expected) in [
        (ErrorCode::Unauthorized, Some(ProblemCode::Unauthorized)),
        (ErrorCode::RoomFull, Some(ProblemCode::ServerRefused)),
        (ErrorCode::Removed, Some(ProblemCode::ServerRefused)),
        (ErrorCode::RoomClosed, Some(ProblemCode::ServerRefused)),
        (ErrorCode::ShuttingDown, None),
        (ErrorCode::IdleTimeout, None),
    ] {
        for event in [by_http(refusal(code)), by_message(refusal(code))] {
            let mut visit = visit();
            visit.socket(s(1), event);
            let told = match &visit.view().phase {
                RoomPhase::Left { problem } => Some(problem.code),
                RoomPhase::Reconnecting { .. } => None,
                other => panic!("{code}: {other:?}"),
            };
            assert_eq!(told, expected, "{code}");
            assert_eq!(visit.next_timeout().is_some(), expected.is_none(), "{code}");
            commands(&mut visit);
            // The end of the socket behind the farewell changes nothing.
            let phase = visit.view().phase.clone();
            visit.socket(s(1), SocketEvent::Closed("bye".to_owned()));
            assert_eq!(visit.view().phase, phase);
            visit.again(s(2));
            assert_eq!(commands(&mut visit), [Command::Connect], "{code}");
            visit.again(s(2));
            assert_eq!(commands(&mut visit), [], "{code}: it is at it");
        }
    }
}

#[test]
fn a_server_that_says_nothing_is_asked_and_then_given_up() {
    let mut visit = visit();
    visit.socket(s(1), SocketEvent::Opened);
    commands(&mut visit);
    assert_eq!(visit.next_timeout(), Some(OPENING));
    visit.timeout(OPENING);
    assert_eq!(commands(&mut visit), [Command::Disconnect]);
    assert!(matches!(visit.view().phase, RoomPhase::Reconnecting { .. }));

    let mut visit = open_visit();
    let ping = s(1) + PING_INTERVAL;
    assert_eq!(visit.next_timeout(), Some(ping));
    visit.timeout(ping);
    assert_eq!(commands(&mut visit), [Command::Ping]);
    visit.socket(ping, SocketEvent::Heard);
    let (mut now, mut pings) = (ping, 0);
    while visit.view().phase == RoomPhase::Open {
        now = visit.next_timeout().unwrap();
        visit.timeout(now);
        pings += commands(&mut visit).iter().filter(|command| **command == Command::Ping).count();
    }
    assert_eq!((now, pings), (ping + DEAD_AFTER, 2));
}
