//! Computes the wait before the next attempt to connect: exponential, with full jitter, bounded.

use std::time::Duration;

/// The shortest wait.
pub(super) const WAIT_MIN: Duration = Duration::from_millis(250);
/// The longest wait.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(15);
/// The longest wait that a server can ask for. [`super::Command::RetryNow`] cuts it short, but
/// users should not need to know that to reconnect.
pub(super) const ASKED_WAIT_MAX: Duration = Duration::from_mins(1);

/// Counts failures and spreads the attempts of many clients that lost one server.
#[derive(Debug)]
pub(super) struct Backoff {
    failures: u32,
    random: Random,
}

impl Backoff {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            failures: 0,
            random: Random(seed),
        }
    }

    /// Resets the count after a stable connection.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait after one more failure: a random one from [`WAIT_MIN`] to the bound, which doubles
    /// each time.
    pub(super) fn next(&mut self) -> Duration {
        let bound = bound(self.failures);
        self.failures = self.failures.saturating_add(1);
        WAIT_MIN + self.random.below(bound.saturating_sub(WAIT_MIN))
    }

    /// The wait that a server asked for, and a little more at random, so that clients with the same
    /// wait do not all reconnect at once. It counts as a failure: a server that repeatedly asks for
    /// next to no wait gets at least the backoff's.
    pub(super) fn asked(&mut self, wait: Duration) -> Duration {
        let asked = wait.min(ASKED_WAIT_MAX) + self.random.below(2 * WAIT_MIN);
        asked.max(self.next())
    }
}

fn bound(failures: u32) -> Duration {
    let doubled = 2u32.saturating_pow(failures.saturating_add(1));
    WAIT_MIN.saturating_mul(doubled).min(WAIT_MAX)
}

/// `SplitMix64`: small, and good enough to spread clients. Seeded from outside, so that a run can
/// be replayed.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, span: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(z % millis.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(seed: u64, count: usize) -> Vec<Duration> {
        let mut backoff = Backoff::new(seed);
        (0..count).map(|_| backoff.next()).collect()
    }

    #[test]
    fn every_wait_is_within_its_bound_and_the_bound_doubles() {
        for seed in 0..200 {
            for (failures, wait) in waits(seed, 12).into_iter().enumerate() {
                let bound = [500, 1_000, 2_000, 4_000, 8_000]
                    .get(failures)
                    .map_or(WAIT_MAX, |&ms| Duration::from_millis(ms));
                assert!(wait >= WAIT_MIN && wait <= bound, "{failures}: {wait:?}");
            }
        }
    }

    #[test]
    fn late_waits_use_the_whole_span() {
        let late: Vec<_> = (0..200).map(|seed| waits(seed, 9)[8]).collect();
        assert!(late.iter().any(|&wait| wait < WAIT_MAX / 5));
        assert!(late.iter().any(|&wait| wait > WAIT_MAX * 4 / 5));
    }

    #[test]
    fn a_seed_gives_the_same_waits_again() {
        assert_eq!(waits(7, 5), waits(7, 5));
        assert_ne!(waits(7, 5), waits(8, 5));
    }

    #[test]
    fn a_reset_starts_small_again() {
        let mut backoff = Backoff::new(3);
        for _ in 0..40 {
            backoff.next();
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(500));
    }

    #[test]
    fn a_server_can_ask_for_a_minute_at_most() {
        let mut backoff = Backoff::new(1);
        let wait = backoff.asked(Duration::from_secs(2));
        assert!(wait >= Duration::from_secs(2) && wait < Duration::from_secs(3));
        assert!(backoff.asked(Duration::from_secs(1 << 40)) < Duration::from_secs(61));
    }
}
