//! What the disk has of the outbox: what is to be saved, what a save that is done or has failed
//! means, and what is there from before.

use std::collections::HashMap;

use super::{Entry, Outbox};
use crate::{
    client::{
        event::{Delivery, RestoredMessage},
        session::kept::{Change, KeptOutbox},
    },
    text::Line,
};

/// What the save under way holds of the outbox.
#[derive(Debug)]
pub(super) struct Flight {
    /// The entries in it, in order.
    keys: Vec<u64>,
    /// Those of them that the disk did not have before.
    fresh: Vec<u64>,
    /// The entries that it removes.
    gone: Vec<(u64, bool)>,
    /// The next counter before it.
    next_counter: u64,
}

impl Outbox {
    /// Takes over what the disk has, in place of all that was known of it. Gives what is news to
    /// the user: at first, everything.
    pub(in crate::client::session) fn load(&mut self, kept: KeptOutbox) -> Vec<RestoredMessage> {
        self.close();
        self.dirty.clear();
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
        let mut ours: HashMap<u64, Entry> = known.into_iter().map(|e| (e.key, e)).collect();
        let mut news = Vec::new();
        for kept in kept.entries {
            let was = ours.remove(&kept.key);
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
            let local = match &was {
                Some(was) => was.local,
                None => self.new_local(),
            };
            let mut entry = Entry::kept(local, kept);
            entry.counted |= was.as_ref().is_some_and(|was| was.counted);
            let delivery = entry.delivery();
            let same = |was: Entry| was.delivery() == delivery && !unsure.contains(&was.key);
            if !was.is_some_and(same) {
                news.push(entry.news(delivery));
            }
            self.put_back(entry);
        }
        for mut entry in unsaved {
            entry.key = self.new_key();
            entry.counter = None;
            self.dirty.insert(entry.key);
            self.put_back(entry);
        }
        // What another process has dealt with meanwhile: whether it was sent is for the log to say.
        let mut settled: Vec<Entry> = ours.into_values().filter(|e| e.failed.is_none()).collect();
        settled.sort_by_key(|entry| entry.key);
        let elsewhere = |entry: Entry| entry.news(Delivery::SettledElsewhere);
        news.extend(settled.into_iter().map(elsewhere));
        news
    }

    fn put_back(&mut self, entry: Entry) {
        if entry.failed.is_some() {
            self.refused.push_back(entry);
        } else {
            self.bytes += entry.body.as_str().len();
            self.entries.push_back(entry);
        }
    }

    /// The disk need not have it any more.
    pub(super) fn forget(&mut self, entry: &Entry) {
        self.drop_entry(entry, false);
    }

    /// As [`Self::forget`], and whether only the user's wish says so.
    pub(super) fn drop_entry(&mut self, entry: &Entry, by_user: bool) {
        self.dirty.remove(&entry.key);
        let flies = |flight: &Flight| flight.keys.binary_search(&entry.key).is_ok();
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
        !self.dirty.is_empty() || !self.gone.is_empty() || number && self.has_unnumbered()
    }

    fn has_unnumbered(&self) -> bool {
        self.entries
            .back()
            .is_some_and(|entry| entry.counter.is_none())
    }

    /// What is to be saved now. Nothing else may be asked for until it is
    /// [saved](Self::saved) or [not](Self::not_saved).
    pub(in crate::client::session) fn changes(&mut self, number: bool) -> Vec<Change> {
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
                Change::TakeBack(*key)
            } else {
                Change::Remove(*key)
            }
        };
        let mut changes: Vec<Change> = gone.iter().map(remove).collect();
        let entries = keys.iter().filter_map(|key| self.at_key(*key));
        changes.extend(entries.clone().map(|entry| Change::Entry(entry.to_keep())));
        let fresh = entries.filter(|entry| !entry.known).map(|entry| entry.key);
        let fresh = fresh.collect();
        if self.next_counter != next_counter {
            changes.push(Change::NextCounter(self.next_counter));
        }
        self.flight = Some(Flight {
            keys,
            fresh,
            gone,
            next_counter,
        });
        changes
    }

    fn at_key(&self, key: u64) -> Option<&Entry> {
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
        let went = |entry: &mut Entry| flight.gone.iter().any(|(key, _)| *key == entry.key);
        let went = self.taking_back.extract_if(.., went);
        news.extend(went.map(|entry| entry.news(Delivery::Withdrawn)));
        for entry in &mut self.taking_back {
            entry.known |= flight.keys.contains(&entry.key);
        }
        for key in flight.keys {
            if let Ok(at) = self.entries.binary_search_by_key(&key, |entry| entry.key) {
                let entry = &mut self.entries[at];
                entry.reserved = entry.counter.is_some();
                if !std::mem::replace(&mut entry.known, true) {
                    news.push(entry.news(Delivery::Pending));
                }
            } else if let Some(entry) = self.refused.iter_mut().find(|entry| entry.key == key) {
                entry.known = true;
            }
        }
        news
    }

    /// What was to be saved is not. What the disk has in some form stays; the rest is refused,
    /// and this tells so.
    pub(in crate::client::session) fn not_saved(&mut self, why: &Line) -> Vec<RestoredMessage> {
        let Some(flight) = self.flight.take() else {
            return Vec::new();
        };
        self.next_counter = flight.next_counter.max(self.settled + 1);
        self.gone.extend(flight.gone);
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
            if entry.known {
                self.dirty.insert(key);
            } else if let Some(entry) = self.remove(at) {
                news.push(if entry.withdrawn {
                    entry.news(Delivery::Withdrawn)
                } else {
                    self.keep_refused(entry, why.clone())
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
