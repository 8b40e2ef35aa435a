//! A replica of the data that subscribers need: the end of each room's log, the latest changes of
//! its member list, and the list itself.
//!
//! Each worker has its own, so that nothing is locked; the bytes are shared between them. A replica
//! is bounded in bytes for each room and in total. A subscriber that has fallen behind it gets
//! messages from the store and member lists by pages.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::Arc,
};

use jiff::tz::TimeZone;

use super::{
    event::{MemberChange, PresenceChanges, Publication},
    member_list::{Members, Page},
};
use crate::{
    protocol::{RoomId, UserId},
    server::log::segment::Tail,
};

/// The size limits of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaLimits {
    /// Most bytes of the latest messages of one room.
    pub messages_bytes_max: usize,
    /// Most bytes of the latest member changes of one room.
    pub presence_bytes_max: usize,
    /// Most bytes of both over all rooms.
    pub total_bytes_max: usize,
}

impl Default for ReplicaLimits {
    fn default() -> Self {
        Self {
            messages_bytes_max: 1024 * 1024,
            presence_bytes_max: 512 * 1024,
            total_bytes_max: 64 * 1024 * 1024,
        }
    }
}

/// Most bytes of the latest member changes of a room at rest: a subscriber that missed more reads
/// the list.
const PRESENCE_AT_REST_BYTES: usize = 4 * 1024;

/// A room's position in a replica, where it stays: what a subscriber keeps of each of its rooms,
/// and finds it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomSlot(u32);

impl RoomSlot {
    /// Its number, from 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One room's part of a replica.
#[derive(Debug)]
pub struct RoomReplica {
    id: RoomId,
    /// Numbered by `seq`.
    pub messages: Tail,
    /// Numbered by the member list's version.
    pub presence: Tail,
    /// For each segment of `presence`, its first version and the number of the message that came
    /// next when it was published.
    marks: VecDeque<(u64, u64)>,
    /// The member list.
    pub members: Members,
    /// Whether the member list was changed or read since [`Replica::rest`] was last called.
    lively: bool,
}

impl RoomReplica {
    fn new(id: RoomId, head: u64) -> Self {
        Self {
            id,
            messages: Tail::new(head + 1),
            presence: Tail::new(1),
            marks: VecDeque::new(),
            members: Members::default(),
            lively: false,
        }
    }

    /// The room's id.
    pub fn id(&self) -> RoomId {
        self.id
    }

    /// The page of the member list behind a user.
    fn page(&mut self, after: Option<UserId>) -> Page {
        // The changes from `first` on are held: a page from just before them is good.
        let oldest = self.presence.first() - 1;
        let version = self.presence.next() - 1;
        self.members.page(self.id, after, version, oldest)
    }

    /// The number of the message before which a member change happened: a subscriber delivers both
    /// in this order.
    pub fn message_behind(&self, version: u64) -> u64 {
        let behind = self.marks.partition_point(|(first, _)| *first <= version);
        let mark = behind.checked_sub(1).and_then(|at| self.marks.get(at));
        mark.map_or(0, |(_, message)| *message)
    }

    /// The first member change that happened after a message was stored: a subscriber that delivers
    /// that message next must not deliver the change yet. `u64::MAX`: there is none.
    pub fn change_ahead(&self, message: u64) -> u64 {
        let ahead = self.marks.partition_point(|(_, next)| *next <= message);
        self.marks.get(ahead).map_or(u64::MAX, |(first, _)| *first)
    }

    fn publish(&mut self, run: &PresenceChanges) {
        self.members.change_at(run.at);
        for change in &run.changes {
            match change {
                MemberChange::Put(member) => self.members.put(Arc::clone(member)),
                MemberChange::Remove(user) => self.members.remove(*user),
                MemberChange::Rules(rules) => self.members.rule(Arc::clone(rules)),
            }
        }
        let mark = (run.segment.first(), self.messages.next());
        self.marks.push_back(mark);
        self.presence.push(run.segment.clone());
    }

    /// Drops the segments of which all messages were erased from the log. Returns the bytes freed.
    fn begin_at(&mut self, first: u64) -> usize {
        let mut freed = 0;
        while self
            .messages
            .first_segment_next()
            .is_some_and(|next| next <= first)
        {
            freed += self.drop_oldest_message();
        }
        freed
    }

    /// Frees what a crowd needed. Returns the bytes of tails freed.
    fn rest(&mut self) -> usize {
        self.members.forget_pages();
        let mut freed = 0;
        while self.presence.cost_bytes() > PRESENCE_AT_REST_BYTES {
            freed += self.drop_oldest_presence();
        }
        freed
    }

    fn drop_oldest_message(&mut self) -> usize {
        self.messages.drop_oldest().unwrap_or(0)
    }

    fn drop_oldest_presence(&mut self) -> usize {
        self.marks.pop_front();
        self.presence.drop_oldest().unwrap_or(0)
    }

    fn cost_bytes(&self) -> usize {
        self.messages.cost_bytes() + self.presence.cost_bytes()
    }
}

/// The replica of all rooms.
#[derive(Debug)]
pub struct Replica {
    rooms: Vec<RoomReplica>,
    slots: HashMap<RoomId, RoomSlot>,
    /// Rooms with activity since [`rest`](Self::rest) was last called.
    stirred: Vec<RoomSlot>,
    /// Rooms with activity between that call and the one before.
    resting: Vec<RoomSlot>,
    limits: ReplicaLimits,
    cost_bytes: usize,
    /// The number of clients of this replica whose writes are
    /// [spaced](super::client::Abilities::is_spaced) in time: the more, the longer the spaces.
    pub spaced_readers: u32,
    /// The server's time zone, for clients whose protocol has times without one.
    pub zone: TimeZone,
    /// What is read of a room that never had an entry or a member.
    nothing: RoomReplica,
    /// The room that drops bytes next when the total is exceeded: they take turns.
    turn: usize,
}

impl Replica {
    /// A replica of empty rooms, each with the highest message number so far.
    pub fn new(rooms: impl IntoIterator<Item = (RoomId, u64)>, limits: ReplicaLimits) -> Self {
        let mut replica = Self {
            rooms: Vec::new(),
            slots: HashMap::new(),
            stirred: Vec::new(),
            resting: Vec::new(),
            limits,
            cost_bytes: 0,
            spaced_readers: 0,
            zone: TimeZone::UTC,
            nothing: RoomReplica::new(RoomId::LOBBY, 0),
            turn: 0,
        };
        for (room, head) in rooms {
            replica.add(room, head);
        }
        replica
    }

    fn add(&mut self, room: RoomId, head: u64) -> RoomSlot {
        let slot = u32::try_from(self.rooms.len());
        let slot = RoomSlot(slot.unwrap_or_else(|_| unreachable!("rooms are fewer")));
        self.rooms.push(RoomReplica::new(room, head));
        self.slots.insert(room, slot);
        slot
    }

    /// One room.
    pub fn room(&self, room: RoomId) -> &RoomReplica {
        self.find(room).map_or(&self.nothing, |slot| self.at(slot))
    }

    /// A room's position, if it ever had an entry, a member or a reader.
    pub fn find(&self, room: RoomId) -> Option<RoomSlot> {
        self.slots.get(&room).copied()
    }

    /// A room's position; it is added if it is new: its first entry is still to come.
    pub fn slot(&mut self, room: RoomId) -> RoomSlot {
        self.find(room).unwrap_or_else(|| self.add(room, 0))
    }

    /// The room at a position.
    pub fn at(&self, slot: RoomSlot) -> &RoomReplica {
        &self.rooms[slot.index()]
    }

    fn room_mut(&mut self, room: RoomId) -> &mut RoomReplica {
        let slot = self.slot(room);
        &mut self.rooms[slot.index()]
    }

    /// The page of a room's member list behind a user.
    pub fn page(&mut self, slot: RoomSlot, after: Option<UserId>) -> Page {
        self.stir(slot);
        self.rooms[slot.index()].page(after)
    }

    fn stir(&mut self, slot: RoomSlot) {
        let room = &mut self.rooms[slot.index()];
        if !room.lively {
            room.lively = true;
            self.stirred.push(slot);
        }
    }

    /// Frees what rooms without activity since the last call had kept for a crowd. Call it at
    /// intervals.
    pub fn rest(&mut self) {
        for slot in mem::replace(&mut self.resting, mem::take(&mut self.stirred)) {
            let room = &mut self.rooms[slot.index()];
            if !room.lively {
                self.cost_bytes -= room.rest();
            }
        }
        for slot in &self.resting {
            self.rooms[slot.index()].lively = false;
        }
    }

    /// Applies a publication of the hub.
    pub fn publish(&mut self, publication: &Publication) {
        for run in &publication.runs {
            self.cost_bytes += run.segment.cost_bytes();
            let limit = self.limits.messages_bytes_max;
            let room = self.room_mut(run.room);
            room.messages.push(run.segment.clone());
            let mut freed = 0;
            while room.messages.cost_bytes() > limit {
                freed += room.drop_oldest_message();
            }
            self.cost_bytes -= freed;
        }
        // After the new entries: some of them may be held already.
        for rewritten in &publication.rewritten {
            let messages = &mut self.room_mut(rewritten.room).messages;
            let grown = messages.replace(rewritten.seq, &rewritten.frame);
            self.cost_bytes = self.cost_bytes.saturating_add_signed(grown);
        }
        for (room, rules) in &publication.rules {
            self.room_mut(*room).members.rule(Arc::clone(rules));
        }
        for &(room, first) in &publication.firsts {
            let freed = self.room_mut(room).begin_at(first);
            self.cost_bytes -= freed;
        }
        for run in &publication.presence {
            let slot = self.slot(run.room);
            self.stir(slot);
            self.cost_bytes += run.segment.cost_bytes();
            let limit = self.limits.presence_bytes_max;
            let room = &mut self.rooms[slot.index()];
            room.publish(run);
            let mut freed = 0;
            while room.presence.cost_bytes() > limit {
                freed += room.drop_oldest_presence();
            }
            self.cost_bytes -= freed;
        }
        self.keep_within_total();
    }

    fn keep_within_total(&mut self) {
        while self.cost_bytes > self.limits.total_bytes_max {
            let turn = self.turn % self.rooms.len();
            self.turn = turn + 1;
            let room = &mut self.rooms[turn];
            self.cost_bytes -= if room.messages.cost_bytes() >= room.presence.cost_bytes() {
                room.drop_oldest_message()
            } else {
                room.drop_oldest_presence()
            };
        }
        debug_assert_eq!(
            self.cost_bytes,
            self.rooms
                .iter()
                .map(RoomReplica::cost_bytes)
                .sum::<usize>()
        );
    }
}
