//! Makes the plan, one operation after another.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::{
    Change, Counts, Lookup, Plan, PlannedDevice, PlannedEntry, PlannedMentions, PlannedRoom,
    RoomState, frame,
};
use crate::{
    protocol::{
        Content, DeviceId, Entry, EntryKind, Mentions, MessageId, Nickname, Role, RoomEvent,
        RoomId, UserId,
        entry::Text,
        fold,
        frame::{ErrorCode, Member},
        wire::encode_entry,
    },
    server::log::{
        DeviceOwner, ERASE_MAX, MessageOutcome, OpResult, Rewritten, SERVER_DEVICE, SERVER_USER,
        SegmentBuilder, StateRecord,
        semantics::{self, CounterOrder, author, entry_time, place},
    },
};

struct Room {
    /// Its state before the batch.
    before: RoomState,
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
pub(super) struct Planner {
    now: Timestamp,
    devices: Vec<PlannedDevice>,
    /// The devices' positions.
    positions: HashMap<DeviceId, usize>,
    /// How far the clock was corrected since the previous batch.
    correction: SignedDuration,
    /// The rooms that the batch has named so far; all that had an entry if the clock was corrected.
    rooms: BTreeMap<RoomId, Room>,
    /// Entries of earlier batches that this one refers to.
    held: BTreeMap<(RoomId, u64), Held>,
    changes: BTreeMap<(RoomId, u64), Change>,
    mentions: Vec<PlannedMentions>,
    records: Vec<StateRecord>,
}

impl Planner {
    /// A plan without operations, at a time.
    pub(super) fn new<L: Lookup>(lookup: &L, now: Timestamp, correction: SignedDuration) -> Self {
        let mut planner = Self {
            now,
            devices: Vec::new(),
            positions: HashMap::new(),
            correction,
            rooms: BTreeMap::new(),
            held: BTreeMap::new(),
            changes: BTreeMap::new(),
            mentions: Vec::new(),
            records: Vec::new(),
        };
        if !correction.is_zero() {
            // Each room's next entry is marked, whichever batch it comes in.
            for room in lookup.rooms() {
                planner.name(lookup, room);
            }
        }
        planner
    }

    /// Takes up a room that an operation names, and returns it.
    fn name<L: Lookup>(&mut self, lookup: &L, room: RoomId) -> &mut Room {
        let correction = self.correction;
        self.rooms.entry(room).or_insert_with(|| {
            let before = lookup.state(room);
            let mut state = before;
            // A room's first entry has none before it that the correction would set it apart from.
            if before.last_time.is_some() {
                state.correction = state.correction.saturating_add(correction);
            }
            Room {
                before,
                next: before.extent.next(),
                state,
                entries: Vec::new(),
            }
        })
    }

    /// A room that was taken up.
    fn room(&mut self, room: RoomId) -> &mut Room {
        let named = self.rooms.get_mut(&room);
        named.unwrap_or_else(|| unreachable!("its operation has named it"))
    }

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

    pub(super) fn open<L: Lookup>(
        &mut self,
        lookup: &mut L,
        id: DeviceId,
        owner: Option<DeviceOwner>,
        next: Option<u64>,
        look: &[(RoomId, u64)],
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
        Ok(OpResult::Opened {
            counter,
            ids,
            unread: Vec::new(),
        })
    }

    fn id_at<L: Lookup>(
        &mut self,
        lookup: &mut L,
        room: RoomId,
        seq: u64,
    ) -> Result<Option<MessageId>, L::Error> {
        let here = self.name(lookup, room);
        if seq < here.next {
            return lookup.id_at(room, seq);
        }
        let new = usize::try_from(seq - here.next).ok();
        let new = new.and_then(|new| here.entries.get(new));
        Ok(new.map(|entry| entry.id))
    }

    /// Settles an id with the outcome of `carry_out`, if its counter is the device's next one, where
    /// all up to `settled` are settled by the hub's account.
    pub(super) fn settle<L: Lookup>(
        &mut self,
        lookup: &mut L,
        id: MessageId,
        settled: u64,
        carry_out: impl FnOnce(&mut Self, &mut L) -> Result<MessageOutcome, L::Error>,
    ) -> Result<OpResult, L::Error> {
        let Some(position) = self.device(lookup, id.device)? else {
            return Ok(OpResult::Damaged);
        };
        let device = &mut self.devices[position];
        let counter = device.record.counter.max(settled);
        device.record.counter = counter;
        match place(counter, id.counter) {
            CounterOrder::Next => {}
            CounterOrder::Ahead => return Ok(OpResult::CounterGap { counter }),
            CounterOrder::Settled => {
                let outcome = match device.outcome(id.counter) {
                    Some(outcome) => outcome,
                    None => lookup.outcome(id)?,
                };
                return Ok(OpResult::Repeated(outcome));
            }
        }
        let outcome = carry_out(self, lookup)?;
        let device = &mut self.devices[position];
        device.record.counter = id.counter;
        device.outcomes.push((id.counter, outcome));
        Ok(OpResult::Done(outcome))
    }

    pub(super) fn put_state(&mut self, records: Vec<StateRecord>) {
        self.records.extend(records);
    }

    pub(super) fn append<L: Lookup>(
        &mut self,
        lookup: &mut L,
        (id, room): (MessageId, RoomId),
        sender: &Member,
        (content, mentions): (Content, Mentions),
        moderates: bool,
    ) -> Result<MessageOutcome, L::Error> {
        self.name(lookup, room);
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
        let kind = match content {
            Content::Text(body) => EntryKind::Text(Text {
                body,
                mentions,
                edited: None,
            }),
            Content::Edit { target, body } => EntryKind::Edit {
                target,
                body: Some(body),
                mentions,
            },
            Content::Redaction { target, reason } => EntryKind::Redaction { target, reason },
        };
        self.add(lookup, (id, room), sender, kind, target)
    }

    /// Adds an entry to a room that was taken up. `target`: the number of the entry that it changes.
    fn add<L: Lookup>(
        &mut self,
        lookup: &mut L,
        (id, room): (MessageId, RoomId),
        sender: &Member,
        kind: EntryKind,
        target: Option<u64>,
    ) -> Result<MessageOutcome, L::Error> {
        let now = self.now;
        let state = &mut self.room(room).state;
        let (time, clock_was) = entry_time(now, state.correction, state.last_time);
        let entry = Entry {
            room,
            seq: state.extent.next(),
            id,
            author: author(sender),
            time,
            clock_was,
            kind,
        };
        let seq = entry.seq;
        state.extent.head = seq;
        state.last_time = Some(time);
        state.correction = SignedDuration::ZERO;
        state.unshown += u64::from(!entry.is_shown());
        if let Some(mentions) = PlannedMentions::of(&entry) {
            let seq = target.unwrap_or(seq);
            self.mentions.push(PlannedMentions { seq, ..mentions });
        }
        if let Some(target) = target {
            self.fold(lookup, room, target, &entry)?;
        }
        self.room(room).entries.push(entry);
        Ok(MessageOutcome::Stored { room, seq, time })
    }

    /// Erases what can be erased of a range of entries, as the server itself.
    pub(super) fn erase<L: Lookup>(
        &mut self,
        lookup: &mut L,
        room: RoomId,
        (from, to): (u64, u64),
    ) -> Result<OpResult, L::Error> {
        let server = server();
        let mut count = 0;
        self.name(lookup, room);
        let (from, to) = self.room(room).state.extent.clamp(from, to);
        for seq in from..=to.min(from.saturating_add(ERASE_MAX - 1)) {
            let Some(target) = self.erasable(lookup, room, seq)? else {
                continue;
            };
            let Some(id) = self.own_id(lookup)? else {
                return Ok(OpResult::Damaged);
            };
            let reason = None;
            let content = (Content::Redaction { target, reason }, Mentions::NONE);
            let result = self.settle(lookup, id, 0, |planner, lookup| {
                planner.append(lookup, (id, room), &server, content, true)
            })?;
            count += u64::from(matches!(
                result,
                OpResult::Done(MessageOutcome::Stored { .. })
            ));
        }
        Ok(OpResult::Erased { count })
    }

    /// Appends what happened to a room, as an entry with an id of the server's own.
    pub(super) fn note<L: Lookup>(
        &mut self,
        lookup: &mut L,
        room: RoomId,
        by: &Member,
        event: RoomEvent,
    ) -> Result<OpResult, L::Error> {
        let Some(id) = self.own_id(lookup)? else {
            return Ok(OpResult::Damaged);
        };
        let kind = EntryKind::Event(Box::new(event));
        self.settle(lookup, id, 0, |planner, lookup| {
            planner.name(lookup, room);
            planner.add(lookup, (id, room), by, kind, None)
        })
    }

    /// The id of the server's own next entry; `None` if the record of its device is damaged.
    fn own_id<L: Lookup>(&mut self, lookup: &mut L) -> Result<Option<MessageId>, L::Error> {
        let device = self.device(lookup, SERVER_DEVICE)?;
        Ok(device.map(|device| MessageId {
            device: SERVER_DEVICE,
            counter: self.devices[device].record.counter + 1,
        }))
    }

    /// The id of an entry that has content which can be erased.
    fn erasable<L: Lookup>(
        &mut self,
        lookup: &mut L,
        room: RoomId,
        seq: u64,
    ) -> Result<Option<MessageId>, L::Error> {
        let id = |entry: &Entry| {
            let is_erased = matches!(entry.kind, EntryKind::Tombstone(_));
            (entry.is_erasable() && !is_erased).then_some(entry.id)
        };
        match self.entry(room, seq) {
            Some((entry, _)) => Ok(id(entry)),
            None => Ok(lookup.entry_at(room, seq)?.as_ref().and_then(id)),
        }
    }

    /// Finds an entry of a room by its id, and returns its number.
    fn find<L: Lookup>(
        &mut self,
        lookup: &mut L,
        room: RoomId,
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

    fn hold(&mut self, room: RoomId, entry: Entry) {
        let changed = false;
        let place = (room, entry.seq);
        self.held.entry(place).or_insert(Held { entry, changed });
    }

    /// An entry of this batch, or one that is held; and the mark of its change.
    fn entry(&mut self, room: RoomId, seq: u64) -> Option<(&mut Entry, Option<&mut bool>)> {
        let here = self.rooms.get_mut(&room)?;
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
        room: RoomId,
        target: u64,
        by: &Entry,
    ) -> Result<(), L::Error> {
        let mut edit = None;
        self.change(room, target, by, |target| {
            edit = target.edited();
            fold::apply(target, by)
        });
        let Some(edit) = edit else {
            return Ok(());
        };
        if edit < self.room(room).next
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
        room: RoomId,
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
            edited: entry.edited(),
            redacted: by.erases().then_some(by.seq),
        };
        if let Some(changed) = changed {
            *changed = true;
        }
        self.changes.insert((room, seq), made);
        let revised = &mut self.room(room).state.revised;
        revised.changed = by.seq;
        if by.erases() {
            revised.redacted = by.seq;
        }
    }

    pub(super) fn finish(self, results: Vec<OpResult>, counts: Counts) -> Plan {
        let rewrite = |((room, seq), held): ((RoomId, u64), Held)| {
            held.changed.then(|| Rewritten {
                room,
                seq,
                frame: frame(&held.entry),
            })
        };
        Plan {
            results,
            devices: self.devices,
            rooms: self
                .rooms
                .into_iter()
                .filter(|(_, room)| room.state != room.before)
                .map(|(index, room)| (index, room.finish()))
                .collect(),
            rewritten: self.held.into_iter().filter_map(rewrite).collect(),
            changes: self.changes,
            mentions: self.mentions,
            records: self.records,
            counts,
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
            PlannedEntry::of(&entry)
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
            | EntryKind::Event(_)
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

/// The server, as the author of entries.
fn server() -> Member {
    Member {
        user: SERVER_USER,
        nickname: Nickname::inert(Nickname::SERVER),
        since: Timestamp::UNIX_EPOCH,
        role: Role::Member,
    }
}
