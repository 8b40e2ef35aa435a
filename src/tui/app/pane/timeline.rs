//! The scrollback of a room: loaded parts of a log, and events between its messages.
//!
//! A message of a log has a number, which alone decides its position: the [`TimelineKey`]. So pages
//! may come in any order, twice, or overlapping, and each message appears once and in order;
//! messages missing between two numbers are a [`Gap`], which is computed and never stored. A key
//! never changes: a position in the scrollback survives loading, arrivals and drops.

use std::collections::VecDeque;

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{
    hidden::Hidden,
    presence::{FOLDED_MAX, PresenceChange, fold, sentence},
    rows::Rows,
    timeline_item::{Own, TextSpanKind, TimelineItem, TimelineMessage},
};
use crate::{
    client::event::LocalId,
    protocol::{Extent, MessageId, UserId},
};

/// The most entries that a room keeps in memory; those farthest from the reader go first.
pub const ENTRIES_MAX: usize = 10_000;
/// The most bytes of text that a room keeps in memory, over all entries; those farthest from the
/// reader go first.
pub const BYTES_MAX: usize = 16 << 20;
/// The latest entries are kept wherever the reader is, so that the way back to the end is short.
pub const LATEST_KEPT: usize = 256;

/// The position of an entry. The order of keys is the order on the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimelineKey {
    /// The log: the server's may be replaced while we run.
    log: u32,
    /// The message's number; for other entries, the highest number before them.
    seq: u64,
    /// Zero for a message with a number; otherwise a counter.
    after: u64,
}

/// Messages that are not loaded, above an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The lowest number.
    pub from: u64,
    /// The highest number.
    pub to: u64,
    /// Whether nothing of the log is above it.
    pub leading: bool,
    /// Whether they can be requested. Those of a replaced log can't, nor those that the server no
    /// longer keeps.
    pub loadable: bool,
}

/// The boundary above an entry, by its position in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Messages are not loaded.
    Gap(Gap),
    /// The log begins with this entry.
    Begins {
        /// Whether there were older messages, which the server no longer keeps.
        removed: bool,
    },
}

/// The scrollback of one room.
#[derive(Debug, Default)]
pub struct Timeline {
    /// Sorted by key.
    slots: VecDeque<Slot>,
    /// The current log.
    log: u32,
    /// The lowest number that the server has; 0 if there is no log.
    first: u64,
    /// The highest number that has arrived or was skipped, in order of arrival.
    last: u64,
    /// The counter for the next entry without a number.
    after: u64,
    /// The numbers that have arrived, but have no place here.
    hidden: Hidden,
    bytes: usize,
    /// Whether entries were dropped that can't be loaded again.
    dropped: bool,
}

#[derive(Debug)]
struct Slot {
    key: TimelineKey,
    entry: TimelineItem,
    /// The local day of the entry.
    day: Option<Date>,
    rows: Rows,
}

impl TimelineKey {
    /// The number up to which messages are above the entry.
    fn passed(self) -> u64 {
        if self.after == 0 {
            self.seq.saturating_sub(1)
        } else {
            self.seq
        }
    }

    /// Whether both keys belong to the same log.
    pub fn same_log(self, other: Self) -> bool {
        self.log == other.log
    }

    /// Whether it is that of a message with a number.
    pub fn is_numbered(self) -> bool {
        self.after == 0
    }

    /// The number of the message with this key, or of the next one below.
    pub fn number(self) -> u64 {
        self.passed() + 1
    }
}

impl Timeline {
    /// The number of entries.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether older entries were dropped that can't be loaded again.
    pub fn dropped(&self) -> bool {
        self.dropped
    }

    /// The lowest number that the server has; 0 on a legacy server.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The highest number that has arrived or was skipped.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The entry at an index.
    pub fn get(&self, index: usize) -> Option<&TimelineItem> {
        self.slots.get(index).map(|slot| &slot.entry)
    }

    /// All entries, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &TimelineItem> {
        self.slots.iter().map(|slot| &slot.entry)
    }

    /// The key of the entry at an index; past the end, one above all that will come.
    pub fn key(&self, index: usize) -> TimelineKey {
        self.slots.get(index).map_or_else(
            || TimelineKey {
                log: self.log,
                seq: self.last,
                after: self.after + 1,
            },
            |slot| slot.key,
        )
    }

    /// The key of a number in the current log, whether it is loaded or not.
    pub fn key_of(&self, seq: u64) -> TimelineKey {
        TimelineKey {
            log: self.log,
            seq,
            after: 0,
        }
    }

    /// The index of a key; of the next entry below, if it is not loaded.
    pub fn index(&self, key: TimelineKey) -> usize {
        self.slots.partition_point(|slot| slot.key < key)
    }

    /// The index of a message of the current log, if it is loaded.
    pub fn position(&self, seq: u64) -> Option<usize> {
        let key = self.key_of(seq);
        self.slots.binary_search_by(|slot| slot.key.cmp(&key)).ok()
    }

    /// The index of an entry of the log, if it is loaded.
    pub fn find(&self, id: MessageId) -> Option<usize> {
        let mut slots = self.slots.iter();
        slots.rposition(|slot| slot.entry.logged().is_some_and(|entry| entry.id == id))
    }

    /// The lowest number of the current log at a key or after it that may have a place here, if the
    /// key belongs to that log.
    pub fn first_number_from(&self, key: TimelineKey) -> Option<u64> {
        let shown = || self.next_shown(key.number().max(self.first));
        (self.first > 0 && key.log == self.log).then(shown)
    }

    /// The lowest number of the current log at or after this one that may have a place here: it is
    /// loaded, or not known.
    pub fn next_shown(&self, seq: u64) -> u64 {
        self.hidden.next_shown(self.log, seq)
    }

    /// The highest number of the current log at or before this one that may have a place here.
    pub fn previous_shown(&self, seq: u64) -> u64 {
        self.hidden.previous_shown(self.log, seq)
    }

    /// How many numbers of the current log from `from` up to, but not including, `end` are known to
    /// have no place here.
    pub fn hidden(&self, from: u64, end: u64) -> u64 {
        self.hidden.count(self.log, from, end)
    }

    /// Whether no message of the current log is loaded.
    pub fn holds_no_message(&self) -> bool {
        let log = self.slots.partition_point(|slot| slot.key.log < self.log);
        let mut slots = self.slots.range(log..);
        !slots.any(|slot| matches!(slot.entry, TimelineItem::Message(_)))
    }

    /// The boundary above the entry at an index.
    pub fn edge(&self, index: usize) -> Option<Edge> {
        let slot = self.slots.get(index)?;
        if self.first == 0 || matches!(slot.entry, TimelineItem::Break { .. }) {
            return None;
        }
        let before = index
            .checked_sub(1)
            .map(|before| self.slots[before].key)
            .filter(|before| before.log == slot.key.log);
        let above = before.map_or(0, |key| key.seq);
        let leading = above == 0;
        let next = |seq| self.hidden.next_shown(slot.key.log, seq);
        let from = next(above + 1);
        let to = self.hidden.previous_shown(slot.key.log, slot.key.passed());
        let gap = |from, to, loadable| {
            Edge::Gap(Gap {
                from,
                to,
                leading,
                loadable,
            })
        };
        if slot.key.log != self.log {
            return (from <= to && !leading).then(|| gap(from, to, false));
        }
        if from <= to && self.first <= to {
            return Some(gap(next(from.max(self.first)), to, true));
        }
        if from <= to && !leading {
            return Some(gap(from, to, false));
        }
        // An entry that is not a message may be above the first message of a log.
        let top = before.is_none_or(|before| before.seq == 0 && before.after == 0);
        let mut numbers = self.slots.range(index..).map(|slot| slot.key);
        let message = numbers.find(|key| key.after == 0).map(|key| key.seq);
        (top && message == Some(next(self.first))).then_some(Edge::Begins {
            removed: self.first > 1,
        })
    }

    /// The messages missing above the entry at an index.
    pub fn gap(&self, index: usize) -> Option<Gap> {
        match self.edge(index) {
            Some(Edge::Gap(gap)) => Some(gap),
            _ => None,
        }
    }

    /// The day of the line above the entry at an index, if there is one.
    pub fn day_above(&self, index: usize) -> Option<Date> {
        let day = self.slots.get(index)?.day?;
        let mut before = self.slots.range(..index).rev();
        (before.find_map(|slot| slot.day) != Some(day)).then_some(day)
    }

    /// The rows of an entry's text at a width, cached for the last width asked.
    pub fn text_rows(&self, index: usize, width: u16, wrap: impl FnOnce(&str) -> usize) -> u32 {
        let Some(slot) = self.slots.get(index) else {
            return 0;
        };
        slot.rows.at(width, || wrap(&slot.entry.text()))
    }

    /// Changes a message at an index, so that its text may be another.
    pub(super) fn change(&mut self, index: usize, change: impl FnOnce(&mut TimelineMessage)) {
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        self.bytes -= slot.entry.bytes();
        if let TimelineItem::Message(message) = &mut slot.entry {
            change(message);
        }
        self.bytes += slot.entry.bytes();
        slot.rows.forget();
    }

    /// The entry at an index, for changes that do not affect its rows.
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut TimelineItem> {
        self.slots.get_mut(index).map(|slot| &mut slot.entry)
    }

    /// Begins another log, of which nothing is loaded.
    pub fn begin_log(&mut self) {
        self.log += 1;
        self.first = 0;
        self.last = 0;
    }

    /// Takes the lowest number that the server has. Everything below it is erased here too, except
    /// breaks and our unconfirmed messages.
    pub fn begins_at(&mut self, first: u64) {
        if first <= self.first {
            return;
        }
        self.first = first;
        let log = self.log;
        self.hidden.begin_at(log, first);
        self.slots.retain(|slot| {
            let below = slot.key.log == log && slot.key.number() < first;
            let stays = match &slot.entry {
                TimelineItem::Message(message) => matches!(message.own, Some(Own::Unconfirmed(_))),
                TimelineItem::Break { .. } => true,
                TimelineItem::Presence { .. } | TimelineItem::Notice { .. } => false,
            };
            if below && !stays {
                self.bytes -= slot.entry.bytes();
            }
            !below || stays
        });
    }

    /// Marks the messages of this user as ours: they may have come before our id was known.
    pub fn is_ours(&mut self, user: UserId) {
        for slot in &mut self.slots {
            if let TimelineItem::Message(message) = &mut slot.entry
                && message.own.is_none()
                && message.said.user() == Some(user)
            {
                message.own = Some(Own::Sent);
                message
                    .spans
                    .retain(|span| span.kind != TextSpanKind::Mention);
            }
        }
    }

    /// Takes the opening of the log by the server: messages up to `passed` have come or are
    /// skipped. Notices from before that are below all messages said before we joined.
    pub fn opens(&mut self, extent: Extent, passed: u64) {
        if self.first == 0 {
            let log = self.log;
            for slot in &mut self.slots {
                let ours = slot.key.log == log && slot.key.seq == 0;
                if ours && !matches!(slot.entry, TimelineItem::Break { .. }) {
                    slot.key.seq = extent.head;
                }
            }
        }
        self.begins_at(extent.first);
        self.passes(passed);
    }

    /// Takes a new entry that has no place here.
    pub fn hide(&mut self, seq: u64) {
        self.hidden.add(self.log, seq, seq);
        self.passes(seq);
    }

    /// Messages up to this number have arrived, or are skipped.
    pub fn passes(&mut self, seq: u64) {
        self.last = self.last.max(seq);
    }

    /// Whether one of our messages is here that no server has confirmed.
    pub fn is_unconfirmed(&self, local: LocalId) -> bool {
        self.iter().any(|entry| unconfirmed(entry, local))
    }

    /// Moves our unconfirmed message to the position of its number in the log. Returns false if
    /// there is none.
    pub fn confirm(&mut self, local: LocalId, seq: Option<u64>) -> bool {
        let mut slots = self.slots.iter();
        let Some(at) = slots.rposition(|slot| unconfirmed(&slot.entry, local)) else {
            return false;
        };
        let Some(mut slot) = self.slots.remove(at) else {
            return false;
        };
        if let TimelineItem::Message(message) = &mut slot.entry {
            message.own = Some(Own::Sent);
        }
        if let Some(seq) = seq {
            slot.key = self.key_of(seq);
        }
        self.bytes -= slot.entry.bytes();
        self.place(slot);
        true
    }

    /// Adds an entry at its position: a message by its number, everything else at the end. A
    /// message whose number is loaded changes nothing.
    pub fn push(&mut self, entry: TimelineItem, zone: &TimeZone) {
        let seq = match &entry {
            TimelineItem::Message(message) => message.said.seq(),
            _ => None,
        };
        let key = if let Some(seq) = seq {
            self.last = self.last.max(seq);
            self.key_of(seq)
        } else {
            self.after += 1;
            TimelineKey {
                log: self.log,
                seq: self.last,
                after: self.after,
            }
        };
        self.place(Slot::new(key, entry, zone));
    }

    /// Adds the messages of a page, which holds all that have a place here from `from` to `to`.
    /// Returns whether any of these numbers was not known.
    pub fn insert(
        &mut self,
        (from, to): (u64, u64),
        messages: Vec<TimelineMessage>,
        zone: &TimeZone,
    ) -> bool {
        let mut next = from.max(self.first);
        let mut learned = false;
        for seq in messages.iter().filter_map(|message| message.said.seq()) {
            learned |= self.hidden.add(self.log, next, seq.saturating_sub(1));
            next = next.max(seq + 1);
        }
        learned |= self.hidden.add(self.log, next, to);
        self.insert_messages(messages, zone) > 0 || learned
    }

    /// Adds messages, each at its number. Returns how many of them were new.
    fn insert_messages(&mut self, messages: Vec<TimelineMessage>, zone: &TimeZone) -> usize {
        let mut new: Vec<Slot> = messages
            .into_iter()
            .filter_map(|message| {
                let seq = message.said.seq().filter(|seq| *seq >= self.first)?;
                let key = self.key_of(seq);
                Some(Slot::new(key, TimelineItem::Message(message), zone))
            })
            .collect();
        new.sort_by_key(|slot| slot.key);
        new.dedup_by_key(|slot| slot.key);
        let Some(first) = new.first() else {
            return 0;
        };
        let held = self.slots.len();
        // Nothing above the first of them moves.
        let below = self.slots.split_off(self.index(first.key));
        let mut new = new.into_iter().peekable();
        for slot in below {
            while let Some(slot) = new.next_if(|new| new.key < slot.key) {
                self.append(slot);
            }
            let _held_already = new.next_if(|new| new.key == slot.key);
            self.slots.push_back(slot);
        }
        for slot in new {
            self.append(slot);
        }
        self.slots.len() - held
    }

    /// Computes the days of all entries in another zone.
    pub fn set_zone(&mut self, zone: &TimeZone) {
        for slot in &mut self.slots {
            // A time has the same length in every zone.
            slot.entry.set_zone(zone);
            slot.day = day(&slot.entry, zone);
            slot.rows = Rows::default();
        }
    }

    fn append(&mut self, slot: Slot) {
        self.bytes += slot.entry.bytes();
        self.slots.push_back(slot);
    }

    fn place(&mut self, slot: Slot) {
        let at = self.index(slot.key);
        if self.slots.get(at).is_some_and(|held| held.key == slot.key) {
            return;
        }
        self.bytes += slot.entry.bytes();
        self.slots.insert(at, slot);
    }

    /// Adds a presence change: to the last entry, if that is one too.
    pub fn push_change(&mut self, change: PresenceChange, time: Timestamp, zone: &TimeZone) {
        let day = Some(time.to_zoned(zone.clone()).date());
        if let Some(slot) = self.slots.back_mut()
            && slot.day == day
            && slot.key.seq == self.last
            && let TimelineItem::Presence { changes, text, .. } = &mut slot.entry
            && changes.len() < FOLDED_MAX
        {
            let before = text.len();
            fold(changes, change);
            *text = sentence(changes);
            self.bytes = self.bytes - before + text.len();
            slot.rows.forget();
            return;
        }
        let changes = vec![change];
        let text = sentence(&changes);
        self.push(
            TimelineItem::Presence {
                time,
                changes,
                text,
            },
            zone,
        );
    }

    /// Drops entries that exceed the memory limits, farthest from `near` first, but not the latest.
    /// Messages dropped from the middle leave a gap, which can be loaded again.
    pub fn limit(&mut self, near: TimelineKey) {
        while self.slots.len() > ENTRIES_MAX
            || (self.bytes > BYTES_MAX && self.slots.len() > LATEST_KEPT)
        {
            let near = self.index(near);
            let last = self.slots.len().saturating_sub(LATEST_KEPT + 1);
            let at = if near >= last.saturating_sub(near) {
                0
            } else {
                last
            };
            let Some(slot) = self.slots.remove(at) else {
                return;
            };
            self.bytes -= slot.entry.bytes();
            self.dropped |= self.first == 0;
        }
        self.hidden.limit(self.log, near.seq);
    }
}

impl Slot {
    fn new(key: TimelineKey, entry: TimelineItem, zone: &TimeZone) -> Self {
        Self {
            key,
            day: day(&entry, zone),
            entry,
            rows: Rows::default(),
        }
    }
}

/// The reader's local day of an entry.
fn day(entry: &TimelineItem, zone: &TimeZone) -> Option<Date> {
    Some(entry.time()?.to_zoned(zone.clone()).date())
}

fn unconfirmed(entry: &TimelineItem, local: LocalId) -> bool {
    matches!(entry, TimelineItem::Message(message) if message.own == Some(Own::Unconfirmed(local)))
}
