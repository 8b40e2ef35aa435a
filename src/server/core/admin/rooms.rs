//! The handlers of the commands about rooms and memberships.

use super::{AdminEffect, AdminReply, Reply, Running};
use crate::{
    protocol::{
        HistoryAccess, Nickname, Person, Role, RoomChange, RoomId, RoomKind, RoomName, RoomRules,
        UserId,
        frame::{ErrorCode, ErrorFrame},
    },
    server::core::{
        access::may::{Action, TargetUser, may},
        moderation::slow_mode::SLOW_SECONDS_MAX,
        rooms::{Direct, NewRoom, RoomError, event::event},
    },
    text::Line,
};

impl Running<'_> {
    pub(super) fn create(&mut self, private: bool, name: &RoomName) -> Reply {
        let kind = if private {
            RoomKind::Private
        } else {
            RoomKind::Public
        };
        let makers = self.context.access.settings.room_makers;
        self.may(Action::CreateRoom { kind, makers })?;
        let [random, ..] = self.context.random.as_chunks().0 else {
            unreachable!("there are 32 random bytes")
        };
        let new = NewRoom {
            private,
            name: name.clone(),
            by: self.user(),
            at: self.at(),
            random: *random,
        };
        let room = self.context.access.rooms.create(new)?;
        let deed = format!("made {}", self.in_audit(room));
        Ok(AdminReply::says(&format!("#{name} is made"))
            .of(room)
            .did(deed)
            .then(self.entered(room))
            .then(self.event(room, RoomChange::Created, None)))
    }

    pub(super) fn enter(&mut self, name: &RoomName) -> Reply {
        let user = self.user();
        let named = self.context.access.rooms.named_for(user, name);
        let room = named.ok_or(RoomError::NoSuchRoom)?;
        self.may_in(room, Action::Enter)?;
        let mut reply = AdminReply::says(&format!("You are in #{name}"))
            .of(room)
            .then(self.entered(room));
        // Without a key one is in it for the length of the session.
        if self.context.actor.requester.role >= Role::Member {
            let head = self.context.head;
            if self.context.access.rooms.enter(user, room, head)? {
                reply = reply.then(self.event(room, RoomChange::Joined, None));
            }
        }
        Ok(reply)
    }

    pub(super) fn leave(&mut self, room: RoomId) -> Reply {
        self.may_in(room, Action::Leave)?;
        let (user, head) = (self.user(), self.context.head);
        let mut reply = AdminReply::says("You have left the room").of(room);
        if self.context.access.rooms.leave(user, room, head) {
            reply = reply.then(self.event(room, RoomChange::Left, None));
        }
        let reply = reply.then(AdminEffect::Left {
            user,
            room,
            by: None,
        });
        Ok(self.with_successor(room, reply))
    }

    pub(super) fn invite_to(&mut self, room: RoomId, nickname: &Nickname) -> Reply {
        self.may_in(room, Action::Invite)?;
        let person = self.person(nickname)?;
        let user = person.user;
        // Whom they invite may not read what was said just before.
        let head = self.context.head;
        let before = if self.is_private(room) {
            self.context.ahead
        } else {
            head
        };
        let nickname = person.nickname.clone();
        let rooms = &mut self.context.access.rooms;
        if !rooms.enter_from(user, room, before.saturating_add(1), head)? {
            let message = format!("{nickname} is in the room already");
            return Ok(AdminReply::says(&message).of(room));
        }
        Ok(AdminReply::says(&format!("{nickname} is in the room now"))
            .of(room)
            .then(AdminEffect::Entered { user, room })
            .then(self.event(room, RoomChange::Invited(person), None)))
    }

    pub(super) fn remove(
        &mut self,
        room: RoomId,
        nickname: &Nickname,
        reason: Option<&Line>,
    ) -> Reply {
        // Who may not remove anybody learns nothing of who is there.
        self.may_in(room, Action::AppointModerator)?;
        let person = self.person(nickname)?;
        let (user, head) = (person.user, self.context.head);
        let nickname = person.nickname.clone();
        let other = TargetUser {
            id: user,
            nickname: &nickname,
            role: self.context.access.accounts.role(user),
        };
        self.may_in(room, Action::RemoveMember(other))?;
        if !self.context.access.rooms.leave(user, room, head) {
            return Err(not_in_the_room(&nickname));
        }
        let because = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        let deed = format!("removed {nickname} from {}{because}", self.in_audit(room));
        let by = self.context.actor.nickname.clone();
        let reply = AdminReply::says(&format!("{nickname} is no longer in the room"))
            .of(room)
            .did(deed)
            .then(self.event(room, RoomChange::Removed(person), reason))
            .then(AdminEffect::Left {
                user,
                room,
                by: Some(by),
            });
        Ok(self.with_successor(room, reply))
    }

    pub(super) fn rename_room(&mut self, room: RoomId, name: &RoomName) -> Reply {
        self.may_in(room, Action::RenameRoom)?;
        let before = self.in_audit(room);
        let was = self.context.access.rooms.rename(room, name.clone())?;
        let reply = AdminReply::says(&format!("The room is called #{name}"))
            .of(room)
            .did(format!("renamed {before} to {}", self.in_audit(room)));
        if was.is_none() {
            return Ok(reply);
        }
        let change = RoomChange::Renamed(name.clone());
        Ok(reply
            .then(AdminEffect::RoomChanged { room })
            .then(self.event(room, change, None)))
    }

    pub(super) fn archive(&mut self, room: RoomId, archived: bool) -> Reply {
        let (action, change, did) = if archived {
            (Action::Archive, RoomChange::Archived, "archived")
        } else {
            (Action::Unarchive, RoomChange::Unarchived, "unarchived")
        };
        self.may_in(room, action)?;
        let changes = self.context.access.rooms.set_archived(room, archived)?;
        let reply = AdminReply::says(&format!("The room is {did}"))
            .of(room)
            .did(format!("{did} {}", self.in_audit(room)));
        if !changes {
            return Ok(reply);
        }
        Ok(reply
            .then(AdminEffect::RoomChanged { room })
            .then(self.event(room, change, None)))
    }

    pub(super) fn history(&mut self, room: RoomId, history: HistoryAccess) -> Reply {
        self.may_in(room, Action::SetHistory)?;
        // What was said before that does not become readable.
        let head = match history {
            HistoryAccess::All => self.context.ahead,
            HistoryAccess::Joined => self.context.head,
        };
        let rooms = &mut self.context.access.rooms;
        let changes = rooms.set_history(room, history, head)?;
        let what = match history {
            HistoryAccess::All => "everything that is written from now on",
            HistoryAccess::Joined => "what is written after they have joined",
        };
        let reply = AdminReply::says(&format!("New members may read {what}"))
            .of(room)
            .did(format!(
                "let new members of {} read {what}",
                self.in_audit(room)
            ));
        Ok(if changes {
            reply.then(AdminEffect::RoomChanged { room })
        } else {
            reply
        })
    }

    pub(super) fn appoint(&mut self, room: RoomId, nickname: &Nickname, on: bool) -> Reply {
        self.may_in(room, Action::AppointModerator)?;
        let Person { user, nickname } = self.person(nickname)?;
        let rooms = &mut self.context.access.rooms;
        let changes = rooms.set_moderator(user, room, on);
        let changes = changes.ok_or_else(|| not_in_the_room(&nickname))?;
        let (says, did) = if on {
            ("moderates the room now", "a moderator")
        } else {
            ("is no longer a moderator of the room", "no moderator")
        };
        let reply = AdminReply::says(&format!("{nickname} {says}"))
            .of(room)
            .did(format!("made {nickname} {did} of {}", self.in_audit(room)));
        Ok(if changes {
            reply.then(AdminEffect::RoomChanged { room })
        } else {
            reply
        })
    }

    pub(super) fn direct(&mut self, nicknames: &[Nickname]) -> Reply {
        self.may(Action::Direct)?;
        let mut people = vec![self.user()];
        for nickname in nicknames {
            people.push(self.person(nickname)?.user);
        }
        let (by, at) = (self.user(), self.at());
        let rooms = &mut self.context.access.rooms;
        let Direct {
            room,
            is_new,
            added,
        } = rooms.direct(&people, by, at)?;
        if !is_new {
            // An account that was removed may have come back.
            let others = added.into_iter().filter(|user| *user != by);
            let reply = others
                .map(|user| AdminEffect::Entered { user, room })
                .fold(
                    AdminReply::says("This conversation exists").of(room),
                    AdminReply::then,
                )
                .then(self.entered(room));
            return Ok(if self.context.access.rooms.show(by, room) {
                reply.then(AdminEffect::ReadChanged { user: by, room })
            } else {
                reply
            });
        }
        let people = rooms.members_of(room);
        let reply = AdminReply::says("This conversation is new").of(room);
        Ok(people
            .map(|user| AdminEffect::Entered { user, room })
            .fold(reply, AdminReply::then))
    }

    pub(super) fn topic(&mut self, room: RoomId, topic: Option<&Line>) -> Reply {
        self.may_in(room, Action::SetTopic)?;
        let rules = RoomRules {
            topic: topic.cloned(),
            ..self.rules(room)?
        };
        let named = self.in_audit(room);
        let is_private = self.is_private(room);
        let deed = match topic {
            Some(_) if is_private => format!("set the topic of {named}"),
            Some(topic) => format!("set the topic of {named}: {topic}"),
            None => format!("removed the topic of {named}"),
        };
        let (reply, changes) = self.set_rules(room, rules, deed)?;
        if !changes {
            return Ok(reply);
        }
        let change = RoomChange::Topic(topic.cloned());
        Ok(reply.then(self.event(room, change, None)))
    }

    pub(super) fn announce(&mut self, room: RoomId, on: bool) -> Reply {
        self.may_in(room, Action::SetAnnounce)?;
        let rules = RoomRules {
            announce: on,
            ..self.rules(room)?
        };
        let who = if on { "only moderators" } else { "everybody" };
        let deed = format!("let {who} write in {}", self.in_audit(room));
        Ok(self.set_rules(room, rules, deed)?.0)
    }

    pub(super) fn slow(&mut self, room: RoomId, seconds: u64) -> Reply {
        self.may_in(room, Action::SetSlow)?;
        let slow_seconds = seconds.min(SLOW_SECONDS_MAX);
        let rules = RoomRules {
            slow_seconds,
            ..self.rules(room)?
        };
        let named = self.in_audit(room);
        let deed = match slow_seconds {
            0 => format!("ended slow mode in {named}"),
            s => format!("set slow mode in {named}: {s} s between two messages"),
        };
        Ok(self.set_rules(room, rules, deed)?.0)
    }

    /// Changes a room's rules. Also returns whether they were others.
    fn set_rules(
        &mut self,
        room: RoomId,
        rules: RoomRules,
        deed: String,
    ) -> Result<(AdminReply, bool), ErrorFrame> {
        let changes = self.context.access.rooms.set_rules(room, rules.clone())?;
        let reply = AdminReply::says("Done")
            .of(room)
            .did(deed)
            .then(AdminEffect::SetRules { room, rules })
            .then(AdminEffect::RoomChanged { room });
        Ok((reply, changes))
    }

    // Shared by several commands.

    pub(super) fn user(&self) -> UserId {
        self.context.actor.requester.user
    }

    /// The sender entered a room.
    fn entered(&self, room: RoomId) -> AdminEffect {
        AdminEffect::Entered {
            user: self.user(),
            room,
        }
    }

    /// Adds that the members of a private room are told of it, since somebody may moderate it now.
    fn with_successor(&self, room: RoomId, reply: AdminReply) -> AdminReply {
        if self.is_private(room) {
            reply.then(AdminEffect::RoomChanged { room })
        } else {
            reply
        }
    }

    /// The sender did something that becomes an entry of the room's log.
    fn event(&self, room: RoomId, change: RoomChange, reason: Option<&Line>) -> AdminEffect {
        AdminEffect::Event {
            room,
            event: Box::new(event(&self.context.actor.nickname, change, reason)),
        }
    }

    /// Checks that the sender may do something in a room.
    fn may_in(&self, room: RoomId, action: Action<'_>) -> Result<(), ErrorFrame> {
        let context = &self.context;
        let requester = context.actor.requester;
        let user = context.access.user(requester, context.now);
        let view = context.access.view(requester, room, context.in_session);
        Ok(may(&user, view.as_ref(), action)?)
    }

    /// The user with a key who owns a nickname.
    pub(super) fn person(&self, nickname: &Nickname) -> Result<Person, ErrorFrame> {
        let accounts = &self.context.access.accounts;
        let Some(user) = accounts.nicknames.owner(nickname) else {
            let message = format!("There is no user {nickname} with a key here");
            return Err(ErrorFrame::new(ErrorCode::NotFound, &message));
        };
        let known = accounts.nicknames.last_used(user).map(Nickname::inert);
        Ok(Person {
            user,
            nickname: known.unwrap_or_else(|| nickname.clone()),
        })
    }

    fn rules(&self, room: RoomId) -> Result<RoomRules, RoomError> {
        let record = self.context.access.rooms.get(room);
        Ok(record.ok_or(RoomError::NoSuchRoom)?.rules.clone())
    }

    fn is_private(&self, room: RoomId) -> bool {
        let record = self.context.access.rooms.get(room);
        record.is_some_and(|record| record.kind != RoomKind::Public)
    }

    /// How the audit trail names a room. Its readers need not be in it, so a private room's name is
    /// not told.
    fn in_audit(&self, room: RoomId) -> String {
        let record = self.context.access.rooms.get(room);
        match record.and_then(|record| record.name.as_ref()) {
            Some(name) if !self.is_private(room) => format!("#{name}"),
            Some(_) | None => "a private room".to_owned(),
        }
    }
}

fn not_in_the_room(nickname: &Nickname) -> ErrorFrame {
    let message = format!("{nickname} is not in this room");
    ErrorFrame::new(ErrorCode::NotFound, &message)
}
