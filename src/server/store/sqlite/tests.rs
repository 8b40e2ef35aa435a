use std::{fs, path::Path, time::Duration};

use super::{maintenance::NamedRoom, *};
use crate::{
    protocol::{Extent, RoomName},
    server::log::{
        MessageOutcome, OpResult, Operation, Retention,
        conformance::{
            self, LOBBY, append, at, extent, id, message, message_in, settings, spend, stored,
        },
        semantics,
    },
};
use jiff::SignedDuration;

mod entries;
mod mentions;
mod removal;
mod rooms;

pub(super) fn lobby() -> NamedRoom {
    NamedRoom::from(&RoomName::lobby())
}

pub(super) fn open(directory: &Path) -> SqliteStore {
    SqliteStore::open(&settings(directory)).unwrap()
}

fn open_relaxed(directory: &Path) -> SqliteStore {
    let settings = Settings {
        durability: Durability::Relaxed,
        ..settings(directory)
    };
    SqliteStore::open(&settings).unwrap()
}

fn refusal(directory: &Path) -> OpenError {
    SqliteStore::open(&settings(directory)).unwrap_err()
}

/// Copies the files that a process killed now would leave behind.
pub(super) fn killed(directory: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in ["log.db", "log.db-wal"] {
        fs::copy(directory.join(name), copy.path().join(name)).unwrap();
    }
    copy
}

fn holds(path: &Path, text: &str) -> bool {
    let bytes = fs::read(path).unwrap_or_default();
    memchr::memmem::find(&bytes, text.as_bytes()).is_some()
}

fn retain(store: &mut SqliteStore, messages: u64) -> OpResult {
    let retain = Operation::Retain(Retention {
        keep_since: None,
        messages_max: Some(messages),
        bytes_max: None,
    });
    append(store, 1, [retain]).results.remove(0)
}

#[test]
fn committed_batches_are_there_after_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    append(&mut store, 10, [message(1, 1), spend(1, 2, None)]);
    let copy = killed(directory.path());
    let mut again = open(copy.path());
    assert_eq!(again.epoch(), store.epoch());
    assert_eq!(again.extents(), store.extents());
    let committed = append(&mut again, 5, [message(1, 1), message(1, 2), message(1, 3)]);
    assert_eq!(
        committed.results,
        [
            OpResult::Repeated(stored(1, 10)),
            OpResult::Repeated(MessageOutcome::Withdrawn),
            OpResult::Done(stored(2, 10)),
        ]
    );
}

#[test]
fn the_epoch_is_new_after_an_unclean_end_without_syncs_only() {
    let directory = tempfile::tempdir().unwrap();
    let epoch = open(directory.path()).epoch();
    // After clean ends.
    assert_eq!(open_relaxed(directory.path()).epoch(), epoch);
    assert_eq!(open(directory.path()).epoch(), epoch);
    let mut store = open_relaxed(directory.path());
    assert_eq!(store.epoch(), epoch);
    append(&mut store, 1, [message(1, 1)]);
    let copy = killed(directory.path());
    drop(store);
    assert_eq!(open(directory.path()).epoch(), epoch);

    let after = open(copy.path()).epoch();
    assert_ne!(after, epoch);
    assert_eq!(open(copy.path()).epoch(), after);
}

/// A reader of the log's present state, until it is dropped.
fn hold(directory: &Path) -> Connection {
    let reader = Connection::open(directory.join("log.db")).unwrap();
    let held = "BEGIN; SELECT count(*) FROM entry";
    for sql in held.split("; ") {
        let mut statement = reader.prepare(sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        while rows.next().unwrap().is_some() {}
    }
    reader
}

#[test]
fn while_somebody_reads_the_end_is_in_order_and_the_start_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open_relaxed(directory.path());
    append(&mut store, 1, [message(1, 1)]);
    let reader = hold(directory.path());
    append(&mut store, 2, [message(1, 2)]);
    let epoch = store.epoch();
    drop(store);
    let wal = directory.path().join("log.db-wal");
    let before = fs::read(&wal).unwrap();
    assert!(!before.is_empty());
    let mut store = open_relaxed(directory.path());
    assert_eq!((store.epoch(), extent(&store, LOBBY).head), (epoch, 2));
    append(&mut store, 3, [message(1, 3)]);
    // As soon as no reader is in the way, the rest is done.
    drop(reader);
    store.checkpoints.as_ref().unwrap().settle();
    assert!(fs::read(&wal).unwrap().is_empty());
    drop(store);
    assert_eq!(extent(&open(directory.path()), LOBBY).head, 3);
}

#[test]
fn two_data_directories_hold_two_logs() {
    let directory = tempfile::tempdir().unwrap();
    let one = open(&directory.path().join("one"));
    let two = open(&directory.path().join("two"));
    assert_ne!(one.epoch(), two.epoch());
}

#[test]
fn a_second_server_is_kept_out_and_told_by_whom() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let said = refusal(directory.path()).to_string();
    let process = format!("in use by another server (process {})", std::process::id());
    assert!(said.contains(&process), "{said}");
    drop(store);
    drop(open(directory.path()));
}

type Change<'a> = &'a dyn Fn(&Path);

#[test]
fn other_or_damaged_databases_are_refused_and_left_as_they_are() {
    let sql = |path: &Path, sql: &str| {
        let connection = Connection::open(path).unwrap();
        connection.execute_batch(sql).unwrap();
    };
    let cases: [(&str, Change<'_>, &str); 8] = [
        (
            "another program's",
            &|path| fs::write(path, "something else, and long enough ".repeat(10)).unwrap(),
            "is not a database of chat-server",
        ),
        (
            "another program's database",
            &|path| sql(path, "PRAGMA application_id = 1"),
            "is not a database of chat-server",
        ),
        (
            "a newer version's",
            &|path| sql(path, "PRAGMA user_version = 99"),
            "was made by a newer version",
        ),
        ("nothing", &|path| fs::write(path, "").unwrap(), "cut off"),
        (
            "cut off",
            &|path| {
                let file = fs::File::options().write(true).open(path).unwrap();
                file.set_len(8_192).unwrap();
            },
            "is damaged",
        ),
        (
            "overwritten",
            &|path| {
                let mut bytes = fs::read(path).unwrap();
                bytes[4_096..].fill(0x5a);
                fs::write(path, bytes).unwrap();
            },
            "is damaged",
        ),
        (
            "without its last message",
            &|path| {
                sql(
                    path,
                    "DELETE FROM entry WHERE id = (SELECT max(id) FROM entry)",
                );
            },
            "is damaged",
        ),
        (
            "with a message that is none",
            &|path| sql(path, "UPDATE entry SET frame = x'00'"),
            "is damaged",
        ),
    ];
    for (name, change, expected) in cases {
        let directory = tempfile::tempdir().unwrap();
        append(
            &mut open(directory.path()),
            1,
            [message(1, 1), message(1, 2)],
        );
        let path = directory.path().join("log.db");
        change(&path);
        let before = fs::read(&path).unwrap();
        let said = refusal(directory.path()).to_string();
        assert!(said.contains(expected), "{name}: {said}");
        assert!(said.contains(&path.display().to_string()), "{name}: {said}");
        assert_eq!(fs::read(&path).unwrap(), before, "{name}");
    }
}

#[cfg(unix)]
#[test]
fn nothing_is_made_where_there_may_be_a_log() {
    use std::os::unix::fs::symlink;
    let cases: [(&str, Change<'_>, &str); 5] = [
        (
            "moved away without its write-ahead log",
            &|path| fs::rename(path, path.with_file_name("aside.db")).unwrap(),
            "Put the database back, or move both away",
        ),
        (
            "a link to a disk that is not there",
            &|path| {
                fs::remove_file(path).unwrap();
                symlink("/nowhere/log.db", path).unwrap();
            },
            "is a link",
        ),
        (
            "a link to another directory's",
            &|path| {
                let elsewhere = path.with_file_name("elsewhere.db");
                fs::rename(path, &elsewhere).unwrap();
                symlink(elsewhere, path).unwrap();
            },
            "is a link",
        ),
        (
            "a directory",
            &|path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
            "is not a database of chat-server",
        ),
        (
            "a mark that leads nowhere",
            &|path| {
                let directory = path.parent().unwrap();
                fs::remove_file(path).unwrap();
                symlink("restoring", directory.join("restoring")).unwrap();
            },
            "was interrupted",
        ),
    ];
    for (name, change, expected) in cases {
        let directory = tempfile::tempdir().unwrap();
        append(&mut open(directory.path()), 1, [message(1, 1)]);
        let copy = {
            let mut store = open(directory.path());
            append(&mut store, 1, [message(1, 2)]);
            killed(directory.path())
        };
        let path = copy.path().join("log.db");
        change(&path);
        let wal = fs::read(copy.path().join("log.db-wal")).unwrap();
        assert!(!wal.is_empty());
        let before = path.symlink_metadata().ok().map(|found| found.file_type());
        let said = refusal(copy.path()).to_string();
        assert!(said.contains(expected), "{name}: {said}");
        let room = NamedRoom::from(&RoomName::parse("coffee").unwrap());
        let imported = maintenance::import(copy.path(), &room, &mut &b""[..]);
        let said = imported.unwrap_err().to_string();
        assert!(said.contains(expected), "{name}: {said}");
        let after = path.symlink_metadata().ok().map(|found| found.file_type());
        assert_eq!(after, before, "{name}");
        assert_eq!(fs::read(copy.path().join("log.db-wal")).unwrap(), wal);
    }
}

#[test]
fn whether_a_log_is_new_can_be_told() {
    let directory = tempfile::tempdir().unwrap();
    assert!(open(directory.path()).is_new());
    assert!(!open(directory.path()).is_new());
}

#[test]
fn a_half_restored_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    fs::write(directory.path().join("restoring"), "").unwrap();
    let said = refusal(directory.path()).to_string();
    assert!(said.contains("Run it again"), "{said}");
}

#[test]
fn a_directory_that_cannot_be_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [&file, &file.join("below")] {
        let error = refusal(path);
        assert!(matches!(error, OpenError::Directory(..)), "{error:?}");
        assert!(error.to_string().contains("--data-dir"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_system_without_shared_memory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    // SQLite's fallback for file locks does not support a write-ahead log.
    let opened = SqliteStore::open_on(&settings(directory.path()), Some("unix-dotfile"));
    let error = opened.unwrap_err();
    assert!(matches!(error, OpenError::NoWal(_)), "{error:?}");
    assert!(!directory.path().join("log.db").exists());
}

#[cfg(unix)]
#[test]
fn other_users_can_read_no_file() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("new/data");
    let mut store = open(&data);
    append(&mut store, 1, [message(1, 1)]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for entry in fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{path:?}");
    }
}

#[test]
fn a_creation_that_was_interrupted_is_begun_anew() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("new.db"), "half").unwrap();
    fs::write(directory.path().join("new.db-wal"), "half").unwrap();
    append(&mut open(directory.path()), 1, [message(1, 1)]);
    assert!(!directory.path().join("new.db").exists());
}

pub(super) fn pages(store: &SqliteStore) -> i64 {
    let connection = &store.connection;
    let pages = connection.pragma_query_value(None, "page_count", |row| row.get(0));
    pages.unwrap()
}

/// Limits the disk to so many pages.
pub(super) fn limit(store: &SqliteStore, pages: i64) {
    let set = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    let set = store
        .connection
        .pragma_update_and_check(None, "max_page_count", pages, set);
    assert_eq!(set.unwrap(), pages);
}

#[test]
fn on_a_full_disk_devices_are_opened_and_the_refusal_is_told_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    append(&mut store, 1, [message(1, 1)]);
    limit(&store, pages(&store));
    let long = "x".repeat(10_000);
    let full = |store: &mut SqliteStore| {
        let batch = Batch {
            now: at(2),
            correction: SignedDuration::ZERO,
            operations: vec![
                conformance::open(1, None, &[]),
                message_in(LOBBY, 1, 2, &long),
            ],
        };
        assert_eq!(store.append(batch).unwrap_err(), StoreError::Refused);
    };
    full(&mut store);
    let told = store.refusals.told_at;
    assert!(told.is_some());
    for _ in 0..3 {
        // A known device, and one that states its own counter.
        let opens = [
            conformance::open(1, None, &[(LOBBY, 1)]),
            conformance::open(2, Some(8), &[]),
        ];
        let opened = append(&mut store, 2, opens).results;
        let expected = [(1, vec![Some(id(1, 1))]), (7, vec![])];
        assert_eq!(
            opened,
            expected.map(|(counter, ids)| OpResult::Opened {
                counter,
                ids,
                unread: Vec::new(),
            })
        );
        // Nothing is written for this one either.
        append(&mut store, 2, [message(3, 5)]);
        full(&mut store);
        assert_eq!(store.refusals.told_at, told);
    }
    limit(&store, 10_000);
    append(&mut store, 3, [message(1, 2)]);
    assert!(!store.refusals.refusing && !store.refusals.told);
}

#[test]
fn a_full_disk_refuses_and_service_resumes_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    append(&mut store, 1, [message(1, 1)]);
    let pages = pages(&store);
    limit(&store, pages);
    let long = "x".repeat(10_000);
    let batch = || Batch {
        now: at(2),
        correction: SignedDuration::ZERO,
        operations: vec![message(1, 2), message_in(LOBBY, 1, 3, &long)],
    };
    let mut reader = store.reader().unwrap().unwrap();
    for _ in 0..2 {
        assert_eq!(store.append(batch()).unwrap_err(), StoreError::Refused);
        assert_eq!(extent(&store, LOBBY).head, 1);
        assert_eq!(reader.read(LOBBY, 1, 10_000).unwrap().next(), 2);
    }
    limit(&store, 10_000);
    let committed = store.append(batch()).unwrap();
    assert_eq!(
        committed.results,
        [OpResult::Done(stored(2, 2)), OpResult::Done(stored(3, 2))]
    );
    drop(store);
    assert_eq!(extent(&open(directory.path()), LOBBY).head, 3);
}

#[test]
fn after_a_failure_nothing_more_is_stored_and_the_files_stay_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    append(&mut store, 1, [message(1, 1)]);
    store.fail(StoreError::InDoubt, "A test");
    for _ in 0..2 {
        let batch = Batch {
            now: at(2),
            correction: SignedDuration::ZERO,
            operations: vec![message(1, 2)],
        };
        assert_eq!(store.append(batch).unwrap_err(), StoreError::Fatal);
    }
    let wal = directory.path().join("log.db-wal");
    let before = fs::read(&wal).unwrap();
    assert!(!before.is_empty());
    drop(store);
    assert_eq!(fs::read(&wal).unwrap(), before);
    assert_eq!(extent(&open(directory.path()), LOBBY).head, 1);
    // The contents of the write-ahead log have been written and synced again.
    assert!(!wal.exists() || fs::read(&wal).unwrap().is_empty());
}

#[test]
fn the_time_that_is_known_is_when_old_messages_last_went_or_else_of_the_last_message() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    assert_eq!(store.known_times(), KnownTimes::default());
    append(&mut store, 10, [message(1, 1)]);
    let known = |believed: Option<i64>, last| KnownTimes {
        believed: believed.map(at),
        last: Some(at(last)),
    };
    assert_eq!(store.known_times(), known(None, 10));
    let by_age = |since| {
        Operation::Retain(Retention {
            keep_since: Some(at(since)),
            messages_max: None,
            bytes_max: None,
        })
    };
    append(&mut store, 50, [by_age(5)]);
    // Without a known time nothing is believed about the clock.
    append(&mut store, 1_000_000, [message(1, 2)]);
    retain(&mut store, 10);
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.known_times(), known(Some(50), 1_000_000));
}

#[test]
fn a_log_of_before_corrections_were_marked_goes_on_from_the_right_time() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    // Sent while the clock was years ahead; then it was corrected, and all times stood still.
    append(&mut store, 1_000, [message(1, 1)]);
    append(&mut store, 900_000_000, [message(1, 2), message(1, 3)]);
    drop(store);
    let path = directory.path().join("log.db");
    let earlier = Connection::open(&path).unwrap();
    earlier.execute_batch(schema::WITHOUT_MARKS).unwrap();
    drop(earlier);
    // It can be exported before a current server opens it.
    let mut lines = Vec::new();
    maintenance::export(directory.path(), &lobby(), &mut lines).unwrap();
    assert_eq!(String::from_utf8(lines).unwrap().lines().count(), 3);
    let mut store = open(directory.path());
    append(&mut store, 2_000, [message(1, 4)]);
    let batch = Batch {
        now: at(9_000),
        correction: SignedDuration::from_secs(7_000),
        operations: vec![message_in(conformance::TEA, 2, 1, "tea")],
    };
    store.append(batch).unwrap();
    drop(store);
    // Pending corrections survive a restart.
    let mut store = open(directory.path());
    append(&mut store, 9_001, [message(1, 5)]);
    let all = store.read(LOBBY, 1, 100_000).unwrap();
    let marks = (1..=5).map(|seq| {
        let message = semantics::decode_entry(all.frame(seq).unwrap()).unwrap();
        (message.time, message.clock_was)
    });
    let (wrong, right) = (at(900_000_000), at(2_000));
    assert_eq!(
        marks.collect::<Vec<_>>(),
        [
            (at(1_000), None),
            (wrong, None),
            (wrong, None),
            (right, Some(wrong)),
            (at(9_001), Some(at(2_001))),
        ]
    );
    let page = store.page(LOBBY, Part::Since(at(1_500))).unwrap();
    assert_eq!((page.from, page.to), (4, 5));
}
