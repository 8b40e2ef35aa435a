//! The generic cell rate algorithm (ITU-T I.371): it needs one time for each key, when the key will have
//! "paid" for all that it did. It is our own code because the time comes in from outside.

use std::{collections::HashMap, hash::Hash, time::Duration};

use crate::server::network::{ClientAddress, Network, Site};

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
pub(in crate::server) struct RateLimiter<K> {
    /// `None`: as often as they like.
    rate: Option<Rate>,
    paid: HashMap<K, Duration>,
}

impl<K: Copy + Eq + Hash> RateLimiter<K> {
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

/// How much more may come from a /56, and from a /48, of IPv6 than from one site.
pub(in crate::server) const WIDER: [u32; 2] = [2, 4];

/// How much was done from where: by sites, and by the wider networks that one customer may have.
#[derive(Debug)]
pub(in crate::server) struct SiteRateLimiter {
    sites: RateLimiter<Site>,
    wider: [RateLimiter<Network>; 2],
}

impl SiteRateLimiter {
    /// Nothing was done yet. `rate`: what may be done from one site.
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
        // What is refused costs nothing.
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
    fn without_a_rate_nobody_waits() {
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
        // IPv4, and where each address is one site, has no wider ones.
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
        // Those who came last are measured still.
        let now = Duration::from_secs(1);
        assert!(limiter.take(2 * MEASURED_MAX - 1, now).is_err());
    }
}
