//! Opens a log: checks an existing one, or creates a new one.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{
    Durability, Refusals, Rooms, Settings, SqliteStore,
    checkpoint::{self, Checkpoints, connect_to_copy},
    compact::Compaction,
    damage::{Damages, InRow},
    devices::Devices,
    failure,
    failure::Failed,
    ledger::Ledger,
    lock::{Lock, take},
    open_error::{OpenError, directory_error, of_migration, refusal},
    paths::{
        DATABASE, INDEX, NEW, RESTORING, beside, has_log, is_there, move_to, private, remove,
        sync_directory,
    },
    read::{self, SqliteLog, extent_at, is_possible},
    schema::{
        APPLICATION_ID, BUSY, connect, create, entry_key, entry_of, foreign, meta, migrate,
        number_at, set_meta, use_wal, version,
    },
};
use crate::{
    protocol::Epoch,
    server::{
        event_log::EventLog,
        log::semantics::decode_entry,
        store::{fresh_epoch, index::Index},
    },
};

/// The key in `meta` of the log's epoch.
pub(super) const EPOCH: &str = "epoch";
/// The key in `meta` that is set while a server with [`Durability::Relaxed`] runs.
pub(super) const RELAXED: &str = "relaxed";

/// Entries at a room's end that are checked when a database is opened: so many,
const LAST_CHECKED: u64 = 16;
/// but with many rooms not more than so many of all rooms together, and one of each.
const CHECKED_MAX: u64 = 4_096;

impl SqliteStore {
    /// Opens the log in a data directory, or creates a new one.
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        Self::open_on(settings, None)
    }

    pub(super) fn open_on(settings: &Settings, vfs: Option<&str>) -> Result<Self, OpenError> {
        let directory = &settings.directory;
        let lock = take(directory)?;
        if is_there(&directory.join(RESTORING))? {
            return Err(OpenError::Restoring(directory.clone()));
        }
        let path = directory.join(DATABASE);
        let is_new = !has_log(directory)?;
        if is_new {
            make(directory, vfs)?;
        }
        let connection = open_database(&path, vfs)?;
        Self::open_with(settings, connection, path, is_new, Some(lock))
    }

    /// Opens a database that is not the log yet, in a data directory that this process has locked.
    pub(super) fn open_file(settings: &Settings, path: &Path) -> Result<Self, OpenError> {
        let connection = open_database(path, None)?;
        Self::open_with(settings, connection, path.to_owned(), false, None)
    }

    fn open_with(
        settings: &Settings,
        connection: Connection,
        path: PathBuf,
        is_new: bool,
        lock: Option<Lock>,
    ) -> Result<Self, OpenError> {
        let directory = &settings.directory;
        let is_copied = make_lasting(&connection, &path)?;
        check(&connection, &path)?;
        let fresh = fresh_epoch().map_err(OpenError::System)?;
        let recorder = settings.recorder.clone();
        let prepare = || {
            let settled = settle(&connection, &path, settings.durability, fresh, &recorder)?;
            let rooms = Rooms::load(&connection)?;
            let compaction = Compaction::load(&connection, settings.compact)?;
            if settled.durability == Durability::Relaxed {
                connection.pragma_update(None, "synchronous", "NORMAL")?;
            }
            Ok((settled, rooms, compaction, connect_to_copy(&path)?))
        };
        let (settled, rooms, compaction, copier) =
            prepare().map_err(|error| refusal(&path, error))?;
        let Opened { epoch, durability } = settled;
        let failed = Arc::new(Failed::default());
        let checkpoints = Checkpoints::start(
            copier,
            Arc::clone(&failed),
            recorder.clone(),
            &settings.supervisor,
        );
        let checkpoints = checkpoints.map_err(OpenError::System)?;
        if !is_copied {
            checkpoints.empty();
        }
        let damages = Damages::new(recorder.clone());
        let index = if settings.index {
            Some(start_index(&path, epoch, &rooms, settings, &damages)?)
        } else {
            // An index that is not maintained would keep erased texts.
            let removed = remove(&directory.join(INDEX));
            removed.map_err(|error| directory_error(directory, error))?;
            None
        };
        let mut store = Self {
            index,
            checkpoints: Some(checkpoints),
            connection,
            path,
            epoch,
            rooms,
            devices: Devices::default(),
            durability,
            recorder,
            damages,
            failed,
            refusals: Refusals::default(),
            blocked: 0,
            removing: false,
            compaction,
            ledger: Ledger::of(directory),
            is_new,
            _lock: lock,
        };
        store.complete_ledger();
        Ok(store)
    }
}

fn start_index(
    path: &Path,
    epoch: Epoch,
    rooms: &Rooms,
    settings: &Settings,
    damages: &Damages,
) -> Result<Index, OpenError> {
    let log = SqliteLog::open(path, rooms.rows(), damages.clone())
        .map_err(|error| refusal(path, error))?;
    let path = path.with_file_name(INDEX);
    Index::start(&path, epoch, Box::new(log), &settings.supervisor).map_err(OpenError::System)
}

/// Creates a new database, complete before it gets its name.
pub(super) fn make(directory: &Path, vfs: Option<&str>) -> Result<(), OpenError> {
    let path = directory.join(NEW);
    let refuse = |error| directory_error(directory, error);
    remove(&path).map_err(refuse)?;
    let mut options = File::options();
    private(options.write(true).create_new(true))
        .open(&path)
        .map_err(refuse)?;
    let mut connection = connect(&path, vfs).map_err(|error| refusal(&path, error))?;
    let complete = create(&mut connection).map_err(|error| of_migration(&path, error))?;
    if !complete {
        drop(connection);
        remove(&path).map_err(refuse)?;
        return Err(OpenError::NoWal(directory.to_owned()));
    }
    let epoch = fresh_epoch().map_err(OpenError::System)?;
    set_epoch(&connection, epoch)
        .and_then(|()| checkpoint::step(&connection, "TRUNCATE"))
        .map_err(|error| refusal(&path, error))?;
    connection
        .close()
        .map_err(|(_, error)| refusal(&path, error))?;
    move_to(&path, &directory.join(DATABASE))
        .and_then(|()| sync_directory(directory))
        .map_err(refuse)
}

/// Opens one of our databases, and brings its schema up to date.
pub(super) fn open_database(path: &Path, vfs: Option<&str>) -> Result<Connection, OpenError> {
    check_header(path)?;
    let mut connection = connect(path, vfs).map_err(|error| refusal(path, error))?;
    let refuse = |error| refusal(path, error);
    check_version(&connection, path)?;
    check_schema(&connection, path)?;
    if !use_wal(&connection).map_err(refuse)? {
        return Err(OpenError::NoWal(path.to_owned()));
    }
    migrate(&mut connection).map_err(|error| of_migration(path, error))?;
    Ok(connection)
}

/// Makes sure that the write-ahead log of an earlier server is durable: after a failed sync the
/// system may show pages that are not. Returns false if it could not be copied into the database,
/// because the disk is full or a reader sees an older state; then the write-ahead log itself is
/// rewritten in place, and synced.
pub(super) fn make_lasting(connection: &Connection, path: &Path) -> Result<bool, OpenError> {
    // It does not wait for long readers.
    let copied = connection
        .busy_timeout(Duration::ZERO)
        .and_then(|()| checkpoint::step(connection, "TRUNCATE"));
    let patient = connection.busy_timeout(BUSY);
    patient.map_err(|error| refusal(path, error))?;
    match copied {
        Ok(progress) if !progress.busy => return Ok(true),
        Ok(_) => {}
        Err(error) if is_full(&error, path) => {}
        Err(error) => return Err(refusal(path, error)),
    }
    // The transaction keeps others from writing to it or restarting it meanwhile.
    let writing = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)
        .map_err(|error| refusal(path, error))?;
    let log = beside(path, "-wal");
    write_again(&log).map_err(|error| directory_error(&log, error))?;
    writing.rollback().map_err(|error| refusal(path, error))?;
    Ok(false)
}

/// Whether an error is only for lack of space or quota.
fn is_full(error: &rusqlite::Error, database: &Path) -> bool {
    let directory = database.parent().unwrap_or(database);
    failure::wants_space(error) && failure::may_pass(error, directory)
}

/// Writes a file's bytes again in place, so that a sync writes them to the disk even if the system
/// believes them to be written.
fn write_again(path: &Path) -> io::Result<()> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let mut bytes = vec![0; 64 * 1024];
    let mut at = 0;
    loop {
        let count = file.read(&mut bytes)?;
        if count == 0 {
            return file.sync_all();
        }
        file.seek(io::SeekFrom::Start(at))?;
        file.write_all(&bytes[..count])?;
        at += count as u64;
    }
}

/// Checks a file's header before SQLite opens it, which might write to it.
pub(super) fn check_header(path: &Path) -> Result<(), OpenError> {
    const MAGIC: &[u8] = b"SQLite format 3\0";
    let mut header = [0; 100];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    match read {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let how = "it is cut off".to_owned();
            return Err(OpenError::Damaged(path.to_owned(), how));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::Missing(path.to_owned()));
        }
        Err(error) => return Err(directory_error(path, error)),
    }
    let word = |at: usize| {
        let bytes = [header[at], header[at + 1], header[at + 2], header[at + 3]];
        i32::from_be_bytes(bytes)
    };
    if !header.starts_with(MAGIC) || word(68) != APPLICATION_ID {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    if is_newer(word(60)) {
        return Err(OpenError::Newer(path.to_owned()));
    }
    Ok(())
}

fn is_newer(found: i32) -> bool {
    usize::try_from(found).is_ok_and(|found| found > version())
}

/// Checks the schema's version, including the write-ahead log.
pub(super) fn check_version(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let found: i32 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| refusal(path, error))?;
    if is_newer(found) {
        return Err(OpenError::Newer(path.to_owned()));
    }
    Ok(())
}

/// Checks that the database has exactly our tables, as we create them. A trigger or a view would
/// let its author act when we read or write.
pub(super) fn check_schema(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    match foreign(connection) {
        Ok(None) => Ok(()),
        Ok(Some(what)) => Err(OpenError::Altered(path.to_owned(), what)),
        Err(rusqlite_migration::Error::RusqliteError { err, .. }) => Err(refusal(path, err)),
        Err(error) => Err(of_migration(path, error)),
    }
}

/// Checks that every room's entries begin and end at its stored numbers. Cheap: it reads only both
/// ends.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    match fault(connection) {
        Ok(None) => Ok(()),
        Ok(Some(fault)) => Err(OpenError::Damaged(path.to_owned(), fault.to_owned())),
        Err(error) => Err(refusal(path, error)),
    }
}

fn fault(connection: &Connection) -> rusqlite::Result<Option<&'static str>> {
    let count = connection.query_row("SELECT count(*) FROM room", [], |row| number_at(row, 0))?;
    let checked = (CHECKED_MAX / count.max(1)).clamp(1, LAST_CHECKED);
    // A single query for both would scan every row in between.
    let mut ends = connection.prepare(
        "SELECT (SELECT min(id) FROM entry WHERE id BETWEEN ?1 AND ?2),
                (SELECT max(id) FROM entry WHERE id BETWEEN ?1 AND ?2)",
    )?;
    let mut rooms = connection.prepare("SELECT no, first, head FROM room")?;
    let mut rooms = rooms.query([])?;
    while let Some(room) = rooms.next()? {
        let no: i64 = room.get(0)?;
        let extent = extent_at(room, 1).in_row("room", no)?;
        if !is_possible(extent) {
            return Ok(Some("a room does not hold the messages that it should"));
        }
        let all = (entry_key(no, 0), entry_key(no, u64::MAX));
        let (lowest, highest): (Option<i64>, Option<i64>) =
            ends.query_row(all, |row| Ok((row.get(0)?, row.get(1)?)))?;
        let seq = |row: Option<i64>| row.map(|row| entry_of(row).1);
        let wanted = (!extent.is_empty()).then_some((extent.first, extent.head));
        if (seq(lowest), seq(highest)) != wanted.unzip() {
            return Ok(Some("a room does not hold the messages that it should"));
        }
        let from = extent.latest(checked);
        let mut sound = true;
        read::each(connection, no, from, extent.head, false, |seq, frame| {
            sound &= decode_entry(frame).is_some_and(|entry| entry.seq == seq);
            sound
        })?;
        if !sound {
            return Ok(Some("a message can't be read"));
        }
    }
    Ok(None)
}

/// Stores the log's epoch.
pub(super) fn set_epoch(connection: &Connection, epoch: Epoch) -> rusqlite::Result<()> {
    set_meta(connection, EPOCH, Some(&epoch.to_string()))
}

/// The log's epoch, and when its commits may be acknowledged.
struct Opened {
    epoch: Epoch,
    durability: Durability,
}

/// Like [`settle_epoch`]; but if the disk is too full for it, chooses what needs no writing:
/// without a mark for commits without sync, every commit is synced.
fn settle(
    connection: &Connection,
    path: &Path,
    durability: Durability,
    fresh: Epoch,
    recorder: &EventLog,
) -> rusqlite::Result<Opened> {
    let full = match settle_epoch(connection, durability, fresh) {
        Ok(epoch) => return Ok(Opened { epoch, durability }),
        Err(error) if is_full(&error, path) => error,
        Err(error) => return Err(error),
    };
    // An old mark stays, so that the next start begins a new epoch, too.
    let was_relaxed = meta(connection, RELAXED)?.is_some();
    let epoch = match known_epoch(connection)? {
        Some(epoch) if !was_relaxed => epoch,
        Some(_) => fresh,
        None => return Err(full),
    };
    if durability == Durability::Relaxed {
        recorder.warn("the disk is full: this run syncs every commit".to_owned());
    }
    Ok(Opened {
        epoch,
        durability: Durability::Full,
    })
}

fn known_epoch(connection: &Connection) -> rusqlite::Result<Option<Epoch>> {
    Ok(meta(connection, EPOCH)?.and_then(|epoch| Epoch::parse(&epoch).ok()))
}

/// Chooses the log's epoch, and sets or removes the mark of a relaxed run.
fn settle_epoch(
    connection: &Connection,
    durability: Durability,
    fresh: Epoch,
) -> rusqlite::Result<Epoch> {
    let transaction = connection.unchecked_transaction()?;
    let was_relaxed = meta(connection, RELAXED)?.is_some();
    let epoch = match known_epoch(connection)? {
        Some(epoch) if !was_relaxed => epoch,
        _ => {
            set_epoch(connection, fresh)?;
            fresh
        }
    };
    let mark = (durability == Durability::Relaxed).then_some("running");
    if mark.is_some() || was_relaxed {
        set_meta(connection, RELAXED, mark)?;
    }
    transaction.commit()?;
    Ok(epoch)
}
