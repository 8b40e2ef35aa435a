use super::*;
use crate::protocol::frame::Reset;

/// A joined session that holds messages 1 to 3.
fn after_three() -> TestSession {
    let mut run = TestSession::online();
    for seq in 1..=3 {
        run.say(message(seq, "x"));
    }
    run.events.clear();
    run
}

#[test]
fn a_resume_names_what_is_held() {
    let mut run = after_three();
    run.lose();
    run.open();
    let join = run.join();
    assert_eq!(join.epoch, Some(welcome().epoch));
    let [position] = join.rooms.as_slice() else {
        panic!("{:?}", join.rooms);
    };
    assert_eq!(position.seq, 3);
    let ServerFrame::Entry(last) = message(3, "x") else {
        unreachable!()
    };
    assert_eq!(position.id, Some(last.id));
    assert_eq!(join.last, Some(1000), "if this is another log, all of it");
}

#[test]
fn delivery_goes_on_behind_it() {
    let mut run = after_three();
    run.lose();
    run.enter(Welcome {
        rooms: vec![lobby(1, 5, 4)],
        ..welcome()
    });
    run.say(message(4, "y"));
    run.told(&["online", "entered as carol", "#lobby from 4", "4 alice: y"]);
}

#[test]
fn held_messages_are_not_shown_again() {
    let mut run = after_three();
    run.lose();
    run.enter(Welcome {
        rooms: vec![lobby(1, 4, 2)],
        ..welcome()
    });
    run.events.clear();
    for seq in 2..=4 {
        run.say(message(seq, "y"));
    }
    run.told(&["4 alice: y"]);
}

#[test]
fn erased_messages_are_a_gap() {
    let mut run = after_three();
    run.lose();
    run.events.clear();
    run.enter(Welcome {
        rooms: vec![lobby(90, 99, 90)],
        ..welcome()
    });
    run.say(message(90, "y"));
    run.told(&[
        "online",
        "entered as carol",
        "#lobby from 90",
        "90 alice: y",
    ]);
    run.lose();
    run.open();
    assert_eq!(run.join().rooms[0].seq, 90);
}

#[test]
fn another_log_starts_anew() {
    for reset in [Reset::Epoch, Reset::Seq, Reset::Id] {
        let mut run = after_three();
        run.lose();
        run.events.clear();
        run.enter(Welcome {
            epoch: Epoch::from_bytes([6; 8]),
            rooms: vec![RoomStart {
                reset: Some(reset),
                ..lobby(1, 1, 1)
            }],
            ..welcome()
        });
        run.say(message(1, "new"));
        run.told(&[
            "online",
            "entered as carol",
            &format!("#lobby anew from 1 ({reset:?})"),
            "1 alice: new",
        ]);
    }
}

#[test]
fn another_log_is_noticed_even_if_the_server_does_not_say_so() {
    let mut run = after_three();
    run.lose();
    run.events.clear();
    run.enter(Welcome {
        epoch: Epoch::from_bytes([6; 8]),
        rooms: vec![lobby(1, 9, 4)],
        ..welcome()
    });
    run.told(&["online", "entered as carol", "#lobby anew from 4 (Epoch)"]);
}

#[test]
fn a_hole_or_a_repetition_in_a_connection_is_never_shown() {
    for wrong in [1, 3, 5, 6] {
        let mut run = after_three();
        run.say(message(wrong, "wrong"));
        assert!(!run.connected, "{wrong}");
        run.told(&[&format!(
            "waiting: The server broke the protocol: message {wrong} came where 4 was due"
        )]);
    }
}

#[test]
fn only_what_came_after_us_counts_as_received() {
    let mut run = TestSession::new();
    run.enter(Welcome {
        rooms: vec![lobby(1, 2, 1)],
        ..welcome()
    });
    run.say(message(1, "old"));
    run.say(message(2, "old"));
    run.say(message(3, "héllo"));
    run.lose();
    run.enter(Welcome {
        rooms: vec![lobby(1, 4, 4)],
        ..welcome()
    });
    run.say(message(4, "more"));
    run.command(Command::Leave);
    run.events.clear();
    run.say(bye(Departure::Disconnect, None));
    run.told(&["ended: sent 0/0, received 2/9, unsent 0"]);
}

#[test]
fn of_a_long_absence_the_latest_are_wanted_and_the_rest_is_a_gap() {
    let mut run = TestSession::online();
    run.session.config.most = Some(500);
    run.say(message(1, "a"));
    run.lose();
    let join = run.enter(Welcome {
        rooms: vec![lobby(1, 9_000, 8_501)],
        ..welcome()
    });
    assert_eq!(join.most, Some(500));
    run.told(&["online", "entered as carol", "#lobby from 8501"]);
}
