//! `withdraw`: withdraws a message whose outcome its sender does not know. Its counter is used up,
//! so that later messages can be stored.

use super::submit::settled;
use crate::{
    protocol::{
        MessageId, ServerFrame,
        frame::{ErrorCode, ErrorFrame},
    },
    server::{
        core::{
            ConnectionId,
            hub::{Hub, Numbering, pending::PendingKind},
        },
        log::Operation,
    },
};

pub(super) fn run(hub: &mut Hub, connection: ConnectionId, id: MessageId) {
    let session = hub.sessions.get_mut(&connection);
    if !session.is_some_and(|session| session.numbers(Numbering::Client)) {
        let refusal = ErrorFrame {
            id: Some(id),
            ..ErrorFrame::new(
                ErrorCode::BadId,
                "The server numbers this client's messages: it can't withdraw one",
            )
        };
        return hub.answer(connection, ServerFrame::Error(refusal));
    }
    let Some(settled) = settled(hub, connection, id) else {
        return;
    };
    let operation = Operation::Settle {
        id,
        settled,
        refused: None,
    };
    hub.stage(connection, operation, PendingKind::Withdraw { id });
}
