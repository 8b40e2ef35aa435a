//! What an engine has to provide to keep a server's log.

use bytes::Bytes;
use jiff::Timestamp;

use super::{Batch, Committed, RoomIndex, Segment, StateRecord, StoreError};
use crate::{
    protocol::{Epoch, RoomName, frame::Part},
    search::Query,
};

/// A room that the store keeps, in the order of [`RoomIndex`].
pub type Rooms<'a> = &'a [RoomName];

/// What a room's log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The lowest number still held; `head` + 1 where nothing is.
    pub first: u64,
    /// The highest number given; 0 in an empty room.
    pub head: u64,
}

/// The times that a log knows of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownTimes {
    /// Of the last step of retention by age, which is only taken while the clock is believed.
    pub believed: Option<Timestamp>,
    /// The latest that a room's last entry has.
    pub last: Option<Timestamp>,
}

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
pub trait LogReader: Send {
    /// Encoded entries from a number on: at least one if there is one, and then as many as fit
    /// into `bytes_max`. Starts later than asked where the log no longer reaches back so far; is
    /// empty, at `head` + 1, where nothing follows.
    fn read(&mut self, room: RoomIndex, from: u64, bytes_max: usize)
    -> Result<Segment, StoreError>;

    /// A page of a room's log. Only what is still held is in it.
    fn page(&mut self, room: RoomIndex, part: Part) -> Result<Page, StoreError>;
}

/// Finds messages by their text.
pub trait SearchIndex: Send {
    /// Looks for messages with numbers up to `to`, newest first, and stops after a bounded amount
    /// of work: [`Found::from`] says how far it came.
    fn search(&mut self, room: RoomIndex, query: &Query, to: u64) -> Result<Found, StoreError>;
}

/// All that is read of a log: what a thread beside the store is given.
pub trait Reader: LogReader + SearchIndex {}

impl<T: LogReader + SearchIndex> Reader for T {}

/// Appends to the log. See the module's docs for the rules.
pub trait LogWriter {
    /// Which log this is.
    fn epoch(&self) -> Epoch;

    /// What each room's log holds, in the order of [`RoomIndex`].
    fn extents(&self) -> Vec<Extent>;

    /// The times that the clock is to be measured by.
    fn known_times(&self) -> KnownTimes;

    /// Carries out all of a batch or nothing. Once it returns `Ok`, it lasts.
    ///
    /// A batch of nothing but [`Operation::OpenDevice`](super::Operation::OpenDevice) is answered as
    /// long as the log can be read, even if nothing can be written: that a device's counter is raised
    /// may then wait, for each of its messages says so again.
    fn append(&mut self, batch: Batch) -> Result<Committed, StoreError>;

    /// Sets what is called, on whatever thread, once the store has failed while nothing was asked of
    /// it: [`StoreError::Unknown`] would be the next answer.
    fn on_failure(&mut self, _tell: Box<dyn FnOnce() + Send>) {}
}

/// Keeps the server's state beside the log. It changes in the log's batches, by
/// [`Operation::PutState`](super::Operation::PutState), and so in the same commits.
pub trait StateStore {
    /// All records, by kind and key. Read once, at the start.
    fn state(&mut self) -> Result<Vec<StateRecord>, StoreError>;
}

/// Everything that a server needs of an engine.
pub trait Store: Reader + LogWriter + StateStore {
    /// A reader that works beside the store, on another thread; `None` if only the store itself
    /// can read.
    fn reader(&self) -> Result<Option<Box<dyn Reader>>, StoreError>;
}
