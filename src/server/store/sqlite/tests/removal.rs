//! Removed entries, and the write-ahead log that they leave.

use super::*;

#[test]
fn the_write_ahead_log_stays_short_while_old_messages_go() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    let long = "x".repeat(16_000);
    for round in 0..200 {
        let operations: Vec<_> = (1..=16)
            .map(|n| message_in(LOBBY, 1, round * 16 + n, &long))
            .collect();
        append(&mut store, 1, operations);
    }
    store.checkpoints.as_ref().unwrap().empty();
    store.checkpoints.as_ref().unwrap().settle();
    let length = || {
        let wal = fs::metadata(directory.path().join("log.db-wal"));
        wal.unwrap().len()
    };
    let (mut longest, mut last) = (0, extent(&store, LOBBY).first);
    while retain(&mut store, 1) == (OpResult::Retained { more: true }) {
        let first = extent(&store, LOBBY).first;
        assert!(first - last <= 70, "{} at a time", first - last);
        (longest, last) = (longest.max(length()), first);
    }
    // 51 MB of texts were removed.
    assert!(longest < 48 << 20, "{longest}");
}

#[test]
fn removed_messages_are_nowhere_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    let long = "a long and secret word ".repeat(500);
    for counter in 1..=50 {
        let text = if counter % 2 == 0 {
            "short secret"
        } else {
            &long
        };
        append(&mut store, 1, [message_in(LOBBY, 1, counter, text)]);
    }
    append(&mut store, 1, [message_in(LOBBY, 1, 51, "public")]);
    let files = ["log.db", "log.db-wal"].map(|name| directory.path().join(name));
    assert!(files.iter().any(|path| holds(path, "secret")));
    assert_eq!(retain(&mut store, 1), OpResult::Retained { more: false });
    store.checkpoints.as_ref().unwrap().settle();
    for path in &files {
        assert!(!holds(path, "secret"), "{path:?}");
    }
    assert!(files.iter().any(|path| holds(path, "public")));
}

#[test]
fn an_export_says_what_retention_took_away_meanwhile() {
    /// Removes all but the last two messages, once something was written.
    struct Slow<'a>(&'a mut SqliteStore, bool);
    impl std::io::Write for Slow<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if !std::mem::replace(&mut self.1, true) {
                retain(self.0, 2);
            }
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    let long = "x".repeat(15_000);
    for counter in 1..=100 {
        append(&mut store, 1, [message_in(LOBBY, 1, counter, &long)]);
    }
    let room = lobby();
    let mut slow = Slow(&mut store, false);
    let exported = maintenance::export(directory.path(), &room, &mut slow).unwrap();
    assert!(exported.missed > 0, "{exported:?}");
    assert_eq!(exported.entries + exported.missed, 100);
}

#[test]
fn removed_messages_leave_the_index_first() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings {
        index: true,
        ..settings(directory.path())
    };
    let mut store = SqliteStore::open(&settings).unwrap();
    for counter in 1..=30 {
        append(&mut store, 1, [message_in(LOBBY, 1, counter, "secret")]);
    }
    let wait = |store: &SqliteStore, indexed, erased| {
        let index = store.index.as_ref().unwrap();
        assert!(index.wait(LOBBY, indexed, erased, Duration::from_mins(1)));
    };
    wait(&store, 30, 0);
    let query = Query::parse("secret", &jiff::tz::TimeZone::UTC).unwrap();
    let mut reader = store.reader().unwrap().unwrap();
    assert_eq!(reader.search(LOBBY, &query, 30).unwrap().frames.len(), 30);
    // The first run asks the index, the next finds it done.
    retain(&mut store, 10);
    wait(&store, 30, 21);
    assert_eq!(retain(&mut store, 10), OpResult::Retained { more: false });
    let left = Extent::new(21, 30);
    assert_eq!(extent(&store, LOBBY), left);
    let found = reader.search(LOBBY, &query, 30).unwrap();
    assert_eq!((found.extent, found.frames.len()), (left, 10));
}

#[test]
fn the_write_ahead_log_begins_anew_under_steady_load() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    let mut reader = store.reader().unwrap().unwrap();
    let long = "x".repeat(16_000);
    let mut longest = 0;
    for round in 0..200 {
        let operations: Vec<_> = (1..=16)
            .map(|n| message_in(LOBBY, 1, round * 16 + n, &long))
            .collect();
        append(&mut store, 1, operations);
        reader.read(LOBBY, round * 16 + 1, 100_000).unwrap();
        let length = fs::metadata(directory.path().join("log.db-wal"))
            .unwrap()
            .len();
        longest = longest.max(length);
    }
    // 51 MB of texts went through it.
    assert!(longest < 48 << 20, "{longest}");
    let pages: u64 = fs::metadata(directory.path().join("log.db")).unwrap().len();
    assert!(pages > 32 << 20, "{pages}");
}
