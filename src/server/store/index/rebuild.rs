//! Rebuilds a block from the entries that the log holds at present, in a new block beside it.
//!
//! The last step is one transaction: it gives the new block the spans, and drops the old one. Until
//! then the old one is searched. An interrupted rebuild leaves an unfinished block, which is
//! dropped, and begins again.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{
    IndexedLog,
    blocks::{self, Block, Span, Stage},
    failure::Failure,
    limits::Limits,
    rooms::Rooms,
    schema,
    shared::read,
};

/// Bytes of an entry's frame, roughly, to read about as much of the log as is necessary.
const FRAME_BYTES: usize = 512;

/// A rebuild in progress.
#[derive(Debug)]
pub(super) struct Rebuild {
    /// The block to be rebuilt; with others that are so small that one can hold them all.
    sources: Vec<i64>,
    target: Block,
    /// The number up to which each room's entries were read.
    reached: HashMap<i64, u64>,
    /// Spans, or the rest of them, that are still to be read, in the order of their rows.
    left: VecDeque<Span>,
    /// What the target holds.
    held: Vec<Span>,
    /// Entries of the sources that have changed since it began: room and number.
    changed: BTreeSet<(i64, u64)>,
    worked: Duration,
}

/// The result of a step.
pub(super) enum Progress {
    Going(Rebuild),
    /// The sources are replaced, by nothing if no entry is left.
    Done(Replaced),
}

/// What a finished rebuild has replaced.
pub(super) struct Replaced {
    pub(super) block: Option<i64>,
    /// How long the rebuild has worked.
    pub(super) worked: Duration,
}

impl Rebuild {
    /// Begins to rebuild a block, in a transaction.
    pub(super) fn begin(
        connection: &Connection,
        block: i64,
        rooms: &Rooms,
        limits: Limits,
    ) -> rusqlite::Result<Self> {
        blocks::drop_unfinished(connection)?;
        let sources = sources(connection, block, rooms, limits)?;
        Ok(Self {
            sources,
            target: blocks::create(connection, Stage::Unfinished)?,
            reached: HashMap::new(),
            left: VecDeque::new(),
            held: Vec::new(),
            changed: BTreeSet::new(),
            worked: Duration::ZERO,
        })
    }

    /// Whether it replaces this block.
    pub(super) fn replaces(&self, block: i64) -> bool {
        self.sources.contains(&block)
    }

    /// Records that an entry of a block has changed, which may have been read before.
    pub(super) fn note_changed(&mut self, block: i64, room: i64, seq: u64) {
        if self.replaces(block) {
            self.changed.insert((room, seq));
        }
    }

    /// Does the next step, in a transaction. If that is rolled back, the rebuild is lost.
    pub(super) fn step(
        mut self,
        connection: &Connection,
        log: &mut dyn IndexedLog,
        rooms: &Rooms,
        limits: Limits,
    ) -> Result<Progress, Failure> {
        let began = Instant::now();
        let mut bytes_left = limits.rebuild_bytes_max;
        while bytes_left > 0 {
            if self.left.is_empty() {
                // New entries of the block that is being filled too.
                self.left = self.unread(connection)?;
            }
            let Some(span) = self.left.pop_front() else {
                let block = self.finish(connection, log, rooms, limits)?;
                let worked = self.worked + began.elapsed();
                return Ok(Progress::Done(Replaced { block, worked }));
            };
            let rest = self.copy(connection, log, rooms, span, &mut bytes_left)?;
            if let Some(rest) = rest {
                self.left.push_front(rest);
            }
        }
        self.worked += began.elapsed();
        Ok(Progress::Going(self))
    }

    /// The parts of the sources' spans that were not read.
    fn unread(&self, connection: &Connection) -> rusqlite::Result<VecDeque<Span>> {
        let mut spans = Vec::new();
        for &source in &self.sources {
            spans.extend(blocks::spans(connection, source)?);
        }
        spans.sort_by_key(|span| (span.room, span.first));
        let unread = spans.into_iter().filter_map(|span| {
            let reached = self.reached.get(&span.room);
            let first = reached.map_or(span.first, |reached| span.first.max(reached + 1));
            (first <= span.last).then_some(Span { first, ..span })
        });
        Ok(unread.collect())
    }

    /// Reads some entries of a span and adds those to the target that are to be kept. Returns the
    /// rest.
    fn copy(
        &mut self,
        connection: &Connection,
        log: &mut dyn IndexedLog,
        rooms: &Rooms,
        span: Span,
        bytes_left: &mut usize,
    ) -> Result<Option<Span>, Failure> {
        let room = span.room;
        // What is below is erased.
        let Some((index, keep_from)) = rooms.of_row(room).filter(|(_, from)| *from <= span.last)
        else {
            self.reached.insert(room, span.last);
            return Ok(None);
        };
        let from = span.first.max(keep_from);
        let entries = usize::try_from(span.count()).unwrap_or(usize::MAX);
        let bytes_max = (*bytes_left).min(entries.saturating_mul(FRAME_BYTES));
        let (first, next, bytes) = match read(log, index, from, bytes_max)? {
            Some(segment) => {
                let next = segment.next().min(span.last + 1);
                let read = segment.first()..next;
                let entries = read.map(|seq| (schema::row(room, seq), segment.frame(seq)));
                blocks::add(connection, self.target.id, entries)?;
                (segment.first(), next, segment.bytes().len())
            }
            None => (from, from + 1, 0),
        };
        *bytes_left = bytes_left.saturating_sub(bytes.max(FRAME_BYTES));
        if first >= next {
            // The log no longer has them.
            self.reached.insert(room, span.last);
            return Ok(None);
        }
        let last = next - 1;
        self.reached.insert(room, last);
        match self.held.last_mut() {
            Some(held) if held.room == room && held.last + 1 == first => held.last = last,
            _ => self.held.push(Span { room, first, last }),
        }
        let rest = Span {
            first: next,
            ..span
        };
        Ok((next <= span.last).then_some(rest))
    }

    /// Replaces the sources by the target; returns it, unless it is empty.
    fn finish(
        &self,
        connection: &Connection,
        log: &mut dyn IndexedLog,
        rooms: &Rooms,
        limits: Limits,
    ) -> Result<Option<i64>, Failure> {
        let filled = blocks::filling(connection)?.is_some_and(|block| self.replaces(block.id));
        for &source in &self.sources {
            blocks::drop(connection, source)?;
        }
        let id = self.target.id;
        if self.held.is_empty() {
            blocks::drop(connection, id)?;
            return Ok(None);
        }
        for &span in &self.held {
            blocks::hold(connection, id, span)?;
        }
        let entries = self.held.iter().map(|span| span.count()).sum();
        let stage = if filled && entries < limits.block_entries {
            Stage::Filling
        } else {
            Stage::Full
        };
        blocks::keep(connection, Block { id, entries }, stage)?;
        for &(room, seq) in &self.changed {
            let Some((index, keep_from)) = rooms.of_row(room) else {
                continue;
            };
            if seq >= keep_from && blocks::of_entry(connection, room, seq)? == Some(id) {
                let segment = read(log, index, seq, 0)?;
                let frame = segment.as_ref().and_then(|segment| segment.frame(seq));
                blocks::change(connection, id, schema::row(room, seq), frame)?;
            }
        }
        Ok(Some(id))
    }
}

/// The blocks that a rebuild of one of them replaces: also others that are at most half full, if
/// one block can hold them all. So small remains don't become ever more blocks.
fn sources(
    connection: &Connection,
    block: i64,
    rooms: &Rooms,
    limits: Limits,
) -> rusqlite::Result<Vec<i64>> {
    let mut sources = vec![block];
    let mut closed = blocks::in_stage(connection, Stage::Closed)?;
    closed.extend(blocks::in_stage(connection, Stage::Full)?);
    if closed.iter().all(|other| other.id != block) {
        return Ok(sources);
    }
    let kept = blocks::spans(connection, block)?.into_iter().map(|span| {
        let keep_from = rooms.of_row(span.room).map_or(u64::MAX, |(_, from)| from);
        let first = span.first.max(keep_from);
        Span { first, ..span }.count()
    });
    let mut entries: u64 = kept.sum();
    if entries > limits.block_entries / 2 {
        return Ok(sources);
    }
    for other in closed {
        let both = entries + other.entries;
        let is_small = other.entries <= limits.block_entries / 2;
        if other.id != block && is_small && both <= limits.block_entries {
            entries = both;
            sources.push(other.id);
        }
    }
    Ok(sources)
}
