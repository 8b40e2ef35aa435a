//! Compacts the database at night, so that erased texts leave its file.
//!
//! SQLite overwrites a row that is removed or replaced, but not the copies that it left behind when
//! it moved rows between pages: a few texts in a thousand stay in the file. `VACUUM` writes all
//! that is held into new pages, and the emptied write-ahead log then leaves nothing of the old ones.
//!
//! It takes the store's thread, and messages that arrive meanwhile wait for it. So it runs only if
//! something was erased since the last time, at most once a night, and not before the log was quiet
//! for [`QUIET`]. Both "due" and the time of the last one are in `meta`: an erasure sets the mark in
//! its own commit.

use std::{
    fmt,
    path::Path,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp, Zoned, civil::Date};
use rusqlite::{Connection, Error, Result};

use super::{
    SqliteStore, checkpoint, failure,
    schema::{meta, number_at, set_meta},
    settings::Compact,
};
use crate::server::{log::StoreError, store::disk_space};

/// The key in `meta` that is set from an erasure until the next compaction.
const DUE: &str = "compaction_due";
/// The key in `meta` of the time of the last compaction.
const LAST: &str = "compacted";

/// How long after the operator's time of day a compaction may still begin.
const WINDOW: SignedDuration = SignedDuration::from_hours(2);
/// How long no entry must have been stored.
const QUIET: Duration = Duration::from_mins(1);
/// Copies of the database that there must be space for: a temporary file, and the write-ahead log.
const COPIES: u64 = 2;

const DAY_MINUTES: i64 = 24 * 60;

/// When to compact the database.
#[derive(Debug)]
pub(super) struct Compaction {
    schedule: Compact,
    due: bool,
    last: Option<Timestamp>,
    /// When entries were last stored, or the store was opened.
    written: Instant,
    /// The night of the last attempt: a failed one is repeated the next night.
    tried: Option<Date>,
}

impl Compaction {
    pub(super) fn load(connection: &Connection, schedule: Compact) -> Result<Self> {
        let last = meta(connection, LAST)?;
        Ok(Self {
            schedule,
            due: meta(connection, DUE)?.is_some(),
            // An unreadable time is none: then it may run once more.
            last: last.and_then(|last| last.parse().ok()),
            written: Instant::now(),
            tried: None,
        })
    }

    /// Marks it as due, in the transaction that erases something.
    pub(super) fn mark(&self, connection: &Connection) -> Result<()> {
        if self.due {
            return Ok(());
        }
        set_meta(connection, DUE, Some("yes"))
    }

    /// Notes a commit of entries, and whether it erased something.
    pub(super) fn committed(&mut self, erased: bool) {
        self.written = Instant::now();
        self.due |= erased;
    }

    /// The date at which the night began in which it may run now, and how long ago that was.
    fn night(&self, now: &Zoned) -> Option<(Date, SignedDuration)> {
        let Compact::At(at) = self.schedule else {
            return None;
        };
        let time = now.time();
        let minute = |hour: i8, minute: i8| i64::from(hour) * 60 + i64::from(minute);
        let since = minute(time.hour(), time.minute()) - minute(at.hour(), at.minute());
        let since = SignedDuration::from_mins(since.rem_euclid(DAY_MINUTES));
        let began = now.datetime().checked_sub(since).ok()?;
        (since < WINDOW).then(|| (began.date(), since))
    }

    /// Begins an attempt, if it is time for one.
    fn begin(&mut self, now: &Zoned, quiet: Duration) -> bool {
        if !self.due || quiet < QUIET {
            return false;
        }
        let Some((night, since)) = self.night(now) else {
            return false;
        };
        let ago = self.last.map(|last| now.timestamp().duration_since(last));
        // A time in the future is wrong.
        let tonight = ago.is_some_and(|ago| !ago.is_negative() && ago <= since);
        if tonight || self.tried == Some(night) {
            return false;
        }
        self.tried = Some(night);
        true
    }
}

/// The result of a compaction: how long it took, and the file's size before and afterwards.
struct Compacted {
    took: Duration,
    before: u64,
    after: u64,
}

/// Why the database was not compacted.
#[derive(Debug)]
pub enum CompactError {
    /// It needs so many bytes of space, and there are fewer.
    Space {
        /// The bytes that it needs.
        wanted: u64,
        /// The bytes that are free.
        free: u64,
    },
    /// SQLite's error.
    Sqlite(Error),
    /// Another program reads the database, so that the write-ahead log can't be emptied.
    Held,
}

impl From<Error> for CompactError {
    fn from(error: Error) -> Self {
        Self::Sqlite(error)
    }
}

impl fmt::Display for CompactError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Space { wanted, free } => write!(
                out,
                "it needs {} of free space, and there are {}",
                disk_space::Bytes(*wanted),
                disk_space::Bytes(*free)
            ),
            Self::Sqlite(error) => out.write_str(&failure::reason(error)),
            Self::Held => out.write_str("another program (a backup?) is reading it"),
        }
    }
}

impl SqliteStore {
    /// Compacts the database if it is time; called while the store is idle.
    pub(super) fn compact_at_night(&mut self, now: &Zoned) {
        let quiet = self.compaction.written.elapsed();
        if self.has_failed() || !self.compaction.begin(now, quiet) {
            return;
        }
        match self.compact(now.timestamp()) {
            Ok(Compacted {
                took,
                before,
                after,
            }) => {
                if let Some(checkpoints) = &self.checkpoints {
                    checkpoints.empty();
                }
                self.recorder.info(format!(
                    "the log was compacted in {:.1} s, so that nothing of erased texts is left in \
                     its file: it had {}, and has {}",
                    took.as_secs_f64(),
                    disk_space::Bytes(before),
                    disk_space::Bytes(after),
                ));
            }
            Err(CompactError::Sqlite(error)) if !failure::may_pass(&error, self.directory()) => {
                // Nothing of a batch is in doubt, but the disk can't be trusted any more.
                self.fail(StoreError::Fatal, &format!("A compaction failed: {error}"));
                self.failed.tell();
            }
            Err(error) => self.recorder.warn(format!(
                "the log can't be compacted tonight: {error}; some erased texts may be left in its \
                 file, and the next night it is tried again"
            )),
        }
    }

    /// Compacts the database, and empties the write-ahead log, while no server runs.
    pub(in crate::server) fn compact_now(&mut self) -> std::result::Result<(), CompactError> {
        // Its thread would be in the way of emptying the write-ahead log.
        self.checkpoints = None;
        self.compact(Timestamp::now())?;
        if checkpoint::step(&self.connection, "TRUNCATE")?.busy {
            return Err(CompactError::Held);
        }
        Ok(())
    }

    fn compact(&mut self, now: Timestamp) -> std::result::Result<Compacted, CompactError> {
        let started = Instant::now();
        let writing = self
            .checkpoints
            .as_ref()
            .map(checkpoint::Checkpoints::begin);
        let connection = &self.connection;
        let before = bytes(connection)?;
        let wanted = before.saturating_mul(COPIES);
        let free = disk_space::free(self.directory());
        if let Some(free) = free.filter(|free| *free < wanted) {
            return Err(CompactError::Space { wanted, free });
        }
        keep_temporary_files_in(connection, self.directory())?;
        connection.execute_batch("VACUUM")?;
        let transaction = connection.unchecked_transaction()?;
        set_meta(connection, LAST, Some(&now.to_string()))?;
        set_meta(connection, DUE, None)?;
        transaction.commit()?;
        let after = bytes(connection)?;
        drop(writing);
        (self.compaction.due, self.compaction.last) = (false, Some(now));
        Ok(Compacted {
            took: started.elapsed(),
            before,
            after,
        })
    }
}

/// The size of the database.
fn bytes(connection: &Connection) -> Result<u64> {
    let size = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    connection.query_row(size, [], |row| number_at(row, 0))
}

/// Makes SQLite's temporary files in this directory, which is private and whose space was checked.
/// They are unlinked as soon as they are made. The setting is the whole process's, and deprecated;
/// but without it only an environment variable says where they are.
fn keep_temporary_files_in(connection: &Connection, directory: &Path) -> Result<()> {
    match directory.to_str() {
        Some(directory) => connection.pragma_update(None, "temp_store_directory", directory),
        // Then they are in the system's own directory.
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::civil::time;

    use super::*;
    use crate::server::{
        log::{
            Operation,
            conformance::{LOBBY, append, id, message_in, settings},
        },
        store::sqlite::{Durability, Settings},
    };

    fn compaction(schedule: Compact) -> Compaction {
        Compaction {
            schedule,
            due: true,
            last: None,
            written: Instant::now(),
            tried: None,
        }
    }

    fn at(time: &str) -> Zoned {
        format!("{time}[Europe/Berlin]").parse().unwrap()
    }

    #[test]
    fn it_runs_in_the_two_hours_from_its_time_of_day_on() {
        for (schedule, now, runs) in [
            (Compact::At(time(3, 0, 0, 0)), "2026-11-22T02:59:59", false),
            (Compact::At(time(3, 0, 0, 0)), "2026-11-22T03:00:00", true),
            (Compact::At(time(3, 0, 0, 0)), "2026-11-22T04:59:59", true),
            (Compact::At(time(3, 0, 0, 0)), "2026-11-22T05:00:00", false),
            (Compact::At(time(23, 30, 0, 0)), "2026-11-22T23:30:00", true),
            (Compact::At(time(23, 30, 0, 0)), "2026-11-23T01:29:00", true),
            (
                Compact::At(time(23, 30, 0, 0)),
                "2026-11-23T01:30:00",
                false,
            ),
            (Compact::Never, "2026-11-22T03:00:00", false),
        ] {
            let mut compaction = compaction(schedule);
            assert_eq!(compaction.begin(&at(now), QUIET), runs, "{schedule} {now}");
        }
    }

    #[test]
    fn it_runs_once_a_night_when_something_was_erased_and_the_log_is_quiet() {
        let mut compaction = compaction(Compact::default());
        let night = at("2026-11-22T03:10:00");
        assert!(!compaction.begin(&night, QUIET.checked_sub(Duration::from_secs(1)).unwrap()));
        assert!(compaction.begin(&night, QUIET));
        // That attempt failed.
        assert!(!compaction.begin(&at("2026-11-22T03:11:00"), QUIET));
        assert!(compaction.begin(&at("2026-11-23T03:00:00"), QUIET));
        compaction.due = false;
        assert!(!compaction.begin(&at("2026-11-24T03:00:00"), QUIET));
        compaction.committed(false);
        assert!(!compaction.begin(&at("2026-11-24T03:00:00"), QUIET));
        compaction.committed(true);
        // Another process did it tonight; or before, by an erasure without a server.
        compaction.last = Some(at("2026-11-24T03:10:00").timestamp());
        assert!(!compaction.begin(&at("2026-11-24T04:00:00"), QUIET));
        compaction.last = Some(at("2026-11-24T02:50:00").timestamp());
        assert!(compaction.begin(&at("2026-11-24T04:00:00"), QUIET));
        compaction.tried = None;
        // A clock that was wrong does not stop it.
        compaction.last = Some(at("2027-11-24T02:59:00").timestamp());
        assert!(compaction.begin(&at("2026-11-24T03:00:00"), QUIET));
    }

    fn erase(from: u64, to: u64) -> Operation {
        let room = LOBBY;
        Operation::Erase { room, from, to }
    }

    /// The files of a directory that hold these bytes.
    fn holders(directory: &Path, bytes: &str) -> Vec<String> {
        let files = fs::read_dir(directory).unwrap().map(|file| file.unwrap());
        let holds = |path: &Path| {
            let content = fs::read(path).unwrap_or_default();
            memchr::memmem::find(&content, bytes.as_bytes()).is_some()
        };
        files
            .filter(|file| holds(&file.path()))
            .map(|file| file.file_name().to_string_lossy().into_owned())
            .collect()
    }

    fn open(directory: &Path) -> SqliteStore {
        let settings = Settings {
            durability: Durability::Relaxed,
            compact: Compact::default(),
            ..settings(directory)
        };
        SqliteStore::open(&settings).unwrap()
    }

    /// Runs a compaction as if the store had been idle at night.
    fn pass_night(store: &mut SqliteStore) {
        store.compaction.written = Instant::now().checked_sub(QUIET).unwrap();
        store.compact_at_night(&at("2026-11-22T03:00:00"));
        store.checkpoints.as_ref().unwrap().settle();
    }

    #[test]
    fn after_a_compaction_no_file_has_an_erased_text() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = open(directory.path());
        let mut random = fastrand::Rng::with_seed(7);
        // Texts of all lengths, and edits that make them longer, so that rows move between pages.
        for counter in 1..=1_000 {
            let text = format!("hush {}", "x".repeat(random.usize(..600)));
            append(&mut store, 1, [message_in(LOBBY, 1, counter, &text)]);
        }
        for counter in 1_001..=1_300 {
            let target = id(1, random.u64(1..=1_000));
            let text = format!("hush {}", "y".repeat(random.usize(..1_500)));
            let mut operation = message_in(LOBBY, 1, counter, &text);
            if let Operation::Append { content, .. } = &mut operation {
                let body = content.body().unwrap().clone();
                *content = crate::protocol::Content::Edit { target, body };
            }
            append(&mut store, 1, [operation]);
        }
        append(&mut store, 1, [message_in(LOBBY, 1, 1_301, "open")]);
        assert!(!holders(directory.path(), "hush").is_empty());
        let committed = append(&mut store, 2, [erase(1, 1_000)]);
        assert_eq!(
            committed.results,
            [crate::server::log::OpResult::Erased { count: 1_000 }]
        );
        pass_night(&mut store);
        assert_eq!(holders(directory.path(), "hush"), [""; 0]);
        assert!(!holders(directory.path(), "open").is_empty());
        assert_eq!(store.rooms.get(LOBBY).unwrap().state.extent.head, 2_301);
        drop(store);
        assert_eq!(holders(directory.path(), "hush"), [""; 0]);
    }

    #[test]
    fn it_is_due_from_an_erasure_on_also_over_a_restart_until_it_was_done() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = open(directory.path());
        append(&mut store, 1, [message_in(LOBBY, 1, 1, "hush")]);
        assert!(!store.compaction.due);
        append(&mut store, 1, [erase(1, 1)]);
        assert!(store.compaction.due);
        drop(store);
        let mut store = open(directory.path());
        assert!(store.compaction.due && store.compaction.last.is_none());
        // Nobody has been quiet for long enough.
        store.compact_at_night(&at("2026-11-22T03:00:00"));
        assert!(store.compaction.due);
        pass_night(&mut store);
        let done = Some(at("2026-11-22T03:00:00").timestamp());
        assert!(!store.compaction.due && store.compaction.last == done);
        drop(store);
        let store = open(directory.path());
        assert!(!store.compaction.due && store.compaction.last == done);
    }

    #[test]
    fn while_another_program_reads_the_command_says_that_texts_may_be_left() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = open(directory.path());
        append(&mut store, 1, [message_in(LOBBY, 1, 1, "hush")]);
        let reader = Connection::open(directory.path().join("log.db")).unwrap();
        reader
            .execute_batch("BEGIN; SELECT * FROM entry LIMIT 1;")
            .unwrap();
        append(&mut store, 1, [erase(1, 1)]);
        store.connection.busy_timeout(Duration::ZERO).unwrap();
        let refused = store.compact_now();
        assert!(matches!(refused, Err(CompactError::Held)), "{refused:?}");
        drop(reader);
        store.compact_now().unwrap();
        assert_eq!(holders(directory.path(), "hush"), [""; 0]);
    }

    /// SQLite's copy of the log must not be left to others, nor fill their disk.
    #[test]
    fn temporary_files_are_made_in_the_data_directory() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        keep_temporary_files_in(&store.connection, directory.path()).unwrap();
        let set: String = store
            .connection
            .pragma_query_value(None, "temp_store_directory", |row| row.get(0))
            .unwrap();
        assert_eq!(Path::new(&set), directory.path());
    }
}
