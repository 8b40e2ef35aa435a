//! Starts and ends sessions, changes nicknames, and announces it to the rooms.

use std::{mem, sync::Arc};

use jiff::Timestamp;
use smallvec::SmallVec;

use super::{Hub, Room, Session, User, bye, whowas::WhowasRecord};
use crate::{
    protocol::{
        Epoch, Nickname, RoomId, ServerFrame, UserId,
        frame::{Change, Departure, Member, Presence},
        wire::encode_server,
    },
    server::{
        core::{
            ConnectionId,
            event::{Effect, MemberChange, PresenceChanges, Publication},
            log_event::LogEvent,
        },
        log::segment::SegmentBuilder,
    },
};

impl Room {
    /// Adds a change to those that this turn publishes.
    fn tell(&mut self, time: Timestamp, member: &Arc<Member>, change: &Change) {
        let frame = ServerFrame::Presence(Presence {
            room: self.id,
            version: self.diffs.next(),
            user: member.user,
            nickname: member.nickname.clone(),
            role: member.role,
            time,
            change: change.clone(),
        });
        self.diffs.push(|out| encode_server(&frame, out));
        self.changes.push(match change {
            Change::Left(_) => MemberChange::Remove(member.user),
            Change::Joined | Change::Renamed { .. } | Change::Promoted => {
                MemberChange::Put(Arc::clone(member))
            }
            Change::Rules(rules) => MemberChange::Rules(Arc::new(rules.clone())),
        });
    }
}

impl Hub {
    /// Whether a user may use a nickname now: it has no owner or user, or they are this user.
    pub(in crate::server::core) fn nickname_is_free(
        &self,
        nickname: &Nickname,
        user: UserId,
    ) -> bool {
        !nickname.is_reserved()
            && self.access.accounts.nicknames.is_free_for(nickname, user)
            && self
                .nicknames
                .get(nickname.canonical().as_str())
                .is_none_or(|owner| *owner == user)
    }

    /// The nickname that a user has now, or had when they left, if they may still use it. Of a user
    /// without a key it is forgotten after a while. A device that knows another log (`epoch`) may
    /// know better: what is stored was then restored from earlier.
    pub(in crate::server::core) fn known_as(
        &self,
        user: UserId,
        epoch: Option<Epoch>,
    ) -> Option<Nickname> {
        if let Some(present) = self.users.get(&user) {
            return Some(present.member.nickname.clone());
        }
        let last = || {
            let last = self.access.accounts.nicknames.last_used(user)?;
            (epoch == Some(self.epoch)).then(|| Nickname::inert(last))
        };
        let left = self.just_left.nickname(user, self.now.mono).cloned();
        let nickname = left.or_else(last)?;
        self.nickname_is_free(&nickname, user).then_some(nickname)
    }

    /// Adds a session. A user's first session makes them present; another nickname renames them. It
    /// replaces a session of the same device.
    pub(in crate::server::core) fn begin_session(
        &mut self,
        connection: ConnectionId,
        session: Session,
        nickname: &Nickname,
    ) {
        let (user, device) = (session.user, session.device);
        if self.users.contains_key(&user) {
            self.rename(user, nickname);
        } else {
            self.nicknames.insert(nickname.canonical().into(), user);
        }
        let present = self.users.entry(user).or_insert_with(|| User {
            member: Arc::new(Member {
                user,
                nickname: nickname.clone(),
                since: self.now.wall,
                role: session.role,
            }),
            connections: SmallVec::new(),
            rooms: SmallVec::with_capacity(session.rooms.len()),
        });
        present.connections.push(connection);
        let member = Arc::clone(&present.member);
        let entered: Vec<_> = session
            .rooms
            .iter()
            .copied()
            .filter(|room| self.count_in(user, *room))
            .collect();
        self.tell(entered, &member, &Change::Joined);
        let before = self.devices.insert(device, connection);
        self.sessions.insert(connection, Box::new(session));
        if let Some(before) = before {
            let message = "You joined from elsewhere with the same client ID";
            self.close(before, bye(Departure::Replaced, message), false);
            self.end_session(before, Departure::Replaced);
        }
    }

    /// Changes a user's nickname, which must be free; the same one changes nothing.
    pub(in crate::server::core) fn rename(&mut self, user: UserId, nickname: &Nickname) {
        let Some(present) = self.users.get_mut(&user) else {
            return;
        };
        let was = present.member.nickname.clone();
        if was == *nickname {
            return;
        }
        let member = Arc::new(Member {
            nickname: nickname.clone(),
            ..Member::clone(&present.member)
        });
        present.member = member;
        self.nicknames.remove(was.canonical().as_str());
        self.nicknames.insert(nickname.canonical().into(), user);
        self.tell_where(user, &Change::Renamed { was: was.clone() });
        self.record(LogEvent::Renamed {
            was,
            nickname: nickname.clone(),
            user,
        });
    }

    /// Ends a session once its pending operations are done.
    pub(in crate::server::core) fn leave(&mut self, connection: ConnectionId, reason: Departure) {
        let Some(session) = self.sessions.get_mut(&connection) else {
            return;
        };
        if session.pending > 0 {
            session.leaving.get_or_insert(reason);
        } else {
            self.part(connection, reason);
        }
    }

    pub(super) fn part(&mut self, connection: ConnectionId, reason: Departure) {
        if reason == Departure::Disconnect {
            self.close(connection, bye(reason, "Goodbye"), true);
        }
        self.end_session(connection, reason);
    }

    pub(super) fn end_session(&mut self, connection: ConnectionId, reason: Departure) {
        let Some(session) = self.sessions.remove(&connection) else {
            return;
        };
        let accounts = &mut self.access.accounts;
        accounts.note_leaving(session.user, session.key, self.now);
        if self.devices.get(&session.device) == Some(&connection) {
            self.devices.remove(&session.device);
        }
        let Some(present) = self.users.get_mut(&session.user) else {
            return;
        };
        present.connections.retain(|other| *other != connection);
        let is_gone = present.connections.is_empty();
        let member = Arc::clone(&present.member);
        let left: Vec<_> = session
            .rooms
            .iter()
            .copied()
            .filter(|room| self.count_out(session.user, *room))
            .collect();
        if is_gone {
            self.users.remove(&session.user);
            self.nicknames.remove(member.nickname.canonical().as_str());
            let gone = WhowasRecord {
                user: session.user,
                nickname: member.nickname.clone(),
                role: session.role,
                address: session.address,
            };
            self.just_left.note(gone, self.now.mono);
        }
        self.tell(left, &member, &Change::Left(reason));
        self.record(LogEvent::Left {
            nickname: member.nickname.clone(),
            user: session.user,
            client_id: session.client_id,
            address: session.address,
            reason,
            present: self.sessions.len(),
        });
    }

    /// Announces a change in these rooms.
    pub(super) fn tell(
        &mut self,
        rooms: impl IntoIterator<Item = RoomId>,
        member: &Arc<Member>,
        change: &Change,
    ) {
        for index in rooms {
            let room = &mut self.rooms[index];
            if room.changes.is_empty() {
                self.changed.push(index);
            }
            room.tell(self.now.wall, member, change);
        }
    }

    /// Announces a change in the rooms that a user has joined.
    pub(super) fn tell_where(&mut self, user: UserId, change: &Change) {
        let Some(present) = self.users.get(&user) else {
            return;
        };
        let member = Arc::clone(&present.member);
        let rooms: Vec<_> = present.rooms.iter().map(|(room, _)| *room).collect();
        self.tell(rooms, &member, change);
    }

    pub(super) fn publish_presence(&mut self) {
        let mut presence = Vec::new();
        for index in mem::take(&mut self.changed) {
            let room = &mut self.rooms[index];
            let next = SegmentBuilder::new(room.diffs.next());
            presence.push(PresenceChanges {
                room: index,
                segment: mem::replace(&mut room.diffs, next).finish(),
                changes: mem::take(&mut room.changes),
                at: self.now.mono,
            });
        }
        if !presence.is_empty() {
            self.effects.push(Effect::Publish(Arc::new(Publication {
                presence,
                ..Publication::default()
            })));
        }
    }
}
