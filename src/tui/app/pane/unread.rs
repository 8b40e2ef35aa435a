//! Unread messages of a pane: the line above them, and their number.

use super::{Pane, Scroll, timeline::TimelineKey, timeline_item::TimelineItem};
use crate::protocol::{ReadState, UserId};

/// The messages that came while the reader was away; a line is shown above them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unread {
    /// The key of the first of them, which need not be loaded.
    pub(super) from: TimelineKey,
    /// The key after the last of them, once the reader is back: later messages are read as they
    /// come.
    pub(super) to: Option<TimelineKey>,
    /// Whether the reader has seen the line, and need not be led to it.
    pub(super) line_seen: bool,
}

impl Pane {
    /// The number of messages of others since the reader left the end.
    pub fn new_below(&self) -> u64 {
        let Scroll::At { read_to, .. } = self.scroll else {
            return 0;
        };
        self.messages_between(read_to, self.end())
    }

    /// The key of the next entry.
    pub(super) fn end(&self) -> TimelineKey {
        self.timeline.key(self.timeline.len())
    }

    /// The number of messages of others between two keys, loaded or not. Those that were deleted or
    /// that the server no longer keeps do not count, and of a replaced log only loaded ones do.
    fn messages_between(&self, from: TimelineKey, to: TimelineKey) -> u64 {
        let begin = self.timeline.key_of(self.timeline.first());
        if self.timeline.first() == 0 || !to.same_log(begin) {
            return self.held_between(from, to, |_, entry| entry.counts());
        }
        if !from.same_log(to) {
            let before = self.held_between(from, begin, |_, entry| entry.counts());
            return before + self.messages_between(begin, to);
        }
        let others = |key: TimelineKey, entry: &TimelineItem| entry.counts() && !key.is_numbered();
        let ours = |key: TimelineKey, entry: &TimelineItem| key.is_numbered() && !entry.counts();
        let (first, end) = (from.number().max(begin.number()), to.number());
        let numbers = end.saturating_sub(first);
        (numbers + self.held_between(from, to, others))
            .saturating_sub(self.held_between(from, to, ours) + self.timeline.hidden(first, end))
    }

    fn held_between(
        &self,
        from: TimelineKey,
        to: TimelineKey,
        counts: impl Fn(TimelineKey, &TimelineItem) -> bool,
    ) -> u64 {
        let range = self.timeline.index(from)..self.timeline.index(to);
        let held =
            range.filter_map(|index| Some((self.timeline.key(index), self.timeline.get(index)?)));
        held.filter(|(key, entry)| counts(*key, entry)).count() as u64
    }

    /// Moves the unread line below our own messages, which are not new to us, and below entries that
    /// do not count as unread.
    pub(super) fn pass_own(&mut self) {
        let Some(mut unread) = self.unread else {
            return;
        };
        let Some(first) = self.timeline.first_number_from(unread.from) else {
            return;
        };
        let mut next = first;
        while let Some(entry) = self.timeline.position(next).map(|at| self.timeline.get(at))
            && entry.is_some_and(|entry| !entry.counts())
        {
            next = self.timeline.next_shown(next + 1);
        }
        if next == unread.from.number() {
            return;
        }
        unread.from = self.timeline.key_of(next);
        let nothing_left = match unread.to {
            Some(to) => to <= unread.from,
            None => next > self.timeline.last(),
        };
        self.unread = (!nothing_left).then_some(unread);
    }

    /// Draws the unread line below what was read; messages up to `head` are unread, and those of an
    /// earlier log that the reader was not led to.
    pub(super) fn draw_unread_line(&mut self, head: u64) {
        let next = self.timeline.key_of(self.read + 1);
        let earlier = self.unread.filter(|unread| !unread.line_seen);
        let earlier = earlier.map(|unread| unread.from);
        let from = earlier.filter(|from| !from.same_log(next)).unwrap_or(next);
        self.unread = (self.read < head).then(|| Unread {
            from,
            to: Some(self.timeline.key_of(head + 1)),
            line_seen: false,
        });
        self.pass_own();
    }

    /// The reader goes elsewhere: from now on what is on the screen counts as read again.
    pub fn release_marker(&mut self) {
        if std::mem::take(&mut self.holds_marker) {
            self.draw_unread_line(self.timeline.last());
        }
    }

    /// Notes that the end of the room is on the screen.
    pub fn saw_end(&mut self) {
        self.seen_to = self.end();
        if let Some(unread) = &mut self.unread {
            unread.to.get_or_insert(self.seen_to);
        }
    }

    /// Notes that the reader has seen the unread line.
    pub fn saw_unread_line(&mut self) {
        if let Some(unread) = &mut self.unread {
            unread.line_seen = true;
        }
    }

    /// The key below the unread line, if there is one.
    pub fn unread_from(&self) -> Option<TimelineKey> {
        self.unread.map(|unread| unread.from)
    }

    /// Whether there are unread messages below a line that the reader has not seen.
    pub fn unread_line_waits(&self) -> bool {
        self.unread.is_some_and(|unread| !unread.line_seen)
    }

    /// Takes how far the user has read on all their devices, and what is unread.
    pub fn set_read_state(&mut self, read_state: ReadState) {
        let before = std::mem::replace(&mut self.read_state, read_state).marker;
        let marker = read_state.marker;
        if marker.generation != before.generation {
            // It was set by hand, there or here.
            self.set_read(marker.seq, self.opened);
        } else if marker.seq > self.read {
            // Another device has read further.
            self.read = marker.seq;
            if self.read >= self.timeline.last() {
                self.read_all();
            }
        }
        self.autosave.is_read(marker.seq);
    }

    /// Sets by hand how far the reader has read. If that is back and `hold` is set, nothing counts as
    /// read until they go elsewhere.
    pub fn set_read(&mut self, seq: u64, hold: bool) {
        self.read = seq;
        self.autosave.forget_read();
        self.autosave.is_read(seq);
        let last = self.timeline.last();
        self.holds_marker = hold && seq < last;
        self.draw_unread_line(last);
        if self.holds_marker {
            self.saw_unread_line();
        }
    }

    /// The number of the last message that is not ours, or else of the last one.
    pub fn last_of_others(&self) -> u64 {
        let mut indices = (0..self.timeline.len()).rev();
        let of_others = indices.find_map(|index| {
            let counts = self.timeline.get(index)?.counts();
            let seq = self.timeline.get(index)?.logged()?.seq;
            counts.then_some(seq)
        });
        of_others.unwrap_or(self.timeline.last())
    }

    /// Marks all messages as read.
    pub fn read_all(&mut self) {
        self.unread = None;
    }

    /// Notes that the reader looks away, at another room or another window. If they were at the end,
    /// all messages so far count as read, and the unread line will be above those that come from now
    /// on. A line that the reader has not been led to stays.
    pub fn look_away(&mut self) {
        if self.scroll == Scroll::Follow && !self.unread_line_waits() && !self.holds_marker {
            self.read_all();
        }
    }

    /// The number of messages of others that came while the reader was away.
    pub fn unread(&self) -> u64 {
        self.unread.map_or(0, |unread| {
            self.messages_between(unread.from, unread.to.unwrap_or(self.end()))
        })
    }

    /// Marks the messages of this user as ours: they may have come before our id was known.
    pub fn is_ours(&mut self, user: UserId) {
        self.timeline.is_ours(user);
        self.pass_own();
    }
}
