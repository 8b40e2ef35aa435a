//! Rooms and memberships: which rooms there are, who is a member of which, and what each member
//! keeps about a room.
//!
//! [`Rooms`] holds what lasts. It does not ask who may do something: that is
//! [`may`](super::access::may::may)'s business. It knows nothing of sessions either, so that users
//! without a key, who are in public rooms for the length of a session, are not in it.
//!
//! - [`record`], [`membership`]: the two kinds of records.
//! - [`span`]: the numbers that a user may read.
//! - [`mod@event`]: entries for what happened to a room.
//! - `changes`: the methods that change something.
//! - `listing`: what users are told of rooms.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use self::{
    membership::{Membership, MembershipKey, Standing},
    record::RoomRecord,
    span::Visible,
};
use super::persist::{Persist, RecordMap};
use crate::{
    protocol::{RoomId, RoomKind, RoomName, UserId},
    server::log::StateRecord,
    text::Line,
};

pub use self::changes::{Direct, NewRoom, RoomError};

mod changes;
pub mod event;
mod listing;
pub mod membership;
pub mod record;
pub mod span;
#[cfg(test)]
mod tests;

/// Most rooms of all kinds, unless the operator sets another number. The operator's own may be more.
pub const ROOMS_MAX_DEFAULT: usize = 20_000;
/// Most rooms of all kinds that one user has made.
pub const ROOMS_MADE_MAX: usize = 1_000;

/// The operator's settings of one room.
#[derive(Clone, Debug)]
pub struct RoomSettings {
    /// Its name.
    pub name: RoomName,
    /// Its topic, until a moderator changes it. Rooms other than the lobby have this topic only if
    /// the server starts with them for the first time.
    pub topic: Option<Line>,
}

/// All rooms and memberships.
#[derive(Debug)]
pub struct Rooms {
    by_id: RecordMap<RoomRecord>,
    memberships: RecordMap<Membership>,
    /// Public rooms by their names.
    public: BTreeMap<RoomName, RoomId>,
    /// The members of each room but the lobby.
    members: HashMap<RoomId, BTreeSet<UserId>>,
    /// How many rooms each user has made.
    made: HashMap<UserId, usize>,
    /// The limit on their number.
    most: usize,
}

impl Rooms {
    /// Loads the store's records, and adds the operator's rooms. A room that the operator names stays
    /// the same under another name; nor is it made again if another room has its name by now.
    pub fn load(operators: &[RoomSettings], rooms_max: usize, records: &[StateRecord]) -> Self {
        let mut loaded = Self {
            by_id: RecordMap::load(records),
            memberships: RecordMap::load(records),
            public: BTreeMap::new(),
            members: HashMap::new(),
            made: HashMap::new(),
            most: rooms_max,
        };
        for (room, record) in loaded.by_id.iter() {
            if record.kind == RoomKind::Public
                && let Some(name) = &record.name
            {
                loaded.public.entry(name.clone()).or_insert(*room);
            }
            if let Some(user) = record.made_by {
                *loaded.made.entry(user).or_default() += 1;
            }
        }
        for RoomSettings { name, topic } in operators {
            loaded.add_operators(name, topic.as_ref());
        }
        loaded.add_operators(&RoomName::lobby(), None);
        // Collected first: a set is made of a sorted list in half the time.
        let mut members: HashMap<_, Vec<_>> = HashMap::new();
        for (key, membership) in loaded.memberships.iter() {
            if membership.is_current() && key.room != RoomId::LOBBY {
                members.entry(key.room).or_default().push(key.user);
            }
        }
        let members = members.into_iter();
        loaded.members = members
            .map(|(room, users)| (room, users.into_iter().collect()))
            .collect();
        loaded
    }

    fn add_operators(&mut self, name: &RoomName, topic: Option<&Line>) {
        let room = RoomId::named(name, 0);
        if self.public.contains_key(name) {
            return;
        }
        if let Some(record) = self.by_id.get(&room) {
            let is_adopted = record.name.is_some() && record.name == stand_in(room);
            if is_adopted {
                // Now it can be called what it was called before.
                self.call(room, name.clone());
            }
            return;
        }
        let record = RoomRecord::of_operator(name.clone(), topic.cloned());
        self.public.insert(name.clone(), room);
        if room == RoomId::LOBBY {
            // It needs no record, and the operator can change its topic.
            self.by_id.insert_default(room, record);
        } else {
            // It stays if the operator names it no longer, so that nobody gets its messages by
            // making a room of that name.
            self.by_id.insert(room, record);
        }
    }

    /// Adds a public room for a log without a record: older servers made none for the operator's rooms,
    /// and it is not named any more. Its name is not known, so that it gets one that stands in for it.
    pub fn adopt(&mut self, room: RoomId) {
        if self.by_id.contains_key(&room) {
            return;
        }
        let Some(name) = stand_in(room) else { return };
        self.by_id
            .insert(room, RoomRecord::of_operator(name.clone(), None));
        self.public.entry(name).or_insert(room);
    }

    /// The records, for a commit.
    pub fn records(&mut self) -> [&mut dyn Persist; 2] {
        [&mut self.by_id, &mut self.memberships]
    }

    /// A room.
    pub fn get(&self, room: RoomId) -> Option<&RoomRecord> {
        self.by_id.get(&room)
    }

    /// All rooms.
    pub fn iter(&self) -> impl Iterator<Item = (RoomId, &RoomRecord)> {
        self.by_id.iter().map(|(room, record)| (*room, record))
    }

    /// The number of rooms.
    pub fn count(&self) -> usize {
        self.by_id.len()
    }

    /// The public room of a name.
    pub fn named(&self, name: &RoomName) -> Option<RoomId> {
        self.public.get(name).copied()
    }

    /// The room that a user means by a name: the public one, else a private one that they are in.
    pub fn named_for(&self, user: UserId, name: &RoomName) -> Option<RoomId> {
        self.named(name).or_else(|| {
            let has_name = |room: &RoomId| {
                self.get(*room)
                    .is_some_and(|record| record.name.as_ref() == Some(name))
            };
            self.rooms_of(user).find(has_name)
        })
    }

    /// The room that the operator means by a name: the public one, else the only private one of that
    /// name.
    pub fn named_by_operator(&self, name: &RoomName) -> Option<RoomId> {
        self.named(name).or_else(|| {
            let mut private = self
                .iter()
                .filter(|(_, record)| record.name.as_ref() == Some(name));
            let (room, _) = private.next()?;
            private.next().is_none().then_some(room)
        })
    }

    /// What is kept about a user in a room, if anything is.
    pub fn membership(&self, user: UserId, room: RoomId) -> Option<&Membership> {
        self.memberships.get(&MembershipKey { user, room })
    }

    /// A user's relation to a room. Everybody is a member of the lobby.
    pub fn standing(&self, user: UserId, room: RoomId) -> Standing {
        if !self.by_id.contains_key(&room) {
            return Standing::Stranger;
        }
        match self.membership(user, room) {
            _ if room == RoomId::LOBBY => Standing::Member,
            Some(membership) => membership.standing(),
            None => Standing::Stranger,
        }
    }

    /// Whether a user is a member of a room.
    pub fn is_member(&self, user: UserId, room: RoomId) -> bool {
        self.standing(user, room).is_member()
    }

    /// What is kept about a user, by room.
    fn memberships_of(&self, user: UserId) -> impl Iterator<Item = (RoomId, &Membership)> {
        let key = |bytes| MembershipKey {
            user,
            room: RoomId::from_bytes(bytes),
        };
        let own = self.memberships.range(key([0; 12])..=key([u8::MAX; 12]));
        own.map(|(key, membership)| (key.room, membership))
    }

    /// How far a user has read each of their rooms, or up to where they may not read it. The lobby is
    /// among them once something is kept about the user there.
    pub fn markers_of(&self, user: UserId) -> impl Iterator<Item = (RoomId, u64)> {
        let own = self.memberships_of(user);
        let current = own
            .filter(|(room, membership)| membership.is_current() && self.by_id.contains_key(room));
        current.map(move |(room, membership)| {
            let visible = self.visible(user, room);
            let from = visible.ranges().last().map_or(1, |span| span.from);
            (room, membership.marker.seq.max(from - 1))
        })
    }

    /// A user's rooms: the lobby first, then the others by their ids.
    pub fn rooms_of(&self, user: UserId) -> impl Iterator<Item = RoomId> {
        let own = self.memberships_of(user);
        let others = own.filter(|(room, membership)| {
            *room != RoomId::LOBBY && membership.is_current() && self.by_id.contains_key(room)
        });
        [RoomId::LOBBY]
            .into_iter()
            .chain(others.map(|(room, _)| room))
    }

    /// A room's members, by their ids; none for the lobby.
    pub fn members_of(&self, room: RoomId) -> impl Iterator<Item = UserId> {
        self.members.get(&room).into_iter().flatten().copied()
    }

    /// The number of a room's members; 0 for the lobby.
    pub fn members_count(&self, room: RoomId) -> usize {
        self.members.get(&room).map_or(0, BTreeSet::len)
    }

    /// The entries of a room that a user may read. In a public room these are all, for users without
    /// a membership too: whether they are in it is known to their session.
    pub fn visible(&self, user: UserId, room: RoomId) -> Visible {
        let Some(record) = self.get(room) else {
            return Visible::nothing();
        };
        let membership = self.membership(user, room);
        let current = membership.filter(|membership| membership.is_current());
        match (record.kind, current) {
            (RoomKind::Public, _) | (RoomKind::Direct, Some(_)) => Visible::all(),
            (RoomKind::Private, Some(membership)) => {
                let own = membership.spans().iter().copied();
                Visible::of(own.chain(record.history.open_to_all()))
            }
            (RoomKind::Private | RoomKind::Direct, None) => Visible::nothing(),
        }
    }
}

/// The name of a room whose name is not known.
fn stand_in(room: RoomId) -> Option<RoomName> {
    RoomName::parse(&format!("room-{room}")).ok()
}
