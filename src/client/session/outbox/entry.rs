//! A message in the outbox.

use crate::{
    client::{
        event::{Delivery, LocalId, RestoredMessage},
        session::persist_types::PersistedEntry,
    },
    protocol::RoomName,
    text::{Body, Line},
};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, no states of one machine"
)]
pub(in crate::client::session) struct OutboxEntry {
    pub(in crate::client::session) local: LocalId,
    /// Its key on disk; for a submitted entry, only within this process.
    pub(super) key: u64,
    /// Whether it was typed in this run.
    pub(super) own: bool,
    /// Whether it was submitted to another process: it is on disk, but not in our outbox.
    pub(super) submitted: bool,
    pub(in crate::client::session) room: RoomName,
    pub(in crate::client::session) body: Body,
    /// Its counter. Entries without one are behind all that have one.
    pub(super) counter: Option<u64>,
    /// Whether it is on disk, and so pending.
    pub(super) known: bool,
    /// Whether its counter is on disk, so that it may be sent.
    pub(super) reserved: bool,
    /// Whether it was written in full to an apparent basic server, which never answers.
    pub(super) basic: bool,
    /// Whether the user withdrew it: a `withdraw` then uses up its counter.
    pub(in crate::client::session) withdrawn: bool,
    /// Whether the summary counts it already.
    pub(in crate::client::session) counted: bool,
    /// Why it was refused permanently.
    pub(super) failed: Option<Line>,
}

impl OutboxEntry {
    /// Whether it is still to be written to a basic server.
    pub(super) fn is_due(&self) -> bool {
        !self.basic && !self.withdrawn
    }

    pub(super) fn to_keep(&self) -> PersistedEntry {
        PersistedEntry {
            key: self.key,
            number: self.own.then_some(self.local.0),
            room: self.room.clone(),
            body: self.body.clone(),
            counter: self.counter,
            withdrawn: self.withdrawn,
            unconfirmed: self.basic,
            failed: self.failed.clone(),
        }
    }

    pub(super) fn kept(local: LocalId, kept: PersistedEntry) -> Self {
        Self {
            local,
            key: kept.key,
            own: kept.number.is_some(),
            submitted: false,
            room: kept.room,
            body: kept.body,
            counter: kept.counter,
            known: true,
            reserved: kept.counter.is_some(),
            basic: kept.unconfirmed,
            withdrawn: kept.withdrawn,
            counted: kept.unconfirmed,
            failed: kept.failed,
        }
    }

    pub(super) fn delivery(&self) -> Delivery {
        match &self.failed {
            Some(why) => Delivery::Failed { why: why.clone() },
            None if self.basic => Delivery::Unconfirmed,
            None => Delivery::Pending,
        }
    }

    /// The news of it for the user.
    pub(super) fn news(&self, delivery: Delivery) -> RestoredMessage {
        RestoredMessage {
            local: self.local,
            room: self.room.clone(),
            body: self.body.clone(),
            delivery,
        }
    }
}
