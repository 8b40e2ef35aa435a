//! Classifies errors: whether one may pass, or the log can't be relied on any more.

use std::{
    fmt,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rusqlite::{Error, ErrorCode, ffi};

use super::damage::damage;
use crate::server::store::disk_space;

/// Whether the disk has failed, with a callback for it.
#[derive(Default)]
pub(super) struct Failed {
    failed: AtomicBool,
    tell: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl fmt::Debug for Failed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Failed").field(&self.is_set()).finish()
    }
}

impl Failed {
    pub(super) fn set(&self) {
        self.failed.store(true, Ordering::Release);
    }

    pub(super) fn is_set(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Sets the callback.
    pub(super) fn on_told(&self, tell: Box<dyn FnOnce() + Send>) {
        *self.tell.lock().unwrap_or_else(PoisonError::into_inner) = Some(tell);
        // The failure may have been before.
        if self.is_set() {
            self.tell();
        }
    }

    /// Calls the callback: the writer may be idle, and notice the failure only at its next batch.
    pub(super) fn tell(&self) {
        let tell = self
            .tell
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(tell) = tell {
            tell();
        }
    }
}

/// Whether the log can be relied on after an error, once the transaction is rolled back: the system
/// refused, or another program is in the way. If not, the disk fails, or its contents are damaged.
pub(super) fn may_pass(error: &Error, directory: &Path) -> bool {
    if damage(error).is_some() {
        return false;
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => false,
        Some(ErrorCode::SystemIoFailure) => match error.sqlite_extended_error_code() {
            Some(ffi::SQLITE_IOERR_WRITE) => disk_space::is_refused(directory),
            // Errors about shared memory or locks.
            Some(
                ffi::SQLITE_IOERR_NOMEM
                | ffi::SQLITE_IOERR_SHMOPEN
                | ffi::SQLITE_IOERR_SHMSIZE
                | ffi::SQLITE_IOERR_SHMMAP
                | ffi::SQLITE_IOERR_SHMLOCK
                | ffi::SQLITE_IOERR_LOCK
                | ffi::SQLITE_IOERR_RDLOCK
                | ffi::SQLITE_IOERR_UNLOCK,
            ) => true,
            _ => false,
        },
        _ => true,
    }
}

/// Whether a failed `COMMIT` has left nothing behind: it ended before the batch's last page was
/// written, without which none of them counts. After a failed sync it may have been written or not.
pub(super) fn commit_was_undone(error: &Error, directory: &Path) -> bool {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DiskFull
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked,
        ) => true,
        Some(ErrorCode::SystemIoFailure) => {
            error.sqlite_extended_error_code() == Some(ffi::SQLITE_IOERR_WRITE)
                && disk_space::is_refused(directory)
        }
        _ => false,
    }
}

/// Whether an error that may pass is for lack of space.
pub(super) fn wants_space(error: &Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || error.sqlite_extended_error_code() == Some(ffi::SQLITE_IOERR_WRITE)
}

/// Describes an error in plain words.
pub(super) fn reason(error: &Error) -> String {
    if let Some(damage) = damage(error) {
        return damage.to_string();
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full".to_owned(),
        Some(ErrorCode::ReadOnly) => "the database is read-only".to_owned(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program holds the database".to_owned()
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "the database is damaged".to_owned()
        }
        _ if wants_space(error) => "the system refuses to write (is a quota used up?)".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_once_whenever_somebody_wants_to_hear_of_it() {
        for early in [true, false] {
            let failed = Failed::default();
            let told = std::sync::Arc::new(AtomicBool::new(false));
            let tell = std::sync::Arc::clone(&told);
            let tell = Box::new(move || assert!(!tell.swap(true, Ordering::Relaxed)));
            if early {
                failed.set();
                failed.on_told(tell);
            } else {
                failed.on_told(tell);
                assert!(!told.load(Ordering::Relaxed));
                failed.set();
            }
            failed.tell();
            failed.tell();
            assert!(told.load(Ordering::Relaxed));
        }
    }

    #[test]
    fn refusals_of_the_system_may_pass_and_a_failing_disk_does_not() {
        let directory = tempfile::tempdir().unwrap();
        // Code; whether the server goes on if it happens before `COMMIT`, and in it.
        for (code, before, in_commit) in [
            (ffi::SQLITE_FULL, true, true),
            (ffi::SQLITE_READONLY, true, true),
            (ffi::SQLITE_CANTOPEN, true, true),
            (ffi::SQLITE_BUSY, true, true),
            (ffi::SQLITE_NOMEM, true, false),
            (ffi::SQLITE_IOERR_SHMSIZE, true, false),
            // In a directory that can still be written.
            (ffi::SQLITE_IOERR_WRITE, false, false),
            (ffi::SQLITE_IOERR_FSYNC, false, false),
            (ffi::SQLITE_IOERR_READ, false, false),
            (ffi::SQLITE_IOERR, false, false),
            (ffi::SQLITE_CORRUPT, false, false),
            (ffi::SQLITE_NOTADB, false, false),
        ] {
            let error = Error::SqliteFailure(ffi::Error::new(code), None);
            let found = (
                may_pass(&error, directory.path()),
                commit_was_undone(&error, directory.path()),
            );
            assert_eq!(found, (before, in_commit), "{code}");
        }
    }
}
