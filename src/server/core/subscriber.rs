//! A subscriber: reads the rooms for one connection, by cursors.
//!
//! A subscriber has no queue. In a room where something is to be written, it holds the number of the
//! next message and the version of the next member change; what lies between them and the end of
//! the log *is* its backlog, shared by all. Where it has written everything it holds nothing, until
//! it is [woken](Subscriber::wake), unless it reads the room's member list. Besides, it holds
//! unwritten answers (bounded by the pending requests of one connection) and the rest of a frame that was written in part: at most a page or
//! [`limits::FRAME_BYTES_MAX`](crate::protocol::limits::FRAME_BYTES_MAX), however far it is behind.
//! A message that the replica's tails no longer hold comes from the store, by pages that the driver
//! fetches ([`Turn::Fetch`]). If they no longer hold a member change, the subscriber reads the
//! member list anew.

use std::mem;

use bytes::{Buf, Bytes};

use super::replica::{Replica, RoomReplica, RoomSlot};
use crate::protocol::RoomId;
use crate::protocol::UserId;
use crate::server::log::segment::{Gather, Segment};

/// Cursors for which there is space at any time.
const CURSORS_KEPT: usize = 1;

/// The next thing that a subscriber needs.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "lives on the stack for the length of one write"
)]
pub enum Turn<'a> {
    /// Write these bytes; report the count with `handle_written`.
    Write(Gather<'a>),
    /// Fetch a page of a room's log from this number on; hand it to `handle_page`.
    Fetch {
        /// The room.
        room: RoomId,
        /// The number.
        from: u64,
    },
    /// Nothing before this time.
    Wait(std::time::Duration),
    /// Nothing before a publication or a request.
    Idle,
    /// Everything is written, including the last frame: close the connection.
    Done,
}

/// The source of the last turn's bytes, with the index of its cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Rest,
    Messages(u32),
    Presence(u32),
}

/// Bytes for this client alone.
#[derive(Debug, Default)]
struct Outgoing {
    /// The rest of what is being written.
    rest: Bytes,
    /// Answers that come after `rest`.
    answers: Vec<u8>,
    /// Whether an answer is in `rest` or `answers`.
    answering: bool,
}

#[derive(Debug)]
struct Cursor {
    room: RoomSlot,
    /// The number of the next message.
    message: u64,
    presence: Presence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    /// Reading the member list: the next page starts behind this user.
    Page {
        after: Option<UserId>,
        /// The oldest version among the pages so far.
        version: u64,
    },
    /// The version of the next change.
    Change(u64),
}

impl Presence {
    const ANEW: Self = Self::Page {
        after: None,
        version: u64::MAX,
    };
    /// The member list is not read.
    const UNWATCHED: Self = Self::Change(u64::MAX);
}

/// Reads the rooms for one connection; see the module's docs.
#[derive(Debug)]
pub struct Subscriber {
    /// The rooms that it reads; kept when it stops.
    rooms: Box<[RoomSlot]>,
    /// In these of its rooms something is to be written, or it reads the member list.
    cursors: Vec<Cursor>,
    /// It reads no more.
    detached: bool,
    /// `None` for most subscribers most of the time.
    outgoing: Option<Box<Outgoing>>,
    /// The first cursor to try next time: rooms take turns.
    first: u32,
    /// A page from the store, and its room; rarely present.
    page: Option<Box<(RoomSlot, Segment)>>,
    source: Source,
}

impl Default for Subscriber {
    fn default() -> Self {
        Self::new()
    }
}

impl Subscriber {
    /// A subscriber that reads no room yet.
    pub fn new() -> Self {
        Self {
            rooms: Box::default(),
            cursors: Vec::new(),
            detached: false,
            outgoing: None,
            first: 0,
            page: None,
            source: Source::Rest,
        }
    }

    /// Starts reading: in each room the messages from a number on, and in the `watched` ones the
    /// member list.
    pub fn attach(&mut self, replica: &mut Replica, rooms: &[(RoomId, u64)], watched: &[RoomId]) {
        self.rooms = Box::default();
        self.cursors = Vec::new();
        self.page = None;
        self.detached = false;
        self.enter(replica, rooms);
        self.watch(replica, watched);
    }

    /// Starts reading more rooms, in each the messages from a number on.
    pub fn enter(&mut self, replica: &mut Replica, rooms: &[(RoomId, u64)]) {
        let mut all = mem::take(&mut self.rooms).into_vec();
        for &(room, message) in rooms {
            let room = replica.slot(room);
            if all.contains(&room) {
                self.forget_room(room);
            } else {
                all.push(room);
            }
            if message < replica.at(room).messages.next() {
                self.wake(room, message);
            }
        }
        self.rooms = all.into_boxed_slice();
    }

    /// Stops reading a room; a frame that was begun is finished.
    pub fn leave(&mut self, room: RoomSlot) {
        let mut rooms = mem::take(&mut self.rooms).into_vec();
        rooms.retain(|&kept| kept != room);
        self.rooms = rooms.into_boxed_slice();
        self.forget_room(room);
    }

    fn forget_room(&mut self, room: RoomSlot) {
        self.cursors.retain(|cursor| cursor.room != room);
        self.page.take_if(|page| page.0 == room);
    }

    /// The rooms that it reads or, detached, read, in the order in which it entered them.
    pub fn rooms(&self) -> &[RoomSlot] {
        &self.rooms
    }

    /// Notes that one of its rooms has messages from this number on.
    pub fn wake(&mut self, room: RoomSlot, from: u64) {
        let has_cursor = self.cursors.iter().any(|cursor| cursor.room == room);
        if !has_cursor && !self.detached {
            self.cursors.push(Cursor {
                room,
                message: from,
                presence: Presence::UNWATCHED,
            });
        }
    }

    /// Reads the member lists of these of its rooms, and of no others.
    pub fn watch(&mut self, replica: &Replica, rooms: &[RoomId]) {
        let watched: Vec<_> = rooms
            .iter()
            .filter_map(|&room| replica.find(room))
            .filter(|room| self.rooms.contains(room))
            .collect();
        for &room in &watched {
            self.wake(room, replica.at(room).messages.next());
        }
        for cursor in &mut self.cursors {
            if !watched.contains(&cursor.room) {
                cursor.presence = Presence::UNWATCHED;
            } else if cursor.presence == Presence::UNWATCHED {
                cursor.presence = Presence::ANEW;
            }
        }
    }

    /// Stops reading; a frame that was begun is finished.
    pub fn detach(&mut self) {
        self.cursors = Vec::new();
        self.page = None;
        self.detached = true;
    }

    /// Stops reading member lists.
    pub fn leave_members(&mut self) {
        for cursor in &mut self.cursors {
            cursor.presence = Presence::UNWATCHED;
        }
    }

    /// Queues an answer that `encode` appends.
    pub fn answer_with(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        let outgoing = self.outgoing.get_or_insert_default();
        encode(&mut outgoing.answers);
        outgoing.answering = true;
    }

    /// Queues something that the client has not asked for, which `encode` appends.
    pub fn tell_with(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        let outgoing = self.outgoing.get_or_insert_default();
        encode(&mut outgoing.answers);
    }

    /// Whether an answer is still unwritten: then no more requests are taken.
    pub fn is_answering(&self) -> bool {
        self.outgoing
            .as_ref()
            .is_some_and(|outgoing| outgoing.answering)
    }

    /// Whether nothing is queued or partly written.
    pub fn is_quiet(&self) -> bool {
        self.outgoing.is_none()
    }

    /// Bytes buffered for this client alone.
    pub fn held_bytes(&self) -> usize {
        let page = self.page.as_ref().map_or(0, |page| page.1.cost_bytes());
        let own = |outgoing: &Outgoing| outgoing.rest.len() + outgoing.answers.capacity();
        self.outgoing.as_deref().map_or(0, own) + page
    }

    /// Whether a new message's echo is far off: the subscriber has fallen behind the replica's
    /// tail.
    pub fn is_far_behind(&self, replica: &Replica) -> bool {
        self.cursors
            .iter()
            .any(|cursor| cursor.message < replica.at(cursor.room).messages.first())
    }

    /// The number of the next message in a room that it reads.
    pub fn next_in(&self, replica: &Replica, room: RoomId) -> Option<u64> {
        let room = replica.find(room)?;
        let mut cursors = self.cursors.iter();
        match cursors.find(|cursor| cursor.room == room) {
            Some(cursor) => Some(cursor.message),
            None if self.rooms.contains(&room) => Some(replica.at(room).messages.next()),
            None => None,
        }
    }

    /// The next thing to do.
    pub fn poll_turn<'a>(&'a mut self, replica: &'a mut Replica) -> Turn<'a> {
        if self.outgoing.is_none() {
            let mut index = self.first as usize;
            for _ in 0..self.cursors.len() {
                if index >= self.cursors.len() {
                    index = 0;
                }
                self.look_at_members(index, replica);
                if self.outgoing.is_some() {
                    break;
                }
                match self.offer(index, replica) {
                    Offer::Nothing => index += 1,
                    Offer::Written => self.forget(index),
                    Offer::From(source) => {
                        self.source = source;
                        return self.gather(index, replica);
                    }
                    Offer::Fetch => {
                        let Cursor { room, message, .. } = self.cursors[index];
                        return Turn::Fetch {
                            room: replica.at(room).id(),
                            from: message,
                        };
                    }
                }
            }
        }
        let Some(outgoing) = &mut self.outgoing else {
            return Turn::Idle;
        };
        if outgoing.rest.is_empty() {
            outgoing.rest = Bytes::from(mem::take(&mut outgoing.answers));
        }
        self.source = Source::Rest;
        Turn::Write(Gather::one(&outgoing.rest))
    }

    /// Drops a cursor; the others keep their order, so that each has its turn.
    fn forget(&mut self, index: usize) {
        self.cursors.remove(index);
        if self.cursors.capacity() > 4 * self.cursors.len().max(CURSORS_KEPT) {
            self.cursors.shrink_to_fit();
        }
    }

    /// Writes this before anything else.
    fn put_first(&mut self, rest: Bytes) {
        if !rest.is_empty() {
            self.outgoing.get_or_insert_default().rest = rest;
        }
    }

    /// Takes the next page of the member list, if the list is being read.
    fn look_at_members(&mut self, index: usize, replica: &mut Replica) {
        let cursor = &mut self.cursors[index];
        let view = replica.at(cursor.room);
        if let Presence::Change(version) = cursor.presence
            && version < view.presence.first()
        {
            cursor.presence = Presence::ANEW;
        }
        if let Presence::Page { after, version } = cursor.presence {
            let page = replica.page(cursor.room, after);
            let version = version.min(page.version);
            cursor.presence = match page.next {
                Some(last) => Presence::Page {
                    after: Some(last),
                    version,
                },
                None => Presence::Change(version + 1),
            };
            self.put_first(page.bytes);
        }
    }

    fn offer(&mut self, index: usize, replica: &Replica) -> Offer {
        let cursor = &mut self.cursors[index];
        let view = replica.at(cursor.room);
        let caught_up = cursor.message >= view.messages.next();
        if let Presence::Change(version) = cursor.presence
            && version < view.presence.next()
            && (caught_up || view.message_behind(version) <= cursor.message)
        {
            return Offer::From(Source::Presence(number(index)));
        }
        if caught_up {
            self.page.take_if(|page| page.0 == cursor.room);
            return if cursor.presence == Presence::UNWATCHED {
                Offer::Written
            } else {
                Offer::Nothing
            };
        }
        if let Some((of, page)) = self.page.as_deref()
            && *of == cursor.room
        {
            if cursor.message < page.next() {
                return Offer::From(Source::Messages(number(index)));
            }
            self.page = None;
        }
        if cursor.message < view.messages.first() {
            return Offer::Fetch;
        }
        Offer::From(Source::Messages(number(index)))
    }

    /// Gathers messages or member changes in the order in which they happened: each up to the next
    /// of the other.
    fn gather<'a>(&'a self, index: usize, replica: &'a Replica) -> Turn<'a> {
        let cursor = &self.cursors[index];
        let view = replica.at(cursor.room);
        Turn::Write(match (self.source, cursor.presence, self.page.as_deref()) {
            (Source::Presence(_), Presence::Change(version), _) => {
                let until = view.change_ahead(cursor.message);
                view.presence.gather(version, until)
            }
            (Source::Messages(_), _, Some((of, page))) if *of == cursor.room => {
                Gather::one(page.since(cursor.message))
            }
            (_, Presence::Change(version), _) if version < view.presence.next() => {
                let until = view.message_behind(version);
                view.messages.gather(cursor.message, until)
            }
            _ => view.messages.gather(cursor.message, u64::MAX),
        })
    }

    /// Notes that `count` bytes of the last turn's [`Turn::Write`] were written. The replica must
    /// not have changed since.
    pub fn handle_written(&mut self, replica: &Replica, count: usize) {
        let (index, rest) = match self.source {
            Source::Rest => return self.wrote_own(count),
            Source::Messages(index) => {
                (index, self.advance_messages(index as usize, replica, count))
            }
            Source::Presence(index) => {
                (index, self.advance_presence(index as usize, replica, count))
            }
        };
        self.put_first(rest);
        self.first = index + 1;
    }

    fn wrote_own(&mut self, count: usize) {
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.rest.advance(count);
            if outgoing.rest.is_empty() && outgoing.answers.is_empty() {
                self.outgoing = None;
            }
        }
    }

    fn advance_messages(&mut self, index: usize, replica: &Replica, count: usize) -> Bytes {
        let cursor = &mut self.cursors[index];
        let (number, rest) = match self.page.as_deref() {
            Some((of, page)) if *of == cursor.room => page.advance(cursor.message, count),
            _ => view_of(cursor, replica)
                .messages
                .advance(cursor.message, count),
        };
        cursor.message = number;
        Bytes::copy_from_slice(rest)
    }

    fn advance_presence(&mut self, index: usize, replica: &Replica, count: usize) -> Bytes {
        let cursor = &mut self.cursors[index];
        let Presence::Change(version) = cursor.presence else {
            return Bytes::new();
        };
        let (version, rest) = view_of(cursor, replica).presence.advance(version, count);
        cursor.presence = Presence::Change(version);
        Bytes::copy_from_slice(rest)
    }

    /// Takes the page that [`Turn::Fetch`] asked for.
    ///
    /// False if it does not continue where the client stands: the messages between were erased
    /// while it waited. Gaps are reported only in a welcome, so the connection has to be closed,
    /// and the client resumes.
    pub fn handle_page(&mut self, replica: &Replica, room: RoomId, page: Segment) -> bool {
        let room = replica.find(room);
        let mut cursors = self.cursors.iter();
        let Some(cursor) = cursors.find(|cursor| Some(cursor.room) == room) else {
            return true;
        };
        if page.first() > cursor.message {
            return false;
        }
        self.page = Some(Box::new((cursor.room, page)));
        true
    }

    /// Discards the page: while the client does not read, nothing is buffered for it.
    pub fn drop_page(&mut self) {
        self.page = None;
    }

    /// Whether it holds a page.
    pub fn has_page(&self) -> bool {
        self.page.is_some()
    }
}

/// A cursor's index or count as `u32`: a join names few rooms.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or_else(|_| unreachable!("rooms are fewer"))
}

enum Offer {
    Nothing,
    /// Nothing, until the room has another message.
    Written,
    From(Source),
    Fetch,
}

fn view_of<'a>(cursor: &Cursor, replica: &'a Replica) -> &'a RoomReplica {
    replica.at(cursor.room)
}

#[cfg(test)]
mod tests;
