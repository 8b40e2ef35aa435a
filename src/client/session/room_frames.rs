//! Handles what the server says of rooms: that they open, change or end for the user, and who is in
//! them.

use super::{
    Event, Session, connection_state::ConnectionState, members::MemberChange,
    persist_types::StoreChange, user_text::ProtocolFault,
};
use crate::protocol::{
    Epoch, Nickname, RoomId, RoomInfo, RoomKind,
    frame::{Change, MembersPage, Presence, RoomStart},
};

impl Session {
    /// Whether a room is one of those that the user wants to be in.
    pub(super) fn is_wanted(&self, start: &RoomStart) -> bool {
        let name = start.info.name.as_ref();
        self.wants_room(start.room) || name.is_some_and(|name| self.config.enter.contains(name))
    }

    pub(super) fn tell_of_rooms(&mut self, epoch: Epoch, mut opened: Vec<RoomStart>) {
        let keeps_markers = matches!(&self.state, ConnectionState::Live(live) if live.can.rooms);
        for start in &mut opened {
            start.read = self.reads.open(start, keeps_markers);
            if start.info.kind == RoomKind::Public
                && let Some(name) = &start.info.name
            {
                // Only the name was known when they were typed.
                self.outbox.readdress(name, start.room);
            }
            let folded = self.rooms.folded_to(start.room);
            self.write_buffer.opened(epoch, start.clone(), folded);
            self.events.push_back(Event::Room(Box::new(start.clone())));
        }
        self.catch_up(&opened);
    }

    /// Handles rooms that the user has entered on one of their devices.
    pub(super) fn entered_rooms(&mut self, starts: Vec<RoomStart>) -> Result<(), ProtocolFault> {
        let opened = self.rooms.open_more(starts)?;
        if let Some(epoch) = self.rooms.epoch() {
            self.tell_of_rooms(epoch, opened);
        }
        Ok(())
    }

    pub(super) fn room_info(&mut self, room: RoomId, info: Box<RoomInfo>) {
        if self.rooms.is_open(room) {
            let change = StoreChange::RoomInfo {
                room,
                info: info.clone(),
            };
            self.write_buffer.put(change);
            self.events.push_back(Event::RoomInfo { room, info });
        }
    }

    pub(super) fn left_room(&mut self, room: RoomId, by: Option<Nickname>) {
        if self.rooms.leave(room) {
            self.close_room(room, by);
        }
    }

    /// Drops what is kept of a room besides its position, and tells the user. That includes what
    /// is stored: a client outside a room does not learn what is deleted there.
    pub(super) fn close_room(&mut self, room: RoomId, by: Option<Nickname>) {
        self.reads.leave(room);
        let refused = self.requests.leave(room);
        self.events.extend(refused);
        self.start_requests();
        self.write_buffer.left(room);
        self.events.push_back(Event::RoomLeft { room, by });
    }

    pub(super) fn members_page(&mut self, page: MembersPage) -> Result<(), ProtocolFault> {
        let room = page.room;
        if let Some(own) = page.members.iter().find(|member| self.is_us(member.user)) {
            // A slow reader gets a list instead of single changes.
            self.told_nickname(&own.nickname.clone());
        }
        let known = self.rooms.members(room)?;
        if let Some(rules) = known.other_rules(&page) {
            self.events.push_back(Event::Rules {
                room,
                rules,
                by: None,
            });
        }
        if let Some(members) = known.page(page)? {
            self.events.push_back(Event::Members { room, members });
        }
        Ok(())
    }

    pub(super) fn presence(&mut self, presence: Presence) -> Result<(), ProtocolFault> {
        let (room, user, time) = (presence.room, presence.user, presence.time);
        let nickname = presence.nickname.clone();
        if matches!(presence.change, Change::Renamed { .. }) && self.is_us(user) {
            // Even if it is no news to the list, which may be incomplete.
            self.told_nickname(&nickname);
        }
        let news = self.rooms.members(room)?.change(presence)?;
        self.events.extend(news.map(|news| match news {
            MemberChange::Joined(member) => Event::Joined { room, member },
            MemberChange::Left { nickname, reason } => Event::Left {
                room,
                user,
                nickname,
                time,
                reason,
            },
            MemberChange::Promoted(role) => Event::Promoted { room, user, role },
            MemberChange::Rules(rules) => Event::Rules {
                room,
                rules,
                by: Some(nickname),
            },
            MemberChange::Renamed { was } => Event::Renamed {
                room,
                user,
                was,
                nickname,
                time,
            },
        }));
        Ok(())
    }
}
