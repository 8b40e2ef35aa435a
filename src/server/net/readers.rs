//! The connections of a worker that read each room.

use std::collections::HashMap;

use slab::Slab;

use super::connection::Connection;
use crate::protocol::RoomId;

/// The position of a connection among the readers of a room, by which it is removed.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReaderSlot {
    room: RoomId,
    place: u32,
}

/// See the module's docs.
#[derive(Default)]
pub(super) struct Readers {
    /// Connections by their index in the worker's table. No room's list is empty.
    rooms: HashMap<RoomId, Vec<u32>>,
}

impl Readers {
    /// The readers of a room.
    pub(super) fn of(&self, room: RoomId) -> impl Iterator<Item = usize> {
        let readers = self.rooms.get(&room).into_iter().flatten();
        readers.map(|&reader| reader as usize)
    }

    /// The number of readers.
    pub(super) fn count(&self, room: RoomId) -> usize {
        self.rooms.get(&room).map_or(0, Vec::len)
    }

    /// Adds a connection to a room that it did not read.
    pub(super) fn enter(&mut self, connection: &mut Connection, at: usize, room: RoomId) {
        let number =
            |at| u32::try_from(at).unwrap_or_else(|_| unreachable!("connections are fewer"));
        let readers = self.rooms.entry(room).or_default();
        let place = number(readers.len());
        readers.push(number(at));
        connection.slots.push(ReaderSlot { room, place });
    }

    /// Removes a connection from a room, if it reads it.
    pub(super) fn leave(&mut self, table: &mut Slab<Box<Connection>>, at: usize, room: RoomId) {
        let slots = table.get_mut(at).map(|connection| &mut connection.slots);
        let slot = slots.and_then(|slots| {
            let index = slots.iter().position(|slot| slot.room == room)?;
            Some(slots.swap_remove(index))
        });
        if let Some(slot) = slot {
            self.remove(&[slot], table);
        }
    }

    /// Removes a connection from its rooms. Its slots are no longer in the table.
    pub(super) fn remove(&mut self, slots: &[ReaderSlot], table: &mut Slab<Box<Connection>>) {
        for slot in slots {
            let Some(readers) = self.rooms.get_mut(&slot.room) else {
                continue;
            };
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
            if readers.is_empty() {
                self.rooms.remove(&slot.room);
            }
        }
    }
}
