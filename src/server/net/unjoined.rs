//! Connections that have not joined: ordered by arrival, and limited in number.
//!
//! When others wait to connect, the oldest of them is evicted; so silent connections keep no client
//! out for longer than [`GRACE`].

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::server::core::ConnectionId;

/// Unjoined connections at one time.
pub(super) const UNJOINED_MAX: usize = 1024;
/// How long each may take at least.
pub(super) const GRACE: Duration = Duration::from_millis(500);

/// All unjoined connections. Cheap to clone; all clones share the list.
#[derive(Clone, Debug, Default)]
pub(super) struct Unjoined(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Ordered by arrival, as a time since the server's start.
    waiting: Mutex<BTreeSet<(Duration, ConnectionId)>>,
    /// Notified when one is gone.
    gone: Notify,
}

/// Keeps one connection on the list for as long as this lives.
#[derive(Debug)]
pub(super) struct UnjoinedGuard {
    shared: Arc<Shared>,
    key: (Duration, ConnectionId),
}

impl Unjoined {
    pub(super) fn enter(&self, id: ConnectionId, now: Duration) -> UnjoinedGuard {
        let key = (now, id);
        self.0.waiting().insert(key);
        UnjoinedGuard {
            shared: Arc::clone(&self.0),
            key,
        }
    }

    /// Whether the list is full.
    pub(super) fn are_many(&self) -> bool {
        self.0.waiting().len() >= UNJOINED_MAX
    }

    /// Removes and returns the oldest connection, if its time is over.
    pub(super) fn evict(&self, now: Duration) -> Option<ConnectionId> {
        let mut waiting = self.0.waiting();
        let &(came, id) = waiting.first()?;
        if came + GRACE > now {
            return None;
        }
        waiting.pop_first();
        Some(id)
    }

    /// When the oldest connection's time will be over.
    pub(super) fn due(&self) -> Option<Duration> {
        let waiting = self.0.waiting();
        waiting.first().map(|(came, _)| *came + GRACE)
    }

    /// Waits until one is gone.
    pub(super) async fn gone(&self) {
        self.0.gone.notified().await;
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, BTreeSet<(Duration, ConnectionId)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnjoinedGuard {
    fn drop(&mut self) {
        if self.shared.waiting().remove(&self.key) {
            self.shared.gone.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_evicted_first_and_not_before_its_time() {
        let unjoined = Unjoined::default();
        let id = |number| ConnectionId::new(0, number);
        let at = |ms| Duration::from_millis(ms);
        let _first = unjoined.enter(id(7), at(100));
        let joined = unjoined.enter(id(1), at(200));
        let _third = unjoined.enter(id(9), at(300));
        assert_eq!(unjoined.due(), Some(at(600)));
        assert_eq!(unjoined.evict(at(599)), None);
        drop(joined);
        assert_eq!(unjoined.evict(at(600)), Some(id(7)));
        assert_eq!(unjoined.evict(at(600)), None);
        assert_eq!(unjoined.evict(at(900)), Some(id(9)));
        assert_eq!((unjoined.evict(at(900)), unjoined.due()), (None, None));
    }

    #[test]
    fn there_are_many_until_one_is_gone() {
        let unjoined = Unjoined::default();
        let numbers = 0..u64::try_from(UNJOINED_MAX).unwrap();
        let mut held: Vec<_> = numbers
            .map(|number| unjoined.enter(ConnectionId::new(1, number), Duration::ZERO))
            .collect();
        assert!(unjoined.are_many());
        held.pop();
        assert!(!unjoined.are_many());
    }
}
