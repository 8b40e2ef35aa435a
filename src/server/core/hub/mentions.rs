//! Finds the users whom a text mentions.

use super::Hub;
use crate::{
    protocol::{
        Mentions, Nickname, RoomId, UserId,
        limits::{MENTIONS_MAX, NICKNAME_BYTES_MAX},
    },
    server::core::ConnectionId,
    text::{
        Body,
        mentions::{EVERYONE, places},
    },
};

/// Possible nicknames of one text that are looked up: each takes up to 15 µs.
const LOOKUPS_MAX: usize = 256;

impl Hub {
    /// The users whom a text mentions, of those in a room; the sender is none of them. Somebody who
    /// is not in the room reads like a name that nobody has.
    pub(in crate::server::core) fn mentions(
        &self,
        connection: ConnectionId,
        room: RoomId,
        body: &Body,
    ) -> Mentions {
        let mut found = Mentions::NONE;
        let Some(session) = self.sessions.get(&connection) else {
            return found;
        };
        let mut lookups = LOOKUPS_MAX;
        for place in places(body.as_str(), NICKNAME_BYTES_MAX) {
            let user = place.names.iter().find_map(|name| {
                lookups = lookups.checked_sub(1)?;
                let nickname = Nickname::known(name).ok()?;
                self.user_named(&nickname)
                    .filter(|user| self.is_in(*user, room))
            });
            match user {
                Some(user) if user == session.user || found.users.contains(&user) => {}
                Some(user) if found.users.len() < MENTIONS_MAX => found.users.push(user),
                Some(_) => break,
                None => found.everyone |= place.names.contains(&EVERYONE),
            }
            if lookups == 0 {
                break;
            }
        }
        if found.everyone {
            let (requester, in_session) = (session.requester(), session.is_in(room));
            let access = &self.access;
            found.everyone = access.may_mention_everyone(requester, room, in_session, self.now);
        }
        found
    }

    /// The user who has a nickname now, or owns it.
    pub(in crate::server::core) fn user_named(&self, nickname: &Nickname) -> Option<UserId> {
        let canonical = nickname.canonical();
        let present = self.nicknames.get(canonical.as_str()).copied();
        present.or_else(|| self.access.accounts.nicknames.owner_of(&canonical))
    }

    /// Whether a user is in a room, connected or not.
    pub(in crate::server::core) fn is_in(&self, user: UserId, room: RoomId) -> bool {
        let present = self.users.get(&user);
        present.is_some_and(|user| user.rooms.iter().any(|(other, _)| *other == room))
            || self.access.rooms.is_member(user, room)
    }
}
