//! A profile with more rooms than one join may name.

use super::*;
use crate::{
    client::session::persist_types::{EntryRange, OutboxEntry, Save, StoreChange},
    protocol::{Content, Entry, Extent, limits::JOIN_ROOMS_MAX},
    text::Body,
};

fn room(number: usize) -> RoomName {
    RoomName::parse(&format!("room-{number:03}")).unwrap()
}

fn epoch(byte: u8) -> Epoch {
    Epoch::from_bytes([byte; 8])
}

fn at(room: RoomName, next: u64) -> RoomStart {
    RoomStart {
        room,
        ..lobby(1, next - 1, next)
    }
}

/// A disk that holds one message of each of these rooms.
fn after(rooms: impl Iterator<Item = RoomName>, epoch: Epoch) -> Disk {
    let mut disk = Disk::default();
    for room in rooms {
        let ServerFrame::Entry(message) = message(1, "hi") else {
            unreachable!()
        };
        let opened = StoreChange::Room {
            epoch,
            start: RoomStart {
                changed: 0,
                redacted: 0,
                room: room.clone(),
                topic: None,
                extent: Extent::new(1, 1),
                next: 1 + 1,
                reset: None,
            },
        };
        let messages = StoreChange::Entries(EntryRange::of(
            room.clone(),
            epoch,
            vec![Entry { room, ..message }],
        ));
        let changes = vec![opened, messages];
        disk.saves.push(Save { changes });
    }
    disk
}

#[test]
fn a_member_of_many_rooms_can_join_one_more() {
    for known in [JOIN_ROOMS_MAX - 1, JOIN_ROOMS_MAX, 5 * JOIN_ROOMS_MAX] {
        let disk = after((0..known).map(room), welcome().epoch);
        let new = room(known);
        let mut run = TestSession::wanting(disk, new.clone());
        let join = run.enter(Welcome {
            rooms: vec![at(new.clone(), 1)],
            ..welcome()
        });
        assert_eq!(join.enter, [new]);
        assert!(join.rooms.is_empty(), "{known}: {:?}", join.rooms);
        assert!(run.connected, "{known}: {:?}", run.events);
    }
}

#[test]
fn a_room_of_many_is_gone_on_with_where_it_was_left() {
    let disk = after((0..3 * JOIN_ROOMS_MAX).map(room), welcome().epoch);
    let last = room(3 * JOIN_ROOMS_MAX - 1);
    let mut run = TestSession::wanting(disk, last.clone());
    let join = run.enter(Welcome {
        rooms: vec![at(last.clone(), 2)],
        ..welcome()
    });
    let [position] = join.rooms.as_slice() else {
        panic!("{:?}", join.rooms);
    };
    assert_eq!((&position.room, position.seq), (&last, 1));
    assert!(run.connected, "{:?}", run.events);
}

/// The first by name was last entered before the server got another log.
#[test]
fn a_room_of_a_log_that_is_no_more_takes_no_other_room_its_place() {
    let mut disk = after([room(0)].into_iter(), epoch(1));
    disk.saves
        .extend(after([room(1)].into_iter(), epoch(2)).saves);
    let mut run = TestSession::wanting(disk, room(1));
    run.open();
    let join = run.join();
    assert_eq!(join.epoch, Some(epoch(2)));
    assert_eq!(join.rooms.len(), 1);
}

/// Each was written while the server was away.
#[test]
fn messages_for_more_rooms_than_a_join_names_are_all_sent() {
    let count = JOIN_ROOMS_MAX + 6;
    let mut disk = Disk::default();
    let entry = |number: usize| {
        StoreChange::Entry(OutboxEntry {
            key: number as u64 + 1,
            number: None,
            room: room(number),
            content: Content::Text(Body::inert("hi")),
            counter: None,
            withdrawn: false,
            unconfirmed: false,
            failed: None,
        })
    };
    let changes = (0..count).map(entry).collect();
    disk.saves.push(Save { changes });
    let mut run = TestSession::with(disk).0;
    let mut sent = Vec::new();
    for _ in 0..2 {
        run.open();
        let join = run.join();
        assert!(join.enter.len() <= JOIN_ROOMS_MAX);
        let rooms = join.enter.iter().map(|room| at(room.clone(), 1)).collect();
        run.say(ServerFrame::Welcome(Welcome {
            rooms,
            counter: sent.len() as u64,
            ..welcome()
        }));
        loop {
            let frames = run.frames();
            let rooms: Vec<_> = frames
                .iter()
                .filter_map(|frame| match frame {
                    ClientFrame::Submit(message) => Some(message.room.clone()),
                    _ => None,
                })
                .collect();
            if rooms.is_empty() {
                break;
            }
            for room in rooms {
                assert!(join.enter.contains(&room), "{room} was not entered");
                sent.push(room);
                let counter = sent.len() as u64;
                run.say(ack(
                    counter,
                    Outcome::Stored {
                        room: sent[sent.len() - 1].clone(),
                        seq: 1,
                        time: Timestamp::UNIX_EPOCH,
                    },
                ));
            }
        }
    }
    assert_eq!(sent, (0..count).map(room).collect::<Vec<_>>());
}
