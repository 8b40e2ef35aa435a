//! Tracks the position in each room's log: which message comes next, which were seen, and when
//! numbers start anew.

use std::collections::BTreeMap;

use super::{
    members::Members, persist_types::PersistedRoom, requests::WantedChanges,
    user_text::ProtocolFault,
};
use crate::{
    client::event::Page,
    protocol::{
        Entry, Epoch, Extent, RoomName,
        frame::{PageHead, Part, Position, Reset, RoomStart},
        limits::JOIN_ROOMS_MAX,
    },
};

/// Every room of one log that this profile is or was in. A connection has at most
/// [`JOIN_ROOMS_MAX`] of them open; the others are known for their stored messages.
#[derive(Debug, Default)]
pub(super) struct RoomCursors {
    epoch: Option<Epoch>,
    rooms: BTreeMap<RoomName, RoomCursor>,
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
    pub(super) fn head(&self, room: &RoomName) -> Option<u64> {
        self.rooms.get(room).map(|room| room.extent.head)
    }

    /// Restores the positions of earlier runs. A `join` names one log: that of a `wanted` room. A
    /// room last entered before that log began counts as never entered.
    pub(super) fn restore(
        &mut self,
        rooms: Vec<PersistedRoom>,
        wanted: impl Fn(&RoomName) -> bool,
    ) {
        let (wanted, others): (Vec<_>, Vec<_>) = rooms
            .into_iter()
            .partition(|room| wanted(&room.position.room));
        let rooms = wanted.into_iter().chain(others);
        for room in rooms.filter(|room| room.position.seq > 0) {
            if *self.epoch.get_or_insert(room.epoch) == room.epoch {
                let name = room.position.room.clone();
                let held = RoomCursor {
                    extent: room.extent.raised_to(room.position.seq),
                    folded: room.folded,
                    ..RoomCursor::new(room.position)
                };
                self.rooms.insert(name, held);
            }
        }
    }

    /// The positions for a `join` that enters these rooms.
    pub(super) fn positions(&self, entered: impl Fn(&RoomName) -> bool) -> Vec<Position> {
        self.rooms
            .iter()
            .filter(|(name, _)| entered(name))
            .map(|(_, room)| room.position.clone())
            .collect()
    }

    /// The connection has closed; the positions stay.
    pub(super) fn close(&mut self) {
        for room in self.rooms.values_mut() {
            room.due = None;
            room.members.close();
        }
    }

    /// Opens the rooms of a welcome. Changes nothing if one of them is invalid.
    pub(super) fn open(
        &mut self,
        epoch: Epoch,
        starts: Vec<RoomStart>,
    ) -> Result<Vec<RoomStart>, ProtocolFault> {
        starts.iter().try_for_each(check)?;
        if starts.len() > JOIN_ROOMS_MAX {
            return Err(ProtocolFault::new("more rooms than a client can be in"));
        }
        if self.epoch.is_some_and(|ours| ours != epoch) {
            // Rooms not opened now belong to a log that no longer exists.
            self.rooms
                .retain(|name, _| starts.iter().any(|start| start.room == *name));
        }
        let another = self.epoch.is_some_and(|ours| ours != epoch);
        self.epoch = Some(epoch);
        Ok(starts
            .into_iter()
            .map(|start| self.open_room(start, another))
            .collect())
    }

    fn open_room(&mut self, start: RoomStart, another_log: bool) -> RoomStart {
        let known = self.rooms.contains_key(&start.room);
        let room = self
            .rooms
            .entry(start.room.clone())
            .or_insert_with_key(|name| {
                RoomCursor::new(Position {
                    room: name.clone(),
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
                None => format!("a message for #{}, which is not open", message.room),
            }));
        };
        room.due = Some(message.seq + 1);
        room.extent = room.extent.raised_to(message.seq);
        if message.seq <= room.position.seq {
            return Ok(Receipt::Known);
        }
        room.position.seq = message.seq;
        room.position.id = Some(message.id);
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

    /// All entries held stand at least as when the log ended here. `in_full`: and as all that
    /// arrived since the room was opened have changed them.
    pub(super) fn folded(&mut self, room: &RoomName, folded: u64, in_full: bool) {
        if let Some(room) = self.rooms.get_mut(room) {
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
    pub(super) fn nothing(&self, room: &RoomName, part: Part) -> Option<Page> {
        let room = self.rooms.get(room)?;
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
    pub(super) fn members(&mut self, room: &RoomName) -> Result<&mut Members, ProtocolFault> {
        self.rooms
            .get_mut(room)
            .filter(|room| room.due.is_some())
            .map(|room| &mut room.members)
            .ok_or_else(|| ProtocolFault::new(format!("members of #{room}, which is not open")))
    }
}

fn check(start: &RoomStart) -> Result<(), ProtocolFault> {
    let RoomStart { extent, next, .. } = *start;
    let Extent { first, head } = extent;
    if first >= 1 && (first..=extent.next()).contains(&next) {
        Ok(())
    } else {
        Err(ProtocolFault::new(format!(
            "#{} goes from {first} to {head} but starts at {next}",
            start.room
        )))
    }
}
