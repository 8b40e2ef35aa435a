//! One message of the outbox.

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
    /// What the disk knows it by; where it was submitted, only this process does.
    pub(super) key: u64,
    /// Whether it was typed in this run.
    pub(super) own: bool,
    /// Whether it was submitted to another process: the disk has it, but not as ours.
    pub(super) submitted: bool,
    pub(in crate::client::session) room: RoomName,
    pub(in crate::client::session) body: Body,
    /// Its counter; entries without one stand behind all that have one.
    pub(super) counter: Option<u64>,
    /// Whether the disk has it at all: it is pending then.
    pub(super) known: bool,
    /// Whether the disk has its counter: it may leave then.
    pub(super) reserved: bool,
    /// Whether it was written in full to what looked like a basic server, which never answers.
    pub(super) basic: bool,
    /// Whether the user took it back: its place is then used up by a `withdraw`.
    pub(in crate::client::session) withdrawn: bool,
    /// Whether the farewell's figures have it already.
    pub(in crate::client::session) counted: bool,
    /// Why it was refused for good.
    pub(super) failed: Option<Line>,
}

impl OutboxEntry {
    /// Whether a basic server has yet to be told.
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

    /// What the user is told of it.
    pub(super) fn news(&self, delivery: Delivery) -> RestoredMessage {
        RestoredMessage {
            local: self.local,
            room: self.room.clone(),
            body: self.body.clone(),
            delivery,
        }
    }
}
