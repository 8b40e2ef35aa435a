//! A query of the log: a page of a room's history, a search, what was changed in it, or a user's inbox.
//!
//! The hub decides whether it is allowed, and the connection runs it with a [`Reader`] of the log:
//! so the hub waits for no disk, and the result goes to the socket without being encoded again.
//!
//! # Limits
//!
//! - A connection runs one query at a time, and none while an answer to it is unwritten: the next
//!   request is not even taken from the received bytes. So it holds at most one page
//!   ([`FRAME_BYTES_MAX`](crate::protocol::limits::FRAME_BYTES_MAX)), however many it asks for and
//!   however little it reads.
//! - Between two answers the connection writes what its rooms have for it.
//! - A client that queries without a pause gets at most half of a reader's time, and concurrent
//!   queries take turns (the shell ensures both).

use bytes::Bytes;

use crate::{
    protocol::{
        Extent, RoomId, ServerFrame, UserId,
        frame::{ErrorCode, ErrorFrame, PageHead, Part},
        limits::NUMBER_MAX,
        wire::{
            encode_changes, encode_found, encode_history, encode_inbox, encode_server, parse_entry,
        },
    },
    search::Query,
    server::core::rooms::span::{Span, Visible},
    server::log::{Changed, ChangedSince, Found, Inbox, Page, Readable, Reader, StoreError},
    text::Line,
};

/// Retry delay for a query that could not be read.
const UNAVAILABLE_RETRY_MS: u64 = 1_000;

/// A query that the hub has allowed.
#[derive(Clone, Debug)]
pub struct LogQuery {
    /// The room; an inbox is of several.
    pub room: RoomId,
    /// The entries of it that the user may read. What an inbox may hold is in its rooms.
    pub visible: Visible,
    /// The part wanted.
    pub what: QueryKind,
    /// Echoed in the answer.
    pub reference: Option<u64>,
}

/// The kind of a query.
#[derive(Clone, Debug)]
pub enum QueryKind {
    /// A page of history.
    Page(Part),
    /// Entries that later entries have changed.
    Changed(ChangedSince),
    /// A search for messages, newest first.
    Messages {
        /// The search.
        query: Query,
        /// The highest number to search.
        to: u64,
    },
    /// A page of a user's inbox.
    Inbox {
        /// The user.
        user: UserId,
        /// Whom they ignore, in order.
        ignored: Vec<UserId>,
        /// What they may read.
        readable: Vec<Readable>,
        /// The position after the page before; `None`: the newest.
        before: Option<u64>,
    },
}

/// The result of a query.
#[derive(Debug)]
pub enum QueryResult {
    /// A page of history.
    Page(Page),
    /// Entries that later entries have changed.
    Changed(Changed),
    /// The messages that a search found.
    Found(Found),
    /// Messages that mention the user.
    Inbox(Inbox),
}

impl QueryResult {
    /// The encoded entries.
    fn frames(&mut self) -> &mut Vec<Bytes> {
        match self {
            Self::Page(page) => &mut page.frames,
            Self::Changed(changed) => &mut changed.frames,
            Self::Found(found) => &mut found.frames,
            Self::Inbox(inbox) => &mut inbox.frames,
        }
    }
}

impl LogQuery {
    /// Whether it is a search, which may take long.
    pub fn is_search(&self) -> bool {
        matches!(self.what, QueryKind::Messages { .. })
    }

    /// Runs the query.
    pub fn read(&self, reader: &mut dyn Reader) -> Result<QueryResult, StoreError> {
        let mut result = match &self.what {
            QueryKind::Page(part) => self.read_page(reader, *part).map(QueryResult::Page),
            QueryKind::Changed(wanted) => {
                reader.changed(self.room, *wanted).map(QueryResult::Changed)
            }
            QueryKind::Messages { query, to } => {
                self.search(reader, query, *to).map(QueryResult::Found)
            }
            QueryKind::Inbox {
                user,
                ignored,
                readable,
                before,
            } => reader.inbox(*user, readable, *before).map(|mut inbox| {
                let is_ignored = |frame: &Bytes| {
                    let author = parse_entry(frame).map(|entry| entry.author.user);
                    author.is_ok_and(|author| ignored.binary_search(&author).is_ok())
                };
                inbox.frames.retain(|frame| !is_ignored(frame));
                QueryResult::Inbox(inbox)
            }),
        }?;
        if !self.visible.is_all() {
            let is_visible = |frame: &Bytes| {
                parse_entry(frame).is_ok_and(|entry| self.visible.contains(entry.seq))
            };
            result.frames().retain(is_visible);
        }
        Ok(result)
    }

    /// Reads a page of what is visible. Where it ends depends on visible entries only; what is hidden
    /// between them counts as covered.
    fn read_page(&self, reader: &mut dyn Reader, part: Part) -> Result<Page, StoreError> {
        if self.visible.is_all() {
            return reader.page(self.room, part);
        }
        let (from, to, span) = match part {
            Part::Backward { from, to } => (from, to, self.visible.within(from, to).next_back()),
            Part::Forward { from, to } => (from, to, self.visible.within(from, to).next()),
            Part::Since(_) => {
                let from = reader.page(self.room, part)?.from;
                let span = self.visible.within(from, NUMBER_MAX).next();
                let from = span.map_or(from, |span| span.from);
                let to = NUMBER_MAX;
                return self.read_page(reader, Part::Forward { from, to });
            }
        };
        // Of what is hidden only the extent is wanted.
        let Span {
            from: first,
            to: last,
        } = span.unwrap_or(Span { from: to, to });
        let is_backward = matches!(part, Part::Backward { .. });
        let part = if is_backward {
            Part::Backward {
                from: first,
                to: last,
            }
        } else {
            Part::Forward {
                from: first,
                to: last,
            }
        };
        let mut page = reader.page(self.room, part)?;
        let (from, to) = (from.max(page.extent.first), to.min(page.extent.head));
        if span.is_none() {
            page.frames.clear();
            (page.from, page.to) = (from, to.max(from - 1));
        } else if is_backward && page.to >= page.from {
            page.to = to;
        } else if page.to >= page.from {
            page.from = from;
        }
        Ok(page)
    }

    /// Searches what is visible; see [`Self::read_page`].
    fn search(&self, reader: &mut dyn Reader, query: &Query, to: u64) -> Result<Found, StoreError> {
        let span = self.visible.within(1, to).next_back();
        if self.visible.is_all() {
            return reader.search(self.room, query, to);
        }
        let mut found = reader.search(self.room, query, span.map_or(1, |span| span.to))?;
        let first = found.extent.first;
        if let Some(span) = span {
            found.from = found.from.max(span.from);
        } else {
            found.frames.clear();
            found.from = first;
        }
        found.to = to.min(found.extent.head).max(found.from.saturating_sub(1));
        Ok(found)
    }

    /// Appends the answer to `out` as one frame: the result, or the error.
    pub(in crate::server) fn answer(
        &self,
        looked: &Result<QueryResult, StoreError>,
        out: &mut Vec<u8>,
    ) {
        match looked {
            Ok(QueryResult::Page(page)) => {
                let frames = page.frames.iter().map(AsRef::as_ref);
                encode_history(&self.head(page.extent, page.from, page.to), frames, out);
            }
            Ok(QueryResult::Found(found)) => {
                let frames = found.frames.iter().map(AsRef::as_ref);
                let head = self.head(found.extent, found.from, found.to);
                encode_found(&head, found.indexed, frames, out);
            }
            Ok(QueryResult::Changed(changed)) => {
                let frames = changed.frames.iter().map(AsRef::as_ref);
                let to = match &self.what {
                    QueryKind::Changed(wanted) => wanted.to.min(changed.extent.head),
                    QueryKind::Page(_) | QueryKind::Messages { .. } | QueryKind::Inbox { .. } => {
                        changed.extent.head
                    }
                };
                let head = self.head(changed.extent, changed.extent.first, to);
                encode_changes(&head, (changed.through, changed.more), frames, out);
            }
            Ok(QueryResult::Inbox(inbox)) => {
                let frames = inbox.frames.iter().map(AsRef::as_ref);
                encode_inbox(inbox.next, self.reference, frames, out);
            }
            Err(error) => {
                let error = unavailable(*error, self.reference);
                encode_server(&ServerFrame::Error(error), out);
            }
        }
    }

    /// The head of the answer. An empty range is moved into the log.
    fn head(&self, extent: Extent, from: u64, to: u64) -> PageHead {
        let nowhere = from.min(extent.next()).max(extent.first);
        let (from, to) = if from > to {
            (nowhere, nowhere - 1)
        } else {
            (from, to)
        };
        PageHead {
            room: self.room,
            extent,
            from,
            to,
            reference: self.reference,
        }
    }
}

/// The error for a log that can't be read. It asks for no retry where the log is damaged, since
/// that would not help.
pub(super) fn unavailable(error: StoreError, reference: Option<u64>) -> ErrorFrame {
    let is_damaged = error == StoreError::Damaged;
    let message = if is_damaged {
        "The server's log is damaged here: tell its operator"
    } else {
        "The server can't read its log at the moment"
    };
    ErrorFrame {
        code: ErrorCode::Unavailable,
        message: Line::inert(message),
        id: None,
        reference,
        retry_after_ms: (!is_damaged).then_some(UNAVAILABLE_RETRY_MS),
    }
}

#[cfg(test)]
mod tests;
