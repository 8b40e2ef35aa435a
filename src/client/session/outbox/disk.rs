//! What the disk has of the outbox: what is to be saved, what a save that is done or has failed
//! means, and what is there from before.

use std::collections::HashMap;

use super::{OUTBOX_BYTES_MAX, OUTBOX_MESSAGES_MAX, Outbox, OutboxEntry};
use crate::{
    client::{
        event::{Delivery, LocalId, RestoredMessage},
        session::persist_types::{ADOPTED_MAX, PersistedEntry, PersistedOutbox, StoreChange},
    },
    protocol::limits::TEXT_BYTES_MAX,
    text::Line,
};

/// What the save under way holds of the outbox.
#[derive(Debug)]
pub(super) struct SaveInFlight {
    /// The entries in it, in order.
    keys: Vec<u64>,
    /// Those of them that the disk did not have before.
    fresh: Vec<u64>,
    /// The entries that it removes.
    gone: Vec<(u64, bool)>,
    /// What it tells other runs of their entries.
    outcomes: Vec<(u64, Delivery)>,
    /// The next counter before it.
    next_counter: u64,
    /// Whether it hands the entries to another process.
    submits: bool,
}

/// The entries that were known before the disk said what it has now, to be found by both of their
/// names.
struct KnownEntries {
    by_local: HashMap<LocalId, OutboxEntry>,
    by_key: HashMap<u64, LocalId>,
}

impl KnownEntries {
    fn new(entries: Vec<OutboxEntry>) -> Self {
        // Only this process knows a submitted one by its key.
        let on_disk = entries.iter().filter(|entry| !entry.submitted);
        Self {
            by_key: on_disk.map(|entry| (entry.key, entry.local)).collect(),
            by_local: entries.into_iter().map(|e| (e.local, e)).collect(),
        }
    }

    fn take(&mut self, kept: &PersistedEntry) -> Option<OutboxEntry> {
        let by_number = kept.number.map(LocalId);
        let by_number = by_number.filter(|local| self.by_local.contains_key(local));
        let local = by_number.or_else(|| self.by_key.get(&kept.key).copied())?;
        self.by_local.remove(&local)
    }
}

impl Outbox {
    /// Takes over what earlier runs have left: all of it is news to the user.
    pub(in crate::client::session) fn resume(
        &mut self,
        kept: PersistedOutbox,
    ) -> Vec<RestoredMessage> {
        self.take(kept, Self::new_local)
    }

    /// Takes over what the disk has, in place of all that was known of it. Gives what is news to
    /// the user.
    pub(in crate::client::session) fn load(
        &mut self,
        kept: PersistedOutbox,
    ) -> Vec<RestoredMessage> {
        self.take(kept, Self::new_local_of_others)
    }

    fn take(
        &mut self,
        kept: PersistedOutbox,
        new_local: impl Fn(&mut Self) -> LocalId,
    ) -> Vec<RestoredMessage> {
        self.close();
        self.dirty.clear();
        self.outcomes.clear();
        self.others.clear();
        let gone = std::mem::take(&mut self.gone);
        self.flight = None;
        self.bytes = 0;
        self.next_counter = kept.next_counter.max(self.settled + 1);
        self.next_key = kept.next_key.max(self.next_key);
        let unsure: Vec<u64> = self.taking_back.iter().map(|entry| entry.key).collect();
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
            // Done with here, which the disk has not heard of: its user was told, and it stays so.
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
            let mut entry = OutboxEntry::kept(local, kept);
            self.note_origin(&entry);
            entry.counted |= was.as_ref().is_some_and(|was| was.counted);
            let delivery = entry.delivery();
            let same = |was: OutboxEntry| was.delivery() == delivery && !unsure.contains(&was.key);
            if !was.is_some_and(same) {
                news.push(entry.news(delivery));
            }
            self.put_back(entry);
        }
        // Where the disk turned out to have it all the same, it has its place.
        let placed = |local: LocalId, outbox: &Self| {
            let mut all = outbox.entries.iter().chain(&outbox.refused);
            all.any(|entry| entry.local == local)
        };
        for mut entry in unsaved {
            if entry.failed.is_some() && placed(entry.local, self) {
                continue;
            }
            entry.key = self.new_key();
            entry.counter = None;
            self.dirty.insert(entry.key);
            self.put_back(entry);
        }
        // What another process has dealt with meanwhile: whether it was sent is for the log to say.
        let rest = ours.by_local.into_values();
        let mut settled: Vec<OutboxEntry> = rest.filter(|entry| entry.failed.is_none()).collect();
        settled.sort_by_key(|entry| entry.key);
        let elsewhere = |entry: OutboxEntry| entry.news(Delivery::SettledElsewhere);
        news.extend(settled.into_iter().map(elsewhere));
        news
    }

    /// Remembers an entry that another run typed, so that what becomes of it is told there.
    fn note_origin(&mut self, entry: &OutboxEntry) {
        if !entry.own {
            self.others.insert(entry.local, entry.key);
        }
    }

    /// The user is told what became of a message: so is the run that typed it, if that is another.
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
            Delivery::Sent { .. } | Delivery::Withdrawn => {
                self.outcomes.insert(*key, delivery.clone());
                self.others.remove(&local);
            }
        }
    }

    /// Whether what other processes have submitted can be taken over now: there is room, and all
    /// that was typed here before is on disk.
    pub(in crate::client::session) fn can_adopt(&self) -> bool {
        let messages = usize::try_from(ADOPTED_MAX).unwrap_or(usize::MAX);
        !self.adopting
            && !self.is_urgent()
            && self.entries.len() + messages <= OUTBOX_MESSAGES_MAX
            && self.bytes + messages * TEXT_BYTES_MAX <= OUTBOX_BYTES_MAX
    }

    /// Sets keys aside for what is to be taken over, and gives the lowest.
    pub(in crate::client::session) fn begin_adopting(&mut self) -> u64 {
        self.adopting = true;
        let key = self.next_key;
        self.next_key += ADOPTED_MAX;
        key
    }

    /// Whether the disk has yet to say what was taken over. Nothing is saved meanwhile.
    pub(in crate::client::session) fn is_adopting(&self) -> bool {
        self.adopting
    }

    /// Takes over what other processes have submitted, behind what was typed here before it was
    /// asked for; gives what is news to the user.
    pub(in crate::client::session) fn adopt(
        &mut self,
        entries: Vec<PersistedEntry>,
    ) -> Vec<RestoredMessage> {
        self.adopting = false;
        let mut news = Vec::new();
        for kept in entries {
            let local = match kept.number {
                Some(number) => LocalId(number),
                None => self.new_local_of_others(),
            };
            self.next_key = self.next_key.max(kept.key + 1);
            let entry = OutboxEntry::kept(local, kept);
            self.note_origin(&entry);
            news.push(entry.news(Delivery::Pending));
            self.bytes += entry.body.as_str().len();
            let at = self.entries.partition_point(|other| other.key < entry.key);
            self.entries.insert(at, entry);
        }
        news
    }

    /// Hands what is not on disk to the process that has the outbox. As [`Self::changes`].
    pub(in crate::client::session) fn submissions(&mut self) -> Vec<StoreChange> {
        let mut changes = Vec::new();
        let mut keys = Vec::new();
        for entry in self.entries.iter().filter(|entry| !entry.known) {
            keys.push(entry.key);
            changes.push(StoreChange::Submit {
                number: entry.local.0,
                room: entry.room.clone(),
                body: entry.body.clone(),
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

    /// Whether another process is to say what becomes of messages of this run.
    pub(in crate::client::session) fn is_watching(&self) -> bool {
        let watched = |entry: &OutboxEntry| entry.own && entry.known && !entry.basic;
        self.entries.iter().any(watched)
    }

    /// Another process says what became of a message of this run. Gives the news, and whether the
    /// farewell's figures have the message already; `None`: it is known, or nothing is open.
    pub(in crate::client::session) fn settled_elsewhere(
        &mut self,
        local: LocalId,
        delivery: Delivery,
    ) -> Option<(RestoredMessage, bool)> {
        let at = self.entries.iter().position(|entry| entry.local == local)?;
        if delivery == Delivery::Unconfirmed {
            let entry = &mut self.entries[at];
            entry.basic = true;
            let counted = std::mem::replace(&mut entry.counted, true);
            return Some((entry.news(delivery), counted));
        }
        let mut entry = self.remove(at)?;
        self.dirty.remove(&entry.key);
        let news = (entry.news(delivery.clone()), entry.counted);
        match delivery {
            Delivery::Sent { seq: Some(seq) } => {
                if self.sent_elsewhere.len() >= super::ECHOES_MAX {
                    self.sent_elsewhere.pop_front();
                }
                self.sent_elsewhere.push_back((entry, seq));
            }
            Delivery::Failed { why } => {
                entry.failed = Some(why);
                // The disk has it, but not as one that this process may change.
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

    /// Nobody else has the outbox after all: what was submitted is ours.
    pub(in crate::client::session) fn take_back_submissions(&mut self) {
        for entry in &mut self.entries {
            entry.submitted = false;
        }
    }

    fn put_back(&mut self, entry: OutboxEntry) {
        if entry.failed.is_some() {
            self.refused.push_back(entry);
        } else {
            self.bytes += entry.body.as_str().len();
            self.entries.push_back(entry);
        }
    }

    /// The disk need not have it any more.
    pub(super) fn forget(&mut self, entry: &OutboxEntry) {
        self.drop_entry(entry, false);
    }

    /// As [`Self::forget`], and whether only the user's wish says so.
    pub(super) fn drop_entry(&mut self, entry: &OutboxEntry, by_user: bool) {
        self.dirty.remove(&entry.key);
        let flies = |flight: &SaveInFlight| flight.keys.binary_search(&entry.key).is_ok();
        if entry.known || self.flight.as_ref().is_some_and(flies) {
            self.gone.insert(entry.key, by_user);
        }
    }

    /// Whether something waits to be saved that the user is to be told of.
    pub(in crate::client::session) fn is_urgent(&self) -> bool {
        // Who is not on disk at all stands behind those who are.
        self.entries.back().is_some_and(|entry| !entry.known)
    }

    /// Whether something could leave once it is saved.
    pub(in crate::client::session) fn has_unsaved(&self) -> bool {
        self.entries.back().is_some_and(|entry| !entry.reserved)
    }

    /// Whether there is anything to be saved; `number`: whether there is a server to send to.
    pub(in crate::client::session) fn wants_saving(&self, number: bool) -> bool {
        !self.dirty.is_empty()
            || !self.gone.is_empty()
            || !self.outcomes.is_empty()
            || number && self.has_unnumbered()
    }

    fn has_unnumbered(&self) -> bool {
        self.entries
            .back()
            .is_some_and(|entry| entry.counter.is_none())
    }

    /// What is to be saved now. Nothing else may be asked for until it is
    /// [saved](Self::saved) or [not](Self::not_saved).
    pub(in crate::client::session) fn changes(&mut self, number: bool) -> Vec<StoreChange> {
        let next_counter = self.next_counter;
        if number {
            let from = self.entries.partition_point(|e| e.counter.is_some());
            for entry in self.entries.range_mut(from..) {
                entry.counter = Some(self.next_counter);
                self.next_counter += 1;
                self.dirty.insert(entry.key);
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
                .map(|entry| StoreChange::Entry(entry.to_keep())),
        );
        let fresh = entries.filter(|entry| !entry.known).map(|entry| entry.key);
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

    fn at_key(&self, key: u64) -> Option<&OutboxEntry> {
        match self.entries.binary_search_by_key(&key, |entry| entry.key) {
            Ok(at) => self.entries.get(at),
            Err(_) => self.refused.iter().find(|entry| entry.key == key),
        }
    }

    /// What was to be saved is; gives what is pending from now on, and what is taken back.
    pub(in crate::client::session) fn saved(&mut self) -> Vec<RestoredMessage> {
        let mut news = Vec::new();
        let Some(flight) = self.flight.take() else {
            return news;
        };
        let went = |entry: &mut OutboxEntry| flight.gone.iter().any(|(key, _)| *key == entry.key);
        let went = self.taking_back.extract_if(.., went);
        news.extend(went.map(|entry| entry.news(Delivery::Withdrawn)));
        for entry in &mut self.taking_back {
            entry.known |= flight.keys.contains(&entry.key);
        }
        for key in flight.keys {
            if let Ok(at) = self.entries.binary_search_by_key(&key, |entry| entry.key) {
                let entry = &mut self.entries[at];
                entry.reserved = entry.counter.is_some();
                entry.submitted |= flight.submits;
                if !std::mem::replace(&mut entry.known, true) {
                    news.push(entry.news(Delivery::Pending));
                }
            } else if let Some(entry) = self.refused.iter_mut().find(|entry| entry.key == key) {
                entry.known = true;
            }
        }
        news
    }

    /// What was to be saved is not. What the disk has in some form stays; the rest is refused, and
    /// this tells so; without a reason it stays as well, to be [submitted](Self::submissions).
    pub(in crate::client::session) fn not_saved(
        &mut self,
        why: Option<&Line>,
    ) -> Vec<RestoredMessage> {
        let Some(flight) = self.flight.take() else {
            return Vec::new();
        };
        self.next_counter = flight.next_counter.max(self.settled + 1);
        self.gone.extend(flight.gone);
        for (key, delivery) in flight.outcomes {
            self.outcomes.entry(key).or_insert(delivery);
        }
        // Of what the disk never had nothing goes: by such a key it may know another process's.
        for key in &flight.fresh {
            self.gone.remove(key);
        }
        let mut news = Vec::new();
        // The disk never had these.
        let never = self.taking_back.extract_if(.., |entry| !entry.known);
        news.extend(never.map(|entry| entry.news(Delivery::Withdrawn)));
        for key in flight.keys {
            let Ok(at) = self.entries.binary_search_by_key(&key, |entry| entry.key) else {
                if self.at_key(key).is_some() {
                    self.dirty.insert(key);
                }
                continue;
            };
            let entry = &mut self.entries[at];
            if !entry.reserved {
                entry.counter = None;
            }
            if entry.known || why.is_none() && !entry.withdrawn {
                self.dirty.insert(key);
            } else if let Some(entry) = self.remove(at) {
                news.push(match why {
                    Some(why) if !entry.withdrawn => self.keep_refused(entry, why.clone()),
                    _ => entry.news(Delivery::Withdrawn),
                });
            }
        }
        news
    }

    /// Another process has the outbox: gives what the user took back and that one still has.
    pub(in crate::client::session) fn not_taken_back(&mut self) -> Vec<RestoredMessage> {
        let flies = |key: u64| {
            let flight = self.flight.as_ref();
            flight.is_some_and(|flight| flight.gone.iter().any(|(gone, _)| *gone == key))
        };
        let left = self.taking_back.extract_if(.., |entry| !flies(entry.key));
        let left: Vec<_> = left.collect();
        let pending = left.iter().map(|entry| entry.news(Delivery::Pending));
        let news = pending.collect();
        self.not_taken_back.extend(left);
        news
    }
}
