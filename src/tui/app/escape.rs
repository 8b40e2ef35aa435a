//! The meaning of Esc, and the guard against leaving by one Esc too many.

use std::time::Duration;

/// For this long after an Esc that closed something, Esc does not leave: a user who means to close
/// two things would leave if only one was open.
const ESC_GUARD: Duration = Duration::from_millis(1_500);
/// An Esc so soon after another is the same key held down, or one of a series.
const ESC_HELD: Duration = Duration::from_millis(300);

/// The effect of Esc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// Closes the dialog.
    CloseDialog,
    /// Closes the list of completions.
    CloseCompletion,
    /// Ends the editing of a message without a change.
    CancelEdit,
    /// Goes back to the list of results.
    ToResults,
    /// Closes the search.
    CloseSearch,
    /// Goes back to the end of the conversation.
    ToEnd,
    /// Puts the draft aside.
    PutAside,
    /// Closes the prompt.
    Cancel,
    /// Disconnects.
    Leave,
    /// Warns that another Esc disconnects: the one before has just closed something.
    Warn,
}

/// The times when Esc was last pressed without leaving.
#[derive(Clone, Copy, Debug, Default)]
pub struct Escapes {
    /// The last time that it closed something.
    pub(super) closed: Option<Duration>,
    /// The last time that it did anything but leave.
    pub(super) last: Option<Duration>,
}

impl Escapes {
    /// Whether an Esc now would probably leave by accident.
    pub(super) fn guard(&self, now: Duration) -> bool {
        let within = |at: Option<Duration>, time| at.is_some_and(|at| now < at + time);
        within(self.closed, ESC_GUARD) || within(self.last, ESC_HELD)
    }
}
