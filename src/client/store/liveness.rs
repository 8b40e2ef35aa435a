//! Detects whether the process that holds a lease still runs.
//!
//! Each holder has a file beside the store, named after its lease, and locked while the process
//! lives. The system releases the lock however the process ends, so it is never out of date. On a
//! file system without locks every other holder counts as gone.

use std::{
    fmt::Write as _,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use super::{Owner, paths};

/// A holder's lock file; removed on drop.
#[derive(Debug)]
pub(super) struct LivenessLock {
    path: PathBuf,
    /// Locked.
    _file: File,
}

impl LivenessLock {
    /// Makes the file for a lease that is to be taken. `None` if that fails.
    pub(super) fn sign(store: &Path, owner: Owner) -> Option<Self> {
        let path = path(store, &owner);
        paths::create(&path).ok()?;
        let file = File::options().append(true).open(&path).ok()?;
        if file.try_lock().is_ok() {
            return Some(Self { path, _file: file });
        }
        // Failing to remove it is harmless.
        let _ = fs::remove_file(path);
        None
    }
}

impl Drop for LivenessLock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether the process that holds this lease runs.
pub(super) fn is_alive(store: &Path, owner: &[u8]) -> bool {
    let Ok(file) = File::open(path(store, owner)) else {
        return false;
    };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Removes the file of a lost lease, which its process may have left when it was killed.
pub(super) fn forget(store: &Path, owner: &[u8]) {
    let _ = fs::remove_file(path(store, owner));
}

fn path(store: &Path, owner: &[u8]) -> PathBuf {
    let mut name = String::new();
    for byte in owner {
        // Writing to a string can't fail.
        let _ = write!(name, "{byte:02x}");
    }
    store.with_extension(format!("{name}.run"))
}
