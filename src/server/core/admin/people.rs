//! The handlers of the commands about whom a user ignores.

use super::{AdminEffect, AdminReply, Reply, Running};
use crate::protocol::{
    Nickname,
    frame::{ErrorCode, ErrorFrame},
};

impl Running<'_> {
    pub(super) fn ignore(&mut self, nickname: &Nickname) -> Reply {
        let (user, other) = (self.user(), self.person(nickname)?);
        if other.user == user {
            let message = "You can't do that to yourself";
            return Err(ErrorFrame::new(ErrorCode::NotAllowed, message));
        }
        let changes = self.context.access.ignores.ignore(user, other.user)?;
        let reply = AdminReply::says(&format!("You ignore {}", other.nickname));
        Ok(if changes {
            reply.then(AdminEffect::IgnoredChanged { user })
        } else {
            reply
        })
    }

    pub(super) fn unignore(&mut self, nickname: &Nickname) -> Reply {
        let (user, other) = (self.user(), self.person(nickname)?);
        let nickname = other.nickname;
        if !self.context.access.ignores.unignore(user, other.user) {
            let message = format!("You don't ignore {nickname}");
            return Err(ErrorFrame::new(ErrorCode::NotFound, &message));
        }
        let message = format!("You don't ignore {nickname} any more");
        Ok(AdminReply::says(&message).then(AdminEffect::IgnoredChanged { user }))
    }
}
