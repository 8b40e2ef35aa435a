//! Nicknames: each belongs to the user who first used it with a key.

use std::collections::HashMap;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::account::SEEN_EVERY;
use crate::{
    protocol::{Nickname, UserId},
    server::{
        core::persist::{Record, RecordMap, from_json, to_json},
        log::StateRecord,
    },
};

/// Most nicknames of one user; one more releases the one that was not used for longest.
pub const NICKNAMES_MAX: usize = 4;

/// A nickname's owner.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Owned {
    user: UserId,
    /// As the user writes it.
    nickname: String,
    /// About when the user last used it, in seconds since 1970; the highest of a user's is that of
    /// the last one.
    used: u64,
}

/// All nicknames with an owner.
#[derive(Debug)]
pub struct Nicknames {
    /// By canonical form.
    owned: RecordMap<Owned>,
    /// The canonical forms of each user's nicknames.
    by_user: HashMap<UserId, Vec<String>>,
}

impl Nicknames {
    /// The nicknames among the store's records.
    pub fn load(records: &[StateRecord]) -> Self {
        let owned = RecordMap::<Owned>::load(records);
        let mut by_user: HashMap<_, Vec<_>> = HashMap::new();
        for (canonical, owned) in owned.iter() {
            by_user
                .entry(owned.user)
                .or_default()
                .push(canonical.clone());
        }
        Self { owned, by_user }
    }

    /// The records, for a commit.
    pub fn records(&mut self) -> &mut RecordMap<Owned> {
        &mut self.owned
    }

    /// The owner of a nickname.
    pub fn owner(&self, nickname: &Nickname) -> Option<UserId> {
        self.owner_of(&nickname.canonical())
    }

    /// The owner of a nickname, by its canonical form.
    pub fn owner_of(&self, canonical: &String) -> Option<UserId> {
        Some(self.owned.get(canonical)?.user)
    }

    /// Whether a nickname has no owner, or this user owns it.
    pub fn is_free_for(&self, nickname: &Nickname, user: UserId) -> bool {
        self.owner(nickname).is_none_or(|owner| owner == user)
    }

    /// Whether a user owns any nickname.
    pub fn has_any(&self, user: UserId) -> bool {
        self.by_user.get(&user).is_some_and(|own| !own.is_empty())
    }

    /// The nickname that a user used last.
    pub fn last_used(&self, user: UserId) -> Option<&str> {
        Some(self.last_of(user)?.nickname.as_str())
    }

    fn last_of(&self, user: UserId) -> Option<&Owned> {
        let own = self.of(user).map(|(_, owned)| owned);
        own.max_by_key(|owned| owned.used)
    }

    /// A user's nicknames, by their canonical forms.
    fn of(&self, user: UserId) -> impl Iterator<Item = (&String, &Owned)> {
        let own = self.by_user.get(&user).into_iter().flatten();
        own.filter_map(|canonical| self.owned.get_key_value(canonical))
    }

    /// Whether a nickname's owner is not stored yet.
    pub fn is_owed(&self, nickname: &Nickname) -> bool {
        self.owned.is_owed(&nickname.canonical())
    }

    /// Notes that a user uses a nickname now: they become its owner if it has none.
    pub fn claim(&mut self, user: UserId, nickname: &Nickname, at: u64) {
        let canonical = nickname.canonical();
        let known = self.owned.get(&canonical);
        let is_new = known.is_none();
        let last = self.last_of(user);
        let others = last.filter(|last| last.nickname != nickname.as_str());
        let is_recent = |owned: &Owned| at < owned.used.saturating_add(SEEN_EVERY);
        if let Some(owned) = known
            && (owned.user != user || others.is_none() && is_recent(owned))
        {
            return;
        }
        let owned = Owned {
            user,
            nickname: nickname.as_str().to_owned(),
            used: others.map_or(at, |last| at.max(last.used.saturating_add(1))),
        };
        // Their other devices are told by it what they are called, also after a restart.
        if others.is_some() || is_new {
            self.owned.owe(canonical.clone());
        }
        self.owned.insert(canonical.clone(), owned);
        if is_new {
            self.by_user
                .entry(user)
                .or_default()
                .push(canonical.clone());
        }
        self.release_beyond(user, &canonical);
    }

    /// Releases a user's nicknames beyond [`NICKNAMES_MAX`], those not used for longest first.
    fn release_beyond(&mut self, user: UserId, keep: &str) {
        let mut own: Vec<_> = self
            .of(user)
            .filter(|(canonical, _)| *canonical != keep)
            .map(|(canonical, owned)| (owned.used, canonical.clone()))
            .collect();
        own.sort();
        let count = (own.len() + 1).saturating_sub(NICKNAMES_MAX);
        for (_, canonical) in own.into_iter().take(count) {
            self.release(&canonical);
        }
    }

    /// Takes a nickname from its owner.
    pub fn release(&mut self, canonical: &str) {
        if let Some(owned) = self.owned.remove(&canonical.to_owned())
            && let Some(own) = self.by_user.get_mut(&owned.user)
        {
            own.retain(|other| other != canonical);
        }
    }

    /// Releases all nicknames of a user.
    pub fn release_all(&mut self, user: UserId) {
        for canonical in self.by_user.remove(&user).unwrap_or_default() {
            self.owned.remove(&canonical);
        }
    }
}

impl Record for Owned {
    const KIND: &'static str = "nickname";
    type Key = String;

    /// A hash: a canonical form may be longer than a key.
    fn key(canonical: &String) -> String {
        HEXLOWER.encode(&Sha256::digest(canonical.as_bytes())[..16])
    }

    fn encode(&self) -> String {
        to_json(self)
    }

    fn decode(_: &str, value: &str) -> Option<(String, Self)> {
        let owned: Self = from_json(value)?;
        Some((Nickname::known(&owned.nickname).ok()?.canonical(), owned))
    }
}
