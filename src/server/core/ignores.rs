//! Whom users ignore: what those write does not count for them, and is hidden by their clients.

use serde::{Deserialize, Serialize};

use super::persist::{Record, RecordMap, from_json, to_json};
use crate::{
    protocol::{
        UserId,
        frame::{ErrorCode, ErrorFrame},
        limits::IGNORED_MAX,
    },
    server::log::StateRecord,
};

/// A user, and one whom they ignore; sorted by the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IgnoredKey {
    user: UserId,
    other: UserId,
}

/// The record that one user ignores another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Ignored {}

impl Record for Ignored {
    const KIND: &'static str = "ignored";
    type Key = IgnoredKey;

    fn key(key: &IgnoredKey) -> String {
        format!("{} {}", key.user, key.other)
    }

    fn encode(&self) -> String {
        to_json(self)
    }

    fn decode(key: &str, value: &str) -> Option<(IgnoredKey, Self)> {
        let (user, other) = key.split_once(' ')?;
        let key = IgnoredKey {
            user: UserId::parse(user).ok()?,
            other: UserId::parse(other).ok()?,
        };
        Some((key, from_json(value)?))
    }
}

/// Whom users ignore.
#[derive(Debug)]
pub struct Ignores(RecordMap<Ignored>);

impl Ignores {
    /// Loads the store's records.
    pub fn load(records: &[StateRecord]) -> Self {
        Self(RecordMap::load(records))
    }

    /// The records, for a commit.
    pub fn records(&mut self) -> &mut RecordMap<Ignored> {
        &mut self.0
    }

    /// Whom a user ignores, in order.
    pub fn of(&self, user: UserId) -> Vec<UserId> {
        let key = |other| IgnoredKey { user, other };
        let (first, last) = (
            UserId::from_bytes([0; 12]),
            UserId::from_bytes([u8::MAX; 12]),
        );
        let own = self.0.range(key(first)..=key(last));
        own.map(|(key, _)| key.other).collect()
    }

    /// Has a user ignore another one. Returns whether they did not before.
    ///
    /// # Errors
    /// If they ignore as many as they may.
    pub fn ignore(&mut self, user: UserId, other: UserId) -> Result<bool, ErrorFrame> {
        let key = IgnoredKey { user, other };
        if self.0.contains_key(&key) {
            return Ok(false);
        }
        if self.of(user).len() >= IGNORED_MAX {
            let message = format!("You ignore {IGNORED_MAX} users: /unignore one of them first");
            return Err(ErrorFrame::new(ErrorCode::NotAllowed, &message));
        }
        self.0.insert(key, Ignored {});
        Ok(true)
    }

    /// Has a user ignore another one no longer. Returns whether they did.
    pub fn unignore(&mut self, user: UserId, other: UserId) -> bool {
        self.0.remove(&IgnoredKey { user, other }).is_some()
    }

    /// Drops what is kept about a user whose account is removed.
    pub fn forget(&mut self, user: UserId) {
        for other in self.of(user) {
            self.unignore(user, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::core::persist::Persist;

    #[test]
    fn a_user_ignores_so_many_and_they_are_kept() {
        let id = |n: usize| {
            let mut bytes = [1; 12];
            bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
            UserId::from_bytes(bytes)
        };
        let mut ignores = Ignores::load(&[]);
        for other in 1..=IGNORED_MAX {
            assert!(ignores.ignore(id(0), id(other)).unwrap());
        }
        assert!(!ignores.ignore(id(0), id(1)).unwrap());
        assert!(ignores.ignore(id(0), id(IGNORED_MAX + 1)).is_err());
        assert!(ignores.ignore(id(1), id(0)).unwrap());
        assert!(ignores.unignore(id(0), id(1)) && !ignores.unignore(id(0), id(1)));
        let mut stored = Vec::new();
        ignores.records().take(&mut stored);
        stored.retain(|record| record.value.is_some());
        let mut again = Ignores::load(&stored);
        let expected: Vec<_> = (2..=IGNORED_MAX).map(id).collect();
        assert_eq!(again.of(id(0)), expected);
        again.forget(id(0));
        assert_eq!((again.of(id(0)), again.of(id(1))), (vec![], vec![id(0)]));
        assert_eq!(Ignored::decode("1 2", "{}"), None);
    }
}
