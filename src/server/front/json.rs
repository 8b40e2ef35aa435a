//! The server's own dialect: newline-ended JSON objects, as specified in `docs/PROTOCOL.md`.
//!
//! The log holds its messages as this dialect writes them: a client is sent the bytes of the
//! [replica](Replica) unchanged, and all members of a room share them.

use std::{collections::VecDeque, mem};

use super::{Legacy, objects::Objects};
use crate::{
    protocol::{
        ClientFrame, RoomId, ServerFrame,
        frame::{Ack, Join, Outcome},
        wire::{Refusal, encode_server},
    },
    server::{
        core::{
            client::Abilities,
            dialect::Dialect,
            event::Joined,
            log_query::{LogQuery, QueryResult},
            replica::{Replica, RoomSlot},
            subscriber::{Subscriber, Turn},
        },
        log::{StoreError, segment::Segment},
    },
    time::Now,
};

/// A connection in this dialect; see the module's docs.
#[derive(Debug, Default)]
pub struct Json {
    objects: Objects,
    subscriber: Subscriber,
    /// Acknowledgements that echoes are to give, the oldest first. None is of the lobby, which
    /// users can't leave. They are no more than what the replica holds and the client has not been sent.
    awaiting_echo: VecDeque<Ack>,
}

impl Json {
    /// The capabilities of its clients.
    pub const ABILITIES: Abilities = Abilities {
        called: None,
        sends_again: true,
        hears_itself: true,
        answers_ping: true,
        is_spaced: false,
        page_bytes_max: 64 * 1024,
    };

    /// The legacy dialect, if this client's join names no protocol.
    pub(super) fn legacy(&mut self, join: &Join) -> Option<Legacy> {
        let is_legacy = join.protocol.is_none();
        is_legacy.then(|| Legacy::new(mem::take(&mut self.objects)))
    }

    /// Whether the echo of a stored message is still to be written; `None`: the client does not read
    /// its room.
    fn awaits_echo(&self, replica: &Replica, ack: &Ack) -> Option<bool> {
        let Outcome::Stored { room, seq, .. } = ack.outcome else {
            return None;
        };
        let next = self.subscriber.next_in(replica, room)?;
        Some(next <= seq)
    }

    fn say(&mut self, frame: &ServerFrame) {
        self.subscriber.answer_with(|out| encode_server(frame, out));
    }
}

/// Whether a message was stored in a room.
fn is_in(ack: &Ack, of: RoomId) -> bool {
    matches!(ack.outcome, Outcome::Stored { room, .. } if room == of)
}

impl Dialect for Json {
    fn abilities(&self) -> &'static Abilities {
        &Self::ABILITIES
    }

    fn space(&mut self) -> &mut [u8] {
        self.objects.space()
    }

    fn handle_filled(&mut self, count: usize) {
        self.objects.filled(count);
    }

    fn handle_bytes(&mut self, bytes: &[u8]) -> usize {
        self.objects.feed(bytes)
    }

    fn is_drained(&self) -> bool {
        self.objects.is_drained()
    }

    fn poll_frame(&mut self) -> Result<Option<ClientFrame>, Refusal> {
        self.objects.next_frame()
    }

    fn handle_join(&mut self, _: &mut Join) {}

    fn challenge(&mut self, challenge: &ServerFrame) {
        self.say(challenge);
    }

    fn ping(&mut self) {
        self.say(&ServerFrame::Ping { reference: None });
    }

    fn answer(&mut self, _: Now, _: &Replica, frame: &ServerFrame) {
        self.say(frame);
    }

    fn answer_query(&mut self, query: &LogQuery, result: &Result<QueryResult, StoreError>) {
        self.subscriber.answer_with(|out| query.answer(result, out));
    }

    /// The echo acknowledges the message, unless it is far off, or the client has left the room.
    fn stored(&mut self, replica: &Replica, ack: Ack) {
        if self.subscriber.is_far_behind(replica) {
            return self.say(&ServerFrame::Ack(ack));
        }
        match self.awaits_echo(replica, &ack) {
            None => self.say(&ServerFrame::Ack(ack)),
            Some(true) if !is_in(&ack, RoomId::LOBBY) => {
                while let Some(oldest) = self.awaiting_echo.front()
                    && self.awaits_echo(replica, oldest) == Some(false)
                {
                    self.awaiting_echo.pop_front();
                }
                self.awaiting_echo.push_back(ack);
            }
            Some(_) => {}
        }
    }

    fn is_answering(&self) -> bool {
        self.subscriber.is_answering()
    }

    fn is_quiet(&self) -> bool {
        self.subscriber.is_quiet()
    }

    fn attach(&mut self, _: Now, joined: Joined, replica: &mut Replica) {
        self.say(&ServerFrame::Welcome(joined.welcome));
        self.subscriber
            .attach(replica, &joined.rooms, &joined.watched);
    }

    fn tell(&mut self, frame: &ServerFrame) {
        self.subscriber.tell_with(|out| encode_server(frame, out));
    }

    fn enter(&mut self, replica: &mut Replica, rooms: &[(RoomId, u64)]) {
        self.subscriber.enter(replica, rooms);
    }

    fn leave(&mut self, replica: &Replica, room: RoomId) {
        for ack in mem::take(&mut self.awaiting_echo) {
            if !is_in(&ack, room) {
                self.awaiting_echo.push_back(ack);
            } else if self.awaits_echo(replica, &ack) == Some(true) {
                self.say(&ServerFrame::Ack(ack));
            }
        }
        if let Some(room) = replica.find(room) {
            self.subscriber.leave(room);
        }
    }

    fn watch(&mut self, replica: &Replica, rooms: &[RoomId]) {
        self.subscriber.watch(replica, rooms);
    }

    fn rooms(&self) -> &[RoomSlot] {
        self.subscriber.rooms()
    }

    fn wake(&mut self, room: RoomSlot, from: u64) {
        self.subscriber.wake(room, from);
    }

    fn close(&mut self, _: Now, drain: bool) {
        if drain {
            self.subscriber.leave_members();
        } else {
            self.subscriber.detach();
        }
    }

    /// The client sees the gap in the numbers.
    fn give_up(&mut self, _: &Replica) {}

    fn poll_turn<'a>(&'a mut self, _: Now, replica: &'a mut Replica) -> Turn<'a> {
        self.subscriber.poll_turn(replica)
    }

    fn handle_written(&mut self, _: Now, replica: &Replica, count: usize) {
        self.subscriber.handle_written(replica, count);
    }

    fn handle_page(&mut self, replica: &Replica, room: RoomId, page: Segment) -> bool {
        self.subscriber.handle_page(replica, room, page)
    }

    fn drop_page(&mut self) {
        self.subscriber.drop_page();
    }

    fn has_page(&self) -> bool {
        self.subscriber.has_page()
    }

    fn held_bytes(&self) -> usize {
        self.subscriber.held_bytes()
    }
}
