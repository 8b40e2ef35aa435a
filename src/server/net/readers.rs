//! The connections of a worker that read each room.

use slab::Slab;

use super::connection::Connection;
use crate::server::log::RoomIndex;

/// The position of a connection among the readers of a room, by which it is removed.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReaderSlot {
    room: RoomIndex,
    place: u32,
}

/// See the module's docs.
#[derive(Default)]
pub(super) struct Readers {
    /// Connections by their index in the worker's table.
    rooms: Vec<Vec<u32>>,
}

impl Readers {
    /// The readers of a room.
    pub(super) fn of(&self, room: RoomIndex) -> impl Iterator<Item = usize> {
        let readers = self.rooms.get(room.at()).into_iter().flatten();
        readers.map(|&reader| reader as usize)
    }

    /// The number of readers.
    pub(super) fn count(&self, room: RoomIndex) -> usize {
        self.rooms.get(room.at()).map_or(0, Vec::len)
    }

    /// Adds a connection, which read no room before, to these rooms.
    pub(super) fn enter(
        &mut self,
        connection: &mut Connection,
        at: usize,
        rooms: impl Iterator<Item = RoomIndex>,
    ) {
        let number =
            |at| u32::try_from(at).unwrap_or_else(|_| unreachable!("connections are fewer"));
        let slots = rooms.map(|room| {
            if self.rooms.len() <= room.at() {
                self.rooms.resize_with(room.at() + 1, Vec::new);
            }
            let readers = &mut self.rooms[room.at()];
            let place = number(readers.len());
            readers.push(number(at));
            ReaderSlot { room, place }
        });
        connection.slots = slots.collect();
    }

    /// Removes a connection that is no longer in the table from its rooms.
    pub(super) fn remove(&mut self, slots: &[ReaderSlot], table: &mut Slab<Box<Connection>>) {
        for slot in slots {
            let readers = &mut self.rooms[slot.room.at()];
            let place = slot.place as usize;
            readers.swap_remove(place);
            // The last reader was moved to the free position.
            let moved = readers
                .get(place)
                .and_then(|&at| table.get_mut(at as usize));
            let slots = moved.map(|moved| &mut moved.slots).into_iter().flatten();
            for theirs in slots.filter(|theirs| theirs.room == slot.room) {
                theirs.place = slot.place;
            }
        }
    }
}
