//! Saves for the next start how far the reader has read, and what they were
//! writing. Told a moment after it has changed, so that a word typed is not a write to a disk for
//! each letter; at once when they look away or leave.

use std::time::Duration;

use super::{Effect, Model, pane::Scroll};
use crate::client::event::Command;

/// How long a change waits for the next.
const WAIT: Duration = Duration::from_secs(1);

/// Looks for what has changed, and tells it when its time has come. To be called whenever
/// something has happened.
pub fn poll(model: &mut Model, effects: &mut Vec<Effect>) {
    see(model);
    let now = model.now.mono;
    let pane = model.panes.focused_mut();
    if !pane.composer.is_empty() {
        pane.autosave.is_done();
    }
    let changed = pane.draft() != pane.autosave.draft || pane.read > pane.autosave.read;
    match pane.autosave.due {
        _ if !changed => pane.autosave.due = None,
        None => pane.autosave.due = Some(now + WAIT),
        Some(due) if due <= now => flush(model, effects),
        Some(_) => {}
    }
}

/// Tells all that has changed.
pub fn flush(model: &mut Model, effects: &mut Vec<Effect>) {
    see(model);
    let pane = model.panes.focused_mut();
    let text = pane.draft();
    let (room, seq) = (pane.key.room.clone(), pane.read);
    let autosave = &mut pane.autosave;
    autosave.due = None;
    if seq > autosave.read {
        autosave.read = seq;
        let room = room.clone();
        effects.push(Effect::Command(Command::Read { room, seq }));
    }
    if text != autosave.draft {
        autosave.draft.clone_from(&text);
        effects.push(Effect::Command(Command::Draft { room, text }));
    }
}

/// Remembers how far the reader has read: to the end, when that is what is shown and nothing new
/// stands above it that they have not been led to; or, on the way there, as far as they have come without
/// leaving anything out.
fn see(model: &mut Model) {
    if !model.focused || model.layers.dialog().is_some() || model.listing().is_some() {
        return;
    }
    let layout = model.layout();
    let pane = model.panes.focused_mut();
    let seen = match pane.scroll {
        Scroll::Follow if pane.unread_line_waits() || pane.timeline.first() == 0 => 0,
        Scroll::Follow => pane.timeline.last(),
        Scroll::At { .. } => pane
            .numbers_shown(&layout.columns, layout.messages.height)
            .filter(|(first, _)| *first <= pane.read + 1)
            .map_or(0, |(_, last)| last),
    };
    pane.read = pane.read.max(seen);
}
