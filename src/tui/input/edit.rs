//! The edits of the text, and their outcomes.

#[cfg(doc)]
use crate::protocol::limits::TEXT_BYTES_MAX;

/// An edit that a key makes. A line ends at a newline; a row also at the width of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Edit {
    /// One character to the left.
    Left,
    /// One character to the right.
    Right,
    /// To the start of the word, or of the one before.
    WordLeft,
    /// To the end of the word, or of the one after.
    WordRight,
    /// To the start of the line.
    Home,
    /// To the end of the line.
    End,
    /// To the start of the text.
    TextStart,
    /// To the end of the text.
    TextEnd,
    /// A row up; from the first row to the previous text of the history.
    Up,
    /// A row down; from the last row to the next text of the history, and finally to the draft.
    Down,
    /// A newline.
    NewLine,
    /// Deletes the character on the left.
    Backspace,
    /// Deletes the character on the right.
    Delete,
    /// Kills to the target of [`Edit::WordLeft`].
    KillWordLeft,
    /// Kills to the target of [`Edit::WordRight`].
    KillWordRight,
    /// Kills to the white space on the left, as Ctrl-W does in a shell.
    KillToBlank,
    /// Kills to the start of the line; from there, the newline before it.
    KillToStart,
    /// Kills to the end of the line; from there, the newline.
    KillToEnd,
    /// Inserts the last kill.
    Yank,
    /// Directly after a yank: replaces it by the kill before, and so on.
    YankOlder,
    /// Exchanges the characters on both sides of the cursor; at a line's end, the two before it.
    Transpose,
    /// Undoes the last change: a typed word, a run of deletions, a kill, a paste.
    Undo,
    /// Redoes the change that was undone.
    Redo,
}

/// The outcome of an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a text that doesn't fit is refused, and the user wants to know"]
pub enum EditOutcome {
    /// The text has changed.
    Changed,
    /// The cursor moved.
    Moved,
    /// Nothing to do.
    Nothing,
    /// The text would have more than [`TEXT_BYTES_MAX`] bytes; nothing was changed.
    TooLong,
}
