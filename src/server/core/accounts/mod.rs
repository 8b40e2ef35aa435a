//! Accounts: users whom the server knows by a key, with their roles, devices and nicknames.

use std::{collections::HashMap, ops::Bound};

use jiff::Timestamp;

use self::{account::Account, devices::DeviceCodes, nicknames::Nicknames, sweep::Sweep};
use super::{
    format::seconds,
    persist::{Persist, RecordMap},
};
use crate::{
    protocol::{DeviceCode, Nickname, PublicKey, Role, UserId},
    server::log::StateRecord,
    time::Now,
};

pub mod account;
mod devices;
pub mod nicknames;
mod sweep;

pub use devices::KEYS_MAX;

/// Most accounts.
pub const ACCOUNTS_MAX: usize = 100_000;
/// Number of accounts from which on strangers join without one; the rest is for invited users.
pub const STRANGERS_MAX: usize = ACCOUNTS_MAX / 10 * 9;

/// All accounts.
#[derive(Debug)]
pub struct Accounts {
    by_user: RecordMap<Account>,
    /// The user of each key.
    keys: HashMap<PublicKey, UserId>,
    /// Their nicknames.
    pub nicknames: Nicknames,
    codes: DeviceCodes,
    sweep: Sweep,
}

/// The admission of a device.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    /// The user.
    pub user: UserId,
    /// The key that the device has proven.
    pub key: PublicKey,
    /// Whether the user is admitted permanently, by an invite or the password.
    pub for_good: bool,
    /// The code that the device sent.
    pub code: Option<DeviceCode>,
}

/// The new parts of an account after an admission.
#[derive(Clone, Copy, Debug)]
pub struct Admitted {
    /// The account itself.
    pub account: bool,
    /// The key.
    pub key: bool,
}

impl Accounts {
    /// The accounts among the store's records.
    pub fn load(records: &[StateRecord]) -> Self {
        let by_user = RecordMap::<Account>::load(records);
        let keys = by_user
            .iter()
            .flat_map(|(user, account)| account.keys.iter().map(|key| (key.public, *user)))
            .collect();
        Self {
            by_user,
            keys,
            nicknames: Nicknames::load(records),
            codes: DeviceCodes::default(),
            sweep: Sweep::default(),
        }
    }

    /// The records, for a commit.
    pub fn records(&mut self) -> [&mut dyn Persist; 2] {
        [&mut self.by_user, self.nicknames.records()]
    }

    /// A user's account.
    pub fn get(&self, user: UserId) -> Option<&Account> {
        self.by_user.get(&user)
    }

    /// The number of accounts.
    pub fn count(&self) -> usize {
        self.by_user.len()
    }

    /// The user of a key.
    pub fn user_of(&self, key: &PublicKey) -> Option<UserId> {
        self.keys.get(key).copied()
    }

    /// A user's role, if they have an account.
    pub fn known_role(&self, user: UserId) -> Option<Role> {
        self.get(user).map(|account| account.role)
    }

    /// A user's role.
    pub fn role(&self, user: UserId) -> Role {
        self.known_role(user).unwrap_or(Role::Unverified)
    }

    /// The number of owners.
    pub fn owners(&self) -> usize {
        let roles = self.by_user.values().map(|account| account.role);
        roles.filter(|role| *role == Role::Owner).count()
    }

    /// Gives a user a role.
    pub fn set_role(&mut self, user: UserId, role: Role) {
        self.by_user.update(&user, |account| {
            account.role = role;
            account.admitted |= role > Role::Member;
        });
    }

    /// Makes all owners members, for an owner who lost their keys.
    pub fn remove_owners(&mut self) {
        let owners = self.by_user.iter();
        let owners = owners.filter(|(_, account)| account.role == Role::Owner);
        let owners: Vec<_> = owners.map(|(user, _)| *user).collect();
        for user in owners {
            self.by_user
                .update(&user, |account| account.role = Role::Member);
        }
    }

    /// The nickname that a user used last, or their id.
    pub fn name_of(&self, user: UserId) -> String {
        let nickname = self.nicknames.last_used(user);
        nickname.map_or_else(|| user.to_string(), ToOwned::to_owned)
    }

    /// Whether a user's account, or their ownership of a nickname, is not stored yet: then no
    /// client may be told of it, since a power failure would undo it.
    pub fn owes(&self, user: UserId, nickname: &Nickname) -> bool {
        self.by_user.is_owed(&user) || self.nicknames.is_owed(nickname)
    }

    /// Notes that a device is admitted. Idempotent.
    pub fn admit(&mut self, admission: Admission, at: u64) -> Admitted {
        let Admission { user, key, .. } = admission;
        let known = self.get(user);
        let known_key = known.and_then(|account| account.keys.iter().find(|k| k.public == key));
        let admitted = Admitted {
            account: known.is_none(),
            key: known_key.is_none(),
        };
        let is_stale = known_key.is_some_and(|known| known.is_stale(at));
        if admitted.account {
            self.by_user.insert(user, Account::new(at));
        }
        let is_owed = admitted.key || admission.for_good;
        if is_owed || is_stale {
            self.by_user.update(&user, |account| {
                account.use_key(key, at);
                account.admitted |= admission.for_good;
            });
        }
        if is_owed {
            self.by_user.owe(user);
        }
        self.keys.insert(key, user);
        if admitted.key && admission.code.is_some() {
            self.codes.withdraw(admission.code, user);
        }
        admitted
    }

    /// Notes that a user uses a nickname now, if they have an account.
    pub fn claim(&mut self, user: UserId, nickname: &Nickname, now: Now) {
        if self.by_user.contains_key(&user) {
            self.nicknames.claim(user, nickname, seconds(now.wall));
        }
    }

    /// The users with an account, by their ids, behind one.
    pub fn users_after(&self, after: Option<UserId>) -> impl Iterator<Item = UserId> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let users = self.by_user.range((start, Bound::Unbounded));
        users.map(|(user, _)| *user)
    }

    /// About when a user was last connected, as far as is known.
    pub fn last_seen(&self, user: UserId) -> Option<Timestamp> {
        let keys = self.get(user)?.keys.iter();
        let seen = keys.map(|key| key.seen).max()?;
        Timestamp::from_second(i64::try_from(seen).ok()?).ok()
    }

    /// Notes once a day that a user writes.
    pub fn note_writing(&mut self, user: UserId, now: Now) {
        let at = seconds(now.wall);
        if self
            .get(user)
            .is_some_and(|account| account.wrote_long_ago(at))
        {
            self.by_user
                .update(&user, |account| account.wrote = Some(at));
        }
    }

    /// Notes when a session ends that its key was used, once a day.
    pub fn note_leaving(&mut self, user: UserId, key: Option<PublicKey>, now: Now) {
        let at = seconds(now.wall);
        let Some(key) = key else { return };
        let known = self.get(user).into_iter().flat_map(|account| &account.keys);
        if known
            .into_iter()
            .any(|known| known.public == key && known.is_stale(at))
        {
            self.by_user
                .update(&user, |account| account.use_key(key, at));
        }
    }
}
