//! The server's own dialect: newline-ended JSON objects, as specified in `docs/PROTOCOL.md`.
//!
//! The log holds its messages as this dialect writes them: a client is sent the bytes of the
//! [replica](Replica) unchanged, and all members of a room share them.
use super::{Legacy, objects::Objects};
use crate::{
    protocol::{
        ClientFrame, RoomId, ServerFrame,
        frame::{Ack, Join},
        wire::{Refusal, encode_server},
    },
    server::{
        core::{
            client::Abilities,
            dialect::Dialect,
            event::Joined,
            log_query::{LogQuery, QueryResult},
            replica::Replica,
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
        is_legacy.then(|| Legacy::new(std::mem::take(&mut self.objects)))
    }

    fn say(&mut self, frame: &ServerFrame) {
        self.subscriber.answer_with(|out| encode_server(frame, out));
    }
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

    /// The echo acknowledges the message, unless it is far off.
    fn stored(&mut self, replica: &Replica, ack: Ack) {
        if self.subscriber.is_far_behind(replica) {
            self.say(&ServerFrame::Ack(ack));
        }
    }

    fn is_answering(&self) -> bool {
        self.subscriber.is_answering()
    }

    fn is_quiet(&self) -> bool {
        self.subscriber.is_quiet()
    }

    fn attach(&mut self, _: Now, joined: Joined, _: &Replica) {
        self.say(&ServerFrame::Welcome(joined.welcome));
        self.subscriber.attach(&joined.rooms, &joined.watched);
    }

    fn tell(&mut self, frame: &ServerFrame) {
        self.subscriber.tell_with(|out| encode_server(frame, out));
    }

    fn enter(&mut self, rooms: &[(RoomId, u64)]) {
        self.subscriber.enter(rooms);
    }

    fn leave(&mut self, room: RoomId) {
        self.subscriber.leave(room);
    }

    fn watch(&mut self, rooms: &[RoomId]) {
        self.subscriber.watch(rooms);
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

    fn handle_page(&mut self, room: RoomId, page: Segment) -> bool {
        self.subscriber.handle_page(room, page)
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
