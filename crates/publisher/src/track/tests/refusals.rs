//! Connections that fail, are refused, or fall silent.

use super::*;

#[test]
fn a_complete_that_does_not_answer_the_finish_is_not_believed() {
    for (finish, units, durable_units) in [(false, 3, 3), (true, 2, 2), (true, 3, 4)] {
        let mut rig = Rig::welcomed();
        rig.push(0..3);
        if finish {
            rig.machine.finish(rig.now);
        }
        let digest = match rig.written().1.pop() {
            Some(PublisherMessage::Finish(finish)) => finish.digest,
            _ => protocol::Hex([0; 32]),
        };
        rig.complete(units, durable_units, digest);
        assert_eq!(rig.machine.completion(), None);
        assert_eq!(rig.commands(), [Command::Disconnect]);
        assert_eq!(rig.machine.status().backlog.units, 3);
    }
}

#[test]
fn a_refusal_is_retried_exactly_if_it_can_heal_by_itself() {
    for code in ErrorCode::ALL {
        let error = ErrorBody::new(code, "no");
        let refusals = [
            SocketEvent::ConnectFailed(ConnectFailure::Refused(error.clone())),
            SocketEvent::Text(ServerMessage::Error(error).to_json()),
            SocketEvent::Closed { code: Some(code.close_code()), reason: "no".into() },
        ];
        for (index, refusal) in refusals.into_iter().enumerate() {
            let mut rig = Rig::new();
            rig.push(0..3);
            if index > 0 {
                rig.open();
            }
            rig.machine.socket(rig.now, refusal);
            assert_eq!(rig.commands().len(), usize::from(index == 1), "only an open socket is closed");
            if code.retryable() {
                assert!(matches!(rig.phase(), Phase::Offline { .. }), "{code}");
                assert!(rig.machine.next_timeout().unwrap() <= ms(5_000));
            } else {
                assert!(matches!(rig.phase(), Phase::NeedsYou(error) if error.code == code), "{code}");
                assert_eq!(rig.machine.next_timeout(), None, "{code}");
                // Units are kept, and a person can start again.
                assert_eq!(rig.machine.status().backlog.units, 3);
                rig.machine.reconnect(rig.now);
                assert_eq!(rig.commands(), [Command::Connect]);
            }
        }
    }
}

#[test]
fn a_server_that_speaks_another_version_is_not_tried_again_but_nonsense_is() {
    for (text, needs_you) in [
        (r#"{"type":"welcome","version":2}"#, true),
        (r#"{"type":"surprise"}"#, true),
        ("{", false),
        (r#"{"type":"ack"}"#, false),
        (r#"{"type":"ack","durable":[]}"#, false),
    ] {
        let mut rig = Rig::new();
        rig.open();
        rig.machine.socket(rig.now, SocketEvent::Text(text.into()));
        assert_eq!(rig.commands(), [Command::Disconnect], "{text}");
        assert_eq!(matches!(rig.phase(), Phase::NeedsYou(_)), needs_you, "{text}");
    }
    let mut rig = Rig::welcomed();
    rig.machine.socket(rig.now, SocketEvent::Binary);
    assert_eq!(rig.commands(), [Command::Disconnect]);
}

#[test]
fn units_that_were_never_made_cannot_be_durable() {
    let mut rig = Rig::welcomed();
    rig.push(0..2);
    rig.ack(&[(0, 2)]);
    assert_eq!(rig.commands(), [Command::Disconnect]);
    assert_eq!(rig.machine.status().backlog.units, 2);
    rig.wait();
    rig.commands();
    rig.open();
    rig.welcome(&[(0, 100)]);
    assert!(matches!(rig.phase(), Phase::NeedsYou(error) if error.code == ErrorCode::UnitOutOfRange));
}

#[test]
fn a_network_that_was_away_for_long_does_not_make_the_next_wait_longer() {
    let mut rig = Rig::new();
    rig.push(0..1);
    rig.commands();
    for attempt in 0..40 {
        if attempt % 2 == 0 {
            let failure = ConnectFailure::NoNetwork("the network is unreachable".into());
            rig.machine.socket(rig.now, SocketEvent::ConnectFailed(failure));
        } else {
            // Nothing answers until the attempt's time is over.
            rig.wait();
            assert_eq!(rig.commands(), [Command::Disconnect]);
        }
        let before = rig.now;
        rig.wait();
        assert!(rig.now - before <= ms(250), "attempt {attempt}");
        assert_eq!(rig.commands(), [Command::Connect]);
    }
    rig.open();
    rig.machine.socket(rig.now, SocketEvent::Closed { code: None, reason: String::new() });
    let before = rig.now;
    rig.wait();
    assert!(rig.now - before <= ms(250));
}

#[test]
fn a_path_of_seconds_has_its_time_for_opening_and_for_the_welcome() {
    let mut rig = Rig::new();
    rig.push(0..1);
    rig.now += ms(8_000);
    rig.open();
    rig.now += ms(4_000);
    rig.machine.timeout(rig.now);
    rig.welcome(&[]);
    assert_eq!(rig.written().0, [0]);
}

#[test]
fn a_late_hello_of_an_older_connection_costs_a_reconnect_and_no_more() {
    let mut rig = Rig::welcomed();
    let code = Some(ErrorCode::Superseded.close_code());
    rig.machine.socket(rig.now, SocketEvent::Closed { code, reason: String::new() });
    rig.wait();
    assert_eq!(rig.commands(), [Command::Connect]);
}

#[test]
fn waits_grow_to_five_seconds_and_start_anew_after_progress() {
    let mut rig = Rig::new();
    rig.push(0..1);
    let mut waits = Vec::new();
    for _ in 0..10 {
        let failure = ConnectFailure::Unreachable("nothing listens".into());
        rig.machine.socket(rig.now, SocketEvent::ConnectFailed(failure));
        let before = rig.now;
        rig.wait();
        waits.push(rig.now - before);
        assert_eq!(rig.commands(), [Command::Connect]);
    }
    assert!(waits[0] <= ms(250) && waits[9] > ms(2_400) && waits.iter().all(|wait| *wait <= ms(5_000)));
    assert!(
        matches!(rig.phase(), Phase::Offline { since, reason } if since == ms(0) && reason == "nothing listens")
    );
    // A welcome alone proves little: a server may die at the first unit.
    for (durable, longest) in [(false, ms(5_000)), (true, ms(250))] {
        rig.open();
        rig.welcome(&[]);
        rig.messages();
        if durable {
            rig.ack(&[(0, 0)]);
        }
        let before = rig.now;
        rig.cut();
        let wait = rig.now - before;
        assert!(wait <= longest && (durable || wait > ms(2_000)), "{wait:?}");
    }
}

#[test]
fn a_silent_connection_is_pinged_and_given_up() {
    let mut rig = Rig::welcomed();
    rig.wait();
    assert_eq!((rig.now, rig.messages()), (ms(1_000), vec![Message::Ping(1)]));
    rig.now = ms(1_040);
    rig.machine.socket(rig.now, SocketEvent::Pong(1));
    assert_eq!(rig.machine.status().counters.round_trip, Some(ms(40)));
    let mut pings = 0;
    while rig.commands().is_empty() {
        pings += rig.messages().len();
        rig.wait();
    }
    assert_eq!((rig.now, pings), (ms(6_040), 5));
    assert!(matches!(rig.phase(), Phase::Offline { since, .. } if since == ms(6_040)));
}

#[test]
fn pings_keep_within_the_idle_time_of_the_server() {
    let mut rig = Rig::new();
    rig.limits.idle_ms = 1_500;
    rig.open();
    rig.welcome(&[]);
    rig.wait();
    assert_eq!((rig.now, rig.messages()), (ms(500), vec![Message::Ping(1)]));
}

#[test]
fn a_server_that_does_not_answer_or_does_not_welcome_is_given_up() {
    for opens in [false, true] {
        let mut rig = Rig::new();
        if opens {
            rig.now = ms(1_000);
            rig.open();
        }
        while rig.commands().is_empty() {
            rig.messages();
            rig.wait();
        }
        assert_eq!(rig.now, if opens { ms(11_000) } else { ms(10_000) });
    }
}

#[test]
fn timeouts_lie_ahead_while_the_socket_takes_no_message() {
    let mut rig = Rig::with_hold(ms(50));
    rig.push(0..1);
    for _ in 0..20 {
        let due = rig.machine.next_timeout().unwrap();
        assert!(due > rig.now || rig.now == ms(0));
        rig.wait();
        rig.machine.socket(rig.now, SocketEvent::Heard);
    }
}

#[test]
fn events_of_a_socket_that_is_given_up_change_nothing() {
    let mut rig = Rig::welcomed();
    rig.machine.socket(rig.now, SocketEvent::Closed { code: Some(4401), reason: String::new() });
    let refused = rig.phase();
    for event in
        [SocketEvent::Opened, SocketEvent::Pong(0), SocketEvent::Binary, SocketEvent::Text("{}".into())]
    {
        rig.machine.socket(rig.now, event);
        assert_eq!((rig.phase(), rig.commands()), (refused.clone(), vec![]));
    }
}
