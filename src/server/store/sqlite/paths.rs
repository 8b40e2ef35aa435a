//! The files of the data directory.

use std::{
    fs::{self, File, Metadata},
    io,
    path::{Path, PathBuf},
};

use super::open_error::{OpenError, directory_error};
use etcetera::BaseStrategy;

/// The database, in the data directory.
pub(super) const DATABASE: &str = "log.db";
/// The index, beside it.
pub(super) const INDEX: &str = "index.db";
/// A new database, until it is complete.
pub(super) const NEW: &str = "new.db";
/// A mark that exists while a restore is not completed.
pub(super) const RESTORING: &str = "restoring";

/// Makes a directory's entries durable.
pub(in crate::server) fn sync_directory(directory: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        // The parent of a plain name.
        let here = directory.as_os_str().is_empty();
        File::open(if here { Path::new(".") } else { directory })?.sync_all()
    }
    // Other systems can't open a directory as a file, and need not.
    #[cfg(not(unix))]
    Ok(())
}

/// Makes new files private to this user.
pub(in crate::server) fn private(options: &mut fs::OpenOptions) -> &mut fs::OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Makes opening a symbolic link an error.
pub(in crate::server) fn not_through_links(options: &mut fs::OpenOptions) -> &mut fs::OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        options,
        rustix::fs::OFlags::NOFOLLOW.bits().cast_signed(),
    );
    options
}

/// Whether a directory has a log. Doubtful cases are errors: a log created in its place would be a
/// second one, or get the leftovers of the first from SQLite.
pub(super) fn has_log(directory: &Path) -> Result<bool, OpenError> {
    let path = directory.join(DATABASE);
    if let Some(found) = look(&path)? {
        return if found.is_file() {
            Ok(true)
        } else if found.is_symlink() {
            Err(OpenError::Link(path))
        } else {
            Err(OpenError::Foreign(path))
        };
    }
    for suffix in ["-wal", "-journal"] {
        let rest = beside(&path, suffix);
        if look(&rest)?.is_some_and(|found| found.len() > 0) {
            return Err(OpenError::Rest(path, rest));
        }
    }
    Ok(false)
}

/// Whether a file of that name exists. Being unable to tell is an error, not a no.
pub(super) fn is_there(path: &Path) -> Result<bool, OpenError> {
    Ok(look(path)?.is_some())
}

fn look(path: &Path) -> Result<Option<Metadata>, OpenError> {
    match path.symlink_metadata() {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(directory_error(path, error)),
    }
}

/// Renames a file without overwriting another. If interrupted, it leaves the file with both names,
/// and can be repeated.
pub(in crate::server) fn move_to(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if !is_same(from, to)? {
                return Err(error);
            }
        }
        // Some file systems have no hard links.
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return match to.symlink_metadata() {
                Err(absent) if absent.kind() == io::ErrorKind::NotFound => fs::rename(from, to),
                Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
                Err(_) => Err(error),
            };
        }
        Err(error) => return Err(error),
    }
    fs::remove_file(from)
}

/// Whether two names are of one file.
fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let (one, other) = (one.symlink_metadata()?, other.symlink_metadata()?);
        Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = (one, other);
        Ok(false)
    }
}

/// Removes a database and its other files, if they exist.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        match fs::remove_file(beside(path, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The path of a database's other file with this suffix.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// The default data directory: `chat-server` in the XDG data directory.
pub(in crate::server) fn data_directory() -> Result<PathBuf, OpenError> {
    let strategy = etcetera::choose_base_strategy().map_err(|_| OpenError::NoHome)?;
    Ok(strategy.data_dir().join("chat-server"))
}
