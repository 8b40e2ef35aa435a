//! What arrives: one frame after another, each taken for what the state allows it to be.

use std::time::Duration;

use super::{
    Channel, Delivery, Distrust, Event, KeyVerdict, Session,
    connection_state::{ConnectionState, Mode, ServerKind},
    members::MemberChange,
    persist_types::{RoomUpdate, StoreChange},
    rooms::Receipt,
    user_text::{self, ProtocolFault},
};
use crate::{
    client::event::{ConnectionStatus, Entered, Received},
    protocol::{
        ClientFrame, Nickname, RoomName, ServerFrame,
        frame::{
            Ack, Bye, Change, Departure, ErrorCode, ErrorFrame, MembersPage, Message, Outcome,
            Presence, Welcome,
        },
        legacy::{self, FromServer},
        limits::PROTOCOL_VERSION,
        wire::parse_server,
    },
    text::Line,
    time::Now,
};

/// How long a join that went astray may still be on its way.
const ASTRAY_WAIT: Duration = Duration::from_secs(1);
/// How long to wait at least before asking a full server again.
const FULL_WAIT: Duration = Duration::from_secs(5);

/// One frame, read.
enum Incoming {
    Modern(Box<ServerFrame>),
    Basic(FromServer),
    /// Something that a basic server passes on and nobody can read.
    Noise,
    ProtocolFault(ProtocolFault),
}

/// Whether this is what a modern server says to a `join` that only asks what listens: it refuses
/// the protocol; or it does not look at that closely, and goes on.
#[deny(clippy::wildcard_enum_match_arm)]
fn answers_what_listens(frame: &ServerFrame) -> bool {
    match frame {
        ServerFrame::Welcome(_) | ServerFrame::Challenge { .. } => true,
        ServerFrame::Error(error) => matches!(
            error.code,
            ErrorCode::UnsupportedProtocol | ErrorCode::BadField
        ),
        ServerFrame::Message(_)
        | ServerFrame::Members(_)
        | ServerFrame::Presence(_)
        | ServerFrame::Ack(_)
        | ServerFrame::History(_)
        | ServerFrame::Found(_)
        | ServerFrame::Result(_)
        | ServerFrame::Nick { .. }
        | ServerFrame::Ping { .. }
        | ServerFrame::Pong { .. }
        | ServerFrame::Bye(_)
        | ServerFrame::Unknown => false,
    }
}

/// The server sent a frame that the state of the connection does not allow.
fn misplaced() -> ProtocolFault {
    ProtocolFault::new("a frame that has no place here")
}

impl Session {
    pub(super) fn take_frames(&mut self, now: Now) {
        while let Some(frame) = self.next_frame() {
            let taken = match frame {
                Incoming::Modern(frame) => self.take_frame(now, *frame),
                Incoming::Basic(frame) => self.take_basic(now, frame),
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
            return Some(Incoming::Basic(frame));
        }
        Some(match parse_server(bytes) {
            Ok(frame) => Incoming::Modern(Box::new(frame)),
            Err(_) if mode == Mode::Basic => Incoming::Noise,
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
            // A basic server sends nobody their own words: that is an echo.
            FromServer::Message { nickname, .. } if nickname == self.nickname => {}
            FromServer::Message { nickname, body } => {
                if self.kind != ServerKind::Basic {
                    // Only a basic server says this. What was written to it is out, and must not
                    // be said again to whatever server may be there one day.
                    self.kind = ServerKind::Basic;
                    self.forget_unconfirmed();
                }
                if matches!(&self.state, ConnectionState::Live(live) if live.mode == Mode::Joining)
                {
                    self.enter_basic(now, true);
                }
                self.spoke();
                self.stats.received(&body);
                self.events.push_back(Event::Message(Received {
                    room: RoomName::lobby(),
                    seq: None,
                    id: None,
                    user: None,
                    nickname,
                    time: now.wall,
                    clock_was: None,
                    unproven: false,
                    body,
                    local: None,
                }));
            }
        }
        Ok(())
    }

    /// What was only guessed to be a basic server is one.
    fn spoke(&mut self) {
        if let ConnectionState::Live(live) = &mut self.state
            && live.mode == Mode::Basic
            && !std::mem::replace(&mut live.spoke, true)
        {
            self.key_verdict = Some(KeyVerdict::Keep);
            self.events
                .push_back(Event::Connection(ConnectionStatus::Basic));
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

    /// Takes a frame on a connection whose server has let us in.
    #[deny(clippy::wildcard_enum_match_arm)]
    fn take_online(&mut self, now: Now, frame: ServerFrame) -> Result<(), ProtocolFault> {
        match frame {
            ServerFrame::Message(message) => self.message(message)?,
            ServerFrame::Members(page) => self.members_page(page)?,
            ServerFrame::Presence(presence) => self.presence(presence)?,
            ServerFrame::Ack(ack) => self.ack(&ack),
            ServerFrame::History(page) => self.history(page)?,
            ServerFrame::Found(page) => self.found(page)?,
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
            ServerFrame::Pong { .. } | ServerFrame::Unknown => {}
            ServerFrame::Welcome(_) | ServerFrame::Challenge { .. } => return Err(misplaced()),
        }
        Ok(())
    }

    /// Takes a frame on a connection whose server has not let us in.
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
            ServerFrame::Message(_)
            | ServerFrame::Members(_)
            | ServerFrame::Presence(_)
            | ServerFrame::Ack(_)
            | ServerFrame::History(_)
            | ServerFrame::Found(_)
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

    /// The server granted a nickname. A late answer may be older than the one that another device
    /// of the user took meanwhile: only the request that waits is answered.
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
        // Where somebody else's key has the one, we have the other.
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
        // Each is held, on the screen and on the disk: a server makes us hold none of its own.
        let mut opens = welcome.rooms.iter().map(|start| &start.room);
        if let Some(room) = opens.find(|room| !self.asked_for(room)) {
            return Err(ProtocolFault::new(format!(
                "it opens #{room} without being asked"
            )));
        }
        // A message that waits for another room lets us into that one, and not into ours.
        let mut entered = welcome.rooms.iter().map(|start| &start.room);
        if !self.config.enter.is_empty() && !entered.any(|room| self.wants_room(room)) {
            self.no_room(now);
            return Ok(());
        }
        // Who has a key is the user that it belongs to; otherwise the token makes us who we are.
        let is_us = self.credential_state.identity(live.channel).is_some()
            || welcome.user == self.config.token.user();
        if !is_us || !is_ours {
            return Err(ProtocolFault::new("it takes us for somebody else"));
        }
        self.outbox.is_of(welcome.device);
        let (epoch, limits) = (welcome.epoch, welcome.limits);
        self.outbox.welcome(now.mono, welcome.counter, &limits)?;
        let opened = self.rooms.open(welcome.epoch, welcome.rooms)?;
        if opened.iter().any(|room| room.reset.is_some()) {
            self.outbox.forget_echoes();
        }
        self.kind = ServerKind::Modern;
        self.key_verdict = Some(KeyVerdict::Keep);
        self.plaintext_refused = false;
        self.credential_state.entered();
        if std::mem::replace(&mut self.user, welcome.user) != welcome.user {
            self.write_buffer.put(StoreChange::User(welcome.user));
        }
        if let ConnectionState::Live(live) = &mut self.state {
            live.enter(now.mono, Mode::Online);
            live.keep_to(&limits);
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
        for opened in opened {
            self.write_buffer.opened(RoomUpdate {
                room: opened.room.clone(),
                epoch,
                topic: opened.topic.clone(),
                first: opened.first,
                head: opened.head,
                reset: opened.reset,
            });
            self.events.push_back(Event::Room(opened));
        }
        Ok(())
    }

    fn nickname_refused(&mut self, now: Now, why: Line) {
        if matches!(&self.state, ConnectionState::Live(live) if live.nick_due.is_some())
            && !self.is_leaving()
        {
            // The user wants another one by now.
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

    /// The server does not have the room that the user wants.
    fn no_room(&mut self, now: Now) {
        let room = self.config.enter.first();
        let room = room.map_or(RoomName::LOBBY, RoomName::as_str);
        let why = format!(
            "{} has no room {room}: leave --room out to come into the lobby, or have the server \
             started with --room {room}",
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
            // Who took it for an older program of this machine asks anew whether it encrypts.
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
                let why = format!("The server did not let us in: {}", error.message);
                let brief = match error.code {
                    ErrorCode::Banned => user_text::bye_in_brief(Departure::Banned),
                    _ => user_text::NOT_IN,
                };
                self.stop(now, Line::inert(&why), brief);
            }
        }
    }

    /// The proof that we hold our key does not hold. Over TLS it is bound to the two ends of the
    /// connection, so that there are others in between.
    fn proof_refused(&mut self, now: Now, why: &Line) {
        if let Some(Channel::Encrypted { fingerprint, .. }) = self.channel {
            self.key_verdict = Some(KeyVerdict::Doubt);
            let offered = fingerprint;
            return self.distrust(now, &Distrust::PassedOn { offered });
        }
        let why = format!("The server did not let us in: {why}");
        self.stop(now, Line::inert(&why), user_text::NOT_IN);
    }

    fn bye(&mut self, now: Now, bye: Bye) {
        let why = if bye.message.as_str().is_empty() {
            Line::inert(user_text::bye(bye.reason))
        } else {
            bye.message
        };
        match bye.reason {
            // By ourselves: a join of ours that we had given up arrived behind the one that was
            // answered. If it was somebody else after all, he takes over once more.
            Departure::Replaced if std::mem::take(&mut self.join_astray) => {
                self.drop_connection(now, why, Some(ASTRAY_WAIT));
            }
            // Somebody meant it: to come back by ourselves would be to fight him.
            Departure::Replaced => self.replaced(now),
            Departure::Disconnect | Departure::Kicked | Departure::Banned => {
                self.stop(now, why, user_text::bye_in_brief(bye.reason));
            }
            reason => {
                if reason == Departure::Shutdown {
                    // Said where it stays: what the status says of the next attempt takes its place
                    // a moment later.
                    self.notice(why.as_str());
                }
                let wait = bye.retry_after_ms.map(|ms| ms.max(1));
                self.drop_connection(now, why, wait.map(Duration::from_millis));
            }
        }
    }

    fn message(&mut self, message: Message) -> Result<(), ProtocolFault> {
        let taken = self.rooms.take(&message)?;
        // The echo is the acknowledgement, even of a message that was shown before.
        let entry = self.outbox.settle(message.id);
        let local = match &entry {
            Some(entry) => Some(entry.local),
            None => self.outbox.take_echo(&message),
        };
        let seq = message.seq;
        if let Receipt::New { counts } = taken {
            if let Some(epoch) = self.rooms.epoch() {
                self.write_buffer.message(epoch, &message);
            }
            if counts && !self.is_us(message.user) {
                self.stats.received(&message.body);
            }
            self.events.push_back(Event::Message(Received {
                room: message.room,
                seq: Some(seq),
                id: Some(message.id),
                user: Some(message.user),
                nickname: message.nickname,
                time: message.time,
                clock_was: message.clock_was,
                unproven: message.unproven,
                body: message.body,
                local,
            }));
        }
        if let Some(entry) = entry {
            self.sent(entry, Some(seq));
        }
        Ok(())
    }

    fn sent(&mut self, entry: super::outbox::OutboxEntry, seq: Option<u64>) {
        self.settled();
        if !entry.counted {
            self.stats.sent(&entry.body);
        }
        self.tell(entry.local, entry.room, entry.body, Delivery::Sent { seq });
    }

    /// Something of ours went through. Once all of it has, another hold is worth another word: of a
    /// long text that goes out as fast as it may, every message is held.
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
            Outcome::Withdrawn | Outcome::Settled => self.outbox.settle(ack.id),
        };
        let Some(entry) = entry else { return };
        match ack.outcome {
            Outcome::Stored { seq, .. } => self.sent(entry, Some(seq)),
            Outcome::Settled => self.sent(entry, None),
            Outcome::Withdrawn => {
                self.settled();
                self.tell(entry.local, entry.room, entry.body, Delivery::Withdrawn);
            }
        }
    }

    fn error(&mut self, now: Now, error: ErrorFrame) -> Result<(), ProtocolFault> {
        let ConnectionState::Live(live) = &mut self.state else {
            return Ok(());
        };
        if let Some(id) = error.id {
            if error.code == ErrorCode::BadId && error.retry_after_ms.is_none() {
                // The counters of both sides disagree. To give the message up would leave a hole
                // before all later ones; a new connection compares them again.
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
                self.tell_of([news]);
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

    fn members_page(&mut self, page: MembersPage) -> Result<(), ProtocolFault> {
        let room = page.room.clone();
        if let Some(own) = page.members.iter().find(|member| self.is_us(member.user)) {
            // Who reads slowly is given a list instead of the changes.
            self.told_nickname(&own.nickname.clone());
        }
        let known = self.rooms.members(&room)?;
        if let Some(rules) = known.other_rules(&page) {
            self.events.push_back(Event::Rules {
                room: room.clone(),
                rules,
                by: None,
            });
        }
        if let Some(members) = known.page(page)? {
            self.events.push_back(Event::Members { room, members });
        }
        Ok(())
    }

    fn presence(&mut self, presence: Presence) -> Result<(), ProtocolFault> {
        let (room, user, time) = (presence.room.clone(), presence.user, presence.time);
        let nickname = presence.nickname.clone();
        if matches!(presence.change, Change::Renamed { .. }) && self.is_us(user) {
            // Whether or not it is news: the list may not be complete.
            self.told_nickname(&nickname);
        }
        let news = self.rooms.members(&room)?.change(presence)?;
        self.events.extend(news.map(|news| match news {
            MemberChange::Joined(member) => Event::Joined { room, member },
            MemberChange::Left { nickname, reason } => Event::Left {
                room,
                user,
                nickname,
                time,
                reason,
            },
            MemberChange::Promoted(role) => Event::Promoted { room, user, role },
            MemberChange::Rules(rules) => Event::Rules {
                room,
                rules,
                by: Some(nickname),
            },
            MemberChange::Renamed { was } => Event::Renamed {
                room,
                user,
                was,
                nickname,
                time,
            },
        }));
        Ok(())
    }
}
