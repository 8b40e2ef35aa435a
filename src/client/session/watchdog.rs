//! Watches whether the server answers what it owes, and tells the user when it does not.
//!
//! Owed are answers to everything written on this connection without an outcome: messages, pages,
//! searches, commands, a nickname, a `ping`. Total silence is noticed soon. A server that talks but
//! leaves our messages unanswered gets longer, since it may have much to send first.

use std::time::Duration;

use super::{
    Event, Session,
    connection_state::{ConnectionState, Live, Mode},
};
use crate::time::Now;

/// How long the server may be silent while it owes an answer. A slow disk takes a second or two.
const SILENT_AFTER: Duration = Duration::from_secs(3);
/// How long it may leave something unanswered although it talks.
const IGNORED_AFTER: Duration = Duration::from_secs(20);
/// A timer that fires this late means that this process did not run, and so did not listen.
const LATE: Duration = Duration::from_secs(1);
/// After this much silence, a user who is about to write is worth a `ping`.
const PROBE_AFTER: Duration = Duration::from_secs(2);

/// Since when the server has owed an answer on this connection.
#[derive(Debug, Default)]
pub(super) struct Watchdog {
    /// Since when it has been silent.
    silent: Option<Duration>,
    /// Since when it has answered nothing.
    ignored: Option<Duration>,
    /// Whether a `ping` of ours is unanswered.
    pinged: bool,
    /// Whether the user was told.
    told: bool,
}

impl Watchdog {
    /// When the user is to be told.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let silent = self.silent.map(|since| since + SILENT_AFTER);
        let ignored = self.ignored.map(|since| since + IGNORED_AFTER);
        [silent, ignored]
            .into_iter()
            .flatten()
            .min()
            .filter(|_| !self.told)
    }

    /// Discards silence before `now`, when this process did not listen.
    pub(super) fn begin_again(&mut self, now: Duration) {
        for since in [&mut self.silent, &mut self.ignored].into_iter().flatten() {
            *since = (*since).max(now);
        }
    }

    pub(super) fn pinged(&mut self) {
        self.pinged = true;
    }

    /// How long an answer has been owed, if that is too long.
    fn overdue(&self, now: Duration) -> Option<Duration> {
        let after = |since: Option<Duration>, limit| {
            let waited = now.saturating_sub(since?);
            (waited >= limit).then_some(waited)
        };
        after(self.ignored, IGNORED_AFTER).or(after(self.silent, SILENT_AFTER))
    }
}

impl Session {
    fn watchdog(&mut self) -> Option<&mut Watchdog> {
        match &mut self.state {
            ConnectionState::Live(live) => Some(&mut live.watchdog),
            _ => None,
        }
    }

    /// Number of the user's requests that the server has to answer.
    pub(super) fn unanswered(&self) -> usize {
        let ConnectionState::Live(live) = &self.state else {
            return 0;
        };
        if live.mode != Mode::Online {
            return 0;
        }
        let nickname = usize::from(live.nick_asked.is_some());
        nickname
            + self.outbox.unanswered()
            + self.requests.unanswered()
            + self.commands.unanswered()
    }

    /// Records that something was handed out to be written.
    pub(super) fn watchdog_written(&mut self, now: Now) {
        let unanswered = self.unanswered();
        let Some(watchdog) = self.watchdog() else {
            return;
        };
        if unanswered > 0 {
            watchdog.ignored.get_or_insert(now.mono);
        }
        if unanswered > 0 || watchdog.pinged {
            watchdog.silent.get_or_insert(now.mono);
        }
    }

    /// Records that bytes came and were understood; `before`: what was unanswered until then.
    pub(super) fn watchdog_heard(&mut self, now: Now, before: usize) {
        let left = self.unanswered();
        let Some(watchdog) = self.watchdog() else {
            return;
        };
        watchdog.pinged = false;
        if left == 0 {
            (watchdog.silent, watchdog.ignored) = (None, None);
        } else {
            watchdog.silent = Some(now.mono);
            if left < before {
                watchdog.ignored = Some(now.mono);
            }
        }
        if watchdog.overdue(now.mono).is_none() && std::mem::take(&mut watchdog.told) {
            self.events.push_back(Event::Unanswered(None));
        }
    }

    /// Tells the user if the time for an answer is over.
    pub(super) fn watchdog_time(&mut self, now: Now) {
        let leaving = self.is_leaving();
        let Some(watchdog) = self.watchdog().filter(|_| !leaving) else {
            return;
        };
        let Some(deadline) = watchdog.deadline().filter(|at| now.mono >= *at) else {
            return;
        };
        if now.mono > deadline + LATE {
            return watchdog.begin_again(now.mono);
        }
        watchdog.told = true;
        let waited = watchdog.overdue(now.mono);
        self.events.push_back(Event::Unanswered(waited));
    }

    /// The user is about to write: pings a server that has been silent for a while.
    pub(super) fn probe(&mut self, now: Now) {
        if self.unanswered() == 0
            && let ConnectionState::Live(live) = &mut self.state
        {
            let at = live.heard.max(live.asked) + PROBE_AFTER;
            live.probe_at = Some(at.max(now.mono));
        }
    }
}

impl Live {
    /// When to ping: after `ping_after` of silence, and again after as much; sooner if the user is
    /// about to write.
    pub(super) fn next_ping(&self) -> Duration {
        let regular = self.heard.max(self.asked) + self.ping_after;
        self.probe_at.map_or(regular, |at| at.min(regular))
    }
}
