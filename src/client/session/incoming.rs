//! Handles the frames from the server, one after another, according to the session's state.

use std::{collections::BTreeSet, time::Duration};

use super::{
    Channel, Delivery, Distrust, Event, KeyVerdict, Session,
    connection_state::{ConnectionState, Mode, ServerKind},
    persist_types::StoreChange,
    rooms::Receipt,
    user_text::{self, ProtocolFault},
};
use crate::{
    client::event::{ConnectionStatus, Entered, Received, Said, Unlogged},
    protocol::{
        ClientFrame, Content, Entry, EntryKind, Nickname, Role, RoomId, RoomName, ServerFrame,
        frame::{Ack, Bye, Departure, ErrorCode, ErrorFrame, Outcome, Welcome},
        legacy::{self, FromServer},
        limits::PROTOCOL_VERSION,
        wire::parse_server,
    },
    text::Line,
    time::Now,
};

/// How long an abandoned join may still be on its way.
const ASTRAY_WAIT: Duration = Duration::from_secs(1);
/// The shortest wait before trying a full server again.
const FULL_WAIT: Duration = Duration::from_secs(5);

/// One parsed frame.
enum Incoming {
    Modern(Box<ServerFrame>),
    Legacy(FromServer),
    /// An unreadable object that a legacy server relayed.
    Noise,
    ProtocolFault(ProtocolFault),
}

/// Whether this is a modern server's answer to a `join` that only probes: it refuses the protocol;
/// or it ignores the version, and proceeds.
#[deny(clippy::wildcard_enum_match_arm)]
fn answers_what_listens(frame: &ServerFrame) -> bool {
    match frame {
        ServerFrame::Welcome(_) | ServerFrame::Challenge { .. } => true,
        ServerFrame::Error(error) => matches!(
            error.code,
            ErrorCode::UnsupportedProtocol | ErrorCode::BadField
        ),
        ServerFrame::Entry(_)
        | ServerFrame::Members(_)
        | ServerFrame::Presence(_)
        | ServerFrame::Ack(_)
        | ServerFrame::History(_)
        | ServerFrame::Found(_)
        | ServerFrame::Changes(_)
        | ServerFrame::Rooms(_)
        | ServerFrame::Room { .. }
        | ServerFrame::RoomLeft { .. }
        | ServerFrame::Read { .. }
        | ServerFrame::RoomList(_)
        | ServerFrame::PeopleList(_)
        | ServerFrame::Inbox(_)
        | ServerFrame::Ignored { .. }
        | ServerFrame::Result(_)
        | ServerFrame::Nick { .. }
        | ServerFrame::Ping { .. }
        | ServerFrame::Pong { .. }
        | ServerFrame::Bye(_)
        | ServerFrame::Unknown => false,
    }
}

/// The fault of a frame that the state of the connection does not allow.
fn misplaced() -> ProtocolFault {
    ProtocolFault::new("a frame that does not belong here")
}

impl Session {
    pub(super) fn take_frames(&mut self, now: Now) {
        while let Some(frame) = self.next_frame() {
            let taken = match frame {
                Incoming::Modern(frame) => self.take_frame(now, *frame),
                Incoming::Legacy(frame) => self.take_basic(now, frame),
                Incoming::Noise => Ok(()),
                Incoming::ProtocolFault(fault) => Err(fault),
            };
            if let Err(fault) = taken {
                self.fault(now, &fault);
            }
        }
        self.enter_next_room(now);
    }

    fn next_frame(&mut self) -> Option<Incoming> {
        let ConnectionState::Live(live) = &mut self.state else {
            return None;
        };
        let mode = live.mode;
        let bytes = match live.decoder.next_frame() {
            Ok(bytes) => bytes?,
            Err(error) => {
                return Some(Incoming::ProtocolFault(ProtocolFault::new(
                    error.to_string(),
                )));
            }
        };
        if mode != Mode::Online
            && let Some(frame) = legacy::parse_from_server(bytes)
        {
            return Some(Incoming::Legacy(frame));
        }
        Some(match parse_server(bytes) {
            Ok(frame) => Incoming::Modern(Box::new(frame)),
            Err(_) if mode == Mode::Legacy => Incoming::Noise,
            Err(error) => Incoming::ProtocolFault(ProtocolFault::new(error.to_string())),
        })
    }

    fn take_basic(&mut self, now: Now, frame: FromServer) -> Result<(), ProtocolFault> {
        match frame {
            FromServer::Error { message } if message.as_str() == legacy::NICKNAME_IN_USE => {
                self.nickname_refused(now, message);
            }
            FromServer::Error { message } => {
                self.spoke();
                self.events.push_back(Event::Notice(message));
            }
            FromServer::Message { .. } if self.kind == ServerKind::Modern => {
                return Err(ProtocolFault::new("a message without a number"));
            }
            // A legacy server does not echo a message to its sender, but if this comes, it is an
            // echo.
            FromServer::Message { nickname, .. } if nickname == self.nickname => {}
            FromServer::Message { nickname, body } => {
                if self.kind != ServerKind::Legacy {
                    // Only a legacy server sends this. Messages written to it count as sent, and
                    // must not go to another server that may replace it one day.
                    self.kind = ServerKind::Legacy;
                    self.forget_unconfirmed();
                }
                if matches!(&self.state, ConnectionState::Live(live) if live.mode == Mode::Joining)
                {
                    self.enter_basic(now, true);
                }
                self.spoke();
                self.stats.received(body.as_str());
                self.events.push_back(Event::Message(Received {
                    said: Said::Unlogged(Unlogged {
                        room: RoomId::LOBBY,
                        user: None,
                        nickname,
                        time: now.wall,
                        body,
                    }),
                    local: None,
                }));
            }
        }
        Ok(())
    }

    /// Records that the server, so far only assumed to be a legacy one, is one.
    fn spoke(&mut self) {
        if let ConnectionState::Live(live) = &mut self.state
            && live.mode == Mode::Legacy
            && !std::mem::replace(&mut live.spoke, true)
        {
            self.key_verdict = Some(KeyVerdict::Keep);
            self.events
                .push_back(Event::Connection(ConnectionStatus::Legacy));
            self.refuse_unsupported();
        }
    }

    fn take_frame(&mut self, now: Now, frame: ServerFrame) -> Result<(), ProtocolFault> {
        let ConnectionState::Live(live) = &mut self.state else {
            return Ok(());
        };
        if live.asks_what && answers_what_listens(&frame) {
            self.is_modern(now);
            return Ok(());
        }
        if live.mode == Mode::Online {
            self.take_online(now, frame)
        } else {
            self.take_joining(now, frame)
        }
    }

    /// Handles a frame on a connection that has joined.
    #[deny(clippy::wildcard_enum_match_arm)]
    fn take_online(&mut self, now: Now, frame: ServerFrame) -> Result<(), ProtocolFault> {
        match frame {
            ServerFrame::Entry(message) => self.message(message)?,
            ServerFrame::Members(page) => self.members_page(page)?,
            ServerFrame::Presence(presence) => self.presence(presence)?,
            ServerFrame::Ack(ack) => self.ack(&ack),
            ServerFrame::History(page) => self.history(now, page)?,
            ServerFrame::Found(page) => self.found(now, page)?,
            ServerFrame::Changes(page) => self.changes(now, page)?,
            ServerFrame::Rooms(starts) => self.entered_rooms(starts)?,
            ServerFrame::Room { room, info } => self.room_info(room, info),
            ServerFrame::RoomLeft { room, by } => self.left_room(room, by),
            ServerFrame::Read {
                room,
                marker,
                preferences,
            } => self.read(room, marker, preferences),
            ServerFrame::RoomList(page) => self.room_list(now, page)?,
            ServerFrame::PeopleList(page) => self.people_list(now, page)?,
            ServerFrame::Inbox(page) => self.inbox(now, page)?,
            ServerFrame::Result(result) => self.admin_result(result),
            ServerFrame::Error(error) => {
                let error = self.admin_refused(error);
                if let Some(error) = error.and_then(|error| self.request_refused(now, error)) {
                    self.error(now, error)?;
                }
            }
            ServerFrame::Nick {
                nickname,
                reference,
            } => self.nickname_granted(&nickname, reference),
            ServerFrame::Ping { reference } => self.ping(reference),
            ServerFrame::Bye(bye) => self.bye(now, bye),
            ServerFrame::Ignored { users } => {
                let users: BTreeSet<_> = users.into_iter().collect();
                if self.reads.ignore(users.clone()) {
                    self.events.push_back(Event::Ignored(users));
                }
            }
            ServerFrame::Pong { .. } | ServerFrame::Unknown => {}
            ServerFrame::Welcome(_) | ServerFrame::Challenge { .. } => return Err(misplaced()),
        }
        Ok(())
    }

    /// Handles a frame on a connection that has not joined yet.
    #[deny(clippy::wildcard_enum_match_arm)]
    fn take_joining(&mut self, now: Now, frame: ServerFrame) -> Result<(), ProtocolFault> {
        match frame {
            ServerFrame::Challenge { nonce, fingerprint } => {
                self.challenged(&nonce, fingerprint)?;
            }
            ServerFrame::Welcome(welcome) => self.welcome(now, welcome)?,
            ServerFrame::Error(error) => self.join_refused(now, error),
            ServerFrame::Ping { reference } => self.ping(reference),
            ServerFrame::Bye(bye) => self.bye(now, bye),
            ServerFrame::Pong { .. } | ServerFrame::Unknown => {}
            ServerFrame::Entry(_)
            | ServerFrame::Members(_)
            | ServerFrame::Presence(_)
            | ServerFrame::Ack(_)
            | ServerFrame::History(_)
            | ServerFrame::Found(_)
            | ServerFrame::Changes(_)
            | ServerFrame::Rooms(_)
            | ServerFrame::Room { .. }
            | ServerFrame::RoomLeft { .. }
            | ServerFrame::Read { .. }
            | ServerFrame::RoomList(_)
            | ServerFrame::PeopleList(_)
            | ServerFrame::Inbox(_)
            | ServerFrame::Ignored { .. }
            | ServerFrame::Result(_)
            | ServerFrame::Nick { .. } => return Err(misplaced()),
        }
        Ok(())
    }

    fn ping(&mut self, reference: Option<u64>) {
        if let ConnectionState::Live(live) = &mut self.state {
            live.pong_due = Some(ClientFrame::Pong { reference });
        }
    }

    /// Handles the confirmation of a nickname. A late one may be older than a nickname that another
    /// device of the user took meanwhile, so only the unanswered request counts.
    fn nickname_granted(&mut self, nickname: &Nickname, reference: Option<u64>) {
        let ConnectionState::Live(live) = &mut self.state else {
            return;
        };
        let asked = live.nick_asked.take_if(|(r, _)| Some(*r) == reference);
        if asked.is_some() {
            self.told_nickname(nickname);
        }
    }

    fn welcome(&mut self, now: Now, welcome: Welcome) -> Result<(), ProtocolFault> {
        let ConnectionState::Live(live) = &self.state else {
            return Ok(());
        };
        let (token, client_id) = (self.config.token, &self.config.client_id);
        // The device id depends on the key if another user's key has the plain one.
        let own = self.credential_state.identity(live.channel);
        let own = own.map(|identity| token.device_of_key(client_id, &identity.public()));
        let is_ours = welcome.device == token.device(client_id) || Some(welcome.device) == own;
        if welcome.protocol != PROTOCOL_VERSION {
            self.stop(
                now,
                Line::inert(user_text::OTHER_GENERATION),
                user_text::OTHER_VERSION,
            );
            return Ok(());
        }
        // Other rooms of the user may be open, but not the one that they want now.
        let mut entered = welcome.rooms.iter();
        if !self.config.enter.is_empty() && !entered.any(|start| self.is_wanted(start)) {
            self.no_room(now);
            return Ok(());
        }
        // With a key, the user is the one it belongs to; without, the token determines the user.
        let is_us = self.credential_state.identity(live.channel).is_some()
            || welcome.user == self.config.token.user();
        if !is_us || !is_ours {
            return Err(ProtocolFault::new("it takes us for somebody else"));
        }
        self.outbox.is_of(welcome.device);
        let (epoch, limits) = (welcome.epoch, welcome.limits);
        self.outbox.welcome(now.mono, welcome.counter, &limits)?;
        // Without a key one is in a room for the length of a session, unless one names it.
        let is_guest = welcome.role == Role::Unverified;
        let (opened, gone) = self.rooms.open(epoch, welcome.rooms, is_guest)?;
        if opened.iter().any(|room| room.reset.is_some()) {
            self.outbox.forget_echoes();
        }
        self.kind = ServerKind::Modern;
        self.key_verdict = Some(KeyVerdict::Keep);
        self.plaintext_refused = false;
        self.credential_state.entered();
        if self.user != welcome.user {
            self.user = welcome.user;
            self.reads.forget_counts();
        }
        if std::mem::replace(&mut self.stored_user, welcome.user) != welcome.user {
            self.write_buffer.put(StoreChange::User(welcome.user));
        }
        if let ConnectionState::Live(live) = &mut self.state {
            live.enter(now.mono, Mode::Online);
            live.keep_to(&limits);
            live.can = welcome.can;
            live.watch_due = self.watched.is_some();
        }
        self.told_nickname(&welcome.nickname);
        self.events
            .push_back(Event::Connection(ConnectionStatus::Online));
        self.events.push_back(Event::Entered(Entered {
            user: Some(welcome.user),
            nickname: welcome.nickname,
            role: welcome.role,
            server: Some(welcome.server),
            limits: Some(limits),
        }));
        for room in gone {
            self.close_room(room, None);
        }
        self.reads.retain(|room| self.rooms.knows(room));
        self.reads.enter(epoch);
        // The list follows, unless it is empty.
        if self.reads.ignore(BTreeSet::new()) {
            self.events.push_back(Event::Ignored(BTreeSet::new()));
        }
        self.tell_of_rooms(epoch, opened);
        self.refuse_unsupported();
        Ok(())
    }

    fn nickname_refused(&mut self, now: Now, why: Line) {
        if matches!(&self.state, ConnectionState::Live(live) if live.nick_due.is_some())
            && !self.is_leaving()
        {
            // The user has asked for another one meanwhile.
            self.hang_up();
            return self.connect(now);
        }
        if !self.is_leaving() {
            self.events.push_back(Event::NicknameRefused {
                nickname: self.nickname.clone(),
                why: why.clone(),
                waiting: true,
            });
        }
        self.stop_for_nickname(now, why);
    }

    /// Stops: the server does not have the room that the user wants.
    fn no_room(&mut self, now: Now) {
        let room = self.config.enter.first();
        let room = room.map_or(RoomName::LOBBY, RoomName::as_str);
        let why = format!(
            "{} has no room {room}: leave --room out to join the lobby, and make the room there \
             with /create {room}",
            self.server
        );
        self.stop(now, Line::inert(&why), user_text::NO_ROOM);
    }

    fn join_refused(&mut self, now: Now, error: ErrorFrame) {
        let wait = error.retry_after_ms.map(Duration::from_millis);
        if wait.is_none() && self.credential_refused(now, error.code, &error.message) {
            return;
        }
        match (error.code, wait) {
            // A server of this machine that was assumed to be a legacy one: probe again whether it
            // encrypts.
            (ErrorCode::PlaintextRefused, _)
                if !std::mem::replace(&mut self.plaintext_refused, true) =>
            {
                self.drop_connection(now, error.message, Some(Duration::ZERO));
            }
            (ErrorCode::NicknameInUse | ErrorCode::BadNickname, _) => {
                self.nickname_refused(now, error.message);
            }
            (ErrorCode::NoSuchRoom, _) => self.no_room(now),
            (ErrorCode::BadProof, _) => self.proof_refused(now, &error.message),
            (ErrorCode::UnsupportedProtocol, _) => {
                self.stop(
                    now,
                    Line::inert(user_text::OTHER_GENERATION),
                    user_text::OTHER_VERSION,
                );
            }
            (ErrorCode::ServerFull, wait) => {
                let why = format!("{} is full", self.server);
                self.drop_connection(now, Line::inert(&why), Some(wait.unwrap_or(FULL_WAIT)));
            }
            (ErrorCode::ShuttingDown | ErrorCode::RateLimited | ErrorCode::NotDurable, None) => {
                self.drop_connection(now, error.message, None);
            }
            (_, Some(wait)) => {
                self.drop_connection(now, error.message, Some(wait.max(Duration::from_millis(1))));
            }
            (_, None) => {
                let why = format!("The server refused the join: {}", error.message);
                let brief = match error.code {
                    ErrorCode::Banned => user_text::bye_in_brief(Departure::Banned),
                    _ => user_text::NOT_IN,
                };
                self.stop(now, Line::inert(&why), brief);
            }
        }
    }

    /// Handles a refused proof of our key. Over TLS it is bound to both ends of the connection, so
    /// somebody may be in between.
    fn proof_refused(&mut self, now: Now, why: &Line) {
        if let Some(Channel::Encrypted { fingerprint, .. }) = self.channel {
            self.key_verdict = Some(KeyVerdict::Doubt);
            let offered = fingerprint;
            return self.distrust(now, &Distrust::PassedOn { offered });
        }
        let why = format!("The server refused the join: {why}");
        self.stop(now, Line::inert(&why), user_text::NOT_IN);
    }

    fn bye(&mut self, now: Now, bye: Bye) {
        let why = if bye.message.as_str().is_empty() {
            Line::inert(user_text::bye(bye.reason))
        } else {
            bye.message
        };
        match bye.reason {
            // Replaced by ourselves: an abandoned join of ours arrived after the one that was
            // answered. If it was another client after all, it takes over once more.
            Departure::Replaced if std::mem::take(&mut self.join_astray) => {
                self.drop_connection(now, why, Some(ASTRAY_WAIT));
            }
            // Deliberate: reconnecting automatically would fight the other client.
            Departure::Replaced => self.replaced(now),
            Departure::Disconnect | Departure::Kicked | Departure::Banned => {
                self.stop(now, why, user_text::bye_in_brief(bye.reason));
            }
            reason => {
                if reason == Departure::Shutdown {
                    // As a notice, because the status of the next attempt replaces this one a
                    // moment later.
                    self.notice(why.as_str());
                }
                let wait = bye.retry_after_ms.map(|ms| ms.max(1));
                self.drop_connection(now, why, wait.map(Duration::from_millis));
            }
        }
    }

    fn message(&mut self, message: Entry) -> Result<(), ProtocolFault> {
        let taken = self.rooms.take(&message)?;
        // The echo is the acknowledgement, even for a message that was shown before.
        let entry = self.outbox.settle(message.id);
        let own = match &entry {
            Some(entry) => Some(entry.clone()),
            None => self.outbox.take_echo(&message),
        };
        let local = own.as_ref().map(|own| own.local);
        if let EntryKind::Tombstone(_) = message.kind
            && let Some(Content::Text(body)) = own.map(|own| own.kept.content)
        {
            // No stored entry has the text, so that the store can't tell what to remove.
            let text = body.as_str().to_owned();
            self.write_buffer.put(StoreChange::Erased(text));
        }
        let seq = message.seq;
        self.reads.entry(&message, self.user);
        if let Receipt::New { counts } = taken {
            if let Some(epoch) = self.rooms.epoch() {
                self.write_buffer.message(epoch, &message);
            }
            if counts && message.counts() && !self.is_us(message.author.user) {
                self.stats.received(message.words());
            }
            self.events.push_back(Event::Message(Received {
                said: Said::Logged(message),
                local,
            }));
        }
        if let Some(entry) = entry {
            self.sent(&entry, Some(seq));
        }
        Ok(())
    }

    fn sent(&mut self, entry: &super::outbox::QueuedEntry, seq: Option<u64>) {
        self.settled();
        if !entry.counted {
            self.count_sent(&entry.kept.content);
        }
        self.tell(entry.news(Delivery::Sent { seq }));
    }

    /// Counts a message of ours for the summary.
    pub(super) fn count_sent(&mut self, content: &Content) {
        if let Content::Text(body) = content {
            self.stats.sent(body);
        }
    }

    /// Records that a message of ours went through. Once all have, the next hold is worth a notice
    /// again: while a long text goes out at the rate limit, every message is held.
    fn settled(&mut self) {
        if let ConnectionState::Live(live) = &mut self.state
            && self.outbox.unsettled() == 0
        {
            live.told_of_hold = false;
        }
    }

    fn ack(&mut self, ack: &Ack) {
        let entry = match ack.outcome {
            Outcome::Stored { .. } => self.outbox.settle_before_echo(ack.id),
            Outcome::Withdrawn | Outcome::Unchanged | Outcome::Settled => {
                self.outbox.settle(ack.id)
            }
        };
        let Some(entry) = entry else { return };
        match ack.outcome {
            Outcome::Stored { seq, .. } => self.sent(&entry, Some(seq)),
            Outcome::Settled => self.sent(&entry, None),
            Outcome::Withdrawn => {
                self.settled();
                self.tell(entry.news(Delivery::Withdrawn));
            }
            Outcome::Unchanged => {
                self.settled();
                self.tell(entry.news(Delivery::Unchanged));
            }
        }
    }

    fn error(&mut self, now: Now, error: ErrorFrame) -> Result<(), ProtocolFault> {
        let ConnectionState::Live(live) = &mut self.state else {
            return Ok(());
        };
        if let Some(id) = error.id {
            if error.code == ErrorCode::BadId && error.retry_after_ms.is_none() {
                // The counters of both sides disagree. Giving the message up would leave a gap
                // before all later ones; a new connection compares the counters again.
                return Err(ProtocolFault::new(format!("it does not take the id {id}")));
            }
            if let Some(wait) = error.retry_after_ms {
                self.outbox.hold(now.mono, id, Duration::from_millis(wait));
                let told = std::mem::replace(&mut live.told_of_hold, true);
                if !told && error.code != ErrorCode::HeldBack {
                    self.events.push_back(Event::Notice(error.message));
                }
            } else if let Some(news) = self.outbox.refuse(id, error.message) {
                self.settled();
                self.tell(news);
            }
            return Ok(());
        }
        let asked = live
            .nick_asked
            .take_if(|(r, _)| Some(*r) == error.reference);
        self.events.push_back(match asked {
            Some((_, nickname)) => Event::NicknameRefused {
                nickname,
                why: error.message,
                waiting: false,
            },
            None => Event::Notice(error.message),
        });
        Ok(())
    }
}
