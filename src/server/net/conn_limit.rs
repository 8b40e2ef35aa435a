//! Limits the connections of each site, and how often it may connect.
//!
//! The wider networks of IPv6 that one customer may have (a /56, a /48) have the limits of several
//! sites, by [`WIDER`], however many sites they hold.
//!
//! Connections from this machine are not counted: they are its own users', or come through a
//! tunnel, where one address stands for many clients.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    protocol::frame::{ErrorCode, ErrorFrame},
    server::{
        config::PerSiteLimits,
        core::rate_limit::{Rate, RateLimiter, SiteRateLimiter, WIDER},
        event_log::EventLog,
        network::{ClientAddress, Network, Site},
    },
    text::Line,
};

/// Refusals that are explained to the client, of all sites together: each may cost a handshake.
/// Other connections are closed without an answer.
const WORDS: Rate = Rate::new(3_000, 100);

/// Log lines about refused connections: more could fill the disk.
const LINES: Rate = Rate::new(30, 20);

/// Why a connection is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    code: ErrorCode,
    words: &'static str,
    retry_after: Option<Duration>,
}

impl Refusal {
    pub(super) const fn new(code: ErrorCode, words: &'static str) -> Self {
        Self {
            code,
            words,
            retry_after: None,
        }
    }

    /// The error that the client gets.
    pub(super) fn frame(&self) -> ErrorFrame {
        let wait = self.retry_after.map(|wait| wait.as_millis().max(1));
        ErrorFrame {
            code: self.code,
            message: Line::inert(self.words),
            id: None,
            reference: None,
            retry_after_ms: wait.map(|wait| u64::try_from(wait).unwrap_or(u64::MAX)),
        }
    }
}

/// Counts the connections of each site. Cheap to clone; all clones share the counts.
#[derive(Clone, Debug)]
pub(super) struct ConnectionLimiter {
    connections_max: usize,
    recorder: EventLog,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// The sites that have any.
    connections: HashMap<Site, usize>,
    /// The same for the wider networks: /56, /48.
    wider: [HashMap<Network, usize>; 2],
    made: SiteRateLimiter,
    /// The rate of explained refusals.
    words: RateLimiter<()>,
    /// The rate of log lines.
    lines: RateLimiter<()>,
    unlogged: u64,
}

/// Counts one connection for as long as it lives.
#[derive(Debug)]
pub(super) struct Permit {
    _counted: Option<Box<Counted>>,
}

/// The address under which a connection is counted.
#[derive(Debug)]
struct Counted {
    state: Arc<Mutex<State>>,
    address: ClientAddress,
}

impl State {
    /// The wider networks of an address, each with its counts and the multiple of a site's limit
    /// that it has.
    fn wider(
        &mut self,
        address: ClientAddress,
    ) -> impl Iterator<Item = (&mut HashMap<Network, usize>, Network, usize)> {
        let networks = address.wider().into_iter().flatten();
        let shares = WIDER.map(|times| usize::try_from(times).unwrap_or(usize::MAX));
        let counts = self.wider.iter_mut().zip(networks).zip(shares);
        counts.map(|((counts, network), share)| (counts, network, share))
    }

    /// Whether an address, or a network around it, has reached its limit.
    fn is_full(&mut self, address: ClientAddress, connections_max: usize) -> bool {
        let here = self.connections.get(&address.site());
        here.is_some_and(|here| *here >= connections_max)
            || self.wider(address).any(|(counts, network, share)| {
                let max = connections_max.saturating_mul(share);
                counts.get(&network).is_some_and(|here| *here >= max)
            })
    }

    fn count(&mut self, address: ClientAddress) {
        *self.connections.entry(address.site()).or_default() += 1;
        for (counts, network, _) in self.wider(address) {
            *counts.entry(network).or_default() += 1;
        }
    }

    fn uncount(&mut self, address: ClientAddress) {
        subtract(&mut self.connections, address.site());
        for (counts, network, _) in self.wider(address) {
            subtract(counts, network);
        }
    }
}

/// Subtracts one, and removes a count that reaches zero.
fn subtract<K: Eq + Hash>(counts: &mut HashMap<K, usize>, from: K) {
    if let Entry::Occupied(mut count) = counts.entry(from) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

impl ConnectionLimiter {
    pub(super) fn new(per_site: PerSiteLimits, recorder: EventLog) -> Self {
        let state = State {
            connections: HashMap::new(),
            wider: Default::default(),
            made: SiteRateLimiter::new(per_site.rate),
            words: RateLimiter::new(Some(WORDS)),
            lines: RateLimiter::new(Some(LINES)),
            unlogged: 0,
        };
        Self {
            recorder,
            connections_max: per_site.connections.unwrap_or(usize::MAX),
            state: Arc::new(state.into()),
        }
    }

    /// Counts a new connection from this address, or refuses it.
    pub(super) fn enter(&self, address: ClientAddress, now: Duration) -> Result<Permit, Refusal> {
        if address.is_this_machine() {
            return Ok(Permit { _counted: None });
        }
        let mut state = self.state();
        if state.is_full(address, self.connections_max) {
            return Err(Refusal::new(
                ErrorCode::ServerFull,
                "Your address has as many connections as the server allows. Close some, or \
                 try again later",
            ));
        }
        if let Err(wait) = state.made.take(address, now) {
            return Err(Refusal {
                code: ErrorCode::RateLimited,
                words: "Your address connects too often. Try again later",
                retry_after: Some(wait),
            });
        }
        state.count(address);
        let state = Arc::clone(&self.state);
        Ok(Permit {
            _counted: Some(Box::new(Counted { state, address })),
        })
    }

    /// Whether a refusal is to be explained to the client.
    pub(super) fn may_explain(&self, now: Duration) -> bool {
        self.state().words.take((), now).is_ok()
    }

    /// Logs a connection that was refused before its join.
    pub(super) fn turned_away(&self, address: ClientAddress, refusal: &Refusal, now: Duration) {
        let mut state = self.state();
        if state.lines.take((), now).is_err() {
            state.unlogged += 1;
            return;
        }
        let unlogged = mem::take(&mut state.unlogged);
        drop(state);
        let more = match unlogged {
            0 => String::new(),
            count => format!("; {count} more since the last line like this"),
        };
        let words = refusal.words;
        let line = format!("refused {address}: {words}{more}");
        self.recorder.info(line);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Counted {
    fn drop(&mut self) {
        lock(&self.state).uncount(self.address);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limiter(connections: usize, burst: u32) -> ConnectionLimiter {
        ConnectionLimiter::new(
            PerSiteLimits {
                connections: Some(connections),
                rate: Some(Rate::new(60, burst)),
            },
            EventLog::none(),
        )
    }

    fn from(text: &str) -> ClientAddress {
        SocketAddr::new(text.parse().unwrap(), 7).into()
    }

    #[test]
    fn a_site_has_so_many_at_one_time_and_others_do_not_suffer() {
        let limiter = limiter(2, 100);
        let enter = |address| limiter.enter(from(address), SECOND);
        let held = [enter("2001:db8::1"), enter("2001:db8::2")].map(Result::unwrap);
        let refused = enter("2001:db8::3").unwrap_err().frame();
        assert_eq!(refused.code, ErrorCode::ServerFull);
        enter("2001:db8:0:1::1").unwrap();
        enter("192.0.2.1").unwrap();
        drop(held);
        enter("2001:db8::3").unwrap();
    }

    #[test]
    fn a_wider_network_of_many_sites_has_a_stated_multiple_of_one_site() {
        // The /64s of one /56 get twice a site's share; those of one /48 four times.
        for (sites, share) in [(0..256_u32, 2), (0..65_536, 4)] {
            let limiter = limiter(3, u32::MAX);
            let step = if share == 2 { 1 } else { 256 };
            let household = |site: u32| from(&format!("2001:db8:1:{site:x}::1"));
            let each = sites.step_by(step).take(100);
            let held: Vec<_> = each
                .filter_map(|site| limiter.enter(household(site), SECOND).ok())
                .collect();
            assert_eq!(held.len(), 3 * share, "of {share} shares");
            // Others are not affected, and all may come again after they have left.
            limiter.enter(from("2001:db8:2::1"), SECOND).unwrap();
            drop(held);
            assert!(limiter.state().wider.iter().all(HashMap::is_empty));
            limiter.enter(household(0), SECOND).unwrap();
        }
    }

    #[test]
    fn a_wider_network_of_many_sites_comes_no_oftener_than_a_stated_multiple() {
        let limiter = limiter(usize::MAX, 5);
        let came = (0..256)
            .filter(|site| {
                let address = from(&format!("2001:db8:1:{site:x}::1"));
                limiter.enter(address, SECOND).is_ok()
            })
            .count();
        assert_eq!(came, 10);
    }

    #[test]
    fn a_site_that_comes_too_often_is_told_how_long_to_wait() {
        let limiter = limiter(100, 3);
        let at = |ms| limiter.enter(from("192.0.2.1"), Duration::from_millis(ms));
        for _ in 0..3 {
            at(10_000).unwrap();
        }
        let refused = at(10_400).unwrap_err().frame();
        assert_eq!(refused.code, ErrorCode::RateLimited);
        assert_eq!(refused.retry_after_ms, Some(600));
        at(10_999).unwrap_err();
        at(11_000).unwrap();
        at(11_001).unwrap_err();
        // A long pause earns no more than the burst.
        for _ in 0..3 {
            at(100_000).unwrap();
        }
        at(100_000).unwrap_err();
    }

    #[test]
    fn this_machine_is_not_counted() {
        let limiter = limiter(1, 1);
        let own = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"];
        let held: Vec<_> = own
            .iter()
            .map(|own| limiter.enter(from(own), SECOND))
            .collect();
        assert!(held.iter().all(Result::is_ok));
    }

    #[test]
    fn closed_connections_are_forgotten() {
        let limiter = limiter(1, 1);
        let household = |number: u128| IpAddr::V6(((0x2000 << 112) + (number << 80)).into());
        let held: Vec<_> = (0..1_000)
            .map(|number| SocketAddr::new(household(number), 7).into())
            .map(|address| limiter.enter(address, SECOND))
            .collect();
        assert_eq!(limiter.state().connections.len(), 1_000);
        drop(held);
        assert!(limiter.state().connections.is_empty());
    }

    #[test]
    fn only_so_many_refusals_are_explained() {
        let limiter = limiter(1, 1);
        let said = (0..1_000).filter(|_| limiter.may_explain(SECOND)).count();
        assert_eq!(said, usize::try_from(WORDS.burst).unwrap());
        assert!(limiter.may_explain(2 * SECOND));
    }
}
