//! The database's tables, and the setup of its connections.

use std::{collections::BTreeSet, path::Path, time::Duration};

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Result, Row, config::DbConfig};
use rusqlite_migration::{M, Migrations};

/// The application id in the header of our databases: "chat".
pub(super) const APPLICATION_ID: i32 = 0x6368_6174;

/// How long a connection waits for another one, such as a checkpoint's last step or another
/// program.
pub(super) const BUSY: Duration = Duration::from_secs(5);
/// Prepared statements that a connection caches.
const STATEMENTS_MAX: usize = 32;
/// Memory of a connection's page cache.
const CACHE_KIB: i64 = 8 * 1024;
/// The size to which the write-ahead log is truncated when it restarts. Overwriting it costs less
/// than extending it again.
const WAL_KEPT_BYTES: i64 = 32 * 1024 * 1024;

/// Characters of a foreign object's name that are shown.
const NAME_CHARS_MAX: usize = 40;

/// Bits of a room's numbers in [`entry_key`]: 2⁴⁰ messages.
const SEQ_BITS: u32 = 40;
/// The highest number in a room.
pub(super) const SEQ_MAX: u64 = (1 << SEQ_BITS) - 1;

/// An entry's row id: a room is a range of rows, in the order of its numbers. There is space for
/// 2²³ rooms.
pub(super) fn entry_key(room: i64, seq: u64) -> i64 {
    // A higher number than possible is past all entries.
    let seq = i64::try_from(seq.min(SEQ_MAX)).unwrap_or(i64::MAX);
    room << SEQ_BITS | seq
}

/// The room's row and the sequence number of an entry's row id.
pub(super) fn entry_of(key: i64) -> (i64, u64) {
    (key >> SEQ_BITS, key.unsigned_abs() & SEQ_MAX)
}

/// The form of a frame that is JSON, as on the wire.
pub(super) const FORM: i64 = 1;

/// Converts a number for SQLite.
pub(super) fn number(value: u64) -> i64 {
    // All of ours are below 2⁵³.
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Reads a number that was stored by [`number`].
pub(super) fn number_at(row: &Row<'_>, column: usize) -> Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// Converts a duration for SQLite.
pub(super) fn milliseconds(length: SignedDuration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(if length.is_negative() {
        i64::MIN
    } else {
        i64::MAX
    })
}

/// Reads a time that was stored as milliseconds.
pub(super) fn time_at(row: &Row<'_>, column: usize) -> Result<Timestamp> {
    let value: i64 = row.get(column)?;
    Timestamp::from_millisecond(value)
        .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// The migrations from an empty database to the newest schema; a published step is never changed.
///
/// `entry.device` and `counter` are unique, so that a repeated message can be answered as long as
/// its entry is kept. `spent` holds the counters that were used up without an entry, with the
/// refusal's code. `device.user` is the owner, if a key was proven since the column exists.
/// `entry.clock_was` is the time that the clock would have shown, if it was corrected since the
/// previous entry, and `room.correction` the correction since the last entry, in milliseconds.
/// Times are milliseconds since 1970. `record` holds the records of the server's state, as JSON.
///
/// `entry.form` says how `frame` is encoded ([`FORM`] is the only one so far), and `shown` is 0 for
/// an entry without a place of its own; `room.unshown` counts those held. `change` says what later
/// entries have done to one: `rev` is the row id that the last of them has in `entry`, `edited` the
/// number of the edit that its text is from, and `redacted` that of the entry that erased its
/// content. `room.changed` and `redacted` are the highest numbers of entries that changed and erased
/// others, even if those are no longer held. `entry.author` is the author of an entry that counts as
/// unread for others, and empty if it does not count; in older rows it is null. `mention` has a row for
/// each user whom an entry's texts have mentioned, in the order in which they did; one of twelve zero
/// bytes is for all members.
const STEPS: &[M<'static>] = &[
M::up(
    "CREATE TABLE meta(key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID, STRICT;
     CREATE TABLE room(
         no INTEGER PRIMARY KEY,
         name TEXT NOT NULL UNIQUE,
         first INTEGER NOT NULL,
         head INTEGER NOT NULL,
         last_time INTEGER NOT NULL
     ) STRICT;
     CREATE TABLE device(
         no INTEGER PRIMARY KEY,
         id BLOB NOT NULL UNIQUE,
         counter INTEGER NOT NULL
     ) STRICT;
     CREATE TABLE entry(
         id INTEGER PRIMARY KEY,
         time INTEGER NOT NULL,
         device INTEGER NOT NULL,
         counter INTEGER NOT NULL,
         frame BLOB NOT NULL
     ) STRICT;
     CREATE UNIQUE INDEX entry_device_counter ON entry(device, counter);
     CREATE TABLE spent(
         device INTEGER NOT NULL,
         counter INTEGER NOT NULL,
         code TEXT,
         PRIMARY KEY(device, counter)
     ) WITHOUT ROWID, STRICT;",
),
M::up("CREATE TABLE house(
         kind TEXT NOT NULL,
         key TEXT NOT NULL,
         value TEXT NOT NULL,
         PRIMARY KEY(kind, key)
     ) WITHOUT ROWID, STRICT;",
),
M::up(
    "ALTER TABLE entry ADD COLUMN clock_was INTEGER;
     CREATE INDEX entry_marked ON entry(id) WHERE clock_was IS NOT NULL;
     ALTER TABLE room ADD COLUMN correction INTEGER NOT NULL DEFAULT 0;",
),
M::up("ALTER TABLE device ADD COLUMN user BLOB;"),
M::up(
    "ALTER TABLE house RENAME TO record;
     ALTER TABLE entry ADD COLUMN form INTEGER NOT NULL DEFAULT 1;
     ALTER TABLE entry ADD COLUMN shown INTEGER NOT NULL DEFAULT 1;
     ALTER TABLE room ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
     ALTER TABLE room ADD COLUMN redacted INTEGER NOT NULL DEFAULT 0;
     ALTER TABLE room ADD COLUMN unshown INTEGER NOT NULL DEFAULT 0;
     CREATE TABLE change(
         entry INTEGER PRIMARY KEY,
         rev INTEGER NOT NULL,
         edited INTEGER,
         redacted INTEGER
     ) STRICT;
     CREATE INDEX change_rev ON change(rev);
     CREATE INDEX change_erased ON change(rev) WHERE redacted IS NOT NULL;",
),
M::up(
    "CREATE TABLE mention(
         no INTEGER PRIMARY KEY,
         user BLOB NOT NULL,
         entry INTEGER NOT NULL
     ) STRICT;
     ALTER TABLE entry ADD COLUMN author BLOB;
     CREATE INDEX mention_user ON mention(user);
     CREATE UNIQUE INDEX mention_user_entry ON mention(user, entry);
     CREATE INDEX mention_entry ON mention(entry);",
),
];

const MIGRATIONS: Migrations<'static> = Migrations::from_slice(STEPS);

/// The version of the newest schema that this program knows.
pub(super) fn version() -> usize {
    STEPS.len()
}

/// Brings the schema up to date.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite_migration::Result<()> {
    MIGRATIONS.to_latest(connection)
}

/// Finds an object that the migrations up to the database's version don't create, create
/// differently, or that is missing; `None` if the schema is ours. (SQLite's internal tables are
/// ignored.)
pub(super) fn foreign(connection: &Connection) -> rusqlite_migration::Result<Option<String>> {
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let mut ours = Connection::open_in_memory()?;
    MIGRATIONS.to_version(&mut ours, version as usize)?;
    let (mut found, mut ours) = (objects(connection)?, objects(&ours)?);
    ours.retain(|object| !found.remove(object));
    // Names are untrusted text: quoted, and cut.
    let stray = found.into_iter().next().or(ours.into_iter().next());
    Ok(stray.map(|(kind, name, _)| {
        let name: String = name.chars().take(NAME_CHARS_MAX).collect();
        format!("the {kind} {name:?}")
    }))
}

/// The objects of a database: type, name and creating statement.
fn objects(connection: &Connection) -> Result<BTreeSet<(String, String, Option<String>)>> {
    connection
        .prepare(
            "SELECT type, name, sql FROM sqlite_schema
             WHERE name NOT GLOB 'sqlite_stat*' OR type <> 'table'",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect()
}

/// Opens an existing database for writing.
pub(super) fn connect(path: &Path, vfs: Option<&str>) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs)?,
        None => Connection::open_with_flags(path, flags)?,
    };
    set_up(&connection)?;
    Ok(connection)
}

/// Opens an existing database for reading.
pub(super) fn connect_to_read(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    set_up(&connection)?;
    Ok(connection)
}

fn set_up(connection: &Connection) -> Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", WAL_KEPT_BYTES)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // An `fsync` reaches the disk on all systems except macOS.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    // Removed rows are overwritten.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // The file may come from another source. Ours have no triggers and no views, and never write to
    // SQLite's own tables.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    Ok(())
}

/// Makes an empty file one of our databases, in write-ahead mode. Returns false if this file system
/// does not support that.
pub(super) fn create(connection: &mut Connection) -> rusqlite_migration::Result<bool> {
    if !use_wal(connection)? {
        return Ok(false);
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    migrate(connection)?;
    Ok(true)
}

/// Switches to write-ahead mode if necessary; false if the file system does not support it.
pub(super) fn use_wal(connection: &Connection) -> Result<bool> {
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    Ok(mode.eq_ignore_ascii_case("wal"))
}

/// Reads a value of `meta`.
pub(super) fn meta(connection: &Connection, key: &str) -> Result<Option<String>> {
    connection
        .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| {
            row.get(0)
        })
        .optional()
}

/// Sets a value of `meta`, or removes it.
pub(super) fn set_meta(connection: &Connection, key: &str, value: Option<&str>) -> Result<()> {
    match value {
        Some(value) => connection.execute(
            "INSERT INTO meta(key, value) VALUES(?1, ?2)
             ON CONFLICT(key) DO UPDATE SET value = excluded.value",
            [key, value],
        )?,
        None => connection.execute("DELETE FROM meta WHERE key = ?1", [key])?,
    };
    Ok(())
}

/// Makes an empty file a database of an older schema.
#[cfg(test)]
pub(super) fn create_at(connection: &mut Connection, version: usize) {
    assert!(use_wal(connection).unwrap());
    let id = connection.pragma_update(None, "application_id", APPLICATION_ID);
    id.unwrap();
    MIGRATIONS.to_version(connection, version).unwrap();
}

/// Reverts a log's schema to the one before clock corrections were marked. It loses its records.
#[cfg(test)]
pub(super) const WITHOUT_MARKS: &str = "DROP TABLE mention;
     ALTER TABLE entry DROP COLUMN author;
     DROP TABLE change;
     ALTER TABLE room DROP COLUMN unshown;
     ALTER TABLE room DROP COLUMN redacted;
     ALTER TABLE room DROP COLUMN changed;
     ALTER TABLE entry DROP COLUMN shown;
     ALTER TABLE entry DROP COLUMN form;
     DROP TABLE record;
     CREATE TABLE house(
         kind TEXT NOT NULL,
         key TEXT NOT NULL,
         value TEXT NOT NULL,
         PRIMARY KEY(kind, key)
     ) WITHOUT ROWID, STRICT;
     ALTER TABLE device DROP COLUMN user;
     DROP INDEX entry_marked;
     ALTER TABLE entry DROP COLUMN clock_was;
     ALTER TABLE room DROP COLUMN correction;
     PRAGMA user_version = 2;";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_can_be_taken() {
        MIGRATIONS.validate().unwrap();
    }

    #[test]
    fn a_row_stands_for_a_room_and_a_number() {
        for (room, seq) in [(1, 1), (1, SEQ_MAX), (2, 1), ((1 << 23) - 1, SEQ_MAX)] {
            assert_eq!(entry_of(entry_key(room, seq)), (room, seq));
        }
        assert!(entry_key(1, SEQ_MAX) < entry_key(2, 1));
        assert_eq!(entry_key(1, u64::MAX), entry_key(1, SEQ_MAX));
    }
}
