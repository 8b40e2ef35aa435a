//! Tracks the position in each room's log: which message comes next, which were seen, and when
//! numbers start anew.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use jiff::Timestamp;

use super::{
    members::Members, persist_types::PersistedRoom, requests::WantedChanges,
    user_text::ProtocolFault,
};
use crate::{
    client::event::Page,
    protocol::{
        Entry, Epoch, Extent, RoomId,
        frame::{PageHead, Part, Position, Reset, RoomStart},
        limits::{JOIN_ROOMS_MAX, USER_ROOMS_MAX},
    },
};

/// Every room of one log that the user is in, or that messages are stored of. A connection has at
/// most [`USER_ROOMS_MAX`] of them open, besides the lobby.
#[derive(Debug, Default)]
pub(super) struct RoomCursors {
    epoch: Option<Epoch>,
    rooms: BTreeMap<RoomId, RoomCursor>,
}

#[derive(Debug)]
struct RoomCursor {
    /// The message up to which all available messages were delivered to the user; with its id, if it
    /// was delivered itself and not skipped over.
    position: Position,
    /// The numbers that the server holds, as far as is known.
    extent: Extent,
    /// The number that must come next on this connection; `None` while the room is not open.
    due: Option<u64>,
    /// Messages up to here are history from before the first join: not counted as received.
    history: u64,
    /// All entries held stand at least as when the log ended here. Entries that arrive raise it as
    /// long as none is missed.
    folded: u64,
    members: Members,
    /// The time of the last message.
    active: Option<Timestamp>,
}

impl RoomCursor {
    fn new(position: Position) -> Self {
        Self {
            position,
            extent: Extent::EMPTY,
            due: None,
            history: 0,
            folded: 0,
            members: Members::default(),
            active: None,
        }
    }
}

/// Whether to show a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Receipt {
    /// The user has it already.
    Known,
    /// It is new. `counts`: whether it counts as received (history from before the first join does
    /// not).
    New { counts: bool },
}

impl RoomCursors {
    /// The log of our positions.
    pub(super) fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// The highest number given in a room, as far as is known.
    pub(super) fn head(&self, room: RoomId) -> Option<u64> {
        self.rooms.get(&room).map(|room| room.extent.head)
    }

    /// Whether a room's position is known.
    pub(super) fn knows(&self, room: RoomId) -> bool {
        self.rooms.contains_key(&room)
    }

    /// Restores the positions of earlier runs. A `join` names one log: that of a `wanted` room. A
    /// room last entered before that log began counts as never entered.
    pub(super) fn restore(&mut self, rooms: &[PersistedRoom], wanted: impl Fn(RoomId) -> bool) {
        let (wanted, others): (Vec<_>, Vec<_>) =
            rooms.iter().partition(|room| wanted(room.position.room));
        let rooms = wanted.into_iter().chain(others);
        for room in rooms.filter(|room| room.position.seq > 0) {
            if *self.epoch.get_or_insert(room.epoch) == room.epoch {
                let name = room.position.room;
                let held = RoomCursor {
                    extent: room.extent.raised_to(room.position.seq),
                    folded: room.folded,
                    active: room.active,
                    ..RoomCursor::new(room.position.clone())
                };
                self.rooms.insert(name, held);
            }
        }
    }

    /// The positions for a `join`: of the `wanted` rooms, and of the latest active others, as many as
    /// it can name.
    pub(super) fn positions(&self, wanted: impl Fn(RoomId) -> bool) -> Vec<Position> {
        let mut rooms: Vec<_> = self.rooms.iter().collect();
        rooms.sort_by_key(|(id, room)| Reverse((wanted(**id), room.active)));
        let rooms = rooms.into_iter().take(JOIN_ROOMS_MAX);
        rooms.map(|(_, room)| room.position.clone()).collect()
    }

    /// Whether the user is in a room on this connection.
    pub(super) fn is_open(&self, room: RoomId) -> bool {
        let room = self.rooms.get(&room);
        room.is_some_and(|room| room.due.is_some())
    }

    /// The connection has closed; the positions stay.
    pub(super) fn close(&mut self) {
        for room in self.rooms.values_mut() {
            room.due = None;
            room.members.close();
        }
    }

    /// Opens the rooms of a welcome. Changes nothing if one of them is invalid. Returns besides the
    /// rooms that are gone: they belong to a log that no longer exists, or the welcome names `all`
    /// rooms of the user and not these.
    pub(super) fn open(
        &mut self,
        epoch: Epoch,
        starts: Vec<RoomStart>,
        all: bool,
    ) -> Result<(Vec<RoomStart>, Vec<RoomId>), ProtocolFault> {
        self.check(&starts)?;
        let another = self.epoch.is_some_and(|ours| ours != epoch);
        let opens = |id: &RoomId| starts.iter().any(|start| start.room == *id);
        let gone = self
            .rooms
            .extract_if(.., |id, _| (another || all) && !opens(id));
        let gone = gone.map(|(id, _)| id).collect();
        self.epoch = Some(epoch);
        let opened = starts
            .into_iter()
            .map(|start| self.open_room(start, another))
            .collect();
        Ok((opened, gone))
    }

    /// Opens rooms that the user has entered on a running connection. Changes nothing if one of them
    /// is invalid.
    pub(super) fn open_more(
        &mut self,
        starts: Vec<RoomStart>,
    ) -> Result<Vec<RoomStart>, ProtocolFault> {
        self.check(&starts)?;
        Ok(starts
            .into_iter()
            .map(|start| self.open_room(start, false))
            .collect())
    }

    /// Checks rooms that are to be opened.
    fn check(&self, starts: &[RoomStart]) -> Result<(), ProtocolFault> {
        starts.iter().try_for_each(check_start)?;
        let new: BTreeSet<_> = starts.iter().map(|start| start.room).collect();
        if new.len() < starts.len() || new.iter().any(|room| self.is_open(*room)) {
            return Err(ProtocolFault::new("a room that is open already"));
        }
        let open = self.rooms.values().filter(|room| room.due.is_some());
        // Each room takes space on the screen and the disk.
        if open.count() + starts.len() > 1 + USER_ROOMS_MAX {
            return Err(ProtocolFault::new("more rooms than a user can be in"));
        }
        Ok(())
    }

    /// Forgets the member lists of rooms that are not watched any more: they are told no changes.
    pub(super) fn watch(&mut self, watched: &[RoomId]) {
        for (id, room) in &mut self.rooms {
            if !watched.contains(id) {
                room.members.close();
            }
        }
    }

    /// The user is no longer in a room. Returns whether it was known.
    pub(super) fn leave(&mut self, room: RoomId) -> bool {
        self.rooms.remove(&room).is_some()
    }

    fn open_room(&mut self, start: RoomStart, another_log: bool) -> RoomStart {
        let known = self.rooms.contains_key(&start.room);
        let room = self.rooms.entry(start.room).or_insert_with_key(|room| {
            RoomCursor::new(Position {
                room: *room,
                seq: 0,
                id: None,
            })
        });
        let reset = match start.reset {
            // The server failed to report it: numbers of another log can't be ours.
            None if known && another_log => Some(Reset::Epoch),
            reset => reset.filter(|_| known),
        };
        if !known || reset.is_some() {
            room.history = start.extent.head;
            room.position.seq = 0;
            room.position.id = None;
        }
        // What is held then stands as when the log ended before the next entry.
        let is_folded = room.position.seq == 0 || start.changed.max(start.redacted) <= room.folded;
        if reset.is_some() {
            room.folded = 0;
        }
        if is_folded {
            room.folded = room.folded.max(start.next - 1);
        }
        if start.next > room.position.seq + 1 {
            room.position.seq = start.next - 1;
            room.position.id = None;
        }
        room.due = Some(start.next);
        room.extent = start.extent;
        RoomStart {
            next: room.position.seq + 1,
            reset,
            ..start
        }
    }

    /// Takes a message. On one connection each room's numbers are consecutive; anything else is a
    /// fault, and is not shown.
    pub(super) fn take(&mut self, message: &Entry) -> Result<Receipt, ProtocolFault> {
        let room = self
            .rooms
            .get_mut(&message.room)
            .filter(|room| room.due == Some(message.seq));
        let Some(room) = room else {
            let due = self.rooms.get(&message.room).and_then(|room| room.due);
            return Err(ProtocolFault::new(match due {
                Some(due) => format!("message {} came where {due} was due", message.seq),
                None => "a message for a room that is not open".to_owned(),
            }));
        };
        room.due = Some(message.seq + 1);
        room.extent = room.extent.raised_to(message.seq);
        if message.seq <= room.position.seq {
            return Ok(Receipt::Known);
        }
        room.position.seq = message.seq;
        room.position.id = Some(message.id);
        room.active = Some(message.time);
        if message.seq == room.folded + 1 {
            room.folded = message.seq;
        }
        Ok(Receipt::New {
            counts: message.seq > room.history,
        })
    }

    /// The changes to ask for in a room as [`open`](Self::open) has returned it: those by entries
    /// that will not arrive.
    pub(super) fn wanted_changes(&self, start: &RoomStart) -> Option<WantedChanges> {
        let folded = self.rooms.get(&start.room)?.folded;
        let is_stale = start.changed.max(start.redacted) > folded && start.next > folded + 1;
        is_stale.then_some(WantedChanges {
            folded,
            since: folded,
            to: start.extent.head,
            erased: start.redacted > folded,
        })
    }

    /// What this session holds of a room stands at least as when the log ended here.
    pub(super) fn folded_to(&self, room: RoomId) -> u64 {
        self.rooms.get(&room).map_or(0, |room| room.folded)
    }

    /// All entries held stand at least as when the log ended here. `in_full`: and as all that
    /// arrived since the room was opened have changed them.
    pub(super) fn folded(&mut self, room: RoomId, folded: u64, in_full: bool) {
        if let Some(room) = self.rooms.get_mut(&room) {
            room.folded = room.folded.max(folded);
            if in_full {
                room.folded = room.folded.max(room.position.seq);
            }
        }
    }

    /// Updates a room's extent from a page.
    pub(super) fn extent(&mut self, head: &PageHead) {
        if let Some(room) = self.rooms.get_mut(&head.room) {
            room.extent.first = room.extent.first.max(head.extent.first);
            room.extent = room.extent.raised_to(head.extent.head);
        }
    }

    /// An empty page for a part of which no message exists; `None` for an unknown room.
    pub(super) fn nothing(&self, room: RoomId, part: Part) -> Option<Page> {
        let room = self.rooms.get(&room)?;
        let from = match part {
            Part::Forward { from, .. } => from,
            Part::Backward { to, .. } => to.saturating_add(1),
            Part::Since(_) => room.extent.next(),
        };
        Some(Page {
            extent: room.extent,
            from,
            to: from.saturating_sub(1),
            entries: Vec::new(),
            offline: true,
        })
    }

    /// The member list of an open room.
    pub(super) fn members(&mut self, room: RoomId) -> Result<&mut Members, ProtocolFault> {
        self.rooms
            .get_mut(&room)
            .filter(|room| room.due.is_some())
            .map(|room| &mut room.members)
            .ok_or_else(|| ProtocolFault::new("members of a room that is not open"))
    }
}

fn check_start(start: &RoomStart) -> Result<(), ProtocolFault> {
    let RoomStart { extent, next, .. } = *start;
    let Extent { first, head } = extent;
    if first >= 1 && (first..=extent.next()).contains(&next) {
        Ok(())
    } else {
        Err(ProtocolFault::new(format!(
            "a room goes from {first} to {head} but starts at {next}"
        )))
    }
}
