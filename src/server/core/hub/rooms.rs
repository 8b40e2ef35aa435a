//! Rooms in the hub: which sessions are sent a room, and what its members are told of it.

use std::sync::Arc;

use super::{
    Hub, Room,
    pending::{Invited, PendingKind},
    promises::NOBODY,
};
use crate::{
    protocol::{
        Nickname, ReadMarker, ReadState, Role, RoomChange, RoomEvent, RoomId, RoomKind,
        ServerFrame, UserId,
        frame::{Change, Departure, Member, Reset, RoomStart},
    },
    server::{
        core::{
            ConnectionId,
            admin::AdminEffect,
            event::ConnectionCommand,
            rooms::{event::event, membership::Membership},
        },
        log::{MessageOutcome, OpResult, Operation, Standing, Unread},
    },
    text::Line,
};

/// The number of latest messages that are sent of a room which a user enters while connected.
const ENTER_MESSAGES: u64 = 100;

impl Hub {
    /// What a room is called in the server's log.
    pub(in crate::server::core) fn label(&self, room: RoomId) -> Line {
        let record = self.access.rooms.get(room);
        match record.and_then(|record| record.name.as_ref()) {
            Some(name) => Line::inert(&format!("#{name}")),
            None => Line::inert("a conversation"),
        }
    }

    /// The members of a room, or all users, by their ids, behind one. Those without an account are
    /// among them while they are connected.
    pub(in crate::server::core) fn people(
        &self,
        room: Option<RoomId>,
        after: Option<UserId>,
    ) -> impl Iterator<Item = UserId> {
        let accounts = &self.access.accounts;
        let is_here = |user: &UserId| match room {
            Some(room) => self.is_in(*user, room),
            None => true,
        };
        let kept = |user: &UserId| match room {
            Some(room) => self.access.rooms.is_member(*user, room),
            None => accounts.get(*user).is_some(),
        };
        let present = self.users.keys().copied();
        let mut present: Vec<_> = present
            .filter(|user| Some(*user) > after && is_here(user) && !kept(user))
            .collect();
        present.sort_unstable();
        let mut present = present.into_iter().peekable();
        let mut known: Box<dyn Iterator<Item = UserId>> = match room {
            Some(room) => Box::new(self.access.rooms.members_of(room)),
            None => Box::new(accounts.users_after(after)),
        };
        let mut next = known.find(|user| Some(*user) > after);
        std::iter::from_fn(move || {
            let other = present.next_if(|user| next.is_none_or(|next| *user < next));
            other.or_else(|| std::mem::replace(&mut next, known.next()))
        })
    }

    /// The nickname by which a user is known.
    pub(in crate::server::core) fn nickname_of(&self, user: UserId) -> Option<Nickname> {
        if let Some(present) = self.users.get(&user) {
            return Some(present.member.nickname.clone());
        }
        let last = self.access.accounts.nicknames.last_used(user)?;
        Some(Nickname::inert(last))
    }

    /// Where delivery of a room to a user starts.
    pub(in crate::server::core) fn room_start(
        &self,
        user: UserId,
        room: RoomId,
        (next, reset): (u64, Option<Reset>),
        unread: Unread,
    ) -> RoomStart {
        let rooms = &self.access.rooms;
        let membership = rooms.membership(user, room);
        let info = rooms.info(room, user, |user| self.nickname_of(user));
        let here = &self.rooms[room];
        RoomStart {
            room,
            info: info.unwrap_or_default(),
            read: ReadState {
                marker: membership.map_or_else(ReadMarker::default, |kept| kept.marker),
                preferences: membership.map(Membership::preferences).unwrap_or_default(),
                unread: unread.entries,
                mentions: unread.mentions,
            },
            extent: here.extent,
            next,
            changed: here.revised.changed,
            redacted: here.revised.redacted,
            reset,
        }
    }

    /// The lowest number from which on all that follows may be sent to a user who is in a room.
    pub(in crate::server::core) fn visible_from(&self, user: UserId, room: RoomId) -> u64 {
        let visible = self.access.rooms.visible(user, room);
        let last = visible.ranges().last();
        last.map_or_else(|| self.rooms[room].extent.next(), |span| span.from)
    }

    /// Sends a room to all sessions of a user who has entered it.
    pub(super) fn entered(&mut self, user: UserId, room: RoomId) {
        self.open_room(room);
        // They may have been removed while it was stored. Without an account there is no membership.
        let is_guest = self.access.accounts.get(user).is_none();
        let known = self.access.rooms.get(room);
        let is_public = known.is_some_and(|room| room.kind == RoomKind::Public);
        let is_in = self.access.rooms.is_member(user, room) || is_guest && is_public;
        if !is_in {
            return;
        }
        let Some(present) = self.users.get(&user) else {
            return;
        };
        let member = Arc::clone(&present.member);
        let connections = present.connections.clone();
        let latest = self.rooms[room].extent.latest(ENTER_MESSAGES);
        let next = latest.max(self.visible_from(user, room));
        let start = self.room_start(user, room, (next, None), Unread::default());
        let mut is_new = false;
        for connection in connections {
            let Some(session) = self.sessions.get_mut(&connection) else {
                continue;
            };
            if !session.sees_rooms || session.is_in(room) || session.leaving.is_some() {
                continue;
            }
            session.rooms.push(room);
            is_new |= self.count_in(user, room);
            let frame = ServerFrame::Rooms(vec![start.clone()]);
            self.command(
                connection,
                ConnectionCommand::Enter {
                    rooms: vec![(room, next)],
                    frame: Box::new(frame),
                },
            );
        }
        if is_new {
            self.tell([room], &member, &Change::Joined);
        }
    }

    /// Stops sending a room to a user who is no longer in it, before that is stored: so they get
    /// nothing that is said behind it, not even in the same commit.
    pub(super) fn stop_delivery(&mut self, user: UserId, room: RoomId) {
        let Some(present) = self.users.get(&user) else {
            return;
        };
        let member = Arc::clone(&present.member);
        let mut is_gone = false;
        for connection in present.connections.clone() {
            let session = self.sessions.get_mut(&connection);
            if session.is_some_and(|session| session.forget_room(room)) {
                self.command(connection, ConnectionCommand::Leave(room));
                is_gone |= self.count_out(user, room);
            }
        }
        if is_gone {
            self.tell([room], &member, &Change::Left(Departure::Disconnect));
        }
    }

    /// Tells a user that they are no longer in a room. `by`: who removed them.
    pub(super) fn left(&mut self, user: UserId, room: RoomId, by: Option<Nickname>) {
        self.stop_delivery(user, room);
        self.tell_user(user, &ServerFrame::RoomLeft { room, by });
    }

    /// Tells all sessions of a user that see rooms.
    pub(in crate::server::core) fn tell_user(&mut self, user: UserId, frame: &ServerFrame) {
        let present = self.users.get(&user);
        let connections = present.map(|present| present.connections.clone());
        for connection in connections.unwrap_or_default() {
            let session = self.sessions.get(&connection);
            if session.is_some_and(|session| session.sees_rooms) {
                let frame = Box::new(frame.clone());
                self.command(connection, ConnectionCommand::Tell(frame));
            }
        }
    }

    /// Tells all who are in a room what it is now.
    pub(super) fn room_changed(&mut self, room: RoomId) {
        let sessions = self.sessions.iter();
        let here: Vec<_> = sessions
            .filter(|(_, session)| session.sees_rooms && session.is_in(room))
            .map(|(connection, session)| (*connection, session.user))
            .collect();
        for (connection, user) in here {
            let info = self
                .access
                .rooms
                .info(room, user, |user| self.nickname_of(user));
            let Some(info) = info.map(Box::new) else {
                continue;
            };
            let frame = Box::new(ServerFrame::Room { room, info });
            self.command(connection, ConnectionCommand::Tell(frame));
        }
    }

    /// Carries out what of a command's effects goes before or with the commit of its changes: who is no
    /// longer in a room is sent nothing more of it, and what happened to a room becomes an entry in the
    /// same commit. (The first entry of a room that was made comes after that: a log without a record
    /// of its room belongs to nobody.) Returns the others.
    pub(super) fn anticipate(
        &mut self,
        by: &Arc<Member>,
        effects: Vec<AdminEffect>,
    ) -> Vec<AdminEffect> {
        let mut later = Vec::with_capacity(effects.len());
        for effect in effects {
            match effect {
                AdminEffect::Event { ref event, .. } if event.change == RoomChange::Created => {
                    later.push(effect);
                }
                AdminEffect::Event { room, event } => self.note_event(room, by, *event),
                AdminEffect::Entered { room, .. } => {
                    // Its members may join before that is committed.
                    self.open_room(room);
                    later.push(effect);
                }
                AdminEffect::Left { user, room, .. } => {
                    self.stop_delivery(user, room);
                    later.push(effect);
                }
                AdminEffect::EndSessions { .. }
                | AdminEffect::EndSessionsOfKey(_)
                | AdminEffect::SetRole { .. }
                | AdminEffect::SetRules { .. }
                | AdminEffect::IgnoredChanged { .. }
                | AdminEffect::ReadChanged { .. }
                | AdminEffect::RoomChanged { .. } => later.push(effect),
            }
        }
        later
    }

    /// Adds a room that may have been made just now.
    fn open_room(&mut self, room: RoomId) {
        self.rooms
            .entry(room)
            .or_insert_with(|| Room::new(room, Standing::default()));
    }

    /// Stages an entry about something that a member has done to a room.
    pub(in crate::server::core) fn note_event(
        &mut self,
        room: RoomId,
        by: &Arc<Member>,
        event: RoomEvent,
    ) {
        self.open_room(room);
        let invited = match &event.change {
            RoomChange::Invited(person) => {
                let user = person.user;
                let begins = self.access.rooms.begins(user, room);
                begins.map(|from| Invited { user, from })
            }
            RoomChange::Joined
            | RoomChange::Left
            | RoomChange::Removed(_)
            | RoomChange::Created
            | RoomChange::Renamed(_)
            | RoomChange::Topic(_)
            | RoomChange::Archived
            | RoomChange::Unarchived => None,
        };
        let operation = Operation::Note {
            room,
            by: Arc::clone(by),
            event,
        };
        self.stage(NOBODY, operation, PendingKind::Note { room, invited });
    }

    /// Takes up an entry about a room that is stored.
    pub(super) fn noted(&mut self, room: RoomId, invited: Option<Invited>, verdict: &OpResult) {
        if let OpResult::Done(MessageOutcome::Stored { seq, .. }) = verdict {
            self.begins(room, invited, *seq);
        }
    }

    /// Begins the membership of a user who was invited at an entry, now that its number is known: it
    /// was believed to be as high as it could be.
    pub(super) fn begins(&mut self, room: RoomId, invited: Option<Invited>, seq: u64) {
        if let Some(Invited { user, from }) = invited {
            self.access.rooms.begin_at(user, room, from, seq);
        }
    }

    /// The number of a room's last entry.
    pub(in crate::server::core) fn head(&self, room: RoomId) -> u64 {
        self.rooms.get(&room).map_or(0, |here| here.extent.head)
    }

    /// The highest number that a room's last entry can have once all is committed that waits for it.
    /// Entries that turn out to change nothing get none.
    pub(in crate::server::core) fn head_ahead(&self, room: RoomId) -> u64 {
        let committing = self.committing.iter().flat_map(|it| &it.pending);
        let staged = self.staged.iter().map(|staged| &staged.pending);
        let all = committing.chain(staged);
        let added = all.filter(|pending| pending.what.may_add_to(room));
        self.head(room) + added.count() as u64
    }

    /// Shows a conversation again to those who have hidden it, since there is a new message in it.
    pub(super) fn show_again(&mut self, room: RoomId) {
        for user in self.access.rooms.show_to_all(room) {
            self.tell_read(user, room);
        }
    }

    /// What a user keeps about a room, as a frame.
    pub(in crate::server::core) fn read_frame(&self, user: UserId, room: RoomId) -> ServerFrame {
        let kept = self.access.rooms.membership(user, room);
        ServerFrame::Read {
            room,
            marker: kept.map_or_else(ReadMarker::default, |kept| kept.marker),
            preferences: kept.map(Membership::preferences).unwrap_or_default(),
        }
    }

    /// Whom a user ignores, as a frame.
    pub(in crate::server::core) fn ignored_frame(&self, user: UserId) -> ServerFrame {
        let users = self.access.ignores.of(user);
        ServerFrame::Ignored { users }
    }

    /// Tells all sessions of a user what they keep about a room.
    pub(in crate::server::core) fn tell_read(&mut self, user: UserId, room: RoomId) {
        let frame = self.read_frame(user, room);
        self.tell_user(user, &frame);
    }

    /// Stages the entry that a user who is present has joined a room.
    pub(in crate::server::core) fn note_joined(&mut self, user: UserId, room: RoomId) {
        let Some(present) = self.users.get(&user) else {
            return;
        };
        let member = Arc::clone(&present.member);
        let event = event(&member.nickname, RoomChange::Joined, None);
        self.note_event(room, &member, event);
    }

    /// Counts a session among a room's readers. Returns whether its user was not there before.
    pub(super) fn count_in(&mut self, user: UserId, room: RoomId) -> bool {
        self.rooms[room].readers += 1;
        let Some(present) = self.users.get_mut(&user) else {
            return false;
        };
        let known = present.rooms.iter_mut().find(|(other, _)| *other == room);
        if let Some((_, sessions)) = known {
            *sessions += 1;
            return false;
        }
        present.rooms.push((room, 1));
        true
    }

    /// Counts a session no longer among a room's readers. Returns whether its user is no longer
    /// there.
    pub(super) fn count_out(&mut self, user: UserId, room: RoomId) -> bool {
        self.rooms[room].readers -= 1;
        let Some(present) = self.users.get_mut(&user) else {
            return false;
        };
        let Some(at) = present.rooms.iter().position(|(other, _)| *other == room) else {
            return false;
        };
        present.rooms[at].1 -= 1;
        let is_gone = present.rooms[at].1 == 0;
        if is_gone {
            present.rooms.swap_remove(at);
        }
        is_gone
    }

    /// Whether this connection's user has a key, so that something is kept about them.
    pub(in crate::server::core) fn is_kept(&self, connection: ConnectionId) -> Option<UserId> {
        let session = self.sessions.get(&connection)?;
        (session.role >= Role::Member).then_some(session.user)
    }
}
