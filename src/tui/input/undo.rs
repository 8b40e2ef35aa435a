//! The undo history.

/// The most steps that can be undone; older ones are dropped.
const STEPS_MAX: usize = 256;

/// A change of a text: at a byte, one text is replaced by another.
#[derive(Clone, Debug)]
pub(super) struct TextChange {
    pub(super) at: usize,
    pub(super) removed: String,
    pub(super) inserted: String,
    pub(super) cursor_before: usize,
    pub(super) cursor_after: usize,
}

/// Which changes form one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UndoGroup {
    /// Character after character, up to the next word.
    Typing,
    /// Character after character, in one direction.
    Erasing,
    /// A step of its own.
    Whole,
}

/// The steps that were made and those that were undone.
#[derive(Clone, Debug, Default)]
pub(super) struct Undo {
    done: Vec<(TextChange, UndoGroup)>,
    undone: Vec<(TextChange, UndoGroup)>,
    /// Set when no change may join the last step.
    closed: bool,
}

impl Undo {
    /// Makes the next change begin a step of its own.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Records a change. Undone steps are dropped.
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

    /// Undoes the last step; returns the cursor.
    pub(super) fn undo(&mut self, text: &mut String) -> Option<usize> {
        self.close();
        let (change, group) = self.done.pop()?;
        let end = change.at + change.inserted.len();
        text.replace_range(change.at..end, &change.removed);
        let cursor = change.cursor_before;
        self.undone.push((change, group));
        Some(cursor)
    }

    /// Redoes the step that was undone last; returns the cursor.
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

/// Whether a change continues the last one of its group.
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
