//! The state of each room that the store keeps in memory.

use crate::{protocol::RoomName, server::log::plan::RoomState};
use std::time::Instant;

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
    /// It was reported that the ledger of erasures can't be written.
    pub(super) ledger_told: bool,
    /// When a refusal was last reported.
    pub(super) told_at: Option<Instant>,
}
