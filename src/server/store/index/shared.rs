//! What the index needs of a log, and what its thread and its readers share.

use crate::{
    protocol::{ServerFrame, frame::Message, wire::parse_server},
    server::log::{Extent, RoomIndex, StoreError, segment::Segment},
};
use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What the index needs of the log. It sees whatever is committed.
pub trait IndexedLog {
    /// What a room's log holds.
    fn extent(&mut self, room: RoomIndex) -> Result<Extent, StoreError>;

    /// The numbers of the entries that are marked with a correction of the clock, in order: of more
    /// than [`CORRECTIONS_MAX`](crate::search::times::CORRECTIONS_MAX), the latest.
    fn marked(&mut self, room: RoomIndex, extent: Extent) -> Result<Vec<u64>, StoreError>;

    /// As [`LogReader::read`](crate::server::log::LogReader::read).
    fn read(&mut self, room: RoomIndex, from: u64, bytes_max: usize)
    -> Result<Segment, StoreError>;
}

/// What the thread, its owner and the readers tell each other.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// Something is to be done.
    pub(super) woken: Condvar,
    /// Something was done.
    pub(super) moved: Condvar,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) poked: bool,
    pub(super) stopped: bool,
    /// A reader found the file damaged.
    pub(super) damaged: bool,
    /// How often the file was made or opened: a reader with an older one opens it again.
    pub(super) generation: u64,
    pub(super) rooms: Vec<RoomState>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoomState {
    /// The room's place in row numbers; 0 while the file is not open.
    pub(super) id: i64,
    pub(super) indexed: u64,
    pub(super) first: u64,
    /// Entries below this are to go.
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

    /// Waits so long, or less if the thread is to stop. False then.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let waited = self
            .woken
            .wait_timeout_while(self.lock(), time, |state| !state.stopped);
        !waited.unwrap_or_else(PoisonError::into_inner).0.stopped
    }

    /// Waits until somebody pokes. False if the thread is to stop.
    pub(super) fn wait(&self) -> bool {
        let waited = self
            .woken
            .wait_while(self.lock(), |state| !state.stopped && !state.poked);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.poked = false;
        !state.stopped
    }
}

/// The message in a frame of the log; `None` where a frame is something else, or nothing.
pub(super) fn message(frame: &[u8]) -> Option<Message> {
    match parse_server(frame.trim_ascii_end()) {
        Ok(ServerFrame::Message(message)) => Some(message),
        _ => None,
    }
}
