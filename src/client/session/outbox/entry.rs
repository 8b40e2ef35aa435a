//! A message in the outbox, and what of it is on disk.

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
    /// The entry as it is stored. Entries without a counter are behind all that have one. The key of a
    /// submitted entry is known only within this process.
    pub(in crate::client::session) kept: OutboxEntry,
    pub(in crate::client::session) local: LocalId,
    /// Whether it was submitted to another process: it is on disk, but not in our outbox.
    pub(super) submitted: bool,
    /// Whether it is on disk, and so pending.
    pub(super) known: bool,
    /// Whether its counter is on disk, so that it may be sent.
    pub(super) reserved: bool,
    /// Whether the summary counts it already.
    pub(in crate::client::session) counted: bool,
}

impl QueuedEntry {
    /// Whether it is still to be written to a legacy server.
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

    /// The news of it for the user.
    pub(in crate::client::session) fn news(&self, delivery: Delivery) -> OutboxMessage {
        OutboxMessage {
            local: self.local,
            room: self.kept.room,
            content: self.kept.content.clone(),
            delivery,
        }
    }
}
