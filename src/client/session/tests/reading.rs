//! Rooms that come and go while connected, markers, settings, and lists.

use super::*;
use crate::{
    client::session::persist_types::StoreChange,
    protocol::{
        Count, Person, Preferences, ReadMarker,
        frame::{InboxPage, ListPage, Part},
        room::{ListedPerson, ListedRoom},
    },
};

fn build() -> RoomId {
    RoomId::named(&RoomName::parse("build").unwrap(), 0)
}

/// The start of a room that holds this many entries, none of which is delivered.
fn room(name: &str, head: u64) -> RoomStart {
    let name = RoomName::parse(name).unwrap();
    RoomStart {
        room: RoomId::named(&name, 0),
        info: RoomInfo::public(name),
        ..lobby(1, head, head + 1)
    }
}

fn with_read(start: RoomStart, seq: u64, unread: u64) -> RoomStart {
    let read = ReadState {
        marker: ReadMarker { seq, generation: 0 },
        unread: Count::new(unread),
        ..ReadState::default()
    };
    RoomStart { read, ..start }
}

fn in_room(room: RoomId, entry: ServerFrame) -> ServerFrame {
    match entry {
        ServerFrame::Entry(entry) => ServerFrame::Entry(Entry { room, ..entry }),
        other => panic!("{other:?}"),
    }
}

/// A session on a server with rooms, whose lobby holds ten entries, read up to number 4.
fn online() -> TestSession {
    let mut run = TestSession::new();
    run.enter(Welcome {
        rooms: vec![with_read(lobby(1, 10, 11), 4, 5)],
        ..welcome()
    });
    run.frames();
    run.events.clear();
    run
}

fn mark(run: &mut TestSession, seq: u64) {
    let room = RoomId::LOBBY;
    run.command(Command::MarkRead { room, seq });
}

fn lobby_in(run: &TestSession) -> (u64, u64) {
    let read = run.session.reads.get(RoomId::LOBBY).unwrap();
    (read.marker.seq, read.unread.get())
}

#[test]
fn rooms_open_while_connected_and_close() {
    let mut run = online();
    run.say(ServerFrame::Rooms(vec![room("build", 3), room("ops", 0)]));
    run.told(&["#build from 4", "#ops from 1"]);
    run.say(in_room(build(), message(4, "hi")));
    run.told(&["4 alice: hi"]);
    let mut info = RoomInfo::public(RoomName::parse("builds").unwrap());
    info.archived = true;
    run.say(ServerFrame::Room {
        room: build(),
        info: Box::new(info),
    });
    run.told(&["is #builds"]);

    run.say(ServerFrame::RoomLeft {
        room: build(),
        by: Some(name("alice")),
    });
    run.told(&[&format!("left {} by alice", build())]);
    let saved = run.disk.saves.iter().flat_map(|save| &save.changes);
    assert_eq!(saved.last(), Some(&StoreChange::RoomLeft(build())));
    assert_eq!(run.session.reads.get(build()), None);
    // Nothing of it may follow.
    run.say(in_room(build(), message(5, "ho")));
    assert!(!run.connected);
    run.wait_for_connect();
    run.open();
    let positions = run.join().rooms;
    assert!(positions.iter().all(|position| position.room != build()));
}

#[test]
fn rooms_of_a_log_that_is_no_more_are_closed() {
    let mut run = online();
    run.say(ServerFrame::Rooms(vec![room("build", 3)]));
    run.close(&Closed::Lost);
    run.wait_for_connect();
    run.events.clear();
    run.enter(Welcome {
        epoch: Epoch::from_bytes([9; 8]),
        ..welcome()
    });
    let left = |event: &Event| matches!(event, Event::RoomLeft { .. });
    run.events.retain(left);
    run.told(&[&format!("left {} by nobody", build())]);
    let saved = run.disk.saves.iter().flat_map(|save| &save.changes);
    let left = |change: &&StoreChange| **change == StoreChange::RoomLeft(build());
    assert_eq!(saved.filter(left).count(), 1);
    // The server knows nothing of it, so it may come again.
    run.events.clear();
    run.say(ServerFrame::Rooms(vec![room("build", 0)]));
    run.told(&["#build from 1"]);
}

#[test]
fn a_guest_is_told_after_a_reconnect_that_they_are_no_longer_in_a_room() {
    let mut run = online();
    run.say(ServerFrame::Rooms(vec![room("build", 3)]));
    for role in [Role::Member, Role::Unverified] {
        run.lose();
        // A member's other rooms may follow the welcome, and the server says which they have left.
        run.enter(Welcome { role, ..welcome() });
        let is_left = run
            .events
            .iter()
            .any(|event| matches!(event, Event::RoomLeft { room, .. } if *room == build()));
        assert_eq!(is_left, role == Role::Unverified);
    }
    let mut saved = run.disk.saves.iter().flat_map(|save| &save.changes);
    assert!(saved.any(|change| matches!(change, StoreChange::RoomLeft(_))));
}

#[test]
fn who_left_a_room_can_enter_it_again() {
    let mut run = online();
    let left = || ServerFrame::RoomLeft {
        room: build(),
        by: None,
    };
    run.say(ServerFrame::Rooms(vec![room("build", 3)]));
    run.say(left());
    run.say(left());
    run.say(ServerFrame::Rooms(vec![room("build", 7)]));
    run.told(&[
        "#build from 4",
        &format!("left {} by nobody", build()),
        "#build from 8",
    ]);
}

#[test]
fn requests_about_a_room_that_is_left_are_answered() {
    let mut run = online();
    run.say(ServerFrame::Rooms(vec![room("build", 3)]));
    run.events.clear();
    run.command(Command::Page {
        room: build(),
        part: Part::Backward { from: 1, to: 3 },
    });
    run.command(Command::ListPeople {
        request: 1,
        room: Some(build()),
        query: Line::inert(""),
        after: None,
    });
    run.say(ServerFrame::RoomLeft {
        room: build(),
        by: None,
    });
    run.told(&[
        "no page: You are no longer in this room",
        "1: no people: You are no longer in this room",
        &format!("left {} by nobody", build()),
    ]);
}

#[test]
fn a_message_for_a_room_by_name_goes_to_the_room_that_has_it_now() {
    let name = RoomName::parse("build").unwrap();
    let now = RoomId::named(&name, 1);
    let mut run = TestSession::wanting(Disk::default(), name.clone());
    run.command(Command::Send {
        room: RoomId::named(&name, 0),
        content: Content::Text(Body::inert("hi")),
    });
    run.enter(Welcome {
        rooms: vec![
            lobby(1, 0, 1),
            RoomStart {
                room: now,
                ..room("build", 0)
            },
        ],
        ..welcome()
    });
    let frames = run.frames();
    let rooms: Vec<_> = frames
        .iter()
        .filter_map(|frame| match frame {
            ClientFrame::Submit(submission) => Some(submission.room),
            _ => None,
        })
        .collect();
    assert_eq!(rooms, [now]);
}

#[test]
fn a_marker_is_sent_told_and_saved() {
    let mut run = online();
    mark(&mut run, 6);
    run.wrote(&["read 0.6"]);
    assert_eq!(run.reads, ["read 0.6, 4 unread, 0 mentions"]);
    let saved = run.disk.saves.iter().flat_map(|save| &save.changes);
    let is_read = |change: &&StoreChange| matches!(change, StoreChange::Read { marker, .. } if marker.seq == 6);
    assert_eq!(saved.filter(is_read).count(), 1);
    // Of those that come soon after, the last one is sent.
    mark(&mut run, 7);
    mark(&mut run, 9);
    mark(&mut run, 8);
    run.wrote(&[]);
    run.pass(Duration::from_secs(2));
    run.wrote(&["read 0.9"]);
    // What is beyond the log's end was read in another one.
    mark(&mut run, 11);
    assert_eq!(lobby_in(&run), (9, 1));
}

#[test]
fn what_was_read_while_away_is_sent_after_the_next_join() {
    let mut run = online();
    run.close(&Closed::Lost);
    run.written.clear();
    mark(&mut run, 10);
    assert_eq!(lobby_in(&run), (10, 0));
    run.wait_for_connect();
    run.events.clear();
    run.enter(Welcome {
        rooms: vec![with_read(lobby(1, 12, 11), 5, 6)],
        ..welcome()
    });
    run.wrote(&["read 0.10"]);
    let Some(Event::Room(start)) = run.events.iter().find(|e| matches!(e, Event::Room(_))) else {
        panic!("{:?}", run.events);
    };
    assert_eq!((start.read.marker.seq, start.read.unread.get()), (10, 2));
}

#[test]
fn another_device_reads_and_sets_back() {
    let mut run = online();
    let read = |seq, generation| ServerFrame::Read {
        room: RoomId::LOBBY,
        marker: ReadMarker { seq, generation },
        preferences: Preferences::default(),
    };
    run.say(read(8, 0));
    run.say(read(7, 0));
    assert_eq!(run.reads, ["read 0.8, 2 unread, 0 mentions"]);
    run.say(read(2, 1));
    assert_eq!(lobby_in(&run).0, 2);
    // By hand, here.
    run.command(Command::SetMarker {
        room: RoomId::LOBBY,
        seq: 1,
    });
    run.wrote(&["read 2.1"]);
    // Of a room that nobody knows.
    run.say(ServerFrame::Read {
        room: build(),
        marker: ReadMarker::default(),
        preferences: Preferences::default(),
    });
    assert!(run.connected);
}

#[test]
fn messages_count_as_they_come() {
    let mut run = online();
    run.say(message(11, "a"));
    let ServerFrame::Entry(mut to_us) = message(12, "b") else {
        unreachable!()
    };
    if let EntryKind::Text(text) = &mut to_us.kind {
        text.mentions.users = vec![welcome().user];
    }
    run.say(ServerFrame::Entry(to_us));
    run.say(echo(13, 1, "mine"));
    assert_eq!(
        run.reads,
        [
            "read 0.4, 6 unread, 0 mentions",
            "read 0.4, 7 unread, 1 mentions"
        ]
    );
}

#[test]
fn settings_and_watched_rooms_are_sent_now_or_after_the_next_join() {
    let favourite = Preferences {
        favourite: true,
        ..Preferences::default()
    };
    let mut run = online();
    let room = RoomId::LOBBY;
    run.command(Command::Watch(vec![room]));
    run.wrote(&["watch [lobby]"]);
    run.close(&Closed::Lost);
    run.written.clear();
    run.command(Command::Prefer {
        room,
        preferences: favourite,
    });
    assert_eq!(run.session.reads.get(room).unwrap().preferences, favourite);
    run.wait_for_connect();
    run.enter(Welcome {
        rooms: vec![with_read(lobby(1, 10, 11), 4, 5)],
        ..welcome()
    });
    let frames: Vec<_> = run.frames().iter().map(frame_in_short).collect();
    assert_eq!(
        frames,
        ["watch [lobby]".to_owned(), format!("prefer {favourite:?}")]
    );
}

#[test]
fn a_server_without_rooms_is_sent_nothing_about_them() {
    let mut run = TestSession::new();
    run.enter(Welcome {
        rooms: vec![lobby(1, 10, 11)],
        can: Capabilities {
            rooms: false,
            ..Capabilities::ALL
        },
        ..welcome()
    });
    run.frames();
    run.command(Command::SetMarker {
        room: RoomId::LOBBY,
        seq: 9,
    });
    run.command(Command::Watch(vec![RoomId::LOBBY]));
    run.wrote(&[]);
    assert_eq!(lobby_in(&run).0, 9);
}

fn list_rooms(request: u64) -> Command {
    Command::ListRooms {
        request,
        query: Line::inert("b"),
        after: None,
    }
}

fn reference_of(frames: &[ClientFrame]) -> Option<u64> {
    frames.iter().find_map(|frame| match frame {
        ClientFrame::ListRooms(list) => list.reference,
        ClientFrame::ListPeople { list, .. } => list.reference,
        ClientFrame::Inbox { reference, .. } => *reference,
        _ => None,
    })
}

#[test]
fn lists_are_answered_by_their_numbers() {
    let mut run = online();
    run.command(list_rooms(7));
    let reference = reference_of(&run.frames());
    run.say(ServerFrame::RoomList(ListPage {
        list: vec![ListedRoom {
            room: build(),
            name: RoomName::parse("build").unwrap(),
            topic: None,
            members: 2,
            joined: false,
            archived: false,
            private: false,
        }],
        more: false,
        reference,
    }));
    run.command(Command::ListPeople {
        request: 8,
        room: None,
        query: Line::inert(""),
        after: None,
    });
    let reference = reference_of(&run.frames());
    run.say(ServerFrame::PeopleList(ListPage {
        list: vec![ListedPerson {
            person: Person {
                user: welcome().user,
                nickname: name("carol"),
            },
            online: true,
            last_seen: None,
            moderator: false,
        }],
        more: true,
        reference,
    }));
    run.command(Command::Inbox {
        request: 9,
        before: None,
    });
    let reference = reference_of(&run.frames());
    let ServerFrame::Entry(entry) = message(3, "x") else {
        unreachable!()
    };
    run.say(ServerFrame::Inbox(InboxPage {
        entries: vec![entry],
        next: None,
        reference,
    }));
    run.told(&["7: 1 rooms", "8: 1 people", "9: 1 mentions"]);
}

#[test]
fn a_list_that_can_not_be_had_is_refused() {
    let mut run = online();
    // The first is on its way; of the others only the last counts.
    for request in 1..=3 {
        run.command(list_rooms(request));
    }
    run.told(&["2: no rooms: A newer search has replaced it"]);
    let reference = reference_of(&run.frames());
    run.say(ServerFrame::Error(ErrorFrame {
        reference,
        ..error(ErrorCode::NotAllowed, "No")
    }));
    run.told(&["1: no rooms: No"]);
    run.frames();
    run.close(&Closed::Lost);
    run.command(list_rooms(4));
    let events: Vec<_> = run.events.drain(..).map(|e| event_in_short(&e)).collect();
    assert_eq!(
        events
            .iter()
            .filter(|e| e.ends_with("Not connected: try again once you are"))
            .count(),
        2,
        "{events:?}"
    );
}

#[test]
fn an_answer_of_another_kind_than_was_asked_is_a_fault() {
    let mut run = online();
    run.command(list_rooms(1));
    let reference = reference_of(&run.frames());
    run.say(ServerFrame::PeopleList(ListPage {
        list: Vec::new(),
        more: false,
        reference,
    }));
    assert!(!run.connected);
    // One that nobody has asked for is passed over.
    let mut run = online();
    run.say(ServerFrame::Inbox(InboxPage {
        entries: Vec::new(),
        next: None,
        reference: Some(99),
    }));
    assert!(run.connected);
}
