//! Exports a room as lines of JSON, in the wire's format: each entry as it stands, of whatever kind.

use std::{io::Write, path::Path};

use super::{MaintenanceError, NamedRoom, Result, look_into, of_sqlite};
use crate::{
    protocol::RoomId,
    server::store::sqlite::{read, rooms},
    text,
};

/// Bytes of a log that are read at a time.
const PAGE_BYTES: usize = 1024 * 1024;

/// The results of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The number of entries written.
    pub entries: u64,
    /// The number of entries that retention removed during the export, before they were written.
    /// They are a gap in the output.
    pub missed: u64,
}

/// Writes a room's entries to `out`, one object a line, whether a server runs or not. It reads in
/// many short transactions, so that the log does not grow while the output is slow.
pub fn export(directory: &Path, named: &NamedRoom, out: &mut dyn Write) -> Result<Exported> {
    let (connection, path) = look_into(directory)?;
    let found = rooms::find(&connection, named.id).map_err(of_sqlite(&path))?;
    let Some(room) = found else {
        // Every log has a lobby, if only an empty one.
        return match named.id {
            RoomId::LOBBY => Ok(Exported {
                entries: 0,
                missed: 0,
            }),
            _ => Err(MaintenanceError::NoRoom(named.clone())),
        };
    };
    let mut next = room.state.extent.first;
    let (mut entries, mut missed) = (0, 0);
    // Later entries are not exported.
    while next <= room.state.extent.head {
        let page = read::segment(&connection, room.no, next, PAGE_BYTES);
        let page = page.map_err(of_sqlite(&path))?;
        if page.is_empty() {
            break;
        }
        for frame in (page.first()..page.next()).filter_map(|seq| page.frame(seq)) {
            // The output may be a terminal, and older logs may hold control characters.
            let line = String::from_utf8_lossy(frame.strip_suffix(b"\n").unwrap_or(frame));
            let written = writeln!(out, "{}", text::inert_json(&line));
            written.map_err(MaintenanceError::Stream)?;
        }
        if entries > 0 {
            missed += page.first() - next;
        }
        entries += page.next() - page.first();
        next = page.next();
    }
    out.flush().map_err(MaintenanceError::Stream)?;
    Ok(Exported { entries, missed })
}
