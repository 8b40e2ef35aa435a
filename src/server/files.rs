//! Small files that only the server's user may read, and that last: whole or not at all, even where
//! the machine loses power.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use super::store::sqlite::{
    lock::make_directory,
    place::{hand_over, move_to, private, sync_directory},
};

/// Makes a file that must not change once it is there. If another process was quicker, its file
/// stands.
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

/// Makes a file, in the place of the one that may be there.
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

/// At most so many bytes of a file.
pub(super) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Makes a directory for the server's user alone where there is none, and those above it. It
/// belongs to whom `owner` belongs to, a directory that is made as well.
pub(super) fn directory(path: &Path, owner: &Path) -> io::Result<()> {
    make_directory(path)?;
    hand_over(&File::open(path)?, owner)
}

/// Writes a file under another name; it has all its bytes and lasts.
fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let new = path.with_extension(format!("new-{}", std::process::id()));
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    let mut file = private(&mut options).open(&new)?;
    file.write_all(bytes)?;
    hand_over(&file, parent(path))?;
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
    fn what_is_kept_stands_and_what_is_replaced_does_not() {
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
