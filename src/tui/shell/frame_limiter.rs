//! Limits how often the screen is drawn: at once after a pause, seldom in a flood.
//!
//! A generic cell rate algorithm (ITU-T I.371): each frame advances a theoretical time by
//! [`EVERY`]; a frame may be drawn while that time is at most [`AHEAD`] in the future. Pure: times
//! are arguments, counted from any start.

use std::time::Duration;

/// The shortest time between two frames, in the long run.
const EVERY: Duration = Duration::from_millis(10);
/// How far drawing may run ahead of that: a key, its echo and messages at that moment are each
/// shown without waiting.
const AHEAD: Duration = Duration::from_millis(40);

/// See the module's docs.
#[derive(Debug, Default)]
pub(super) struct FrameLimiter {
    due: Duration,
}

impl FrameLimiter {
    /// How long the next frame has to wait.
    pub(super) fn wait(&self, now: Duration) -> Duration {
        self.due.saturating_sub(AHEAD).saturating_sub(now)
    }

    /// Counts a frame drawn now.
    pub(super) fn drawn(&mut self, now: Duration) {
        self.due = self.due.max(now) + EVERY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_few_at_once_then_one_every_ten_milliseconds() {
        let mut frame_limiter = FrameLimiter::default();
        for _ in 0..5 {
            assert_eq!(frame_limiter.wait(ms(1000)), Duration::ZERO);
            frame_limiter.drawn(ms(1000));
        }
        for now in (1000..2000).step_by(10) {
            assert_eq!(frame_limiter.wait(ms(now)), ms(10));
            assert_eq!(frame_limiter.wait(ms(now + 10)), Duration::ZERO);
            frame_limiter.drawn(ms(now + 10));
        }
        // After a pause, at once again.
        assert_eq!(frame_limiter.wait(ms(5000)), Duration::ZERO);
    }
}
