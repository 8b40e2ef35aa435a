//! The generic cell rate algorithm (ITU-T I.371). It stores one time for each key: when the key
//! will have paid off all its actions. It is our own code because the time is an argument.

use std::{collections::HashMap, hash::Hash, time::Duration};

use crate::server::network::{ClientAddress, Network, Site};

/// Most keys measured at one time. Beyond that, keys are forgotten that have paid off everything,
/// or, if these are few, the half that is nearest to it: so a crowd costs each key little.
const MEASURED_MAX: usize = 100_000;

/// A rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Actions per minute, on average; not 0.
    pub per_minute: u32,
    /// Actions at once after a pause; not 0.
    pub burst: u32,
}

impl Rate {
    /// A limit of these two.
    pub const fn new(per_minute: u32, burst: u32) -> Self {
        Self { per_minute, burst }
    }

    /// The time that one action costs.
    fn cost(self) -> Duration {
        Duration::from_mins(1) / self.per_minute.max(1)
    }
}

/// Limits the rate of one kind of action, for each key.
#[derive(Debug)]
pub(in crate::server) struct RateLimiter<K> {
    /// `None`: no limit.
    rate: Option<Rate>,
    paid: HashMap<K, Duration>,
}

impl<K: Copy + Eq + Hash> RateLimiter<K> {
    /// A limiter without actions so far.
    pub(in crate::server) fn new(rate: Option<Rate>) -> Self {
        Self {
            rate,
            paid: HashMap::new(),
        }
    }

    /// Counts an action, or returns how long it has to wait.
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

    /// Checks whether an action is allowed, without counting it; the error is how long it has to
    /// wait.
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

/// Multiples of one site's limit for its IPv6 /56 and /48.
pub(in crate::server) const WIDER: [u32; 2] = [2, 4];

/// Limits the rate of one kind of action by address: for each site, and for the wider networks that
/// one customer may have.
#[derive(Debug)]
pub(in crate::server) struct SiteRateLimiter {
    sites: RateLimiter<Site>,
    wider: [RateLimiter<Network>; 2],
}

impl SiteRateLimiter {
    /// A limiter without actions so far. `rate`: the limit of one site.
    pub(in crate::server) fn new(rate: Option<Rate>) -> Self {
        let wider = |times: u32| {
            rate.map(|rate| Rate {
                per_minute: rate.per_minute.saturating_mul(times),
                burst: rate.burst.saturating_mul(times),
            })
        };
        Self {
            sites: RateLimiter::new(rate),
            wider: WIDER.map(|times| RateLimiter::new(wider(times))),
        }
    }

    /// As [`RateLimiter::take`].
    pub(in crate::server) fn take(
        &mut self,
        address: ClientAddress,
        now: Duration,
    ) -> Result<(), Duration> {
        self.look(address, now)?;
        self.sites.take(address.site(), now)?;
        for (limiter, network) in self
            .wider
            .iter_mut()
            .zip(address.wider().into_iter().flatten())
        {
            limiter.take(network, now)?;
        }
        Ok(())
    }

    /// As [`RateLimiter::look`].
    pub(in crate::server) fn look(
        &self,
        address: ClientAddress,
        now: Duration,
    ) -> Result<(), Duration> {
        self.sites.look(address.site(), now)?;
        let mut wider = self.wider.iter().zip(address.wider().into_iter().flatten());
        wider.try_for_each(|(limiter, network)| limiter.look(network, now))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_passes_and_then_one_at_a_time() {
        // One a second, three at once.
        let mut limiter = RateLimiter::new(Some(Rate::new(60, 3)));
        let start = 100 * SECOND;
        for _ in 0..3 {
            assert_eq!(limiter.take('a', start), Ok(()));
        }
        assert_eq!(limiter.take('a', start), Err(SECOND));
        // A refused action costs nothing.
        assert_eq!(limiter.take('a', start), Err(SECOND));
        assert_eq!(limiter.take('b', start), Ok(()));
        let half = start + SECOND / 2;
        assert_eq!(limiter.take('a', half), Err(SECOND / 2));
        assert_eq!(limiter.take('a', start + SECOND), Ok(()));
        assert_eq!(limiter.take('a', start + SECOND), Err(SECOND));
        // After a pause there is a burst again, and no more than that.
        let later = start + 100 * SECOND;
        for _ in 0..3 {
            assert_eq!(limiter.take('a', later), Ok(()));
        }
        assert_eq!(limiter.take('a', later), Err(SECOND));
    }

    #[test]
    fn without_a_rate_there_is_no_wait() {
        let mut limiter = RateLimiter::new(None);
        for _ in 0..10_000 {
            assert_eq!(limiter.take('a', SECOND), Ok(()));
        }
        assert!(limiter.paid.is_empty());
    }

    #[test]
    fn a_customer_with_many_networks_is_measured_as_one() {
        let mut limiter = SiteRateLimiter::new(Some(Rate::new(1, 10)));
        let mut come = |address: String| {
            let address = SocketAddr::new(address.parse().unwrap(), 7);
            limiter.take(address.into(), SECOND).is_ok()
        };
        let count = |came: &[bool]| came.iter().filter(|came| **came).count();
        let networks = |from: u32| (from..from + 100).map(|n| format!("2001:db8:1:{n:x}::7"));
        // A /64 each of one /56, of the /48 around it, and of another /48.
        let one_56: Vec<_> = networks(0x100).map(&mut come).collect();
        assert_eq!(count(&one_56), 20);
        let one_48: Vec<_> = (2..100u32)
            .map(|n| come(format!("2001:db8:1:{n:x}00::7")))
            .collect();
        assert_eq!(count(&one_48), 20);
        assert!(come("2001:db8:2::7".to_owned()));
        // IPv4, and sites of one address, have no wider networks.
        for n in 0..100 {
            assert!(come(format!("198.51.100.{n}")));
            assert!(come(format!("fd00::{n:x}")));
            assert!(come(format!("64:ff9b::{n:x}")));
        }
    }

    #[test]
    fn no_crowd_takes_more_memory_than_stated() {
        let mut limiter = RateLimiter::new(Some(Rate::new(1, 1)));
        for who in 0..2 * MEASURED_MAX {
            let now = Duration::from_micros(who as u64);
            assert_eq!(limiter.take(who, now), Ok(()));
            assert!(limiter.paid.len() <= MEASURED_MAX);
        }
        // The last keys are still measured.
        let now = Duration::from_secs(1);
        assert!(limiter.take(2 * MEASURED_MAX - 1, now).is_err());
    }
}
