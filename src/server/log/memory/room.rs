//! One room of the log in memory.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    convert::Infallible,
};

use bytes::Bytes;
use jiff::Timestamp;

use crate::{
    protocol::{Entry, Extent, MessageId, frame::Part},
    search::times::{self, CORRECTIONS_MAX, stretches},
    server::log::{
        Changed, ChangedSince, Page, Retention, Segment, Standing, StoreError,
        plan::{Change, PlannedRoom, RoomState, without_text},
        segment::Tail,
        semantics::{ChangedScan, PageScan, decode_entry, first_young, span},
    },
};

#[derive(Debug)]
pub(super) struct Room {
    state: RoomState,
    log: Tail,
    /// The ids of the entries held, from `log.first()` on.
    ids: VecDeque<MessageId>,
    /// Their numbers.
    seqs: HashMap<MessageId, u64>,
    /// The numbers of held entries that are marked with a correction of the clock.
    marked: VecDeque<u64>,
    /// The numbers of held entries that have no place of their own.
    unshown: VecDeque<u64>,
    /// What was done to held entries.
    changes: BTreeMap<u64, Change>,
    /// The changed entries, by the number of the last entry that changed them.
    revs: BTreeSet<(u64, u64)>,
    /// The erased ones of them.
    erased: BTreeSet<(u64, u64)>,
}

impl Room {
    pub(super) fn new() -> Self {
        Self {
            state: RoomState::EMPTY,
            log: Tail::new(1),
            ids: VecDeque::new(),
            seqs: HashMap::new(),
            marked: VecDeque::new(),
            unshown: VecDeque::new(),
            changes: BTreeMap::new(),
            revs: BTreeSet::new(),
            erased: BTreeSet::new(),
        }
    }

    pub(super) fn state(&self) -> RoomState {
        self.state
    }

    pub(super) fn extent(&self) -> Extent {
        self.state.extent
    }

    pub(super) fn standing(&self) -> Standing {
        Standing {
            extent: self.state.extent,
            revised: self.state.revised,
        }
    }

    /// The latest entry's time.
    pub(super) fn last_time(&self) -> Option<Timestamp> {
        self.state.last_time
    }

    /// The memory that its log takes.
    pub(super) fn cost_bytes(&self) -> usize {
        self.log.cost_bytes()
    }

    pub(super) fn frame(&self, seq: u64) -> Option<&[u8]> {
        self.log.frame(seq)
    }

    pub(super) fn entry(&self, seq: u64) -> Option<Entry> {
        decode_entry(self.log.frame(seq)?)
    }

    pub(super) fn find(&self, id: MessageId) -> Option<Entry> {
        self.entry(*self.seqs.get(&id)?)
    }

    pub(super) fn id_at(&self, seq: u64) -> Option<MessageId> {
        let index = usize::try_from(seq.checked_sub(self.log.first())?).ok()?;
        self.ids.get(index).copied()
    }

    pub(super) fn copy(&self, from: u64, bytes_max: usize) -> Segment {
        self.log.copy(from, bytes_max)
    }

    /// Takes what a batch adds to it.
    pub(super) fn take(&mut self, planned: PlannedRoom) {
        self.state = planned.state;
        for entry in planned.entries {
            if entry.clock_was.is_some() {
                self.marked.push_back(entry.seq);
            }
            if !entry.shown {
                self.unshown.push_back(entry.seq);
            }
            self.ids.push_back(entry.id);
            self.seqs.insert(entry.id, entry.seq);
        }
        self.log.push(planned.run);
    }

    /// Replaces an entry's frame.
    pub(super) fn replace(&mut self, seq: u64, frame: &[u8]) {
        self.log.replace(seq, frame);
    }

    /// Notes what was done to an entry.
    pub(super) fn note(&mut self, seq: u64, change: Change) {
        self.forget_change(seq);
        self.changes.insert(seq, change);
        self.revs.insert((change.rev, seq));
        if change.redacted.is_some() {
            self.erased.insert((change.rev, seq));
        }
    }

    fn forget_change(&mut self, seq: u64) -> Option<Change> {
        let change = self.changes.remove(&seq)?;
        self.revs.remove(&(change.rev, seq));
        self.erased.remove(&(change.rev, seq));
        Some(change)
    }

    /// Brings a copy of its latest segment up to date.
    pub(super) fn refresh(&self, segment: &mut Segment) {
        let held = self.log.copy(segment.first(), usize::MAX);
        if held.first() == segment.first() {
            *segment = held;
        }
    }

    /// Drops the oldest segment. Edits of the entries in it lose their texts: returns the frames of
    /// those that are still held.
    pub(super) fn drop_oldest(&mut self) -> Vec<(u64, Bytes)> {
        let before = self.log.first();
        self.log.drop_oldest();
        let first = self.log.first();
        for seq in before..first {
            // A device that was forgotten may have used an id again.
            if let Some(id) = self.ids.pop_front()
                && self.seqs.get(&id) == Some(&seq)
            {
                self.seqs.remove(&id);
            }
        }
        while self.marked.pop_front_if(|seq| *seq < first).is_some() {}
        while self.unshown.pop_front_if(|seq| *seq < first).is_some() {}
        self.state.extent.first = first;
        self.state.unshown = self.unshown.len() as u64;
        let mut scrubbed = Vec::new();
        while let Some((&seq, _)) = self.changes.range(..first).next() {
            let edit = self.forget_change(seq).and_then(|change| change.edited);
            let frame = edit
                .and_then(|edit| self.entry(edit))
                .and_then(without_text);
            if let (Some(edit), Some(frame)) = (edit, frame) {
                self.log.replace(edit, &frame);
                scrubbed.push((edit, frame));
            }
        }
        scrubbed
    }

    /// The lowest number to be kept.
    pub(super) fn kept_from(&self, now: Timestamp, retention: Retention) -> u64 {
        let extent = self.state.extent;
        let by_number = retention.messages_max.map(|max| self.latest_shown(max));
        let by_age = retention.keep_since.and_then(|since| {
            let oldest: Vec<u64> = self
                .marked
                .iter()
                .copied()
                .take(CORRECTIONS_MAX - 1)
                .collect();
            let end = self.marked.get(oldest.len()).copied();
            let stretches = stretches(extent.first..end.unwrap_or(extent.next()), &oldest);
            let time_at = |seq| Ok::<_, Infallible>(self.time_at(seq));
            let Ok(young) = first_young(stretches, since, now, time_at);
            young
        });
        extent.first.max(by_number.max(by_age).unwrap_or(0))
    }

    /// The lowest number behind the oldest shown entries that are more than `messages_max`.
    fn latest_shown(&self, messages_max: u64) -> u64 {
        let excess = self.state.excess(messages_max);
        let mut to = self.state.extent.first + excess;
        if excess > 0 {
            for &unshown in &self.unshown {
                if unshown >= to {
                    break;
                }
                to += 1;
            }
        }
        to
    }

    fn time_at(&self, seq: u64) -> Timestamp {
        self.entry(seq).map_or(Timestamp::MIN, |entry| entry.time)
    }

    /// The first number of a page since this time.
    fn since(&self, time: Timestamp) -> u64 {
        let extent = self.state.extent;
        let skipped = self.marked.len().saturating_sub(CORRECTIONS_MAX);
        let latest: Vec<u64> = self.marked.iter().copied().skip(skipped).collect();
        let stretches = stretches(extent.numbers(), &latest);
        let time_at = |seq| Ok::<_, Infallible>(self.time_at(seq));
        let Ok(found) = times::since(stretches, time, time_at);
        found.unwrap_or(extent.next())
    }

    pub(super) fn page(&self, part: Part) -> Result<Page, StoreError> {
        let extent = self.state.extent;
        let ((from, to), ends) = span(extent, part, |time| Ok(self.since(time)))?;
        let mut page = PageScan::new(extent, (from, to), ends);
        let mut take = |seq| {
            let carried = self.unshown.binary_search(&seq).is_err()
                || self.marked.binary_search(&seq).is_ok();
            self.log
                .frame(seq)
                .is_some_and(|frame| page.take(carried, frame))
        };
        if ends {
            let _ = (from..=to).rev().all(&mut take);
        } else {
            let _ = (from..=to).all(&mut take);
        }
        Ok(page.finish())
    }

    pub(super) fn changed(&self, wanted: ChangedSince) -> Result<Changed, StoreError> {
        let mut page = ChangedScan::new(self.state.extent, wanted);
        let revs = if wanted.erased {
            &self.erased
        } else {
            &self.revs
        };
        for &(rev, seq) in revs.range((wanted.since.saturating_add(1), 0)..) {
            let frame = || {
                let frame = self.log.frame(seq).unwrap_or_default();
                Ok(Bytes::copy_from_slice(frame))
            };
            if !page.take(rev, seq, frame)? {
                break;
            }
        }
        Ok(page.finish())
    }
}
