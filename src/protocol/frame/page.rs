//! Pages of logs and lists, and the requests for them.

use jiff::Timestamp;

use crate::{
    protocol::{entry::Entry, extent::Extent, name::RoomId},
    search::Query,
    text::Line,
};

/// A request for a page of a room's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRequest {
    /// The room; `lobby` if the frame named none.
    pub room: RoomId,
    /// The part wanted.
    pub part: Part,
    /// Echoed in the answer.
    pub reference: Option<u64>,
}

/// A part of a room's log. A page holds as much of it as fits; numbers include both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Starts at the number `from`.
    Forward {
        /// The lowest number.
        from: u64,
        /// The highest number.
        to: u64,
    },
    /// Ends at the number `to`.
    Backward {
        /// The lowest number.
        from: u64,
        /// The highest number.
        to: u64,
    },
    /// Starts at the first message of this time or later.
    Since(Timestamp),
}

/// A search in a room's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchRequest {
    /// The room; `lobby` if the frame named none.
    pub room: RoomId,
    /// The query.
    pub query: Query,
    /// The highest number to search; `None`: the log's end.
    pub to: Option<u64>,
    /// Echoed in the answer.
    pub reference: Option<u64>,
}

/// A client's request for the entries of a room that later entries have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangesRequest {
    /// The room; `lobby` if the frame named none.
    pub room: RoomId,
    /// Changes by entries with higher numbers than this are wanted.
    pub since: u64,
    /// The highest number of a changed entry that is wanted.
    pub to: u64,
    /// Whether only erased entries are wanted.
    pub erased: bool,
    /// Echoed in the answer.
    pub reference: Option<u64>,
}

/// A client's request for a page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRequest<T> {
    /// What the names contain; empty: anything. At most
    /// [`LIST_QUERY_BYTES_MAX`](crate::protocol::limits::LIST_QUERY_BYTES_MAX) bytes.
    pub query: Line,
    /// The last element of the page before; `None`: the first page.
    pub after: Option<T>,
    /// Echoed in the answer.
    pub reference: Option<u64>,
}

/// A page of a room's log: all entries from `from` to `to`, both included, that are still held and
/// [shown](Entry::is_shown), as they stood when the log ended at the page's `head`. In an empty page
/// `to` is one less than `from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryPage {
    /// The range of the page.
    pub head: PageHead,
    /// The entries, oldest first.
    pub entries: Vec<Entry>,
}

/// The matches of a search among the messages from `from` to `to`, both included. Messages older
/// than `from` were not searched yet: to continue, ask with `to` one less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPage {
    /// The range searched.
    pub head: PageHead,
    /// The number up to which the server's index reaches. Of newer messages, only the latest were
    /// searched.
    pub indexed: u64,
    /// The messages, newest first.
    pub entries: Vec<Entry>,
}

/// Entries that later entries have changed, as they stood when the log ended at the page's `head`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangesPage {
    /// The range of the changed entries that were wanted.
    pub head: PageHead,
    /// All wanted changes by entries up to this number are in this page or an earlier one.
    pub through: u64,
    /// Whether there are more.
    pub more: bool,
    /// The entries, in the order of their revisions.
    pub entries: Vec<Entry>,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPage<T> {
    /// The elements, in the list's order: at most [`LIST_PAGE_MAX`](crate::protocol::limits::LIST_PAGE_MAX).
    pub list: Vec<T>,
    /// Whether there are more behind them.
    pub more: bool,
    /// The request's reference.
    pub reference: Option<u64>,
}

/// A page of the messages that mention the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxPage {
    /// The messages, newest first, as they stand now.
    pub entries: Vec<Entry>,
    /// The position to ask for the next page with; `None`: there is none.
    pub next: Option<u64>,
    /// The request's reference.
    pub reference: Option<u64>,
}

/// The fields that all pages of a log share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageHead {
    /// The room.
    pub room: RoomId,
    /// The range of numbers that the room holds.
    pub extent: Extent,
    /// The lowest number that the page covers.
    pub from: u64,
    /// The highest number that the page covers.
    pub to: u64,
    /// The request's reference.
    pub reference: Option<u64>,
}
