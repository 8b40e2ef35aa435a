//! Operations that wait for their commit, and what each is to do then.

use crate::{
    protocol::{
        MessageId, Nickname,
        admin::AdminResult,
        frame::{ErrorFrame, Member},
    },
    server::{
        core::{ConnectionId, admin::AdminEffect},
        log::Operation,
    },
    text::Body,
};
use jiff::SignedDuration;
use std::{sync::Arc, time::Duration};

/// An operation with all that is needed to answer for it.
pub(super) struct Staged {
    pub(super) operation: Operation,
    pub(super) pending: Pending,
    /// What it counts against the limits.
    pub(super) bytes: usize,
}

/// What is with the store.
#[derive(Default)]
pub(super) struct Committing {
    pub(super) pending: Vec<Pending>,
    /// Whether it is a step of retention.
    pub(super) retains: bool,
    /// The correction of the clock that the store is told of.
    pub(super) correction: SignedDuration,
}

/// What the store refused, for the log: one line for many.
#[derive(Clone, Copy, Default)]
pub(super) struct Refusals {
    /// Operations that were not told of yet.
    pub(super) untold: usize,
    /// When some were last told of.
    pub(super) told: Option<Duration>,
}

/// Who waits for what.
pub(super) struct Pending {
    pub(super) connection: ConnectionId,
    pub(super) what: What,
}

impl Pending {
    pub(super) fn is_open(&self) -> bool {
        matches!(self.what, What::Open)
    }
}

/// What was asked.
pub(in crate::server::core) enum What {
    /// To come in.
    Open,
    /// To come in, as somebody who owns what is stored before this.
    Enter,
    /// To store records that changed.
    PutState {
        /// What is told and done once they are stored.
        promises: Vec<Promise>,
    },
    /// To store a message.
    Message {
        /// Its id.
        id: MessageId,
        /// Who sent it.
        sender: Arc<Member>,
        /// Bytes of its text.
        bytes: usize,
        /// Its text, if texts are recorded.
        text: Option<Body>,
    },
    /// To take a message back.
    Withdraw {
        /// Its id.
        id: MessageId,
    },
    /// A message that is refused for good, with this.
    Refuse {
        /// Its id.
        id: MessageId,
        /// The answer.
        error: Box<ErrorFrame>,
    },
}

impl What {
    /// The id that it settles.
    pub(super) fn id(&self) -> Option<MessageId> {
        match self {
            Self::Message { id, .. } | Self::Withdraw { id } | Self::Refuse { id, .. } => Some(*id),
            Self::Open | Self::Enter | Self::PutState { .. } => None,
        }
    }
}

/// Something that is told and done once records are committed.
pub(in crate::server::core) enum Promise {
    /// A command was carried out.
    Command {
        /// Who waits for the answer, and what it is; `None`: they were told that it takes longer.
        answer: Option<(ConnectionId, AdminResult)>,
        /// Who gave the command.
        by: Arc<Member>,
        /// What follows from it.
        effects: Vec<AdminEffect>,
    },
    /// A session's user comes to own another nickname.
    Nick {
        connection: ConnectionId,
        nickname: Nickname,
        reference: Option<u64>,
    },
}
