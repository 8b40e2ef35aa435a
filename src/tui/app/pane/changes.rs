//! Entries that change other entries: edits and deletions are folded into the messages that they
//! refer to, and the reader's place on the screen stays.

use super::{
    Context, Pane, Scroll, ScrollItemKey,
    timeline_item::{TimelineItem, TimelineMessage},
    timeline_message,
};
use crate::{
    client::event::{Received, Said},
    protocol::{Entry, EntryKind, fold},
    text::Body,
};

/// The most texts that are remembered of an edited message of ours, so that none of them stays in
/// the input's history once it is deleted.
const BEFORE_MAX: usize = 16;

impl Pane {
    /// Applies a new entry to the one that it refers to, and to the new entry what is known of it.
    pub(super) fn fold_in(&mut self, entry: &mut Entry, context: Context<'_>) {
        if let Some(target) = self.fold.take(entry)
            && let Some(index) = self.timeline.find(target)
        {
            self.refresh(index, context, |held| fold::apply(held, entry));
        }
        self.fold.apply(entry);
    }

    /// Applies to an entry of the room's log what is known of it.
    pub fn apply_changes(&self, entry: &mut Entry) {
        self.fold.apply(entry);
    }

    /// Takes entries as they stand now.
    pub fn changed(&mut self, entries: &[Entry], context: Context<'_>) {
        for entry in entries {
            // A page that was read before this may still be on its way.
            self.fold.learn(entry);
            self.merge(entry, context);
        }
        self.pass_own();
    }

    /// Adds what another copy of an entry knows to the one that is loaded, if there is one.
    pub(super) fn merge(&mut self, entry: &Entry, context: Context<'_>) {
        let Some(index) = self.timeline.position(entry.seq) else {
            return;
        };
        match self.timeline.get(index) {
            // It was sent before the server was known to keep a log.
            Some(TimelineItem::Message(TimelineMessage {
                said: Said::Unlogged(_),
                ..
            })) => self.replace(index, entry.clone(), context),
            _ => self.refresh(index, context, |held| {
                held.id == entry.id && fold::merge(held, entry)
            }),
        }
    }

    /// Changes a loaded entry. `change` returns whether it did.
    fn refresh(
        &mut self,
        index: usize,
        context: Context<'_>,
        change: impl FnOnce(&mut Entry) -> bool,
    ) {
        let entry = self.timeline.get(index).and_then(|item| item.logged());
        let Some(mut entry) = entry.cloned() else {
            return;
        };
        let before = entry.text().cloned();
        if change(&mut entry) {
            let erased = entry.text().is_none();
            self.replace(index, entry, context);
            self.put_before(index, before, erased);
        }
    }

    /// Remembers the text that one of our messages had before; if it was erased, all that it had
    /// are to go.
    fn put_before(&mut self, index: usize, text: Option<Body>, erased: bool) {
        if let Some(TimelineItem::Message(message)) = self.timeline.get_mut(index)
            && message.own.is_some()
        {
            message.before.extend(text);
            if erased {
                self.erased.extend(message.before.drain(..));
            } else if message.before.len() > BEFORE_MAX {
                message.before.pop_front();
            }
        }
    }

    /// Hides the texts of those whom the user ignores, and shows those of all others.
    pub fn set_ignored(&mut self, context: Context<'_>) {
        for index in 0..self.timeline.len() {
            let entry = self.timeline.get(index).and_then(|item| match item {
                TimelineItem::Message(message) => {
                    let entry = message.logged()?;
                    let ignored = context.ignored.contains(&entry.author.user);
                    (message.own.is_none() && message.ignored != ignored).then(|| entry.clone())
                }
                _ => None,
            });
            if let Some(entry) = entry {
                self.replace(index, entry, context);
            }
        }
    }

    /// Replaces a message's content. The rows above it stay where they are; if it begins above the
    /// screen, those below it.
    pub(super) fn replace(&mut self, index: usize, entry: Entry, context: Context<'_>) {
        self.hold_still(index, &context.columns, context.height);
        self.timeline.change(index, |message| {
            let deleted = matches!(entry.kind, EntryKind::Tombstone(_));
            let local = None;
            let said = Said::Logged(entry);
            let TimelineMessage {
                said,
                spans,
                own,
                ignored,
                ..
            } = timeline_message(Received { said, local }, context);
            message.said = said;
            message.spans = spans;
            message.ignored = ignored;
            message.own = message.own.or(own);
            message.unfolded &= !deleted;
        });
        let key = ScrollItemKey::Timeline(self.timeline.key(index));
        let rows = i64::from(self.text_rows(index, &context.columns));
        if let Scroll::At { item, row, .. } = &mut self.scroll
            && *item == key
        {
            // A row of it that was on the screen stays there.
            *row = (*row).max(1 - rows);
        }
    }

    /// The texts of our messages that were erased since this was last called: they must go
    /// everywhere else, too.
    pub fn take_erased(&mut self) -> Vec<Body> {
        std::mem::take(&mut self.erased)
    }
}
