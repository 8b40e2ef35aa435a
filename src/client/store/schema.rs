//! Defines the tables, and opens databases.

use std::{path::Path, sync::LazyLock, time::Duration};

use rusqlite::{Connection, OpenFlags, Transaction};
use rusqlite_migration::{Error, HookError, M, MigrationDefinitionError, Migrations};

use super::{OPEN_BUSY_WITHIN, StoreFault, cache};
use crate::{
    protocol::{Preferences, ReadMarker, RoomId, RoomInfo, RoomName},
    text::Line,
};

/// Pages at which the write-ahead log is copied into the database, which needs disk space for new
/// pages then.
const WAL_PAGES: i64 = 256;
/// The write-ahead log is truncated to this when it restarts.
const WAL_KEPT_BYTES: i64 = 1 << 20;

/// The migrations from each version to the next. Released ones never change.
static STEPS: LazyLock<[M<'static>; 7]> = LazyLock::new(|| {
    [
        M::up(
            "
    CREATE TABLE profile (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        server TEXT NOT NULL,
        nickname TEXT NOT NULL,
        token TEXT NOT NULL
    ) STRICT;
    CREATE TABLE device (
        client TEXT PRIMARY KEY,
        lease BLOB NOT NULL,
        next_counter INTEGER NOT NULL,
        next_key INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE outbox (
        client TEXT NOT NULL,
        key INTEGER NOT NULL,
        room TEXT NOT NULL,
        body TEXT NOT NULL,
        counter INTEGER,
        withdrawn INTEGER NOT NULL,
        unconfirmed INTEGER NOT NULL,
        failed TEXT,
        PRIMARY KEY (client, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE draft (
        client TEXT NOT NULL,
        room TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (client, room)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE typed (
        id INTEGER PRIMARY KEY,
        body TEXT NOT NULL
    ) STRICT;
    -- `log` is another number whenever the room's numbers begin to mean something else.
    CREATE TABLE room (
        name TEXT PRIMARY KEY,
        log INTEGER NOT NULL UNIQUE,
        epoch TEXT NOT NULL,
        topic TEXT,
        first INTEGER NOT NULL,
        head INTEGER NOT NULL,
        read INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE range (
        log INTEGER NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        PRIMARY KEY (log, first)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE message (
        log INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        id TEXT NOT NULL,
        user TEXT NOT NULL,
        nickname TEXT NOT NULL,
        time INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (log, seq)
    ) STRICT, WITHOUT ROWID;
    ",
        ),
        // The user's id from the server, if it is not derived from the token.
        M::up("ALTER TABLE profile ADD COLUMN user TEXT"),
        // The time that the server's clock would have shown, where it was corrected before a message.
        M::up(
            "
    ALTER TABLE message ADD COLUMN clock_was INTEGER;
    CREATE INDEX message_marked ON message (log, seq) WHERE clock_was IS NOT NULL;
    ",
        ),
        // Several processes with one client ID: which run (identified by its lease) typed an entry, and
        // its number there; messages for the holder; and their outcomes.
        M::up(
            "
    ALTER TABLE outbox ADD COLUMN run BLOB;
    ALTER TABLE outbox ADD COLUMN number INTEGER;
    CREATE TABLE submitted (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        client TEXT NOT NULL,
        run BLOB NOT NULL,
        number INTEGER NOT NULL,
        room TEXT NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE TABLE settled (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run BLOB NOT NULL,
        number INTEGER NOT NULL,
        state TEXT NOT NULL,
        seq INTEGER,
        why TEXT,
        UNIQUE (run, number)
    ) STRICT;
    ",
        ),
        // Whether the sender had proven a key: 0 if not. NULL if not recorded: they had, or it is
        // unknown.
        M::up("ALTER TABLE message ADD COLUMN proven INTEGER"),
        // Entries of all kinds. A row without a kind is a text. Of any other kind, `body` is the whole
        // frame in `message`, and the text or the reason in `outbox` and `submitted`. `target` is the id
        // of the entry that it refers to; `rev` the number of the last one that changed it.
        M::up(
            "
    ALTER TABLE message ADD COLUMN kind TEXT;
    ALTER TABLE message ADD COLUMN target TEXT;
    ALTER TABLE message ADD COLUMN rev INTEGER;
    CREATE INDEX message_id ON message (log, id);
    CREATE INDEX message_target ON message (log, target, kind, seq) WHERE target IS NOT NULL;
    ALTER TABLE room ADD COLUMN folded INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE outbox ADD COLUMN kind TEXT;
    ALTER TABLE outbox ADD COLUMN target TEXT;
    ALTER TABLE submitted ADD COLUMN kind TEXT;
    ALTER TABLE submitted ADD COLUMN target TEXT;
    ",
        ),
        // Rooms by their ids, which were names. `info` and `state` are the server's latest `room` and
        // `read` frames, with what was read here since. `enter` is the name by which a room is to be
        // entered before the entry is sent. `mentions` is empty for all kinds but texts.
        M::up_with_hook(
            "
    ALTER TABLE room RENAME COLUMN name TO room;
    ALTER TABLE room ADD COLUMN info TEXT NOT NULL DEFAULT '';
    ALTER TABLE room ADD COLUMN state TEXT NOT NULL DEFAULT '';
    ALTER TABLE outbox ADD COLUMN enter TEXT;
    ALTER TABLE submitted ADD COLUMN enter TEXT;
    ALTER TABLE message ADD COLUMN mentions TEXT;
    UPDATE outbox SET enter = room WHERE room <> 'lobby';
    UPDATE submitted SET enter = room WHERE room <> 'lobby';
    ",
            |transaction: &Transaction<'_>| name_rooms_by_ids(transaction).map_err(HookError::from),
        ),
    ]
});

/// Replaces the names of rooms by ids, and stores what was known of the rooms as frames.
fn name_rooms_by_ids(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut select = transaction.prepare("SELECT room, topic, read FROM room")?;
    let rooms = select.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let rooms: Vec<(String, Option<String>, i64)> = rooms.collect::<Result<_, _>>()?;
    for (name, topic, read) in rooms {
        let Ok(room_name) = RoomName::parse(&name) else {
            continue;
        };
        let room = RoomId::named(&room_name, 0);
        let mut info = RoomInfo::public(room_name);
        info.rules.topic = topic.map(|topic| Line::inert(&topic));
        let marker = ReadMarker {
            seq: u64::try_from(read).unwrap_or(0),
            generation: 0,
        };
        let frames = (
            cache::info_frame(room, &info),
            cache::state_frame(room, marker, Preferences::default()),
        );
        transaction.execute(
            "UPDATE room SET room = ?2, info = ?3, state = ?4 WHERE room = ?1",
            (name, room.to_string(), frames.0, frames.1),
        )?;
    }
    transaction.execute_batch(
        "ALTER TABLE room DROP COLUMN topic;
         ALTER TABLE room DROP COLUMN read;",
    )?;
    for table in ["outbox", "submitted", "draft"] {
        let mut select = transaction.prepare(&format!("SELECT DISTINCT room FROM {table}"))?;
        let names = select.query_map((), |row| row.get(0))?;
        let names: Vec<String> = names.collect::<Result<_, _>>()?;
        for name in names {
            if let Ok(room) = RoomName::parse(&name) {
                let room = RoomId::named(&room, 0);
                transaction.execute(
                    &format!("UPDATE {table} SET room = ?2 WHERE room = ?1"),
                    (name, room.to_string()),
                )?;
            }
        }
    }
    Ok(())
}

/// Opens an existing database, even an empty file, and migrates it. Waits for a lock at most
/// `busy_within`.
pub(super) fn open(path: &Path, busy_within: Duration) -> Result<Connection, StoreFault> {
    let mut database = connect(path, busy_within)?;
    // Where the system's own `fsync` does not reach the disk itself (macOS), use the call that
    // does.
    database.pragma_update(None, "fullfsync", true)?;
    database.pragma_update(None, "checkpoint_fullfsync", true)?;
    // Lets free pages be returned to the disk; can only be set while there are no tables.
    let pages: i64 = database.pragma_query_value(None, "page_count", |row| row.get(0))?;
    if pages == 0 {
        database.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "journal_size_limit", WAL_KEPT_BYTES)?;
    database.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    database.pragma_update(None, "synchronous", "NORMAL")?;
    match Migrations::from_slice(&*STEPS).to_latest(&mut database) {
        Ok(()) => Ok(database),
        Err(Error::RusqliteError { err, .. }) => Err(err.into()),
        Err(other) => Err(StoreFault::Failed(rusqlite::Error::ToSqlConversionFailure(
            Box::new(other),
        ))),
    }
}

pub(super) fn connect(path: &Path, busy_within: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags)?;
    database.busy_timeout(busy_within)?;
    // Erased texts do not stay in pages that are free.
    database.pragma_update(None, "secure_delete", true)?;
    database.set_prepared_statement_cache_capacity(32);
    Ok(database)
}

/// Whether a newer program made this database.
pub(super) fn is_newer(path: &Path) -> bool {
    let Ok(database) = connect(path, OPEN_BUSY_WITHIN) else {
        return false;
    };
    matches!(
        Migrations::from_slice(&*STEPS).current_version(&database),
        Ok(rusqlite_migration::SchemaVersion::Outside(_))
    ) || matches!(
        Migrations::from_slice(&*STEPS).pending_migrations(&database),
        Err(Error::MigrationDefinition(
            MigrationDefinitionError::DatabaseTooFarAhead
        ))
    )
}

/// Whether a database has another schema than this program's.
pub(super) fn is_other(path: &Path) -> bool {
    connect(path, OPEN_BUSY_WITHIN).is_ok_and(|database| {
        let version = Migrations::from_slice(&*STEPS).current_version(&database);
        let newest = rusqlite_migration::SchemaVersion::Inside(
            std::num::NonZeroUsize::new(STEPS.len()).unwrap_or(std::num::NonZeroUsize::MIN),
        );
        version != Ok(newest)
    })
}

/// Waits until everything committed is on the disk.
pub(super) fn sync(database: &Connection) -> rusqlite::Result<()> {
    database.pragma_update(None, "synchronous", "FULL")?;
    database.execute("UPDATE profile SET id = id", ())?;
    database.pragma_update(None, "synchronous", "NORMAL")
}
