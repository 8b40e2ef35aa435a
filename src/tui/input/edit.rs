//! What can be done, and what can come of it.

#[cfg(doc)]
use crate::protocol::limits::TEXT_BYTES_MAX;

/// What can be done to the text by a key. A line ends at a newline; a row also where the area does.
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
    /// A row up; from the first row to what was sent before.
    Up,
    /// A row down; from the last row to what was sent after, and at last to the draft.
    Down,
    /// A newline.
    NewLine,
    /// Deletes the character on the left.
    Backspace,
    /// Deletes the character on the right.
    Delete,
    /// Kills to where [`Edit::WordLeft`] goes.
    KillWordLeft,
    /// Kills to where [`Edit::WordRight`] goes.
    KillWordRight,
    /// Kills to the white space on the left, as Ctrl-W does in a shell.
    KillToBlank,
    /// Kills to the start of the line; from there, the newline before it.
    KillToStart,
    /// Kills to the end of the line; from there, the newline.
    KillToEnd,
    /// Inserts what was killed last.
    Yank,
    /// Directly after a yank: puts what was killed before in its place, and so on.
    YankOlder,
    /// Exchanges the characters on both sides of the cursor; at a line's end, the two before it.
    Transpose,
    /// Takes the last change back: a word typed, a run of deletions, a kill, a paste.
    Undo,
    /// Makes the change again that was taken back.
    Redo,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a text that doesn't fit is refused, and the user wants to know"]
pub enum EditOutcome {
    /// The text is another.
    Changed,
    /// The cursor moved.
    Moved,
    /// There was nothing to do.
    Nothing,
    /// The text would have more than [`TEXT_BYTES_MAX`] bytes; nothing was changed.
    TooLong,
}
