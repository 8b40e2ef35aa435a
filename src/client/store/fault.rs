//! Failures of a store.

use rusqlite::ErrorCode;
use std::time::Duration;

/// How long another process may keep the database locked.
pub(super) const BUSY_WITHIN: Duration = Duration::from_secs(5);

/// The same at the first opening, while the user waits for the screen.
pub(super) const OPEN_BUSY_WITHIN: Duration = Duration::from_millis(300);

/// Why an operation on an open database failed.
#[derive(Debug)]
pub(super) enum StoreFault {
    /// The contents are invalid.
    Damaged,
    /// The open file is no longer the one at its path.
    Moved,
    /// Any other failure; it may pass.
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for StoreFault {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error;
        let damaged = match &error {
            Error::SqliteFailure(..) | Error::SqlInputError { .. } => matches!(
                error.sqlite_error_code(),
                // SQLite reports a missing table as `Unknown`.
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown)
            ),
            Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
            | Error::Utf8Error(..) => true,
            _ => false,
        };
        if damaged {
            Self::Damaged
        } else {
            Self::Failed(error)
        }
    }
}

impl StoreFault {
    /// Whether the disk is full.
    pub(super) fn wants_space(&self) -> bool {
        matches!(self, Self::Failed(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull)
            || error.sqlite_extended_error_code() == Some(rusqlite::ffi::SQLITE_IOERR_WRITE))
    }

    /// Whether another process keeps it locked.
    pub(super) fn is_busy(&self) -> bool {
        let Self::Failed(error) = self else {
            return false;
        };
        matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        )
    }

    /// The reason, worded to follow "because".
    pub(super) fn words(&self) -> String {
        let error = match self {
            Self::Failed(error) => error,
            Self::Damaged => return "the file is damaged".to_owned(),
            Self::Moved => return "another program keeps moving the file away".to_owned(),
        };
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => "there is no room left on the disk".to_owned(),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                "it can't be written".to_owned()
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                "another program keeps it locked".to_owned()
            }
            Some(ErrorCode::SystemIoFailure) => "the disk could not be read or written".to_owned(),
            _ => error.to_string(),
        }
    }
}
