//! How many entries of a room are unread, and how many of them mention the user.
//!
//! Entries that were seen here are counted one by one. Of numbers of which nothing was seen, the
//! server's count decides as far as it goes; beyond it each number counts, so that nothing unread
//! is taken for read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::protocol::{
    Count, Entry, EntryKind, MessageId, ReadState, UserId, limits::UNREAD_COUNT_MAX,
};

/// Entries that are remembered for one room; beyond, the oldest are forgotten.
const SEEN_MAX: usize = 1_000;
/// Messages that no longer count which are remembered for one room; beyond, the oldest are forgotten.
const GONE_MAX: usize = 1_000;
/// Ranges of numbers that are remembered; beyond, the lowest are forgotten.
const RANGES_MAX: usize = 16;

/// An entry that counts, or mentions the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SeenEntry {
    /// The message that it is, or changes.
    message: MessageId,
    author: UserId,
    /// Whether it counts as unread; an edit that mentions the user does not.
    counts: bool,
    mentions: bool,
}

/// The server's count of the entries above one number and up to another.
#[derive(Clone, Copy, Debug)]
struct ServerCount {
    above: u64,
    to: u64,
    unread: Count,
    mentions: Count,
}

/// What is known of the entries of one room.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// By their numbers.
    seen: BTreeMap<u64, SeenEntry>,
    /// Ranges of numbers, both ends included, of which all entries were seen: by their first numbers.
    /// They neither overlap nor touch.
    ranges: BTreeMap<u64, u64>,
    /// Messages that no longer count: a page that was on its way meanwhile may still hold them.
    gone: VecDeque<MessageId>,
    server: Option<ServerCount>,
    /// The range of numbers that the room holds, when last known.
    first: u64,
    head: u64,
}

impl Counts {
    /// Forgets all: the numbers mean something else, or the user is another one.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes the range of numbers that the room holds.
    pub(super) fn extent(&mut self, first: u64, head: u64) {
        self.first = self.first.max(first);
        self.head = self.head.max(head);
    }

    /// Takes the server's counts, of the entries above its own marker.
    pub(super) fn server(&mut self, read: &ReadState) {
        self.server = Some(ServerCount {
            above: read.marker.seq.max(self.first.saturating_sub(1)),
            to: self.head,
            unread: read.unread,
            mentions: read.mentions,
        });
    }

    /// Takes entries of a range of numbers; all that are shown are among them.
    pub(super) fn range(&mut self, from: u64, to: u64, entries: &[Entry], user: UserId) {
        if from > to {
            return;
        }
        self.head = self.head.max(to);
        for entry in entries {
            self.see(entry, user);
        }
        self.join(from, to);
        self.keep_within();
    }

    /// Takes the next entry.
    pub(super) fn entry(&mut self, entry: &Entry, user: UserId) {
        self.range(entry.seq, entry.seq, std::slice::from_ref(entry), user);
    }

    /// Takes entries as they stand now.
    pub(super) fn changed(&mut self, entries: &[Entry]) {
        for entry in entries {
            if !entry.counts() {
                self.forget(entry.id);
            }
        }
    }

    fn see(&mut self, entry: &Entry, user: UserId) {
        if entry.erases()
            && let Some(target) = entry.target()
        {
            self.forget(target);
        }
        if entry.author.user == user || self.gone.contains(&entry.id) {
            return;
        }
        let mentions = entry.mentions().include(user);
        let seen = match &entry.kind {
            EntryKind::Edit { target, .. }
                if mentions && !self.mentions(*target) && !self.gone.contains(target) =>
            {
                SeenEntry {
                    message: *target,
                    author: entry.author.user,
                    counts: false,
                    mentions,
                }
            }
            _ if entry.counts() => SeenEntry {
                message: entry.id,
                author: entry.author.user,
                counts: true,
                mentions,
            },
            _ => return,
        };
        self.seen.insert(entry.seq, seen);
    }

    /// Whether a message, or an edit of it, is known to mention the user.
    fn mentions(&self, message: MessageId) -> bool {
        let mut seen = self.seen.values();
        seen.any(|seen| seen.message == message && seen.mentions)
    }

    /// Forgets a message that no longer counts, and its edits.
    fn forget(&mut self, message: MessageId) {
        self.seen.retain(|_, seen| seen.message != message);
        if !self.gone.contains(&message) {
            if self.gone.len() >= GONE_MAX {
                self.gone.pop_front();
            }
            self.gone.push_back(message);
        }
    }

    /// Adds a range, merged with those that it overlaps or touches.
    fn join(&mut self, mut from: u64, mut to: u64) {
        while let Some((first, last)) = self.range_up_to(to.saturating_add(1))
            && last.saturating_add(1) >= from
        {
            self.ranges.remove(&first);
            (from, to) = (from.min(first), to.max(last));
        }
        self.ranges.insert(from, to);
    }

    /// The range with the highest first number that is not above `number`.
    fn range_up_to(&self, number: u64) -> Option<(u64, u64)> {
        let mut ranges = self.ranges.range(..=number);
        ranges.next_back().map(|(first, last)| (*first, *last))
    }

    fn keep_within(&mut self) {
        while self.ranges.len() > RANGES_MAX {
            self.ranges.pop_first();
        }
        while self.seen.len() > SEEN_MAX
            && let Some((dropped, _)) = self.seen.pop_first()
        {
            // Nothing is known any more up to its number.
            while let Some((first, last)) = self.range_up_to(dropped) {
                self.ranges.remove(&first);
                if last > dropped {
                    self.ranges.insert(dropped + 1, last);
                    break;
                }
            }
        }
        if let Some((first, _)) = self.ranges.first_key_value() {
            self.seen = self.seen.split_off(first);
        }
    }

    /// The counts above a marker's number, without what ignored users wrote.
    pub(super) fn above(&self, marker: u64, ignored: &BTreeSet<UserId>) -> (Count, Count) {
        let after = marker.max(self.first.saturating_sub(1));
        let (unread, mentions) = self.seen_between(after, self.head, ignored);
        let unseen = self.unseen_between(after, self.head);
        let Some(server) = &self.server else {
            return (Count::new(unread + unseen), Count::new(mentions));
        };
        let unseen_there = self.unseen_between(after.max(server.above), server.to.max(after));
        let (seen_unread, seen_mentions) = self.seen_between(server.above, server.to, ignored);
        // What the server counted beyond what was seen is among the numbers that were not seen.
        let left = |count: Count, seen: u64| {
            if count.get() < UNREAD_COUNT_MAX {
                count.get().saturating_sub(seen).min(unseen_there)
            } else {
                unseen_there
            }
        };
        let not_counted = unseen - unseen_there;
        (
            Count::new(unread + left(server.unread, seen_unread) + not_counted),
            Count::new(mentions + left(server.mentions, seen_mentions)),
        )
    }

    /// How many seen entries above a number and up to another count, and how many mention the user.
    fn seen_between(&self, above: u64, to: u64, ignored: &BTreeSet<UserId>) -> (u64, u64) {
        if above >= to {
            return (0, 0);
        }
        let seen = self.seen.range(above + 1..=to).map(|(_, seen)| seen);
        let seen = seen.filter(|seen| !ignored.contains(&seen.author));
        seen.fold((0, 0), |(unread, mentions), seen| {
            (
                unread + u64::from(seen.counts),
                mentions + u64::from(seen.mentions),
            )
        })
    }

    /// How many numbers above a number and up to another are in no range.
    fn unseen_between(&self, above: u64, to: u64) -> u64 {
        let covered = self.ranges.iter().map(|(first, last)| {
            let (first, last) = ((*first).max(above + 1), (*last).min(to));
            (last + 1).saturating_sub(first)
        });
        to.saturating_sub(above)
            .saturating_sub(covered.sum::<u64>())
    }
}
