//! Which connections of a worker read which room.

use std::rc::Rc;

use super::connection::Connection;
use crate::server::engine::RoomIndex;

/// Where a connection stands among the readers of a room, so that it is found there when it goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    room: RoomIndex,
    place: u32,
}

/// See the module's docs.
#[derive(Default)]
pub(super) struct Readers {
    rooms: Vec<Vec<Rc<Connection>>>,
}

impl Readers {
    /// Those who read a room.
    pub(super) fn of(&self, room: RoomIndex) -> impl Iterator<Item = &Rc<Connection>> {
        self.rooms.get(room.at()).into_iter().flatten()
    }

    /// A connection reads these rooms from now on, and no others.
    pub(super) fn enter(
        &mut self,
        connection: &Rc<Connection>,
        rooms: impl Iterator<Item = RoomIndex>,
    ) {
        self.remove(connection);
        let seats = rooms.map(|room| {
            if self.rooms.len() <= room.at() {
                self.rooms.resize_with(room.at() + 1, Vec::new);
            }
            let readers = &mut self.rooms[room.at()];
            let place = u32::try_from(readers.len()).unwrap_or(u32::MAX);
            readers.push(Rc::clone(connection));
            Seat { room, place }
        });
        let seats = seats.collect();
        *connection.seats.borrow_mut() = seats;
    }

    /// A connection reads no room any more.
    pub(super) fn remove(&mut self, connection: &Connection) {
        for seat in connection.seats.take() {
            let readers = &mut self.rooms[seat.room.at()];
            let place = seat.place as usize;
            readers.swap_remove(place);
            // Whoever was last sits there now.
            if let Some(moved) = readers.get(place) {
                let mut seats = moved.seats.borrow_mut();
                if let Some(theirs) = seats.iter_mut().find(|other| other.room == seat.room) {
                    theirs.place = seat.place;
                }
            }
        }
    }
}
