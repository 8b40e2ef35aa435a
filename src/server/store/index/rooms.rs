//! The rooms of the index: what is in it of each, and which have something to do.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::schema::Kept;
use crate::protocol::{Extent, RoomId};

/// A room.
#[derive(Clone, Copy, Debug)]
struct Room {
    kept: Kept,
    /// What the log holds.
    extent: Extent,
    /// The number at which it is to begin.
    wanted: u64,
}

/// All rooms. There may be many, and few of them have something to do.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    by_id: BTreeMap<RoomId, Room>,
    /// By the rooms' ids in row ids.
    ids: HashMap<i64, RoomId>,
    /// Those of whose log something is not indexed yet, by their ids in row ids.
    behind: BTreeSet<i64>,
    /// Those that are to begin at a higher number than they do.
    raising: BTreeSet<RoomId>,
    /// Those that have changed since this was [taken](Self::take_changed).
    changed: BTreeSet<RoomId>,
}

impl Rooms {
    pub(super) fn get(&self, room: RoomId) -> Option<Kept> {
        self.by_id.get(&room).map(|room| room.kept)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (RoomId, Kept)> {
        self.by_id.iter().map(|(id, room)| (*id, room.kept))
    }

    /// The room with this id in row ids, and the number at which it is to begin.
    pub(super) fn of_row(&self, id: i64) -> Option<(RoomId, u64)> {
        let room = *self.ids.get(&id)?;
        Some((room, self.by_id.get(&room)?.wanted))
    }

    /// The rooms with entries that are not indexed yet, from an id in row ids on.
    pub(super) fn behind(&self, from: i64) -> impl Iterator<Item = (RoomId, Kept)> {
        let rooms = self.behind.range(from..);
        rooms.filter_map(|id| {
            let room = *self.ids.get(id)?;
            Some((room, self.get(room)?))
        })
    }

    /// Whether all entries are indexed.
    pub(super) fn is_drained(&self) -> bool {
        self.behind.is_empty()
    }

    /// The rooms that are to begin at a higher number, and that number.
    pub(super) fn raising(&self) -> impl Iterator<Item = (RoomId, Kept, u64)> {
        let rooms = self.raising.iter();
        rooms.filter_map(|id| self.by_id.get(id).map(|room| (*id, room.kept, room.wanted)))
    }

    /// The rooms that have changed since the last call.
    pub(super) fn take_changed(&mut self) -> BTreeSet<RoomId> {
        std::mem::take(&mut self.changed)
    }

    /// Notes rooms as changed.
    pub(super) fn mark_changed(&mut self, rooms: impl IntoIterator<Item = RoomId>) {
        self.changed.extend(rooms);
    }

    /// Keeps what is in the index of a room.
    pub(super) fn keep(&mut self, id: RoomId, kept: Kept) {
        let room = self.by_id.entry(id).or_insert(Room {
            kept,
            extent: Extent::EMPTY,
            wanted: kept.first,
        });
        room.kept = kept;
        self.ids.insert(kept.id, id);
        self.changed.insert(id);
        self.sort(id);
    }

    /// Notes what the log holds of a room, and at which number it is to begin by what was asked for.
    /// Returns whether it is to begin at another one than before.
    pub(super) fn meet(&mut self, id: RoomId, extent: Extent, erase_below: u64) -> bool {
        let Some(room) = self.by_id.get_mut(&id) else {
            return false;
        };
        let wanted = erase_below.max(extent.first).max(room.kept.first);
        let is_new = wanted != room.wanted;
        (room.extent, room.wanted) = (extent, wanted);
        self.sort(id);
        is_new
    }

    fn sort(&mut self, id: RoomId) {
        let Some(room) = self.by_id.get(&id) else {
            return;
        };
        put(
            &mut self.behind,
            room.kept.id,
            room.kept.indexed < room.extent.head,
        );
        put(&mut self.raising, id, room.kept.first < room.wanted);
    }
}

/// Adds to a set, or removes from it.
fn put<T: Ord>(set: &mut BTreeSet<T>, what: T, belongs: bool) {
    if belongs {
        set.insert(what);
    } else {
        set.remove(&what);
    }
}
