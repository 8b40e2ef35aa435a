//! Whether the process that holds a lease still runs.
//!
//! Each holder has a file beside the store, named after its lease, and locked for as long as the
//! process lives: the system lets go of the lock when the process ends, however it ends, so that it
//! can't be out of date. On a file system without locks every other holder counts as gone.

use std::{
    fmt::Write as _,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use super::{Owner, paths};

/// The sign of life of a holder; gone with the value.
#[derive(Debug)]
pub(super) struct LivenessLock {
    path: PathBuf,
    /// Locked.
    _file: File,
}

impl LivenessLock {
    /// Gives one for a lease that is to be taken. `None` where it can't be had.
    pub(super) fn sign(store: &Path, owner: Owner) -> Option<Self> {
        let path = path(store, &owner);
        paths::create(&path).ok()?;
        let file = File::options().append(true).open(&path).ok()?;
        if file.try_lock().is_ok() {
            return Some(Self { path, _file: file });
        }
        // Nothing depends on whether it goes.
        let _ = fs::remove_file(path);
        None
    }
}

impl Drop for LivenessLock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether a process runs that holds this lease.
pub(super) fn is_alive(store: &Path, owner: &[u8]) -> bool {
    let Ok(file) = File::open(path(store, owner)) else {
        return false;
    };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// The lease is another one now: the sign of the process that had it means nothing any more, and
/// that process may have been killed and have left it.
pub(super) fn forget(store: &Path, owner: &[u8]) {
    let _ = fs::remove_file(path(store, owner));
}

fn path(store: &Path, owner: &[u8]) -> PathBuf {
    let mut name = String::new();
    for byte in owner {
        // A text takes all that is written.
        let _ = write!(name, "{byte:02x}");
    }
    store.with_extension(format!("{name}.run"))
}
