//! The rooms on a client's disk: entries in gap-free ranges, brought up to date by whatever comes
//! later, as [`chat_tui::client::session::persist_types`] expects it.

use std::{collections::BTreeMap, mem};

use chat_tui::{
    client::{
        event::Page,
        session::persist_types::{ChangedEntries, EntryRange, PersistedRoom},
    },
    protocol::{
        Entry, EntryKind, Epoch, Extent, Mentions, Preferences, ReadMarker, RoomId, RoomInfo, fold,
        frame::{Part, Position, RoomStart},
        limits::HISTORY_PAGE_MAX,
    },
};

use crate::{
    mutant::Mutant,
    truth::{Fault, Truth},
};

/// One room; see the module's docs.
#[derive(Clone, Debug)]
pub(crate) struct CachedRoom {
    pub(crate) epoch: Epoch,
    extent: Extent,
    entries: BTreeMap<u64, Entry>,
    /// The first and the last number of each range, which neither touch nor overlap. Numbers in
    /// them without an entry are those that pages leave out.
    ranges: Vec<(u64, u64)>,
    /// All entries stand at least as when the log ended here.
    folded: u64,
    info: RoomInfo,
    marker: ReadMarker,
    preferences: Preferences,
}

impl CachedRoom {
    /// The room that a server has just opened.
    pub(crate) fn new(epoch: Epoch, start: &RoomStart) -> Self {
        Self {
            epoch,
            extent: start.extent,
            entries: BTreeMap::new(),
            ranges: Vec::new(),
            folded: start.next - 1,
            info: start.info.clone(),
            marker: start.read.marker,
            preferences: start.read.preferences,
        }
    }

    /// The server opens it again.
    pub(crate) fn open(&mut self, epoch: Epoch, start: &RoomStart, asked_from: u64) {
        let changed = start.changed.max(start.redacted);
        // Nobody asks for what has changed between.
        let is_missed = self.folded < changed.min(asked_from);
        if self.epoch != epoch || start.reset.is_some() {
            *self = Self::new(epoch, start);
        } else if is_missed {
            self.entries.clear();
            self.ranges.clear();
        }
        // Nothing that is stored was changed by what comes in between, if anything does.
        if self.ranges.is_empty() || changed <= self.folded {
            self.folded = self.folded.max(start.next - 1);
        }
        self.extent = start.extent;
        self.info = start.info.clone();
        self.read(start.read.marker, start.read.preferences);
        let first = start.extent.first;
        self.entries = self.entries.split_off(&first);
        self.ranges.retain(|(_, last)| *last >= first);
        for range in &mut self.ranges {
            range.0 = range.0.max(first);
        }
    }

    /// Stores how far the user has read it, and their settings of it.
    pub(crate) fn read(&mut self, marker: ReadMarker, preferences: Preferences) {
        self.marker.merge(marker);
        self.preferences = preferences;
    }

    /// Stores what it is.
    pub(crate) fn describe(&mut self, info: &RoomInfo) {
        self.info = info.clone();
    }

    /// Stores a range.
    pub(crate) fn put(&mut self, run: &EntryRange, mutant: Option<Mutant>) {
        for entry in &run.entries {
            if !self.entries.contains_key(&entry.seq) {
                let mut new = entry.clone();
                for held in self.entries.values() {
                    tell(&mut new, held, mutant);
                }
                self.entries.insert(new.seq, new);
            }
            self.renew(entry, mutant);
        }
        self.extent = self.extent.raised_to(run.to);
        if run.entries.len() as u64 == run.to + 1 - run.from && run.from <= self.folded + 1 {
            self.folded = self.folded.max(run.to);
        }
        let (mut from, mut to) = (run.from, run.to);
        for range in mem::take(&mut self.ranges) {
            if range.0 <= to + 1 && from <= range.1 + 1 {
                (from, to) = (from.min(range.0), to.max(range.1));
            } else {
                self.ranges.push(range);
            }
        }
        self.ranges.push((from, to));
        self.ranges.sort_unstable();
    }

    /// Takes entries that later ones have changed.
    pub(crate) fn change(&mut self, changed: &ChangedEntries, mutant: Option<Mutant>) {
        for entry in &changed.entries {
            self.renew(entry, mutant);
        }
        if changed.since <= self.folded {
            self.folded = self.folded.max(changed.folded);
        }
    }

    /// Brings the stored entries up to date by another copy, or by an entry that refers to them.
    fn renew(&mut self, by: &Entry, mutant: Option<Mutant>) {
        for held in self.entries.values_mut() {
            tell(held, by, mutant);
        }
    }

    /// A part of the log as far as one range covers it from the end that counts; with `offline` the
    /// nearest stored piece.
    pub(crate) fn page(&self, part: Part, offline: bool) -> Option<Page> {
        let (mut from, mut to, backward) = match part {
            Part::Backward { from, to } => {
                let to = if offline {
                    to
                } else {
                    to.min(self.extent.head)
                };
                let below = self.ranges.iter().rev().find(|range| range.0 <= to);
                let (first, last) = *below.filter(|range| offline || range.1 >= to)?;
                (from.max(first), to.min(last), true)
            }
            Part::Forward { from, to } => {
                let from = from.max(self.extent.first);
                let above = self.ranges.iter().find(|range| range.1 >= from);
                let (first, last) = *above.filter(|range| offline || range.0 <= from)?;
                (from.max(first), to.min(last), false)
            }
            Part::Since(_) => return None,
        };
        if from > to {
            return None;
        }
        let shown = self.entries.range(from..=to).map(|(_, entry)| entry);
        let mut entries: Vec<_> = shown.filter(|entry| entry.is_shown()).cloned().collect();
        if entries.len() > HISTORY_PAGE_MAX {
            if backward {
                from = entries[entries.len() - HISTORY_PAGE_MAX - 1].seq + 1;
            } else {
                to = entries[HISTORY_PAGE_MAX].seq - 1;
            }
            entries.retain(|entry| (from..=to).contains(&entry.seq));
        }
        Some(Page {
            extent: self.extent.raised_to(to),
            from,
            to,
            entries,
            offline: true,
        })
    }

    /// The state that a session starts from.
    pub(crate) fn persisted(&self, room: RoomId) -> PersistedRoom {
        let last = self.entries.last_key_value();
        PersistedRoom {
            position: Position {
                room,
                seq: last.map_or(0, |(seq, _)| *seq),
                id: last.map(|(_, entry)| entry.id),
            },
            epoch: self.epoch,
            extent: self.extent,
            folded: self.folded,
            marker: self.marker,
            preferences: self.preferences,
            held: self.held(room),
            active: last.map(|(_, entry)| entry.time),
        }
    }

    /// The latest range, as far as it is above the marker.
    fn held(&self, room: RoomId) -> Option<EntryRange> {
        let (first, to) = *self.ranges.last()?;
        let from = first.max(self.marker.seq + 1);
        let entries = (from <= to).then(|| self.entries.range(from..=to))?;
        Some(EntryRange {
            room,
            epoch: self.epoch,
            from,
            to,
            entries: entries.map(|(_, entry)| entry.clone()).collect(),
        })
    }

    /// The number of the last entry.
    pub(crate) fn last(&self) -> Option<u64> {
        self.entries.last_key_value().map(|(seq, _)| *seq)
    }

    /// The entries that a screen shows before the server answers.
    pub(crate) fn shown(&self) -> Vec<Entry> {
        let first = self.ranges.last().map_or(0, |(first, _)| *first);
        let last = self.entries.range(first..).map(|(_, entry)| entry);
        last.filter(|entry| entry.is_shown()).cloned().collect()
    }

    /// Checks that each entry stands as the log has it, if the log still has it.
    pub(crate) fn settled(&self, truth: &Truth) -> Result<(), Fault> {
        for entry in self.entries.values() {
            if entry.seq >= truth.first(self.epoch, entry.room) {
                truth.check_now(self.epoch, entry)?;
            }
        }
        Ok(())
    }

    /// Checks that a question for the changes since `folded` brings its entries up to date, if the
    /// log still has them: an edit of an evicted message comes without its text.
    pub(crate) fn check_folded(&self, truth: &Truth) -> Result<(), Fault> {
        let held = |entry: &&Entry| entry.seq >= truth.first(self.epoch, entry.room);
        let mut entries = self.entries.values().filter(held);
        entries.try_for_each(|entry| truth.check_folded(self.epoch, entry, self.folded))
    }

    /// Whether it has a text that begins with this word.
    pub(crate) fn holds(&self, word: &str) -> bool {
        let mut texts = self.entries.values().filter_map(|entry| match &entry.kind {
            EntryKind::Text(text) => Some(&text.body),
            EntryKind::Edit { body, .. } => body.as_ref(),
            EntryKind::Redaction { .. }
            | EntryKind::Tombstone(_)
            | EntryKind::Event(_)
            | EntryKind::Unknown(_) => None,
        });
        texts.any(|body| body.as_str().split(' ').next() == Some(word))
    }
}

/// Brings an entry up to date by what another one says of it.
fn tell(entry: &mut Entry, by: &Entry, mutant: Option<Mutant>) {
    if by.seq == entry.seq {
        if by.id == entry.id {
            fold::merge(entry, by);
        }
        return;
    }
    if by.target() == Some(entry.id) {
        fold::apply(entry, by);
        if let (
            EntryKind::Text(text),
            EntryKind::Edit {
                body: Some(body), ..
            },
        ) = (&mut entry.kind, &by.kind)
            && mutant == Some(Mutant::FoldsAsItComes)
        {
            text.body = body.clone();
            text.edited = Some(by.seq);
        }
    }
    let seq = entry.seq;
    if let EntryKind::Edit {
        target,
        body,
        mentions,
    } = &mut entry.kind
    {
        let outdated = match &by.kind {
            EntryKind::Tombstone(_) => by.id == *target,
            EntryKind::Text(text) => by.id == *target && text.edited > Some(seq),
            EntryKind::Edit { target: other, .. } => target == other && by.seq > seq,
            EntryKind::Redaction { target: other, .. } => target == other,
            EntryKind::Event(_) | EntryKind::Unknown(_) => false,
        };
        if outdated {
            *body = None;
            *mentions = Mentions::NONE;
        }
    }
}
