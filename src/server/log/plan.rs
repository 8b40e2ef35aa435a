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

mod planner;

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use self::planner::Planner;
use super::{
    Batch, Counted, Markers, MessageOutcome, OpResult, Operation, Revised, Rewritten, Segment,
    StateRecord, Unread, semantics::DeviceRecord,
};
use crate::protocol::{
    DeviceId, Entry, Extent, Mentions, MessageId, RoomId, UserId, wire::encode_entry,
};
#[cfg(doc)]
use crate::protocol::{fold, frame::ErrorCode};

/// What a store holds, as of the last commit.
pub(in crate::server) trait Lookup {
    /// Why something can't be read.
    type Error;

    /// The rooms that ever had an entry.
    fn rooms(&self) -> Vec<RoomId>;

    /// A room's state, with what retention did in this batch; [`RoomState::EMPTY`] if it never had an
    /// entry.
    fn state(&self, room: RoomId) -> RoomState;

    /// A device's record, the default one if it has none; `None` if it is damaged, and the operator
    /// was told.
    fn device(&mut self, id: DeviceId) -> Result<Option<DeviceRecord>, Self::Error>;

    /// The outcome of an id.
    fn outcome(&mut self, id: MessageId) -> Result<MessageOutcome, Self::Error>;

    /// The id of a room's entry.
    fn id_at(&mut self, room: RoomId, seq: u64) -> Result<Option<MessageId>, Self::Error>;

    /// An entry by its id, if the room holds it.
    fn entry(&mut self, room: RoomId, id: MessageId) -> Result<Option<Entry>, Self::Error>;

    /// An entry by its number, if the room holds it.
    fn entry_at(&mut self, room: RoomId, seq: u64) -> Result<Option<Entry>, Self::Error>;
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
    /// The rooms that it changes, in the order of their ids.
    pub(in crate::server) rooms: Vec<(RoomId, PlannedRoom)>,
    /// The entries of earlier batches that get another frame, by room and number.
    pub(in crate::server) rewritten: Vec<Rewritten>,
    /// What entries of this batch do to others, by room and number of the other.
    pub(in crate::server) changes: BTreeMap<(RoomId, u64), Change>,
    /// Users whom texts mention, in the order of the texts. An entry whose content is erased by the
    /// same batch may be among them.
    pub(in crate::server) mentions: Vec<PlannedMentions>,
    /// Records of the server's state, in order.
    pub(in crate::server) records: Vec<StateRecord>,
    /// What is to be [counted](count_unread) for results.
    pub(in crate::server) counts: Counts,
}

/// What is to be counted once everything else is carried out, each with the result's position.
pub(in crate::server) type Counts = Vec<(usize, Markers)>;

/// Completes results by what is unread. `count`: that of a user, who ignores others, in a room above a
/// number; `None` if the room ends there.
pub(in crate::server) fn count_unread<E>(
    results: &mut [OpResult],
    counts: Counts,
    mut count: impl FnMut(UserId, &[UserId], RoomId, u64) -> Result<Option<Unread>, E>,
) -> Result<(), E> {
    for (position, markers) in counts {
        let Markers {
            user,
            ignored,
            rooms,
        } = markers;
        let Some(OpResult::Opened { unread, .. }) = results.get_mut(position) else {
            continue;
        };
        for (room, above) in rooms {
            unread.extend(count(user, &ignored, room, above)?.map(|unread| Counted {
                user,
                room,
                above,
                unread,
            }));
        }
    }
    Ok(())
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

/// Users whom a new text of an entry mentions. Its former text may have mentioned some of them.
#[derive(Debug)]
pub(in crate::server) struct PlannedMentions {
    pub(in crate::server) room: RoomId,
    /// The entry that has the text: a message, or one that was edited.
    pub(in crate::server) seq: u64,
    /// The text's author, who is not told of it.
    pub(in crate::server) author: UserId,
    pub(in crate::server) mentions: Mentions,
}

impl PlannedMentions {
    /// The mentions in the text of an entry; `None` if there are none.
    pub(in crate::server) fn of(entry: &Entry) -> Option<Self> {
        let mentions = entry.mentions();
        (!mentions.is_empty()).then(|| Self {
            room: entry.room,
            seq: entry.seq,
            author: entry.author.user,
            mentions: mentions.clone(),
        })
    }

    /// The users to be told; [`EVERYONE`] stands for all members.
    pub(in crate::server) fn users(&self) -> impl Iterator<Item = UserId> {
        let everyone = self.mentions.everyone.then_some(EVERYONE);
        let users = self.mentions.users.iter().copied();
        let users = users.filter(|user| *user != self.author && *user != EVERYONE);
        users.chain(everyone)
    }
}

/// Stands for all members of a room, among those whom a text mentions. No user has this id.
pub(in crate::server) const EVERYONE: UserId = UserId::from_bytes([0; 12]);

/// A new entry. Its frame is in [`PlannedRoom::run`].
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct PlannedEntry {
    pub(in crate::server) seq: u64,
    pub(in crate::server) id: MessageId,
    pub(in crate::server) time: Timestamp,
    pub(in crate::server) clock_was: Option<Timestamp>,
    /// Whether it has a place of its own.
    pub(in crate::server) shown: bool,
    /// Its author, if it counts as unread for others.
    pub(in crate::server) counts: Option<UserId>,
}

impl PlannedEntry {
    pub(in crate::server) fn of(entry: &Entry) -> Self {
        Self {
            seq: entry.seq,
            id: entry.id,
            time: entry.time,
            clock_was: entry.clock_was,
            shown: entry.is_shown(),
            counts: entry.counts().then_some(entry.author.user),
        }
    }
}

/// Plans a batch. Retention comes first in a batch, and is the store's: `retained` are the results of
/// its operations. A plan's cost does not depend on the number of rooms that the batch does not name,
/// unless the clock was corrected.
pub(in crate::server) fn plan<L: Lookup>(
    lookup: &mut L,
    batch: Batch,
    retained: Vec<OpResult>,
) -> Result<Plan, L::Error> {
    let mut planner = Planner::new(lookup, batch.now, batch.correction);
    let mut retained = retained.into_iter();
    let mut results = Vec::with_capacity(batch.operations.len());
    let mut counts = Counts::new();
    for operation in batch.operations {
        results.push(match operation {
            Operation::OpenDevice {
                device,
                owner,
                next,
                look,
                unread,
            } => {
                counts.extend(unread.map(|markers| (results.len(), markers)));
                planner.open(lookup, device, owner, next, &look)?
            }
            Operation::Append {
                id,
                settled,
                room,
                sender,
                content,
                mentions,
                moderates,
            } => planner.settle(lookup, id, settled, |planner, lookup| {
                let content = (content, mentions);
                planner.append(lookup, (id, room), &sender, content, moderates)
            })?,
            Operation::Settle {
                id,
                settled,
                refused,
            } => planner.settle(lookup, id, settled, |_, _| {
                Ok(refused.map_or(MessageOutcome::Withdrawn, MessageOutcome::Refused))
            })?,
            Operation::Erase { room, from, to } => planner.erase(lookup, room, (from, to))?,
            Operation::Note { room, by, event } => planner.note(lookup, room, &by, event)?,
            Operation::PutState(records) => {
                planner.put_state(records);
                OpResult::StatePut
            }
            Operation::Retain(_) => retained.next().unwrap_or(OpResult::Retained { more: true }),
        });
    }
    Ok(planner.finish(results, counts))
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
    edit.take_edit()?;
    Some(frame(&edit))
}
