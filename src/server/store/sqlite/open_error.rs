//! Why a log is not opened, in words that say what to do.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use rusqlite::{ErrorCode, ffi};

use super::damage::damage;

/// Why a data directory can't be used. Its text says what to do, in plain sentences. Nothing that
/// was there has been changed.
#[derive(Debug)]
pub enum OpenError {
    /// There is no home directory to keep data in.
    NoHome,
    /// The directory can't be made, or not be used.
    Directory(PathBuf, io::Error),
    /// Other users can write to it.
    Exposed(PathBuf),
    /// It is the user's of this number, and this process is root's.
    OtherOwner(PathBuf, u32),
    /// A server uses it.
    InUse(PathBuf, Option<u32>),
    /// A program that is no server of ours holds the database.
    Held(PathBuf),
    /// There is no database in it.
    Missing(PathBuf),
    /// A restore was begun and not ended.
    Restoring(PathBuf),
    /// There is no database of this name, but this, that SQLite would take for a part of a new
    /// one.
    Rest(PathBuf, PathBuf),
    /// The database is a link to one elsewhere.
    Link(PathBuf),
    /// The file is something else.
    Foreign(PathBuf),
    /// The file is of a newer version of this program.
    Newer(PathBuf),
    /// The database has, or lacks, something that no version of this program has made so.
    Altered(PathBuf, String),
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
        match self {
            Self::InUse(..)
            | Self::Held(_)
            | Self::Full(_)
            | Self::System(_)
            | Self::Sqlite(..) => true,
            // A disk that fails, or is read-only for now; too many files open.
            Self::Directory(_, error) => !is_lasting(error),
            _ => false,
        }
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
            Self::Exposed(path) => write!(
                out,
                "Other users can write to {0}, and so could change what the server keeps there. \
                 Type: chmod go-w '{0}'",
                path.display()
            ),
            Self::OtherOwner(path, user) => write!(
                out,
                "{} belongs to another user ({user}), who could lead root astray there. Run this \
                 as that user: sudo -u '#{user}' chat-server …",
                path.display()
            ),
            Self::InUse(path, process) => {
                write!(out, "{} is in use by another server", path.display())?;
                if let Some(process) = process {
                    write!(out, " (process {process})")?;
                }
                out.write_str(". Stop it, or give this one a directory of its own: --data-dir DIR")
            }
            Self::Held(path) => write!(
                out,
                "Another program writes to {}, or reads it. End that, then try again",
                path.display()
            ),
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
            Self::Rest(path, rest) => write!(
                out,
                "{} is missing, but its {} is here, with the latest messages in it. Put the \
                 database back, or move both away",
                path.display(),
                rest.file_name().unwrap_or_default().display()
            ),
            Self::Link(path) => write!(
                out,
                "{} is a link. Give --data-dir the directory that the database itself is in",
                path.display()
            ),
            Self::Foreign(path) => write!(
                out,
                "{} is not a database of chat-server. Move it away with its -wal, or choose \
                 another directory with --data-dir DIR",
                path.display()
            ),
            Self::Newer(path) => write!(
                out,
                "{} is of a newer version of chat-server. Run that version, or restore a backup \
                 that this one has made",
                path.display()
            ),
            Self::Altered(path, what) => write!(
                out,
                "{} has something that no chat-server made ({what}), and is not used. Restore a \
                 backup with chat-server restore FILE; this one is kept",
                path.display()
            ),
            Self::Damaged(path, how) => write!(
                out,
                "{} is damaged ({how}). Restore a backup with chat-server restore FILE; the damaged \
                 one is kept, with its -wal",
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
                "There is no space left where {} is. Make room, then try again",
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
        // There is no place for the shared memory's file.
        Some(_) if extended == ffi::SQLITE_IOERR_SHMSIZE => OpenError::Full(path),
        // Without a code it is what a table or an entry holds that is not what it must be.
        None if matches!(error, rusqlite::Error::QueryReturnedNoRows) => {
            OpenError::Damaged(path, "a message that must be there is missing".to_owned())
        }
        None if let Some(damage) = damage(&error) => OpenError::Damaged(path, damage.to_string()),
        None | Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged(path, error.to_string()),
        Some(ErrorCode::NotADatabase) => OpenError::Foreign(path),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Held(path),
        Some(ErrorCode::FileLockingProtocolFailed) => OpenError::NoWal(path),
        Some(ErrorCode::CannotOpen) => {
            OpenError::Directory(path, io::Error::other(error.to_string()))
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            let kind = io::ErrorKind::PermissionDenied;
            OpenError::Directory(path, io::Error::new(kind, error.to_string()))
        }
        Some(_) if is_shared_memory(extended) => OpenError::NoWal(path),
        Some(_) => OpenError::Sqlite(path, error),
    }
}

/// Whether an error of the system stays what it is until somebody does something about it.
pub(super) fn is_lasting(error: &io::Error) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied};
    matches!(
        error.kind(),
        NotFound | PermissionDenied | NotADirectory | IsADirectory
    )
}

/// Whether an error is about the memory that the users of a write-ahead log share.
fn is_shared_memory(extended: i32) -> bool {
    matches!(
        extended,
        ffi::SQLITE_IOERR_SHMOPEN | ffi::SQLITE_IOERR_SHMLOCK | ffi::SQLITE_IOERR_SHMMAP
    )
}

pub(super) fn of_migration(path: &Path, error: rusqlite_migration::Error) -> OpenError {
    match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => refusal(path, err),
        error => OpenError::Damaged(path.to_owned(), error.to_string()),
    }
}

/// What an error of the system means for a directory or a file in it.
pub(super) fn directory_error(path: &Path, error: io::Error) -> OpenError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            OpenError::Full(path.to_owned())
        }
        _ => OpenError::Directory(path.to_owned(), error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sqlite_says_is_put_into_words() {
        let failure = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        for (error, words) in [
            (
                failure(ffi::SQLITE_BUSY),
                "Another program writes to log.db",
            ),
            (failure(ffi::SQLITE_FULL), "no space left"),
            (failure(ffi::SQLITE_READONLY), "may write to"),
            (
                failure(ffi::SQLITE_NOTADB),
                "is not a database of chat-server",
            ),
            (
                rusqlite::Error::QueryReturnedNoRows,
                "(a message that must be there is missing)",
            ),
        ] {
            let said = refusal(Path::new("log.db"), error).to_string();
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn what_a_later_try_may_find_in_order_is_not_for_good() {
        use io::ErrorKind as Kind;
        for (kind, may_pass) in [
            (Kind::NotFound, false),
            (Kind::PermissionDenied, false),
            (Kind::NotADirectory, false),
            (Kind::ReadOnlyFilesystem, true),
            (Kind::QuotaExceeded, true),
            (Kind::StorageFull, true),
            (Kind::StaleNetworkFileHandle, true),
        ] {
            let error = directory_error(Path::new("data"), kind.into());
            assert_eq!(error.may_pass(), may_pass, "{kind:?}");
        }
        for (number, name) in [(5, "EIO"), (24, "EMFILE")] {
            let error = io::Error::from_raw_os_error(number);
            assert!(
                directory_error(Path::new("data"), error).may_pass(),
                "{name}"
            );
        }
    }
}
