//! A dialog that asks whether a large pasted text is to be inserted.

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
            format!("Insert the pasted text: {rows}, {size}\u{a0}KiB?"),
            format!("Insert {rows}?"),
        ])
    }

    fn hints(&self) -> Option<Vec<Hint>> {
        Some(vec![
            hint(Action::Send, "insert it"),
            hint(Action::Escape, "discard it"),
        ])
    }
}
