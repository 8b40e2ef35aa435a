//! The checks of what a client shows of its rooms: what they are, how far they are read, and what is
//! unread.

use chat_tui::protocol::{
    Count, EntryKind, Epoch, ReadState, RoomId, RoomInfo, UserId, limits::UNREAD_COUNT_MAX,
};

use super::Witness;
use crate::{
    server::Members,
    truth::{Fault, Truth},
};

impl Witness {
    /// The rooms that are open.
    pub(crate) fn open_rooms(&self) -> impl Iterator<Item = RoomId> {
        let open = self.rooms.iter().filter(|(_, room)| room.info.is_some());
        open.map(|(id, _)| *id)
    }

    /// The number of the last message that it holds of a room.
    pub(crate) fn last_held(&self, room: RoomId) -> u64 {
        let held = self.rooms.get(&room).and_then(|room| room.held);
        held.map_or(0, |(_, seq)| seq)
    }

    /// What a room is has changed.
    pub(super) fn described(&mut self, room: RoomId, info: &RoomInfo) -> Result<(), Fault> {
        let open = self.rooms.get_mut(&room).filter(|room| room.info.is_some());
        open.ok_or(format!("{room} is changed, and was not open"))?
            .info = Some(info.clone());
        Ok(())
    }

    /// How far a room is read has changed.
    pub(super) fn read(&mut self, room: RoomId, read: ReadState) {
        if let Some(room) = self.rooms.get_mut(&room) {
            room.read = read;
        }
    }

    /// A room is closed for good.
    pub(super) fn left(&mut self, room: RoomId) {
        self.screen.close(room);
        self.left.insert(room);
        self.rooms.remove(&room);
    }

    /// Checks that it shows of each room what the server keeps.
    pub(crate) fn check_rooms(&self, members: &Members, user: UserId) -> Result<(), Fault> {
        for (&id, shown) in &self.rooms {
            let Some(info) = &shown.info else { continue };
            let name = &self.name;
            // Of the lobby there may be no records yet.
            if let Some(room) = members.room(id) {
                let called = info.name.as_ref().map(|name| name.as_str().to_owned());
                let topic = info.rules.topic.as_ref();
                let topic = topic.map(|line| line.as_str().to_owned());
                let told = (&called, &topic, info.archived);
                if told != (&room.name, &room.topic, room.archived) {
                    return Err(format!("{name}: {info:?} is shown of {room:?}"));
                }
            }
            let Some(kept) = members.membership(user, id) else {
                continue;
            };
            let preferences = shown.read.preferences;
            let told = (info.moderator, shown.read.marker, preferences.favourite);
            if told != (kept.moderator, kept.marker(), kept.favourite) {
                let read = shown.read;
                return Err(format!("{name}: {read:?} is shown in {id} of {kept:?}"));
            }
        }
        Ok(())
    }

    /// Checks the number of unread messages, where the client has all that may be unread.
    pub(crate) fn check_unread(
        &self,
        truth: &Truth,
        epoch: Epoch,
        user: UserId,
    ) -> Result<(), Fault> {
        let open = self.rooms.iter().filter(|(_, room)| room.due.is_some());
        for (&id, room) in open {
            // The client may not know yet that older ones were evicted.
            let mut firsts = room.first.max(1)..=truth.first(epoch, id).max(room.first);
            let is_right = |first: u64| {
                let behind = room.read.marker.seq.max(first - 1);
                let (unread, mentions) = unread(truth, (epoch, id), user, behind);
                let shown = (room.read.unread, room.read.mentions);
                room.from > behind + 1
                    || unread.get() == UNREAD_COUNT_MAX
                    || shown == (unread, mentions)
            };
            if !firsts.any(is_right) {
                let (name, read, from) = (&self.name, room.read, room.from);
                let expected = unread(truth, (epoch, id), user, read.marker.seq);
                return Err(format!(
                    "{name}: {read:?} in {id}, held from {from}, should be {expected:?} of all"
                ));
            }
        }
        Ok(())
    }
}

/// The messages by others behind a number, and how many of them mention the user.
fn unread(
    truth: &Truth,
    (epoch, room): (Epoch, RoomId),
    user: UserId,
    behind: u64,
) -> (Count, Count) {
    let (mut unread, mut mentions) = (0, 0);
    for seq in behind + 1..=truth.head(epoch, room) {
        let entry = truth.entry(epoch, room, seq);
        if entry.is_some_and(|entry| entry.user != user)
            && let Some(EntryKind::Text(text)) = truth.frame(epoch, room, seq)
        {
            unread += 1;
            mentions += u64::from(text.mentions.include(user));
        }
    }
    (Count::new(unread), Count::new(mentions))
}
