//! Rooms and entries, in gap-free ranges of logs.
//!
//! A range means that all entries from one number to another are stored, other than those that
//! pages leave out because they are not shown. Every change of entries updates the ranges in the
//! same transaction.
//!
//! A room's `folded` is a number: all its stored entries stand at least as when the log ended there.
//! Live entries raise it as long as none was missed.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    StoreFault,
    device::{number, signed},
    rows::EntryWriter,
};
use crate::{
    client::session::persist_types::{ChangedEntries, EntryRange, StoreChange},
    protocol::{Epoch, Extent, MessageId, RoomName, UserId, frame::RoomStart},
    text::Line,
};

/// Messages stored of one room; beyond, the oldest are dropped.
pub const CACHE_MESSAGES_MAX: u64 = 1_000_000;
/// Bytes that a message takes besides its text, at most.
const ROW_BYTES: u64 = 300;
/// Messages that one save drops at most, for each of the reasons.
pub(super) const DROP_STEP: u64 = 2_000;

/// A room's row.
pub(super) struct RoomRow {
    pub(super) log: i64,
    pub(super) epoch: String,
    pub(super) topic: Option<String>,
    pub(super) extent: Extent,
    pub(super) read: u64,
    pub(super) folded: u64,
}

pub(super) fn room(database: &Connection, name: &RoomName) -> Result<Option<RoomRow>, StoreFault> {
    Ok(database
        .prepare_cached(
            "SELECT log, epoch, topic, first, head, read, folded FROM room WHERE name = ?",
        )?
        .query_row([name.as_str()], |row| {
            Ok(RoomRow {
                log: row.get(0)?,
                epoch: row.get(1)?,
                topic: row.get(2)?,
                extent: Extent::new(number(row, 3)?, number(row, 4)?),
                read: number(row, 5)?,
                folded: number(row, 6)?,
            })
        })
        .optional()?)
}

/// As [`room`], unless its log is another one than this.
pub(super) fn room_of(
    database: &Connection,
    name: &RoomName,
    epoch: Option<Epoch>,
) -> Result<Option<RoomRow>, StoreFault> {
    let same = |room: &RoomRow| epoch.is_none_or(|epoch| room.epoch == epoch.to_string());
    Ok(room(database, name)?.filter(same))
}

/// Stores a server's update of a room; starts a new log if it has changed.
pub(super) fn open_room(
    database: &Connection,
    epoch: Epoch,
    start: &RoomStart,
    max: u64,
) -> Result<(), StoreFault> {
    let known = room(database, &start.room)?;
    let epoch = epoch.to_string();
    let same = |room: &&RoomRow| room.epoch == epoch && start.reset.is_none();
    // Another device of this user may have seen the reset before.
    let log = match known.as_ref().filter(same) {
        Some(room) => room.log,
        None => database
            .prepare_cached(
                "SELECT 1 + max((SELECT coalesce(max(log), 0) FROM room),
                                (SELECT coalesce(max(log), 0) FROM range))",
            )?
            .query_row((), |row| row.get(0))?,
    };
    let known = known.filter(|room| room.log == log);
    let read = known.as_ref().map_or(0, |room| room.read);
    let folded = known.as_ref().map_or(0, |room| room.folded);
    // Then nothing that is stored was changed before the entry that comes next.
    let is_folded =
        start.changed.max(start.redacted) <= folded || lowest_range(database, log)?.is_none();
    let folded = folded.max(if is_folded { start.next - 1 } else { 0 });
    database
        .prepare_cached(
            "INSERT OR REPLACE INTO room (name, log, epoch, topic, first, head, read, folded)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            start.room.as_str(),
            log,
            epoch,
            start.topic.as_ref().map(Line::as_str),
            signed(start.extent.first),
            signed(start.extent.head),
            signed(read),
            signed(folded),
        ])?;
    tidy(database, log, start.extent.first, max)
}

/// Bytes that the entries of a change take.
pub(super) fn bytes(change: &StoreChange) -> u64 {
    let StoreChange::Entries(run) = change else {
        return 0;
    };
    let entries = run.entries.iter();
    entries.map(|entry| entry.bytes() as u64 + ROW_BYTES).sum()
}

/// Stores entries, at most `max` in the room, for this user; or with `caches` not set only brings
/// the stored ones up to date. Returns whether a stored text was erased.
pub(super) fn put(
    database: &Connection,
    run: &EntryRange,
    user: UserId,
    max: u64,
    caches: bool,
) -> Result<bool, StoreFault> {
    let EntryRange { from, to, .. } = *run;
    let Some(room) = room_of(database, &run.room, Some(run.epoch))? else {
        return Ok(false);
    };
    let mut writer = EntryWriter::new(database, &run.room, room.log, user)?;
    for entry in &run.entries {
        if caches {
            writer.put(entry)?;
        } else {
            writer.renew(entry)?;
        }
    }
    if !caches {
        return Ok(writer.erased);
    }
    join_range(database, room.log, from, to)?;
    // A page leaves out the entries that only change others.
    let has_all = run.entries.len() as u64 == to + 1 - from;
    let folded = if has_all && from <= room.folded + 1 {
        to
    } else {
        0
    };
    database
        .prepare_cached(
            "UPDATE room SET head = max(head, ?2), folded = max(folded, ?3) WHERE name = ?1",
        )?
        .execute(params![run.room.as_str(), signed(to), signed(folded)])?;
    tidy(database, room.log, room.extent.first, max)?;
    Ok(writer.erased)
}

/// Brings stored entries up to date, for this user. Returns whether a stored text was erased.
pub(super) fn change(
    database: &Connection,
    changed: &ChangedEntries,
    user: UserId,
) -> Result<bool, StoreFault> {
    let Some(room) = room_of(database, &changed.room, Some(changed.epoch))? else {
        return Ok(false);
    };
    let mut writer = EntryWriter::new(database, &changed.room, room.log, user)?;
    for entry in &changed.entries {
        writer.renew(entry)?;
    }
    // Otherwise an earlier part is missing.
    if changed.since <= room.folded {
        database
            .prepare_cached("UPDATE room SET folded = max(folded, ?2) WHERE name = ?1")?
            .execute(params![changed.room.as_str(), signed(changed.folded)])?;
    }
    Ok(writer.erased)
}

/// Adds a range, merged with those that it overlaps or touches.
fn join_range(database: &Connection, log: i64, from: u64, to: u64) -> Result<(), StoreFault> {
    let touching = "log = ?1 AND first <= ?3 + 1 AND last >= ?2 - 1";
    let key = params![log, signed(from), signed(to)];
    let (first, last): (i64, i64) = database
        .prepare_cached(&format!(
            "SELECT min(?2, coalesce(min(first), ?2)), max(?3, coalesce(max(last), ?3))
             FROM range WHERE {touching}"
        ))?
        .query_row(key, |row| Ok((row.get(0)?, row.get(1)?)))?;
    database
        .prepare_cached(&format!("DELETE FROM range WHERE {touching}"))?
        .execute(key)?;
    database
        .prepare_cached("INSERT INTO range (log, first, last) VALUES (?, ?, ?)")?
        .execute(params![log, first, last])?;
    Ok(())
}

/// Drops a bounded number of obsolete messages: below the log's first, over the limit, or of a log
/// that no longer exists.
fn tidy(database: &Connection, log: i64, log_first: u64, max: u64) -> Result<(), StoreFault> {
    let stale: Option<i64> = database
        .prepare_cached("SELECT log FROM range WHERE log NOT IN (SELECT log FROM room) LIMIT 1")?
        .query_row((), |row| row.get(0))
        .optional()?;
    if let Some(stale) = stale {
        drop_oldest(database, stale, DROP_STEP, u64::MAX)?;
    }
    let lowest = lowest_range(database, log)?;
    if lowest.is_some_and(|(first, _)| first < log_first) {
        drop_oldest(database, log, DROP_STEP, log_first - 1)?;
    }
    let kept: i64 = database
        .prepare_cached("SELECT coalesce(sum(last - first + 1), 0) FROM range WHERE log = ?")?
        .query_row([log], |row| row.get(0))?;
    let over = u64::try_from(kept).unwrap_or(0).saturating_sub(max);
    if over > 0 {
        drop_oldest(database, log, over.min(DROP_STEP), u64::MAX)?;
    }
    Ok(())
}

/// Drops entries of up to `count` numbers to make room: of a log that no longer exists, or else of
/// the room with the most. Never drops a room's latest entry, which is the position to resume from.
/// Returns how many numbers.
pub(super) fn evict(database: &Connection, count: u64) -> Result<u64, StoreFault> {
    let mut select = database.prepare_cached(
        "SELECT log, log NOT IN (SELECT log FROM room) AS stale FROM range
         GROUP BY log ORDER BY stale DESC, sum(last - first + 1) DESC",
    )?;
    let logs = select.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let logs: Vec<(i64, bool)> = logs.collect::<Result<_, _>>()?;
    for (log, stale) in logs {
        let up_to = match latest(database, log)? {
            Some((seq, _)) if !stale => seq.saturating_sub(1),
            _ => u64::MAX,
        };
        let dropped = drop_oldest(database, log, count, up_to)?;
        if dropped > 0 {
            return Ok(dropped);
        }
    }
    Ok(0)
}

/// The number and the id of a log's latest stored entry. After a page, a range may go on to higher
/// numbers.
pub(super) fn latest(
    database: &Connection,
    log: i64,
) -> Result<Option<(u64, MessageId)>, StoreFault> {
    let latest: Option<(u64, String)> = database
        .prepare_cached("SELECT seq, id FROM message WHERE log = ? ORDER BY seq DESC LIMIT 1")?
        .query_row([log], |row| Ok((number(row, 0)?, row.get(1)?)))
        .optional()?;
    let Some((seq, id)) = latest else {
        return Ok(None);
    };
    let id = MessageId::parse(&id).map_err(|_| StoreFault::Damaged)?;
    Ok(Some((seq, id)))
}

fn lowest_range(database: &Connection, log: i64) -> Result<Option<(u64, u64)>, StoreFault> {
    Ok(database
        .prepare_cached("SELECT first, last FROM range WHERE log = ? ORDER BY first LIMIT 1")?
        .query_row([log], |row| Ok((number(row, 0)?, number(row, 1)?)))
        .optional()?)
}

/// Drops a log's oldest entries, of up to `count` numbers, none above `up_to`. Returns how many
/// numbers.
fn drop_oldest(database: &Connection, log: i64, count: u64, up_to: u64) -> Result<u64, StoreFault> {
    let mut dropped = 0;
    while dropped < count
        && let Some((first, last)) = lowest_range(database, log)?
        && first <= up_to
    {
        let end = last.min(up_to).min(first + (count - dropped) - 1);
        dropped += end - first + 1;
        database
            .prepare_cached("DELETE FROM message WHERE log = ? AND seq <= ?")?
            .execute(params![log, signed(end)])?;
        if end == last {
            database
                .prepare_cached("DELETE FROM range WHERE log = ? AND first = ?")?
                .execute(params![log, signed(first)])?;
        } else {
            database
                .prepare_cached("UPDATE range SET first = ?3 WHERE log = ?1 AND first = ?2")?
                .execute(params![log, signed(first), signed(end + 1)])?;
        }
    }
    Ok(dropped)
}

/// Stores how far the user has read a room.
pub(super) fn read(
    database: &Connection,
    name: &RoomName,
    epoch: Epoch,
    seq: u64,
) -> Result<(), StoreFault> {
    database
        .prepare_cached(
            "UPDATE room SET read = max(read, min(?2, head)) WHERE name = ?1 AND epoch = ?3",
        )?
        .execute(params![name.as_str(), signed(seq), epoch.to_string()])?;
    Ok(())
}
