use crate::protocol::Entry;
use proptest::prelude::*;

use super::*;
use crate::protocol::Role;
use crate::protocol::frame::{Member, MembersPage};
use crate::protocol::limits::USER_ROOMS_MAX;

#[test]
fn a_listener_that_is_no_chat_server_is_named_so() {
    for bytes in [
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "SSH-2.0-OpenSSH_9.9\r\n",
        "{}",
        "{\"type\":5}",
    ] {
        let mut run = TestSession::new();
        run.reach();
        run.events.clear();
        run.say_bytes(bytes.as_bytes());
        run.told(&["waiting: chat.lan:10500 is not a chat server"]);
    }
}

#[test]
fn a_welcome_for_somebody_else_is_none() {
    let check = |welcome: Welcome| {
        let mut run = TestSession::new();
        run.enter(welcome);
        assert!(!run.connected);
        let online = |event: &Event| matches!(event, Event::Connection(ConnectionStatus::Online));
        assert!(!run.events.iter().any(online));
    };
    check(Welcome {
        user: alice(),
        ..welcome()
    });
    check(Welcome {
        device: DeviceId::from_bytes([9; 12]),
        ..welcome()
    });
    check(Welcome {
        rooms: vec![lobby(9, 3, 9)],
        ..welcome()
    });
    check(Welcome {
        rooms: vec![lobby(0, 3, 1)],
        ..welcome()
    });
    check(Welcome {
        rooms: vec![lobby(1, 3, 5)],
        ..welcome()
    });
    check(Welcome {
        counter: crate::protocol::limits::NUMBER_MAX,
        ..welcome()
    });
}

#[test]
fn a_server_that_forgot_what_join_told_it_is_at_fault() {
    let mut run = TestSession::online();
    run.send("a");
    run.say(echo(1, 1, "a"));
    run.lose();
    run.enter(welcome());
    assert!(!run.connected);
}

#[test]
fn frames_out_of_place_end_the_connection() {
    for frame in [
        ServerFrame::Welcome(welcome()),
        ServerFrame::Entry(Entry {
            room: RoomId::parse("elsewhere").unwrap(),
            ..match message(1, "x") {
                ServerFrame::Entry(message) => message,
                _ => unreachable!(),
            }
        }),
    ] {
        let mut run = TestSession::online();
        run.say(frame);
        assert!(!run.connected);
    }
}

#[test]
fn unknown_frames_are_passed_over() {
    let mut run = TestSession::online();
    run.say_bytes(b"{\"type\":\"fireworks\",\"colour\":\"red\"}\n");
    run.say(message(1, "x"));
    run.told(&["1 alice: x"]);
}

#[test]
fn limits_beyond_reason_are_not_believed() {
    let mut run = TestSession::new();
    run.enter(Welcome {
        limits: Limits {
            ping_after_ms: 0,
            gone_after_ms: 0,
            ..welcome().limits
        },
        ..welcome()
    });
    run.frames();
    run.pass(Duration::from_millis(4900));
    assert!(run.connected);
    assert_eq!(run.frames().len(), 4, "a ping a second");
}

#[test]
fn a_member_list_without_end_is_cut() {
    let mut run = TestSession::online();
    for i in 0..150_u32 {
        let members = (0..200_u32).map(|j| {
            let mut bytes = [0; 12];
            bytes[..4].copy_from_slice(&(i * 200 + j).to_be_bytes());
            Member {
                user: UserId::from_bytes(bytes),
                nickname: name("x"),
                since: Timestamp::UNIX_EPOCH,
                role: Role::Member,
            }
        });
        run.say(ServerFrame::Members(MembersPage {
            room: RoomId::LOBBY,
            version: 1,
            start: i == 0,
            more: i < 149,
            members: members.collect(),
            rules: None,
        }));
    }
    let [Event::Members { members, .. }] = run.events.as_slice() else {
        panic!("no list");
    };
    assert_eq!(members.len(), super::super::members::MEMBERS_MAX);
}

#[test]
fn a_flood_of_pings_costs_one_answer_a_read() {
    let mut run = TestSession::online();
    let mut bytes = Vec::new();
    for reference in 0..100 {
        let ping = ServerFrame::Ping {
            reference: Some(reference),
        };
        encode_server(&ping, &mut bytes);
    }
    run.say_bytes(&bytes);
    run.wrote(&["pong 99"]);
}

/// Frames that a server could send.
fn sayings() -> Vec<ServerFrame> {
    vec![
        ServerFrame::Welcome(welcome()),
        message(1, "x"),
        message(2, "y"),
        echo(3, 1, "mine"),
        stored(1, 3),
        ack(1, Outcome::Withdrawn),
        ack(2, Outcome::Settled),
        refusal(1, ErrorCode::HeldBack, Some(10)),
        refusal(2, ErrorCode::BadText, None),
        ServerFrame::Error(error(ErrorCode::NicknameInUse, "Nickname already in use")),
        ServerFrame::Ping { reference: Some(1) },
        bye(Departure::Shutdown, Some(1)),
        bye(Departure::Replaced, None),
    ]
}

proptest! {
    #[test]
    fn noise_may_cause_errors_but_never_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..2000),
        online: bool,
    ) {
        let mut run = if online { TestSession::online() } else { TestSession::new() };
        if !online {
            run.reach();
        }
        run.say_bytes(&bytes);
        run.pass(Duration::from_secs(30));
    }

    #[test]
    fn any_frames_in_any_order_and_damaged_never_panic_nor_lose_a_message(
        frames in proptest::collection::vec(0..sayings().len(), 0..30),
        damage in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
        withdraw: bool,
    ) {
        let mut run = TestSession::online();
        run.send("one");
        run.send("two");
        if withdraw {
            run.command(Command::Withdraw(LocalId(1)));
        }
        let sayings = sayings();
        let mut bytes = Vec::new();
        for frame in frames {
            encode_server(&sayings[frame], &mut bytes);
        }
        if let Some((at, byte)) = damage.filter(|_| !bytes.is_empty()) {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        run.say_bytes(&bytes);
        run.pass(Duration::from_secs(2));
        run.command(Command::Leave);
        run.pass(Duration::from_secs(2));
        let settled = run.events.iter().filter(|event| matches!(
            event,
            Event::Outbox(OutboxMessage {
                delivery: Delivery::Sent { .. } | Delivery::Failed { .. } | Delivery::Withdrawn,
                ..
            })
        ));
        let settled = settled.count() as u64;
        let Some(Event::Ended(summary)) = run.events.last() else {
            panic!("{:?}", run.events);
        };
        prop_assert_eq!(settled + summary.unsent, 2);
    }
}

#[test]
fn a_room_that_comes_twice_is_a_fault() {
    let mut run = TestSession::new();
    let rooms = vec![lobby(1, 0, 1), lobby(1, 0, 1)];
    run.enter(Welcome { rooms, ..welcome() });
    assert!(!run.connected);
    let entered = |event: &Event| matches!(event, Event::Entered(_) | Event::Room(_));
    assert!(!run.events.iter().any(entered), "{:?}", run.events);

    let mut run = TestSession::online();
    run.say(ServerFrame::Rooms(vec![lobby(1, 0, 1)]));
    assert!(!run.connected);
}

#[test]
fn more_rooms_than_a_user_can_be_in_are_a_fault() {
    let start = |number: usize| {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&(number as u64 + 1).to_be_bytes());
        RoomStart {
            room: RoomId::from_bytes(bytes),
            ..lobby(1, 0, 1)
        }
    };
    let mut run = TestSession::online();
    let rooms: Vec<_> = (1..=USER_ROOMS_MAX).map(start).collect();
    for part in rooms.chunks(100) {
        run.say(ServerFrame::Rooms(part.to_vec()));
    }
    assert!(run.connected, "{:?}", run.events.last());
    run.say(ServerFrame::Rooms(vec![start(USER_ROOMS_MAX + 1)]));
    assert!(!run.connected);
}
