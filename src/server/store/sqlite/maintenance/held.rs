//! What a log holds: entries of a room, and records of the server's state.

use std::path::Path;

use super::{MaintenanceError, NamedRoom, Result, look_into, of_sqlite};
use crate::server::{
    log::StateRecord,
    store::sqlite::{rooms, state},
};

/// The records of the server's state, whether a server runs or not.
pub fn records(directory: &Path) -> Result<Vec<StateRecord>> {
    let (connection, path) = look_into(directory)?;
    state::read(&connection).map_err(of_sqlite(&path))
}

/// Checks that a room holds all entries `first..=last`, whether a server runs or not.
pub fn check_held(directory: &Path, named: &NamedRoom, first: u64, last: u64) -> Result<()> {
    if first > last {
        return Err(MaintenanceError::Reversed(first, last));
    }
    let (connection, path) = look_into(directory)?;
    let found = rooms::find(&connection, named.id).map_err(of_sqlite(&path))?;
    let room = found.ok_or_else(|| MaintenanceError::NoRoom(named.clone()))?;
    let extent = room.state.extent;
    if extent.clamp(first, last) != (first, last) {
        return Err(MaintenanceError::NotHeld {
            room: named.clone(),
            asked: (first, last),
            extent,
        });
    }
    Ok(())
}
