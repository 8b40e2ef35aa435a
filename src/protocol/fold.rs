//! Folding: applies entries to the entries that they refer to.
//!
//! Everything that shows messages folds by these functions: the store when it writes, the client's
//! cache, the screen and the line mode. Each facet of an entry (its text, whether it is erased) goes
//! by a rule under which the order of arrival does not matter: of two texts the one from the later
//! edit stays, and an erasure stays for ever. So live entries, pages and cached entries give the
//! same messages, in whatever order and parts they come.

use std::collections::{BTreeMap, VecDeque};

use super::{
    entry::{Entry, EntryKind, Mentions, Text, Tombstone},
    name::{MessageId, Nickname, UserId},
};
use crate::text::Body;

/// Targets whose changes a [`Fold`] remembers; beyond, the one changed first is forgotten.
const TARGETS_MAX: usize = 4_096;

/// What later entries have done to one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Changes {
    /// The latest edit.
    edit: Option<Edit>,
    /// The first erasure: its number, and who made it.
    erasure: Option<(u64, Eraser)>,
}

/// A text from an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Edit {
    /// The edit's number.
    seq: u64,
    author: UserId,
    body: Body,
    mentions: Mentions,
}

/// Who erased an entry's content.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Eraser {
    /// The author of the entry that erased it.
    Author(UserId, Nickname),
    /// Whom its tombstone names; `None`: its own author.
    Named(Option<Nickname>),
}

impl Changes {
    /// Adds what `entry` does to its target.
    fn add(&mut self, entry: &Entry) {
        let author = &entry.author;
        if entry.erases() {
            self.erase(
                entry.seq,
                Eraser::Author(author.user, author.nickname.clone()),
            );
        } else if let EntryKind::Edit {
            body: Some(body),
            mentions,
            ..
        } = &entry.kind
        {
            self.edit(Edit {
                seq: entry.seq,
                author: author.user,
                body: body.clone(),
                mentions: mentions.clone(),
            });
        }
    }

    fn edit(&mut self, edit: Edit) {
        let last = self.edit.as_ref().is_none_or(|last| edit.seq > last.seq);
        if last && self.erasure.is_none() {
            self.edit = Some(edit);
        }
    }

    fn erase(&mut self, seq: u64, by: Eraser) {
        if self.erasure.as_ref().is_none_or(|(first, _)| seq < *first) {
            self.erasure = Some((seq, by));
        }
        // An erased text is not kept.
        self.edit = None;
    }

    /// Adds what an entry's own frame says of its changes.
    fn learn(&mut self, entry: &Entry) {
        match &entry.kind {
            EntryKind::Tombstone(tombstone) => {
                self.erase(tombstone.redacted, Eraser::Named(tombstone.by.clone()));
            }
            EntryKind::Text(Text {
                body,
                mentions,
                edited: Some(edited),
            }) => self.edit(Edit {
                seq: *edited,
                author: entry.author.user,
                body: body.clone(),
                mentions: mentions.clone(),
            }),
            EntryKind::Text(_)
            | EntryKind::Edit { .. }
            | EntryKind::Redaction { .. }
            | EntryKind::Event(_)
            | EntryKind::Unknown(_) => {}
        }
    }

    /// Applies them to their target. Returns whether it changed.
    fn apply(&self, target: &mut Entry) -> bool {
        if let Some((seq, by)) = &self.erasure {
            return erase(target, *seq, by);
        }
        match (&self.edit, &mut target.kind) {
            // Only an author's own edits reach the log. Another's would be a server's mistake.
            (Some(edit), EntryKind::Text(text))
                if edit.author == target.author.user && Some(edit.seq) > text.edited =>
            {
                *text = Text {
                    body: edit.body.clone(),
                    mentions: edit.mentions.clone(),
                    edited: Some(edit.seq),
                };
                true
            }
            _ => false,
        }
    }

    /// Removes an edit's text if it is not the latest, or its target is erased. Returns whether it
    /// changed.
    fn scrub(&self, edit: &mut Entry) -> bool {
        let seq = edit.seq;
        match &edit.kind {
            EntryKind::Edit { body: Some(_), .. } => {
                let later = self.edit.as_ref().is_some_and(|last| last.seq > seq);
                let obsolete = later || self.erasure.is_some();
                if obsolete {
                    edit.take_edit();
                }
                obsolete
            }
            _ => false,
        }
    }
}

fn erase(target: &mut Entry, redacted: u64, by: &Eraser) -> bool {
    if !target.is_erasable() {
        return false;
    }
    let kind = match &target.kind {
        EntryKind::Tombstone(tombstone) if tombstone.redacted <= redacted => return false,
        EntryKind::Tombstone(tombstone) => tombstone.kind.clone(),
        EntryKind::Unknown(unknown) => Some(unknown.name.clone()),
        EntryKind::Text(_)
        | EntryKind::Edit { .. }
        | EntryKind::Redaction { .. }
        | EntryKind::Event(_) => None,
    };
    target.kind = EntryKind::Tombstone(Tombstone {
        redacted,
        by: match by {
            Eraser::Author(user, _) if *user == target.author.user => None,
            Eraser::Author(_, nickname) => Some(nickname.clone()),
            Eraser::Named(nickname) => nickname.clone(),
        },
        kind,
    });
    true
}

/// Applies an entry to its target. Returns whether the target changed.
///
/// `by` must name `target`; the caller has looked it up by that.
pub fn apply(target: &mut Entry, by: &Entry) -> bool {
    let mut changes = Changes::default();
    changes.add(by);
    changes.apply(target)
}

/// Removes the text of an edit that `later`, an entry with the same target, has made obsolete.
/// Returns whether it changed.
pub fn scrub(edit: &mut Entry, later: &Entry) -> bool {
    let mut changes = Changes::default();
    changes.add(later);
    changes.scrub(edit)
}

/// Adds to a held entry what another copy of it knows. Returns whether it changed.
pub fn merge(held: &mut Entry, other: &Entry) -> bool {
    let newer = match (&held.kind, &other.kind) {
        (EntryKind::Text(held), EntryKind::Text(other)) => other.edited > held.edited,
        (EntryKind::Tombstone(held), EntryKind::Tombstone(other)) => other.redacted < held.redacted,
        (EntryKind::Tombstone(_), _) => false,
        (_, EntryKind::Tombstone(_)) => true,
        (EntryKind::Edit { body: held, .. }, EntryKind::Edit { body: other, .. }) => {
            held.is_some() && other.is_none()
        }
        _ => false,
    };
    if newer {
        held.kind = other.kind.clone();
    }
    newer
}

/// The changes that a reader has seen, for entries that it may see later.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    changes: BTreeMap<MessageId, Changes>,
    /// The targets, in the order in which they were first changed.
    order: VecDeque<MessageId>,
}

impl Fold {
    /// Takes an entry, and returns the entry that it changes, which is to be passed to
    /// [`apply`](Self::apply) if the reader holds it.
    pub fn take(&mut self, entry: &Entry) -> Option<MessageId> {
        let target = entry.target()?;
        if !entry.erases() && !matches!(entry.kind, EntryKind::Edit { .. }) {
            return None;
        }
        self.changes(target).add(entry);
        Some(target)
    }

    /// Takes an entry as it stands now, for older copies of it that may come later.
    pub fn learn(&mut self, entry: &Entry) {
        if entry.rev() > 0 {
            self.changes(entry.id).learn(entry);
        }
    }

    fn changes(&mut self, target: MessageId) -> &mut Changes {
        if !self.changes.contains_key(&target) {
            self.order.push_back(target);
        }
        if self.order.len() > TARGETS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.changes.remove(&oldest);
        }
        self.changes.entry(target).or_default()
    }

    /// Applies to an entry all that is known of it. Returns whether it changed.
    pub fn apply(&self, entry: &mut Entry) -> bool {
        if let EntryKind::Edit { target, .. } = &entry.kind {
            let changes = self.changes.get(target);
            return changes.is_some_and(|changes| changes.scrub(entry));
        }
        let changes = self.changes.get(&entry.id);
        changes.is_some_and(|changes| changes.apply(entry))
    }
}

#[cfg(test)]
mod tests;
