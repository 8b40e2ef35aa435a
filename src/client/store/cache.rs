//! Rooms and messages, in gap-free ranges of logs.
//!
//! A range means that all messages from one number to another are stored; every change of messages
//! updates the ranges in the same transaction.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    RESTORED_MESSAGES_MAX, Restored, StoreFault,
    device::{draft_of, number, signed},
    empty_page,
};
use crate::{
    client::{
        event::{Page, RestoredRoom, SearchPage},
        session::persist_types::{EntryRange, PersistedRoom, StoreChange, nanoseconds},
    },
    protocol::{
        Author, ClientId, Entry, EntryKind, Epoch, Extent, MessageId, Nickname, RoomName, UserId,
        entry::Text,
        frame::{Part, Position, RoomStart},
        limits::HISTORY_PAGE_MAX,
    },
    search::{
        Query,
        times::{self, CORRECTIONS_MAX},
    },
    text::{Body, Line},
};

/// Messages stored of one room; beyond, the oldest are dropped.
pub const CACHE_MESSAGES_MAX: u64 = 1_000_000;
/// Messages that one search reads.
pub const SEARCH_MESSAGES_MAX: u64 = 20_000;
/// Bytes that a message takes besides its text, at most.
const ROW_BYTES: u64 = 300;
/// Messages that one save drops at most, for each of the reasons.
pub(super) const DROP_STEP: u64 = 2_000;

/// A room's row.
struct RoomRow {
    log: i64,
    epoch: String,
    topic: Option<String>,
    extent: Extent,
    read: u64,
}

fn room(database: &Connection, name: &RoomName) -> Result<Option<RoomRow>, StoreFault> {
    Ok(database
        .prepare_cached("SELECT log, epoch, topic, first, head, read FROM room WHERE name = ?")?
        .query_row([name.as_str()], |row| {
            Ok(RoomRow {
                log: row.get(0)?,
                epoch: row.get(1)?,
                topic: row.get(2)?,
                extent: Extent::new(number(row, 3)?, number(row, 4)?),
                read: number(row, 5)?,
            })
        })
        .optional()?)
}

/// As [`room`], unless its log is another one than this.
fn room_of(
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
    let read = known
        .filter(|room| room.log == log)
        .map_or(0, |room| room.read);
    database
        .prepare_cached(
            "INSERT OR REPLACE INTO room (name, log, epoch, topic, first, head, read)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            start.room.as_str(),
            log,
            epoch,
            start.topic.as_ref().map(Line::as_str),
            signed(start.extent.first),
            signed(start.extent.head),
            signed(read),
        ])?;
    tidy(database, log, start.extent.first, max)
}

/// Bytes of messages in a change.
pub(super) fn bytes(change: &StoreChange) -> u64 {
    let StoreChange::Entries(run) = change else {
        return 0;
    };
    let texts = run.entries.iter().map(|entry| entry.words().len());
    texts.map(|text| text as u64 + ROW_BYTES).sum()
}

/// Stores messages; keeps at most `max` in the room.
pub(super) fn put(database: &Connection, run: &EntryRange, max: u64) -> Result<(), StoreFault> {
    let EntryRange { from, to, .. } = *run;
    let Some(room) = room(database, &run.room)?.filter(|r| r.epoch == run.epoch.to_string()) else {
        return Ok(());
    };
    let mut insert = database.prepare_cached(
        "INSERT OR IGNORE INTO message
             (log, seq, id, user, nickname, time, body, clock_was, proven)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    for message in &run.entries {
        insert.execute(params![
            room.log,
            signed(message.seq),
            message.id.to_string(),
            message.author.user.to_string(),
            message.author.nickname.as_str(),
            nanoseconds(message.time),
            message.words(),
            message.clock_was.map(nanoseconds),
            (!message.author.proven).then_some(false),
        ])?;
    }
    join_range(database, room.log, from, to)?;
    if to > room.extent.head {
        database
            .prepare_cached("UPDATE room SET head = ? WHERE name = ?")?
            .execute(params![signed(to), run.room.as_str()])?;
    }
    tidy(database, room.log, room.extent.first, max)
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

/// Drops up to `count` messages to make room: of a log that no longer exists, or else of the room
/// with the most. Never drops a room's latest. Returns how many.
pub(super) fn evict(database: &Connection, count: u64) -> Result<u64, StoreFault> {
    let largest: Option<(i64, u64, u64, bool)> = database
        .prepare_cached(
            "SELECT log, sum(last - first + 1) AS kept, max(last),
                    log NOT IN (SELECT log FROM room) AS stale
             FROM range GROUP BY log ORDER BY stale DESC, kept DESC LIMIT 1",
        )?
        .query_row((), |row| {
            Ok((row.get(0)?, number(row, 1)?, number(row, 2)?, row.get(3)?))
        })
        .optional()?;
    let Some((log, kept, last, stale)) = largest else {
        return Ok(0);
    };
    let (droppable, up_to) = if stale {
        (kept, u64::MAX)
    } else {
        (kept.saturating_sub(1), last.saturating_sub(1))
    };
    let count = count.min(droppable);
    drop_oldest(database, log, count, up_to)?;
    Ok(count)
}

fn lowest_range(database: &Connection, log: i64) -> Result<Option<(u64, u64)>, StoreFault> {
    Ok(database
        .prepare_cached("SELECT first, last FROM range WHERE log = ? ORDER BY first LIMIT 1")?
        .query_row([log], |row| Ok((number(row, 0)?, number(row, 1)?)))
        .optional()?)
}

/// Drops `count` of a log's oldest messages, none above `up_to`.
fn drop_oldest(
    database: &Connection,
    log: i64,
    mut count: u64,
    up_to: u64,
) -> Result<(), StoreFault> {
    while count > 0
        && let Some((first, last)) = lowest_range(database, log)?
        && first <= up_to
    {
        let end = last.min(up_to).min(first + count - 1);
        count -= end - first + 1;
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
    Ok(())
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
        let row = room(database, &name)?.ok_or(StoreFault::Damaged)?;
        let mut page = latest(database, &name, &row)?;
        let last = page.entries.last();
        let kept = PersistedRoom {
            position: Position {
                room: name.clone(),
                seq: last.map_or(0, |message| message.seq),
                id: last.map(|message| message.id),
            },
            epoch: Epoch::parse(&row.epoch).map_err(|_| StoreFault::Damaged)?,
            extent: row.extent,
        };
        // Messages that the server has erased may still be stored; they only tell our position.
        let first = row.extent.first;
        page.entries.retain(|message| message.seq >= first);
        page.from = page.from.max(first);
        if page.entries.is_empty() {
            page = empty_page(row.extent);
        }
        let restored = RestoredRoom {
            draft: draft_of(database, client, name.as_str())?,
            topic: row.topic.map(|topic| Line::inert(&topic)),
            read: row.read,
            room: name,
            page,
        };
        rooms.push((kept, restored));
    }
    Ok(rooms)
}

fn latest(database: &Connection, name: &RoomName, room: &RoomRow) -> Result<Page, StoreFault> {
    let to = u64::MAX >> 1;
    let Some((first, last)) = range_up_to(database, room.log, to)? else {
        return Ok(empty_page(room.extent));
    };
    let from = first.max((last + 1).saturating_sub(RESTORED_MESSAGES_MAX));
    piece(database, name, room, from, last)
}

/// The highest range that begins at or below a number.
fn range_up_to(database: &Connection, log: i64, at: u64) -> Result<Option<(u64, u64)>, StoreFault> {
    let select =
        "SELECT first, last FROM range WHERE log = ? AND first <= ? ORDER BY first DESC LIMIT 1";
    range(database, select, log, at)
}

/// The range that a query by a log and a number finds.
fn range(
    database: &Connection,
    select: &str,
    log: i64,
    at: u64,
) -> Result<Option<(u64, u64)>, StoreFault> {
    Ok(database
        .prepare_cached(select)?
        .query_row(params![log, signed(at)], |row| {
            Ok((number(row, 0)?, number(row, 1)?))
        })
        .optional()?)
}

/// The messages from `from` to `to`, which a range covers.
fn piece(
    database: &Connection,
    name: &RoomName,
    room: &RoomRow,
    from: u64,
    to: u64,
) -> Result<Page, StoreFault> {
    let mut select = database.prepare_cached(
        "SELECT seq, id, user, nickname, time, body, clock_was, proven FROM message
         WHERE log = ? AND seq BETWEEN ? AND ? ORDER BY seq",
    )?;
    let mut rows = select.query(params![room.log, signed(from), signed(to)])?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        messages.push(message(name, row)?);
    }
    if messages.len() as u64 != to + 1 - from {
        return Err(StoreFault::Damaged);
    }
    Ok(Page {
        extent: room.extent.raised_to(to),
        from,
        to,
        entries: messages,
        offline: true,
    })
}

fn message(name: &RoomName, row: &Row<'_>) -> Result<Entry, StoreFault> {
    let text = |column| {
        row.get_ref(column)?
            .as_str()
            .map_err(|_| StoreFault::Damaged)
    };
    let time = |nanoseconds: i64| {
        Timestamp::from_nanosecond(nanoseconds.into()).map_err(|_| StoreFault::Damaged)
    };
    let clock_was: Option<i64> = row.get(6)?;
    Ok(Entry {
        room: name.clone(),
        seq: number(row, 0)?,
        id: MessageId::parse(text(1)?).map_err(|_| StoreFault::Damaged)?,
        author: Author {
            user: UserId::parse(text(2)?).map_err(|_| StoreFault::Damaged)?,
            nickname: Nickname::inert(text(3)?),
            proven: row.get::<_, Option<bool>>(7)? != Some(false),
        },
        time: time(row.get(4)?)?,
        clock_was: clock_was.map(time).transpose()?,
        kind: EntryKind::Text(Text {
            body: Body::inert(text(5)?),
            edited: None,
        }),
    })
}

/// A part of a room's log, as far as one range covers it from the end that counts; with `offline`,
/// the nearest stored piece.
pub(super) fn page(
    database: &Connection,
    name: &RoomName,
    epoch: Option<Epoch>,
    part: Part,
    offline: bool,
) -> Result<Option<Page>, StoreFault> {
    let Some(room) = room_of(database, name, epoch)? else {
        return Ok(None);
    };
    let (held, most) = (room.extent, HISTORY_PAGE_MAX as u64);
    let found = match part {
        Part::Backward { from, to } => {
            let to = if offline { to } else { to.min(held.head) };
            let range = range_up_to(database, room.log, to)?;
            range
                .filter(|(_, last)| offline || *last >= to)
                .map(|(first, last)| (first.max(from).max(held.first), last.min(to)))
                .map(|(first, last)| (first.max((last + 1).saturating_sub(most)), last))
        }
        Part::Forward { from, to } => {
            range_from(database, room.log, from.max(held.first), offline)?
                .map(|(first, last)| (first, last.min(to).min(first + most - 1)))
        }
        Part::Since(time) => since(database, room.log, held.first, time)?
            .map(|(first, last)| (first, last.min(first + most - 1))),
    };
    match found.filter(|(from, to)| from <= to) {
        Some((from, to)) => piece(database, name, &room, from, to).map(Some),
        None => Ok(None),
    }
}

/// The range that holds a number, from that number on; with `nearest`, else the next one above.
fn range_from(
    database: &Connection,
    log: i64,
    from: u64,
    nearest: bool,
) -> Result<Option<(u64, u64)>, StoreFault> {
    if let Some((_, last)) = range_up_to(database, log, from)?
        && last >= from
    {
        return Ok(Some((from, last)));
    }
    if !nearest {
        return Ok(None);
    }
    let select = "SELECT first, last FROM range WHERE log = ? AND first > ? ORDER BY first LIMIT 1";
    range(database, select, log, from)
}

/// The range from the stored message that a page since this time begins with: see [`times::since`].
fn since(
    database: &Connection,
    log: i64,
    log_first: u64,
    time: Timestamp,
) -> Result<Option<(u64, u64)>, StoreFault> {
    let time =
        Timestamp::from_nanosecond(nanoseconds(time).into()).map_err(|_| StoreFault::Damaged)?;
    let mut at = database.prepare_cached("SELECT time FROM message WHERE log = ? AND seq = ?")?;
    let found = times::since(stretches(database, log, log_first)?, time, |seq| {
        let at: i64 = at.query_row(params![log, signed(seq)], |row| row.get(0))?;
        Timestamp::from_nanosecond(at.into()).map_err(|_| StoreFault::Damaged)
    })?;
    match found {
        Some(seq) => range_from(database, log, seq, false),
        None => Ok(None),
    }
}

/// The stored numbers of a log in stretches within which times never go back, in order. A new one
/// begins where the clock was corrected, and after each gap, where it may have been. If there are
/// too many, the latest.
fn stretches(
    database: &Connection,
    log: i64,
    log_first: u64,
) -> Result<Vec<std::ops::Range<u64>>, StoreFault> {
    let numbers = |statement: &str| -> Result<Vec<u64>, StoreFault> {
        let mut select = database.prepare_cached(statement)?;
        let most = signed(CORRECTIONS_MAX as u64);
        let rows = select.query_map(params![log, signed(log_first), most], |row| number(row, 0))?;
        let mut numbers = rows.collect::<Result<Vec<_>, _>>()?;
        numbers.sort_unstable();
        Ok(numbers)
    };
    let marks = numbers(
        "SELECT seq FROM message INDEXED BY message_marked
         WHERE log = ? AND seq >= ? AND clock_was IS NOT NULL ORDER BY seq DESC LIMIT ?",
    )?;
    let mut select = database.prepare_cached(
        "SELECT max(first, ?2), last FROM range WHERE log = ?1 AND last >= ?2
         ORDER BY first DESC LIMIT ?3",
    )?;
    let most = signed(CORRECTIONS_MAX as u64);
    let ranges = select.query_map(params![log, signed(log_first), most], |row| {
        Ok(number(row, 0)?..number(row, 1)? + 1)
    })?;
    let mut found = Vec::new();
    for range in ranges {
        let range = range?;
        let inside = |mark: &u64| range.contains(mark);
        let marks: Vec<u64> = marks.iter().copied().filter(inside).collect();
        found.extend(times::stretches(range, &marks).rev());
    }
    found.reverse();
    Ok(found)
}

/// Searches messages up to a number, newest first.
pub(super) fn search(
    database: &Connection,
    name: &RoomName,
    epoch: Option<Epoch>,
    query: &Query,
    to: Option<u64>,
) -> Result<SearchPage, StoreFault> {
    let Some(room) = room_of(database, name, epoch)? else {
        return Ok(SearchPage {
            first: 1,
            from: 1,
            to: 0,
            entries: Vec::new(),
            indexed: None,
            offline: true,
        });
    };
    let to = to.unwrap_or(u64::MAX >> 1).min(room.extent.head);
    let mut select = database.prepare_cached(
        "SELECT seq, id, user, nickname, time, body, clock_was, proven FROM message
         WHERE log = ? AND seq BETWEEN ? AND ? ORDER BY seq DESC",
    )?;
    let mut rows = select.query(params![room.log, signed(room.extent.first), signed(to)])?;
    let mut messages = Vec::new();
    let mut from = to + 1;
    let mut looked_at = 0;
    while looked_at < SEARCH_MESSAGES_MAX && messages.len() < HISTORY_PAGE_MAX {
        let Some(row) = rows.next()? else {
            from = room.extent.first;
            break;
        };
        let message = message(name, row)?;
        looked_at += 1;
        from = message.seq;
        if query.matches(&message.author.nickname, message.time, message.words()) {
            messages.push(message);
        }
    }
    Ok(SearchPage {
        first: room.extent.first,
        from: from.min(to + 1),
        to,
        entries: messages,
        indexed: None,
        offline: true,
    })
}
