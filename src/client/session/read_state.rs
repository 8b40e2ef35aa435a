//! How far the user has read each room, on all their devices, and what is unread.
//!
//! A marker advances here at once, and is sent to the server: the latest of a room, every
//! [`SEND_EVERY`] at most, and again after each join until the server has confirmed it. What the
//! server says of a marker is [merged](ReadMarker::merge), so that devices may send in any order.
//! Settings of a room are sent in the same way; the last ones count.

mod counts;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use self::counts::Counts;
use super::{
    Event, Session,
    persist_types::{PersistedRoom, StoreChange},
};
use crate::protocol::{
    ClientFrame, Entry, Epoch, Extent, Preferences, ReadMarker, ReadState, RoomId, UserId,
    frame::RoomStart,
};

/// The shortest time between two markers of one room on one connection.
pub(super) const SEND_EVERY: Duration = Duration::from_secs(2);

/// The read states of all rooms.
#[derive(Debug, Default)]
pub(super) struct ReadStates {
    rooms: BTreeMap<RoomId, RoomRead>,
    /// The log that the markers are of; `None`: there are none yet.
    epoch: Option<Epoch>,
    /// Rooms of which something is to be sent.
    due: BTreeSet<RoomId>,
    /// Rooms whose state may have changed since the user was told.
    changed: BTreeSet<RoomId>,
    /// Users whose entries are not counted.
    ignored: BTreeSet<UserId>,
}

/// The read state of a room.
#[derive(Debug, Default)]
struct RoomRead {
    marker: ReadMarker,
    preferences: Preferences,
    /// The marker that the server has confirmed.
    confirmed: ReadMarker,
    /// The marker last sent on this connection, and when.
    sent: Option<(ReadMarker, Duration)>,
    /// The user's settings until the server has confirmed them, and whether they were sent on this
    /// connection.
    wished: Option<(Preferences, bool)>,
    /// Whether the room is open on a server that keeps markers, so that they can be sent.
    open: bool,
    counts: Counts,
    /// What the user was told.
    told: Option<ReadState>,
}

impl RoomRead {
    fn state(&self, ignored: &BTreeSet<UserId>) -> ReadState {
        let (unread, mentions) = self.counts.above(self.marker.seq, ignored);
        ReadState {
            marker: self.marker,
            preferences: self.preferences,
            unread,
            mentions,
        }
    }

    /// When its marker is to be sent, if it is not waiting for an answer.
    fn marker_due(&self) -> Option<Duration> {
        let news = (self.marker.generation, self.marker.seq)
            > (self.confirmed.generation, self.confirmed.seq);
        match self.sent {
            _ if !news || !self.open => None,
            None => Some(Duration::ZERO),
            Some((sent, _)) if sent == self.marker => None,
            Some((_, at)) => Some(at + SEND_EVERY),
        }
    }

    /// Whether its settings are to be sent.
    fn wish_due(&self) -> bool {
        self.open && matches!(self.wished, Some((_, false)))
    }

    fn is_due(&self) -> bool {
        self.marker_due().is_some() || self.wish_due()
    }
}

/// How far a user has read a room, and what is unread, as an earlier run has stored it.
pub fn stored_read_state(room: &PersistedRoom, user: UserId) -> ReadState {
    let mut reads = ReadStates::default();
    reads.restore(room, user);
    reads.get(room.position.room).unwrap_or_default()
}

impl ReadStates {
    /// Restores what an earlier run has stored, if it is of the log of the rooms before.
    pub(super) fn restore(&mut self, room: &PersistedRoom, user: UserId) {
        if *self.epoch.get_or_insert(room.epoch) != room.epoch {
            return;
        }
        let mut read = RoomRead {
            marker: room.marker,
            preferences: room.preferences,
            ..RoomRead::default()
        };
        let Extent { first, head } = room.extent;
        read.counts.extent(first, head);
        if let Some(held) = &room.held {
            read.counts.range(held.from, held.to, &held.entries, user);
        }
        self.rooms.insert(room.position.room, read);
    }

    /// The server has this log: markers of another one say nothing about it, even in rooms of which
    /// no entry is held.
    pub(super) fn enter(&mut self, epoch: Epoch) {
        if self.epoch.replace(epoch).is_some_and(|of| of != epoch) {
            for read in self.rooms.values_mut() {
                read.marker = ReadMarker::default();
                read.counts.clear();
            }
        }
    }

    /// A room's state.
    pub(super) fn get(&self, room: RoomId) -> Option<ReadState> {
        let read = self.rooms.get(&room);
        read.map(|read| read.state(&self.ignored))
    }

    /// Opens a room. Returns its state, of which the user is told by the caller. `keeps`: whether the
    /// server keeps markers.
    pub(super) fn open(&mut self, start: &RoomStart, keeps: bool) -> ReadState {
        let read = self.rooms.entry(start.room).or_insert_with(|| RoomRead {
            // Where nobody keeps a marker, what was there before us is not news.
            marker: ReadMarker {
                seq: if keeps { 0 } else { start.extent.head },
                generation: 0,
            },
            ..RoomRead::default()
        });
        if start.reset.is_some() {
            read.marker = ReadMarker::default();
            read.counts.clear();
        }
        read.open = keeps;
        read.sent = None;
        read.counts.extent(start.extent.first, start.extent.head);
        if keeps {
            read.confirmed = start.read.marker;
            read.marker.merge(start.read.marker);
            // Of several markers that were set by hand and not taken, one counts.
            let next = read.confirmed.generation + 1;
            read.marker.generation = read.marker.generation.min(next);
            read.counts.server(&start.read);
            match &mut read.wished {
                Some((_, sent)) => *sent = false,
                None => read.preferences = start.read.preferences,
            }
        }
        let state = read.state(&self.ignored);
        read.told = Some(state);
        let is_due = read.is_due();
        self.note_due(start.room, is_due);
        state
    }

    /// Forgets a room.
    pub(super) fn leave(&mut self, room: RoomId) {
        self.rooms.remove(&room);
        self.due.remove(&room);
        self.changed.remove(&room);
    }

    /// Forgets the rooms that are not named.
    pub(super) fn retain(&mut self, is_kept: impl Fn(RoomId) -> bool) {
        self.rooms.retain(|room, _| is_kept(*room));
        self.due.retain(|room| is_kept(*room));
        self.changed.retain(|room| is_kept(*room));
    }

    /// The connection has closed.
    pub(super) fn close(&mut self) {
        self.due.clear();
        for read in self.rooms.values_mut() {
            read.open = false;
            read.sent = None;
        }
    }

    /// The user turned out to be another one than was assumed: other entries are theirs.
    pub(super) fn forget_counts(&mut self) {
        for read in self.rooms.values_mut() {
            read.counts.clear();
        }
    }

    /// Advances a marker. Returns whether it has changed.
    pub(super) fn advance(&mut self, room: RoomId, seq: u64) -> bool {
        let Some(read) = self.rooms.get_mut(&room) else {
            return false;
        };
        let advances = seq > read.marker.seq;
        if advances {
            read.marker.seq = seq;
            self.marker_changed(room);
        }
        advances
    }

    /// Sets a marker by hand. Returns whether the room is known.
    pub(super) fn set(&mut self, room: RoomId, seq: u64) -> bool {
        let Some(read) = self.rooms.get_mut(&room) else {
            return false;
        };
        // The server takes the next generation only, after the one that it has or will have.
        let generation = match read.sent {
            _ if !read.open => read.marker.generation,
            Some((sent, _)) => sent.generation.max(read.confirmed.generation),
            None => read.confirmed.generation,
        };
        read.marker = ReadMarker { seq, generation }.set(seq);
        self.marker_changed(room);
        true
    }

    fn marker_changed(&mut self, room: RoomId) {
        self.changed.insert(room);
        let is_due = self.rooms.get(&room).is_some_and(RoomRead::is_due);
        self.note_due(room, is_due);
    }

    /// Takes the user's settings of a room. Returns whether the room is known.
    pub(super) fn prefer(&mut self, room: RoomId, preferences: Preferences) -> bool {
        let Some(read) = self.rooms.get_mut(&room) else {
            return false;
        };
        read.preferences = preferences;
        read.wished = Some((preferences, false));
        self.marker_changed(room);
        true
    }

    /// Takes what the server says of a room. Returns whether the room is known.
    pub(super) fn told(
        &mut self,
        room: RoomId,
        marker: ReadMarker,
        preferences: Preferences,
    ) -> bool {
        let Some(read) = self.rooms.get_mut(&room) else {
            return false;
        };
        read.confirmed.merge(marker);
        read.marker.merge(marker);
        if matches!(read.wished, Some((wished, true)) if wished == preferences) {
            read.wished = None;
        }
        if read.wished.is_none() {
            read.preferences = preferences;
        }
        self.marker_changed(room);
        true
    }

    /// Takes the users whom this user ignores. Returns whether they are others than before.
    pub(super) fn ignore(&mut self, users: BTreeSet<UserId>) -> bool {
        if self.ignored == users {
            return false;
        }
        self.ignored = users;
        self.changed.extend(self.rooms.keys());
        true
    }

    /// Takes a new entry.
    pub(super) fn entry(&mut self, entry: &Entry, user: UserId) {
        if let Some(read) = self.rooms.get_mut(&entry.room) {
            read.counts.entry(entry, user);
            self.changed.insert(entry.room);
        }
    }

    /// Takes a gap-free range of a room's log.
    pub(super) fn range(
        &mut self,
        room: RoomId,
        (from, to): (u64, u64),
        entries: &[Entry],
        user: UserId,
    ) {
        if let Some(read) = self.rooms.get_mut(&room) {
            read.counts.range(from, to, entries, user);
            self.changed.insert(room);
        }
    }

    /// The server has erased all numbers below this one.
    pub(super) fn first(&mut self, room: RoomId, first: u64) {
        if let Some(read) = self.rooms.get_mut(&room) {
            read.counts.extent(first, 0);
            self.changed.insert(room);
        }
    }

    /// Takes entries as they stand now.
    pub(super) fn changed(&mut self, room: RoomId, entries: &[Entry]) {
        if let Some(read) = self.rooms.get_mut(&room) {
            read.counts.changed(entries);
            self.changed.insert(room);
        }
    }

    /// The next state that differs from what the user was told.
    pub(super) fn poll_changed(&mut self) -> Option<(RoomId, ReadState)> {
        while let Some(room) = self.changed.pop_first() {
            if let Some(read) = self.rooms.get_mut(&room) {
                let state = read.state(&self.ignored);
                if read.told.replace(state) != Some(state) {
                    return Some((room, state));
                }
            }
        }
        None
    }

    fn note_due(&mut self, room: RoomId, is_due: bool) {
        if is_due {
            self.due.insert(room);
        } else {
            self.due.remove(&room);
        }
    }

    /// The next frame to send, if any.
    pub(super) fn poll_frame(&mut self, now: Duration) -> Option<ClientFrame> {
        let mut due = self.due.iter().copied();
        let (room, frame) = due.find_map(|room| {
            let read = self.rooms.get_mut(&room)?;
            if read.wish_due()
                && let Some((preferences, sent)) = &mut read.wished
            {
                *sent = true;
                let preferences = *preferences;
                return Some((room, ClientFrame::Prefer { room, preferences }));
            }
            let marker = read.marker;
            read.marker_due().filter(|at| *at <= now)?;
            read.sent = Some((marker, now));
            Some((room, ClientFrame::Read { room, marker }))
        })?;
        let is_due = self.rooms.get(&room).is_some_and(RoomRead::is_due);
        self.note_due(room, is_due);
        Some(frame)
    }

    /// When the next marker is to be sent, if not now.
    pub(super) fn deadline(&self, now: Duration) -> Option<Duration> {
        let due = self.due.iter().filter_map(|room| self.rooms.get(room));
        let due = due.filter_map(RoomRead::marker_due);
        due.filter(|at| *at > now).min()
    }
}

impl Session {
    /// The user has read a room up to a number.
    pub(super) fn mark_read(&mut self, room: RoomId, seq: u64) {
        // A number beyond the log's end was read in another log, before the change was known.
        let is_known = self.rooms.head(room).is_some_and(|head| seq <= head);
        if is_known && self.reads.advance(room, seq) {
            self.save_read_state(room);
        }
    }

    /// The user sets how far they have read a room.
    pub(super) fn set_marker(&mut self, room: RoomId, seq: u64) {
        if let Some(head) = self.rooms.head(room)
            && self.reads.set(room, seq.min(head))
        {
            self.save_read_state(room);
        }
    }

    /// Takes the user's settings of a room.
    pub(super) fn prefer(&mut self, room: RoomId, preferences: Preferences) {
        if self.reads.prefer(room, preferences) {
            self.save_read_state(room);
        }
    }

    /// Takes the server's word on how far the user has read a room, and on their settings.
    pub(super) fn read(&mut self, room: RoomId, marker: ReadMarker, preferences: Preferences) {
        if self.reads.told(room, marker, preferences) {
            self.save_read_state(room);
        }
    }

    fn save_read_state(&mut self, room: RoomId) {
        if let Some(epoch) = self.rooms.epoch()
            && let Some(state) = self.reads.get(room)
        {
            self.write_buffer.put(StoreChange::Read {
                room,
                epoch,
                marker: state.marker,
                preferences: state.preferences,
            });
        }
    }

    /// The next change of a read state, as an event.
    pub(super) fn poll_read_state(&mut self) -> Option<Event> {
        let (room, read) = self.reads.poll_changed()?;
        Some(Event::ReadState { room, read })
    }
}
