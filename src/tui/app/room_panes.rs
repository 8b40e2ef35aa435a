//! The panes of the rooms that the user is in: finds, opens and closes them.

use super::{
    Effect, Model,
    layers::Rank,
    pane::{OutgoingState, Pane, PaneKey},
    room_actions,
};
use crate::{
    client::Command,
    protocol::{Content, Nickname, RoomId, frame::RoomStart},
};

impl Model {
    fn key_of(&self, room: RoomId) -> PaneKey {
        PaneKey {
            server: self.server.name.clone(),
            room,
        }
    }

    /// The index of a room's pane, if there is one.
    pub(super) fn find_pane(&self, room: RoomId) -> Option<usize> {
        self.panes.find(&self.key_of(room))
    }

    /// The index of a room's pane; it is added if there is none.
    pub(super) fn pane_of(&mut self, room: RoomId) -> usize {
        self.panes.open(&self.key_of(room))
    }

    /// A room's pane; it is added if there is none.
    pub(super) fn pane_in(&mut self, room: RoomId) -> &mut Pane {
        let at = self.pane_of(room);
        &mut self.panes[at]
    }

    /// The index of the pane for messages of ours to a room, which may have been left.
    pub(super) fn pane_of_outgoing(&self, room: RoomId) -> usize {
        let at = self.find_pane(room);
        at.unwrap_or(self.panes.focus())
    }

    /// The index of the pane of a room that was opened. It gets the focus if the user waits for it, or
    /// has named it at the start.
    pub(super) fn pane_to_open(&mut self, start: &RoomStart, effects: &mut Vec<Effect>) -> usize {
        let is_named = self.is_named_at_start(start);
        let begun = self.panes.focused();
        // Its name may be that of a later room than the one that had it first.
        if is_named
            && self.find_pane(start.room).is_none()
            && !begun.opened
            && begun.timeline.holds_no_message()
        {
            self.panes.focused_mut().key.room = start.room;
        }
        let at = self.pane_of(start.room);
        if is_named || self.awaited_room == Some(start.room) {
            self.start_room = None;
            self.awaited_room = None;
            room_actions::go(self, at, effects);
        }
        at
    }

    /// Whether a room is the one that was named at the start, and whose pane has had the focus since.
    fn is_named_at_start(&self, start: &RoomStart) -> bool {
        start.info.name.as_ref().is_some_and(|name| {
            let begun = RoomId::named(name, 0);
            self.start_room.as_ref() == Some(name) && self.pane().key.room == begun
        })
    }

    /// Goes to a room, at once or as soon as it is open.
    pub fn go_to(&mut self, room: RoomId, effects: &mut Vec<Effect>) {
        match self.find_pane(room) {
            Some(at) => room_actions::go(self, at, effects),
            None => self.awaited_room = Some(room),
        }
    }

    /// Takes the end of our membership in a room: its pane is closed. What was not sent there goes into
    /// the input's history: nothing else would ever send it.
    pub(super) fn left_room(
        &mut self,
        room: RoomId,
        by: Option<&Nickname>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(at) = self.find_pane(room) else {
            return;
        };
        let title = self.panes[at].label(self.server.user);
        let Some((closed, had_focus)) = self.panes.close(&self.key_of(room)) else {
            return;
        };
        if had_focus {
            self.layers.close(Rank::Search);
            self.tell_columns();
        }
        let draft = closed.composer.draft().text;
        let mut unsent = Vec::new();
        for outgoing in closed.outbox {
            if !matches!(
                outgoing.state,
                OutgoingState::Pending | OutgoingState::Failed(_)
            ) {
                continue;
            }
            effects.push(Effect::Command(Command::Withdraw(outgoing.local)));
            if let Content::Text(body) = outgoing.content {
                unsent.push(body.as_str().to_owned());
            }
        }
        // Whoever is typing would go on in another room.
        self.moved |= had_focus && !draft.is_empty();
        unsent.extend(Some(draft).filter(|draft| !draft.is_empty()));
        let kept = if unsent.is_empty() {
            ""
        } else {
            ". Up brings back what you had not sent"
        };
        for text in unsent {
            self.panes.focused_mut().composer.remember(&text);
            effects.push(Effect::Command(Command::Typed(text)));
        }
        self.say(match by {
            Some(by) => format!("{by} removed you from {title}{kept}"),
            None => format!("You have left {title}{kept}"),
        });
    }
}
