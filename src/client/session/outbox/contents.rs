//! The kinds of content in the outbox: which a server can take, and which entry comes of which.

use super::Outbox;
use crate::{
    client::event::OutboxMessage,
    protocol::{Content, Entry, EntryKind},
    text::Line,
};

impl Outbox {
    /// Refuses pending contents that the server can't take. If that is not `is_certain`, only those
    /// that were never sent to another. Returns the news.
    pub(in crate::client::session) fn refuse_contents(
        &mut self,
        why: &str,
        is_certain: bool,
        is_refused: impl Fn(&Content) -> bool,
    ) -> Vec<OutboxMessage> {
        let mut news = Vec::new();
        let mut at = self.sent;
        while let Some(entry) = self.entries.get(at) {
            let kept = &entry.kept;
            // The server reports the outcome of those that it has settled.
            let is_open = kept
                .counter
                .is_none_or(|counter| is_certain && counter > self.settled);
            let is_pending = !kept.withdrawn && !kept.unconfirmed && !entry.submitted;
            if is_open && is_pending && is_refused(&kept.content) {
                let removed = self.remove(at);
                news.extend(removed.map(|entry| self.keep_refused(entry, Line::inert(why))));
            } else {
                at += 1;
            }
        }
        news
    }
}

/// Whether an entry, as it stands now, can come from this content.
pub(super) fn may_be_of(entry: &Entry, content: &Content) -> bool {
    match (&entry.kind, content) {
        (EntryKind::Text(text), Content::Text(body)) => text.edited.is_some() || text.body == *body,
        (EntryKind::Tombstone(tombstone), Content::Text(_)) => tombstone.kind.is_none(),
        (EntryKind::Edit { target, .. }, Content::Edit { target: own, .. })
        | (EntryKind::Redaction { target, .. }, Content::Redaction { target: own, .. }) => {
            target == own
        }
        _ => false,
    }
}
