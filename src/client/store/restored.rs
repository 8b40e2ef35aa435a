//! The rooms' contents that are returned on opening.

use rusqlite::Connection;

use super::{StoreFault, cache, device::draft_of, pages};
use crate::{
    client::{
        event::{Page, RestoredRoom},
        session::persist_types::{EntryRange, PersistedRoom},
    },
    protocol::{ClientId, Epoch, Extent, ReadState, RoomId, frame::Position},
};

/// Messages of each room that are returned on opening.
pub const RESTORED_MESSAGES_MAX: usize = 200;

/// A room's stored position, and its contents to show before the server answers.
pub(super) type Restored = (PersistedRoom, RestoredRoom);

/// A page without messages.
fn empty_page(extent: Extent) -> Page {
    Page {
        extent,
        from: extent.next(),
        to: extent.head,
        entries: Vec::new(),
        offline: true,
    }
}

/// The part of a page that is above a number, if there is one.
fn above(page: &Page, read: u64, room: RoomId, epoch: Epoch) -> Option<EntryRange> {
    let from = page.from.max(read + 1);
    let entries = page.entries.iter().filter(|entry| entry.seq >= from);
    (from <= page.to).then(|| EntryRange {
        room,
        epoch,
        from,
        to: page.to,
        entries: entries.cloned().collect(),
    })
}

/// Loads all rooms, each with its latest messages.
pub(super) fn restore(
    database: &Connection,
    client: &ClientId,
) -> Result<Vec<Restored>, StoreFault> {
    let mut select = database.prepare_cached("SELECT room FROM room ORDER BY room")?;
    let ids = select.query_map((), |row| row.get::<_, String>(0))?;
    let mut rooms = Vec::new();
    for id in ids {
        let room = RoomId::parse(&id?).map_err(|_| StoreFault::Damaged)?;
        let row = cache::room(database, room)?.ok_or(StoreFault::Damaged)?;
        let (info, marker, preferences) = cache::told(database, room)?;
        let latest = cache::latest(database, row.log)?;
        let active = latest.map(|latest| latest.time);
        let (seq, id) = latest.map(|latest| (latest.seq, latest.id)).unzip();
        let kept = PersistedRoom {
            position: Position {
                room,
                seq: seq.unwrap_or(0),
                id,
            },
            epoch: Epoch::parse(&row.epoch).map_err(|_| StoreFault::Damaged)?,
            extent: row.extent,
            folded: row.folded,
            marker,
            preferences,
            held: None,
            active,
        };
        let page = pages::latest(database, room, &row, RESTORED_MESSAGES_MAX)?;
        let held = page
            .as_ref()
            .and_then(|page| above(page, marker.seq, room, kept.epoch));
        let kept = PersistedRoom { held, ..kept };
        let restored = RestoredRoom {
            draft: draft_of(database, client, room)?,
            // Messages that the server has erased may still be stored; they only tell our position.
            page: page.unwrap_or_else(|| empty_page(row.extent)),
            info,
            read: ReadState {
                marker,
                preferences,
                ..ReadState::default()
            },
            room,
        };
        rooms.push((kept, restored));
    }
    Ok(rooms)
}
