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
    let Some(session) = hub.sessions.get(&connection) else {
        return;
    };
    let (user, who) = (session.user, session.who());
    if let Err(error) = hub.house.may_rename(who, hub.now.mono) {
        return hub.refuse_request(connection, error, reference);
    }
    let answer = if hub.nickname_is_free(nickname, user) {
        hub.rename(user, nickname);
        hub.house.claim(user, nickname, hub.now);
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
