//! Removes entries beyond the retention limits, in bounded steps.
//!
//! A step removes the oldest entries of the rooms that have too many or too old ones, and raises
//! `first`. SQLite overwrites removed rows (`secure_delete`); the write-ahead log, which still has
//! them, is emptied once a run of steps has ended. The devices' counters and the numbers stay.
//!
//! The words of an entry must not outlive it in the index. So a step asks the index to forget it, and
//! removes what that has forgotten by then; the rest waits for the next run.

use std::ops::Range;

use jiff::Timestamp;
use rusqlite::{Connection, Result};

use super::{
    Room,
    append::Work,
    lookup, mentions, read,
    schema::{entry_key, entry_of, number, number_at},
};
use crate::{
    protocol::RoomId,
    search::times::{CORRECTIONS_MAX, stretches},
    server::log::{
        KEPT_BY_BYTES, OpResult, Retention,
        plan::{RoomState, without_text},
        semantics::first_young,
    },
};

/// The key in `meta` of the last time of retention by age, when the clock was trusted.
pub(super) const BELIEVED: &str = "believed";

/// Entries that one step removes at most. Each may touch a page of its own in the index of ids: 4
/// MiB of them.
const STEP_MAX: u64 = 1_000;
/// Entries that are looked at to count the shown ones: more than a step removes, because the index
/// forgets many at a time. About 2 ms.
const COUNTED_MAX: u64 = 10_000;
/// Entries, and bytes of them, that the index is asked to forget at a time because of the log's
/// size.
const FORGET_MAX: u64 = 50_000;
const FORGET_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Entries of a room that are removed before the room with the oldest entry is chosen again.
const TURN_MAX: u64 = 100;
/// Bytes of frames that one step removes, plus one frame. The write-ahead log gets somewhat more,
/// because their pages are overwritten. It bounds how long appends wait.
const STEP_BYTES_MAX: u64 = 1024 * 1024;

/// Does one step. `forget` asks the index to forget the entries of a room below a number, and
/// returns below which number it has.
pub(super) fn step(
    work: &mut Work<'_>,
    retention: (Timestamp, Retention),
    mut forget: impl FnMut(RoomId, u64) -> u64,
) -> Result<OpResult> {
    let (mut left, mut bytes_left) = (STEP_MAX, STEP_BYTES_MAX);
    let mut more = false;
    for room in work.rooms.all() {
        let state = work.state(room.id);
        let first = state.extent.first;
        let (due, complete) = due(work.connection, room, &state, retention)?;
        if due == first {
            continue;
        }
        let may = due.min(forget(room.id, due)).max(first);
        left -= remove(work, room, may.min(first + left), &mut bytes_left)?;
        let reached = work.state(room.id).extent.first;
        // What the index holds is removed once it has forgotten it.
        more |= reached < may || reached == due && !complete;
    }
    if let Some(max) = retention.1.bytes_max {
        more |= shorten(work, max, left, &mut forget)?;
    }
    Ok(OpResult::Retained { more })
}

/// Removes the oldest entries of all rooms while the log takes more than `max` bytes, at most
/// `left` of them. Returns whether more is to be removed.
fn shorten(
    work: &mut Work<'_>,
    max: u64,
    mut left: u64,
    forget: &mut impl FnMut(RoomId, u64) -> u64,
) -> Result<bool> {
    let mut bytes_left = STEP_BYTES_MAX;
    loop {
        let over = size(work.connection)?.saturating_sub(max);
        let Some(room) = oldest(work)? else {
            return Ok(false);
        };
        if over == 0 || left == 0 || bytes_left == 0 {
            return Ok(over > 0);
        }
        let held = work.state(room.id).extent;
        let most = held.latest(KEPT_BY_BYTES).min(held.first + FORGET_MAX);
        let mut over = over.min(FORGET_BYTES_MAX);
        let due = reach(work.connection, room.no, held.first..most, &mut over)?;
        let due = due.min(forget(room.id, due));
        if due <= held.first {
            // The rest is removed once the index has forgotten it.
            return Ok(false);
        }
        // Only a few at a time, so that the rooms take turns by age.
        let to = due.min(held.first + left.min(TURN_MAX));
        left -= remove(work, &room, to, &mut bytes_left)?;
    }
}

/// Removes a room's entries below `to` until `bytes_left` is used up; returns how many. Edits of
/// them that are still held lose their texts.
fn remove(work: &mut Work<'_>, room: &Room, to: u64, bytes_left: &mut u64) -> Result<u64> {
    let connection = work.connection;
    let mut state = work.state(room.id);
    let first = state.extent.first;
    let to = reach(connection, room.no, first..to, bytes_left)?;
    if to == first {
        return Ok(0);
    }
    let range = (entry_key(room.no, first), entry_key(room.no, to));
    if state.unshown > 0 {
        let unshown: u64 = connection
            .prepare_cached("SELECT count(*) FROM entry WHERE id >= ?1 AND id < ?2 AND shown = 0")?
            .query_row(range, |row| number_at(row, 0))?;
        state.unshown = state.unshown.saturating_sub(unshown);
    }
    state.extent.first = to;
    work.states.insert(room.id, state);
    let edits: Vec<u64> = connection
        .prepare_cached(
            "SELECT edited FROM change
             WHERE entry >= ?1 AND entry < ?2 AND edited >= ?3",
        )?
        .query_map((range.0, range.1, number(to)), |row| number_at(row, 0))?
        .collect::<Result<_>>()?;
    for edit in edits {
        let found = match lookup::entry_at(connection, room, edit) {
            // What can't be read can't be served either.
            Err(error) if work.damages.tell(&error) => None,
            found => found?,
        };
        if let Some(frame) = found.and_then(without_text) {
            work.rewrite(room.id, edit, frame)?;
        }
    }
    for table in [
        "DELETE FROM entry WHERE id >= ?1 AND id < ?2",
        "DELETE FROM change WHERE entry >= ?1 AND entry < ?2",
    ] {
        connection.prepare_cached(table)?.execute(range)?;
    }
    mentions::remove(connection, room.no, first..to)?;
    Ok(to - first)
}

/// Bytes that the log takes on disk, without free pages, which are reused before it grows.
fn size(connection: &Connection) -> Result<u64> {
    connection.query_row(
        "SELECT (page_count - freelist_count) * page_size
         FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
        [],
        |row| number_at(row, 0),
    )
}

/// The room with the oldest first entry, among those that may lose some.
fn oldest(work: &Work<'_>) -> Result<Option<Room>> {
    let mut oldest: Option<(Timestamp, Room)> = None;
    for room in work.rooms.all() {
        let held = work.state(room.id).extent;
        if held.len() <= KEPT_BY_BYTES {
            continue;
        }
        let known = room
            .oldest
            .filter(|_| held.first == room.state.extent.first);
        let at = match known {
            Some(at) => at,
            None => read::entry_time(work.connection, room.no, held.first)?,
        };
        if oldest.is_none_or(|(before, _)| at < before) {
            oldest = Some((at, *room));
        }
    }
    Ok(oldest.map(|(_, room)| room))
}

/// The number in a range at which a step has used up `bytes_left`, which it reduces.
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

/// The lowest number of a room that is to be kept, and whether that is known for sure: if not, a
/// later step may drop more. A room with nothing to drop is not read: there may be many.
fn due(
    connection: &Connection,
    room: &Room,
    state: &RoomState,
    (now, retention): (Timestamp, Retention),
) -> Result<(u64, bool)> {
    let extent = state.extent;
    let (by_number, complete) = match retention.messages_max {
        Some(max) => latest_shown(connection, room.no, state, max)?,
        None => (extent.first, true),
    };
    let oldest = room
        .oldest
        .filter(|_| extent.first == room.state.extent.first);
    let by_age = match retention.keep_since {
        // All others are kept with it; see `first_young`.
        Some(since) if oldest.is_some_and(|oldest| (since..=now).contains(&oldest)) => None,
        Some(since) => {
            let mut marked = read::marked(connection, room.no, extent, false)?;
            // Later corrections wait for the next step.
            let full = marked.len() == CORRECTIONS_MAX;
            let end = marked.pop_if(|_| full).unwrap_or(extent.next());
            let stretches = stretches(extent.first..end, &marked);
            first_young(stretches, since, now, |seq| {
                read::entry_time(connection, room.no, seq)
            })?
        }
        None => None,
    };
    Ok((by_number.max(by_age.unwrap_or(0)), complete))
}

/// The lowest number behind the oldest shown entries that are more than `max`, and whether all of
/// them are below it. It is known without reading where every entry is shown; otherwise the oldest
/// [`COUNTED_MAX`] entries are looked at.
fn latest_shown(
    connection: &Connection,
    room: i64,
    state: &RoomState,
    max: u64,
) -> Result<(u64, bool)> {
    let first = state.extent.first;
    let mut excess = state.excess(max);
    if excess == 0 || state.unshown == 0 {
        return Ok((first + excess, true));
    }
    let mut entries = connection
        .prepare_cached("SELECT shown FROM entry WHERE id >= ?1 AND id < ?2 ORDER BY id")?;
    let range = (
        entry_key(room, first),
        entry_key(room, first.saturating_add(COUNTED_MAX)),
    );
    let mut entries = entries.query(range)?;
    let mut to = first;
    while excess > 0
        && let Some(entry) = entries.next()?
    {
        excess -= u64::from(entry.get::<_, bool>(0)?);
        to += 1;
    }
    Ok((to, excess == 0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::server::{
        log::{
            LogWriter, MessageOutcome, Operation,
            conformance::{LOBBY, TEA, append, extent, message_in, settings},
        },
        store::{
            SqliteStore,
            sqlite::{Durability, Settings},
        },
    };

    fn by_bytes(bytes_max: u64) -> Operation {
        Operation::Retain(Retention {
            bytes_max: Some(bytes_max),
            ..Retention::default()
        })
    }

    /// Writes to both rooms in turn, each message with a second of its own.
    fn fill(store: &mut SqliteStore, messages: u64) {
        let text = "x".repeat(4_000);
        for counter in 1..=messages {
            let room = if counter % 2 == 0 { LOBBY } else { TEA };
            let second = i64::try_from(counter).unwrap();
            append(store, second, [message_in(room, 1, counter, &text)]);
        }
    }

    #[test]
    fn while_the_log_takes_too_many_bytes_the_oldest_of_all_rooms_go() {
        for index in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let settings = Settings {
                index,
                durability: Durability::Relaxed,
                ..settings(directory.path())
            };
            let mut store = SqliteStore::open(&settings).unwrap();
            fill(&mut store, 1_000);
            let before = size(&store.connection).unwrap();
            assert_eq!(
                append(&mut store, 9_000, [by_bytes(before)]).results,
                [OpResult::Retained { more: false }]
            );
            assert_eq!(extent(&store, LOBBY).first, 1, "at the limit");
            let max = before / 2;
            let mut steps = 0;
            while size(&store.connection).unwrap() > max {
                steps += 1;
                assert!(steps < 1_000);
                let firsts = [LOBBY, TEA].map(|room| extent(&store, room).first);
                let committed = append(&mut store, 9_000, [by_bytes(max)]);
                if committed.results != [OpResult::Retained { more: true }]
                    && let Some(index) = &store.index
                {
                    // The index is asked to forget them first, which takes some time.
                    for (room, first) in [(LOBBY, firsts[0]), (TEA, firsts[1])] {
                        let below = first.saturating_sub(1);
                        assert!(index.wait(room, 500, below, Duration::from_mins(1)));
                    }
                    std::thread::yield_now();
                    steps = 0;
                }
            }
            let [lobby, other] = [LOBBY, TEA].map(|room| extent(&store, room));
            assert_eq!((lobby.head, other.head), (500, 500));
            // Of the same age, give or take a turn; and no more than necessary.
            assert!(
                lobby.first.abs_diff(other.first) <= TURN_MAX,
                "{lobby:?} {other:?}"
            );
            assert!((150..=350).contains(&lobby.first), "{lobby:?}");
            // Numbers and ids stay used.
            let again = append(&mut store, 9_000, [message_in(TEA, 1, 1, "x")]);
            assert_eq!(
                again.results,
                [OpResult::Repeated(MessageOutcome::Forgotten)]
            );
        }
    }

    #[test]
    fn however_little_the_log_may_take_the_latest_of_each_room_stay() {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings {
            durability: Durability::Relaxed,
            ..settings(directory.path())
        };
        let mut store = SqliteStore::open(&settings).unwrap();
        fill(&mut store, 1_000);
        let mut steps = 0;
        while append(&mut store, 9_000, [by_bytes(1)]).results
            == [OpResult::Retained { more: true }]
        {
            steps += 1;
            assert!(steps < 100);
        }
        for (_, extent) in store.extents() {
            assert_eq!((extent.first, extent.head), (401, 500));
        }
    }
}
