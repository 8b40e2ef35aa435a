//! How many connections one site may have, and how often it may make one.
//!
//! Connections from this machine itself are not counted by site: they are its own users', or come
//! through a tunnel, where one address stands for everybody.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    protocol::frame::{ErrorCode, ErrorFrame},
    server::network::Site,
    text::Line,
};

/// Sites that are remembered besides those that have connections.
const SITES_MAX: usize = 64 * 1024;
/// Refusals that are put into words, in all: each may cost a handshake. Others are closed in
/// silence.
const WORDS: Rate = Rate {
    every: Duration::from_millis(20),
    burst: 100,
};

/// What one site may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Connections at one time.
    pub connections: usize,
    /// How often it may make one.
    pub rate: Rate,
}

impl Default for Caps {
    /// As much as it likes.
    fn default() -> Self {
        Self {
            connections: usize::MAX,
            rate: Rate {
                every: Duration::ZERO,
                burst: u32::MAX,
            },
        }
    }
}

/// So often, and so many at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// One in this time, on average.
    pub every: Duration,
    /// As many at once.
    pub burst: u32,
}

impl Rate {
    /// Takes one, if there is one to be had at this time; otherwise says how long to wait. `spent`
    /// is when all that was taken will have been earned.
    pub(super) fn take(&self, spent: &mut Duration, now: Duration) -> Result<(), Duration> {
        let earned = now.max(*spent).saturating_add(self.every);
        let most = now.saturating_add(self.every.saturating_mul(self.burst));
        if earned > most {
            return Err(earned.saturating_sub(most));
        }
        *spent = earned;
        Ok(())
    }
}

/// Why a connection is not to be had.
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

    /// What the client is told.
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

/// Counts the connections of all sites. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    caps: Caps,
    book: Arc<Mutex<Book>>,
}

#[derive(Debug, Default)]
struct Book {
    sites: HashMap<Site, Entry>,
    /// So many sites are looked through for some that can be forgotten.
    enough: usize,
    /// Of [`WORDS`].
    words_spent: Duration,
}

#[derive(Debug, Default)]
struct Entry {
    connections: usize,
    spent: Duration,
}

/// Counts one connection for as long as it lives.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Gate,
    site: Option<Site>,
}

impl Gate {
    pub(super) fn new(caps: Caps) -> Self {
        Self {
            caps,
            book: Arc::default(),
        }
    }

    /// A connection comes in from this address.
    pub(super) fn enter(&self, address: IpAddr, now: Duration) -> Result<Pass, Refusal> {
        let mut pass = Pass {
            gate: self.clone(),
            site: None,
        };
        if address.to_canonical().is_loopback() || self.caps == Caps::default() {
            return Ok(pass);
        }
        let site = Site::of(address);
        let mut book = self.book();
        book.forget(now);
        let entry = book.sites.entry(site).or_default();
        if entry.connections >= self.caps.connections {
            return Err(Refusal::new(
                ErrorCode::ServerFull,
                "As many connections come from your address as the server takes from one. Close \
                 some, or try again later",
            ));
        }
        if let Err(wait) = self.caps.rate.take(&mut entry.spent, now) {
            return Err(Refusal {
                code: ErrorCode::RateLimited,
                words: "Connections come too fast from your address. Try again later",
                retry_after: Some(wait),
            });
        }
        entry.connections += 1;
        pass.site = Some(site);
        Ok(pass)
    }

    /// Whether a refusal is to be put into words.
    pub(super) fn may_explain(&self, now: Duration) -> bool {
        WORDS.take(&mut self.book().words_spent, now).is_ok()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Keeps the book from growing with every address there is.
    fn forget(&mut self, now: Duration) {
        if self.sites.len() < self.enough.max(SITES_MAX) {
            return;
        }
        self.sites
            .retain(|_, entry| entry.connections > 0 || entry.spent > now);
        if self.sites.len() >= self.enough.max(SITES_MAX) {
            self.sites.retain(|_, entry| entry.connections > 0);
        }
        self.enough = 2 * self.sites.len();
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let Some(site) = self.site else {
            return;
        };
        if let Some(entry) = self.gate.book().sites.get_mut(&site) {
            entry.connections = entry.connections.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn gate(connections: usize, burst: u32) -> Gate {
        Gate::new(Caps {
            connections,
            rate: Rate {
                every: SECOND,
                burst,
            },
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_site_has_so_many_at_one_time_and_others_do_not_suffer() {
        let gate = gate(2, 100);
        let enter = |address| gate.enter(ip(address), SECOND);
        let held = [enter("2001:db8::1"), enter("2001:db8::2")].map(Result::unwrap);
        let refused = enter("2001:db8::3").unwrap_err().frame();
        assert_eq!(refused.code, ErrorCode::ServerFull);
        enter("2001:db8:0:1::1").unwrap();
        enter("192.0.2.1").unwrap();
        drop(held);
        enter("2001:db8::3").unwrap();
    }

    #[test]
    fn a_site_that_comes_too_often_is_told_how_long_to_wait() {
        let gate = gate(100, 3);
        let at = |ms| gate.enter(ip("192.0.2.1"), Duration::from_millis(ms));
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
        let gate = gate(1, 1);
        let own = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"];
        let held: Vec<_> = own.iter().map(|own| gate.enter(ip(own), SECOND)).collect();
        assert!(held.iter().all(Result::is_ok));
    }

    #[test]
    fn the_book_does_not_grow_with_every_address() {
        let gate = gate(1, 1);
        let held = gate.enter(ip("192.0.2.1"), SECOND).unwrap();
        for number in 0..2 * SITES_MAX {
            let address = (u128::try_from(number).unwrap() << 64).into();
            let _ = gate.enter(IpAddr::V6(address), SECOND);
            assert!(gate.book().sites.len() <= SITES_MAX);
        }
        gate.enter(ip("192.0.2.1"), 9 * SECOND).unwrap_err();
        drop(held);
        gate.enter(ip("192.0.2.1"), 9 * SECOND).unwrap();
    }

    #[test]
    fn only_so_many_refusals_are_put_into_words() {
        let gate = gate(1, 1);
        let said = (0..1_000).filter(|_| gate.may_explain(SECOND)).count();
        assert_eq!(said, usize::try_from(WORDS.burst).unwrap());
        assert!(gate.may_explain(2 * SECOND));
    }
}
