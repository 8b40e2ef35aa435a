//! Changes that wait to be saved, other than the outbox's, and the result of the last save.

use std::time::Duration;

use super::persist_types::{ChangedEntries, EntryRange, Save, StoreChange};
use crate::protocol::{Entry, Epoch, RoomId, frame::RoomStart, limits::TEXT_BYTES_MAX};

/// Bytes of entries that wait to be saved. Beyond, the oldest are dropped, and requested from the
/// server when needed.
pub(super) const UNSAVED_BYTES_MAX: usize = 512 * TEXT_BYTES_MAX;
/// The wait after a failed save, doubled with each further failure, up to the longest.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
/// Texts for the input's history that wait to be saved; beyond, the oldest are dropped.
const TYPED_WAITING_MAX: usize = 64;

/// The buffer; see the module's docs.
#[derive(Debug, Default)]
pub(super) struct WriteBuffer {
    waiting: Vec<StoreChange>,
    /// Bytes of its entries.
    bytes: usize,
    /// The changes in the current save, without the outbox's and new entries: they are saved again
    /// if it fails.
    under_way: Option<Vec<StoreChange>>,
    failures: u32,
    retry_at: Option<Duration>,
}

impl WriteBuffer {
    /// Whether a save is in progress.
    pub(super) fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether a change waits.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// When to retry after a failure.
    pub(super) fn retry_at(&self) -> Option<Duration> {
        self.retry_at
    }

    /// Adds an update of a room.
    pub(super) fn opened(&mut self, epoch: Epoch, mut start: RoomStart, folded: u64) {
        let ours = |change: &StoreChange| match change {
            StoreChange::Entries(run) => run.room == start.room,
            StoreChange::Changed(changed) => changed.room == start.room,
            StoreChange::Room { start: other, .. } => other.room == start.room,
            _ => false,
        };
        let last = self.waiting.iter().rposition(ours);
        // Replaces the last update of the room if no messages came in between.
        if let Some(at) = last
            && let StoreChange::Room { start: before, .. } = &self.waiting[at]
        {
            start.reset = start.reset.or(before.reset);
            self.waiting.remove(at);
        }
        self.waiting.push(StoreChange::Room {
            epoch,
            start,
            folded,
        });
    }

    /// Adds the removal of a room. Nothing that waits of it is saved.
    pub(super) fn left(&mut self, room: RoomId) {
        let is_of = |change: &StoreChange| match change {
            StoreChange::Entries(run) => run.room == room,
            StoreChange::Changed(changed) => changed.room == room,
            StoreChange::Room { start, .. } => start.room == room,
            StoreChange::Read { room: of, .. }
            | StoreChange::RoomInfo { room: of, .. }
            | StoreChange::Draft { room: of, .. }
            | StoreChange::RoomLeft(of) => *of == room,
            StoreChange::Entry(_)
            | StoreChange::Remove(_)
            | StoreChange::TakeBack(_)
            | StoreChange::NextCounter(_)
            | StoreChange::Settled { .. }
            | StoreChange::Submit { .. }
            | StoreChange::Typed(_)
            | StoreChange::Erased(_)
            | StoreChange::User(_) => false,
        };
        self.waiting.retain(|change| !is_of(change));
        let waiting = self.waiting.iter();
        self.bytes = waiting.map(|change| bytes(entries_of(change))).sum();
        self.waiting.push(StoreChange::RoomLeft(room));
    }

    /// Adds a message.
    pub(super) fn message(&mut self, epoch: Epoch, message: &Entry) {
        self.bytes += message.bytes();
        let ours = |change: &StoreChange| match change {
            StoreChange::Entries(run) => run.room == message.room,
            StoreChange::Changed(changed) => changed.room == message.room,
            StoreChange::Room { start, .. } => start.room == message.room,
            _ => false,
        };
        let at = self.waiting.iter().rposition(ours);
        let follows = |run: &&mut EntryRange| run.epoch == epoch && run.to + 1 == message.seq;
        let run = at.and_then(|at| match &mut self.waiting[at] {
            StoreChange::Entries(run) => Some(run).filter(follows),
            _ => None,
        });
        match run {
            Some(run) => {
                run.to = message.seq;
                run.entries.push(message.clone());
            }
            None => self.waiting.push(StoreChange::Entries(EntryRange::of(
                message.room,
                epoch,
                vec![message.clone()],
            ))),
        }
        self.keep_within();
    }

    /// Adds a page of a room's log.
    pub(super) fn page(&mut self, run: EntryRange) {
        if run.from <= run.to {
            self.bytes += bytes(&run.entries);
            self.waiting.push(StoreChange::Entries(run));
            self.keep_within();
        }
    }

    /// Adds entries that later ones have changed.
    pub(super) fn changed(&mut self, changed: ChangedEntries) {
        self.bytes += bytes(&changed.entries);
        self.waiting.push(StoreChange::Changed(changed));
        self.keep_within();
    }

    fn keep_within(&mut self) {
        while self.bytes > UNSAVED_BYTES_MAX {
            let entries = |change: &StoreChange| !entries_of(change).is_empty();
            let Some(at) = self.waiting.iter().position(entries) else {
                return;
            };
            let StoreChange::Entries(run) = &mut self.waiting[at] else {
                // The store asks for them again, since the next ones do not go on from what it has.
                let dropped = self.waiting.remove(at);
                self.bytes -= bytes(entries_of(&dropped));
                continue;
            };
            let half = run.entries.len().div_ceil(2);
            let dropped: Vec<_> = run.entries.drain(..half).collect();
            self.bytes -= bytes(&dropped);
            match run.entries.first() {
                Some(first) => run.from = first.seq,
                None => drop(self.waiting.remove(at)),
            }
        }
    }

    /// Adds a change of which only the latest counts, or, of sent texts, the latest few.
    pub(super) fn put(&mut self, change: StoreChange) {
        let typed = |change: &StoreChange| matches!(change, StoreChange::Typed(_));
        let old = if typed(&change) {
            let count = self.waiting.iter().filter(|change| typed(change)).count();
            let first = self.waiting.iter().position(typed);
            first.filter(|_| count >= TYPED_WAITING_MAX)
        } else {
            self.waiting.iter().position(|old| replaces(&change, old))
        };
        if let Some(old) = old {
            self.waiting.remove(old);
        }
        self.waiting.push(change);
    }

    /// Composes a save of the waiting changes and these, unless there are none. Without the lease
    /// it takes no change that needs it: such a save would be carried out in part.
    pub(super) fn start(&mut self, mut changes: Vec<StoreChange>, leased: bool) -> Option<Save> {
        self.bytes = 0;
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|change| leased || !change.is_fenced());
        let again = waiting.iter().filter_map(again).collect();
        changes.extend(waiting);
        if changes.is_empty() {
            return None;
        }
        self.under_way = Some(again);
        Some(Save { changes })
    }

    /// Records a completed save.
    pub(super) fn saved(&mut self) {
        self.under_way = None;
        self.failures = 0;
        self.retry_at = None;
    }

    /// Records a failed save; returns whether it is the first in a row.
    pub(super) fn failed(&mut self, now: Duration) -> bool {
        let again = self.under_way.take().unwrap_or_default();
        let later = std::mem::replace(&mut self.waiting, again);
        for change in later {
            match change {
                change @ (StoreChange::Read { .. }
                | StoreChange::RoomInfo { .. }
                | StoreChange::Draft { .. }
                | StoreChange::Typed(_)) => {
                    self.put(change);
                }
                StoreChange::Room {
                    epoch,
                    start,
                    folded,
                } => self.opened(epoch, start, folded),
                change => self.waiting.push(change),
            }
        }
        let waiting = self.waiting.iter();
        self.bytes = waiting.map(|change| bytes(entries_of(change))).sum();
        self.keep_within();
        let wait = RETRY_AFTER.saturating_mul(1 << self.failures.min(16));
        self.retry_at = Some(now + wait.min(RETRY_AFTER_MAX));
        self.failures += 1;
        self.failures == 1
    }
}

/// What is left of a change to be saved again if its save fails. New entries need not be: they are
/// requested from the server when needed. But what they change must not stay as it was on the disk.
fn again(change: &StoreChange) -> Option<StoreChange> {
    let StoreChange::Entries(run) = change else {
        return Some(change.clone());
    };
    let entries = run.entries.iter().filter(|entry| entry.target().is_some());
    let entries: Vec<_> = entries.cloned().collect();
    (!entries.is_empty()).then_some(StoreChange::Changed(ChangedEntries {
        room: run.room,
        epoch: run.epoch,
        entries,
        // With the others missing, nothing is known to be folded.
        since: u64::MAX,
        folded: 0,
    }))
}

fn replaces(new: &StoreChange, old: &StoreChange) -> bool {
    match (new, old) {
        (StoreChange::Read { room, .. }, StoreChange::Read { room: old, .. })
        | (StoreChange::RoomInfo { room, .. }, StoreChange::RoomInfo { room: old, .. })
        | (StoreChange::Draft { room, .. }, StoreChange::Draft { room: old, .. }) => room == old,
        _ => false,
    }
}

/// The entries of a room's log in a change.
fn entries_of(change: &StoreChange) -> &[Entry] {
    match change {
        StoreChange::Entries(run) => &run.entries,
        StoreChange::Changed(changed) => &changed.entries,
        _ => &[],
    }
}

fn bytes(entries: &[Entry]) -> usize {
    entries.iter().map(Entry::bytes).sum()
}
