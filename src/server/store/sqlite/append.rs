//! Commits a batch in one transaction.
//!
//! Retention comes first. Then the [plan](crate::server::log::plan) of the other operations is
//! made and carried out.

use std::collections::{BTreeMap, btree_map};

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::Connection;

use super::{
    Room, Rooms, SqliteStore,
    compact::Compaction,
    damage::Damages,
    devices::{Changes, Device, Devices},
    failure,
    lookup::SqliteLookup,
    mentions, read, retain, rooms,
    schema::{FORM, SEQ_MAX, entry_key, milliseconds, number, set_meta},
    state,
};
use crate::{
    protocol::{Extent, RoomId, UserId},
    server::{
        log::{
            Batch, Committed, MessageOutcome, OpResult, Operation, Retention, Rewritten, Run,
            StoreError, Unread,
            plan::{
                Change, Counts, Plan, PlannedDevice, PlannedEntry, RoomState, count_unread, plan,
            },
        },
        store::index::Index,
    },
};

/// The code in `spent` of a message that would have changed nothing.
pub(super) const UNCHANGED: &str = "unchanged";

/// The state of a transaction: what it has done so far, and the state after its commit.
pub(super) struct Work<'a> {
    pub(super) connection: &'a Connection,
    pub(super) rooms: &'a Rooms,
    known: &'a Devices,
    index: Option<&'a Index>,
    pub(super) damages: &'a Damages,
    /// The index could not say what it holds, so nothing may be removed.
    blocked: bool,
    /// The states of the rooms that it has changed.
    pub(super) states: BTreeMap<RoomId, RoomState>,
    /// The rooms that it has made.
    made: BTreeMap<RoomId, i64>,
    /// The rooms whose rows it has written, as they are now.
    written: Vec<Room>,
    devices: Changes,
    runs: Vec<Run>,
    /// The new frames of entries of earlier batches.
    pub(super) rewritten: BTreeMap<(RoomId, u64), Bytes>,
    /// The entries whose content was erased.
    erased: Vec<(RoomId, u64)>,
    compaction: &'a Compaction,
    /// Bytes of state records.
    record_bytes: usize,
    results: Vec<OpResult>,
}

/// The results of a committed batch, for the store to apply to its state in memory.
pub(super) struct Done {
    pub(super) committed: Committed,
    /// The rooms that it has changed.
    pub(super) rooms: Vec<Room>,
    pub(super) devices: Changes,
    /// Whether anything was written.
    pub(super) wrote: bool,
    /// Bytes of the new and rewritten entries, and of state records.
    pub(super) bytes: usize,
    /// Retention was blocked by the index.
    pub(super) blocked: bool,
    /// The entries whose content was erased.
    pub(super) erased: Vec<(RoomId, u64)>,
}

impl SqliteStore {
    /// Runs a batch in a transaction of its own, and commits it.
    pub(super) fn transact(&mut self, batch: Batch) -> Result<Done, StoreError> {
        let connection = &self.connection;
        let before = connection.total_changes();
        let mut work = Work::new(self);
        let carried_out = connection
            .execute_batch("BEGIN IMMEDIATE")
            .and_then(|()| work.carry_out(batch));
        if let Err(error) = carried_out {
            let may_pass = failure::may_pass(&error, self.directory());
            return Err(self.undo(&error, may_pass));
        }
        let wrote = connection.total_changes() != before;
        let done = work.finish(wrote);
        match self.connection.execute_batch("COMMIT") {
            Ok(()) => Ok(done),
            Err(error) if failure::commit_was_undone(&error, self.directory()) => {
                Err(self.undo(&error, true))
            }
            Err(error) => Err(self.fail(StoreError::InDoubt, &format!("A commit failed: {error}"))),
        }
    }

    /// Answers a batch of only [`Operation::OpenDevice`] by reading, because nothing can be
    /// written. A device's claim of settled counters is accepted, but neither it nor the owner is
    /// stored.
    pub(super) fn answer(&self, batch: Batch) -> Result<Committed, StoreError> {
        let mut work = Work::new(self);
        let counted = work.plan(batch, Vec::new()).and_then(|plan| {
            work.results = plan.results;
            work.count(plan.counts)
        });
        match counted {
            Ok(()) => Ok(work.finish(false).committed),
            Err(error) if failure::may_pass(&error, self.directory()) => Err(StoreError::Refused),
            Err(error) => {
                let what = format!("The log can't be read: {}", failure::reason(&error));
                Err(self.fail(StoreError::Fatal, &what))
            }
        }
    }

    /// Rolls a transaction back. If that fails, or the error can't pass, the store fails for good.
    fn undo(&mut self, error: &rusqlite::Error, may_pass: bool) -> StoreError {
        // Some errors have rolled it back already.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
            && !self.connection.is_autocommit()
        {
            let what = format!("A failed batch can't be rolled back: {error}");
            return self.fail(StoreError::InDoubt, &what);
        }
        if !may_pass {
            let what = format!("Messages can't be stored: {}", failure::reason(error));
            return self.fail(StoreError::Fatal, &what);
        }
        self.say_refused(error);
        StoreError::Refused
    }
}

impl<'a> Work<'a> {
    fn new(store: &'a SqliteStore) -> Self {
        Self {
            connection: &store.connection,
            rooms: &store.rooms,
            known: &store.devices,
            index: store.index.as_ref(),
            damages: &store.damages,
            blocked: false,
            states: BTreeMap::new(),
            made: BTreeMap::new(),
            written: Vec::new(),
            devices: Changes::default(),
            runs: Vec::new(),
            rewritten: BTreeMap::new(),
            erased: Vec::new(),
            compaction: &store.compaction,
            record_bytes: 0,
            results: Vec::new(),
        }
    }

    fn carry_out(&mut self, batch: Batch) -> rusqlite::Result<()> {
        let mut retained = Vec::new();
        for operation in &batch.operations {
            if let Operation::Retain(retention) = operation {
                retained.push(self.retain(batch.now, *retention)?);
            }
        }
        let plan = self.plan(batch, retained)?;
        self.write(plan)
    }

    fn plan(&mut self, batch: Batch, retained: Vec<OpResult>) -> rusqlite::Result<Plan> {
        let mut lookup = SqliteLookup {
            connection: self.connection,
            rooms: self.rooms,
            changed: &self.states,
            known: self.known,
            devices: &mut self.devices,
            damages: self.damages,
        };
        plan(&mut lookup, batch, retained)
    }

    fn retain(&mut self, now: Timestamp, retention: Retention) -> rusqlite::Result<OpResult> {
        if retention.keep_since.is_some() {
            set_meta(self.connection, retain::BELIEVED, Some(&now.to_string()))?;
        }
        let index = self.index;
        let mut blocked = false;
        let verdict = retain::step(self, (now, retention), |room, below| {
            index.map_or(below, |index| {
                index.erase(room, below);
                let erased = index.erased(room);
                blocked |= erased == 0;
                erased
            })
        });
        self.blocked = blocked;
        verdict
    }

    /// Writes what a plan says.
    fn write(&mut self, plan: Plan) -> rusqlite::Result<()> {
        for device in plan.devices {
            self.write_device(device)?;
        }
        self.record_bytes = state::write(self.connection, &plan.records)?;
        for (id, planned) in plan.rooms {
            let room = self.row(id)?;
            for entry in &planned.entries {
                let frame = planned.run.frame(entry.seq).unwrap_or_default();
                let device = self.devices.row(entry.id.device);
                insert(self.connection, (room, device), *entry, frame)?;
            }
            self.states.insert(id, planned.state);
            if !planned.run.is_empty() {
                self.runs.push(Run {
                    room: id,
                    segment: planned.run,
                });
            }
        }
        for Rewritten { room, seq, frame } in plan.rewritten {
            self.rewrite(room, seq, frame)?;
        }
        if !plan.changes.is_empty() {
            self.compaction.mark(self.connection)?;
        }
        for planned in &plan.mentions {
            mentions::put(self.connection, self.row(planned.room)?, planned)?;
        }
        for ((room, seq), change) in plan.changes {
            put_change(self.connection, self.row(room)?, seq, change)?;
            if change.redacted.is_some() {
                self.erased.push((room, seq));
            }
        }
        self.devices.write(self.connection)?;
        self.write_rooms()?;
        self.results = plan.results;
        self.count(plan.counts)
    }

    /// Counts what is unread, as far as it can be read.
    fn count(&mut self, counts: Counts) -> rusqlite::Result<()> {
        let mut results = std::mem::take(&mut self.results);
        count_unread(&mut results, counts, |user, ignored, id, above| {
            if self.state(id).extent.head <= above {
                return Ok(None);
            }
            let room = self.row(id)?;
            let reader = (user, ignored);
            match mentions::unread(self.connection, self.damages, reader, (room, above)) {
                Err(error) if self.damages.tell(&error) => Ok(Some(Unread::default())),
                unread => unread.map(Some),
            }
        })?;
        self.results = results;
        Ok(())
    }

    fn write_device(&mut self, planned: PlannedDevice) -> rusqlite::Result<()> {
        if planned.record == planned.before {
            return Ok(());
        }
        let device = self.devices.get(self.connection, self.known, planned.id)?;
        let device = Device {
            counter: planned.record.counter,
            user: planned.record.user,
            ..device
        };
        let no = self.devices.put(self.connection, planned.id, device)?;
        for (counter, outcome) in planned.outcomes {
            let code = match outcome {
                MessageOutcome::Stored { .. } | MessageOutcome::Forgotten => continue,
                MessageOutcome::Withdrawn => None,
                MessageOutcome::Unchanged => Some(UNCHANGED.to_owned()),
                MessageOutcome::Refused(code) => Some(code.to_string()),
            };
            self.connection
                .prepare_cached("INSERT INTO spent(device, counter, code) VALUES(?1, ?2, ?3)")?
                .execute((no, number(counter), code))?;
        }
        Ok(())
    }

    /// Replaces the frame of an entry of an earlier batch.
    pub(super) fn rewrite(&mut self, room: RoomId, seq: u64, frame: Bytes) -> rusqlite::Result<()> {
        rewrite(self.connection, self.row(room)?, seq, &frame)?;
        self.rewritten.insert((room, seq), frame);
        Ok(())
    }

    /// A room's row number. It is made if there is none.
    fn row(&mut self, id: RoomId) -> rusqlite::Result<i64> {
        if let Some(room) = self.rooms.get(id) {
            return Ok(room.no);
        }
        Ok(match self.made.entry(id) {
            btree_map::Entry::Occupied(made) => *made.get(),
            btree_map::Entry::Vacant(vacant) => {
                *vacant.insert(rooms::make(self.connection, id)?.no)
            }
        })
    }

    /// A room's state, as far as this batch has come.
    pub(super) fn state(&self, id: RoomId) -> RoomState {
        let state = self.states.get(&id).copied();
        state.unwrap_or_else(|| self.state_before(id))
    }

    fn state_before(&self, id: RoomId) -> RoomState {
        let room = self.rooms.get(id);
        room.map_or(RoomState::EMPTY, |room| room.state)
    }

    /// The time of a room's oldest entry.
    fn oldest(&self, id: RoomId, no: i64, held: Extent) -> rusqlite::Result<Option<Timestamp>> {
        match self.rooms.get(id) {
            Some(room) if room.state.extent.first == held.first && room.oldest.is_some() => {
                Ok(room.oldest)
            }
            _ if held.is_empty() => Ok(None),
            _ => read::entry_time(self.connection, no, held.first).map(Some),
        }
    }

    fn write_rooms(&mut self) -> rusqlite::Result<()> {
        for (id, state) in self.states.clone() {
            let no = self.row(id)?;
            let last_time = state.last_time.map_or(0, Timestamp::as_millisecond);
            self.connection
                .prepare_cached(
                    "UPDATE room SET first = ?2, head = ?3, last_time = ?4, correction = ?5,
                         changed = ?6, redacted = ?7, unshown = ?8
                     WHERE no = ?1",
                )?
                .execute((
                    no,
                    number(state.extent.first),
                    number(state.extent.head),
                    last_time,
                    milliseconds(state.correction),
                    number(state.revised.changed),
                    number(state.revised.redacted),
                    number(state.unshown),
                ))?;
            let oldest = self.oldest(id, no, state.extent)?;
            self.written.push(Room {
                id,
                no,
                state,
                oldest,
            });
        }
        Ok(())
    }

    fn finish(self, wrote: bool) -> Done {
        let changes = self.states.iter().map(|(id, state)| {
            let before = self.state_before(*id);
            (*id, before, *state)
        });
        let firsts: Vec<_> = changes
            .clone()
            .filter(|(_, before, state)| before.extent.first != state.extent.first)
            .map(|(id, _, state)| (id, state.extent.first))
            .collect();
        let revised: Vec<_> = changes
            .filter(|(_, before, state)| before.revised != state.revised)
            .map(|(id, _, state)| (id, state.revised))
            .collect();
        let states = &self.states;
        let first = |room: RoomId| states.get(&room).map_or(0, |state| state.extent.first);
        // Retention may have dropped some of them later in the same step.
        let rewritten = self.rewritten.into_iter();
        let rewritten: Vec<_> = rewritten
            .filter(|((room, seq), _)| *seq >= first(*room))
            .map(|((room, seq), frame)| Rewritten { room, seq, frame })
            .collect();
        let new_bytes = self.runs.iter().map(|run| run.segment.bytes().len());
        let old_bytes = rewritten.iter().map(|entry| entry.frame.len());
        Done {
            wrote,
            bytes: new_bytes.chain(old_bytes).sum::<usize>() + self.record_bytes,
            committed: Committed {
                results: self.results,
                runs: self.runs,
                rewritten,
                firsts,
                revised,
            },
            rooms: self.written,
            devices: self.devices,
            blocked: self.blocked,
            erased: self.erased,
        }
    }
}

/// Inserts an entry into a room, by its row and that of the entry's device.
pub(super) fn insert(
    connection: &Connection,
    (room, device): (i64, Option<i64>),
    entry: PlannedEntry,
    frame: &[u8],
) -> rusqlite::Result<()> {
    // The room has no numbers left: the batch is refused.
    if entry.seq > SEQ_MAX {
        return Err(rusqlite::Error::IntegralValueOutOfRange(0, i64::MAX));
    }
    let author = entry.counts.map(UserId::to_bytes);
    connection
        .prepare_cached(
            "INSERT INTO entry(id, time, clock_was, device, counter, frame, form, shown, author)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute((
            entry_key(room, entry.seq),
            entry.time.as_millisecond(),
            entry.clock_was.map(Timestamp::as_millisecond),
            device,
            number(entry.id.counter),
            frame,
            FORM,
            entry.shown,
            author.as_ref().map_or(&[][..], |author| author),
        ))?;
    Ok(())
}

/// Replaces an entry's frame.
pub(super) fn rewrite(
    connection: &Connection,
    room: i64,
    seq: u64,
    frame: &[u8],
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE entry SET frame = ?2, form = ?3 WHERE id = ?1")?
        .execute((entry_key(room, seq), frame, FORM))?;
    Ok(())
}

/// Keeps what was done to an entry of a room. If it was erased, it no longer counts as unread, and
/// mentions nobody.
pub(super) fn put_change(
    connection: &Connection,
    room: i64,
    seq: u64,
    change: Change,
) -> rusqlite::Result<()> {
    let Change {
        rev,
        edited,
        redacted,
    } = change;
    connection
        .prepare_cached(
            "INSERT INTO change(entry, rev, edited, redacted) VALUES(?1, ?2, ?3, ?4)
             ON CONFLICT(entry) DO UPDATE SET
                 rev = excluded.rev, edited = excluded.edited, redacted = excluded.redacted",
        )?
        .execute((
            entry_key(room, seq),
            entry_key(room, rev),
            edited.map(number),
            redacted.map(number),
        ))?;
    if redacted.is_some() {
        connection
            .prepare_cached("UPDATE entry SET author = x'' WHERE id = ?1")?
            .execute([entry_key(room, seq)])?;
        mentions::remove(connection, room, seq..seq + 1)?;
    }
    Ok(())
}
