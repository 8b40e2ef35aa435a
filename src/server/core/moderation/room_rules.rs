//! Rules of rooms, as moderators changed them, and slow mode.

use std::{collections::HashMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    protocol::{RoomName, RoomRules},
    server::core::{
        persist::{Record, from_json, to_json},
        rate_limit::RateKey,
    },
    text::Line,
};

/// The longest time between two messages in a room in slow mode.
pub const SLOW_SECONDS_MAX: u64 = 6 * 3600;
/// Most writers in rooms in slow mode whose last message is remembered.
const WRITERS_MAX: usize = 100_000;

/// When users last wrote in rooms in slow mode.
#[derive(Debug, Default)]
pub struct SlowMode(HashMap<(RateKey, RoomName), Duration>);

impl SlowMode {
    /// How long a user has to wait before their next message, if at all.
    pub fn wait(
        &self,
        key: RateKey,
        room: &RoomName,
        rules: &RoomRules,
        now: Duration,
    ) -> Option<Duration> {
        let last = self.0.get(&(key, room.clone()))?;
        let pause = Duration::from_secs(rules.slow_seconds);
        let wait = (*last + pause).saturating_sub(now);
        (!wait.is_zero()).then_some(wait)
    }

    /// Notes a message.
    pub fn note(&mut self, key: RateKey, room: &RoomName, now: Duration) {
        if self.0.len() >= WRITERS_MAX {
            // Nobody waits longer than the longest pause.
            let longest = Duration::from_secs(SLOW_SECONDS_MAX);
            self.0.retain(|_, last| *last + longest > now);
        }
        if self.0.len() >= WRITERS_MAX {
            self.0.clear();
        }
        self.0.insert((key, room.clone()), now);
    }
}

#[derive(Deserialize, Serialize)]
struct Stored {
    topic: Option<String>,
    announce: bool,
    slow_seconds: u64,
}

impl Record for RoomRules {
    const KIND: &'static str = "room";
    type Key = RoomName;

    fn key(room: &RoomName) -> String {
        room.to_string()
    }

    fn encode(&self) -> String {
        to_json(&Stored {
            topic: self.topic.as_ref().map(|topic| topic.as_str().to_owned()),
            announce: self.announce,
            slow_seconds: self.slow_seconds,
        })
    }

    fn decode(room: &str, value: &str) -> Option<(RoomName, Self)> {
        let stored: Stored = from_json(value)?;
        let rules = Self {
            topic: stored.topic.as_deref().map(Line::inert),
            announce: stored.announce,
            slow_seconds: stored.slow_seconds,
        };
        Some((RoomName::parse(room).ok()?, rules))
    }
}
