//! What the store knows of each room without reading.

use crate::{protocol::RoomName, server::log::Extent};
use jiff::{SignedDuration, Timestamp};
use std::time::Instant;

/// What a transaction changes of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RoomState {
    pub(super) first: u64,
    pub(super) head: u64,
    /// The latest entry's time.
    pub(super) last_time: Timestamp,
    /// By how much the clock was corrected since then.
    pub(super) correction: SignedDuration,
}

impl RoomState {
    pub(super) fn extent(self) -> Extent {
        Extent {
            first: self.first,
            head: self.head,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Room {
    /// Its row.
    pub(super) no: i64,
    pub(super) name: RoomName,
    pub(super) state: RoomState,
}

/// What was refused, and what the operator was told of it. Where some batches fit and others don't,
/// that is not one line for each.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// The last batch that had something to write was refused.
    pub(super) refusing: bool,
    /// It was said that batches are refused, and not yet that they no longer are.
    pub(super) told: bool,
    /// When it was said last.
    pub(super) told_at: Option<Instant>,
}
