//! The data directory: its files, and whose it is at the moment.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use super::refusal::{OpenError, directory_error};

/// The database, in the data directory.
pub(super) const DATABASE: &str = "log.db";
/// The index, beside it.
pub(super) const INDEX: &str = "index.db";
/// The file whose lock a server holds as long as it lives. It stays when the server is gone.
const LOCK: &str = "lock";
/// A new database, until it is complete.
pub(super) const NEW: &str = "new.db";
/// There while a restore has begun and not ended.
pub(super) const RESTORING: &str = "restoring";

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
