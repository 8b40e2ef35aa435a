//! Saves the draft and the read position of a pane for the next start: a moment after they have
//! changed, so that a word typed is not a write to a disk for each letter.

use std::time::Duration;

use super::{Pane, Scroll};
use crate::{client::event::Command, tui::app::layout::Columns};

/// How long a change waits for the next.
const WAIT: Duration = Duration::from_secs(1);

/// What was saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Autosave {
    /// The draft.
    draft: String,
    /// A draft that was put aside and not taken up again: it comes back with the next start.
    aside: String,
    /// How far the room shown was read.
    read: u64,
    /// When what has changed is saved.
    due: Option<Duration>,
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

    /// When something is to be saved, if it is.
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
    fn draft(&self) -> String {
        let draft = self.composer.editor.draft().text;
        if draft.is_empty() {
            self.autosave.aside.clone()
        } else {
            draft
        }
    }

    /// What is to be saved now, if a change has waited for long enough.
    pub fn poll_autosave(&mut self, now: Duration) -> Vec<Command> {
        if !self.composer.is_empty() {
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

    /// All that has changed and is to be saved.
    pub fn flush_autosave(&mut self) -> Vec<Command> {
        let text = self.draft();
        let (room, seq) = (self.key.room.clone(), self.read);
        let autosave = &mut self.autosave;
        autosave.due = None;
        let mut commands = Vec::new();
        if seq > autosave.read {
            autosave.read = seq;
            let room = room.clone();
            commands.push(Command::Read { room, seq });
        }
        if text != autosave.draft {
            autosave.draft.clone_from(&text);
            commands.push(Command::Draft { room, text });
        }
        commands
    }

    /// Remembers how far the reader has read: to the end, when that is what is shown and nothing
    /// new stands above it that they have not been led to; or, on the way there, as far as they
    /// have come without leaving anything out.
    pub fn see(&mut self, columns: &Columns, height: u16) {
        let seen = match self.scroll {
            Scroll::Follow if self.unread_line_waits() || self.timeline.first() == 0 => 0,
            Scroll::Follow => self.timeline.last(),
            Scroll::At { .. } => self
                .numbers_shown(columns, height)
                .filter(|(first, _)| *first <= self.read + 1)
                .map_or(0, |(_, last)| last),
        };
        self.read = self.read.max(seen);
    }
}
