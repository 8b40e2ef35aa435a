//! The wall clock as clients see it, with its corrections.
//!
//! The wall clock may jump: it is set, a time server is right or wrong, a battery is empty, the
//! machine sleeps. Each reading is compared with the one before, by the monotonic clock. A
//! difference of more than [`CORRECTION_MIN`] is a correction: it is reported, and from then on the
//! new time counts. If the clock goes back by less, the time shown stands still until the clock has
//! caught up; if that adds up to more, it is corrected.
//!
//! A clock that runs too fast or too slow gains little between two readings, so it is read at least
//! every [`READ_EVERY`].

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::server::log::CORRECTION_MIN;
use crate::time::Now;

/// Longest time between two readings.
pub(super) const READ_EVERY: Duration = Duration::from_mins(1);

/// The wall clock; see the module's docs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// The last reading.
    read: Now,
    /// The time shown: it never goes back, except by a correction.
    told: Timestamp,
    /// When to read it next at the latest.
    due: Duration,
}

impl Clock {
    pub(super) fn new(now: Now) -> Self {
        Self {
            read: now,
            told: now.wall,
            due: now.mono,
        }
    }

    /// When to read it next at the latest: at once to begin with.
    pub(super) fn due(&self) -> Duration {
        self.due
    }

    /// The time to show.
    pub(super) fn now(&self) -> Now {
        Now {
            wall: self.told,
            ..self.read
        }
    }

    /// Notes a reading; returns the correction, if it was one.
    pub(super) fn read(&mut self, now: Now) -> Option<SignedDuration> {
        self.due = now.mono + READ_EVERY;
        let before = std::mem::replace(&mut self.read, now);
        let passed = now.mono.saturating_sub(before.mono);
        let passed = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
        let jump = now.wall.duration_since(before.wall).saturating_sub(passed);
        let behind = now.wall.duration_since(self.told);
        let is_correction = |by: SignedDuration| by.unsigned_abs() > CORRECTION_MIN;
        let by = if is_correction(jump) {
            jump
        } else if behind.is_negative() && is_correction(behind) {
            behind
        } else {
            self.told = self.told.max(now.wall);
            return None;
        };
        self.told = now.wall;
        Some(by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a clock every ten seconds, moving it by these amounts first; returns the times shown,
    /// in seconds since the first reading, and the corrections.
    fn run(moves: &[i64]) -> (Vec<i64>, Vec<i64>) {
        let mut now = Now {
            wall: "2026-11-22T09:00:00Z".parse().unwrap(),
            mono: Duration::from_secs(1_000),
        };
        let start = now.wall;
        let mut clock = Clock::new(now);
        let (mut told, mut corrections) = (Vec::new(), Vec::new());
        for by in moves {
            now.mono += Duration::from_secs(10);
            now.wall += SignedDuration::from_secs(10 + by);
            corrections.extend(clock.read(now).map(|by| by.as_secs()));
            told.push(clock.now().wall.duration_since(start).as_secs());
        }
        (told, corrections)
    }

    #[test]
    fn a_corrected_clock_counts_from_then_on() {
        for (moves, told, corrections) in [
            (&[0, 0][..], &[10, 20][..], &[][..]),
            (&[60, 0], &[70, 80], &[]),
            (&[61, 0], &[71, 81], &[61]),
            (
                &[7_200, 0, -7_200, 0],
                &[7_210, 7_220, 30, 40],
                &[7_200, -7_200],
            ),
            (&[0, -61, 0], &[10, -41, -31], &[-61]),
            // The time stands still until the clock has caught up.
            (&[0, -20, 0, 0, 0], &[10, 10, 10, 20, 30], &[]),
            // Small steps add up: it stands still for a minute at most.
            (&[0, -40, -40, 0], &[10, 10, 10, 10], &[]),
            (&[0, -40, -40, -40, 0], &[10, 10, 10, -80, -70], &[-90]),
            (&[-1_000_000_000], &[-999_999_990], &[-1_000_000_000]),
        ] {
            assert_eq!(
                run(moves),
                (told.to_vec(), corrections.to_vec()),
                "{moves:?}"
            );
        }
    }
}
