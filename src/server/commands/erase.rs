//! `erase`: erases the content of a room's entries, whether a server runs or not.
//!
//! Both ways commit the same operation. A running server gets it over its
//! [control socket](control), so that all who are connected see it at once; otherwise the command
//! opens the log itself, and compacts its file.

use std::path::Path;

use jiff::Timestamp;

use super::{error::CommandError, room::room_named};
use crate::{
    protocol::{RoomId, RoomName},
    server::{
        core::moderation::audit::Audit,
        log::{Batch, ERASE_MAX, LogWriter, OpResult, Operation, StateStore},
        net::control::{self, ControlError},
        store::{
            SqliteStore,
            sqlite::{
                OpenError, Settings,
                maintenance::{self, MaintenanceError},
                owner::AsOwner,
            },
        },
    },
};

/// Erases the entries `first..=last` of a room, and returns what was done, in words.
pub(super) fn run(
    directory: &Path,
    room: &RoomName,
    (first, last): (u64, u64),
) -> Result<String, CommandError> {
    let named = room_named(directory, room)?;
    maintenance::check_held(directory, &named, first, last)?;
    let _owner = AsOwner::of(directory).map_err(MaintenanceError::Open)?;
    let settings = Settings::of_command(directory);
    let opened = SqliteStore::open(&settings);
    let (count, where_else) = match opened {
        Ok(store) => (
            here(store, (named.id, room), (first, last))?,
            "in the log's file too",
        ),
        Err(error @ OpenError::InUse(..)) => (
            there(directory, room, (first, last), error)?,
            "for all who are connected; the server clears the log's file at night",
        ),
        Err(error) => return Err(MaintenanceError::Open(error).into()),
    };
    let range = match last - first {
        0 => format!("the entry {first}"),
        _ => format!("{count} of the entries {first} to {last}"),
    };
    Ok(if count == 0 {
        format!(
            "nothing was left to erase in {room}: what is there is erased already, or changes \
             other entries"
        )
    } else {
        format!(
            "{range} of {room}: erased, {where_else}. Clients erase their copies when they next \
             connect; backups and exports keep theirs"
        )
    })
}

/// The numbers `first..=last` in parts of at most [`ERASE_MAX`].
fn parts((first, last): (u64, u64)) -> impl Iterator<Item = (u64, u64)> {
    let starts = (0..).map(move |part| first + part * ERASE_MAX);
    let starts = starts.take_while(move |from| *from <= last);
    starts.map(move |from| (from, last.min(from + ERASE_MAX - 1)))
}

/// Erases in a log that this process has opened.
fn here(
    mut store: SqliteStore,
    (room, name): (RoomId, &RoomName),
    range: (u64, u64),
) -> Result<u64, CommandError> {
    let refuse = |_| CommandError::NotStored;
    let append = |store: &mut SqliteStore, operation| {
        let batch = Batch::new(Timestamp::now(), vec![operation]);
        store.append(batch).map_err(refuse)
    };
    let mut count = 0;
    for (from, to) in parts(range) {
        let committed = append(&mut store, Operation::Erase { room, from, to })?;
        match committed.results[..] {
            [OpResult::Erased { count: erased }] => count += erased,
            _ => return Err(CommandError::NotStored),
        }
    }
    if count > 0 {
        let mut audit = Audit::load(&store.state().map_err(refuse)?);
        audit.note_erased(Timestamp::now(), name, range, count);
        append(&mut store, Operation::PutState(audit.take_changed()))?;
    }
    // Also if a former attempt has erased it all, and was interrupted.
    store.compact_now().map_err(CommandError::NotCompacted)?;
    Ok(count)
}

/// Has the running server erase. `in_use`: the error that says so.
fn there(
    directory: &Path,
    room: &RoomName,
    range: (u64, u64),
    in_use: OpenError,
) -> Result<u64, CommandError> {
    let mut count = 0;
    for part in parts(range) {
        count += match control::ask(directory, room, part) {
            Ok(erased) => erased,
            Err(ControlError::NoServer) => return Err(MaintenanceError::Open(in_use).into()),
            Err(error) => return Err(CommandError::Control(error)),
        };
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_asked_for_in_parts() {
        let parts = |first, last| parts((first, last)).collect::<Vec<_>>();
        assert_eq!(parts(7, 7), [(7, 7)]);
        assert_eq!(parts(1, ERASE_MAX), [(1, ERASE_MAX)]);
        assert_eq!(
            parts(1, ERASE_MAX + 1),
            [(1, ERASE_MAX), (ERASE_MAX + 1, ERASE_MAX + 1)]
        );
        let most = (1 << 40) - 1;
        assert_eq!(parts(most - 1, most), [(most - 1, most)]);
    }
}
