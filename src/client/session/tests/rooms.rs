//! Positions of many rooms in one join, and rooms to enter for messages that wait.

use super::*;
use crate::{
    client::session::persist_types::{EntryRange, OutboxEntry, Save, StoreChange},
    protocol::{Content, Entry, Extent, limits::JOIN_ROOMS_MAX},
    text::Body,
};

fn name_of(number: usize) -> RoomName {
    RoomName::parse(&format!("room-{number:03}")).unwrap()
}

fn id_of(number: usize) -> RoomId {
    RoomId::named(&name_of(number), 0)
}

fn epoch(byte: u8) -> Epoch {
    Epoch::from_bytes([byte; 8])
}

fn at(room: RoomId, next: u64) -> RoomStart {
    RoomStart {
        room,
        ..lobby(1, next - 1, next)
    }
}

/// A disk that holds one message of each of these rooms.
fn after(rooms: impl Iterator<Item = RoomId>, epoch: Epoch) -> Disk {
    let mut disk = Disk::default();
    for room in rooms {
        let ServerFrame::Entry(message) = message(1, "hi") else {
            unreachable!()
        };
        let opened = StoreChange::Room {
            epoch,
            folded: 0,
            start: RoomStart {
                changed: 0,
                redacted: 0,
                room,
                info: RoomInfo::public(RoomName::lobby()),
                read: ReadState::default(),
                extent: Extent::new(1, 1),
                next: 1 + 1,
                reset: None,
            },
        };
        let messages =
            StoreChange::Entries(EntryRange::of(room, epoch, vec![Entry { room, ..message }]));
        let changes = vec![opened, messages];
        disk.saves.push(Save { changes });
    }
    disk
}

#[test]
fn a_join_says_where_the_rooms_held_were_left_as_far_as_it_can() {
    for known in [1, JOIN_ROOMS_MAX, 2 * JOIN_ROOMS_MAX] {
        let disk = after((0..known).map(id_of), welcome().epoch);
        let mut run = TestSession::with(disk).0;
        let join = run.enter(welcome());
        let rooms: Vec<_> = (0..known).map(|number| at(id_of(number), 2)).collect();
        for part in rooms.chunks(100) {
            run.say(ServerFrame::Rooms(part.to_vec()));
        }
        assert!(join.enter.is_empty());
        assert_eq!(join.rooms.len(), known.min(JOIN_ROOMS_MAX));
        assert!(join.rooms.iter().all(|position| position.seq == 1));
        assert!(run.connected, "{known}: {:?}", run.events);
    }
}

/// The first was last entered before the server got another log.
#[test]
fn a_room_of_a_log_that_is_no_more_takes_no_other_room_its_place() {
    let mut disk = after([id_of(0)].into_iter(), epoch(1));
    disk.saves
        .extend(after([id_of(1)].into_iter(), epoch(2)).saves);
    let mut run = TestSession::wanting(disk, name_of(1));
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
            room: id_of(number),
            enter: Some(name_of(number)),
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
        let entered: Vec<_> = join
            .enter
            .iter()
            .map(|name| RoomId::named(name, 0))
            .collect();
        let rooms = entered.iter().map(|room| at(*room, 1)).collect();
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
                    ClientFrame::Submit(message) => Some(message.room),
                    _ => None,
                })
                .collect();
            if rooms.is_empty() {
                break;
            }
            for room in rooms {
                assert!(entered.contains(&room), "{room} was not entered");
                sent.push(room);
                let counter = sent.len() as u64;
                run.say(ack(
                    counter,
                    Outcome::Stored {
                        room: sent[sent.len() - 1],
                        seq: 1,
                        time: Timestamp::UNIX_EPOCH,
                    },
                ));
            }
        }
    }
    assert_eq!(sent, (0..count).map(id_of).collect::<Vec<_>>());
}
