//! The input box's editor: the text being written, and every way to change it.
//!
//! Pure, and knows neither keys nor screens nor rooms: a keymap names its actions ([`Edit`]),
//! [`Editor::apply`] does them, [`Editor::layout`] says what is on which row.
//!
//! Positions are bytes, always between grapheme clusters: what looks like one character is one to
//! the cursor and to every deletion. The text is kept as typed or pasted, with line ends made
//! newlines. Characters that could harm a terminal are drawn inert by the rows of the layout;
//! whoever sends the text makes them visible for the others with [`crate::text::Body::visible`].
//! That is not done here, character by character, because a joiner is good or bad by the letter
//! that is typed after it.
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

/// A text and where the cursor stands in it, to be put aside and taken up again.
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
    /// `None`: rows end only where lines do.
    columns: Option<usize>,
    undo: Undo,
    kills: KillRing,
    history: History,
    last: LastAction,
}

/// What was done just before, where it decides what a key does next.
#[derive(Clone, Debug, Default)]
enum LastAction {
    #[default]
    Other,
    /// The next kill adds to it.
    Kill,
    /// What the yank put where, and how old it was.
    Yank { range: Range<usize>, age: usize },
    /// Rows up and down aim at this column.
    Row { goal: usize },
    /// A text from the history is shown, untouched.
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

    /// Tells how many columns the input has, so that [`Edit::Up`] and [`Edit::Down`] know its rows.
    /// To be called at the start and at each resize, with what [`Editor::layout`] is given.
    pub fn set_columns(&mut self, columns: usize) {
        self.columns = Some(columns);
    }

    /// The rows, and where the cursor is on them.
    pub fn layout(&self, columns: usize) -> TextLayout {
        TextLayout::new(&self.text, self.cursor, columns)
    }

    /// Inserts at the cursor what was typed (one character) or pasted (more, undone at once).
    pub fn insert(&mut self, text: &str) -> EditOutcome {
        self.last = LastAction::Other;
        let group = if text.chars().nth(1).is_none() {
            UndoGroup::Typing
        } else {
            UndoGroup::Whole
        };
        self.splice(self.cursor..self.cursor, text, group)
    }

    /// Puts a text in the place of some bytes, as a completion does; the cursor goes to its end.
    /// Bytes within a grapheme cluster count as the whole of it.
    pub fn replace(&mut self, range: Range<usize>, text: &str) -> EditOutcome {
        self.last = LastAction::Other;
        let end = self.boundary(range.end);
        let mut start = self.boundary(range.start);
        if start > range.start {
            start = motion::left(&self.text, start);
        }
        self.splice(start..end.max(start), text, UndoGroup::Whole)
    }

    /// Puts another text in the place of all; the cursor goes to its end. Can be undone.
    pub fn set_text(&mut self, text: &str) -> EditOutcome {
        self.history.leave();
        let outcome = self.replace(0..self.text.len(), text);
        if outcome == EditOutcome::Nothing {
            self.go(self.text.len())
        } else {
            outcome
        }
    }

    /// Takes the text out to be sent: it goes into the history, the editor starts anew. What was
    /// killed can still be yanked.
    pub fn take(&mut self) -> String {
        let text = std::mem::take(&mut self.text);
        self.restart();
        self.history.remember(&text);
        text
    }

    /// Adds to what [`Edit::Up`] goes back to, as the newest.
    pub fn remember(&mut self, text: &str) {
        self.history.leave();
        self.history.remember(text);
    }

    /// What is worth keeping of a text that isn't sent: the text; or, where one from the history
    /// is shown untouched, the draft that stands behind it.
    pub fn draft(&self) -> Draft {
        match (&self.last, self.history.draft()) {
            (LastAction::History, Some(draft)) => draft.clone(),
            _ => Draft {
                text: self.text.clone(),
                cursor: self.cursor,
            },
        }
    }

    /// Takes a draft up again in the place of what there is. A draft that was not made by this
    /// editor is made to fit.
    pub fn restore(&mut self, draft: &Draft) {
        self.restart();
        self.text = newlines(&draft.text).into_owned();
        self.text
            .truncate(self.text.floor_char_boundary(TEXT_BYTES_MAX));
        self.cursor = self.boundary(draft.cursor);
    }

    /// Does what a key asks for.
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

    /// Every change of the text comes through here.
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

    /// The next place between two grapheme clusters: what was inserted may have grown together
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
        // The draft behind a text from the history is among what undo brings back.
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

    /// Shows a text of the history, or the draft behind it. Undo brings back what was edited.
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

/// The text with line ends of other systems (a terminal pastes `\r`) made newlines.
fn newlines(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}
