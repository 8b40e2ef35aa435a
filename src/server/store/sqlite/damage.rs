//! Damaged rows of the log: errors that name the row, reported to the operator once.
//!
//! The functions of this folder return SQLite's errors. Damage travels in them as a conversion
//! error, from which [`damage`] extracts it.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Error, ErrorCode, Result, types::Type};

use crate::server::event_log::EventLog;

/// Rows that are reported in one run.
const TOLD_MAX: usize = 100;

/// A damaged row, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    table: &'static str,
    row: i64,
    what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, row, what } = self;
        write!(out, "row {row} of the table {table} is damaged: {what}")
    }
}

impl std::error::Error for Damage {}

/// An error that names a damaged row.
pub(super) fn damaged(table: &'static str, row: i64, what: impl Into<String>) -> Error {
    let what = what.into();
    let damage = Damage { table, row, what };
    Error::FromSqlConversionFailure(0, Type::Null, Box::new(damage))
}

/// Extracts the damage from an error, if it is about any.
pub(super) fn damage(error: &Error) -> Option<&Damage> {
    match error {
        Error::FromSqlConversionFailure(_, _, why) => why.downcast_ref(),
        _ => None,
    }
}

/// Adds the row to an error.
pub(super) trait InRow {
    /// If the error is about the row's contents, or that it is missing, it will name the row.
    fn in_row(self, table: &'static str, row: i64) -> Self;
}

impl<T> InRow for Result<T> {
    fn in_row(self, table: &'static str, row: i64) -> Self {
        self.map_err(|error| match error {
            Error::QueryReturnedNoRows => damaged(table, row, "it is missing"),
            Error::IntegralValueOutOfRange(_, value) => {
                damaged(table, row, format!("{value} is out of range"))
            }
            Error::InvalidColumnType(_, column, found) => {
                damaged(table, row, format!("{column} is {found}"))
            }
            Error::FromSqlConversionFailure(..) if damage(&error).is_none() => {
                damaged(table, row, error.to_string())
            }
            error => error,
        })
    }
}

/// Reports damaged rows to the operator, each once, however often it is read. Cheap to clone; all
/// clones share what was reported.
#[derive(Clone, Debug)]
pub(super) struct Damages {
    recorder: EventLog,
    told: Arc<Mutex<HashSet<(&'static str, i64)>>>,
}

impl Damages {
    pub(super) fn new(recorder: EventLog) -> Self {
        Self {
            recorder,
            told: Arc::default(),
        }
    }

    /// Reports damage, if the error is about any. Returns whether it is.
    pub(super) fn tell(&self, error: &Error) -> bool {
        let damage = damage(error);
        if let Some(damage) = damage {
            self.say((damage.table, damage.row), damage);
        }
        damage.is_some()
    }

    /// Reports any error of a reader. Returns whether it is damage, which a retry does not help.
    pub(super) fn tell_unread(&self, error: &Error) -> bool {
        if self.tell(error) {
            return true;
        }
        let code = error.sqlite_error_code();
        // It took too long, or another program locks the file for a moment.
        let is_usual = matches!(
            code,
            Some(
                ErrorCode::OperationInterrupted
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
            )
        );
        if !is_usual {
            // Each kind of error is reported once.
            let kind = error.sqlite_extended_error_code().unwrap_or(0);
            self.say(("", kind.into()), &format!("it can't be read: {error}"));
        }
        matches!(
            code,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        )
    }

    fn say(&self, which: (&'static str, i64), damage: &dyn fmt::Display) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < TOLD_MAX && told.insert(which) {
            let more = if told.len() == TOLD_MAX {
                "; no more such rows are reported in this run"
            } else {
                ""
            };
            self.recorder.warn(format!(
                "the log: {damage}; check the disk, and restore your last backup{more}"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn whatever_a_row_holds_the_error_names_it() {
        let connection = Connection::open_in_memory().unwrap();
        let read = |value: &str| {
            connection
                .query_row(&format!("SELECT value FROM ({value})"), [], |row| {
                    super::super::schema::number_at(row, 0)
                })
                .in_row("room", 7)
        };
        assert_eq!(read("SELECT 3 AS value"), Ok(3));
        for (value, what) in [
            ("SELECT NULL AS value", "value is Null"),
            ("SELECT 'x' AS value", "value is Text"),
            ("SELECT -3 AS value", "-3 is out of range"),
            ("SELECT 3 AS value WHERE false", "it is missing"),
        ] {
            let error = read(value).unwrap_err();
            let damage = damage(&error).unwrap().to_string();
            let expected = format!("row 7 of the table room is damaged: {what}");
            assert_eq!(damage, expected);
        }
        // An error that is not about the row.
        let error = connection
            .query_row("SELECT x", [], |_| Ok(()))
            .in_row("room", 7);
        assert_eq!(damage(&error.unwrap_err()), None);
    }
}
