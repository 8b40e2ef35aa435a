//! Rooms and entries, in gap-free ranges of logs.
//!
//! A range means that all entries from one number to another are stored, other than those that
//! pages leave out because they are not shown. Every change of entries updates the ranges in the
//! same transaction.
//!
//! A room's `folded` is a number: all its stored entries stand at least as when the log ended there.
//! Live entries raise it as long as none was missed.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    StoreFault,
    device::{forget_drafts, number, signed},
    rows::EntryWriter,
};
use crate::{
    client::session::persist_types::{ChangedEntries, EntryRange, StoreChange},
    protocol::{
        Epoch, Extent, MessageId, Preferences, ReadMarker, RoomId, RoomInfo, ServerFrame, UserId,
        frame::RoomStart,
        wire::{encode_server, parse_server},
    },
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
    pub(super) extent: Extent,
    pub(super) folded: u64,
}

pub(super) fn room(database: &Connection, room: RoomId) -> Result<Option<RoomRow>, StoreFault> {
    Ok(database
        .prepare_cached("SELECT log, epoch, first, head, folded FROM room WHERE room = ?")?
        .query_row([room.to_string()], |row| {
            Ok(RoomRow {
                log: row.get(0)?,
                epoch: row.get(1)?,
                extent: Extent::new(number(row, 2)?, number(row, 3)?),
                folded: number(row, 4)?,
            })
        })
        .optional()?)
}

/// As [`room`], unless its log is another one than this.
pub(super) fn room_of(
    database: &Connection,
    room: RoomId,
    epoch: Option<Epoch>,
) -> Result<Option<RoomRow>, StoreFault> {
    let same = |room: &RoomRow| epoch.is_none_or(|epoch| room.epoch == epoch.to_string());
    Ok(self::room(database, room)?.filter(same))
}

/// Stores a server's update of a room; starts a new log if it has changed.
pub(super) fn open_room(
    database: &Connection,
    epoch: Epoch,
    start: &RoomStart,
    asked_from: u64,
    max: u64,
) -> Result<(), StoreFault> {
    let known = room(database, start.room)?;
    let epoch = epoch.to_string();
    let changed = start.changed.max(start.redacted);
    // The session asks for no change up to here: what another process has stored, or what this one
    // could not store completely, would stay as it is.
    let is_missed = |room: &RoomRow| room.folded < changed.min(asked_from);
    let known = known.filter(|room| room.epoch == epoch && start.reset.is_none());
    // Another device of this user may have seen the reset before.
    let log = match known.as_ref().filter(|room| !is_missed(room)) {
        Some(room) => room.log,
        None => database
            .prepare_cached(
                "SELECT 1 + max((SELECT coalesce(max(log), 0) FROM room),
                                (SELECT coalesce(max(log), 0) FROM range))",
            )?
            .query_row((), |row| row.get(0))?,
    };
    let mut marker = start.read.marker;
    if known.is_some() {
        // Another process may have read further.
        let stored = told(database, start.room)?.1;
        if stored.generation == marker.generation {
            marker.seq = marker.seq.max(stored.seq);
        }
    }
    let kept = known.filter(|room| room.log == log);
    let folded = kept.map_or(0, |room| room.folded);
    // Then nothing that is stored was changed before the entry that comes next.
    let is_folded = changed <= folded || lowest_range(database, log)?.is_none();
    let folded = folded.max(if is_folded { start.next - 1 } else { 0 });
    database
        .prepare_cached(
            "INSERT OR REPLACE INTO room (room, log, epoch, info, state, first, head, folded)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            start.room.to_string(),
            log,
            epoch,
            info_frame(start.room, &start.info),
            state_frame(start.room, marker, start.read.preferences),
            signed(start.extent.first),
            signed(start.extent.head),
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
    let Some(room) = room_of(database, run.room, Some(run.epoch))? else {
        return Ok(false);
    };
    let mut writer = EntryWriter::new(database, run.room, room.log, user)?;
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
            "UPDATE room SET head = max(head, ?2), folded = max(folded, ?3) WHERE room = ?1",
        )?
        .execute(params![run.room.to_string(), signed(to), signed(folded)])?;
    tidy(database, room.log, room.extent.first, max)?;
    Ok(writer.erased)
}

/// Brings stored entries up to date, for this user. Returns whether a stored text was erased.
pub(super) fn change(
    database: &Connection,
    changed: &ChangedEntries,
    user: UserId,
) -> Result<bool, StoreFault> {
    let Some(room) = room_of(database, changed.room, Some(changed.epoch))? else {
        return Ok(false);
    };
    let mut writer = EntryWriter::new(database, changed.room, room.log, user)?;
    for entry in &changed.entries {
        writer.renew(entry)?;
    }
    // Otherwise an earlier part is missing.
    if changed.since <= room.folded {
        database
            .prepare_cached("UPDATE room SET folded = max(folded, ?2) WHERE room = ?1")?
            .execute(params![changed.room.to_string(), signed(changed.folded)])?;
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
            Some(latest) if !stale => latest.seq.saturating_sub(1),
            _ => u64::MAX,
        };
        let dropped = drop_oldest(database, log, count, up_to)?;
        if dropped > 0 {
            return Ok(dropped);
        }
    }
    Ok(0)
}

/// A log's latest stored entry.
#[derive(Clone, Copy)]
pub(super) struct LatestEntry {
    pub(super) seq: u64,
    pub(super) id: MessageId,
    pub(super) time: Timestamp,
}

/// A log's latest stored entry. After a page, a range may go on to higher numbers.
pub(super) fn latest(database: &Connection, log: i64) -> Result<Option<LatestEntry>, StoreFault> {
    let latest: Option<(u64, String, i64)> = database
        .prepare_cached(
            "SELECT seq, id, time FROM message WHERE log = ? ORDER BY seq DESC LIMIT 1",
        )?
        .query_row([log], |row| Ok((number(row, 0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((seq, id, time)) = latest else {
        return Ok(None);
    };
    Ok(Some(LatestEntry {
        seq,
        id: MessageId::parse(&id).map_err(|_| StoreFault::Damaged)?,
        time: Timestamp::from_nanosecond(time.into()).map_err(|_| StoreFault::Damaged)?,
    }))
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

/// Stores how far the user has read a room, and their settings of it.
pub(super) fn read(
    database: &Connection,
    room: RoomId,
    epoch: Epoch,
    marker: ReadMarker,
    preferences: Preferences,
) -> Result<(), StoreFault> {
    if let Some(row) = room_of(database, room, Some(epoch))? {
        let marker = ReadMarker {
            seq: marker.seq.min(row.extent.head),
            ..marker
        };
        database
            .prepare_cached("UPDATE room SET state = ?2 WHERE room = ?1")?
            .execute([room.to_string(), state_frame(room, marker, preferences)])?;
    }
    Ok(())
}

/// Stores what a room is.
pub(super) fn set_info(
    database: &Connection,
    room: RoomId,
    info: &RoomInfo,
) -> Result<(), StoreFault> {
    database
        .prepare_cached("UPDATE room SET info = ?2 WHERE room = ?1")?
        .execute([room.to_string(), info_frame(room, info)])?;
    Ok(())
}

/// Removes a room with its entries and drafts. Returns whether it was stored.
pub(super) fn leave_room(database: &Connection, room: RoomId) -> Result<bool, StoreFault> {
    forget_drafts(database, room)?;
    let Some(RoomRow { log, .. }) = self::room(database, room)? else {
        return Ok(false);
    };
    for statement in [
        "DELETE FROM message WHERE log = ?",
        "DELETE FROM range WHERE log = ?",
        "DELETE FROM room WHERE log = ?",
    ] {
        database.prepare_cached(statement)?.execute([log])?;
    }
    Ok(true)
}

/// What the server said last of a room: what it is, how far the user has read it, and their settings.
pub(super) fn told(
    database: &Connection,
    room: RoomId,
) -> Result<(RoomInfo, ReadMarker, Preferences), StoreFault> {
    let (info, state): (String, String) = database
        .prepare_cached("SELECT info, state FROM room WHERE room = ?")?
        .query_row([room.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    match (
        parse_server(info.as_bytes()),
        parse_server(state.as_bytes()),
    ) {
        (
            Ok(ServerFrame::Room { info, .. }),
            Ok(ServerFrame::Read {
                marker,
                preferences,
                ..
            }),
        ) => Ok((*info, marker, preferences)),
        _ => Err(StoreFault::Damaged),
    }
}

/// The value of the column `info`.
pub(super) fn info_frame(room: RoomId, info: &RoomInfo) -> String {
    let info = Box::new(info.clone());
    frame(&ServerFrame::Room { room, info })
}

/// The value of the column `state`.
pub(super) fn state_frame(room: RoomId, marker: ReadMarker, preferences: Preferences) -> String {
    frame(&ServerFrame::Read {
        room,
        marker,
        preferences,
    })
}

fn frame(frame: &ServerFrame) -> String {
    let mut bytes = Vec::new();
    encode_server(frame, &mut bytes);
    // Frames are UTF-8.
    String::from_utf8_lossy(bytes.trim_ascii_end()).into_owned()
}
