//! The index, as the log in SQLite maintains it.

use std::sync::Arc;

use super::*;
use crate::{
    protocol::{Content, Role, RoomName, frame::Member},
    server::{
        event_log::EventLog,
        log::{Batch, LogWriter, Operation, Reader, Retention, Store, conformance::extent},
        store::{
            SqliteStore,
            sqlite::{Compact, Durability, Settings},
        },
        supervisor::Supervisor,
    },
};

fn open(folder: &Path) -> SqliteStore {
    let settings = Settings {
        directory: folder.to_owned(),
        durability: Durability::Relaxed,
        index: true,
        compact: Compact::Never,
        recorder: EventLog::none(),
        supervisor: Supervisor::default(),
    };
    SqliteStore::open(&settings).unwrap()
}

fn commit(store: &mut SqliteStore, operations: Vec<Operation>) {
    let now = Timestamp::UNIX_EPOCH;
    store.append(Batch::new(now, operations)).unwrap();
}

fn id(counter: u64) -> MessageId {
    MessageId {
        device: DeviceId::from_bytes([1; 12]),
        counter,
    }
}

fn say(counter: u64, text: &str) -> Operation {
    write(counter, Content::Text(Body::inert(text)))
}

fn write(counter: u64, content: Content) -> Operation {
    Operation::Append {
        id: id(counter),
        settled: 0,
        room: ROOM,
        sender: Arc::new(Member {
            user: UserId::from_bytes([1; 12]),
            nickname: Nickname::parse("alice").unwrap(),
            since: Timestamp::UNIX_EPOCH,
            role: Role::Member,
        }),
        content,
        mentions: Mentions::NONE,
        moderates: false,
    }
}

/// All results of a search, page after page.
fn find(reader: &mut dyn Reader, written: &str) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut to = u64::MAX;
    loop {
        let found: Found = reader.search(ROOM, &query(written), to).unwrap();
        numbers.extend(found.frames.iter().map(|frame| message(frame).unwrap().seq));
        if found.from <= found.extent.first {
            return numbers;
        }
        to = found.from - 1;
    }
}

fn indexed(reader: &mut dyn Reader) -> u64 {
    reader.search(ROOM, &query("x"), 0).unwrap().indexed
}

#[test]
fn the_whole_log_is_searched_and_what_is_no_longer_kept_is_gone() {
    const LAST: u64 = 7_000;
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let text = |seq: u64| format!("entry number{seq} {}", if seq < 3 { "hapax" } else { "" });
    for first in (1..=LAST).step_by(500) {
        let all = (first..first + 500).map(|seq| say(seq, &text(seq)));
        commit(&mut store, all.collect());
    }
    let mut reader = store.reader().unwrap().unwrap();
    until(|| indexed(&mut *reader) == LAST);
    assert_eq!(find(&mut *reader, "hapax"), [2, 1]);
    assert_eq!(find(&mut *reader, "number69*").len(), 111);
    assert_eq!(
        find(&mut *reader, "entry"),
        (1..=LAST).rev().collect::<Vec<_>>()
    );

    until(|| {
        let retention = Retention {
            keep_since: None,
            messages_max: Some(LAST - 300),
            bytes_max: None,
        };
        commit(&mut store, vec![Operation::Retain(retention)]);
        extent(&store, ROOM).first == 301
    });
    assert_eq!(find(&mut *reader, "hapax"), [0; 0]);
    assert_eq!(find(&mut *reader, "number301"), [301]);
    let index = |suffix: &str| fs::read(folder.path().join(format!("index.db{suffix}")));
    let bytes = [index("").unwrap(), index("-wal").unwrap_or_default()].concat();
    assert!(!contains(&bytes, "hapax"));
    drop(store);
    let store = open(folder.path());
    let mut reader = store.reader().unwrap().unwrap();
    until(|| indexed(&mut *reader) == LAST);
    assert_eq!(find(&mut *reader, "number4*").len(), 1_100);
}

#[test]
fn former_words_of_edited_and_erased_messages_leave_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path());
    let is_there = |word: &str| {
        let read = |suffix| fs::read(folder.path().join(format!("index.db{suffix}")));
        let bytes = [
            read("").unwrap_or_default(),
            read("-wal").unwrap_or_default(),
        ]
        .concat();
        contains(&bytes, word)
    };
    commit(
        &mut store,
        vec![say(1, "aardvark"), say(2, "buffalo"), say(3, "crocodile")],
    );
    until(|| {
        ["aardvark", "buffalo", "crocodile"]
            .into_iter()
            .all(is_there)
    });
    let (target, body) = (id(1), Body::inert("dromedary"));
    commit(&mut store, vec![write(4, Content::Edit { target, body })]);
    until(|| is_there("dromedary") && !is_there("aardvark"));
    let (target, reason) = (id(2), None);
    let redaction = Content::Redaction { target, reason };
    commit(&mut store, vec![write(5, redaction)]);
    until(|| !is_there("buffalo"));
    let mut reader = store.reader().unwrap().unwrap();
    assert_eq!(find(&mut *reader, "from:alice"), [3, 1]);
    assert_eq!(find(&mut *reader, "dromedary"), [1]);
    assert_eq!(find(&mut *reader, "buffalo"), [0; 0]);
    assert!(is_there("crocodile"));
}

#[test]
fn a_room_that_an_older_index_named_goes_on_and_rooms_that_are_new_are_indexed() {
    let folder = tempfile::tempdir().unwrap();
    let name = RoomName::parse("build").unwrap();
    let room = RoomId::named(&name, 0);
    let say_in = |room, counter, text| {
        let mut operation = say(counter, text);
        if let Operation::Append { room: its, .. } = &mut operation {
            *its = room;
        }
        operation
    };
    let finds = |store: &SqliteStore, room: RoomId, word: &str| {
        let mut reader = store.reader().unwrap().unwrap();
        let found = reader.search(room, &query(word), u64::MAX).unwrap();
        let frames = found.frames.iter();
        let seqs = frames.map(|frame| message(frame).unwrap().seq).collect();
        (found.indexed, seqs)
    };
    let path = folder.path().join("index.db");
    let ask = |sql: &str| -> i64 {
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let indexed = "SELECT coalesce(sum(indexed), 0) FROM rooms";
    let mut store = open(folder.path());
    commit(&mut store, vec![say_in(room, 1, "old aardvark")]);
    until(|| path.exists() && ask("SELECT count(*) FROM sqlite_schema") > 0 && ask(indexed) == 1);
    drop(store);
    let connection = rusqlite::Connection::open(&path).unwrap();
    let rename = "UPDATE rooms SET name = ?2 WHERE name = ?1";
    let renamed = connection.execute(rename, [&room.to_string(), name.as_str()]);
    assert_eq!(renamed, Ok(1));
    drop(connection);
    let mut store = open(folder.path());
    commit(&mut store, vec![say_in(room, 2, "new aardvark")]);
    commit(&mut store, vec![say_in(OTHER, 3, "other aardvark")]);
    until(|| ask(indexed) == 3);
    assert_eq!(finds(&store, room, "aardvark"), (2, vec![2, 1]));
    assert_eq!(finds(&store, OTHER, "aardvark"), (1, vec![1]));
    assert_eq!(ask("SELECT count(*) FROM rooms"), 2);
    assert_eq!(ask("SELECT max(id) FROM blocks"), 1, "it was not made anew");
}
