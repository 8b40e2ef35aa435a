//! The input box's editor: the text being written, and every way to change it.
//!
//! Pure, and independent of keys, screens and rooms: a keymap names its edits ([`Edit`]),
//! [`Editor::apply`] makes them, [`Editor::layout`] gives the rows.
//!
//! Positions are bytes, always between grapheme clusters: each visible character is one step for
//! the cursor and for deletions. The text is kept as typed or pasted, with line ends as newlines.
//! Characters that could harm a terminal are drawn inert by the rows of the layout;
//! [`crate::text::Body::visible`] makes them visible when the text is sent. That is not done here,
//! character by character, because whether a joiner is valid depends on the letter typed after it.
//!
//! Not built on ratatui-textarea 0.9: its cursor and deletions count characters, so that a family
//! emoji takes seven presses of a key and falls apart on the way; its soft wrap knows nothing of
//! UAX #14 and happens while drawing, behind the API; undo goes by single characters; and its state
//! holds ratatui's styles.

#![deny(clippy::disallowed_methods)]

mod edit;
mod history;
mod kill;
mod layout;
mod motion;
#[cfg(test)]
mod tests;
mod undo;

use std::{borrow::Cow, ops::Range};

use unicode_segmentation::GraphemeCursor;

pub use self::{
    edit::{Edit, EditOutcome},
    layout::TextLayout,
};
use self::{
    history::History,
    kill::{KillRing, Side},
    undo::{TextChange, Undo, UndoGroup},
};
use crate::protocol::limits::TEXT_BYTES_MAX;

/// A text and its cursor position, to be put aside and restored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// The text.
    pub text: String,
    /// The cursor, as a byte of the text.
    pub cursor: usize,
}

/// The editor. Holds at most [`TEXT_BYTES_MAX`] bytes.
#[derive(Clone, Debug, Default)]
pub struct Editor {
    text: String,
    /// Always between two grapheme clusters.
    cursor: usize,
    /// `None`: rows end only at line ends.
    columns: Option<usize>,
    undo: Undo,
    kills: KillRing,
    history: History,
    last: LastAction,
}

/// The last edit, if the next one depends on it.
#[derive(Clone, Debug, Default)]
enum LastAction {
    #[default]
    Other,
    /// The next kill adds to it.
    Kill,
    /// The range of the yanked text, and the age of the kill.
    Yank { range: Range<usize>, age: usize },
    /// Moves between rows aim at this column.
    Row { goal: usize },
    /// A text of the history is shown unchanged.
    History,
}

impl Editor {
    /// An empty editor.
    pub fn new() -> Self {
        Self::default()
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The cursor, as a byte of the text.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Sets the columns of the input, so that [`Edit::Up`] and [`Edit::Down`] know its rows. To be
    /// called at the start and at each resize, with the argument of [`Editor::layout`].
    pub fn set_columns(&mut self, columns: usize) {
        self.columns = Some(columns);
    }

    /// The rows, and the cursor's position on them.
    pub fn layout(&self, columns: usize) -> TextLayout {
        TextLayout::new(&self.text, self.cursor, columns)
    }

    /// Inserts typed text (one character) or pasted text (more, undone at once) at the cursor.
    pub fn insert(&mut self, text: &str) -> EditOutcome {
        self.last = LastAction::Other;
        let group = if text.chars().nth(1).is_none() {
            UndoGroup::Typing
        } else {
            UndoGroup::Whole
        };
        self.splice(self.cursor..self.cursor, text, group)
    }

    /// Replaces a range, as a completion does; the cursor goes to the end of the new text. The
    /// range is widened to whole grapheme clusters.
    pub fn replace(&mut self, range: Range<usize>, text: &str) -> EditOutcome {
        self.last = LastAction::Other;
        let end = self.boundary(range.end);
        let mut start = self.boundary(range.start);
        if start > range.start {
            start = motion::left(&self.text, start);
        }
        self.splice(start..end.max(start), text, UndoGroup::Whole)
    }

    /// Replaces the whole text; the cursor goes to its end. Can be undone.
    pub fn set_text(&mut self, text: &str) -> EditOutcome {
        self.history.leave();
        let outcome = self.replace(0..self.text.len(), text);
        if outcome == EditOutcome::Nothing {
            self.go(self.text.len())
        } else {
            outcome
        }
    }

    /// Takes the text out to be sent: it goes into the history, and the editor becomes empty. Kills
    /// can still be yanked.
    pub fn take(&mut self) -> String {
        let text = std::mem::take(&mut self.text);
        self.restart();
        self.history.remember(&text);
        text
    }

    /// Adds a text to the history, as the newest.
    pub fn remember(&mut self, text: &str) {
        self.history.leave();
        self.history.remember(text);
    }

    /// Removes texts from the history and the kills. If one is shown unchanged, the draft behind it
    /// comes back.
    pub fn forget(&mut self, erased: impl Fn(&str) -> bool) {
        if matches!(self.last, LastAction::History) && erased(&self.text) {
            let draft = self.draft();
            self.restore(&draft);
        }
        self.kills.forget(&erased);
        if self.history.forget(&erased) {
            // Undo could bring it back.
            self.undo = Undo::default();
            self.last = LastAction::Other;
        }
    }

    /// The draft worth keeping: the text; or, if an unchanged text of the history is shown, the
    /// draft behind it.
    pub fn draft(&self) -> Draft {
        match (&self.last, self.history.draft()) {
            (LastAction::History, Some(draft)) => draft.clone(),
            _ => Draft {
                text: self.text.clone(),
                cursor: self.cursor,
            },
        }
    }

    /// Restores a draft in place of the text. The cursor of a foreign draft is moved to a valid
    /// position.
    pub fn restore(&mut self, draft: &Draft) {
        self.restart();
        self.text = newlines(&draft.text).into_owned();
        self.text
            .truncate(self.text.floor_char_boundary(TEXT_BYTES_MAX));
        self.cursor = self.boundary(draft.cursor);
    }

    /// Makes an edit.
    pub fn apply(&mut self, edit: Edit) -> EditOutcome {
        let last = std::mem::take(&mut self.last);
        let (text, cursor) = (&self.text, self.cursor);
        match edit {
            Edit::Left => self.go(motion::left(text, cursor)),
            Edit::Right => self.go(motion::right(text, cursor)),
            Edit::WordLeft => self.go(motion::word_left(text, cursor)),
            Edit::WordRight => self.go(motion::word_right(text, cursor)),
            Edit::Home => self.go(motion::line_start(text, cursor)),
            Edit::End => self.go(motion::line_end(text, cursor)),
            Edit::TextStart => self.go(0),
            Edit::TextEnd => self.go(text.len()),
            Edit::Up => self.up(&last),
            Edit::Down => self.down(&last),
            Edit::NewLine => self.splice(cursor..cursor, "\n", UndoGroup::Typing),
            Edit::Backspace => {
                self.splice(motion::left(text, cursor)..cursor, "", UndoGroup::Erasing)
            }
            Edit::Delete => {
                self.splice(cursor..motion::right(text, cursor), "", UndoGroup::Erasing)
            }
            Edit::KillWordLeft => self.kill_before(motion::word_left(text, cursor), &last),
            Edit::KillWordRight => self.kill_after(motion::word_right(text, cursor), &last),
            Edit::KillToBlank => self.kill_before(motion::blank_left(text, cursor), &last),
            Edit::KillToStart => {
                let start = motion::line_start(text, cursor);
                let start = if start == cursor {
                    motion::left(text, cursor)
                } else {
                    start
                };
                self.kill_before(start, &last)
            }
            Edit::KillToEnd => {
                let end = motion::line_end(text, cursor);
                let end = if end == cursor {
                    motion::right(text, cursor)
                } else {
                    end
                };
                self.kill_after(end, &last)
            }
            Edit::Yank => self.yank(cursor..cursor, 0),
            Edit::YankOlder => match last {
                LastAction::Yank { range, age } => self.yank(range, age + 1),
                _ => EditOutcome::Nothing,
            },
            Edit::Transpose => self.transpose(),
            Edit::Undo => {
                let cursor = self.undo.undo(&mut self.text);
                self.after_undo(cursor)
            }
            Edit::Redo => {
                let cursor = self.undo.redo(&mut self.text);
                self.after_undo(cursor)
            }
        }
    }

    fn restart(&mut self) {
        self.cursor = 0;
        self.text.clear();
        self.undo = Undo::default();
        self.history.leave();
        self.last = LastAction::Other;
    }

    fn go(&mut self, cursor: usize) -> EditOutcome {
        self.undo.close();
        let cursor = self.boundary(cursor);
        if cursor == self.cursor {
            return EditOutcome::Nothing;
        }
        self.cursor = cursor;
        EditOutcome::Moved
    }

    /// Changes the text. Every change goes through here.
    fn splice(&mut self, range: Range<usize>, with: &str, group: UndoGroup) -> EditOutcome {
        let with = newlines(with);
        let removed = &self.text[range.clone()];
        if removed == with {
            return EditOutcome::Nothing;
        }
        if self.text.len() - removed.len() + with.len() > TEXT_BYTES_MAX {
            return EditOutcome::TooLong;
        }
        let mut change = TextChange {
            at: range.start,
            removed: removed.to_owned(),
            inserted: with.to_string(),
            cursor_before: self.cursor,
            cursor_after: 0,
        };
        self.text.replace_range(range.clone(), &with);
        self.cursor = self.boundary(range.start + with.len());
        change.cursor_after = self.cursor;
        self.undo.record(change, group);
        EditOutcome::Changed
    }

    /// The next position between two grapheme clusters: the inserted text may have merged with the
    /// text after it.
    /// with what follows it.
    fn boundary(&self, at: usize) -> usize {
        let at = self.text.ceil_char_boundary(at.min(self.text.len()));
        let mut cursor = GraphemeCursor::new(at, self.text.len(), true);
        match cursor.is_boundary(&self.text, 0) {
            Ok(false) => cursor
                .next_boundary(&self.text, 0)
                .ok()
                .flatten()
                .unwrap_or(self.text.len()),
            _ => at,
        }
    }

    fn kill_before(&mut self, start: usize, last: &LastAction) -> EditOutcome {
        self.kill(start..self.cursor, Side::Before, last)
    }

    fn kill_after(&mut self, end: usize, last: &LastAction) -> EditOutcome {
        self.kill(self.cursor..end, Side::After, last)
    }

    fn kill(&mut self, range: Range<usize>, side: Side, last: &LastAction) -> EditOutcome {
        let killed = self.text[range.clone()].to_owned();
        let outcome = self.splice(range, "", UndoGroup::Whole);
        if outcome == EditOutcome::Changed {
            self.kills
                .add(killed, side, matches!(last, LastAction::Kill));
            self.last = LastAction::Kill;
        }
        outcome
    }

    fn yank(&mut self, range: Range<usize>, age: usize) -> EditOutcome {
        let Some(killed) = self.kills.get(age).map(str::to_owned) else {
            return EditOutcome::Nothing;
        };
        let outcome = self.splice(range.clone(), &killed, UndoGroup::Whole);
        let range = match outcome {
            EditOutcome::TooLong => range,
            _ => range.start..range.start + killed.len(),
        };
        self.last = LastAction::Yank { range, age };
        outcome
    }

    fn transpose(&mut self) -> EditOutcome {
        let text = &self.text;
        let middle = if self.cursor == motion::line_end(text, self.cursor) {
            motion::left(text, self.cursor)
        } else {
            self.cursor
        };
        let (start, end) = (motion::left(text, middle), motion::right(text, middle));
        if start == middle || middle == end || text[start..end].contains('\n') {
            return EditOutcome::Nothing;
        }
        let swapped = [&text[middle..end], &text[start..middle]].concat();
        self.splice(start..end, &swapped, UndoGroup::Whole)
    }

    fn after_undo(&mut self, cursor: Option<usize>) -> EditOutcome {
        let Some(cursor) = cursor else {
            return EditOutcome::Nothing;
        };
        self.cursor = cursor;
        // Undo can bring back the draft behind a text of the history.
        self.history.leave();
        EditOutcome::Changed
    }

    fn up(&mut self, last: &LastAction) -> EditOutcome {
        let layout = self.layout(self.columns.unwrap_or(usize::MAX));
        if matches!(last, LastAction::History) || layout.cursor_row == 0 {
            return self.older();
        }
        self.go_to_row(&layout, layout.cursor_row - 1, last)
    }

    fn down(&mut self, last: &LastAction) -> EditOutcome {
        let layout = self.layout(self.columns.unwrap_or(usize::MAX));
        if matches!(last, LastAction::History) || layout.cursor_row + 1 == layout.rows.len() {
            return self.newer();
        }
        self.go_to_row(&layout, layout.cursor_row + 1, last)
    }

    fn go_to_row(&mut self, layout: &TextLayout, row: usize, last: &LastAction) -> EditOutcome {
        let goal = match *last {
            LastAction::Row { goal } => goal,
            _ => layout.cursor_column,
        };
        self.last = LastAction::Row { goal };
        self.go(layout.position(&self.text, row, goal))
    }

    fn older(&mut self) -> EditOutcome {
        let draft = Draft {
            text: self.text.clone(),
            cursor: self.cursor,
        };
        let Some(text) = self.history.older(draft).map(str::to_owned) else {
            return EditOutcome::Nothing;
        };
        self.show(&text, text.len())
    }

    fn newer(&mut self) -> EditOutcome {
        let Some(draft) = self.history.newer() else {
            return EditOutcome::Nothing;
        };
        self.show(&draft.text, draft.cursor)
    }

    /// Shows a text of the history, or the draft. Undo brings back an edited text.
    fn show(&mut self, text: &str, cursor: usize) -> EditOutcome {
        let cursor_before = self.cursor;
        let outcome = self.splice(0..self.text.len(), text, UndoGroup::Whole);
        self.cursor = self.boundary(cursor);
        if self.history.draft().is_some() {
            self.last = LastAction::History;
        }
        match outcome {
            EditOutcome::Nothing if self.cursor != cursor_before => EditOutcome::Moved,
            outcome => outcome,
        }
    }
}

/// The text with line ends of other systems (a terminal pastes `\r`) turned into newlines.
fn newlines(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}
