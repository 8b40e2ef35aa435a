//! Marks rooms as read or unread by hand, and takes that back.

use std::time::Duration;

use super::{
    Effect, Model,
    pane::{Counts, PaneKey},
};
use crate::{
    client::event::Command,
    tui::keymap::{Action, label},
};

/// How long the key that marks a room as read takes that back.
const UNDO_WITHIN: Duration = Duration::from_secs(10);

/// A room that was just marked as read.
#[derive(Debug)]
pub(super) struct MarkedRead {
    /// The room.
    pane: PaneKey,
    /// How far it had been read.
    read: u64,
    /// When it was marked.
    at: Duration,
}

/// Marks the room on the screen as read; takes that back if it was done just before.
pub fn toggle_read(model: &mut Model, effects: &mut Vec<Effect>) {
    let now = model.now.mono;
    let marked = model.marked_read.take();
    let undone = marked.filter(|marked| {
        marked.pane == model.pane().key && now.saturating_sub(marked.at) < UNDO_WITHIN
    });
    if let Some(MarkedRead { read, .. }) = undone {
        set_back(model, read, effects);
        return model.say("Unread again");
    }
    mark_here(model, effects);
}

/// Runs `/mark`. Returns false, and says why, if the argument is wrong.
pub fn mark(model: &mut Model, argument: &str, effects: &mut Vec<Effect>) -> bool {
    match argument.to_ascii_lowercase().as_str() {
        "read" | "" => mark_here(model, effects),
        "unread" if model.pane().timeline.last() == 0 => {
            model.say("There is no message here that could be unread");
        }
        "unread" => {
            let last = model.pane().last_of_others();
            set_back(model, last.saturating_sub(1), effects);
            model.say("Unread from the last message on, until you come back");
        }
        "all" => {
            let count = (0..model.panes.count())
                .filter(|at| mark_pane(model, *at, effects))
                .count();
            model.say(match count {
                0 => "Everything was read already".to_owned(),
                1 => "Marked 1 room as read".to_owned(),
                count => format!("Marked {count} rooms as read"),
            });
        }
        _ => {
            model.say("Mark what? /mark read, /mark unread or /mark all");
            return false;
        }
    }
    true
}

/// Marks the room on the screen as read.
fn mark_here(model: &mut Model, effects: &mut Vec<Effect>) {
    let pane = model.pane();
    let (key, read) = (pane.key.clone(), pane.read);
    if !mark_pane(model, model.panes.focus(), effects) {
        return model.say("Everything here was read already");
    }
    model.marked_read = Some(MarkedRead {
        pane: key,
        read,
        at: model.now.mono,
    });
    let undo = label(Action::MarkRead);
    model.say(format!("Marked as read; {undo} takes that back"));
}

/// Marks a room as read. Returns false if nothing in it was unread.
fn mark_pane(model: &mut Model, at: usize, effects: &mut Vec<Effect>) -> bool {
    let pane = &mut model.panes[at];
    let was_unread = pane.counts() != Counts::default();
    pane.read = pane.read.max(pane.timeline.last());
    pane.holds_marker = false;
    pane.read_all();
    let commands = pane.flush_autosave();
    effects.extend(commands.into_iter().map(Effect::Command));
    was_unread
}

/// Sets back how far the room on the screen was read; it counts as unread until the reader has gone
/// elsewhere.
fn set_back(model: &mut Model, seq: u64, effects: &mut Vec<Effect>) {
    let pane = model.panes.focused_mut();
    // What was read up to now must not be said after this.
    let commands = pane.flush_autosave();
    effects.extend(commands.into_iter().map(Effect::Command));
    pane.set_read(seq, true);
    let room = pane.key.room;
    effects.push(Effect::Command(Command::SetMarker { room, seq }));
}
