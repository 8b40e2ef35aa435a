//! One account: a user whom the server knows by a key.

use serde::{Deserialize, Serialize};

use crate::{
    protocol::{PublicKey, Role, UserId},
    server::core::persist::{Record, from_json, to_json},
};

/// How often it is noted that a key was used or that a user wrote, in seconds: once a day.
pub const SEEN_EVERY: u64 = 86_400;

/// One user.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Account {
    /// What the user may do.
    pub role: Role,
    /// Whether the user was let in by an invite, a password or the owner's code: then they are let in
    /// from everywhere.
    pub admitted: bool,
    /// Since when the user is known, in seconds since 1970.
    pub since: u64,
    /// About when the user last wrote; 0: never. `None`: an older server did not note it.
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
    /// Whether it is to be noted that the key is used now.
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

    /// Notes that a key is used, and adds it if it is new. The time is noted once a day.
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

    /// About when the user was last here.
    pub fn seen(&self) -> u64 {
        let keys = self.keys.iter().map(|key| key.seen);
        keys.chain(self.wrote).fold(self.since, u64::max)
    }

    /// Whether it is to be noted that the user writes now.
    pub fn wrote_long_ago(&self, at: u64) -> bool {
        self.wrote
            .is_none_or(|wrote| wrote == 0 || at >= wrote.saturating_add(SEEN_EVERY))
    }

    /// Whether the user came and went, and left nothing.
    pub fn is_passing(&self) -> bool {
        self.wrote == Some(0) && self.keys.len() == 1 && !self.admitted
    }
}

impl Record for Account {
    const KIND: &'static str = "account";
    type Key = UserId;

    fn key(user: &UserId) -> String {
        user.to_string()
    }

    fn encode(&self) -> String {
        to_json(self)
    }

    fn decode(user: &str, value: &str) -> Option<(UserId, Self)> {
        Some((UserId::parse(user).ok()?, from_json(value)?))
    }
}
