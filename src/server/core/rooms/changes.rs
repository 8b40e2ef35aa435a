//! Changes of rooms and memberships. Each keeps the records and the indexes of [`Rooms`] in step.

use super::{
    ROOMS_MADE_MAX, Rooms,
    membership::{Membership, MembershipKey, Standing},
    record::{HistorySetting, RoomRecord},
};
use crate::protocol::{
    HistoryAccess, Preferences, ReadMarker, RoomId, RoomKind, RoomName, RoomRules, UserId,
    frame::{ErrorCode, ErrorFrame},
    limits::{DIRECT_PEOPLE_MAX, NUMBER_MAX, USER_ROOMS_MAX},
};

/// A room to make.
#[derive(Clone, Debug)]
pub struct NewRoom {
    /// Whether it is private; else it is public.
    pub private: bool,
    /// Its name.
    pub name: RoomName,
    /// The user who makes it: its first member and moderator.
    pub by: UserId,
    /// The time, in seconds since 1970.
    pub at: u64,
    /// Unpredictable bytes, for the id of a private room.
    pub random: [u8; 12],
}

/// Why a room or a membership can't be changed so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomError {
    /// There is no such room.
    NoSuchRoom,
    /// A room has that name.
    NameTaken,
    /// The server has as many rooms as it may have.
    TooManyRooms,
    /// The user has made as many rooms as they may.
    MadeTooMany,
    /// This user is in as many rooms as they may be.
    InTooMany(UserId),
    /// A conversation has 1 to [`DIRECT_PEOPLE_MAX`] people.
    People,
    /// The lobby and direct conversations can't be changed so.
    Fixed,
    /// The history setting was changed too often.
    ChangedTooOften,
}

impl From<RoomError> for ErrorFrame {
    fn from(error: RoomError) -> Self {
        let (code, message) = match error {
            RoomError::NoSuchRoom => (
                ErrorCode::NoSuchRoom,
                crate::server::core::access::may::NO_SUCH_ROOM,
            ),
            RoomError::NameTaken => (
                ErrorCode::NotAllowed,
                "There is a room of that name already",
            ),
            RoomError::TooManyRooms => (
                ErrorCode::NotAllowed,
                "This server has reached its limit of rooms",
            ),
            RoomError::MadeTooMany => (
                ErrorCode::NotAllowed,
                "You have made as many rooms as one user can make",
            ),
            RoomError::InTooMany(_) => (
                ErrorCode::NotAllowed,
                "One of you is in 2,000 rooms already, which is the limit",
            ),
            RoomError::People => (
                ErrorCode::NotAllowed,
                "A direct conversation has at most nine people",
            ),
            RoomError::Fixed => (
                ErrorCode::NotAllowed,
                "That can't be done with the lobby or a direct conversation",
            ),
            RoomError::ChangedTooOften => (
                ErrorCode::NotAllowed,
                "The history setting of this room was changed too often",
            ),
        };
        Self::new(code, message)
    }
}

/// A direct conversation that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Direct {
    /// The conversation.
    pub room: RoomId,
    /// Whether it was made just now.
    pub is_new: bool,
    /// Its people who were not in it.
    pub added: Vec<UserId>,
}

impl Rooms {
    /// Makes a room, of which the user is the moderator. Names of public rooms are unique.
    ///
    /// # Errors
    /// If the name is taken, or there are too many rooms.
    pub fn create(&mut self, new: NewRoom) -> Result<RoomId, RoomError> {
        let NewRoom {
            private,
            name,
            by,
            at,
            random,
        } = new;
        if name == RoomName::lobby() || !private && self.public.contains_key(&name) {
            return Err(RoomError::NameTaken);
        }
        self.has_space(by)?;
        self.can_enter(by)?;
        let (kind, room, earlier) = if private {
            (RoomKind::Private, RoomId::from_bytes(random), 0)
        } else {
            let (room, earlier) = self.unused(&name);
            (RoomKind::Public, room, earlier)
        };
        if self.by_id.contains_key(&room) {
            return Err(RoomError::NameTaken);
        }
        let record = RoomRecord {
            kind,
            made_by: Some(by),
            made_at: at,
            earlier,
            ..RoomRecord::of_operator(name, None)
        };
        self.add(room, record);
        let mut membership = Membership::new(1, 0);
        membership.moderator = true;
        self.put(by, room, membership);
        Ok(room)
    }

    /// The first id of a name that no room has or had.
    fn unused(&self, name: &RoomName) -> (RoomId, u32) {
        let mut earlier = 0;
        loop {
            let room = RoomId::named(name, earlier);
            if !self.by_id.contains_key(&room) {
                return (room, earlier);
            }
            earlier += 1;
        }
    }

    /// The direct conversation of these people, which is made if there is none; and whether it was.
    ///
    /// # Errors
    /// If there are too many people, or one is in too many rooms, or there are too many rooms.
    pub fn direct(&mut self, people: &[UserId], by: UserId, at: u64) -> Result<Direct, RoomError> {
        let mut people = people.to_vec();
        people.sort_unstable();
        people.dedup();
        if !(1..=DIRECT_PEOPLE_MAX).contains(&people.len()) {
            return Err(RoomError::People);
        }
        let room = RoomId::direct(&people);
        let is_new = !self.by_id.contains_key(&room);
        if is_new {
            self.has_space(by)?;
        }
        // An account that was removed may have come back.
        let away = people.iter().filter(|user| !self.is_member(**user, room));
        let away: Vec<_> = away.copied().collect();
        for user in &away {
            self.can_enter(*user)?;
        }
        if is_new {
            let record = RoomRecord {
                kind: RoomKind::Direct,
                name: None,
                rules: RoomRules::default(),
                history: HistorySetting::default(),
                archived: false,
                made_by: Some(by),
                made_at: at,
                people,
                earlier: 0,
            };
            self.add(room, record);
        }
        for user in &away {
            self.put(*user, room, Membership::new(1, 0));
        }
        Ok(Direct {
            room,
            is_new,
            added: away,
        })
    }

    /// The number of the first entry of a user's present membership.
    pub fn begins(&self, user: UserId, room: RoomId) -> Option<u64> {
        self.membership(user, room).and_then(Membership::begins)
    }

    /// Begins the present membership of a user in a private room at this entry, which was believed to
    /// be as high as `from`. A later membership is another one.
    pub fn begin_at(&mut self, user: UserId, room: RoomId, from: u64, seq: u64) {
        if self.begins(user, room) == Some(from) && from > seq {
            self.keep(user, room, |membership| membership.begin_at(seq));
        }
    }

    /// Shows a conversation to a user who has hidden it. Returns whether they had.
    pub fn show(&mut self, user: UserId, room: RoomId) -> bool {
        let known = self.membership(user, room).map(Membership::preferences);
        let Some(hidden) = known.filter(|known| known.hidden) else {
            return false;
        };
        let preferences = Preferences {
            hidden: false,
            ..hidden
        };
        self.keep(user, room, |membership| membership.prefer(preferences));
        true
    }

    /// Shows a direct conversation to those who have hidden it, and returns them.
    pub fn show_to_all(&mut self, room: RoomId) -> Vec<UserId> {
        let record = self.get(room);
        if !record.is_some_and(|record| record.kind == RoomKind::Direct) {
            return Vec::new();
        }
        let mut people: Vec<_> = self.members_of(room).collect();
        people.retain(|user| self.show(*user, room));
        people
    }

    /// Makes a user a member, for entries after `head`, up to which they have read. Returns whether
    /// they were none. For the lobby it begins what is kept about the user.
    ///
    /// # Errors
    /// If there is no such room, it is a conversation of others, or the user is in too many rooms.
    pub fn enter(&mut self, user: UserId, room: RoomId, head: u64) -> Result<bool, RoomError> {
        self.enter_from(user, room, head.saturating_add(1), head)
    }

    /// Makes a user a member, for entries from a number on, who have read up to `read`: to the end of
    /// what is stored, where entries that are not stored yet may come before theirs.
    ///
    /// # Errors
    /// See [`Self::enter`].
    pub fn enter_from(
        &mut self,
        user: UserId,
        room: RoomId,
        from: u64,
        read: u64,
    ) -> Result<bool, RoomError> {
        let kind = self.get(room).ok_or(RoomError::NoSuchRoom)?.kind;
        let known = self.membership(user, room);
        if room == RoomId::LOBBY {
            if known.is_none() {
                self.put(user, room, Membership::new(1, read));
            }
            return Ok(false);
        }
        if known.is_some_and(Membership::is_current) {
            return Ok(false);
        }
        if kind == RoomKind::Direct {
            return Err(RoomError::NoSuchRoom);
        }
        let mut membership = known.cloned().unwrap_or_default();
        self.can_enter(user)?;
        membership.begin(from, read);
        self.put(user, room, membership);
        Ok(true)
    }

    /// Ends a membership after the entry `head`: a user left, or was removed. Returns whether they
    /// were a member. The lobby and direct conversations are not left.
    pub fn leave(&mut self, user: UserId, room: RoomId, head: u64) -> bool {
        let Some(kind) = self.get(room).map(|record| record.kind) else {
            return false;
        };
        if room == RoomId::LOBBY || kind == RoomKind::Direct || !self.is_member(user, room) {
            return false;
        }
        let former = self.memberships_of(user);
        let former = former.filter(|(_, membership)| !membership.is_current());
        let is_full = former.count() >= USER_ROOMS_MAX;
        let key = MembershipKey { user, room };
        // All of a public room is visible anyway.
        if kind == RoomKind::Public || is_full {
            self.memberships.remove(&key);
        } else {
            self.memberships
                .update(&key, |membership| membership.end(head));
        }
        self.forget_member(user, room);
        self.succeed(room);
        true
    }

    /// Makes the member of longest standing the moderator of a private room that has none any more.
    fn succeed(&mut self, room: RoomId) {
        let record = self.get(room);
        if !record.is_some_and(|record| record.kind == RoomKind::Private) {
            return;
        }
        let moderates = |user| self.standing(user, room) == Standing::Moderator;
        if self.members_of(room).any(moderates) {
            return;
        }
        let begins = |user: &UserId| {
            let membership = self.membership(*user, room);
            membership.and_then(Membership::begins)
        };
        if let Some(next) = self.members_of(room).min_by_key(begins) {
            self.set_moderator(next, room, true);
        }
    }

    /// Gives a room another name. Returns the name that it had; `None` if it is the same.
    ///
    /// # Errors
    /// If there is no such room, it can't be renamed, or another public room has the name.
    pub fn rename(&mut self, room: RoomId, name: RoomName) -> Result<Option<RoomName>, RoomError> {
        let record = self.get(room).ok_or(RoomError::NoSuchRoom)?;
        let was = match (&record.name, room) {
            (None, _) | (_, RoomId::LOBBY) => return Err(RoomError::Fixed),
            (Some(was), _) => was.clone(),
        };
        if was == name {
            return Ok(None);
        }
        let is_public = record.kind == RoomKind::Public;
        if name == RoomName::lobby() || is_public && self.public.contains_key(&name) {
            return Err(RoomError::NameTaken);
        }
        self.call(room, name);
        Ok(Some(was))
    }

    /// Gives a room a name that no other public room has.
    pub(super) fn call(&mut self, room: RoomId, name: RoomName) {
        let Some(record) = self.by_id.get(&room) else {
            return;
        };
        if record.kind == RoomKind::Public {
            if let Some(was) = &record.name
                && self.public.get(was) == Some(&room)
            {
                self.public.remove(was);
            }
            self.public.insert(name.clone(), room);
        }
        self.by_id.update(&room, |record| record.name = Some(name));
    }

    /// Archives a room, or takes it out of the archive. Returns whether that has changed it. A room
    /// in the archive keeps its name.
    ///
    /// # Errors
    /// If there is no such room, or it can't be archived.
    pub fn set_archived(&mut self, room: RoomId, archived: bool) -> Result<bool, RoomError> {
        let record = self.get(room).ok_or(RoomError::NoSuchRoom)?;
        if room == RoomId::LOBBY || record.kind == RoomKind::Direct {
            return Err(RoomError::Fixed);
        }
        let changes = record.archived != archived;
        if changes {
            self.by_id
                .update(&room, |record| record.archived = archived);
        }
        Ok(changes)
    }

    /// Changes the topic, or who may write and how often. Returns whether that has changed anything.
    ///
    /// # Errors
    /// If there is no such room.
    pub fn set_rules(&mut self, room: RoomId, rules: RoomRules) -> Result<bool, RoomError> {
        let record = self.get(room).ok_or(RoomError::NoSuchRoom)?;
        let changes = record.rules != rules;
        if changes {
            self.by_id.update(&room, |record| record.rules = rules);
        }
        Ok(changes)
    }

    /// Sets which older entries members may read, for entries after `head`. Returns whether that has
    /// changed it.
    ///
    /// # Errors
    /// If there is no such room, it is not private, or that was changed too often.
    pub fn set_history(
        &mut self,
        room: RoomId,
        access: HistoryAccess,
        head: u64,
    ) -> Result<bool, RoomError> {
        let record = self.get(room).ok_or(RoomError::NoSuchRoom)?;
        if record.kind != RoomKind::Private {
            return Err(RoomError::Fixed);
        }
        if record.history.current() == access {
            return Ok(false);
        }
        if !record.history.has_space() {
            return Err(RoomError::ChangedTooOften);
        }
        self.by_id
            .update(&room, |record| record.history.set(access, head));
        Ok(true)
    }

    /// Makes a member the room's moderator, or no longer. Returns whether that has changed anything;
    /// `None` if they are no member.
    pub fn set_moderator(&mut self, user: UserId, room: RoomId, on: bool) -> Option<bool> {
        let key = MembershipKey { user, room };
        let membership = self.memberships.get(&key)?;
        if !membership.is_current() {
            return None;
        }
        let changes = membership.moderator != on;
        if changes {
            self.memberships
                .update(&key, |membership| membership.moderator = on);
        }
        Some(changes)
    }

    /// Takes a device's marker. Returns the marker in force, and whether it has changed; `None` if
    /// the user is no member. An advance needs the present generation, and the user's hand the next
    /// one; nobody has read beyond the log's `head`.
    pub fn read(
        &mut self,
        user: UserId,
        room: RoomId,
        marker: ReadMarker,
        head: u64,
    ) -> Option<(ReadMarker, bool)> {
        if !self.is_member(user, room) {
            return None;
        }
        let membership = self.membership(user, room);
        let known = membership.map_or_else(ReadMarker::default, |known| known.marker);
        let is_next = marker.generation == known.generation
            || marker.generation == known.generation + 1 && marker.generation <= NUMBER_MAX;
        let mut merged = known;
        let changes = is_next
            && merged.merge(ReadMarker {
                seq: marker.seq.min(head),
                ..marker
            });
        if changes {
            let key = MembershipKey { user, room };
            let set = |membership: &mut Membership| membership.marker = merged;
            // Markers move all the time, and a client sends one again that was lost.
            if self.memberships.update_lazily(&key, set).is_none() {
                self.keep(user, room, set);
            }
        }
        Some((merged, changes))
    }

    /// Takes a user's settings of a room. Returns whether they have changed; `None` if the user is no
    /// member.
    pub fn prefer(&mut self, user: UserId, room: RoomId, preferences: Preferences) -> Option<bool> {
        if !self.is_member(user, room) {
            return None;
        }
        let membership = self.membership(user, room);
        let known = membership.map_or_else(Preferences::default, Membership::preferences);
        let changes = known != preferences;
        if changes {
            self.keep(user, room, |membership| membership.prefer(preferences));
        }
        Some(changes)
    }

    /// Drops all that is kept about a user whose account is removed. Returns the rooms that they were
    /// a member of, without the lobby. In the conversations that they were in they stay named.
    pub fn forget(&mut self, user: UserId) -> Vec<RoomId> {
        let left: Vec<_> = self.rooms_of(user).skip(1).collect();
        let kept: Vec<_> = self.memberships_of(user).map(|(room, _)| room).collect();
        for room in kept {
            self.memberships.remove(&MembershipKey { user, room });
            self.forget_member(user, room);
            self.succeed(room);
        }
        left
    }

    // Shared by several changes.

    /// Whether a user may make one more room.
    fn has_space(&self, by: UserId) -> Result<(), RoomError> {
        if self.by_id.len() >= self.most {
            return Err(RoomError::TooManyRooms);
        }
        if self.made.get(&by).copied().unwrap_or(0) >= ROOMS_MADE_MAX {
            return Err(RoomError::MadeTooMany);
        }
        Ok(())
    }

    /// Whether a user may be in one more room.
    fn can_enter(&self, user: UserId) -> Result<(), RoomError> {
        // The lobby does not count.
        if self.rooms_of(user).count() > USER_ROOMS_MAX {
            return Err(RoomError::InTooMany(user));
        }
        Ok(())
    }

    fn add(&mut self, room: RoomId, record: RoomRecord) {
        if let Some(user) = record.made_by {
            *self.made.entry(user).or_default() += 1;
        }
        if let (RoomKind::Public, Some(name)) = (record.kind, &record.name) {
            self.public.insert(name.clone(), room);
        }
        self.by_id.insert(room, record);
    }

    /// Puts a current membership.
    fn put(&mut self, user: UserId, room: RoomId, membership: Membership) {
        if room != RoomId::LOBBY {
            self.members.entry(room).or_default().insert(user);
        }
        self.memberships
            .insert(MembershipKey { user, room }, membership);
    }

    /// Changes what is kept about a member.
    fn keep(&mut self, user: UserId, room: RoomId, change: impl Fn(&mut Membership)) {
        let key = MembershipKey { user, room };
        if self.memberships.update(&key, &change).is_none() {
            // Only of the lobby is a user a member without a record.
            let mut membership = Membership::new(1, 0);
            change(&mut membership);
            self.memberships.insert(key, membership);
        }
    }

    fn forget_member(&mut self, user: UserId, room: RoomId) {
        if let Some(members) = self.members.get_mut(&room) {
            members.remove(&user);
            if members.is_empty() {
                self.members.remove(&room);
            }
        }
    }
}
