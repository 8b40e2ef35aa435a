//! Connections that have not joined: in the order of their coming, and not too many.
//!
//! Who is slow to join makes room when others wait to come in, the slowest first; so silent
//! connections keep nobody out for longer than [`GRACE`].

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::server::core::ConnectionId;

/// Connections that may be here at one time.
pub(super) const UNJOINED_MAX: usize = 1024;
/// How long each may take at least.
pub(super) const GRACE: Duration = Duration::from_millis(500);

/// All of them. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Unjoined(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// By when they came: since the server's start.
    waiting: Mutex<BTreeSet<(Duration, ConnectionId)>>,
    /// Told when one is gone.
    gone: Notify,
}

/// One of them, for as long as this lives.
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

    /// Whether there are as many as there may be.
    pub(super) fn are_many(&self) -> bool {
        self.0.waiting().len() >= UNJOINED_MAX
    }

    /// The one that came first, if it has had its time: it is to go, and counts as gone.
    pub(super) fn evict(&self, now: Duration) -> Option<ConnectionId> {
        let mut waiting = self.0.waiting();
        let &(came, id) = waiting.first()?;
        if came + GRACE > now {
            return None;
        }
        waiting.pop_first();
        Some(id)
    }

    /// When the one that came first will have had its time.
    pub(super) fn due(&self) -> Option<Duration> {
        let waiting = self.0.waiting();
        waiting.first().map(|(came, _)| *came + GRACE)
    }

    /// Until one is gone.
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
    fn who_came_first_goes_first_and_not_before_his_time() {
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
