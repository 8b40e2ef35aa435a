//! Slow mode: the pause between two messages of a user in a room.

use std::{collections::HashMap, time::Duration};

use crate::{protocol::RoomId, server::core::rate_limit::RateKey};

/// The longest time between two messages in a room in slow mode.
pub const SLOW_SECONDS_MAX: u64 = 6 * 3600;
/// Most writers in rooms in slow mode whose last message is remembered.
const WRITERS_MAX: usize = 100_000;

/// When users last wrote in rooms in slow mode.
#[derive(Debug, Default)]
pub struct SlowMode(HashMap<(RateKey, RoomId), Duration>);

impl SlowMode {
    /// How long a user has to wait before their next message, if at all.
    pub fn wait(
        &self,
        key: RateKey,
        room: RoomId,
        pause: Duration,
        now: Duration,
    ) -> Option<Duration> {
        let last = self.0.get(&(key, room))?;
        let wait = (*last + pause).saturating_sub(now);
        (!wait.is_zero()).then_some(wait)
    }

    /// Notes a message.
    pub fn note(&mut self, key: RateKey, room: RoomId, now: Duration) {
        if self.0.len() >= WRITERS_MAX {
            // Nobody waits longer than the longest pause.
            let longest = Duration::from_secs(SLOW_SECONDS_MAX);
            self.0.retain(|_, last| *last + longest > now);
        }
        if self.0.len() >= WRITERS_MAX {
            self.0.clear();
        }
        self.0.insert((key, room), now);
    }
}
