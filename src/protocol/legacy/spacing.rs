//! Times the objects that are sent to a legacy peer.

use std::{mem, time::Duration};

use crate::protocol::limits::{LEGACY_PAUSE, LEGACY_PAUSE_FOR_EACH, LEGACY_PAUSE_MAX};

/// How many times its own lateness a writer adds to the pause.
const LATENESS_COUNTS: u32 = 2;

/// Keeps objects apart in time, so that the peer reads each alone.
///
/// The writer can't see whether the peer has read: acknowledged bytes lie in its system's buffer,
/// and a peer that is not scheduled for a moment then reads two objects as one. But the writer sees
/// how late it was woken itself. That measures how busy the machine is, if both run on one, and the
/// pause grows with it. The pause also grows with the number of legacy peers that are written to: a
/// hundred of them on one machine would only have time to wake up and read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spacing {
    due: Duration,
    waits: bool,
    late: Duration,
}

impl Spacing {
    /// A spacing that lets nothing leave before this time.
    pub fn not_before(time: Duration) -> Self {
        Self {
            due: time,
            ..Self::default()
        }
    }

    /// Shortens the wait to the pause between two objects.
    pub fn hasten(&mut self, now: Duration) {
        self.due = self.due.min(now + LEGACY_PAUSE);
    }

    /// When the next object may leave.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// Whether an object may leave now. If not, it waits until [`due`](Self::due).
    pub fn may_leave(&mut self, now: Duration) -> bool {
        if now < self.due {
            self.waits = true;
            return false;
        }
        if mem::take(&mut self.waits) {
            self.late = now.saturating_sub(self.due).max(self.late / 2);
        }
        true
    }

    /// Records that an object has left, while `others` are written to as well.
    pub fn left(&mut self, now: Duration, others: u32) {
        let late = LATENESS_COUNTS * self.late.min(LEGACY_PAUSE_MAX);
        let pause = LEGACY_PAUSE + LEGACY_PAUSE_FOR_EACH.saturating_mul(others) + late;
        self.due = now + pause.min(LEGACY_PAUSE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// The pauses after each wake-up, each late by so many milliseconds.
    fn pauses(late: &[u32]) -> Vec<u128> {
        let mut spacing = Spacing::not_before(Duration::ZERO);
        let mut now = Duration::ZERO;
        assert!(spacing.may_leave(now));
        spacing.left(now, 0);
        let pause = |late: &u32| {
            assert!(!spacing.may_leave(spacing.due().saturating_sub(MS)));
            now = spacing.due() + *late * MS;
            assert!(spacing.may_leave(now));
            spacing.left(now, 0);
            spacing.due().saturating_sub(now).as_millis()
        };
        late.iter().map(pause).collect()
    }

    #[test]
    fn a_writer_that_is_woken_late_leaves_longer_pauses() {
        assert_eq!(pauses(&[0, 0]), [20, 20]);
        assert_eq!(pauses(&[10, 0, 0, 4]), [40, 30, 25, 28]);
        assert_eq!(pauses(&[60_000]), [LEGACY_PAUSE_MAX.as_millis()]);
    }

    #[test]
    fn a_crowd_is_written_to_more_slowly() {
        let pauses = [(0, 20), (10, 24), (100, 60), (5_000, 500)];
        for (others, pause) in pauses {
            let mut spacing = Spacing::default();
            spacing.left(Duration::ZERO, others);
            assert_eq!(spacing.due(), pause * MS, "{others} others");
        }
    }

    #[test]
    fn a_writer_with_nothing_to_send_was_not_late() {
        let mut spacing = Spacing::not_before(Duration::ZERO);
        spacing.left(Duration::ZERO, 0);
        let later = Duration::from_secs(9);
        assert!(spacing.may_leave(later));
        spacing.left(later, 0);
        assert_eq!(spacing.due(), later + LEGACY_PAUSE);
    }
}
