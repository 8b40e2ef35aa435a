//! How many connections one site may have, and how often it may make one.
//!
//! Connections from this machine itself are not counted by site: they are its own users', or come
//! through a tunnel, where one address stands for everybody.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    protocol::frame::{ErrorCode, ErrorFrame},
    server::{
        engine::house::{Rate, rates::Meters},
        log::Recorder,
        network::{ClientAddress, Site},
    },
    text::Line,
};

/// Refusals that are put into words, in all: each may cost a handshake. Others are closed in
/// silence.
const WORDS: Rate = Rate::new(3_000, 100);

/// Lines of the log about those who are turned away: more would be a way to fill a disk.
const LINES: Rate = Rate::new(30, 20);

/// What one site may. [`Caps::default`]: as much as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// Connections at one time.
    pub connections: Option<usize>,
    /// How often it may make one.
    pub rate: Option<Rate>,
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
    connections_max: usize,
    recorder: Recorder,
    book: Arc<Mutex<Book>>,
}

#[derive(Debug)]
struct Book {
    /// Of those that have any.
    connections: HashMap<Site, usize>,
    made: Meters<Site>,
    /// Refusals that were put into words.
    words: Meters<()>,
    /// Lines of the log, and how many there were none for since the last.
    lines: Meters<()>,
    untold: u64,
}

/// Counts one connection for as long as it lives.
#[derive(Debug)]
pub(super) struct Pass {
    _counted: Option<Box<Counted>>,
}

/// Where it is counted, if it is.
#[derive(Debug)]
struct Counted {
    book: Arc<Mutex<Book>>,
    site: Site,
}

impl Gate {
    pub(super) fn new(caps: Caps, recorder: Recorder) -> Self {
        let book = Book {
            connections: HashMap::new(),
            made: Meters::new(caps.rate),
            words: Meters::new(Some(WORDS)),
            lines: Meters::new(Some(LINES)),
            untold: 0,
        };
        Self {
            recorder,
            connections_max: caps.connections.unwrap_or(usize::MAX),
            book: Arc::new(book.into()),
        }
    }

    /// A connection comes in from this address.
    pub(super) fn enter(&self, address: ClientAddress, now: Duration) -> Result<Pass, Refusal> {
        if address.is_this_machine() {
            return Ok(Pass { _counted: None });
        }
        let site = address.site();
        let mut book = self.book();
        let here = book.connections.get(&site).copied().unwrap_or(0);
        if here >= self.connections_max {
            return Err(Refusal::new(
                ErrorCode::ServerFull,
                "As many connections come from your address as the server takes from one. Close \
                 some, or try again later",
            ));
        }
        if let Err(wait) = book.made.take(site, now) {
            return Err(Refusal {
                code: ErrorCode::RateLimited,
                words: "Connections come too fast from your address. Try again later",
                retry_after: Some(wait),
            });
        }
        book.connections.insert(site, here + 1);
        let book = Arc::clone(&self.book);
        Ok(Pass {
            _counted: Some(Box::new(Counted { book, site })),
        })
    }

    /// Whether a refusal is to be put into words.
    pub(super) fn may_explain(&self, now: Duration) -> bool {
        self.book().words.take((), now).is_ok()
    }

    /// Notes that somebody was turned away before he could join.
    pub(super) fn turned_away(&self, address: ClientAddress, refusal: &Refusal, now: Duration) {
        let mut book = self.book();
        if book.lines.take((), now).is_err() {
            book.untold += 1;
            return;
        }
        let untold = mem::take(&mut book.untold);
        drop(book);
        let more = match untold {
            0 => String::new(),
            count => format!("; {count} more since the last line like this"),
        };
        let words = refusal.words;
        let line = format!("turned away {address}: {words}{more}");
        self.recorder.info(line);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        open(&self.book)
    }
}

fn open(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut book = open(&self.book);
        if let Some(here) = book.connections.get_mut(&self.site) {
            *here -= 1;
            if *here == 0 {
                book.connections.remove(&self.site);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn gate(connections: usize, burst: u32) -> Gate {
        Gate::new(
            Caps {
                connections: Some(connections),
                rate: Some(Rate::new(60, burst)),
            },
            Recorder::none(),
        )
    }

    fn from(text: &str) -> ClientAddress {
        SocketAddr::new(text.parse().unwrap(), 7).into()
    }

    #[test]
    fn a_site_has_so_many_at_one_time_and_others_do_not_suffer() {
        let gate = gate(2, 100);
        let enter = |address| gate.enter(from(address), SECOND);
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
        let at = |ms| gate.enter(from("192.0.2.1"), Duration::from_millis(ms));
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
        let held: Vec<_> = own
            .iter()
            .map(|own| gate.enter(from(own), SECOND))
            .collect();
        assert!(held.iter().all(Result::is_ok));
    }

    #[test]
    fn the_book_forgets_who_has_left() {
        let gate = gate(1, 1);
        let household = |number: u128| IpAddr::V6(((0x2000 << 112) + (number << 64)).into());
        let held: Vec<_> = (0..1_000)
            .map(|number| SocketAddr::new(household(number), 7).into())
            .map(|address| gate.enter(address, SECOND))
            .collect();
        assert_eq!(gate.book().connections.len(), 1_000);
        drop(held);
        assert!(gate.book().connections.is_empty());
    }

    #[test]
    fn only_so_many_refusals_are_put_into_words() {
        let gate = gate(1, 1);
        let said = (0..1_000).filter(|_| gate.may_explain(SECOND)).count();
        assert_eq!(said, usize::try_from(WORDS.burst).unwrap());
        assert!(gate.may_explain(2 * SECOND));
    }
}
