use protocol::api::SessionStatus;
use protocol::room::ViewerMessage::{Alias, Chat};

use super::*;

const START: Duration = Duration::from_secs(1_000);

fn limits() -> RoomLimits {
    RoomLimits {
        named: BTreeSet::new(),
        only_named: false,
        rooms: 3,
        publishers: 2,
        viewers: 2,
        lasts: Duration::from_secs(3_600),
    }
}

fn rooms() -> RoomsState {
    RoomsState::new(START, limits(), [])
}

fn name(text: &str) -> RoomName {
    text.parse().unwrap()
}

fn viewer(number: u8) -> ViewerId {
    ViewerId::from_bytes([number; 16])
}

/// A viewer with a name joins; its socket has the viewer's number.
fn enter(state: &mut RoomsState, room: &str, number: u8) -> Result<Option<SocketId>, ErrorCode> {
    let socket = (SocketId(number.into()), true);
    let alias = format!("viewer {number}");
    let entered = state.enter(START, &name(room), &viewer(number), Some(&alias), socket);
    entered.map_err(|error| error.code)
}

fn say(state: &mut RoomsState, at: Duration, number: u8, text: &str) -> Result<ChatMessage, ErrorCode> {
    let message = Chat { text: text.to_owned() };
    match state.hear(at, 5, &name("studio"), &viewer(number), message) {
        Ok(Some(RoomMessage::Chat(message))) => Ok(message),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.code),
    }
}

fn session(number: u8, status: SessionStatus) -> RoomSession {
    RoomSession {
        id: SessionId::from_bytes([number; 16]),
        name: "Desk".to_owned(),
        status,
        started_unix_ms: 1,
        video: None,
        audio: None,
    }
}

#[test]
fn rooms_and_viewers_are_limited_and_who_is_in_may_open_more_pages() {
    let mut state = rooms();
    assert_eq!(enter(&mut state, "studio", 1), Ok(None));
    assert_eq!(enter(&mut state, "studio", 2), Ok(None));
    assert_eq!(enter(&mut state, "studio", 3), Err(ErrorCode::RoomFull));
    assert!(state.guest_comes(START, &name("studio")).is_err());
    for socket in 0..5u64 {
        let superseded =
            state.enter(START, &name("studio"), &viewer(1), None, (SocketId(100 + socket), true));
        // The first page of the viewer's was opened above.
        let expected = match socket {
            0..3 => None,
            3 => Some(SocketId(1)),
            _ => Some(SocketId(100)),
        };
        assert_eq!(superseded.unwrap(), expected, "page {socket}");
    }
    assert_eq!(state.room(&name("studio")).unwrap().viewers, 2, "pages are no viewers");
    assert_eq!(state.sockets(&name("studio")).count(), 5);
    state.leave(START, &name("studio"), &viewer(2), SocketId(2));
    assert_eq!(enter(&mut state, "studio", 3), Ok(None));
    assert_eq!(state.admit_session(START, &name("studio"), 1).map_err(|e| e.code), Ok(()));
    assert_eq!(state.admit_session(START, &name("studio"), 2).map_err(|e| e.code), Err(ErrorCode::RoomFull));
}

#[test]
fn the_room_that_was_empty_for_longest_makes_place_and_no_other() {
    let mut state = rooms();
    for room in ["a", "b", "c"] {
        assert_eq!(enter(&mut state, room, 1), Ok(None));
    }
    assert_eq!(enter(&mut state, "d", 1), Err(ErrorCode::TooManySessions));
    state.leave(START + Duration::from_secs(1), &name("b"), &viewer(1), SocketId(1));
    state.leave(START + Duration::from_secs(2), &name("a"), &viewer(1), SocketId(1));
    assert_eq!(enter(&mut state, "d", 1), Ok(None));
    assert_eq!(state.names().map(RoomName::as_str).collect::<Vec<_>>(), ["a", "c", "d"]);
    // A session that is there already is in a room, whatever the limit.
    state.ensure(START, &name("e"));
    assert!(state.room(&name("e")).is_some());
}

#[test]
fn rooms_vanish_when_they_are_empty_for_long_unless_they_were_made_beforehand() {
    let named = RoomLimits { named: [name("always")].into(), ..limits() };
    let mut state = RoomsState::new(START, named, [name("kept")]);
    assert_eq!(enter(&mut state, "studio", 1), Ok(None));
    let left = START + Duration::from_secs(10);
    let after = |seconds| left + Duration::from_secs(seconds);
    state.expire(after(9_999));
    assert!(state.room(&name("studio")).is_some(), "somebody is there");
    state.leave(left, &name("studio"), &viewer(1), SocketId(1));
    state.set_sessions(left, &name("studio"), vec![session(1, SessionStatus::Interrupted)]);
    state.expire(after(3_600));
    assert!(state.room(&name("studio")).is_some(), "a session is there");
    state.set_sessions(left, &name("studio"), vec![]);
    state.guest_comes(left, &name("studio")).unwrap();
    state.expire(after(3_600));
    assert!(state.room(&name("studio")).is_some(), "a guest is there");
    state.guest_leaves(left, &name("studio"));
    state.expire(after(3_599));
    assert!(state.room(&name("studio")).is_some());
    state.expire(after(3_600));
    assert_eq!(state.names().map(RoomName::as_str).collect::<Vec<_>>(), ["always", "kept"]);
    // What was made beforehand goes when it is closed; what the settings name is only emptied.
    assert!(state.close(after(0), &name("kept")) && state.close(after(0), &name("always")));
    assert!(!state.close(after(0), &name("kept")));
    assert_eq!(state.names().map(RoomName::as_str).collect::<Vec<_>>(), ["always"]);
}

#[test]
fn where_only_rooms_made_beforehand_are_wanted_no_other_comes() {
    let only = RoomLimits { named: [name("studio")].into(), only_named: true, ..limits() };
    let mut state = RoomsState::new(START, only, []);
    assert_eq!(enter(&mut state, "studio", 1), Ok(None));
    assert_eq!(enter(&mut state, "stage", 1), Err(ErrorCode::RoomClosed));
    assert!(state.admit_session(START, &name("stage"), 0).is_err());
    assert_eq!(state.keep(START, &name("stage")), Ok(true));
    assert_eq!(state.keep(START, &name("stage")), Ok(false));
    assert_eq!(enter(&mut state, "stage", 1), Ok(None));
}

#[test]
fn who_writes_has_a_name_and_does_not_write_too_often() {
    let mut state = rooms();
    let (studio, at) = (name("studio"), |ms| START + Duration::from_millis(ms));
    state.enter(START, &studio, &viewer(1), None, (SocketId(1), true)).unwrap();
    assert_eq!(say(&mut state, START, 1, "hello"), Err(ErrorCode::BadRequest));
    for bad in ["", "\u{202e}", &"a".repeat(41)] {
        let renamed = state.hear(START, 5, &studio, &viewer(1), Alias { alias: bad.to_owned() });
        assert_eq!(renamed.map_err(|error| error.code), Err(ErrorCode::BadRequest), "{bad:?}");
    }
    let renamed = state.hear(START, 5, &studio, &viewer(1), Alias { alias: " An\u{202e}na ".to_owned() });
    assert_eq!(renamed, Ok(None));
    let said = say(&mut state, START, 1, "<b>hello</b>\n").unwrap();
    let (number, alias, text) = (said.number, said.alias.as_str(), said.text.as_str());
    assert_eq!((number, alias, text), (1, "Anna", "<b>hello</b>"));
    assert_eq!(say(&mut state, START, 1, &"a".repeat(501)), Err(ErrorCode::BadRequest));
    for more in 2..5 {
        assert_eq!(say(&mut state, at(1), 1, "more").unwrap().number, more);
    }
    assert_eq!(say(&mut state, at(2), 1, "more"), Err(ErrorCode::RateLimited));
    // To leave and to come back does not help.
    state.leave(at(3), &studio, &viewer(1), SocketId(1));
    state.expire(at(4));
    state.enter(at(5), &studio, &viewer(1), Some("Anna"), (SocketId(2), true)).unwrap();
    assert_eq!(say(&mut state, at(9_999), 1, "more"), Err(ErrorCode::RateLimited));
    assert!(say(&mut state, at(10_000), 1, "more").is_ok());
    let stranger = state.hear(START, 5, &studio, &viewer(9), Chat { text: "hi".to_owned() });
    assert!(stranger.is_err());
}

#[test]
fn a_flood_by_many_is_bounded_and_so_is_what_is_remembered() {
    let many = RoomLimits { viewers: 200, ..limits() };
    let mut state = RoomsState::new(START, many, []);
    for number in 0..200 {
        enter(&mut state, "studio", number).unwrap();
    }
    let mut taken = 0;
    for round in 0..10 {
        for number in 0..200 {
            taken +=
                usize::from(say(&mut state, START + Duration::from_millis(round), number, "flood").is_ok());
        }
    }
    assert_eq!(taken, ROOM_WINDOW.0);
    for round in 1..10 {
        for number in 0..50 {
            let said = say(&mut state, START + Duration::from_secs(10 * round), number, "slowly");
            assert!(said.is_ok(), "{said:?}");
        }
    }
    let chat = state.chat(&name("studio"));
    assert_eq!((chat.len(), chat.last().unwrap().number), (CHAT_HISTORY, 500));
    // Deleted once, and gone for those who come later.
    assert_eq!(state.delete_chat(&name("studio"), 450), Some(RoomMessage::ChatDeleted { number: 450 }));
    assert_eq!(state.delete_chat(&name("studio"), 450), None);
    assert_eq!(state.delete_chat(&name("stage"), 451), None);
    assert_eq!(state.chat(&name("studio")).len(), CHAT_HISTORY - 1);
}

#[test]
fn a_room_is_told_what_changes_of_its_sessions_and_nothing_else() {
    use SessionStatus::{Active, Interrupted};
    let mut state = rooms();
    let studio = name("studio");
    state.ensure(START, &studio);
    let (one, two) = (session(1, Active), session(2, Active));
    let mut set = |sessions: Vec<RoomSession>| state.set_sessions(START, &studio, sessions);
    let told = |session: &RoomSession| RoomMessage::Session(session.clone());
    assert_eq!(set(vec![one.clone()]), [told(&one)]);
    assert_eq!(set(vec![one.clone(), two.clone()]), [told(&two)]);
    assert_eq!(set(vec![one.clone(), two.clone()]), []);
    let away = session(1, Interrupted);
    assert_eq!(set(vec![away.clone(), two.clone()]), [told(&away)]);
    assert_eq!(set(vec![two.clone()]), [RoomMessage::SessionEnded { id: one.id }]);
}

#[test]
fn the_count_is_told_at_most_twice_a_second_and_always_in_the_end() {
    let many = RoomLimits { viewers: 1_000, ..limits() };
    let mut state = RoomsState::new(START, many, []);
    let studio = name("studio");
    let mut told = Vec::new();
    for ms in 0..2_000u64 {
        let now = START + Duration::from_millis(ms);
        if ms < 1_200 {
            let id = ViewerId::from_bytes((ms as u128).to_be_bytes());
            let _ = state.enter(now, &studio, &id, None, (SocketId(ms), ms % 2 == 0));
        }
        if let Some(count) = state.due_count(now, &studio) {
            told.push((ms, count));
        }
    }
    // Every second one watches.
    assert_eq!(told, [(500, 251), (1_000, 500)]);
    assert_eq!(state.next_count(), None);
    state.leave(START, &studio, &ViewerId::from_bytes(0u128.to_be_bytes()), SocketId(0));
    assert_eq!(state.next_count(), Some(START + Duration::from_millis(1_500)));
    assert_eq!(state.due_count(START + Duration::from_millis(1_499), &studio), None);
    assert_eq!(state.due_count(START + Duration::from_millis(1_500), &studio), Some(499));
}
