//! What is asked of a log, many operations at a time, and what became of each.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::{RoomIndex, Segment, StateRecord};
use crate::{
    protocol::{
        DeviceId, MessageId, UserId,
        frame::{ErrorCode, Member},
    },
    text::Body,
};

/// A clock that is off by more than this was corrected: that is marked. By less, times stand still
/// until it is where it was.
pub const CORRECTION_MIN: Duration = Duration::from_mins(1);

/// Operations that are committed together, in this order.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The time, which entries get. With a step of retention, as the clock says it.
    pub now: Timestamp,
    /// By how much the clock was corrected since the batch before; below zero where it was set back.
    /// The next entry of each room is marked with it.
    pub correction: SignedDuration,
    /// What to do.
    pub operations: Vec<Operation>,
}

impl Batch {
    /// One before which the clock was not corrected.
    pub fn new(now: Timestamp, operations: Vec<Operation>) -> Self {
        Self {
            now,
            correction: SignedDuration::ZERO,
            operations,
        }
    }
}

/// One thing to be done to the log.
#[derive(Clone, Debug)]
pub enum Operation {
    /// A device is about to come in: says where it stands.
    OpenDevice {
        /// The device.
        device: DeviceId,
        /// Whose it is, if they have proven a key: from now on it is opened to nobody else.
        owner: Option<DeviceOwner>,
        /// The lowest counter that it will still send, by its own account: whatever is lower is
        /// settled from now on.
        next: Option<u64>,
        /// Entries whose ids are wanted.
        look: Vec<(RoomIndex, u64)>,
    },
    /// An entry for a room's log.
    Message {
        /// Its id.
        id: MessageId,
        /// The highest counter that is known to be settled for the device: a store that forgets
        /// devices is reminded by it.
        settled: u64,
        /// The room.
        room: RoomIndex,
        /// Who sends it, as he is called now.
        sender: Arc<Member>,
        /// The text.
        body: Body,
    },
    /// Drops the oldest entries that are no longer to be kept: a bounded step.
    Retain(Retention),
    /// Changes records of the server's state.
    PutState(Vec<StateRecord>),
    /// Uses up a counter for nothing: the message was taken back, or refused for good.
    Settle {
        /// The id used up.
        id: MessageId,
        /// As with a message.
        settled: u64,
        /// `None`: taken back. Otherwise why it was refused.
        refused: Option<ErrorCode>,
    },
}

/// Somebody with a key who opens a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceOwner {
    /// Who they are. The device may be that of another key of theirs, by which they are called.
    pub user: UserId,
    /// Who their key alone would make them: the device is kept as that user's.
    pub key_user: UserId,
}

/// How much of each room's log is kept. What goes is erased; its numbers stay used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Entries older than this go.
    pub keep_since: Option<Timestamp>,
    /// Of entries beyond so many the oldest go.
    pub messages_max: Option<u64>,
    /// Of all rooms' entries the oldest go while the log takes more bytes than this; but of each room
    /// the latest [`KEPT_BY_BYTES`] stay.
    pub bytes_max: Option<u64>,
}

/// Entries of each room that are kept however many bytes the log takes: it has tables besides.
pub const KEPT_BY_BYTES: u64 = 100;

/// What became of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpResult {
    /// The device is open.
    Opened {
        /// The highest counter settled for it.
        counter: u64,
        /// The ids asked for; `None` where the log holds no such entry (any more).
        ids: Vec<Option<MessageId>>,
    },
    /// The device is another user's, who has a key: it was not opened.
    Foreign,
    /// The counter that the device says comes next is further ahead than is believed: it was not
    /// opened.
    TooFarAhead,
    /// The message is in the log, or the counter is used up: done now.
    Done(MessageOutcome),
    /// Old entries were dropped; `more` if a further step would drop some.
    Retained {
        /// See above.
        more: bool,
    },
    /// The facts are kept.
    StatePut,
    /// The id was settled before.
    Repeated(MessageOutcome),
    /// What is known of the device is damaged, and the operator was told: nothing was done.
    Damaged,
    /// The counter is too high: the next after this one has to come first.
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
        room: RoomIndex,
        /// The number.
        seq: u64,
        /// The time.
        time: Timestamp,
    },
    /// Taken back in time.
    Withdrawn,
    /// Refused for good.
    Refused(ErrorCode),
    /// So long ago that it is no longer known how.
    Forgotten,
}

/// New entries of one room: a contiguous run of its log.
#[derive(Clone, Debug)]
pub struct Run {
    /// The room.
    pub room: RoomIndex,
    /// The encoded frames.
    pub segment: Segment,
}

/// What a commit did.
#[derive(Clone, Debug)]
pub struct Committed {
    /// One for each operation, in order.
    pub verdicts: Vec<OpResult>,
    /// The new entries, at most one run for each room.
    pub runs: Vec<Run>,
    /// Rooms whose lowest held number has changed, and to what.
    pub firsts: Vec<(RoomIndex, u64)>,
}

/// Why a batch was not committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// Nothing of it was done, no number was used; a later batch may fare better.
    Refused,
    /// It is not known what of it was done. Nothing more may be acknowledged: the server stops.
    Unknown,
    /// What was to be read is damaged, and the operator was told. Of readers only.
    Damaged,
}
