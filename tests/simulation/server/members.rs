//! The rooms and memberships in force, by the records that the hub has given to the store: who may
//! read which numbers, and how far each user has read.

use std::collections::{BTreeMap, BTreeSet};

use chat_tui::{
    protocol::{ReadMarker, RoomId, UserId},
    server::log::StateRecord,
};
use serde::Deserialize;

use crate::truth::Fault;

/// See the module's docs.
#[derive(Debug, Default)]
pub(crate) struct Members {
    rooms: BTreeMap<RoomId, Room>,
    memberships: BTreeMap<(UserId, RoomId), Membership>,
    /// The markers that devices have sent of each user and room.
    markers: BTreeMap<(UserId, RoomId), BTreeSet<(u64, u64)>>,
}

/// The stored record of a room.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Room {
    kind: String,
    /// Its name.
    pub(crate) name: Option<String>,
    /// Its topic.
    pub(crate) topic: Option<String>,
    /// Whether it can only be read.
    pub(crate) archived: bool,
    history: Vec<(u64, String)>,
    people: Vec<UserId>,
}

/// The stored record of a membership.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Membership {
    spans: Vec<(u64, Option<u64>)>,
    /// Whether the user moderates the room.
    pub(crate) moderator: bool,
    read: u64,
    generation: u64,
    /// Whether the room stands above others.
    pub(crate) favourite: bool,
}

impl Room {
    /// Whether everybody can find it.
    pub(crate) fn is_public(&self) -> bool {
        self.kind == "public" || self.kind.is_empty()
    }

    /// Whether all members may read a number. A change of the setting applies from its number on.
    fn is_open_to_all(&self, seq: u64) -> bool {
        let last = self.history.iter().rfind(|(from, _)| *from <= seq);
        last.is_some_and(|(_, access)| access == "all")
    }
}

impl Membership {
    fn is_current(&self) -> bool {
        self.spans.last().is_some_and(|(_, to)| to.is_none())
    }

    /// How far the user has read.
    pub(crate) fn marker(&self) -> ReadMarker {
        ReadMarker {
            seq: self.read,
            generation: self.generation,
        }
    }
}

impl Members {
    /// Those of the store's records.
    pub(crate) fn load(records: &[StateRecord]) -> Self {
        let mut loaded = Self::default();
        for record in records {
            loaded.put(record);
        }
        loaded
    }

    /// Takes changed records. Fails if a marker has changed without a device's wish.
    pub(crate) fn take(&mut self, records: &[StateRecord]) -> Result<(), Fault> {
        for record in records {
            let Some((key, before)) = self.put(record) else {
                continue;
            };
            let Some(now) = self.memberships.get(&key) else {
                continue;
            };
            // Who enters has read what is there.
            let began = before.spans.len() != now.spans.len()
                || before.spans.last().map(|span| span.0) != now.spans.last().map(|span| span.0);
            let (was, is) = (before.marker(), now.marker());
            let asked = self.markers.get(&key);
            let asked = asked.is_some_and(|asked| asked.contains(&(is.generation, is.seq)));
            if was != is && !began && !asked {
                let (user, room) = key;
                return Err(format!(
                    "the marker of {user} in {room} goes from {was:?} to {is:?}, and no device sent that"
                ));
            }
            if (is.generation, is.seq) < (was.generation, was.seq) {
                return Err(format!("the marker {was:?} of {key:?} goes back to {is:?}"));
            }
        }
        Ok(())
    }

    /// Takes a record. Returns the membership that it changes, as it was.
    fn put(&mut self, record: &StateRecord) -> Option<((UserId, RoomId), Membership)> {
        match &*record.kind {
            "room" => {
                let room = RoomId::parse(&record.key).expect("a room's id");
                let value = record.value.as_deref();
                let value = value.map(|value| serde_json::from_str(value).expect("a room"));
                match value {
                    Some(value) => drop(self.rooms.insert(room, value)),
                    None => drop(self.rooms.remove(&room)),
                }
                None
            }
            "member" => {
                let (user, room) = record.key.split_once(' ').expect("a user and a room");
                let user = UserId::parse(user).expect("a user's id");
                let key = (user, RoomId::parse(room).expect("a room's id"));
                let value = record.value.as_deref();
                let value = value.map(|value| serde_json::from_str(value).expect("a membership"));
                let before = match value {
                    Some(value) => self.memberships.insert(key, value),
                    None => self.memberships.remove(&key),
                };
                Some((key, before?))
            }
            _ => None,
        }
    }

    /// A device has sent a marker, when a room's log ended at `head`.
    pub(crate) fn marked(&mut self, user: UserId, room: RoomId, marker: ReadMarker, head: u64) {
        let sent = self.markers.entry((user, room)).or_default();
        sent.insert((marker.generation, marker.seq.min(head)));
    }

    /// Checks that public rooms have different names, and that there is one conversation of the same
    /// people, which all of them are in.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let mut names = BTreeSet::new();
        for (id, room) in &self.rooms {
            if let Some(name) = room.name.as_ref().filter(|_| room.is_public())
                && !names.insert(name)
            {
                return Err(format!("two rooms are called #{name}"));
            }
            let mut people = room.people.iter();
            let is_whole = room.kind != "direct"
                || *id == RoomId::direct(&room.people)
                    && people.all(|user| self.rooms_of(*user).contains(id));
            if !is_whole {
                return Err(format!("{id} is {room:?}"));
            }
        }
        Ok(())
    }

    /// A room's record.
    pub(crate) fn room(&self, room: RoomId) -> Option<&Room> {
        self.rooms.get(&room)
    }

    /// Whether a public room has this name.
    pub(crate) fn is_public_name(&self, name: &str) -> bool {
        let mut rooms = self.rooms.values();
        rooms.any(|room| room.is_public() && room.name.as_deref() == Some(name))
    }

    /// Whether a private room has this name.
    pub(crate) fn is_private_name(&self, name: &str) -> bool {
        let mut rooms = self.rooms.values();
        rooms.any(|room| !room.is_public() && room.name.as_deref() == Some(name))
    }

    /// What is kept about a user in a room.
    pub(crate) fn membership(&self, user: UserId, room: RoomId) -> Option<&Membership> {
        self.memberships.get(&(user, room))
    }

    /// The rooms that a user is in.
    pub(crate) fn rooms_of(&self, user: UserId) -> BTreeSet<RoomId> {
        let own = self.memberships.iter();
        let own = own.filter(|((of, _), membership)| *of == user && membership.is_current());
        own.map(|((_, room), _)| *room)
            .chain([RoomId::LOBBY])
            .collect()
    }

    /// Whether a user may have been sent an entry.
    pub(crate) fn may_have(&self, user: UserId, id: RoomId, seq: u64) -> bool {
        let room = self.rooms.get(&id);
        if id == RoomId::LOBBY || room.is_some_and(Room::is_public) {
            return true;
        }
        let (Some(room), Some(membership)) = (room, self.membership(user, id)) else {
            return false;
        };
        let ends = |to: Option<u64>| to.unwrap_or(u64::MAX);
        let mut spans = membership.spans.iter();
        let last = membership.spans.last().map_or(0, |(_, to)| ends(*to));
        spans.any(|(from, to)| (*from..=ends(*to)).contains(&seq))
            || seq <= last && room.is_open_to_all(seq)
    }
}
