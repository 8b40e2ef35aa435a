//! Checks which entries a room holds.

use std::path::Path;

use super::{MaintenanceError, Result, look_into, of_sqlite};
use crate::{protocol::RoomName, server::store::sqlite::open::find_room};

/// Checks that a room holds all entries `first..=last`, whether a server runs or not.
pub fn check_held(directory: &Path, name: &RoomName, first: u64, last: u64) -> Result<()> {
    if first > last {
        return Err(MaintenanceError::Reversed(first, last));
    }
    let (connection, path) = look_into(directory)?;
    let found = find_room(&connection, name).map_err(of_sqlite(&path))?;
    let room = found.ok_or_else(|| MaintenanceError::NoRoom(name.clone()))?;
    let extent = room.state.extent;
    if extent.clamp(first, last) != (first, last) {
        return Err(MaintenanceError::NotHeld {
            room: name.clone(),
            asked: (first, last),
            extent,
        });
    }
    Ok(())
}
