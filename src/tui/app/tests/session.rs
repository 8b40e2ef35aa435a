//! Tests of the session's events.

use super::*;
use crate::{
    client::event::{Page, Restored, RestoredRoom},
    protocol::{Entry, Extent, ReadMarker, ReadState, RoomInfo, RoomName, frame::RoomStart},
    tui::app::Start,
};

#[test]
fn the_unread_line_stands_above_what_was_not_seen() {
    let mut desk = Desk::full();
    desk.msg(Msg::Focus(false)).message(101, "bob", "first");
    desk.message(102, "bob", "second");
    assert_eq!(desk.model.pane().unread(), 2);
    desk.msg(Msg::Focus(true)).message(103, "bob", "seen");
    desk.msg(Msg::Focus(false)).msg(Msg::Focus(true));
    assert_eq!(desk.model.pane().unread(), 0, "gone once it was looked at");
    desk.key(PAGE_UP).message(104, "bob", "below");
    assert_eq!(
        desk.model.pane().unread(),
        1,
        "scrolled back is not looking"
    );
}

#[test]
fn returning_to_the_end_leads_to_the_unread_once() {
    let above = |desk: &Desk| {
        let layout = desk.model.layout();
        let pane = desk.model.pane();
        pane.unread_above(&layout.columns, layout.messages.height)
    };
    let mut desk = Desk::full();
    desk.key(PAGE_UP);
    for seq in 101..=150 {
        desk.message(seq, "bert", "while away");
    }
    desk.key(PAGE_UP).key(Key::ctrl(Code::End));
    assert_eq!(above(&desk), 50);
    desk.message(151, "bert", "read as it comes");
    assert_eq!(above(&desk), 50, "what is read as it comes is not unread");
    desk.key(Key::alt(Code::Char('u'))).key(ESC);
    assert_eq!(above(&desk), 0, "the reader has been there");
    desk.key(PAGE_UP).message(152, "bert", "away again");
    desk.key(ESC);
    for seq in 153..=190 {
        desk.message(seq, "bert", "read as it comes");
    }
    assert_eq!(above(&desk), 0, "the line was on the screen");
}

#[test]
fn a_message_of_ours_is_shown_from_typing_to_its_echo() {
    let mut desk = Desk::online();
    desk.outbox(1, "one", Delivery::Pending);
    desk.outbox(2, "two", Delivery::Pending);
    assert_eq!(desk.entries(), ["one Pending", "two Pending"]);
    desk.message(1, "bob", "hi")
        .echo(2, "carol", "one", Some(1));
    assert_eq!(desk.entries(), ["hi", "one Sent", "two Pending"]);
    desk.outbox(1, "one", Delivery::Sent { seq: Some(2) });
    assert_eq!(
        desk.entries(),
        ["hi", "one Sent", "two Pending"],
        "echo first"
    );
    desk.outbox(2, "two", Delivery::Sent { seq: Some(3) });
    assert_eq!(
        desk.entries(),
        ["hi", "one Sent", "two Sent(3)"],
        "ack first"
    );
    desk.echo(3, "carol", "two", Some(2));
    assert_eq!(desk.entries(), ["hi", "one Sent", "two Sent"]);
    assert!(desk.model.pane().outbox.is_empty());
    desk.outbox(3, "three", Delivery::Pending);
    desk.outbox(3, "three", Delivery::Unconfirmed);
    assert_eq!(desk.entries()[3..], ["three Unconfirmed(LocalId(3))"]);
}

#[test]
fn a_message_written_to_a_slow_server_is_shown_once() {
    // The server was taken for a legacy one; then its welcome came, and everything is sent again.
    let mut desk = Desk::online();
    desk.outbox(1, "one", Delivery::Pending)
        .outbox(1, "one", Delivery::Unconfirmed)
        .outbox(1, "one", Delivery::Pending);
    assert_eq!(desk.entries(), ["one Unconfirmed(LocalId(1))"]);
    desk.outbox(1, "one", Delivery::Sent { seq: Some(1) })
        .echo(1, "carol", "one", Some(1));
    assert_eq!(desk.entries(), ["one Sent"]);
}

#[test]
fn failed_messages_can_be_sent_again_or_taken_back() {
    let mut desk = Desk::online();
    desk.outbox(1, "one", Delivery::Pending)
        .outbox(1, "one", failed());
    assert_eq!(desk.entries(), ["one Failed(too long)"]);
    desk.key(Key::alt(Code::Char('s')));
    let again = Effect::Command(Command::SendAgain(LocalId(1)));
    assert_eq!(desk.done(), [again]);
    assert_eq!(desk.entries(), ["one Pending"]);

    desk.key(Key::alt(Code::Char('x')));
    let withdraw = Effect::Command(Command::Withdraw(LocalId(1)));
    assert_eq!(desk.done(), std::slice::from_ref(&withdraw));
    assert_eq!(desk.text(), "", "not before it is known to be in time");
    desk.outbox(1, "one", Delivery::Withdrawn);
    assert_eq!((desk.entries(), desk.text()), (vec![], "one"));

    let mut desk = Desk::online();
    desk.outbox(1, "one", Delivery::Pending)
        .outbox(1, "one", Delivery::SettledElsewhere);
    assert_eq!(desk.entries(), [""; 0], "the log brings it");

    let mut desk = Desk::online();
    desk.outbox(1, "one", failed())
        .key(Key::alt(Code::Char('x')));
    assert_eq!((desk.entries(), desk.text()), (vec![], "one"));
    assert_eq!(
        desk.done(),
        std::slice::from_ref(&withdraw),
        "it is not kept either"
    );
    desk.outbox(1, "one", Delivery::Withdrawn);
    assert_eq!(desk.text(), "one", "taken back once");

    let mut desk = Desk::online();
    desk.outbox(1, "one", failed()).typed("/discard").key(ENTER);
    assert_eq!((desk.entries(), desk.text()), (vec![], ""));
    assert_eq!(desk.done()[0], withdraw);
}

#[test]
fn another_nickname_is_asked_for_in_place() {
    let mut desk = Desk::new();
    desk.typed("a draft");
    refuse_nickname(&mut desk);
    assert_eq!(desk.text(), "carol", "the one refused, to be changed");
    let status = desk.model.status().unwrap();
    assert!(status.contains("Nickname already in use"), "{status}");
    desk.typed("2").key(ENTER);
    assert_eq!(
        desk.done(),
        [Effect::Command(Command::Nick(nickname("carol2")))]
    );
    assert_eq!(desk.text(), "a draft");

    let mut desk = Desk::new();
    refuse_nickname(&mut desk);
    desk.key(Key::ctrl(Code::Char('u'))).key(ENTER);
    assert_eq!(desk.done(), []);
    let status = desk.model.status().unwrap();
    assert!(status.contains("can't be empty"), "{status}");
    desk.key(ESC);
    assert_eq!(desk.did(), leaves());
}

fn failed() -> Delivery {
    Delivery::Failed {
        why: Line::inert("too long"),
    }
}

#[test]
fn a_typed_message_is_shown_before_it_is_saved() {
    let mut desk = Desk::online();
    for text in ["one", "two", "one"] {
        desk.typed(text).key(ENTER);
    }
    assert_eq!(desk.entries(), ["one Saving", "two Saving", "one Saving"]);
    desk.key(Key::alt(Code::Char('x')));
    assert!(
        desk.did()
            .iter()
            .all(|effect| !matches!(effect, Effect::Command(Command::Withdraw(_))))
    );

    // One from the disk, which is not shown here, comes among them.
    desk.outbox(1, "one", Delivery::Pending)
        .outbox(2, "earlier", Delivery::Pending);
    let expected = ["one Pending", "earlier Pending", "two Saving", "one Saving"];
    assert_eq!(desk.entries(), expected);
    desk.outbox(4, "one", failed())
        .outbox(3, "two", Delivery::Pending)
        .outbox(3, "two", Delivery::Pending);
    let expected = [
        "one Pending",
        "earlier Pending",
        "two Pending",
        "one Failed(too long)",
    ];
    assert_eq!(desk.entries(), expected);
    desk.echo(1, "carol", "one", Some(1));
    assert_eq!(desk.entries()[1..], expected[1..]);
}

#[test]
fn the_exit_summary_tells_what_is_not_sent_and_what_is_not_kept() {
    let mut desk = Desk::online();
    for text in ["sent", "waits", "not kept", "refused", "still being saved"] {
        desk.typed(text).key(ENTER);
    }
    desk.outbox(1, "sent", Delivery::Pending)
        .outbox(2, "waits", Delivery::Pending)
        .outbox(3, "not kept", failed())
        .outbox(4, "refused", Delivery::Pending)
        .outbox(4, "refused", failed())
        .echo(1, "carol", "sent", Some(1))
        .key(Key::ctrl(Code::Char('c')))
        .key(Key::ctrl(Code::Char('c')));
    assert!(desk.done().contains(&Effect::Command(Command::Leave)));
    let ending = desk.model.exit_summary();
    let not_kept: Vec<&str> = ending.not_kept.iter().map(Body::as_str).collect();
    assert_eq!(not_kept, ["not kept", "still being saved"]);
    assert_eq!((ending.unsent, ending.summary), (1, None));

    desk.outbox(5, "still being saved", Delivery::Pending);
    desk.key(Key::alt(Code::Char('s')));
    let ending = desk.model.exit_summary();
    assert_eq!((ending.unsent, ending.not_kept.len()), (2, 1));
    desk.outbox(3, "not kept", Delivery::Pending);
    let ending = desk.model.exit_summary();
    assert_eq!((ending.unsent, ending.not_kept.len()), (3, 0));
}

#[test]
fn another_log_is_marked() {
    let mut desk = Desk::online();
    desk.message(1, "bob", "one").message(2, "bob", "two");
    desk.opens(1, 2, 3).message(3, "bob", "three");
    desk.heard(opened(1, 1, 1, Some(Reset::Epoch)));
    desk.message(1, "bob", "anew");
    let expected = [
        "one",
        "two",
        "three",
        "the server's history was reset: it begins here",
        "anew",
    ];
    assert_eq!(desk.entries(), expected);
}

#[test]
fn comings_and_goings_are_folded() {
    let mut desk = Desk::online();
    let room = RoomId::LOBBY;
    for name in ["dave", "erin"] {
        desk.heard(Event::Joined {
            room,
            member: member(name),
        });
    }
    desk.heard(Event::Joined {
        room,
        member: member("bob"),
    });
    desk.heard(Event::Left {
        room,
        user: user("dave"),
        nickname: nickname("dave"),
        time: Timestamp::UNIX_EPOCH,
        reason: Departure::Lost,
    });
    desk.heard(Event::Renamed {
        room,
        user: user("carol"),
        was: nickname("carol"),
        nickname: nickname("caroline"),
        time: Timestamp::UNIX_EPOCH,
    });
    let expected = "dave joined and left · erin joined · carol is now caroline";
    assert_eq!(desk.entries(), [expected], "who was in has not come");
    assert_eq!(desk.model.server.nickname, nickname("caroline"));
    let members = desk.model.pane().members.iter();
    let names: Vec<&str> = members.map(|member| member.nickname.as_str()).collect();
    assert_eq!(names, ["bert", "bob", "caroline", "erin"]);
}

#[test]
fn a_member_who_joined_before_us_is_not_announced() {
    let since = |name: &str, seconds| Member {
        since: Timestamp::from_second(seconds).unwrap(),
        ..member(name)
    };
    let mut desk = Desk::online();
    desk.heard(Event::Members {
        room: RoomId::LOBBY,
        members: vec![member("bob")],
    });
    for member in [since("bert", 1), since("carol", 3), since("erin", 2)] {
        desk.heard(Event::Joined {
            room: RoomId::LOBBY,
            member,
        });
    }
    assert_eq!(desk.entries(), Vec::<String>::new());
    desk.heard(Event::Joined {
        room: RoomId::LOBBY,
        member: since("dave", 4),
    });
    assert_eq!(desk.entries(), ["dave joined"]);
}

#[test]
fn a_member_who_joins_after_the_server_s_clock_was_set_back_is_announced() {
    let since = |name: &str, seconds| Member {
        since: Timestamp::from_second(seconds).unwrap(),
        ..member(name)
    };
    let mut desk = Desk::online();
    desk.heard(Event::Members {
        room: RoomId::LOBBY,
        members: vec![since("carol", 7_200)],
    });
    desk.heard(Event::Joined {
        room: RoomId::LOBBY,
        member: since("dave", 10),
    });
    assert_eq!(desk.entries(), ["dave joined"]);
}

#[test]
fn a_member_who_tries_several_nicknames_is_announced_once() {
    let mut desk = Desk::online();
    for (who, was, now) in [
        ("bob", "bob", "rob"),
        ("bob", "rob", "robert"),
        ("bert", "bert", "berta"),
    ] {
        desk.heard(Event::Renamed {
            room: RoomId::LOBBY,
            user: user(who),
            was: nickname(was),
            nickname: nickname(now),
            time: Timestamp::UNIX_EPOCH,
        });
    }
    let expected = "bob is now robert · bert is now berta";
    assert_eq!(desk.entries(), [expected]);
}

#[test]
fn a_member_on_a_bad_connection_is_announced_once() {
    let mut desk = Desk::online();
    for (coming, expected) in [
        (false, "bob left (connection lost)"),
        (true, "bob left and came back"),
        (false, "bob left (connection lost)"),
        (true, "bob left and came back"),
    ] {
        let room = RoomId::LOBBY;
        desk.heard(if coming {
            Event::Joined {
                room,
                member: member("bob"),
            }
        } else {
            Event::Left {
                room,
                user: user("bob"),
                nickname: nickname("bob"),
                time: Timestamp::UNIX_EPOCH,
                reason: Departure::Lost,
            }
        });
        assert_eq!(desk.entries(), [expected]);
    }
}

#[test]
fn messages_from_before_we_came_are_not_unread() {
    let mut desk = Desk::new();
    desk.msg(Msg::Focus(false));
    desk.heard(Event::Room(Box::new(RoomStart {
        changed: 0,
        redacted: 0,
        room: RoomId::LOBBY,
        info: RoomInfo::public(RoomName::lobby()),
        read: ReadState::default(),
        extent: Extent::new(1, 2),
        next: 1,
        reset: None,
    })));
    desk.message(1, "bob", "old").message(2, "bob", "old");
    assert_eq!(desk.model.pane().unread(), 0);
    desk.message(3, "bob", "new");
    assert_eq!(desk.model.pane().unread(), 1);
}

#[test]
fn the_way_to_the_next_attempt_is_counted_down() {
    let mut desk = Desk::new();
    desk.passes(Duration::from_secs(5));
    desk.heard(Event::Connection(ConnectionStatus::Waiting {
        why: Line::inert("Connection refused"),
        retry_in: Duration::from_millis(3500),
    }));
    for (millis, shown, wakes) in [(5000, 4, 500), (5600, 3, 900), (8000, 1, 500)] {
        desk.passes(Duration::from_millis(millis));
        assert_eq!(
            desk.model.server.retry_in(desk.model.now.mono),
            Duration::from_secs(shown),
            "{millis}"
        );
        assert_eq!(
            desk.model.wakes_in(),
            Some(Duration::from_millis(wakes)),
            "{millis}"
        );
    }
    desk.passes(Duration::from_secs(9));
    assert_eq!(desk.model.wakes_in(), None);
    desk.key(Key::ctrl(Code::Char('r')));
    assert_eq!(desk.done(), [Effect::Command(Command::RetryNow)]);
}

#[test]
fn a_room_that_was_named_is_shown_from_the_start() {
    let room = |name: &str| RoomId::parse(name).unwrap();
    let kept = |name: &str| RestoredRoom {
        room: room(name),
        info: RoomInfo::public(RoomName::parse(name).unwrap()),
        page: Page {
            extent: Extent::new(1, 1),
            from: 1,
            to: 1,
            entries: vec![Entry {
                room: room(name),
                ..logged(1, Timestamp::UNIX_EPOCH, "bob", name)
            }],
            offline: true,
        },
        read: ReadState {
            marker: ReadMarker {
                seq: 1,
                generation: 0,
            },
            ..ReadState::default()
        },
        draft: format!("to the {name}"),
    };
    let mut desk = Desk::start(Start {
        room: RoomName::parse("build").unwrap(),
        restored: Restored {
            rooms: vec![kept("lobby"), kept("build")],
            ..Restored::default()
        },
        ..start(80, 24, Timestamp::UNIX_EPOCH)
    });
    assert_eq!(desk.model.pane().key.room, room("build"));
    assert_eq!(desk.entries(), ["build"]);
    assert_eq!(desk.text(), "to the build");
    let lobby = |desk: &Desk| {
        let mut panes = desk.model.panes.iter();
        let pane = panes.find(|pane| pane.key.room == RoomId::LOBBY);
        let pane = pane.expect("a pane of its own");
        (pane.composer.text().to_owned(), pane.timeline.len())
    };
    assert_eq!(lobby(&desk), ("to the lobby".to_owned(), 1));
    desk.enters();
    desk.message(2, "bob", "in the lobby");
    assert_eq!(lobby(&desk), ("to the lobby".to_owned(), 2));
    assert_eq!(desk.entries(), ["build"], "nothing of it is shown here");
    desk.key(ENTER);
    let effects = desk.done();
    assert!(
        effects.iter().any(|effect| matches!(
            effect,
            Effect::Command(Command::Send { room: to, .. }) if *to == room("build")
        )),
        "{effects:?}"
    );
}
