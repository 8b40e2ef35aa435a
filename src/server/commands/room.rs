//! Finds the room that the operator means.

use std::path::Path;

use crate::{
    protocol::RoomName,
    server::{
        core::rooms::Rooms,
        store::sqlite::maintenance::{self, MaintenanceError, NamedRoom},
    },
};

/// The room that the operator means by a name. One that there is not yet is made by its first message.
pub(super) fn room_named(directory: &Path, name: &RoomName) -> Result<NamedRoom, MaintenanceError> {
    let records = match maintenance::records(directory) {
        Ok(records) => records,
        // There is no log yet.
        Err(MaintenanceError::Open(_)) => Vec::new(),
        Err(error) => return Err(error),
    };
    let rooms = Rooms::load(&[], usize::MAX, &records);
    let named = NamedRoom::from(name);
    Ok(match rooms.named_by_operator(name) {
        Some(id) => NamedRoom { id, ..named },
        None => named,
    })
}
