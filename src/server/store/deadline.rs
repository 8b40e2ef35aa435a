//! When something that SQLite does is to be given up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, Result};

/// How often SQLite looks at the time, in steps of its machine: some ten microseconds.
const STEPS_BETWEEN_LOOKS: i32 = 1_000;

/// A time that is shared with SQLite, which looks at it now and then, and breaks off once it is
/// past. Never, to begin with.
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

    /// Lets a connection keep to it.
    pub(super) fn bind(&self, connection: &Connection) -> Result<()> {
        let passed = self.clone();
        connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || passed.is_over()))
    }

    /// So long from now.
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
