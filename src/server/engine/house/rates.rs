//! How often something may be done.
//!
//! The generic cell rate algorithm (ITU-T I.371), which needs one time for each who is measured:
//! when he will have "paid" for all that he did. Ours, because the time comes in from outside.

use std::{collections::HashMap, hash::Hash, time::Duration};

/// Who are measured at one time; beyond that, those are let go who have paid for everything, or, if
/// they are few, the half that is nearest to it: so that a crowd costs each of its members little.
const MEASURED_MAX: usize = 100_000;

/// So often, on the whole and at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In a minute, on the whole; not 0.
    pub per_minute: u32,
    /// At once, after a pause; not 0.
    pub burst: u32,
}

impl Rate {
    /// So often.
    pub const fn new(per_minute: u32, burst: u32) -> Self {
        Self { per_minute, burst }
    }

    /// What doing it once costs.
    fn cost(self) -> Duration {
        Duration::from_mins(1) / self.per_minute.max(1)
    }
}

/// How much each of many has done of one thing.
#[derive(Debug)]
pub(in crate::server) struct Meters<K> {
    /// `None`: as often as they like.
    rate: Option<Rate>,
    paid: HashMap<K, Duration>,
}

impl<K: Copy + Eq + Hash> Meters<K> {
    /// Nobody has done anything yet.
    pub(in crate::server) fn new(rate: Option<Rate>) -> Self {
        Self {
            rate,
            paid: HashMap::new(),
        }
    }

    /// Notes that it is done once more; or says for how long it may not be.
    pub(in crate::server) fn take(&mut self, who: K, now: Duration) -> Result<(), Duration> {
        self.look(who, now)?;
        let Some(rate) = self.rate else {
            return Ok(());
        };
        if self.paid.len() >= MEASURED_MAX && !self.paid.contains_key(&who) {
            self.forget(now);
        }
        let paid = self.paid.entry(who).or_insert(now);
        *paid = (*paid).max(now) + rate.cost();
        Ok(())
    }

    /// Whether it may be done, or for how long not, without noting anything.
    pub(in crate::server) fn look(&self, who: K, now: Duration) -> Result<(), Duration> {
        let (Some(rate), Some(paid)) = (self.rate, self.paid.get(&who)) else {
            return Ok(());
        };
        let debt_max = rate.cost() * rate.burst.saturating_sub(1);
        match paid.saturating_sub(now).checked_sub(debt_max) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => Ok(()),
        }
    }

    fn forget(&mut self, now: Duration) {
        self.paid.retain(|_, paid| *paid > now);
        let half = MEASURED_MAX / 2;
        if self.paid.len() > half {
            let mut all: Vec<_> = self.paid.values().copied().collect();
            let (_, middle, _) = all.select_nth_unstable(half);
            let middle = *middle;
            self.paid.retain(|_, paid| *paid > middle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_passes_and_then_one_at_a_time() {
        // One a second, three at once.
        let mut meters = Meters::new(Some(Rate::new(60, 3)));
        let start = 100 * SECOND;
        for _ in 0..3 {
            assert_eq!(meters.take('a', start), Ok(()));
        }
        assert_eq!(meters.take('a', start), Err(SECOND));
        // What is refused costs nothing.
        assert_eq!(meters.take('a', start), Err(SECOND));
        assert_eq!(meters.take('b', start), Ok(()));
        let half = start + SECOND / 2;
        assert_eq!(meters.take('a', half), Err(SECOND / 2));
        assert_eq!(meters.take('a', start + SECOND), Ok(()));
        assert_eq!(meters.take('a', start + SECOND), Err(SECOND));
        // After a pause there is a burst again, and no more than that.
        let later = start + 100 * SECOND;
        for _ in 0..3 {
            assert_eq!(meters.take('a', later), Ok(()));
        }
        assert_eq!(meters.take('a', later), Err(SECOND));
    }

    #[test]
    fn without_a_rate_nobody_waits() {
        let mut meters = Meters::new(None);
        for _ in 0..10_000 {
            assert_eq!(meters.take('a', SECOND), Ok(()));
        }
        assert!(meters.paid.is_empty());
    }

    #[test]
    fn no_crowd_takes_more_memory_than_stated() {
        let mut meters = Meters::new(Some(Rate::new(1, 1)));
        for who in 0..2 * MEASURED_MAX {
            let now = Duration::from_micros(who as u64);
            assert_eq!(meters.take(who, now), Ok(()));
            assert!(meters.paid.len() <= MEASURED_MAX);
        }
        // Those who came last are measured still.
        let now = Duration::from_secs(1);
        assert!(meters.take(2 * MEASURED_MAX - 1, now).is_err());
    }
}
