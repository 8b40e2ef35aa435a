//! The latest entries that were printed or sent: edits and deletions are told of them, and commands
//! name them.

use std::collections::VecDeque;

use jiff::Timestamp;

use crate::protocol::{Entry, EntryKind, MessageId, Nickname, UserId};

/// The most entries that are remembered of the room that is written to.
pub(super) const HERE_MAX: usize = 1_000;
/// The most entries that are remembered of each other room, of which there may be thousands.
pub(super) const ELSEWHERE_MAX: usize = 100;

/// An entry, without its text.
#[derive(Clone, Debug)]
pub(super) struct SeenEntry {
    pub(super) seq: u64,
    pub(super) id: MessageId,
    pub(super) user: UserId,
    pub(super) nickname: Nickname,
    pub(super) time: Timestamp,
    pub(super) state: SeenState,
}

/// The state in which the user knows an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeenState {
    /// A text, as of the edit with this number; 0: as it was sent.
    Text(u64),
    /// Of a kind without a text.
    Other,
    /// Deleted.
    Deleted,
}

/// The latest entries, by number.
#[derive(Debug, Default)]
pub(super) struct SeenEntries(VecDeque<SeenEntry>);

impl SeenEntries {
    /// Remembers an entry that has a place of its own, and so many entries at most.
    pub(super) fn see(&mut self, entry: &Entry, most: usize) {
        let state = match &entry.kind {
            EntryKind::Text(text) => SeenState::Text(text.edited.unwrap_or(0)),
            EntryKind::Tombstone(_) => SeenState::Deleted,
            EntryKind::Event(_) | EntryKind::Unknown(_) => SeenState::Other,
            EntryKind::Edit { .. } | EntryKind::Redaction { .. } => return,
        };
        let at = self.0.partition_point(|seen| seen.seq < entry.seq);
        if self.0.get(at).is_some_and(|seen| seen.seq == entry.seq) {
            return;
        }
        self.0.insert(
            at,
            SeenEntry {
                seq: entry.seq,
                id: entry.id,
                user: entry.author.user,
                nickname: entry.author.nickname.clone(),
                time: entry.time,
                state,
            },
        );
        let more = self.0.len().saturating_sub(most);
        self.0.drain(..more);
    }

    /// Forgets all: another log has other numbers.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The entry with an id.
    pub(super) fn find(&mut self, id: MessageId) -> Option<&mut SeenEntry> {
        self.0.iter_mut().rev().find(|seen| seen.id == id)
    }

    /// The entry with a number.
    pub(super) fn numbered(&self, seq: u64) -> Option<&SeenEntry> {
        self.0.iter().find(|seen| seen.seq == seq)
    }

    /// The last text of a user.
    pub(super) fn last_of(&self, user: UserId) -> Option<&SeenEntry> {
        let text = |seen: &&SeenEntry| matches!(seen.state, SeenState::Text(_));
        let mut seen = self.0.iter().rev().filter(text);
        seen.find(|seen| seen.user == user)
    }
}
