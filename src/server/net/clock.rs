//! The clock and the randomness that the pure parts are given.

use crate::time::Now;
use jiff::Timestamp;
use std::{future::pending, time::Instant};

/// Reads the time for the core.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) start: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    pub(super) fn now(self) -> Now {
        // Milliseconds, as on the wire and in the log.
        let wall = Timestamp::now();
        let wall = Timestamp::from_millisecond(wall.as_millisecond()).unwrap_or(wall);
        Now {
            wall,
            mono: self.start.elapsed(),
        }
    }

    /// Converts a time to that of the runtime's timers.
    pub(super) fn instant(self, mono: std::time::Duration) -> tokio::time::Instant {
        (self.start + mono).into()
    }
}

/// Random bytes for secrets and nonces. If the system gives none, it panics: the connection ends
/// rather than get a guessable secret.
pub(super) fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    if let Err(error) = getrandom::fill(&mut bytes) {
        panic!("the system gives no random bytes: {error}");
    }
    bytes
}

/// Waits until this time; without one, for ever.
pub(super) async fn until(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => pending().await,
    }
}
