//! What is done in the house by command: whom a command means, what follows from it at once, and
//! the answer, which waits until it is kept.

use std::{mem, sync::Arc, time::Duration};

use super::{Hub, Session, What, bye, error, gone::Gone};
use crate::{
    protocol::{
        Role, RoomName, RoomRules, ServerFrame, UserId,
        frame::{Change, Departure, ErrorCode, ErrorFrame, Member},
        house::{CommandResult, HouseCommand},
    },
    server::{
        engine::{
            ConnectionId,
            house::{Act, Actor, Target, Who, about, who},
        },
        store::{Fact, Operation},
    },
    text::Line,
};

/// After how long facts are tried again that could not be committed.
const FACTS_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// No connection has this number.
const NOBODY: ConnectionId = ConnectionId(0);

impl Session {
    /// Who this is to the measures.
    pub(in crate::server::engine) fn who(&self) -> Who {
        who(self.user, self.role, self.address)
    }
}

impl Hub {
    /// Who gives a command.
    pub(in crate::server::engine) fn actor(
        &self,
        connection: ConnectionId,
    ) -> Option<(Actor, Who)> {
        let session = self.sessions.get(&connection)?;
        let user = self.users.get(&session.user)?;
        let actor = Actor {
            user: session.user,
            nickname: user.member.nickname.clone(),
            role: session.role,
            address: session.address,
        };
        Some((actor, session.who()))
    }

    /// Whom a command is about: who is present by that nickname, or left a short while ago, or who
    /// owns it.
    pub(in crate::server::engine) fn target(&self, command: &HouseCommand) -> Option<Target> {
        let nickname = about(command)?;
        let absent = self.house.absent(nickname);
        let gone = self.just_left.find(nickname, self.now.mono);
        // It may have become somebody else's meanwhile.
        let his = |gone: &&Gone| absent.as_ref().is_none_or(|owner| owner.user == gone.user);
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
            role: member.role,
            present: true,
            addresses: sessions
                .filter(|session| session.user == member.user)
                .map(|session| session.address)
                .collect(),
        })
    }

    /// What somebody present may do.
    #[cfg(test)]
    pub(in crate::server::engine) fn role_of(&self, nickname: &str) -> Option<Role> {
        let nickname = crate::protocol::Nickname::parse(nickname).ok()?;
        let user = self.nicknames.get(nickname.canonical().as_str())?;
        self.users.get(user).map(|user| user.member.role)
    }

    /// How the room is run that a command names.
    pub(in crate::server::engine) fn rules_named(
        &self,
        command: &HouseCommand,
    ) -> Option<&RoomRules> {
        let (HouseCommand::Topic { room, .. }
        | HouseCommand::Announce { room, .. }
        | HouseCommand::Slow { room, .. }) = command
        else {
            return None;
        };
        let room = self.room_index(room)?;
        Some(&self.rooms[room.at()].rules)
    }

    /// Does what follows from a command.
    pub(in crate::server::engine) fn act(&mut self, connection: ConnectionId, acts: Vec<Act>) {
        let by = self.sessions.get(&connection).map(|session| session.user);
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
                Act::Rule { room, rules } => {
                    if let Some(by) = by {
                        self.rule(&room, rules, by);
                    }
                }
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

    fn rule(&mut self, room: &RoomName, rules: RoomRules, by: UserId) {
        let (Some(index), Some(user)) = (self.room_index(room), self.users.get(&by)) else {
            return;
        };
        let member = Arc::clone(&user.member);
        self.rooms[index.at()].rules = rules.clone();
        self.tell([index], &member, &Change::Rules(rules));
    }

    /// Answers a command once what it changed is committed.
    pub(in crate::server::engine) fn promise(
        &mut self,
        connection: ConnectionId,
        result: CommandResult,
    ) {
        if let Some(session) = self.sessions.get_mut(&connection) {
            session.pending += 1;
        }
        self.promised
            .push((connection, ServerFrame::Result(result)));
    }

    /// Stages what changed in the house, if it is time.
    pub(super) fn remember(&mut self) {
        let waits = self.facts_wait.is_some_and(|at| self.now.mono < at);
        if self.remembering || waits && self.promised.is_empty() {
            return;
        }
        self.facts_wait = None;
        let facts = self.house.take_facts();
        let answers = mem::take(&mut self.promised);
        if facts.is_empty() {
            return self.remembered(answers);
        }
        let what = What::Remember {
            facts: facts.clone(),
            answers,
        };
        self.remembering = true;
        self.stage(NOBODY, Operation::Remember(facts), what);
    }

    /// What was staged is committed.
    pub(super) fn remembered(&mut self, answers: Vec<(ConnectionId, ServerFrame)>) {
        self.remembering = false;
        for (connection, answer) in answers {
            self.answer(connection, answer);
            self.one_pending_less(connection);
        }
    }

    /// What was staged could not be committed: it is in force, and tried again.
    pub(super) fn not_remembered(
        &mut self,
        facts: Vec<Fact>,
        answers: Vec<(ConnectionId, ServerFrame)>,
    ) {
        self.remembering = false;
        self.house.put_back(facts);
        self.facts_wait = Some(self.now.mono + FACTS_AGAIN_AFTER);
        for (connection, answer) in answers {
            let ServerFrame::Result(result) = answer else {
                continue;
            };
            let message = "It is done, but the server can't write it down at the moment: it will \
                           not outlive the server unless that changes";
            let refusal = ErrorFrame {
                reference: result.reference,
                ..error(ErrorCode::NotDurable, message)
            };
            self.answer(connection, ServerFrame::Error(refusal));
            self.one_pending_less(connection);
        }
    }
}
