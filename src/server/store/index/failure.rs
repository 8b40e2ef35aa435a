//! The errors of the index.

use std::io;

use rusqlite::ErrorCode;

use crate::server::log::StoreError;

/// Why a step failed.
#[derive(Debug)]
pub(super) enum Failure {
    Index(Trouble),
    Log(StoreError),
}

impl Failure {
    /// Whether it was interrupted for taking too long.
    pub(super) fn is_interruption(&self) -> bool {
        matches!(self, Self::Index(Trouble::Later(error))
            if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted))
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self::Index(trouble)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Index(error.into())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Log(error)
    }
}

/// An error of the index.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The file can't be used: it is damaged, or of another log or version.
    Useless(String),
    /// It may work later: no space, no permission, another program in the way.
    Later(rusqlite::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::OutOfMemory
                | ErrorCode::OperationInterrupted,
            ) => Self::Later(error),
            _ => Self::Useless(error.to_string()),
        }
    }
}

/// An error of the file system.
pub(super) fn cannot_open(error: &io::Error) -> Trouble {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
    Trouble::Later(rusqlite::Error::SqliteFailure(
        code,
        Some(error.to_string()),
    ))
}
