//! Asks whether a large text that was pasted is to be inserted.

use super::behavior::{Hint, KeyOutcome, LayerBehavior, Press, Rank, hint};
use crate::{
    client::event::Security,
    tui::{
        app::{escape::Escape, layout::Layout, pane::Pane},
        keymap::Action,
    },
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

    fn handle_key(&mut self, press: Press, _layout: &Layout) -> KeyOutcome {
        match press.action {
            Some(Action::Escape) => KeyOutcome::Passed,
            Some(Action::Send) => KeyOutcome::Insert(std::mem::take(&mut self.text)),
            _ => KeyOutcome::Taken,
        }
    }

    fn escape(&self, _pane: &Pane) -> Option<Escape> {
        Some(Escape::CloseDialog)
    }

    fn question(&self, _security: Option<Security>) -> Option<Vec<String>> {
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
