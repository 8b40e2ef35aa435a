//! Mutes: users whose messages are refused. They are indexed by user and by site, since every
//! message is checked.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::sanction::{SANCTIONS_MAX, in_force, kept_sites, moderator, until_words};
use crate::{
    protocol::{
        Nickname, Role, UserId,
        frame::{ErrorCode, ErrorFrame},
    },
    server::{
        core::persist::{RecordMap, json_record},
        log::StateRecord,
        network::Site,
    },
    text::Line,
};

/// A mute.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Mute {
    /// The muted user's nickname then.
    pub nickname: String,
    /// Where they were: users without an older account may not write from there.
    #[serde(with = "kept_sites")]
    pub sites: Vec<Site>,
    /// Since when, in seconds since 1970. An older server did not note it: then the mute applies to
    /// no other user with a key.
    #[serde(default = "never")]
    pub at: u64,
    /// Until when; `None`: until it is lifted.
    pub until: Option<u64>,
    /// The moderator's role: it takes at least this role to lift the mute.
    #[serde(default = "moderator")]
    pub rank: Role,
}

fn never() -> u64 {
    u64::MAX
}

impl Mute {
    /// Whether the muted user had this nickname.
    pub fn names(&self, nickname: &Nickname) -> bool {
        let had = Nickname::known(&self.nickname);
        had.is_ok_and(|had| had.canonical() == nickname.canonical())
    }
}

/// The mutes, at most one a user.
#[derive(Debug)]
pub struct Mutes {
    by_user: RecordMap<Mute>,
    by_site: HashMap<Site, Vec<UserId>>,
}

impl Mutes {
    /// The mutes among the store's records.
    pub fn load(records: &[StateRecord]) -> Self {
        let by_user = RecordMap::<Mute>::load(records);
        let mut by_site: HashMap<_, Vec<_>> = HashMap::new();
        for (user, mute) in by_user.iter() {
            for site in &mute.sites {
                by_site.entry(*site).or_default().push(*user);
            }
        }
        Self { by_user, by_site }
    }

    /// The records, for a commit.
    pub fn records(&mut self) -> &mut RecordMap<Mute> {
        &mut self.by_user
    }

    /// A user's own mute, if it has not ended.
    pub fn own(&self, user: UserId, now: u64) -> Option<&Mute> {
        let own = self.by_user.get(&user);
        own.filter(|mute| in_force(mute.until, now))
    }

    /// A mute that covers a site, unless it began after `since`, when the account of the user there
    /// was made.
    pub fn at(&self, site: Site, since: impl FnOnce() -> Option<u64>, now: u64) -> Option<&Mute> {
        let users = self.by_site.get(&site)?;
        let since = since();
        users
            .iter()
            .filter_map(|user| self.by_user.get(user))
            .find(|mute| in_force(mute.until, now) && since.is_none_or(|since| since >= mute.at))
    }

    /// The role that muted a user.
    pub fn rank_of(&self, user: UserId) -> Option<Role> {
        self.by_user.get(&user).map(|mute| mute.rank)
    }

    /// Checks that one more mute fits.
    pub fn has_room(&self) -> Result<(), ErrorFrame> {
        if self.by_user.len() < SANCTIONS_MAX {
            return Ok(());
        }
        let message = "The server can't hold more mutes: lift some";
        Err(ErrorFrame::new(ErrorCode::NotAllowed, message))
    }

    /// Mutes a user, in place of an earlier mute.
    pub fn insert(&mut self, user: UserId, mute: Mute) {
        self.lift(user);
        for site in &mute.sites {
            self.by_site.entry(*site).or_default().push(user);
        }
        self.by_user.insert(user, mute);
    }

    /// Lifts a user's mute; whether there was one.
    pub fn lift(&mut self, user: UserId) -> bool {
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

    /// Removes the mutes that have ended.
    pub fn forget_over(&mut self, now: u64) {
        let over = self.by_user.iter();
        let over = over.filter(|(_, mute)| !in_force(mute.until, now));
        let over: Vec<_> = over.map(|(user, _)| *user).collect();
        for user in over {
            self.lift(user);
        }
    }

    /// The muted users.
    pub fn users(&self) -> impl Iterator<Item = UserId> {
        self.by_user.keys().copied()
    }

    /// The mutes in force, one a line.
    pub fn lines(&self, now: u64) -> impl Iterator<Item = Line> {
        let mutes = self.by_user.values();
        let mutes = mutes.filter(move |mute| in_force(mute.until, now));
        mutes.map(|mute| {
            let until = until_words(mute.until);
            Line::inert(&format!("{} muted {until}", mute.nickname))
        })
    }
}

json_record!(Mute, "mute", UserId);
