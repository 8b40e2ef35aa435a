//! The session's connection states, and all transitions between them.

use std::{collections::VecDeque, time::Duration};

use super::{
    Channel, Event, KeyVerdict, Session, SocketAction,
    user_text::{self, ProtocolFault},
    watchdog::Watchdog,
};
use crate::{
    client::event::{ConnectionStatus, CredentialWanted, Entered},
    protocol::{
        ClientFrame, MessageId, Nickname, Role, RoomId, Signature,
        codec::Decoder,
        frame::{Capabilities, Limits},
        legacy::Spacing,
        limits::{GONE_AFTER, LEGACY_SERVER_AFTER, PING_AFTER},
    },
    text::Line,
    time::Now,
};

/// How long opening a connection may take, name look-up and all addresses included.
const DIAL_WITHIN: Duration = Duration::from_secs(20);
/// How long a known modern server may take to answer a `join`.
const JOIN_ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// A connection that lasted this long was stable: the next wait is a short one again.
const STABLE_AFTER: Duration = Duration::from_secs(10);
/// How long the server has to answer after the machine slept.
const AWAKE_ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// How long leaving may take: less than the second that the screen waits for the summary.
const LEAVE_WITHIN: Duration = Duration::from_millis(700);

/// The session's connection state.
#[derive(Debug)]
pub(super) enum ConnectionState {
    /// Not connected; the next attempt is due at `until`.
    Waiting { until: Duration },
    /// The transport was asked for a connection.
    Dialling { give_up: Duration },
    /// Connected.
    Live(Box<Live>),
    /// Not connected, and no attempt is scheduled. With `for_nickname`, a new nickname starts one.
    Stopped { for_nickname: bool },
    /// Ended, except for pending saves.
    Ending { until: Duration },
    /// Ended.
    Ended,
}

/// The progress of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// `join` is on its way; no answer yet.
    Joining,
    /// The server sent its welcome.
    Online,
    /// The server seems to be a legacy one, or no chat server at all.
    Legacy,
}

/// The step after a `disconnect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterLeaving {
    /// The session ends.
    End,
    /// Another join: the only way to another nickname on a legacy server.
    Rejoin,
}

/// Leaving in progress.
#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) until: Duration,
    pub(super) then: AfterLeaving,
    /// Whether `disconnect` was written; nothing is written after it.
    pub(super) said: bool,
}

/// A connection.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, no states of one machine"
)]
pub(super) struct Live {
    pub(super) decoder: Decoder,
    pub(super) mode: Mode,
    /// When it entered this mode.
    pub(super) since: Duration,
    /// When bytes last came.
    pub(super) heard: Duration,
    /// When we last asked for a sign of life.
    pub(super) asked: Duration,
    /// When to ping because the user is about to write.
    pub(super) probe_at: Option<Duration>,
    pub(super) ping_after: Duration,
    pub(super) gone_after: Duration,
    /// The server's capabilities.
    pub(super) can: Capabilities,
    /// After a sleep: when the server must have answered.
    pub(super) answer_by: Option<Duration>,
    pub(super) watchdog: Watchdog,
    pub(super) join_due: bool,
    /// Whether the `join` only probes for a modern server: no secret is sent in the clear before
    /// that is known.
    pub(super) asks_what: bool,
    /// Whether the server sent something that only a legacy server sends.
    pub(super) spoke: bool,
    pub(super) channel: Channel,
    /// Whether the server has asked for a proof; allowed once per connection.
    pub(super) challenged: bool,
    pub(super) proof_due: Option<Signature>,
    pub(super) ping_due: bool,
    /// The answer to the last `ping`. A server has one outstanding at a time; of a flood, only the
    /// last is answered.
    pub(super) pong_due: Option<ClientFrame>,
    pub(super) nick_due: Option<Nickname>,
    /// Whether the rooms to watch are to be sent.
    pub(super) watch_due: bool,
    /// The unanswered `nick`.
    pub(super) nick_asked: Option<(u64, Nickname)>,
    /// The objects of one message for a legacy server that are still to be written.
    pub(super) parts: VecDeque<Vec<u8>>,
    pub(super) parts_of: Option<MessageId>,
    /// When the next object may be written to a legacy server.
    pub(super) spacing: Spacing,
    /// Whether an object was handed out and is not known to be written yet.
    pub(super) object_out: bool,
    /// When to ask again for something to write: set while something has to wait.
    pub(super) write_at: Option<Duration>,
    pub(super) leaving: Option<Leaving>,
    /// Whether the user was told why messages are held.
    pub(super) told_of_hold: bool,
}

impl Live {
    fn new(now: Duration, channel: Channel, asks_what: bool) -> Self {
        Self {
            decoder: Decoder::new(),
            mode: Mode::Joining,
            since: now,
            heard: now,
            asked: now,
            probe_at: None,
            ping_after: PING_AFTER,
            gone_after: GONE_AFTER,
            can: Capabilities::default(),
            answer_by: None,
            watchdog: Watchdog::default(),
            join_due: true,
            asks_what,
            spoke: false,
            channel,
            challenged: false,
            proof_due: None,
            ping_due: false,
            pong_due: None,
            nick_due: None,
            watch_due: false,
            nick_asked: None,
            parts: VecDeque::new(),
            parts_of: None,
            spacing: Spacing::not_before(now),
            object_out: false,
            write_at: None,
            leaving: None,
            told_of_hold: false,
        }
    }

    /// Adopts the server's timeouts, within bounds.
    pub(super) fn keep_to(&mut self, limits: &Limits) {
        let within = |ms, min, max| {
            Duration::from_millis(ms).clamp(Duration::from_secs(min), Duration::from_secs(max))
        };
        self.gone_after = within(limits.gone_after_ms, 5, 600);
        // A ping must go out in time before the server counts as gone.
        self.ping_after = within(limits.ping_after_ms, 1, 60).min(self.gone_after / 2);
    }

    pub(super) fn enter(&mut self, now: Duration, mode: Mode) {
        self.mode = mode;
        self.since = now;
        self.parts.clear();
        self.parts_of = None;
    }
}

/// The kind of server, as far as this run knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerKind {
    Unknown,
    /// It sent a welcome once, so silence means trouble, not a legacy server.
    Modern,
    /// It sent a frame that only a legacy server sends.
    Legacy,
}

/// The kind of listener, as revealed by a connection in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listener {
    Unknown,
    /// It is a modern server: the next connection may show our identity.
    Modern {
        /// Whether its answer came so late that it was taken for another kind.
        late: bool,
    },
}

impl Session {
    /// When the current state times out.
    pub(super) fn state_deadline(&self) -> Option<Duration> {
        let live = match &self.state {
            ConnectionState::Waiting { until } | ConnectionState::Ending { until } => {
                return Some(*until);
            }
            ConnectionState::Dialling { give_up } => return Some(*give_up),
            ConnectionState::Live(live) => live,
            ConnectionState::Stopped { .. } | ConnectionState::Ended => return None,
        };
        let leave = live.leaving.as_ref().map(|leaving| leaving.until);
        let own = match live.mode {
            Mode::Joining => Some(self.join_deadline(live)),
            Mode::Online => {
                let ping = (!live.ping_due).then_some(live.next_ping());
                let gone = live.heard + live.gone_after;
                // While leaving, silence is not reported.
                let silence = live.watchdog.deadline().filter(|_| live.leaving.is_none());
                [ping, live.answer_by, Some(gone), silence]
                    .into_iter()
                    .flatten()
                    .min()
            }
            Mode::Legacy => None,
        };
        [leave, own, live.write_at].into_iter().flatten().min()
    }

    fn join_deadline(&self, live: &Live) -> Duration {
        // A server that has begun an answer only has to finish it.
        if self.kind == ServerKind::Modern || !live.decoder.is_empty() {
            live.since + JOIN_ANSWER_WITHIN
        } else {
            live.since + LEGACY_SERVER_AFTER
        }
    }

    pub(super) fn state_time(&mut self, now: Now) {
        match &self.state {
            ConnectionState::Waiting { until } if now.mono >= *until => self.connect(now),
            ConnectionState::Dialling { give_up } if now.mono >= *give_up => {
                let why = Line::inert(&format!("{} does not answer", self.server));
                self.drop_connection(now, why, None);
            }
            ConnectionState::Live(_) => self.live_time(now),
            ConnectionState::Ending { until } if now.mono >= *until => self.end_now(),
            _ => {}
        }
    }

    fn live_time(&mut self, now: Now) {
        let elapsed = now.mono;
        if let ConnectionState::Live(live) = &mut self.state {
            live.write_at = live.write_at.filter(|at| *at > elapsed);
        }
        let ConnectionState::Live(live) = &self.state else {
            return;
        };
        if live.leaving.as_ref().is_some_and(|l| elapsed >= l.until) {
            self.finish_leaving(now);
            return;
        }
        match live.mode {
            Mode::Joining if elapsed >= self.join_deadline(live) => {
                if self.kind == ServerKind::Modern || !live.decoder.is_empty() {
                    let why = format!(
                        "{} accepted the connection but does not answer",
                        self.server
                    );
                    self.drop_connection(now, Line::inert(&why), None);
                } else {
                    self.enter_basic(now, false);
                }
            }
            Mode::Online if live.answer_by.is_some_and(|by| elapsed >= by) => {
                let why = format!(
                    "The connection to {} was lost while the machine slept",
                    self.server
                );
                self.drop_connection(now, Line::inert(&why), Some(Duration::ZERO));
            }
            Mode::Online if elapsed >= live.heard + live.gone_after => {
                let silence = live.gone_after.as_secs();
                let why = format!("Nothing was heard from {} for {silence} s", self.server);
                self.drop_connection(now, Line::inert(&why), None);
            }
            Mode::Online if elapsed >= live.next_ping() => {
                if let ConnectionState::Live(live) = &mut self.state {
                    live.ping_due = true;
                    live.asked = elapsed;
                    live.probe_at = None;
                }
            }
            _ => {}
        }
        self.watchdog_time(now);
    }

    /// Asks the transport for a connection.
    pub(super) fn connect(&mut self, now: Now) {
        self.dial(now);
        self.events
            .push_back(Event::Connection(ConnectionStatus::Connecting));
    }

    fn dial(&mut self, now: Now) {
        self.state = ConnectionState::Dialling {
            give_up: now.mono + DIAL_WITHIN,
        };
        self.actions.push_back(SocketAction::Connect);
    }

    /// The listener in the clear is a modern server: joins properly, on a new connection.
    pub(super) fn is_modern(&mut self, now: Now) {
        if self.is_leaving() {
            return self.finish_leaving(now);
        }
        let late = matches!(&self.state, ConnectionState::Live(live) if live.mode != Mode::Joining);
        self.hang_up();
        self.kind = ServerKind::Modern;
        self.listener = Listener::Modern { late };
        self.dial(now);
        if late {
            self.events
                .push_back(Event::Connection(ConnectionStatus::Connecting));
        }
    }

    pub(super) fn opened(&mut self, now: Now, channel: Channel) {
        if matches!(self.state, ConnectionState::Dialling { .. }) {
            let listener = std::mem::replace(&mut self.listener, Listener::Unknown);
            let proven = listener != Listener::Unknown;
            let asks_what = matches!(channel, Channel::Plain { .. }) && !proven;
            let live = Live::new(now.mono, channel, asks_what);
            self.state = ConnectionState::Live(Box::new(live));
            // A probe and the join after it are with the same listener, so the user is told once.
            let before = self
                .channel
                .replace(channel)
                .map(|before| before.security());
            if !proven || before != Some(channel.security()) {
                self.events.push_back(Event::Security(channel.security()));
            }
            self.withhold(channel);
        }
    }

    /// Continues as with a legacy server: no answer to `join` came in time, or (`spoke`) one that
    /// only such a server gives.
    pub(super) fn enter_basic(&mut self, now: Now, spoke: bool) {
        if !self.wants_room(RoomId::LOBBY) {
            let is = if spoke {
                "is an older server, which has"
            } else {
                "does not answer: an older server, if it is one, has"
            };
            let why = format!("{} {is} no rooms: leave --room out", self.server);
            return self.stop(now, Line::inert(&why), user_text::NO_ROOM);
        }
        let ConnectionState::Live(live) = &mut self.state else {
            return;
        };
        live.enter(now.mono, Mode::Legacy);
        live.spoke = spoke;
        if spoke {
            self.key_verdict = Some(KeyVerdict::Keep);
        }
        let wished = live.nick_due.take();
        self.forget_unconfirmed();
        let status = if spoke {
            ConnectionStatus::Legacy
        } else {
            ConnectionStatus::Unidentified
        };
        self.events.push_back(Event::Connection(status));
        self.events.push_back(Event::Entered(Entered {
            user: None,
            nickname: self.nickname.clone(),
            role: Role::Unverified,
            server: None,
            limits: None,
        }));
        if let Some(nickname) = wished {
            self.change_nickname(now, nickname);
        }
    }

    /// Reconnects for a message in a room that the last join did not name: only another join opens
    /// it.
    pub(super) fn enter_anew(&mut self, now: Now) {
        let joined = |live: &Live| !live.join_due && live.leaving.is_none();
        if matches!(&self.state, ConnectionState::Live(live) if joined(live)) {
            self.hang_up();
            self.connect(now);
        }
    }

    /// Handles the machine's waking from sleep: a connection is probably dead, and a wait is over.
    pub(super) fn woke(&mut self, now: Now) {
        match &mut self.state {
            ConnectionState::Waiting { .. } | ConnectionState::Dialling { .. } => self.connect(now),
            // A missing answer says nothing about the kind of server.
            ConnectionState::Live(live) if live.mode == Mode::Joining && live.leaving.is_none() => {
                self.hang_up();
                self.connect(now);
            }
            ConnectionState::Live(live) if live.mode == Mode::Online => {
                live.ping_due = true;
                live.asked = now.mono;
                live.answer_by = Some(now.mono + AWAKE_ANSWER_WITHIN);
                live.watchdog.begin_again(now.mono);
            }
            _ => {}
        }
    }

    /// Closes the connection and waits for the next attempt: as long as the server asked for, or as
    /// the backoff says.
    pub(super) fn drop_connection(&mut self, now: Now, why: Line, wait: Option<Duration>) {
        if self.is_leaving() {
            self.finish_leaving(now);
            return;
        }
        if let ConnectionState::Live(live) = &self.state
            && live.mode != Mode::Joining
            && now.mono >= live.since + STABLE_AFTER
        {
            self.backoff.reset();
        }
        let retry_in = match wait {
            Some(Duration::ZERO) => Duration::ZERO,
            Some(wait) => self.backoff.asked(wait),
            None => self.backoff.next(),
        };
        self.hang_up();
        if retry_in.is_zero() {
            self.connect(now);
            return;
        }
        self.state = ConnectionState::Waiting {
            until: now.mono + retry_in,
        };
        self.events
            .push_back(Event::Connection(ConnectionStatus::Waiting {
                why,
                retry_in,
            }));
    }

    /// Closes the connection and stops until the user acts.
    pub(super) fn stop(&mut self, now: Now, why: Line, brief: &'static str) {
        self.halt(now, why, brief, None);
    }

    /// Stops until the user provides the credential that the server wants.
    pub(super) fn stop_wanting(&mut self, now: Now, why: Line, wants: CredentialWanted) {
        self.halt(now, why, user_text::NOT_IN, Some(wants));
    }

    /// Stops until the user gives another nickname.
    pub(super) fn stop_for_nickname(&mut self, now: Now, why: Line) {
        self.halt(now, why, user_text::NOT_IN, None);
        if let ConnectionState::Stopped { for_nickname } = &mut self.state {
            *for_nickname = true;
        }
    }

    fn halt(&mut self, now: Now, why: Line, brief: &'static str, wants: Option<CredentialWanted>) {
        self.halt_with(now, ConnectionStatus::Stopped { why, brief, wants });
    }

    /// Stops until another process has ended.
    pub(super) fn stop_on_standby(&mut self, now: Now) {
        self.halt_with(now, ConnectionStatus::Standby);
    }

    fn halt_with(&mut self, now: Now, status: ConnectionStatus) {
        if self.is_leaving() {
            self.finish_leaving(now);
            return;
        }
        self.hang_up();
        self.state = ConnectionState::Stopped {
            for_nickname: false,
        };
        self.events.push_back(Event::Connection(status));
    }

    /// Whether only the disk is waited for.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.state, ConnectionState::Ending { .. })
    }

    /// Handles a breach of the protocol by the server: a new connection may work.
    pub(super) fn fault(&mut self, now: Now, fault: &ProtocolFault) {
        let why = if self.kind == ServerKind::Unknown {
            let what = format!("{} is not a chat server", self.server);
            Line::inert(&what)
        } else {
            fault.sentence()
        };
        self.drop_connection(now, why, None);
    }

    /// Sends `disconnect`, if there is a connection, and continues with `then`.
    pub(super) fn leave(&mut self, now: Now, then: AfterLeaving) {
        match &mut self.state {
            // A second request to leave is urgent.
            ConnectionState::Live(live) if live.leaving.is_none() && !live.join_due => {
                live.leaving = Some(Leaving {
                    until: now.mono + LEAVE_WITHIN,
                    then,
                    said: false,
                });
            }
            ConnectionState::Live(live) if then == AfterLeaving::End => {
                if let Some(leaving) = &mut live.leaving {
                    leaving.then = AfterLeaving::End;
                }
                self.hang_up();
                self.end_now();
            }
            ConnectionState::Ending { .. } => self.end_now(),
            ConnectionState::Ended => {}
            _ if then == AfterLeaving::End => {
                self.hang_up();
                self.end(now.mono + LEAVE_WITHIN);
            }
            _ => {}
        }
    }

    /// Whether a message to a legacy server is written in part.
    pub(super) fn is_writing_parts(&self) -> bool {
        matches!(&self.state, ConnectionState::Live(live) if live.parts_of.is_some())
    }

    pub(super) fn is_leaving(&self) -> bool {
        matches!(&self.state, ConnectionState::Live(live) if live.leaving.is_some())
    }

    pub(super) fn finish_leaving(&mut self, now: Now) {
        let leaving = match &self.state {
            ConnectionState::Live(live) => live.leaving.as_ref(),
            _ => None,
        };
        let leaving = leaving.map(|leaving| (leaving.then, leaving.until));
        self.hang_up();
        match leaving {
            Some((AfterLeaving::Rejoin, _)) => self.connect(now),
            Some((AfterLeaving::End, until)) if now.mono < until => self.end(until),
            _ => self.end_now(),
        }
    }

    /// Ends when all is saved, or at `until`.
    fn end(&mut self, until: Duration) {
        self.state = ConnectionState::Ending { until };
        self.end_if_saved();
    }

    /// Ends if the session only waits for the disk and everything is saved.
    pub(super) fn end_if_saved(&mut self) {
        if matches!(self.state, ConnectionState::Ending { .. }) && !self.has_to_save() {
            self.end_now();
        }
    }

    fn end_now(&mut self) {
        self.refuse_requests();
        self.state = ConnectionState::Ended;
        let summary = self.stats.summary(self.outbox.unsettled());
        self.events.push_back(Event::Ended(summary));
    }

    pub(super) fn hang_up(&mut self) {
        if let ConnectionState::Live(live) = &mut self.state {
            let joins = live.mode == Mode::Joining && !live.asks_what;
            self.join_astray |= joins && !live.join_due;
            // Whether it took effect is not known; it is the user's last wish.
            let asked = live.nick_asked.take().map(|(_, nickname)| nickname);
            if let Some(nickname) = live.nick_due.take().or(asked) {
                self.wish_nickname(nickname);
            }
        }
        self.outbox.close();
        let refused = self.requests.close();
        self.events.extend(refused);
        self.reads.close();
        self.forget_commands();
        self.rooms.close();
        self.actions.push_back(SocketAction::Close);
    }
}
