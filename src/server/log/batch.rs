//! Batches of operations on the log, and the result of each.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::{Revised, Segment, StateRecord, Unread};
use crate::protocol::{
    Content, DeviceId, Mentions, MessageId, RoomEvent, RoomId, UserId,
    frame::{ErrorCode, Member},
};

/// A clock correction larger than this is marked in the log. After a smaller one, times stand still
/// until the clock catches up.
pub const CORRECTION_MIN: Duration = Duration::from_mins(1);

/// Entries that one [`Operation::Erase`] may erase.
pub const ERASE_MAX: u64 = 1_000;
/// The device of entries that the server itself makes. No client can have it: a device is a digest.
pub const SERVER_DEVICE: DeviceId = DeviceId::from_bytes([0; 12]);
/// The author of entries that the server itself makes.
pub const SERVER_USER: UserId = UserId::from_bytes([0; 12]);

/// Operations that are committed together, in this order.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The time that new entries get. With an [`Operation::Retain`], the clock's own reading.
    pub now: Timestamp,
    /// How far the clock was corrected since the previous batch; negative if it was set back. The
    /// next entry of each room is marked with it.
    pub correction: SignedDuration,
    /// The operations.
    pub operations: Vec<Operation>,
}

impl Batch {
    /// A batch without a clock correction.
    pub fn new(now: Timestamp, operations: Vec<Operation>) -> Self {
        Self {
            now,
            correction: SignedDuration::ZERO,
            operations,
        }
    }
}

/// One operation on the log.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Opens a device for a join, and returns its highest settled counter.
    OpenDevice {
        /// The device.
        device: DeviceId,
        /// The owner, if the client has proven a key. From now on only they can open the device.
        owner: Option<DeviceOwner>,
        /// The lowest counter that the device will still send, by its own account. All lower ones
        /// are settled from now on.
        next: Option<u64>,
        /// Entries whose ids are wanted.
        look: Vec<(RoomId, u64)>,
        /// A user of whom it is wanted what they have not read, once the whole batch is done.
        unread: Option<Markers>,
    },
    /// Appends an entry to a room's log.
    Append {
        /// Its id.
        id: MessageId,
        /// The highest counter that the hub knows to be settled for the device. It reminds a store
        /// that has forgotten the device.
        settled: u64,
        /// The room.
        room: RoomId,
        /// The sender, with their current nickname.
        sender: Arc<Member>,
        /// The content.
        content: Content,
        /// The users whom its text mentions.
        mentions: Mentions,
        /// Whether the sender may erase what others wrote.
        moderates: bool,
    },
    /// Drops the oldest entries that retention no longer keeps, in a bounded step, before anything
    /// else of the batch is done. Edits of them that are still held lose their texts.
    Retain(Retention),
    /// Erases the content of the room's entries `from..=to`, at most [`ERASE_MAX`], by redactions of
    /// the [server's own](SERVER_DEVICE). Entries that can't be erased, or are erased already, are
    /// left out.
    Erase {
        /// The room.
        room: RoomId,
        /// The lowest number.
        from: u64,
        /// The highest number.
        to: u64,
    },
    /// Appends an entry that says what happened to a room or its membership. Its id is one of the
    /// [server's own](SERVER_DEVICE).
    Note {
        /// The room.
        room: RoomId,
        /// The user who did it, with their current nickname: the entry's author.
        by: Arc<Member>,
        /// What happened.
        event: RoomEvent,
    },
    /// Changes records of the server's state.
    PutState(Vec<StateRecord>),
    /// Uses up a counter without an entry: the message was withdrawn, or refused for good.
    Settle {
        /// The id used up.
        id: MessageId,
        /// See [`Operation::Append`].
        settled: u64,
        /// The reason of a refusal; `None` if the message was withdrawn.
        refused: Option<ErrorCode>,
    },
}

/// How far a user has read some rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markers {
    /// The user.
    pub user: UserId,
    /// The users whom they ignore, in order.
    pub ignored: Vec<UserId>,
    /// The rooms, each with the number up to which they have read all.
    pub rooms: Vec<(RoomId, u64)>,
}

/// What is unread for a user in a room that has entries above their marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The user.
    pub user: UserId,
    /// The room.
    pub room: RoomId,
    /// The number up to which they have read all.
    pub above: u64,
    /// What is unread above it.
    pub unread: Unread,
}

/// The user, proven by a key, who opens a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceOwner {
    /// The user's id, which may come from another of their keys.
    pub user: UserId,
    /// The user id of the key by itself: the device is recorded as this user's.
    pub key_user: UserId,
}

/// How much of each room's log is kept. Dropped entries are erased; their numbers stay used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Entries older than this are dropped.
    pub keep_since: Option<Timestamp>,
    /// The most [shown](crate::protocol::Entry::is_shown) entries that a room keeps; the oldest
    /// beyond it are dropped.
    pub messages_max: Option<u64>,
    /// The most bytes that the log may take. Beyond it the oldest entries of all rooms are dropped,
    /// but each room keeps its latest [`KEPT_BY_BYTES`].
    pub bytes_max: Option<u64>,
}

/// Entries that each room keeps whatever [`Retention::bytes_max`] says, since the log's tables take
/// space too.
pub const KEPT_BY_BYTES: u64 = 100;

/// The result of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpResult {
    /// The device is open.
    Opened {
        /// The highest counter settled for it.
        counter: u64,
        /// The ids asked for; `None` where the log holds no such entry (any more).
        ids: Vec<Option<MessageId>>,
        /// What is unread in those of the rooms asked for that have entries above the marker, as of
        /// the end of the batch.
        unread: Vec<Counted>,
    },
    /// The device belongs to another user, who has a key. It was not opened.
    Foreign,
    /// The next counter that the device claims is too far ahead to be believed. It was not opened.
    TooFarAhead,
    /// The message was stored, or the counter was used up, by this operation.
    Done(MessageOutcome),
    /// Old entries were dropped; `more` if a further step would drop some.
    Retained {
        /// Whether a further step would drop more.
        more: bool,
    },
    /// So many entries were erased.
    Erased {
        /// The number of them.
        count: u64,
    },
    /// The records are kept.
    StatePut,
    /// The id was settled earlier, with this outcome.
    Repeated(MessageOutcome),
    /// The device's record is damaged, and the operator was told. Nothing was done.
    Damaged,
    /// The counter is too high: lower ones have to come first.
    CounterGap {
        /// The highest counter settled.
        counter: u64,
    },
}

/// The lasting outcome of a message id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageOutcome {
    /// In the log.
    Stored {
        /// The room.
        room: RoomId,
        /// The number.
        seq: u64,
        /// The time.
        time: Timestamp,
    },
    /// Withdrawn by the client before it was stored.
    Withdrawn,
    /// It would have changed nothing, and is not in the log.
    Unchanged,
    /// Refused for good.
    Refused(ErrorCode),
    /// Settled so long ago that the outcome is no longer known.
    Forgotten,
}

/// New entries of one room: a contiguous run of its log.
#[derive(Clone, Debug)]
pub struct Run {
    /// The room.
    pub room: RoomId,
    /// The encoded frames.
    pub segment: Segment,
}

/// An entry whose frame has changed: another entry has edited or erased it.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// The room.
    pub room: RoomId,
    /// The entry's number.
    pub seq: u64,
    /// Its frame now.
    pub frame: Bytes,
}

/// The results of a commit.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The result of each operation, in order.
    pub results: Vec<OpResult>,
    /// The new entries, at most one run for each room.
    pub runs: Vec<Run>,
    /// Entries of earlier batches whose frames have changed.
    pub rewritten: Vec<Rewritten>,
    /// Rooms whose lowest held number has changed, with the new one.
    pub firsts: Vec<(RoomId, u64)>,
    /// Rooms in which entries were changed.
    pub revised: Vec<(RoomId, Revised)>,
}

/// Why a batch was not committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// Nothing was done and no number was used. A later batch may succeed.
    Refused,
    /// Nothing was done, and nothing will be: the store has failed for good. The server stops.
    Fatal,
    /// Whether the batch was done is unknown. The server stops, and acknowledges nothing more.
    InDoubt,
    /// The records to be read are damaged, and the operator was told. Only reads return this.
    Damaged,
}
