//! An account: a user whom the server knows by a key.

use serde::{Deserialize, Serialize};

use crate::{
    protocol::{PublicKey, Role, UserId},
    server::core::persist::json_record,
};

/// Seconds between two notes that a key was used or that a user wrote: once a day.
pub const SEEN_EVERY: u64 = 86_400;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Account {
    /// The user's role.
    pub role: Role,
    /// Whether the user was admitted permanently, by an invite, the password or the owner's code:
    /// then they may join from everywhere.
    pub admitted: bool,
    /// When the account was made, in seconds since 1970.
    pub since: u64,
    /// About when the user last wrote; 0: never. `None`: unknown, from an older server.
    pub wrote: Option<u64>,
    /// The keys of the user's devices.
    pub keys: Vec<Key>,
}

/// One of a user's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Key {
    /// The key.
    #[serde(rename = "key")]
    pub public: PublicKey,
    /// When it was added, in seconds since 1970.
    pub added: u64,
    /// About when it was last used.
    pub seen: u64,
}

impl Key {
    /// Whether to note that the key is used now.
    pub fn is_stale(&self, at: u64) -> bool {
        at >= self.seen.saturating_add(SEEN_EVERY)
    }
}

impl Account {
    /// An account without keys.
    pub fn new(at: u64) -> Self {
        Self {
            keys: Vec::new(),
            role: Role::Member,
            admitted: false,
            since: at,
            wrote: Some(0),
        }
    }

    /// Notes that a key is used, once a day, and adds it if it is new.
    pub fn use_key(&mut self, public: PublicKey, at: u64) {
        match self.keys.iter_mut().find(|key| key.public == public) {
            Some(key) if key.is_stale(at) => key.seen = at,
            Some(_) => {}
            None => self.keys.push(Key {
                public,
                added: at,
                seen: at,
            }),
        }
    }

    /// About when the user last had a session.
    pub fn seen(&self) -> u64 {
        let keys = self.keys.iter().map(|key| key.seen);
        keys.chain(self.wrote).fold(self.since, u64::max)
    }

    /// Whether to note that the user writes now.
    pub fn wrote_long_ago(&self, at: u64) -> bool {
        self.wrote
            .is_none_or(|wrote| wrote == 0 || at >= wrote.saturating_add(SEEN_EVERY))
    }

    /// Whether the user never wrote, has one key and was not admitted permanently.
    pub fn is_passing(&self) -> bool {
        self.wrote == Some(0) && self.keys.len() == 1 && !self.admitted
    }
}

json_record!(Account, "account", UserId);
