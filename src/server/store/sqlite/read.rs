//! Reads the log, on the store's own connection and on those of its readers.

use std::{
    collections::{BTreeMap, HashMap},
    ops::RangeInclusive,
    path::Path,
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Connection, Error, Result, Row, Rows, config::DbConfig};

use super::{
    damage::{Damages, InRow, damage, damaged},
    mentions, rooms,
    schema::{SEQ_MAX, connect_to_read, entry_key, entry_of, number, number_at, time_at},
};
use crate::{
    protocol::{Entry, Extent, RoomId, UserId, frame::Part},
    search::{
        Query,
        times::{self, CORRECTIONS_MAX, stretches},
    },
    server::{
        log::{
            Changed, ChangedSince, Found, Inbox, LogReader, Page, Readable, SearchIndex,
            StoreError, Unread,
            segment::{Segment, SegmentBuilder},
            semantics::{CHANGES_MAX, ChangedScan, PageScan, Scan, decode_entry, span},
        },
        store::{
            deadline::Deadline,
            index::{IndexReader, IndexedLog},
        },
    },
};

/// The longest time of a read, for which it may delay the write-ahead log's restart.
const READ_MAX: Duration = Duration::from_secs(1);
/// Stands for the row number of a room that has no row: the first one is 1. It reads as an empty log.
pub(super) const NO_ROW: i64 = 0;

/// Reads the log beside the store, on a connection of its own. Every read is one short transaction.
pub(super) struct SqliteLog {
    connection: Connection,
    /// The row numbers of the rooms that were found so far.
    rooms: HashMap<RoomId, i64>,
    deadline: Deadline,
    damages: Damages,
}

impl SqliteLog {
    pub(super) fn open(path: &Path, rooms: HashMap<RoomId, i64>, damages: Damages) -> Result<Self> {
        let connection = connect_to_read(path)?;
        // The store checkpoints when it closes.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        let deadline = Deadline::new();
        deadline.bind(&connection)?;
        Ok(Self {
            connection,
            rooms,
            deadline,
            damages,
        })
    }

    /// Runs one read in one transaction.
    fn within<T>(
        &mut self,
        room: RoomId,
        read: impl FnOnce(&Connection, i64) -> Result<T>,
    ) -> Result<T, StoreError> {
        self.deadline.set(READ_MAX);
        let connection = &self.connection;
        within(connection, &self.damages, || {
            let no = row(connection, &mut self.rooms, room)?;
            read(connection, no)
        })
    }

    fn inbox(
        &mut self,
        user: UserId,
        readable: &[Readable],
        before: Option<u64>,
    ) -> Result<Inbox, StoreError> {
        self.deadline.set(READ_MAX);
        let (connection, damages) = (&self.connection, &self.damages);
        within(connection, damages, || {
            let row = |part: &Readable| row(connection, &mut self.rooms, part.room);
            let rows = readable.iter().map(row).collect::<Result<Vec<_>>>()?;
            let rooms = rows.into_iter().zip(readable).collect();
            mentions::inbox(connection, damages, user, &rooms, before)
        })
    }
}

/// The row number of a room, among those that were found before or in the database.
fn row(connection: &Connection, found: &mut HashMap<RoomId, i64>, room: RoomId) -> Result<i64> {
    if let Some(no) = found.get(&room) {
        return Ok(*no);
    }
    let no = rooms::row(connection, room)?;
    if no != NO_ROW {
        found.insert(room, no);
    }
    Ok(no)
}

impl IndexedLog for SqliteLog {
    fn extents(&mut self) -> Result<BTreeMap<RoomId, Extent>, StoreError> {
        self.deadline.set(READ_MAX);
        within(&self.connection, &self.damages, || {
            extents(&self.connection)
        })
    }

    fn extent(&mut self, room: RoomId) -> Result<Extent, StoreError> {
        self.within(room, extent)
    }

    fn marked(&mut self, room: RoomId, extent: Extent) -> Result<Vec<u64>, StoreError> {
        self.within(room, |connection, no| marked(connection, no, extent, true))
    }

    fn read(&mut self, room: RoomId, from: u64, bytes_max: usize) -> Result<Segment, StoreError> {
        self.within(room, |connection, no| {
            segment(connection, no, from, bytes_max)
        })
    }

    fn changed(
        &mut self,
        room: RoomId,
        revs: RangeInclusive<u64>,
        max: usize,
    ) -> Result<Vec<(u64, u64)>, StoreError> {
        self.within(room, |connection, no| {
            changed_between(connection, no, &revs, false, max)
        })
    }
}

/// The reader that [`Store::reader`](crate::server::log::Store::reader) returns.
pub(super) struct SqliteReader {
    pub(super) log: SqliteLog,
    /// Without it, a search reads the latest part of the log.
    pub(super) index: Option<IndexReader>,
}

impl LogReader for SqliteReader {
    fn read(&mut self, room: RoomId, from: u64, bytes_max: usize) -> Result<Segment, StoreError> {
        IndexedLog::read(&mut self.log, room, from, bytes_max)
    }

    fn page(&mut self, room: RoomId, part: Part) -> Result<Page, StoreError> {
        self.log
            .within(room, |connection, no| page(connection, no, part))
    }

    fn changed(&mut self, room: RoomId, wanted: ChangedSince) -> Result<Changed, StoreError> {
        self.log
            .within(room, |connection, no| changed(connection, no, wanted))
    }

    fn inbox(
        &mut self,
        user: UserId,
        readable: &[Readable],
        before: Option<u64>,
    ) -> Result<Inbox, StoreError> {
        self.log.inbox(user, readable, before)
    }

    fn unread(
        &mut self,
        user: UserId,
        ignored: &[UserId],
        room: RoomId,
        above: u64,
    ) -> Result<Unread, StoreError> {
        let damages = self.log.damages.clone();
        self.log.within(room, |connection, no| {
            mentions::unread(connection, &damages, (user, ignored), (no, above))
        })
    }
}

impl SearchIndex for SqliteReader {
    fn search(&mut self, room: RoomId, query: &Query, to: u64) -> Result<Found, StoreError> {
        match &mut self.index {
            Some(index) => index.search(&mut self.log, room, query, to),
            None => self
                .log
                .within(room, |connection, no| search(connection, no, query, to)),
        }
    }
}

/// Reads in a transaction. Except for damage, an error may pass.
pub(super) fn within<T>(
    connection: &Connection,
    damages: &Damages,
    read: impl FnOnce() -> Result<T>,
) -> Result<T, StoreError> {
    let all = || {
        let transaction = connection.unchecked_transaction()?;
        let read = read()?;
        // It has changed nothing.
        transaction.rollback()?;
        Ok(read)
    };
    all().map_err(|error: Error| {
        if damages.tell_unread(&error) {
            StoreError::Damaged
        } else {
            StoreError::Refused
        }
    })
}

/// A room, as its row has it.
pub(super) struct Served {
    pub(super) no: i64,
    pub(super) extent: Extent,
    /// `None` if it has no row.
    id: Option<RoomId>,
}

impl Served {
    pub(super) fn find(connection: &Connection, no: i64) -> Result<Self> {
        if no == NO_ROW {
            let extent = Extent::EMPTY;
            return Ok(Self {
                no,
                extent,
                id: None,
            });
        }
        connection
            .prepare_cached("SELECT first, head, name FROM room WHERE no = ?1")?
            .query_row([no], |row| Self::at(row, no))
            .in_row("room", no)
    }

    /// The room in the columns of a row.
    fn at(row: &Row<'_>, no: i64) -> Result<Self> {
        let extent = extent_at(row, 0).in_row("room", no)?;
        if !is_possible(extent) {
            let what = format!("no room goes from {} to {}", extent.first, extent.head);
            return Err(damaged("room", no, what));
        }
        let id = Some(rooms::id_at(row, 2, no)?);
        Ok(Self { no, extent, id })
    }

    /// Decodes the frame of a row, which must be an entry of this room, with the row's number.
    fn sound(&self, key: i64, frame: &[u8]) -> Result<Entry> {
        let seq = entry_of(key).1;
        decode_entry(frame)
            .filter(|entry| entry.seq == seq && Some(entry.room) == self.id)
            .ok_or_else(|| damaged("entry", key, format!("its frame is not entry {seq}")))
    }
}

/// The range of numbers that each room holds.
fn extents(connection: &Connection) -> Result<BTreeMap<RoomId, Extent>> {
    let mut rows = connection.prepare_cached("SELECT first, head, name, no FROM room")?;
    let mut rows = rows.query([])?;
    let mut extents = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let room = Served::at(row, row.get(3)?)?;
        extents.extend(room.id.map(|id| (id, room.extent)));
    }
    Ok(extents)
}

/// The range of numbers that a room holds.
pub(super) fn extent(connection: &Connection, room: i64) -> Result<Extent> {
    Ok(Served::find(connection, room)?.extent)
}

/// The extent in this column and the next.
pub(super) fn extent_at(row: &Row<'_>, column: usize) -> Result<Extent> {
    let first = number_at(row, column)?;
    Ok(Extent::new(first, number_at(row, column + 1)?))
}

/// Whether a room can hold these numbers.
pub(super) fn is_possible(extent: Extent) -> bool {
    extent.first > 0 && extent.head <= SEQ_MAX && extent.first <= extent.next()
}

/// See [`LogReader::read`].
pub(super) fn segment(
    connection: &Connection,
    room: i64,
    from: u64,
    bytes_max: usize,
) -> Result<Segment> {
    let room = Served::find(connection, room)?;
    let extent = room.extent;
    let from = from.clamp(extent.first, extent.next());
    let mut run = SegmentBuilder::new(from);
    each_sound(connection, &room, (from, extent.head), false, |_, frame| {
        let fits = run.is_empty() || run.len() + frame.len() <= bytes_max;
        if fits {
            run.push(|out| out.extend_from_slice(frame));
        }
        fits
    })?;
    Ok(run.finish())
}

/// See [`LogReader::page`].
pub(super) fn page(connection: &Connection, room: i64, part: Part) -> Result<Page> {
    let room = Served::find(connection, room)?;
    let extent = room.extent;
    let since = |time| since(connection, room.no, extent, time);
    let ((from, to), ends) = span(extent, part, since)?;
    let mut page = PageScan::new(extent, (from, to), ends);
    each_sound(connection, &room, (from, to), ends, |entry, frame| {
        page.take(entry.is_shown() || entry.clock_was.is_some(), frame)
    })?;
    Ok(page.finish())
}

/// See [`LogReader::changed`].
pub(super) fn changed(connection: &Connection, room: i64, wanted: ChangedSince) -> Result<Changed> {
    let room = Served::find(connection, room)?;
    let mut page = ChangedScan::new(room.extent, wanted);
    let revs = wanted.since.saturating_add(1)..=room.extent.head;
    // The last revision may have two entries, and one more row says whether another follows.
    let max = CHANGES_MAX + 2;
    for (rev, seq) in changed_between(connection, room.no, &revs, wanted.erased, max)? {
        if !page.take(rev, seq, || {
            Ok::<_, Error>(entry(connection, &room, seq)?.1)
        })? {
            break;
        }
    }
    Ok(page.finish())
}

/// The entries of a room that were changed, or only those that were erased, by entries with numbers
/// in `revs`: pairs of the changing and the changed entry's number, in this order, at most `max`.
pub(super) fn changed_between(
    connection: &Connection,
    room: i64,
    revs: &RangeInclusive<u64>,
    erased: bool,
    max: usize,
) -> Result<Vec<(u64, u64)>> {
    let pair = |row: &Row<'_>| Ok((entry_of(row.get(0)?).1, entry_of(row.get(1)?).1));
    let range = (entry_key(room, *revs.start()), entry_key(room, *revs.end()));
    connection
        .prepare_cached(if erased {
            "SELECT rev, entry FROM change INDEXED BY change_erased
             WHERE redacted IS NOT NULL AND rev BETWEEN ?1 AND ?2 ORDER BY rev, entry LIMIT ?3"
        } else {
            "SELECT rev, entry FROM change INDEXED BY change_rev
             WHERE rev BETWEEN ?1 AND ?2 ORDER BY rev, entry LIMIT ?3"
        })?
        .query_map((range.0, range.1, number(max as u64)), pair)?
        .collect()
}

/// Reads one entry and its frame, which must be sound.
pub(super) fn entry(connection: &Connection, room: &Served, seq: u64) -> Result<(Entry, Bytes)> {
    let key = entry_key(room.no, seq);
    let sound = |row: &Row<'_>| {
        let frame = row.get_ref(0)?.as_blob().unwrap_or_default();
        Ok((room.sound(key, frame)?, Bytes::copy_from_slice(frame)))
    };
    connection
        .prepare_cached("SELECT frame FROM entry WHERE id = ?1")?
        .query_row([key], sound)
        .in_row("entry", key)
}

/// See [`SearchIndex::search`]: reads the newest entries.
pub(super) fn search(connection: &Connection, room: i64, query: &Query, to: u64) -> Result<Found> {
    let mut scan = Scan::new(query, extent(connection, room)?, to);
    let (from, to) = (scan.until(), scan.to());
    each(connection, room, from, to, true, |seq, frame| {
        scan.look(seq, frame)
    })?;
    Ok(scan.finish())
}

/// The first number of a page since this time.
fn since(connection: &Connection, room: i64, extent: Extent, time: Timestamp) -> Result<u64> {
    let marked = marked(connection, room, extent, true)?;
    let stretches = stretches(extent.numbers(), &marked);
    let found = times::since(stretches, time, |seq| entry_time(connection, room, seq))?;
    Ok(found.unwrap_or(extent.next()))
}

/// An entry's time.
pub(super) fn entry_time(connection: &Connection, room: i64, seq: u64) -> Result<Timestamp> {
    let key = entry_key(room, seq);
    connection
        .prepare_cached("SELECT time FROM entry WHERE id = ?1")?
        .query_row([key], |row| time_at(row, 0))
        .in_row("entry", key)
}

/// The numbers of the entries that are marked with a clock correction, in order; at most
/// [`CORRECTIONS_MAX`], the latest or the first ones.
pub(super) fn marked(
    connection: &Connection,
    room: i64,
    extent: Extent,
    latest: bool,
) -> Result<Vec<u64>> {
    let mut statement = connection.prepare_cached(if latest {
        "SELECT id FROM entry INDEXED BY entry_marked
         WHERE clock_was IS NOT NULL AND id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT ?3"
    } else {
        "SELECT id FROM entry INDEXED BY entry_marked
         WHERE clock_was IS NOT NULL AND id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3"
    })?;
    let (from, to) = (entry_key(room, extent.first), entry_key(room, extent.head));
    let most = number(CORRECTIONS_MAX as u64);
    let rows = statement.query_map((from, to, most), |row| Ok(entry_of(row.get(0)?).1))?;
    let mut numbers = rows.collect::<Result<Vec<_>>>()?;
    numbers.sort_unstable();
    Ok(numbers)
}

/// Like [`each`], for entries that are sent to clients: each must be an entry of its room and
/// number, of whatever kind. Ends before the first one that is not; it is an error only if it is the
/// very first.
fn each_sound(
    connection: &Connection,
    room: &Served,
    (from, to): (u64, u64),
    backwards: bool,
    mut take: impl FnMut(&Entry, &[u8]) -> bool,
) -> Result<()> {
    let (mut taken, mut unsound) = (false, Ok(()));
    let handed_out = each(
        connection,
        room.no,
        from,
        to,
        backwards,
        |seq, frame| match room.sound(entry_key(room.no, seq), frame) {
            Ok(entry) => {
                taken = true;
                take(&entry, frame)
            }
            Err(error) => {
                unsound = Err(error);
                false
            }
        },
    );
    match handed_out.and(unsound) {
        Err(error) if taken && damage(&error).is_some() => Ok(()),
        done => done,
    }
}

/// Passes the entries `from..=to` to `take`, in order or backwards, until that returns false.
pub(super) fn each(
    connection: &Connection,
    room: i64,
    from: u64,
    to: u64,
    backwards: bool,
    take: impl FnMut(u64, &[u8]) -> bool,
) -> Result<()> {
    if from > to {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(if backwards {
        "SELECT id, frame FROM entry WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC"
    } else {
        "SELECT id, frame FROM entry WHERE id BETWEEN ?1 AND ?2 ORDER BY id"
    })?;
    let rows = statement.query((entry_key(room, from), entry_key(room, to)))?;
    let numbers: &mut dyn Iterator<Item = u64> = if backwards {
        &mut (from..=to).rev()
    } else {
        &mut (from..=to)
    };
    hand_out(room, rows, numbers, take)
}

/// Passes one row for each number: a log with a gap is damaged, and its messages must not be served
/// under other numbers.
fn hand_out(
    room: i64,
    mut rows: Rows<'_>,
    numbers: &mut dyn Iterator<Item = u64>,
    mut take: impl FnMut(u64, &[u8]) -> bool,
) -> Result<()> {
    for seq in numbers {
        let key = entry_key(room, seq);
        let row = rows.next()?.ok_or(Error::QueryReturnedNoRows);
        let row = row.in_row("entry", key)?;
        if row.get::<_, i64>(0)? != key {
            return Err(damaged("entry", key, "it is missing"));
        }
        let Ok(frame) = row.get_ref(1)?.as_blob() else {
            return Err(damaged("entry", key, "its frame is no bytes"));
        };
        if !take(seq, frame) {
            return Ok(());
        }
    }
    Ok(())
}
