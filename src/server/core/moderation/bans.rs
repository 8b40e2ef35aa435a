//! Bans: users who may not join.

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

/// A ban.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Ban {
    /// The banned user.
    pub user: UserId,
    /// Their nickname then.
    pub nickname: String,
    /// Where they were: users without an older account may not join from there.
    #[serde(with = "kept_sites")]
    pub sites: Vec<Site>,
    /// Since when, in seconds since 1970.
    pub at: u64,
    /// Until when; `None`: until it is lifted.
    pub until: Option<u64>,
    /// The nickname of the moderator.
    pub by: String,
    /// The moderator's role: it takes at least this role to lift the ban.
    #[serde(default = "moderator")]
    pub rank: Role,
    /// The reason.
    pub reason: Option<String>,
    /// The user who blocked their own device by this ban, if one did.
    #[serde(default)]
    pub of: Option<UserId>,
}

/// The bans, by their numbers: 1, 2, 3, …
#[derive(Debug)]
pub struct Bans(RecordMap<Ban>);

impl Bans {
    /// The bans among the store's records.
    pub fn load(records: &[StateRecord]) -> Self {
        Self(RecordMap::load(records))
    }

    /// The records, for a commit.
    pub fn records(&mut self) -> &mut RecordMap<Ban> {
        &mut self.0
    }

    /// The ban that applies to a user: their own; or one that covers their site, unless their
    /// account (made at `since`) is older than it or they are trusted.
    pub fn find(
        &self,
        user: UserId,
        since: Option<u64>,
        trusted: bool,
        site: Site,
        now: u64,
    ) -> Option<&Ban> {
        self.0.values().find(|ban| {
            let known = since.is_some_and(|since| since < ban.at);
            let from_there = !trusted && !known && ban.sites.contains(&site);
            in_force(ban.until, now) && (ban.user == user || from_there)
        })
    }

    /// Checks that one more ban fits.
    pub fn has_room(&self) -> Result<(), ErrorFrame> {
        if self.0.len() < SANCTIONS_MAX {
            return Ok(());
        }
        let message = "The server can't hold more bans: lift some";
        Err(ErrorFrame::new(ErrorCode::NotAllowed, message))
    }

    /// The number of devices that a user has blocked.
    pub fn devices_of(&self, user: UserId) -> usize {
        self.0.values().filter(|ban| ban.of == Some(user)).count()
    }

    /// The highest role that set a ban of a user.
    pub fn rank_of(&self, user: UserId) -> Option<Role> {
        let own = self.0.values().filter(|ban| ban.user == user);
        own.map(|ban| ban.rank).max()
    }

    /// Adds a ban, in place of an earlier one of the same user.
    pub fn insert(&mut self, ban: Ban) {
        self.0.retain(|other| other.user != ban.user);
        let number = self.0.last_key_value().map_or(1, |(last, _)| last + 1);
        self.0.insert(number, ban);
    }

    /// The highest role that set a ban of a nickname or of its owner; `None`: there is none.
    pub fn rank_by_name(&self, nickname: &Nickname, owner: Option<UserId>) -> Option<Role> {
        let meant = self.0.values().filter(|ban| ban.means(nickname, owner));
        meant.map(|ban| ban.rank).max()
    }

    /// Lifts the bans of a nickname, or of its owner.
    pub fn lift(&mut self, nickname: &Nickname, owner: Option<UserId>) {
        self.0.retain(|ban| !ban.means(nickname, owner));
    }

    /// Removes the bans that have ended.
    pub fn forget_over(&mut self, now: u64) {
        self.0.retain(|ban| in_force(ban.until, now));
    }

    /// The banned users.
    pub fn users(&self) -> impl Iterator<Item = UserId> {
        self.0.values().map(|ban| ban.user)
    }

    /// The bans in force, one a line.
    pub fn lines(&self, now: u64) -> impl Iterator<Item = Line> {
        let bans = self.0.values().filter(move |ban| in_force(ban.until, now));
        bans.map(|ban| {
            let (until, reason) = (until_words(ban.until), ban.reason_words());
            Line::inert(&format!(
                "{} banned {until}, by {}{reason}",
                ban.nickname, ban.by
            ))
        })
    }
}

impl Ban {
    /// The reason, as the end of a sentence.
    pub fn reason_words(&self) -> String {
        let reason = self.reason.as_ref();
        reason.map_or_else(String::new, |reason| format!(": {reason}"))
    }

    fn means(&self, nickname: &Nickname, owner: Option<UserId>) -> bool {
        let called = Nickname::known(&self.nickname);
        called.is_ok_and(|called| called.canonical() == nickname.canonical())
            || Some(self.user) == owner
    }
}

json_record!(Ban, "ban", u64);
