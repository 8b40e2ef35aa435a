//! What is no longer to be kept: taken out in bounded steps.
//!
//! A step removes the oldest entries of the rooms that have too many or too old ones, and moves
//! `first`. SQLite overwrites what is removed (`secure_delete`); the write-ahead log, which still
//! has it, is emptied once a run of steps has ended. The devices' counters and the numbers stay.
//!
//! The index forgets an entry only while the log still has its text. So a step asks it to, and
//! removes what it has forgotten by then; the rest waits for the next run.

use rusqlite::{Connection, Result};

use super::{RoomState, append::Work, read, schema::entry_key};
use crate::server::{
    engine::RoomIndex,
    store::{Extent, Retention, Verdict},
};

/// Entries that one step removes: appends wait no longer than for so many.
const STEP_MAX: u64 = 1_000;

/// One step. `forget` asks the index to forget what is below a number of a room, and says below
/// which it has.
pub(super) fn step(
    work: &mut Work<'_>,
    retention: Retention,
    mut forget: impl FnMut(RoomIndex, u64) -> u64,
) -> Result<Verdict> {
    let mut left = STEP_MAX;
    let mut more = false;
    for (index, room) in (0..).map(RoomIndex).zip(work.rooms) {
        let state = &mut work.states[index.at()];
        let due = due(work.connection, room.no, *state, retention)?;
        if due == state.first {
            continue;
        }
        let due = due.min(forget(index, due)).max(state.first);
        let to = due.min(state.first + left);
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

/// The lowest number of a room that is to be kept.
fn due(connection: &Connection, room: i64, state: RoomState, retention: Retention) -> Result<u64> {
    let Extent { first, head } = state.extent();
    let by_number = retention
        .messages_max
        .map_or(first, |max| (head + 1).saturating_sub(max));
    let by_time = match retention.keep_since {
        Some(time) => read::first_since(connection, room, state.extent(), time)?,
        None => first,
    };
    Ok(first.max(by_number).max(by_time))
}
