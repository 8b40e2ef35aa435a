//! Opening a log: what is refused, and how what is found is checked.

use std::{
    fmt,
    fs::{self, DirBuilder, File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension};

use super::{
    Durability, Room, RoomState, Settings, SqliteStore,
    checkpoint::{self, Checkpoints, connect_to_copy},
    devices::Devices,
    read::{self, LogReader},
    schema::{
        APPLICATION_ID, connect, create, entry_key, entry_of, meta, migrate, number_at, set_meta,
        time_at, use_wal, version,
    },
};
use crate::{
    protocol::{Epoch, RoomName},
    server::store::{fresh_epoch, index::Index, rules::decode_entry},
};

/// The database, in the data directory.
pub(super) const DATABASE: &str = "log.db";
/// The index, beside it.
pub(super) const INDEX: &str = "index.db";
/// The file whose lock a server holds as long as it lives. It stays when the server is gone.
const LOCK: &str = "lock";
/// A new database, until it is complete.
const NEW: &str = "new.db";
/// There while a restore has begun and not ended.
pub(super) const RESTORING: &str = "restoring";

/// In `meta`: which log this is.
pub(super) const EPOCH: &str = "epoch";
/// In `meta`, as long as a server with [`Durability::Relaxed`] runs.
pub(super) const RELAXED: &str = "relaxed";

/// Entries at a room's end that are looked at when a database is opened.
const LAST_CHECKED: u64 = 16;

/// Why a data directory can't be used. Its text says what to do, in plain sentences. Nothing that
/// was there has been changed.
#[derive(Debug)]
pub enum OpenError {
    /// There is no home directory to keep data in.
    NoHome,
    /// The directory can't be made, or not be used.
    Directory(PathBuf, io::Error),
    /// A server uses it.
    InUse(PathBuf, Option<u32>),
    /// There is no database in it.
    Missing(PathBuf),
    /// A restore was begun and not ended.
    Restoring(PathBuf),
    /// The file is something else.
    Foreign(PathBuf),
    /// The file is of a newer version of this program.
    Newer(PathBuf),
    /// The file is damaged, and how.
    Damaged(PathBuf, String),
    /// The file system can't hold it.
    NoWal(PathBuf),
    /// There is no space.
    Full(PathBuf),
    /// The system gave no thread, or no random bytes.
    System(io::Error),
    /// Something else.
    Sqlite(PathBuf, rusqlite::Error),
}

impl OpenError {
    /// Whether the same may go well later, without anything being done about it.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::InUse(..) | Self::Full(_) | Self::System(_) | Self::Sqlite(..)
        )
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHome => out.write_str(
                "There is no home directory to keep messages in. Say where with --data-dir DIR, or \
                 keep them in memory with --ephemeral",
            ),
            Self::Directory(path, error) => write!(
                out,
                "Messages can't be kept in {}: {error}. Give --data-dir a directory that this user \
                 may write to",
                path.display()
            ),
            Self::InUse(path, process) => {
                write!(out, "{} is in use by another server", path.display())?;
                if let Some(process) = process {
                    write!(out, " (process {process})")?;
                }
                out.write_str(". Stop it, or give this one a directory of its own: --data-dir DIR")
            }
            Self::Missing(path) => write!(
                out,
                "There is no {}. Say with --data-dir DIR where the server keeps its messages",
                path.display()
            ),
            Self::Restoring(path) => write!(
                out,
                "A restore in {} was interrupted. Run it again: chat-server restore FILE",
                path.display()
            ),
            Self::Foreign(path) => write!(
                out,
                "{} is not a database of chat-server. Move it away, or choose another directory \
                 with --data-dir DIR",
                path.display()
            ),
            Self::Newer(path) => write!(
                out,
                "{} is of a newer version of chat-server. Run that version, or restore a backup \
                 that this one has made",
                path.display()
            ),
            Self::Damaged(path, how) => write!(
                out,
                "{} is damaged ({how}). Restore a backup with chat-server restore FILE; the damaged \
                 file is kept",
                path.display()
            ),
            Self::NoWal(path) => write!(
                out,
                "The file system of {} can't hold a database safely; network file systems can't. \
                 Choose a directory on a disk of this machine with --data-dir DIR",
                path.display()
            ),
            Self::Full(path) => write!(
                out,
                "There is no space left where {} is. Make room, then start again",
                path.display()
            ),
            Self::System(error) => {
                write!(out, "The system refused what a server needs: {error}")
            }
            Self::Sqlite(path, error) => {
                write!(out, "{} can't be opened: {error}", path.display())
            }
        }
    }
}

impl std::error::Error for OpenError {}

/// What an error of SQLite means for a file.
pub(super) fn refusal(path: &Path, error: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    let extended = error.sqlite_extended_error_code().unwrap_or_default();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => OpenError::Full(path),
        // Without a code it is what a table or an entry holds that is not what it must be.
        None | Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged(path, error.to_string()),
        Some(ErrorCode::NotADatabase) => OpenError::Foreign(path),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse(path, None),
        Some(ErrorCode::FileLockingProtocolFailed) => OpenError::NoWal(path),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            OpenError::Directory(path, io::Error::other(error.to_string()))
        }
        Some(_) if is_shared_memory(extended) => OpenError::NoWal(path),
        Some(_) => OpenError::Sqlite(path, error),
    }
}

/// Whether an error is about the memory that the users of a write-ahead log share.
fn is_shared_memory(extended: i32) -> bool {
    use rusqlite::ffi;
    matches!(
        extended,
        ffi::SQLITE_IOERR_SHMOPEN
            | ffi::SQLITE_IOERR_SHMSIZE
            | ffi::SQLITE_IOERR_SHMLOCK
            | ffi::SQLITE_IOERR_SHMMAP
    )
}

fn of_migration(path: &Path, error: rusqlite_migration::Error) -> OpenError {
    match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => refusal(path, err),
        error => OpenError::Damaged(path.to_owned(), error.to_string()),
    }
}

/// A data directory, in the hands of one process.
#[derive(Debug)]
pub(super) struct Lock {
    /// Unlocked when it is closed, however this process ends.
    _file: File,
}

/// Makes the directory if it is not there, and takes it for this process.
pub(super) fn take(directory: &Path) -> Result<Lock, OpenError> {
    let refuse = |error| directory_error(directory, error);
    make_directory(directory).map_err(refuse)?;
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = private(&mut options)
        .open(directory.join(LOCK))
        .map_err(refuse)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            let _ = file.take(32).read_to_string(&mut process);
            let process = process.trim().parse().ok();
            return Err(OpenError::InUse(directory.to_owned(), process));
        }
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
            return Err(OpenError::NoWal(directory.to_owned()));
        }
        Err(TryLockError::Error(error)) => return Err(refuse(error)),
    }
    // For the words of the next one who wants it; no more hangs on it.
    let _ = file
        .rewind()
        .and_then(|()| file.set_len(0))
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(Lock { _file: file })
}

fn directory_error(path: &Path, error: io::Error) -> OpenError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            OpenError::Full(path.to_owned())
        }
        _ => OpenError::Directory(path.to_owned(), error),
    }
}

fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)?;
    directory.parent().map_or(Ok(()), sync_directory)
}

/// Makes sure that a directory's entries last.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        // The parent of a plain name.
        let here = directory.as_os_str().is_empty();
        File::open(if here { Path::new(".") } else { directory })?.sync_all()
    }
    // Elsewhere a directory can't be opened as a file, and need not be.
    #[cfg(not(unix))]
    Ok(())
}

/// For files that only this user may read.
pub(super) fn private(options: &mut fs::OpenOptions) -> &mut fs::OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Removes a database and what belongs to it, where there is one.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        match fs::remove_file(beside(path, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The file that SQLite has for a database under this suffix.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

impl SqliteStore {
    /// Opens the log in a data directory, or makes a new one where there is none. `rooms` are those
    /// that are served; others in it are kept.
    pub fn open(settings: &Settings, rooms: &[RoomName]) -> Result<Self, OpenError> {
        Self::open_on(settings, rooms, None)
    }

    pub(super) fn open_on(
        settings: &Settings,
        rooms: &[RoomName],
        vfs: Option<&str>,
    ) -> Result<Self, OpenError> {
        let directory = &settings.directory;
        let lock = take(directory)?;
        if directory.join(RESTORING).exists() {
            return Err(OpenError::Restoring(directory.clone()));
        }
        let path = directory.join(DATABASE);
        if !path.exists() {
            make(directory, vfs)?;
        }
        let connection = open_database(&path, vfs)?;
        check(&connection, &path)?;
        let fresh = fresh_epoch().map_err(OpenError::System)?;
        let prepare = || {
            let epoch = settle_epoch(&connection, settings.durability, fresh)?;
            let rooms = find_rooms(&connection, rooms)?;
            if settings.durability == Durability::Relaxed {
                connection.pragma_update(None, "synchronous", "NORMAL")?;
            }
            Ok((epoch, rooms, connect_to_copy(&path)?))
        };
        let (epoch, rooms, copier) = prepare().map_err(|error| refusal(&path, error))?;
        let failed = Arc::new(AtomicBool::new(false));
        let recorder = settings.recorder.clone();
        let checkpoints = Checkpoints::start(copier, Arc::clone(&failed), recorder.clone());
        let checkpoints = checkpoints.map_err(OpenError::System)?;
        let index = settings
            .index
            .then(|| start_index(&path, epoch, &rooms))
            .transpose()?;
        Ok(Self {
            index,
            checkpoints: Some(checkpoints),
            connection,
            path,
            epoch,
            rooms,
            devices: Devices::default(),
            durability: settings.durability,
            recorder,
            failed,
            refusing: false,
            removing: false,
            _lock: lock,
        })
    }
}

fn start_index(path: &Path, epoch: Epoch, rooms: &[Room]) -> Result<Index, OpenError> {
    let nos = rooms.iter().map(|room| room.no).collect();
    let names: Vec<_> = rooms.iter().map(|room| room.name.clone()).collect();
    let log = LogReader::open(path, nos).map_err(|error| refusal(path, error))?;
    Index::start(&path.with_file_name(INDEX), epoch, &names, Box::new(log))
        .map_err(OpenError::System)
}

/// Makes a new database: complete before it has its name.
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
    fs::rename(&path, directory.join(DATABASE))
        .and_then(|()| sync_directory(directory))
        .map_err(refuse)
}

/// Opens a database of ours, brings its schema up to date, and copies what a server before has left
/// in the write-ahead log.
pub(super) fn open_database(path: &Path, vfs: Option<&str>) -> Result<Connection, OpenError> {
    check_header(path)?;
    let mut connection = connect(path, vfs).map_err(|error| refusal(path, error))?;
    let refuse = |error| refusal(path, error);
    check_version(&connection, path)?;
    if !use_wal(&connection).map_err(refuse)? {
        return Err(OpenError::NoWal(path.to_owned()));
    }
    migrate(&mut connection).map_err(|error| of_migration(path, error))?;
    // After a failed sync the system may show pages that are not on the medium. Now they are
    // written again, and synced.
    checkpoint::step(&connection, "TRUNCATE").map_err(refuse)?;
    Ok(connection)
}

/// Looks at a file before SQLite does, which might write to it.
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

/// The schema's version, as it is with the write-ahead log.
pub(super) fn check_version(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let found: i32 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| refusal(path, error))?;
    if is_newer(found) {
        return Err(OpenError::Newer(path.to_owned()));
    }
    Ok(())
}

/// Whether every room's entries end where its head is, and begin where it says. Cheap: it looks at
/// both ends only.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    match fault(connection) {
        Ok(None) => Ok(()),
        Ok(Some(fault)) => Err(OpenError::Damaged(path.to_owned(), fault.to_owned())),
        Err(error) => Err(refusal(path, error)),
    }
}

fn fault(connection: &Connection) -> rusqlite::Result<Option<&'static str>> {
    let mut rooms = connection.prepare("SELECT no, first, head FROM room")?;
    let mut rooms = rooms.query([])?;
    while let Some(room) = rooms.next()? {
        let no: i64 = room.get(0)?;
        let (first, head) = (number_at(room, 1)?, number_at(room, 2)?);
        // Both in one would be looked for in every row between.
        let ends = "SELECT (SELECT min(id) FROM entry WHERE id BETWEEN ?1 AND ?2),
                           (SELECT max(id) FROM entry WHERE id BETWEEN ?1 AND ?2)";
        let all = (entry_key(no, 0), entry_key(no, u64::MAX));
        let (lowest, highest): (Option<i64>, Option<i64>) =
            connection.query_row(ends, all, |row| Ok((row.get(0)?, row.get(1)?)))?;
        let seq = |row: Option<i64>| row.map(|row| entry_of(row).1);
        let some = first <= head;
        let wanted = (some.then_some(first), some.then_some(head));
        if (seq(lowest), seq(highest)) != wanted {
            return Ok(Some("a room does not hold the messages that it should"));
        }
        let from = first.max((head + 1).saturating_sub(LAST_CHECKED));
        let mut sound = true;
        read::each(connection, no, from, head, false, |seq, frame| {
            sound &= decode_entry(frame).is_some_and(|message| message.seq == seq);
            sound
        })?;
        if !sound {
            return Ok(Some("a message can't be read"));
        }
    }
    Ok(None)
}

/// Makes this the log's epoch.
pub(super) fn set_epoch(connection: &Connection, epoch: Epoch) -> rusqlite::Result<()> {
    set_meta(connection, EPOCH, Some(&epoch.to_string()))
}

/// Which log this is from now on; and the mark for the case that the end is not in order.
fn settle_epoch(
    connection: &Connection,
    durability: Durability,
    fresh: Epoch,
) -> rusqlite::Result<Epoch> {
    let transaction = connection.unchecked_transaction()?;
    let was_relaxed = meta(connection, RELAXED)?.is_some();
    let known = meta(connection, EPOCH)?.and_then(|epoch| Epoch::parse(&epoch).ok());
    let epoch = match known {
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

/// The rooms that are served, made where they are new.
fn find_rooms(connection: &Connection, names: &[RoomName]) -> rusqlite::Result<Vec<Room>> {
    let transaction = connection.unchecked_transaction()?;
    let rooms = names
        .iter()
        .map(|name| match find_room(connection, name)? {
            Some(room) => Ok(room),
            None => make_room(connection, name),
        })
        .collect::<rusqlite::Result<_>>()?;
    transaction.commit()?;
    Ok(rooms)
}

/// A room by its name.
pub(super) fn find_room(
    connection: &Connection,
    name: &RoomName,
) -> rusqlite::Result<Option<Room>> {
    connection
        .query_row(
            "SELECT no, first, head, last_time FROM room WHERE name = ?1",
            [name.as_str()],
            |row| {
                Ok(Room {
                    no: row.get(0)?,
                    name: name.clone(),
                    state: RoomState {
                        first: number_at(row, 1)?,
                        head: number_at(row, 2)?,
                        last_time: time_at(row, 3)?,
                    },
                })
            },
        )
        .optional()
}

/// A new room, empty.
pub(super) fn make_room(connection: &Connection, name: &RoomName) -> rusqlite::Result<Room> {
    connection.execute(
        "INSERT INTO room(name, first, head, last_time) VALUES(?1, 1, 0, 0)",
        [name.as_str()],
    )?;
    Ok(Room {
        no: connection.last_insert_rowid(),
        name: name.clone(),
        state: RoomState {
            first: 1,
            head: 0,
            last_time: Timestamp::UNIX_EPOCH,
        },
    })
}
