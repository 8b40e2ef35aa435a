//! The log in memory: bounded, and lost with the process (so each start has a new epoch).
//!
//! When a room, or all rooms together, exceed their limit, the oldest entries are dropped and
//! `first` moves up. The counter of each device and the outcomes of its latest messages are kept.
//! Beyond [`MemoryLimits::devices_max`] devices, the least recently used one is forgotten.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    convert::Infallible,
    mem,
};

use jiff::{SignedDuration, Timestamp};

use crate::server::log::{
    Batch, Changed, ChangedSince, Committed, DeviceOwner, Found, KnownTimes, LogReader, LogWriter,
    MessageOutcome, OpResult, Operation, Page, Reader, Retention, Revised, Run, SearchIndex,
    Standing, StateRecord, StateStore, Store, StoreError,
    semantics::{
        self, CounterOrder, Frames, OpenedDevice, Scan, decode_entry, encode_new, entry_time,
        first_young, place, span,
    },
};
use crate::{
    protocol::{
        Content, DeviceId, Entry, EntryKind, Epoch, Extent, MessageId, RoomName, UserId,
        entry::Text,
        frame::{ErrorCode, Member, Part},
        limits::UNANSWERED_MESSAGES_MAX,
    },
    search::{
        Query,
        times::{self, CORRECTIONS_MAX, stretches},
    },
    server::log::{
        RoomIndex,
        segment::{Segment, SegmentBuilder, Tail},
    },
    text::Body,
};

/// Segments that one step of retention drops at most.
const RETAIN_STEPS_MAX: usize = 1_000;

/// Limits of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Bytes of one room's log.
    pub room_bytes_max: usize,
    /// Bytes of all logs together.
    pub total_bytes_max: usize,
    /// Devices whose counters are kept, each with at most [`UNANSWERED_MESSAGES_MAX`] outcomes of
    /// 32 bytes.
    pub devices_max: usize,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            room_bytes_max: 64 * 1024 * 1024,
            total_bytes_max: 256 * 1024 * 1024,
            devices_max: 20_000,
        }
    }
}

#[derive(Debug)]
struct Room {
    name: RoomName,
    log: Tail,
    /// The ids of the entries held, from `log.first()` on.
    ids: VecDeque<MessageId>,
    /// The latest entry's time.
    last_time: Option<Timestamp>,
    /// How far the clock was corrected since then.
    correction: SignedDuration,
    /// The numbers of held entries that are marked with a correction.
    marked: VecDeque<u64>,
    /// The entries of the current batch.
    run: SegmentBuilder,
}

#[derive(Debug, Default)]
struct Device {
    /// The owner, if they have a key.
    user: Option<UserId>,
    /// The highest counter settled.
    counter: u64,
    /// The outcomes of the latest counters; the last is that of `counter`.
    outcomes: VecDeque<MessageOutcome>,
    /// When it was last used, in operations.
    used: u64,
}

/// See the module's docs.
#[derive(Debug)]
pub struct MemoryStore {
    epoch: Epoch,
    limits: MemoryLimits,
    rooms: Vec<Room>,
    /// The memory that all logs take together.
    cost_bytes: usize,
    /// The rooms that the current batch adds to.
    touched: Vec<RoomIndex>,
    /// The rooms from which it dropped entries; a room may be listed twice.
    shortened: Vec<RoomIndex>,
    devices: HashMap<DeviceId, Device>,
    /// The devices by their last use: the first is forgotten first.
    by_use: BTreeMap<u64, DeviceId>,
    uses: u64,
    /// The records of the server's state, by kind and key.
    records: BTreeMap<(Box<str>, String), String>,
}

impl MemoryStore {
    /// An empty log with these rooms.
    pub fn new(epoch: Epoch, rooms: &[RoomName], limits: MemoryLimits) -> Self {
        let room = |name: &RoomName| Room {
            name: name.clone(),
            log: Tail::new(1),
            ids: VecDeque::new(),
            last_time: None,
            correction: SignedDuration::ZERO,
            marked: VecDeque::new(),
            run: SegmentBuilder::new(1),
        };
        Self {
            epoch,
            limits,
            rooms: rooms.iter().map(room).collect(),
            cost_bytes: 0,
            touched: Vec::new(),
            shortened: Vec::new(),
            devices: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            records: BTreeMap::new(),
        }
    }

    /// Returns the device, created if it is not known, and makes it the most recently used.
    fn device(&mut self, id: DeviceId, settled: u64) -> &mut Device {
        self.uses += 1;
        let uses = self.uses;
        let device = self.devices.entry(id).or_default();
        self.by_use.remove(&device.used);
        self.by_use.insert(uses, id);
        device.used = uses;
        device.raise(settled);
        if self.by_use.len() > self.limits.devices_max
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.devices.remove(&oldest);
        }
        self.devices.entry(id).or_default()
    }

    fn open(
        &mut self,
        id: DeviceId,
        owner: Option<DeviceOwner>,
        next: Option<u64>,
        look: &[(RoomIndex, u64)],
    ) -> OpResult {
        let known = self.devices.get(&id);
        let (user, settled) = known.map_or((None, 0), |known| (known.user, known.counter));
        let OpenedDevice { counter, user } = match semantics::open(user, settled, owner, next) {
            Ok(opened) => opened,
            Err(refused) => return refused,
        };
        let ids = look
            .iter()
            .map(|&(room, seq)| self.rooms.get(room.at())?.id_at(seq))
            .collect();
        // A device without messages and owner takes no space yet.
        if self.devices.contains_key(&id) || counter > 0 || user.is_some() {
            self.device(id, counter).user = user;
        }
        OpResult::Opened { counter, ids }
    }

    fn take(&mut self, now: Timestamp, operation: Operation) -> OpResult {
        let (id, settled) = match &operation {
            Operation::OpenDevice {
                device,
                owner,
                next,
                look,
            } => return self.open(*device, *owner, *next, look),
            Operation::Retain(retention) => return self.retain(now, *retention),
            Operation::PutState(records) => return self.put_state(records),
            Operation::Append { id, settled, .. } | Operation::Settle { id, settled, .. } => {
                (*id, *settled)
            }
        };
        let device = self.device(id.device, settled);
        let counter = device.counter;
        match place(counter, id.counter) {
            CounterOrder::Settled => return OpResult::Repeated(device.outcome(id.counter)),
            CounterOrder::Ahead => return OpResult::CounterGap { counter },
            CounterOrder::Next => {}
        }
        let outcome = match operation {
            Operation::Append {
                room,
                sender,
                content: Content::Text(body),
                ..
            } => {
                let state = &mut self.rooms[room.at()];
                if state.run.is_empty() {
                    self.touched.push(room);
                }
                state.append(room, now, id, &sender, body)
            }
            Operation::Append { .. } => MessageOutcome::Refused(ErrorCode::UnknownType),
            Operation::Settle {
                refused: Some(code),
                ..
            } => MessageOutcome::Refused(code),
            Operation::Settle { .. }
            | Operation::OpenDevice { .. }
            | Operation::Retain(_)
            | Operation::PutState(_) => MessageOutcome::Withdrawn,
        };
        self.device(id.device, 0).settle(outcome);
        OpResult::Done(outcome)
    }

    fn retain(&mut self, now: Timestamp, retention: Retention) -> OpResult {
        let mut steps = 0;
        let mut more = false;
        for room in self.indices() {
            let kept = self.rooms[room.at()].kept_from(now, retention);
            while steps < RETAIN_STEPS_MAX && self.rooms[room.at()].log.first() < kept {
                self.drop_oldest(room);
                steps += 1;
            }
            more |= self.rooms[room.at()].log.first() < kept;
        }
        OpResult::Retained { more }
    }

    fn indices(&self) -> impl Iterator<Item = RoomIndex> + use<> {
        let count = self.rooms.len();
        (0..).map(RoomIndex).take(count)
    }

    fn put_state(&mut self, records: &[StateRecord]) -> OpResult {
        for record in records {
            record.assert_bounded();
            let key = (record.kind.clone(), record.key.clone());
            match &record.value {
                Some(value) => drop(self.records.insert(key, value.clone())),
                None => drop(self.records.remove(&key)),
            }
        }
        OpResult::StatePut
    }

    /// Appends the runs of the batch to their rooms' logs.
    fn finish_runs(&mut self) -> Vec<Run> {
        self.touched.sort_unstable();
        let finish = |&room: &RoomIndex| {
            let state = &mut self.rooms[room.at()];
            let before = state.log.cost_bytes();
            let segment = state.finish_run()?;
            self.cost_bytes += state.log.cost_bytes() - before;
            Some(Run { room, segment })
        };
        self.touched.iter().filter_map(finish).collect()
    }

    /// Drops the oldest entries beyond the limits. Returns the rooms that lost some, with their new
    /// first numbers.
    fn evict(&mut self) -> Vec<(RoomIndex, u64)> {
        for room in mem::take(&mut self.touched) {
            while self.rooms[room.at()].log.cost_bytes() > self.limits.room_bytes_max {
                self.drop_oldest(room);
            }
        }
        while self.cost_bytes > self.limits.total_bytes_max {
            let cost = |room: &RoomIndex| self.rooms[room.at()].log.cost_bytes();
            let Some(largest) = self.indices().max_by_key(cost) else {
                break;
            };
            self.drop_oldest(largest);
        }
        let mut shortened = mem::take(&mut self.shortened);
        shortened.sort_unstable();
        shortened.dedup();
        let first = |room: RoomIndex| (room, self.rooms[room.at()].log.first());
        shortened.into_iter().map(first).collect()
    }

    fn drop_oldest(&mut self, room: RoomIndex) {
        self.shortened.push(room);
        let room = &mut self.rooms[room.at()];
        let before = room.log.cost_bytes();
        room.drop_oldest();
        self.cost_bytes -= before - room.log.cost_bytes();
    }
}

impl Device {
    fn raise(&mut self, settled: u64) {
        if settled > self.counter {
            self.counter = settled;
            self.outcomes.clear();
        }
    }

    fn settle(&mut self, outcome: MessageOutcome) {
        self.counter += 1;
        if self.outcomes.len() == UNANSWERED_MESSAGES_MAX {
            self.outcomes.pop_front();
        }
        self.outcomes.push_back(outcome);
    }

    fn outcome(&self, counter: u64) -> MessageOutcome {
        usize::try_from(self.counter - counter)
            .ok()
            .and_then(|back| self.outcomes.iter().rev().nth(back))
            .copied()
            .unwrap_or(MessageOutcome::Forgotten)
    }
}

impl Room {
    fn append(
        &mut self,
        room: RoomIndex,
        now: Timestamp,
        id: MessageId,
        sender: &Member,
        body: Body,
    ) -> MessageOutcome {
        let seq = self.run.next();
        let (time, clock_was) = entry_time(now, self.correction, self.last_time);
        self.last_time = Some(time);
        self.correction = SignedDuration::ZERO;
        if clock_was.is_some() {
            self.marked.push_back(seq);
        }
        self.ids.push_back(id);
        let name = &self.name;
        let kind = EntryKind::Text(Text { body, edited: None });
        self.run
            .push(|out| encode_new(name, seq, id, sender, (time, clock_was), kind, out));
        MessageOutcome::Stored { room, seq, time }
    }

    fn finish_run(&mut self) -> Option<Segment> {
        if self.run.is_empty() {
            return None;
        }
        let next = SegmentBuilder::new(self.run.next());
        let segment = mem::replace(&mut self.run, next).finish();
        self.log.push(segment.clone());
        Some(segment)
    }

    fn drop_oldest(&mut self) {
        let before = self.log.first();
        self.log.drop_oldest();
        for _ in before..self.log.first() {
            self.ids.pop_front();
        }
        let first = self.log.first();
        while self.marked.pop_front_if(|seq| *seq < first).is_some() {}
    }

    fn extent(&self) -> Extent {
        Extent::new(self.log.first(), self.log.next() - 1)
    }

    /// The lowest number to be kept.
    fn kept_from(&self, now: Timestamp, retention: Retention) -> u64 {
        let extent = self.extent();
        let by_number = retention.messages_max.map(|max| extent.latest(max));
        let by_age = retention.keep_since.and_then(|since| {
            let oldest: Vec<u64> = self
                .marked
                .iter()
                .copied()
                .take(CORRECTIONS_MAX - 1)
                .collect();
            let end = self.marked.get(oldest.len()).copied();
            let stretches = stretches(extent.first..end.unwrap_or(extent.next()), &oldest);
            let time_at = |seq| Ok::<_, Infallible>(self.time_at(seq));
            let Ok(young) = first_young(stretches, since, now, time_at);
            young
        });
        extent.first.max(by_number.max(by_age).unwrap_or(0))
    }

    fn entry(&self, seq: u64) -> Option<Entry> {
        decode_entry(self.log.frame(seq)?)
    }

    fn time_at(&self, seq: u64) -> Timestamp {
        self.entry(seq).map_or(Timestamp::MIN, |entry| entry.time)
    }

    /// The first number of a page since this time.
    fn since(&self, time: Timestamp) -> u64 {
        let extent = self.extent();
        let skipped = self.marked.len().saturating_sub(CORRECTIONS_MAX);
        let latest: Vec<u64> = self.marked.iter().copied().skip(skipped).collect();
        let stretches = stretches(extent.numbers(), &latest);
        let time_at = |seq| Ok::<_, Infallible>(self.time_at(seq));
        let Ok(found) = times::since(stretches, time, time_at);
        found.unwrap_or(extent.next())
    }

    fn id_at(&self, seq: u64) -> Option<MessageId> {
        let index = usize::try_from(seq.checked_sub(self.log.first())?).ok()?;
        self.ids.get(index).copied()
    }
}

impl LogWriter for MemoryStore {
    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn standings(&self) -> Vec<Standing> {
        let standing = |room: &Room| Standing {
            extent: room.extent(),
            revised: Revised::default(),
        };
        self.rooms.iter().map(standing).collect()
    }

    fn known_times(&self) -> KnownTimes {
        KnownTimes {
            believed: None,
            last: self.rooms.iter().filter_map(|room| room.last_time).max(),
        }
    }

    fn append(&mut self, batch: Batch) -> Result<Committed, StoreError> {
        for room in &mut self.rooms {
            room.correction = room.correction.saturating_add(batch.correction);
        }
        let results = batch
            .operations
            .into_iter()
            .map(|operation| self.take(batch.now, operation))
            .collect();
        Ok(Committed {
            results,
            runs: self.finish_runs(),
            rewritten: Vec::new(),
            firsts: self.evict(),
            revised: Vec::new(),
        })
    }
}

impl StateStore for MemoryStore {
    fn state(&mut self) -> Result<Vec<StateRecord>, StoreError> {
        let record = |((kind, key), value): (&(Box<str>, String), &String)| StateRecord {
            kind: kind.clone(),
            key: key.clone(),
            value: Some(value.clone()),
        };
        Ok(self.records.iter().map(record).collect())
    }
}

impl Store for MemoryStore {
    fn reader(&self) -> Result<Option<Box<dyn Reader>>, StoreError> {
        Ok(None)
    }
}

impl LogReader for MemoryStore {
    fn read(
        &mut self,
        room: RoomIndex,
        from: u64,
        bytes_max: usize,
    ) -> Result<Segment, StoreError> {
        Ok(self.rooms[room.at()].log.copy(from, bytes_max))
    }

    fn page(&mut self, room: RoomIndex, part: Part) -> Result<Page, StoreError> {
        let room = &self.rooms[room.at()];
        let extent = room.extent();
        let ((from, to), ends) = span(extent, part, |time| Ok(room.since(time)))?;
        let mut frames = Frames::default();
        let mut add = |seq| room.log.frame(seq).is_some_and(|frame| frames.add(frame));
        if ends {
            let _ = (from..=to).rev().all(&mut add);
        } else {
            let _ = (from..=to).all(&mut add);
        }
        Ok(frames.into_page(extent, (from, to), ends))
    }

    fn changed(&mut self, room: RoomIndex, _: ChangedSince) -> Result<Changed, StoreError> {
        let extent = self.rooms[room.at()].extent();
        Ok(Changed {
            extent,
            through: extent.head,
            more: false,
            frames: Vec::new(),
        })
    }
}

impl SearchIndex for MemoryStore {
    fn search(&mut self, room: RoomIndex, query: &Query, to: u64) -> Result<Found, StoreError> {
        let room = &self.rooms[room.at()];
        let mut scan = Scan::new(query, room.extent(), to);
        let _ = (scan.until()..=scan.to()).rev().all(|seq| {
            room.log
                .frame(seq)
                .is_some_and(|frame| scan.look(seq, frame))
        });
        Ok(scan.finish())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::protocol::{Nickname, Role};

    fn device(name: u8) -> DeviceId {
        DeviceId::from_bytes([name; 12])
    }

    fn id(name: u8, counter: u64) -> MessageId {
        MessageId {
            device: device(name),
            counter,
        }
    }

    fn message(name: u8, counter: u64) -> Operation {
        Operation::Append {
            id: id(name, counter),
            settled: 0,
            room: RoomIndex(0),
            sender: Arc::new(Member {
                user: UserId::from_bytes([name; 12]),
                nickname: Nickname::parse("somebody").unwrap(),
                since: Timestamp::UNIX_EPOCH,
                role: Role::Member,
            }),
            content: Content::Text(Body::inert("text")),
            moderates: false,
        }
    }

    fn store(limits: MemoryLimits) -> MemoryStore {
        MemoryStore::new(Epoch::from_bytes([1; 8]), &[RoomName::lobby()], limits)
    }

    fn append(store: &mut MemoryStore, second: i64, operations: Vec<Operation>) -> Committed {
        let now = Timestamp::from_second(second).unwrap();
        store.append(Batch::new(now, operations)).unwrap()
    }

    fn stored(seq: u64, second: i64) -> MessageOutcome {
        MessageOutcome::Stored {
            room: RoomIndex(0),
            seq,
            time: Timestamp::from_second(second).unwrap(),
        }
    }

    #[test]
    fn the_oldest_entries_go_when_there_are_too_many_and_first_moves_up() {
        let mut store = store(MemoryLimits {
            room_bytes_max: 2_000,
            ..MemoryLimits::default()
        });
        let mut first = 1;
        for counter in 1..=50 {
            let committed = append(&mut store, 1, vec![message(1, counter)]);
            if let [(_, moved)] = committed.firsts[..] {
                assert!(moved > first);
                first = moved;
            }
        }
        assert_eq!(store.extents(), [Extent::new(first, 50)]);
        assert!(first > 30, "{first}");
        let page = store.read(RoomIndex(0), 1, 10_000).unwrap();
        assert_eq!((page.first(), page.next()), (first, 51));
        let look = vec![(RoomIndex(0), first - 1), (RoomIndex(0), first)];
        let opened = append(
            &mut store,
            1,
            vec![Operation::OpenDevice {
                device: device(9),
                owner: None,
                next: None,
                look,
            }],
        );
        assert_eq!(
            opened.results,
            [OpResult::Opened {
                counter: 0,
                ids: vec![None, Some(id(1, first))],
            }]
        );
    }

    #[test]
    fn the_device_silent_longest_is_forgotten_first() {
        let mut store = store(MemoryLimits {
            devices_max: 2,
            ..MemoryLimits::default()
        });
        append(&mut store, 1, vec![message(1, 1), message(2, 1)]);
        append(&mut store, 1, vec![message(1, 2), message(3, 1)]);
        let again = append(&mut store, 1, vec![message(1, 2), message(2, 2)]);
        assert_eq!(
            again.results,
            [
                OpResult::Repeated(stored(3, 1)),
                OpResult::CounterGap { counter: 0 }
            ]
        );
    }
}
