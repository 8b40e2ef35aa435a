//! Backs up a whole log to one file, and restores it.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};

use super::{
    AsOwner, DATABASE, ErasedAgain, MaintenanceError, OpenError, Partial, RESTORING, Result, check,
    check_header, check_schema, check_version, create_new, erase_again, has_log, is_there,
    look_into, move_to, of_file, of_sqlite, open_database, parent, private, refusal, remove,
    remove_index, sync_directory, take,
};
use crate::server::store::{
    fresh_epoch,
    sqlite::{
        checkpoint,
        open::{RELAXED, set_epoch},
        paths::beside,
        schema::{connect, connect_to_read, number_at, set_meta},
    },
};

/// Pages that one step of a backup copies: all of them.
const ALL: i32 = -1;
/// The restored database, until it replaces the old one.
const RESTORED: &str = "restored.db";

/// Copies the log of a data directory into one file, whether a server runs or not. The file gets
/// its name once it is complete and checked; nothing is overwritten.
///
/// The backup is the log at one moment: it is read in one transaction, and meanwhile the
/// write-ahead log of a running server grows by what is written to it.
pub fn backup(directory: &Path, file: &Path) -> Result<u64> {
    let (source, source_path) = look_into(directory)?;
    let partial = Partial::begin(file)?;
    let _owner = AsOwner::of(parent(file))?;
    copy(&source, &source_path, &partial.path, file)?;
    let refuse = of_sqlite(file);
    let copied = connect(&partial.path, None).map_err(&refuse)?;
    check_all(&copied, file)?;
    // A single file, which can be moved freely.
    copied
        .pragma_update(None, "journal_mode", "DELETE")
        .map_err(&refuse)?;
    let entries = count(&copied).map_err(&refuse)?;
    copied.close().map_err(|(_, error)| refuse(error))?;
    partial.finish()?;
    Ok(entries)
}

/// The results of a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The number of entries in the log now.
    pub entries: u64,
    /// The file of the previous log, if there was one.
    pub aside: Option<PathBuf>,
    /// What was erased since the backup, and is erased again.
    pub again: ErasedAgain,
}

/// Replaces a data directory's log with a backup. The backup is checked in full first, and the
/// previous log is kept under another name. What the directory's ledger of erasures names is erased
/// again before any server may serve it. The log gets a new epoch: clients see that it is
/// another one, and mark the break.
///
/// An interrupted restore leaves a mark that keeps servers from starting until it is repeated.
pub fn restore(directory: &Path, file: &Path) -> Result<Restored> {
    let source = open_backup(file).map_err(|error| no_backup(file, error))?;
    let _owner = AsOwner::of(directory)?;
    let _lock = take(directory)?;
    // Refuse before changing anything if the old log can't be set aside as a whole.
    has_log(directory)?;
    let path = directory.join(RESTORED);
    remove(&path).map_err(of_file(&path))?;
    let copied = copy_backup(&source, file, &path)
        .and_then(|()| prepare(&path))
        .and_then(|()| erase_again(directory, &path))
        .and_then(|again| Ok((count_in(&path)?, again)));
    drop(source);
    let (entries, again) = copied.map_err(|error| {
        // If this fails, the next restore removes it.
        let _ = remove(&path);
        match error {
            MaintenanceError::Open(error) => no_backup(file, error),
            error => error,
        }
    })?;

    let mark = directory.join(RESTORING);
    let of_directory = of_file(directory);
    let aside = mark_begun(directory, &mark)?;
    let aside = set_aside(directory, &aside)?;
    remove_index(directory)?;
    let database = directory.join(DATABASE);
    // Only an interrupted restore can have left it: the old log is set aside by now.
    remove(&database).map_err(&of_directory)?;
    move_to(&path, &database)
        .and_then(|()| sync_directory(directory))
        .and_then(|()| fs::remove_file(&mark))
        .and_then(|()| sync_directory(directory))
        .map_err(&of_directory)?;
    Ok(Restored {
        entries,
        aside,
        again,
    })
}

/// Turns an error of opening into one about the backup, unless it is about the target directory.
fn no_backup(file: &Path, error: OpenError) -> MaintenanceError {
    let why = match error {
        OpenError::Damaged(_, how) => format!("it is damaged ({how})"),
        OpenError::Altered(_, what) => {
            format!("it contains something that chat-server did not create ({what})")
        }
        OpenError::Foreign(_) => "it is not a backup of chat-server".to_owned(),
        OpenError::Newer(_) => "it was made by a newer version of chat-server".to_owned(),
        OpenError::Missing(_) => "there is no such file".to_owned(),
        error => return error.into(),
    };
    MaintenanceError::NoBackup(file.to_owned(), why)
}

/// Opens a backup, as the user who runs the command.
fn open_backup(file: &Path) -> std::result::Result<Connection, OpenError> {
    check_header(file)?;
    let source = connect_to_read(file).map_err(|error| refusal(file, error))?;
    check_version(&source, file)?;
    check_schema(&source, file)?;
    Ok(source)
}

fn copy_backup(source: &Connection, file: &Path, path: &Path) -> Result<()> {
    create_new(path)?;
    copy(source, file, path, path)
}

/// Prepares a copied backup for use as the log.
fn prepare(path: &Path) -> Result<()> {
    let refuse = of_sqlite(path);
    let connection = open_database(path, None)?;
    check_all(&connection, path)?;
    let epoch = fresh_epoch().map_err(OpenError::System)?;
    set_epoch(&connection, epoch)
        .and_then(|()| set_meta(&connection, RELAXED, None))
        .and_then(|()| checkpoint::step(&connection, "TRUNCATE"))
        .map_err(&refuse)?;
    connection.close().map_err(|(_, error)| refuse(error))
}

/// The number of entries that a restored database holds.
fn count_in(path: &Path) -> Result<u64> {
    let connection = open_database(path, None)?;
    let entries = count(&connection).map_err(of_sqlite(path))?;
    connection
        .close()
        .map_err(|(_, error)| of_sqlite(path)(error))?;
    Ok(entries)
}

/// Copies a database into an empty file, which will be named `name`.
fn copy(source: &Connection, source_path: &Path, path: &Path, name: &Path) -> Result<()> {
    let mut target = Connection::open(path).map_err(of_sqlite(name))?;
    // It is synced when it is complete.
    target
        .pragma_update(None, "synchronous", "OFF")
        .map_err(of_sqlite(name))?;
    let refuse = of_sqlite(source_path);
    let copying = Backup::new(source, &mut target).map_err(&refuse)?;
    match copying.step(ALL).map_err(of_sqlite(name))? {
        StepResult::Done => {}
        _ => return Err(OpenError::Held(source_path.to_owned()).into()),
    }
    drop(copying);
    target
        .close()
        .map_err(|(_, error)| of_sqlite(name)(error))?;
    File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.sync_all())
        .map_err(of_file(name))
}

/// Checks every page, and both ends of every room.
fn check_all(connection: &Connection, path: &Path) -> Result<()> {
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(of_sqlite(path))?;
    if found != "ok" {
        // Its first line only names the database.
        let how = found.lines().last().unwrap_or_default().to_owned();
        return Err(OpenError::Damaged(path.to_owned(), how).into());
    }
    Ok(check(connection, path)?)
}

/// The number of entries held.
fn count(connection: &Connection) -> rusqlite::Result<u64> {
    let sum = "SELECT coalesce(sum(head + 1 - first), 0) FROM room";
    connection.query_row(sum, [], |row| number_at(row, 0))
}

/// Writes the mark of a restore. It contains the name, with a time, that the old log will get; if
/// an earlier restore was interrupted, that one's name is kept.
fn mark_begun(directory: &Path, mark: &Path) -> Result<PathBuf> {
    let begun = fs::read_to_string(mark).unwrap_or_default();
    // A mark cut off by a power failure is from a restore that had not changed anything yet.
    let stem = begun
        .strip_prefix("log-")
        .and_then(|rest| rest.strip_suffix(".db"));
    if stem.is_some_and(|stem| !stem.contains(['/', '\\'])) {
        return Ok(directory.join(begun));
    }
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut name = format!("log-{now}.db");
    let mut count = 1;
    while is_there(&directory.join(&name))? || is_there(&directory.join(format!("{name}-wal")))? {
        count += 1;
        name = format!("log-{now}-{count}.db");
    }
    let leave = || {
        let mut options = File::options();
        options.write(true).create(true).truncate(true);
        let mut file = private(&mut options).open(mark)?;
        file.write_all(name.as_bytes())?;
        file.sync_all()?;
        sync_directory(directory)
    };
    leave().map_err(of_file(mark))?;
    Ok(directory.join(name))
}

/// Renames the old log, together with its write-ahead log, and returns the new path if there is a
/// file now.
///
/// The database is renamed last: once it has its new name, the whole log has, and any file with the
/// old name was put there by an interrupted restore.
fn set_aside(directory: &Path, aside: &Path) -> Result<Option<PathBuf>> {
    let database = directory.join(DATABASE);
    if !is_there(aside)? {
        for suffix in ["-wal", ""] {
            let (from, to) = (beside(&database, suffix), beside(aside, suffix));
            match move_to(&from, &to) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                moved => moved.map_err(of_file(&to))?,
            }
            // The order has to survive a power failure.
            sync_directory(directory).map_err(of_file(directory))?;
        }
    }
    Ok(is_there(aside)?.then(|| aside.to_owned()))
}
