//! Stores the records of the server's state as rows.

use rusqlite::{Connection, Result};

use crate::server::log::StateRecord;

/// Writes changes, in order, and returns their size in bytes.
pub(super) fn write(connection: &Connection, records: &[StateRecord]) -> Result<usize> {
    let mut bytes = 0;
    for fact in records {
        fact.assert_bounded();
        let StateRecord { kind, key, value } = fact;
        match value {
            Some(value) => connection
                .prepare_cached(
                    "INSERT INTO record(kind, key, value) VALUES(?1, ?2, ?3)
                     ON CONFLICT(kind, key) DO UPDATE SET value = excluded.value",
                )?
                .execute((kind, key, value))?,
            None => connection
                .prepare_cached("DELETE FROM record WHERE kind = ?1 AND key = ?2")?
                .execute((kind, key))?,
        };
        bytes += kind.len() + key.len() + value.as_ref().map_or(0, String::len);
    }
    Ok(bytes)
}

/// Replaces text that is not UTF-8. It is no JSON either, so the record will be found damaged.
const NO_TEXT: &str = "\u{fffd}";

/// Reads all records, ordered by kind and key.
pub(super) fn read(connection: &Connection) -> Result<Vec<StateRecord>> {
    connection
        .prepare("SELECT kind, key, value FROM record ORDER BY kind, key")?
        .query_map([], |row| {
            let text = |column| {
                let bytes = row.get_ref(column)?.as_bytes()?;
                Ok::<_, rusqlite::Error>(str::from_utf8(bytes).unwrap_or(NO_TEXT).to_owned())
            };
            Ok(StateRecord {
                kind: text(0)?.into(),
                key: text(1)?,
                value: Some(text(2)?),
            })
        })?
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{
        maintenance, schema,
        tests::{killed, limit, lobby, open, pages},
    };
    use super::*;
    use crate::server::log::{
        Batch, LogWriter, Operation, StateStore, StoreError,
        conformance::{LOBBY, append, at, extent, fact, message, message_in},
    };

    #[test]
    fn state_records_are_there_after_a_kill() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = open(directory.path());
        let records = vec![fact("a", Some("1")), fact("b", Some("2"))];
        append(&mut store, 1, [Operation::PutState(records)]);
        append(&mut store, 1, [Operation::PutState(vec![fact("a", None)])]);
        let copy = killed(directory.path());
        let left = [fact("b", Some("2"))];
        assert_eq!(open(copy.path()).state().unwrap(), left);
        drop(store);
        assert_eq!(open(directory.path()).state().unwrap(), left);
    }

    #[test]
    fn a_refused_batch_keeps_no_record() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = open(directory.path());
        append(
            &mut store,
            1,
            [Operation::PutState(vec![fact("a", Some("1"))])],
        );
        limit(&store, pages(&store));
        let long = "x".repeat(10_000);
        let batch = || Batch {
            now: at(2),
            correction: jiff::SignedDuration::ZERO,
            operations: vec![
                Operation::PutState(vec![fact("a", None), fact("b", Some("2"))]),
                message_in(LOBBY, 1, 1, &long),
            ],
        };
        assert_eq!(store.append(batch()).unwrap_err(), StoreError::Refused);
        assert_eq!(store.state().unwrap(), [fact("a", Some("1"))]);
        limit(&store, 10_000);
        store.append(batch()).unwrap();
        assert_eq!(store.state().unwrap(), [fact("b", Some("2"))]);
    }

    #[test]
    fn a_backup_has_the_state_and_an_export_has_not() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = open(directory.path());
        let remember = |key| Operation::PutState(vec![fact(key, Some("1"))]);
        append(&mut store, 1, [message(1, 1), remember("before")]);
        let backup = directory.path().join("backup.db");
        maintenance::backup(directory.path(), &backup).unwrap();
        append(&mut store, 1, [remember("after")]);
        drop(store);
        let mut lines = Vec::new();
        maintenance::export(directory.path(), &lobby(), &mut lines).unwrap();
        let other = tempfile::tempdir().unwrap();
        maintenance::import(other.path(), &lobby(), &mut &lines[..]).unwrap();
        assert_eq!(open(other.path()).state().unwrap(), []);
        maintenance::restore(directory.path(), &backup).unwrap();
        let restored = open(directory.path()).state().unwrap();
        assert_eq!(restored, [fact("before", Some("1"))]);
    }

    #[test]
    fn a_log_without_state_records_can_still_be_used() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = open(directory.path());
        append(&mut store, 1, [message(1, 1)]);
        drop(store);
        let earlier = Connection::open(directory.path().join("log.db")).unwrap();
        earlier.execute_batch(schema::WITHOUT_MARKS).unwrap();
        let undo = "DROP TABLE house; PRAGMA user_version = 1";
        earlier.execute_batch(undo).unwrap();
        drop(earlier);
        // A backup is made while an older server runs.
        let backup = directory.path().join("backup.db");
        maintenance::backup(directory.path(), &backup).unwrap();
        for restores in [false, true] {
            if restores {
                maintenance::restore(directory.path(), &backup).unwrap();
            }
            let mut store = open(directory.path());
            assert_eq!(
                (store.state().unwrap().len(), extent(&store, LOBBY).head),
                (0, 1)
            );
            append(
                &mut store,
                2,
                [Operation::PutState(vec![fact("a", Some("1"))])],
            );
        }
    }
}
