//! Admin commands in the hub: finds their target and carries out their effects.

use std::sync::Arc;

use super::{Hub, Session, bye, whowas::WhowasRecord};
use crate::{
    protocol::{
        Nickname, Role, RoomId, RoomRules, UserId,
        admin::{ActsOn, AdminCommand},
        frame::{Change, Departure, Member},
    },
    server::core::{
        ConnectionId,
        access::Requester,
        admin::{Actor, AdminEffect, Target},
    },
    text::Line,
};

impl Session {
    /// The session's user, for access control.
    pub(in crate::server::core) fn requester(&self) -> Requester {
        Requester {
            user: self.user,
            role: self.role,
            address: self.address,
        }
    }
}

impl Hub {
    /// The user who gives a command.
    pub(in crate::server::core) fn actor(&self, connection: ConnectionId) -> Option<Actor> {
        let session = self.sessions.get(&connection)?;
        let user = self.users.get(&session.user)?;
        Some(Actor {
            nickname: user.member.nickname.clone(),
            requester: Requester {
                // A demotion applies at once, before it is committed and announced.
                role: session.role.min(self.access.accounts.role(session.user)),
                ..session.requester()
            },
        })
    }

    /// The target of a command: the user with that nickname, the one who left with it recently, or
    /// its owner.
    pub(in crate::server::core) fn target(&self, command: &AdminCommand) -> Option<Target> {
        let ActsOn::User(_) = command.spec().on else {
            return None;
        };
        let nickname = command.nickname()?;
        let owner = self.access.accounts.nicknames.owner(nickname);
        let present = self.nicknames.get(nickname.canonical().as_str()).copied();
        let gone = self.just_left.find(nickname, self.now.mono);
        // Somebody else may own the nickname by now.
        let gone = gone.filter(|gone| owner.is_none_or(|owner| owner == gone.user));
        let user = present.or(gone.map(|gone| gone.user));
        if let Some(present) = user.and_then(|user| self.users.get(&user)) {
            return Some(self.present_target(&present.member));
        }
        match gone {
            Some(gone) => Some(self.absent_target(gone, owner)),
            None => owner.map(|user| self.owner_target(user, nickname)),
        }
    }

    fn present_target(&self, member: &Member) -> Target {
        let known = self.access.accounts.known_role(member.user);
        let sessions = self.sessions.values();
        let own = sessions.filter(|session| session.user == member.user);
        Target {
            user: member.user,
            nickname: member.nickname.clone(),
            role: known.unwrap_or(member.role),
            present: true,
            addresses: own.map(|session| session.address).collect(),
        }
    }

    fn absent_target(&self, gone: &WhowasRecord, owner: Option<UserId>) -> Target {
        Target {
            user: gone.user,
            nickname: gone.nickname.clone(),
            role: owner.map_or(gone.role, |owner| self.access.accounts.role(owner)),
            present: false,
            addresses: vec![gone.address],
        }
    }

    fn owner_target(&self, user: UserId, nickname: &Nickname) -> Target {
        Target {
            user,
            nickname: nickname.clone(),
            role: self.access.accounts.role(user),
            present: false,
            addresses: Vec::new(),
        }
    }

    /// The role of a user who is present.
    #[cfg(test)]
    pub(in crate::server::core) fn role_of(&self, nickname: &str) -> Option<Role> {
        let nickname = Nickname::parse(nickname).ok()?;
        let user = self.nicknames.get(nickname.canonical().as_str())?;
        self.users.get(user).map(|user| user.member.role)
    }

    /// Carries out the effects of a member's command.
    pub(super) fn carry_out(&mut self, by: &Arc<Member>, effects: Vec<AdminEffect>) {
        for effect in effects {
            match effect {
                AdminEffect::EndSessions {
                    user,
                    reason,
                    words,
                } => self.end_sessions(|session| session.user == user, reason, &words),
                AdminEffect::EndSessionsOfKey(key) => {
                    let words = Line::inert("This device was revoked");
                    let has = |session: &Session| session.key == Some(key);
                    self.end_sessions(has, Departure::Kicked, &words);
                }
                AdminEffect::SetRole { user, role } => self.set_role(user, role),
                AdminEffect::SetRules { room, rules } => self.set_rules(room, rules, by),
                AdminEffect::Entered { user, room } => self.entered(user, room),
                AdminEffect::Left { user, room, by } => self.left(user, room, by),
                AdminEffect::IgnoredChanged { user } => {
                    let frame = self.ignored_frame(user);
                    self.tell_user(user, &frame);
                }
                AdminEffect::ReadChanged { user, room } => self.tell_read(user, room),
                AdminEffect::RoomChanged { room } => self.room_changed(room),
                AdminEffect::Event { room, event } => self.note_event(room, by, *event),
            }
        }
    }

    /// Kicks these sessions.
    fn end_sessions(&mut self, which: impl Fn(&Session) -> bool, reason: Departure, words: &Line) {
        let sessions = self.sessions.iter();
        let hit: Vec<_> = sessions
            .filter(|(_, session)| which(session))
            .map(|(connection, _)| *connection)
            .collect();
        for connection in hit {
            self.close(connection, bye(reason, words.as_str()), false);
            self.end_session(connection, reason);
        }
    }

    fn set_role(&mut self, user: UserId, role: Role) {
        for session in self.sessions.values_mut() {
            if session.user == user {
                session.role = role;
            }
        }
        let Some(present) = self.users.get_mut(&user) else {
            return;
        };
        if present.member.role == role {
            return;
        }
        present.member = Arc::new(Member {
            role,
            ..Member::clone(&present.member)
        });
        self.tell_where(user, &Change::Promoted);
    }

    fn set_rules(&mut self, id: RoomId, rules: RoomRules, by: &Arc<Member>) {
        if self.rooms.contains_key(&id) {
            self.tell([id], by, &Change::Rules(rules));
        }
    }
}
