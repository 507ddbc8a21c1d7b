//! Queues that overflow and backlogs that build up.

use super::*;

#[test]
fn what_a_full_spool_gives_up_is_counted_told_and_named_in_the_finish() {
    let mut rig = Rig::with(Pace::of(Track::Audio), 1_000);
    rig.machine.params(rig.now, opus(0)).unwrap();
    rig.push(0..8);
    let status = rig.machine.status();
    assert_eq!((status.backlog.units, status.counters.lost_units), (5, 3));
    assert_eq!(rig.machine.lost(), ranges(&[(0, 2)]));
    rig.open();
    rig.welcome(&[]);
    rig.machine.finish(rig.now);
    let (units, control) = rig.written();
    assert_eq!(units, [3, 4, 5, 6, 7]);
    let [PublisherMessage::Event(event), PublisherMessage::Finish(finish)] = &control[..] else {
        panic!("{control:?}")
    };
    assert_eq!((event.kind, event.at_90k), (EventKind::UnitsLost, 0));
    assert!(event.detail.contains("3 units") && event.detail.contains("0–2"), "{}", event.detail);
    assert_eq!((finish.units, &finish.lost), (8, &ranges(&[(0, 2)])));
    let digest = finish.digest;
    rig.complete(8, 5, digest);
    assert_eq!(rig.machine.completion().unwrap().lost_units(), 3);
    assert_eq!(rig.machine.status().counters.lost_units, 3);
}

#[test]
fn a_unit_given_up_in_flight_is_not_lost_if_it_arrives() {
    let mut rig = Rig::welcomed_with(Pace::of(Track::Audio), 1_000);
    rig.push(0..5);
    assert_eq!(rig.units().len(), 5);
    rig.push(5..7);
    assert_eq!(rig.machine.status().counters.lost_units, 2);
    rig.ack(&[(0, 6)]);
    assert_eq!(rig.machine.status().counters.lost_units, 0);
    rig.machine.finish(rig.now);
    let (_, control) = rig.written();
    assert!(matches!(&control[..], [PublisherMessage::Finish(finish)] if finish.lost.is_empty()));
}

#[test]
fn losses_that_go_on_are_told_every_ten_seconds() {
    let mut rig = Rig::with_window(0, 1_000);
    let mut told = 0;
    for number in 0..1_500 {
        rig.now = ms(20 * number);
        rig.machine.push(rig.now, unit(number)).unwrap();
        rig.machine.socket(rig.now, SocketEvent::Heard);
        let (_, control) = rig.written();
        told += control.iter().filter(|message| matches!(message, PublisherMessage::Event(_))).count();
    }
    assert_eq!(told, 3);
}

#[test]
fn a_unit_beyond_the_limits_of_the_server_needs_a_person_and_is_kept() {
    let mut rig = Rig::new();
    rig.limits.unit_bytes = PAYLOAD_BYTES as u32 - 1;
    rig.push(0..2);
    rig.open();
    rig.welcome(&[]);
    assert_eq!(rig.messages(), []);
    assert_eq!(rig.commands(), [Command::Disconnect]);
    assert!(matches!(rig.phase(), Phase::NeedsYou(error) if error.code == ErrorCode::TooLarge));
    assert_eq!(rig.machine.status().backlog.units, 2);
}
