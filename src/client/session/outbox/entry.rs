//! One message of the outbox, and what the disk has of it.

use crate::client::{
    event::{Delivery, LocalId, OutboxMessage},
    session::persist_types::OutboxEntry,
};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, no states of one machine"
)]
pub(in crate::client::session) struct QueuedEntry {
    /// What the disk has of it or is to have. Entries without a counter stand behind all that have
    /// one. Where it was submitted, only this process knows its key.
    pub(in crate::client::session) kept: OutboxEntry,
    pub(in crate::client::session) local: LocalId,
    /// Whether it was submitted to another process: the disk has it, but not as ours.
    pub(super) submitted: bool,
    /// Whether the disk has it at all: it is pending then.
    pub(super) known: bool,
    /// Whether its counter is on disk, so that it may be sent.
    pub(super) reserved: bool,
    /// Whether the farewell's figures have it already.
    pub(in crate::client::session) counted: bool,
}

impl QueuedEntry {
    /// Whether a basic server has yet to be told.
    pub(super) fn is_due(&self) -> bool {
        !self.kept.unconfirmed && !self.kept.withdrawn
    }

    /// Whether it was typed in this run.
    pub(super) fn is_own(&self) -> bool {
        self.kept.number.is_some()
    }

    pub(super) fn restored(local: LocalId, kept: OutboxEntry) -> Self {
        Self {
            local,
            submitted: false,
            known: true,
            reserved: kept.counter.is_some(),
            counted: kept.unconfirmed,
            kept: OutboxEntry {
                number: kept.number.map(|_| local.0),
                ..kept
            },
        }
    }

    pub(super) fn delivery(&self) -> Delivery {
        match &self.kept.failed {
            Some(why) => Delivery::Failed { why: why.clone() },
            None if self.kept.unconfirmed => Delivery::Unconfirmed,
            None => Delivery::Pending,
        }
    }

    /// What the user is told of it.
    pub(in crate::client::session) fn news(&self, delivery: Delivery) -> OutboxMessage {
        OutboxMessage {
            local: self.local,
            room: self.kept.room.clone(),
            body: self.kept.body.clone(),
            delivery,
        }
    }
}
