//! Commits a batch in one transaction.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::{
    Room, RoomState, SqliteStore,
    damage::{Damages, InRow},
    devices::{Changes, Device, Devices},
    failure, retain,
    schema::{SEQ_MAX, entry_key, entry_of, milliseconds, number, number_at, set_meta, time_at},
    state,
};
use crate::{
    protocol::{
        Content, DeviceId, EntryKind, MessageId, entry::Text, frame::ErrorCode, wire::ERROR_CODES,
    },
    server::{
        log::{
            Batch, Committed, DeviceOwner, MessageOutcome, OpResult, Operation, Retention,
            RoomIndex, Run, StoreError,
            segment::SegmentBuilder,
            semantics::{self, CounterOrder, OpenedDevice, encode_new, entry_time, place},
        },
        store::index::Index,
    },
};

/// The state of a transaction: what it has done so far, and the state after its commit.
pub(super) struct Work<'a> {
    pub(super) connection: &'a Connection,
    pub(super) rooms: &'a [Room],
    devices: &'a Devices,
    index: Option<&'a Index>,
    damages: &'a Damages,
    /// The index could not say what it holds, so nothing may be removed.
    blocked: bool,
    pub(super) states: Vec<RoomState>,
    changes: Changes,
    runs: Vec<Option<SegmentBuilder>>,
    /// Buffer for an entry's frame.
    frame: Vec<u8>,
    /// Bytes of state records.
    record_bytes: usize,
    results: Vec<OpResult>,
}

/// The results of a committed batch, for the store to apply to its state in memory.
pub(super) struct Done {
    pub(super) committed: Committed,
    pub(super) states: Vec<RoomState>,
    pub(super) changes: Changes,
    /// Whether anything was written.
    pub(super) wrote: bool,
    /// Bytes of the new entries and state records.
    pub(super) bytes: usize,
    /// Retention was blocked by the index.
    pub(super) blocked: bool,
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
            Err(error) => Err(self.fail(&format!("A commit failed: {error}"))),
        }
    }

    /// Answers a batch of only [`Operation::OpenDevice`] by reading, because nothing can be
    /// written. A device's claim of settled counters is accepted, but neither it nor the owner is
    /// stored.
    pub(super) fn answer(&self, batch: &Batch) -> Result<Committed, StoreError> {
        let mut work = Work::new(self);
        let answered = batch.operations.iter().try_for_each(|operation| {
            let Operation::OpenDevice {
                device,
                owner,
                next,
                look,
            } = operation
            else {
                return Ok(());
            };
            let known = work.changes.get(work.connection, work.devices, *device);
            let ids = work.ids_at(look)?;
            let verdict = known.map(|known| {
                match semantics::open(known.user, known.counter, *owner, *next) {
                    Ok(opened) => OpResult::Opened {
                        counter: opened.counter,
                        ids,
                    },
                    Err(refused) => refused,
                }
            });
            let verdict = work.or_damaged(verdict)?;
            work.results.push(verdict);
            Ok(())
        });
        match answered {
            Ok(()) => Ok(work.finish(false).committed),
            Err(error) if failure::may_pass(&error, self.directory()) => Err(StoreError::Refused),
            Err(error) => Err(self.fail(&format!(
                "The log can't be read: {}",
                failure::reason(&error)
            ))),
        }
    }

    /// Rolls a transaction back. If that fails, or the error can't pass, the store fails for good.
    fn undo(&mut self, error: &rusqlite::Error, may_pass: bool) -> StoreError {
        // Some errors have rolled it back already.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
            && !self.connection.is_autocommit()
        {
            return self.fail(&format!("A failed batch can't be rolled back: {error}"));
        }
        if !may_pass {
            return self.fail(&format!(
                "Messages can't be stored: {}",
                failure::reason(error)
            ));
        }
        self.say_refused(error);
        StoreError::Refused
    }
}

impl<'a> Work<'a> {
    fn new(store: &'a SqliteStore) -> Self {
        let rooms = &store.rooms;
        Self {
            connection: &store.connection,
            rooms,
            devices: &store.devices,
            index: store.index.as_ref(),
            damages: &store.damages,
            blocked: false,
            states: rooms.iter().map(|room| room.state).collect(),
            changes: Changes::default(),
            runs: rooms.iter().map(|_| None).collect(),
            frame: Vec::new(),
            record_bytes: 0,
            results: Vec::new(),
        }
    }

    fn carry_out(&mut self, batch: Batch) -> rusqlite::Result<()> {
        for state in &mut self.states {
            state.correction = state.correction.saturating_add(batch.correction);
        }
        for operation in batch.operations {
            let verdict = match operation {
                Operation::OpenDevice {
                    device,
                    owner,
                    next,
                    look,
                } => {
                    let opened = self.open(device, owner, next, &look);
                    self.or_damaged(opened)?
                }
                Operation::Retain(retention) => self.retain(batch.now, retention)?,
                Operation::PutState(records) => {
                    self.record_bytes += state::write(self.connection, &records)?;
                    OpResult::StatePut
                }
                Operation::Append { id, settled, .. } | Operation::Settle { id, settled, .. } => {
                    match self.raised(id.device, settled) {
                        Ok(counter) => self.settle(batch.now, id, counter, operation)?,
                        error => self.or_damaged(error.map(|_| OpResult::Damaged))?,
                    }
                }
            };
            self.results.push(verdict);
        }
        self.changes.write(self.connection)?;
        self.write_rooms()
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

    fn open(
        &mut self,
        id: DeviceId,
        owner: Option<DeviceOwner>,
        next: Option<u64>,
        look: &[(RoomIndex, u64)],
    ) -> rusqlite::Result<OpResult> {
        let device = self.changes.get(self.connection, self.devices, id)?;
        let opened = match semantics::open(device.user, device.counter, owner, next) {
            Ok(opened) => opened,
            Err(refused) => return Ok(refused),
        };
        let OpenedDevice { counter, user } = opened;
        if (counter, user) != (device.counter, device.user) {
            let opened = Device {
                counter,
                user,
                ..device
            };
            self.changes.put(self.connection, id, opened)?;
        }
        let ids = self.ids_at(look)?;
        Ok(OpResult::Opened { counter, ids })
    }

    /// Turns an error about a damaged row into [`OpResult::Damaged`], so that one device's damaged
    /// record does not make the whole batch fail; possible only as long as nothing was done for it.
    fn or_damaged(&self, verdict: rusqlite::Result<OpResult>) -> rusqlite::Result<OpResult> {
        match verdict {
            Err(error) if self.damages.tell(&error) => Ok(OpResult::Damaged),
            verdict => verdict,
        }
    }

    /// Reads an entry; a damaged one counts as missing.
    fn unless_damaged<T>(&self, found: rusqlite::Result<Option<T>>) -> rusqlite::Result<Option<T>> {
        match found {
            Err(error) if self.damages.tell(&error) => Ok(None),
            found => found,
        }
    }

    /// Raises the device's counter to at least `settled`, and returns it.
    fn raised(&mut self, id: DeviceId, settled: u64) -> rusqlite::Result<u64> {
        let device = self.changes.get(self.connection, self.devices, id)?;
        if settled > device.counter {
            let counter = settled;
            let device = Device { counter, ..device };
            self.changes.put(self.connection, id, device)?;
        }
        Ok(settled.max(device.counter))
    }

    fn settle(
        &mut self,
        now: Timestamp,
        id: MessageId,
        counter: u64,
        operation: Operation,
    ) -> rusqlite::Result<OpResult> {
        match place(counter, id.counter) {
            CounterOrder::Settled => return Ok(OpResult::Repeated(self.outcome(id)?)),
            CounterOrder::Ahead => return Ok(OpResult::CounterGap { counter }),
            CounterOrder::Next => {}
        }
        let device = self.changes.get(self.connection, self.devices, id.device)?;
        let counter = id.counter;
        let device = Device { counter, ..device };
        let no = self.changes.put(self.connection, id.device, device)?;
        let settled = match operation {
            Operation::Append {
                room,
                sender,
                content: Content::Text(body),
                ..
            } => {
                let at = &mut self.states[room.at()];
                // The room has no numbers left: the batch is refused.
                let full = || rusqlite::Error::IntegralValueOutOfRange(0, i64::MAX);
                let seq = (at.extent.head < SEQ_MAX)
                    .then_some(at.extent.next())
                    .ok_or_else(full)?;
                let last = (at.extent.head > 0).then_some(at.last_time);
                let time = entry_time(now, at.correction, last);
                self.frame.clear();
                let name = &self.rooms[room.at()].name;
                let kind = EntryKind::Text(Text { body, edited: None });
                encode_new(name, seq, id, &sender, time, kind, &mut self.frame);
                self.insert(room, seq, time, (no, id.counter))?;
                let (time, _) = time;
                MessageOutcome::Stored { room, seq, time }
            }
            Operation::Append { .. } => {
                let refused = ErrorCode::UnknownType;
                self.use_up((no, id.counter), Some(refused))?;
                MessageOutcome::Refused(refused)
            }
            Operation::Settle { refused, .. } => {
                self.use_up((no, id.counter), refused)?;
                refused.map_or(MessageOutcome::Withdrawn, MessageOutcome::Refused)
            }
            Operation::OpenDevice { .. } | Operation::Retain(_) | Operation::PutState(_) => {
                unreachable!("these settle no id")
            }
        };
        Ok(OpResult::Done(settled))
    }

    fn insert(
        &mut self,
        room: RoomIndex,
        seq: u64,
        (time, clock_was): (Timestamp, Option<Timestamp>),
        (device, counter): (i64, u64),
    ) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO entry(id, time, clock_was, device, counter, frame)
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute((
                entry_key(self.rooms[room.at()].no, seq),
                time.as_millisecond(),
                clock_was.map(Timestamp::as_millisecond),
                device,
                number(counter),
                &self.frame[..],
            ))?;
        let state = &mut self.states[room.at()];
        state.extent.head = seq;
        state.last_time = time;
        state.correction = SignedDuration::ZERO;
        let run = self.runs[room.at()].get_or_insert_with(|| SegmentBuilder::new(seq));
        run.push(|out| out.extend_from_slice(&self.frame));
        Ok(())
    }

    fn use_up(
        &self,
        (device, counter): (i64, u64),
        refused: Option<ErrorCode>,
    ) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("INSERT INTO spent(device, counter, code) VALUES(?1, ?2, ?3)")?
            .execute((
                device,
                number(counter),
                refused.map(|code| code.to_string()),
            ))?;
        Ok(())
    }

    /// The outcome of an id.
    fn outcome(&mut self, id: MessageId) -> rusqlite::Result<MessageOutcome> {
        let device = self.changes.get(self.connection, self.devices, id.device)?;
        let key = (device.no, number(id.counter));
        let stored = self
            .connection
            .prepare_cached("SELECT id, time FROM entry WHERE device = ?1 AND counter = ?2")?
            .query_row(key, |row| {
                let entry = row.get(0)?;
                Ok((entry, time_at(row, 1).in_row("entry", entry)?))
            })
            .optional();
        let stored = self.unless_damaged(stored)?;
        if let Some((row, time)) = stored {
            let (no, seq) = entry_of(row);
            let room = (0..).zip(self.rooms).find(|(_, room)| room.no == no);
            // In a room that this server does not serve.
            return Ok(room.map_or(MessageOutcome::Forgotten, |(index, _)| {
                MessageOutcome::Stored {
                    room: RoomIndex(index),
                    seq,
                    time,
                }
            }));
        }
        let spent: rusqlite::Result<Option<Option<String>>> = self
            .connection
            .prepare_cached("SELECT code FROM spent WHERE device = ?1 AND counter = ?2")?
            .query_row(key, |row| {
                row.get(0).in_row("spent", id.counter.cast_signed())
            })
            .optional();
        let spent = self.unless_damaged(spent)?;
        Ok(match spent {
            None => MessageOutcome::Forgotten,
            Some(None) => MessageOutcome::Withdrawn,
            Some(Some(name)) => MessageOutcome::Refused(code(&name)),
        })
    }

    fn ids_at(&self, look: &[(RoomIndex, u64)]) -> rusqlite::Result<Vec<Option<MessageId>>> {
        let ids = look.iter().map(|&(room, seq)| self.id_at(room, seq));
        ids.collect()
    }

    fn id_at(&self, room: RoomIndex, seq: u64) -> rusqlite::Result<Option<MessageId>> {
        let Some(room) = self.rooms.get(room.at()) else {
            return Ok(None);
        };
        if seq > SEQ_MAX {
            return Ok(None);
        }
        let key = entry_key(room.no, seq);
        let id = self
            .connection
            .prepare_cached(
                "SELECT device.id, entry.counter FROM entry
                 JOIN device ON device.no = entry.device WHERE entry.id = ?1",
            )?
            .query_row([key], |row| {
                Ok(MessageId {
                    device: DeviceId::from_bytes(row.get(0).in_row("entry", key)?),
                    counter: number_at(row, 1).in_row("entry", key)?,
                })
            })
            .optional();
        self.unless_damaged(id)
    }

    fn write_rooms(&self) -> rusqlite::Result<()> {
        for (room, state) in self.rooms.iter().zip(&self.states) {
            if room.state != *state {
                self.connection
                    .prepare_cached(
                        "UPDATE room SET first = ?2, head = ?3, last_time = ?4, correction = ?5
                         WHERE no = ?1",
                    )?
                    .execute((
                        room.no,
                        number(state.extent.first),
                        number(state.extent.head),
                        state.last_time.as_millisecond(),
                        milliseconds(state.correction),
                    ))?;
            }
        }
        Ok(())
    }

    fn finish(self, wrote: bool) -> Done {
        let runs: Vec<_> = (0..)
            .map(RoomIndex)
            .zip(self.runs)
            .filter_map(|(room, run)| {
                let segment = run?.finish();
                Some(Run { room, segment })
            })
            .collect();
        let firsts = (0..)
            .map(RoomIndex)
            .zip(self.rooms.iter().zip(&self.states))
            .filter(|(_, (room, state))| room.state.extent.first != state.extent.first)
            .map(|(index, (_, state))| (index, state.extent.first))
            .collect();
        let entry_bytes: usize = runs.iter().map(|run| run.segment.bytes().len()).sum();
        Done {
            wrote,
            bytes: entry_bytes + self.record_bytes,
            committed: Committed {
                results: self.results,
                runs,
                rewritten: Vec::new(),
                firsts,
                revised: Vec::new(),
            },
            states: self.states,
            changes: self.changes,
            blocked: self.blocked,
        }
    }
}

/// The code of a stored refusal.
fn code(name: &str) -> ErrorCode {
    let known = ERROR_CODES.iter().find(|(_, known)| *known == name);
    known.map_or(ErrorCode::Other, |(code, _)| *code)
}
