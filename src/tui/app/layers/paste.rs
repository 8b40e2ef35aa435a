//! Asks whether a large text that was pasted is to be inserted.

use super::{Hint, KeyHandler, KeyOutcome, Layer, LayerBehavior, Press, Rank, hint};
use crate::tui::{
    app::{Effect, Model, keys, keys::Escape, pane::Pane},
    keymap::Action,
};

/// The question about a pasted text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasteQuestion {
    /// The text.
    pub text: String,
}

impl LayerBehavior for PasteQuestion {
    fn rank(&self) -> Rank {
        Rank::Dialog
    }

    fn key_handler(&self) -> KeyHandler {
        handle_key
    }

    fn escape(&self, _pane: &Pane) -> Option<Escape> {
        Some(Escape::CloseDialog)
    }

    fn question(&self, _model: &Model) -> Option<Vec<String>> {
        let rows = self.text.lines().count();
        let size = self.text.len().div_ceil(1024);
        let rows = match rows {
            1 => "a line".to_owned(),
            n => format!("{n} lines"),
        };
        Some(vec![
            format!("Insert what was pasted, {rows} of {size}\u{a0}KiB in all?"),
            format!("Insert {rows}?"),
        ])
    }

    fn hints(&self) -> Option<Vec<Hint>> {
        Some(vec![
            hint(Action::Send, "insert it"),
            hint(Action::Escape, "drop it"),
        ])
    }
}

fn handle_key(model: &mut Model, press: Press, _effects: &mut Vec<Effect>) -> KeyOutcome {
    match press.action {
        Some(Action::Escape) => return KeyOutcome::Passed,
        Some(Action::Send) => {
            if let Some(Layer::Paste(paste)) = model.layers.close(Rank::Dialog) {
                keys::insert(model, &paste.text);
            }
        }
        _ => {}
    }
    KeyOutcome::Taken
}
