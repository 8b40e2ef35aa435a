//! Writes to the server: frames for a modern server, spaced objects for a legacy one.

use std::time::Duration;

use super::{
    Delivery, Session,
    connection_state::{ConnectionState, Live, Mode, ServerKind},
    outbox::ToSend,
    persist_types::OutboxEntry,
    rooms::RoomCursors,
};
use crate::{
    protocol::{
        ClientFrame, RoomId, RoomName,
        frame::Capabilities,
        frame::Join,
        legacy,
        limits::{
            JOIN_ROOMS_MAX, LAST_MESSAGES_MAX, NO_PROTOCOL, PROTOCOL_VERSION,
            UNANSWERED_MESSAGES_MAX,
        },
        wire::{encode_client, encode_join},
    },
    text::Line,
    time::Now,
};

/// Bytes handed out at once: frames are encoded as the socket takes them, so that a long outbox is
/// not held twice.
const WRITE_BYTES: usize = 64 * 1024;
/// Time reserved for `disconnect` before leaving times out.
const GOODBYE_TIME: Duration = Duration::from_millis(100);
/// Name and version of this client, for the server's log.
const AGENT: &str = concat!("chat-tui ", env!("CARGO_PKG_VERSION"));

impl Session {
    /// Appends the bytes to write now, if any; about 64 KiB at most. For a legacy server that is one
    /// object, which must be handed to the socket alone.
    pub fn poll_write(&mut self, now: Now, out: &mut Vec<u8>) {
        let before = out.len();
        // The pause counts from when the last object is known to be written, which on a busy
        // machine can be much later than when it was due.
        if let ConnectionState::Live(live) = &mut self.state
            && std::mem::take(&mut live.object_out)
        {
            live.spacing.left(now.mono, 0);
        }
        match &self.state {
            ConnectionState::Live(live) if live.join_due => self.write_join(now, out),
            ConnectionState::Live(live) if live.proof_due.is_some() => self.write_proof(out),
            ConnectionState::Live(live) if live.mode == Mode::Online => self.write_frames(now, out),
            ConnectionState::Live(_) => self.write_object(now, out),
            _ => {}
        }
        if out.len() > before
            && let ConnectionState::Live(live) = &mut self.state
        {
            live.spacing.left(now.mono, 0);
            live.object_out = true;
            self.watchdog_written(now);
        }
        let ConnectionState::Live(live) = &self.state else {
            return;
        };
        let write_at = match live.mode {
            Mode::Online => [self.outbox.waits_until(), self.reads.deadline(now.mono)]
                .into_iter()
                .flatten()
                .min(),
            _ => self.object_due(live).then_some(live.spacing.due()),
        };
        if let ConnectionState::Live(live) = &mut self.state {
            live.write_at = write_at.filter(|at| *at > now.mono);
        }
    }

    /// Whether the user wants to be in a room.
    pub(super) fn wants_room(&self, room: RoomId) -> bool {
        names(&self.config.enter, room)
    }

    /// Whether an entry can't be sent before another join has entered its room.
    pub(super) fn awaits_join(&self, entry: &OutboxEntry) -> bool {
        awaits_join(entry, &self.asked_for, &self.rooms)
    }

    /// Reconnects to join again if the next message is for a room that the last join had no space
    /// for, once all earlier messages are settled.
    pub(super) fn enter_next_room(&mut self, now: Now) {
        let is_in = matches!(&self.state, ConnectionState::Live(live) if live.mode == Mode::Online);
        if is_in
            && !self.is_leaving()
            && let Some(entry) = self
                .outbox
                .next_entry()
                .filter(|_| !self.outbox.awaits_answers())
            && self.awaits_join(entry)
            && let Some(room) = &entry.enter
        {
            let why = format!("The next message is for #{room}");
            self.drop_connection(now, Line::inert(&why), Some(Duration::ZERO));
        }
    }

    /// The rooms that the user wants, and those that pending messages name, which would be refused
    /// otherwise.
    fn rooms_to_enter(&self) -> Vec<RoomName> {
        let mut enter = self.config.enter.clone();
        for name in self
            .outbox
            .entries()
            .filter_map(|entry| entry.enter.as_ref())
        {
            if enter.is_empty() {
                // Without names, a join enters the lobby.
                enter.push(RoomName::lobby());
            }
            if !enter.contains(name) && enter.len() < JOIN_ROOMS_MAX {
                enter.push(name.clone());
            }
        }
        enter
    }

    /// Probes for a modern server in the clear: every modern server refuses a `join` with a
    /// protocol that does not exist, and a legacy one accepts it. Contains no secret.
    fn ask_what_listens(&self, now: Now, out: &mut Vec<u8>) {
        let question = Join {
            protocol: Some(NO_PROTOCOL),
            nickname: self.nickname.clone(),
            keep_nickname: false,
            client_id: self.config.client_id.clone(),
            token: None,
            key: None,
            invite: None,
            password: None,
            code: None,
            next: None,
            epoch: None,
            enter: Vec::new(),
            rooms: Vec::new(),
            last: None,
            most: None,
            can: Capabilities::default(),
            agent: None,
        };
        let time = legacy::timestamp(now.wall, &self.config.zone);
        encode_join(&question, &time, out);
    }

    fn write_join(&mut self, now: Now, out: &mut Vec<u8>) {
        if let ConnectionState::Live(live) = &mut self.state
            && live.asks_what
        {
            live.join_due = false;
            return self.ask_what_listens(now, out);
        }
        let enter = self.rooms_to_enter();
        let ConnectionState::Live(live) = &mut self.state else {
            return;
        };
        live.join_due = false;
        let channel = live.channel;
        self.asked_for = enter;
        let rooms = self.rooms.positions(|room| self.wants_room(room));
        // If a position is invalid, the log is another one, and all of it is new.
        let last = if rooms.is_empty() {
            self.config.last
        } else {
            Some(LAST_MESSAGES_MAX)
        };
        let mut join = Join {
            protocol: Some(PROTOCOL_VERSION),
            nickname: self.nickname.clone(),
            keep_nickname: !self.nickname_wished,
            client_id: self.config.client_id.clone(),
            token: Some(self.config.token),
            key: None,
            invite: None,
            password: None,
            code: None,
            next: Some(self.outbox.join()),
            epoch: self.rooms.epoch(),
            enter: self.asked_for.clone(),
            rooms,
            last,
            most: self.config.most,
            can: Capabilities::ALL,
            agent: Some(Line::inert(AGENT)),
        };
        self.credential_state.fill(channel, &mut join);
        encode_join(&join, &legacy::timestamp(now.wall, &self.config.zone), out);
    }

    fn write_frames(&mut self, now: Now, out: &mut Vec<u8>) {
        while !self.is_leaving()
            && let Some(frame) = self.poll_request_frame(now)
        {
            encode_client(&frame, out);
        }
        while !self.is_leaving()
            && let Some(frame) = self.poll_admin_frame()
        {
            encode_client(&frame, out);
        }
        self.write_room_frames(now, out);
        let ConnectionState::Live(live) = &mut self.state else {
            return;
        };
        if live.leaving.as_ref().is_some_and(|leaving| leaving.said) {
            return;
        }
        if let Some(pong) = live.pong_due.take() {
            encode_client(&pong, out);
        }
        if std::mem::take(&mut live.ping_due) {
            live.watchdog.pinged();
            encode_client(&ClientFrame::Ping { reference: None }, out);
        }
        if let Some(nickname) = live.nick_due.take() {
            self.references += 1;
            live.nick_asked = Some((self.references, nickname.clone()));
            let reference = Some(self.references);
            let nick = ClientFrame::Nick {
                nickname,
                reference,
            };
            encode_client(&nick, out);
        }
        while out.len() < WRITE_BYTES {
            // A message for a room that was not joined would be refused: it waits for the next
            // join.
            let next = self.outbox.next_entry();
            let waits = self.outbox.awaits_answers()
                && next.is_some_and(|next| awaits_join(next, &self.asked_for, &self.rooms));
            let leaving = live.leaving.is_some();
            let next = if waits {
                None
            } else {
                self.outbox.next_to_send(now.mono, leaving)
            };
            match next {
                Some(ToSend::Submit(submission)) => {
                    encode_client(&ClientFrame::Submit(submission), out);
                }
                Some(ToSend::Withdraw(id)) => encode_client(&ClientFrame::Withdraw { id }, out),
                None => {
                    let saving = self.write_buffer.is_busy() && self.outbox.has_unsaved();
                    if let Some(leaving) = live.leaving.as_mut().filter(|_| !saving) {
                        leaving.said = true;
                        encode_client(&ClientFrame::Disconnect, out);
                    }
                    return;
                }
            }
        }
    }

    /// Writes which rooms are watched, and markers and settings of rooms, for a server that has them.
    fn write_room_frames(&mut self, now: Now, out: &mut Vec<u8>) {
        let ConnectionState::Live(live) = &mut self.state else {
            return;
        };
        if !live.can.rooms || live.leaving.is_some() {
            return;
        }
        if std::mem::take(&mut live.watch_due)
            && let Some(rooms) = self.watched.clone()
        {
            encode_client(&ClientFrame::Watch { rooms }, out);
        }
        while out.len() < WRITE_BYTES
            && let Some(frame) = self.reads.poll_frame(now.mono)
        {
            encode_client(&frame, out);
        }
    }

    /// Whether there is an object for a legacy server, or for one that has not answered yet.
    pub(super) fn object_due(&self, live: &Live) -> bool {
        let leaving = live.leaving.as_ref().is_some_and(|leaving| !leaving.said);
        let more = live.mode == Mode::Legacy
            && live.leaving.as_ref().is_none_or(|leaving| !leaving.said)
            && (!live.parts.is_empty()
                || self.outbox.due_for_basic(self.kind == ServerKind::Legacy));
        live.mode != Mode::Online && !live.join_due && (leaving || more)
    }

    fn write_object(&mut self, now: Now, out: &mut Vec<u8>) {
        let ConnectionState::Live(live) = &self.state else {
            return;
        };
        if !self.object_due(live) {
            return;
        }
        let ConnectionState::Live(live) = &mut self.state else {
            return;
        };
        if !live.spacing.may_leave(now.mono) {
            return;
        }
        let leaving = live.leaving.as_ref();
        let hurry = leaving.is_some_and(|leaving| now.mono + GOODBYE_TIME >= leaving.until);
        if live.mode == Mode::Legacy && !hurry && self.write_part(now, out) {
            return;
        }
        if let ConnectionState::Live(live) = &mut self.state
            && let Some(leaving) = &mut live.leaving
        {
            leaving.said = true;
            out.extend(legacy::disconnect(&self.nickname, &self.config.client_id));
        }
    }

    /// Writes the next part of a message; `false` if there is none.
    fn write_part(&mut self, now: Now, out: &mut Vec<u8>) -> bool {
        let ConnectionState::Live(live) = &mut self.state else {
            return false;
        };
        if live.parts.is_empty() {
            let Some((id, entry)) = self.outbox.next_for_basic(self.kind == ServerKind::Legacy)
            else {
                return false;
            };
            let time = legacy::timestamp(now.wall, &self.config.zone);
            let texts: Vec<_> = legacy::split_for_server(entry.kept.content.words()).collect();
            // A part goes without the id: a server that knows ids would store the first part as the
            // whole message.
            let id_shown = (texts.len() == 1).then_some(id);
            live.parts = texts
                .into_iter()
                .map(|text| legacy::submission(id_shown, &self.nickname, text, &time))
                .collect();
            live.parts_of = Some(id);
        }
        let Some(part) = live.parts.pop_front() else {
            return false;
        };
        out.extend(part);
        if live.parts.is_empty()
            && let Some(id) = live.parts_of.take()
        {
            self.written_to_basic(id);
        }
        true
    }

    fn written_to_basic(&mut self, id: crate::protocol::MessageId) {
        if let Some(entry) = self.outbox.written_to_basic(id) {
            if !entry.counted {
                self.count_sent(&entry.kept.content);
            }
            self.tell(entry.news(Delivery::Unconfirmed));
        }
        self.forget_unconfirmed();
    }

    /// Removes messages that were written to a legacy server: all, if it certainly is one; otherwise
    /// those so far back that no welcome can come any more. Also removes those that the user
    /// withdrew before they were written in full.
    pub(super) fn forget_unconfirmed(&mut self) {
        let certain = self.kind == ServerKind::Legacy;
        let keep = if certain { 0 } else { UNANSWERED_MESSAGES_MAX };
        for entry in self.outbox.forget_unconfirmed(keep) {
            self.tell(entry.news(Delivery::Withdrawn));
        }
    }
}

/// Whether a list of rooms to join names a room; an empty list names the lobby.
pub(super) fn names(enter: &[RoomName], room: RoomId) -> bool {
    match enter {
        [] => room == RoomId::LOBBY,
        names => names.iter().any(|name| RoomId::named(name, 0) == room),
    }
}

/// See [`Session::awaits_join`].
fn awaits_join(entry: &OutboxEntry, asked_for: &[RoomName], rooms: &RoomCursors) -> bool {
    let unnamed = |name: &RoomName| !asked_for.contains(name);
    entry.enter.as_ref().is_some_and(unnamed) && !rooms.is_open(entry.room)
}
