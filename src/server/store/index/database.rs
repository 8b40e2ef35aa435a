//! The open file of the index: what is in it, and the steps that bring it up to the log.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::RangeInclusive,
    time::Instant,
};

use rusqlite::Connection;

use super::{
    IndexedLog, Shared,
    blocks::{self, Block, Span, Stage},
    failure::{Failure, Trouble},
    limits::{BATCH_BYTES_MAX, Limits},
    rebuild::{Progress, Rebuild},
    rooms::Rooms,
    schema::{self, Kept},
    shared::{mark, read},
};
use crate::protocol::{Extent, RoomId};

/// Changed entries that are asked for at a time.
const CHANGED_MAX: usize = 1_000;

/// Whether there is more to do at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    More,
    Drained,
}

pub(super) struct Database {
    connection: Connection,
    limits: Limits,
    rooms: Rooms,
    /// The room that comes first in the next batch, or the next one in order, by its id in row ids.
    turn: i64,
    /// The block that is being filled.
    filling: Option<Block>,
    rebuild: Option<Rebuild>,
    /// Blocks that were rebuilt lately, and when they may be again.
    resting: HashMap<i64, Instant>,
    /// Blocks that hold entries to be erased beside others.
    erasing: BTreeSet<i64>,
    /// Whether `erasing` is what the rooms' wanted first numbers and the blocks say.
    erasing_known: bool,
    /// Whether the WAL may hold erased texts.
    unsettled: bool,
}

impl Database {
    pub(super) fn new(
        mut connection: Connection,
        rooms: BTreeMap<RoomId, Kept>,
        limits: Limits,
    ) -> rusqlite::Result<Self> {
        let mut all = Rooms::default();
        for (room, kept) in rooms {
            all.keep(room, kept);
        }
        let transaction = connection.transaction()?;
        blocks::drop_unfinished(&transaction)?;
        let filling = blocks::filling(&transaction)?;
        transaction.commit()?;
        Ok(Self {
            connection,
            filling,
            limits,
            rooms: all,
            turn: 0,
            rebuild: None,
            resting: HashMap::new(),
            erasing: BTreeSet::new(),
            erasing_known: false,
            // The last run may have left some.
            unsettled: true,
        })
    }

    /// Publishes how far rooms are indexed and, once no remains are left, erased.
    pub(super) fn publish(&mut self, shared: &Shared) {
        let changed = self.rooms.take_changed();
        let mut state = shared.lock();
        for room in &changed {
            let Some(kept) = self.rooms.get(*room) else {
                continue;
            };
            let state = state.rooms.entry(*room).or_default();
            state.id = kept.id;
            state.indexed = kept.indexed;
            if !self.unsettled {
                state.first = kept.first;
            }
        }
        drop(state);
        shared.moved.notify_all();
        if self.unsettled {
            self.rooms.mark_changed(changed);
        }
    }

    /// Takes up rooms of the log, which may be new or have news. Fails if the log ends before the index,
    /// so that its next entries would get numbers in use.
    pub(super) fn meet(
        &mut self,
        shared: &Shared,
        extents: &BTreeMap<RoomId, Extent>,
    ) -> Result<(), Failure> {
        let new = |room: &&RoomId| self.rooms.get(**room).is_none();
        let new: Vec<_> = extents.keys().filter(new).copied().collect();
        if !new.is_empty() {
            let transaction = self.connection.transaction()?;
            let add = |room| Ok((room, schema::add_room(&transaction, room)?));
            let added: rusqlite::Result<Vec<_>> = new.into_iter().map(add).collect();
            let added = added?;
            transaction.commit()?;
            for (room, kept) in added {
                self.rooms.keep(room, kept);
            }
        }
        let state = shared.lock();
        for (&room, &extent) in extents {
            let kept = self.rooms.get(room);
            if kept.is_some_and(|kept| extent.head < kept.indexed) {
                let why = "the log no longer has its entries".to_owned();
                return Err(Trouble::Useless(why).into());
            }
            let erase_below = state.rooms.get(&room).map_or(0, |room| room.erase_below);
            self.erasing_known &= !self.rooms.meet(room, extent, erase_below);
        }
        Ok(())
    }

    /// The rooms that the index has.
    pub(super) fn known(&self) -> impl Iterator<Item = RoomId> {
        self.rooms.all().map(|(room, _)| room)
    }

    /// Fails if a room's last indexed entry is another one in the log: then an older copy of the
    /// log was put in its place, and continued from there.
    pub(super) fn compare(&self, log: &mut dyn IndexedLog) -> Result<(), Failure> {
        for (id, room) in self.rooms.all() {
            let Some(kept) = room.mark else { continue };
            // One that can't be read can't be compared.
            let segment = read(log, id, room.indexed, 0)?;
            if segment.is_some_and(|it| it.frame(room.indexed).map(mark) != Some(kept)) {
                let why = "it belongs to another copy of the log".to_owned();
                return Err(Trouble::Useless(why).into());
            }
        }
        Ok(())
    }

    /// Drops a block all of whose entries are to be erased, and finds out which blocks hold such
    /// entries beside others. Entries below a room's wanted first number that are not indexed yet
    /// never will be.
    pub(super) fn erase(&mut self) -> Result<Step, Failure> {
        if self.erasing_known {
            return Ok(Step::Drained);
        }
        let transaction = self.connection.transaction()?;
        let mut erasing = BTreeSet::new();
        for (_, kept, wanted) in self.rooms.raising() {
            erasing.extend(blocks::below(&transaction, kept.id, wanted)?);
        }
        let mut dropped = None;
        for &block in &erasing {
            let spans = blocks::spans(&transaction, block)?;
            let is_gone = |span: &Span| {
                let room = self.rooms.of_row(span.room);
                room.is_some_and(|(_, wanted)| span.last < wanted)
            };
            if spans.iter().all(is_gone) {
                blocks::drop(&transaction, block)?;
                dropped = Some(block);
                break;
            }
        }
        let rebuild = self.rebuild.as_ref();
        let replaces = |block| rebuild.is_some_and(|rebuild| rebuild.replaces(block));
        let abandoned = dropped.is_some_and(replaces);
        if abandoned {
            blocks::drop_unfinished(&transaction)?;
        }
        let raised = raise(&transaction, &self.rooms)?;
        let filling = blocks::filling(&transaction)?;
        transaction.commit()?;
        self.keep(raised, filling);
        if abandoned {
            self.rebuild = None;
        }
        if let Some(block) = dropped {
            self.erasing.remove(&block);
            self.unsettled = true;
            return Ok(Step::More);
        }
        self.erasing = erasing;
        self.erasing_known = true;
        Ok(Step::Drained)
    }

    /// Takes over what a transaction has changed.
    fn keep(&mut self, rooms: Vec<(RoomId, Kept)>, filling: Option<Block>) {
        for (room, kept) in rooms {
            self.rooms.keep(room, kept);
        }
        self.filling = filling;
    }

    /// Indexes the next entries of the log in one transaction, and what they have changed. Rooms
    /// take turns, so that none waits for another's long history. Within a transaction they come in
    /// the order of their rows, which FTS5 takes without a flush in between.
    pub(super) fn follow(&mut self, log: &mut dyn IndexedLog) -> Result<Step, Failure> {
        let transaction = self.connection.transaction()?;
        let mut filling = self.filling;
        let mut left = BATCH_BYTES_MAX;
        let mut moved = Vec::new();
        let mut turn = 0;
        for (id, kept) in self.rooms.behind(self.turn) {
            if left == 0 {
                turn = kept.id;
                break;
            }
            let mut room = kept;
            let block = match filling.take() {
                Some(block) => block,
                None => blocks::create(&transaction, Stage::Filling)?,
            };
            let block = filling.insert(block);
            let capacity = self.limits.block_entries.saturating_sub(block.entries);
            let source = (id, left);
            let bytes = add(&transaction, log, source, &mut room, block, capacity)?;
            left = left.saturating_sub(bytes);
            moved.push((id, room, kept.indexed + 1..=room.indexed));
            if block.entries >= self.limits.block_entries {
                blocks::keep(&transaction, *block, Stage::Full)?;
                filling = None;
                // The next batch begins another block.
                left = 0;
            }
        }
        if let Some(block) = filling
            && !moved.is_empty()
        {
            blocks::keep(&transaction, block, Stage::Filling)?;
        }
        let mut changed = Vec::new();
        for (id, room, revs) in &moved {
            changes(
                &transaction,
                log,
                (*id, room.id),
                revs.clone(),
                &mut changed,
            )?;
        }
        transaction.commit()?;
        if let Some(rebuild) = &mut self.rebuild {
            for (block, room, seq) in changed {
                rebuild.note_changed(block, room, seq);
            }
        }
        self.turn = turn;
        let moved = moved.into_iter().map(|(id, room, _)| (id, room));
        self.keep(moved.collect(), filling);
        Ok(if self.rooms.is_drained() {
            Step::Drained
        } else {
            Step::More
        })
    }

    /// Does the next step of a rebuild, empties the WAL, or merges segments. Nothing more is to be
    /// done at the moment if it returns [`Step::Drained`].
    pub(super) fn clean(&mut self, log: &mut dyn IndexedLog) -> Result<Step, Failure> {
        if let Some(rebuild) = self.rebuild.take() {
            let transaction = self.connection.transaction()?;
            let replaced = match rebuild.step(&transaction, log, &self.rooms, self.limits)? {
                Progress::Going(rebuild) => {
                    transaction.commit()?;
                    self.rebuild = Some(rebuild);
                    return Ok(Step::More);
                }
                Progress::Done(replaced) => replaced,
            };
            let raised = raise(&transaction, &self.rooms)?;
            let filling = blocks::filling(&transaction)?;
            transaction.commit()?;
            self.keep(raised, filling);
            self.erasing_known = false;
            self.unsettled = true;
            let now = Instant::now();
            self.resting.retain(|_, until| *until > now);
            if let Some(block) = replaced.block {
                let rest = replaced.worked.saturating_mul(self.limits.rest_times);
                self.resting.insert(block, now + rest);
            }
            return Ok(Step::More);
        }
        if self.unsettled {
            self.settle()?;
            return Ok(Step::More);
        }
        let now = Instant::now();
        let is_due = |at: Option<Instant>| at.is_none_or(|at| at <= now);
        let mut blocks = self.to_rebuild()?.into_iter();
        let Some((block, _)) = blocks.find(|(_, at)| is_due(*at)) else {
            return self.merge();
        };
        let transaction = self.connection.transaction()?;
        let rebuild = Rebuild::begin(&transaction, block, &self.rooms, self.limits)?;
        transaction.commit()?;
        self.rebuild = Some(rebuild);
        Ok(Step::More)
    }

    /// Merges the segments of a full block a little.
    fn merge(&mut self) -> Result<Step, Failure> {
        let transaction = self.connection.transaction()?;
        let Some(block) = blocks::in_stage(&transaction, Stage::Full)?.pop() else {
            return Ok(Step::Drained);
        };
        let more = blocks::merge(&transaction, block.id)?;
        if !more {
            blocks::keep(&transaction, block, Stage::Closed)?;
        }
        transaction.commit()?;
        // Once it is merged, a long WAL becomes short again.
        self.unsettled |= !more;
        Ok(Step::More)
    }

    /// When the next block may be rebuilt.
    pub(super) fn wakes_at(&self) -> Result<Option<Instant>, Failure> {
        let blocks = self.to_rebuild()?;
        Ok(blocks.into_iter().filter_map(|(_, at)| at).min())
    }

    /// The blocks to be rebuilt, and until when they rest. Erasures come first: the log waits for
    /// them.
    fn to_rebuild(&self) -> rusqlite::Result<Vec<(i64, Option<Instant>)>> {
        let stale = blocks::stale(&self.connection)?.into_iter();
        let blocks = self.erasing.iter().copied().chain(stale);
        Ok(blocks
            .map(|block| (block, self.resting.get(&block).copied()))
            .collect())
    }

    /// Empties the WAL, and makes everything durable.
    fn settle(&mut self) -> Result<(), Failure> {
        let busy: bool =
            self.connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
            return Err(rusqlite::Error::SqliteFailure(code, None).into());
        }
        self.unsettled = false;
        Ok(())
    }
}

/// Raises each room's first number as far as no block holds a lower one, at most to the wanted
/// one. What is below that and not indexed yet is passed over.
fn raise(connection: &Connection, rooms: &Rooms) -> rusqlite::Result<Vec<(RoomId, Kept)>> {
    let mut raised = Vec::new();
    for (id, mut room, wanted) in rooms.raising() {
        let lowest = blocks::lowest(connection, room.id)?;
        room.first = lowest.map_or(wanted, |lowest| lowest.clamp(room.first, wanted));
        if wanted > room.indexed + 1 {
            room.indexed = wanted - 1;
            room.mark = None;
        }
        schema::keep(connection, room)?;
        raised.push((id, room));
    }
    Ok(raised)
}

/// Adds a room's next entries to a block, at most `capacity`. Returns the bytes of their frames.
fn add(
    connection: &Connection,
    log: &mut dyn IndexedLog,
    (index, bytes_max): (RoomId, usize),
    room: &mut Kept,
    block: &mut Block,
    capacity: u64,
) -> Result<usize, Failure> {
    let segment = read(log, index, room.indexed + 1, bytes_max)?;
    let (first, next, bytes) = match &segment {
        Some(segment) => (segment.first(), segment.next(), segment.bytes().len()),
        None => (room.indexed + 1, room.indexed + 2, 0),
    };
    let next = next.min(first.saturating_add(capacity));
    if first >= next {
        return Ok(0);
    }
    let frame = |seq| segment.as_ref().and_then(|segment| segment.frame(seq));
    let entries = (first..next).map(|seq| (schema::row(room.id, seq), frame(seq)));
    blocks::add(connection, block.id, entries)?;
    let last = next - 1;
    let span = Span {
        room: room.id,
        first,
        last,
    };
    blocks::hold(connection, block.id, span)?;
    block.entries += span.count();
    room.indexed = last;
    room.mark = frame(last).map(mark);
    schema::keep(connection, *room)?;
    Ok(bytes)
}

/// Puts the present words of those older entries into overlays that the entries in `revs` have
/// changed, and adds them to `changed`: block, room and number.
fn changes(
    connection: &Connection,
    log: &mut dyn IndexedLog,
    (index, room): (RoomId, i64),
    revs: RangeInclusive<u64>,
    changed: &mut Vec<(i64, i64, u64)>,
) -> Result<(), Failure> {
    let (mut from, to) = revs.clone().into_inner();
    let mut max = CHANGED_MAX;
    while from <= to {
        let found = log.changed(index, from..=to, max)?;
        for &(_, seq) in &found {
            // Later entries were read after they had changed.
            if revs.contains(&seq) {
                continue;
            }
            // It may be erased.
            let Some(block) = blocks::of_entry(connection, room, seq)? else {
                continue;
            };
            let segment = read(log, index, seq, 0)?;
            let frame = segment.as_ref().and_then(|segment| segment.frame(seq));
            blocks::change(connection, block, schema::row(room, seq), frame)?;
            changed.push((block, room, seq));
        }
        match found.last() {
            Some(&(rev, _)) if found.len() >= max => {
                // There may be more with the same rev.
                if rev == from {
                    max = max.saturating_mul(2);
                }
                from = rev;
            }
            _ => break,
        }
    }
    Ok(())
}
