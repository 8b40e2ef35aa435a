//! Saves the draft and the read position of the focused pane; at once when the user goes to another
//! room or leaves, or the terminal loses the focus.

use super::{Effect, Model, pane::Pane};
use crate::client::event::Command;

/// Saves changes that are due. To be called after each message.
pub fn poll(model: &mut Model, effects: &mut Vec<Effect>) {
    see(model);
    let now = model.now.mono;
    let commands = model.panes.focused_mut().poll_autosave(now);
    effects.extend(commands.into_iter().map(Effect::Command));
}

/// Saves all changes, those of panes that were left among them.
pub fn flush(model: &mut Model, effects: &mut Vec<Effect>) {
    see(model);
    let commands = model.panes.iter_mut().flat_map(Pane::flush_autosave);
    effects.extend(commands.map(Effect::Command));
}

/// Puts what was typed into the input's history, for this run and later ones, and empties the input.
pub fn typed(model: &mut Model, effects: &mut Vec<Effect>) {
    let typed = model.pane().composer.text().to_owned();
    effects.push(Effect::Command(Command::Typed(typed)));
    model.panes.focused_mut().composer.put_aside();
    model.panes.focused_mut().autosave.is_done();
}

/// Remembers how far the reader has read, if the conversation is on the screen.
fn see(model: &mut Model) {
    if model.focused && model.layers.dialog().is_none() && model.listing().is_none() {
        let layout = model.layout();
        let pane = model.panes.focused_mut();
        pane.see(&layout.columns, layout.messages.height);
    }
}
