//! The traits that a storage engine implements to keep a server's log.

use std::ops::RangeInclusive;

use bytes::Bytes;
use jiff::Timestamp;

#[cfg(doc)]
use super::semantics::UNREAD_SCANNED_MAX;
use super::{Batch, Committed, Segment, StateRecord, StoreError};
use crate::{
    protocol::{Count, Epoch, Extent, RoomId, UserId, frame::Part},
    search::Query,
};

/// How far later entries have changed a room's earlier ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revised {
    /// The highest number of an entry that changed another one; 0 if none did.
    pub changed: u64,
    /// The highest number of an entry that erased another one's content; 0 if none did.
    pub redacted: u64,
}

/// Where a room's log stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The range of numbers that it holds.
    pub extent: Extent,
    /// How far its entries were changed.
    pub revised: Revised,
}

/// Times known from the log, against which the clock is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownTimes {
    /// The time of the last retention by age, which runs only while the clock is trusted.
    pub believed: Option<Timestamp>,
    /// The latest time among the rooms' last entries.
    pub last: Option<Timestamp>,
}

/// A page of a room's log, as requested by a [`Part`].
#[derive(Clone, Debug)]
pub struct Page {
    /// The range that the log holds.
    pub extent: Extent,
    /// The lowest number that the page covers.
    pub from: u64,
    /// The highest number that the page covers; `from` - 1 if the page is empty.
    pub to: u64,
    /// The encoded frames, oldest first: at most [`HISTORY_PAGE_MAX`](crate::protocol::limits::HISTORY_PAGE_MAX)
    /// and, but for the first, at most
    /// [`HISTORY_BYTES_MAX`](crate::protocol::limits::HISTORY_BYTES_MAX) bytes.
    pub frames: Vec<Bytes>,
}

/// Entries wanted by [`LogReader::changed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangedSince {
    /// Changes by entries with higher numbers than this are wanted.
    pub since: u64,
    /// The highest number of a changed entry that is wanted.
    pub to: u64,
    /// Whether only erased entries are wanted.
    pub erased: bool,
}

/// Entries that later entries have changed.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The range that the log holds.
    pub extent: Extent,
    /// All wanted changes by entries up to this number are among these.
    pub through: u64,
    /// Whether there are more behind it.
    pub more: bool,
    /// The changed entries' frames, in the order of their revisions, with the limits of a [`Page`].
    pub frames: Vec<Bytes>,
}

/// The result of a search.
#[derive(Clone, Debug)]
pub struct Found {
    /// The range that the log holds.
    pub extent: Extent,
    /// The lowest number that was searched; `first` once the search is complete. Numbers between
    /// `indexed` and the newest may have been skipped.
    pub from: u64,
    /// The highest number that was searched; `from` - 1 if there was none.
    pub to: u64,
    /// The number up to which the index reaches; `head` if the newer entries are so few that a
    /// search reads them all.
    pub indexed: u64,
    /// The encoded frames, newest first, with the limits of a [`Page`].
    pub frames: Vec<Bytes>,
}

/// Messages that mention a user, on a page of their inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbox {
    /// The encoded frames, newest mention first, with the limits of a [`Page`].
    pub frames: Vec<Bytes>,
    /// The position to go on from; `None` at the end.
    pub next: Option<u64>,
}

/// The part of a room that a user may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readable {
    /// The room.
    pub room: RoomId,
    /// The numbers of the entries, in any order.
    pub ranges: Vec<RangeInclusive<u64>>,
}

/// Entries of a room that a user has not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// Those by others that [count](crate::protocol::Entry::counts), among the latest
    /// [`UNREAD_SCANNED_MAX`].
    pub entries: Count,
    /// Those of them, of all, that mention the user.
    pub mentions: Count,
}

/// Reads the log. A reader sees everything that was committed before the call. A room that never had an
/// entry is an empty log.
pub trait LogReader: Send {
    /// Encoded entries from a number on: at least one if there is one, then as many as fit into
    /// `bytes_max`. Starts at the first one still held if that is later; is empty, at `head` + 1,
    /// if nothing follows.
    fn read(&mut self, room: RoomId, from: u64, bytes_max: usize) -> Result<Segment, StoreError>;

    /// A page of a room's log, with only the entries that are still held and
    /// [shown](crate::protocol::Entry::is_shown).
    fn page(&mut self, room: RoomId, part: Part) -> Result<Page, StoreError>;

    /// The entries of a room that later entries have changed, as they stand now: messages, and edits
    /// that have lost their text.
    fn changed(&mut self, room: RoomId, wanted: ChangedSince) -> Result<Changed, StoreError>;

    /// A page of a user's inbox: messages by others that mention them in what they may read, as they
    /// stand now. `before`: the position after the page before; `None` for the newest. A page may be
    /// short, or empty, and not be the last.
    fn inbox(
        &mut self,
        user: UserId,
        readable: &[Readable],
        before: Option<u64>,
    ) -> Result<Inbox, StoreError>;

    /// What of a room's entries above a number is unread for a user who has read all up to that.
    /// `ignored`: the users whom they ignore, in order; what those have written does not count.
    fn unread(
        &mut self,
        user: UserId,
        ignored: &[UserId],
        room: RoomId,
        above: u64,
    ) -> Result<Unread, StoreError>;
}

/// Finds messages by their text.
pub trait SearchIndex: Send {
    /// Searches messages with numbers up to `to`, newest first, and stops after a bounded amount of
    /// work: [`Found::from`] says how far it came.
    fn search(&mut self, room: RoomId, query: &Query, to: u64) -> Result<Found, StoreError>;
}

/// All read access to a log, for a thread beside the store.
pub trait Reader: LogReader + SearchIndex {}

impl<T: LogReader + SearchIndex> Reader for T {}

/// Appends to the log. See the module's docs for the rules.
pub trait LogWriter {
    /// The epoch, which identifies this log.
    fn epoch(&self) -> Epoch;

    /// Where the log of each room stands that ever had an entry, in the order of their ids.
    fn standings(&self) -> Vec<(RoomId, Standing)>;

    /// The range that the log of each such room holds, in the order of their ids.
    fn extents(&self) -> Vec<(RoomId, Extent)> {
        let standings = self.standings().into_iter();
        standings
            .map(|(room, standing)| (room, standing.extent))
            .collect()
    }

    /// The times against which the clock is checked.
    fn known_times(&self) -> KnownTimes;

    /// Carries out a whole batch or nothing. After `Ok` it is durable.
    ///
    /// A batch of only [`Operation::OpenDevice`](super::Operation::OpenDevice) is answered as long
    /// as the log can be read, even if it can't be written: raising a device's counter may wait,
    /// because each of its messages repeats it.
    fn append(&mut self, batch: Batch) -> Result<Committed, StoreError>;

    /// Sets a callback, called on any thread if the store fails between calls: the next
    /// [`append`](Self::append) would return [`StoreError::Fatal`].
    fn on_failure(&mut self, _tell: Box<dyn FnOnce() + Send>) {}
}

/// Keeps the server's state beside the log. It changes through
/// [`Operation::PutState`](super::Operation::PutState) in the log's batches, and so in the same
/// commits.
pub trait StateStore {
    /// All records, ordered by kind and key. Read once, at the start.
    fn state(&mut self) -> Result<Vec<StateRecord>, StoreError>;
}

/// Everything that a server needs of a storage engine.
pub trait Store: Reader + LogWriter + StateStore {
    /// A reader for another thread, working beside the store; `None` if only the store itself can
    /// read.
    fn reader(&self) -> Result<Option<Box<dyn Reader>>, StoreError>;

    /// Does work that may take long and can wait. Called again and again while nothing is to be
    /// appended.
    fn idle(&mut self) {}
}
