//! Locks a data directory for one process, so that two never write to one log.
//!
//! The directory itself is locked: a lock on a file in it could be evaded by removing the file, or
//! by a second directory whose `log.db` is a link to the first one's (such a link is refused as
//! well). The database file can't be locked: on some systems such a lock conflicts with SQLite's
//! own, and closing any descriptor of that file releases SQLite's. The file `lock` names the
//! process, and is locked too, for systems whose directories can't be.

use std::{
    fs::{DirBuilder, File, TryLockError},
    io::{self, Read, Seek, Write},
    path::Path,
};

use super::{
    open_error::{OpenError, directory_error},
    paths::{not_through_links, private, sync_directory},
};

/// A file that is locked as long as a server runs. It stays when the server is gone.
const LOCK: &str = "lock";

/// A data directory, locked by this process.
#[derive(Debug)]
pub(super) struct Lock {
    /// Unlocked when they are closed, however this process ends.
    _files: Vec<File>,
}

/// Creates the directory if it is missing, and locks it for this process.
pub(super) fn take(directory: &Path) -> Result<Lock, OpenError> {
    let refuse = |error| directory_error(directory, error);
    make_directory(directory).map_err(refuse)?;
    if is_on_network(directory) {
        return Err(OpenError::NoWal(directory.to_owned()));
    }
    let mut files = Vec::new();
    if cfg!(unix) {
        let opened = File::open(directory).map_err(refuse)?;
        lock(&opened, directory)?;
        files.push(opened);
    }
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = not_through_links(private(&mut options))
        .open(directory.join(LOCK))
        .map_err(refuse)?;
    lock(&file, directory)?;
    // Only for the error message of another process.
    let _ = file
        .rewind()
        .and_then(|()| file.set_len(0))
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    files.push(file);
    Ok(Lock { _files: files })
}

fn lock(file: &File, directory: &Path) -> Result<(), OpenError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            let _ = File::open(directory.join(LOCK))
                .and_then(|file| file.take(32).read_to_string(&mut process));
            let process = process.trim().parse().ok();
            Err(OpenError::InUse(directory.to_owned(), process))
        }
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
            Err(OpenError::NoWal(directory.to_owned()))
        }
        Err(TryLockError::Error(error)) => Err(directory_error(directory, error)),
    }
}

/// Creates a directory durably, with its missing parents.
pub(in crate::server) fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let missing: Vec<_> = directory
        .ancestors()
        .take_while(|path| !path.as_os_str().is_empty() && !path.is_dir())
        .collect();
    for path in missing.into_iter().rev() {
        match builder.create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !path.is_dir() {
                    return Err(io::ErrorKind::NotADirectory.into());
                }
            }
            made => made?,
        }
        path.parent().map_or(Ok(()), sync_directory)?;
    }
    Ok(())
}

/// Whether a directory is on a network file system, where locks and the shared memory of a
/// write-ahead log can't be relied on. File systems through FUSE (such as sshfs) can't be told
/// apart, and count as local.
#[cfg(target_os = "linux")]
fn is_on_network(directory: &Path) -> bool {
    let Ok(found) = rustix::fs::statfs(directory) else {
        return false;
    };
    // The magic numbers have 32 bits, whatever the field has.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_lossless,
        reason = "the field's type differs from one machine to another"
    )]
    let kind = found.f_type as u64 as u32;
    is_network(kind)
}

#[cfg(not(target_os = "linux"))]
fn is_on_network(_: &Path) -> bool {
    false
}

/// By a file system's magic number in Linux (statfs(2)).
#[cfg(target_os = "linux")]
fn is_network(kind: u32) -> bool {
    matches!(
        kind,
        0x6969 // NFS
            | 0x517b // SMB
            | 0xff53_4d42 // CIFS
            | 0xfe53_4d42 // SMB 2
            | 0x0102_1997 // 9P
            | 0x5346_414f // AFS
            | 0x6b41_4653 // AFS, another one
            | 0x00c3_6400 // Ceph
            | 0x7375_7245 // Coda
            | 0x564c // NCP
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[cfg(unix)]
    #[test]
    fn one_directory_is_taken_by_one_whatever_becomes_of_the_files_in_it() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("a/b/data");
        let lock = take(&directory).unwrap();
        let link = home.path().join("link");
        std::os::unix::fs::symlink(&directory, &link).unwrap();
        let me = Some(std::process::id());
        let refused = |path: &Path| match take(path) {
            Err(OpenError::InUse(_, process)) => process,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(&directory), me);
        assert_eq!(refused(&link), me);
        fs::remove_file(directory.join(LOCK)).unwrap();
        assert_eq!(refused(&directory), None);
        drop(lock);
        take(&directory).unwrap();
    }

    #[test]
    fn a_file_in_the_way_of_a_directory_is_told() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [&file, &file.join("below"), &file.join("far/below")] {
            let error = take(path).unwrap_err();
            assert!(!error.may_pass(), "{error:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn file_systems_of_other_machines_are_known() {
        for (name, kind, network) in [
            ("NFS", 0x6969, true),
            ("SMB 2", 0xfe53_4d42, true),
            ("ext4", 0xef53, false),
            ("Btrfs", 0x9123_683e, false),
            ("tmpfs", 0x0102_1994, false),
            ("FUSE", 0x6573_5546, false),
        ] {
            assert_eq!(is_network(kind), network, "{name}");
        }
    }
}
