//! A table of rooms by their ids.

use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut, Index, IndexMut},
};

use crate::protocol::RoomId;

/// A table of rooms that is indexed by ids known to be in it. It is sorted: the order in which the
/// core goes through its rooms is the order of what it sends, and must be the same in every run.
#[derive(Clone, Debug)]
pub struct RoomMap<T>(BTreeMap<RoomId, T>);

impl<T> Default for RoomMap<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Deref for RoomMap<T> {
    type Target = BTreeMap<RoomId, T>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> DerefMut for RoomMap<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<T> FromIterator<(RoomId, T)> for RoomMap<T> {
    fn from_iter<I: IntoIterator<Item = (RoomId, T)>>(rooms: I) -> Self {
        Self(rooms.into_iter().collect())
    }
}

impl<T> Index<RoomId> for RoomMap<T> {
    type Output = T;

    fn index(&self, room: RoomId) -> &T {
        let found = self.0.get(&room);
        found.unwrap_or_else(|| unreachable!("only ids of rooms in the table are used"))
    }
}

impl<T> IndexMut<RoomId> for RoomMap<T> {
    fn index_mut(&mut self, room: RoomId) -> &mut T {
        let found = self.0.get_mut(&room);
        found.unwrap_or_else(|| unreachable!("only ids of rooms in the table are used"))
    }
}
