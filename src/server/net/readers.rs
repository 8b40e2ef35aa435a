//! Which connections of a worker read which room.

use slab::Slab;

use super::connection::Connection;
use crate::server::log::RoomIndex;

/// Where a connection stands among the readers of a room, so that it is found there when it goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReaderSlot {
    room: RoomIndex,
    place: u32,
}

/// See the module's docs.
#[derive(Default)]
pub(super) struct Readers {
    /// By their places in the worker's table.
    rooms: Vec<Vec<u32>>,
}

impl Readers {
    /// Those who read a room.
    pub(super) fn of(&self, room: RoomIndex) -> impl Iterator<Item = usize> {
        let readers = self.rooms.get(room.at()).into_iter().flatten();
        readers.map(|&reader| reader as usize)
    }

    /// How many they are.
    pub(super) fn count(&self, room: RoomIndex) -> usize {
        self.rooms.get(room.at()).map_or(0, Vec::len)
    }

    /// A connection reads these rooms from now on; it read none before.
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

    /// A connection that is no longer in the table reads no room any more.
    pub(super) fn remove(&mut self, slots: &[ReaderSlot], table: &mut Slab<Box<Connection>>) {
        for slot in slots {
            let readers = &mut self.rooms[slot.room.at()];
            let place = slot.place as usize;
            readers.swap_remove(place);
            // Whoever was last sits there now.
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
