//! One client's screen: what its events have shown, folded as every front end folds it.

use std::collections::BTreeMap;

use chat_tui::protocol::{Entry, EntryKind, Epoch, MessageId, RoomId, fold, fold::Fold};

use crate::{
    mutant::Mutant,
    truth::{Fault, Truth},
};

/// See the module's docs.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    rooms: BTreeMap<RoomId, Room>,
    mutant: Option<Mutant>,
}

#[derive(Debug, Default)]
struct Room {
    /// The entries that have a place in the conversation, by their numbers.
    entries: BTreeMap<u64, Entry>,
    fold: Fold,
}

impl Screen {
    /// An empty screen.
    pub(crate) fn new(mutant: Option<Mutant>) -> Self {
        Self {
            mutant,
            ..Self::default()
        }
    }

    /// A room was opened. The entries of another log go, as do those that the log lost.
    pub(crate) fn open(&mut self, room: RoomId, first: u64, same_log: bool) {
        let room = self.rooms.entry(room).or_default();
        if !same_log {
            *room = Room::default();
        }
        room.entries = room.entries.split_off(&first);
    }

    /// The user has left a room.
    pub(crate) fn close(&mut self, room: RoomId) {
        self.rooms.remove(&room);
    }

    /// An entry has arrived, live.
    pub(crate) fn take(&mut self, entry: &Entry) -> Result<(), Fault> {
        let room = self.rooms.entry(entry.room).or_default();
        room.take(entry, self.mutant)
    }

    /// Entries have arrived as they stand by later ones: with a page, or since they were changed.
    pub(crate) fn put(&mut self, room: RoomId, entries: &[Entry]) -> Result<(), Fault> {
        let room = self.rooms.entry(room).or_default();
        for entry in entries.iter().filter(|entry| entry.is_shown()) {
            room.put(entry, self.mutant)?;
        }
        Ok(())
    }

    /// Entries were changed; those that are not shown stay so.
    pub(crate) fn change(&mut self, room: RoomId, entries: &[Entry]) -> Result<(), Fault> {
        let room = self.rooms.entry(room).or_default();
        for entry in entries {
            if room.entries.contains_key(&entry.seq) {
                room.put(entry, self.mutant)?;
            }
        }
        Ok(())
    }

    /// Everything that it shows.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.rooms.values().flat_map(|room| room.entries.values())
    }

    /// Checks that each message is shown as the log has it, if the log still has it.
    pub(crate) fn settled(&self, truth: &Truth, epoch: Epoch) -> Result<(), Fault> {
        for entry in self.entries() {
            if entry.seq >= truth.first(epoch, entry.room) {
                truth.check_now(epoch, entry)?;
            }
        }
        Ok(())
    }
}

impl Room {
    fn take(&mut self, entry: &Entry, mutant: Option<Mutant>) -> Result<(), Fault> {
        if let Some(target) = self.fold.take(entry)
            && let Some(held) = self.find(target)
        {
            let before = held.clone();
            fold::apply(held, entry);
            if let (
                EntryKind::Text(text),
                EntryKind::Edit {
                    body: Some(body), ..
                },
            ) = (&mut held.kind, &entry.kind)
                && mutant == Some(Mutant::FoldsAsItComes)
            {
                text.body = body.clone();
                text.edited = Some(entry.seq);
            }
            check_step(&before, held)?;
        }
        if entry.is_shown() {
            self.put(entry, mutant)?;
        }
        Ok(())
    }

    fn put(&mut self, entry: &Entry, mutant: Option<Mutant>) -> Result<(), Fault> {
        let mut entry = entry.clone();
        if mutant != Some(Mutant::FoldsAsItComes) {
            self.fold.apply(&mut entry);
        }
        let Some(held) = self.entries.get_mut(&entry.seq) else {
            self.entries.insert(entry.seq, entry);
            return Ok(());
        };
        let before = held.clone();
        if mutant == Some(Mutant::FoldsAsItComes) {
            *held = entry;
        } else {
            fold::merge(held, &entry);
        }
        check_step(&before, held)
    }

    fn find(&mut self, id: MessageId) -> Option<&mut Entry> {
        self.entries.values_mut().find(|entry| entry.id == id)
    }
}

/// Checks that a message only gets a later text, or is erased, and that for good.
fn check_step(before: &Entry, after: &Entry) -> Result<(), Fault> {
    let forward = match (&before.kind, &after.kind) {
        (EntryKind::Text(before), EntryKind::Text(after)) => {
            before.edited < after.edited || before == after
        }
        (EntryKind::Text(_), EntryKind::Tombstone(_)) => true,
        (before, after) => before == after,
    };
    if forward && before.id == after.id {
        Ok(())
    } else {
        Err(format!("{before:?} was shown, and becomes {after:?}"))
    }
}
