//! A client's disk, perhaps shared by two processes with one client ID, with what [`chat_tui::client::session::kept`] expects of one and no more: saves
//! are written in their order; those that are durable are synced when they count as saved, the
//! others later or, if the power fails, never.

use std::collections::BTreeMap;

use chat_tui::{
    client::session::kept::{Change, Kept, KeptEntry, KeptOutbox, KeptRoom, Save, SaveError},
    protocol::{Epoch, MessageId, RoomName, UserId},
};
use fastrand::Rng;

/// See the module's docs.
#[derive(Debug, Default)]
pub(crate) struct ClientDisk {
    /// Everything that was written.
    written: Vec<Save>,
    /// So many of them are synced.
    synced: usize,
    /// Which process holds the lease.
    owner: u64,
    /// Whether a cursor is kept apart from the messages that it covers, and ahead of them: what
    /// must not be.
    cursor_first: bool,
    /// The cursors that such a disk keeps.
    cursors: BTreeMap<RoomName, (Epoch, u64, MessageId)>,
}

#[derive(Debug, Default)]
struct State {
    next_counter: u64,
    next_key: u64,
    entries: BTreeMap<u64, KeptEntry>,
    rooms: BTreeMap<RoomName, Room>,
    user: Option<UserId>,
}

#[derive(Debug)]
struct Room {
    epoch: Epoch,
    first: u64,
    head: u64,
    messages: BTreeMap<u64, MessageId>,
}

impl ClientDisk {
    /// An empty one.
    pub(crate) fn new(cursor_first: bool) -> Self {
        Self {
            cursor_first,
            ..Self::default()
        }
    }

    /// A process takes the lease; gives what proves that it has it.
    pub(crate) fn take_lease(&mut self) -> u64 {
        self.owner += 1;
        self.owner
    }

    /// A save is carried out; of one without the lease only what needs none.
    pub(crate) fn save(&mut self, owner: u64, save: Save) -> Result<(), SaveError> {
        let durable = save.is_durable();
        let saved = self.write(owner, save);
        if durable {
            self.synced = self.written.len();
        }
        saved
    }

    /// A save is written, and its process ends before it learns of it.
    pub(crate) fn write(&mut self, owner: u64, mut save: Save) -> Result<(), SaveError> {
        let lost = save.is_fenced() && owner != self.owner;
        if lost {
            save.changes.retain(|change| !change.is_fenced());
        }
        self.note_cursors(&save);
        self.written.push(save);
        if lost { Err(SaveError::Lost) } else { Ok(()) }
    }

    /// A save is made up; nothing of it is written yet.
    pub(crate) fn begin(&mut self, save: &Save) {
        if self.cursor_first {
            self.note_cursors(save);
        }
    }

    fn note_cursors(&mut self, save: &Save) {
        for change in &save.changes {
            if let Change::Messages(run) = change
                && let Some(last) = run.messages.last()
            {
                let cursor = (run.epoch, last.seq, last.id);
                self.cursors.insert(run.room.clone(), cursor);
            }
        }
    }

    /// The power fails.
    pub(crate) fn power_cut(&mut self, rng: &mut Rng) {
        let survive = rng.usize(self.synced..=self.written.len());
        self.written.truncate(survive);
        self.synced = survive;
    }

    /// What a process finds that starts now.
    pub(crate) fn open(&mut self) -> Kept {
        self.synced = self.written.len();
        let mut state = State::default();
        for save in &self.written {
            for change in &save.changes {
                state.take(change);
            }
        }
        let rooms = state.rooms.iter().map(|(name, room)| {
            let last = room.messages.last_key_value();
            let mut kept = KeptRoom {
                room: name.clone(),
                epoch: room.epoch,
                first: room.first,
                head: room.head,
                seq: last.map_or(0, |(seq, _)| *seq),
                id: last.map(|(_, id)| *id),
            };
            if let Some(&(epoch, seq, id)) = self.cursors.get(name)
                && self.cursor_first
                && epoch == room.epoch
                && seq > kept.seq
            {
                kept.seq = seq;
                kept.id = Some(id);
            }
            kept
        });
        Kept {
            rooms: rooms.collect(),
            outbox: KeptOutbox {
                next_counter: state.next_counter.max(1),
                next_key: state.next_key.max(1),
                entries: state.entries.into_values().collect(),
            },
            user: state.user,
        }
    }

    /// The last message that is there in each room, and in which log: what a screen can show.
    pub(crate) fn shown(&self) -> BTreeMap<RoomName, (Epoch, u64)> {
        let mut state = State::default();
        for change in self.written.iter().flat_map(|save| &save.changes) {
            state.take(change);
        }
        let last = |(name, room): (RoomName, Room)| {
            let (seq, _) = room.messages.last_key_value()?;
            Some((name, (room.epoch, *seq)))
        };
        state.rooms.into_iter().filter_map(last).collect()
    }
}

impl State {
    fn take(&mut self, change: &Change) {
        match change {
            Change::Entry(entry) => {
                self.next_key = self.next_key.max(entry.key + 1);
                let next = entry.counter.map_or(0, |counter| counter + 1);
                self.next_counter = self.next_counter.max(next);
                self.entries.insert(entry.key, entry.clone());
            }
            Change::Remove(key) | Change::TakeBack(key) => {
                self.entries.remove(key);
            }
            Change::NextCounter(next) => self.next_counter = self.next_counter.max(*next),
            Change::Opened(opened) => {
                let room = self.rooms.entry(opened.room.clone()).or_insert(Room {
                    epoch: opened.epoch,
                    first: opened.first,
                    head: opened.head,
                    messages: BTreeMap::new(),
                });
                if room.epoch != opened.epoch || opened.reset.is_some() {
                    room.messages.clear();
                }
                room.epoch = opened.epoch;
                room.first = opened.first;
                room.head = opened.head;
                room.messages = room.messages.split_off(&opened.first);
            }
            Change::Messages(run) => {
                let room = self.rooms.get_mut(&run.room);
                if let Some(room) = room.filter(|room| room.epoch == run.epoch) {
                    let messages = run.messages.iter().map(|m| (m.seq, m.id));
                    room.messages.extend(messages);
                }
            }
            Change::User(user) => self.user = Some(*user),
            Change::Read { .. } | Change::Draft { .. } | Change::Typed(_) => {}
        }
    }
}
