//! The mutes, so that whoever writes need not be looked for among all of them.

use std::collections::HashMap;

use super::{Site, bans::Mute};
use crate::protocol::UserId;

/// One a user at most, found by him and by where he was.
#[derive(Debug, Default)]
pub(super) struct Mutes {
    by_user: HashMap<UserId, Mute>,
    by_site: HashMap<Site, Vec<UserId>>,
}

impl Mutes {
    /// Puts a mute in the place of the one before.
    pub(super) fn insert(&mut self, user: UserId, mute: Mute) {
        self.remove(user);
        for site in &mute.sites {
            self.by_site.entry(*site).or_default().push(user);
        }
        self.by_user.insert(user, mute);
    }

    /// Takes a mute away; whether there was one.
    pub(super) fn remove(&mut self, user: UserId) -> bool {
        let Some(mute) = self.by_user.remove(&user) else {
            return false;
        };
        for site in mute.sites {
            if let Some(users) = self.by_site.get_mut(&site) {
                users.retain(|other| *other != user);
                if users.is_empty() {
                    self.by_site.remove(&site);
                }
            }
        }
        true
    }

    /// Takes away what is not to be kept; gives whose they were.
    pub(super) fn retain(&mut self, keep: impl Fn(&Mute) -> bool) -> Vec<UserId> {
        let over = self.by_user.iter().filter(|(_, mute)| !keep(mute));
        let over: Vec<_> = over.map(|(user, _)| *user).collect();
        for user in &over {
            self.remove(*user);
        }
        over
    }

    pub(super) fn get(&self, user: UserId) -> Option<&Mute> {
        self.by_user.get(&user)
    }

    /// Those that close a place.
    pub(super) fn at(&self, site: Site) -> impl Iterator<Item = &Mute> {
        let users = self.by_site.get(&site).into_iter().flatten();
        users.filter_map(|user| self.by_user.get(user))
    }

    /// Whose they are.
    pub(super) fn users(&self) -> impl Iterator<Item = UserId> {
        self.by_user.keys().copied()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Mute> {
        self.by_user.values()
    }

    pub(super) fn len(&self) -> usize {
        self.by_user.len()
    }
}
