//! The dialects of the server (pure), and their detection.
//!
//! The table below lists them all: a dialect is a row there and a module of its own, which
//! implements [`Dialect`]. A row names the test of the [first bytes](first_bytes) that detects the
//! dialect.

#![deny(clippy::disallowed_methods)]

mod first_bytes;
mod json;
mod legacy;
mod objects;

pub(in crate::server) use first_bytes::{Opening, recognize};
pub use json::Json;
pub use legacy::Legacy;

use crate::{
    protocol::{
        ClientFrame, RoomId, ServerFrame,
        frame::{Ack, Join},
        wire::Refusal,
    },
    server::{
        core::{
            client::Abilities,
            dialect::Dialect,
            endpoint,
            event::Joined,
            log_query::{LogQuery, QueryResult},
            replica::{Replica, RoomSlot},
            subscriber::Turn,
        },
        log::{StoreError, segment::Segment},
    },
    time::Now,
};

/// The server's end of one connection, in any dialect.
pub type Endpoint = endpoint::Endpoint<AnyDialect>;

/// Makes the enum of the dialects, the macro `each!`, which applies an expression to any of them,
/// and the list of those that are detected by first bytes. `$` stands for itself in the output.
macro_rules! dialects {
    ($d:tt $($(#[$doc:meta])* $name:ident($dialect:ty) $(known by $test:path)?,)*) => {
        /// The dialect of one connection. Every call takes one `match`.
        #[derive(Debug)]
        pub enum AnyDialect {
            $($(#[$doc])* $name($dialect),)*
        }

        macro_rules! each {
            ($d dialect:expr, $d it:ident => $d action:expr) => {
                match $d dialect {
                    $(AnyDialect::$name($d it) => $d action,)*
                }
            };
        }

        const KNOWN_BY_FIRST_BYTES: &[first_bytes::Row] = &[
            $($(($test, || Opening::Dialect(AnyDialect::$name(<$dialect>::default()))),)?)*
        ];
    };
}

dialects! { $
    /// The server's own: newline-ended JSON objects.
    Json(Json) known by first_bytes::object,
    /// The legacy programs': JSON objects of four fields. Detected by the first of them: see
    /// [`AnyDialect::handle_join`](Dialect::handle_join).
    Legacy(Box<Legacy>),
}

impl AnyDialect {
    /// The server's own dialect.
    pub fn json() -> Self {
        Self::Json(Json::default())
    }
}

impl Dialect for AnyDialect {
    fn abilities(&self) -> &'static Abilities {
        each!(self, it => it.abilities())
    }

    fn space(&mut self) -> &mut [u8] {
        each!(self, it => it.space())
    }

    fn handle_filled(&mut self, count: usize) {
        each!(self, it => it.handle_filled(count));
    }

    fn handle_bytes(&mut self, bytes: &[u8]) -> usize {
        each!(self, it => it.handle_bytes(bytes))
    }

    fn is_drained(&self) -> bool {
        each!(self, it => it.is_drained())
    }

    fn poll_frame(&mut self) -> Result<Option<ClientFrame>, Refusal> {
        each!(self, it => it.poll_frame())
    }

    fn handle_join(&mut self, join: &mut Join) {
        if let Self::Json(json) = self
            && let Some(legacy) = json.legacy(join)
        {
            *self = Self::Legacy(Box::new(legacy));
        }
        each!(self, it => it.handle_join(join));
    }

    fn challenge(&mut self, challenge: &ServerFrame) {
        each!(self, it => it.challenge(challenge));
    }

    fn ping(&mut self) {
        each!(self, it => it.ping());
    }

    fn answer(&mut self, now: Now, replica: &Replica, frame: &ServerFrame) {
        each!(self, it => it.answer(now, replica, frame));
    }

    fn answer_query(&mut self, query: &LogQuery, result: &Result<QueryResult, StoreError>) {
        each!(self, it => it.answer_query(query, result));
    }

    fn stored(&mut self, replica: &Replica, ack: Ack) {
        each!(self, it => it.stored(replica, ack));
    }

    fn is_answering(&self) -> bool {
        each!(self, it => it.is_answering())
    }

    fn is_quiet(&self) -> bool {
        each!(self, it => it.is_quiet())
    }

    fn attach(&mut self, now: Now, joined: Joined, replica: &mut Replica) {
        each!(self, it => it.attach(now, joined, replica));
    }

    fn tell(&mut self, frame: &ServerFrame) {
        each!(self, it => it.tell(frame));
    }

    fn enter(&mut self, replica: &mut Replica, rooms: &[(RoomId, u64)]) {
        each!(self, it => it.enter(replica, rooms));
    }

    fn leave(&mut self, replica: &Replica, room: RoomId) {
        each!(self, it => it.leave(replica, room));
    }

    fn watch(&mut self, replica: &Replica, rooms: &[RoomId]) {
        each!(self, it => it.watch(replica, rooms));
    }

    fn rooms(&self) -> &[RoomSlot] {
        each!(self, it => it.rooms())
    }

    fn wake(&mut self, room: RoomSlot, from: u64) {
        each!(self, it => it.wake(room, from));
    }

    fn close(&mut self, now: Now, drain: bool) {
        each!(self, it => it.close(now, drain));
    }

    fn give_up(&mut self, replica: &Replica) {
        each!(self, it => it.give_up(replica));
    }

    fn poll_turn<'a>(&'a mut self, now: Now, replica: &'a mut Replica) -> Turn<'a> {
        each!(self, it => it.poll_turn(now, replica))
    }

    fn handle_written(&mut self, now: Now, replica: &Replica, count: usize) {
        each!(self, it => it.handle_written(now, replica, count));
    }

    fn handle_page(&mut self, replica: &Replica, room: RoomId, page: Segment) -> bool {
        each!(self, it => it.handle_page(replica, room, page))
    }

    fn drop_page(&mut self) {
        each!(self, it => it.drop_page());
    }

    fn has_page(&self) -> bool {
        each!(self, it => it.has_page())
    }

    fn held_bytes(&self) -> usize {
        each!(self, it => it.held_bytes())
    }
}
