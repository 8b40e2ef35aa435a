//! A client's disk, possibly shared by two processes with one client ID, with the guarantees that
//! [`chat_tui::client::session::persist_types`] expects and no more: saves are written in their order;
//! durable ones are synced when they count as saved, the others later or, if the power fails,
//! never.

use std::collections::{BTreeMap, BTreeSet};

use chat_tui::{
    client::{
        event::{Delivery, Page},
        session::persist_types::{
            ADOPTED_MAX, LeaseClaim, LeaseStatus, OutboxEntry, PersistedOutbox, PersistedState,
            Save, SaveError, StoreChange,
        },
    },
    protocol::{Content, Entry, Epoch, MessageId, RoomId, RoomName, UserId, frame::Part},
};
use fastrand::Rng;

use crate::{
    client_cache::CachedRoom,
    mutant::Mutant,
    truth::{Fault, Truth, key},
};

/// See the module's docs.
#[derive(Debug, Default)]
pub(crate) struct ClientDisk {
    /// All writes.
    written: Vec<Written>,
    /// The number of synced ones.
    synced: usize,
    /// The run of the process that holds the lease, and all running ones.
    owner: u64,
    running: BTreeSet<u64>,
    runs: u64,
    /// The fault: with [`Mutant::CursorFirst`] a cursor is stored apart from the messages that it
    /// covers, and ahead of them.
    mutant: Option<Mutant>,
    /// The cursors that such a disk stores.
    cursors: BTreeMap<RoomId, (Epoch, u64, MessageId)>,
}

/// One write.
#[derive(Debug)]
enum Written {
    /// A save of a run.
    Save(u64, Save),
    /// Submitted messages were moved to the outbox, at most so many, under keys from this one on.
    Adopted { key: u64, most: u64 },
    /// A run was told the outcomes of its messages.
    Outcomes(u64),
    /// The rooms were lost.
    NoRooms,
}

/// The run in which a message was typed, and its number there.
type Origin = (u64, u64);

#[derive(Debug, Default)]
struct State {
    next_counter: u64,
    next_key: u64,
    entries: BTreeMap<u64, (OutboxEntry, Option<Origin>)>,
    submitted: Vec<(Origin, RoomId, Option<RoomName>, Content)>,
    settled: BTreeMap<Origin, Delivery>,
    rooms: BTreeMap<RoomId, CachedRoom>,
    user: Option<UserId>,
}

impl ClientDisk {
    /// Returns an empty disk.
    pub(crate) fn new(mutant: Option<Mutant>) -> Self {
        Self {
            mutant,
            ..Self::default()
        }
    }

    /// Starts a process; returns the number of its run.
    pub(crate) fn begin_run(&mut self) -> u64 {
        self.runs += 1;
        self.running.insert(self.runs);
        self.runs
    }

    /// A process has ended.
    pub(crate) fn end_run(&mut self, run: u64) {
        self.running.remove(&run);
    }

    /// Returns the state of the lease for a run, which may take it, and the outcomes of its
    /// messages.
    pub(crate) fn lease(&mut self, run: u64, claim: LeaseClaim) -> LeaseStatus {
        let free = self.owner == run || !self.running.contains(&self.owner);
        let ours = claim == LeaseClaim::Take || claim == LeaseClaim::IfFree && free;
        let unbroken = ours && self.owner == run;
        let settled = self.state().settled;
        let settled = settled.into_iter().filter(|((of, _), _)| *of == run);
        let settled: Vec<_> = settled.map(|((_, which), told)| (which, told)).collect();
        if !settled.is_empty() {
            self.written.push(Written::Outcomes(run));
        }
        let outbox = ours.then(|| self.take(run));
        LeaseStatus {
            ours,
            unbroken,
            outbox,
            settled,
        }
    }

    fn take(&mut self, run: u64) -> PersistedOutbox {
        self.owner = run;
        let key = self.state().next_key.max(1);
        let most = u64::MAX;
        self.written.push(Written::Adopted { key, most });
        self.outbox(run, 0)
    }

    /// Moves submitted messages to the outbox; `None`: another run has the lease.
    pub(crate) fn adopt(&mut self, run: u64, key: u64) -> Option<Vec<OutboxEntry>> {
        if self.owner != run {
            return None;
        }
        let most = ADOPTED_MAX;
        self.written.push(Written::Adopted { key, most });
        Some(self.outbox(run, key).entries)
    }

    fn outbox(&self, run: u64, key: u64) -> PersistedOutbox {
        let state = self.state();
        let entries = state.entries.into_values().filter(|(e, _)| e.key >= key);
        let entries = entries.map(|(entry, origin)| OutboxEntry {
            number: origin.and_then(|(of, which)| (of == run).then_some(which)),
            ..entry
        });
        PersistedOutbox {
            next_counter: state.next_counter.max(1),
            next_key: state.next_key.max(1),
            entries: entries.collect(),
        }
    }

    /// Returns the [`key`]s of the contents that the holder of the lease still has to send, and, if
    /// wanted, of those refused.
    pub(crate) fn keys(&self, with_refused: bool) -> Vec<String> {
        let state = self.state();
        let entries = state.entries.into_values().map(|(entry, _)| entry);
        let entries = entries.filter(|entry| with_refused || entry.failed.is_none());
        let submitted = state.submitted.into_iter().map(|(.., content)| content);
        let contents = entries.map(|entry| entry.content).chain(submitted);
        contents.map(|content| key(&content)).collect()
    }

    /// Returns the room and the counter of each message in the outbox that has got one, refused or
    /// not.
    pub(crate) fn counters(&self) -> Vec<(RoomId, u64)> {
        let entries = self.state().entries.into_values();
        let counters = entries.filter_map(|(entry, _)| {
            let is_text = matches!(entry.content, Content::Text(_));
            Some((entry.room, entry.counter.filter(|_| is_text)?))
        });
        counters.collect()
    }

    /// Returns a part of a room's log.
    pub(crate) fn page(
        &self,
        room: RoomId,
        epoch: Option<Epoch>,
        part: Part,
        offline: bool,
    ) -> Option<Page> {
        let state = self.state();
        let room = state.rooms.get(&room)?;
        let same = epoch.is_none_or(|epoch| epoch == room.epoch);
        room.page(part, offline).filter(|_| same)
    }

    /// Checks that all its entries are as current as it says.
    pub(crate) fn check_folded(&self, truth: &Truth) -> Result<(), Fault> {
        let state = self.state();
        let mut rooms = state.rooms.values();
        rooms.try_for_each(|room| room.check_folded(truth))
    }

    /// Checks that what it holds of the log with this epoch is up to date, and that it holds
    /// nothing that was erased there.
    pub(crate) fn settled(&self, truth: &Truth, epoch: Epoch) -> Result<(), Fault> {
        let state = self.state();
        let erased = truth.erased_texts(epoch);
        for room in state.rooms.values() {
            if room.epoch == epoch {
                room.settled(truth)?;
            }
            let word = |text: &&str| text.split(' ').next().map(str::to_owned);
            if let Some(word) = erased.iter().filter_map(word).find(|word| room.holds(word)) {
                return Err(format!("{word:?} was erased and is still on the disk"));
            }
        }
        Ok(())
    }

    fn state(&self) -> State {
        let mut state = State::default();
        for written in &self.written {
            state.write(written, self.mutant);
        }
        state
    }

    /// Carries out a save; without the lease only the parts that need none.
    pub(crate) fn save(&mut self, run: u64, save: Save) -> Result<(), SaveError> {
        let durable = save.is_durable();
        let saved = self.write(run, save);
        if durable {
            self.synced = self.written.len();
        }
        saved
    }

    /// Writes a save whose process ends before it learns of it.
    pub(crate) fn write(&mut self, run: u64, mut save: Save) -> Result<(), SaveError> {
        let lost = save.is_fenced() && run != self.owner;
        if lost {
            save.changes.retain(|change| !change.is_fenced());
        }
        self.note_cursors(&save);
        self.written.push(Written::Save(run, save));
        if lost { Err(SaveError::Lost) } else { Ok(()) }
    }

    /// Prepares a save; nothing of it is written yet.
    pub(crate) fn begin(&mut self, save: &Save) {
        if self.mutant == Some(Mutant::CursorFirst) {
            self.note_cursors(save);
        }
    }

    fn note_cursors(&mut self, save: &Save) {
        for change in &save.changes {
            if let StoreChange::Entries(run) = change
                && let Some(last) = run.entries.last()
            {
                let cursor = (run.epoch, last.seq, last.id);
                self.cursors.insert(run.room, cursor);
            }
        }
    }

    /// The power fails.
    pub(crate) fn power_cut(&mut self, rng: &mut Rng) {
        let survive = rng.usize(self.synced..=self.written.len());
        self.written.truncate(survive);
        self.synced = survive;
    }

    /// The rooms are lost: their file was damaged, or deleted.
    pub(crate) fn lose_rooms(&mut self) {
        self.cursors.clear();
        self.written.push(Written::NoRooms);
    }

    /// Returns the state for a run that starts now, with the lease if it may take it.
    pub(crate) fn open(&mut self, run: u64, claim: LeaseClaim) -> PersistedState {
        self.synced = self.written.len();
        let leased = self.lease(run, claim);
        let state = self.state();
        let rooms = state.rooms.iter().map(|(name, room)| {
            let mut kept = room.persisted(*name);
            if let Some(&(epoch, seq, id)) = self.cursors.get(name)
                && self.mutant == Some(Mutant::CursorFirst)
                && epoch == room.epoch
                && seq > kept.position.seq
            {
                kept.position.seq = seq;
                kept.position.id = Some(id);
            }
            kept
        });
        PersistedState {
            rooms: rooms.collect(),
            outbox: leased.outbox.unwrap_or_default(),
            user: state.user,
            standby: !leased.ours,
        }
    }

    /// Returns each room's last message, its log, and what a screen shows of it.
    pub(crate) fn shown(&self) -> BTreeMap<RoomId, (Epoch, u64, Vec<Entry>)> {
        let state = self.state();
        let last = |(name, room): (RoomId, CachedRoom)| {
            Some((name, (room.epoch, room.last()?, room.shown())))
        };
        state.rooms.into_iter().filter_map(last).collect()
    }
}

impl State {
    fn write(&mut self, written: &Written, mutant: Option<Mutant>) {
        match written {
            Written::Save(run, save) => {
                for change in &save.changes {
                    self.take(*run, change, mutant);
                }
            }
            Written::Adopted { key, most } => {
                let count = self.submitted.len();
                let count = usize::try_from(*most).map_or(count, |most| count.min(most));
                let mut taken: Vec<_> = self.submitted.drain(..count).collect();
                match mutant {
                    Some(Mutant::HandoverLoses) if count > 0 => drop(taken.remove(0)),
                    Some(Mutant::HandoverDoubles) => self.submitted.clone_from(&taken),
                    _ => {}
                }
                for (key, (origin, room, enter, content)) in (*key..).zip(taken) {
                    let entry = OutboxEntry {
                        key,
                        number: None,
                        room,
                        enter,
                        content,
                        counter: None,
                        withdrawn: false,
                        unconfirmed: false,
                        failed: None,
                    };
                    self.next_key = self.next_key.max(key + 1);
                    self.entries.insert(key, (entry, Some(origin)));
                }
            }
            Written::Outcomes(run) => self.settled.retain(|(of, _), _| of != run),
            Written::NoRooms => self.rooms.clear(),
        }
    }

    fn take(&mut self, run: u64, change: &StoreChange, mutant: Option<Mutant>) {
        match change {
            StoreChange::Settled { key, delivery } => {
                if let Some((_, Some(origin))) = self.entries.get(key)
                    && origin.0 != run
                {
                    self.settled.insert(*origin, delivery.clone());
                }
            }
            StoreChange::Submit {
                number,
                room,
                enter,
                content,
            } => {
                let origin = (run, *number);
                self.submitted
                    .push((origin, *room, enter.clone(), content.clone()));
            }
            StoreChange::Entry(entry) => {
                self.next_key = self.next_key.max(entry.key + 1);
                let next = entry.counter.map_or(0, |counter| counter + 1);
                self.next_counter = self.next_counter.max(next);
                let known = self.entries.get(&entry.key);
                let origin = match known {
                    Some((_, origin)) => *origin,
                    None => entry.number.map(|number| (run, number)),
                };
                self.entries.insert(entry.key, (entry.clone(), origin));
            }
            StoreChange::Remove(key) | StoreChange::TakeBack(key) => {
                self.entries.remove(key);
            }
            StoreChange::NextCounter(next) => self.next_counter = self.next_counter.max(*next),
            StoreChange::Room {
                epoch,
                start,
                folded,
            } => {
                let fresh = || CachedRoom::new(*epoch, start);
                let room = self.rooms.entry(start.room).or_insert_with(fresh);
                room.open(*epoch, start, *folded);
            }
            StoreChange::Entries(run) => {
                let room = self.rooms.get_mut(&run.room);
                if let Some(room) = room.filter(|room| room.epoch == run.epoch) {
                    room.put(run, mutant);
                }
            }
            StoreChange::Changed(changed) => {
                let room = self.rooms.get_mut(&changed.room);
                let room = room.filter(|_| mutant != Some(Mutant::CacheNotTold));
                if let Some(room) = room.filter(|room| room.epoch == changed.epoch) {
                    room.change(changed, mutant);
                }
            }
            StoreChange::User(user) => self.user = Some(*user),
            StoreChange::Read {
                room,
                epoch,
                marker,
                preferences,
            } => {
                let room = self.rooms.get_mut(room);
                if let Some(room) = room.filter(|room| room.epoch == *epoch) {
                    room.read(*marker, *preferences);
                }
            }
            StoreChange::RoomInfo { room, info } => {
                if let Some(room) = self.rooms.get_mut(room) {
                    room.describe(info);
                }
            }
            StoreChange::RoomLeft(room) => drop(self.rooms.remove(room)),
            // Users here keep no drafts, and no texts that they sent.
            StoreChange::Draft { .. } | StoreChange::Typed(_) | StoreChange::Erased(_) => {}
        }
    }
}
