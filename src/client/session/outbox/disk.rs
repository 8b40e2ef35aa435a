//! The outbox's state on disk: composes its saves, handles their results, and loads earlier state.

use std::collections::HashMap;

use super::{OUTBOX_BYTES_MAX, OUTBOX_MESSAGES_MAX, Outbox, QueuedEntry};
use crate::{
    client::{
        event::{Delivery, LocalId, OutboxMessage},
        session::persist_types::{ADOPTED_MAX, OutboxEntry, PersistedOutbox, StoreChange},
    },
    protocol::limits::TEXT_BYTES_MAX,
    text::Line,
};

/// The part of the current save that concerns the outbox.
#[derive(Debug)]
pub(super) struct SaveInFlight {
    /// The keys of the entries in it, in order.
    keys: Vec<u64>,
    /// Keys of those that were not on disk before.
    fresh: Vec<u64>,
    /// Keys of the entries that it removes.
    gone: Vec<(u64, bool)>,
    /// The outcomes that it reports to other runs.
    outcomes: Vec<(u64, Delivery)>,
    /// The next counter before the save.
    next_counter: u64,
    /// Whether it submits the entries to another process.
    submits: bool,
}

/// The entries known before loading the disk's state, by number and by key.
struct KnownEntries {
    by_local: HashMap<LocalId, QueuedEntry>,
    by_key: HashMap<u64, LocalId>,
}

impl KnownEntries {
    fn new(entries: Vec<QueuedEntry>) -> Self {
        // Only this process knows a submitted entry by its key.
        let on_disk = entries.iter().filter(|entry| !entry.submitted);
        Self {
            by_key: on_disk.map(|entry| (entry.kept.key, entry.local)).collect(),
            by_local: entries.into_iter().map(|e| (e.local, e)).collect(),
        }
    }

    fn take(&mut self, kept: &OutboxEntry) -> Option<QueuedEntry> {
        let by_number = kept.number.map(LocalId);
        let by_number = by_number.filter(|local| self.by_local.contains_key(local));
        let local = by_number.or_else(|| self.by_key.get(&kept.key).copied())?;
        self.by_local.remove(&local)
    }
}

impl Outbox {
    /// Loads the outbox of earlier runs; everything in it is news to the user.
    pub(in crate::client::session) fn resume(
        &mut self,
        kept: PersistedOutbox,
    ) -> Vec<OutboxMessage> {
        self.take(kept, Self::new_local)
    }

    /// Replaces the known entries by those on disk. Returns the news to the user.
    pub(in crate::client::session) fn load(&mut self, kept: PersistedOutbox) -> Vec<OutboxMessage> {
        self.take(kept, Self::new_local_of_others)
    }

    fn take(
        &mut self,
        kept: PersistedOutbox,
        new_local: impl Fn(&mut Self) -> LocalId,
    ) -> Vec<OutboxMessage> {
        self.close();
        self.dirty.clear();
        self.outcomes.clear();
        self.others.clear();
        let gone = std::mem::take(&mut self.gone);
        self.flight = None;
        self.bytes = 0;
        self.next_counter = kept.next_counter.max(self.settled + 1);
        self.next_key = kept.next_key.max(self.next_key);
        let unsure: Vec<u64> = self
            .taking_back
            .iter()
            .map(|entry| entry.kept.key)
            .collect();
        let all = self.entries.drain(..).chain(self.refused.drain(..));
        let all = all
            .chain(self.taking_back.drain(..))
            .chain(self.not_taken_back.drain(..));
        let (known, unsaved): (Vec<_>, Vec<_>) = all.partition(|entry| entry.known);
        let mut ours = KnownEntries::new(known);
        let mut news = Vec::new();
        for kept in kept.entries {
            let was = ours.take(&kept);
            let counter = kept.counter.unwrap_or(0);
            self.next_key = self.next_key.max(kept.key + 1);
            self.next_counter = self.next_counter.max(counter + 1);
            // Settled here, which is not saved yet: the user was told, and it stays so.
            if was.is_none()
                && let Some(by_user) = gone.get(&kept.key)
            {
                self.gone.insert(kept.key, *by_user);
                continue;
            }
            let local = match (&was, kept.number) {
                (Some(was), _) => was.local,
                (None, Some(number)) => LocalId(number),
                (None, None) => new_local(self),
            };
            let mut entry = QueuedEntry::restored(local, kept);
            self.note_origin(&entry);
            entry.counted |= was.as_ref().is_some_and(|was| was.counted);
            let delivery = entry.delivery();
            let same =
                |was: QueuedEntry| was.delivery() == delivery && !unsure.contains(&was.kept.key);
            if !was.is_some_and(same) {
                news.push(entry.news(delivery));
            }
            self.put_back(entry);
        }
        // An entry that turned out to be on disk keeps its place.
        let placed = |local: LocalId, outbox: &Self| {
            let mut all = outbox.entries.iter().chain(&outbox.refused);
            all.any(|entry| entry.local == local)
        };
        for mut entry in unsaved {
            if entry.kept.failed.is_some() && placed(entry.local, self) {
                continue;
            }
            entry.kept.key = self.new_key();
            entry.kept.counter = None;
            self.dirty.insert(entry.kept.key);
            self.put_back(entry);
        }
        // Entries that another process settled meanwhile: the log shows whether they were sent.
        let rest = ours.by_local.into_values();
        let mut settled: Vec<QueuedEntry> =
            rest.filter(|entry| entry.kept.failed.is_none()).collect();
        settled.sort_by_key(|entry| entry.kept.key);
        let elsewhere = |entry: QueuedEntry| entry.news(Delivery::SettledElsewhere);
        news.extend(settled.into_iter().map(elsewhere));
        news
    }

    /// Records an entry that another run typed, so that its outcome is reported to that run.
    fn note_origin(&mut self, entry: &QueuedEntry) {
        if !entry.is_own() {
            self.others.insert(entry.local, entry.kept.key);
        }
    }

    /// Records an outcome, which the user is told, for the run that typed the message, if that is
    /// another.
    pub(in crate::client::session) fn note_for_others(
        &mut self,
        local: LocalId,
        delivery: &Delivery,
    ) {
        let Some(key) = self.others.get(&local) else {
            return;
        };
        match delivery {
            Delivery::Pending | Delivery::SettledElsewhere => {}
            Delivery::Failed { .. } | Delivery::Unconfirmed => {
                self.outcomes.insert(*key, delivery.clone());
            }
            Delivery::Sent { .. } | Delivery::Withdrawn | Delivery::Unchanged => {
                self.outcomes.insert(*key, delivery.clone());
                self.others.remove(&local);
            }
        }
    }

    /// Whether messages submitted by other processes can be taken over now: there is room, and
    /// everything typed here before is on disk.
    pub(in crate::client::session) fn can_adopt(&self) -> bool {
        let messages = usize::try_from(ADOPTED_MAX).unwrap_or(usize::MAX);
        !self.adopting
            && !self.is_urgent()
            && self.entries.len() + messages <= OUTBOX_MESSAGES_MAX
            && self.bytes + messages * TEXT_BYTES_MAX <= OUTBOX_BYTES_MAX
    }

    /// Reserves keys for the messages to be taken over, and returns the lowest.
    pub(in crate::client::session) fn begin_adopting(&mut self) -> u64 {
        self.adopting = true;
        let key = self.next_key;
        self.next_key += ADOPTED_MAX;
        key
    }

    /// Whether that query is outstanding. Nothing is saved meanwhile.
    pub(in crate::client::session) fn is_adopting(&self) -> bool {
        self.adopting
    }

    /// Takes over messages submitted by other processes, after those typed here before the query.
    /// Returns the news to the user.
    pub(in crate::client::session) fn adopt(
        &mut self,
        entries: Vec<OutboxEntry>,
    ) -> Vec<OutboxMessage> {
        self.adopting = false;
        let mut news = Vec::new();
        for kept in entries {
            let local = match kept.number {
                Some(number) => LocalId(number),
                None => self.new_local_of_others(),
            };
            self.next_key = self.next_key.max(kept.key + 1);
            let entry = QueuedEntry::restored(local, kept);
            self.note_origin(&entry);
            news.push(entry.news(Delivery::Pending));
            self.bytes += entry.kept.content.bytes();
            let at = self
                .entries
                .partition_point(|other| other.kept.key < entry.kept.key);
            self.entries.insert(at, entry);
        }
        news
    }

    /// Composes a save that submits unsaved messages to the process that has the outbox. As
    /// [`Self::changes`].
    pub(in crate::client::session) fn submissions(&mut self) -> Vec<StoreChange> {
        let mut changes = Vec::new();
        let mut keys = Vec::new();
        for entry in self.entries.iter().filter(|entry| !entry.known) {
            keys.push(entry.kept.key);
            changes.push(StoreChange::Submit {
                number: entry.local.0,
                room: entry.kept.room,
                enter: entry.kept.enter.clone(),
                content: entry.kept.content.clone(),
            });
        }
        for key in &keys {
            self.dirty.remove(key);
        }
        self.flight = Some(SaveInFlight {
            fresh: keys.clone(),
            keys,
            gone: Vec::new(),
            outcomes: Vec::new(),
            next_counter: self.next_counter,
            submits: true,
        });
        changes
    }

    /// Whether outcomes of this run's messages are expected from another process.
    pub(in crate::client::session) fn is_watching(&self) -> bool {
        let watched =
            |entry: &QueuedEntry| entry.is_own() && entry.known && !entry.kept.unconfirmed;
        self.entries.iter().any(watched)
    }

    /// Handles the outcome of this run's message from another process. Returns the news, and
    /// whether the summary counts the message already; `None` if the outcome is known already.
    pub(in crate::client::session) fn settled_elsewhere(
        &mut self,
        local: LocalId,
        delivery: Delivery,
    ) -> Option<(OutboxMessage, bool)> {
        let at = self.entries.iter().position(|entry| entry.local == local)?;
        if delivery == Delivery::Unconfirmed {
            let entry = &mut self.entries[at];
            entry.kept.unconfirmed = true;
            let counted = std::mem::replace(&mut entry.counted, true);
            return Some((entry.news(delivery), counted));
        }
        let mut entry = self.remove(at)?;
        self.dirty.remove(&entry.kept.key);
        let news = (entry.news(delivery.clone()), entry.counted);
        match delivery {
            Delivery::Sent { seq: Some(seq) } => {
                if self.sent_elsewhere.len() >= super::ECHOES_MAX {
                    self.sent_elsewhere.pop_front();
                }
                self.sent_elsewhere.push_back((entry, seq));
            }
            Delivery::Failed { why } => {
                entry.kept.failed = Some(why);
                // It is on disk, but this process may not change it there.
                entry.known = false;
                self.refused.push_back(entry);
                if self.refused.len() > super::REFUSED_MAX {
                    self.refused.pop_front();
                }
            }
            _ => {}
        }
        Some(news)
    }

    /// Reclaims submitted messages: no other process has the outbox after all.
    pub(in crate::client::session) fn take_back_submissions(&mut self) {
        for entry in &mut self.entries {
            entry.submitted = false;
        }
    }

    fn put_back(&mut self, entry: QueuedEntry) {
        if entry.kept.failed.is_some() {
            self.refused.push_back(entry);
        } else {
            self.bytes += entry.kept.content.bytes();
            self.entries.push_back(entry);
        }
    }

    /// Marks an entry for removal from the disk.
    pub(super) fn forget(&mut self, entry: &QueuedEntry) {
        self.drop_entry(entry, false);
    }

    /// As [`Self::forget`]; `by_user`: whether the user alone decided it.
    pub(super) fn drop_entry(&mut self, entry: &QueuedEntry, by_user: bool) {
        self.dirty.remove(&entry.kept.key);
        let flies = |flight: &SaveInFlight| flight.keys.binary_search(&entry.kept.key).is_ok();
        if entry.known || self.flight.as_ref().is_some_and(flies) {
            self.gone.insert(entry.kept.key, by_user);
        }
    }

    /// Whether a message waits to be saved before the user sees it as pending.
    pub(in crate::client::session) fn is_urgent(&self) -> bool {
        // Entries that are not on disk are behind those that are.
        self.entries.back().is_some_and(|entry| !entry.known)
    }

    /// Whether an entry can be sent once it is saved.
    pub(in crate::client::session) fn has_unsaved(&self) -> bool {
        self.entries.back().is_some_and(|entry| !entry.reserved)
    }

    /// Whether there is anything to save; `number`: whether there is a server to send to.
    pub(in crate::client::session) fn wants_saving(&self, number: bool) -> bool {
        !self.dirty.is_empty()
            || !self.gone.is_empty()
            || !self.outcomes.is_empty()
            || number && self.has_unnumbered()
    }

    fn has_unnumbered(&self) -> bool {
        self.entries
            .back()
            .is_some_and(|entry| entry.kept.counter.is_none())
    }

    /// The changes to save now. No other save may be composed until this one is
    /// [saved](Self::saved) or [not](Self::not_saved).
    pub(in crate::client::session) fn changes(&mut self, number: bool) -> Vec<StoreChange> {
        let next_counter = self.next_counter;
        if number {
            let from = self.entries.partition_point(|e| e.kept.counter.is_some());
            for entry in self.entries.range_mut(from..) {
                entry.kept.counter = Some(self.next_counter);
                self.next_counter += 1;
                self.dirty.insert(entry.kept.key);
            }
        }
        let keys: Vec<u64> = std::mem::take(&mut self.dirty).into_iter().collect();
        let gone: Vec<(u64, bool)> = std::mem::take(&mut self.gone).into_iter().collect();
        let remove = |(key, by_user): &(u64, bool)| {
            if *by_user {
                StoreChange::TakeBack(*key)
            } else {
                StoreChange::Remove(*key)
            }
        };
        let outcomes: Vec<_> = std::mem::take(&mut self.outcomes).into_iter().collect();
        let settled = outcomes.iter().map(|(key, delivery)| StoreChange::Settled {
            key: *key,
            delivery: delivery.clone(),
        });
        let mut changes: Vec<StoreChange> = settled.chain(gone.iter().map(remove)).collect();
        let entries = keys.iter().filter_map(|key| self.at_key(*key));
        changes.extend(
            entries
                .clone()
                .map(|entry| StoreChange::Entry(entry.kept.clone())),
        );
        let fresh = entries
            .filter(|entry| !entry.known)
            .map(|entry| entry.kept.key);
        let fresh = fresh.collect();
        if self.next_counter != next_counter {
            changes.push(StoreChange::NextCounter(self.next_counter));
        }
        self.flight = Some(SaveInFlight {
            keys,
            fresh,
            gone,
            outcomes,
            next_counter,
            submits: false,
        });
        changes
    }

    fn at_key(&self, key: u64) -> Option<&QueuedEntry> {
        match self
            .entries
            .binary_search_by_key(&key, |entry| entry.kept.key)
        {
            Ok(at) => self.entries.get(at),
            Err(_) => self.refused.iter().find(|entry| entry.kept.key == key),
        }
    }

    /// Handles a completed save; returns the entries that are now pending or withdrawn.
    pub(in crate::client::session) fn saved(&mut self) -> Vec<OutboxMessage> {
        let mut news = Vec::new();
        let Some(flight) = self.flight.take() else {
            return news;
        };
        let went =
            |entry: &mut QueuedEntry| flight.gone.iter().any(|(key, _)| *key == entry.kept.key);
        let went = self.taking_back.extract_if(.., went);
        news.extend(went.map(|entry| entry.news(Delivery::Withdrawn)));
        for entry in &mut self.taking_back {
            entry.known |= flight.keys.contains(&entry.kept.key);
        }
        for key in flight.keys {
            if let Ok(at) = self
                .entries
                .binary_search_by_key(&key, |entry| entry.kept.key)
            {
                let entry = &mut self.entries[at];
                entry.reserved = entry.kept.counter.is_some();
                entry.submitted |= flight.submits;
                if !std::mem::replace(&mut entry.known, true) {
                    news.push(entry.news(Delivery::Pending));
                }
            } else if let Some(entry) = self.refused.iter_mut().find(|entry| entry.kept.key == key)
            {
                entry.known = true;
            }
        }
        news
    }

    /// Handles a failed save. Entries that are on disk in some form stay; the others are refused,
    /// and returned as news. Without a reason those stay too, to be [submitted](Self::submissions).
    pub(in crate::client::session) fn not_saved(
        &mut self,
        why: Option<&Line>,
    ) -> Vec<OutboxMessage> {
        let Some(flight) = self.flight.take() else {
            return Vec::new();
        };
        self.next_counter = flight.next_counter.max(self.settled + 1);
        self.gone.extend(flight.gone);
        for (key, delivery) in flight.outcomes {
            self.outcomes.entry(key).or_insert(delivery);
        }
        // Never removes an entry that was not on disk: there its key may be that of another
        // process's entry.
        for key in &flight.fresh {
            self.gone.remove(key);
        }
        let mut news = Vec::new();
        // These were never on disk.
        let never = self.taking_back.extract_if(.., |entry| !entry.known);
        news.extend(never.map(|entry| entry.news(Delivery::Withdrawn)));
        for key in flight.keys {
            let Ok(at) = self
                .entries
                .binary_search_by_key(&key, |entry| entry.kept.key)
            else {
                if self.at_key(key).is_some() {
                    self.dirty.insert(key);
                }
                continue;
            };
            let entry = &mut self.entries[at];
            if !entry.reserved {
                entry.kept.counter = None;
            }
            if entry.known || why.is_none() && !entry.kept.withdrawn {
                self.dirty.insert(key);
            } else if let Some(entry) = self.remove(at) {
                news.push(match why {
                    Some(why) if !entry.kept.withdrawn => self.keep_refused(entry, why.clone()),
                    _ => entry.news(Delivery::Withdrawn),
                });
            }
        }
        news
    }

    /// Returns withdrawn entries that another process still has, after it took the outbox.
    pub(in crate::client::session) fn not_taken_back(&mut self) -> Vec<OutboxMessage> {
        let flies = |key: u64| {
            let flight = self.flight.as_ref();
            flight.is_some_and(|flight| flight.gone.iter().any(|(gone, _)| *gone == key))
        };
        let left = self
            .taking_back
            .extract_if(.., |entry| !flies(entry.kept.key));
        let left: Vec<_> = left.collect();
        let pending = left.iter().map(|entry| entry.news(Delivery::Pending));
        let news = pending.collect();
        self.not_taken_back.extend(left);
        news
    }
}
