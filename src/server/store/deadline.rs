//! Deadlines for SQLite's work.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, Result};

/// How often SQLite checks the time, in steps of its virtual machine: about every ten microseconds.
const STEPS_BETWEEN_LOOKS: i32 = 1_000;

/// A deadline shared with SQLite, which checks it regularly and interrupts the statement once it is
/// past. Initially there is none.
#[derive(Clone, Debug)]
pub(super) struct Deadline {
    start: Instant,
    /// Microseconds after `start`.
    at: Arc<AtomicU64>,
}

impl Deadline {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            at: Arc::new(AtomicU64::new(u64::MAX)),
        }
    }

    /// Makes a connection check this deadline.
    pub(super) fn bind(&self, connection: &Connection) -> Result<()> {
        let passed = self.clone();
        connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || passed.is_over()))
    }

    /// Sets the deadline to this much time from now.
    pub(super) fn set(&self, time: Duration) {
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.at
            .store(self.now().saturating_add(time), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn is_over(&self) -> bool {
        self.now() >= self.at.load(Ordering::Relaxed)
    }
}
