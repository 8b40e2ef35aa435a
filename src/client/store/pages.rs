//! Reads pages of stored entries, and searches them.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    StoreFault,
    cache::{RoomRow, room_of},
    device::{number, signed},
    rows,
};
use crate::{
    client::{
        event::{Page, SearchPage},
        session::persist_types::nanoseconds,
    },
    protocol::{Epoch, RoomId, frame::Part, limits::HISTORY_PAGE_MAX},
    search::{
        Query,
        times::{self, CORRECTIONS_MAX},
    },
};

/// Messages that one search reads.
pub const SEARCH_MESSAGES_MAX: u64 = 20_000;
/// Entries that one page reads: it may have to pass over many that are not shown.
pub(super) const PAGE_ROWS_MAX: usize = 20_000;

/// The end of a piece that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Low,
    High,
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

/// The shown entries between two numbers, which a range covers: at most `most`, from the end that
/// counts.
fn piece(
    database: &Connection,
    name: RoomId,
    room: &RoomRow,
    (mut from, mut to): (u64, u64),
    end: End,
    most: usize,
) -> Result<Page, StoreFault> {
    let order = match end {
        End::Low => "ASC",
        End::High => "DESC",
    };
    let mut select = database.prepare_cached(&format!(
        "SELECT {} FROM message WHERE log = ? AND seq BETWEEN ? AND ? ORDER BY seq {order}",
        rows::COLUMNS
    ))?;
    let mut rows = select.query(params![room.log, signed(from), signed(to)])?;
    let mut entries = Vec::new();
    let mut read = 0;
    while let Some(row) = rows.next()? {
        if entries.len() == most || read == PAGE_ROWS_MAX {
            // What was not read begins behind this one.
            let next = number(row, 0)?;
            match end {
                End::Low => to = next - 1,
                End::High => from = next + 1,
            }
            break;
        }
        read += 1;
        let entry = rows::read(name, row)?;
        if entry.is_shown() {
            entries.push(entry);
        }
    }
    if end == End::High {
        entries.reverse();
    }
    Ok(Page {
        extent: room.extent.raised_to(to),
        from,
        to,
        entries,
        offline: true,
    })
}

/// The latest stored piece of a room's log, of at most so many entries, if it shows any.
pub(super) fn latest(
    database: &Connection,
    name: RoomId,
    room: &RoomRow,
    most: usize,
) -> Result<Option<Page>, StoreFault> {
    let Some((first, last)) = range_up_to(database, room.log, u64::MAX >> 1)? else {
        return Ok(None);
    };
    let first = first.max(room.extent.first);
    if first > last {
        return Ok(None);
    }
    let page = piece(database, name, room, (first, last), End::High, most)?;
    Ok(Some(page).filter(|page| !page.entries.is_empty()))
}

/// A part of a room's log, as far as one range covers it from the end that counts; with `offline`,
/// the nearest stored piece.
pub(super) fn page(
    database: &Connection,
    name: RoomId,
    epoch: Option<Epoch>,
    part: Part,
    offline: bool,
) -> Result<Option<Page>, StoreFault> {
    let Some(room) = room_of(database, name, epoch)? else {
        return Ok(None);
    };
    let held = room.extent;
    let (found, end) = match part {
        Part::Backward { from, to } => {
            let to = if offline { to } else { to.min(held.head) };
            let range = range_up_to(database, room.log, to)?
                .filter(|(_, last)| offline || *last >= to)
                .map(|(first, last)| (first.max(from).max(held.first), last.min(to)));
            (range, End::High)
        }
        Part::Forward { from, to } => {
            let range = range_from(database, room.log, from.max(held.first), offline)?
                .map(|(first, last)| (first, last.min(to)));
            (range, End::Low)
        }
        Part::Since(time) => (since(database, room.log, held.first, time)?, End::Low),
    };
    match found.filter(|(from, to)| from <= to) {
        Some(range) => piece(database, name, &room, range, end, HISTORY_PAGE_MAX).map(Some),
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
    // An entry that a page left out counts as the next one.
    let mut at = database.prepare_cached(
        "SELECT time FROM message WHERE log = ? AND seq >= ? ORDER BY seq LIMIT 1",
    )?;
    let found = times::since(stretches(database, log, log_first)?, time, |seq| {
        let at: i64 = at.query_row(params![log, signed(seq)], |row| row.get(0))?;
        Timestamp::from_nanosecond(at.into()).map_err(|_| StoreFault::Damaged)
    })?;
    match found {
        Some(seq) => range_from(database, log, seq, false),
        None => Ok(None),
    }
}

/// The stored numbers of a log in stretches within which times never go back, in order; each ends
/// with a stored entry. A new one begins where the clock was corrected, and after each gap, where it
/// may have been. If there are too many, the latest.
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
    let mut last = database.prepare_cached(
        "SELECT seq FROM message WHERE log = ? AND seq BETWEEN ? AND ? ORDER BY seq DESC LIMIT 1",
    )?;
    let mut found = Vec::new();
    for range in ranges {
        let range = range?;
        let inside = |mark: &u64| range.contains(mark);
        let marks: Vec<u64> = marks.iter().copied().filter(inside).collect();
        for stretch in times::stretches(range, &marks).rev() {
            let key = params![log, signed(stretch.start), signed(stretch.end - 1)];
            let last = last.query_row(key, |row| number(row, 0)).optional()?;
            found.extend(last.map(|last| stretch.start..last + 1));
        }
    }
    found.reverse();
    Ok(found)
}

/// Searches messages up to a number, newest first.
pub(super) fn search(
    database: &Connection,
    name: RoomId,
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
    let mut select = database.prepare_cached(&format!(
        "SELECT {} FROM message
         WHERE log = ? AND seq BETWEEN ? AND ? AND kind IS NULL ORDER BY seq DESC",
        rows::COLUMNS
    ))?;
    let mut rows = select.query(params![room.log, signed(room.extent.first), signed(to)])?;
    let mut messages = Vec::new();
    let mut from = to + 1;
    let mut looked_at = 0;
    while looked_at < SEARCH_MESSAGES_MAX && messages.len() < HISTORY_PAGE_MAX {
        let Some(row) = rows.next()? else {
            from = room.extent.first;
            break;
        };
        let message = rows::read(name, row)?;
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
