//! The index of a room, by which entries of the log refer to it.

/// A room's index in the server's list of rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomIndex(pub u32);

impl RoomIndex {
    /// The first room, which clients join if they name no other.
    pub const LOBBY: Self = Self(0);

    /// The index as a `usize`, for indexing a list of rooms.
    pub fn at(self) -> usize {
        self.0 as usize
    }
}
