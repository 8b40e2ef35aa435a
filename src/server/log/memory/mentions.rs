//! Whom the texts of the log in memory mention.

use std::{collections::BTreeMap, ops::Range};

use crate::{
    protocol::{RoomId, UserId},
    server::log::plan::{EVERYONE, PlannedMentions},
};

/// The mentions in held entries: one for each user and entry.
#[derive(Debug, Default)]
pub(super) struct Mentions {
    /// Room and number of the entry, by the user and the mention's position.
    by_user: BTreeMap<(UserId, u64), (RoomId, u64)>,
    /// The positions, by room, number and user.
    by_entry: BTreeMap<(RoomId, u64, UserId), u64>,
    /// The highest position ever used.
    last: u64,
}

impl Mentions {
    pub(super) fn add(&mut self, planned: &PlannedMentions) {
        for user in planned.users() {
            let entry = (planned.room, planned.seq, user);
            if !self.by_entry.contains_key(&entry) {
                self.last += 1;
                self.by_entry.insert(entry, self.last);
                let place = (planned.room, planned.seq);
                self.by_user.insert((user, self.last), place);
            }
        }
    }

    /// Removes the mentions in entries of a room.
    pub(super) fn remove(&mut self, room: RoomId, seqs: Range<u64>) {
        let range = (room, seqs.start, EVERYONE)..(room, seqs.end, EVERYONE);
        let gone: Vec<_> = self.by_entry.range(range).map(|(at, _)| *at).collect();
        for entry in gone {
            if let Some(position) = self.by_entry.remove(&entry) {
                self.by_user.remove(&(entry.2, position));
            }
        }
    }

    /// The mentions of a user, and those of everyone, below a position, newest first: the position,
    /// the room, the number, and whether it is of everyone and not of the user too.
    pub(super) fn of(
        &self,
        user: UserId,
        before: u64,
    ) -> impl Iterator<Item = (u64, RoomId, u64, bool)> {
        let of = |user: UserId| {
            let range = self.by_user.range((user, 0)..(user, before));
            range.rev().map(|((_, at), (room, seq))| (*at, *room, *seq))
        };
        let (mut own, mut all) = (of(user).peekable(), of(EVERYONE).peekable());
        std::iter::from_fn(move || {
            let is_own = match (own.peek(), all.peek()) {
                (Some(own), Some(all)) => own.0 > all.0,
                (own, _) => own.is_some(),
            };
            let found = if is_own { own.next() } else { all.next() };
            found.map(|(at, room, seq)| (at, room, seq, !is_own))
        })
        .filter(move |(_, room, seq, everyone)| {
            !everyone || !self.by_entry.contains_key(&(*room, *seq, user))
        })
    }

    /// The entries of a room above a number that mention a user, or everyone, newest first: the number
    /// and whether it is of everyone and not of the user too.
    pub(super) fn above(
        &self,
        user: UserId,
        room: RoomId,
        above: u64,
    ) -> impl Iterator<Item = (u64, bool)> {
        let range = (room, above.saturating_add(1), EVERYONE)..=(room, u64::MAX, EVERYONE);
        let range = self.by_entry.range(range).rev();
        range.filter_map(move |((_, seq, mentioned), _)| {
            let is_own = *mentioned == user;
            let everyone =
                *mentioned == EVERYONE && !self.by_entry.contains_key(&(room, *seq, user));
            (is_own || everyone).then_some((*seq, everyone))
        })
    }
}
