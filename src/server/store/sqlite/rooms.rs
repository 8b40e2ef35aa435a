//! The state of each room that the store keeps in memory.

use crate::protocol::{Extent, RoomName};
use jiff::{SignedDuration, Timestamp};
use std::time::Instant;

/// The part of a room's state that transactions change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RoomState {
    pub(super) extent: Extent,
    /// The latest entry's time.
    pub(super) last_time: Timestamp,
    /// How far the clock was corrected since then.
    pub(super) correction: SignedDuration,
}

#[derive(Clone, Debug)]
pub(super) struct Room {
    /// Its row number.
    pub(super) no: i64,
    pub(super) name: RoomName,
    pub(super) state: RoomState,
}

/// State of the warnings about refused batches. If some batches fit and others don't, not each one
/// is reported.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// The last batch with something to write was refused.
    pub(super) refusing: bool,
    /// A refusal was reported, and its end not yet.
    pub(super) told: bool,
    /// When a refusal was last reported.
    pub(super) told_at: Option<Instant>,
}
