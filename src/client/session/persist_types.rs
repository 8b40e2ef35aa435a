//! What a client keeps on disk, as plain values: what a session starts from ([`PersistedState`]), what it
//! wants kept ([`Save`]), and what it wants looked up ([`CacheQuery`]).
//!
//! The session never waits for a disk. It hands out one [`Save`] at a time, by
//! [`Session::poll_save`](super::Session::poll_save), and gathers what comes meanwhile into the
//! next one; [`Session::handle_saved`](super::Session::handle_saved) says what became of it. What
//! it relies on:
//!
//! - A save is carried out as a whole or not at all, and saves take effect in the order in which
//!   they were handed out.
//! - Once a [durable](Save::is_durable) save was reported as done, it outlives the machine's losing
//!   power. Any other may be lost then, but only together with all later ones, up to the next
//!   durable one.
//! - A save that touches the device's outbox or counters is carried out only while this process
//!   holds the device's lease: see [`SaveError::Lost`]. A process without it adds messages by
//!   [`StoreChange::Submit`], which the holder takes over by [`CacheQuery::Adopt`].
//!
//! What it promises in return:
//!
//! - A message is told as pending, and may be written to a socket, only after an [`StoreChange::Entry`]
//!   with it (and, for the socket, with its counter) was reported as saved.
//! - A message that the disk may have is told as withdrawn only once its removal is saved.
//! - An entry is removed only when its outcome is known, or when the user took it back before its
//!   counter left.
//! - The position from which the next start resumes is the end of the highest range of messages
//!   saved, and so can't be ahead of them.

use jiff::Timestamp;

use crate::{
    client::event::{Delivery, Page, SearchPage},
    protocol::{
        Epoch, MessageId, RoomName, UserId,
        frame::{Message, Part, Reset},
    },
    search::Query,
    text::{Body, Line},
};

/// What was kept by earlier runs: what a session starts from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersistedState {
    /// This device's outbox.
    pub outbox: PersistedOutbox,
    /// The rooms.
    pub rooms: Vec<PersistedRoom>,
    /// Who we are on this server, as it said when it last let us in.
    pub user: Option<UserId>,
    /// Whether another process has the device's lease: the outbox is not ours, and is not given.
    pub standby: bool,
}

/// A device's outbox and its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersistedOutbox {
    /// The lowest counter that no message has; from 1.
    pub next_counter: u64,
    /// The lowest key that no entry ever had; from 1.
    pub next_key: u64,
    /// The entries, in the order of their keys, which is that of typing.
    pub entries: Vec<PersistedEntry>,
}

impl Default for PersistedOutbox {
    fn default() -> Self {
        Self {
            next_counter: 1,
            next_key: 1,
            entries: Vec::new(),
        }
    }
}

/// A message of ours whose outcome is not known, or that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersistedEntry {
    /// Which: no two entries of a device ever have the same.
    pub key: u64,
    /// Which of this run's own messages it is; `None`: it is another run's.
    pub number: Option<u64>,
    /// Where to.
    pub room: RoomName,
    /// The text.
    pub body: Body,
    /// Its counter, once it may have left this machine under it.
    pub counter: Option<u64>,
    /// Whether the user took it back.
    pub withdrawn: bool,
    /// Whether it was written in full to a basic server, which never answers.
    pub unconfirmed: bool,
    /// Why it was refused for good, if it was; it is kept until the user decides.
    pub failed: Option<Line>,
}

/// Where a client stands in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersistedRoom {
    /// The room.
    pub room: RoomName,
    /// The log that the numbers belong to.
    pub epoch: Epoch,
    /// The lowest number that the server held, when last heard of.
    pub first: u64,
    /// The highest number given, as far as is known.
    pub head: u64,
    /// The number of the last message that is kept; 0: none is.
    pub seq: u64,
    /// That message's id.
    pub id: Option<MessageId>,
}

/// What is to be kept: all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Save {
    /// The changes, in order.
    pub changes: Vec<StoreChange>,
}

impl Save {
    /// Whether it must have reached the disk itself before it counts as saved.
    pub fn is_durable(&self) -> bool {
        self.changes.iter().any(|change| {
            matches!(
                change,
                StoreChange::Entry(_)
                    | StoreChange::TakeBack(_)
                    | StoreChange::NextCounter(_)
                    | StoreChange::Submit { .. }
            )
        })
    }

    /// Whether it needs the device's lease.
    pub fn is_fenced(&self) -> bool {
        self.changes.iter().any(StoreChange::is_fenced)
    }
}

/// One thing to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreChange {
    /// An entry of the outbox, new or in place of the one with its key.
    Entry(PersistedEntry),
    /// The entry with this key is done with. There may be none.
    Remove(u64),
    /// As [`StoreChange::Remove`], because the user wants it so: nobody else could say it again, were
    /// this lost.
    TakeBack(u64),
    /// All lower counters are used up.
    NextCounter(u64),
    /// What became of the entry with this key, for the run that typed it, if that is another one
    /// and wants to know. Comes before the entry's removal.
    Settled {
        /// Which.
        key: u64,
        /// What.
        delivery: Delivery,
    },
    /// A message of this run, for whichever process has the device's lease.
    Submit {
        /// Which of this run's own messages it is.
        number: u64,
        /// Where to.
        room: RoomName,
        /// The text.
        body: Body,
    },
    /// A room was opened.
    Room(RoomUpdate),
    /// Messages of a room's log, all from one number to another: a range that is joined with
    /// those that it touches.
    Messages(MessageRange),
    /// The user has read a room up to this number, or to the log's end where that is lower.
    Read {
        /// The room.
        room: RoomName,
        /// The log. If another is kept, nothing is changed.
        epoch: Epoch,
        /// The number.
        seq: u64,
    },
    /// The text being written in a room; empty: none.
    Draft {
        /// The room.
        room: RoomName,
        /// The text.
        text: String,
    },
    /// A text was sent.
    Typed(String),
    /// Who we are on this server.
    User(UserId),
}

impl StoreChange {
    /// Whether only the holder of the device's lease may make it.
    pub fn is_fenced(&self) -> bool {
        matches!(
            self,
            Self::Entry(_)
                | Self::Remove(_)
                | Self::TakeBack(_)
                | Self::NextCounter(_)
                | Self::Settled { .. }
        )
    }
}

/// What a server said about a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomUpdate {
    /// The room.
    pub room: RoomName,
    /// The log. What is kept of another one is let go of.
    pub epoch: Epoch,
    /// What it is about.
    pub topic: Option<Line>,
    /// The lowest number that it holds. What is kept below is let go of: it was erased.
    pub first: u64,
    /// The highest number given.
    pub head: u64,
    /// Set when what is kept is not part of this log: it is let go of.
    pub reset: Option<Reset>,
}

/// Messages of one log, each number one more than the last; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRange {
    /// The room.
    pub room: RoomName,
    /// The log. If another is kept by now (another process was there), nothing is changed.
    pub epoch: Epoch,
    /// The messages.
    pub messages: Vec<Message>,
}

/// Why nothing was saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaveError {
    /// Another process holds the device's lease. Only what [needs it](StoreChange::is_fenced) was not
    /// saved; everything else was.
    Lost,
    /// It failed, for a reason that may pass: one plain sentence.
    Failed(Line),
}

/// What is to be looked up; each is answered by a [`CacheResult`] of the same kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheQuery {
    /// The part of a room's log, as far as it is kept: a gap-free piece that begins or ends where
    /// the part does.
    Page {
        /// The room.
        room: RoomName,
        /// The log; of another one there is nothing. `None`: none is known yet, any will do.
        epoch: Option<Epoch>,
        /// Which part.
        part: Part,
        /// Whether there is nobody else to be asked: then the nearest kept piece will do.
        offline: bool,
    },
    /// A search among the messages kept.
    Search {
        /// The room.
        room: RoomName,
        /// The log; as for a page.
        epoch: Option<Epoch>,
        /// What for.
        query: Query,
        /// The highest number to be looked at; `None`: the end.
        to: Option<u64>,
    },
    /// Take the device's lease, if it may be taken, and say what its outbox holds; and what became
    /// of this run's own messages with other processes.
    Lease(LeaseClaim),
    /// Take the messages over that other processes have [submitted](StoreChange::Submit): at most
    /// [`ADOPTED_MAX`], as entries with keys from this one on.
    Adopt {
        /// The lowest key that no entry has or will have but for these.
        key: u64,
    },
}

/// Messages of other processes that are taken over at once.
pub const ADOPTED_MAX: u64 = 256;

/// When a process takes a device's lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseClaim {
    /// In any case: its user wants it here.
    Take,
    /// If no other process that runs has it.
    IfFree,
    /// Not now.
    No,
}

/// What was looked up. `Err` says in one plain sentence why it could not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheResult {
    /// The page, or `None` where nothing of it is kept.
    Page(Result<Option<Page>, Line>),
    /// What was found.
    Found(Result<SearchPage, Line>),
    /// How the lease stands.
    Lease(Result<LeaseStatus, Line>),
    /// What was taken over; `None`: the lease is another process's.
    Adopted(Result<Option<Vec<PersistedEntry>>, Line>),
}

/// How the device's lease stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseStatus {
    /// Whether it is ours now.
    pub ours: bool,
    /// Whether it was ours all the time: no other process works with what is kept here.
    pub unbroken: bool,
    /// What its outbox holds, if it is ours and anything is kept.
    pub outbox: Option<PersistedOutbox>,
    /// What became of this run's own messages with another process, by their numbers. Told once.
    pub settled: Vec<(u64, Delivery)>,
}

/// When a message was taken; for those who keep times as numbers.
pub fn nanoseconds(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(if time < Timestamp::UNIX_EPOCH {
        i64::MIN
    } else {
        i64::MAX
    })
}
