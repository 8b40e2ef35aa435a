//! Mentions on disk: through upgrades, exports, restarts and damage.

use super::*;
use crate::{
    protocol::UserId,
    server::log::{
        Readable,
        conformance::mentions::{edit, inbox, mentioning, redaction, submit, unread},
    },
};

fn told(store: &mut SqliteStore, name: u8) -> Vec<u64> {
    let all = inbox(store, name).into_iter();
    all.map(|(room, seq)| {
        assert_eq!(room, LOBBY);
        seq
    })
    .collect()
}

fn rows(store: &SqliteStore) -> i64 {
    let count = "SELECT count(*) FROM mention";
    let count = store.connection.query_row(count, [], |row| row.get(0));
    count.unwrap()
}

#[test]
fn a_log_of_before_there_were_mentions_goes_on_with_them() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    append(&mut store, 1, [message(1, 1), message(2, 1)]);
    append(&mut store, 1, [submit(1, (1, 2), edit(id(1, 1), "new"))]);
    drop(store);
    let earlier = Connection::open(directory.path().join("log.db")).unwrap();
    earlier
        .execute_batch(
            "DROP TABLE mention; ALTER TABLE entry DROP COLUMN author; PRAGMA user_version = 5;",
        )
        .unwrap();
    drop(earlier);
    let mut store = open(directory.path());
    append(&mut store, 2, [mentioning(message(1, 3), &[2])]);
    assert_eq!(told(&mut store, 2), [4]);
    // Also entries of before count.
    assert_eq!(unread(&mut store, 1, 0), (1, 0));
    assert_eq!(unread(&mut store, 2, 0), (2, 1));
    append(&mut store, 2, [submit(1, (1, 4), redaction(id(1, 1)))]);
    assert_eq!(unread(&mut store, 2, 0), (1, 1));
    assert!(told(&mut store, 3).is_empty());
    drop(store);
    let mut store = open(directory.path());
    assert_eq!(told(&mut store, 2), [4]);
    let mut reader = store.reader().unwrap().unwrap();
    assert_eq!(inbox(&mut *reader, 2), [(LOBBY, 4)]);
    assert_eq!(unread(&mut *reader, 2, 0), (1, 1));
}

#[test]
fn an_export_has_the_mentions_and_an_import_tells_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    let batch = [
        mentioning(message(1, 1), &[2]),
        mentioning(message(1, 2), &[0, 3]),
        mentioning(submit(1, (1, 3), edit(id(1, 1), "new")), &[4]),
        mentioning(message(1, 4), &[2]),
        submit(1, (1, 5), redaction(id(1, 4))),
    ];
    append(&mut store, 1, batch);
    drop(store);
    let mut lines = Vec::new();
    maintenance::export(directory.path(), &lobby(), &mut lines).unwrap();
    let other = tempfile::tempdir().unwrap();
    maintenance::import(other.path(), &lobby(), &mut &lines[..]).unwrap();
    let mut store = open(other.path());
    // Whom only a former text mentioned, the export does not know.
    for (name, expected) in [(1, &[][..]), (2, &[2]), (3, &[2]), (4, &[2, 1])] {
        let mut found = told(&mut store, name);
        found.sort_unstable();
        found.reverse();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn live_frames_are_imported_with_the_mentions_that_stay() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    let mut lines = Vec::new();
    for operation in [
        mentioning(message(1, 1), &[2]),
        mentioning(submit(1, (1, 2), edit(id(1, 1), "new")), &[3]),
        mentioning(message(1, 3), &[2]),
        submit(1, (1, 4), redaction(id(1, 3))),
    ] {
        let committed = append(&mut store, 1, [operation]);
        lines.extend_from_slice(committed.runs[0].segment.bytes());
    }
    let other = tempfile::tempdir().unwrap();
    maintenance::import(other.path(), &lobby(), &mut &lines[..]).unwrap();
    let mut store = open(other.path());
    assert_eq!(
        (told(&mut store, 2), told(&mut store, 3)),
        (vec![1], vec![1])
    );
    assert_eq!(rows(&store), 2);
}

#[test]
fn a_mention_of_a_damaged_or_missing_entry_is_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    let batch = (1..=6).map(|counter| mentioning(message(1, counter), &[2]));
    append(&mut store, 1, batch.collect::<Vec<_>>());
    let key = |seq| schema::entry_key(1, seq);
    let damage = format!(
        "UPDATE entry SET frame = x'00' WHERE id = {};
         UPDATE mention SET entry = {} WHERE entry = {};
         UPDATE mention SET entry = {} WHERE entry = {};",
        key(2),
        key(99),
        key(3),
        schema::entry_key(7, 1),
        key(4),
    );
    store.connection.execute_batch(&damage).unwrap();
    assert_eq!(told(&mut store, 2), [6, 5, 1]);
    // What can't be read counts for nobody.
    let user = UserId::from_bytes([2; 12]);
    store
        .connection
        .execute_batch("UPDATE entry SET author = NULL WHERE id % 2 = 0")
        .unwrap();
    assert_eq!(unread(&mut store, 2, 0), (5, 4));
    let room = LOBBY;
    let ranges = vec![0..=u64::MAX];
    let page = store.inbox(user, &[Readable { room, ranges }], Some(0));
    assert!(page.unwrap().frames.is_empty());
}
