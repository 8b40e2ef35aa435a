//! The log in memory: bounded, and lost with the process (so each start has a new epoch).
//!
//! When a room, or all rooms together, exceed their limit, the oldest entries are dropped and
//! `first` moves up. The counter of each device and the outcomes of its latest messages are kept.
//! Beyond [`MemoryLimits::devices_max`] devices, the least recently used one is forgotten.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    convert::Infallible,
};

use bytes::Bytes;
use jiff::Timestamp;

use super::{
    Batch, Changed, ChangedSince, Committed, Found, Inbox, KnownTimes, LogReader, LogWriter,
    MessageOutcome, OpResult, Operation, Page, Readable, Reader, Retention, Rewritten, Run,
    SearchIndex, Segment, Standing, StateRecord, StateStore, Store, StoreError, Unread,
    plan::{Lookup, PlannedDevice, RoomState, count_unread, plan},
    semantics::{
        DeviceRecord, InboxScan, MENTIONS_COUNTED_MAX, Scan, UnreadScan, holds, is_unread,
    },
};
use crate::{
    protocol::{
        Count, DeviceId, Entry, Epoch, MessageId, RoomId, UserId, frame::Part,
        limits::UNANSWERED_MESSAGES_MAX,
    },
    search::Query,
};

mod mentions;
mod room;

use mentions::Mentions;
use room::Room;

/// Segments that one step of retention drops at most.
const RETAIN_STEPS_MAX: usize = 1_000;

/// Limits of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Bytes of one room's log. For each entry it takes up to 100 more, for its id, up to 150 for what
    /// has changed it, and up to 200 for each user whom it mentions.
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
    /// The rooms that ever had an entry.
    rooms: BTreeMap<RoomId, Room>,
    /// The same, by the memory that each takes.
    by_cost: BTreeSet<(usize, RoomId)>,
    /// The log of every other room.
    empty: Room,
    /// The memory that all logs take together.
    cost_bytes: usize,
    devices: HashMap<DeviceId, Device>,
    /// The devices by their last use: the first is forgotten first.
    by_use: BTreeMap<u64, DeviceId>,
    uses: u64,
    mentions: Mentions,
    /// The records of the server's state, by kind and key.
    records: BTreeMap<(Box<str>, String), String>,
}

/// What the current batch has done to the logs.
#[derive(Default)]
struct Effects {
    /// The rooms that it has changed, as they stood before.
    before: BTreeMap<RoomId, Standing>,
    /// The new frames of entries of earlier batches.
    rewritten: BTreeMap<(RoomId, u64), Bytes>,
}

impl Effects {
    /// Notes that a room is about to change.
    fn note(&mut self, room: RoomId, store: &MemoryStore) {
        let standing = || store.room(room).standing();
        self.before.entry(room).or_insert_with(standing);
    }
}

impl Lookup for MemoryStore {
    type Error = Infallible;

    fn rooms(&self) -> Vec<RoomId> {
        self.rooms.keys().copied().collect()
    }

    fn state(&self, room: RoomId) -> RoomState {
        self.room(room).state()
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

    fn id_at(&mut self, room: RoomId, seq: u64) -> Result<Option<MessageId>, Infallible> {
        Ok(self.room(room).id_at(seq))
    }

    fn entry(&mut self, room: RoomId, id: MessageId) -> Result<Option<Entry>, Infallible> {
        Ok(self.room(room).find(id))
    }

    fn entry_at(&mut self, room: RoomId, seq: u64) -> Result<Option<Entry>, Infallible> {
        Ok(self.room(room).entry(seq))
    }
}

impl MemoryStore {
    /// An empty log.
    pub fn new(epoch: Epoch, limits: MemoryLimits) -> Self {
        Self {
            epoch,
            limits,
            rooms: BTreeMap::new(),
            by_cost: BTreeSet::new(),
            empty: Room::new(),
            cost_bytes: 0,
            devices: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            mentions: Mentions::default(),
            records: BTreeMap::new(),
        }
    }

    fn room(&self, id: RoomId) -> &Room {
        self.rooms.get(&id).unwrap_or(&self.empty)
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
        let due: Vec<_> = self
            .rooms
            .iter()
            .map(|(id, room)| (*id, room.kept_from(now, retention)))
            .filter(|(id, kept)| self.room(*id).extent().first < *kept)
            .collect();
        for (room, kept) in due {
            let first = |store: &Self| store.room(room).extent().first;
            while steps < RETAIN_STEPS_MAX && first(self) < kept {
                self.drop_oldest(room, effects);
                steps += 1;
            }
            more |= first(self) < kept;
        }
        OpResult::Retained { more }
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
    fn change<T>(&mut self, id: RoomId, change: impl FnOnce(&mut Room) -> T) -> T {
        let room = self.rooms.entry(id).or_insert_with(Room::new);
        let before = room.cost_bytes();
        let changed = change(room);
        let cost = room.cost_bytes();
        if cost != before {
            self.by_cost.remove(&(before, id));
            self.by_cost.insert((cost, id));
        }
        self.cost_bytes = self.cost_bytes + cost - before;
        changed
    }

    /// Drops the oldest entries beyond the limits: of these rooms, then of the largest ones.
    fn evict(&mut self, touched: &[Run], effects: &mut Effects) {
        for run in touched {
            let cost = |store: &Self| store.room(run.room).cost_bytes();
            while cost(self) > self.limits.room_bytes_max {
                self.drop_oldest(run.room, effects);
            }
        }
        while self.cost_bytes > self.limits.total_bytes_max {
            let Some(&(_, largest)) = self.by_cost.last() else {
                break;
            };
            self.drop_oldest(largest, effects);
        }
    }

    /// Drops a room's oldest segment. Edits of the entries in it lose their texts.
    fn drop_oldest(&mut self, room: RoomId, effects: &mut Effects) {
        effects.note(room, self);
        let before = self.room(room).extent().first;
        let scrubbed = self.change(room, Room::drop_oldest);
        let first = self.room(room).extent().first;
        self.mentions.remove(room, before..first);
        for (seq, frame) in scrubbed {
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

    fn standings(&self) -> Vec<(RoomId, Standing)> {
        let rooms = self.rooms.iter();
        rooms.map(|(id, room)| (*id, room.standing())).collect()
    }

    fn known_times(&self) -> KnownTimes {
        KnownTimes {
            believed: None,
            last: self.rooms.values().filter_map(Room::last_time).max(),
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
        let Ok(mut plan) = plan(self, batch, retained);
        for (room, _) in &plan.rooms {
            effects.note(*room, self);
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
        for planned in &plan.mentions {
            self.mentions.add(planned);
        }
        for ((room, seq), change) in plan.changes {
            if change.redacted.is_some() {
                self.mentions.remove(room, seq..seq + 1);
            }
            self.change(room, |room| room.note(seq, change));
        }
        self.evict(&runs, &mut effects);
        if !effects.rewritten.is_empty() {
            for Run { room, segment } in &mut runs {
                self.room(*room).refresh(segment);
            }
        }
        count_unread(
            &mut plan.results,
            plan.counts,
            |user, ignored, room, above| {
                let goes_on = self.room(room).extent().head > above;
                goes_on
                    .then(|| self.unread(user, ignored, room, above))
                    .transpose()
            },
        )?;
        let Effects { before, rewritten } = effects;
        let stands = |room: RoomId| self.room(room).standing();
        let is_old = |room: &RoomId, seq: u64| {
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
    fn read(&mut self, room: RoomId, from: u64, bytes_max: usize) -> Result<Segment, StoreError> {
        Ok(self.room(room).copy(from, bytes_max))
    }

    fn page(&mut self, room: RoomId, part: Part) -> Result<Page, StoreError> {
        self.room(room).page(part)
    }

    fn changed(&mut self, room: RoomId, wanted: ChangedSince) -> Result<Changed, StoreError> {
        self.room(room).changed(wanted)
    }

    fn inbox(
        &mut self,
        user: UserId,
        readable: &[Readable],
        before: Option<u64>,
    ) -> Result<Inbox, StoreError> {
        let rooms = readable.iter().map(|part| (part.room, &part.ranges[..]));
        let rooms: HashMap<_, _> = rooms.collect();
        let mut page = InboxScan::default();
        let before = before.unwrap_or(u64::MAX);
        for (position, room, seq, everyone) in self.mentions.of(user, before) {
            if !page.look(position) {
                break;
            }
            let may_read = rooms.get(&room).is_some_and(|ranges| holds(ranges, seq));
            let room = self.room(room);
            let Some(frame) = room.frame(seq).filter(|_| may_read) else {
                continue;
            };
            let is_own = || room.entry(seq).is_some_and(|it| it.author.user == user);
            if everyone && is_own() {
                continue;
            }
            if !page.add(position, frame) {
                break;
            }
        }
        Ok(page.finish())
    }

    fn unread(
        &mut self,
        user: UserId,
        ignored: &[UserId],
        id: RoomId,
        above: u64,
    ) -> Result<Unread, StoreError> {
        let room = self.room(id);
        let extent = room.extent();
        let mut scan = UnreadScan::new(user, ignored);
        let above = above.max(extent.first - 1);
        let _ = (above.saturating_add(1)..=extent.head)
            .rev()
            .all(|seq| room.frame(seq).is_some_and(|frame| scan.look(frame)));
        let unread = |seq| {
            room.entry(seq)
                .is_some_and(|entry| is_unread(&entry, user, ignored))
        };
        let mentions = self.mentions.above(user, id, above);
        let mentions = mentions.take(MENTIONS_COUNTED_MAX as usize);
        // Of somebody who is mentioned themselves the author is another user.
        let is_known = |everyone: bool| !everyone && ignored.is_empty();
        let mentions = mentions.filter(|(seq, everyone)| is_known(*everyone) || unread(*seq));
        Ok(Unread {
            entries: scan.finish(),
            mentions: Count::new(mentions.count() as u64),
        })
    }
}

impl SearchIndex for MemoryStore {
    fn search(&mut self, room: RoomId, query: &Query, to: u64) -> Result<Found, StoreError> {
        let room = self.room(room);
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
        protocol::{Content, Extent, Mentions, Nickname, Role, frame::Member},
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
            room: RoomId::LOBBY,
            sender: Arc::new(Member {
                user: UserId::from_bytes([name; 12]),
                nickname: Nickname::parse("somebody").unwrap(),
                since: Timestamp::UNIX_EPOCH,
                role: Role::Member,
            }),
            content: Content::Text(Body::inert("text")),
            mentions: Mentions::NONE,
            moderates: false,
        }
    }

    fn store(limits: MemoryLimits) -> MemoryStore {
        MemoryStore::new(Epoch::from_bytes([1; 8]), limits)
    }

    fn append(store: &mut MemoryStore, second: i64, operations: Vec<Operation>) -> Committed {
        let now = Timestamp::from_second(second).unwrap();
        store.append(Batch::new(now, operations)).unwrap()
    }

    fn stored(seq: u64, second: i64) -> MessageOutcome {
        MessageOutcome::Stored {
            room: RoomId::LOBBY,
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
        assert_eq!(store.extents(), [(RoomId::LOBBY, Extent::new(first, 50))]);
        assert!(first > 30, "{first}");
        let page = store.read(RoomId::LOBBY, 1, 10_000).unwrap();
        assert_eq!((page.first(), page.next()), (first, 51));
        let look = vec![(RoomId::LOBBY, first - 1), (RoomId::LOBBY, first)];
        let opened = append(
            &mut store,
            1,
            vec![Operation::OpenDevice {
                device: device(9),
                owner: None,
                next: None,
                look,
                unread: None,
            }],
        );
        assert_eq!(
            opened.results,
            [OpResult::Opened {
                counter: 0,
                ids: vec![None, Some(id(1, first))],
                unread: Vec::new(),
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
        assert_eq!(dropped.firsts, [(RoomId::LOBBY, 2)]);
        let [Rewritten { seq: 2, frame, .. }] = &dropped.rewritten[..] else {
            panic!("{dropped:?}")
        };
        assert!(!holds_secret(frame));
        let read = store.read(RoomId::LOBBY, 1, 10_000).unwrap();
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
        let read = store.read(RoomId::LOBBY, 1, 10_000).unwrap();
        assert!(!holds_secret(read.bytes()));
    }

    fn decoded(frame: &[u8]) -> MessageId {
        crate::server::log::semantics::decode_entry(frame)
            .unwrap()
            .id
    }
}
