//! The log in memory: bounded, and gone with the process (so its epoch is new with each start).
//!
//! When a room, or all together, hold more than their limit, the oldest entries go and `first`
//! moves up. Of each device the counter and the outcomes of its latest messages are kept; beyond
//! [`MemoryLimits::devices_max`] devices the one that was silent longest is forgotten.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::Timestamp;

use super::{Batch, Committed, Extent, Operation, Run, Settled, Store, StoreError, Verdict};
use crate::{
    protocol::{
        DeviceId, Epoch, MessageId, RoomName, ServerFrame,
        frame::{Member, Message},
        limits::UNANSWERED_MESSAGES_MAX,
        wire::encode_server,
    },
    server::engine::{
        RoomIndex,
        tail::{Segment, SegmentBuilder, Tail},
    },
    text::Body,
};

/// How much the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Bytes of one room's log.
    pub room_bytes_max: usize,
    /// Bytes of all logs together.
    pub total_bytes_max: usize,
    /// Devices whose counters are kept; each with at most [`UNANSWERED_MESSAGES_MAX`] outcomes
    /// of 32 bytes.
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
    last_time: Timestamp,
    /// The entries of the batch under way.
    run: SegmentBuilder,
}

#[derive(Debug, Default)]
struct Device {
    /// The highest counter settled.
    counter: u64,
    /// What became of the latest counters; the last is that of `counter`.
    outcomes: VecDeque<Settled>,
    /// When it was last used, in operations.
    used: u64,
}

/// See the module's docs.
#[derive(Debug)]
pub struct MemoryStore {
    epoch: Epoch,
    limits: MemoryLimits,
    rooms: Vec<Room>,
    devices: HashMap<DeviceId, Device>,
    /// The devices by their last use: the first is forgotten first.
    by_use: BTreeMap<u64, DeviceId>,
    uses: u64,
}

impl MemoryStore {
    /// An empty log with these rooms.
    pub fn new(epoch: Epoch, rooms: &[RoomName], limits: MemoryLimits) -> Self {
        let room = |name: &RoomName| Room {
            name: name.clone(),
            log: Tail::new(1),
            ids: VecDeque::new(),
            last_time: Timestamp::MIN,
            run: SegmentBuilder::new(1),
        };
        Self {
            epoch,
            limits,
            rooms: rooms.iter().map(room).collect(),
            devices: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
        }
    }

    /// The device, now the one used last; made if it is not known.
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

    fn open(&mut self, id: DeviceId, next: Option<u64>, look: &[(RoomIndex, u64)]) -> Verdict {
        let ids = look
            .iter()
            .map(|&(room, seq)| self.rooms.get(room.at())?.id_at(seq))
            .collect();
        let settled = next.map_or(0, |next| next.saturating_sub(1));
        let counter = if self.devices.contains_key(&id) || settled > 0 {
            self.device(id, settled).counter
        } else {
            // One that never sent anything needs no place here yet.
            0
        };
        Verdict::Opened { counter, ids }
    }

    fn take(&mut self, now: Timestamp, operation: Operation) -> Verdict {
        let (id, settled) = match &operation {
            Operation::Open { device, next, look } => return self.open(*device, *next, look),
            Operation::Message { id, settled, .. } | Operation::Spend { id, settled, .. } => {
                (*id, *settled)
            }
        };
        let device = self.device(id.device, settled);
        if id.counter <= device.counter {
            return Verdict::Repeated(device.outcome(id.counter));
        }
        if id.counter > device.counter + 1 {
            return Verdict::Hole {
                counter: device.counter,
            };
        }
        let outcome = match operation {
            Operation::Message {
                room, sender, body, ..
            } => self.rooms[room.at()].append(room, now, id, &sender, body),
            Operation::Spend {
                refused: Some(code),
                ..
            } => Settled::Refused(code),
            Operation::Spend { .. } | Operation::Open { .. } => Settled::Withdrawn,
        };
        self.device(id.device, 0).settle(outcome);
        Verdict::Done(outcome)
    }

    /// Drops the oldest entries of what is over its limit, and says which rooms that changed.
    fn evict(&mut self) -> Vec<(RoomIndex, u64)> {
        let before: Vec<u64> = self.rooms.iter().map(|room| room.log.first()).collect();
        for room in &mut self.rooms {
            while room.log.cost_bytes() > self.limits.room_bytes_max {
                room.drop_oldest();
            }
        }
        let cost = |rooms: &[Room]| {
            rooms
                .iter()
                .map(|room| room.log.cost_bytes())
                .sum::<usize>()
        };
        while cost(&self.rooms) > self.limits.total_bytes_max {
            if let Some(largest) = self
                .rooms
                .iter_mut()
                .max_by_key(|room| room.log.cost_bytes())
            {
                largest.drop_oldest();
            }
        }
        (0..)
            .map(RoomIndex)
            .zip(before.iter().zip(&self.rooms))
            .filter(|(_, (before, room))| **before != room.log.first())
            .map(|(index, (_, room))| (index, room.log.first()))
            .collect()
    }
}

impl Device {
    fn raise(&mut self, settled: u64) {
        if settled > self.counter {
            self.counter = settled;
            self.outcomes.clear();
        }
    }

    fn settle(&mut self, outcome: Settled) {
        self.counter += 1;
        if self.outcomes.len() == UNANSWERED_MESSAGES_MAX {
            self.outcomes.pop_front();
        }
        self.outcomes.push_back(outcome);
    }

    fn outcome(&self, counter: u64) -> Settled {
        usize::try_from(self.counter - counter)
            .ok()
            .and_then(|back| self.outcomes.iter().rev().nth(back))
            .copied()
            .unwrap_or(Settled::Forgotten)
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
    ) -> Settled {
        let seq = self.run.next();
        let time = now.max(self.last_time);
        self.last_time = time;
        self.ids.push_back(id);
        let frame = ServerFrame::Message(Message {
            room: self.name.clone(),
            seq,
            id,
            user: sender.user,
            nickname: sender.nickname.clone(),
            time,
            body,
        });
        self.run.push(|out| encode_server(&frame, out));
        Settled::Stored { room, seq, time }
    }

    fn finish_run(&mut self) -> Option<Segment> {
        if self.run.is_empty() {
            return None;
        }
        let next = SegmentBuilder::new(self.run.next());
        let segment = std::mem::replace(&mut self.run, next).finish();
        self.log.push(segment.clone());
        Some(segment)
    }

    fn drop_oldest(&mut self) {
        let before = self.log.first();
        self.log.drop_oldest();
        for _ in before..self.log.first() {
            self.ids.pop_front();
        }
    }

    fn id_at(&self, seq: u64) -> Option<MessageId> {
        let index = usize::try_from(seq.checked_sub(self.log.first())?).ok()?;
        self.ids.get(index).copied()
    }
}

impl Store for MemoryStore {
    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn extents(&self) -> Vec<Extent> {
        let extent = |room: &Room| Extent {
            first: room.log.first(),
            head: room.log.next() - 1,
        };
        self.rooms.iter().map(extent).collect()
    }

    fn append(&mut self, batch: Batch) -> Result<Committed, StoreError> {
        let verdicts = batch
            .operations
            .into_iter()
            .map(|operation| self.take(batch.now, operation))
            .collect();
        let runs = (0..)
            .map(RoomIndex)
            .zip(&mut self.rooms)
            .filter_map(|(room, state)| {
                let segment = state.finish_run()?;
                Some(Run { room, segment })
            })
            .collect();
        Ok(Committed {
            verdicts,
            runs,
            firsts: self.evict(),
        })
    }

    fn read(
        &mut self,
        room: RoomIndex,
        from: u64,
        bytes_max: usize,
    ) -> Result<Segment, StoreError> {
        Ok(self.rooms[room.at()].log.copy(from, bytes_max))
    }
}
