//! What the index needs from a log, and the state that its thread and readers share.

use crate::{
    protocol::{Entry, Extent, RoomId, wire::parse_entry},
    server::log::{StoreError, segment::Segment},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::RangeInclusive,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The log, as the index reads it. It sees everything committed.
pub trait IndexedLog {
    /// The range of numbers that each room's log holds.
    fn extents(&mut self) -> Result<BTreeMap<RoomId, Extent>, StoreError>;

    /// The range of numbers that a room's log holds.
    fn extent(&mut self, room: RoomId) -> Result<Extent, StoreError>;

    /// The numbers of the entries that are marked with a clock correction, in order; at most the
    /// latest [`CORRECTIONS_MAX`](crate::search::times::CORRECTIONS_MAX).
    fn marked(&mut self, room: RoomId, extent: Extent) -> Result<Vec<u64>, StoreError>;

    /// Like [`LogReader::read`](crate::server::log::LogReader::read).
    fn read(&mut self, room: RoomId, from: u64, bytes_max: usize) -> Result<Segment, StoreError>;

    /// The entries that later entries of the same room have changed, with these numbers in `revs`:
    /// pairs of the later entry's number (the rev) and the changed entry's, in order of rev, at
    /// most `max`. An entry may be left out if a still later one has changed it again: it comes
    /// with that one's number.
    fn changed(
        &mut self,
        room: RoomId,
        revs: RangeInclusive<u64>,
        max: usize,
    ) -> Result<Vec<(u64, u64)>, StoreError>;
}

/// State shared by the thread, its owner and the readers.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// Notified when there is something to do.
    pub(super) woken: Condvar,
    /// Notified when something was done.
    pub(super) moved: Condvar,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) poked: bool,
    pub(super) stopped: bool,
    /// A reader found the file damaged.
    pub(super) damaged: bool,
    /// How often the file was created or opened: readers with an older generation open it again.
    pub(super) generation: u64,
    /// Rooms to be looked at.
    pub(super) news: BTreeSet<RoomId>,
    pub(super) rooms: HashMap<RoomId, RoomState>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoomState {
    /// The room's row number in the file; 0 while the file is not open.
    pub(super) id: i64,
    pub(super) indexed: u64,
    pub(super) first: u64,
    /// Entries below this are to be erased.
    pub(super) erase_below: u64,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                poked: true,
                stopped: false,
                damaged: false,
                generation: 0,
                news: BTreeSet::new(),
                rooms: HashMap::new(),
            }),
            woken: Condvar::new(),
            moved: Condvar::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // No state is left half changed by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.woken.notify_all();
        self.moved.notify_all();
    }

    /// Sleeps this long, or less if the thread is to stop. Returns false then.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let waited = self
            .woken
            .wait_timeout_while(self.lock(), time, |state| !state.stopped);
        !waited.unwrap_or_else(PoisonError::into_inner).0.stopped
    }

    /// Waits for a poke, at most until a time. Returns false if the thread is to stop.
    pub(super) fn wait(&self, until: Option<Instant>) -> bool {
        let idle = |state: &mut State| !state.stopped && !state.poked;
        let mut state = match until {
            None => {
                let waited = self.woken.wait_while(self.lock(), idle);
                waited.unwrap_or_else(PoisonError::into_inner)
            }
            Some(until) => {
                let time = until.saturating_duration_since(Instant::now());
                let waited = self.woken.wait_timeout_while(self.lock(), time, idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        state.poked = false;
        !state.stopped
    }
}

/// Reads entries from a number on. `None` if the first of them is damaged: it has no words.
pub(super) fn read(
    log: &mut dyn IndexedLog,
    room: RoomId,
    from: u64,
    bytes_max: usize,
) -> Result<Option<Segment>, StoreError> {
    match log.read(room, from, bytes_max) {
        Ok(segment) => Ok(Some(segment)),
        Err(StoreError::Damaged) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The message in a frame of the log; `None` if it is none.
pub(super) fn message(frame: &[u8]) -> Option<Entry> {
    parse_entry(frame)
        .ok()
        .filter(|entry| entry.text().is_some())
}

/// A hash that identifies an entry by what never changes of it: if a log was replaced by another
/// copy that continued differently, the same number has another id or time.
pub(super) fn mark(frame: &[u8]) -> i64 {
    use sha2::{Digest, Sha256};

    let digest = match parse_entry(frame) {
        Ok(entry) => Sha256::digest(format!("{} {}", entry.id, entry.time)),
        Err(_) => Sha256::digest(frame),
    };
    let mut mark = [0; 8];
    mark.copy_from_slice(&digest[..8]);
    i64::from_le_bytes(mark)
}
