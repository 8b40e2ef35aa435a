//! `message` and `entry`: append an entry to a room's log.

use std::{sync::Arc, time::Duration};

use crate::{
    protocol::{
        ClientFrame, Content, Mentions, MessageId, ServerFrame,
        entry::ContentError,
        frame::{Departure, ErrorCode, ErrorFrame, Submission},
        wire::UNKNOWN_TYPE,
    },
    server::{
        core::{
            ConnectionId,
            access::may::NO_SUCH_ROOM,
            endpoint::HOLD_BACK_MAX,
            event::ConnectionCommand,
            hub::{Hub, Numbering, pending::PendingKind},
        },
        log::Operation,
    },
};

/// Retry delay for a message that arrives while the server stops: it will be back by then, or gone.
const STOPPING_RETRY_MS: u64 = 1_000;

pub(super) fn run(hub: &mut Hub, connection: ConnectionId, submission: Submission) {
    let Some(session) = hub.sessions.get_mut(&connection) else {
        return;
    };
    let holds_back = !session.abilities.sends_again;
    let own = submission.id;
    let by = match own {
        Some(_) => Numbering::Client,
        None => Numbering::Server,
    };
    if !session.numbers(by) {
        let refusal = ErrorFrame {
            id: submission.id,
            ..ErrorFrame::new(
                ErrorCode::BadId,
                "Either all messages of a connection have an id, or none",
            )
        };
        return hub.answer(connection, ServerFrame::Error(refusal));
    }
    // The store would give the same answer, at a higher cost.
    if let Some(id) = own.filter(|id| session.holds_back(*id)) {
        let answer = hub.gap_answer(connection, id);
        return hub.answer(connection, answer);
    }
    let allowed = may_submit(hub, connection, &submission);
    if let Err(error) = allowed {
        let wait = error.retry_after_ms.map(Duration::from_millis);
        let wait = wait.filter(|wait| holds_back && *wait <= HOLD_BACK_MAX && !hub.stopping());
        return match wait {
            Some(wait) => hub.command(
                connection,
                ConnectionCommand::Retry {
                    frame: Box::new(ClientFrame::Submit(submission)),
                    wait,
                },
            ),
            None => not_now(hub, connection, own, error),
        };
    }
    let Some(session) = hub.sessions.get_mut(&connection) else {
        return;
    };
    let Some(id) = own.or_else(|| session.next_id()) else {
        let message = "This client has used up all numbers of its messages: use another client ID";
        let error = ErrorFrame::new(ErrorCode::BadId, message);
        return hub.break_off(connection, error, Departure::Protocol);
    };
    let content = match submission.content {
        Ok(content) => content,
        Err(wrong) => return refuse_for_good(hub, connection, id, unfit(&wrong)),
    };
    if hub.room_of(connection, submission.room).is_none() {
        let error = ErrorFrame::new(ErrorCode::NoSuchRoom, NO_SUCH_ROOM);
        return refuse_for_good(hub, connection, id, error);
    }
    let Some(settled) = settled(hub, connection, id) else {
        return;
    };
    let user = hub.sessions.get(&connection).map(|session| session.user);
    let Some(user) = user.and_then(|user| hub.users.get(&user)) else {
        return;
    };
    let sender = Arc::clone(&user.member);
    let moderates = allowed.unwrap_or(false);
    // One that is sent again is in the log with its mentions, or refused.
    let body = content.body().filter(|_| id.counter > settled);
    let mentions = body.map_or(Mentions::NONE, |body| {
        hub.mentions(connection, submission.room, body)
    });
    let what = PendingKind::Message {
        id,
        room: submission.room,
        is_new: matches!(content, Content::Text(_)),
        sender: Arc::clone(&sender),
        bytes: content.bytes(),
        text: content
            .body()
            .filter(|_| hub.settings.record_texts)
            .cloned(),
    };
    let operation = Operation::Append {
        id,
        settled,
        room: submission.room,
        sender,
        content,
        mentions,
        moderates,
    };
    hub.stage(connection, operation, what);
}

/// The answer to a content that can't become an entry.
fn unfit(wrong: &ContentError) -> ErrorFrame {
    match wrong {
        ContentError::Text(wrong) => ErrorFrame::new(ErrorCode::BadText, &wrong.to_string()),
        ContentError::Target => ErrorFrame::new(ErrorCode::BadField, "target is no id of an entry"),
        ContentError::Kind => ErrorFrame::new(ErrorCode::UnknownType, UNKNOWN_TYPE),
    }
}

/// Whether a user may submit this now, and, if it erases something, whether they may erase what
/// others wrote. An entry that has an outcome is not counted again.
fn may_submit(
    hub: &mut Hub,
    connection: ConnectionId,
    submission: &Submission,
) -> Result<bool, ErrorFrame> {
    let Some(session) = hub.sessions.get(&connection) else {
        return Ok(false);
    };
    let room = submission.room;
    let in_session = session.is_in(room);
    let requester = session.requester();
    let moot = |id: MessageId| id.device == session.device && id.counter <= session.settled();
    if submission.id.is_some_and(moot) {
        return Ok(false);
    }
    match submission.content {
        Ok(Content::Redaction { .. }) => hub.access.may_erase(requester, room, in_session, hub.now),
        Ok(Content::Text(_) | Content::Edit { .. }) | Err(_) => hub
            .access
            .may_write(requester, room, in_session, hub.now)
            .map(|()| false),
    }
}

/// Refuses a message temporarily or permanently.
fn not_now(hub: &mut Hub, connection: ConnectionId, id: Option<MessageId>, error: ErrorFrame) {
    match id {
        Some(id) if error.retry_after_ms.is_none() => refuse_for_good(hub, connection, id, error),
        Some(id) => {
            // An error of the id comes first.
            if settled(hub, connection, id).is_some() {
                hub.hold(connection, id);
                let id = Some(id);
                hub.answer(connection, ServerFrame::Error(ErrorFrame { id, ..error }));
            }
        }
        None => hub.answer(connection, ServerFrame::Error(error)),
    }
}

/// Refuses a message permanently: its counter is used up.
pub(super) fn refuse_for_good(
    hub: &mut Hub,
    connection: ConnectionId,
    id: MessageId,
    error: ErrorFrame,
) {
    let Some(settled) = settled(hub, connection, id) else {
        return;
    };
    let operation = Operation::Settle {
        id,
        settled,
        refused: Some(error.code),
    };
    let error = Box::new(ErrorFrame {
        id: Some(id),
        ..error
    });
    hub.stage(connection, operation, PendingKind::Refuse { id, error });
}

/// The counter up to which the device's messages have an outcome, as far as is known here. `None`:
/// it has refused the id, which is another device's or arrives while the server stops.
pub(super) fn settled(hub: &mut Hub, connection: ConnectionId, id: MessageId) -> Option<u64> {
    let session = hub.sessions.get(&connection)?;
    let refusal = if session.device != id.device {
        ErrorFrame::new(ErrorCode::BadId, "This id belongs to another device")
    } else if hub.stopping() {
        hub.hold(connection, id);
        ErrorFrame {
            retry_after_ms: Some(STOPPING_RETRY_MS),
            ..ErrorFrame::new(ErrorCode::ShuttingDown, "The server is stopping")
        }
    } else {
        return Some(session.settled());
    };
    let refusal = ErrorFrame {
        id: Some(id),
        ..refusal
    };
    hub.answer(connection, ServerFrame::Error(refusal));
    None
}
