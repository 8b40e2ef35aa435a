//! The connections of a worker that read each room.

use crate::server::core::replica::RoomSlot;

/// See the module's docs.
#[derive(Default)]
pub(super) struct Readers {
    /// Connections by their index in the worker's table, for each room of the replica.
    rooms: Vec<Vec<u32>>,
}

impl Readers {
    /// The readers of a room.
    pub(super) fn of(&self, room: RoomSlot) -> &[u32] {
        self.rooms.get(room.index()).map_or(&[], Vec::as_slice)
    }

    /// The number of readers.
    pub(super) fn count(&self, room: RoomSlot) -> usize {
        self.of(room).len()
    }

    /// Adds a connection to a room, unless it reads it.
    pub(super) fn enter(&mut self, at: usize, room: RoomSlot) {
        if self.rooms.len() <= room.index() {
            self.rooms.resize_with(room.index() + 1, Vec::new);
        }
        self.rooms[room.index()].push(number(at));
    }

    /// Removes a connection from a room. Its position is searched for: one for each room of each
    /// connection would take more memory than the rest of what a connection keeps of a room.
    pub(super) fn leave(&mut self, at: usize, room: RoomSlot) {
        let at = number(at);
        let Some(readers) = self.rooms.get_mut(room.index()) else {
            return;
        };
        if let Some(place) = readers.iter().position(|&reader| reader == at) {
            readers.swap_remove(place);
        }
        if readers.is_empty() {
            *readers = Vec::new();
        }
    }
}

fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or_else(|_| unreachable!("connections are fewer"))
}
