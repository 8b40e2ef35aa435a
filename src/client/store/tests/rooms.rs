//! What the store holds of a room besides its entries: what it is, the marker, the settings; and what
//! becomes of rooms that older programs stored, or that are left.

use super::*;
use crate::protocol::{HistoryAccess, NotifyLevel, Person, RoomKind};

fn named(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

fn start(room: RoomId, info: RoomInfo, read: ReadState) -> StoreChange {
    StoreChange::Room {
        epoch: epoch(1),
        folded: 0,
        start: RoomStart {
            changed: 0,
            redacted: 0,
            room,
            info,
            read,
            extent: Extent::new(1, 3),
            next: 4,
            reset: None,
        },
    }
}

fn entries_in(room: RoomId) -> StoreChange {
    let entries = (1..=3).map(|seq| Entry {
        room,
        ..message(seq, "hidden words")
    });
    StoreChange::Entries(EntryRange::of(room, epoch(1), entries.collect()))
}

#[test]
fn what_a_room_is_and_how_far_it_was_read_come_back() {
    let home = Home::new();
    let mut store = home.open().store;
    let person = |number, name| Person {
        user: UserId::from_bytes([number; 12]),
        nickname: Nickname::parse(name).unwrap(),
    };
    let info = RoomInfo {
        kind: RoomKind::Direct,
        people: vec![person(1, "alice"), person(2, "Zo\u{eb} B")],
        history: HistoryAccess::All,
        members: 2,
        ..RoomInfo::default()
    };
    let room = RoomId::direct(&[UserId::from_bytes([1; 12]), UserId::from_bytes([2; 12])]);
    let read = ReadState {
        marker: ReadMarker {
            seq: 1,
            generation: 4,
        },
        preferences: Preferences {
            notify: NotifyLevel::All,
            quiet_until: Some(time(5)),
            favourite: true,
            hidden: true,
        },
        ..ReadState::default()
    };
    store.keep(vec![start(room, info.clone(), read), entries_in(room)]);
    let opened = home.open();
    let [restored] = opened.rooms.as_slice() else {
        panic!("{:?}", opened.rooms);
    };
    assert_eq!(restored.info, info);
    assert_eq!(restored.read.marker, read.marker);
    assert_eq!(restored.read.preferences, read.preferences);
    let kept = &opened.kept.rooms[0];
    assert_eq!(
        (kept.marker, kept.preferences),
        (read.marker, read.preferences)
    );
    assert_eq!(kept.active, Some(time(3)));
    // Those above the marker, to be counted.
    let held = kept.held.as_ref().unwrap();
    assert_eq!((held.from, held.to, held.entries.len()), (2, 3, 2));

    let mut store = opened.store;
    let renamed = RoomInfo::public(named("build"));
    store.keep(vec![
        StoreChange::RoomInfo {
            room,
            info: Box::new(renamed.clone()),
        },
        StoreChange::Read {
            room,
            epoch: epoch(1),
            marker: ReadMarker {
                seq: 0,
                generation: 5,
            },
            preferences: Preferences::default(),
        },
    ]);
    let restored = home.open().rooms.remove(0);
    assert_eq!(restored.info, renamed);
    assert_eq!(
        (restored.read.marker.seq, restored.read.marker.generation),
        (0, 5)
    );
    assert_eq!(restored.read.preferences, Preferences::default());
}

#[test]
fn of_a_room_that_is_left_nothing_stays_but_what_waits_to_be_sent() {
    let home = Home::new();
    let mut store = home.open().store;
    let room = RoomId::named(&named("build"), 0);
    let waiting = OutboxEntry {
        room,
        enter: Some(named("build")),
        ..entry(1, "still to be sent", None)
    };
    store.keep(vec![
        opened(1, 1, 3),
        messages(1, 1, 3),
        start(room, RoomInfo::public(named("build")), ReadState::default()),
        entries_in(room),
        StoreChange::Draft {
            room,
            text: "hidden draft".to_owned(),
        },
        StoreChange::Entry(waiting.clone()),
    ]);
    store.keep(vec![StoreChange::RoomLeft(room)]);
    drop(store);
    let reopened = home.open();
    let rooms: Vec<_> = reopened
        .rooms
        .iter()
        .map(|restored| restored.room)
        .collect();
    assert_eq!(rooms, [lobby()]);
    assert_eq!(reopened.rooms[0].page.entries.len(), 3);
    assert_eq!(reopened.kept.outbox.entries, [waiting]);
    drop(reopened);
    let database = Connection::open(home.file()).unwrap();
    database
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    drop(database);
    let bytes = fs::read(home.file()).unwrap();
    for words in ["hidden words", "hidden draft"] {
        let found = memchr::memmem::find(&bytes, words.as_bytes());
        assert_eq!(found, None, "{words}");
    }
    // Left once more, and entered again.
    let mut store = home.open().store;
    store.keep(vec![
        StoreChange::RoomLeft(room),
        start(room, RoomInfo::public(named("build")), ReadState::default()),
    ]);
    assert_eq!(home.open().rooms.len(), 2);
}

#[test]
fn whom_a_message_mentions_comes_back() {
    let home = Home::new();
    let mut store = home.open().store;
    let mentioning = |seq, users: &[u8], everyone| {
        let mut entry = message(seq, "hi");
        if let EntryKind::Text(text) = &mut entry.kind {
            text.mentions = Mentions {
                users: users
                    .iter()
                    .map(|user| UserId::from_bytes([*user; 12]))
                    .collect(),
                everyone,
            };
        }
        entry
    };
    let entries = vec![
        mentioning(1, &[], false),
        mentioning(2, &[7, 8], false),
        mentioning(3, &[], true),
        mentioning(4, &[9], true),
    ];
    let range = EntryRange::of(lobby(), epoch(1), entries.clone());
    store.keep(vec![opened(1, 1, 4), StoreChange::Entries(range)]);
    assert_eq!(home.open().rooms[0].page.entries, entries);
}

/// An older program named rooms by what they were called then.
#[test]
fn rooms_that_an_older_program_stored_by_name_get_their_ids() {
    let home = Home::new();
    let mut store = home.open().store;
    store.keep(vec![
        opened(1, 1, 2),
        messages(1, 1, 2),
        StoreChange::Entry(entry(1, "to the lobby", None)),
        StoreChange::Entry(entry(2, "to build", None)),
    ]);
    drop(store);
    let database = Connection::open(home.file()).unwrap();
    database
        .execute_batch(
            "ALTER TABLE room RENAME COLUMN room TO name;
             ALTER TABLE room DROP COLUMN info;
             ALTER TABLE room DROP COLUMN state;
             ALTER TABLE room ADD COLUMN topic TEXT;
             ALTER TABLE room ADD COLUMN read INTEGER NOT NULL DEFAULT 0;
             ALTER TABLE outbox DROP COLUMN enter;
             ALTER TABLE submitted DROP COLUMN enter;
             ALTER TABLE message DROP COLUMN mentions;
             UPDATE room SET name = 'build', topic = 'release day', read = 2;
             UPDATE outbox SET room = 'build' WHERE key = 2;
             INSERT INTO draft (client, room, body) VALUES ('3', 'build', 'half a');
             PRAGMA user_version = 6;",
        )
        .unwrap();
    drop(database);
    let opened = home.open();
    let id = RoomId::named(&named("build"), 0);
    let [restored] = opened.rooms.as_slice() else {
        panic!("{:?}", opened.rooms);
    };
    assert_eq!(restored.room, id);
    assert_eq!(restored.info.name, Some(named("build")));
    assert_eq!(restored.info.rules.topic, Some(Line::inert("release day")));
    assert_eq!(restored.read.marker, read_to(2));
    assert_eq!(restored.draft, "half a");
    assert_eq!(restored.page.entries.len(), 2);
    let waiting = &opened.kept.outbox.entries;
    let rooms: Vec<_> = waiting
        .iter()
        .map(|entry| (entry.room, entry.enter.clone()))
        .collect();
    assert_eq!(rooms, [(lobby(), None), (id, Some(named("build")))]);
}
