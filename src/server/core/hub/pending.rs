//! Operations that wait for their commit, and the data to answer them then.

use crate::{
    protocol::{
        MessageId, Nickname, RoomId, ServerFrame, UserId,
        admin::AdminResult,
        frame::{ErrorFrame, Member},
    },
    server::{
        core::{ConnectionId, admin::AdminEffect, event::EraseRequest},
        log::Operation,
    },
    text::Body,
};
use jiff::SignedDuration;
use std::{sync::Arc, time::Duration};

/// An operation that waits for the next batch.
pub(super) struct Staged {
    pub(super) operation: Operation,
    pub(super) pending: Pending,
    /// Its bytes against the limits.
    pub(super) bytes: usize,
}

/// The batch being committed.
#[derive(Default)]
pub(super) struct Committing {
    pub(super) pending: Vec<Pending>,
    /// Whether it is a step of retention.
    pub(super) retains: bool,
    /// The correction of the clock in the batch.
    pub(super) correction: SignedDuration,
}

/// Operations that the store refused, for the log: one line for many.
#[derive(Clone, Copy, Default)]
pub(super) struct Refusals {
    /// Operations that were not logged yet.
    pub(super) untold: usize,
    /// When some were last logged.
    pub(super) told: Option<Duration>,
}

/// A user whose membership begins at an entry that is not stored yet.
#[derive(Clone, Copy)]
pub(in crate::server::core) struct Invited {
    pub(super) user: UserId,
    /// The number from which on they are a member, as long as that of the entry is not known.
    pub(super) from: u64,
}

/// A connection that waits for the result of an operation.
pub(super) struct Pending {
    pub(super) connection: ConnectionId,
    pub(super) what: PendingKind,
}

impl Pending {
    pub(super) fn is_open(&self) -> bool {
        matches!(self.what, PendingKind::Open)
    }
}

/// The kind of a pending operation.
pub(in crate::server::core) enum PendingKind {
    /// A join.
    Open,
    /// A join that waits for records staged before it.
    Enter,
    /// Changed records.
    PutState {
        /// Promises to keep once they are stored.
        promises: Vec<Promise>,
    },
    /// A message.
    Message {
        /// Its id.
        id: MessageId,
        /// Its room.
        room: RoomId,
        /// Whether it is a new message, and no change of another one.
        is_new: bool,
        /// The sender.
        sender: Arc<Member>,
        /// Bytes of its text.
        bytes: usize,
        /// Its text, if the log has texts.
        text: Option<Body>,
    },
    /// A withdrawal.
    Withdraw {
        /// Its id.
        id: MessageId,
    },
    /// An entry about something that happened to a room.
    Note {
        /// The room.
        room: RoomId,
        /// The user whose membership begins with it.
        invited: Option<Invited>,
    },
    /// An erasure for the operator.
    Erase(Box<EraseRequest>),
    /// A message that is refused permanently.
    Refuse {
        /// Its id.
        id: MessageId,
        /// The answer.
        error: Box<ErrorFrame>,
    },
}

impl PendingKind {
    /// Whether it may make an entry in a room.
    pub(super) fn may_add_to(&self, place: RoomId) -> bool {
        match self {
            Self::Message { room, .. } | Self::Note { room, .. } => *room == place,
            Self::Open
            | Self::Enter
            | Self::PutState { .. }
            | Self::Withdraw { .. }
            | Self::Erase(_)
            | Self::Refuse { .. } => false,
        }
    }

    /// The message id that gets an outcome.
    pub(super) fn id(&self) -> Option<MessageId> {
        match self {
            Self::Message { id, .. } | Self::Withdraw { id } | Self::Refuse { id, .. } => Some(*id),
            Self::Open
            | Self::Enter
            | Self::PutState { .. }
            | Self::Note { .. }
            | Self::Erase(_) => None,
        }
    }
}

/// An answer, with its effects, that waits for records to be committed.
pub(in crate::server::core) enum Promise {
    /// An admin command.
    Command {
        /// The connection that waits for the answer, and the answer; `None`: it was told of the
        /// delay.
        answer: Option<(ConnectionId, AdminResult)>,
        /// The member who gave the command.
        by: Arc<Member>,
        /// The command's effects.
        effects: Vec<AdminEffect>,
    },
    /// A nickname that becomes the user's.
    Nick {
        connection: ConnectionId,
        nickname: Nickname,
        reference: Option<u64>,
    },
    /// A list that may tell of the changes.
    List {
        connection: ConnectionId,
        list: Box<ServerFrame>,
        reference: Option<u64>,
    },
}
