//! The index's file: its tables, and whether it can be used.

use std::{collections::BTreeMap, fs, io, path::Path};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use super::failure::{Trouble, cannot_open};
use crate::protocol::{Epoch, Nickname, RoomId};
use crate::search::fold;

/// The version of the tables and of the tokenization; a file with another version is rebuilt. To be
/// raised whenever [`fold::words`] changes its results.
const VERSION: i64 = 3;

/// Bits of a row id that hold the entry's number; the room's are above them.
const SEQ_BITS: u32 = 40;
pub(super) const SEQ_MAX: u64 = (1 << SEQ_BITS) - 1;

/// Memory of the page caches, in KiB.
const WRITER_CACHE_KIB: i64 = 16 * 1024;
const READER_CACHE_KIB: i64 = 8 * 1024;
/// Bytes to which a WAL is truncated when it restarts.
const WAL_BYTES_MAX: i64 = 16 * 1024 * 1024;
/// Statements that a reader keeps prepared: there are some for each block.
const READER_STATEMENTS: usize = 512;

/// The length of the prefixes for which each block has a table.
pub(super) const PREFIX_CHARS: usize = 3;

const TABLES: &str = "
    -- All entries of a room from first to indexed are in blocks; mark is the last one's.
    CREATE TABLE rooms(
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,
        first INTEGER NOT NULL, indexed INTEGER NOT NULL, mark INTEGER);
    -- Block N has the tables block_N and words_N; a stale one has overlay_N too.
    CREATE TABLE blocks(
        id INTEGER PRIMARY KEY AUTOINCREMENT, entries INTEGER NOT NULL,
        stage TEXT NOT NULL, stale INTEGER NOT NULL);
    CREATE TABLE spans(
        room INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
        block INTEGER NOT NULL, PRIMARY KEY(room, first)) WITHOUT ROWID;
    CREATE INDEX spans_of_block ON spans(block);
    CREATE TABLE log(epoch TEXT NOT NULL);
";

/// The part of a room's log that is in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// The room's id in row ids.
    pub(super) id: i64,
    /// The lowest indexed number.
    pub(super) first: u64,
    /// The highest; below `first` if there is none.
    pub(super) indexed: u64,
    /// The [`mark`](super::shared::mark) of the highest entry; `None` if it can't be read, is
    /// erased, or nothing is indexed.
    pub(super) mark: Option<i64>,
}

/// The row id of an entry.
pub(super) fn row(id: i64, seq: u64) -> i64 {
    id << SEQ_BITS | seq.min(SEQ_MAX).cast_signed()
}

/// The entry's number of a row id.
pub(super) fn seq(row: i64) -> u64 {
    row.cast_unsigned() & SEQ_MAX
}

/// The word that stands for a sender. It can't occur in a text: words contain no control
/// characters.
pub(super) fn sender_word(nickname: &Nickname) -> String {
    use sha2::{Digest, Sha256};
    use std::fmt::Write as _;

    let digest = Sha256::digest(nickname.folded());
    let mut word = String::from('\u{80}');
    for byte in &digest[..8] {
        // Writing to a string can't fail.
        let _ = write!(word, "{byte:02x}");
    }
    word
}

/// Builds an entry's words for FTS5 in `out`.
pub(super) fn words(nickname: &Nickname, text: &str, out: &mut String) {
    out.clear();
    out.push_str(&sender_word(nickname));
    fold::words(text, |word, _| {
        out.push(' ');
        out.push_str(word);
    });
}

/// Opens or creates the file for writing. Returns what is indexed of each room.
pub(super) fn open(
    path: &Path,
    epoch: Epoch,
) -> Result<(Connection, BTreeMap<RoomId, Kept>), Trouble> {
    create(path).map_err(|error| cannot_open(&error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    // A power failure may lose commits, as long as the file stays consistent.
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "secure_delete", "on")?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    // Nothing is copied to another file.
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_MAX)?;
    connection.set_prepared_statement_cache_capacity(32);

    let transaction = connection.transaction()?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        transaction.execute_batch(TABLES)?;
        transaction.execute("INSERT INTO log(epoch) VALUES (?1)", [epoch.to_string()])?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    } else if version != VERSION {
        return Err(Trouble::Useless(format!("it has version {version}")));
    }
    let found: String = transaction.query_row("SELECT epoch FROM log", [], |row| row.get(0))?;
    if found != epoch.to_string() {
        return Err(Trouble::Useless("it belongs to another log".to_owned()));
    }
    let kept = rooms(&transaction)?;
    transaction.commit()?;
    Ok((connection, kept))
}

/// Makes sure that the file exists, and that only its owner can read it.
fn create(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// What is indexed of each room. A room's name is its id's text; older versions wrote the name.
fn rooms(connection: &Connection) -> Result<BTreeMap<RoomId, Kept>, Trouble> {
    let mut rows = connection.prepare("SELECT id, first, indexed, mark, name FROM rooms")?;
    let mut rows = rows.query([])?;
    let mut rooms = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let name = row.get_ref(4)?.as_str().unwrap_or_default();
        let room = RoomId::parse(name).ok();
        if room.is_none_or(|room| rooms.contains_key(&room)) {
            return Err(Trouble::Useless(
                "it names a room that there can't be".to_owned(),
            ));
        }
        let kept = kept(row)?;
        rooms.extend(room.map(|room| (room, kept)));
    }
    Ok(rooms)
}

/// Adds a room of which nothing is indexed.
pub(super) fn add_room(connection: &Connection, room: RoomId) -> rusqlite::Result<Kept> {
    let id = connection
        .prepare_cached("INSERT INTO rooms(name, first, indexed) VALUES (?1, 1, 0)")?
        .insert([room.to_string()])?;
    Ok(Kept {
        id,
        first: 1,
        indexed: 0,
        mark: None,
    })
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept {
        id: row.get(0)?,
        // One more than the highest number if all are erased.
        first: number(row, 1)?.max(1),
        indexed: number(row, 2)?,
        mark: row.get(3)?,
    })
}

/// A column that holds an entry's number, or a count of entries.
pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    let number = u64::try_from(value)
        .ok()
        .filter(|number| *number <= SEQ_MAX);
    number.ok_or(rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// Stores which part of a room is indexed.
pub(super) fn keep(connection: &Connection, room: Kept) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE rooms SET first = ?2, indexed = ?3, mark = ?4 WHERE id = ?1")?
        .execute(params![
            room.id,
            room.first.cast_signed(),
            room.indexed.cast_signed(),
            room.mark
        ])
        .map(drop)
}

/// Opens the file for reading.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(READER_STATEMENTS);
    Ok(connection)
}

/// The indexed part of a room, as a reader sees it.
pub(super) fn read_room(connection: &Connection, id: i64) -> rusqlite::Result<Option<Kept>> {
    connection
        .prepare_cached("SELECT id, first, indexed, mark FROM rooms WHERE id = ?1")?
        .query_row([id], kept)
        .optional()
}

/// Removes the file and those that belong to it.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::remove_file(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
