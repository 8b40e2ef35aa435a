//! What of a pane was saved for the next start: its draft and its read position.

use std::time::Duration;

use super::Pane;

/// What was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Autosave {
    /// The draft.
    pub(in crate::tui::app) draft: String,
    /// A draft that was put aside and not taken up again: it comes back with the next start.
    pub(in crate::tui::app) aside: String,
    /// How far the room shown was read.
    pub(in crate::tui::app) read: u64,
    /// When what has changed is told.
    pub(in crate::tui::app) due: Option<Duration>,
}

impl Autosave {
    /// What was kept of an earlier run.
    pub fn new(draft: &str, read: u64) -> Self {
        Self {
            draft: draft.to_owned(),
            read,
            ..Self::default()
        }
    }

    /// When something is to be told, if it is.
    pub fn due(&self) -> Option<Duration> {
        self.due
    }

    /// A draft was put aside.
    pub fn put_aside(&mut self, text: String) {
        self.aside = text;
    }

    /// What was written is done with.
    pub fn is_done(&mut self) {
        self.aside.clear();
    }

    /// The log is another: numbers begin anew.
    pub fn forget_read(&mut self) {
        self.read = 0;
    }
}

impl Pane {
    /// The draft to be saved: what is being written, else what was put aside.
    pub(in crate::tui::app) fn draft(&self) -> String {
        let draft = self.composer.editor.draft().text;
        if draft.is_empty() {
            self.autosave.aside.clone()
        } else {
            draft
        }
    }
}
