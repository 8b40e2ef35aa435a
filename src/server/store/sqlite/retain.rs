//! What is no longer to be kept: taken out in bounded steps.
//!
//! A step removes the oldest entries of the rooms that have too many or too old ones, and moves
//! `first`. SQLite overwrites what is removed (`secure_delete`); the write-ahead log, which still
//! has it, is emptied once a run of steps has ended. The devices' counters and the numbers stay.
//!
//! The index forgets an entry only while the log still has its text. So a step asks it to, and
//! removes what it has forgotten by then; the rest waits for the next run.

use std::ops::Range;

use jiff::Timestamp;
use rusqlite::{Connection, Result};

use super::{
    RoomState,
    append::Work,
    read,
    schema::{entry_key, entry_of, number_at},
};
use crate::{
    search::times::{CORRECTIONS_MAX, stretches},
    server::{
        engine::RoomIndex,
        store::{Extent, Retention, Verdict, rules::first_young},
    },
};

/// In `meta`: when entries last went by age, which is a time at which the clock was believed.
pub(super) const BELIEVED: &str = "believed";

/// Entries that one step removes at most. Each may stand on a page of its own in the index of ids:
/// 4 MiB of them.
const STEP_MAX: u64 = 1_000;
/// Bytes of frames that one step removes, one frame more: the write-ahead log gets somewhat more,
/// for their pages are overwritten. Appends wait no longer than for so many.
const STEP_BYTES_MAX: u64 = 1024 * 1024;

/// One step. `forget` asks the index to forget what is below a number of a room, and says below
/// which it has.
pub(super) fn step(
    work: &mut Work<'_>,
    retention: (Timestamp, Retention),
    mut forget: impl FnMut(RoomIndex, u64) -> u64,
) -> Result<Verdict> {
    let (mut left, mut bytes_left) = (STEP_MAX, STEP_BYTES_MAX);
    let mut more = false;
    for (index, room) in (0..).map(RoomIndex).zip(work.rooms) {
        let state = &mut work.states[index.at()];
        let due = due(work.connection, room.no, *state, retention)?;
        if due == state.first {
            continue;
        }
        let due = due.min(forget(index, due)).max(state.first);
        let to = due.min(state.first + left);
        let to = reach(work.connection, room.no, state.first..to, &mut bytes_left)?;
        if to > state.first {
            work.connection
                .prepare_cached("DELETE FROM entry WHERE id >= ?1 AND id < ?2")?
                .execute((entry_key(room.no, state.first), entry_key(room.no, to)))?;
            left -= to - state.first;
            state.first = to;
        }
        more |= to < due;
    }
    Ok(Verdict::Retained { more })
}

/// Up to which number of a range a step comes, with so many bytes left, which become less.
fn reach(
    connection: &Connection,
    room: i64,
    range: Range<u64>,
    bytes_left: &mut u64,
) -> Result<u64> {
    let mut entries = connection.prepare_cached(
        "SELECT id, length(frame) FROM entry WHERE id >= ?1 AND id < ?2 ORDER BY id",
    )?;
    let (from, to) = (entry_key(room, range.start), entry_key(room, range.end));
    let mut entries = entries.query((from, to))?;
    while let Some(entry) = entries.next()? {
        if *bytes_left == 0 {
            return Ok(entry_of(entry.get(0)?).1);
        }
        *bytes_left = bytes_left.saturating_sub(number_at(entry, 1)?);
    }
    Ok(range.end)
}

/// The lowest number of a room that is to be kept, at this time.
fn due(
    connection: &Connection,
    room: i64,
    state: RoomState,
    (now, retention): (Timestamp, Retention),
) -> Result<u64> {
    let extent = state.extent();
    let Extent { first, head } = extent;
    let by_number = retention
        .messages_max
        .map_or(first, |max| (head + 1).saturating_sub(max));
    let by_age = match retention.keep_since {
        Some(since) => {
            let mut marked = read::marked(connection, room, extent, false)?;
            // What follows on so many waits for the next step.
            let full = marked.len() == CORRECTIONS_MAX;
            let end = marked.pop_if(|_| full).unwrap_or(head + 1);
            let stretches = stretches(first..end, &marked);
            first_young(stretches, since, now, |seq| {
                read::entry_time(connection, room, seq)
            })?
        }
        None => None,
    };
    Ok(first.max(by_number).max(by_age.unwrap_or(first)))
}
