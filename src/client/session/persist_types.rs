//! The client's stored state as plain values: the state that a session starts from
//! ([`PersistedState`]), the changes that it wants stored ([`Save`]), and its queries
//! ([`CacheQuery`]).
//!
//! The session never waits for a disk. [`Session::poll_save`](super::Session::poll_save) returns
//! one [`Save`] at a time, and later changes gather in the next one;
//! [`Session::handle_saved`](super::Session::handle_saved) takes the result. The session relies on
//! this:
//!
//! - A save is carried out as a whole or not at all, and saves take effect in the order in which
//!   they were handed out.
//! - A [durable](Save::is_durable) save that was reported as done survives a power failure. Any
//!   other may be lost then, but only together with all later ones, up to the next durable one.
//! - A save that touches the device's outbox or counters, or opens a room, is carried out only while this process
//!   holds the device's lease: see [`SaveError::Lost`]. A process without it adds messages by
//!   [`StoreChange::Submit`], which the holder takes over by [`CacheQuery::Adopt`].
//!
//! In return it promises:
//!
//! - A message is reported as pending, and may be written to a socket, only after an
//!   [`StoreChange::Entry`] with it (and, for the socket, with its counter) was reported as saved.
//! - A message that may be on disk is reported as withdrawn only once its removal is saved.
//! - An entry is removed only when its outcome is known, or when the user withdrew it before its
//!   counter left.
//! - The position from which the next start resumes is the latest entry saved, and so can't be ahead
//!   of what is saved.
//! - A save with entries brings the stored ones that they refer to up to date.

use jiff::Timestamp;

use crate::{
    client::event::{Delivery, Page, SearchPage},
    protocol::{
        Content, Entry, Epoch, Extent, Preferences, ReadMarker, RoomId, RoomInfo, RoomName, UserId,
        frame::{Part, Position, RoomStart},
    },
    search::Query,
    text::Line,
};

/// The state stored by earlier runs, from which a session starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersistedState {
    /// This device's outbox.
    pub outbox: PersistedOutbox,
    /// The rooms.
    pub rooms: Vec<PersistedRoom>,
    /// The user's id on this server, from the last welcome.
    pub user: Option<UserId>,
    /// Whether another process has the device's lease; then the outbox is that process's, and empty
    /// here.
    pub standby: bool,
}

/// A device's outbox and its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersistedOutbox {
    /// The lowest unused counter; from 1.
    pub next_counter: u64,
    /// The lowest key that no entry ever had; from 1.
    pub next_key: u64,
    /// The entries, in the order of their keys, which is the order of typing.
    pub entries: Vec<OutboxEntry>,
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

/// A message of this user without a known outcome, or a refused one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEntry {
    /// The entry's key: no two entries of a device ever have the same.
    pub key: u64,
    /// Its number among this run's own messages; `None` if another run typed it.
    pub number: Option<u64>,
    /// Its room.
    pub room: RoomId,
    /// The name to enter the room by before it is sent, if the user wanted to be there by name.
    pub enter: Option<RoomName>,
    /// The content.
    pub content: Content,
    /// Its counter, once it may have been sent with it.
    pub counter: Option<u64>,
    /// Whether the user withdrew it.
    pub withdrawn: bool,
    /// Whether it was written in full to a legacy server, which never answers.
    pub unconfirmed: bool,
    /// Why it was refused permanently, if it was; it is kept until the user decides.
    pub failed: Option<Line>,
}

/// A room, and the client's position in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersistedRoom {
    /// The last stored message; number 0: none is stored.
    pub position: Position,
    /// The log that the numbers belong to.
    pub epoch: Epoch,
    /// The numbers that the server held, when last known.
    pub extent: Extent,
    /// The stored entries stand at least as when the log ended here.
    pub folded: u64,
    /// How far the user has read.
    pub marker: ReadMarker,
    /// Their settings of it.
    pub preferences: Preferences,
    /// The latest stored entries, as far as they are above the marker.
    pub held: Option<EntryRange>,
    /// The time of the last stored entry.
    pub active: Option<Timestamp>,
}

/// Changes to store, all or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Save {
    /// The changes, in order.
    pub changes: Vec<StoreChange>,
}

impl Save {
    /// Whether it must reach the disk itself before it counts as saved.
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

/// One change to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreChange {
    /// An entry of the outbox, new or replacing the one with its key.
    Entry(OutboxEntry),
    /// Removes the entry with this key, if there is one.
    Remove(u64),
    /// As [`StoreChange::Remove`], by the user's wish: durable, because no other source could
    /// repeat it.
    TakeBack(u64),
    /// All lower counters are used.
    NextCounter(u64),
    /// The outcome of the entry with this key, for the run that typed it, if that is another one
    /// and wants it. Comes before the entry's removal.
    Settled {
        /// The entry's key.
        key: u64,
        /// Its outcome.
        delivery: Delivery,
    },
    /// A message of this run, for the process that has the device's lease.
    Submit {
        /// Its number among this run's own messages.
        number: u64,
        /// Its room.
        room: RoomId,
        /// As [`OutboxEntry::enter`].
        enter: Option<RoomName>,
        /// The content.
        content: Content,
    },
    /// A room was opened. Stored messages below its first one are discarded: they were erased. All are
    /// discarded if they are of another log, if the room starts with a reset, or if what has changed
    /// them since is not asked for.
    Room {
        /// The log.
        epoch: Epoch,
        /// What the server said about the room.
        start: RoomStart,
        /// What the session itself holds stands at least as when the log ended here: it asks for
        /// later changes only.
        folded: u64,
    },
    /// A range of a room's log, which is merged with those that it touches.
    Entries(EntryRange),
    /// Entries of a room's log as they stand now. Those that are stored are brought up to date.
    Changed(ChangedEntries),
    /// How far the user has read a room, or to the log's end where that is lower, and their settings of
    /// it.
    Read {
        /// The room.
        room: RoomId,
        /// The log. If another one is stored, nothing is changed.
        epoch: Epoch,
        /// The marker.
        marker: ReadMarker,
        /// The settings.
        preferences: Preferences,
    },
    /// What a room is has changed.
    RoomInfo {
        /// The room.
        room: RoomId,
        /// What it is now.
        info: Box<RoomInfo>,
    },
    /// The user is no longer in a room: all that is stored of it is removed, but for messages in the
    /// outbox.
    RoomLeft(RoomId),
    /// The unsent text in a room; empty: none.
    Draft {
        /// The room.
        room: RoomId,
        /// The text.
        text: String,
    },
    /// A text was sent.
    Typed(String),
    /// A text of this user was erased before its entry was stored here: the typed texts and the
    /// drafts that hold exactly it are removed.
    Erased(String),
    /// The user's id on this server.
    User(UserId),
}

impl StoreChange {
    /// Whether only the holder of the device's lease may make it. Opening a room may replace what is
    /// stored of it: of two processes, the one that was taken over would undo what the other learned.
    pub fn is_fenced(&self) -> bool {
        matches!(
            self,
            Self::Entry(_)
                | Self::Remove(_)
                | Self::TakeBack(_)
                | Self::NextCounter(_)
                | Self::Settled { .. }
                | Self::Room { .. }
        )
    }
}

/// A range of one log; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRange {
    /// The room.
    pub room: RoomId,
    /// The log. If another one is stored by now (by another process), nothing is changed.
    pub epoch: Epoch,
    /// The lowest number.
    pub from: u64,
    /// The highest number.
    pub to: u64,
    /// The entries, oldest first. A page leaves out those that are not
    /// [shown](Entry::is_shown).
    pub entries: Vec<Entry>,
}

impl EntryRange {
    /// The range from the first of these entries to the last.
    pub fn of(room: RoomId, epoch: Epoch, entries: Vec<Entry>) -> Self {
        Self {
            room,
            epoch,
            from: entries.first().map_or(1, |entry| entry.seq),
            to: entries.last().map_or(0, |entry| entry.seq),
            entries,
        }
    }
}

/// Entries of one log that later ones have changed, or that have changed others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedEntries {
    /// The room.
    pub room: RoomId,
    /// The log. If another one is stored, nothing is changed.
    pub epoch: Epoch,
    /// The entries, as they stand now.
    pub entries: Vec<Entry>,
    /// The stored entries must stand at least as when the log ended here for the next field to hold.
    pub since: u64,
    /// With these, the stored entries stand at least as when the log ended here.
    pub folded: u64,
}

/// Why a save failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaveError {
    /// Another process holds the device's lease. Only the changes that [need
    /// it](StoreChange::is_fenced) were not saved.
    Lost,
    /// A failure that may pass: one plain sentence.
    Failed(Line),
}

/// Queries that may be without an answer at once; one of them at most is about the lease or the
/// outbox.
pub const CACHE_QUERIES_MAX: usize = 5;

/// The number of a query, by which its result finds what it answers. Unique in a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheQueryId(pub u64);

/// A query to the store; each is answered by a [`CacheResult`] of the same kind, in any order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheQuery {
    /// The stored piece of a part of a room's log: gap-free, and it begins or ends where the part
    /// does.
    Page {
        /// The room.
        room: RoomId,
        /// The log; another one's messages are not returned. `None`: none is known yet, any is
        /// accepted.
        epoch: Option<Epoch>,
        /// The part wanted.
        part: Part,
        /// Whether there is no server to ask: then the nearest stored piece is accepted.
        offline: bool,
    },
    /// A search among the stored messages.
    Search {
        /// The room.
        room: RoomId,
        /// The log; as for a page.
        epoch: Option<Epoch>,
        /// The query.
        query: Query,
        /// The highest number to search; `None`: the end.
        to: Option<u64>,
    },
    /// Takes the device's lease, if allowed, and returns its outbox; also the outcomes of this
    /// run's own messages that other processes settled.
    Lease(LeaseClaim),
    /// Takes over the messages that other processes have [submitted](StoreChange::Submit): at most
    /// [`ADOPTED_MAX`], as entries with keys from this one on.
    Adopt {
        /// The lowest unused key; only these entries may use the keys from it on.
        key: u64,
    },
}

/// Messages of other processes that are taken over at once.
pub const ADOPTED_MAX: u64 = 256;

/// When a process takes a device's lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseClaim {
    /// Always: its user wants it here.
    Take,
    /// Only if no other running process has it.
    IfFree,
    /// Not now.
    No,
}

/// The answer to a query. `Err` is one plain sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheResult {
    /// The page, or `None` where nothing of it is stored.
    Page(Result<Option<Page>, Line>),
    /// The matches.
    Found(Result<SearchPage, Line>),
    /// The lease's status.
    Lease(Result<LeaseStatus, Line>),
    /// The messages taken over; `None`: another process has the lease.
    Adopted(Result<Option<Vec<OutboxEntry>>, Line>),
}

/// The status of the device's lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseStatus {
    /// Whether this process has it now.
    pub ours: bool,
    /// Whether this process had it all the time: no other process uses this store.
    pub unbroken: bool,
    /// The outbox, if this process has the lease and anything is stored.
    pub outbox: Option<PersistedOutbox>,
    /// Outcomes of this run's own messages that another process settled, by their numbers. Reported
    /// once.
    pub settled: Vec<(u64, Delivery)>,
}

/// A time in nanoseconds since 1970, clamped to the type's range.
pub fn nanoseconds(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(if time < Timestamp::UNIX_EPOCH {
        i64::MIN
    } else {
        i64::MAX
    })
}
