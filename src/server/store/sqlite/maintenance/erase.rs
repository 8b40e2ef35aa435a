//! Erases texts from a log for good. Numbers, senders and times stay.

use std::path::Path;

use super::{MaintenanceError, Opened, Result, of_sqlite, open, remove_index};
use crate::{
    protocol::{Entry, EntryKind, RoomName, entry::Text, wire::encode_entry},
    server::{
        log::semantics::decode_entry,
        store::sqlite::{checkpoint, open::find_room, read, schema::entry_key},
    },
    text::Body,
};

/// The text that replaces an erased one.
pub const TOMBSTONE: &str = "[removed by the operator]";

/// Erases the texts of a room's messages `first..=last`, while no server runs: from the log, from
/// its write-ahead log, and from the index, which is made again. Repeating it is harmless.
pub fn erase(directory: &Path, name: &RoomName, first: u64, last: u64) -> Result<()> {
    if first > last {
        return Err(MaintenanceError::Reversed(first, last));
    }
    let Opened {
        connection, path, ..
    } = &open(directory)?;
    let refuse = of_sqlite(path);
    let found = find_room(connection, name).map_err(&refuse)?;
    let room = found.ok_or_else(|| MaintenanceError::NoRoom(name.clone()))?;
    let extent = room.state.extent;
    if extent.clamp(first, last) != (first, last) {
        return Err(MaintenanceError::NotHeld {
            room: name.clone(),
            asked: (first, last),
            extent,
        });
    }
    // First, so that an interruption leaves no words in the index that the log has lost.
    remove_index(directory)?;
    let erase = || {
        let transaction = connection.unchecked_transaction()?;
        let mut frame = Vec::new();
        for seq in first..=last {
            let mut found = None;
            read::each(connection, room.no, seq, seq, false, |_, frame| {
                found = decode_entry(frame);
                false
            })?;
            let message = found.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            frame.clear();
            let kind = EntryKind::Text(Text {
                body: Body::inert(TOMBSTONE),
                edited: None,
            });
            encode_entry(&Entry { kind, ..message }, &mut frame);
            connection
                .prepare_cached("UPDATE entry SET frame = ?2 WHERE id = ?1")?
                .execute((entry_key(room.no, seq), &frame[..]))?;
        }
        transaction.commit()?;
        checkpoint::step(connection, "TRUNCATE")
    };
    if erase().map_err(&refuse)?.busy {
        return Err(MaintenanceError::Held(path.clone()));
    }
    Ok(())
}
