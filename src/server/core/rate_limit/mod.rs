//! Rate limits: how often users may do each kind of action.

use std::time::Duration;

pub use self::gcra::Rate;
pub(in crate::server) use self::gcra::{RateLimiter, SiteRateLimiter, WIDER};
use super::format::too_often;
use crate::{
    protocol::{Role, UserId, frame::ErrorFrame},
    server::network::{ClientAddress, Site},
};

mod gcra;

/// The rate limits; `None` for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages of one user.
    pub messages: Option<Rate>,
    /// Pages of history and searches of one user.
    pub looks: Option<Rate>,
    /// Nicknames taken by one user.
    pub nicks: Option<Rate>,
    /// Commands of one user.
    pub commands: Option<Rate>,
    /// Joins of one key; without a key, joins from one address.
    pub joins: Option<Rate>,
    /// Joins of a muted user; of users that the server does not know, joins from one address.
    pub muted_joins: Option<Rate>,
    /// New accounts from one address.
    pub newcomers: Option<Rate>,
    /// Wrong codes, invites and passwords from one address.
    pub mistakes: Option<Rate>,
}

impl Limits {
    /// No limits, for tests and benchmarks.
    pub const NONE: Self = Self {
        messages: None,
        looks: None,
        nicks: None,
        commands: None,
        joins: None,
        muted_joins: None,
        newcomers: None,
        mistakes: None,
    };
}

impl Default for Limits {
    /// Limits that people who chat normally do not reach, and that suit a class of thirty behind
    /// one address.
    fn default() -> Self {
        Self {
            messages: Some(Rate::new(600, 200)),
            looks: Some(Rate::new(600, 120)),
            nicks: Some(Rate::new(6, 5)),
            commands: Some(Rate::new(60, 20)),
            joins: Some(Rate::new(60, 60)),
            muted_joins: Some(Rate::new(1, 3)),
            newcomers: Some(Rate::new(30, 200)),
            mistakes: Some(Rate::new(5, 5)),
        }
    }
}

/// The key under which actions are counted: a user with a key, or all users without a key at one
/// site, since a client without a key is another user at every join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RateKey {
    /// A user with a key, or on the server's own machine.
    User(UserId),
    /// Users without a key, by where they are.
    Site(Site),
}

impl RateKey {
    /// The key of a user.
    pub fn of(user: UserId, role: Role, address: ClientAddress) -> Self {
        // All clients on this machine have the same address, and its operator is responsible for
        // them.
        let many = address.is_this_machine();
        match role {
            Role::Unverified if !many => Self::Site(address.site()),
            _ => Self::User(user),
        }
    }
}

/// The limiters of all kinds of actions. Every check counts the action, unless it fails.
#[derive(Debug)]
pub struct RateLimits {
    messages: RateLimiter<RateKey>,
    looks: RateLimiter<RateKey>,
    nicks: RateLimiter<RateKey>,
    commands: RateLimiter<RateKey>,
    joins: RateLimiter<RateKey>,
    muted_joins: RateLimiter<RateKey>,
    newcomers: SiteRateLimiter,
    mistakes: SiteRateLimiter,
}

impl RateLimits {
    /// Limiters without actions so far.
    pub fn new(limits: Limits) -> Self {
        Self {
            messages: RateLimiter::new(limits.messages),
            looks: RateLimiter::new(limits.looks),
            nicks: RateLimiter::new(limits.nicks),
            commands: RateLimiter::new(limits.commands),
            joins: RateLimiter::new(limits.joins),
            muted_joins: RateLimiter::new(limits.muted_joins),
            newcomers: SiteRateLimiter::new(limits.newcomers),
            mistakes: SiteRateLimiter::new(limits.mistakes),
        }
    }

    /// Counts a message.
    pub fn message(&mut self, key: RateKey, now: Duration) -> Result<(), ErrorFrame> {
        let taken = self.messages.take(key, now);
        taken.map_err(|wait| too_often("You write too fast", wait))
    }

    /// Counts a page of history or a search.
    pub fn query(&mut self, key: RateKey, now: Duration) -> Result<(), ErrorFrame> {
        let taken = self.looks.take(key, now);
        taken.map_err(|wait| too_often("You send too many requests", wait))
    }

    /// Counts a change of nickname.
    pub fn nick(&mut self, key: RateKey, now: Duration) -> Result<(), ErrorFrame> {
        let taken = self.nicks.take(key, now);
        taken.map_err(|wait| too_often("You change your nickname too often", wait))
    }

    /// Counts an admin command.
    pub fn command(&mut self, key: RateKey, now: Duration) -> Result<(), ErrorFrame> {
        let taken = self.commands.take(key, now);
        taken.map_err(|wait| too_often("You give commands too often", wait))
    }

    /// Counts a join.
    pub fn join(&mut self, key: RateKey, now: Duration) -> Result<(), ErrorFrame> {
        let taken = self.joins.take(key, now);
        taken.map_err(|wait| too_often("You join too often", wait))
    }

    /// Counts a join of a muted user.
    pub fn muted_join(&mut self, key: RateKey, now: Duration) -> Result<(), ErrorFrame> {
        let taken = self.muted_joins.take(key, now);
        taken.map_err(|wait| too_often("You are muted, and join too often", wait))
    }

    /// Checks whether one more account may be made from an address; counts nothing.
    pub fn has_room_for_newcomer(
        &self,
        address: ClientAddress,
        now: Duration,
    ) -> Result<(), ErrorFrame> {
        match self.newcomers.look(address, now) {
            Err(wait) if !address.is_this_machine() => {
                Err(too_often("Too many new users join from your address", wait))
            }
            _ => Ok(()),
        }
    }

    /// Counts a new account.
    pub fn note_newcomer(&mut self, address: ClientAddress, now: Duration) {
        let _ = self.newcomers.take(address, now);
    }

    /// Checks whether one more code may be tried from an address; counts nothing.
    pub fn may_try_code(&self, address: ClientAddress, now: Duration) -> Result<(), ErrorFrame> {
        let looked = self.mistakes.look(address, now);
        looked.map_err(|wait| too_often("Too many wrong codes from your address", wait))
    }

    /// Counts a wrong code.
    pub fn note_mistake(&mut self, address: ClientAddress, now: Duration) {
        let _ = self.mistakes.take(address, now);
    }
}
