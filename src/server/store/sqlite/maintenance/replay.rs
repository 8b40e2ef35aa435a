//! Erases in a restored log what was erased since its backup was made.

use std::{collections::BTreeMap, path::Path};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::{MaintenanceError, Result, of_file, of_sqlite, open_database};
use crate::{
    protocol::RoomId,
    server::{
        log::{Batch, ERASE_MAX, LogWriter, OpResult, Operation},
        store::sqlite::{
            Settings, SqliteStore,
            ledger::{Erasure, Erasures, Ledger},
            rooms,
            schema::{entry_of, number},
        },
    },
};

/// What was erased again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErasedAgain {
    /// The number of entries.
    pub entries: u64,
    /// Lines of the ledger that can't be read.
    pub unread: u64,
}

/// Erases in a database, which is not served yet, what the directory's ledger names, and clears the
/// texts from its file.
pub(super) fn erase_again(directory: &Path, path: &Path) -> Result<ErasedAgain> {
    let ledger = Ledger::of(directory);
    let Erasures { all, unread } = ledger.read().map_err(of_file(ledger.path()))?;
    let due = find(path, &all)?;
    let mut entries = 0;
    if !due.is_empty() {
        let settings = Settings::of_command(directory);
        let mut store = SqliteStore::open_file(&settings, path)?;
        for (room, seqs) in due {
            for (from, to) in runs(seqs) {
                let operations = vec![Operation::Erase { room, from, to }];
                let committed = store.append(Batch::new(Timestamp::now(), operations));
                match committed.as_ref().map(|committed| &committed.results[..]) {
                    Ok([OpResult::Erased { count }]) => entries += count,
                    _ => return Err(MaintenanceError::NotErased(path.to_owned(), None)),
                }
            }
        }
        store
            .compact_now()
            .map_err(|error| MaintenanceError::NotErased(path.to_owned(), Some(error)))?;
    }
    Ok(ErasedAgain { entries, unread })
}

/// The numbers of the named entries that the database holds and that are not erased in it.
fn find(path: &Path, erasures: &[Erasure]) -> Result<BTreeMap<RoomId, Vec<u64>>> {
    let mut due: BTreeMap<RoomId, Vec<u64>> = BTreeMap::new();
    if erasures.is_empty() {
        return Ok(due);
    }
    let connection = open_database(path, None)?;
    for erasure in erasures {
        if let Some(seq) = held(&connection, erasure).map_err(of_sqlite(path))? {
            due.entry(erasure.room).or_default().push(seq);
        }
    }
    Ok(due)
}

fn held(connection: &Connection, erasure: &Erasure) -> rusqlite::Result<Option<u64>> {
    let Erasure { room, id, .. } = erasure;
    let found: Option<(i64, RoomId)> = connection
        .prepare_cached(
            "SELECT entry.id, room.no, room.name FROM device
             JOIN entry ON entry.device = device.no AND entry.counter = ?2
             JOIN room ON room.no = entry.id >> 40
             LEFT JOIN change ON change.entry = entry.id
             WHERE device.id = ?1 AND change.redacted IS NULL",
        )?
        .query_row((id.device.to_bytes(), number(id.counter)), |row| {
            Ok((row.get(0)?, rooms::id_at(row, 2, row.get(1)?)?))
        })
        .optional()?;
    let found = found.filter(|(_, its)| its == room);
    Ok(found.map(|(key, _)| entry_of(key).1))
}

/// Numbers as ranges without gaps, of at most [`ERASE_MAX`].
fn runs(mut seqs: Vec<u64>) -> Vec<(u64, u64)> {
    seqs.sort_unstable();
    seqs.dedup();
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for seq in seqs {
        match runs.last_mut() {
            Some((from, to)) if *to + 1 == seq && seq - *from < ERASE_MAX => *to = seq,
            _ => runs.push((seq, seq)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_ranges_of_bounded_length() {
        assert!(runs(vec![]).is_empty());
        assert_eq!(runs(vec![5, 3, 4, 9, 4]), [(3, 5), (9, 9)]);
        let many = (1..=ERASE_MAX + 2).collect();
        assert_eq!(runs(many), [(1, ERASE_MAX), (ERASE_MAX + 1, ERASE_MAX + 2)]);
    }
}
