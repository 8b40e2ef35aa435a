//! What the index needs from a log, and the state that its thread and readers share.

use crate::{
    protocol::{Entry, Extent, wire::parse_entry},
    server::log::{RoomIndex, StoreError, segment::Segment},
};
use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The log, as the index reads it. It sees everything committed.
pub trait IndexedLog {
    /// The range of numbers that a room's log holds.
    fn extent(&mut self, room: RoomIndex) -> Result<Extent, StoreError>;

    /// The numbers of the entries that are marked with a clock correction, in order; at most the
    /// latest [`CORRECTIONS_MAX`](crate::search::times::CORRECTIONS_MAX).
    fn marked(&mut self, room: RoomIndex, extent: Extent) -> Result<Vec<u64>, StoreError>;

    /// Like [`LogReader::read`](crate::server::log::LogReader::read).
    fn read(&mut self, room: RoomIndex, from: u64, bytes_max: usize)
    -> Result<Segment, StoreError>;
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
    pub(super) rooms: Vec<RoomState>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoomState {
    /// The room's id in row ids; 0 while the file is not open.
    pub(super) id: i64,
    pub(super) indexed: u64,
    pub(super) first: u64,
    /// Entries below this are to be erased.
    pub(super) erase_below: u64,
}

impl Shared {
    pub(super) fn new(rooms: usize) -> Self {
        Self {
            state: Mutex::new(State {
                poked: true,
                stopped: false,
                damaged: false,
                generation: 0,
                rooms: vec![RoomState::default(); rooms],
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

    /// Waits for a poke. Returns false if the thread is to stop.
    pub(super) fn wait(&self) -> bool {
        let waited = self
            .woken
            .wait_while(self.lock(), |state| !state.stopped && !state.poked);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.poked = false;
        !state.stopped
    }
}

/// The message in a frame of the log; `None` if it is none.
pub(super) fn message(frame: &[u8]) -> Option<Entry> {
    parse_entry(frame)
        .ok()
        .filter(|entry| entry.text().is_some())
}
