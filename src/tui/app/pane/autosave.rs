//! Saves the draft and the read position of a pane for the next start, a moment after they change,
//! so that a typed word is not one disk write for each letter.

use std::time::Duration;

use super::{Pane, Scroll};
use crate::{client::event::Command, tui::app::layout::Columns};

/// How long a change is held back to be saved together with the next.
const WAIT: Duration = Duration::from_secs(1);

/// The values that were saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Autosave {
    /// The draft.
    draft: String,
    /// A draft that was put aside and not taken up again: the next start restores it.
    aside: String,
    /// How far the room was read.
    read: u64,
    /// The time when changes are to be saved.
    due: Option<Duration>,
}

impl Autosave {
    /// The values that an earlier run saved.
    pub fn new(draft: &str, read: u64) -> Self {
        Self {
            draft: draft.to_owned(),
            read,
            ..Self::default()
        }
    }

    /// The time when changes are to be saved, if there are any.
    pub fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Remembers a draft that was put aside.
    pub fn put_aside(&mut self, text: String) {
        self.aside = text;
    }

    /// Forgets the draft that was put aside.
    pub fn is_done(&mut self) {
        self.aside.clear();
    }

    /// Forgets the draft that was put aside, if it was erased.
    pub fn forget(&mut self, erased: impl Fn(&str) -> bool) {
        if erased(&self.aside) {
            self.is_done();
        }
    }

    /// Takes the read position that is saved.
    pub fn is_read(&mut self, seq: u64) {
        self.read = self.read.max(seq);
    }

    /// Forgets the read position: another log has other numbers.
    pub fn forget_read(&mut self) {
        self.read = 0;
    }
}

impl Pane {
    /// The draft to save: the text being written, else the one put aside.
    fn draft(&self) -> String {
        let draft = self.composer.draft().text;
        if draft.is_empty() {
            self.autosave.aside.clone()
        } else {
            draft
        }
    }

    /// The commands to save changes that are due.
    pub fn poll_autosave(&mut self, now: Duration) -> Vec<Command> {
        if !self.composer.draft().text.is_empty() {
            self.autosave.is_done();
        }
        let changed = self.draft() != self.autosave.draft || self.read > self.autosave.read;
        match self.autosave.due {
            _ if !changed => self.autosave.due = None,
            None => self.autosave.due = Some(now + WAIT),
            Some(due) if due <= now => return self.flush_autosave(),
            Some(_) => {}
        }
        Vec::new()
    }

    /// The commands to save all changes.
    pub fn flush_autosave(&mut self) -> Vec<Command> {
        let text = self.draft();
        let (room, seq) = (self.key.room, self.read);
        let autosave = &mut self.autosave;
        autosave.due = None;
        let mut commands = Vec::new();
        if seq > autosave.read {
            autosave.read = seq;
            commands.push(Command::MarkRead { room, seq });
        }
        if text != autosave.draft {
            autosave.draft.clone_from(&text);
            commands.push(Command::Draft { room, text });
        }
        commands
    }

    /// Advances the read position: to the end, if the end is on the screen and the reader has been
    /// led to all new messages above it; otherwise as far as the reader has scrolled without
    /// skipping any.
    pub fn see(&mut self, columns: &Columns, height: u16) {
        let seen = match self.scroll {
            _ if self.holds_marker => 0,
            Scroll::Follow if self.unread_line_waits() || self.timeline.first() == 0 => 0,
            Scroll::Follow => self.timeline.last(),
            Scroll::At { .. } => self
                .numbers_shown(columns, height)
                .filter(|(first, _)| *first <= self.timeline.next_shown(self.read + 1))
                .map_or(0, |(_, last)| self.timeline.next_shown(last + 1) - 1),
        };
        self.read = self.read.max(seen);
    }
}
