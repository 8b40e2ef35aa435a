//! The server of the panes' rooms: its address, the state of the connection, and our account there.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    client::event::{ConnectionStatus, Security},
    protocol::{KeyTag, Nickname, Role, UserId},
    text::Line,
};

/// A server, and our account there. Times are counted from the start of this program.
#[derive(Debug)]
pub struct Server {
    /// Its address as people write it: `localhost:10500`.
    pub name: String,
    /// Its program and version.
    pub program: Option<Line>,
    /// Our nickname: in force, or wanted before we have joined.
    pub nickname: Nickname,
    /// Our id.
    pub user: Option<UserId>,
    /// Whom we ignore.
    pub ignored: BTreeSet<UserId>,
    /// Our role there, as last reported.
    pub role: Role,
    /// Our own key, if we have one.
    pub key: Option<KeyTag>,
    /// The status of the connection.
    pub connection: ConnectionStatus,
    /// When the connection took that status.
    pub connection_since: Duration,
    /// How long the server had owed an answer when that was reported, and when that was.
    unanswered: Option<(Duration, Duration)>,
    /// The time when the session was last told that the user is typing.
    pub probed: Duration,
    /// The encryption of the last connection; `None` before the first.
    pub security: Option<Security>,
    /// The time when we first joined.
    pub entered: Option<Duration>,
}

impl Server {
    /// A server before the connection is made.
    pub fn new(name: String, nickname: Nickname, key: Option<KeyTag>, now: Duration) -> Self {
        Self {
            name,
            program: None,
            nickname,
            user: None,
            ignored: BTreeSet::new(),
            role: Role::Unverified,
            key,
            connection: ConnectionStatus::Connecting,
            connection_since: now,
            unanswered: None,
            probed: now,
            security: None,
            entered: None,
        }
    }

    /// Whether the connection is up, so that messages go out.
    pub fn online(&self) -> bool {
        matches!(
            self.connection,
            ConnectionStatus::Online | ConnectionStatus::Legacy | ConnectionStatus::Unidentified
        )
    }

    /// Whether the shown presence of others is current, as far as is known.
    pub fn is_current(&self) -> bool {
        self.online() && self.unanswered.is_none()
    }

    /// Takes a new status of the connection.
    pub fn set_connection(&mut self, status: ConnectionStatus, now: Duration) {
        self.connection = status;
        self.connection_since = now;
        self.unanswered = None;
    }

    /// Takes how long the server has owed an answer; `None` if it owes none.
    pub fn set_unanswered(&mut self, waited: Option<Duration>, now: Duration) {
        self.unanswered = waited.map(|waited| (waited, now));
    }

    /// How long the server has owed an answer, if that is worth showing.
    pub fn unanswered_for(&self, now: Duration) -> Option<Duration> {
        let (waited, told) = self.unanswered?;
        Some(waited + now.saturating_sub(told))
    }

    /// The time since we first joined, if we did.
    pub fn chatted_for(&self, now: Duration) -> Option<Duration> {
        Some(now.saturating_sub(self.entered?))
    }

    /// The time to the next attempt to connect.
    fn left(&self, now: Duration) -> Option<Duration> {
        match &self.connection {
            ConnectionStatus::Waiting { retry_in, .. } => {
                Some((self.connection_since + *retry_in).saturating_sub(now))
            }
            ConnectionStatus::Connecting
            | ConnectionStatus::Online
            | ConnectionStatus::Legacy
            | ConnectionStatus::Unidentified
            | ConnectionStatus::Standby
            | ConnectionStatus::Stopped { .. } => None,
        }
    }

    /// The time to the next attempt to connect, rounded up to seconds.
    pub fn retry_in(&self, now: Duration) -> Duration {
        let left = self.left(now).unwrap_or_default();
        let seconds = left.as_millis().div_ceil(1000);
        Duration::from_secs(seconds.try_into().unwrap_or(u64::MAX))
    }

    /// The time until one of the shown times changes.
    pub fn wakes_in(&self, now: Duration) -> Option<Duration> {
        let countdown = self.left(now).filter(|left| !left.is_zero());
        let countdown = countdown.map(|left| match left.subsec_nanos() {
            0 => Duration::from_secs(1),
            part => Duration::from_nanos(u64::from(part)),
        });
        let count = self.unanswered_for(now).map(|waited| {
            let part = waited.subsec_nanos();
            Duration::from_secs(1).saturating_sub(Duration::from_nanos(u64::from(part)))
        });
        [countdown, count].into_iter().flatten().min()
    }
}
