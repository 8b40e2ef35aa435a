//! Which room an entry of the log is in.

/// A room's place in the server's list of rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomIndex(pub u32);

impl RoomIndex {
    /// The first room: who names no other is there.
    pub const LOBBY: Self = Self(0);

    /// For looking into a list of rooms.
    pub fn at(self) -> usize {
        self.0 as usize
    }
}
