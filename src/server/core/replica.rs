//! A replica of the data that subscribers need: the end of each room's log, the latest changes of
//! its member list, and the list itself.
//!
//! Each worker has its own, so that nothing is locked; the bytes are shared between them. A replica
//! is bounded in bytes for each room and in total. A subscriber that has fallen behind it gets
//! messages from the store and member lists by pages.

use std::{collections::VecDeque, mem, sync::Arc};

use jiff::tz::TimeZone;

use super::{
    event::{MemberChange, PresenceChanges, Publication},
    member_list::{Members, Page},
    room_map::RoomMap,
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
    rooms: RoomMap<RoomReplica>,
    /// Rooms with activity since [`rest`](Self::rest) was last called.
    stirred: Vec<RoomId>,
    /// Rooms with activity between that call and the one before.
    resting: Vec<RoomId>,
    limits: ReplicaLimits,
    cost_bytes: usize,
    /// The number of clients of this replica whose writes are
    /// [spaced](super::client::Abilities::is_spaced) in time: the more, the longer the spaces.
    pub spaced_readers: u32,
    /// The server's time zone, for clients whose protocol has times without one.
    pub zone: TimeZone,
    /// What is read of a room that never had an entry or a member.
    nothing: RoomReplica,
    /// The rooms in the order in which they drop bytes when the total is exceeded: they take turns.
    turns: VecDeque<RoomId>,
}

impl Replica {
    /// A replica of empty rooms, each with the highest message number so far.
    pub fn new(rooms: impl IntoIterator<Item = (RoomId, u64)>, limits: ReplicaLimits) -> Self {
        let view = |(room, head)| (room, RoomReplica::new(room, head));
        let rooms: RoomMap<_> = rooms.into_iter().map(view).collect();
        Self {
            stirred: Vec::new(),
            resting: Vec::new(),
            limits,
            cost_bytes: 0,
            spaced_readers: 0,
            zone: TimeZone::UTC,
            nothing: RoomReplica::new(RoomId::LOBBY, 0),
            turns: rooms.keys().copied().collect(),
            rooms,
        }
    }

    /// One room.
    pub fn room(&self, room: RoomId) -> &RoomReplica {
        self.rooms.get(&room).unwrap_or(&self.nothing)
    }

    /// One room, which is added if it is new: its first entry is still to come.
    fn room_mut(&mut self, room: RoomId) -> &mut RoomReplica {
        let turns = &mut self.turns;
        self.rooms.entry(room).or_insert_with(|| {
            turns.push_back(room);
            RoomReplica::new(room, 0)
        })
    }

    /// The page of a room's member list behind a user.
    pub fn page(&mut self, room: RoomId, after: Option<UserId>) -> Page {
        self.stir(room);
        self.rooms[room].page(after)
    }

    fn stir(&mut self, index: RoomId) {
        let room = self.room_mut(index);
        if !room.lively {
            room.lively = true;
            self.stirred.push(index);
        }
    }

    /// Frees what rooms without activity since the last call had kept for a crowd. Call it at
    /// intervals.
    pub fn rest(&mut self) {
        for index in mem::replace(&mut self.resting, mem::take(&mut self.stirred)) {
            let Some(room) = self.rooms.get_mut(&index) else {
                continue;
            };
            if !room.lively {
                self.cost_bytes -= room.rest();
            }
        }
        for index in &self.resting {
            if let Some(room) = self.rooms.get_mut(index) {
                room.lively = false;
            }
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
            self.stir(run.room);
            self.cost_bytes += run.segment.cost_bytes();
            let limit = self.limits.presence_bytes_max;
            let room = self.room_mut(run.room);
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
            self.turns.rotate_left(1);
            let Some(room) = self.turns.back().and_then(|room| self.rooms.get_mut(room)) else {
                break;
            };
            self.cost_bytes -= if room.messages.cost_bytes() >= room.presence.cost_bytes() {
                room.drop_oldest_message()
            } else {
                room.drop_oldest_presence()
            };
        }
        debug_assert_eq!(
            self.cost_bytes,
            self.rooms
                .values()
                .map(RoomReplica::cost_bytes)
                .sum::<usize>()
        );
    }
}
