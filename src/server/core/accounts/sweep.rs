//! Removes unused accounts: new keys cost nothing, and the number of accounts is limited.
//!
//! | account | is removed after so long without a session |
//! |---|---|
//! | never wrote, has one key | 7 days; 1 day once half of the limit is reached, 1 hour at nine tenths |
//! | wrote, or has several keys, or is of an older server that did not note it | the operator's setting: a year |
//! | admitted by an invite or the password | stays; its nicknames are released after the operator's setting |
//! | owner, moderator; banned or muted; present; its first key is revoked | stays |
//!
//! A removed account does not come back, and the system's clock may be wrong. So nothing is removed
//! before that clock has kept step with the monotonic one for [`STEADY`], and of the accounts that
//! wrote only a share is removed in a day ([`SHARE`]): a clock that is years ahead does not empty
//! the server before somebody notices.

use std::time::Duration;

use super::{ACCOUNTS_MAX, Accounts, STRANGERS_MAX, account::Account};
use crate::{
    protocol::{Role, UserId},
    server::core::format::seconds,
    time::Now,
};

/// Interval between two sweeps.
const EVERY: Duration = Duration::from_mins(10);
/// The pause between two steps of one sweep.
const PAUSE: Duration = Duration::from_secs(1);
/// Most accounts of one step: it takes some milliseconds, and few records go into a commit.
const STEP_MAX: usize = 500;
/// A difference between the clocks of more than this is a jump.
const JUMP_MIN: Duration = Duration::from_mins(1);
/// How long the clock must be steady before anything is removed.
const STEADY: Duration = Duration::from_hours(1);
/// Of the accounts that wrote, at most one in so many is removed in a day,
const SHARE: usize = 10;
/// or this number, if that is more.
const SHARE_MIN: usize = 100;
const DAY: u64 = 86_400;

/// The state of the sweep.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// When the next step is due.
    due: Duration,
    /// The last reading of the clock.
    looked: Option<Now>,
    /// Since when the clock is steady.
    steady_since: Duration,
    /// Accounts to remove after one more check; the last is the next.
    candidates: Vec<UserId>,
    /// When the day began, and how many accounts that wrote were removed in it.
    removed: (Duration, usize),
    /// The last [`fullness`] that was reported to the operator.
    told: u8,
}

impl Sweep {
    /// Notes a reading; returns whether the clock has been steady for long enough.
    fn is_steady(&mut self, clock: Now) -> bool {
        let Some(before) = self.looked.replace(clock) else {
            self.steady_since = clock.mono;
            return false;
        };
        let passed = clock.mono.saturating_sub(before.mono);
        let shown = clock.wall.duration_since(before.wall);
        let jumped = match Duration::try_from(shown) {
            Ok(shown) => shown.abs_diff(passed),
            Err(_) => Duration::MAX,
        };
        if jumped > JUMP_MIN {
            self.steady_since = clock.mono;
        }
        clock.mono >= self.steady_since + STEADY
    }
}

impl Accounts {
    /// When to call [`sweep`](Self::sweep) next; `None`: never.
    pub fn sweeps_at(&self) -> Option<Duration> {
        (!self.by_user.is_empty()).then_some(self.sweep.due)
    }

    /// Removes some accounts, if it is time; returns their users. `keep_days`: for how long accounts
    /// that wrote are kept; `stays`: whether a user's account is needed.
    pub fn sweep(
        &mut self,
        clock: Now,
        keep_days: u64,
        stays: impl Fn(UserId) -> bool,
    ) -> Vec<UserId> {
        let mut gone = Vec::new();
        let now = clock.mono;
        self.sweep.due = now + EVERY;
        if !self.sweep.is_steady(clock) {
            self.sweep.candidates.clear();
            return gone;
        }
        let at = seconds(clock.wall);
        let term = keep_days.saturating_mul(DAY);
        if self.sweep.candidates.is_empty() {
            let due = |(user, account): &(&UserId, &Account)| {
                !stays(**user) && self.is_over(**user, account, term, at)
            };
            let due = self.by_user.iter().filter(due);
            let mut due: Vec<_> = due.map(|(user, account)| (account.seen(), *user)).collect();
            // Those seen longest ago go first.
            due.sort_unstable_by(|one, other| other.cmp(one));
            self.sweep.candidates = due.into_iter().map(|(_, user)| user).collect();
        }
        if now >= self.sweep.removed.0 + Duration::from_secs(DAY) {
            self.sweep.removed = (now, 0);
        }
        let share = SHARE_MIN.max(self.by_user.len() / SHARE);
        for _ in 0..STEP_MAX {
            let Some(user) = self.sweep.candidates.pop() else {
                return gone;
            };
            let account = self.by_user.get(&user);
            let Some(account) = account.filter(|account| self.is_over(user, account, term, at))
            else {
                continue;
            };
            if stays(user) {
                continue;
            }
            if !account.is_passing() {
                if self.sweep.removed.1 >= share {
                    continue;
                }
                self.sweep.removed.1 += 1;
            }
            self.remove(user);
            if self.get(user).is_none() {
                gone.push(user);
            }
        }
        if !self.sweep.candidates.is_empty() {
            self.sweep.due = now + PAUSE;
        }
        gone
    }

    /// The number of accounts, if it has passed half or nine tenths of the limit since it was last
    /// reported.
    pub fn fuller(&mut self) -> Option<usize> {
        let known = self.by_user.len();
        let now = fullness(known);
        let before = std::mem::replace(&mut self.sweep.told, now);
        (now > before).then_some(known)
    }

    /// Whether an account, or its nicknames, may be removed by its age.
    fn is_over(&self, user: UserId, account: &Account, term: u64, at: u64) -> bool {
        let has_first_key = account.keys.iter().any(|key| key.public.user() == user);
        if account.role != Role::Member || !has_first_key {
            return false;
        }
        if account.admitted && !self.nicknames.has_any(user) {
            return false;
        }
        let term = if account.is_passing() {
            match fullness(self.by_user.len()) {
                0 => 7 * DAY,
                1 => DAY,
                _ => 3_600,
            }
        } else {
            term
        };
        account.seen().saturating_add(term) < at
    }

    /// Removes an account; of a user who was admitted permanently, only the nicknames.
    fn remove(&mut self, user: UserId) {
        self.nicknames.release_all(user);
        if self.get(user).is_some_and(|account| account.admitted) {
            return;
        }
        if let Some(account) = self.by_user.remove(&user) {
            for key in account.keys {
                self.keys.remove(&key.public);
            }
            self.codes.withdraw(None, user);
        }
    }
}

/// How full the table of accounts is: 1 is half, 2 nine tenths of what strangers may take.
fn fullness(known: usize) -> u8 {
    u8::from(known >= ACCOUNTS_MAX / 2) + u8::from(known >= STRANGERS_MAX / 10 * 9)
}
