//! The log: every room's messages, and what became of every message id.
//!
//! Owns the numbers (`seq`), the times of entries, each device's counter, and the encoded frames.
//! Knows nothing of connections, nicknames in use or who is present.
//!
//! A [`Store`] is a plain state machine: a batch in, verdicts out. Whoever runs it decides where
//! (a thread of its own, see [`super::net`]; a simulation, at a moment of its choosing). All that
//! must be in order goes through [`Store::append`], in one order: messages, withdrawals, refusals
//! that use up a counter, and the opening of a device at a join. So the rule for counters is kept
//! in one place, and whoever commits decides it:
//!
//! - the counter expected next: the operation is carried out;
//! - a lower one: it was settled before, and the answer is what became of it then;
//! - a higher one: [`OpResult::CounterGap`]; the one before must come first. That is also how a refusal
//!   for the time being holds back the messages behind it: it uses up no counter.
//!
//! A device belongs to the user who first proved a key with it, and is opened to nobody else: neither
//! somebody without a key nor somebody with another user's takes it over, or settles counters of it.
//!
//! Beside the log it keeps the house's [`StateRecord`]s, which mean nothing to it. They change in the same
//! batches and commits as all else, so whoever was told that he is banned, or let in, still is after
//! a power failure.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::core::{RoomIndex, segment::Segment};
use crate::{
    protocol::{
        DeviceId, Epoch, MessageId, RoomName, UserId,
        frame::{ErrorCode, Member, Part},
    },
    search::Query,
    text::Body,
};

#[cfg(test)]
mod conformance;
mod deadline;
mod disk_space;
pub mod index;
mod memory;
mod semantics;
pub mod sqlite;
mod state;

pub use memory::{MemoryLimits, MemoryStore};
pub use sqlite::SqliteStore;
pub use state::{STATE_KEY_BYTES_MAX, STATE_KIND_BYTES_MAX, STATE_VALUE_BYTES_MAX, StateRecord};

/// A new epoch, by chance.
///
/// # Errors
/// If the system gives no random bytes.
pub fn fresh_epoch() -> std::io::Result<Epoch> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(Epoch::from_bytes(bytes))
}

/// A clock that is off by more than this was corrected: that is marked. By less, times stand still
/// until it is where it was.
pub const CORRECTION_MIN: Duration = Duration::from_mins(1);

/// What a room's log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The lowest number still held; `head` + 1 where nothing is.
    pub first: u64,
    /// The highest number given; 0 in an empty room.
    pub head: u64,
}

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
    /// Changes what is known of the house.
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

/// The times that a log knows of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownTimes {
    /// Of the last step of retention by age, which is only taken while the clock is believed.
    pub believed: Option<Timestamp>,
    /// The latest that a room's last entry has.
    pub last: Option<Timestamp>,
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

/// A room that the store keeps, in the order of [`RoomIndex`].
pub type Rooms<'a> = &'a [RoomName];

/// A page of a room's log, as it was asked for with a [`Part`].
#[derive(Clone, Debug)]
pub struct Page {
    /// What the log holds.
    pub extent: Extent,
    /// The lowest number that the page covers.
    pub from: u64,
    /// The highest number that the page covers; `from` - 1 where there is nothing.
    pub to: u64,
    /// The encoded frames, oldest first: at most [`HISTORY_PAGE_MAX`](crate::protocol::limits::HISTORY_PAGE_MAX)
    /// and, but for the first, at most
    /// [`HISTORY_BYTES_MAX`](crate::protocol::limits::HISTORY_BYTES_MAX) bytes.
    pub frames: Vec<Bytes>,
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// What the log holds.
    pub extent: Extent,
    /// The lowest number that was looked at; `first` once the search is at its end. Between
    /// `indexed` and the newest, numbers may have been left out.
    pub from: u64,
    /// The highest number that was looked at; `from` - 1 where there is nothing.
    pub to: u64,
    /// The number up to which the index reaches; `head` where what is newer is so little that a
    /// search looks through it.
    pub indexed: u64,
    /// The encoded frames, newest first; limited as those of a [`Page`].
    pub frames: Vec<Bytes>,
}

/// Reads the log. A reader sees everything that was committed before it was asked.
pub trait Reader: Send {
    /// Encoded entries from a number on: at least one if there is one, and then as many as fit
    /// into `bytes_max`. Starts later than asked where the log no longer reaches back so far; is
    /// empty, at `head` + 1, where nothing follows.
    fn read(&mut self, room: RoomIndex, from: u64, bytes_max: usize)
    -> Result<Segment, StoreError>;

    /// A page of a room's log. Only what is still held is in it.
    fn page(&mut self, room: RoomIndex, part: Part) -> Result<Page, StoreError>;

    /// Looks for messages with numbers up to `to`, newest first, and stops after a bounded amount
    /// of work: [`Found::from`] says how far it came.
    fn search(&mut self, room: RoomIndex, query: &Query, to: u64) -> Result<Found, StoreError>;
}

/// The log. See the module's docs for the rules.
pub trait Store: Reader {
    /// Which log this is.
    fn epoch(&self) -> Epoch;

    /// What each room's log holds, in the order of [`RoomIndex`].
    fn extents(&self) -> Vec<Extent>;

    /// The times that the clock is to be measured by.
    fn known_times(&self) -> KnownTimes;

    /// All facts of the house, by kind and key. Read once, at the start.
    fn facts(&mut self) -> Result<Vec<StateRecord>, StoreError>;

    /// Carries out all of a batch or nothing. Once it returns `Ok`, it lasts.
    ///
    /// A batch of nothing but [`Operation::OpenDevice`] is answered as long as the log can be read, even
    /// if nothing can be written: that a device's counter is raised may then wait, for each of its
    /// messages says so again.
    fn append(&mut self, batch: Batch) -> Result<Committed, StoreError>;

    /// What is to be called, on whatever thread, once the store has failed while nothing was asked of
    /// it: [`StoreError::Unknown`] would be the next answer.
    fn on_failure(&mut self, _tell: Box<dyn FnOnce() + Send>) {}

    /// A reader that works beside the store, on another thread; `None` if only the store itself
    /// can read.
    fn reader(&self) -> Result<Option<Box<dyn Reader>>, StoreError>;
}
