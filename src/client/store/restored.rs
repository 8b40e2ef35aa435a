//! The rooms' contents that are returned on opening.

use rusqlite::Connection;

use super::{StoreFault, cache, device::draft_of, pages};
use crate::{
    client::{
        event::{Page, RestoredRoom},
        session::persist_types::PersistedRoom,
    },
    protocol::{ClientId, Epoch, Extent, RoomName, frame::Position},
    text::Line,
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

/// Loads all rooms, each with its latest messages.
pub(super) fn restore(
    database: &Connection,
    client: &ClientId,
) -> Result<Vec<Restored>, StoreFault> {
    let mut select = database.prepare_cached("SELECT name FROM room ORDER BY name")?;
    let names = select.query_map((), |row| row.get::<_, String>(0))?;
    let mut rooms = Vec::new();
    for name in names {
        let name = RoomName::parse(&name?).map_err(|_| StoreFault::Damaged)?;
        let row = cache::room(database, &name)?.ok_or(StoreFault::Damaged)?;
        let (seq, id) = cache::latest(database, row.log)?.unzip();
        let kept = PersistedRoom {
            position: Position {
                room: name.clone(),
                seq: seq.unwrap_or(0),
                id,
            },
            epoch: Epoch::parse(&row.epoch).map_err(|_| StoreFault::Damaged)?,
            extent: row.extent,
            folded: row.folded,
        };
        let page = pages::latest(database, &name, &row, RESTORED_MESSAGES_MAX)?;
        let restored = RestoredRoom {
            draft: draft_of(database, client, name.as_str())?,
            // Messages that the server has erased may still be stored; they only tell our position.
            page: page.unwrap_or_else(|| empty_page(row.extent)),
            topic: row.topic.map(|topic| Line::inert(&topic)),
            read: row.read,
            room: name,
        };
        rooms.push((kept, restored));
    }
    Ok(rooms)
}
