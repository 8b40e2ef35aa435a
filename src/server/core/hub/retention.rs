//! Decides when old messages are erased: how many are kept, and whether the clock is trusted.
//!
//! The store erases old messages in steps. Each step is a commit of its own and takes turns with
//! the commits of messages: no message waits long behind it or fails with it, and where no message
//! can be stored for lack of space, a step that frees some can still run.
//! **Erased messages do not come back, so age is trusted to a steady clock only.** The wall clock
//! may jump: see [`super::clock`]. After each correction nothing is erased by age for
//! [`STEADY_AFTER_JUMP`], and the server's log says so, which leaves time to correct the clock.
//! After a start nothing is erased by age for [`STEADY_AFTER_START`].
//!
//! If the clock is wrong from the start, only the log can tell. The store has the time at which the
//! clock was last trusted, or else that of the last message. A clock that is behind it, or more
//! than [`AHEAD_MAX`] ahead, must be steady for [`STEADY_IN_DOUBT`] first, and the server's log
//! says so too. A clock may also be wrong and steady for so long that nobody notices, so the number
//! that one run erases by age is limited as well ([`RUN_SHARE`]). An operator who wants much to be
//! erased waits some days for it.
//!
//! The limits on numbers and bytes need no clock, and always apply.

use std::{num::NonZeroU64, time::Duration};

use jiff::{SignedDuration, Timestamp};

use crate::{
    protocol::Extent,
    server::log::{CORRECTION_MIN, Retention},
    time::Now,
};

/// Interval between two checks.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// Interval between two runs by age.
const AGE_EVERY: Duration = Duration::from_hours(1);
/// How long the clock must be steady after a jump before it is trusted.
pub(super) const STEADY_AFTER_JUMP: Duration = Duration::from_hours(1);
/// How long the clock must be steady after a start before it is trusted.
pub(super) const STEADY_AFTER_START: Duration = Duration::from_mins(5);

/// A clock further ahead of the log's last time than this is in doubt: few servers are off so long.
pub(super) const AHEAD_MAX: Duration = Duration::from_hours(7 * 24);
/// How long a clock in doubt must be steady before it is trusted.
pub(super) const STEADY_IN_DOUBT: Duration = Duration::from_hours(24);
/// One run erases by age at most one in so many of the messages held, plus one step; the next run
/// continues.
const RUN_SHARE: u64 = 10;
/// Messages that one run may erase in any case.
const RUN_MIN: u64 = 1_000;

/// The operator's limits on each room's log. The default keeps everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Age in days after which messages are erased.
    pub days: Option<NonZeroU64>,
    /// Most messages kept; beyond, the oldest are erased.
    pub messages: Option<NonZeroU64>,
    /// Most bytes of the log; beyond, the oldest messages are erased. Only the store knows its
    /// size, so it is asked at every check.
    pub bytes: Option<NonZeroU64>,
}

/// Plans the steps of retention; see the module's docs.
#[derive(Debug)]
pub(super) struct Retainer {
    keep: Keep,
    /// When the clock is trusted.
    steady_from: Duration,
    /// Time of the next check.
    due: Duration,
    /// Time of the next run by age.
    age_due: Duration,
    /// The last step left more to do.
    more: bool,
    /// Until when the clock is in doubt after the start.
    doubted_until: Duration,
    /// The clock's difference from the log's last time, until it is reported.
    doubt: Option<SignedDuration>,
    /// Messages held when the run by age began.
    held: u64,
    /// The run by age has reached its limit.
    rests: bool,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// A step for the store.
    pub(super) step: Option<Retention>,
    /// The clock's difference from the log's last time, to be reported.
    pub(super) doubt: Option<SignedDuration>,
}

impl Retainer {
    /// A plan that begins now. `known`: the last time in the log at which the clock was trusted.
    pub(super) fn new(keep: Keep, known: Option<Timestamp>, now: Now) -> Self {
        let doubt = known
            .map(|known| now.wall.duration_since(known))
            .filter(|by| {
                let most = if by.is_negative() {
                    CORRECTION_MIN
                } else {
                    AHEAD_MAX
                };
                keep.days.is_some() && by.unsigned_abs() > most
            });
        let doubted_for = doubt.map_or(Duration::ZERO, |_| STEADY_IN_DOUBT);
        Self {
            keep,
            steady_from: now.mono + STEADY_AFTER_START.max(doubted_for),
            due: now.mono,
            age_due: now.mono,
            more: false,
            doubted_until: now.mono + doubted_for,
            doubt,
            held: 0,
            rests: false,
        }
    }

    /// Time of the next check; `None`: never.
    pub(super) fn wakes_at(&self) -> Option<Duration> {
        (self.keep != Keep::default()).then_some(self.due)
    }

    /// Checks whether a step is due. After a step, [`done`](Self::done) or [`failed`](Self::failed)
    /// is called before this is called again.
    pub(super) fn look(&mut self, now: Now, rooms: impl Iterator<Item = Extent>) -> Due {
        if self.wakes_at().is_none_or(|at| now.mono < at) {
            return Due::default();
        }
        self.due = now.mono + LOOK_EVERY;
        let held: Vec<u64> = rooms.map(Extent::len).collect();
        let begins = now.mono >= self.age_due;
        let keep_since = self.keep_since(now);
        let keep_since = keep_since.filter(|_| !self.run_rests(begins, held.iter().sum()));
        let messages_max = self.keep.messages.map(NonZeroU64::get);
        let too_many = messages_max.is_some_and(|max| held.iter().any(|held| *held > max));
        let too_old = keep_since.is_some() && begins;
        let bytes_max = self.keep.bytes.map(NonZeroU64::get);
        let possible = keep_since.is_some() || messages_max.is_some();
        let due = too_many || too_old || bytes_max.is_some() || self.more && possible;
        let step = due.then_some(Retention {
            keep_since,
            messages_max,
            bytes_max,
        });
        if too_old {
            self.age_due = now.mono + AGE_EVERY;
        }
        Due {
            step,
            doubt: self.doubt.take(),
        }
    }

    /// Whether the run by age, which begins or continues, has reached its limit.
    fn run_rests(&mut self, begins: bool, held: u64) -> bool {
        if begins {
            (self.held, self.rests) = (held, false);
        }
        let taken = self.held.saturating_sub(held);
        self.rests |= taken > 0 && taken >= RUN_MIN.max(self.held / RUN_SHARE);
        self.rests
    }

    /// Notes that the step was done. `more`: it left more to erase.
    pub(super) fn done(&mut self, more: bool) {
        self.more = more;
        if more {
            self.due = Duration::ZERO;
        }
    }

    /// Notes that the step failed: it is repeated at the next check.
    pub(super) fn failed(&mut self) {
        self.more = true;
    }

    /// Notes a correction of the clock, which is not trusted for a while; returns whether that
    /// matters.
    pub(super) fn clock_corrected(&mut self, now: Duration) -> bool {
        let steady_for = if now < self.doubted_until {
            self.doubted_until = now + STEADY_IN_DOUBT;
            STEADY_IN_DOUBT
        } else {
            STEADY_AFTER_JUMP
        };
        self.steady_from = self.steady_from.max(now + steady_for);
        self.keep.days.is_some()
    }

    /// The time before which messages are erased; `None`: the clock is not trusted, or age does not
    /// count.
    fn keep_since(&self, now: Now) -> Option<Timestamp> {
        let days = self.keep.days.filter(|_| now.mono >= self.steady_from)?;
        let hours = days.get().checked_mul(24)?;
        let age = SignedDuration::try_from_hours(i64::try_from(hours).ok()?)?;
        now.wall.checked_sub(age).ok()
    }
}

#[cfg(test)]
mod tests;
