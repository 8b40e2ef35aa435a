//! The plan of a batch: the outcome of each operation, and all that it changes.
//!
//! Every store carries out the same plan; none decides. The plan asks the store for what it
//! [holds](Lookup), and counts on entries, counters and outcomes of earlier operations of the same
//! batch as if they were stored.
//!
//! # Entries that change others
//!
//! An edit or a redaction is folded into its target's frame in the same commit, by the same rules
//! as a client folds it ([`fold`]). So what is stored is always current. The edit whose text the
//! target had before loses its own: a text stands in the log only as long as it is its message's.
//!
//! | | outcome |
//! |---|---|
//! | the target is not in this room, or can't be changed so | refused: [`ErrorCode::Gone`] |
//! | it is another user's, and the sender may not erase those | refused: [`ErrorCode::NotAllowed`] |
//! | the text is the same, or the content is erased already | [`MessageOutcome::Unchanged`] |
//!
//! All of these use up the counter, and make no entry.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::{
    Batch, DeviceOwner, MessageOutcome, OpResult, Operation, Revised, Rewritten, RoomIndex,
    Segment, SegmentBuilder, StateRecord,
    semantics::{self, CounterOrder, DeviceRecord, author, entry_time, place},
};
use crate::protocol::{
    Content, DeviceId, Entry, EntryKind, Extent, MessageId, RoomName, UserId,
    entry::Text,
    fold,
    frame::{ErrorCode, Member},
    wire::encode_entry,
};

/// What a store holds, as of the last commit.
pub(in crate::server) trait Lookup {
    /// Why something can't be read.
    type Error;

    /// A room's name.
    fn name(&self, room: RoomIndex) -> &RoomName;

    /// A device's record, the default one if it has none; `None` if it is damaged, and the operator
    /// was told.
    fn device(&mut self, id: DeviceId) -> Result<Option<DeviceRecord>, Self::Error>;

    /// The outcome of an id.
    fn outcome(&mut self, id: MessageId) -> Result<MessageOutcome, Self::Error>;

    /// The id of a room's entry.
    fn id_at(&mut self, room: RoomIndex, seq: u64) -> Result<Option<MessageId>, Self::Error>;

    /// An entry by its id, if the room holds it.
    fn entry(&mut self, room: RoomIndex, id: MessageId) -> Result<Option<Entry>, Self::Error>;

    /// An entry by its number, if the room holds it.
    fn entry_at(&mut self, room: RoomIndex, seq: u64) -> Result<Option<Entry>, Self::Error>;
}

/// The part of a room's state that batches change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) struct RoomState {
    /// The range of numbers that it holds.
    pub(in crate::server) extent: Extent,
    /// The latest entry's time; `None` in a room that never had one.
    pub(in crate::server) last_time: Option<Timestamp>,
    /// How far the clock was corrected since then.
    pub(in crate::server) correction: SignedDuration,
    /// How far its entries were changed.
    pub(in crate::server) revised: Revised,
    /// Held entries that have no place of their own.
    pub(in crate::server) unshown: u64,
}

impl RoomState {
    /// A room that never had an entry.
    pub(in crate::server) const EMPTY: Self = Self {
        extent: Extent::EMPTY,
        last_time: None,
        correction: SignedDuration::ZERO,
        revised: Revised {
            changed: 0,
            redacted: 0,
        },
        unshown: 0,
    };

    /// Entries that `messages_max` says are too many: of the shown ones, so many of the oldest go.
    pub(in crate::server) fn excess(&self, messages_max: u64) -> u64 {
        let shown = self.extent.len().saturating_sub(self.unshown);
        shown.saturating_sub(messages_max)
    }
}

/// What later entries have done to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) struct Change {
    /// The number of the last entry that changed it.
    pub(in crate::server) rev: u64,
    /// The edit that its text is from.
    pub(in crate::server) edited: Option<u64>,
    /// The entry that erased its content.
    pub(in crate::server) redacted: Option<u64>,
}

/// What is to be stored.
#[derive(Debug)]
pub(in crate::server) struct Plan {
    /// The result of each operation, in order.
    pub(in crate::server) results: Vec<OpResult>,
    /// The devices concerned, in the order of their first operation.
    pub(in crate::server) devices: Vec<PlannedDevice>,
    /// All rooms, in the order of [`RoomIndex`].
    pub(in crate::server) rooms: Vec<PlannedRoom>,
    /// The entries of earlier batches that get another frame, by room and number.
    pub(in crate::server) rewritten: Vec<Rewritten>,
    /// What entries of this batch do to others, by room and number of the other.
    pub(in crate::server) changes: BTreeMap<(RoomIndex, u64), Change>,
    /// Records of the server's state, in order.
    pub(in crate::server) records: Vec<StateRecord>,
}

/// What a batch does to a device.
#[derive(Debug)]
pub(in crate::server) struct PlannedDevice {
    pub(in crate::server) id: DeviceId,
    /// Its record before.
    pub(in crate::server) before: DeviceRecord,
    /// Its record afterwards.
    pub(in crate::server) record: DeviceRecord,
    /// The counters that are settled, in order, with their outcomes.
    pub(in crate::server) outcomes: Vec<(u64, MessageOutcome)>,
}

/// What a batch does to a room.
#[derive(Debug)]
pub(in crate::server) struct PlannedRoom {
    /// Its state afterwards.
    pub(in crate::server) state: RoomState,
    /// Its new entries.
    pub(in crate::server) entries: Vec<PlannedEntry>,
    /// Their frames.
    pub(in crate::server) run: Segment,
}

/// A new entry. Its frame is in [`PlannedRoom::run`].
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct PlannedEntry {
    pub(in crate::server) seq: u64,
    pub(in crate::server) id: MessageId,
    pub(in crate::server) time: Timestamp,
    pub(in crate::server) clock_was: Option<Timestamp>,
    /// Whether it has a place of its own.
    pub(in crate::server) shown: bool,
}

/// Plans a batch for rooms in these states. Retention comes first in a batch, and is the store's:
/// `retained` are the results of its operations.
pub(in crate::server) fn plan<L: Lookup>(
    lookup: &mut L,
    batch: Batch,
    rooms: impl Iterator<Item = RoomState>,
    retained: Vec<OpResult>,
) -> Result<Plan, L::Error> {
    let room = |mut state: RoomState| {
        state.correction = state.correction.saturating_add(batch.correction);
        Room {
            next: state.extent.next(),
            state,
            entries: Vec::new(),
        }
    };
    let mut planner = Planner {
        now: batch.now,
        devices: Vec::new(),
        positions: HashMap::new(),
        rooms: rooms.map(room).collect(),
        held: BTreeMap::new(),
        changes: BTreeMap::new(),
        records: Vec::new(),
    };
    let mut retained = retained.into_iter();
    let mut results = Vec::with_capacity(batch.operations.len());
    for operation in batch.operations {
        results.push(match operation {
            Operation::OpenDevice {
                device,
                owner,
                next,
                look,
            } => planner.open(lookup, device, owner, next, &look)?,
            Operation::Append {
                id,
                settled,
                room,
                sender,
                content,
                moderates,
            } => match planner.due(lookup, id, settled)? {
                Due::Now(device) => {
                    let outcome =
                        planner.append(lookup, (id, room), &sender, content, moderates)?;
                    planner.settle(device, id.counter, outcome)
                }
                Due::Never(result) => result,
            },
            Operation::Settle {
                id,
                settled,
                refused,
            } => match planner.due(lookup, id, settled)? {
                Due::Now(device) => {
                    let outcome =
                        refused.map_or(MessageOutcome::Withdrawn, MessageOutcome::Refused);
                    planner.settle(device, id.counter, outcome)
                }
                Due::Never(result) => result,
            },
            Operation::PutState(records) => {
                planner.records.extend(records);
                OpResult::StatePut
            }
            Operation::Retain(_) => retained.next().unwrap_or(OpResult::Retained { more: true }),
        });
    }
    Ok(planner.finish(results))
}

/// Whether an id is to be settled by its operation.
enum Due {
    /// By this one, for the device at this position.
    Now(usize),
    /// Not by this one.
    Never(OpResult),
}

struct Room {
    /// The number that the batch's first entry gets.
    next: u64,
    state: RoomState,
    /// The new entries.
    entries: Vec<Entry>,
}

/// An entry of an earlier batch.
struct Held {
    entry: Entry,
    changed: bool,
}

/// The state of a plan in the making.
struct Planner {
    now: Timestamp,
    devices: Vec<PlannedDevice>,
    /// The devices' positions.
    positions: HashMap<DeviceId, usize>,
    rooms: Vec<Room>,
    /// Entries of earlier batches that this one refers to.
    held: BTreeMap<(RoomIndex, u64), Held>,
    changes: BTreeMap<(RoomIndex, u64), Change>,
    records: Vec<StateRecord>,
}

impl Planner {
    /// The position of a device; `None` if its record is damaged.
    fn device<L: Lookup>(
        &mut self,
        lookup: &mut L,
        id: DeviceId,
    ) -> Result<Option<usize>, L::Error> {
        if let Some(&position) = self.positions.get(&id) {
            return Ok(Some(position));
        }
        let Some(before) = lookup.device(id)? else {
            return Ok(None);
        };
        let position = self.devices.len();
        self.devices.push(PlannedDevice {
            id,
            before,
            record: before,
            outcomes: Vec::new(),
        });
        self.positions.insert(id, position);
        Ok(Some(position))
    }

    fn open<L: Lookup>(
        &mut self,
        lookup: &mut L,
        id: DeviceId,
        owner: Option<DeviceOwner>,
        next: Option<u64>,
        look: &[(RoomIndex, u64)],
    ) -> Result<OpResult, L::Error> {
        let Some(device) = self.device(lookup, id)? else {
            return Ok(OpResult::Damaged);
        };
        let record = &mut self.devices[device].record;
        match semantics::open(*record, owner, next) {
            Ok(opened) => *record = opened,
            Err(refused) => return Ok(refused),
        }
        let counter = record.counter;
        let ids = look
            .iter()
            .map(|&(room, seq)| self.id_at(lookup, room, seq));
        let ids = ids.collect::<Result<_, _>>()?;
        Ok(OpResult::Opened { counter, ids })
    }

    fn id_at<L: Lookup>(
        &self,
        lookup: &mut L,
        room: RoomIndex,
        seq: u64,
    ) -> Result<Option<MessageId>, L::Error> {
        let Some(here) = self.rooms.get(room.at()) else {
            return Ok(None);
        };
        if seq < here.next {
            return lookup.id_at(room, seq);
        }
        let new = usize::try_from(seq - here.next).ok();
        let new = new.and_then(|new| here.entries.get(new));
        Ok(new.map(|entry| entry.id))
    }

    /// Whether the id's counter is the device's next one, where all up to `settled` are settled by
    /// the hub's account.
    fn due<L: Lookup>(
        &mut self,
        lookup: &mut L,
        id: MessageId,
        settled: u64,
    ) -> Result<Due, L::Error> {
        let Some(position) = self.device(lookup, id.device)? else {
            return Ok(Due::Never(OpResult::Damaged));
        };
        let device = &mut self.devices[position];
        let counter = device.record.counter.max(settled);
        device.record.counter = counter;
        Ok(match place(counter, id.counter) {
            CounterOrder::Next => Due::Now(position),
            CounterOrder::Ahead => Due::Never(OpResult::CounterGap { counter }),
            CounterOrder::Settled => {
                let outcome = match device.outcome(id.counter) {
                    Some(outcome) => outcome,
                    None => lookup.outcome(id)?,
                };
                Due::Never(OpResult::Repeated(outcome))
            }
        })
    }

    fn settle(&mut self, device: usize, counter: u64, outcome: MessageOutcome) -> OpResult {
        let device = &mut self.devices[device];
        device.record.counter = counter;
        device.outcomes.push((counter, outcome));
        OpResult::Done(outcome)
    }

    fn append<L: Lookup>(
        &mut self,
        lookup: &mut L,
        (id, room): (MessageId, RoomIndex),
        sender: &Member,
        content: Content,
        moderates: bool,
    ) -> Result<MessageOutcome, L::Error> {
        let mut target = None;
        if let Some(named) = content.target() {
            let Some(seq) = self.find(lookup, room, named)? else {
                return Ok(MessageOutcome::Refused(ErrorCode::Gone));
            };
            let entry = self.entry(room, seq).map(|(entry, _)| entry);
            let without = entry.map_or(Some(MessageOutcome::Refused(ErrorCode::Gone)), |entry| {
                effect(entry, &content, sender.user, moderates)
            });
            if let Some(outcome) = without {
                // What is not changed need not be kept until the end of the batch.
                if self
                    .held
                    .get(&(room, seq))
                    .is_some_and(|held| !held.changed)
                {
                    self.held.remove(&(room, seq));
                }
                return Ok(outcome);
            }
            target = Some(seq);
        }
        let name = lookup.name(room).clone();
        let state = &mut self.rooms[room.at()].state;
        let (time, clock_was) = entry_time(self.now, state.correction, state.last_time);
        let entry = Entry {
            room: name,
            seq: state.extent.next(),
            id,
            author: author(sender),
            time,
            clock_was,
            kind: match content {
                Content::Text(body) => EntryKind::Text(Text { body, edited: None }),
                Content::Edit { target, body } => EntryKind::Edit {
                    target,
                    body: Some(body),
                },
                Content::Redaction { target, reason } => EntryKind::Redaction { target, reason },
            },
        };
        let seq = entry.seq;
        state.extent.head = seq;
        state.last_time = Some(time);
        state.correction = SignedDuration::ZERO;
        state.unshown += u64::from(!entry.is_shown());
        if let Some(target) = target {
            self.fold(lookup, room, target, &entry)?;
        }
        self.rooms[room.at()].entries.push(entry);
        Ok(MessageOutcome::Stored { room, seq, time })
    }

    /// Finds an entry of a room by its id, and returns its number.
    fn find<L: Lookup>(
        &mut self,
        lookup: &mut L,
        room: RoomIndex,
        id: MessageId,
    ) -> Result<Option<u64>, L::Error> {
        let device = self.positions.get(&id.device);
        let here = device.and_then(|&device| self.devices[device].outcome(id.counter));
        if let Some(outcome) = here {
            return Ok(match outcome {
                MessageOutcome::Stored { room: its, seq, .. } if its == room => Some(seq),
                MessageOutcome::Stored { .. }
                | MessageOutcome::Withdrawn
                | MessageOutcome::Unchanged
                | MessageOutcome::Refused(_)
                | MessageOutcome::Forgotten => None,
            });
        }
        let Some(entry) = lookup.entry(room, id)? else {
            return Ok(None);
        };
        let seq = entry.seq;
        self.hold(room, entry);
        Ok(Some(seq))
    }

    fn hold(&mut self, room: RoomIndex, entry: Entry) {
        let changed = false;
        let place = (room, entry.seq);
        self.held.entry(place).or_insert(Held { entry, changed });
    }

    /// An entry of this batch, or one that is held; and the mark of its change.
    fn entry(&mut self, room: RoomIndex, seq: u64) -> Option<(&mut Entry, Option<&mut bool>)> {
        let here = &mut self.rooms[room.at()];
        if let Some(new) = seq.checked_sub(here.next) {
            let entry = here.entries.get_mut(usize::try_from(new).ok()?)?;
            return Some((entry, None));
        }
        let held = self.held.get_mut(&(room, seq))?;
        Some((&mut held.entry, Some(&mut held.changed)))
    }

    /// Applies a new entry to its target, and to the edit that the target's text was from.
    fn fold<L: Lookup>(
        &mut self,
        lookup: &mut L,
        room: RoomIndex,
        target: u64,
        by: &Entry,
    ) -> Result<(), L::Error> {
        let mut edit = None;
        self.change(room, target, by, |target| {
            edit = edit_of(target);
            fold::apply(target, by)
        });
        let Some(edit) = edit else {
            return Ok(());
        };
        if edit < self.rooms[room.at()].next
            && !self.held.contains_key(&(room, edit))
            && let Some(entry) = lookup.entry_at(room, edit)?
        {
            self.hold(room, entry);
        }
        self.change(room, edit, by, |edit| {
            edit.target() == by.target() && fold::scrub(edit, by)
        });
        Ok(())
    }

    /// Changes an entry, if `change` does.
    fn change(
        &mut self,
        room: RoomIndex,
        seq: u64,
        by: &Entry,
        change: impl FnOnce(&mut Entry) -> bool,
    ) {
        let Some((entry, changed)) = self.entry(room, seq) else {
            return;
        };
        if !change(entry) {
            return;
        }
        let made = Change {
            rev: by.seq,
            edited: edit_of(entry),
            redacted: by.erases().then_some(by.seq),
        };
        if let Some(changed) = changed {
            *changed = true;
        }
        self.changes.insert((room, seq), made);
        let revised = &mut self.rooms[room.at()].state.revised;
        revised.changed = by.seq;
        if by.erases() {
            revised.redacted = by.seq;
        }
    }

    fn finish(self, results: Vec<OpResult>) -> Plan {
        let rewrite = |((room, seq), held): ((RoomIndex, u64), Held)| {
            held.changed.then(|| Rewritten {
                room,
                seq,
                frame: frame(&held.entry),
            })
        };
        Plan {
            results,
            devices: self.devices,
            rooms: self.rooms.into_iter().map(Room::finish).collect(),
            rewritten: self.held.into_iter().filter_map(rewrite).collect(),
            changes: self.changes,
            records: self.records,
        }
    }
}

impl PlannedDevice {
    /// The outcome of a counter that this batch settles.
    fn outcome(&self, counter: u64) -> Option<MessageOutcome> {
        let at = self
            .outcomes
            .binary_search_by_key(&counter, |(counter, _)| *counter);
        Some(self.outcomes[at.ok()?].1)
    }
}

impl Room {
    fn finish(self) -> PlannedRoom {
        let mut run = SegmentBuilder::new(self.next);
        let entry = |entry: Entry| {
            run.push(|out| encode_entry(&entry, out));
            PlannedEntry {
                seq: entry.seq,
                id: entry.id,
                time: entry.time,
                clock_was: entry.clock_was,
                shown: entry.is_shown(),
            }
        };
        PlannedRoom {
            state: self.state,
            entries: self.entries.into_iter().map(entry).collect(),
            run: run.finish(),
        }
    }
}

/// The outcome without an entry, if a content has no effect on its target.
fn effect(
    target: &Entry,
    content: &Content,
    user: UserId,
    moderates: bool,
) -> Option<MessageOutcome> {
    let refused = |code| Some(MessageOutcome::Refused(code));
    let own = target.author.user == user;
    match (content, &target.kind) {
        (Content::Text(_), _) => None,
        (Content::Edit { body, .. }, EntryKind::Text(text)) => {
            if !own {
                refused(ErrorCode::NotAllowed)
            } else if text.body == *body {
                Some(MessageOutcome::Unchanged)
            } else {
                None
            }
        }
        (
            Content::Edit { .. },
            EntryKind::Edit { .. }
            | EntryKind::Redaction { .. }
            | EntryKind::Tombstone(_)
            | EntryKind::Unknown(_),
        ) => refused(ErrorCode::Gone),
        (Content::Redaction { .. }, kind) => {
            if !target.is_erasable() {
                refused(ErrorCode::Gone)
            } else if !own && !moderates {
                refused(ErrorCode::NotAllowed)
            } else if matches!(kind, EntryKind::Tombstone(_)) {
                Some(MessageOutcome::Unchanged)
            } else {
                None
            }
        }
    }
}

/// The edit that an entry's text is from.
fn edit_of(entry: &Entry) -> Option<u64> {
    match &entry.kind {
        EntryKind::Text(text) => text.edited,
        EntryKind::Edit { .. }
        | EntryKind::Redaction { .. }
        | EntryKind::Tombstone(_)
        | EntryKind::Unknown(_) => None,
    }
}

/// An entry's frame.
pub(in crate::server) fn frame(entry: &Entry) -> Bytes {
    let mut frame = Vec::new();
    encode_entry(entry, &mut frame);
    frame.into()
}

/// The frame of an edit whose target is no longer held: without its text. `None` if it is no edit,
/// or has none.
pub(in crate::server) fn without_text(mut edit: Entry) -> Option<Bytes> {
    match &mut edit.kind {
        EntryKind::Edit { body, .. } => body.take()?,
        EntryKind::Text(_)
        | EntryKind::Redaction { .. }
        | EntryKind::Tombstone(_)
        | EntryKind::Unknown(_) => return None,
    };
    Some(frame(&edit))
}
