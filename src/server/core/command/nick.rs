//! `nick`: changes a user's nickname. If they become its owner, the change is announced once that
//! is committed.

use crate::{
    protocol::{
        Nickname, ServerFrame,
        frame::{ErrorCode, ErrorFrame},
        legacy::NICKNAME_IN_USE,
    },
    server::core::{ConnectionId, hub::Hub},
};

pub(super) fn run(
    hub: &mut Hub,
    connection: ConnectionId,
    nickname: &Nickname,
    reference: Option<u64>,
) {
    let Some(session) = hub.sessions.get(&connection) else {
        return;
    };
    let (user, requester) = (session.user, session.requester());
    if let Err(error) = hub.access.may_rename(requester, hub.now) {
        return hub.refuse_request(connection, error, reference);
    }
    if !hub.nickname_is_free(nickname, user) {
        return in_use(hub, connection, reference);
    }
    hub.access.accounts.claim(user, nickname, hub.now);
    // Later changes wait too, so that the last one wins.
    if hub.renames_later(connection) || hub.access.accounts.owes(user, nickname) {
        return hub.rename_when_stored(connection, nickname.clone(), reference);
    }
    renamed(hub, connection, nickname, reference);
}

/// Changes the nickname, if it is still free.
pub(in crate::server::core) fn renamed(
    hub: &mut Hub,
    connection: ConnectionId,
    nickname: &Nickname,
    reference: Option<u64>,
) {
    let Some(user) = hub.sessions.get(&connection).map(|session| session.user) else {
        return;
    };
    if !hub.nickname_is_free(nickname, user) {
        hub.keep_nickname(connection);
        return in_use(hub, connection, reference);
    }
    hub.rename(user, nickname);
    hub.keep_nickname(connection);
    let answer = ServerFrame::Nick {
        nickname: nickname.clone(),
        reference,
    };
    hub.answer(connection, answer);
}

fn in_use(hub: &mut Hub, connection: ConnectionId, reference: Option<u64>) {
    let error = ErrorFrame::new(ErrorCode::NicknameInUse, NICKNAME_IN_USE);
    hub.refuse_request(connection, error, reference);
}
