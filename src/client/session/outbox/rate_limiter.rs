//! How fast messages leave: by the rule that the server told in its `welcome`, so that it has nothing
//! to refuse; and, where it refuses all the same, so that few are refused with the first.
//!
//! The rule is the server's own (the generic cell rate algorithm): each message costs a time, and so
//! many may be owed at once. What the client can't know is what others have used up whom the server
//! counts with it: another device, an earlier run. So it begins with few at a time and takes more as they
//! are taken; and after a refusal it sends one, and the next once that one is settled, until
//! [`TRIAL`] in a row were.

use std::time::Duration;

use crate::protocol::frame::Limits;

/// Messages that may be without an outcome at once on a new connection; one more with each outcome.
pub(in crate::client::session) const FLIGHT_FIRST: usize = 16;
/// So many go one by one after a refusal.
pub(in crate::client::session) const TRIAL: u32 = 8;
/// A server that asks for longer than its rate explains has another reason: a slowed room, say.
const ROUNDING: Duration = Duration::from_millis(2);

/// What the server allows.
#[derive(Clone, Copy, Debug)]
struct Rate {
    /// What each message costs.
    cost: Duration,
    /// How much may be owed when one is sent.
    debt_max: Duration,
}

/// See the module's docs.
#[derive(Debug)]
pub(super) struct RateLimiter {
    /// `None`: as fast as one likes.
    rate: Option<Rate>,
    /// When all that was sent will have been paid for.
    paid: Duration,
    /// The highest counter that was paid for: what is sent again costs nothing.
    charged: u64,
    flight: usize,
    /// Messages that are still to go one by one.
    trial: u32,
}

impl RateLimiter {
    pub(super) fn new() -> Self {
        Self {
            rate: None,
            paid: Duration::ZERO,
            charged: 0,
            flight: FLIGHT_FIRST,
            trial: 0,
        }
    }

    /// A new connection; what was sent on the one before counts on.
    pub(super) fn welcome(&mut self, now: Duration, limits: &Limits) {
        self.rate = limits.messages_per_minute.map(|per_minute| {
            let per_minute = u32::try_from(per_minute).unwrap_or(u32::MAX).max(1);
            let cost = Duration::from_mins(1) / per_minute;
            // One less than allowed: the first may have been longer on its way than the last.
            let debts = limits.messages_burst.unwrap_or(1).saturating_sub(2);
            let debts = u32::try_from(debts).unwrap_or(u32::MAX);
            Rate {
                cost,
                debt_max: cost.saturating_mul(debts),
            }
        });
        if let Some(rate) = self.rate {
            let most = now.saturating_add(rate.debt_max).saturating_add(rate.cost);
            self.paid = self.paid.min(most);
        }
        self.flight = FLIGHT_FIRST;
        self.trial = 0;
    }

    /// How many may be without an outcome. Who leaves has no time to wait for those of the others.
    pub(super) fn flight(&self, leaving: bool) -> usize {
        if leaving && self.trial == 0 {
            usize::MAX
        } else {
            self.flight
        }
    }

    /// When this message may leave, if not now.
    pub(super) fn waits(&self, now: Duration, counter: u64) -> Option<Duration> {
        let rate = self.rate.filter(|_| counter > self.charged)?;
        let at = self.paid.saturating_sub(rate.debt_max);
        (at > now).then_some(at)
    }

    /// It leaves.
    pub(super) fn left(&mut self, now: Duration, counter: u64) {
        if let Some(rate) = self.rate.filter(|_| counter > self.charged) {
            self.paid = self.paid.max(now).saturating_add(rate.cost);
        }
        self.charged = self.charged.max(counter);
    }

    /// It has an outcome.
    pub(super) fn settled(&mut self) {
        if self.trial > 0 {
            self.trial -= 1;
        } else {
            self.flight = self.flight.saturating_add(1);
        }
    }

    /// It is to come again after this wait, and nothing behind it was taken.
    pub(super) fn refused(&mut self, now: Duration, counter: u64, wait: Duration) {
        self.flight = 1;
        self.trial = TRIAL;
        self.charged = self.charged.min(counter.saturating_sub(1));
        if let Some(rate) = self.rate.filter(|rate| wait <= rate.cost + ROUNDING) {
            // The server's count is the one that counts.
            self.paid = (now + wait).saturating_add(rate.debt_max);
        }
    }
}
