//! What is done in the house by command: whom a command means, and what follows from it.

use std::sync::Arc;

use super::{Hub, Session, bye, whowas::WhowasRecord};
use crate::{
    protocol::{
        Role, RoomName, RoomRules, UserId,
        admin::AdminCommand,
        frame::{Change, Departure, Member},
    },
    server::core::{
        ConnectionId,
        house::{Act, Actor, Target, Who, Writer, about, who},
    },
    text::Line,
};

impl Session {
    /// Who says what everybody reads.
    pub(in crate::server::core) fn writer(&self) -> Writer {
        Writer {
            user: self.user,
            role: self.role,
            address: self.address,
        }
    }

    /// Who this is to the measures.
    pub(in crate::server::core) fn who(&self) -> Who {
        who(self.user, self.role, self.address)
    }
}

impl Hub {
    /// Who gives a command.
    pub(in crate::server::core) fn actor(&self, connection: ConnectionId) -> Option<(Actor, Who)> {
        let session = self.sessions.get(&connection)?;
        let user = self.users.get(&session.user)?;
        let actor = Actor {
            user: session.user,
            nickname: user.member.nickname.clone(),
            // One who was just demoted may do less at once, before it is committed and told.
            role: session.role.min(self.house.role(session.user)),
            address: session.address,
        };
        Some((actor, session.who()))
    }

    /// Whom a command is about: who is present by that nickname, or left a short while ago, or who
    /// owns it.
    pub(in crate::server::core) fn target(&self, command: &AdminCommand) -> Option<Target> {
        let nickname = about(command)?;
        let absent = self.house.absent(nickname);
        let gone = self.just_left.find(nickname, self.now.mono);
        // It may have become somebody else's meanwhile.
        let his =
            |gone: &&WhowasRecord| absent.as_ref().is_none_or(|owner| owner.user == gone.user);
        let gone = gone.filter(his);
        let present = self.nicknames.get(nickname.canonical().as_str()).copied();
        let user = present.or(gone.map(|gone| gone.user));
        let Some(present) = user.and_then(|user| self.users.get(&user)) else {
            let gone = gone.map(|gone| Target {
                user: gone.user,
                nickname: gone.nickname.clone(),
                role: absent.as_ref().map_or(gone.role, |owner| owner.role),
                present: false,
                addresses: vec![gone.address],
            });
            return gone.or(absent);
        };
        let member = &present.member;
        let sessions = self.sessions.values();
        Some(Target {
            user: member.user,
            nickname: member.nickname.clone(),
            role: self.house.known_role(member.user).unwrap_or(member.role),
            present: true,
            addresses: sessions
                .filter(|session| session.user == member.user)
                .map(|session| session.address)
                .collect(),
        })
    }

    /// What somebody present may do.
    #[cfg(test)]
    pub(in crate::server::core) fn role_of(&self, nickname: &str) -> Option<Role> {
        let nickname = crate::protocol::Nickname::parse(nickname).ok()?;
        let user = self.nicknames.get(nickname.canonical().as_str())?;
        self.users.get(user).map(|user| user.member.role)
    }

    /// How the room is run that a command names.
    pub(in crate::server::core) fn rules_named(
        &self,
        command: &AdminCommand,
    ) -> Option<&RoomRules> {
        let (AdminCommand::Topic { room, .. }
        | AdminCommand::Announce { room, .. }
        | AdminCommand::Slow { room, .. }) = command
        else {
            return None;
        };
        let index = self.room_index(room)?;
        // The house knows a change first: before it is committed.
        let known = self.house.rules(room);
        Some(known.unwrap_or(&self.rooms[index.at()].rules))
    }

    /// Does what follows from a command of this member.
    pub(super) fn act(&mut self, by: &Arc<Member>, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Dismiss {
                    user,
                    reason,
                    words,
                } => self.dismiss(|session| session.user == user, reason, &words),
                Act::DismissKey(key) => {
                    let words = Line::inert("This device was revoked");
                    let has = |session: &Session| session.key == Some(key);
                    self.dismiss(has, Departure::Kicked, &words);
                }
                Act::Promote { user, role } => self.promote(user, role),
                Act::Rule { room, rules } => self.rule(&room, rules, by),
            }
        }
    }

    /// Ends sessions against the will of whoever has them.
    fn dismiss(&mut self, which: impl Fn(&Session) -> bool, reason: Departure, words: &Line) {
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

    fn promote(&mut self, user: UserId, role: Role) {
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

    fn rule(&mut self, room: &RoomName, rules: RoomRules, by: &Arc<Member>) {
        if let Some(index) = self.room_index(room) {
            self.rooms[index.at()].rules = rules.clone();
            self.tell([index], by, &Change::Rules(rules));
        }
    }
}
