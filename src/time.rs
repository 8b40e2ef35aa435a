//! The current time, which a shell reads and passes to a pure part.

use std::time::Duration;

use jiff::Timestamp;

/// One moment on both clocks. Pure parts get it with every event and read no clock themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since an arbitrary start. Never goes back; all waiting is measured by it.
    pub mono: Duration,
    /// Wall-clock time. May jump.
    pub wall: Timestamp,
}
