//! Small files that only the server's user may read, written atomically and durably.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

pub(super) use super::store::sqlite::lock::make_directory as directory;
use super::store::sqlite::paths::{move_to, not_through_links, private, sync_directory};

/// The owner of a secret, which decides who may read its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secret {
    /// The server's own, in its data directory: only its user may read it.
    Own,
    /// The operator's: it may be reached through links, and be readable by all users, as secrets in
    /// containers often are.
    Operators,
}

impl Secret {
    /// The mode bits that must not be set.
    fn forbidden(self) -> u32 {
        match self {
            Self::Own => 0o077,
            Self::Operators => 0o022,
        }
    }
}

/// Creates a file that must not change once it exists. If another process was faster, its file
/// stays.
pub(super) fn keep(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = write_beside(path, bytes)?;
    if let Err(error) = move_to(&new, path) {
        fs::remove_file(&new)?;
        if error.kind() != io::ErrorKind::AlreadyExists {
            return Err(error);
        }
    }
    sync_directory(parent(path))
}

/// Writes a file, replacing an existing one.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = write_beside(path, bytes)?;
    if let Err(error) = fs::rename(&new, path) {
        fs::remove_file(&new)?;
        return Err(error);
    }
    sync_directory(parent(path))
}

/// Removes a file; false if there was none.
pub(super) fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        removed => removed.and_then(|()| sync_directory(parent(path)).map(|()| true)),
    }
}

/// Reads at most `most` bytes of a file.
pub(super) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    bytes_of(&File::open(path)?, most)
}

/// A secret could not be read.
#[derive(Debug)]
pub(super) enum SecretFileError {
    /// Other users can read or change it, so it is no longer secret.
    Exposed,
    /// The system's error.
    Io(io::Error),
}

/// Reads at most `most` bytes of a secret.
pub(super) fn read_secret(
    path: &Path,
    secret: Secret,
    most: u64,
) -> Result<Vec<u8>, SecretFileError> {
    let mut options = File::options();
    options.read(true);
    if secret == Secret::Own {
        not_through_links(&mut options);
    }
    let file = options.open(path).map_err(SecretFileError::Io)?;
    let found = file.metadata().map_err(SecretFileError::Io)?;
    if found.permissions().mode() & secret.forbidden() != 0 {
        return Err(SecretFileError::Exposed);
    }
    bytes_of(&file, most).map_err(SecretFileError::Io)
}

fn bytes_of(file: &File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes and syncs a file under a temporary name.
fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let new = path.with_extension(format!("new-{}", std::process::id()));
    // Left by a killed process with the same id.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = File::options();
    let mut file = private(options.write(true).create_new(true)).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(new)
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_file_stays_and_a_replaced_one_does_not() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("secret.key");
        for bytes in [b"first", b"later"] {
            keep(&path, bytes).unwrap();
            assert_eq!(read(&path, 100).unwrap(), b"first");
        }
        assert_eq!(read(&path, 3).unwrap(), b"fir");
        replace(&path, b"other").unwrap();
        assert_eq!(read(&path, 100).unwrap(), b"other");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert!(remove(&path).unwrap());
        assert!(!remove(&path).unwrap());
    }
}
