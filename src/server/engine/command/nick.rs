//! `nick`: another nickname.

use crate::{
    protocol::{
        Nickname, ServerFrame,
        basic::NICKNAME_IN_USE,
        frame::{ErrorCode, ErrorFrame},
    },
    server::engine::{
        ConnectionId,
        hub::{Hub, error},
    },
};

pub(super) fn run(
    hub: &mut Hub,
    connection: ConnectionId,
    nickname: &Nickname,
    reference: Option<u64>,
) {
    let Some(user) = hub.sessions.get(&connection).map(|session| session.user) else {
        return;
    };
    let answer = if hub.nickname_is_free(nickname, user) {
        hub.rename(user, nickname);
        ServerFrame::Nick {
            nickname: nickname.clone(),
            reference,
        }
    } else {
        ServerFrame::Error(ErrorFrame {
            reference,
            ..error(ErrorCode::NicknameInUse, NICKNAME_IN_USE)
        })
    };
    hub.answer(connection, answer);
}
