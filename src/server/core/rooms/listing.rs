//! What users are told of rooms: a room's info, and the list of rooms that a user can find.

use std::ops::Bound;

use super::Rooms;
use crate::protocol::{
    Nickname, Person, RoomId, RoomInfo, RoomKind, RoomName, UserId,
    frame::ListPage,
    limits::{FRAME_BYTES_MAX, LIST_PAGE_MAX},
    room::ListedRoom,
};

/// Most bytes of the rooms of one page, as they are written: the rest of its frame takes less than
/// the difference.
const PAGE_BYTES_MAX: usize = FRAME_BYTES_MAX - 4 * 1024;
/// Bytes of one room in a page without its texts, at most.
const ROOM_BYTES: usize = 160;

impl Rooms {
    /// What a user is told of a room; `None` if there is no such room. `nickname_of`: the nickname
    /// by which a user is known. People without one are named by their ids.
    pub fn info(
        &self,
        room: RoomId,
        user: UserId,
        nickname_of: impl Fn(UserId) -> Option<Nickname>,
    ) -> Option<RoomInfo> {
        let record = self.get(room)?;
        let person = |user: &UserId| Person {
            user: *user,
            nickname: nickname_of(*user).unwrap_or_else(|| Nickname::inert(&user.to_string())),
        };
        let membership = self.membership(user, room);
        Some(RoomInfo {
            kind: record.kind,
            name: record.name.clone(),
            rules: record.rules.clone(),
            history: record.history_access(),
            archived: record.archived,
            moderator: membership.is_some_and(|membership| membership.moderator),
            members: self.members_count(room) as u64,
            people: record.people.iter().map(person).collect(),
        })
    }

    /// A page of the rooms that a user can find: the public ones, and their own private ones, by
    /// name and id, of which the name contains a query. `after`: the last room of the page before.
    pub fn find_listed(
        &self,
        user: UserId,
        query: &str,
        after: Option<RoomId>,
    ) -> ListPage<ListedRoom> {
        let mut page = ListPage {
            list: Vec::new(),
            more: false,
            reference: None,
        };
        let after = match after {
            None => None,
            // A user learns nothing by naming a room that they can't find.
            Some(room) => match self.listed_name(user, room) {
                Some(name) => Some((name, room)),
                None => return page,
            },
        };
        let query = query.trim().trim_start_matches('#').to_lowercase();
        let is_wanted = |place: &(&RoomName, RoomId)| {
            after.is_none_or(|after| *place > after) && place.0.as_str().contains(&query)
        };
        let start = after.map_or(Bound::Unbounded, |(name, _)| Bound::Included(name));
        let public = self.public.range::<RoomName, _>((start, Bound::Unbounded));
        let mut public = public
            .map(|(name, room)| (name, *room))
            .filter(is_wanted)
            .peekable();
        let mut private = self.private_of(user);
        private.retain(is_wanted);
        private.sort_unstable();
        let mut private = private.into_iter().peekable();
        let mut bytes = 0;
        loop {
            let next = match (public.peek(), private.peek()) {
                (Some(one), Some(other)) if other < one => private.next(),
                (None, Some(_)) => private.next(),
                (Some(_), _) => public.next(),
                (None, None) => return page,
            };
            let Some(listed) = next.and_then(|(_, room)| self.listed(user, room)) else {
                continue;
            };
            // Each character of a topic may be written as two.
            let topic = listed
                .topic
                .as_ref()
                .map_or(0, |topic| topic.as_str().len());
            bytes += ROOM_BYTES + 2 * topic;
            if page.list.len() >= LIST_PAGE_MAX || bytes > PAGE_BYTES_MAX {
                page.more = true;
                return page;
            }
            page.list.push(listed);
        }
    }

    fn private_of(&self, user: UserId) -> Vec<(&RoomName, RoomId)> {
        let private = |room| {
            let record = self.get(room)?;
            let is_private = record.kind == RoomKind::Private;
            Some((record.name.as_ref().filter(|_| is_private)?, room))
        };
        self.rooms_of(user).filter_map(private).collect()
    }

    /// The name of a room that a user can find.
    fn listed_name(&self, user: UserId, room: RoomId) -> Option<&RoomName> {
        let record = self.get(room)?;
        let is_listed = match record.kind {
            RoomKind::Public => true,
            RoomKind::Private => self.is_member(user, room),
            RoomKind::Direct => false,
        };
        record.name.as_ref().filter(|_| is_listed)
    }

    fn listed(&self, user: UserId, room: RoomId) -> Option<ListedRoom> {
        let record = self.get(room)?;
        Some(ListedRoom {
            room,
            name: record.name.clone()?,
            topic: record.rules.topic.clone(),
            members: self.members_count(room) as u64,
            joined: self.is_member(user, room),
            archived: record.archived,
            private: record.kind == RoomKind::Private,
        })
    }
}
