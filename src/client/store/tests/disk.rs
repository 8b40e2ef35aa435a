//! Tests the caches' disk space, and what is dropped first.

use crate::protocol::Entry;
use std::time::{Duration, SystemTime};

use super::*;

const MIB: u64 = 1 << 20;

fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

fn open_room(name: &str, head: u64) -> StoreChange {
    StoreChange::Room {
        epoch: epoch(1),
        folded: 0,
        start: RoomStart {
            changed: 0,
            redacted: 0,
            room: room(name),
            info: RoomInfo::public(RoomName::lobby()),
            read: ReadState::default(),
            extent: Extent::new(1, head),
            next: head + 1,
            reset: None,
        },
    }
}

/// Many messages of about 200 bytes.
fn talk(name: &str, from: u64, to: u64) -> StoreChange {
    let text = "x".repeat(200);
    StoreChange::Entries(EntryRange::of(
        room(name),
        epoch(1),
        (from..=to)
            .map(|seq| Entry {
                room: room(name),
                ..message(seq, &text)
            })
            .collect(),
    ))
}

impl Store {
    fn live(&self) -> u64 {
        let query = "SELECT (page_count - freelist_count) * page_size
                     FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
        self.database
            .query_row(query, (), |row| device::number(row, 0))
            .unwrap()
    }

    /// The ranges of a room; also checks that every message in them is stored, and no other.
    fn held(&self, name: &str) -> Vec<(u64, u64)> {
        let mut select = self
            .database
            .prepare(
                "SELECT range.first, last,
                     (SELECT count(*) FROM message
                      WHERE message.log = room.log AND seq BETWEEN range.first AND last)
                 FROM range JOIN room USING (log) WHERE room = ? ORDER BY 1",
            )
            .unwrap();
        let rows = select.query_map([room(name).to_string()], |row| {
            let (first, last) = (device::number(row, 0)?, device::number(row, 1)?);
            assert_eq!(device::number(row, 2)?, last + 1 - first);
            Ok((first, last))
        });
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// Checks that every stored message is in a range of a room.
    fn check(&self) {
        let rooms = ["lobby", "build"].map(|name| self.held(name));
        let ranges = rooms.iter().flatten();
        let held: u64 = ranges.map(|(first, last)| last + 1 - first).sum();
        assert_eq!(self.count(), i64::try_from(held).unwrap());
    }

    fn entries(&self) -> i64 {
        self.database
            .query_row("SELECT count(*) FROM outbox", (), |row| row.get(0))
            .unwrap()
    }
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

#[test]
fn all_that_is_kept_takes_so_many_bytes_and_the_oldest_go() {
    let home = Home::new();
    let mut store = home.open().store;
    store.budget.bytes_max = MIB;
    store.keep(vec![open_room("lobby", 20_000), open_room("build", 20_000)]);
    store.keep(vec![talk("build", 1, 300)]);
    for round in 0..40 {
        store.keep(vec![talk("lobby", round * 500 + 1, round * 500 + 500)]);
        assert!(store.live() <= MIB, "{}", store.live());
        assert!(size(&home.file()) <= MIB);
        store.check();
    }
    let held = store.held("lobby");
    assert_eq!((held.len(), held[0].1), (1, 20_000));
    assert!(held[0].0 < 20_000 - 1_000, "{held:?}");
    assert_eq!(
        store.held("build"),
        [(1, 300)],
        "the room that has most pays"
    );
    // With its write-ahead log, which is truncated.
    let log = home.file().with_extension("db-wal");
    assert!(size(&log) <= 12 * MIB, "{}", size(&log));
}

#[test]
fn of_each_room_the_latest_message_stays_for_the_next_start_to_go_on_from() {
    let home = Home::new();
    let mut store = home.open().store;
    store.budget.bytes_max = 0;
    store.keep(vec![open_room("lobby", 90), open_room("build", 90)]);
    store.keep(vec![
        talk("lobby", 1, 40),
        talk("lobby", 60, 90),
        talk("build", 1, 70),
        StoreChange::Entry(entry(1, "not sent yet", None)),
    ]);
    assert_eq!(store.held("lobby"), [(90, 90)]);
    assert_eq!(store.held("build"), [(70, 70)]);
    store.check();
    drop(store);
    let opened = home.open();
    let seqs: Vec<_> = opened
        .kept
        .rooms
        .iter()
        .map(|room| room.position.seq)
        .collect();
    assert_eq!(seqs, [70, 90]);
    assert_eq!(opened.kept.outbox.entries.len(), 1);
}

#[test]
fn where_little_of_the_disk_is_free_the_caches_give_way_and_the_outbox_does_not() {
    let home = Home::new();
    let mut store = home.open().store;
    store.keep(vec![open_room("lobby", 9_000), talk("lobby", 1, 1_000)]);
    let before = store.live();
    store.budget.disk = Some((0, u64::MAX));
    for round in 2..9 {
        let key = round - 1;
        store.keep(vec![
            talk("lobby", (round - 1) * 1_000 + 1, round * 1_000),
            StoreChange::Entry(entry(key, "mine", None)),
        ]);
        store.check();
    }
    assert!(store.live() < before / 2, "{} of {before}", store.live());
    assert_eq!(store.held("lobby"), [(1_000, 1_000)]);
    assert_eq!(store.entries(), 7);
    // With space again, new messages are stored: those between are a gap.
    store.budget.disk = Some((u64::MAX, u64::MAX));
    store.keep(vec![talk("lobby", 8_001, 9_000)]);
    assert_eq!(store.held("lobby"), [(1_000, 1_000), (8_001, 9_000)]);
}

#[test]
fn a_profile_that_is_not_used_makes_room_for_the_one_that_is() {
    let home = Home::new();
    let other = |nickname: &str, idle: bool| {
        let mut store = home.open_as(nickname, "3").store;
        store.keep(vec![
            open_room("lobby", 9_000),
            talk("lobby", 1, 9_000),
            StoreChange::Entry(entry(1, "not sent yet", None)),
        ]);
        drop(store);
        let path = paths::file(&home.profile(nickname, "3"));
        if idle {
            let long_ago = SystemTime::now() - Duration::from_hours(9);
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(long_ago).unwrap();
        }
        path
    };
    let (idle, busy) = (other("alice", true), other("bob", false));
    let (idle_before, busy_before) = (size(&idle), size(&busy));
    assert!(idle_before > MIB && busy_before > MIB);
    let mut store = home.open().store;
    store.budget.bytes_max = busy_before + MIB;
    store.keep(vec![open_room("lobby", 9_000)]);
    for round in 0..9 {
        store.keep(vec![talk("lobby", round * 200 + 1, round * 200 + 200)]);
    }
    assert!(size(&idle) < MIB / 4, "{} of {idle_before}", size(&idle));
    assert_eq!(size(&busy), busy_before);
    assert!(store.live() <= MIB);
    let held = store.held("lobby");
    assert!(held.last().unwrap().0 < 1_700, "{held:?}");
    // It lost nothing that others do not have, and kept its position.
    let alice = home.open_as("alice", "3");
    assert_eq!(alice.kept.outbox.entries.len(), 1);
    assert_eq!(alice.kept.rooms[0].position.seq, 9_000);
}

#[test]
fn on_a_full_disk_messages_go_before_anything_of_the_outbox_is_refused() {
    let home = Home::new();
    let mut store = home.open().store;
    store.keep(vec![open_room("lobby", 9_000), talk("lobby", 1, 3_000)]);
    let pages: i64 = store
        .database
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    // SQLite then reports a full disk.
    let full: i64 = store
        .database
        .pragma_update_and_check(None, "max_page_count", pages, |row| row.get(0))
        .unwrap();
    assert_eq!(full, pages);
    let long = "y".repeat(10_000);
    for key in 1..=40 {
        store.keep(vec![
            StoreChange::Entry(entry(key, &long, Some(key))),
            StoreChange::NextCounter(key + 1),
            talk("lobby", 3_000 + key, 3_000 + key),
        ]);
        store.check();
    }
    assert_eq!(store.entries(), 40);
    assert!(store.held("lobby").last().unwrap().1 >= 3_000);
    // New messages alone do not displace others.
    let save = Save {
        changes: vec![talk("lobby", 4_000, 9_000)],
    };
    assert!(matches!(store.save(&save), Err(SaveError::Failed(_))));
    // If no room can be made, the save is refused with a reason.
    let too_much = (41..=400).map(|key| StoreChange::Entry(entry(key, &long, None)));
    let save = Save {
        changes: too_much.collect(),
    };
    let Err(SaveError::Failed(why)) = store.save(&save) else {
        panic!("it fits");
    };
    assert_eq!(why.as_str(), "there is no room left on the disk");
    assert_eq!(store.entries(), 40);
    store.check();
}
