//! When old entries go: how much is kept, and whether the clock may be believed.
//!
//! The store takes what is too old out of the log by steps. Each is a commit of its own, which takes
//! turns with those of messages: no message waits long behind it, or fails with it, and where no
//! message can be stored for want of space, a step that makes some may be taken all the same. Here
//! it is decided when.
//!
//! **What is erased does not come back, so age is trusted to a steady clock only.** The clock on the
//! wall may jump: see [`super::clock`]. After each correction nothing goes by age for
//! [`STEADY_AFTER_JUMP`], and the log of the server says so: time to put the clock right. After a
//! start nothing goes by age for [`STEADY_AFTER_START`].
//!
//! A clock can be wrong from the start: then only the log knows better. The store tells when the
//! clock was last believed, or else when the last message was stored. A clock that is behind that,
//! or more than [`AHEAD_MAX`] ahead, must be steady for [`STEADY_IN_DOUBT`] first, and the log of the
//! server says so too. That leaves a clock that is wrong and steady for so long that nobody heeds
//! it; so what one run takes by age is bounded as well ([`RUN_SHARE`]). Whoever asks for much to be
//! erased waits some days for it.
//!
//! Numbers need no clock, and go on counting.

use std::{num::NonZeroU64, time::Duration};

use jiff::{SignedDuration, Timestamp};

use crate::server::log::{CORRECTION_MIN, Extent, Retention};
use crate::time::Now;

/// How often it is looked whether something is to go.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// How often entries go by age.
const AGE_EVERY: Duration = Duration::from_hours(1);
/// For so long it must have kept step after a jump before it is believed.
pub(super) const STEADY_AFTER_JUMP: Duration = Duration::from_hours(1);
/// For so long it must have kept step after a start before it is believed.
pub(super) const STEADY_AFTER_START: Duration = Duration::from_mins(5);

/// A clock that is further ahead of what the log knows is in doubt: few servers rest so long.
pub(super) const AHEAD_MAX: Duration = Duration::from_hours(7 * 24);
/// For so long a clock in doubt must have kept step before it is believed.
pub(super) const STEADY_IN_DOUBT: Duration = Duration::from_hours(24);
/// Of the messages held, one run takes one part in so many by age, and one step more; the next run
/// goes on.
const RUN_SHARE: u64 = 10;
/// So many it may take in any case.
const RUN_MIN: u64 = 1_000;

/// How much of each room's log is kept, as the operator decides. Everything, unless he says
/// otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Messages older than so many days go.
    pub days: Option<NonZeroU64>,
    /// Of more than so many messages the oldest go.
    pub messages: Option<NonZeroU64>,
    /// The oldest go while the log takes more bytes than this. Only the store knows what it takes, so
    /// it is asked whenever something is looked at.
    pub bytes: Option<NonZeroU64>,
}

/// See the module's docs.
#[derive(Debug)]
pub(super) struct Retainer {
    keep: Keep,
    /// From when on it is believed.
    steady_from: Duration,
    /// When something is to be looked at next.
    due: Duration,
    /// When entries go by age next.
    age_due: Duration,
    /// The last step left more to do.
    more: bool,
    /// Until when the clock is in doubt since the start.
    doubted_until: Duration,
    /// By how much it is away from what the log knows, if that was not told yet.
    doubt: Option<SignedDuration>,
    /// Messages held when the run by age began.
    held: u64,
    /// The run by age has taken what it may.
    rests: bool,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// A step for the store.
    pub(super) step: Option<Retention>,
    /// The clock is away from what the log knows by so much: to be told.
    pub(super) doubt: Option<SignedDuration>,
}

impl Retainer {
    /// `known`: a time at which the clock was believed, as far as the log knows.
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

    /// When it wants to be asked next; `None`: never.
    pub(super) fn wakes_at(&self) -> Option<Duration> {
        (self.keep != Keep::default()).then_some(self.due)
    }

    /// What is to be done now. After a step, [`done`](Self::done) or [`failed`](Self::failed) is
    /// called before this is called again.
    pub(super) fn look(&mut self, now: Now, rooms: impl Iterator<Item = Extent>) -> Due {
        if self.wakes_at().is_none_or(|at| now.mono < at) {
            return Due::default();
        }
        self.due = now.mono + LOOK_EVERY;
        let held = |extent: Extent| (extent.head + 1).saturating_sub(extent.first);
        let held: Vec<u64> = rooms.map(held).collect();
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

    /// Whether the run by age, which goes on or begins, has taken what it may.
    fn run_rests(&mut self, begins: bool, held: u64) -> bool {
        if begins {
            (self.held, self.rests) = (held, false);
        }
        let taken = self.held.saturating_sub(held);
        self.rests |= taken > 0 && taken >= RUN_MIN.max(self.held / RUN_SHARE);
        self.rests
    }

    /// The step was taken.
    pub(super) fn done(&mut self, more: bool) {
        self.more = more;
        if more {
            self.due = Duration::ZERO;
        }
    }

    /// The step could not be taken: it comes again when something is looked at next.
    pub(super) fn failed(&mut self) {
        self.more = true;
    }

    /// The clock was corrected: it is not believed for a while. Whether that matters.
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

    /// What is older goes; `None` while the clock is not believed, or if age does not count.
    fn keep_since(&self, now: Now) -> Option<Timestamp> {
        let days = self.keep.days.filter(|_| now.mono >= self.steady_from)?;
        let hours = days.get().checked_mul(24)?;
        let age = SignedDuration::try_from_hours(i64::try_from(hours).ok()?)?;
        now.wall.checked_sub(age).ok()
    }
}

#[cfg(test)]
mod tests;
