//! Counts of a room for the room list: unread messages, and those that mention the reader.

use super::Pane;

/// The number of unread messages, and of those that mention the reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Unread messages of others.
    pub unread: u64,
    /// Those of them that mention the reader; all of them in a direct conversation.
    pub mentions: u64,
}

impl Pane {
    /// The unread messages and mentions, loaded or not, as the session counts them; none once all was
    /// read here, of which the session is told a moment later.
    pub fn counts(&self) -> Counts {
        if self.read >= self.timeline.last() {
            return Counts::default();
        }
        let unread = self.read_state.unread.get();
        let mentions = if self.is_direct() {
            unread
        } else {
            self.read_state.mentions.get()
        };
        Counts { unread, mentions }
    }
}
