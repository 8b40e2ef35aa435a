//! The client's protocol state machine: joins, resumes, keeps messages in order, loses none.
//!
//! Pure: it owns no socket, is given the time, and does nothing until it is called. Its driver (the
//! [driver](crate::client::transport), a test, the simulation)
//!
//! 1. passes each event to one of the `handle_*` methods, and then, each time,
//! 2. carries out what [`poll_save`](Session::poll_save) and
//!    [`poll_cache_query`](Session::poll_cache_query) return, and reports each result to
//!    [`handle_saved`](Session::handle_saved) and
//!    [`handle_cache_result`](Session::handle_cache_result), at once or later: [`persist_types`]
//!    says what a disk must promise,
//! 3. carries out [`poll_action`](Session::poll_action) until `None`,
//! 4. writes what [`poll_write`](Session::poll_write) returns, and calls it again once that is
//!    written,
//! 5. passes on [`poll_event`](Session::poll_event) until `None`,
//! 6. and calls [`handle_time`](Session::handle_time) at [`deadline`](Session::deadline), which may
//!    change with every call.
//!
//! A new session wants to connect: poll it first. It is over with [`Event::Ended`].
//!
//! One part per responsibility: `connection_state` (every change of state), `incoming` and
//! `outgoing` (frames), `room_frames` (those about rooms), `outbox` (ids, order, repetition), `rooms` (positions, numbers, breaks),
//! `read_state` (markers and counts), `members`, `requests` (pages, searches and lists), `changes` (of entries held), `admin` (administrative commands), `credentials`
//! (keys and what admits them), `persistence` (saves, cache queries and the lease), `write_buffer`
//! (unsaved changes), `watchdog` (unanswered requests), `backoff`, `stats`, `user_text`. None of it
//! knows a terminal or the store's format.

#![deny(clippy::disallowed_methods)]

mod admin;
mod backoff;
mod changes;
mod connection_state;
mod credentials;
mod incoming;
mod members;
mod outbox;
mod outgoing;
pub mod persist_types;
mod persistence;
mod read_state;
mod requests;
mod room_frames;
mod rooms;
mod stats;
#[cfg(test)]
mod tests;
mod types;
mod user_text;
mod watchdog;
mod write_buffer;

use std::{collections::VecDeque, time::Duration};

use self::{
    admin::AdminCommands,
    backoff::Backoff,
    connection_state::{AfterLeaving, ConnectionState, Listener, Mode, ServerKind},
    credentials::CredentialState,
    outbox::{Outbox, Withdrawal},
    persist_types::{CacheQueryId, PersistedState, StoreChange},
    persistence::{LeaseState, LeaseWatch},
    read_state::ReadStates,
    requests::{RequestKind, Requests},
    rooms::RoomCursors,
    stats::Stats,
    write_buffer::WriteBuffer,
};
use super::event::{Command, Delivery, Event, LocalId, OutboxMessage};
use crate::{
    protocol::{
        Content, Nickname, RoomId, RoomName, UserId, frame::Capabilities, limits::JOIN_ROOMS_MAX,
    },
    text::Line,
    time::Now,
};

pub use self::read_state::stored_read_state;
pub use self::types::{Channel, Config, Credentials, KeyVerdict, SocketAction};
pub use self::{
    outbox::{OUTBOX_BYTES_MAX, OUTBOX_MESSAGES_MAX},
    user_text::{
        Closed, OUTBOX_FULL,
        trust::{CommandLine, Distrust, KeySource},
    },
};

/// A client session; see the module's docs.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, no states of one machine"
)]
pub struct Session {
    config: Config,
    /// The nickname of the next join.
    nickname: Nickname,
    /// The user asked for it; otherwise the server reported it, and may know a later one.
    nickname_wished: bool,
    /// Host and port, for texts.
    server: String,
    kind: ServerKind,
    state: ConnectionState,
    outbox: Outbox,
    rooms: RoomCursors,
    reads: ReadStates,
    /// The rooms whose members the user wants to be told; `None`: not said.
    watched: Option<Vec<RoomId>>,
    /// The rooms that the last join named; none: the lobby.
    asked_for: Vec<RoomName>,
    backoff: Backoff,
    stats: Stats,
    write_buffer: WriteBuffer,
    requests: Requests,
    commands: AdminCommands,
    credential_state: CredentialState,
    /// This user, as far as is known.
    user: UserId,
    /// This user as the store knows them; without a record it takes the token's.
    stored_user: UserId,
    /// The channel of the last connection.
    channel: Option<Channel>,
    /// Whether the last connection was refused for not being encrypted.
    plaintext_refused: bool,
    lease: LeaseState,
    lease_watch: LeaseWatch,
    /// Whether other processes may have submitted messages.
    news: bool,
    references: u64,
    /// The id of the next query for the disk.
    next_query: CacheQueryId,
    /// A join was sent and abandoned before its answer: it may still reach the server.
    join_astray: bool,
    /// The kind of listener, as revealed by the last connection in the clear.
    listener: Listener,
    key_verdict: Option<KeyVerdict>,
    actions: VecDeque<SocketAction>,
    events: VecDeque<Event>,
}

impl Session {
    /// A session that wants to connect at `now`, without stored state.
    pub fn new(config: Config, now: Now) -> Self {
        Self::resume(config, PersistedState::default(), now).0
    }

    /// A session that continues from stored state; also returns the messages in it that are pending
    /// or were refused.
    pub fn resume(config: Config, kept: PersistedState, now: Now) -> (Self, Vec<OutboxMessage>) {
        let mut session = Self {
            nickname: config.nickname.clone(),
            nickname_wished: true,
            server: config.host.with_port(config.port),
            kind: ServerKind::Unknown,
            state: ConnectionState::Stopped {
                for_nickname: false,
            },
            outbox: Outbox::new(config.token.device(&config.client_id)),
            rooms: RoomCursors::default(),
            reads: ReadStates::default(),
            watched: None,
            asked_for: Vec::new(),
            backoff: Backoff::new(config.seed),
            stats: Stats::default(),
            write_buffer: WriteBuffer::default(),
            requests: Requests::default(),
            commands: AdminCommands::default(),
            credential_state: CredentialState::new(config.credentials.clone()),
            user: kept
                .user
                .unwrap_or_else(|| config.credentials.likely_user(&config.token)),
            stored_user: kept.user.unwrap_or_else(|| config.token.user()),
            channel: None,
            plaintext_refused: false,
            lease: LeaseState::Held,
            lease_watch: LeaseWatch::default(),
            news: false,
            references: 0,
            next_query: CacheQueryId::default(),
            join_astray: false,
            listener: Listener::Unknown,
            key_verdict: None,
            actions: VecDeque::new(),
            events: VecDeque::new(),
            config,
        };
        let enter = &session.config.enter;
        session
            .rooms
            .restore(&kept.rooms, |room| outgoing::names(enter, room));
        for room in &kept.rooms {
            if session
                .rooms
                .epoch()
                .is_none_or(|epoch| epoch == room.epoch)
            {
                session.reads.restore(room, session.user);
            }
        }
        let outbox = session.outbox.resume(kept.outbox);
        session.check_invite(now);
        if kept.standby {
            session.stand_by(now);
        } else {
            session.connect(now);
        }
        (session, outbox)
    }

    /// Handles a command from the user.
    pub fn handle_command(&mut self, now: Now, command: Command) {
        if matches!(self.state, ConnectionState::Ended) {
            return;
        }
        match command {
            Command::Send { room, content } => self.send(room, content),
            Command::SendAgain(local) => {
                let full = self.outbox.push_again(local);
                self.tell_of(full);
                self.refuse_unsupported();
            }
            Command::Withdraw(local) => self.withdraw(local),
            Command::Page { room, part } => self.request(RequestKind::Page { room, part }),
            Command::Search {
                search,
                room,
                query,
                to,
            } => self.request(RequestKind::Search {
                search,
                room,
                query,
                to,
            }),
            Command::MarkRead { room, seq } => self.mark_read(room, seq),
            Command::SetMarker { room, seq } => self.set_marker(room, seq),
            Command::Prefer { room, preferences } => self.prefer(room, preferences),
            Command::Watch(rooms) => self.watch(rooms),
            Command::ListRooms {
                request,
                query,
                after,
            } => self.request(RequestKind::Rooms {
                request,
                query,
                after,
            }),
            Command::ListPeople {
                request,
                room,
                query,
                after,
            } => self.request(RequestKind::People {
                request,
                room,
                query,
                after,
            }),
            Command::Inbox { request, before } => {
                self.request(RequestKind::Inbox { request, before });
            }
            Command::Draft { room, text } => {
                self.write_buffer.put(StoreChange::Draft { room, text });
            }
            Command::Typed(text) => self.write_buffer.put(StoreChange::Typed(text)),
            Command::Admin { request, command } => self.admin_command(request, command),
            Command::Nick(nickname) => self.change_nickname(now, nickname),
            Command::Credential(credential) => self.credential(now, credential),
            Command::Probe => self.probe(now),
            Command::RetryNow => {
                if matches!(
                    self.state,
                    ConnectionState::Waiting { .. } | ConnectionState::Stopped { .. }
                ) && self.holds_lease()
                {
                    self.connect(now);
                }
            }
            Command::Leave => self.leave(now, AfterLeaving::End),
        }
    }

    /// Handles the opening of the requested connection.
    pub fn handle_opened(&mut self, now: Now, channel: Channel) {
        self.opened(now, channel);
    }

    /// Handles the failure to open a connection, or its end.
    pub fn handle_closed(&mut self, now: Now, why: &Closed) {
        if matches!(
            self.state,
            ConnectionState::Dialling { .. } | ConnectionState::Live(_)
        ) {
            if let Closed::Distrusted(distrust) = why {
                self.distrust(now, distrust);
            } else {
                let sentence = why.sentence(&self.config.host, &self.server);
                self.drop_connection(now, sentence, None);
            }
        }
    }

    /// Closes the connection and explains why and what can be done.
    fn distrust(&mut self, now: Now, distrust: &Distrust) {
        let told = distrust.explanation(&self.server, &self.config.command_line);
        self.events.push_back(Event::Distrusted(told));
        let why = Line::inert(&distrust.sentence(&self.server));
        self.stop(now, why, distrust.brief());
    }

    /// The buffer to read into, without copying; then report the count to
    /// [`handle_filled`](Self::handle_filled). Empty without a connection.
    pub fn space(&mut self) -> &mut [u8] {
        match &mut self.state {
            ConnectionState::Live(live) => live.decoder.space(),
            _ => &mut [],
        }
    }

    /// Handles the first `count` bytes of [`space`](Self::space) as read.
    pub fn handle_filled(&mut self, now: Now, count: usize) {
        if let ConnectionState::Live(live) = &mut self.state {
            live.decoder.filled(count);
            live.heard = now.mono;
            live.answer_by = None;
            live.probe_at = None;
            let unanswered = self.unanswered();
            self.take_frames(now);
            self.watchdog_heard(now, unanswered);
        }
    }

    /// Handles bytes from another buffer.
    pub fn handle_bytes(&mut self, now: Now, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = self.space();
            let count = space.len().min(bytes.len());
            if count == 0 {
                return;
            }
            space[..count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            self.handle_filled(now, count);
        }
    }

    /// The driver has paused reading because events are not taken: the silence is ours, not the
    /// server's.
    pub fn handle_unread(&mut self, now: Now) {
        if let ConnectionState::Live(live) = &mut self.state {
            live.heard = now.mono;
            live.answer_by = None;
            live.watchdog.begin_again(now.mono);
        }
    }

    /// Handles [`deadline`](Self::deadline). Harmless at any other time.
    pub fn handle_time(&mut self, now: Now) {
        self.requests_time(now);
        self.lease_time(now);
        self.state_time(now);
    }

    /// Handles the machine's waking from sleep, or a change of its clock.
    pub fn handle_woke(&mut self, now: Now) {
        self.woke(now);
    }

    /// When [`handle_time`](Self::handle_time) is due, in time since the start; also a time to call
    /// [`poll_write`](Self::poll_write) again.
    pub fn deadline(&self) -> Option<Duration> {
        [
            self.state_deadline(),
            self.requests.deadline(),
            self.save_deadline(),
            self.lease_watch.next,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The next action for the socket.
    pub fn poll_action(&mut self) -> Option<SocketAction> {
        self.actions.pop_front()
    }

    /// The next event for the user.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if event.is_some() || self.is_over() {
            return event;
        }
        self.poll_read_state()
    }

    /// Whether [`Event::Ended`] is, or was, to be polled; no event follows it. Saves may still
    /// follow, if the driver can.
    pub fn is_over(&self) -> bool {
        matches!(self.state, ConnectionState::Ended)
    }

    /// Whether the next connection should probe again whether the server encrypts; `None`: that
    /// depends on whether it admitted us. A modern server that had only stalled may encrypt after
    /// all.
    pub fn should_probe_again(&self) -> Option<bool> {
        match self.listener {
            Listener::Unknown => None,
            Listener::Modern { late } => Some(late),
        }
    }

    /// Whether to keep the server's key, reported once.
    pub fn poll_key_verdict(&mut self) -> Option<KeyVerdict> {
        self.key_verdict.take()
    }

    /// How many events wait to be polled. A driver takes no more commands while they are many.
    pub fn events_waiting(&self) -> usize {
        self.events.len()
    }

    /// Takes the rooms whose members the user wants to be told.
    fn watch(&mut self, mut rooms: Vec<RoomId>) {
        rooms.truncate(JOIN_ROOMS_MAX);
        self.rooms.watch(&rooms);
        self.watched = Some(rooms);
        if let ConnectionState::Live(live) = &mut self.state {
            live.watch_due = true;
        }
    }

    fn send(&mut self, room: RoomId, content: Content) {
        let is_text = matches!(content, Content::Text(_));
        let mut wanted = self.config.enter.iter();
        let enter = wanted.find(|name| RoomId::named(name, 0) == room).cloned();
        let full = self.outbox.push(room, enter, content);
        self.tell_of(full);
        if !is_text {
            self.refuse_unsupported();
        }
    }

    /// Refuses pending entries that the server can't take.
    fn refuse_unsupported(&mut self) {
        let ConnectionState::Live(live) = &self.state else {
            return;
        };
        let (can, is_certain, why) = match live.mode {
            Mode::Joining => return,
            Mode::Online => (live.can, true, user_text::NO_SUCH_CONTENT),
            Mode::Legacy => (Capabilities::default(), live.spoke, user_text::ONLY_TEXTS),
        };
        let refused = self
            .outbox
            .refuse_contents(why, is_certain, |content| !can.allow(content));
        self.tell_of(refused);
    }

    fn withdraw(&mut self, local: LocalId) {
        match self.outbox.withdraw(local) {
            Withdrawal::Done(entry) => {
                self.tell(entry.news(Delivery::Withdrawn));
            }
            Withdrawal::TooLate => {
                self.notice("That message was sent already, and this server can't withdraw it");
            }
            Withdrawal::Asked if self.kind == ServerKind::Legacy && !self.is_writing_parts() => {
                self.forget_unconfirmed();
            }
            Withdrawal::Asked | Withdrawal::Saving => {}
            Withdrawal::Elsewhere(pending) => {
                self.notice(user_text::NOT_TAKEN_BACK);
                self.tell(pending);
            }
            Withdrawal::Unknown => {
                self.outbox.take_refused(local);
            }
        }
    }

    fn change_nickname(&mut self, now: Now, nickname: Nickname) {
        match &mut self.state {
            ConnectionState::Live(live) if live.mode == Mode::Legacy => {
                self.wish_nickname(nickname);
                self.leave(now, AfterLeaving::Rejoin);
            }
            ConnectionState::Live(live) if !live.join_due => live.nick_due = Some(nickname),
            ConnectionState::Stopped { for_nickname: true } => {
                self.wish_nickname(nickname);
                self.connect(now);
            }
            _ => self.wish_nickname(nickname),
        }
    }

    /// Makes the next join ask for this nickname.
    fn wish_nickname(&mut self, nickname: Nickname) {
        self.nickname = nickname;
        self.nickname_wished = true;
    }

    /// Handles the server's report of our nickname: by this connection's wish, or by another device
    /// of the user.
    fn told_nickname(&mut self, nickname: &Nickname) {
        // The news to all members grants the wish, with or without its answer: it must not be
        // repeated after a later change.
        if let ConnectionState::Live(live) = &mut self.state {
            live.nick_asked.take_if(|(_, asked)| asked == nickname);
        }
        self.nickname = nickname.clone();
        self.nickname_wished = false;
    }

    /// Whether this is our user according to the server. A key's user differs from the token's, and
    /// an added device's key belongs to a user with another first key, so every check of our own
    /// identity must come here.
    fn is_us(&self, user: UserId) -> bool {
        user == self.user
    }

    fn tell(&mut self, news: OutboxMessage) {
        self.outbox.note_for_others(news.local, &news.delivery);
        self.events.push_back(Event::Outbox(news));
    }

    fn tell_of(&mut self, news: impl IntoIterator<Item = OutboxMessage>) {
        for news in news {
            self.tell(news);
        }
    }

    fn notice(&mut self, sentence: &str) {
        self.events.push_back(Event::Notice(Line::inert(sentence)));
    }
}
