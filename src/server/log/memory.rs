//! The log in memory: bounded, and lost with the process (so each start has a new epoch).
//!
//! When a room, or all rooms together, exceed their limit, the oldest entries are dropped and
//! `first` moves up. The counter of each device and the outcomes of its latest messages are kept.
//! Beyond [`MemoryLimits::devices_max`] devices, the least recently used one is forgotten.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    convert::Infallible,
};

use bytes::Bytes;
use jiff::Timestamp;

use super::{
    Batch, Changed, ChangedSince, Committed, Found, KnownTimes, LogReader, LogWriter,
    MessageOutcome, OpResult, Operation, Page, Reader, Retention, Rewritten, RoomIndex, Run,
    SearchIndex, Segment, Standing, StateRecord, StateStore, Store, StoreError,
    plan::{Lookup, PlannedDevice, RoomState, plan},
    semantics::{DeviceRecord, Scan},
};
use crate::{
    protocol::{
        DeviceId, Entry, Epoch, MessageId, RoomName, UserId, frame::Part,
        limits::UNANSWERED_MESSAGES_MAX,
    },
    search::Query,
};

mod room;

use room::Room;

/// Segments that one step of retention drops at most.
const RETAIN_STEPS_MAX: usize = 1_000;

/// Limits of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Bytes of one room's log. For each entry it takes up to 100 more, for its id, and up to 150
    /// for what has changed it.
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

#[derive(Debug, Default)]
struct Device {
    /// The owner, if they have a key.
    user: Option<UserId>,
    /// The highest counter settled.
    counter: u64,
    /// The outcomes of the latest counters; the last is that of `counter`.
    outcomes: VecDeque<MessageOutcome>,
    /// When it was last used, in uses.
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
    devices: HashMap<DeviceId, Device>,
    /// The devices by their last use: the first is forgotten first.
    by_use: BTreeMap<u64, DeviceId>,
    uses: u64,
    /// The records of the server's state, by kind and key.
    records: BTreeMap<(Box<str>, String), String>,
}

/// What the current batch has done to the logs.
#[derive(Default)]
struct Effects {
    /// The rooms that it has changed, as they stood before.
    before: BTreeMap<RoomIndex, Standing>,
    /// The new frames of entries of earlier batches.
    rewritten: BTreeMap<(RoomIndex, u64), Bytes>,
}

impl Effects {
    /// Notes that a room is about to change.
    fn note(&mut self, room: RoomIndex, rooms: &[Room]) {
        let standing = || rooms[room.at()].standing();
        self.before.entry(room).or_insert_with(standing);
    }
}

impl Lookup for MemoryStore {
    type Error = Infallible;

    fn rooms(&self) -> usize {
        self.rooms.len()
    }

    fn name(&self, room: RoomIndex) -> &RoomName {
        self.rooms[room.at()].name()
    }

    fn state(&self, room: RoomIndex) -> Option<RoomState> {
        self.rooms.get(room.at()).map(Room::state)
    }

    fn device(&mut self, id: DeviceId) -> Result<Option<DeviceRecord>, Infallible> {
        let record = |device: &Device| DeviceRecord {
            counter: device.counter,
            user: device.user,
        };
        Ok(Some(self.devices.get(&id).map(record).unwrap_or_default()))
    }

    fn outcome(&mut self, id: MessageId) -> Result<MessageOutcome, Infallible> {
        let device = self.devices.get(&id.device);
        Ok(device.map_or(MessageOutcome::Forgotten, |device| {
            device.outcome(id.counter)
        }))
    }

    fn id_at(&mut self, room: RoomIndex, seq: u64) -> Result<Option<MessageId>, Infallible> {
        Ok(self.rooms[room.at()].id_at(seq))
    }

    fn entry(&mut self, room: RoomIndex, id: MessageId) -> Result<Option<Entry>, Infallible> {
        Ok(self.rooms[room.at()].find(id))
    }

    fn entry_at(&mut self, room: RoomIndex, seq: u64) -> Result<Option<Entry>, Infallible> {
        Ok(self.rooms[room.at()].entry(seq))
    }
}

impl MemoryStore {
    /// An empty log with these rooms.
    pub fn new(epoch: Epoch, rooms: &[RoomName], limits: MemoryLimits) -> Self {
        Self {
            epoch,
            limits,
            rooms: rooms.iter().map(Room::new).collect(),
            cost_bytes: 0,
            devices: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            records: BTreeMap::new(),
        }
    }

    /// Returns the device, created if it is not known, and makes it the most recently used.
    fn use_device(&mut self, id: DeviceId) -> &mut Device {
        self.uses += 1;
        let uses = self.uses;
        let device = self.devices.entry(id).or_default();
        self.by_use.remove(&device.used);
        self.by_use.insert(uses, id);
        device.used = uses;
        if self.by_use.len() > self.limits.devices_max
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.devices.remove(&oldest);
        }
        self.devices.entry(id).or_default()
    }

    fn keep_device(&mut self, planned: PlannedDevice) {
        // A device without messages and owner takes no space yet.
        if planned.record == DeviceRecord::default() {
            return;
        }
        let device = self.use_device(planned.id);
        for (counter, outcome) in planned.outcomes {
            device.raise(counter - 1);
            device.settle(outcome);
        }
        device.raise(planned.record.counter);
        device.user = planned.record.user;
    }

    fn retain(&mut self, now: Timestamp, retention: Retention, effects: &mut Effects) -> OpResult {
        let mut steps = 0;
        let mut more = false;
        for room in self.indices() {
            let kept = self.rooms[room.at()].kept_from(now, retention);
            while steps < RETAIN_STEPS_MAX && self.rooms[room.at()].extent().first < kept {
                self.drop_oldest(room, effects);
                steps += 1;
            }
            more |= self.rooms[room.at()].extent().first < kept;
        }
        OpResult::Retained { more }
    }

    fn indices(&self) -> impl Iterator<Item = RoomIndex> + use<> {
        let count = self.rooms.len();
        (0..).map(RoomIndex).take(count)
    }

    fn put_state(&mut self, records: &[StateRecord]) {
        for record in records {
            record.assert_bounded();
            let key = (record.kind.clone(), record.key.clone());
            match &record.value {
                Some(value) => drop(self.records.insert(key, value.clone())),
                None => drop(self.records.remove(&key)),
            }
        }
    }

    /// Changes a room, and counts the memory that it takes.
    fn change<T>(&mut self, room: RoomIndex, change: impl FnOnce(&mut Room) -> T) -> T {
        let room = &mut self.rooms[room.at()];
        let before = room.cost_bytes();
        let changed = change(room);
        self.cost_bytes = self.cost_bytes + room.cost_bytes() - before;
        changed
    }

    /// Drops the oldest entries beyond the limits: of these rooms, then of the largest ones.
    fn evict(&mut self, touched: &[Run], effects: &mut Effects) {
        for run in touched {
            while self.rooms[run.room.at()].cost_bytes() > self.limits.room_bytes_max {
                self.drop_oldest(run.room, effects);
            }
        }
        while self.cost_bytes > self.limits.total_bytes_max {
            let cost = |room: &RoomIndex| self.rooms[room.at()].cost_bytes();
            let Some(largest) = self.indices().max_by_key(cost) else {
                break;
            };
            self.drop_oldest(largest, effects);
        }
    }

    /// Drops a room's oldest segment. Edits of the entries in it lose their texts.
    fn drop_oldest(&mut self, room: RoomIndex, effects: &mut Effects) {
        effects.note(room, &self.rooms);
        for (seq, frame) in self.change(room, Room::drop_oldest) {
            effects.rewritten.insert((room, seq), frame);
        }
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
        self.counter
            .checked_sub(counter)
            .and_then(|back| usize::try_from(back).ok())
            .and_then(|back| self.outcomes.iter().rev().nth(back))
            .copied()
            .unwrap_or(MessageOutcome::Forgotten)
    }
}

impl LogWriter for MemoryStore {
    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn standings(&self) -> Vec<Standing> {
        self.rooms.iter().map(Room::standing).collect()
    }

    fn known_times(&self) -> KnownTimes {
        KnownTimes {
            believed: None,
            last: self.rooms.iter().filter_map(Room::last_time).max(),
        }
    }

    fn append(&mut self, batch: Batch) -> Result<Committed, StoreError> {
        let mut effects = Effects::default();
        let mut retained = Vec::new();
        for operation in &batch.operations {
            if let Operation::Retain(retention) = operation {
                retained.push(self.retain(batch.now, *retention, &mut effects));
            }
        }
        let Ok(plan) = plan(self, batch, retained);
        for (room, _) in &plan.rooms {
            effects.note(*room, &self.rooms);
        }
        for device in plan.devices {
            self.keep_device(device);
        }
        self.put_state(&plan.records);
        for Rewritten { room, seq, frame } in plan.rewritten {
            self.change(room, |room| room.replace(seq, &frame));
            effects.rewritten.insert((room, seq), frame);
        }
        let mut runs = Vec::new();
        for (room, planned) in plan.rooms {
            let segment = planned.run.clone();
            if !segment.is_empty() {
                runs.push(Run { room, segment });
            }
            self.change(room, |room| room.take(planned));
        }
        for ((room, seq), change) in plan.changes {
            self.rooms[room.at()].note(seq, change);
        }
        self.evict(&runs, &mut effects);
        if !effects.rewritten.is_empty() {
            for Run { room, segment } in &mut runs {
                self.rooms[room.at()].refresh(segment);
            }
        }
        let Effects { before, rewritten } = effects;
        let stands = |room: RoomIndex| self.rooms[room.at()].standing();
        let is_old = |room: &RoomIndex, seq: u64| {
            let before = before.get(room);
            let held = stands(*room).extent.first;
            before.is_some_and(|before| (held..before.extent.next()).contains(&seq))
        };
        Ok(Committed {
            results: plan.results,
            rewritten: rewritten
                .into_iter()
                .filter(|((room, seq), _)| is_old(room, *seq))
                .map(|((room, seq), frame)| Rewritten { room, seq, frame })
                .collect(),
            firsts: before
                .iter()
                .map(|(room, before)| (*room, before.extent.first, stands(*room).extent.first))
                .filter(|(_, before, first)| before != first)
                .map(|(room, _, first)| (room, first))
                .collect(),
            revised: before
                .iter()
                .map(|(room, before)| (*room, before.revised, stands(*room).revised))
                .filter(|(_, before, revised)| before != revised)
                .map(|(room, _, revised)| (room, revised))
                .collect(),
            runs,
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
        Ok(self.rooms[room.at()].copy(from, bytes_max))
    }

    fn page(&mut self, room: RoomIndex, part: Part) -> Result<Page, StoreError> {
        self.rooms[room.at()].page(part)
    }

    fn changed(&mut self, room: RoomIndex, wanted: ChangedSince) -> Result<Changed, StoreError> {
        self.rooms[room.at()].changed(wanted)
    }
}

impl SearchIndex for MemoryStore {
    fn search(&mut self, room: RoomIndex, query: &Query, to: u64) -> Result<Found, StoreError> {
        let room = &self.rooms[room.at()];
        let mut scan = Scan::new(query, room.extent(), to);
        let _ = (scan.until()..=scan.to())
            .rev()
            .all(|seq| room.frame(seq).is_some_and(|frame| scan.look(seq, frame)));
        Ok(scan.finish())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        protocol::{Content, Extent, Nickname, Role, frame::Member},
        text::Body,
    };

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

    #[test]
    fn the_text_of_an_edit_goes_with_its_message_whatever_took_that() {
        let mut store = store(MemoryLimits {
            room_bytes_max: 3_000,
            ..MemoryLimits::default()
        });
        let edit = |counter, text: &str| {
            let mut operation = message(1, counter);
            if let Operation::Append { content, .. } = &mut operation {
                *content = Content::Edit {
                    target: id(1, 1),
                    body: Body::inert(text),
                };
            }
            operation
        };
        append(&mut store, 1, vec![message(1, 1)]);
        append(&mut store, 1, vec![edit(2, "secret")]);
        let holds_secret = |bytes: &[u8]| memchr::memmem::find(bytes, b"secret").is_some();
        let mut counter = 2;
        let dropped = loop {
            counter += 1;
            let committed = append(&mut store, 1, vec![message(1, counter)]);
            if !committed.firsts.is_empty() {
                break committed;
            }
        };
        assert_eq!(dropped.firsts, [(RoomIndex(0), 2)]);
        let [Rewritten { seq: 2, frame, .. }] = &dropped.rewritten[..] else {
            panic!("{dropped:?}")
        };
        assert!(!holds_secret(frame));
        let read = store.read(RoomIndex(0), 1, 10_000).unwrap();
        assert!(read.first() == 2 && !holds_secret(read.bytes()));
        // Its message may go with the very batch that edits it.
        let target = read.frame(3).map(decoded).unwrap();
        let mut last = edit(counter + 1, &"secret ".repeat(300));
        if let Operation::Append {
            content: Content::Edit { target: named, .. },
            ..
        } = &mut last
        {
            *named = target;
        }
        let committed = append(&mut store, 1, vec![last]);
        assert!(committed.firsts[0].1 > 3, "{committed:?}");
        assert!(!holds_secret(committed.runs[0].segment.bytes()));
        let read = store.read(RoomIndex(0), 1, 10_000).unwrap();
        assert!(!holds_secret(read.bytes()));
    }

    fn decoded(frame: &[u8]) -> MessageId {
        crate::server::log::semantics::decode_entry(frame)
            .unwrap()
            .id
    }
}
