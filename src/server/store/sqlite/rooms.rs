//! The rooms of the log, as the store keeps them in memory.

use std::{
    collections::{BTreeMap, HashMap, btree_map},
    time::Instant,
};

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Result, Row};

use super::{
    damage::{InRow, damaged},
    read::{NO_ROW, extent_at},
    schema::{number_at, time_at},
};
use crate::{
    protocol::RoomId,
    server::log::{Revised, plan::RoomState},
};

/// A room that has a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) id: RoomId,
    /// Its row number.
    pub(super) no: i64,
    pub(super) state: RoomState,
    /// The time of the oldest entry that it holds, if that is known.
    pub(super) oldest: Option<Timestamp>,
}

/// All rooms that have a row.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    by_id: BTreeMap<RoomId, Room>,
    /// Their ids, by their row numbers.
    ids: HashMap<i64, RoomId>,
}

impl Rooms {
    /// Reads all rooms.
    pub(super) fn load(connection: &Connection) -> Result<Self> {
        let mut rooms = Self::default();
        let mut rows = connection.prepare(
            "SELECT no, name, first, head, last_time, correction, changed, redacted, unshown,
                 (SELECT time FROM entry WHERE id = (no << 40) + first)
             FROM room",
        )?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let no = row.get(0)?;
            let room = complete_room(row, no).in_row("room", no)?;
            if !rooms.put(room) {
                let what = format!("the room {} has another row", room.id);
                return Err(damaged("room", no, what));
            }
        }
        Ok(rooms)
    }

    pub(super) fn get(&self, id: RoomId) -> Option<&Room> {
        self.by_id.get(&id)
    }

    /// The room of a row.
    pub(super) fn of_row(&self, no: i64) -> Option<RoomId> {
        self.ids.get(&no).copied()
    }

    /// All of them, in the order of their ids.
    pub(super) fn all(&self) -> impl Iterator<Item = &Room> {
        self.by_id.values()
    }

    /// The row numbers, by the rooms' ids.
    pub(super) fn rows(&self) -> HashMap<RoomId, i64> {
        self.all().map(|room| (room.id, room.no)).collect()
    }

    /// Takes a room as it is now. Returns false if another row has its id.
    pub(super) fn put(&mut self, room: Room) -> bool {
        match self.by_id.entry(room.id) {
            btree_map::Entry::Occupied(known) if known.get().no != room.no => return false,
            btree_map::Entry::Occupied(mut known) => drop(known.insert(room)),
            btree_map::Entry::Vacant(vacant) => drop(vacant.insert(room)),
        }
        self.ids.insert(room.no, room.id);
        true
    }
}

/// Finds a room, in a log of any schema: with its extent and last time only.
pub(super) fn find(connection: &Connection, id: RoomId) -> Result<Option<Room>> {
    // Older versions wrote names, and only those that are there can be compared.
    let mut rows = connection.prepare("SELECT no, name, first, head, last_time FROM room")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let no = row.get(0)?;
        let room = room(row, no).in_row("room", no)?;
        if room.id == id {
            return Ok(Some(room));
        }
    }
    Ok(None)
}

/// The row number of a room, whose name is its id's text; [`NO_ROW`] if it has none.
pub(super) fn row(connection: &Connection, id: RoomId) -> Result<i64> {
    connection
        .prepare_cached("SELECT no FROM room WHERE name = ?1")?
        .query_row([id.to_string()], |row| row.get(0))
        .optional()
        .map(|no| no.unwrap_or(NO_ROW))
}

/// Creates an empty room.
pub(super) fn make(connection: &Connection, id: RoomId) -> Result<Room> {
    let no = connection
        .prepare_cached("INSERT INTO room(name, first, head, last_time) VALUES(?1, 1, 0, 0)")?
        .insert([id.to_string()])?;
    let (state, oldest) = (RoomState::EMPTY, None);
    Ok(Room {
        id,
        no,
        state,
        oldest,
    })
}

/// The id in a row's column `name`.
pub(super) fn id_at(row: &Row<'_>, column: usize, no: i64) -> Result<RoomId> {
    let name = row.get_ref(column)?.as_str().unwrap_or_default();
    RoomId::parse(name).map_err(|error| damaged("room", no, error.to_string()))
}

/// The row number, name, extent and last time in the first columns.
fn room(row: &Row<'_>, no: i64) -> Result<Room> {
    let extent = extent_at(row, 2)?;
    let last_time = time_at(row, 4)?;
    Ok(Room {
        id: id_at(row, 1, no)?,
        no,
        state: RoomState {
            extent,
            last_time: (extent.head > 0).then_some(last_time),
            ..RoomState::EMPTY
        },
        oldest: None,
    })
}

/// Like [`room`], with the rest of the state in the columns behind.
fn complete_room(row: &Row<'_>, no: i64) -> Result<Room> {
    let room = room(row, no)?;
    let state = RoomState {
        correction: SignedDuration::from_millis(row.get(5)?),
        revised: Revised {
            changed: number_at(row, 6)?,
            redacted: number_at(row, 7)?,
        },
        unshown: number_at(row, 8)?,
        ..room.state
    };
    let oldest = row.get::<_, Option<i64>>(9)?;
    let oldest = oldest.and_then(|time| Timestamp::from_millisecond(time).ok());
    Ok(Room {
        state,
        oldest,
        ..room
    })
}

/// State of the warnings about refused batches. If some batches fit and others don't, not each one
/// is reported.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// The last batch with something to write was refused.
    pub(super) refusing: bool,
    /// A refusal was reported, and its end not yet.
    pub(super) told: bool,
    /// It was reported that the ledger of erasures can't be written.
    pub(super) ledger_told: bool,
    /// When a refusal was last reported.
    pub(super) told_at: Option<Instant>,
}
