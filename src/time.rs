//! The time, as a shell reads it and hands it to a pure part.

use std::time::Duration;

use jiff::Timestamp;

/// One moment on both clocks. Pure parts get it with every event and read no clock themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The time since some start. Never goes back; all waiting is measured by it.
    pub mono: Duration,
    /// The clock on the wall. May jump.
    pub wall: Timestamp,
}
