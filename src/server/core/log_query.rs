//! A look into a room's log that somebody asked for: a page of its history, or a search.
//!
//! The hub says whether it is allowed and the connection carries it out, with a
//! [`Reader`] of the log: so that the hub waits for no disk, and what was read goes to the socket
//! without being encoded again.
//!
//! # What it may cost
//!
//! - A connection has one look at a time, and none while an answer of its is unwritten: the next
//!   request is not even taken from what arrived. So it holds one page at the most
//!   ([`FRAME_BYTES_MAX`](crate::protocol::limits::FRAME_BYTES_MAX)), however many it asks for and
//!   however little it reads.
//! - The answer is an answer like any other: between two of them what its rooms have for it is
//!   written.
//! - Who looks without a pause gets half of what a reader can do at most, and those who look at
//!   the same time take turns (the shell sees to both).

use crate::{
    protocol::{
        RoomName,
        frame::{ErrorCode, ErrorFrame, PageHead, Part},
        wire::{encode_found, encode_history, encode_server},
    },
    search::Query,
    server::log::{Extent, Found, Page, Reader, StoreError},
    text::Line,
};

use crate::protocol::ServerFrame;
use crate::server::log::RoomIndex;

/// When to ask again for what could not be read.
const UNAVAILABLE_RETRY_MS: u64 = 1_000;

/// What is asked for. It was allowed.
#[derive(Clone, Debug)]
pub struct LogQuery {
    /// The room.
    pub room: RoomIndex,
    /// The room's name, for the answer.
    pub name: RoomName,
    /// What of it.
    pub what: QueryKind,
    /// Echoed in the answer.
    pub reference: Option<u64>,
}

/// What is wanted of a room's log.
#[derive(Clone, Debug)]
pub enum QueryKind {
    /// A page.
    Page(Part),
    /// Messages, newest first.
    Messages {
        /// Which.
        query: Query,
        /// With numbers up to this.
        to: u64,
    },
}

/// What was read.
#[derive(Debug)]
pub enum QueryResult {
    /// A page.
    Page(Page),
    /// What a search found.
    Found(Found),
}

impl LogQuery {
    /// Whether it looks for something, which may take long.
    pub fn is_search(&self) -> bool {
        matches!(self.what, QueryKind::Messages { .. })
    }

    /// Reads what is asked for.
    pub fn read(&self, reader: &mut dyn Reader) -> Result<QueryResult, StoreError> {
        match &self.what {
            QueryKind::Page(part) => reader.page(self.room, *part).map(QueryResult::Page),
            QueryKind::Messages { query, to } => {
                reader.search(self.room, query, *to).map(QueryResult::Found)
            }
        }
    }

    /// Appends the answer to `out`: a frame, whatever became of it.
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
            Err(error) => {
                let error = unavailable(*error, self.reference);
                encode_server(&ServerFrame::Error(error), out);
            }
        }
    }

    /// Where there is nothing, the page is told as an empty one within the log.
    fn head(&self, extent: Extent, from: u64, to: u64) -> PageHead {
        let nowhere = from.min(extent.head + 1).max(extent.first);
        let (from, to) = if from > to {
            (nowhere, nowhere - 1)
        } else {
            (from, to)
        };
        PageHead {
            room: self.name.clone(),
            first: extent.first,
            head: extent.head,
            from,
            to,
            reference: self.reference,
        }
    }
}

/// What is told of a log that can't be read. To ask again for what is damaged is of no use.
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
