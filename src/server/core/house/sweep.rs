//! Which accounts go: new keys cost nothing, and there is room for so many.
//!
//! | account | goes after so long unseen |
//! |---|---|
//! | never wrote, has one key | 7 days; 1 day once half of the room is taken, 1 hour at nine tenths |
//! | wrote, or has several keys, or is of an older server that did not note it | as the operator says: a year |
//! | let in by an invite or the password | stays; its nicknames go as the operator says |
//! | owner, moderator; banned or muted; here now; the first key is revoked | stays |
//!
//! What is forgotten does not come back, and the clock on the wall may be wrong. So nothing goes before
//! the clock has kept step for [`STEADY`] with the one that only runs forward, and of those that wrote
//! only a share goes in a day ([`SHARE`]): a clock that is years ahead does not empty the server before
//! somebody notices.

use std::{collections::HashSet, time::Duration};

use super::{ACCOUNTS_MAX, House, STRANGERS_MAX, accounts::Account, persist, seconds};
use crate::protocol::{Role, UserId};
use crate::time::Now;

/// How often it is looked for accounts that go.
const EVERY: Duration = Duration::from_mins(10);
/// How long to pause between two steps of one sweep.
const PAUSE: Duration = Duration::from_secs(1);
/// Accounts of one step: some milliseconds, and few facts for a commit.
const STEP_MAX: usize = 500;
/// The clock jumped if it differs by more than this from what it should say.
const JUMP_MIN: Duration = Duration::from_mins(1);
/// For so long the clock must have kept step before anything goes.
pub(super) const STEADY: Duration = Duration::from_hours(1);
/// Of the accounts one part in so many goes in a day, of those that wrote,
const SHARE: usize = 10;
/// or so many.
const SHARE_MIN: usize = 100;
const DAY: u64 = 86_400;

/// How far the sweep is. See the module's docs.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// When the next step is due.
    due: Duration,
    /// When the clock was last looked at.
    looked: Option<Now>,
    /// Since when it has kept step.
    steady_since: Duration,
    /// Those that may go, to be looked at once more; the last is the next.
    candidates: Vec<UserId>,
    /// When the day began in which so many of those that wrote have gone.
    gone: (Duration, usize),
    /// What of the room was told to be taken: nothing, half, or nine tenths.
    told: u8,
}

impl House {
    /// When [`sweep`](Self::sweep) wants to be called; `None`: never.
    pub fn sweeps_at(&self) -> Option<Duration> {
        (!self.accounts.is_empty()).then_some(self.sweep.due)
    }

    /// Lets some accounts go, if it is time.
    pub fn sweep(&mut self, clock: Now, is_present: impl Fn(UserId) -> bool) {
        let now = clock.mono;
        if now < self.sweep.due || self.accounts.is_empty() {
            return;
        }
        self.sweep.due = now + EVERY;
        if !self.is_steady(clock) {
            self.sweep.candidates.clear();
            return;
        }
        let at = seconds(clock.wall);
        let kept = self.kept_users();
        if self.sweep.candidates.is_empty() {
            let due = |(user, account): &(&UserId, &Account)| {
                !kept.contains(user) && !is_present(**user) && self.is_over(**user, account, at)
            };
            let due = self.accounts.iter().filter(due);
            let mut due: Vec<_> = due.map(|(user, account)| (account.seen(), *user)).collect();
            // Who was seen longest ago goes first.
            due.sort_unstable_by(|one, other| other.cmp(one));
            self.sweep.candidates = due.into_iter().map(|(_, user)| user).collect();
        }
        if now >= self.sweep.gone.0 + Duration::from_secs(DAY) {
            self.sweep.gone = (now, 0);
        }
        let share = SHARE_MIN.max(self.accounts.len() / SHARE);
        for _ in 0..STEP_MAX {
            let Some(user) = self.sweep.candidates.pop() else {
                return;
            };
            let account = self.accounts.get(&user);
            let Some(account) = account.filter(|account| self.is_over(user, account, at)) else {
                continue;
            };
            if kept.contains(&user) || is_present(user) {
                continue;
            }
            if !is_passing(account) {
                if self.sweep.gone.1 >= share {
                    continue;
                }
                self.sweep.gone.1 += 1;
            }
            self.forget(user);
        }
        if !self.sweep.candidates.is_empty() {
            self.sweep.due = now + PAUSE;
        }
    }

    /// How many accounts there are, if that is more than half, or nine tenths, of what there is room
    /// for, and was not told yet.
    pub fn fuller(&mut self) -> Option<usize> {
        let known = self.accounts.len();
        let now = fullness(known);
        let before = std::mem::replace(&mut self.sweep.told, now);
        (now > before).then_some(known)
    }

    /// Whether the clock on the wall has kept step for long enough.
    fn is_steady(&mut self, clock: Now) -> bool {
        let Some(before) = self.sweep.looked.replace(clock) else {
            self.sweep.steady_since = clock.mono;
            return false;
        };
        let passed = clock.mono.saturating_sub(before.mono);
        let shown = clock.wall.duration_since(before.wall);
        let jumped = match Duration::try_from(shown) {
            Ok(shown) => shown.abs_diff(passed),
            Err(_) => Duration::MAX,
        };
        if jumped > JUMP_MIN {
            self.sweep.steady_since = clock.mono;
        }
        clock.mono >= self.sweep.steady_since + STEADY
    }

    /// Those whom something is known about that their account is needed for.
    fn kept_users(&self) -> HashSet<UserId> {
        let banned = self.bans.values().map(|ban| ban.user);
        banned.chain(self.mutes.users()).collect()
    }

    /// Whether an account, or what of it goes, was unseen for long enough.
    fn is_over(&self, user: UserId, account: &Account, at: u64) -> bool {
        let is_called_by_a_key = account.keys.iter().any(|key| key.public.user() == user);
        if account.role != Role::Member || !is_called_by_a_key {
            return false;
        }
        let keeps_nothing = account.admitted && self.called.get(&user).is_none_or(Vec::is_empty);
        let term = if is_passing(account) {
            match fullness(self.accounts.len()) {
                0 => 7 * DAY,
                1 => DAY,
                _ => 3_600,
            }
        } else {
            self.settings.keep_accounts_days.saturating_mul(DAY)
        };
        !keeps_nothing && account.seen().saturating_add(term) < at
    }

    /// Lets an account go; of somebody who was let in for good, only the nicknames.
    fn forget(&mut self, user: UserId) {
        for canonical in self.called.get(&user).cloned().unwrap_or_default() {
            self.forget_nickname(&canonical);
        }
        if self
            .accounts
            .get(&user)
            .is_some_and(|account| account.admitted)
        {
            return;
        }
        if let Some(account) = self.accounts.remove(&user) {
            for key in account.keys {
                self.keys.remove(&key.public);
            }
            self.called.remove(&user);
            self.taken_up(None, user);
            self.dirty.push(persist::account_name(user));
        }
    }
}

/// Whether somebody came and went, and left nothing.
fn is_passing(account: &Account) -> bool {
    account.wrote == Some(0) && account.keys.len() == 1 && !account.admitted
}

/// How full the room is for accounts: 1 is half, 2 nine tenths of what strangers may take.
fn fullness(known: usize) -> u8 {
    u8::from(known >= ACCOUNTS_MAX / 2) + u8::from(known >= STRANGERS_MAX / 10 * 9)
}
