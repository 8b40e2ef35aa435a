//! Searches messages, newest first, within bounds.
//!
//! An entry found in a block or its overlay is read from the log and counts only if it matches as
//! it stands there.

use std::{
    collections::VecDeque,
    ops::{ControlFlow, Range, RangeInclusive},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{
    IndexedLog, Shared,
    blocks::{self, Held},
    expression::{Expression, expression, for_overlay},
    failure::{Failure, Trouble},
    limits::BLOCK_ENTRIES,
    message,
    schema::{self, Kept},
};
use crate::{
    protocol::{
        Extent, RoomId,
        limits::{HISTORY_BYTES_MAX, HISTORY_PAGE_MAX},
    },
    search::{
        Query,
        times::{first_not, stretches},
    },
    server::{
        log::{Found, StoreError, segment::Segment},
        store::deadline::Deadline,
    },
    text::Body,
};

/// Bytes of frames read at a time when entries are scanned.
const CHUNK_BYTES: usize = 128 * 1024;
/// Numbers scanned at a time.
const CHUNK: u64 = 512;
/// Bytes of frames that a chunk holds at most: with long messages it has fewer of them.
const CHUNK_HELD_BYTES: usize = 2 * 1024 * 1024;
/// Spans of at most so many entries are read from the log: asking their block takes as long.
const SINGLY_MAX: u64 = 8;
/// While nothing was looked up yet, FTS5 is interrupted only after this multiple of the search's
/// time: after an interruption entries have to be scanned instead, which comes less far.
const FIRST_TIMES: u32 = 8;

/// The bounds of one search. It stops at the first that is reached, and says how far it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Messages found.
    pub found_max: usize,
    /// The time that it takes, except for the last step.
    pub time_max: Duration,
    /// Unindexed entries at the log's end that are scanned.
    pub tail_max: u64,
    /// Entries scanned in total where no index helps.
    pub scanned_max: u64,
    /// Numbers that a query to FTS5 covers.
    pub window: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            found_max: 50.min(HISTORY_PAGE_MAX),
            time_max: Duration::from_millis(30),
            tail_max: 2_000,
            scanned_max: 20_000,
            window: BLOCK_ENTRIES,
        }
    }
}

/// Searches the index, with its own connection to the file. Can be used on any thread.
#[derive(Debug)]
pub struct IndexReader {
    path: PathBuf,
    shared: Arc<Shared>,
    /// The connection, and the generation of the file that it has open.
    connection: Option<(u64, Connection)>,
    deadline: Deadline,
    bounds: Bounds,
}

impl IndexReader {
    pub(super) fn new(path: &Path, shared: Arc<Shared>) -> Self {
        Self {
            path: path.to_owned(),
            shared,
            connection: None,
            deadline: Deadline::new(),
            bounds: Bounds::default(),
        }
    }

    /// Sets other bounds than the default.
    #[must_use]
    pub fn with_bounds(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// Searches messages of a room with numbers up to `to`, newest first. See [`Found`]; to search
    /// further, call again with `to` one less than its `from`.
    ///
    /// Of entries that are not indexed yet, the newest are scanned. If there are more between those
    /// and the index, they are skipped ([`Found::indexed`] tells), unless the index has none of the
    /// requested numbers.
    pub fn search(
        &mut self,
        log: &mut dyn IndexedLog,
        room: RoomId,
        query: &Query,
        to: u64,
    ) -> Result<Found, StoreError> {
        let extent = log.extent(room)?;
        let to = to.min(extent.head);
        let mut search = Search::new(log, room, query, self.bounds, self.deadline.clone());
        self.deadline.set(self.bounds.time_max * FIRST_TIMES);
        let (low, high) = search.reach(extent, to)?;
        let (ended, kept) = {
            let opened = self.open(room);
            let index = opened.as_ref().map(|(view, kept)| (view.0, *kept));
            (search.run(index, low, high)?, index.map(|(_, kept)| kept))
        };
        let from = match ended {
            // No older message matches.
            Ended::Through => extent.first,
            Ended::At(reached) => reached,
        };
        let found = Found {
            extent,
            from: from.min(to + 1),
            to,
            indexed: search.indexed(extent, kept),
            frames: search.frames,
        };
        if search.damaged {
            self.connection = None;
            self.shared.change(|state| {
                state.damaged = true;
                state.poked = true;
            });
        }
        Ok(found)
    }

    /// A snapshot of the file, and the indexed part of the room. `None` if there is none (yet).
    fn open(&mut self, room: RoomId) -> Option<(View<'_>, Kept)> {
        let (generation, id) = {
            let state = self.shared.lock();
            (
                state.generation,
                state.rooms.get(&room).map_or(0, |room| room.id),
            )
        };
        if id == 0 {
            return None;
        }
        if self
            .connection
            .as_ref()
            .is_none_or(|(of, _)| *of != generation)
        {
            let connection = schema::open_reader(&self.path).ok()?;
            self.deadline.bind(&connection).ok()?;
            self.connection = Some((generation, connection));
        }
        let (_, connection) = self.connection.as_ref()?;
        let view = View::new(connection).ok()?;
        let kept = schema::read_room(connection, id).ok()??;
        Some((view, kept))
    }
}

/// A read transaction, ended when dropped.
struct View<'a>(&'a Connection);

impl<'a> View<'a> {
    fn new(connection: &'a Connection) -> rusqlite::Result<Self> {
        connection.execute_batch("BEGIN")?;
        Ok(Self(connection))
    }
}

impl Drop for View<'_> {
    fn drop(&mut self) {
        // Nothing was written.
        let _ = self.0.execute_batch("ROLLBACK");
    }
}

/// The state of one search.
struct Search<'a> {
    log: &'a mut dyn IndexedLog,
    room: RoomId,
    query: &'a Query,
    bounds: Bounds,
    /// When FTS5 is interrupted.
    deadline: Deadline,
    started: Instant,
    frames: Vec<Bytes>,
    bytes: usize,
    /// Whether the page is full.
    full: bool,
    /// Whether entries between the index and the log's end were skipped.
    left_out: bool,
    damaged: bool,
}

/// How a part of a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// All numbers of the part were searched.
    Through,
    /// A bound was reached; all numbers from this on were searched.
    At(u64),
}

impl<'a> Search<'a> {
    fn new(
        log: &'a mut dyn IndexedLog,
        room: RoomId,
        query: &'a Query,
        bounds: Bounds,
        deadline: Deadline,
    ) -> Self {
        Self {
            log,
            room,
            query,
            bounds,
            deadline,
            started: Instant::now(),
            frames: Vec::new(),
            bytes: 0,
            full: false,
            left_out: false,
            damaged: false,
        }
    }

    fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// The time that is left.
    fn left(&self) -> Duration {
        self.bounds.time_max.saturating_sub(self.started.elapsed())
    }

    /// How far the index reaches, for the client. Newer entries don't count if a search from the
    /// end scans them all.
    fn indexed(&self, extent: Extent, kept: Option<Kept>) -> u64 {
        let indexed = kept.map_or(0, |kept| kept.indexed);
        if !self.left_out && extent.head <= indexed + self.bounds.tail_max {
            extent.head
        } else {
            indexed
        }
    }

    /// The range that holds all numbers of the requested times. After clock corrections it may hold
    /// others too.
    fn reach(&mut self, extent: Extent, to: u64) -> Result<(u64, u64), StoreError> {
        let Query { after, before, .. } = *self.query;
        if after.is_none() && before.is_none() {
            return Ok((extent.first, to));
        }
        let marked = self.log.marked(self.room, extent)?;
        let stretches = || stretches(extent.numbers(), &marked);
        // Below the known stretches nothing is known.
        let known = stretches().next().map_or(extent.first, |known| known.start);
        let low = match after {
            Some(after) if known == extent.first => self.lowest_since(stretches(), after)?,
            _ => Some(extent.first),
        };
        let high = match before {
            Some(before) => self
                .highest_before(stretches().rev(), before)?
                .unwrap_or(known.saturating_sub(1)),
            None => to,
        };
        Ok((low.unwrap_or(extent.next()), high.min(to)))
    }

    fn lowest_since(
        &mut self,
        stretches: impl Iterator<Item = Range<u64>>,
        time: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        for stretch in stretches {
            let seq = self.first_since(stretch.clone(), time)?;
            if seq < stretch.end {
                return Ok(Some(seq));
            }
        }
        Ok(None)
    }

    fn highest_before(
        &mut self,
        stretches: impl Iterator<Item = Range<u64>>,
        time: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        for stretch in stretches {
            let seq = self.first_since(stretch.clone(), time)?;
            if seq > stretch.start {
                return Ok(Some(seq - 1));
            }
        }
        Ok(None)
    }

    /// The first number of a stretch whose time is not before this one.
    fn first_since(&mut self, stretch: Range<u64>, time: Timestamp) -> Result<u64, StoreError> {
        first_not(stretch, |seq| {
            Ok(self.time_from(seq)?.is_some_and(|found| found < time))
        })
    }

    /// The time of an entry or, if it is no message, of the next one.
    fn time_from(&mut self, mut seq: u64) -> Result<Option<Timestamp>, StoreError> {
        loop {
            let segment = self.log.read(self.room, seq, 0)?;
            let Some(frame) = segment.frame(segment.first()) else {
                return Ok(None);
            };
            if let Some(message) = message(frame) {
                return Ok(Some(message.time));
            }
            seq = segment.next();
        }
    }

    /// Scans the log's end, and then uses the index.
    fn run(
        &mut self,
        index: Option<(&Connection, Kept)>,
        low: u64,
        high: u64,
    ) -> Result<Ended, StoreError> {
        let Some((connection, kept)) = index else {
            return self.scan(low, high, self.bounds.scanned_max);
        };
        let (bottom, top) = (low.max(kept.first), high.min(kept.indexed));
        let helps = bottom <= top;
        if high > kept.indexed {
            let ended = self.scan(low.max(kept.indexed + 1), high, self.bounds.tail_max)?;
            if self.full || ended != Ended::Through && !helps {
                return Ok(ended);
            }
            self.left_out = ended != Ended::Through;
        }
        if !helps {
            return Ok(Ended::Through);
        }
        match self.look_up(connection, kept.id, bottom, top) {
            Ok(ended) => Ok(ended),
            Err(Failure::Log(error)) => Err(error),
            Err(Failure::Index(trouble)) => {
                self.damaged = matches!(trouble, Trouble::Useless(_));
                // Earlier results could be found again, and the page be out of order.
                self.frames.clear();
                self.bytes = 0;
                self.full = false;
                self.scan(low, high, self.bounds.scanned_max)
            }
        }
    }

    /// Scans entries in chunks: at least one chunk.
    fn scan(&mut self, low: u64, high: u64, max: u64) -> Result<Ended, StoreError> {
        let (mut top, mut chunk) = (high, CHUNK);
        while top >= low.max(1) {
            let wanted = low.max((top + 1).saturating_sub(chunk)).max(1);
            let (bottom, segments) = self.chunk(wanted, top)?;
            for segment in segments.iter().rev() {
                for seq in (segment.first()..segment.next().min(top + 1)).rev() {
                    let frame = segment.frame(seq).unwrap_or_default();
                    if let ControlFlow::Break(reached) = self.judge(seq, frame) {
                        return Ok(Ended::At(reached));
                    }
                }
            }
            chunk = if bottom > wanted {
                top + 1 - bottom
            } else {
                CHUNK.min(chunk * 2)
            };
            top = bottom - 1;
            if top >= low && (high - top >= max || self.is_over()) {
                return Ok(Ended::At(bottom));
            }
        }
        Ok(Ended::Through)
    }

    /// The entries of a range, or, if these hold too many bytes, the last of them; with the number
    /// of the first.
    fn chunk(&mut self, bottom: u64, top: u64) -> Result<(u64, VecDeque<Segment>), StoreError> {
        let (mut bottom, mut next) = (bottom, bottom);
        let mut segments: VecDeque<Segment> = VecDeque::new();
        let mut held = 0;
        while next <= top {
            let segment = self.log.read(self.room, next, CHUNK_BYTES)?;
            if segment.is_empty() {
                break;
            }
            next = segment.next();
            held += segment.bytes().len();
            segments.push_back(segment);
            while held > CHUNK_HELD_BYTES
                && segments.len() > 1
                && let Some(oldest) = segments.pop_front()
            {
                held -= oldest.bytes().len();
                bottom = oldest.next();
            }
        }
        Ok((bottom, segments))
    }

    /// Adds an entry if it matches; breaks with the number reached once the page is full.
    fn judge(&mut self, seq: u64, frame: &[u8]) -> ControlFlow<u64> {
        let matches = message(frame).is_some_and(|message| {
            let text = message.text().map_or("", Body::as_str);
            self.query
                .matches(&message.author.nickname, message.time, text)
        });
        if !matches {
            return ControlFlow::Continue(());
        }
        if !self.frames.is_empty() && self.bytes + frame.len() + 1 > HISTORY_BYTES_MAX {
            self.full = true;
            return ControlFlow::Break(seq + 1);
        }
        self.bytes += frame.len() + 1;
        self.frames.push(Bytes::copy_from_slice(frame));
        self.full = self.frames.len() >= self.bounds.found_max;
        if self.full {
            return ControlFlow::Break(seq);
        }
        ControlFlow::Continue(())
    }

    /// Searches the blocks that hold the room's entries, newest entries first, one window after the
    /// other: at least one.
    fn look_up(
        &mut self,
        connection: &Connection,
        room: i64,
        low: u64,
        high: u64,
    ) -> Result<Ended, Failure> {
        // All numbers from this one on are searched.
        let mut reached = high + 1;
        loop {
            match self.look_into_next(connection, room, low, &mut reached) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(ended)) => return Ok(ended),
                // FTS5 was interrupted; its results so far count.
                Err(failure) if failure.is_interruption() && reached <= high => {
                    return Ok(Ended::At(reached));
                }
                Err(failure) => return Err(failure),
            }
            if self.is_over() {
                return Ok(Ended::At(reached));
            }
            self.deadline.set(self.left());
        }
    }

    /// Searches the next window below `reached`, which it lowers. A window lies in one block.
    fn look_into_next(
        &mut self,
        connection: &Connection,
        room: i64,
        low: u64,
        reached: &mut u64,
    ) -> Result<ControlFlow<Ended>, Failure> {
        let held = blocks::last_from(connection, room, *reached - 1)?;
        let Some(held) = held.filter(|held| held.last >= low) else {
            return Ok(ControlFlow::Break(Ended::Through));
        };
        let top = held.last.min(*reached - 1);
        let bottom = (top + 1).saturating_sub(self.bounds.window.max(1));
        let bottom = bottom.max(held.first).max(low);
        let searched = if held.last - held.first < SINGLY_MAX {
            self.read_singly(bottom, top, reached)?
        } else {
            let text = match expression(connection, held.block, self.query)? {
                Expression::Match(text) => Some(text),
                Expression::Nothing => None,
                Expression::All => {
                    let scanned = self.scan(low, top, self.bounds.scanned_max)?;
                    return Ok(ControlFlow::Break(scanned));
                }
            };
            let rows = schema::row(room, bottom)..=schema::row(room, top);
            self.look_into(connection, held, text.as_deref(), &rows, reached)?
        };
        if searched.is_break() {
            return Ok(ControlFlow::Break(Ended::At(*reached)));
        }
        *reached = bottom;
        Ok(if bottom <= low {
            ControlFlow::Break(Ended::Through)
        } else {
            ControlFlow::Continue(())
        })
    }

    /// Queries one window of a block and its overlay. Breaks where the search ends; `reached` is the
    /// number from which on all were searched.
    fn look_into(
        &mut self,
        connection: &Connection,
        held: Held,
        text: Option<&str>,
        rows: &RangeInclusive<i64>,
        reached: &mut u64,
    ) -> Result<ControlFlow<()>, Failure> {
        let id = held.block;
        let select = |table: &str, text| {
            format!(
                "SELECT rowid FROM {table}_{id}
                 WHERE {table}_{id} MATCH {text} AND rowid BETWEEN ?3 AND ?4"
            )
        };
        let parts: Vec<String> = [
            text.is_some().then(|| select("block", "?1")),
            held.stale.then(|| select("overlay", "?2")),
        ]
        .into_iter()
        .flatten()
        .collect();
        if parts.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        let mut found =
            connection.prepare_cached(&format!("{} ORDER BY rowid DESC", parts.join(" UNION ")))?;
        let overlay = held.stale.then(|| for_overlay(self.query));
        let mut found = found.query(params![text, overlay, rows.start(), rows.end()])?;
        while let Some(row) = found.next()? {
            let seq = schema::seq(row.get(0)?);
            if self.read_singly(seq, seq, reached)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Reads entries of the log one by one, backwards. Breaks where the search ends; `reached` is
    /// the number from which on all were searched.
    fn read_singly(
        &mut self,
        bottom: u64,
        top: u64,
        reached: &mut u64,
    ) -> Result<ControlFlow<()>, StoreError> {
        for seq in (bottom..=top).rev() {
            let segment = self.log.read(self.room, seq, 0)?;
            if let Some(frame) = segment.frame(seq)
                && let ControlFlow::Break(last) = self.judge(seq, frame)
            {
                *reached = last;
                return Ok(ControlFlow::Break(()));
            }
            *reached = seq;
            if self.is_over() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}
