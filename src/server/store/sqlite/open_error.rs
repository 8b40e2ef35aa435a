//! Errors of opening a log, with texts that say what to do.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use rusqlite::{ErrorCode, ffi};

use super::damage::damage;

/// An error with a data directory. Its text says what to do, in plain sentences. Nothing has been
/// changed.
#[derive(Debug)]
pub enum OpenError {
    /// There is no home directory to keep data in.
    NoHome,
    /// The directory can't be created or used.
    Directory(PathBuf, io::Error),
    /// Other users can write to it.
    Exposed(PathBuf),
    /// It belongs to the user with this id, and this process is root's.
    OtherOwner(PathBuf, u32),
    /// A server uses it.
    InUse(PathBuf, Option<u32>),
    /// Another program than our server locks the database.
    Held(PathBuf),
    /// There is no database in it.
    Missing(PathBuf),
    /// A restore was begun and not completed.
    Restoring(PathBuf),
    /// The database (first) is missing, but this other file of it exists, which SQLite would apply
    /// to a new one.
    Rest(PathBuf, PathBuf),
    /// The database is a symbolic link.
    Link(PathBuf),
    /// The file is something else.
    Foreign(PathBuf),
    /// The file was made by a newer version of this program.
    Newer(PathBuf),
    /// The database has, or lacks, something, unlike all that this program creates.
    Altered(PathBuf, String),
    /// The file is damaged, and how.
    Damaged(PathBuf, String),
    /// The file system can't hold it safely.
    NoWal(PathBuf),
    /// There is no space.
    Full(PathBuf),
    /// The system gave no thread, or no random bytes.
    System(io::Error),
    /// Another error.
    Sqlite(PathBuf, rusqlite::Error),
}

impl OpenError {
    /// Whether a later attempt may succeed without a change by the operator.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::InUse(..)
            | Self::Held(_)
            | Self::Full(_)
            | Self::System(_)
            | Self::Sqlite(..) => true,
            // A failing disk, or one that is read-only for now; too many open files.
            Self::Directory(_, error) => !is_lasting(error),
            _ => false,
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHome => out.write_str(
                "There is no home directory for the messages. Give a directory with --data-dir DIR, or \
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
                "Other users can write to {0}, and so could change the server's data there. \
                 Type: chmod go-w '{0}'",
                path.display()
            ),
            Self::OtherOwner(path, user) => write!(
                out,
                "{} belongs to another user ({user}), who could misuse root's rights there. Run this \
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
                "Another program is using {}. Close it, then try again",
                path.display()
            ),
            Self::Missing(path) => write!(
                out,
                "There is no {}. Give the server's data directory with --data-dir DIR",
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
                "{} was made by a newer version of chat-server. Run that version, or restore a backup \
                 made by this one",
                path.display()
            ),
            Self::Altered(path, what) => write!(
                out,
                "{} contains something that chat-server did not create ({what}), so it is not used. Restore a \
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
                "There is no space left on the disk of {}. Free some, then try again",
                path.display()
            ),
            Self::System(error) => {
                write!(out, "The system refused something that the server needs: {error}")
            }
            Self::Sqlite(path, error) => {
                write!(out, "{} can't be opened: {error}", path.display())
            }
        }
    }
}

impl std::error::Error for OpenError {}

/// Classifies an error of SQLite for a file.
pub(super) fn refusal(path: &Path, error: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    let extended = error.sqlite_extended_error_code().unwrap_or_default();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => OpenError::Full(path),
        // There is no space for the file of the shared memory.
        Some(_) if extended == ffi::SQLITE_IOERR_SHMSIZE => OpenError::Full(path),
        // Errors without a code are about the contents of a table or an entry.
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

/// Whether a system error stays until the operator changes something.
pub(super) fn is_lasting(error: &io::Error) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied};
    matches!(
        error.kind(),
        NotFound | PermissionDenied | NotADirectory | IsADirectory
    )
}

/// Whether an error is about the shared memory of a write-ahead log.
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

/// Classifies a system error for a directory or a file in it.
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
    fn errors_of_sqlite_get_plain_texts() {
        let failure = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        for (error, words) in [
            (failure(ffi::SQLITE_BUSY), "Another program is using log.db"),
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
    fn errors_that_may_pass_are_not_lasting() {
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
