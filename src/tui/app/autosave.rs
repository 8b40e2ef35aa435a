//! Has the session save the draft and the read position of the shown pane, at once when the user
//! looks away or leaves.

use super::{Effect, Model};

/// Saves what has changed, when its time has come. To be called whenever something has happened.
pub fn poll(model: &mut Model, effects: &mut Vec<Effect>) {
    see(model);
    let now = model.now.mono;
    let commands = model.panes.focused_mut().poll_autosave(now);
    effects.extend(commands.into_iter().map(Effect::Command));
}

/// Saves all that has changed.
pub fn flush(model: &mut Model, effects: &mut Vec<Effect>) {
    see(model);
    let commands = model.panes.focused_mut().flush_autosave();
    effects.extend(commands.into_iter().map(Effect::Command));
}

/// Remembers how far the reader has read, where the conversation is what they look at.
fn see(model: &mut Model) {
    if model.focused && model.layers.dialog().is_none() && model.listing().is_none() {
        let layout = model.layout();
        let pane = model.panes.focused_mut();
        pane.see(&layout.columns, layout.messages.height);
    }
}
