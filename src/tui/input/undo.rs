//! What was changed, and how to take it back.

/// Steps that can be taken back; older ones are forgotten.
const STEPS_MAX: usize = 256;

/// One change of a text: at a byte, some text in the place of some other.
#[derive(Clone, Debug)]
pub(super) struct TextChange {
    pub(super) at: usize,
    pub(super) removed: String,
    pub(super) inserted: String,
    pub(super) cursor_before: usize,
    pub(super) cursor_after: usize,
}

/// Which changes make one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UndoGroup {
    /// Character after character, up to the next word.
    Typing,
    /// Character after character, in one direction.
    Erasing,
    /// Each by itself.
    Whole,
}

/// The steps that were made and those that were taken back.
#[derive(Clone, Debug, Default)]
pub(super) struct Undo {
    done: Vec<(TextChange, UndoGroup)>,
    undone: Vec<(TextChange, UndoGroup)>,
    /// Nothing more may join the last step.
    closed: bool,
}

impl Undo {
    /// The next change begins a step of its own.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Remembers a change that was made. What had been taken back is forgotten.
    pub(super) fn record(&mut self, change: TextChange, group: UndoGroup) {
        self.undone.clear();
        let closed = std::mem::take(&mut self.closed);
        if let Some((last, last_group)) = self.done.last_mut()
            && !closed
            && *last_group == group
            && joins(last, &change, group)
        {
            join(last, &change);
            return;
        }
        if self.done.len() == STEPS_MAX {
            self.done.remove(0);
        }
        self.done.push((change, group));
    }

    /// Takes the last step back; answers the cursor.
    pub(super) fn undo(&mut self, text: &mut String) -> Option<usize> {
        self.close();
        let (change, group) = self.done.pop()?;
        let end = change.at + change.inserted.len();
        text.replace_range(change.at..end, &change.removed);
        let cursor = change.cursor_before;
        self.undone.push((change, group));
        Some(cursor)
    }

    /// Makes again what was taken back last; answers the cursor.
    pub(super) fn redo(&mut self, text: &mut String) -> Option<usize> {
        self.close();
        let (change, group) = self.undone.pop()?;
        let end = change.at + change.removed.len();
        text.replace_range(change.at..end, &change.inserted);
        let cursor = change.cursor_after;
        self.done.push((change, group));
        Some(cursor)
    }
}

/// Whether a change goes on where the last one of its group ended.
fn joins(last: &TextChange, next: &TextChange, group: UndoGroup) -> bool {
    match group {
        UndoGroup::Typing => {
            let begins_word = last.inserted.ends_with(char::is_whitespace)
                && !next.inserted.starts_with(char::is_whitespace);
            next.at == last.at + last.inserted.len() && !begins_word
        }
        UndoGroup::Erasing => next.at == last.at || next.at + next.removed.len() == last.at,
        UndoGroup::Whole => false,
    }
}

fn join(last: &mut TextChange, next: &TextChange) {
    last.cursor_after = next.cursor_after;
    last.inserted.push_str(&next.inserted);
    if next.at < last.at {
        last.removed.insert_str(0, &next.removed);
        last.at = next.at;
    } else {
        last.removed.push_str(&next.removed);
    }
}
