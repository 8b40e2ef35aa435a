//! What Esc does, and how an Esc too many is told apart from one that is meant.

use std::time::Duration;

/// For so long after an Esc that closed something, none leaves: whoever closes two things in a row
/// would be out when there was only one.
const ESC_GUARD: Duration = Duration::from_millis(1_500);
/// An Esc that comes so soon after another is the same press, held down, or one of a row.
const ESC_HELD: Duration = Duration::from_millis(300);

/// What Esc does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// Closes the dialog.
    CloseDialog,
    /// Takes the offered completions away.
    CloseCompletion,
    /// Goes back to the list of what was found.
    ToResults,
    /// Closes the search.
    CloseSearch,
    /// Goes back to the end of the conversation.
    ToEnd,
    /// Puts the draft aside.
    PutAside,
    /// Lets the question be.
    Cancel,
    /// Disconnects.
    Leave,
    /// Says that another one disconnects: the one before has just closed something.
    Warn,
}

/// When Esc was last pressed without leaving.
#[derive(Clone, Copy, Debug, Default)]
pub struct Escapes {
    /// When it last closed something.
    pub(super) closed: Option<Duration>,
    /// When it last did anything but leave.
    pub(super) last: Option<Duration>,
}

impl Escapes {
    /// Whether an Esc would leave by accident now.
    pub(super) fn guard(&self, now: Duration) -> bool {
        let within = |at: Option<Duration>, time| at.is_some_and(|at| now < at + time);
        within(self.closed, ESC_GUARD) || within(self.last, ESC_HELD)
    }
}
