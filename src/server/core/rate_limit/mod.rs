//! Rate limits: how often users may do what.

use std::time::Duration;

pub use self::gcra::Rate;
pub(in crate::server) use self::gcra::{RateLimiter, SiteRateLimiter, WIDER};
use super::format::too_often;
use crate::{
    protocol::{Role, UserId, frame::ErrorFrame},
    server::network::{ClientAddress, Site},
};

mod gcra;

/// How often things may be done; `None` for no limit.
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
    /// No limits, for tests and tools that measure something else.
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
    /// Limits that people who only chat do not meet, and that a class of thirty behind one address can
    /// live with.
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

/// What an action is counted under: a user with a key, or everybody without one from one place, since a
/// client without a key is another user at every join.
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
        // All clients on this machine have the same address, and are guests of its operator.
        let many = address.is_this_machine();
        match role {
            Role::Unverified if !many => Self::Site(address.site()),
            _ => Self::User(user),
        }
    }
}

/// What users did so far. Every check notes the action, unless it fails.
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
    /// Nobody has done anything yet.
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

    /// One more message.
    pub fn message(&mut self, key: RateKey, now: Duration) -> Result<(), ErrorFrame> {
        let taken = self.messages.take(key, now);
        taken.map_err(|wait| too_often("You write too fast", wait))
    }

    /// One more page of history, or search.
    pub fn query(&mut self, key: RateKey, now: Duration) -> Result<(), ErrorFrame> {
        let taken = self.looks.take(key, now);
        taken.map_err(|wait| too_often("Too much was looked up at once", wait))
    }

    /// One more nickname.
    pub fn nick(&mut self, key: RateKey, now: Duration) -> Result<(), ErrorFrame> {
        let taken = self.nicks.take(key, now);
        taken.map_err(|wait| too_often("You change your nickname too often", wait))
    }

    /// One more command.
    pub fn command(&mut self, key: RateKey, now: Duration) -> Result<(), ErrorFrame> {
        let taken = self.commands.take(key, now);
        taken.map_err(|wait| too_often("Too many commands at once", wait))
    }

    /// One more join.
    pub fn join(&mut self, key: RateKey, now: Duration) -> Result<(), ErrorFrame> {
        let taken = self.joins.take(key, now);
        taken.map_err(|wait| too_often("You come in too often", wait))
    }

    /// One more join of a muted user.
    pub fn muted_join(&mut self, key: RateKey, now: Duration) -> Result<(), ErrorFrame> {
        let taken = self.muted_joins.take(key, now);
        taken.map_err(|wait| too_often("You are muted, and come in too often", wait))
    }

    /// Whether one more account may come from an address; notes nothing.
    pub fn has_room_for_newcomer(
        &self,
        address: ClientAddress,
        now: Duration,
    ) -> Result<(), ErrorFrame> {
        match self.newcomers.look(address, now) {
            Err(wait) if !address.is_this_machine() => Err(too_often(
                "Too many new people come from your address",
                wait,
            )),
            _ => Ok(()),
        }
    }

    /// Notes one more account.
    pub fn note_newcomer(&mut self, address: ClientAddress, now: Duration) {
        let _ = self.newcomers.take(address, now);
    }

    /// Whether one more code may be tried from an address; notes nothing.
    pub fn may_try_code(&self, address: ClientAddress, now: Duration) -> Result<(), ErrorFrame> {
        let looked = self.mistakes.look(address, now);
        looked.map_err(|wait| too_often("Too many wrong codes", wait))
    }

    /// Notes a wrong code.
    pub fn note_mistake(&mut self, address: ClientAddress, now: Duration) {
        let _ = self.mistakes.take(address, now);
    }
}
