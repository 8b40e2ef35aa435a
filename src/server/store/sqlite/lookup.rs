//! What the plan of a batch asks of the log.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Result, Row};

use super::{
    Room, Rooms,
    append::UNCHANGED,
    damage::{Damages, InRow, damaged},
    devices::{Changes, Devices},
    schema::{SEQ_MAX, entry_key, entry_of, number, number_at, time_at},
};
use crate::{
    protocol::{DeviceId, Entry, MessageId, RoomId, frame::ErrorCode, wire::ERROR_CODES},
    server::log::{
        MessageOutcome,
        plan::{Lookup, RoomState},
        semantics::{DeviceRecord, decode_entry},
    },
};

/// Looks into the log within a transaction.
pub(super) struct SqliteLookup<'a> {
    pub(super) connection: &'a Connection,
    pub(super) rooms: &'a Rooms,
    /// The states of those that this batch's retention has changed.
    pub(super) changed: &'a BTreeMap<RoomId, RoomState>,
    pub(super) known: &'a Devices,
    pub(super) devices: &'a mut Changes,
    pub(super) damages: &'a Damages,
}

impl SqliteLookup<'_> {
    /// Reads a row; a damaged one counts as missing, and the operator is told.
    fn unless_damaged<T>(&self, found: Result<Option<T>>) -> Result<Option<T>> {
        match found {
            Err(error) if self.damages.tell(&error) => Ok(None),
            found => found,
        }
    }

    /// A device's row, if it has one.
    fn row(&mut self, id: DeviceId) -> Result<Option<i64>> {
        let device = self.devices.get(self.connection, self.known, id).map(Some);
        Ok(self.unless_damaged(device)?.and_then(|device| device.no))
    }
}

impl Lookup for SqliteLookup<'_> {
    type Error = rusqlite::Error;

    fn rooms(&self) -> Vec<RoomId> {
        self.rooms.all().map(|room| room.id).collect()
    }

    fn state(&self, room: RoomId) -> RoomState {
        let state = || self.rooms.get(room).map(|room| room.state);
        let changed = self.changed.get(&room).copied();
        changed.or_else(state).unwrap_or(RoomState::EMPTY)
    }

    fn device(&mut self, id: DeviceId) -> Result<Option<DeviceRecord>> {
        let device = self.devices.get(self.connection, self.known, id).map(Some);
        let record = self.unless_damaged(device)?.map(|device| DeviceRecord {
            counter: device.counter,
            user: device.user,
        });
        Ok(record)
    }

    fn outcome(&mut self, id: MessageId) -> Result<MessageOutcome> {
        let Some(device) = self.row(id.device)? else {
            return Ok(MessageOutcome::Forgotten);
        };
        let key = (device, number(id.counter));
        let stored = self
            .connection
            .prepare_cached("SELECT id, time FROM entry WHERE device = ?1 AND counter = ?2")?
            .query_row(key, |row| {
                let entry = row.get(0)?;
                Ok((entry, time_at(row, 1).in_row("entry", entry)?))
            })
            .optional();
        let stored = self.unless_damaged(stored)?;
        if let Some((row, time)) = stored {
            let (no, seq) = entry_of(row);
            return Ok(match self.rooms.of_row(no) {
                Some(room) => MessageOutcome::Stored { room, seq, time },
                // No room has such a row number: the row is damaged.
                None => MessageOutcome::Forgotten,
            });
        }
        let spent: Result<Option<Option<String>>> = self
            .connection
            .prepare_cached("SELECT code FROM spent WHERE device = ?1 AND counter = ?2")?
            .query_row(key, |row| {
                row.get(0).in_row("spent", id.counter.cast_signed())
            })
            .optional();
        let spent = self.unless_damaged(spent)?;
        Ok(match spent.as_ref().map(Option::as_deref) {
            None => MessageOutcome::Forgotten,
            Some(None) => MessageOutcome::Withdrawn,
            Some(Some(UNCHANGED)) => MessageOutcome::Unchanged,
            Some(Some(name)) => MessageOutcome::Refused(code(name)),
        })
    }

    fn id_at(&mut self, room: RoomId, seq: u64) -> Result<Option<MessageId>> {
        let Some(room) = self.rooms.get(room) else {
            return Ok(None);
        };
        if seq > SEQ_MAX {
            return Ok(None);
        }
        let key = entry_key(room.no, seq);
        let id = self
            .connection
            .prepare_cached(
                "SELECT device.id, entry.counter FROM entry
                 JOIN device ON device.no = entry.device WHERE entry.id = ?1",
            )?
            .query_row([key], |row| {
                Ok(MessageId {
                    device: DeviceId::from_bytes(row.get(0).in_row("entry", key)?),
                    counter: number_at(row, 1).in_row("entry", key)?,
                })
            })
            .optional();
        self.unless_damaged(id)
    }

    fn entry(&mut self, room: RoomId, id: MessageId) -> Result<Option<Entry>> {
        let Some(room) = self.rooms.get(room) else {
            return Ok(None);
        };
        let Some(device) = self.row(id.device)? else {
            return Ok(None);
        };
        let entry = self
            .connection
            .prepare_cached("SELECT id, frame FROM entry WHERE device = ?1 AND counter = ?2")?
            .query_row((device, number(id.counter)), |row| {
                let key = row.get(0)?;
                let here = entry_of(key).0 == room.no;
                here.then(|| sound(row, 1, room, key)).transpose()
            })
            .optional()
            .map(Option::flatten);
        self.unless_damaged(entry)
    }

    fn entry_at(&mut self, room: RoomId, seq: u64) -> Result<Option<Entry>> {
        let Some(room) = self.rooms.get(room) else {
            return Ok(None);
        };
        let entry = entry_at(self.connection, room, seq);
        self.unless_damaged(entry)
    }
}

/// Reads an entry by its number, if the room holds it.
pub(super) fn entry_at(connection: &Connection, room: &Room, seq: u64) -> Result<Option<Entry>> {
    let key = entry_key(room.no, seq);
    connection
        .prepare_cached("SELECT frame FROM entry WHERE id = ?1")?
        .query_row([key], |row| sound(row, 0, room, key))
        .optional()
}

/// The entry of a frame, which must be that of its row.
fn sound(row: &Row<'_>, column: usize, room: &Room, key: i64) -> Result<Entry> {
    let frame = row.get_ref(column)?.as_blob().ok();
    let entry = frame.and_then(decode_entry);
    let entry = entry.filter(|entry| entry.seq == entry_of(key).1 && entry.room == room.id);
    entry.ok_or_else(|| damaged("entry", key, "its frame is not this entry"))
}

/// The code of a stored refusal.
fn code(name: &str) -> ErrorCode {
    let known = ERROR_CODES.iter().find(|(_, known)| *known == name);
    known.map_or(ErrorCode::Other, |(code, _)| *code)
}
