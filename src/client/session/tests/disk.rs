//! A fake disk for one session: records the saves in order, and answers queries.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    client::{
        event::{Page, SearchPage},
        session::persist_types::{
            CacheQuery, CacheQueryId, CacheResult, LeaseClaim, LeaseStatus, OutboxEntry,
            PersistedOutbox, PersistedRoom, PersistedState, Save, SaveError, StoreChange,
        },
    },
    protocol::{RoomId, frame::Position},
    text::Line,
};

/// The fake disk; see the module's docs.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// All saves, in order.
    pub(super) saves: Vec<Save>,
    /// Unanswered saves, if the disk does not answer at once.
    pub(super) slow: Option<VecDeque<Save>>,
    /// Unanswered queries, if the disk does not answer them at once.
    pub(super) queries: Option<Vec<(CacheQueryId, CacheQuery)>>,
    /// After this many saves it answers no more.
    pub(super) dies_after: Option<usize>,
    /// The stored page, for any query.
    pub(super) page: Option<Page>,
    /// The result of any search.
    pub(super) found: Option<SearchPage>,
    /// The outbox that another process has left to the next holder of the lease.
    pub(super) left: Option<PersistedOutbox>,
    /// The lease's status for a query that does not take it anyway.
    pub(super) leased: LeaseStatus,
    /// Whether the session yields to other processes, and whether it starts on standby.
    pub(super) yields: bool,
    pub(super) standby: bool,
    /// Messages that other processes have submitted.
    pub(super) submitted: Vec<OutboxEntry>,
}

impl Disk {
    /// Carries a save out, unless the disk is slow.
    pub(super) fn save(&mut self, save: Save) -> Option<Result<(), SaveError>> {
        if let Some(waiting) = &mut self.slow {
            waiting.push_back(save);
            return None;
        }
        if self.dies_after.is_some_and(|max| self.saves.len() >= max) {
            return None;
        }
        self.saves.push(save);
        Some(Ok(()))
    }

    pub(super) fn look(&mut self, look: &CacheQuery) -> CacheResult {
        match look {
            CacheQuery::Page { .. } => CacheResult::Page(Ok(self.page.clone())),
            CacheQuery::Search { .. } => {
                let none = Line::inert("Nothing is kept");
                CacheResult::Found(self.found.clone().ok_or(none))
            }
            CacheQuery::Lease(LeaseClaim::Take) => CacheResult::Lease(Ok(LeaseStatus {
                ours: true,
                outbox: self.left.clone(),
                ..LeaseStatus::default()
            })),
            // Outcomes are reported once.
            CacheQuery::Lease(_) => CacheResult::Lease(Ok(std::mem::take(&mut self.leased))),
            CacheQuery::Adopt { key } => {
                let submitted = std::mem::take(&mut self.submitted);
                let entries = submitted.into_iter().zip(*key..);
                let entries = entries.map(|(entry, key)| OutboxEntry { key, ..entry });
                CacheResult::Adopted(Ok(Some(entries.collect())))
            }
        }
    }

    /// The numbers of all saved messages, in order.
    pub(super) fn kept_numbers(&self) -> Vec<u64> {
        let changes = self.saves.iter().flat_map(|save| &save.changes);
        let messages = changes.filter_map(|change| match change {
            StoreChange::Entries(run) => Some(run.entries.iter().map(|message| message.seq)),
            _ => None,
        });
        messages.flatten().collect()
    }

    /// The state that a session started now would start from.
    pub(super) fn kept(&self) -> PersistedState {
        let mut outbox = PersistedOutbox::default();
        let mut entries: BTreeMap<u64, OutboxEntry> = BTreeMap::new();
        let mut rooms: BTreeMap<RoomId, PersistedRoom> = BTreeMap::new();
        let mut known = None;
        for change in self.saves.iter().flat_map(|save| &save.changes) {
            match change {
                StoreChange::Entry(entry) => {
                    outbox.next_key = outbox.next_key.max(entry.key + 1);
                    entries.insert(entry.key, entry.clone());
                }
                StoreChange::Remove(key) | StoreChange::TakeBack(key) => drop(entries.remove(key)),
                StoreChange::NextCounter(next) => {
                    outbox.next_counter = outbox.next_counter.max(*next);
                }
                StoreChange::Room { epoch, start, .. } => {
                    let room = PersistedRoom {
                        position: Position {
                            room: start.room,
                            seq: 0,
                            id: None,
                        },
                        epoch: *epoch,
                        extent: start.extent,
                        folded: 0,
                        marker: start.read.marker,
                        preferences: start.read.preferences,
                        held: None,
                        active: None,
                    };
                    let known = rooms
                        .remove(&start.room)
                        .filter(|known| known.epoch == *epoch && start.reset.is_none());
                    let room = PersistedRoom {
                        marker: room.marker,
                        preferences: room.preferences,
                        ..known.unwrap_or(room)
                    };
                    rooms.insert(start.room, room);
                }
                StoreChange::RoomLeft(room) => drop(rooms.remove(room)),
                StoreChange::Read {
                    room,
                    marker,
                    preferences,
                    ..
                } => {
                    if let Some(room) = rooms.get_mut(room) {
                        room.marker.merge(*marker);
                        room.preferences = *preferences;
                    }
                }
                StoreChange::Entries(run) => {
                    if let Some(room) = rooms.get_mut(&run.room)
                        && let Some(last) = run.entries.last()
                        && last.seq > room.position.seq
                    {
                        room.position.seq = last.seq;
                        room.position.id = Some(last.id);
                    }
                }
                StoreChange::User(user) => known = Some(*user),
                StoreChange::Changed(changed) => {
                    if let Some(room) = rooms.get_mut(&changed.room) {
                        room.folded = room.folded.max(changed.folded);
                    }
                }
                StoreChange::RoomInfo { .. }
                | StoreChange::Draft { .. }
                | StoreChange::Typed(_)
                | StoreChange::Erased(_)
                | StoreChange::Settled { .. }
                | StoreChange::Submit { .. } => {}
            }
        }
        outbox.entries = entries.into_values().collect();
        PersistedState {
            outbox,
            rooms: rooms.into_values().collect(),
            user: known,
            standby: self.standby,
        }
    }
}
