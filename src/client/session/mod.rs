//! The client's protocol state machine: joins, resumes, keeps order, loses nothing.
//!
//! Pure: it owns no socket, is handed the time, and does nothing until it is called. Whoever
//! drives it (the [driver](crate::client::transport), a test, the simulation)
//!
//! 1. hands in what happened with one of the `handle_*` methods, and then, each time,
//! 2. has carried out what [`poll_save`](Session::poll_save) and
//!    [`poll_cache_query`](Session::poll_cache_query) give, and says so by
//!    [`handle_saved`](Session::handle_saved) and [`handle_cache_result`](Session::handle_cache_result),
//!    at once or later: [`persist_types`] says what a disk must promise,
//! 3. carries out [`poll_action`](Session::poll_action) until `None`,
//! 4. writes what [`poll_write`](Session::poll_write) gives, and calls it again once that is
//!    written,
//! 5. passes on [`poll_event`](Session::poll_event) until `None`,
//! 6. and calls [`handle_time`](Session::handle_time) when [`deadline`](Session::deadline) has
//!    come: it may be another one after every call.
//!
//! A new session wants to connect: poll it first. It is over with [`Event::Ended`].
//!
//! One part per responsibility: `connection_state` (every change of state), `incoming` and
//! `outgoing` (frames), `outbox` (ids, order, what is sent again), `rooms` (positions, numbers,
//! breaks), `members`, `requests` (pages and searches), `admin` (administrative commands),
//! `credentials` (who we are, and what lets us in), `persistence` (saves, cache queries and the
//! lease), `write_buffer` (what waits for the disk), `watchdog` (whether the server answers),
//! `backoff`, `stats`, `user_text`. None of it knows a terminal, or how the disk is kept.

#![deny(clippy::disallowed_methods)]

mod admin;
mod backoff;
mod connection_state;
mod credentials;
mod incoming;
mod members;
mod outbox;
mod outgoing;
pub mod persist_types;
mod persistence;
mod requests;
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
    persist_types::{PersistedState, StoreChange},
    persistence::{LeaseState, LeaseWatch},
    requests::Requests,
    rooms::RoomCursors,
    stats::Stats,
    write_buffer::WriteBuffer,
};
use super::event::{Command, Delivery, Event, LocalId, RestoredMessage};
use crate::{
    protocol::{Nickname, RoomName, UserId},
    text::{Body, Line},
    time::Now,
};

pub use self::types::{Channel, Config, Credentials, KeyVerdict, SocketAction};
pub use self::{
    outbox::{OUTBOX_BYTES_MAX, OUTBOX_MESSAGES_MAX},
    user_text::{
        Closed, OUTBOX_FULL,
        trust::{CommandLine, Distrust, KeySource},
    },
};

/// See the module's page.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, no states of one machine"
)]
pub struct Session {
    config: Config,
    /// The nickname of the next join.
    nickname: Nickname,
    /// The user wished for it; otherwise the server told it, and may know a later one.
    nickname_wished: bool,
    /// Host and port, for words.
    server: String,
    kind: ServerKind,
    state: ConnectionState,
    outbox: Outbox,
    rooms: RoomCursors,
    /// The rooms that the last join named; none: the lobby.
    asked_for: Vec<RoomName>,
    backoff: Backoff,
    stats: Stats,
    write_buffer: WriteBuffer,
    requests: Requests,
    commands: AdminCommands,
    credential_state: CredentialState,
    /// Who we are, as far as is known.
    user: UserId,
    /// That of the last connection.
    channel: Option<Channel>,
    /// Whether the last connection was refused for not being encrypted.
    plaintext_refused: bool,
    lease: LeaseState,
    lease_watch: LeaseWatch,
    /// Whether other processes may have submitted messages.
    news: bool,
    references: u64,
    /// A join was sent whose answer was not waited for: it may reach the server yet.
    join_astray: bool,
    /// What the last connection in the clear has shown of what listens there.
    listener: Listener,
    key_verdict: Option<KeyVerdict>,
    actions: VecDeque<SocketAction>,
    events: VecDeque<Event>,
}

impl Session {
    /// A session that wants to connect at `now` and has nothing from earlier runs.
    pub fn new(config: Config, now: Now) -> Self {
        Self::resume(config, PersistedState::default(), now).0
    }

    /// A session that goes on where earlier runs were, and the messages of theirs that are pending
    /// or were refused.
    pub fn resume(config: Config, kept: PersistedState, now: Now) -> (Self, Vec<RestoredMessage>) {
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
            channel: None,
            plaintext_refused: false,
            lease: LeaseState::Held,
            lease_watch: LeaseWatch::default(),
            news: false,
            references: 0,
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
            .restore(kept.rooms, |room| outgoing::names(enter, room));
        let outbox = session.outbox.resume(kept.outbox);
        session.check_invite(now);
        if kept.standby {
            session.stand_by(now);
        } else {
            session.connect(now);
        }
        (session, outbox)
    }

    /// The user wants something.
    pub fn handle_command(&mut self, now: Now, command: Command) {
        if matches!(self.state, ConnectionState::Ended) {
            return;
        }
        match command {
            Command::Send { room, body } => self.send(room, body),
            Command::SendAgain(local) => {
                let full = self.outbox.push_again(local);
                self.tell_of(full);
            }
            Command::Withdraw(local) => self.withdraw(local),
            Command::Page { room, part } => self.request_page(room, part),
            Command::Search {
                search,
                room,
                query,
                to,
            } => self.request_search(search, room, query, to),
            Command::Read { room, seq } => self.read(room, seq),
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

    /// The connection asked for is open.
    pub fn handle_opened(&mut self, now: Now, channel: Channel) {
        self.opened(now, channel);
    }

    /// The connection could not be opened, or is gone.
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

    /// Gives the connection up, says why and what can be done.
    fn distrust(&mut self, now: Now, distrust: &Distrust) {
        let told = distrust.explanation(&self.server, &self.config.command_line);
        self.events.push_back(Event::Distrusted(told));
        let why = Line::inert(&distrust.sentence(&self.server));
        self.stop(now, why, distrust.brief());
    }

    /// Where to read to, so that nothing is copied; then tell by
    /// [`handle_filled`](Self::handle_filled) how much came. Empty without a connection.
    pub fn space(&mut self) -> &mut [u8] {
        match &mut self.state {
            ConnectionState::Live(live) => live.decoder.space(),
            _ => &mut [],
        }
    }

    /// The first `count` bytes of [`space`](Self::space) were read.
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

    /// Bytes that were read elsewhere.
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

    /// The driver holds back from reading, because events are not taken: the silence is ours and
    /// not the server's.
    pub fn handle_unread(&mut self, now: Now) {
        if let ConnectionState::Live(live) = &mut self.state {
            live.heard = now.mono;
            live.answer_by = None;
            live.watchdog.begin_again(now.mono);
        }
    }

    /// The [`deadline`](Self::deadline) has come. Harmless at any other time.
    pub fn handle_time(&mut self, now: Now) {
        self.requests_time(now);
        self.lease_time(now);
        self.state_time(now);
    }

    /// The machine was asleep, or its clock was set.
    pub fn handle_woke(&mut self, now: Now) {
        self.woke(now);
    }

    /// When [`handle_time`](Self::handle_time) is due, in time since the start; also a time to
    /// call [`poll_write`](Self::poll_write) again.
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

    /// What to do with the socket next.
    pub fn poll_action(&mut self) -> Option<SocketAction> {
        self.actions.pop_front()
    }

    /// What to tell the user next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether [`Event::Ended`] is, or was, to be polled: nothing is told after it. What is still to
    /// be saved may be, if the driver can.
    pub fn is_over(&self) -> bool {
        matches!(self.state, ConnectionState::Ended)
    }

    /// Whether whoever connects next should ask anew if what listens there encrypts; `None`: that
    /// depends on whether it let us in. A modern server that had only stood still may encrypt after
    /// all.
    pub fn should_probe_again(&self) -> Option<bool> {
        match self.listener {
            Listener::Unknown => None,
            Listener::Modern { late } => Some(late),
        }
    }

    /// What became of the server's key, told once.
    pub fn poll_key_verdict(&mut self) -> Option<KeyVerdict> {
        self.key_verdict.take()
    }

    /// How many events wait to be polled. A driver takes no more commands while they are many.
    pub fn events_waiting(&self) -> usize {
        self.events.len()
    }

    fn read(&mut self, room: RoomName, seq: u64) {
        // What is beyond the log's end was read in another log, before that was known.
        if let Some(epoch) = self.rooms.epoch()
            && self.rooms.head(&room).is_some_and(|head| seq <= head)
        {
            self.write_buffer
                .put(StoreChange::Read { room, epoch, seq });
        }
    }

    fn send(&mut self, room: RoomName, body: Body) {
        let full = self.outbox.push(room, body);
        self.tell_of(full);
    }

    fn withdraw(&mut self, local: LocalId) {
        match self.outbox.withdraw(local) {
            Withdrawal::Done(entry) => {
                self.tell(local, entry.room, entry.body, Delivery::Withdrawn);
            }
            Withdrawal::TooLate => {
                self.notice("That message is out already: this server can't take it back");
            }
            Withdrawal::Asked if self.kind == ServerKind::Basic && !self.is_writing_parts() => {
                self.forget_unconfirmed();
            }
            Withdrawal::Asked | Withdrawal::Saving => {}
            Withdrawal::Elsewhere(pending) => {
                self.notice(user_text::NOT_TAKEN_BACK);
                self.tell_of([pending]);
            }
            Withdrawal::Unknown => {
                self.outbox.take_refused(local);
            }
        }
    }

    fn change_nickname(&mut self, now: Now, nickname: Nickname) {
        match &mut self.state {
            ConnectionState::Live(live) if live.mode == Mode::Basic => {
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

    /// The next join asks for this nickname.
    fn wish_nickname(&mut self, nickname: Nickname) {
        self.nickname = nickname;
        self.nickname_wished = true;
    }

    /// The server says that we are called so: by this connection's wish, or by that of another of
    /// the user's devices.
    fn told_nickname(&mut self, nickname: &Nickname) {
        // With the news that everybody gets, the wish is granted, whether or not its answer comes: it is
        // not to be wished again after a later one.
        if let ConnectionState::Live(live) = &mut self.state {
            live.nick_asked.take_if(|(_, asked)| asked == nickname);
        }
        self.nickname = nickname.clone();
        self.nickname_wished = false;
    }

    /// Whether this is the user that the server told us we are. With a key that is another one than
    /// the token's, and a device that was added has a key of a user who began with another one: all
    /// that asks who we are asks here.
    fn is_us(&self, user: UserId) -> bool {
        user == self.user
    }

    fn tell(&mut self, local: LocalId, room: RoomName, body: Body, delivery: Delivery) {
        self.outbox.note_for_others(local, &delivery);
        self.events.push_back(Event::Outbox {
            local,
            room,
            body,
            delivery,
        });
    }

    fn tell_of(&mut self, news: impl IntoIterator<Item = RestoredMessage>) {
        for news in news {
            self.tell(news.local, news.room, news.body, news.delivery);
        }
    }

    fn notice(&mut self, sentence: &str) {
        self.events.push_back(Event::Notice(Line::inert(sentence)));
    }
}
