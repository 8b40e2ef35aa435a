//! Limits the rate of sending: by the limit in the server's `welcome`, so that it has nothing to
//! refuse; and so that if it refuses anyway, few messages are refused with the first.
//!
//! The limit is the server's own (the generic cell rate algorithm): each message costs a time, and
//! a bounded debt is allowed. The client can't know what others have used that the server counts
//! with it: another device, or an earlier run. So it begins with a few messages at a time and sends
//! more as they are accepted. After a refusal it sends one message at a time, each when the one
//! before is settled, until [`TRIAL`] in a row were accepted.

use std::time::Duration;

use crate::protocol::frame::Limits;

/// Messages that may be unanswered at once on a new connection; one more with each outcome.
pub(in crate::client::session) const FLIGHT_FIRST: usize = 16;
/// Messages that are sent one by one after a refusal.
pub(in crate::client::session) const TRIAL: u32 = 8;
/// A server that asks for a longer wait than its rate explains has another reason, such as a slowed
/// room.
const ROUNDING: Duration = Duration::from_millis(2);

/// The server's limit.
#[derive(Clone, Copy, Debug)]
struct Rate {
    /// The cost of each message.
    cost: Duration,
    /// The debt that is allowed when one is sent.
    debt_max: Duration,
}

/// The limiter; see the module's docs.
#[derive(Debug)]
pub(super) struct RateLimiter {
    /// `None`: no limit.
    rate: Option<Rate>,
    /// When all sent messages will have been paid for.
    paid: Duration,
    /// The highest counter that was paid for: sending it again costs nothing.
    charged: u64,
    flight: usize,
    /// Messages that are still to be sent one by one.
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

    /// Starts a new connection; messages sent on the one before still count.
    pub(super) fn welcome(&mut self, now: Duration, limits: &Limits) {
        self.rate = limits.messages_per_minute.map(|per_minute| {
            let per_minute = u32::try_from(per_minute).unwrap_or(u32::MAX).max(1);
            let cost = Duration::from_mins(1) / per_minute;
            // One less than allowed: the first message may take longer to arrive than the last.
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

    /// How many messages may be unanswered. While leaving there is no time to wait for answers.
    pub(super) fn flight(&self, leaving: bool) -> usize {
        if leaving && self.trial == 0 {
            usize::MAX
        } else {
            self.flight
        }
    }

    /// When this message may be sent, if not now.
    pub(super) fn waits(&self, now: Duration, counter: u64) -> Option<Duration> {
        let rate = self.rate.filter(|_| counter > self.charged)?;
        let at = self.paid.saturating_sub(rate.debt_max);
        (at > now).then_some(at)
    }

    /// Records that a message is sent.
    pub(super) fn left(&mut self, now: Duration, counter: u64) {
        if let Some(rate) = self.rate.filter(|_| counter > self.charged) {
            self.paid = self.paid.max(now).saturating_add(rate.cost);
        }
        self.charged = self.charged.max(counter);
    }

    /// Records that a message has an outcome.
    pub(super) fn settled(&mut self) {
        if self.trial > 0 {
            self.trial -= 1;
        } else {
            self.flight = self.flight.saturating_add(1);
        }
    }

    /// Records that the server wants a message again after this wait, and accepted none behind it.
    pub(super) fn refused(&mut self, now: Duration, counter: u64, wait: Duration) {
        self.flight = 1;
        self.trial = TRIAL;
        self.charged = self.charged.min(counter.saturating_sub(1));
        if let Some(rate) = self.rate.filter(|rate| wait <= rate.cost + ROUNDING) {
            // The server's count prevails.
            self.paid = (now + wait).saturating_add(rate.debt_max);
        }
    }
}
